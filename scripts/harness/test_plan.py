# SPDX-License-Identifier: GPL-2.0-only
"""The steps of `make test`, in order, and the count at the end."""

import io
import re
import subprocess
import time
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .boot import boot, disks, initramfs, machines
from .build import analyzer, deb, docs, kernel
from .check import checks
from .cli import REFUSALS, Stop, elapsed, stop_of
from .host import fuzz, host
from .series import patches


@dataclass(frozen=True)
class Step:
    name: str
    what: str
    run: Callable[[], str]
    """Returns a summary or raises Stop."""
    needs: str = ""
    """The step that this one needs."""


@dataclass(frozen=True)
class Outcome:
    step: Step
    passed: bool
    seconds: float
    summary: str


def own_tests() -> unittest.TestSuite:
    scripts = Path(__file__).resolve().parent.parent
    return unittest.defaultTestLoader.discover(str(scripts / "tests"), top_level_dir=str(scripts))


def self_tests() -> str:
    output = io.StringIO()
    result = unittest.TextTestRunner(output).run(own_tests())
    if not result.wasSuccessful():
        raise Stop(f"the scripts' own tests fail:\n{output.getvalue()}", "fix them, or what they test")
    return f"{result.testsRun} tests"


def integration() -> str:
    kernel.prepare_tree()
    return _script("scripts/integrate", "check", str(paths.tree()))


def symbols(c: str = "c", rust: str = "rust") -> str:
    return _script("scripts/symbols", f"--c={kernel.out(kernel.named(c))}", f"--rust={kernel.out(kernel.named(rust))}")


def _script(name: str, *arguments: str) -> str:
    path = paths.repo() / name
    if not path.exists():
        raise Stop(f"{name} is missing", "run this in a complete checkout")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    output = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise Stop(f"{name} reports:\n{output}", "fix what it names")
    return output.splitlines()[-1] if output else "done"


def _build(name: str) -> Callable[[], str]:
    return lambda: kernel.build(kernel.named(name))


def _check(check: checks.Check) -> Callable[[], str]:
    return lambda: check.run(paths.files())


def _boot(machine: machines.Machine) -> Callable[[], str]:
    def run() -> str:
        return _summary(machine.name, boot.run(machine, paths.build() / "initramfs.cpio.gz"))

    return run


def _summary(name: str, verdict: boot.Verdict) -> str:
    if verdict.problems:
        boot.explain(name, verdict)
        raise Stop(verdict.summary, f"make boot BOOT={name}")
    return verdict.summary


def _boots(variant: str, table: tuple[machines.Machine, ...] = machines.MACHINES) -> list[Step]:
    """With the user's own tools, no boots with guests: these need Xen's toolstack of the build root."""
    return [
        Step(
            f"boot {machine.name}",
            f"{machine.kind}, {machine.vcpus} CPUs, {machine.dom0_mem or f'{machine.memory}M'}, {machine.cmdline}",
            _boot(machine),
            needs=f"build {variant}",
        )
        for machine in table
        if machine.kernel == variant and (paths.pristine() or not machine.guests)
    ]


def _disk(disk: disks.Disk) -> Callable[[], str]:
    return lambda: _summary(disk.name, disks.run(disk))


def _disks(table: tuple[disks.Disk, ...]) -> list[Step]:
    """Left out with the user's own tools, as the configuration that the packages are made with."""
    if not paths.pristine():
        return []
    what = {"bios": "SeaBIOS", "efi": "OVMF"}
    return [
        Step("packages", "of the kernel, with Debian's configuration", lambda: f"{len(deb.make())} packages"),
        *(
            Step(
                f"boot {disk.name}",
                f"Debian from its disk: {what[disk.firmware]}, {disk.layout}, {disk.bus}",
                _disk(disk),
                needs="packages",
            )
            for disk in table
        ),
    ]


def _host() -> list[Step]:
    """Left out with the user's own tools: the expected output depends on their versions."""
    if not paths.pristine():
        return []
    return [
        Step("host tests", "the backend's logic against a model of Xen", host.tests),
        Step("types", "what must not compile does not", host.types),
        Step("fuzz", "batches, the p2m list and memory maps, with made-up inputs", fuzz.run),
    ]


def _debian(table: tuple[machines.Machine, ...]) -> list[Step]:
    """Left out with the user's own tools: the configuration is made for Debian's compilers."""
    if not paths.pristine():
        return []
    return [Step("build debian", "with Debian's configuration and gcc", _build("debian")), *_boots("debian", table)]


def _exports() -> list[Step]:
    """Left out with the user's own tools and tree as well."""
    if not paths.pristine():
        return []
    return [
        Step("series", "patches for upstream, which apply and result in this", patches.make, needs="integration"),
        Step("doc", "manuals and rustdoc, without a warning", docs.make, needs="build rust"),
        Step("rust-analyzer", "a project file for editors", analyzer.make, needs="build rust"),
    ]


def steps() -> list[Step]:
    return [
        Step("self-tests", "the scripts' own tests", self_tests),
        Step("integration", "our edits are in the kernel tree", integration),
        *(Step(check.name, check.what, _check(check), needs="integration") for check in checks.CHECKS),
        *_host(),
        Step("initramfs", "the guest's user space", lambda: str(initramfs.make().name)),
        Step("build rust", "the kernel with the Rust backend, clippy on", _build("rust"), needs="integration"),
        *_exports(),
        Step("build c", "the same kernel with the C backend, to compare with", _build("c"), needs="build rust"),
        Step("symbols", "Rust and C backends offer the same symbols", symbols, needs="build c"),
        *_boots("rust"),
        Step("build debug", "the same with every check of the kernel's on", _build("debug"), needs="integration"),
        *_boots("debug"),
        *_debian(machines.MACHINES),
        *_disks(disks.DISKS),
    ]


def soak_steps() -> list[Step]:
    """The boots that take too long for `make test`."""
    return [
        Step("initramfs", "the guest's user space", lambda: str(initramfs.make().name)),
        Step("build rust", "the kernel with the Rust backend, clippy on", _build("rust")),
        Step("build c", "the same kernel with the C backend", _build("c"), needs="build rust"),
        Step("build domu", "a guest that can be nothing else", _build("domu")),
        *_boots("rust", machines.SOAK),
        *_boots("c", machines.SOAK),
        Step("build debug", "the same with every check of the kernel's on", _build("debug")),
        *_boots("debug", machines.SOAK),
        *_debian(machines.SOAK),
        *_disks(disks.SOAK),
        Step("build small", "as little of it as can be, for one CPU", _build("small")),
        *_boots("small", machines.SOAK),
        Step("build lto", "the same optimised as a whole, with checked calls", _build("lto")),
        *_boots("lto", machines.SOAK),
        Step("build gcc", "the same compiled with gcc", _build("gcc")),
        *_boots("gcc", machines.SOAK),
    ]


def build_steps() -> list[Step]:
    """The builds that take hours."""
    return [
        Step("build debian", "with Debian's configuration and gcc", _build("debian")),
        Step("build debian-c", "the same kernel with the C backend", _build("debian-c"), needs="build debian"),
        Step("symbols", "both offer the same", lambda: symbols("debian-c", "debian"), needs="build debian-c"),
        Step("packages", "with all of Debian's modules", lambda: f"{len(deb.make('full'))} packages"),
    ]


def _chosen(pattern: str, known: list[Step]) -> list[Step]:
    """The steps whose names match."""
    try:
        found = [step for step in known if re.search(pattern, step.name)]
    except re.error as error:
        raise Stop(f"ONLY={pattern} is not a regular expression: {error}", "quote what is special with a backslash") from None
    if not found:
        raise Stop(f"no step matches ONLY={pattern}", f"there are: {', '.join(step.name for step in known)}")
    return found


def main(arguments: list[str]) -> int:
    """test [--soak | --builds] [PATTERN]: all steps, or those whose name matches."""
    every = steps
    others = {"--soak": soak_steps, "--builds": build_steps}
    if arguments[:1] and arguments[0] in others:
        every, arguments = others[arguments[0]], arguments[1:]
    plan = _chosen(arguments[0] if arguments else "", every())
    start = time.monotonic()
    outcomes: list[Outcome] = []
    for number, step in enumerate(plan, 1):
        print(f"\n[{number}/{len(plan)}] {step.name}: {step.what}", flush=True)
        outcomes.append(_do(step, outcomes))
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"\nSummary after {elapsed(time.monotonic() - start)}; logs are in {paths.shown(paths.logs())}\n")
    for outcome in outcomes:
        mark = "ok    " if outcome.passed else "FAILED"
        print(f"{mark}  {outcome.step.name:20} {elapsed(outcome.seconds):>13}  {outcome.summary}")
    print(f"\n{len(outcomes) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _do(step: Step, before: list[Outcome]) -> Outcome:
    begin = time.monotonic()
    if any(outcome.step.name == step.needs and not outcome.passed for outcome in before):
        print(f"  not run, because {step.needs!r} failed", flush=True)
        return Outcome(step, False, 0, f"not run: {step.needs!r} failed")
    try:
        summary = step.run()
    except (Stop, *REFUSALS) as error:
        stop = error if isinstance(error, Stop) else stop_of(error)
        print(f"  FAILED: {stop}\n  -> {stop.advice}", flush=True)
        return Outcome(step, False, time.monotonic() - begin, str(stop).splitlines()[0])
    seconds = time.monotonic() - begin
    print(f"  ok, {summary}, {elapsed(seconds)}", flush=True)
    return Outcome(step, True, seconds, summary)
