# SPDX-License-Identifier: GPL-2.0-only
"""Mutants are inserted at the right places, get the right errors, and run the right tests."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

from harness.cli import Stop
from harness.mutants import mutant_run, schemata
from harness.mutants.mutant_run import Test
from harness.mutants.schemata import Blame, Mutant, Span

SOURCE = """\
const A: usize = 1 << 2;

/// The first fn { of two.
#[inline]
pub(crate) fn add(a: usize, [b, c]: [usize; 2]) -> usize {
    a + b + c
}

fn no(a: &bool) -> bool {
    !a // é
}
"""
ADD, NO = Span((3, 1), (7, 2)), Span((9, 1), (11, 2))


def mutant(number: int, span: Span, replacement: str, function: Span | None, returns: str = "-> usize") -> Mutant:
    owner = 3 if function == ADD else number
    return Mutant(number, owner, f"host/../a.rs:{number}", "host/../a.rs", span, replacement, function, returns)


MINUS = mutant(3, Span((6, 7), (6, 8)), "-", ADD)
ZERO = mutant(4, Span((6, 5), (6, 14)), "0", ADD)
YES = mutant(7, Span((10, 5), (10, 6)), "", NO)
RIGHT = mutant(0, Span((1, 20), (1, 22)), ">>", None)


class Switched(unittest.TestCase):
    def test_each_mutant_is_an_arm(self):
        text = schemata.switched(SOURCE, [MINUS, ZERO]).text
        head = "-> usize { match crate::mutation::chosen(3) {\n"
        arms = "3 => {\n    a - b + c\n}\n4 => {\n    0\n}\n_ => {\n    a + b + c\n}\n} }\n"
        self.assertIn(head + arms, text)
        self.assertTrue(text.startswith(SOURCE.partition("{ a")[0].partition("-> usize {")[0]))
        self.assertTrue(text.endswith("fn no(a: &bool) -> bool {\n    !a // é\n}\n"))

    def test_lines_of_arms_are_known(self):
        new = schemata.switched(SOURCE, [MINUS, ZERO, YES])
        lines = new.text.split("\n")
        for covered, number in new.mutants:
            arm = "\n".join(lines[line - 1] for line in covered)
            self.assertTrue(arm.startswith(f"{number} => {{"), arm)
            self.assertTrue(arm.endswith("\n}"), arm)
        for covered, number in new.functions:
            self.assertIn(f"chosen({number})", lines[covered[0] - 1])
            self.assertEqual(lines[covered[-1] - 1], "} }")

    def test_one_mutant_alone(self):
        self.assertEqual(schemata.mutated(SOURCE, RIGHT), SOURCE.replace("<<", ">>"))
        self.assertEqual(schemata.mutated(SOURCE, YES), SOURCE.replace("!a", "a"))

    def test_functions_in_functions_are_refused(self):
        text = "fn outer() -> bool {\n    fn inner() -> bool {\n        true\n    }\n    !inner()\n}\n"
        outer = mutant(1, Span((5, 5), (5, 6)), "", Span((1, 1), (6, 2)))
        inner = mutant(2, Span((3, 9), (3, 13)), "false", Span((2, 5), (4, 6)))
        with self.assertRaisesRegex(Stop, "is in another one"):
            schemata.switched(text, [outer, inner])

    def test_mutants_that_cannot_be_chosen(self):
        self.assertTrue(MINUS.can_be_chosen)
        self.assertFalse(RIGHT.can_be_chosen)
        self.assertFalse(mutant(1, MINUS.span, "x", ADD, "-> impl Iterator<Item = usize>").can_be_chosen)


def error(file: str, line: int, *notes: tuple[str, int], macro: tuple[str, int] | None = None) -> dict:
    """An error of the compiler at a place, which may be in a macro that is used at another one."""

    def span(file: str, line: int, primary: bool) -> dict:
        return {"file_name": file, "line_start": line, "is_primary": primary, "expansion": None}

    at = span(file, line, True)
    if macro:
        at["expansion"] = {"span": span(*macro, False)}
    return {"spans": [at], "children": [{"spans": [span(*note, True)]} for note in notes]}


class Blamed(unittest.TestCase):
    files = {"host/../a.rs": schemata.switched(SOURCE, [MINUS, ZERO, YES])}

    def line(self, what: str) -> int:
        return self.files["host/../a.rs"].text.split("\n").index(what) + 1

    def test_a_mutant_that_does_not_compile(self):
        errors = [error("host/../a.rs", self.line("    a - b + c")), {"spans": [], "children": []}]
        self.assertEqual(schemata.blamed(errors, self.files), Blame({3}))

    def test_only_the_first_place_counts(self):
        errors = [error("host/../a.rs", self.line("    0"), ("host/../a.rs", self.line("    a - b + c")))]
        self.assertEqual(schemata.blamed(errors, self.files), Blame({4}))

    def test_an_error_in_a_macro(self):
        errors = [error("lib.rs", 5, macro=("host/../a.rs", self.line("    0")))]
        self.assertEqual(schemata.blamed(errors, self.files), Blame({4}))

    def test_a_function_that_the_compiler_evaluates(self):
        asked = self.line("pub(crate) fn add(a: usize, [b, c]: [usize; 2]) -> usize { match crate::mutation::chosen(3) {")
        errors = [error("host/../mutation.rs", 9, ("host/../a.rs", asked), ("host/../b.rs", 1))]
        self.assertEqual(schemata.blamed(errors, self.files), Blame(functions={3}))

    def test_an_error_elsewhere_concerns_no_mutant(self):
        self.assertEqual(schemata.blamed([error("host/../b.rs", 3)], self.files), Blame())
        self.assertEqual(schemata.blamed([error("host/../a.rs", 1)], self.files), Blame())


class Read(unittest.TestCase):
    entry = {
        "file": "host/../a.rs",
        "span": {"start": {"line": 6, "column": 7}, "end": {"line": 6, "column": 8}},
        "replacement": "-",
        "function": {
            "function_name": "add",
            "return_type": "-> usize",
            "span": {"start": {"line": 3, "column": 1}, "end": {"line": 7, "column": 2}},
        },
    }

    def test_mutants_of_one_function(self):
        names = ["host/../a.rs:6:7: replace + with - in add", "host/../a.rs:6:7: replace + with * in add"]
        found = schemata.read(json.dumps([self.entry, self.entry]), names)
        self.assertEqual([(one.number, one.owner, one.name) for one in found], [(0, 0, names[0]), (1, 0, names[1])])
        self.assertEqual((found[0].span, found[0].function, found[0].replacement), (MINUS.span, ADD, "-"))

    def test_lists_that_differ(self):
        with self.assertRaisesRegex(Stop, "two lists differ"):
            schemata.read(json.dumps([self.entry]), [])


# Stands for a test program: its results depend on the mutant that the environment names.
PROGRAM = """\
#!/bin/sh
case "$*" in
*--ignored*) echo 'soak: test' ;;
*--list*) printf 'quick: test\\nsoak: test\\nslow: test\\n' ;;
*)
	shift 2
	[ -z "$MUTANTS_REACHED" ] || echo 12 >"$MUTANTS_REACHED"
	for name; do
		case "$MUTANT-$name" in
		1-quick | 2-slow) echo "test $name ... FAILED" && exit 101 ;;
		3-*) while :; do :; done ;;
		4-slow) kill -ABRT $$ ;;
		5-slow) exit 0 ;;
		esac
		echo "test $name ... ok"
	done
	;;
esac
"""


class Trial(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = Path(folder.name) / "program"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        self.runner = mutant_run.Runner(Path(folder.name), "1")

    def outcome(self, mutant: int) -> str:
        tests = [Test("slow", 9.0, frozenset()), Test("quick", 0.1, frozenset())]
        return self.runner.outcome(self.program, tests, MUTANT=str(mutant))

    def test_tests_are_measured(self):
        with contextlib.redirect_stdout(io.StringIO()):
            found = self.runner.tests(self.program, 2)
        self.assertEqual([(test.name, test.functions) for test in found], [("quick", {12}), ("slow", {12})])

    def test_tests_must_pass_without_a_mutant(self):
        self.program.write_text(PROGRAM.replace('"$MUTANT-', '"1-'))
        with self.assertRaisesRegex(Stop, "^quick fails without a mutant$"):
            self.runner.tests(self.program, 1)

    def test_outcomes(self):
        for number, expected in ((0, "missed"), (1, "caught"), (2, "caught"), (4, "caught")):
            self.assertEqual(self.outcome(number), expected, number)

    def test_a_mutant_that_does_not_end(self):
        seconds = mutant_run._LONGER, mutant_run._MORE_SECONDS
        mutant_run._LONGER, mutant_run._MORE_SECONDS = 0, 0
        try:
            self.assertEqual(self.outcome(3), "timeout")
        finally:
            mutant_run._LONGER, mutant_run._MORE_SECONDS = seconds

    def test_a_test_that_did_not_run_is_noticed(self):
        with self.assertRaisesRegex(Stop, "^0 of 1 tests ran$"):
            self.outcome(5)

    def test_the_quick_ones_come_first(self):
        tests = [Test(str(seconds), seconds, frozenset()) for seconds in (5.0, 0.2, 0.4, 1.5, 0.3, 1.8)]
        names = [[test.name for test in part] for part in mutant_run.rounds(tests)]
        self.assertEqual(names, [["0.2", "0.3", "0.4"], ["1.5"], ["1.8"], ["5.0"]])
        self.assertEqual(mutant_run.rounds([]), [])
