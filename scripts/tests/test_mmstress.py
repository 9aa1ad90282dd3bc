# SPDX-License-Identifier: GPL-2.0-only
"""The guest's test program, on the host: its runner's handling of outcomes, and its judge of messages."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.boot import rules
from tests import SCRIPTS

GUEST = SCRIPTS / "guest"
# The parts of mmstress that the runner and the judge need.
PARTS = ("complaint", "env", "pattern", "probe", "report", "run", "wrap")


class Mmstress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.program = Path(folder.name) / "selftest"
        (Path(folder.name) / "rules.h").write_text(rules.header())
        sources = [GUEST / "selftest/main.c", *(GUEST / f"mmstress/{part}.c" for part in PARTS)]
        flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", folder.name]
        subprocess.run([os.environ.get("CC", "gcc"), *flags, "-o", cls.program, *sources], check=True)

    def asked(self, *arguments: str, said: str = "") -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [self.program, *arguments], cwd=folder, input=said, capture_output=True, text=True, timeout=60, check=False
            )
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.stdout.splitlines()


class Runner(Mmstress):
    def run_tests(self, *names: str, workers: int = 1) -> list[str]:
        """Its lines about the tests, without how often and how long they ran."""
        lines = self.asked("run", "2", str(workers), *names)
        return [line.partition(" (")[0] for line in lines if line.split()[1] in ("PASS", "FAIL", "SKIP", "DONE")]

    def test_a_failure_in_another_run_counts_more_than_a_skip(self):
        said = self.run_tests("flaky", workers=2)
        self.assertEqual(said, ["PVMMU: FAIL flaky memory differs", "PVMMU: DONE pass=0 fail=1 skip=0"])

    def test_a_failure_in_the_same_run_counts_more_than_a_skip(self):
        said = self.run_tests("skips-and-fails")
        self.assertEqual(said, ["PVMMU: FAIL skips-and-fails memory differs", "PVMMU: DONE pass=0 fail=1 skip=0"])

    def test_a_crash_counts_more_than_a_skip(self):
        said = self.run_tests("skips-and-crashes")
        self.assertEqual(
            said, ["PVMMU: FAIL skips-and-crashes killed by Aborted", "PVMMU: DONE pass=0 fail=1 skip=0"]
        )

    def test_a_failure_does_not_change_the_results_of_others(self):
        for workers in (1, 3):
            with self.subTest(workers=workers):
                said = self.run_tests("passes", "skips", workers=workers)
                self.assertEqual(
                    said,
                    ["PVMMU: PASS passes", "PVMMU: SKIP skips there is nothing for it", "PVMMU: DONE pass=1 fail=0 skip=1"],
                )

    def test_the_last_line_reports_how_much_ran(self):
        last = self.asked("run", "1", "1", "passes", "skips")[-1]
        self.assertRegex(last, r"^PVMMU: DONE pass=1 fail=0 skip=1 \(2 runs, \d\d+ rounds\)$")


class Complaints(Mmstress):
    """The rules mean the same to it as to the harness."""

    def judged(self, lines: list[str]) -> list[str]:
        return self.asked("complaints", said="".join(f"{line}\n" for line in lines))

    def test_it_catches_lines_that_the_rules_catch(self):
        bad = [text for rule in rules.LINUX for text in rule.bad]
        expected = [next(rule.name for rule in rules.LINUX if rule.catches(text)) for text in bad]
        self.assertGreater(len(bad), 40)
        for head in ("", "<4>[    1.234567] ", "<4>[    1.234567][   T12] "):
            with self.subTest(head):
                self.assertEqual(self.judged([head + text for text in bad]), expected)

    def test_it_accepts_lines_that_the_rules_accept(self):
        good = [text for rule in rules.LINUX for text in rule.good]
        self.assertEqual(self.judged([f"<6>[    0.000000] {text}" for text in good]), [""] * len(good))
