# SPDX-License-Identifier: GPL-2.0-only
"""A whole console log is judged: markers, counts, KUnit."""

import gzip
import os
import re
import shutil
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from harness.boot import boot, initramfs, ktap, machines
from harness.boot.console import lines_of
from harness.boot.rules import Problem
from harness.build import kernel
from tests import REPO, SCRIPTS

KUNIT = """\
[    1.0] KTAP version 1
[    1.0] 1..1
[    1.0]     KTAP version 1
[    1.0]     # Subtest: xen_pv_mmu_walk
[    1.0]     1..2
[    1.0]     ok 1 four_levels
[    1.0]     ok 2 five_levels
[    1.0] # xen_pv_mmu_walk: pass:2 fail:0 skip:0 total:2
[    1.0] ok 1 xen_pv_mmu_walk
"""
GOOD = f"""\
[    0.5] Booting kernel on Xen
{KUNIT}  PV MMU: Rust
  Paging levels: 4
PVMMU: PASS fork
PVMMU: PASS exec
PVMMU: SKIP nonram no ACPI NVS
PVMMU: DONE pass=2 fail=0 skip=1 (3 runs, 27 rounds)
[    9.0] reboot: Power down
"""
MACHINE = machines.Machine("test", "rust", "dom0", 2, 1024, "512M,max:1024M", "pvmmu.run=smoke", 1)


def problems(log: str, machine: machines.Machine = MACHINE) -> list[str]:
    return [str(problem) for problem in boot.judge(machine, lines_of(log.encode()))[0]]


class Judge(unittest.TestCase):
    def test_a_good_log(self):
        found, tests, guest = boot.judge(MACHINE, lines_of(GOOD.encode()))
        names = [f"xen_pv_mmu_walk.{name}_levels" for name in ("four", "five")]
        self.assertEqual((found, tests.passed, guest), ([], names, "guest pass=2 fail=0 skip=1"))

    def test_each_marker_is_missed(self):
        for marker in MACHINE.markers:
            with self.subTest(marker):
                log = "\n".join(line for line in GOOD.splitlines() if not re.search(marker, line))
                self.assertEqual(problems(log), [f"never printed: {marker}"])

    def test_a_machine_that_dies_must_print_the_reason(self):
        dying = replace(MACHINE, dies=r"refused: -\d+$")
        crash = "(XEN) Hardware Dom0 crashed: 'noreboot' set - not rebooting.\n"
        self.assertEqual(problems("refused: -1\n" + crash, dying), [])
        self.assertEqual(problems(crash, dying), [r"never printed: refused: -\d+$"])
        talking = replace(dying, must_print=("last words",))
        self.assertEqual(problems("refused: -1\n" + crash, talking), ["never printed: last words"])

    def test_no_test_passed_is_not_done(self):
        none = GOOD.replace("PVMMU: PASS", "x").replace("pass=2", "pass=0")
        self.assertEqual(problems(none), [f"never printed: {machines.DONE}"])

    def test_lost_lines_are_noticed(self):
        self.assertEqual(
            problems(GOOD.replace("PVMMU: PASS exec\n", "")), ["the guest counts 2 passes, the log shows 1"]
        )
        self.assertEqual(
            problems(GOOD.replace("PVMMU: SKIP nonram no ACPI NVS\n", "")), ["the guest counts 1 skips, the log shows 0"]
        )

    def test_a_kunit_failure_is_named(self):
        bad = GOOD.replace("    ok 2 five", "    not ok 2 five").replace("] ok 1 xen", "] not ok 1 xen")
        self.assertEqual(problems(bad), ["KUnit: xen_pv_mmu_walk.five_levels failed"])

    def test_a_kunit_crash_is_noticed(self):
        start = GOOD.index("[    1.0]     ok 2")
        end = GOOD.index("  PV MMU: Rust")
        self.assertEqual(problems(GOOD[:start] + GOOD[end:]), ["KUnit: xen_pv_mmu_walk.<unnamed> failed"])

    def test_the_suites_of_the_backend_must_run(self):
        self.assertEqual(problems(GOOD.replace(KUNIT, "")), ["no KUnit suite named *xen_pv_mmu* ran"])
        self.assertEqual(problems(GOOD.replace("xen_pv_mmu", "other")), ["no KUnit suite named *xen_pv_mmu* ran"])

    def test_kernel_lines_between_results_do_no_harm(self):
        self.assertEqual(problems(GOOD.replace("[    1.0]     ok 2", "(XEN) hello\n[    1.0] usb: hello\n[    1.0]     ok 2")), [])

    def test_kernel_lines_in_the_head_of_a_suite_do_no_harm(self):
        head = "[    1.0]     KTAP version 1\n"
        between = GOOD.replace(head, head + "[    1.0] Freeing initrd memory: 1984K\n")
        self.assertEqual(problems(between), [])
        self.assertIn("Freeing", between)

    def test_a_guest_is_judged_by_the_rules_only(self):
        for line, expected in (
            ("guest: [    0.5] PVMMU: PASS fork", []),
            ("guest: [    0.5] not ok 1 xen_pv_mmu_walk", []),
            ("guest: [    0.5] page_table_check: Disabled", []),
            ("guest: WARNING: mm/memory.c:1", ["kernel warning (line 18): WARNING: mm/memory.c:1"]),
            ("guest: [    0.5] Oops: 0000", ["oops (line 18): Oops: 0000"]),
        ):
            with self.subTest(line):
                self.assertEqual(problems(f"{GOOD}{line}\n"), expected)

    def test_backends_of_dom0_and_of_its_guests(self):
        machine = replace(MACHINE, kernel="c", kind="dom0-c", guests="rust")
        log = GOOD.replace(KUNIT, "").replace("PV MMU: Rust", "PV MMU: C")
        printed = log.replace("PVMMU: PASS fork", "PVMMU: PASS create (3.1 s, PV MMU of the guest is Rust)")
        self.assertEqual(problems(printed, machine), [])
        self.assertEqual(len(problems(printed, replace(machine, guests="c"))), 1)
        self.assertEqual(len(problems(printed.replace("PV MMU: C", "PV MMU: Rust"), machine)), 1)


class Skips(unittest.TestCase):
    """A test must run unless the machine lists it as one that may skip."""

    def test_tests_of_the_guest(self):
        log = GOOD.replace("PASS exec", "SKIP exec nothing to do").replace("pass=2 fail=0 skip=1", "pass=1 fail=0 skip=2")
        self.assertEqual(problems(log), ["exec was skipped: nothing to do"])
        self.assertEqual(problems(log, replace(MACHINE, skips=("exec",))), [])

    def test_by_kind_and_by_kernel(self):
        for test, kind, kernel_name, expected in (
            ("nonram", "dom0", "rust", True),
            ("trace-functions", "dom0", "rust", True),
            ("trace-functions", "dom0", "debian", False),
            ("balloon-grow", "dom0", "rust", False),
            ("balloon-grow", "dom0", "lto", True),
            ("balloon", "bare4", "rust", True),
            ("balloon", "dom0-c", "c", False),
            ("static-call", "dom0-c", "c", True),
            ("static-call", "bare5", "rust", False),
        ):
            with self.subTest(test=test, kind=kind, kernel=kernel_name):
                machine = replace(MACHINE, kind=kind, kernel=kernel_name)
                self.assertEqual(test in machine.all_skips, expected)

    def test_every_test_that_may_skip_exists(self):
        table = (SCRIPTS / "guest/mmstress/test.c").read_text()
        for machine in (*machines.MACHINES, *machines.SOAK):
            for name in machine.all_skips:
                self.assertIn(f'{{ "{name}", ', table)

    def kunit(self, result: str, kind: str = "dom0") -> list[str]:
        log = GOOD.replace("ok 2 five_levels", result)
        if kind != "dom0":
            log = log.replace("Booting kernel on Xen", "Booting paravirtualized kernel on bare hardware")
            log = log.replace("PV MMU: Rust", "PV MMU: none")
        return problems(log, replace(MACHINE, kind=kind))

    def test_tests_of_kunit(self):
        self.assertEqual(self.kunit("ok 2 five_levels # SKIP no"), ["KUnit: xen_pv_mmu_walk.five_levels was skipped"])

    def test_tests_that_need_xen_are_skipped_without_it(self):
        for suite, result, expected in (
            ("thunks", "ok 2 agree", ["KUnit: xen_pv_mmu_thunks.agree passed, and cannot have run"]),
            ("thunks", "ok 2 agree # SKIP no Xen", []),
            ("lazy", "ok 2 new_task_is_not_paused", []),
            ("lazy", "ok 2 new_task_is_not_paused # SKIP", ["KUnit: xen_pv_mmu_lazy.new_task_is_not_paused was skipped"]),
        ):
            with self.subTest(suite=suite, result=result):
                with mock.patch.dict(globals(), GOOD=GOOD.replace("_walk", f"_{suite}").replace("ok 1 four", "ok 1 new")):
                    found = [text for text in self.kunit(result, "bare4") if "new_levels" not in text]
                self.assertEqual(found, expected)

    def test_every_pattern_names_a_test(self):
        sources = REPO / "rust"
        names = set()
        for path in sources.rglob("*.rs"):
            if path.is_relative_to(sources / "testing") and not path.is_relative_to(sources / "testing/probes"):
                continue
            for suite, body in re.findall(r"kunit_tests\((\w+)\)\]\n(.*?)(?=kunit_tests\(|\Z)", path.read_text(), re.DOTALL):
                names |= {f"{suite}.{name}" for name in re.findall(r"#\[test\]\s+fn (\w+)", body)}
        self.assertGreater(len(names), 100)
        for kernel_name in ("rust", "debug", "debian", "small", "lto"):
            for kind in ("dom0", "bare4"):
                machine = replace(MACHINE, kind=kind, kernel=kernel_name)
                for pattern in (*machine.kunit_may_skip, *machine.kunit_must_skip):
                    self.assertTrue(any(re.fullmatch(pattern, name) for name in names), pattern)


class Reports(unittest.TestCase):
    LINE = "[    5.0] xen_pv_mmu: mmu_update of 0x1002 <- 0x25 failed: -EPERM, called by change_pte_range+0x1/0x2\n"
    MACHINE = replace(MACHINE, reports=(r"xen_pv_mmu: mmu_update of \S+ <- \S+ failed: -EPERM, called by \S+",))
    PROVOKED = GOOD.replace("PVMMU: PASS exec\n", f"{LINE}{LINE}PVMMU: COUNT injected=2 reports=2\nPVMMU: PASS exec\n")

    def test_provoked_reports_pass_only_where_they_are_expected(self):
        self.assertEqual(problems(self.PROVOKED, self.MACHINE), [])
        self.assertEqual(len(problems(self.PROVOKED)), 3)

    def test_another_report_is_caught(self):
        for change in (("-EPERM", "-EINVAL"), ("mmu_update", "mmuext_op"), ("change_", "BUG: change_")):
            with self.subTest(change):
                log = self.PROVOKED + self.LINE.replace(*change)
                self.assertEqual(len(problems(log, self.MACHINE)), 1)

    def test_a_report_that_no_test_has_counted_is_noticed(self):
        self.assertEqual(
            problems(self.PROVOKED + self.LINE, self.MACHINE), ["the guest counts 2 reports, the log shows 3"]
        )

    def test_reports_must_appear(self):
        found = problems(GOOD, self.MACHINE)
        self.assertTrue(len(found) == 1 and found[0].startswith("never reported"))


class Command(unittest.TestCase):
    def setUp(self):
        environment = {"XEN_PVMMU_BUILD": "/b", "XEN_PVMMU_TREE": "/t/linux", "XEN_PVMMU_XEN": "/x"}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)

    def of(self, kind: str) -> list[str]:
        machine = machines.Machine("test", "rust", kind, 2, 1024, "512M,max:1024M", "a,b", 1)
        return boot.command(machine, Path("/i"), "stdio")

    def test_commas_in_a_module_are_doubled(self):
        self.assertIn(
            "/b/linux-rust/arch/x86/boot/bzImage console=hvc0 earlyprintk=xen a,,b,/i", self.of("dom0")
        )

    def test_the_log_of_a_dom0_with_guests_is_long(self):
        for guests in ("", "rust"):
            machine = machines.Machine("test", "rust", "dom0", 2, 1024, "", "a", 1, guests=guests)
            words = boot.command(machine, Path("/i"), "stdio")
            self.assertEqual("log_buf_len=4M" in words[words.index("-initrd") + 1], bool(guests))

    def test_dom0_memory_goes_to_xen(self):
        self.assertTrue(any(word.endswith("dom0_mem=512M,max:1024M") for word in self.of("dom0")))

    def test_without_a_size_dom0_gets_all_memory(self):
        machine = machines.Machine("test", "rust", "dom0", 2, 1024, "", "", 1, xen="pv-l1tf=dom0")
        words = boot.command(machine, Path("/i"), "stdio")
        xen = words[words.index("-append") + 1]
        self.assertNotIn("dom0_mem", xen)
        self.assertTrue(xen.endswith(" pv-l1tf=dom0"))

    def test_xen_does_not_switch_the_fpu_lazily(self):
        self.assertIn("spec-ctrl=eager-fpu", self.of("dom0")[self.of("dom0").index("-append") + 1])

    def test_levels(self):
        self.assertIn("max,la57=on", self.of("bare5"))
        self.assertIn("max,la57=off", self.of("bare4"))

    def test_pvh_boots_the_elf_image(self):
        self.assertIn("/b/linux-rust/vmlinux", self.of("pvh"))

    def test_names_are_unique_and_kernels_exist(self):
        table = (*machines.MACHINES, *machines.SOAK)
        names = [machine.name for machine in table]
        self.assertEqual(len(names), len(set(names)))
        for machine in table:
            kernel.named(machine.kernel)
            kernel.named(machine.guests or machine.kernel)
            self.assertIn(machine.kind, machines.KINDS)


class Explanation(unittest.TestCase):
    def test_shows_the_first_report_of_the_log(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            log.write_text("".join(f"line {number}\n" for number in range(1, 100)))
            problems = [Problem("never printed: x"), Problem("oops", 50, "line 50"), Problem("warning", 20, "line 20")]
            shown = boot.first_report(boot.Verdict(problems, 1, log))
            self.assertEqual(shown[0], "line 20")
            self.assertIn("line 50", shown)
            self.assertEqual(boot.first_report(boot.Verdict(problems[:1], 1, log)), [])


class Modules(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.initrd = self.folder / "initrd"
        self.initrd.write_bytes(b"base")

    def test_they_follow_the_first_archive(self):
        module = self.folder / "sample.ko"
        shutil.copy(shutil.which("true"), module)
        path = initramfs.with_modules(self.initrd, [module], self.folder / "out")
        content = path.read_bytes()
        self.assertTrue(content.startswith(b"base"))
        archive = gzip.decompress(content[len(b"base") :])
        self.assertIn(b"lib/modules/sample.ko\0", archive)
        self.assertIn(b"\x7fELF", archive)

    def test_a_kernel_without_modules_needs_no_second_archive(self):
        self.assertEqual(initramfs.with_modules(self.initrd, [], self.folder / "out"), self.initrd)


class Ktap(unittest.TestCase):
    def test_no_output_is_no_suite(self):
        self.assertEqual(ktap.read(["hello"]).suites, [])
