# SPDX-License-Identifier: GPL-2.0-only
"""Reports of the fuzzer, of coverage and of mutants are read right, and judged."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from harness.cli import Stop
from harness.host import coverage, fuzz
from harness.mutants import mutants

FUZZED = """\
INFO: Running with entropic power schedule (0xFF, 100).
#2	INITED cov: 8 ft: 8 corp: 1/1b exec/s: 0 rss: 30Mb
#4096	NEW    cov: 12 ft: 15 corp: 5/9b lim: 4 exec/s: 0 rss: 31Mb L: 2/4 MS: 1 EraseBytes-
#7356682	DONE   cov: 13 ft: 17 corp: 6/10b lim: 4096 exec/s: 1226113 rss: 400Mb
Done 7356682 runs in 6 second(s)
""".splitlines()
CRASHED = [
    *FUZZED[:2],
    "==9== ERROR: libFuzzer: deadly signal",
    "SUMMARY: libFuzzer: deadly signal",
    "artifact_prefix='/b/crash-'; Test unit written to /b/crash-0a1b",
]


class Fuzz(unittest.TestCase):
    def test_a_good_run(self):
        self.assertEqual(fuzz.result(FUZZED), fuzz.Result(7356682, 13, 6, ""))

    def test_a_crash_names_its_input(self):
        self.assertEqual(fuzz.result(CRASHED).crash, "libFuzzer: deadly signal, input in /b/crash-0a1b")

    def test_no_instrumentation_is_seen(self):
        self.assertEqual(fuzz.result(["#9	DONE   cov: 0 ft: 0 corp: 1/1b"]).coverage, 0)


SOURCE = """\
fn a() {
    b();
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_x)]
mod tests {
    fn c() {}
}
"""


class Coverage(unittest.TestCase):
    def test_tests_at_the_end_do_not_count(self):
        self.assertEqual(coverage.code_ends(SOURCE), 4)
        self.assertEqual(coverage.code_ends(SOURCE.split("#[cfg")[0]), 4)
        # A module of tests in a separate file does not end the code.
        self.assertEqual(coverage.code_ends("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 3)

    def test_files_that_count(self):
        for name in ("pte.rs", "p2m.rs", "p2m/tree.rs", "boot/relocate.rs"):
            self.assertTrue(coverage.is_logic(Path(name)), name)
        others = ("platform/paging/entry_ptr.rs", "ops/hooks.rs", "p2m/tests.rs")
        for name in (*others, "testing/host/lib.rs", "testing/probes/pins.rs", "testing/model/src/a.rs"):
            self.assertFalse(coverage.is_logic(Path(name)), name)

    def test_lines_of_the_code_are_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.rs"
            path.write_text(SOURCE)
            # A line may be in the report more than once, for each copy of a generic function.
            report = f"SF:{path}\nDA:1,3\nDA:2,0\nDA:2,1\nDA:3,0\nDA:8,1\nend_of_record\nSF:/else/y.rs\nDA:1,1\n"
            self.assertEqual(coverage.table(report, Path(folder)), [("x.rs", 2, 3)])


def mutated(**counts: int) -> dict[str, list[str]]:
    """Mutants of each outcome, as many as `counts` has."""
    return {
        name: [f"host/../p2m.rs:{number}:5: replace f{number} -> bool with true" for number in range(counts.get(name, 0))]
        for name in ("caught", "missed", "timeout", "unviable")
    }


class Mutants(unittest.TestCase):
    def verdict(self, found: dict[str, list[str]], manual: str = "") -> str:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            path = Path(folder) / "mutants.md"
            path.write_text(manual)
            return mutants.verdict(found, path)

    def test_all_caught(self):
        self.assertIn("100.0 % of 5 mutants caught, 1 of them by", self.verdict(mutated(caught=4, timeout=1)))

    def test_too_many_survive(self):
        with self.assertRaises(Stop) as caught:
            self.verdict(mutated(caught=8, missed=2, unviable=5))
        self.assertIn("80.0 % of 10", str(caught.exception))

    def test_survivors_must_be_listed(self):
        found = mutated(caught=19, missed=1)
        with self.assertRaises(Stop) as caught:
            self.verdict(found)
        self.assertIn("1 are not listed", str(caught.exception))
        self.assertIn("1 survived", self.verdict(found, "| `p2m.rs: replace f0 -> bool with true` | why |\n"))

    def test_a_bar_in_a_table_is_escaped(self):
        self.assertEqual(mutants.listed("| `a.rs: replace \\| with ^ in f` | why |\n"), {"a.rs: replace | with ^ in f"})

    def test_no_mutant_is_no_pass(self):
        with self.assertRaisesRegex(Stop, "no mutant to test"):
            self.verdict(mutated(unviable=3))

    def test_files_have_figures(self):
        self.assertEqual(mutants.table(mutated(caught=2, missed=3, timeout=1, unviable=9)), [("p2m.rs", 3, 6)])
