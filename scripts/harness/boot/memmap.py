# SPDX-License-Identifier: GPL-2.0-only
"""A Xen that sees a memory map different from the machine's."""

from pathlib import Path

from .. import paths
from . import guests
from .machines import Machine


def image(machine: Machine) -> Path:
    """The Xen that a machine boots."""
    if not machine.memory_map:
        return _true(machine)
    return paths.build() / f"xen-{machine.name}.elf"


def _true(machine: Machine) -> Path:
    return {"": paths.xen, "shadow": paths.shadow_xen, "old": paths.old_xen}[machine.hypervisor]()


def parameters(machine: Machine) -> str:
    """The option that makes Xen use the boot loader's memory map, not the BIOS's."""
    return "no-real-mode" if machine.memory_map else ""


def make(machine: Machine) -> None:
    if not machine.memory_map:
        return
    guests.run(paths.repo() / "scripts/guest/mkxen", image(machine), _true(machine), *machine.memory_map)
