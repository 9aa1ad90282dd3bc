#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of scripts/integrate, on small trees made for each test."""

import contextlib
import errno
import io
import os
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.load_script import load_script
from tests import REPO, SCRIPTS


integrate = load_script("integrate")

MAKEFILE = """\
# SPDX-License-Identifier: GPL-2.0-only
VERSION = 7
PATCHLEVEL = 3
SUBLEVEL = 4
"""

BUILD = "obj-y += first.o\nobj-y += second.o\nobj-y += third.o\n"
HEADER = "#include <b.h>\n#include <d.h>\n"

ANCHORS = """
linux = ["7.2", "7.3"]

[[link]]
path = "drivers/ours"
target = "."

[[edit]]
name = "second"
file = "drivers/Makefile"
position = "replace"
anchor = '''
obj-y += second.o
'''
lines = '''
ifndef CONFIG_OURS
obj-y += second.o
endif
'''

[[edit]]
name = "ours"
file = "drivers/Makefile"
position = "after"
anchor = '''
obj-y += third.o
'''
lines = '''
obj-$(CONFIG_OURS) += ours/
'''

[[edit]]
name = "header"
file = "include/all.h"
position = "before"
anchors = ['''
#include <d.h>
''', '''
#include <d/d.h>
''']
lines = '''
#include <c.h>
'''
"""


class IntegrateTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name)
        self.repo = self.top / "repo"
        self.repo.mkdir()
        self.tree = self.top / "linux"
        self.write("Kbuild", "")
        self.write("Makefile", MAKEFILE)
        self.write("drivers/Makefile", BUILD)
        self.write("include/all.h", HEADER)
        self.anchors = self.top / "anchors.toml"
        self.anchors.write_text(ANCHORS)

    def write(self, file, text):
        place = self.tree / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, file):
        return (self.tree / file).read_text()

    def run_integrate(self, action, *options, tree=None):
        """Run the command; returns its exit code, with its output in self.output."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = integrate.main(
                [action, "--repo", str(self.repo), "--anchors", str(self.anchors), *options]
                + [str(tree or self.tree)]
            )
        self.output = output.getvalue()
        return code

    def snapshot(self):
        """Everything in the tree that could change."""
        found = {}
        for place in sorted(self.tree.rglob("*")):
            status = place.lstat()
            if place.is_symlink():
                content = os.readlink(place)
            else:
                content = place.read_bytes() if place.is_file() else None
            # The time stamp of a directory changes when a file in it is replaced.
            mtime = None if place.is_dir() else status.st_mtime_ns
            found[place] = (status.st_mode, content, mtime)
        return found

    def assert_refused(self, action, *messages, options=(), tree=None):
        before = self.snapshot()
        self.assertEqual(self.run_integrate(action, *options, tree=tree), 1)
        for message in messages:
            self.assertIn(message, self.output)
        self.assertEqual(self.snapshot(), before)

    def assert_state(self, state, *details):
        code = self.run_integrate("check")
        self.assertEqual(code, 0 if state == "applied" else 1)
        self.assertEqual(self.output.splitlines()[0], f"{self.tree}: {state}")
        for detail in details:
            self.assertIn(detail, self.output)

    # Applying and reverting.

    def test_apply_makes_every_edit_and_link(self):
        self.assertEqual(self.run_integrate("apply"), 0)
        self.assertEqual(
            self.read("drivers/Makefile"),
            "obj-y += first.o\n"
            "ifndef CONFIG_OURS\nobj-y += second.o\nendif\n"
            "obj-y += third.o\nobj-$(CONFIG_OURS) += ours/\n",
        )
        self.assertEqual(
            self.read("include/all.h"), "#include <b.h>\n#include <c.h>\n#include <d.h>\n"
        )
        self.assertEqual(os.path.realpath(self.tree / "drivers/ours"), os.path.realpath(self.repo))
        self.assert_state("applied")

    def test_apply_twice_changes_nothing_the_second_time(self):
        self.run_integrate("apply")
        before = self.snapshot()
        self.assertEqual(self.run_integrate("apply"), 0)
        self.assertEqual(self.snapshot(), before)

    def test_revert_restores_every_byte(self):
        self.write("include/all.h", HEADER + "no newline at the end, and \u00fc")
        before = {place: (mode, content) for place, (mode, content, _) in self.snapshot().items()}
        self.run_integrate("apply")
        self.assertEqual(self.run_integrate("revert"), 0)
        after = {place: (mode, content) for place, (mode, content, _) in self.snapshot().items()}
        self.assertEqual(after, before)
        self.assert_state("not applied")

    def test_revert_of_a_pristine_tree_changes_nothing(self):
        before = self.snapshot()
        self.assertEqual(self.run_integrate("revert"), 0)
        self.assertEqual(self.snapshot(), before)

    def test_carriage_returns_survive(self):
        place = self.tree / "include/all.h"
        place.write_bytes(b"one\r\n" + HEADER.encode())
        self.run_integrate("apply")
        self.run_integrate("revert")
        self.assertEqual(place.read_bytes(), b"one\r\n" + HEADER.encode())

    def test_mode_is_kept(self):
        place = self.tree / "include/all.h"
        place.chmod(0o640)
        self.run_integrate("apply")
        self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o640)

    def test_files_that_do_not_change_are_not_written(self):
        self.run_integrate("apply")
        self.write("drivers/Makefile", BUILD)
        os.utime(self.tree / "include/all.h", ns=(1, 1))
        self.run_integrate("apply")
        self.assertEqual((self.tree / "include/all.h").stat().st_mtime_ns, 1)

    def test_changes_elsewhere_in_a_file_survive_revert(self):
        self.run_integrate("apply")
        self.write("drivers/Makefile", "# mine\n" + self.read("drivers/Makefile"))
        self.assertEqual(self.run_integrate("revert"), 0)
        self.assertEqual(self.read("drivers/Makefile"), "# mine\n" + BUILD)

    def test_second_alternative_of_an_anchor(self):
        other = HEADER.replace("<d.h>", "<d/d.h>")
        self.write("include/all.h", other)
        self.run_integrate("apply")
        self.assertEqual(
            self.read("include/all.h"), "#include <b.h>\n#include <c.h>\n#include <d/d.h>\n"
        )
        self.run_integrate("revert")
        self.assertEqual(self.read("include/all.h"), other)

    def test_lines_for_each_alternative(self):
        forms = ANCHORS.replace(
            "lines = '''\n#include <c.h>\n'''",
            "lines = ['''\n#include <c.h>\n''', '''\n#include <c/c.h>\n''']",
        )
        self.assertNotEqual(forms, ANCHORS)
        for position in ("before", "replace"):
            self.anchors.write_text(forms.replace('position = "before"', f'position = "{position}"'))
            for d, c in (("<d.h>", "<c.h>"), ("<d/d.h>", "<c/c.h>")):
                original = HEADER.replace("<d.h>", d)
                kept = f"#include {d}\n" if position == "before" else ""
                with self.subTest(position, d=d):
                    self.write("include/all.h", original)
                    self.run_integrate("apply")
                    self.assertEqual(
                        self.read("include/all.h"), f"#include <b.h>\n#include {c}\n{kept}"
                    )
                    self.assert_state("applied")
                    self.run_integrate("revert")
                    self.assertEqual(self.read("include/all.h"), original)

    def test_regular_expression(self):
        self.anchors.write_text(
            ANCHORS.replace("anchors = ['''\n#include <d.h>\n''', '''\n#include <d/d.h>\n''']",
                            "regex = true\nanchor = '#include <(d/)?d\\.h>\\n'")
        )
        self.assertEqual(self.run_integrate("apply"), 0, getattr(self, "output", ""))
        self.assertIn("#include <c.h>\n#include <d.h>\n", self.read("include/all.h"))
        self.assert_state("applied")
        self.run_integrate("revert")
        self.assertEqual(self.read("include/all.h"), HEADER)

    # Partly applied trees.

    def test_partly_applied_tree_is_completed(self):
        self.run_integrate("apply")
        self.write("include/all.h", HEADER)
        self.assert_state("partly applied", "include/all.h: header is not applied")
        self.assertEqual(self.run_integrate("apply"), 0)
        self.assert_state("applied")

    def test_partly_applied_tree_is_reverted(self):
        self.run_integrate("apply")
        (self.tree / "drivers/ours").unlink()
        self.write("include/all.h", HEADER)
        self.assertEqual(self.run_integrate("revert"), 0)
        self.assertEqual(self.read("drivers/Makefile"), BUILD)

    # Refusals: nothing may change.

    def test_missing_anchor(self):
        self.write("include/all.h", "#include <b.h>\n")
        message = "include/all.h: anchor of header is missing:\n    #include <d.h>"
        self.assert_refused("apply", message)
        self.assert_state("foreign changes", "header")

    def test_all_missing_anchors_are_reported_at_once(self):
        self.write("include/all.h", "")
        self.write("drivers/Makefile", "")
        self.assert_refused("apply", "second is missing", "ours is missing", "header is missing")

    def test_missing_file(self):
        (self.tree / "include/all.h").unlink()
        message = "include/all.h: anchor of header is missing, the file does not exist"
        self.assert_refused("apply", message)

    def test_anchor_within_a_line_does_not_count(self):
        self.write("include/all.h", "#include <b.h>\n/* #include <d.h>\n")
        self.assert_refused("apply", "header is missing")

    def test_ambiguous_anchor(self):
        self.write("include/all.h", HEADER + "#include <d.h>\n")
        self.assert_refused("apply", "include/all.h: anchor of header is ambiguous")

    def test_two_alternatives_at_once_are_ambiguous(self):
        self.write("include/all.h", HEADER + "#include <d/d.h>\n")
        self.assert_refused("apply", "header is ambiguous")

    def test_edit_that_is_applied_twice(self):
        self.run_integrate("apply")
        self.write("include/all.h", self.read("include/all.h") * 2)
        self.assert_refused("revert", "header is applied more than once")

    def test_edit_of_an_older_declaration(self):
        self.run_integrate("apply")
        self.anchors.write_text(ANCHORS.replace("\nendif\n", "\nendif # CONFIG_OURS\n"))
        message = "drivers/Makefile: second is there in another form: ifndef CONFIG_OURS"
        self.assert_refused("apply", message, "revert with the anchors.toml that applied it")
        self.assert_refused("revert", message)
        self.assert_state("foreign changes", message)

    def test_path_occupied_by_a_directory(self):
        (self.tree / "drivers/ours").mkdir()
        self.assert_refused("apply", "drivers/ours: is a directory, which is not ours")
        self.assert_refused("revert", "drivers/ours: is a directory, which is not ours")
        self.assert_state("foreign changes", "drivers/ours")

    def test_path_occupied_by_a_file(self):
        self.write("drivers/ours", "")
        self.assert_refused("apply", "drivers/ours: is a file, which is not ours")

    def test_link_of_another_checkout(self):
        other = self.top / "other"
        (self.tree / "drivers/ours").symlink_to(other)
        self.assert_refused("apply", f"drivers/ours: is a link to {other}, which is not ours")
        # The other checkout is gone, but can still be named.
        self.repo = other
        self.assertEqual(self.run_integrate("revert"), 0)
        self.assertFalse((self.tree / "drivers/ours").is_symlink())

    def test_missing_link_target(self):
        self.anchors.write_text(ANCHORS.replace('target = "."', 'target = "rust/ours.rs"'))
        self.assert_refused("apply", "rust/ours.rs: does not exist, drivers/ours needs it")

    def test_not_a_linux_tree(self):
        message = "not a Linux tree: no Kbuild/Makefile with VERSION"
        for name, text in (("Makefile", "all:\n"), ("README", "")):
            directory = self.top / name.lower()
            directory.mkdir()
            (directory / name).write_text(text)
            for action in ("apply", "revert", "check"):
                self.assert_refused(action, f"{directory}: {message}", tree=directory)
        self.assert_refused("apply", message, tree=self.top / "nowhere")
        self.assert_refused("apply", message, tree=self.tree / "Makefile")

    def test_unsupported_version_is_refused_by_name(self):
        self.write("Makefile", MAKEFILE.replace("VERSION = 7", "VERSION = 6", 1))
        self.assert_refused("apply", "Linux 6.3 is not supported (only 7.2, 7.3)", "--any-version")
        self.assertEqual(self.run_integrate("apply", "--any-version"), 0)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_read_only_directory(self):
        (self.tree / "include").chmod(0o555)
        self.addCleanup((self.tree / "include").chmod, 0o755)
        self.assert_refused("apply", "Permission denied")

    def test_read_only_file_system(self):
        failure = OSError(errno.EROFS, "Read-only file system", "include")
        with mock.patch.object(integrate.tempfile, "mkstemp", side_effect=failure):
            self.assert_refused("apply", "Read-only file system", "nothing was changed")

    def test_failure_in_the_middle_is_undone(self):
        replace = os.replace
        calls = []

        def fail_once(source, target):
            calls.append(target)
            if len(calls) == 2:
                raise OSError(errno.EIO, "Input/output error", str(target))
            replace(source, target)

        with mock.patch.object(integrate.os, "replace", fail_once):
            self.assert_refused("apply", "Input/output error")
        self.assertGreater(len(calls), 2)

    def test_failure_to_link_is_undone(self):
        failure = OSError(errno.EPERM, "Operation not permitted", "ours")
        with mock.patch.object(integrate.os, "symlink", side_effect=failure):
            self.assert_refused("apply", "Operation not permitted")

    # Copies in place of links.

    def fill_repository(self):
        for name, text in (("Kbuild", "# ours\n"), ("rust/ops/a.rs", "// a\n"), ("rust/testing/b.rs", "// b\n")):
            place = self.repo / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        (self.repo / "rust/ours.h").write_text("/* ours */\n")
        self.anchors.write_text(
            ANCHORS.replace('target = "."\n', 'target = "."\ncopy = ["Kbuild", "rust/*.h", "rust/ops"]\n')
            + "\n[[link]]\npath = 'include/ours.h'\ntarget = 'rust/ours.h'\n"
        )

    def test_copies_need_no_repository(self):
        self.fill_repository()
        self.assertEqual(self.run_integrate("apply", "--copy"), 0)
        self.assertEqual(self.run_integrate("check", "--copy"), 0)
        self.assertEqual([place for place in self.tree.rglob("*") if place.is_symlink()], [])
        found = {str(place.relative_to(self.tree / "drivers/ours")) for place in (self.tree / "drivers/ours").rglob("*.*")}
        self.assertEqual(found, {"rust/ours.h", "rust/ops/a.rs"})
        self.assertEqual(self.read("drivers/ours/Kbuild"), "# ours\n")
        self.assertEqual(self.read("include/ours.h"), "/* ours */\n")

    def test_copies_are_made_once_and_reverted(self):
        self.fill_repository()
        before = {place: (mode, content) for place, (mode, content, _) in self.snapshot().items()}
        self.run_integrate("apply", "--copy")
        after = self.snapshot()
        self.assertEqual(self.run_integrate("apply", "--copy"), 0)
        self.assertEqual(self.snapshot(), after)
        self.assertEqual(self.run_integrate("revert", "--copy"), 0)
        self.assertEqual({place: (mode, content) for place, (mode, content, _) in self.snapshot().items()}, before)

    GROUPED = ANCHORS.replace('name = "ours"\n', 'name = "ours"\ngroup = "more"\n')

    def test_a_group_is_left_out_and_taken_out(self):
        self.anchors.write_text(self.GROUPED)
        self.run_integrate("apply")
        whole = self.read("drivers/Makefile")
        self.assertIn("ours/", whole)
        self.assertEqual(self.run_integrate("check", "--without=more"), 1)
        self.assertIn("ours is applied", self.output)
        self.assertEqual(self.run_integrate("apply", "--without=more"), 0)
        self.assertNotIn("ours/", self.read("drivers/Makefile"))
        self.assertIn("ifndef", self.read("drivers/Makefile"))
        self.assertEqual(self.run_integrate("check", "--without=more"), 0)
        self.assertEqual(self.run_integrate("apply"), 0)
        self.assertEqual(self.read("drivers/Makefile"), whole)
        self.assertEqual(self.run_integrate("revert", "--without=more"), 0)
        self.assertEqual(self.read("drivers/Makefile"), BUILD)

    def test_a_group_that_is_not_there(self):
        self.anchors.write_text(self.GROUPED)
        self.assert_refused("apply", "no edit belongs to 'less', only to: more", options=["--without=less"])

    def test_a_copy_that_was_changed_is_not_lost(self):
        self.fill_repository()
        self.run_integrate("apply", "--copy")
        self.write("drivers/ours/rust/ops/a.rs", "// changed\n")
        for action in ("apply", "revert"):
            self.assert_refused(action, "drivers/ours: is a directory with other contents", options=["--copy"])
        self.write("drivers/ours/rust/ops/a.rs", "// a\n")
        self.write("drivers/ours/more.rs", "")
        self.assert_refused("revert", "drivers/ours: is a directory with other contents", options=["--copy"])

    def test_copies_and_links_are_distinguished(self):
        self.fill_repository()
        self.run_integrate("apply")
        self.assert_refused("revert", "drivers/ours: is a link to", options=["--copy"])
        self.assertEqual(self.run_integrate("revert"), 0)
        self.run_integrate("apply", "--copy")
        self.assert_refused("revert", "drivers/ours: is a directory, which is not ours")

    def test_failure_to_copy_is_undone(self):
        self.fill_repository()
        failure = OSError(errno.ENOSPC, "No space left on device", "ours")
        with mock.patch.object(integrate.shutil, "copy", side_effect=failure):
            self.assert_refused("apply", "No space left", options=["--copy"])
        with mock.patch.object(integrate.os, "rename", side_effect=failure):
            self.assert_refused("apply", "No space left", options=["--copy"])

    # Declarations that could not work.

    def test_edits_that_cannot_be_reverted_are_refused(self):
        self.anchors.write_text(
            ANCHORS
            + "\n[[edit]]\nname = 'clash'\nfile = 'drivers/Makefile'\nposition = 'replace'\n"
            + "anchor = '''\nendif\n'''\nlines = '''\n# end\n'''\n"
        )
        self.assert_refused("apply", "drivers/Makefile: second does not survive the edits after it")

    def test_bad_declarations(self):
        for old, new, message in (
            ('position = "before"', 'position = "beside"', "unknown position 'beside'"),
            (
                'position = "replace"',
                'position = "replace"\nregex = true',
                "replace needs an exact anchor",
            ),
            ("#include <c.h>\n", "#include <c.h>", "must be whole lines"),
            ('name = "ours"', 'name = "second"', "two edits have the same name"),
            (
                "lines = '''\n#include <c.h>\n'''",
                "lines = ['''\n#include <c.h>\n''']",
                "as many lines as anchors",
            ),
        ):
            with self.subTest(message):
                self.anchors.write_text(ANCHORS.replace(old, new))
                self.assert_refused("apply", message)


class DeclaredEditsTest(unittest.TestCase):
    """anchors.toml itself."""

    def setUp(self):
        self.plan = integrate.Plan(SCRIPTS / "anchors.toml", Path("/nowhere"), REPO)

    def test_link_targets_exist(self):
        for link in self.plan.links:
            self.assertTrue((REPO / link.target).exists(), link)

    def test_all_of_the_crate_except_its_tests_is_copied(self):
        plan = integrate.Plan(SCRIPTS / "anchors.toml", Path("/"), SCRIPTS.parent, copy=True)
        [whole] = [link for link in plan.links if link.target == "."]
        copied = set(whole.sources(SCRIPTS.parent))
        crate = {
            str(path.relative_to(SCRIPTS.parent))
            for kind in ("c", "h", "rs", "S")
            for path in (SCRIPTS.parent / "rust").rglob(f"*.{kind}")
            if "testing" not in path.parts or "probes" in path.parts
        }
        self.assertLess(crate, copied)
        self.assertLess({"Kbuild", "Kconfig", "samples/Kconfig"}, copied)
        self.assertEqual([name for name in copied if name.startswith("rust/testing/host")], [])

    def test_every_edit_has_a_reason(self):
        declared = integrate.tomllib.loads((SCRIPTS / "anchors.toml").read_text())
        for table in declared["link"] + declared["edit"]:
            self.assertTrue(table["why"].strip(), table)

    @unittest.skipUnless("KDIR" in os.environ, "KDIR names no Linux tree")
    def test_edits_fit_a_real_tree_and_revert_exactly(self):
        self.plan.tree = Path(os.environ["KDIR"])
        before = self.plan.files()
        for edit in self.plan.edits:
            self.assertIsNot(edit.state(before[edit.file]), integrate.State.FOREIGN, edit.name)
        pristine = {**before, **{f: new for f, (_, new) in self.plan.transform("revert").items()}}
        edited = dict(pristine)
        for edit in self.plan.edits:
            edited[edit.file] = edit.apply(edited[edit.file])
        reverted = dict(edited)
        for edit in reversed(self.plan.edits):
            reverted[edit.file] = edit.revert(reverted[edit.file])
        self.assertEqual(reverted, pristine)


if __name__ == "__main__":
    unittest.main()
