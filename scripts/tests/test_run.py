# SPDX-License-Identifier: GPL-2.0-only
"""A machine is run to its end, its crash or its time-out; a plan to its count."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import test_plan
from harness.boot import boot
from harness.cli import Stop, elapsed
from tests import SCRIPTS
from tests.boot.test_boot import GOOD, MACHINE


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patch = mock.patch.dict(os.environ, {"XEN_PVMMU_BUILD": folder.name})
        patch.start()
        self.addCleanup(patch.stop)

    def run_machine(self, script: str) -> boot.Verdict:
        with (
            mock.patch.object(boot, "command", return_value=["sh", "-c", script]),
            mock.patch.object(boot, "_GRACE_SECONDS", 1),
            mock.patch.object(boot, "_LAST_WORDS_SECONDS", 0.2),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            return boot.run(MACHINE, Path("/i"))

    def test_a_good_machine(self):
        verdict = self.run_machine(f"cat <<'END'\n{GOOD}END")
        self.assertEqual(verdict.problems, [])
        self.assertEqual(verdict.log.read_text(), GOOD)

    def test_a_hang_ends_at_the_time_out(self):
        verdict = self.run_machine("echo working; exec sleep 60")
        self.assertIn("no end within 1 s; its last line: working", str(verdict.problems[0]))
        self.assertLess(verdict.seconds, 10)

    def test_a_crash_ends_soon(self):
        verdict = self.run_machine("echo '(XEN) Panic on CPU 0:'; exec sleep 60")
        self.assertIn("it crashed", str(verdict.problems[0]))

    def test_staying_on_is_noticed(self):
        verdict = self.run_machine("echo 'PVMMU: DONE pass=1 fail=0 skip=0'; exec sleep 60")
        self.assertIn("did not power off", str(verdict.problems[0]))

    def test_qemu_that_cannot_start_is_noticed(self):
        verdict = self.run_machine("echo 'could not load kernel' >&2; exit 1")
        self.assertIn("QEMU ended with 1: could not load kernel", str(verdict.problems[0]))

    def test_no_child_outlives_an_interrupt(self):
        children = []
        popen = boot.subprocess.Popen

        def remember(*arguments, **options):
            children.append(popen(*arguments, **options))
            return children[-1]

        with (
            mock.patch.object(boot.subprocess, "Popen", remember),
            mock.patch.object(boot, "follow", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            self.run_machine("exec sleep 60")
        self.assertIsNotNone(children[0].poll())


class Plan(unittest.TestCase):
    def run_plan(self, steps: list[test_plan.Step]) -> tuple[int, list[str]]:
        output = io.StringIO()
        with (
            mock.patch.object(test_plan, "steps", return_value=steps),
            mock.patch.object(test_plan.paths, "logs", return_value=Path("/log")),
            contextlib.redirect_stdout(output),
        ):
            code = test_plan.main([])
        return code, output.getvalue().splitlines()

    @staticmethod
    def failing() -> str:
        raise Stop("it broke\nin a way", "fix it")

    def test_all_pass(self):
        code, lines = self.run_plan([test_plan.Step("one", "first", lambda: "fine")])
        self.assertEqual((code, lines[-1]), (0, "1 passed, 0 failed"))
        self.assertIn("[1/1] one: first", lines)

    def test_a_failure_and_what_depends_on_it_are_counted(self):
        steps = [
            test_plan.Step("one", "first", self.failing),
            test_plan.Step("two", "second", lambda: "fine", needs="one"),
            test_plan.Step("three", "third", lambda: "fine"),
        ]
        code, lines = self.run_plan(steps)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 2 failed"))
        self.assertTrue(any("not run" in line for line in lines))
        self.assertIn("  -> fix it", lines)

    def test_each_need_is_an_earlier_step(self):
        with mock.patch.dict(os.environ, {"XEN_PVMMU_BUILD": "/b"}):
            names: list[str] = []
            for step in test_plan.steps():
                self.assertTrue(not step.needs or step.needs in names, step)
                names.append(step.name)
        self.assertEqual(len(names), len(set(names)))

    def test_every_file_of_tests_is_found(self):
        """unittest skips a folder without __init__.py, or one that is not below tests/."""

        def files(suite: unittest.TestSuite) -> set[str]:
            found = set()
            for part in suite:
                found |= files(part) if isinstance(part, unittest.TestSuite) else {type(part).__module__}
            return found

        written = {path for path in SCRIPTS.rglob("test_*.py") if path != Path(test_plan.__file__)}
        names = {".".join(path.relative_to(SCRIPTS).with_suffix("").parts) for path in written}
        self.assertEqual(files(test_plan.own_tests()), names)

    def test_elapsed(self):
        self.assertEqual((elapsed(5.04), elapsed(125)), ("5.0 s", "2 min 05 s"))
