# SPDX-License-Identifier: GPL-2.0-only
"""The output of cargo and of the test programs is read right, and judged."""

import contextlib
import io
import os
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from harness.build import cargo
from harness.cli import Stop
from harness.host import host

GOOD = """\
     Running unittests lib.rs (build/cargo/debug/deps/xen_pv_mmu-0123)
test entry::tests::frames ... ok
test p2m::tests::panics - should panic ... ok
test soak::trace ... ignored, a long run
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
   Doc-tests xen_model
test model/src/lib.rs - (line 3) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s
""".splitlines()
BAD = """\
     Running unittests lib.rs (build/cargo/debug/deps/xen_pv_mmu-0123)
test entry::tests::frames ... FAILED
test level::tests::spans ... ok
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
error: test failed, to rerun pass `-p xen-pv-mmu --lib`
""".splitlines()
LOCKED_OUT = """\
error: no matching package named `proptest` found
location searched: crates.io index
As a reminder, you're using offline mode (--offline)
""".splitlines()

# The first line of a stand-in for cargo.
NOT_RUN = 'case "$*" in *--no-run*) exit;; esac'


def ran(lines: list[str], code: int = 0, in_time: bool = True) -> cargo.Run:
    return cargo.Run(code, lines, 1.0, Path("/log"), in_time)


class Results(unittest.TestCase):
    def test_all_programs_count(self):
        self.assertEqual(host.counts(GOOD), host.Counts(3, 0, 1, 2))

    def test_good(self):
        self.assertEqual(host.judge(ran(GOOD), ""), "3 tests in 2 programs")

    def stop(self, run: cargo.Run) -> Stop:
        with self.assertRaises(Stop) as caught:
            host.judge(run, "make host SEED=1")
        return caught.exception

    def test_a_failure_is_named_and_can_be_repeated(self):
        stop = self.stop(ran(BAD, 101))
        self.assertIn("1 of the tests failed", str(stop))
        self.assertIn("entry::tests::frames", str(stop))
        self.assertIn("make host SEED=1", stop.advice)

    def test_no_test_is_no_pass(self):
        self.assertIn("no test ran", str(self.stop(ran([]))))

    def test_a_crash_is_no_pass(self):
        lines = [*GOOD[:2], "error: test failed (signal: 6, SIGABRT)"]
        self.assertIn("SIGABRT", str(self.stop(ran(lines, 101))))

    def test_the_limit_is_no_pass(self):
        self.assertIn("3 had passed", str(self.stop(ran(GOOD, -15, in_time=False))))

    def test_a_crate_that_is_missing(self):
        with self.assertRaises(Stop) as caught:
            cargo.stop_of_build(ran(LOCKED_OUT, 101))
        self.assertEqual(caught.exception.advice, "run: make setup")


class Progress(unittest.TestCase):
    def test_compiling(self):
        self.assertEqual(cargo.compiles("   Compiling proptest v1.11.0"), "compiling proptest")
        self.assertIsNone(cargo.compiles("    Finished `dev` profile"))

    def test_tests(self):
        watch = host._Watch()
        said = [watch(line) for line in GOOD]
        self.assertEqual(said[2], "2 tests done, in lib.rs")
        self.assertEqual(said[-2], "3 tests done, in xen_model")

    def test_soaks_add_up(self):
        watch = host._SoakWatch()
        watch("soak trace: 5000000 of 8000000 operations")
        watch("soak p2m: 1000 of 2000000 operations")
        self.assertEqual(watch("soak p2m: 2000 of 2000000 operations"), "5,002,000 operations in 2 soaks")
        self.assertEqual(host.soaked(["soak a: 1 of 9 operations", "soak a: 9 of 9 operations"]), {"a": 9})


class Commands(unittest.TestCase):
    """`cargo` is a script here."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "rust").mkdir()
        places = {f"XEN_PVMMU_{name}": folder.name for name in ("REPO", "BUILD")}
        environment = places | {"PATH": f"{folder.name}:{os.environ['PATH']}", "SEED": "7"}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)

    def cargo(self, script: str) -> None:
        path = self.folder / "cargo"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def call(self, function, *arguments):
        with contextlib.redirect_stdout(io.StringIO()):
            return function(*arguments)

    def test_output_is_logged_and_without_colour(self):
        self.cargo(r"printf '\033[1mred\033[0m\n'; exit 3")
        done = self.call(cargo.run, "it", [], lambda line: None, 10)
        self.assertEqual((done.code, done.lines, done.in_time), (3, ["red"], True))
        self.assertIn("red", done.log.read_text())

    def test_a_hang_ends_with_all_its_children(self):
        self.cargo("sleep 60 & echo $!; wait")
        done = self.call(cargo.run, "it", [], lambda line: None, 1)
        self.assertFalse(done.in_time)
        self.assertLess(done.seconds, 20)
        with self.assertRaises(ProcessLookupError):
            # It dies at once, and disappears when init has reaped it.
            for _ in range(100):
                os.kill(int(done.lines[0]), 0)
                time.sleep(0.05)

    def test_host_tests_get_the_seed(self):
        good = "\n".join(GOOD)
        self.cargo(f"{NOT_RUN}\n[ \"$PROPTEST_RNG_SEED\" = 7 ] || exit 1\ncat <<'END'\n{good}\nEND")
        self.assertEqual(self.call(host.tests), "3 tests in 2 programs, seed 7")

    def test_a_soak_that_does_too_little_fails(self):
        said = "\n".join(["soak p2m: 9 of 9 operations", *GOOD])
        self.cargo(f"cat <<'END'\n{said}\nEND")
        with mock.patch.dict(os.environ, {"SOAK": "10"}), self.assertRaises(Stop) as caught:
            self.call(host.soak)
        self.assertIn("only 9 operations", str(caught.exception))
        with mock.patch.dict(os.environ, {"SOAK": "9"}):
            self.assertIn("9 operations in 1 soaks", self.call(host.soak))

    def test_types(self):
        self.cargo("echo 'test tests/fail/pfn.rs [should fail to compile] ... ok'")
        self.assertEqual(self.call(host.types), "1 cases")
        # On a slow machine the test program puts this before the word.
        self.cargo("echo 'test tests/ok.rs [should pass] ... test cases has been running for over 60 seconds'; echo ok")
        self.assertEqual(self.call(host.types), "1 cases")
        self.cargo(f"{NOT_RUN}\necho 'test tests/fail/pfn.rs ... mismatch'; exit 101")
        with self.assertRaises(Stop) as caught:
            self.call(host.types)
        self.assertIn("tests/fail/pfn.rs: mismatch", str(caught.exception))
        self.cargo("true")
        with self.assertRaises(Stop) as caught:
            self.call(host.types)
        self.assertIn("no case ran", str(caught.exception))

    def test_seed_must_be_a_number(self):
        self.assertEqual(cargo.seed(), 7)
        with mock.patch.dict(os.environ, {"SEED": "x"}), self.assertRaisesRegex(Stop, "^SEED=x is not a number"):
            cargo.seed()
