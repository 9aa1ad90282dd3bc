# SPDX-License-Identifier: GPL-2.0-only
"""One boot of the tables, for a person."""

import sys

from ..build import kernel
from ..cli import Stop
from . import boot, disks, initramfs, machines


def main(arguments: list[str]) -> int:
    """boot [NAME]: a shell on a terminal, else the demonstration; or a boot of the tables.

    A dom0 on a disk offers a login on a terminal, and is judged elsewhere.
    """
    table = {entry.name: entry for entry in (*machines.MACHINES, *machines.SOAK, *disks.DISKS, *disks.SOAK)}
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    name = arguments[0] if arguments else machines.DEMO.name
    if name not in table:
        raise Stop(f"there is no boot {name!r}", f"use one of: {', '.join(table)}")
    chosen = table[name]
    if isinstance(chosen, disks.Disk):
        if terminal:
            return disks.login(chosen)
        verdict = disks.run(chosen, echo=True)
    else:
        machine = machines.SHELL if terminal and not arguments else chosen
        for variant in dict.fromkeys(filter(None, (machine.kernel, machine.guests))):
            kernel.build(kernel.named(variant))
        plain = initramfs.make()
        if machine is machines.SHELL:
            return boot.shell(plain)
        verdict = boot.run(machine, plain, echo=True)
    if verdict.problems:
        boot.explain(name, verdict)
    return 1 if verdict.problems else 0
