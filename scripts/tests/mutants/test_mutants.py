# SPDX-License-Identifier: GPL-2.0-only
"""Which mutants are chosen."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import paths
from harness.cli import Stop
from harness.mutants import mutants


class Changed(unittest.TestCase):
    """DIFF chooses the lines that have changed since a commit."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repo = Path(folder.name)
        (self.repo / "rust").mkdir()
        for name in ("repo", "build"):
            patcher = mock.patch.object(paths, name, return_value=self.repo)
            patcher.start()
            self.addCleanup(patcher.stop)
        self.git("init", "--quiet")
        self.write("fn a() {}\n")
        self.git("add", "rust")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=a")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.repo, check=True)

    def write(self, text: str) -> None:
        (self.repo / "rust/a.rs").write_text(text)

    def options(self, commit: str) -> list[str]:
        with mock.patch.dict(os.environ, {"DIFF": commit}):
            return mutants._changed()

    def test_paths_are_those_of_cargo_mutants(self):
        self.write("fn a() {}\nfn b() {}\n")
        option, path = self.options("HEAD")
        self.assertEqual(option, "--in-diff")
        self.assertIn("+++ b/testing/host/backend/../../../a.rs\n", Path(path).read_text())
        self.assertIn("\n+fn b() {}\n", Path(path).read_text())

    def test_without_a_commit_nothing_is_left_out(self):
        self.assertEqual(self.options(""), [])

    def test_a_commit_that_is_not_there(self):
        with self.assertRaisesRegex(Stop, "^git cannot compare with DIFF=nowhere"):
            self.options("nowhere")
