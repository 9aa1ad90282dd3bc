# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a machine: on how many nodes, and what is in it when it starts."""

from pathlib import Path

from .. import paths
from .machines import Machine

MIB = 1 << 20
# Looks like a page-table entry: present, writable, for user mode, accessed, dirty.
STALE = b"\xe7"


def options(machine: Machine) -> list[str]:
    """Arguments for QEMU, which by default has zeros on one node."""
    if machine.stale:
        backend = f"memory-backend-file,id=ram,mem-path={_left_over(machine)},share=off,size={machine.memory}M"
        return ["-object", backend, "-machine", "memory-backend=ram"]
    words = []
    for node in range(machine.nodes):
        size = machine.memory // machine.nodes
        words += ["-object", f"memory-backend-ram,id=ram{node},size={size}M"]
        words += ["-numa", f"node,nodeid={node},memdev=ram{node}"]
    return words


def make(machine: Machine) -> None:
    """The initial contents of a machine's memory; it writes to a private copy."""
    if not machine.stale:
        return
    with _left_over(machine).open("wb") as file:
        for _ in range(machine.memory):
            file.write(STALE * MIB)


def drop(machine: Machine) -> None:
    """The copy takes as much disk as the machine has memory."""
    _left_over(machine).unlink(missing_ok=True)


def _left_over(machine: Machine) -> Path:
    return paths.build() / f"ram-{machine.name}"
