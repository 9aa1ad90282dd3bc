# SPDX-License-Identifier: GPL-2.0-only
"""Run the tests for a mutant: those that reach it, the quick ones first."""

import os
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..cli import Progress, Stop

# Random tests are cut short: a mutant shows in few cases. One failing case is enough: it is
# neither shrunk nor kept.
_RANDOM = {"PROPTEST_CASES": "8", "PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1"}
# Mutants may allocate without end.
_MEMORY = 4 << 30
# CPU time of the first group of tests for a mutant, in seconds. Each later group takes twice as long.
_FIRST_SECONDS = 1.0
# A test that takes this many times longer, plus some seconds, counts as hung.
_LONGER, _MORE_SECONDS = 8, 8
# Tests that wait for each other use no CPU time.
_WAIT_SECONDS = 1200


@dataclass(frozen=True)
class Test:
    """What a test needs without a mutant: seconds of CPU time, and functions, by number."""

    name: str
    seconds: float
    functions: frozenset[int]


@dataclass(frozen=True)
class Ended:
    """Result of a test program."""

    failed: bool
    in_time: bool
    seconds: float


def rounds(tests: Iterable[Test]) -> list[list[Test]]:
    """Tests in the order of their time, in groups that each take about twice as long as the one before."""
    parts: list[list[Test]] = [[]]
    bound, taken = _FIRST_SECONDS, 0.0
    for test in sorted(tests, key=lambda test: (test.seconds, test.name)):
        if parts[-1] and taken + test.seconds > bound:
            parts.append([])
            bound, taken = 2 * bound, 0.0
        parts[-1].append(test)
        taken += test.seconds
    return [part for part in parts if part]


class Runner:
    """Runs tests of programs, each in a process of its own with limits."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder = folder
        self.seed = seed

    def run(self, program: Path, names: list[str], seconds: float, **variables: str) -> Ended:
        """Runs tests one after the other until one fails, for at most so many seconds of CPU time."""
        child = subprocess.Popen(
            [program, "--exact", "--test-threads=1", *names],
            cwd=self.folder,
            env=os.environ | _RANDOM | {"PROPTEST_RNG_SEED": self.seed, "RUST_BACKTRACE": "0"} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        limit = int(seconds) + 1
        for what, most in ((resource.RLIMIT_CPU, limit), (resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CORE, 0)):
            resource.prlimit(child.pid, what, (most, most))
        waited = threading.Timer(_WAIT_SECONDS, os.kill, (child.pid, signal.SIGKILL))
        waited.daemon = True
        waited.start()
        failed, passed = False, 0
        for line in child.stdout:
            passed += line.startswith("test ") and line.endswith("... ok\n")
            if line.startswith("test ") and line.endswith("FAILED\n"):
                failed = True
                os.kill(child.pid, signal.SIGKILL)
        _, status, used = os.wait4(child.pid, 0)
        waited.cancel()
        child.stdout.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        in_time = failed or child.returncode not in (-signal.SIGKILL, -signal.SIGXCPU)
        if child.returncode == 0 and passed != len(names):
            raise Stop(f"{passed} of {len(names)} tests ran", f"see {program} --list")
        return Ended(failed or child.returncode != 0, in_time, used.ru_utime + used.ru_stime)

    def tests(self, program: Path, jobs: int) -> list[Test]:
        """Runs each test without a mutant, to measure what it needs."""
        names = sorted(set(_listed(program)) - set(_listed(program, "--ignored")))
        found = []
        progress = Progress("mutants")
        with ThreadPoolExecutor(jobs) as pool:
            for test in pool.map(lambda name: self._test(program, name), names):
                found.append(test)
                progress.update(f"{len(found)} of {len(names)} tests pass without one")
        progress.done(f"{len(found)} tests pass without one")
        return found

    def _test(self, program: Path, name: str) -> Test:
        with tempfile.NamedTemporaryFile("r") as reached:
            ended = self.run(program, [name], _WAIT_SECONDS, MUTANTS_REACHED=reached.name)
            if ended.failed:
                raise Stop(f"{name} fails without a mutant", "run: make host")
            functions = frozenset(map(int, reached.read().split()))
        return Test(name, ended.seconds, functions)

    def outcome(self, program: Path, tests: Iterable[Test], **variables: str) -> str:
        """The outcome of a program with a mutant."""
        for part in rounds(tests):
            seconds = _LONGER * sum(test.seconds for test in part) + _MORE_SECONDS
            ended = self.run(program, [test.name for test in part], seconds, **variables)
            if not ended.in_time:
                return "timeout"
            if ended.failed:
                return "caught"
        return "missed"


def _listed(program: Path, *options: str) -> list[str]:
    done = subprocess.run([program, "--list", *options], capture_output=True, text=True, check=True)
    return [line.removesuffix(": test") for line in done.stdout.splitlines() if line.endswith(": test")]
