# SPDX-License-Identifier: GPL-2.0-only
"""Every rule catches its bad lines and lets its good ones pass."""

import unittest
from pathlib import Path

from harness.boot import rules
from harness.boot.console import lines_of


def caught(text: str) -> list[str]:
    return [problem.what for problem in rules.problems(lines_of(text.encode()))]


class Rules(unittest.TestCase):
    def test_each_rule_catches_its_bad_lines(self):
        for rule in rules.LINUX + rules.XEN:
            self.assertTrue(rule.bad, f"{rule.name} has no sample")
            for text in rule.bad:
                with self.subTest(rule=rule.name, text=text):
                    self.assertTrue(rule.catches(text))
                    self.assertTrue(caught(text))
                    self.assertTrue(caught(f"[    1.234567] {text}\r") or text.startswith("(XEN)"))

    def test_good_lines_pass_every_rule(self):
        for rule in rules.LINUX + rules.XEN:
            self.assertTrue(rule.good, f"{rule.name} has no line that must pass")
            for text in rule.good:
                with self.subTest(rule=rule.name, text=text):
                    self.assertEqual(caught(text), [])

    def test_a_real_clean_log_passes(self):
        clean = (Path(__file__).parent / "samples/clean-dom0.log").read_text()
        self.assertEqual(caught(clean), [])

    def test_xen_rules_do_not_judge_linux_and_the_other_way_round(self):
        self.assertEqual(caught("d0v0 is a fine name for a disk"), [])
        self.assertEqual(caught("(XEN) suspicious"), [])

    def test_a_splat_is_found_in_a_line_torn_by_xen(self):
        self.assertEqual(caught("[    1.0] BUG: kernel NU(XEN) Scrubbing\nLL pointer dereference\n"), ["kernel bug"])

    def test_the_checkers_announcement_is_accepted(self):
        self.assertEqual(caught("page_table_check: Disabled"), [])

    def test_a_problem_names_its_line(self):
        problem = rules.problems(lines_of(b"fine\nOops: 0\n"))[0]
        self.assertEqual((problem.line, problem.text), (2, "Oops: 0"))

    def test_fatal_lines(self):
        for text in ("[ 1.0] Kernel panic - not syncing", "(XEN) Panic on CPU 0:", "(XEN) Hardware Dom0 crashed: x"):
            self.assertTrue(rules.FATAL.search(text))
        self.assertFalse(rules.FATAL.search("(XEN) Hardware Dom0 shutdown: powering off"))
