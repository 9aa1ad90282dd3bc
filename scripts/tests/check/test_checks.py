# SPDX-License-Identifier: GPL-2.0-only
"""A check that is chosen alone needs no step before it."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import cli
from harness.check import checks


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
        path.write_text("// SPDX-License-Identifier: GPL-2.0-only\nint a;\n")
        self.assertEqual(checks.checkpatch([path]), "1 files")
        path.write_text("// SPDX-License-Identifier: GPL-2.0-only\nint a ;\n")
        with self.assertRaisesRegex(cli.Stop, "checkpatch reports 1 lines:\n.*SPACING"):
            checks.checkpatch([path])
