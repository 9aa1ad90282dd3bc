# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs of a machine with guests, and the plans that have such machines."""

import dataclasses
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import test_plan
from harness.boot import disks, guests, machines
from harness.cli import Stop
from tests import SCRIPTS
from tests.boot.test_boot import MACHINE

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
        self.assertEqual(guests.initrd(MACHINE, Path("/i"), Path("/j")), Path("/i"))

    def test_guests_boot_their_own_one_with_their_kernel(self):
        said = self.repo / "said"
        for name in ("mkguests", "mkinitrd"):
            self.script(name, f'echo {name} "$@" >>{said}')
        self.assertEqual(guests.initrd(WITH_GUESTS, Path("/i"), Path("/j")), Path("/b/initramfs-guests-c.cpio.gz"))
        self.assertEqual(
            said.read_text().splitlines(),
            [
                "mkguests /b/guests-c /b/linux-c/arch/x86/boot/bzImage /j",
                "mkinitrd /b/initramfs-guests-c.cpio.gz /b/guests-c",
            ],
        )

    def test_the_output_of_a_failed_script_is_passed_on(self):
        self.script("mkguests", "echo no xl here >&2; exit 1")
        with self.assertRaisesRegex(Stop, "mkguests failed:\nno xl here"):
            guests.initrd(WITH_GUESTS, Path("/i"), Path("/j"))


class Scenarios(unittest.TestCase):
    """The script that plays them, with a toolstack that only records its commands."""

    FAKES = """
state=$here/state consoles=$state log=$state/log
mkdir -p $state
start_xen() { :; }
note_totals() { :; }
xl()
{
	echo "xl $1" >>$state/asked
	case $1 in
	create) touch $state/guest ;;
	domid) [ -e $state/guest ] ;;
	destroy) rm -f $state/guest ;;
	esac
}
heard() { :; }
ask()
{
	echo "$*" >>$state/asked
	[ "$*" != "run 0 wx dmesg" ] || [ ! -e $state/complains ] || fail "it complains"
}
play_makes() { start_guest 64 64; }
play_drops() { ask work; drop_guest; }
play_spoils_and_drops() { touch $state/complains; drop_guest; }
play_spoils() { touch $state/complains; }
play_fails() { fail "for another reason"; }
play_makes_after() { rm -f $state/complains; start_guest 64 64; }
"""

    def play(self, *names: str) -> tuple[list[str], list[str]]:
        """The output, and the commands to the toolstack and the guest."""
        toolstack = SCRIPTS / "guest/toolstack"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in ("run", "xen.sh", "guest.sh"):
                (folder / file).write_text((toolstack / file).read_text())
            (folder / "scenarios.sh").write_text(self.FAKES)
            command = ["sh", folder / "run", ":".join(names), "1"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            asked = (folder / "state/asked").read_text().splitlines()
        said = [line.partition(" (")[0] for line in done.stdout.splitlines() if " scenario" not in line.partition("(")[0]]
        return [line for line in said if line.startswith("PVMMU: ")], [one for one in asked if one != "xl domid"]

    def test_a_guest_is_judged_before_it_is_dropped(self):
        said, asked = self.play("makes", "drops")
        self.assertEqual(said, ["PVMMU: PASS makes", "PVMMU: PASS drops", "PVMMU: DONE pass=2 fail=0 skip=0"])
        self.assertEqual(asked[-3:], ["work", "run 0 wx dmesg", "xl destroy"])

    def test_a_complaint_fails_the_scenario_that_drops_the_guest(self):
        said, _ = self.play("makes", "spoils_and_drops")
        self.assertEqual(said[1], "PVMMU: FAIL spoils_and_drops it complains")
        self.assertEqual(said[-1], "PVMMU: DONE pass=1 fail=1 skip=0")

    def test_a_complaint_fails_the_scenario_that_it_is_found_after(self):
        said, _ = self.play("makes", "spoils", "makes_after")
        self.assertEqual(said[1], "PVMMU: FAIL spoils it complains")
        self.assertEqual(said[-1], "PVMMU: DONE pass=2 fail=1 skip=0")

    def test_after_a_failure_the_guest_is_destroyed_without_being_judged(self):
        said, asked = self.play("makes", "fails")
        self.assertEqual(said[1], "PVMMU: FAIL fails for another reason")
        self.assertEqual(asked[-1], "xl destroy")

    def test_no_scenario_destroys_a_guest_by_itself(self):
        scenarios = (SCRIPTS / "guest/toolstack/scenarios.sh").read_text()
        self.assertIn("drop_guest", scenarios)
        self.assertNotRegex(scenarios, r"xl destroy|throw_guest")


class Plans(unittest.TestCase):
    def test_every_machine_is_in_one_plan(self):
        with mock.patch.object(test_plan, "_host", return_value=[]):
            plans = (
                (test_plan.steps(), (*machines.MACHINES, *disks.DISKS)),
                (test_plan.soak_steps(), (*machines.SOAK, *disks.SOAK)),
            )
            for steps, table in plans:
                names = [step.name for step in steps]
                boots = [name.removeprefix("boot ") for name in names if name.startswith("boot ")]
                self.assertEqual(sorted(boots), sorted(machine.name for machine in table))

    def test_kernels_of_guests_are_built_before_they_boot(self):
        with mock.patch.object(test_plan, "_host", return_value=[]):
            for steps, table in ((test_plan.steps(), machines.MACHINES), (test_plan.soak_steps(), machines.SOAK)):
                names = [step.name for step in steps]
                for machine in table:
                    for variant in filter(None, (machine.kernel, machine.guests)):
                        self.assertLess(names.index(f"build {variant}"), names.index(f"boot {machine.name}"))
