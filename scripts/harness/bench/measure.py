# SPDX-License-Identifier: GPL-2.0-only
"""Boot one kernel on a machine whose clock counts instructions, and read what mmbench prints.

The machine has one CPU and no other threads, and each instruction takes one nanosecond:
the counts depend neither on the host nor on its load.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from .. import paths
from ..boot import rules
from ..boot.console import lines_of
from ..cli import Progress, Stop
from ..stream import follow
from . import counter

MEMORY = 1024
GUEST_MEMORY = 512
_SECONDS = 900
_LINE = re.compile(r"MMBENCH: (\S+) (\d+) (\d+) (\d+)")
_DONE = re.compile(r"MMBENCH: DONE (\d+)")
CALIBRATION = "calibration"
BOOT = "boot"
COMPILE = "compile"
COMPILE_SYSTEM = "compile-system"
"""Not an operation: the part of COMPILE that the programs do not execute themselves."""
_LOOP = 4
"""Instructions of mmbench's loop of known length."""


@dataclass(frozen=True)
class Side:
    """A kernel that is measured: a variant, or any build directory, under Xen or not."""

    name: str
    folder: Path
    backend: str
    """The PV MMU that the guest reports: Rust, C or none."""

    @property
    def xen(self) -> bool:
        return self.backend != "none"


@dataclass(frozen=True)
class Sample:
    """One sample of one operation. Counts are for one operation."""

    operation: str
    instructions: float
    user: float
    kernel: float
    xen: float
    ticks: float
    hypercalls: float
    exceptions: float
    """Exceptions that Xen handles, including page faults of programs."""
    emulated: float
    """Writes to page tables that Xen emulates after a fault."""
    flushes: float
    """TLB flushes that the guest requests."""
    updates: float
    bytes: float
    """Arguments that Xen reads from memory."""
    section: counter.Section


@dataclass(frozen=True)
class Boot:
    samples: list[Sample]
    linux: str
    xen: str
    """Versions; "none" if there is no Xen."""


def command(side: Side, initrd: Path, plugin: str, cmdline: str, number: int) -> list[str]:
    """The QEMU command line of a boot of a side. Boots are numbered from 0."""
    memory = GUEST_MEMORY + number
    common = [
        "qemu-system-x86_64", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "qemu64",
        "-m", str(MEMORY), "-smp", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-display", "none",
        "-no-reboot", "-nic", "none", "-serial", "stdio", "-monitor", "none", "-plugin", plugin,
    ]  # fmt: skip
    image = side.folder / "arch/x86/boot/bzImage"
    if side.xen:
        xen = f"console=com1 com1=115200,8n1 noreboot dom0_mem={memory}M"
        modules = f"{image} console=hvc0 earlyprintk=xen {cmdline},{initrd}"
        return [*common, "-kernel", str(paths.xen()), "-append", xen, "-initrd", modules]
    linux = f"console=ttyS0 mem={memory}M {cmdline}"
    return [*common, "-kernel", str(image), "-append", linux, "-initrd", str(initrd)]


def boot(
    side: Side, initrd: Path, operations: list[str], samples: int, number: int = 0, title: str = ""
) -> Boot:
    """Measures in one boot; every requested operation has all its samples."""
    library = counter.make_plugin()
    table = _functions(side)
    symbols = paths.build() / f"count-{side.name}.symbols"
    symbols.write_text(counter.lines_for_plugin(table))
    counts = paths.build() / f"count-{side.name}.out"
    counts.unlink(missing_ok=True)
    # The random addresses of mappings decide how many tables a process has.
    cmdline = f"quiet norandmaps pvmmu.run=bench pvmmu.samples={samples}"
    if operations:
        cmdline += f" pvmmu.operations={':'.join([CALIBRATION, *operations])}"
    log = paths.logs() / f"bench-{side.name}.log"
    progress = Progress(title or f"measure {side.name}")
    plugin = f"{library},symbols={symbols},out={counts}"
    _run(command(side, initrd, plugin, cmdline, number), log, progress)
    text = "\n".join(line.text for line in lines_of(log.read_bytes()))
    result = read(side, text, counter.read(counts.read_text(), table), log)
    progress.done(f"{len(result)} samples")
    return Boot(result, _version("Linux", text), _version("Xen", text))


def _version(what: str, text: str) -> str:
    # After blanks: the kernel's own lines about memory start with "Xen:".
    found = re.search(rf"^ +{what}: (\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"


def _functions(side: Side) -> list[counter.Function]:
    system_map = side.folder / "System.map"
    if not system_map.exists():
        raise Stop(f"{paths.shown(side.folder)} has no System.map", "build that kernel first")
    return counter.functions(system_map.read_text(), paths.xen_symbols().read_text() if side.xen else "")


def _run(words: list[str], log: Path, progress: Progress) -> None:
    deadline = time.monotonic() + _SECONDS
    shown = "booting"
    ended = "no end"
    with log.open("wb") as file:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            for raw in follow(child, file):
                text = (raw or b"").decode("utf-8", "replace").strip()
                if found := _LINE.search(text):
                    shown = f"{found[1]} {found[2]}"
                if rules.FATAL.search(text):
                    ended = "it crashed"
                    deadline = min(deadline, time.monotonic() + 5)
                if time.monotonic() >= deadline:
                    break
                progress.update(shown)
            else:
                ended = ""
        finally:
            if child.poll() is None and (ended or sys.exc_info()[0]):
                child.kill()
            code = child.wait()
    if ended or code:
        progress.done("failed")
        raise Stop(f"the machine ended badly after {shown}: {ended or f'QEMU exits with {code}'}", f"read {paths.shown(log)}")


def read(side: Side, text: str, sections: list[counter.Section], log: Path) -> list[Sample]:
    """Combines the guest's output with the plugin's counts."""
    advice = f"read {paths.shown(log)}"
    if not re.search(rf"PV MMU: {side.backend}\b", text):
        raise Stop(f"the kernel of {side.name} does not print 'PV MMU: {side.backend}'", advice)
    done = _DONE.search(text)
    lines = _LINE.findall(text)
    marked = [section for section in sections if section.name == "marked"]
    if not done or len({line[0] for line in lines}) != int(done[1]):
        raise Stop(f"mmbench did not finish on {side.name}", advice)
    if [int(line[2]) for line in lines] != [section.number for section in marked]:
        raise Stop(f"the plugin and mmbench disagree on what was measured on {side.name}", advice)
    result = [_sample(line[0], section, int(line[3])) for line, section in zip(lines, marked)]
    _calibrated(side, result, advice)
    result += [_system(sample) for sample in result if sample.operation == COMPILE]
    boots = [_sample(BOOT, section, section.total()) for section in sections if section.name == BOOT]
    return [sample for sample in result if sample.operation != CALIBRATION] + boots


def _sample(operation: str, section: counter.Section, ticks: int) -> Sample:
    def per(count: int) -> float:
        return count / section.number

    return Sample(
        operation,
        instructions=per(section.total()),
        user=per(section.total(counter.USER)),
        kernel=per(section.total(counter.KERNEL)),
        xen=per(section.total(counter.XEN)),
        ticks=per(ticks),
        hypercalls=per(section.called("pv_hypercall")),
        exceptions=per(section.called("handle_exception")),
        emulated=per(section.called("ptwr_emulated_write", "ptwr_emulated_cmpxchg")),
        flushes=per(section.flushes),
        updates=per(section.updates),
        bytes=per(section.bytes),
        section=section,
    )


def _system(sample: Sample) -> Sample:
    return replace(sample, operation=COMPILE_SYSTEM, instructions=sample.instructions - sample.user, user=0)


def _calibrated(side: Side, samples: list[Sample], advice: str) -> None:
    """Checks the count of a loop of known length, and all counts against the guest's clock."""
    loops = [sample.user for sample in samples if sample.operation == CALIBRATION]
    if not loops or any(abs(user - _LOOP) > _LOOP / 100 for user in loops):
        raise Stop(f"a loop of {_LOOP} instructions counts as {loops} on {side.name}", advice)
    for sample in samples:
        if abs(sample.ticks / sample.instructions - 1) > 0.02:
            raise Stop(
                f"{sample.operation} on {side.name}: {sample.instructions:.0f} instructions, {sample.ticks:.0f} ticks: "
                "the CPU idled, or the clock is wrong",
                advice,
            )
