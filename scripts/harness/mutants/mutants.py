# SPDX-License-Identifier: GPL-2.0-only
"""Measure the strength of the host tests: insert bugs, one at a time; a test must fail."""

import filecmp
import os
import re
import shutil
import subprocess
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from .. import paths, settings
from ..build import cargo
from ..cli import Progress, Stop
from . import schemata
from .mutant_run import Runner
from .schemata import Mutant, Program, Workshop

WANTED_PERCENT = 90
LISTED = "Documentation/mutants.md"
CONFIG = "scripts/config/mutants.toml"
# cargo-mutants' path of the crate's folder: relative to the module that declares its files.
_CRATE = "testing/host/backend/../../.."
# One seed for all runs, so that the survivors are the same.
_SEED = 1

_OUTCOMES = ("caught", "missed", "timeout", "unviable")
_PLACE = re.compile(r":\d+:\d+: ")


def name_of(line: str) -> str:
    """A mutant as the manual lists it: without line numbers, so that the name survives edits."""
    path, _, what = _PLACE.sub("\0", line, count=1).partition("\0")
    return f"{os.path.normpath(path)}: {what}"


def listed(text: str) -> set[str]:
    """The survivors that the manual explains: lines of its tables, where a bar is escaped."""
    return {name.replace(r"\|", "|") for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)}


def _list(*options: str) -> str:
    """The mutants that cargo-mutants lists for FILES and in the lines that DIFF changes, relative to rust/, or all."""
    files = [argument for name in os.environ.get("FILES", "").split() for argument in ("--file", f"{_CRATE}/{name}")]
    config = ["--config", str(paths.repo() / CONFIG), "--package", schemata.PACKAGE]
    command = ["cargo", "mutants", "--list", "--colors=never", *config, *files, *_changed(), *options]
    done = subprocess.run(command, cwd=paths.repo() / "rust", capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"cargo-mutants cannot list mutants: {done.stderr.strip()}", f"see {CONFIG}")
    return done.stdout


def _changed() -> list[str]:
    """Options for what has changed since the commit DIFF."""
    commit = os.environ.get("DIFF", "")
    if not commit:
        return []
    # In the diff, paths must be as in cargo-mutants' list.
    prefixes = [f"--src-prefix=a/{_CRATE}/", f"--dst-prefix=b/{_CRATE}/"]
    command = ["git", "-c", "safe.directory=*", "diff", "--relative", *prefixes, commit, "--", "."]
    done = subprocess.run(command, cwd=paths.repo() / "rust", capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"git cannot compare with DIFF={commit}: {done.stderr.strip()}", "name a commit")
    path = paths.build() / "mutants.diff"
    path.write_text(done.stdout)
    return ["--in-diff", str(path)]


class _Apart:
    """Mutants that are compiled one by one, since there is one copy of the sources."""

    def __init__(self, workshop: Workshop, runner: Runner, jobs: int) -> None:
        self._workshop = workshop
        self._runner = runner
        self._lock = threading.Lock()
        workshop.restore()
        self._plain = self._program("plain")
        self._tests = runner.tests(self._plain, jobs)

    def _program(self, name: str) -> Path | None:
        # Compiling takes longer than the tests that notice a mutant.
        program = self._workshop.compile(0).program
        return Path(shutil.copy(program, self._workshop.folder / name)) if program else None

    def outcome(self, mutant: Mutant) -> str:
        with self._lock:
            self._workshop.write(mutant.file, schemata.mutated(self._workshop.original(mutant.file), mutant))
            program = self._program(f"mutant-{mutant.number}")
            self._workshop.restore()
        if not program:
            return "unviable"
        try:
            # The compiler itself may find that a mutant makes no difference.
            same = filecmp.cmp(program, self._plain, shallow=False)
            return "missed" if same else self._runner.outcome(program, self._tests)
        finally:
            program.unlink()


def _outcomes(program: Program, workshop: Workshop, runner: Runner, jobs: int) -> dict[str, list[str]]:
    """The names of the mutants of each outcome."""
    switch = Path(shutil.copy(program.path, workshop.folder / "switched"))
    tests = runner.tests(switch, jobs)
    apart = _Apart(workshop, runner, jobs) if program.apart else None

    def outcome(mutant: Mutant) -> str:
        if mutant in program.apart:
            return apart.outcome(mutant)
        reaching = [test for test in tests if mutant.owner in test.functions]
        return runner.outcome(switch, reaching, MUTANT=str(mutant.number))

    progress = Progress("mutants")
    found: dict[str, list[str]] = {name: [] for name in _OUTCOMES}
    found["unviable"] = [mutant.name for mutant in program.unviable]
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(outcome, mutant): mutant for mutant in (*program.apart, *program.chosen)}
        try:
            for number, done in enumerate(as_completed(running), 1):
                found[done.result()].append(running[done].name)
                words = ", ".join(f"{len(found[name])} {name}" for name in _OUTCOMES if found[name])
                progress.update(f"{number} of {len(running)}: {words}")
        finally:
            pool.shutdown(cancel_futures=True)
    progress.done(f"{len(running)} tried")
    return found


def run() -> str:
    """The mutants of FILES and DIFF, or all."""
    cargo.tool("cargo-mutants")
    mutants = schemata.read(_list("--json") or "[]", _list().splitlines())
    if not mutants and os.environ.get("DIFF"):
        return "no changed line has a mutant"
    if not mutants:
        raise Stop("there is no mutant to test", f"name files relative to rust/, as in FILES='pte.rs p2m/grow.rs'; see {CONFIG}")
    jobs = settings.jobs()
    seed = settings.number("SEED", _SEED, 0)
    progress = Progress("mutants")
    workshop = Workshop(paths.build() / "mutants")
    program = schemata.program(workshop, mutants, progress.update)
    progress.done(
        f"{len(program.chosen)} are in one program, {len(program.unviable)} do not compile, "
        f"{len(program.apart)} go one by one"
    )
    runner = Runner(workshop.rust / "testing/host", str(seed))
    return verdict(_outcomes(program, workshop, runner, jobs), paths.repo() / LISTED)


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
