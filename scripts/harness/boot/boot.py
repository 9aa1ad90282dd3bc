# SPDX-License-Identifier: GPL-2.0-only
"""Run one machine in QEMU and judge what it printed."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from .. import paths
from ..build import kernel
from ..cli import Progress
from ..stream import follow
from . import initramfs, ktap, machines, memmap, ram, rules
from .acpi_wake import Waker
from .console import Line, lines_of
from .machines import Machine
from .rules import Problem

_CRASHED = "it crashed"

# A machine that is finished, or dead, has this long to report it and power off.
_GRACE_SECONDS = 30
_LAST_WORDS_SECONDS = 5

# From "BUG" or "Oops" to the end of the call trace, mostly.
_REPORT_LINES = 40


@dataclass
class Verdict:
    problems: list[Problem]
    seconds: float
    log: Path
    tests: ktap.Results = field(default_factory=ktap.Results)
    guest: str = ""
    """The guest's own count, e.g. "guest pass=12 fail=0 skip=1", or that it dies as it should."""

    @property
    def summary(self) -> str:
        if self.problems:
            return str(self.problems[0])
        kunit = f"KUnit pass={len(self.tests.passed)} skip={len(self.tests.skipped)}"
        return f"{self.guest}, {kunit}" if self.tests.suites else self.guest


def command(machine: Machine, initrd: Path, serial: str) -> list[str]:
    """The QEMU command line. Emulation only, so that it means the same anywhere.

    A Xen with another memory map must have been made by `memmap.make()`, memory that is not empty by `ram.make()`.
    """
    variant = kernel.named(machine.kernel)
    common = [
        "qemu-system-x86_64", "-accel", "tcg", "-m", str(machine.memory), "-smp", str(machine.vcpus),
        "-display", "none", "-no-reboot", "-nic", "none", "-serial", serial, *ram.options(machine),
    ]  # fmt: skip
    if machine.kind.startswith("dom0"):
        # By default, Xen switches FPU registers lazily between domains, and under QEMU's
        # emulation a process then finds another domain's in its vector registers.
        xen = "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all noreboot spec-ctrl=eager-fpu"
        if machine.dom0_mem:
            xen += f" dom0_mem={machine.dom0_mem}"
        for more in (machine.xen, memmap.parameters(machine)):
            xen += f" {more}" if more else ""
        linux = f"{kernel.bzimage(variant)} console=hvc0 earlyprintk=xen {machine.cmdline}"
        if machine.guests:
            # The log is judged at the end, when it is long.
            linux += " log_buf_len=4M"
        # QEMU separates modules by commas; a doubled comma stands for one.
        modules = ",".join(part.replace(",", ",,") for part in (linux, str(initrd)))
        return [*common, "-cpu", machine.cpu, "-kernel", str(memmap.image(machine)), "-append", xen, "-initrd", modules]
    image = kernel.vmlinux(variant) if machine.kind == "pvh" else kernel.bzimage(variant)
    cpu = f"{machine.cpu},la57={'on' if machine.kind == 'bare5' else 'off'}"
    linux = f"console=ttyS0 {machine.cmdline}"
    return [*common, "-cpu", cpu, "-kernel", str(image), "-append", linux, "-initrd", str(initrd)]


def judge(machine: Machine, lines: list[Line]) -> tuple[list[Problem], ktap.Results, str]:
    """The problems of a console log, its KUnit results, and the guest's own count."""
    if machine.dies:
        wanted = (machine.dies, *machine.must_print)
        missing = [text for text in wanted if not any(re.search(text, line.text) for line in lines)]
        problems = [Problem(f"never printed: {text}") for text in missing]
        return problems, ktap.Results(), "dies as it should"
    provoked = [line for line in lines if not line.xen and _is_report(machine, line.text)]
    problems = rules.problems(sorted(set(lines) - set(provoked), key=lambda line: line.number))
    # Lines of guests' consoles that dom0 shows are judged by the rules only.
    texts = [line.text for line in lines if not line.xen and not line.guest]
    for marker in machine.markers:
        if not any(re.search(marker, text) for text in texts):
            problems.append(Problem(f"never printed: {marker}"))
    guest = ""
    for text in texts:
        if found := re.search(r"PVMMU: DONE (pass=(\d+) fail=\d+ skip=(\d+))", text):
            guest = f"guest {found[1]}"
            for word, what, count in (("PASS", "passes", found[2]), ("SKIP", "skips", found[3])):
                shown = sum(f"PVMMU: {word} " in text for text in texts)
                if shown != int(count):
                    problems.append(Problem(f"the guest counts {count} {what}, the log shows {shown}"))
    problems += _wrong_skips(machine, texts)
    problems += _wrong_reports(machine, texts, [line.text for line in provoked])
    tests = ktap.read(texts)
    problems += [Problem(f"KUnit: {name} failed") for name in tests.failures]
    problems += _wrong_kunit_skips(machine, tests)
    if machine.kind != "dom0-c" and not any(machines.SUITE in suite for suite in tests.suites):
        problems.append(Problem(f"no KUnit suite named *{machines.SUITE}* ran"))
    return problems, tests, guest


def _wrong_skips(machine: Machine, texts: list[str]) -> list[Problem]:
    """Skipped tests of the guest that must not be skipped on this machine."""
    found = [re.search(r"PVMMU: SKIP (\S+) ?(.*)", text) for text in texts]
    return [
        Problem(f"{skip[1]} was skipped: {skip[2]}") for skip in found if skip and skip[1] not in machine.all_skips
    ]


def _wrong_kunit_skips(machine: Machine, tests: ktap.Results) -> list[Problem]:
    """Skipped tests of KUnit that must run on this machine, and passed ones that cannot run there."""

    def among(name: str, patterns: tuple[str, ...]) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in patterns)

    may, must = machine.kunit_may_skip, machine.kunit_must_skip
    skipped = [Problem(f"KUnit: {name} was skipped") for name in tests.skipped if not among(name, (*may, *must))]
    passed = [Problem(f"KUnit: {name} passed, and cannot have run") for name in tests.passed if among(name, must)]
    return skipped + passed


def _is_report(machine: Machine, text: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in machine.reports)


def _wrong_reports(machine: Machine, texts: list[str], provoked: list[str]) -> list[Problem]:
    """Provoked reports that are missing, or that no test has counted."""
    problems = [
        Problem(f"never reported: {pattern}")
        for pattern in machine.reports
        if not any(re.fullmatch(pattern, text) for text in provoked)
    ]
    counts = [re.fullmatch(r"PVMMU: COUNT injected=\d+ reports=(\d+)", text) for text in texts]
    counted = sum(int(count[1]) for count in counts if count)
    if counted != len(provoked):
        problems.append(Problem(f"the guest counts {counted} reports, the log shows {len(provoked)}"))
    return problems


@dataclass(frozen=True)
class End:
    """How a machine ended."""

    code: int
    """QEMU's."""
    cut_short: str
    """Why it was switched off, if it was."""
    last: str
    """What it said last."""

    @property
    def problems(self) -> list[Problem]:
        if self.cut_short:
            return [Problem(f"switched off: {self.cut_short}; its last line: {self.last}")]
        return [Problem(f"QEMU ended with {self.code}: {self.last}")] if self.code else []


def watch(
    words: list[str], log: Path, seconds: int, grace: int, progress: Progress, waker: Waker | None = None, echo: bool = False
) -> End:
    """Runs QEMU to its end or time-out; it is given `grace` seconds after the guest's last word."""
    shown = "starting"
    deadline = time.monotonic() + seconds
    why = f"no end within {seconds} s"
    cut_short = ""
    with log.open("wb") as file:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            for raw in follow(child, file):
                if raw is not None:
                    text = raw.decode("utf-8", "replace").strip()
                    shown = text[:50] or shown
                    if waker:
                        waker.read(text)
                    if echo:
                        print(text, flush=True)
                    if rules.FATAL.search(text):
                        deadline = min(deadline, time.monotonic() + _LAST_WORDS_SECONDS)
                        why = _CRASHED
                    elif "PVMMU: DONE" in text:
                        deadline = min(deadline, time.monotonic() + grace)
                        why = f"it did not power off within {grace} s"
                if waker:
                    waker.wake_if_due()
                if time.monotonic() >= deadline:
                    cut_short = why
                    break
                if not echo:
                    progress.update(shown)
        finally:
            if child.poll() is None and (cut_short or sys.exc_info()[0]):
                child.kill()
            code = child.wait()
    return End(code, cut_short, shown)


def run(machine: Machine, plain: Path, echo: bool = False) -> Verdict:
    """Boots a machine, with an initramfs made from `plain`, to its end or time-out."""
    initrd = initramfs.of(machine, plain)
    memmap.make(machine)
    ram.make(machine)
    log = paths.logs() / f"boot-{machine.name}.log"
    progress = Progress(f"boot {machine.name}")
    waker = Waker() if machine.sleeps else None
    monitor = waker.options if waker else ["-monitor", "none"]
    words = command(machine, initrd, "stdio") + monitor
    try:
        end = watch(words, log, machine.seconds, _GRACE_SECONDS, progress, waker, echo)
    finally:
        ram.drop(machine)
        if waker:
            waker.close()
    problems, tests, guest = judge(machine, lines_of(log.read_bytes()))
    if not (machine.dies and end.cut_short == _CRASHED):
        problems = end.problems + problems
    verdict = Verdict(problems, progress.seconds, log, tests, guest)
    progress.done(("FAILED: " if problems else "ok, ") + verdict.summary)
    return verdict


def shell(plain: Path) -> int:
    """For a person, until he leaves it."""
    print("Booting Xen and dom0. Ctrl-A X leaves.", flush=True)
    words = command(machines.SHELL, initramfs.of(machines.SHELL, plain), "mon:stdio")
    return subprocess.run(words, check=False).returncode


def explain(name: str, verdict: Verdict) -> None:
    """Prints what went wrong with a boot and what to do next."""
    for problem in verdict.problems[:8]:
        print(f"  {problem}")
    if len(verdict.problems) > 8:
        print(f"  and {len(verdict.problems) - 8} more")
    for line in first_report(verdict):
        print(f"  | {line}")
    print(f"  -> read {paths.shown(verdict.log)}; again: make boot BOOT={name}")


def first_report(verdict: Verdict) -> list[str]:
    """The start of the first report of the kernel's or of Xen's: who reads this may not have the log."""
    first = min((problem.line for problem in verdict.problems if problem.line), default=0)
    if not first:
        return []
    later = [line.text for line in lines_of(verdict.log.read_bytes()) if line.number >= first and line.text]
    return later[:_REPORT_LINES]
