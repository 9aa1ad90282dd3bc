# SPDX-License-Identifier: GPL-2.0-only
"""The series is split as declared, and nothing is forgotten."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths
from harness.cli import Stop
from harness.series import patches, series
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

    def test_every_declaration_of_this_repository_has_a_message(self):
        plan = series.declared()
        for patch in plan.patches:
            self.assertLessEqual(len(patch["subject"]), 75, patch["name"])
            self.assertTrue(patch["message"].strip(), patch["name"])
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
        patch = series.Patch("code", "", "", False, (), (), {"a/Kconfig": 'config A\nsource "a/b/Kconfig"\n'})
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(series, "pristine", return_value=Path("/none")):
            tree = Path(folder)
            with self.assertRaisesRegex(Stop, "^code reads a/b/Kconfig"):
                patches.sourced(tree, patch)
            (tree / "a/b").mkdir(parents=True)
            (tree / "a/b/Kconfig").touch()
            patches.sourced(tree, patch)
