# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a machine with guests, and the plans that have such machines."""

import dataclasses
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from . import guests, machines, plan
from .say import Stop
from .test_boot import MACHINE

WITH_GUESTS = dataclasses.replace(MACHINE, guests="c")


class Initrd(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repo = Path(folder.name)
        (self.repo / "scripts/guest").mkdir(parents=True)
        environment = {"XEN_PVMMU_REPO": folder.name, "XEN_PVMMU_BUILD": "/b", "XEN_PVMMU_TREE": "/t/linux"}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)

    def script(self, name: str, text: str) -> None:
        path = self.repo / "scripts/guest" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def test_without_guests_it_is_the_plain_one(self):
        self.assertEqual(guests.initrd(MACHINE, Path("/i")), Path("/i"))

    def test_guests_boot_the_plain_one_with_their_kernel(self):
        said = self.repo / "said"
        for name in ("mkguests", "mkinitrd"):
            self.script(name, f'echo {name} "$@" >>{said}')
        self.assertEqual(guests.initrd(WITH_GUESTS, Path("/i")), Path("/b/initramfs-guests-c.cpio.gz"))
        self.assertEqual(
            said.read_text().splitlines(),
            [
                "mkguests /b/guests-c /b/linux-c/arch/x86/boot/bzImage /i",
                "mkinitrd /b/initramfs-guests-c.cpio.gz /b/guests-c",
            ],
        )

    def test_what_a_script_says_when_it_fails_is_passed_on(self):
        self.script("mkguests", "echo no xl here >&2; exit 1")
        with self.assertRaisesRegex(Stop, "mkguests failed:\nno xl here"):
            guests.initrd(WITH_GUESTS, Path("/i"))


class Plans(unittest.TestCase):
    def test_every_machine_is_in_one_plan(self):
        with mock.patch.object(plan, "_host", return_value=[]):
            for steps, table in ((plan.steps(), machines.MACHINES), (plan.soak_steps(), machines.SOAK)):
                names = [step.name for step in steps]
                boots = [name.removeprefix("boot ") for name in names if name.startswith("boot ")]
                self.assertEqual(sorted(boots), sorted(machine.name for machine in table))

    def test_kernels_of_guests_are_built_before_they_boot(self):
        with mock.patch.object(plan, "_host", return_value=[]):
            for steps, table in ((plan.steps(), machines.MACHINES), (plan.soak_steps(), machines.SOAK)):
                names = [step.name for step in steps]
                for machine in table:
                    for variant in filter(None, (machine.kernel, machine.guests)):
                        self.assertLess(names.index(f"build {variant}"), names.index(f"boot {machine.name}"))
