# SPDX-License-Identifier: GPL-2.0
"""Are the host tests strong? Bugs are put in, one at a time; tests have to fail."""

import json
import os
import re
import resource
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from . import cargo, places
from .say import Stop

WANTED_PERCENT = 90
LISTED = "Documentation/mutants.md"
CONFIG = "scripts/config/mutants.toml"
PACKAGE = "xen-pv-mmu-host"
# Random tests are cut short: what they need many cases for is not what a
# mutant changes.
_CASES = "32"
# A mutant may allocate without end.
_MEMORY = 8 << 30

_OUTCOMES = ("caught", "missed", "timeout", "unviable")
_FOUND = re.compile(r"^Found (\d+) mutants")
_ONE = re.compile(r"^(caught|MISSED|TIMEOUT|unviable|ok) ", re.IGNORECASE)
_PLACE = re.compile(r":\d+:\d+: ")


def name_of(line: str) -> str:
    """A mutant as the manual lists it: without line numbers, so that the name lives through edits."""
    path, _, what = _PLACE.sub("\0", line, count=1).partition("\0")
    return f"{os.path.normpath(path)}: {what}"


def outcomes(folder: Path) -> dict[str, list[str]]:
    """The mutants of each outcome, as cargo-mutants lists them; it adds to these files as it goes."""
    paths = {name: folder / f"{name}.txt" for name in _OUTCOMES}
    return {name: path.read_text().splitlines() if path.exists() else [] for name, path in paths.items()}


def joined(old: dict[str, str], new: dict[str, list[str]], present: list[str]) -> dict[str, str]:
    """The outcome of each mutant that there is now: that of the last run that had it."""
    latest = old | {line: outcome for outcome, lines in new.items() for line in lines}
    return {line: latest[line] for line in present if line in latest}


def listed(text: str) -> set[str]:
    """The survivors that the manual gives a reason for: lines of its tables, where a bar is escaped."""
    return {name.replace(r"\|", "|") for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)}


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


def _mutants() -> list[str]:
    """What cargo-mutants is run with, whatever it is to do."""
    return ["mutants", "--config", str(places.repo() / CONFIG), "--package", PACKAGE]


def present() -> list[str]:
    """All mutants, run or not."""
    command = ["cargo", *_mutants(), "--list", "--colors=never"]
    done = subprocess.run(command, cwd=places.repo() / "rust", capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"cargo-mutants cannot list mutants: {done.stderr.strip()}", f"see {CONFIG}")
    return done.stdout.splitlines()


def run() -> str:
    """Those of FILES, named from rust/ on, or all. What is known of others from earlier runs counts."""
    cargo.tool("cargo-mutants")
    folder = places.build() / "mutants"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    # A run that was stopped has told what it knew by then.
    store = folder / "outcomes.json"
    _join(store, folder)
    files = [argument for name in os.environ.get("FILES", "").split() for argument in ("--file", f"host/../{name}")]
    jobs = os.environ.get("JOBS") or str(len(os.sched_getaffinity(0)))
    seed = cargo.seed()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    done = cargo.run(
        "mutants",
        [*_mutants(), "--output", str(folder), "--caught", "--unviable", "--colors=never", "--jobs", jobs, *files],
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
    known, total = _join(store, folder)
    return f"{verdict(known, places.repo() / LISTED)}; {total - sum(map(len, known.values()))} not run"


def _join(store: Path, folder: Path) -> tuple[dict[str, list[str]], int]:
    """Adds what the last run found to the store; returns all that is known, and how many mutants there are."""
    old = json.loads(store.read_text()) if store.exists() else {}
    mutants = present()
    known = joined(old, outcomes(folder / "mutants.out"), mutants)
    store.write_text(json.dumps(known, indent=1))
    return {name: [line for line in known if known[line] == name] for name in _OUTCOMES}, len(mutants)


def table(found: dict[str, list[str]]) -> list[tuple[str, int, int]]:
    """File, mutants caught, mutants that compile, for each file."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for outcome, lines in found.items():
        for line in lines:
            counts[name_of(line).partition(": ")[0]][outcome] += 1
    rows = []
    for name, count in sorted(counts.items()):
        caught = count["caught"] + count["timeout"]
        rows.append((name, caught, caught + count["missed"]))
    return rows


def verdict(found: dict[str, list[str]], manual: Path) -> str:
    caught = len(found["caught"]) + len(found["timeout"])
    viable = caught + len(found["missed"])
    if not viable:
        raise Stop("there was no mutant to test", f"see {CONFIG}")
    for name, reached, whole in table(found):
        print(f"  {reached:5} of {whole:5}  {name}")
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
