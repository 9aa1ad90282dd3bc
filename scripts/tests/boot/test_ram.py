# SPDX-License-Identifier: GPL-2.0-only
"""The memory that a machine gets."""

import dataclasses
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths
from harness.boot import boot, machines, ram
from tests.boot.test_boot import MACHINE

STALE = dataclasses.replace(MACHINE, memory=2, stale=True)
NODES = dataclasses.replace(MACHINE, nodes=2)


class Ram(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environment = {"XEN_PVMMU_BUILD": folder.name, "XEN_PVMMU_XEN": "/x/xen", "XEN_PVMMU_TREE": "/t/linux"}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)

    def test_stale_memory_looks_like_entries_to_its_last_byte(self):
        ram.make(STALE)
        content = (paths.build() / "ram-test").read_bytes()
        self.assertEqual(len(content), 2 * ram.MIB)
        self.assertEqual(set(content), set(ram.STALE))
        self.assertEqual(content[0] & 0b111, 0b111)

    def test_stale_memory_of_another_size_is_made_anew(self):
        ram.make(STALE)
        ram.make(dataclasses.replace(STALE, memory=3))
        self.assertEqual((paths.build() / "ram-test").stat().st_size, 3 * ram.MIB)

    def test_stale_memory_is_removed_with_the_machine(self):
        ram.make(STALE)
        ram.drop(STALE)
        self.assertEqual(list(paths.build().iterdir()), [])

    def test_other_machines_leave_no_file(self):
        ram.make(MACHINE)
        ram.drop(MACHINE)
        self.assertEqual(ram.options(MACHINE), [])
        self.assertEqual(list(paths.build().iterdir()), [])

    def test_a_machine_writes_to_a_copy(self):
        words = boot.command(STALE, Path("/i"), "stdio")
        backend = next(word for word in words if word.startswith("memory-backend-file,"))
        self.assertIn("share=off", backend.split(","))
        self.assertIn(f"mem-path={paths.build() / 'ram-test'}", backend.split(","))
        self.assertIn("memory-backend=ram", words)

    def test_nodes_share_the_memory(self):
        words = boot.command(NODES, Path("/i"), "stdio")
        sizes = [word.rpartition("size=")[2] for word in words if word.startswith("memory-backend-ram,")]
        self.assertEqual(sizes, ["512M", "512M"])
        self.assertEqual([word for word in words if word.startswith("node,")], ["node,nodeid=0,memdev=ram0", "node,nodeid=1,memdev=ram1"])


class Table(unittest.TestCase):
    def test_memory_is_of_one_kind(self):
        for machine in (*machines.MACHINES, *machines.SOAK):
            self.assertFalse(machine.stale and machine.nodes, machine.name)
            self.assertEqual(machine.memory % (machine.nodes or 1), 0, machine.name)
