# SPDX-License-Identifier: GPL-2.0-only
"""A Xen that sees a different memory map."""

import dataclasses
import os
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths
from harness.boot import boot, machines, memmap
from harness.cli import Stop
from tests.boot.test_boot import MACHINE

CHANGED = dataclasses.replace(MACHINE, memory_map=("0x1000-0x2000:0",))
CODE = bytes(range(32))
ADDRESS = 0x200000


def elf(segments: int = 1) -> bytes:
    """An ELF file like Xen's: for 32 bits, with one segment to load, larger in memory."""
    offset = 52 + 32 * segments
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, ADDRESS, 52, 0, 0, 52, 32, segments, 40, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, offset, ADDRESS, ADDRESS, len(CODE), 0x1000, 7, 4)
    return header + segment * segments + CODE


class Make(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.xen = self.folder / "xen"
        self.xen.write_bytes(elf())
        environment = {"XEN_PVMMU_BUILD": folder.name, "XEN_PVMMU_XEN": str(self.xen), "XEN_PVMMU_TREE": "/t/linux"}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)

    def test_xen_stays_where_it_is(self):
        memmap.make(CHANGED)
        headers = subprocess.run(
            ["readelf", "-lW", memmap.image(CHANGED)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        xen = next(line.split() for line in headers if "LOAD" in line and f"0x{ADDRESS:08x}" in line)
        self.assertEqual(int(xen[5], 16), 0x1000)
        made = memmap.image(CHANGED).read_bytes()
        self.assertEqual(made[int(xen[1], 16) :][: len(CODE)], CODE)

    def test_a_loader_finds_the_header(self):
        memmap.make(CHANGED)
        self.assertIn(struct.pack("<III", 0x1BADB002, 3, 2**32 - 0x1BADB005), memmap.image(CHANGED).read_bytes()[:8192])

    def test_with_shadow_paging_it_is_the_other_xen(self):
        other = self.folder / "other"
        shadow = dataclasses.replace(MACHINE, hypervisor="shadow")
        with mock.patch.dict(os.environ, {"XEN_PVMMU_SHADOW_XEN": str(other)}):
            with self.assertRaisesRegex(Stop, "no Xen with shadow paging"):
                memmap.image(shadow)
            other.write_bytes(elf())
            self.assertEqual(memmap.image(shadow), other)
            self.assertEqual(memmap.image(MACHINE), self.xen)

    def test_the_old_xen_is_another_file(self):
        old = dataclasses.replace(MACHINE, hypervisor="old")
        with mock.patch.dict(os.environ, {"XEN_PVMMU_OLD_XEN": "/old"}):
            self.assertEqual(memmap.image(old), Path("/old"))

    def test_nothing_is_built_for_the_unchanged_map(self):
        memmap.make(MACHINE)
        self.assertEqual(memmap.image(MACHINE), self.xen)
        self.assertEqual(list(self.folder.iterdir()), [self.xen])

    def test_odd_changes_are_refused(self):
        for change, why in (
            ("0x2000-0x1000:0", "no range of whole words"),
            ("0x1001-0x2000:0", "no range of whole words"),
            ("0x1000-0x2000:9", "a change is START-END:TYPE"),
            ("4096-8192:0", "a change is START-END:TYPE"),
        ):
            with self.assertRaisesRegex(Stop, why):
                memmap.make(dataclasses.replace(MACHINE, memory_map=(change,)))

    def test_a_file_that_is_no_xen_is_refused(self):
        for content, why in ((b"no ELF", "is no ELF file"), (elf(2), "does not have one segment")):
            self.xen.write_bytes(content)
            with self.assertRaisesRegex(Stop, why):
                memmap.make(CHANGED)

    def test_the_machine_boots_the_xen_that_was_built(self):
        words = boot.command(CHANGED, Path("/i"), "stdio")
        self.assertEqual(words[words.index("-kernel") + 1], str(paths.build() / "xen-test.elf"))
        self.assertIn("no-real-mode", words[words.index("-append") + 1].split())
        self.assertNotIn("no-real-mode", " ".join(boot.command(MACHINE, Path("/i"), "stdio")))


class Table(unittest.TestCase):
    def test_changes_of_the_table_are_understood(self):
        for machine in (*machines.MACHINES, *machines.SOAK):
            for change in machine.memory_map:
                self.assertRegex(change, r"^0x[0-9a-f]+-0x[0-9a-f]+:[0-5]$")
