# SPDX-License-Identifier: GPL-2.0-only
"""The plugin that counts instructions: its input and its output."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .. import paths
from ..cli import Stop

USER, KERNEL, XEN, OTHER = "user", "kernel", "Xen", "other"

# Functions at which the plugin does more than count, by name.
_ACTIONS = {
    "xen_start_kernel": "boot-begin",
    "x86_64_start_kernel": "boot-begin",
    "run_init_process": "boot-end",
    "do_mmu_update": "mmu_update",
    "do_mmuext_op": "mmuext_op",
    "do_multicall": "multicall",
    "do_update_va_mapping": "update_va_mapping",
}
# Without these, counts would be silently wrong.
_NEEDED = {
    KERNEL: {"xen_start_kernel", "x86_64_start_kernel", "run_init_process"},
    XEN: {
        "pv_hypercall", "handle_exception", "ptwr_emulated_write", "ptwr_emulated_cmpxchg",
        "do_mmu_update", "do_mmuext_op", "do_multicall", "do_update_va_mapping",
    },  # fmt: skip
}
_LINE = re.compile(r"(?:0x)?([0-9a-f]+) ([A-Za-z]) (\S+)")
_KERNEL_TEXT = 0xFFFFFFFF80000000


@dataclass(frozen=True)
class Function:
    address: int
    name: str
    where: str


@dataclass
class Section:
    """The plugin's counts between two marks, for `number` operations."""

    name: str
    number: int
    instructions: dict[Function, int] = field(default_factory=dict)
    calls: dict[Function, int] = field(default_factory=dict)
    updates: int = 0
    operations: int = 0
    flushes: int = 0
    bytes: int = 0

    def total(self, where: str = "") -> int:
        return sum(count for function, count in self.instructions.items() if where in ("", function.where))

    def called(self, *names: str) -> int:
        """How often these functions of Xen were called."""
        return sum(
            count for function, count in self.calls.items() if function.where == XEN and function.name in names
        )


def functions(kernel_map: str, xen_map: str) -> list[Function]:
    """The functions of a kernel and of Xen by address, and the gaps between them."""
    found = {0: Function(0, "[user]", USER)}
    for where, text in ((XEN, xen_map), (KERNEL, kernel_map)):
        here = {function.address: function for function in _read(text, where)}
        missing = _NEEDED[where] - {function.name for function in here.values()} if text else set()
        if missing:
            raise Stop(
                f"{where} has no function {', '.join(sorted(missing))}", "fix scripts/harness/bench/counter.py for this version"
            )
        found |= here
        if here:
            end = max(here) + 1
            found[end] = Function(end, "[other]", OTHER)
    return [found[address] for address in sorted(found)]


def _read(text: str, where: str) -> list[Function]:
    result: dict[int, Function] = {}
    last = 0
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if not match or match[2] not in "TtWw" or match[3].startswith("__pfx_"):
            continue
        address = int(match[1], 16)
        if where == KERNEL and address < _KERNEL_TEXT:
            continue
        name = match[3].rsplit("#", 1)[-1]
        last = max(last, address)
        # Of several names for one address, one that is needed, or the first.
        if address not in result or name in _ACTIONS or name in _NEEDED[where]:
            result[address] = Function(address, name, where)
    return list(result.values())


def lines_for_plugin(table: list[Function]) -> str:
    lines = (f"{function.address:x} {_ACTIONS.get(function.name, '')}".rstrip() for function in table)
    return "".join(f"{line}\n" for line in lines)


def read(text: str, table: list[Function]) -> list[Section]:
    """The sections that the plugin wrote. One that was cut short is left out."""
    sections: list[Section] = []
    section = None
    for line in text.splitlines():
        words = line.split()
        if words[0] == "section":
            section = Section(words[1], int(words[2]))
        elif words[0] == "arguments" and section:
            section.updates, section.operations, section.flushes, section.bytes = map(int, words[1:])
            sections.append(section)
            section = None
        elif section:
            function = table[int(words[0])]
            section.instructions[function] = int(words[1])
            section.calls[function] = int(words[2])
    return sections


def make_plugin() -> Path:
    """Compiles it; clippy must report nothing."""
    path = paths.build() / "libcount.so"
    source = paths.repo() / "scripts/plugin/count.rs"
    command = ["clippy-driver", "--edition", "2021", "-O", "-D", "warnings", "-C", "panic=abort"]
    command += ["--crate-type", "cdylib", "-o", str(path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"the plugin does not compile:\n{done.stderr.strip()}", "fix scripts/plugin")
    return path
