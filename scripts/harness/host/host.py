# SPDX-License-Identifier: GPL-2.0-only
"""The host tests: the backend's logic against a model of Xen."""

import re
from dataclasses import dataclass

from .. import settings
from ..build import cargo
from ..cli import Stop, elapsed
from ..mutants import mutants
from . import coverage, fuzz

# Time limit of the tests themselves, once they are built.
LIMIT_SECONDS = 180
# Operations, unless SOAK=N is set.
SOAK = 10_000_000
COMPILE_FAIL = "xen-pv-mmu-compile-fail"

_RUNNING = re.compile(r"^ +(?:Running|Doc-tests) (?:unittests )?(\S+)")
_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED)$")
_RESULT = re.compile(r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;")
_CASE = re.compile(r"^test (\S+\.rs).*? \.\.\. (.*)$")
_SOAKED = re.compile(r"^soak (\S+): (\d+) of (\d+) operations$")


@dataclass(frozen=True)
class Counts:
    """The results of all test programs of a run."""

    passed: int
    failed: int
    ignored: int
    programs: int


def counts(lines: list[str]) -> Counts:
    results = [match for line in lines if (match := _RESULT.match(line))]
    return Counts(*(sum(int(match[group]) for match in results) for group in (1, 2, 3)), len(results))


class _Watch:
    """Follows the test programs for the progress line."""

    def __init__(self) -> None:
        self.tests = 0
        self.program = ""

    def __call__(self, line: str) -> str | None:
        if match := _RUNNING.match(line):
            self.program = match[1].removeprefix("(").removesuffix(")")
        elif _TEST.match(line):
            self.tests += 1
        else:
            return None
        return f"{self.tests} tests done, in {self.program}"


def judge(done: cargo.Run, again: str) -> str:
    """A summary of the test programs' output, or Stop."""
    found = counts(done.lines)
    failed = [match[1] for line in done.lines if (match := _TEST.match(line)) and match[2] == "FAILED"]
    if not done.in_time:
        raise Stop(
            f"the tests did not end in time; {found.passed} had passed",
            f"see which one it was in {done.log_shown}",
        )
    if failed or found.failed:
        raise Stop(
            "\n".join([f"{found.failed or len(failed)} of the tests failed:", *failed[:12]]),
            f"read {done.log_shown}; the same again: {again}",
        )
    if done.code:
        cargo.stop_of_build(done)
    if not found.passed:
        raise Stop("no test ran", f"see why in {done.log_shown}")
    return f"{found.passed} tests in {found.programs} programs"


def tests() -> str:
    """All tests of the workspace except those of the types."""
    seed = cargo.seed()
    print(f"  seed {seed}", flush=True)
    command = ["test", "--workspace", "--exclude", COMPILE_FAIL, "--locked"]
    cargo.build("host-build", [*command, "--no-run"])
    done = cargo.run(
        "host-tests", [*command, "--no-fail-fast"], _Watch(), LIMIT_SECONDS, PROPTEST_RNG_SEED=str(seed)
    )
    return f"{judge(done, f'make host SEED={seed}')}, seed {seed}"


def types() -> str:
    """Code that must not compile does not, and the compiler names the reason."""
    command = ["test", "--package", COMPILE_FAIL, "--locked"]
    cargo.build("types-build", [*command, "--no-run"])
    done = cargo.run("types", [*command, "--", "--nocapture"], _case, 600)
    cases = dict(match.groups() for line in done.lines if (match := _CASE.match(line)))
    if done.code or not done.in_time:
        wrong = [f"{case}: {said}" for case, said in cases.items() if said != "ok"]
        raise Stop(
            "\n".join(["the compiler's messages are not as expected:", *wrong[:12]]),
            f"read {done.log_shown}; move a correct message from rust/testing/compile-fail/wip to its case",
        )
    if not cases:
        raise Stop("no case ran", f"see why in {done.log_shown}")
    return f"{len(cases)} cases"


def _case(line: str) -> str | None:
    match = _CASE.match(line)
    return match[1] if match else None


def clippy() -> str:
    """clippy over the host crates, with a warning being an error."""
    cargo.build(
        "clippy", ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]
    )
    return "no warning"


def soaked(lines: list[str]) -> dict[str, int]:
    """How many operations each of the soaks reports as done."""
    found: dict[str, int] = {}
    for line in lines:
        if match := _SOAKED.match(line):
            found[match[1]] = int(match[2])
    return found


class _SoakWatch:
    """Follows all soaks, which run side by side."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def __call__(self, line: str) -> str | None:
        if match := _SOAKED.match(line):
            self.done[match[1]] = int(match[2])
            return f"{sum(self.done.values()):,} operations in {len(self.done)} soaks"
        return None


def soak() -> str:
    """The tests named soak, for a long time."""
    seed = cargo.seed()
    wanted = settings.number("SOAK", SOAK, 1)
    print(f"at least {wanted:,} operations, seed {seed}", flush=True)
    command = ["test", "--workspace", "--exclude", COMPILE_FAIL, "--release", "--locked"]
    cargo.build("soak-build", [*command, "--no-run"])
    done = cargo.run(
        "soak",
        [*command, "--lib", "soak", "--", "--ignored", "--nocapture"],
        _SoakWatch(),
        24 * 3600,
        PROPTEST_RNG_SEED=str(seed),
        XEN_PVMMU_SOAK=str(wanted),
    )
    summary = judge(done, f"make soak-host SOAK={wanted} SEED={seed}")
    found = soaked(done.lines)
    for name, operations in found.items():
        print(f"  {name:24} {operations:>12,} operations")
    total = sum(found.values())
    rate = f"{total / max(done.seconds, 0.1):,.0f} a second, {elapsed(done.seconds)}"
    if total < wanted:
        raise Stop(f"only {total:,} operations were done, {rate}", f"see which soak ended early in {done.log_shown}")
    return f"{total:,} operations in {len(found)} soaks ({summary}), {rate}, seed {seed}: no failure"


COMMANDS = {
    "tests": tests,
    "types": types,
    "soak": soak,
    "fuzz": fuzz.run,
    "coverage": coverage.run,
    "mutants": mutants.run,
}


def main(arguments: list[str]) -> int:
    """host COMMAND...: in this order."""
    unknown = [name for name in arguments if name not in COMMANDS]
    if unknown or not arguments:
        raise Stop(f"cannot do {' '.join(unknown) or 'nothing'}", f"name any of: {' '.join(COMMANDS)}")
    for name in arguments:
        print(f"{name}: ok, {COMMANDS[name]()}", flush=True)
    return 0
