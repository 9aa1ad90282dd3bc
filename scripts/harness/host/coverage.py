# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the backend's logic the host tests reach."""

import re
import shutil
from pathlib import Path

from .. import paths
from ..build import cargo
from ..cli import Stop

WANTED_PERCENT = 90
# Not counted: the interfaces to C and Xen, which the host replaces, files that
# are no part of the backend, and tests.
_NOT_LOGIC = re.compile(
    r"^(platform|platform\.rs|ops|ops\.rs|kernel|testing)$"
)
_TESTS_FILE = re.compile(r"(^|/)tests?(/|\.rs$)")
_TESTS_MODULE = re.compile(r"^#\[cfg\(.*\b(?:test|CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)\b.*\)\]$")


def executed(lcov: str) -> dict[Path, dict[int, int]]:
    """How often each line of each file ran, from an lcov report."""
    files: dict[Path, dict[int, int]] = {}
    lines: dict[int, int] = {}
    for record in lcov.splitlines():
        if record.startswith("SF:"):
            lines = files.setdefault(Path(record[3:]), {})
        elif record.startswith("DA:"):
            number, count = record[3:].split(",")[:2]
            lines[int(number)] = max(lines.get(int(number), 0), int(count))
    return files


def is_logic(path: Path) -> bool:
    """Whether the lines of a file count; its path is relative to rust/."""
    return not _NOT_LOGIC.match(path.parts[0]) and not _TESTS_FILE.search(str(path))


def code_ends(source: str) -> int:
    """The last line before the tests at the end of a file, which do not count."""
    lines = source.splitlines()
    for number, line in enumerate(lines, 1):
        if _TESTS_MODULE.match(line) and any(re.match(r"mod \w+ \{", after) for after in lines[number : number + 3]):
            return number - 1
    return len(lines)


def percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def table(lcov: str, folder: Path) -> list[tuple[str, int, int]]:
    """File, lines reached, lines, for each file of the logic."""
    rows = []
    for path, lines in sorted(executed(lcov).items()):
        if not path.is_relative_to(folder) or not is_logic(path.relative_to(folder)):
            continue
        last = code_ends(path.read_text())
        counted = [count for number, count in lines.items() if number <= last]
        if counted:
            rows.append((str(path.relative_to(folder)), sum(map(bool, counted)), len(counted)))
    return rows


def run() -> str:
    cargo.tool("cargo-llvm-cov")
    tools = {"LLVM_COV": shutil.which("llvm-cov"), "LLVM_PROFDATA": shutil.which("llvm-profdata")}
    if not all(tools.values()):
        raise Stop("llvm-cov or llvm-profdata is missing", "run: make setup")
    seed = cargo.seed()
    report = paths.build() / "coverage.lcov"
    report.unlink(missing_ok=True)
    done = cargo.run(
        "coverage",
        ["llvm-cov", "--workspace", "--exclude", "xen-pv-mmu-compile-fail", "--locked"]
        + ["--lcov", "--output-path", str(report)],
        lambda line: "running the tests" if line.startswith("running ") else None,
        900,
        PROPTEST_RNG_SEED=str(seed),
        **{name: str(path) for name, path in tools.items()},
    )
    if done.code or not report.exists():
        cargo.stop_of_build(done)
    rows = table(report.read_text(), paths.repo() / "rust")
    for name, reached, lines in rows:
        print(f"  {percent(reached, lines):5.1f} %  {reached:5} of {lines:5}  {name}")
    reached, lines = (sum(row[column] for row in rows) for column in (1, 2))
    summary = f"{percent(reached, lines):.1f} % of {lines} lines in {len(rows)} files of the logic"
    if percent(reached, lines) < WANTED_PERCENT:
        raise Stop(f"only {summary} were reached, not {WANTED_PERCENT} %", "add tests for the files at the low end")
    return summary
