# SPDX-License-Identifier: GPL-2.0-only
"""A build's log and configuration are read right."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.build import kernel
from harness.cli import Stop
from tests import REPO


class Modules(unittest.TestCase):
    def test_made_only_where_something_asks(self):
        repo = str(REPO)
        with mock.patch.dict(os.environ, {"XEN_PVMMU_REPO": repo}):
            self.assertEqual(kernel.goals(kernel.named("rust")), ("bzImage", "modules"))
            # It has no modules of its own, but out-of-tree ones.
            self.assertEqual(kernel.goals(kernel.named("c")), ("bzImage", "modules"))
            self.assertEqual(kernel.goals(kernel.named("small")), ("bzImage",))

    def test_found_in_the_list_that_the_build_leaves(self):
        with tempfile.TemporaryDirectory() as build:
            repo = str(REPO)
            places = {"XEN_PVMMU_BUILD": build, "XEN_PVMMU_TREE": "/t/linux", "XEN_PVMMU_REPO": repo}
            with mock.patch.dict(os.environ, places):
                out = kernel.out(kernel.named("rust"))
                self.assertEqual(kernel.modules(kernel.named("rust")), [])
                out.mkdir()
                (out / "modules.order").write_text("a/b.o\nc.o\n")
                self.assertEqual(kernel.modules(kernel.named("rust")), [out / "a/b.ko", out / "c.ko"])
                outside = kernel.external(kernel.named("rust"))
                outside.mkdir()
                (outside / "modules.order").write_text("d.o\n")
                self.assertEqual(
                    kernel.modules(kernel.named("rust")), [out / "a/b.ko", out / "c.ko", outside / "d.ko"]
                )
                # This variant builds no modules, and starts from a copy of other objects.
                out.rename(kernel.out(kernel.named("bench-rust")))
                self.assertEqual(kernel.modules(kernel.named("bench-rust")), [])


class Remembered(unittest.TestCase):
    def test_a_file_that_is_missing_or_half_written(self):
        with tempfile.TemporaryDirectory() as folder:
            memory = Path(folder, "steps")
            self.assertEqual(kernel.remembered(memory, 70), 70)
            memory.write_text("")
            self.assertEqual(kernel.remembered(memory, 70), 70)
            memory.write_text("1234")
            self.assertEqual(kernel.remembered(memory, 70), 1234)


class Copy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source, self.target = Path(folder.name, "a"), Path(folder.name, "b/a")
        (self.source / "x").mkdir(parents=True)
        (self.source / "x/file").write_text("text")

    def copy(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            kernel.copy(self.source, self.target)

    def test_whole(self):
        self.copy()
        self.assertEqual((self.target / "x/file").read_text(), "text")

    def test_the_first_complaint_ends_it_and_nothing_is_left(self):
        tools = self.source / "tools"
        tools.mkdir()
        (tools / "cp").write_text("#!/bin/sh\necho 'cp: no space' >&2\nexec sleep 60\n")
        (tools / "cp").chmod(0o755)
        with (
            mock.patch.dict(os.environ, {"PATH": f"{tools}:{os.environ['PATH']}"}),
            self.assertRaisesRegex(Stop, "^cp: no space$"),
        ):
            self.copy()
        self.assertEqual(list(self.target.parent.iterdir()), [])


class Restore(unittest.TestCase):
    def test_make_notices_what_changed_back(self):
        with tempfile.TemporaryDirectory() as folder:
            pristine, tree = Path(folder, "pristine"), Path(folder, "tree")
            pristine.mkdir()
            for name in ("edited.c", "same.c"):
                (pristine / name).write_text("int a;\n")
                os.utime(pristine / name, (1000, 1000))
            kernel.restore(pristine, tree)
            built = 2000
            for path in tree.iterdir():
                os.utime(path, (1000, 1000))
            (tree / "edited.c").write_text("int b;\n")
            (tree / "added.c").write_text("int c;\n")
            os.utime(tree / "edited.c", (1500, 1500))
            kernel.restore(pristine, tree)
            found = {path.name: path.read_text() for path in tree.iterdir()}
            self.assertEqual(found, {"edited.c": "int a;\n", "same.c": "int a;\n"})
            self.assertGreater((tree / "edited.c").stat().st_mtime, built)
            self.assertLess((tree / "same.c").stat().st_mtime, built)

    def test_files_that_are_edited_in_the_same_way_keep_their_objects(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            for name in ("same.h", "other.c"):
                (tree / name).write_text("int a;\n")
                os.utime(tree / name, (1000, 1000))
            before = kernel.contents(tree, {"same.h", "other.c", "missing.c"})
            (tree / "same.h").write_text("int a;\n")
            (tree / "other.c").write_text("int b;\n")
            kernel.keep_times(before)
            self.assertEqual((tree / "same.h").stat().st_mtime, 1000)
            self.assertGreater((tree / "other.c").stat().st_mtime, 1000)

    def test_the_files_that_are_edited_are_those_of_the_anchors(self):
        self.assertIn("arch/x86/include/asm/pgtable.h", kernel.edited_files())


class Log(unittest.TestCase):
    def test_first_error(self):
        for text in (
            "x.c:1:2: error: no",
            "error[E0425]: cannot find value",
            "error: unused variable",
            "ld.lld: error: undefined symbol: xen_set_pte",
            "make[2]: *** No rule to make target 'x'.  Stop.",
        ):
            with self.subTest(text):
                self.assertEqual(kernel.first_errors(["  CC      a.o", text, "after"]), [text, "after"])

    def test_a_compilers_error_goes_before_makes(self):
        lines = ["make: *** [x] Error 1", "x.c:1:2: error: no"]
        self.assertEqual(kernel.first_errors(lines)[0], "x.c:1:2: error: no")

    def test_warnings_about_this_repository(self):
        for lines in (
            ["warning: unused variable: `x`", "  --> /t/arch/x86/xen/pvmmu/rust/p2m.rs:1:2", "   |"],
            ["warning: needless borrow", "   --> rust/kernel/static_call.rs:1:2"],
            ["arch/x86/xen/pvmmu/rust/helpers/xen_pv_mmu.c:1:2: warning: unused [-Wunused]"],
            ["vmlinux.o: warning: objtool: xen_set_pte+0x1: unreachable instruction"],
            ["WARNING: modpost: vmlinux: section mismatch in reference"],
        ):
            with self.subTest(lines[0]):
                self.assertEqual(len(kernel.warnings(["  CC      a.o", *lines])), 1)

    def test_warnings_about_others(self):
        lines = [
            "mm/memory.c:1:2: warning: unused [-Wunused]",
            "warning: 1 warning emitted",
            "warning: unused",
            "  --> drivers/net/x.rs:1:2",
            "warning: unsafe block missing a safety comment",
            "   --> rust/kernel/cpufreq.rs:700:26",
        ]
        self.assertEqual(kernel.warnings(lines), [])

    def test_with_debians_configuration_those_of_all_c_count(self):
        lines = ["../mm/memory.c:12:5: warning: unused variable 'x' [-Wunused-variable]"]
        self.assertEqual(kernel.warnings(lines), [])
        self.assertEqual(kernel.warnings(lines, of_all_c=True), lines)
