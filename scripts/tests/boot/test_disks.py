# SPDX-License-Identifier: GPL-2.0-only
"""dom0 on a disk: its image, its machine, its verdict."""

import contextlib
import io
import os
import re
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths, test_plan
from harness.boot import disk_image, disks, machines, start
from harness.boot.console import lines_of
from harness.cli import Stop
from tests import REPO

PLAIN, EFI = disks.SOAK[:2]
XEN_EFI = next(disk for disk in disks.SOAK if disk.layout == "xen-efi")
GUEST = REPO / "scripts/guest"
PLANS = GUEST / "disk/usr/local/lib/verdict"


class Scratch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.base = self.folder / "base.tar"
        self.base.write_bytes(b"")
        environment = {
            "XEN_PVMMU_BUILD": folder.name, "XEN_PVMMU_REPO": str(REPO), "XEN_PVMMU_TREE": "/t/linux",
            "XEN_PVMMU_DISK_BASE": str(self.base),
        }  # fmt: skip
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)


class Image(unittest.TestCase):
    def test_first_sector_loads_the_core_and_the_core_its_rest(self):
        first, core = disk_image.embedded(bytes([1]) * 512, bytes([2]) * 2048, 2048)
        self.assertEqual(len(first), 440)
        self.assertEqual(struct.unpack_from("<Q", first, 0x5C), (2048,))
        self.assertEqual(struct.unpack_from("<Q", core, 0x1F4), (2049,))
        # The length of the rest is written by grub-mkimage.
        self.assertEqual(core[0x1FC:], bytes([2]) * (2048 - 0x1FC))

    def test_checksum_is_that_of_lvm(self):
        # The definition: bit by bit, without a final complement.
        value = 0xF597A6CF
        for byte in b"some text":
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        self.assertEqual(disk_image.crc(b"some text"), value)

    def test_volume_group(self):
        size = 64 << 20
        made = disk_image.volume_group("group", size)
        self.assertEqual(len(made), disk_image.DATA * 512)
        magic, sector, crc, offset, kind = struct.unpack_from("<8sQII8s", made, 512)
        self.assertEqual((magic, sector, offset, kind), (b"LABELONE", 1, 32, b"LVM2 001"))
        self.assertEqual(crc, disk_image.crc(made[512 + 20 : 1024]))
        whole, data, _, _, _, metadata, length = struct.unpack_from("<7Q", made, 512 + 64)
        self.assertEqual((whole, data), (size + len(made), len(made)))
        self.assertEqual(metadata + length, len(made))
        crc, magic = struct.unpack_from("<I16s", made, metadata)
        self.assertEqual((crc, magic), (disk_image.crc(made[metadata + 4 : metadata + 512]), b" LVM2 x[5A%r0N*>"))
        at, length, crc = struct.unpack_from("<QQI", made, metadata + 40)
        text = made[metadata + at : metadata + at + length]
        self.assertEqual((crc, text[-1]), (disk_image.crc(text), 0))
        self.assertIn(b"extent_count = 16\n", text)

    def test_ids_are_lvms(self):
        text = disk_image.volume_group("group", 4 << 20).decode("latin-1")
        ids = re.findall(r'^id = "(\w{6}(?:-\w{4}){5}-\w{6})"$', text, re.MULTILINE)
        self.assertEqual(len(set(ids)), 3)

    def test_part_of_an_extent_is_refused(self):
        with self.assertRaises(ValueError):
            disk_image.volume_group("group", (4 << 20) + 512)


class Command(Scratch):
    def test_nothing_but_the_disk_is_passed(self):
        for disk in (*disks.DISKS, *disks.SOAK):
            words = disks.command(disk, "stdio")
            self.assertFalse({"-kernel", "-append", "-initrd", "-no-reboot"} & set(words))
            drive = next(word for word in words if "id=disk" in word)
            self.assertIn("snapshot=on", drive.split(","))
            self.assertIn(f"file={disks.image(disk.layout)}", drive.split(","))

    def test_firmware(self):
        self.assertNotIn("pflash", " ".join(disks.command(PLAIN, "stdio")))
        drives = [word for word in disks.command(EFI, "stdio") if "if=pflash" in word]
        self.assertEqual(["readonly=on" in word for word in drives], [True, False])

    def test_only_a_judged_machine_is_asked_for_a_verdict(self):
        self.assertIn("type=1,serial=verdict-start", disks.command(PLAIN, "stdio"))
        self.assertNotIn("-smbios", disks.command(PLAIN, "mon:stdio", judged=False))
        self.assertIn("grep -q ^verdict-", (GUEST / "disk/etc/systemd/system/verdict.service").read_text())


class Make(Scratch):
    def setUp(self):
        super().setUp()
        self.deb = self.folder / "linux.deb"
        self.deb.write_bytes(b"one")
        self.calls = 0

    def mkdisk(self, words, **options):
        self.calls += 1
        Path(words[1]).write_bytes(b"disk")
        child = mock.Mock()
        child.wait.return_value = self.code
        return child

    code = 0

    def make(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(disks.subprocess, "Popen", self.mkdisk))
            stack.enter_context(mock.patch.object(disks, "follow", lambda *_: ()))
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            return disks.make("plain", [self.deb])

    def test_made_again_only_for_other_packages(self):
        for content, calls in ((b"one", 1), (b"one", 1), (b"two", 2)):
            self.deb.write_bytes(content)
            self.make()
            self.assertEqual(self.calls, calls)

    def test_made_again_after_a_failure(self):
        self.make()
        self.deb.write_bytes(b"two")
        self.code = 1
        with self.assertRaisesRegex(Stop, "mkdisk failed"):
            self.make()
        self.deb.write_bytes(b"one")
        self.code = 0
        self.make()
        self.assertEqual(self.calls, 3)

    def test_packages(self):
        with self.assertRaisesRegex(Stop, "no packages of the kernel"):
            disks.packages()
        folder = paths.build() / "packages-deb"
        folder.mkdir()
        for name in ("linux-headers-7.3.4+xenpvmmu_1", "linux-image-7.3.4+xenpvmmu_1", "linux-libc-dev_1"):
            (folder / f"{name}_amd64.deb").write_bytes(b"")
        self.assertEqual([path.name for path in disks.packages()], ["linux-image-7.3.4+xenpvmmu_1_amd64.deb", "linux-headers-7.3.4+xenpvmmu_1_amd64.deb"])

    def test_without_a_base_set_up_is_asked_for(self):
        self.base.unlink()
        with self.assertRaisesRegex(Stop, "no Debian for a disk"):
            self.make()


def log(disk: disks.Disk) -> str:
    """What a disk prints if nothing is wrong."""
    lines = []
    for number in range(1, disks.rounds(disk) + 1):
        for marker in disks.markers(disk, number):
            text = re.sub(r"\[1-9\]\\d\{2,\}", "344", marker).replace(".*", "4.20").replace("\\", "").replace("$", "")
            lines.append(("(XEN) " if text == "EFI loader" else "") + text)
    total = sum(len(re.findall("PASS", line)) for line in lines)
    lines.insert(-1, f"PVMMU: DONE pass={total} fail=0 skip=0")
    return "\n".join(lines) + "\n"


class Judge(unittest.TestCase):
    def problems(self, text: str, disk: disks.Disk = PLAIN) -> list[str]:
        found, _ = disks.judge(disk, lines_of(text.encode()))
        return [str(problem) for problem in found]

    def test_all_is_well(self):
        for disk in (*disks.DISKS, *disks.SOAK):
            self.assertEqual(self.problems(log(disk), disk), [])
        self.assertRegex(disks.judge(PLAIN, lines_of(log(PLAIN).encode()))[1], r"^guest pass=\d+ fail=0$")

    def test_every_line_is_wanted(self):
        for disk in (EFI, XEN_EFI):
            lines = log(disk).splitlines()
            for number in range(len(lines)):
                rest = "\n".join(lines[:number] + lines[number + 1 :])
                self.assertTrue(self.problems(rest, disk), lines[number])

    def test_of_each_round(self):
        first, end, second = log(PLAIN).partition("reboot: Restarting system\n")
        self.assertNotIn("round 1", "".join(self.problems(first + end)))
        self.assertIn(f"round 2 never printed: {disks._BACKEND}", self.problems(first + end + second.replace("Rust", "C")))

    def test_own_kernel_of_debian_has_no_backend(self):
        upgrade = next(disk for disk in disks.SOAK if disk.plan == "upgrade")
        first, end, rest = log(upgrade).partition("reboot: Restarting system\n")
        line = "xen_pv_mmu: Rust PV MMU backend\n"
        self.assertEqual(self.problems(line + log(upgrade), upgrade), [f"the backend runs in Debian's kernel (line 1): {line.strip()}"])
        self.assertEqual(self.problems(first + end + line + rest, upgrade), [])

    def test_warnings_of_the_log(self):
        bad = "PVMMU: LOG something is odd\n" + log(PLAIN)
        self.assertEqual(self.problems(bad), ["a warning in the kernel's log (line 1): something is odd"])

    def test_each_accepted_line_has_a_reason_and_matches_no_complaint_of_the_backend(self):
        for pattern, reason in disks.ACCEPTED:
            self.assertGreater(len(reason), 20)
            self.assertIsNone(re.search(pattern, "xen_pv_mmu: mmu_update of 0x1000 <- 0x2067 failed: -EINVAL"))

    def test_failures_and_complaints(self):
        suite = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: suite\n    1..1\n    not ok 1 case\nnot ok 1 suite"
        for lines in ("PVMMU: FAIL units: x", "BUG: unable to handle page fault", suite):
            self.assertTrue(self.problems(f"{lines}\n" + log(PLAIN)), lines)


class Tables(Scratch):
    def test_names_are_unique(self):
        names = [entry.name for entry in (*machines.MACHINES, *machines.SOAK, *disks.DISKS, *disks.SOAK)]
        self.assertEqual(len(names), len(set(names)))

    def test_layouts_are_those_of_the_maker(self):
        known = re.findall(r"^#\t(\S+)\t", (GUEST / "mkdisk").read_text(), re.MULTILINE)
        self.assertEqual({disk.layout for disk in (*disks.DISKS, *disks.SOAK)}, set(known))

    def test_plans_are_those_of_the_guest(self):
        def checks(name: str) -> list[str]:
            return re.findall(r"^\s*check (\S+)", (PLANS / f"{name}.sh").read_text(), re.MULTILINE)

        self.assertEqual({path.stem for path in PLANS.iterdir()} - {"report", "health"}, set(disks.PLANS))
        self.assertEqual({disk.plan for disk in (*disks.DISKS, *disks.SOAK)}, set(disks.PLANS))
        self.assertEqual(checks("health"), list(disks._HEALTH))
        for name, rounds in disks.PLANS.items():
            self.assertIn(f"\nrounds={len(rounds)}\n", (PLANS / f"{name}.sh").read_text())
            self.assertEqual(set(checks(name)), {test for tests in rounds for test in tests})

    def test_with_own_tools_there_are_none(self):
        for table in (disks.DISKS, disks.SOAK):
            with mock.patch.dict(os.environ, {"XEN_PVMMU_PRISTINE": "/p"}):
                steps = test_plan._disks(table)
                self.assertEqual([step.name for step in steps], ["packages", *(f"boot {disk.name}" for disk in table)])
            with mock.patch.dict(os.environ, {"XEN_PVMMU_PRISTINE": ""}):
                self.assertEqual(test_plan._disks(table), [])


class Start(Scratch):
    def test_a_terminal_gets_a_login_and_nothing_else_does(self):
        for terminal in (True, False):
            with mock.patch.object(start, "sys") as system, mock.patch.object(disks, "login", return_value=7) as login:
                system.stdin.isatty.return_value = system.stdout.isatty.return_value = terminal
                verdict = mock.Mock(problems=[])
                with mock.patch.object(disks, "run", return_value=verdict) as run:
                    self.assertEqual(start.main(["debian"]), 7 if terminal else 0)
            self.assertEqual((login.called, run.called), (terminal, not terminal))

    def test_unknown_names(self):
        with self.assertRaises(Stop) as caught:
            start.main(["nothing"])
        self.assertIn("debian-efi", caught.exception.advice)
