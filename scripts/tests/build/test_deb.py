# SPDX-License-Identifier: GPL-2.0-only
"""What packages of the kernel may hold."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.build import deb
from harness.cli import Stop

LINE = "lrwxrwxrwx root/root         0 2026-11-15 22:30 ."


class Links(unittest.TestCase):
    def test_within_a_package(self):
        self.assertFalse(deb.leaves(f"{LINE}/lib/modules/7.3/build -> /usr/src/linux-headers-7.3"))
        self.assertFalse(deb.leaves(f"{LINE}/usr/src/linux-headers-7.3/scripts/a -> ../b"))
        self.assertFalse(deb.leaves("-rw-r--r-- root/root 1 2026-11-15 22:30 ./usr/src/a"))

    def test_out_of_it(self):
        self.assertTrue(deb.leaves(f"{LINE}/usr/src/linux-headers-7.3/asm/xen/a.h -> /home/me/rust/include/a.h"))
        self.assertTrue(deb.leaves(f"{LINE}/usr/src/a -> ../../../home/me/a"))

    def test_stop_the_build(self):
        with self.assertRaisesRegex(Stop, "x.deb has links that lead out of it:\n.*home"):
            deb.check(Path("x.deb"), [f"{LINE}/usr/a -> /home/a", f"{LINE}/usr/b -> c"])


class Collect(unittest.TestCase):
    NAMES = ("linux-libc-dev_1_amd64.deb", "linux-headers-7_1_amd64.deb", "linux-image-7_1_amd64.deb")

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.build = Path(scratch.name)
        self.out = self.build / "linux-7-deb"
        (self.out / "debian").mkdir(parents=True)

    def made(self, *names: str) -> None:
        for name in names:
            (self.build / name).write_text("x")
        (self.out / "debian/files").write_text("".join(f"{name} kernel optional\n" for name in names))

    def test_the_image_is_the_first(self):
        self.made(*self.NAMES, "linux-upstream_1_amd64.buildinfo")
        (self.build / "linux-upstream_1_amd64.changes").write_text("x")
        found = deb.collect(self.out, self.build / "packages")
        self.assertEqual([package.name for package in found], list(reversed(self.NAMES)))
        self.assertEqual([path.name for path in self.build.iterdir() if path.is_file()], [])

    def test_one_that_is_missing_is_an_error(self):
        self.made(*self.NAMES[:2])
        with mock.patch.dict(os.environ, {"XEN_PVMMU_BUILD": str(self.build)}):
            with self.assertRaisesRegex(Stop, "made no linux-image"):
                deb.collect(self.out, self.build / "packages")

    def test_other_configurations_are_refused(self):
        with self.assertRaisesRegex(Stop, "no CONFIG=fool"):
            deb.make("fool")
