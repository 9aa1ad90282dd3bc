# SPDX-License-Identifier: GPL-2.0-only
"""The series is split as declared, and nothing is forgotten."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths
from harness.cli import Stop
from harness.series import base, patches, series
from tests import REPO

DECLARED = {
    "places": {"rust/": "arch/ours/", "rust/probes/": "arch/ours/probes/"},
    "rewrite": [{"place": "arch/ours/a.rs", "from": "rust/b", "to": "b"}],
    "series": [{"name": "fixes"}, {"name": "all", "needs": ["fixes"]}],
    "patch": [
        {"name": "code", "series": "fixes", "files": ["rust/*"], "edits": ["makefile"]},
        {"name": "tests", "series": "all", "files": ["rust/tests.rs"], "own": ["index"]},
    ],
    "outside": [{"files": ["scripts/*"], "why": "They stay."}],
}
ANCHORS = {"link": [{"target": "rust/call.rs", "path": "rust/kernel/call.rs"}, {"target": ".", "path": "arch/ours"}], "edit": []}


def edit(name: str) -> dict:
    return {"name": name, "file": "Makefile", "position": "after", "anchor": "a\n", "lines": "b\n"}


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
        for path, place in {
            "rust/call.rs": "rust/kernel/call.rs",
            "rust/a.rs": "arch/ours/a.rs",
            "rust/probes/a.rs": "arch/ours/probes/a.rs",
        }.items():
            self.assertEqual(self.plan().place(path), place)
        self.assertEqual(self.stop(self.plan().place, "other"), "the file other has no place in the tree")

    def test_paths_within_files_are_those_of_the_tree(self):
        self.assertEqual(self.plan().rewritten("arch/ours/a.rs", "see rust/b.\n"), "see b.\n")
        self.assertEqual(self.plan().rewritten("arch/ours/c.rs", "see rust/b.\n"), "see rust/b.\n")
        self.assertEqual(self.stop(self.plan().rewritten, "arch/ours/a.rs", "b"), "arch/ours/a.rs does not contain 'rust/b'")

    def test_series_build_on_earlier_ones(self):
        plan = self.plan()
        plan.check_series()
        plan.series = list(reversed(plan.series))
        self.assertEqual(self.stop(plan.check_series), "the series all needs fixes, which does not come before")
        plan.series = [{"name": "all"}, {"name": "fixes"}]
        self.assertEqual(self.stop(plan.check_series), "the patches are not in the order of their series")
        plan.series = [{"name": "fixes"}, {"name": "other"}]
        self.assertEqual(self.stop(plan.check_series), "all is no series\nthe series other has no patch")

    def test_the_sender_is_entered(self):
        table = edit("maintainers") | {"lines": "M:\t{sender}\n"}
        with mock.patch.object(series, "configured", side_effect=lambda key: {"name": "A", "email": "a@b"}[key]):
            plan = series.Declared(DECLARED, ANCHORS, {"edit": [table]})
        self.assertEqual(plan.edits["maintainers"].apply("a\n"), "a\nM:\tA <a@b>\n")

    def test_every_declaration_of_this_repository_has_a_message(self):
        plan = series.declared()
        for patch in plan.patches:
            self.assertLessEqual(len(patch["subject"]), 75, patch["name"])
            self.assertTrue(patch["message"].strip(), patch["name"])
            if patch["series"].startswith("fix") and not patch["subject"].startswith("mm/"):
                self.assertTrue(patch["fixes"] and patch["stable"] and patch["cc"], patch["name"])
        for table in plan.series:
            self.assertIn("a person has to read all of it", " ".join(table["text"].split()), table["name"])
        for table in plan.declared["outside"]:
            self.assertTrue(table["why"])


class Text(unittest.TestCase):
    def test_paragraphs_are_filled_and_indented_ones_are_kept(self):
        long = "word " * 40
        made = patches.wrapped(f"{long}\n\n  $ command   {long}\n")
        self.assertTrue(all(len(line) <= 72 for line in made.split("\n\n")[0].splitlines()))
        self.assertIn(f"  $ command   {long}", made)


class Order(unittest.TestCase):
    def test_a_kconfig_reads_only_earlier_files(self):
        patch = series.Patch("code", "all", "", "", (), False, (), (), {"a/Kconfig": 'config A\nsource "a/b/Kconfig"\n'})
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(series, "pristine", return_value=Path("/none")):
            tree = Path(folder)
            with self.assertRaisesRegex(Stop, "^code reads a/b/Kconfig"):
                patches.sourced(tree, patch)
            (tree / "a/b").mkdir(parents=True)
            (tree / "a/b/Kconfig").touch()
            patches.sourced(tree, patch)


def export(letters: dict[str, tuple[tuple[str, ...], set[str]]]) -> series.Export:
    """Series with what they need, and the files that they change."""
    made = [
        series.Letter(name, "", "", (), "", needs, False, [series.Patch(name, name, "", "", (), False, (), (), dict.fromkeys(files, ""))])
        for name, (needs, files) in letters.items()
    ]
    return series.Export(made, {}, {}, {}, [], ("doc",))


class Independence(unittest.TestCase):
    def test_series_that_change_the_same_file_need_each_other(self):
        series._check_independence(export({"a": ((), {"x"}), "b": (("a",), {"x"}), "c": ((), {"y"})}))
        with self.assertRaisesRegex(Stop, "^the series c needs a: both change x"):
            series._check_independence(export({"a": ((), {"x"}), "c": ((), {"x", "y"})}))


class Base(unittest.TestCase):
    """What Debian has patched is known by its time."""

    def test_files_of_debian(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(series, "pristine", return_value=Path(folder)):
            for name, time in (("a", 1), ("b", 1), ("d", 1), ("c", 2), ("doc", 2)):
                Path(folder, name).write_text("")
                os.utime(Path(folder, name), (time, time))
            self.assertEqual(base.patched_by_debian(Path(folder)), {"c", "doc"})
            base.check(export({"s": ((), {"a", "doc"})}))
            with self.assertRaisesRegex(Stop, "^Debian has patched what the series change: c$"):
                base.check(export({"s": ((), {"a", "c"})}))
            Path(folder, "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n")
            self.assertEqual(base.version(), "7.3.4")

    def test_series_do_not_touch_what_is_said_to_be_apart(self):
        for path, why in series.declared().declared["debian"].items():
            self.assertTrue(why, path)


class Length(unittest.TestCase):
    def test_long_patches_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            long = Path(folder, "long.patch")
            long.write_text("+a\n" * 701)
            with self.assertRaisesRegex(Stop, "long.patch adds 701 lines"):
                patches.reviewable({"s": [Path(folder, "letter"), long]})
            long.write_text("+a\n" * 700 + " b\n")
            patches.reviewable({"s": [Path(folder, "letter"), long]})
