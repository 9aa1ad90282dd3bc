# SPDX-License-Identifier: GPL-2.0-only
"""Measure backends side by side: the request, the boots, the results."""

import argparse
import json
import re
import subprocess
import time
from pathlib import Path

from .. import paths
from ..boot import initramfs
from ..build import kconfig, kernel
from ..cli import Stop, elapsed
from . import measure
from .measure import Boot, Side
from .report import Table

# The name of a side, the variant of kernel.py, and the PV MMU that the guest reports.
_SIDES = {
    "native": ("bench-c", "none"),
    "c": ("bench-c", "C"),
    "c-lazy": ("bench-c-lazy", "C"),
    "rust": ("bench-rust", "Rust"),
}
_DEFAULT = "native,c,rust"
_RECORDED = "native,c,c-lazy,rust"
_CHECKED = "c,rust"
CHECKED_OPERATIONS = (
    "fork", "fork-exec", "fault-anon", "fault-file", "mprotect-16m", "munmap-16m", "mmap-touch-16", "mremap-8m", "pipe",
)  # fmt: skip
"""Some of each kind, so that the short form takes minutes."""
_WORSE = 0.05
"""How much longer than recorded an operation may take, as a fraction."""


def side(name: str) -> Side:
    """The side of this name, or a directory with a kernel build."""
    if name in _SIDES:
        variant, backend = _SIDES[name]
        return Side(name, kernel.out(kernel.named(variant)), backend)
    folder = Path(name)
    if not (folder / "arch/x86/boot/bzImage").exists():
        raise Stop(f"there is no side {name!r}", f"use some of {', '.join(_SIDES)}, or directories of built kernels")
    config = kconfig.assignments((folder / ".config").read_text())
    return Side(folder.resolve().name, folder.resolve(), "Rust" if "CONFIG_XEN_PV_MMU_RUST" in config else "C")


def sides(names: str) -> list[Side]:
    wanted = [side(name) for name in names.split(",") if name]
    if not wanted or len({one.name for one in wanted}) != len(wanted):
        raise Stop(f"SIDES={names} is empty, or names a side twice", f"use some of {', '.join(_SIDES)}")
    return wanted


def build(wanted: list[Side]) -> None:
    """Builds the sides that are variants; one that starts from another's objects comes later."""
    needed = [_SIDES[one.name][0] for one in wanted if one.name in _SIDES]
    for name, variant in kernel.VARIANTS.items():
        if name in needed or any(kernel.VARIANTS[other].seed == name for other in needed if name.startswith("bench")):
            kernel.build(variant)


def operations() -> dict[str, str]:
    """The operations that mmbench knows, with their descriptions."""
    program = paths.build() / "mmbench"
    sources = sorted((paths.repo() / "scripts/guest/mmbench").glob("*.c"))
    command = ["gcc", "-std=gnu11", "-O2", "-pthread", "-o", str(program), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"mmbench does not compile:\n{done.stderr.strip()}", "fix scripts/guest/mmbench")
    listed = subprocess.run([program, "list"], capture_output=True, text=True, check=True).stdout
    pairs = (line.split(None, 1) for line in listed.splitlines())
    return {name: what for name, what in pairs if name != measure.CALIBRATION}


def chosen(pattern: str, known: dict[str, str]) -> list[str]:
    """The operations whose names match; by default all except the one that needs a compiler."""
    if not pattern:
        return []
    try:
        names = [name for name in known if re.search(pattern, name)]
    except re.error as error:
        raise Stop(f"OPS={pattern} is not a regular expression: {error}", "see Documentation/performance.md") from None
    if not names:
        raise Stop(f"no operation matches {pattern!r}", f"there are: {', '.join(known)}")
    return names


def make_initrd(compiler: bool) -> Path:
    """The guest's user space, with or without a C compiler and a program for it."""
    if not compiler:
        return initramfs.make()
    folder = paths.build() / "compiler"
    source = paths.tree() / "scripts/unifdef.c"
    command = [paths.repo() / "scripts/guest/mkcompiler", folder, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"scripts/guest/mkcompiler failed:\n{done.stderr.strip()}", "fix it")
    return initramfs.make(folder, name="initramfs-compiler")


def run(wanted: list[Side], names: list[str], boots: int, samples: int, initrd: Path) -> dict[str, list[Boot]]:
    """All boots of each side. Memory sizes differ a little, which exposes luck with addresses."""
    results: dict[str, list[Boot]] = {one.name: [] for one in wanted}
    for number in range(boots):
        for one in wanted:
            title = f"measure {one.name}, boot {number + 1} of {boots}"
            results[one.name].append(measure.boot(one, initrd, names, samples, number, title))
    return results


def recorded() -> Path:
    return paths.repo() / "Documentation/performance/results.json"


def worse(now: dict[str, float], then: dict[str, float]) -> list[str]:
    """The operations whose ratio of Rust to C is worse than recorded, or was never recorded."""
    found = []
    for name, ratio in now.items():
        if name not in then:
            found.append(f"{name}: nothing is recorded")
        elif ratio > then[name] * (1 + _WORSE):
            found.append(f"{name}: rust/c is {ratio:.3f}, recorded {then[name]:.3f}, {ratio / then[name] - 1:+.1%}")
    return found


def compare(table: Table) -> str:
    """Raises Stop if something became worse than recorded."""
    if not recorded().exists():
        raise Stop("there is nothing to compare with", "make bench RECORD=1")
    then = json.loads(recorded().read_text())["ratios"]
    now = table.ratios()
    if not now:
        raise Stop("CHECK=1 compares c and rust, and one of them was not measured", "leave out SIDES")
    found = worse(now, then)
    if found:
        names = [line.split(":")[0] for line in found]
        raise Stop(
            "worse than recorded:\n" + "\n".join(f"  {line}" for line in found),
            f"see where the time goes: make profile OP={names[0]}; if it is intended: make bench RECORD=1",
        )
    return f"{len(now)} operations, none worse by more than {_WORSE:.0%} than recorded"


def record(table: Table) -> None:
    # Only this needs a plotting library.
    from . import chart

    recorded().parent.mkdir(exist_ok=True)
    recorded().write_text(table.json())
    picture = recorded().with_name("chart.svg")
    picture.write_text(chart.svg(table))
    print(f"Recorded: {paths.shown(recorded())} and {paths.shown(picture)}")


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure backends side by side.")
    parser.add_argument("--sides", default="", metavar="LIST", help=f"some of {','.join(_SIDES)}, or build directories")
    parser.add_argument("--ops", default="", metavar="PATTERN", help="operations whose names match")
    parser.add_argument("--boots", type=int, default=2, metavar="N", help="boots of each side (default 2)")
    parser.add_argument("--samples", type=int, default=3, metavar="N", help="samples in each boot (default 3)")
    parser.add_argument("--record", action="store_true", help="write Documentation/performance")
    parser.add_argument("--check", action="store_true", help="short; compare with what was recorded")
    wanted = parser.parse_args(arguments)
    if wanted.boots < 1 or wanted.samples < 1:
        raise Stop("BOOTS and SAMPLES are at least 1", "leave them out for 2 and 3")
    if wanted.boots * wanted.samples < 2:
        raise Stop("a result is never taken from one sample", "raise BOOTS or SAMPLES")
    if wanted.record and (wanted.check or wanted.ops or wanted.sides):
        raise Stop("RECORD=1 measures everything", "leave out CHECK, OPS and SIDES")
    return wanted


def main(arguments: list[str]) -> int:
    """bench [--sides LIST] [--ops PATTERN] [--boots N] [--samples N] [--check | --record]"""
    asked = _arguments(arguments)
    known = operations()
    names = chosen(asked.ops, known)
    if asked.check and not names:
        names = [name for name in CHECKED_OPERATIONS if name in known]
    default = _CHECKED if asked.check else _RECORDED if asked.record else _DEFAULT
    wanted = sides(asked.sides or default)
    kernel.prepare_tree()
    build(wanted)
    start = time.monotonic()
    initrd = make_initrd(asked.record or measure.COMPILE in names)
    table = Table(run(wanted, names, 1 if asked.check else asked.boots, asked.samples, initrd))
    print(f"\n{table.text()}")
    path = paths.build() / "bench.json"
    path.write_text(table.json())
    print(f"\nMeasured in {elapsed(time.monotonic() - start)}. All figures: {paths.shown(path)}")
    if asked.check:
        print(compare(table))
    if asked.record:
        record(table)
    return 0
