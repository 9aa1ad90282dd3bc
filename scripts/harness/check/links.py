# SPDX-License-Identifier: GPL-2.0-only
"""Links of the manuals lead to existing files and sections."""

import re
from pathlib import Path

from .. import paths
from ..cli import Stop

_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)?$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The sections of a page, under the names that a forge and pandoc give them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def links(text: str) -> list[str]:
    prose = _CODE.sub("", _FENCE.sub("", text))
    return [inline or reference for inline, reference in _LINK.findall(prose)]


def dead(page: Path, top: Path) -> list[str]:
    """The links of a page that lead nowhere, or out of the repository."""
    found = []
    for link in links((top / page).read_text()):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, section = link.partition("#")
        target = ((top / page).parent / name).resolve() if name else top / page
        if not target.exists() or not target.is_relative_to(top.resolve()):
            found.append(f"{page}: there is no {name}")
        elif section and section not in (anchors(target.read_text()) if target.suffix == ".md" else ()):
            found.append(f"{page}: {name or 'the page'} has no section {section}")
    return found


def check(files: list[Path]) -> str:
    pages = [path for path in files if path.suffix == ".md"]
    found = [problem for page in pages for problem in dead(page, paths.repo())]
    if found:
        raise Stop("\n".join(["links that lead nowhere:", *found]), "fix each")
    return f"{sum(len(links((paths.repo() / page).read_text())) for page in pages)} links in {len(pages)} pages"
