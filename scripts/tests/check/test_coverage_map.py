# SPDX-License-Identifier: GPL-2.0-only
"""The coverage map is compared with the tests that exist."""

import unittest

from harness.check import coverage_map

KNOWN = {"guest": {"fork"}}
ROWS = [f"| I{n} | fact | `guest:fork` |" for n in range(1, coverage_map.INVARIANTS + 1)]


class Map(unittest.TestCase):
    def test_complete(self):
        self.assertEqual(coverage_map.wrong("\n".join(ROWS), KNOWN), [])

    def test_missing_invariant(self):
        self.assertEqual(coverage_map.wrong("\n".join(ROWS[:-1]), KNOWN), [f"{coverage_map.PAGE}:1: no row I44"])

    def test_unknown_name_and_kind(self):
        rows = ["| H1 | fact | `guest:spoon` |", "| H2 | fact | `moon:fork` |", *ROWS]
        self.assertEqual(
            coverage_map.wrong("\n".join(rows), KNOWN),
            [f"{coverage_map.PAGE}:1: no test guest:spoon", f"{coverage_map.PAGE}:2: no test moon:fork"],
        )

    def test_neither_test_nor_reason(self):
        found = coverage_map.wrong("\n".join([*ROWS, "| H1 | fact | open: |", "| H2 | fact | open: a boot |"]), KNOWN)
        self.assertEqual(found, [f"{coverage_map.PAGE}:45: H1 has neither a test nor a reason"])

    def test_row_that_is_there_twice(self):
        found = coverage_map.wrong("\n".join([*ROWS, ROWS[0]]), KNOWN)
        self.assertEqual(found, [f"{coverage_map.PAGE}:45: I1 is there twice"])
