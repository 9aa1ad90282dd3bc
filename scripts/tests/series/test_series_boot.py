# SPDX-License-Identifier: GPL-2.0-only
"""A patch is applied to the tree that is built."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.cli import Stop
from harness.series import series_boot


class Change(unittest.TestCase):
    PATCH = "diff --git a/x/f b/x/f\n--- a/x/f\n+++ b/x/f\n@@ -1 +1 @@\n-one\n+two\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.patch = Path(folder.name, "patch")
        self.patch.write_text(self.PATCH)
        # By default, the results are in the checkout.
        subprocess.run(["git", "init", "--quiet", folder.name], check=True)
        self.tree = Path(folder.name, "build/tree")
        (self.tree / "x").mkdir(parents=True)
        (self.tree / "x/f").write_text("one\n")

    def test_a_tree_within_a_repository_is_changed(self):
        series_boot.change(self.tree, self.patch)
        self.assertEqual((self.tree / "x/f").read_text(), "two\n")

    def test_files_with_their_old_contents_keep_their_times(self):
        for last, kept in (("one\n", True), ("three\n", False)):
            (self.tree / "x/f").write_text("one\n")
            os.utime(self.tree / "x/f", (1, 1))
            with series_boot.times_kept(self.tree, ["x/f", "x/gone"]):
                (self.tree / "x/f").write_text("two\n")
                (self.tree / "x/f").write_text(last)
            self.assertEqual((self.tree / "x/f").stat().st_mtime == 1, kept)

    def test_a_patch_that_does_not_apply_is_named(self):
        (self.tree / "x/f").write_text("three\n")
        with self.assertRaisesRegex(Stop, "^patch does not apply"):
            series_boot.change(self.tree, self.patch)
