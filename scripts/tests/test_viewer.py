#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of scripts/viewer, on files as the kernel shows them."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from harness.load_script import load_script

viewer = load_script("viewer")

P2M = """\
0x0 0x9f local
0x9f 0x100 identity
0x100 0x400 local
0x400 0x500 foreign
0x500 0x100000 missing
"""

DUMP = """\
pid 7 address 0x400000 levels 4 Xen PV
level 4 index 0 entry 0x7067 machine 0x7 frame 0x17 present,rw,user
level 3 index 0 entry 0x8067 machine 0x8 frame 0x18 present,rw,user
level 2 index 2 entry 0x9067 machine 0x9 frame 0x19 present,rw,user
level 1 index 0 entry 0x0 not present
"""


class P2m(unittest.TestCase):
    def setUp(self):
        self.ranges = viewer.ranges_of(P2M)

    def test_a_cell_has_the_kind_of_its_frames(self):
        lines = viewer.draw_p2m(self.ranges, 5, 1)
        self.assertEqual(lines[1], f"{'0x0':>10} +###F")

    def test_the_missing_end_is_not_drawn(self):
        lines = viewer.draw_p2m(self.ranges, 0x500, 1)
        self.assertEqual(lines[1].split()[1], "#" * 0x9F + "=" * 0x61 + "#" * 0x300 + "F" * 0x100)

    def test_rows_begin_with_their_first_frame(self):
        lines = viewer.draw_p2m(self.ranges, 16, 5)
        self.assertEqual([line.split()[0] for line in lines[1:6]], ["0x0", "0x100", "0x200", "0x300", "0x400"])

    def test_frames_are_counted(self):
        lines = viewer.draw_p2m(self.ranges, 5, 1)
        self.assertIn("     local 927 frames, 3 MiB", lines)

    def test_an_empty_list(self):
        self.assertEqual(viewer.draw_p2m([], 5, 1), ["the p2m list is empty"])

    def test_other_text_is_refused(self):
        with self.assertRaisesRegex(viewer.ViewerError, "no line of a p2m list"):
            viewer.ranges_of("0x0 0x1 other\n")


class Tree(unittest.TestCase):
    def test_entries_of_a_dump(self):
        steps, problem = viewer.steps_of(DUMP)
        self.assertEqual([step.level for step in steps], [4, 3, 2, 1])
        self.assertEqual((steps[3].what, problem), ("not present", ""))

    def test_why_there_is_no_dump(self):
        self.assertEqual(viewer.steps_of("pid 7 ...\nno mapping\n"), ([], "no mapping"))

    def test_the_shared_part_of_two_walks_is_drawn_once(self):
        steps, _ = viewer.steps_of(DUMP)
        other = [*steps[:3], viewer.Step(1, 5, "machine 0x1 frame 0x2 present")]
        lines = viewer.draw_tree([("a", steps, ""), ("b", other, "")])
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[3], "|  |  |  +-[  0] L1 not present  <- a")
        self.assertEqual(lines[4], "|  |  |  +-[  5] L1 machine 0x1 frame 0x2 present  <- b")

    def test_each_mapping_has_a_line(self):
        steps, _ = viewer.steps_of(DUMP)
        lines = viewer.draw_tree([("a", steps, ""), ("b", steps, ""), ("c", steps[:3], "")])
        self.assertEqual(lines[4], "|  |  |  +-[  0] L1 not present  <- b")
        self.assertTrue(lines[5].endswith("  <- c"))

    def test_mappings_with_and_without_a_name(self):
        maps = "00400000-00401000 r-xp 00000000 00:02 5    /bin/a b\n7f00000000-7f00001000 rw-p 00000000 00:00 0\n"
        self.assertEqual(viewer.mappings_of(maps), [(0x400000, "/bin/a b"), (0x7F00000000, "anonymous")])


class Whole(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)

    def run_it(self, *arguments):
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = viewer.main([f"--debugfs={self.root}", f"--proc={self.root}", *arguments])
        return code, output.getvalue(), errors.getvalue()

    def test_without_the_backend_it_names_what_is_missing(self):
        code, output, errors = self.run_it()
        self.assertEqual((code, output), (1, ""))
        self.assertIn("xen/pvmmu/p2m: No such file", errors)
        self.assertIn("XEN_PV_MMU_RUST_DEBUGFS=y", errors)

    def test_the_list_alone(self):
        (self.root / "xen/pvmmu").mkdir(parents=True)
        (self.root / "xen/pvmmu/p2m").write_text(P2M)
        code, output, _ = self.run_it()
        self.assertEqual(code, 0)
        self.assertIn("p2m list up to frame 0x500", output)
        self.assertNotIn("page tables", output)

    def test_a_process_needs_the_module(self):
        (self.root / "xen/pvmmu").mkdir(parents=True)
        (self.root / "xen/pvmmu/p2m").write_text(P2M)
        (self.root / "7").mkdir()
        (self.root / "7/maps").write_text("00400000-00401000 r-xp 00000000 00:02 5    /bin/a\n")
        code, _, errors = self.run_it("7")
        self.assertEqual(code, 1)
        self.assertIn("load the module pgtable_dump", errors)
        code, _, errors = self.run_it("8")
        self.assertEqual(code, 1)
        self.assertIn("8/maps: No such file or directory; name a process that runs", errors)

    def test_a_picture_has_a_size(self):
        for option in ("--width=0", "--height=-1", "--width=x"):
            with self.assertRaises(SystemExit):
                self.run_it(option)


if __name__ == "__main__":
    unittest.main()
