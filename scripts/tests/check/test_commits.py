# SPDX-License-Identifier: GPL-2.0-only
"""The form of commit messages is checked as far back as the history reaches."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.check import commits
from harness.cli import Stop

BODY = "\n\nIt broke otherwise.\n"


class Message(unittest.TestCase):
    def test_good_ones(self):
        for message in (
            f"pte: read an entry once{BODY}",
            f"Add a check{BODY}",
            f"p2m, multicall: bring the lists together{BODY}",
            f"x86/xen: pv-mmu: need fewer locks{BODY}",
            f"host: process what is left{BODY}",
            f'Revert "pte: read an entry once"{BODY}',
            f"{'x' * commits.WIDTH}{BODY}",
            "pte: read once\n\nSigned-off-by is missing: that is for who sends it.\n\nSigned-off-by: A <a@example.org>\n",
        ):
            with self.subTest(message):
                self.assertEqual(commits.wrong(message), [])

    def test_bad_subjects(self):
        for subject, problem in (
            ("pte: fixed the order", "'fixed' is no verb in the imperative"),
            ("pte: Fixes the order", "'Fixes' is no verb in the imperative"),
            ("pte: fixing the order", "'fixing' is no verb in the imperative"),
            ("the order of stores", "'the' is no verb in the imperative"),
            ("pte: 3 tests", "'what the subject begins with' is no verb in the imperative"),
            ("pte: read an entry once.", "the subject ends with a period"),
            ("x" * 73, "the subject has 73 characters, 72 are the most"),
        ):
            with self.subTest(subject):
                self.assertEqual(commits.wrong(subject + BODY), [problem])

    def test_bad_bodies(self):
        none, blank = "there is no body that says why", "the second line is not blank"
        for message, problems in (
            ("pte: read once\n", [none]),
            ("pte: read once\n\n\n", [none]),
            ("pte: read once\n\nReviewed-by: A <a@example.org>\nFixes: 012345678901 (\"pte: read\")\n", [none]),
            ("pte: read once\nIt broke.\n", [blank]),
        ):
            with self.subTest(message):
                self.assertEqual(commits.wrong(message), problems)


class History(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        who = {f"GIT_{role}_{key}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        variables = mock.patch.dict(os.environ, who | {"GIT_CONFIG_GLOBAL": "/dev/null"})
        variables.start()
        self.addCleanup(variables.stop)
        self.git("init", "--quiet", "--initial-branch=main", str(self.top / "full"), at=self.top)
        self.commit("old ones are left alone")
        base = mock.patch.object(commits, "BASE", self.git("rev-parse", "HEAD"))
        base.start()
        self.addCleanup(base.stop)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        where = at or self.top / "full"
        return subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str) -> None:
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")

    def check(self, name: str = "full") -> str:
        with mock.patch.object(commits.paths, "repo", return_value=self.top / name):
            return commits.check([])

    def clone(self, depth: int) -> None:
        self.git("clone", "--quiet", f"--depth={depth}", f"file://{self.top}/full", "part", at=self.top)

    def test_commits_after_the_base_are_checked(self):
        self.assertIn("0 commits since", self.check())
        self.commit("pte: read once\n\nIt broke.")
        self.assertIn("1 commits since", self.check())
        self.commit("pte: reads once\n\nIt broke.")
        with self.assertRaisesRegex(Stop, r"\w+: 'reads' is no verb in the imperative \('pte: reads once'\)$"):
            self.check()

    def test_merges_are_left_out(self):
        self.git("checkout", "--quiet", "-b", "side")
        self.commit("pte: read once\n\nIt broke.")
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message=Merging of side", "side")
        self.assertIn("1 commits since", self.check())

    def test_a_shallow_clone_is_checked_as_far_as_it_goes(self):
        self.commit("pte: reads once\n\nIt broke.")
        self.commit("pte: write once\n\nIt broke.")
        self.clone(1)
        self.assertIn("1 commits in a shallow clone", self.check("part"))
        self.git("fetch", "--quiet", "--depth=2", at=self.top / "part")
        with self.assertRaisesRegex(Stop, "'reads' is no verb"):
            self.check("part")

    def test_a_shallow_clone_of_a_merge_has_nothing_to_check(self):
        self.git("checkout", "--quiet", "-b", "side")
        self.commit("pte: read once\n\nIt broke.")
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message=Merge side", "side")
        self.clone(1)
        with self.assertRaisesRegex(Stop, "no commit to look at"):
            self.check("part")

    def test_another_history_is_named(self):
        self.git("init", "--quiet", "--initial-branch=main", str(self.top / "other"), at=self.top)
        self.git("commit", "--quiet", "--allow-empty", "--message=Add it", at=self.top / "other")
        with self.assertRaisesRegex(Stop, "is not in this history"):
            self.check("other")
