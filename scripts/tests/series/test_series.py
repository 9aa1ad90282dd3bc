# SPDX-License-Identifier: GPL-2.0
"""The series is cut where it is declared to be, and nothing is forgotten."""

import os
import subprocess
import tempfile
import textwrap
import unittest
from pathlib import Path
from unittest import mock

from harness import analyzer, links, patches, paths, series, series_boot, strip_tests
from harness.cli import Stop
from tests import REPO

DECLARED = {
    "folder": "arch/ours",
    "patch": [
        {"name": "code", "files": ["rust/*"], "edits": ["makefile"]},
        {"name": "tests", "files": ["rust/tests.rs"], "own": ["index"]},
    ],
    "outside": [{"files": ["scripts/*"], "why": "They stay."}],
}
ANCHORS = {"link": [{"target": "rust/call.rs", "path": "rust/kernel/call.rs"}], "edit": []}


def edit(name: str) -> dict:
    return {"name": name, "file": "Makefile", "position": "after", "anchor": "a\n", "lines": "b\n"}


class Hunks(unittest.TestCase):
    """Tests are cut out of files so that what stays looks as if they had never been there."""

    def rust(self, text: str) -> str:
        text = textwrap.dedent(text)
        return strip_tests.strip("rust/x.rs", text.replace("MARK", "#[cfg(CONFIG_TESTS)]"), "TESTS")

    def test_items_of_one_line(self):
        self.assertEqual(self.rust("mod a;\nMARK\nmod b;\nMARK\npub use c::*;\nmod d;\n"), "mod a;\nmod d;\n")

    def test_item_with_comments_and_attributes(self):
        text = """\
            fn a() {}

            /// Says what.
            /// And why.
            MARK
            #[derive(Clone)]
            struct B {
                c: u8,
            }

            fn d() {}
            """
        self.assertEqual(self.rust(text), "fn a() {}\n\nfn d() {}\n")

    def test_items_that_follow_each_other(self):
        self.assertEqual(self.rust("fn a() {}\n\nMARK\nstruct B(u8);\n\nMARK\nimpl B {\n}\n"), "fn a() {}\n")

    def test_option_among_others(self):
        text = "fn a() {}\n\n#[cfg(all(\n    CONFIG_B,\n    CONFIG_TESTS\n))]\nmod c {\n}\nMARK\nuse c::D;\n"
        self.assertEqual(self.rust(text), "fn a() {}\n")
        shared = "#[cfg(any(CONFIG_B, CONFIG_TESTS))]\nmod c;\n"
        self.assertEqual(self.rust(shared), "#[cfg(CONFIG_B)]\nmod c;\n")
        with self.assertRaisesRegex(Stop, "neither a Rust item nor an entry"):
            self.rust("#[cfg(any(CONFIG_TESTS, CONFIG_B))]\nmod c;\n")

    def test_statement(self):
        text = """\
            fn a() {
                MARK
                if b(C {
                    d,
                }) {
                    return;
                }
                e();
            }
            """
        self.assertEqual(self.rust(text), "fn a() {\n    e();\n}\n")

    def test_last_item_of_a_block(self):
        text = "impl A {\n    fn b() {}\n\n    MARK\n    fn c() {\n    }\n}\n"
        self.assertEqual(self.rust(text), "impl A {\n    fn b() {}\n}\n")

    def test_entry_of_kconfig(self):
        text = "config A\n\tbool\n\nconfig TESTS\n\tbool\n\thelp\n\t  Tests.\n\nconfig B\n\tbool\n"
        self.assertEqual(strip_tests.strip("Kconfig", text, "TESTS"), "config A\n\tbool\n\nconfig B\n\tbool\n")
        last = "config A\n\tbool\n\nconfig TESTS\n\tbool\n"
        self.assertEqual(strip_tests.strip("Kconfig", last, "TESTS"), "config A\n\tbool\n")

    def test_marks_of_another_kind_are_refused(self):
        for path, text in (("x.c", "#ifdef CONFIG_TESTS\n"), ("x.rs", "if cfg!(CONFIG_TESTS) {}\n")):
            with self.subTest(path), self.assertRaisesRegex(Stop, f"^{path}: TESTS marks something"):
                strip_tests.strip(path, text, "TESTS")


class Mapping(unittest.TestCase):
    """No file and no edit is forgotten."""

    def setUp(self):
        patcher = mock.patch.object(paths, "repo", return_value=REPO)
        patcher.start()
        self.addCleanup(patcher.stop)

    def plan(self, edits=("makefile",), own=("index",)) -> series.Declared:
        anchors = ANCHORS | {"edit": [edit(name) for name in edits]}
        return series.Declared(DECLARED, anchors, {"edit": [edit(name) for name in own]})

    def stop(self, function, *arguments) -> str:
        with self.assertRaises(Stop) as caught:
            function(*arguments)
        return str(caught.exception)

    def test_files_go_to_the_last_patch_that_matches(self):
        files = [Path("rust/a.rs"), Path("rust/tests.rs"), Path("scripts/b")]
        self.assertEqual(self.plan().owners(files), {"rust/a.rs": "code", "rust/tests.rs": "tests", "scripts/b": ""})

    def test_file_without_a_patch(self):
        files = [Path("rust/a.rs"), Path("rust/tests.rs"), Path("scripts/b"), Path("new.rs")]
        self.assertEqual(self.stop(self.plan().owners, files), "no patch has the file new.rs")

    def test_pattern_without_a_file(self):
        self.assertEqual(self.stop(self.plan().owners, [Path("rust/a.rs"), Path("scripts/x")]), "no file matches rust/tests.rs")
        self.assertEqual(self.stop(self.plan().owners, [Path("rust/a.rs"), Path("rust/tests.rs")]), "no file matches scripts/*")

    def test_edits(self):
        self.plan().check_edits()
        self.assertEqual(self.stop(self.plan(("makefile", "new")).check_edits), "no patch has the edit new")
        plan = self.plan(("makefile", "new"))
        plan.declared = DECLARED | {"outside": [{"edits": ["new"], "why": "It serves a test."}]}
        plan.check_edits()
        self.assertEqual(self.stop(self.plan(own=()).check_edits), "index is no edit")

    def test_places(self):
        self.assertEqual(self.plan().place("rust/call.rs"), "rust/kernel/call.rs")
        self.assertEqual(self.plan().place("rust/a.rs"), "arch/ours/rust/a.rs")

    def test_everything_that_is_declared_here_says_what_it_is(self):
        plan = series.declared()
        for patch in plan.patches:
            self.assertLessEqual(len(patch["subject"]), 75, patch["name"])
            self.assertTrue(patch["message"].strip(), patch["name"])
        for table in plan.declared["outside"]:
            self.assertTrue(table["why"])


class Text(unittest.TestCase):
    def test_paragraphs_are_filled_and_what_is_indented_is_kept(self):
        long = "word " * 40
        made = patches.wrapped(f"{long}\n\n  $ command   {long}\n")
        self.assertTrue(all(len(line) <= 72 for line in made.split("\n\n")[0].splitlines()))
        self.assertIn(f"  $ command   {long}", made)

    def test_sections(self):
        text = "# A `b` c!\n## Same\n## Same\n```\n# not this\n```\n"
        self.assertEqual(links.anchors(text), {"a-b-c", "same", "same-1"})

    def test_dead_links(self):
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder)
            (top / "b.md").write_text("# There\n")
            (top / "a.md").write_text(
                "[ok](b.md#there) [web](https://x.example/y) `[code](nowhere)`\n"
                "[gone](c.md) [section](b.md#here) [own](#a) [out](../x)\n\n[r]: d.md\n"
            )
            self.assertEqual(
                links.dead(Path("a.md"), top),
                [
                    "a.md: there is no c.md",
                    "a.md: b.md has no section here",
                    "a.md: the page has no section a",
                    "a.md: there is no ../x",
                    "a.md: there is no d.md",
                ],
            )


class Order(unittest.TestCase):
    def test_a_kconfig_reads_what_has_come_before(self):
        patch = series.Patch("code", "", "", False, (), (), {"a/Kconfig": 'config A\nsource "a/b/Kconfig"\n'})
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(series, "pristine", return_value=Path("/none")):
            tree = Path(folder)
            with self.assertRaisesRegex(Stop, "^code reads a/b/Kconfig"):
                patches.sourced(tree, patch)
            (tree / "a/b").mkdir(parents=True)
            (tree / "a/b/Kconfig").touch()
            patches.sourced(tree, patch)


class Change(unittest.TestCase):
    PATCH = "diff --git a/x/f b/x/f\n--- a/x/f\n+++ b/x/f\n@@ -1 +1 @@\n-one\n+two\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.patch = Path(folder.name, "patch")
        self.patch.write_text(self.PATCH)
        # As the results of a checkout lie in it, unless they are told to lie elsewhere.
        subprocess.run(["git", "init", "--quiet", folder.name], check=True)
        self.tree = Path(folder.name, "build/tree")
        (self.tree / "x").mkdir(parents=True)
        (self.tree / "x/f").write_text("one\n")

    def test_a_tree_within_a_repository_is_changed(self):
        series_boot.change(self.tree, self.patch)
        self.assertEqual((self.tree / "x/f").read_text(), "two\n")

    def test_what_ends_as_it_was_does_not_look_changed(self):
        for last, kept in (("one\n", True), ("three\n", False)):
            (self.tree / "x/f").write_text("one\n")
            os.utime(self.tree / "x/f", (1, 1))
            with series_boot.times_kept(self.tree, ["x/f", "x/gone"]):
                (self.tree / "x/f").write_text("two\n")
                (self.tree / "x/f").write_text(last)
            self.assertEqual((self.tree / "x/f").stat().st_mtime == 1, kept)

    def test_what_does_not_apply_is_named(self):
        (self.tree / "x/f").write_text("three\n")
        with self.assertRaisesRegex(Stop, "^patch does not apply"):
            series_boot.change(self.tree, self.patch)


class Editor(unittest.TestCase):
    def crate(self, name: str) -> dict:
        return {"display_name": name, "root_module": f"/usr/lib/{name}.rs", "cfg": [name], "edition": "2021"}

    def test_our_crate_is_added_and_paths_are_those_outside(self):
        names = ("core", "pin_init", "kernel", "zerocopy", "zerocopy_derive")
        made = {"crates": [self.crate(name) for name in names], "sysroot": "/usr"}
        made = analyzer.project(made, Path("/tree"), Path("/repo"), Path("/root"))
        ours = made["crates"][-1]
        self.assertEqual(ours["root_module"], "/repo/rust/xen_pv_mmu.rs")
        self.assertEqual(ours["cfg"], ["kernel"])
        self.assertIn({"crate": 2, "name": "kernel"}, ours["deps"])
        self.assertEqual(analyzer.paths_in(made)[:2], [Path("/root/usr"), Path("/root/usr/lib/core.rs")])

    def test_a_kernel_that_has_other_crates_is_named(self):
        with self.assertRaisesRegex(Stop, "lacks kernel pin_init"):
            analyzer.project({"crates": [self.crate("core")], "sysroot": "/usr"}, Path(), Path(), Path())


if __name__ == "__main__":
    unittest.main()
