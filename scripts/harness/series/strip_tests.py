# SPDX-License-Identifier: GPL-2.0-only
"""Remove what belongs to an option from a file: Rust items and Kconfig entries."""

import re

from ..cli import Stop


def strip(path: str, text: str, option: str) -> str:
    """The text before the patch that adds what `option` marks."""
    name = path.rsplit("/", 1)[-1]
    if path.endswith(".rs"):
        # An item that another option needs as well stays, for that option.
        text = re.sub(rf"cfg\(any\((\w+), CONFIG_{option}\)\)", r"cfg(\1)", text)
        text = _rust(text, f"CONFIG_{option}")
    elif name.startswith("Kconfig"):
        text = _kconfig(text, option)
    elif name == "Kbuild":
        text = "".join(line for line in text.splitlines(True) if f"$(CONFIG_{option})" not in line)
    if re.search(rf"\b(CONFIG_)?{option}\b", text):
        raise Stop(
            f"{path}: {option} marks something that is neither a Rust item nor an entry",
            "give it a cfg attribute of its own, or teach scripts/harness/series/strip_tests.py",
        )
    return text


def _rust(text: str, option: str) -> str:
    """Leaves out items and statements that need `option`, with their comments.

    In rustfmt's format, an item that does not end on its first line ends on the
    first line that has the same indentation and closes a bracket.
    """
    lines = text.splitlines(True)
    kept: list[str] = []
    at = 0
    while at < len(lines):
        mark = _mark(lines, at, option)
        if not mark:
            kept.append(lines[at])
            at += 1
            continue
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        while kept and kept[-1].startswith((f"{indent}///", f"{indent}#[")):
            kept.pop()
        at = _end(lines, at + mark, indent)
        # Of the empty lines around the item one stays, none at the end of a block.
        if not kept or not kept[-1].strip():
            after = lines[at].strip() if at < len(lines) else "}"
            if not after:
                at += 1
            elif kept and after.startswith("}"):
                kept.pop()
    return "".join(kept)


def _mark(lines: list[str], at: int, option: str) -> int:
    """How many lines an attribute takes that requires `option`, alone or with others."""
    if not lines[at].strip().startswith("#[cfg("):
        return 0
    end = next((n for n in range(at, len(lines)) if lines[n].rstrip().endswith(")]")), at)
    said = "".join(line.strip() for line in lines[at : end + 1])
    match = re.fullmatch(r"#\[cfg\((?:all\()?([\w,\s]+)\)?\)\]", said)
    return end + 1 - at if match and option in re.split(r"[,\s]+", match[1]) else 0


def _end(lines: list[str], at: int, indent: str) -> int:
    """The index after the item that begins at `at`."""
    while lines[at].strip().startswith(("#[", "//")):
        at += 1
    if lines[at].rstrip().endswith((";", ",", "}")):
        return at + 1
    while not re.fullmatch(rf"{indent}[)\]}}]+[;,]?\n", lines[at]):
        at += 1
    return at + 1


def _kconfig(text: str, option: str) -> str:
    entries = re.split(r"^(?=(?:menu)?config |source |if |endif|menu |endmenu|choice)", text, flags=re.MULTILINE)
    kept = [entry for entry in entries if not entry.startswith(f"config {option}\n")]
    return re.sub(r"\n+\Z", "\n", "".join(kept))
