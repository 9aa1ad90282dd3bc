# SPDX-License-Identifier: GPL-2.0-only
"""Where the instructions of one operation go, by function, in the kernel and in Xen apart."""

import argparse
import subprocess
from dataclasses import dataclass

from ..build import kernel
from ..cli import Stop
from . import bench, counter, measure
from .measure import BOOT, Sample
from .report import short


@dataclass(frozen=True)
class Row:
    name: str
    instructions: float
    """For one operation, like the calls."""
    calls: float


def rows(samples: list[Sample], where: str) -> list[Row]:
    """The functions of one place, the most expensive first."""
    number = sum(sample.section.number for sample in samples)
    instructions: dict[counter.Function, int] = {}
    calls: dict[counter.Function, int] = {}
    for sample in samples:
        for function, count in sample.section.instructions.items():
            if function.where == where:
                instructions[function] = instructions.get(function, 0) + count
                calls[function] = calls.get(function, 0) + sample.section.calls[function]
    found = [
        Row(function.name, count / number, calls[function] / number) for function, count in instructions.items()
    ]
    return sorted(found, key=lambda row: -row.instructions)


def text(samples: list[Sample], top: int) -> str:
    """One table for each place, the most expensive place first."""
    places = (counter.USER, counter.KERNEL, counter.XEN, counter.OTHER)
    tables = {where: rows(samples, where) for where in places}
    sums = {where: sum(row.instructions for row in table) for where, table in tables.items()}
    total = sum(sums.values())
    lines = [f"{short(total)} instructions"]
    for where in sorted(places, key=lambda where: -sums[where]):
        if not tables[where]:
            continue
        lines += ["", f"{where}: {short(sums[where])}, {sums[where] / total:.1%}"]
        if len(tables[where]) > 1:
            lines += ["", f"  {'of all':>6}  {'instr.':>7}  {'calls':>7}  {'each':>7}  function"]
        for row in tables[where][:top] if len(tables[where]) > 1 else []:
            each = short(row.instructions / row.calls) if row.calls else "-"
            share = f"{row.instructions / total:.1%}"
            lines.append(f"  {share:>6}  {short(row.instructions):>7}  {short(row.calls):>7}  {each:>7}  {row.name}")
        rest = tables[where][top:]
        if rest:
            count = sum(row.instructions for row in rest)
            lines.append(f"  {count / total:>6.1%}  {short(count):>7}  {'':7}  {'':7}  {len(rest)} others")
    return "\n".join(lines)


def demangled(output: str) -> str:
    """Demangles Rust's names."""
    done = subprocess.run(["llvm-cxxfilt"], input=output, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"llvm-cxxfilt failed: {done.stderr.strip()}", "install llvm")
    return done.stdout


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="profile", description="Instructions by function of one operation.")
    parser.add_argument("operation", nargs="?", default="", help=f"one that mmbench lists, or {BOOT}")
    parser.add_argument("--sides", default="rust", metavar="LIST", help="as for bench (default rust)")
    parser.add_argument("--top", type=int, default=30, metavar="N", help="functions shown of each place (default 30)")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """profile OPERATION [--sides LIST] [--top N]"""
    asked = _arguments(arguments)
    known = bench.operations()
    if asked.operation not in (*known, BOOT):
        what = f"there is no operation {asked.operation!r}" if asked.operation else "which operation?"
        raise Stop(what, f"set OP to one of: {', '.join([*known, BOOT])}")
    if asked.top < 1:
        raise Stop("TOP is at least 1", "leave it out for 30")
    wanted = bench.sides(asked.sides)
    kernel.prepare_tree()
    bench.build(wanted)
    initrd = bench.make_initrd(asked.operation == measure.COMPILE)
    # To measure the start, measure little else.
    operation = next(iter(known)) if asked.operation == BOOT else asked.operation
    for side in wanted:
        done = measure.boot(side, initrd, [operation], 3, title=f"profile {side.name}")
        samples = [sample for sample in done.samples if sample.operation == asked.operation]
        print(demangled(f"\n{asked.operation} on {side.name}: {text(samples, asked.top)}\n"))
    return 0
