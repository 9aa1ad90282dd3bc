# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that the series are based on: kernel.org's, though the source here is Debian's.

Debian's source package has patches applied. dpkg gives the files that it patches the
time of the package, while all others have the time of the release. Which files are
Debian's is therefore known without the patches, which not every mirror has.
"""

import functools
import re
from collections import Counter
from pathlib import Path

from ..cli import Stop
from . import series


def version() -> str:
    """The release, such as 7.3.4."""
    text = (series.pristine() / "Makefile").read_text()
    fields = [re.search(rf"^{name} = (\d+)$", text, re.MULTILINE)[1] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(fields if fields[2] != "0" else fields[:2])


@functools.cache
def patched_by_debian(tree: Path) -> frozenset[str]:
    """The files that do not have the time of the release."""
    times = {path: int(path.stat().st_mtime) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()}
    release, _ = Counter(times.values()).most_common(1)[0]
    return frozenset(str(path.relative_to(tree)) for path, time in times.items() if time != release)


def check(made: series.Export) -> None:
    """The series change no file that Debian has changed: what applies here applies to kernel.org's release."""
    changed = {path for patch in made.patches for path in patch.changes}
    common = sorted((changed & patched_by_debian(series.pristine())) - set(made.apart))
    if common:
        raise Stop(
            f"Debian has patched what the series change: {', '.join(common)}",
            f"leave the file out of the series, or say in [debian] of {series.FOLDER}/patches.toml why it applies nevertheless",
        )
