# SPDX-License-Identifier: GPL-2.0-only
"""A check that is chosen alone needs no step before it."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import cli
from harness.check import checks
from tests import REPO


LICENCE = f"// {checks.TAG} GPL-2.0-only"


class NoTreeYet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        variables = mock.patch.dict(os.environ, {"XEN_PVMMU_TREE": str(self.folder / "none-yet")})
        variables.start()
        self.addCleanup(variables.stop)

    def test_the_formatter(self):
        path = self.folder / "a.rs"
        path.write_text("fn main() {}\n")
        self.assertEqual(checks.rustfmt([path]), "1 files")
        path.write_text("fn  main() {}\n")
        with self.assertRaisesRegex(cli.Stop, "rustfmt reports:\n.*a.rs"):
            checks.rustfmt([path])

    def test_the_kernel_style(self):
        path = self.folder / "a.c"
        path.write_text(f"{LICENCE}\nint a;\n")
        self.assertEqual(checks.checkpatch([path]), "1 files")
        path.write_text(f"{LICENCE}\nint a ;\n")
        with self.assertRaisesRegex(cli.Stop, "checkpatch reports 1 lines:\n.*SPACING"):
            checks.checkpatch([path])


class Licences(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        variables = mock.patch.dict(os.environ, {"XEN_PVMMU_REPO": str(self.folder)})
        variables.start()
        self.addCleanup(variables.stop)
        self.write("LICENSES/GPL-2.0-only.txt", "text\n")
        self.write("REUSE.toml", (REPO / "REUSE.toml").read_text())
        self.write("rust/Cargo.lock", "written by cargo\n")
        self.write("a.rs", f"{LICENCE}\nfn main() {{}}\n")
        self.write("a", "#!/bin/sh\n# " + LICENCE.removeprefix("// ") + "\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def files(self) -> list[Path]:
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())

    def test_lines_and_files_that_cannot_have_one(self):
        self.assertEqual(checks.licence_line(self.files()), "5 files")

    def test_a_licence_further_down(self):
        self.write("late.rs", f"//! A page.\n\n{LICENCE}\n")
        self.write("corpus/x", "\0")
        with self.assertRaisesRegex(cli.Stop, "top of: corpus/x late.rs$"):
            checks.licence_line(self.files())

    @unittest.skipUnless(shutil.which("reuse"), "reuse is not installed")
    def test_the_tool(self):
        self.assertEqual(checks.reuse(self.files()), "5 files")
        self.write("bare.rs", "fn main() {}\n")
        with self.assertRaisesRegex(cli.Stop, "reuse reports:\n.*bare.rs: no license"):
            checks.reuse(self.files())
        self.write("bare.rs", f"{LICENCE.replace('GPL-2.0-only', 'MIT')}\n")
        with self.assertRaisesRegex(cli.Stop, "reuse reports:\n.*missing license.*MIT"):
            checks.reuse(self.files())
