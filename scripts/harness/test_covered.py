# SPDX-License-Identifier: GPL-2.0
"""The coverage map is held to what exists."""

import unittest

from . import covered

KNOWN = {"guest": {"fork"}}
ROWS = [f"| I{n} | fact | `guest:fork` |" for n in range(1, covered.INVARIANTS + 1)]


class Map(unittest.TestCase):
    def test_complete(self):
        self.assertEqual(covered.wrong("\n".join(ROWS), KNOWN), [])

    def test_missing_invariant(self):
        self.assertEqual(covered.wrong("\n".join(ROWS[:-1]), KNOWN), [f"{covered.PAGE}:1: no row I44"])

    def test_unknown_name_and_kind(self):
        rows = ["| H1 | fact | `guest:spoon` |", "| H2 | fact | `moon:fork` |", *ROWS]
        self.assertEqual(
            covered.wrong("\n".join(rows), KNOWN),
            [f"{covered.PAGE}:1: no test guest:spoon", f"{covered.PAGE}:2: no test moon:fork"],
        )

    def test_neither_test_nor_reason(self):
        found = covered.wrong("\n".join([*ROWS, "| H1 | fact | open: |", "| H2 | fact | open: a boot |"]), KNOWN)
        self.assertEqual(found, [f"{covered.PAGE}:45: H1 has neither a test nor a reason"])

    def test_row_that_is_there_twice(self):
        found = covered.wrong("\n".join([*ROWS, ROWS[0]]), KNOWN)
        self.assertEqual(found, [f"{covered.PAGE}:45: I1 is there twice"])
