# SPDX-License-Identifier: GPL-2.0
"""Are the host tests strong? Bugs are put in, one at a time; tests have to fail."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

from . import cargo, places
from .say import Stop

WANTED_PERCENT = 90
LISTED = "Documentation/mutants.md"
# Random tests are cut short: what they need many cases for is not what a
# mutant changes.
_CASES = "32"

_OUTCOMES = ("caught", "missed", "timeout", "unviable")
_FOUND = re.compile(r"^Found (\d+) mutants")
_ONE = re.compile(r"^(caught|MISSED|TIMEOUT|unviable|ok) ", re.IGNORECASE)
_PLACE = re.compile(r":\d+:\d+: ")


def name_of(line: str) -> str:
    """A mutant as the manual lists it: without line numbers, so that the name lives through edits."""
    path, _, what = _PLACE.sub("\0", line, count=1).partition("\0")
    return f"{os.path.normpath(path)}: {what}"


def outcomes(folder: Path) -> dict[str, list[str]]:
    """The mutants of each outcome, as cargo-mutants lists them."""
    return {name: (folder / f"{name}.txt").read_text().splitlines() for name in _OUTCOMES}


def listed(text: str) -> set[str]:
    """The survivors that the manual gives a reason for: lines of its tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


class _Watch:
    def __init__(self) -> None:
        self.total = 0
        self.seen: Counter = Counter()

    def __call__(self, line: str) -> str | None:
        if match := _FOUND.match(line):
            self.total = int(match[1])
        elif (match := _ONE.match(line)) and "baseline" not in line:
            self.seen[match[1].lower()] += 1
        else:
            return None
        words = ", ".join(f"{count} {word}" for word, count in self.seen.items())
        return f"{sum(self.seen.values())} of {self.total}: {words}"


def run() -> str:
    cargo.tool("cargo-mutants")
    folder = places.build() / "mutants"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    jobs = os.environ.get("JOBS") or str(len(os.sched_getaffinity(0)))
    seed = cargo.seed()
    done = cargo.run(
        "mutants",
        ["mutants", "--output", str(folder), "--caught", "--unviable", "--colors=never", "--jobs", jobs],
        _Watch(),
        24 * 3600,
        PROPTEST_CASES=_CASES,
        PROPTEST_RNG_SEED=str(seed),
        # Each job has a copy of the sources, and objects of its own.
        CARGO_TARGET_DIR=None,
        TMPDIR=str(folder / "tmp"),
    )
    # 2: some were missed; 3: some timed out. Both are judged below.
    if done.code not in (0, 2, 3):
        cargo.stop_of_build(done)
    return verdict(outcomes(folder / "mutants.out"), places.repo() / LISTED)


def verdict(found: dict[str, list[str]], manual: Path) -> str:
    caught = len(found["caught"]) + len(found["timeout"])
    viable = caught + len(found["missed"])
    if not viable:
        raise Stop("there was no mutant to test", "see rust/.cargo/mutants.toml")
    known = listed(manual.read_text()) if manual.exists() else set()
    survivors = sorted({name_of(line) for line in found["missed"]})
    for name in survivors:
        print(f"  survived: {name}" + ("" if name in known else " (not listed)"))
    share = 100 * caught / viable
    summary = (
        f"{share:.1f} % of {viable} mutants caught, {len(found['timeout'])} of them by time-out; "
        f"{len(found['missed'])} survived, {len(found['unviable'])} did not compile"
    )
    if share < WANTED_PERCENT:
        raise Stop(f"{summary}; wanted: {WANTED_PERCENT} %", "add tests for the survivors above")
    unknown = [name for name in survivors if name not in known]
    if unknown:
        raise Stop(f"{summary}; {len(unknown)} are not listed", f"add a test for each, or the reason to {LISTED}")
    return summary
