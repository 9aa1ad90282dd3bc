# SPDX-License-Identifier: GPL-2.0-only
"""A user's mistake, or something that the machine lacks, ends with one error that names the fix."""

import contextlib
import errno
import io
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from harness import cli, settings, test_plan
from harness.check import checks
from harness.cli import Stop
from harness.mutants import mutants
from harness.series import series_boot
from tests import SCRIPTS


class Numbers(unittest.TestCase):
    def number(self, text: str) -> int:
        with mock.patch.dict(os.environ, {"N": text}):
            return settings.number("N", 5, 1, 9)

    def test_a_number(self):
        self.assertEqual((self.number("9"), self.number("1"), self.number("")), (9, 1, 5))

    def test_anything_else_is_refused_by_name(self):
        for text in ("x", "0", "10", "-1", "1.5", " 2"):
            with self.assertRaisesRegex(Stop, f"^N={text} is not a number from 1 to 9$"):
                self.number(text)

    def test_no_jobs_at_all(self):
        with mock.patch.dict(os.environ, {"JOBS": "0"}), self.assertRaisesRegex(Stop, "JOBS=0"):
            settings.jobs()


class Steps(unittest.TestCase):
    def chosen(self, pattern: str) -> str:
        with mock.patch.object(test_plan, "steps", return_value=[test_plan.Step("one", "first", lambda: "fine")]):
            with self.assertRaises(Stop) as caught:
                test_plan.main([pattern])
        return f"{caught.exception} -> {caught.exception.advice}"

    def test_a_name_that_no_step_has(self):
        self.assertEqual(self.chosen("two"), "no step matches ONLY=two -> there are: one")

    def test_a_pattern_that_is_no_regular_expression(self):
        self.assertIn("ONLY=*( is not a regular expression: nothing to repeat", self.chosen("*("))

    def test_a_full_disk_fails_the_step_and_not_the_run(self):
        def full() -> str:
            raise OSError(errno.ENOSPC, "No space left on device", "/b/log")

        steps = [test_plan.Step("one", "first", full), test_plan.Step("two", "second", lambda: "fine")]
        output = io.StringIO()
        with (
            mock.patch.object(test_plan, "steps", return_value=steps),
            mock.patch.object(test_plan.paths, "logs", return_value=Path("/log")),
            contextlib.redirect_stdout(output),
        ):
            self.assertEqual(test_plan.main([]), 1)
        self.assertIn("No space left on device: '/b/log'\n  -> make room there", output.getvalue())
        self.assertTrue(output.getvalue().endswith("1 passed, 1 failed\n"))


class Commands(unittest.TestCase):
    def run_main(self, error: BaseException) -> tuple[int, str]:
        errors = io.StringIO()
        with (
            mock.patch("sys.argv", ["x"]),
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            cli.run(mock.Mock(side_effect=error))
        return caught.exception.code, errors.getvalue()

    def test_no_traceback_for_errors_of_the_system(self):
        code, text = self.run_main(OSError(errno.EROFS, "Read-only file system", "/b"))
        self.assertEqual(code, 1)
        self.assertTrue(text.startswith("error: [Errno 30] Read-only file system: '/b'\n  -> set XEN_PVMMU_BUILD"))
        code, text = self.run_main(subprocess.CalledProcessError(23, ["rsync", "-a"]))
        self.assertEqual((code, text), (1, "error: rsync ended with 23\n  -> fix what it names above\n"))

    def test_a_bug_in_the_scripts_keeps_its_traceback(self):
        with mock.patch("sys.argv", ["x"]), self.assertRaises(ZeroDivisionError):
            cli.run(lambda arguments: 1 // len(arguments))

    def test_an_option_that_check_does_not_have(self):
        with self.assertRaisesRegex(Stop, "cannot do --nope"):
            checks.main(["--nope"])

    def test_what_a_series_cannot_boot(self):
        for variant, machine in (("x", "dom0-2cpu"), ("rust", "x"), ("c", "guest")):
            with self.assertRaisesRegex(Stop, f"cannot boot '{machine}' with '{variant}'"):
                series_boot.main(["boot", variant, machine])

    def test_files_without_a_mutant(self):
        with (
            mock.patch.object(mutants.cargo, "tool"),
            mock.patch.object(mutants, "_list", side_effect=["[]", ""]),
            self.assertRaisesRegex(Stop, "there is no mutant to test"),
        ):
            mutants.run()


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XEN_PVMMU_")}
        self.environment = kept | {
            "XEN_PVMMU_CACHE": str(self.folder / "cache"),
            "XEN_PVMMU_BUILD": str(self.folder / "build"),
        }

    def fails(self, *command: str, **variables: str) -> str:
        """The output, in one line, of a script that must fail."""
        done = subprocess.run(
            [SCRIPTS / command[0], *command[1:]],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        return done.stderr

    def test_a_version_of_the_kernel_that_is_not_known(self):
        for script in ("setup", "enter", "clean"):
            text = self.fails(script, "true", KVER="6.1")
            self.assertEqual(text, f"{script}: KVER=6.1 is not supported. Leave it out, or set it to one of: 7.2 7.3.\n")

    def test_a_path_that_builds_do_not_support(self):
        self.assertIn("has a blank", self.fails("enter", "true", XEN_PVMMU_BUILD="/a b"))

    def test_no_home(self):
        del self.environment["XEN_PVMMU_CACHE"]
        self.environment.pop("XDG_CACHE_HOME", None)
        self.assertIn("HOME: is not set. Set XEN_PVMMU_CACHE", self.fails("enter", "true", HOME=""))

    def test_a_place_that_cannot_be_written(self):
        (self.folder / "file").touch()
        done = subprocess.run(
            [SCRIPTS / "enter", "true"],
            env=self.environment | {"XEN_PVMMU_BUILD": str(self.folder / "file/build")},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("file/build cannot be written. Set XEN_PVMMU_BUILD", done.stderr)

    def test_a_missing_command_and_a_missing_build_root(self):
        self.assertIn("which command?", self.fails("enter"))
        self.assertIn("Run: make setup", self.fails("enter", "true"))

    def test_nothing_is_removed_by_mistake(self):
        build = self.folder / "build"
        build.mkdir()
        self.assertIn("cannot do --all", self.fails("clean", "--all"))
        self.assertIn("was not made by these scripts", self.fails("clean"))
        self.assertTrue(build.is_dir())

    def bare(self, user: int, *commands: str, **texts: str) -> str:
        """A PATH with what any machine has, these commands that do nothing, and these that do what is given."""
        tools = self.folder / "bare"
        tools.mkdir()
        texts |= {"id": f'case $1 in -u) echo {user} ;; *) echo "$NAME" ;; esac'} | dict.fromkeys(commands, "exit 0")
        for name in "bash cut dirname env flock grep mkdir mktemp rm sed sha256sum sort tr wc".split():
            (tools / name).symlink_to(shutil.which(name))
        for name, text in texts.items():
            (tools / name).write_text(f"#!{shutil.which('sh')}\n{text}\n")
            (tools / name).chmod(0o755)
        return str(tools)

    def test_all_that_a_user_has_to_ask_root_for(self):
        path = self.bare(1000, "apt-get")
        self.assertEqual(
            self.fails("setup", PATH=path),
            "setup: missing: bwrap mmdebstrap newuidmap. As root, run: apt-get install bubblewrap mmdebstrap uidmap\n",
        )
        (Path(path) / "bwrap").symlink_to(shutil.which("env"))
        self.assertIn(": mmdebstrap newuidmap. As root, run: apt-get install mmdebstrap", self.fails("setup", PATH=path))

    def test_a_machine_without_debian(self):
        for user in (0, 1000):
            with self.subTest(user):
                text = self.fails("setup", PATH=self.bare(user))
                self.assertIn("missing: bwrap mmdebstrap", text)
                self.assertIn("Use a container with Debian, see Requirements in", text)
                shutil.rmtree(self.folder / "bare")

    def test_no_namespaces(self):
        path = self.bare(0, "apt-get", "mmdebstrap", bwrap="echo No permissions >&2; exit 1")
        text = self.fails("setup", PATH=path)
        self.assertIn("cannot be entered (No permissions). Allow user namespaces; a container needs --privileged", text)

    def test_a_user_without_further_ids(self):
        path = self.bare(1000, "apt-get", "bwrap", "mmdebstrap", "newuidmap")
        text = self.fails("setup", PATH=path, NAME="nobody-of-that-name")
        self.assertIn("nobody-of-that-name has no range in /etc/subuid. As root, run: usermod --add-subuids", text)
        (Path(path) / "id").write_text('#!/bin/sh\n[ "$1" = -u ] && echo 1000\n')
        self.assertIn("user id 1000 has no name here. Run it as root", self.fails("setup", PATH=path))

    def test_a_source_of_xen_that_is_no_tarball(self):
        (self.folder / "text").write_text("no tarball\n")
        for name in ("/nowhere", str(self.folder / "text"), str(self.folder)):
            text = self.fails("setup", "shadow-xen", XEN_PVMMU_XEN_SOURCE=name)
            self.assertIn(f"XEN_PVMMU_XEN_SOURCE={name} is not a tarball that can be read. Set it", text)

    def test_the_release_of_a_xen_source(self):
        (self.folder / "xen").mkdir()
        makefile = self.folder / "xen/Makefile"
        function = re.search(r"^release_of\(\) \{\n.*?^\}\n", (SCRIPTS / "setup").read_text(), re.M | re.S)[0]
        for text, release in (
            ("export XEN_VERSION       = 4\nexport XEN_SUBVERSION    = 20\nexport XEN_EXTRAVERSION ?= .1\n", "4.20"),
            ("export XEN_VERSION := 4\nexport XEN_SUBVERSION := 17\n", "4.17"),
            ("all:\n", ""),
        ):
            makefile.write_text(text)
            done = subprocess.run(
                ["bash", "-c", f"{function}release_of {self.folder}"], capture_output=True, text=True, check=True
            )
            self.assertEqual(done.stdout.strip(), release)

    def test_a_tree_of_the_user(self):
        self.assertIn("/nowhere is not a Linux source tree", self.fails("setup", KDIR="/nowhere"))
        # This repository has a Kbuild as well.
        self.assertIn("is not a Linux source tree", self.fails("setup", KDIR=str(SCRIPTS.parent)))
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "find").write_text("#!/bin/sh\necho find: no /boot >&2\nexit 1\n")
        (tools / "find").chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        self.assertIn("no Xen binary in /boot. Install", self.fails("host-tools", "xen", KDIR="/", PATH=path))
        self.assertIn("XEN=/nowhere is not a file", self.fails("host-tools", "xen", KDIR="/", XEN="/nowhere"))

    def test_a_setup_that_is_killed_leaves_no_process(self):
        tools = self.folder / "tools"
        tools.mkdir()
        # As root, whatever user runs the tests.
        texts = {"id": "echo 0", "bwrap": "exit 0", "mmdebstrap": "echo $$ >\"$MARK\"; exec sleep 60"}
        for name, text in texts.items():
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        mark = self.folder / "mark"
        variables = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "MARK": str(mark),
            "XEN_PVMMU_MIRROR": "http://localhost/debian",
        }
        child = subprocess.Popen([SCRIPTS / "setup"], env=self.environment | variables, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        self.assertNotEqual(child.wait(20), 0)
        cache = self.folder / "cache"
        self.assertEqual({path.name for path in cache.iterdir()}, {"CACHEDIR.TAG", "lock", "setup.log"})
        # The next setup waits at most a moment for the one that was killed.
        subprocess.run(["flock", "--timeout=10", cache / "lock", "true"], check=True)
