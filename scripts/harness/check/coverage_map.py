# SPDX-License-Identifier: GPL-2.0-only
"""The coverage map: the tests that it names exist, and no invariant is left out."""

import re
from pathlib import Path

from .. import paths
from ..bench import bench
from ..boot import disks, machines
from ..cli import Stop

PAGE = Path("Documentation/coverage-map.md")
INVARIANTS = 44
_NAME = re.compile(r"`(\w+):([^`]+)`")
_ROW = re.compile(r"^\| (\S+) \| .+ \| (.+) \|$")
# For each kind of test, the files that define it, and a pattern for its names.
_KINDS = {
    "model": (["rust/testing/model/src/**/*.rs"], r"#\[test\]\s+(?:#\[[^\n]*\]\s+)*fn (\w+)"),
    "host": ([f"rust/testing/{folder}/**/*.rs" for folder in ("host", "tests", "properties")], r"#\[test\]\s+(?:#\[[^\n]*\]\s+)*fn (\w+)"),
    "kunit": (["rust/**/*.rs"], r"kunit_tests\((\w+)\)"),
    "guest": (["scripts/guest/mmstress/test.c"], r'^\t\{ "([^"]+)"'),
}


def tests(top: Path) -> dict[str, set[str]]:
    found = {
        kind: {
            name
            for files in all_files
            for file in top.glob(files)
            for name in re.findall(pattern, file.read_text(), re.MULTILINE)
        }
        for kind, (all_files, pattern) in _KINDS.items()
    }
    found["boot"] = {entry.name for entry in (*machines.MACHINES, *machines.SOAK, *disks.DISKS, *disks.SOAK)}
    found["bench"] = set(bench.CHECKED_OPERATIONS)
    found["types"] = {case.parent.name for case in top.glob("rust/testing/compile-fail/cases/*/ok.rs")}
    return found


def wrong(text: str, known: dict[str, set[str]]) -> list[str]:
    """The problems of the page, with line numbers."""
    found, rows = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        names = _NAME.findall(line)
        found += [f"{PAGE}:{number}: no test {kind}:{name}" for kind, name in names if name not in known.get(kind, ())]
        row = _ROW.match(line)
        if row and row[1] != "row" and row[1].strip("-"):
            if row[1] in rows:
                found.append(f"{PAGE}:{number}: {row[1]} is there twice")
            rows.add(row[1])
            if not _NAME.search(row[2]) and not re.match(r"(open|not applicable): \w", row[2]):
                found.append(f"{PAGE}:{number}: {row[1]} has neither a test nor a reason")
    found += [f"{PAGE}:1: no row I{n}" for n in range(1, INVARIANTS + 1) if f"I{n}" not in rows]
    return found


def check(_files: list[Path]) -> str:
    text = (paths.repo() / PAGE).read_text()
    found = wrong(text, tests(paths.repo()))
    if found:
        raise Stop("\n".join(["the coverage map is wrong:", *found]), "name tests that exist, or state what is open")
    return f"{len(_NAME.findall(text))} names"
