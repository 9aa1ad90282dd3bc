# SPDX-License-Identifier: GPL-2.0-only
"""Patches are applied to the tree that is built, and what is built is compared."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.cli import Stop
from harness.series import fixes, series, series_boot, tree


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
        tree.change(self.tree, self.patch)
        self.assertEqual((self.tree / "x/f").read_text(), "two\n")

    def test_files_with_their_old_contents_keep_their_times(self):
        for last, kept in (("one\n", True), ("three\n", False)):
            (self.tree / "x/f").write_text("one\n")
            os.utime(self.tree / "x/f", (1, 1))
            with tree.times_kept(self.tree, ["x/f", "x/gone"]):
                (self.tree / "x/f").write_text("two\n")
                (self.tree / "x/f").write_text(last)
            self.assertEqual((self.tree / "x/f").stat().st_mtime == 1, kept)

    def test_a_patch_that_does_not_apply_is_named(self):
        (self.tree / "x/f").write_text("three\n")
        with self.assertRaisesRegex(Stop, "^patch does not apply"):
            tree.change(self.tree, self.patch)

    def test_patches_that_only_add_files_are_not_built(self):
        def patch(*paths: str) -> series.Patch:
            return series.Patch("p", "all", "", "", (), False, (), (), dict.fromkeys(paths, ""))

        self.assertTrue(series_boot.is_unused(patch("a/new.rs", "a/new.c"), self.tree))
        for used in ("x/f", "a/Kconfig", "a/Kbuild", "a/Makefile"):
            self.assertFalse(series_boot.is_unused(patch("a/new.rs", used), self.tree), used)

    def test_objects_with_the_time_of_the_build_do_not_count(self):
        for name in ("a/b.o", "vmlinux.o", "init/version-timestamp.o", "tools/x.o", "a/b.c", "arch/x86/boot/compressed/vmlinux.o"):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text("")
        self.assertEqual(list(series_boot.objects(self.tree)), ["a/b.o"])


class Fixes(unittest.TestCase):
    """The verdict on a reproducer."""

    FIX = fixes.Fix("f", ("p",), "fix", "", ("one", "two"), r"BUG: \w+")
    PASSED = "PVMMU: PASS one (1 s)\nPVMMU: PASS two\n"

    def test_verdicts(self):
        for before, after, verdict in (
            ("BUG: here", self.PASSED, "without it 'BUG: here', with it one two pass"),
            (self.PASSED, self.PASSED, r"not reproduced: BUG: \w+ did not appear on the kernel as it is"),
            ("BUG: here", self.PASSED + "BUG: again", "not fixed: BUG: again"),
            ("BUG: here", "PVMMU: PASS one\nPVMMU: PASS twofold\n", "does not pass with the fix: two"),
        ):
            self.assertEqual(fixes._verdict(self.FIX, before, after), verdict)

    def test_each_fix_of_the_series_has_a_reproducer(self):
        declared = [patch["name"] for patch in series.declared().patches if patch["series"].startswith("fix")]
        self.assertEqual(sorted(declared), sorted(name for fix in fixes.FIXES for name in fix.patches))
