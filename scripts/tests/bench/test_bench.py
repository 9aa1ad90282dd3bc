# SPDX-License-Identifier: GPL-2.0-only
"""Measurements: the plugin's input and output, the checks of results, the comparisons."""

import json
import os
import unittest
from pathlib import Path
from unittest import mock

from harness.bench import bench, counter, measure, profiler, report
from harness.cli import Stop

KERNEL_MAP = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T startup_64
ffffffff81000100 t run_init_process
ffffffff811000f0 t __pfx_xen_start_kernel
ffffffff81100100 T xen_start_kernel
ffffffff81100200 T x86_64_start_kernel
ffffffff81100300 D not_code
"""
XEN_MAP = """\
0xffff82d040200000 T handle_exception
0xffff82d040200010 T alias_of_no_interest
0xffff82d040200010 T pv_hypercall
0xffff82d040200020 T do_mmu_update
0xffff82d040200030 T do_mmuext_op
0xffff82d040200040 T do_multicall
0xffff82d040200050 T do_update_va_mapping
0xffff82d040200060 t arch/x86/pv/ro-page-fault.c#ptwr_emulated_write
0xffff82d040200070 t arch/x86/pv/ro-page-fault.c#ptwr_emulated_cmpxchg
"""
SIDE = measure.Side("rust", Path("/b/rust"), "Rust")


def table() -> list[counter.Function]:
    return counter.functions(KERNEL_MAP, XEN_MAP)


def index(name: str) -> int:
    return next(number for number, function in enumerate(table()) if function.name == name)


def section(number: int, **counts: int) -> str:
    """The plugin's output, with two calls of each function."""
    lines = [f"{index(name)} {count} 2" for name, count in counts.items()]
    return "\n".join([f"section marked {number}", *lines, "arguments 4 3 2 1024", ""])


def user(count: int) -> str:
    return f"{index('[user]')} {count} 0\n"


CALIBRATION = "section marked 100\n" + user(400) + "arguments 0 0 0 0\n"
CONSOLE = """\
            Xen: 4.20.4
          Linux: 7.3.4 #3 SMP
         PV MMU: Rust
MMBENCH: calibration 1 100 400
MMBENCH: fork 1 2 300
MMBENCH: DONE 2
"""
COUNTS = CALIBRATION + section(2, run_init_process=200, pv_hypercall=100)


def samples(console: str = CONSOLE, counts: str = COUNTS) -> list[measure.Sample]:
    with mock.patch.dict(os.environ, {"XEN_PVMMU_BUILD": "/b"}):
        return measure.read(SIDE, console, counter.read(counts, table()), Path("/b/log"))


class Functions(unittest.TestCase):
    def test_rising_from_zero(self):
        addresses = [function.address for function in table()]
        self.assertEqual(addresses, sorted(set(addresses)))
        self.assertEqual(table()[0], counter.Function(0, "[user]", counter.USER))

    def test_each_place(self):
        places = {function.name: function.where for function in table()}
        self.assertEqual((places["startup_64"], places["pv_hypercall"]), (counter.KERNEL, counter.XEN))
        self.assertEqual(places["ptwr_emulated_write"], counter.XEN)

    def test_symbols_that_are_no_functions(self):
        names = {function.name for function in table()}
        self.assertFalse(names & {"fixed_percpu_data", "__pfx_xen_start_kernel", "not_code", "alias_of_no_interest"})

    def test_addresses_after_the_last_function(self):
        self.assertEqual([function.name for function in table()].count("[other]"), 2)

    def test_actions(self):
        lines = counter.lines_for_plugin(table()).splitlines()
        self.assertIn("0", lines)
        self.assertIn("ffff82d040200020 mmu_update", lines)
        self.assertIn("ffffffff81000100 boot-end", lines)

    def test_a_missing_function_that_is_needed(self):
        for name in ("pv_hypercall", "do_multicall", "handle_exception", "ptwr_emulated_write"):
            with self.subTest(name), self.assertRaisesRegex(Stop, f"^Xen has no function {name}$"):
                counter.functions(KERNEL_MAP, XEN_MAP.replace(name, "renamed"))
        with self.assertRaisesRegex(Stop, "^kernel has no function run_init_process$"):
            counter.functions(KERNEL_MAP.replace("run_init", "run"), XEN_MAP)

    def test_without_xen(self):
        self.assertEqual({function.where for function in counter.functions(KERNEL_MAP, "")} & {counter.XEN}, set())


class Sections(unittest.TestCase):
    def test_counts(self):
        one = counter.read(section(2, run_init_process=200, pv_hypercall=100), table())[0]
        self.assertEqual((one.total(), one.total(counter.KERNEL), one.total(counter.XEN)), (300, 200, 100))
        self.assertEqual((one.called("pv_hypercall"), one.called("run_init_process")), (2, 0))
        self.assertEqual((one.updates, one.operations, one.flushes, one.bytes), (4, 3, 2, 1024))

    def test_one_that_was_cut_short_is_left_out(self):
        text = section(2, run_init_process=200)
        self.assertEqual(len(counter.read(text + text[: text.index("arguments")], table())), 1)


class Read(unittest.TestCase):
    def test_versions_are_those_that_the_program_prints(self):
        console = "Xen: [mem 0x0-0x9ffff] System RAM\n          Linux: 7.3.4 #6\n            Xen: 4.20.4-pre\n"
        self.assertEqual([measure._version(what, console) for what in ("Linux", "Xen")], ["7.3.4", "4.20.4-pre"])

    def test_for_one_operation(self):
        (one,) = samples()
        self.assertEqual((one.operation, one.instructions, one.kernel, one.xen), ("fork", 150, 100, 50))
        self.assertEqual((one.hypercalls, one.flushes, one.bytes), (1, 1, 512))

    def test_a_boot_is_counted_by_the_plugin_alone(self):
        boot = section(1, run_init_process=70).replace("marked", "boot")
        self.assertEqual([one.operation for one in samples(counts=boot + COUNTS)], ["fork", "boot"])

    def test_the_part_of_compiling_outside_of_the_compiler(self):
        console = CONSOLE.replace("fork 1 2 300", "compile 1 2 400")
        all_of_it, system = samples(console, COUNTS.replace("arguments 4", user(100) + "arguments 4"))
        self.assertEqual((all_of_it.operation, all_of_it.instructions), ("compile", 200))
        self.assertEqual((system.operation, system.instructions, system.kernel), ("compile-system", 150, 100))

    def test_the_wrong_backend(self):
        for other in ("PV MMU: C", "PV MMU: none", ""):
            with self.subTest(other), self.assertRaisesRegex(Stop, "does not print"):
                samples(CONSOLE.replace("PV MMU: Rust", other))

    def test_an_end_too_early(self):
        with self.assertRaisesRegex(Stop, "did not finish"):
            samples(CONSOLE.replace("MMBENCH: DONE 2\n", ""))
        with self.assertRaisesRegex(Stop, "did not finish"):
            samples(CONSOLE.replace("DONE 2", "DONE 3"))

    def test_guest_and_plugin_disagree(self):
        with self.assertRaisesRegex(Stop, "disagree"):
            samples(counts=COUNTS + section(2, run_init_process=200))
        with self.assertRaisesRegex(Stop, "disagree"):
            samples(CONSOLE.replace("fork 1 2", "fork 1 3"))

    def test_a_miscounted_loop(self):
        with self.assertRaisesRegex(Stop, "a loop of 4"):
            samples(counts=COUNTS.replace(user(400), user(300)))

    def test_a_clock_that_advances_while_the_cpu_idles(self):
        with self.assertRaisesRegex(Stop, "idled"):
            samples(CONSOLE.replace("fork 1 2 300", "fork 1 2 400"))


def boots(*instructions: float, name: str = "fork") -> list[measure.Boot]:
    """One boot for each number."""
    zero = dict.fromkeys(list(measure.Sample.__dataclass_fields__)[2:-1], 0.0) | {"hypercalls": 3}
    empty = counter.Section("marked", 1)
    return [measure.Boot([measure.Sample(name, count, **zero, section=empty)], "7.3", "4.20") for count in instructions]


class Report(unittest.TestCase):
    def test_median_and_spread(self):
        figure = report.Table({"rust": boots(90, 100, 130)}).figures["rust"]["fork"]
        self.assertEqual((figure.instructions, figure.spread), (100, 0.4))

    def test_ratio_and_mean(self):
        both = report.Table({"c": boots(100) + boots(400, name="pipe"), "rust": boots(25) + boots(400, name="pipe")})
        self.assertEqual(both.ratios(), {"fork": 0.25, "pipe": 1})
        self.assertAlmostEqual(both.mean()[0], 0.5)
        self.assertIn("geometric mean of 2: 0.500", both.text())

    def test_whole_loads_are_not_in_the_mean(self):
        sides = {name: boots(count) + boots(9, name="boot") + boots(9, name="compile") for name, count in (("c", 4), ("rust", 2))}
        self.assertEqual(report.Table(sides).mean(), (0.5, 1))

    def test_an_operation_that_one_side_lacks(self):
        both = report.Table({"c": boots(100) + boots(400, name="p2m-get"), "rust": boots(50)})
        self.assertEqual(both.ratios(), {"fork": 0.5})
        self.assertRegex(both.text(), r"(?m)^p2m-get +400 +- ")

    def test_json_is_read_back(self):
        text = report.Table({"c": boots(100), "rust": boots(50, 52)}).json()
        read = json.loads(text)
        self.assertEqual(read["ratios"], {"fork": 0.51})
        self.assertEqual(read["sides"]["rust"]["fork"]["samples"], [50, 52])
        self.assertEqual((read["linux"], read["xen"]), (["7.3"], ["4.20"]))

    def test_short_numbers(self):
        for value, text in (
            (0, "0"), (0.02, "0.02"), (2, "2"), (2.5, "2.50"), (15.04, "15.0"), (136, "136"), (4742, "4.74k"),
            (999.6, "1.00k"), (883647, "884k"), (30765000, "30.8M"), (1777121141, "1.78G"),
        ):  # fmt: skip
            with self.subTest(value):
                self.assertEqual(report.short(value), text)


class Compare(unittest.TestCase):
    def test_a_little_worse_is_the_same(self):
        self.assertEqual(bench.worse({"fork": 0.52}, {"fork": 0.5}), [])
        self.assertEqual(bench.worse({"fork": 0.3}, {"fork": 0.5}), [])

    def test_worse_is_named(self):
        (line,) = bench.worse({"fork": 0.53, "pipe": 1}, {"fork": 0.5, "pipe": 1})
        self.assertIn("fork: rust/c is 0.530, recorded 0.500, +6.0%", line)

    def test_what_was_never_recorded_is_named(self):
        self.assertEqual(bench.worse({"new": 0.5}, {"fork": 0.5}), ["new: nothing is recorded"])


class Asked(unittest.TestCase):
    KNOWN = {"fork": "", "fork-64m": "", "pipe": ""}

    def test_operations(self):
        self.assertEqual(bench.chosen("^fork", self.KNOWN), ["fork", "fork-64m"])
        self.assertEqual(bench.chosen("", self.KNOWN), [])
        for bad, why in (("nothing", "no operation matches"), ("(", "is not a regular expression")):
            with self.subTest(bad), self.assertRaisesRegex(Stop, why):
                bench.chosen(bad, self.KNOWN)

    def test_sides(self):
        environment = {"XEN_PVMMU_BUILD": "/b", "XEN_PVMMU_TREE": "/t/linux"}
        with mock.patch.dict(os.environ, environment):
            self.assertEqual([side.xen for side in bench.sides("native,c,rust")], [False, True, True])
            twice, none = "is empty, or names a side twice", "there is no side"
            for bad, why in (("", twice), ("c,c", twice), ("java", none), ("/no/kernel", none)):
                with self.subTest(bad), self.assertRaisesRegex(Stop, why):
                    bench.sides(bad)

    def test_numbers_and_combinations(self):
        few, one, part = "are at least 1", "never taken from one sample", "measures everything"
        for bad, why in (
            (["--boots", "0"], few), (["--samples", "-1"], few), (["--boots", "1", "--samples", "1"], one),
            (["--record", "--check"], part), (["--record", "--ops", "fork"], part),
        ):  # fmt: skip
            with self.subTest(bad), self.assertRaisesRegex(Stop, why):
                bench._arguments(bad)

    def test_commands(self):
        with mock.patch.dict(os.environ, {"XEN_PVMMU_XEN": "/x"}):
            under = " ".join(measure.command(SIDE, Path("/i"), "/p", "quiet", 1))
            without = " ".join(measure.command(measure.Side("n", Path("/b/c"), "none"), Path("/i"), "/p", "quiet", 1))
        self.assertIn("-kernel /x ", under)
        self.assertIn("dom0_mem=513M", under)
        self.assertIn("-kernel /b/c/arch/x86/boot/bzImage ", without)
        for text in (under, without):
            self.assertIn("-icount shift=0,sleep=off", text)
            self.assertIn("-smp 1 ", text)


class Profile(unittest.TestCase):
    def test_the_most_expensive_first_for_one_operation(self):
        rows = profiler.rows(samples(counts=CALIBRATION + section(2, startup_64=50, run_init_process=150, pv_hypercall=100)), counter.KERNEL)
        self.assertEqual([(row.name, row.instructions, row.calls) for row in rows],
                         [("run_init_process", 75, 1), ("startup_64", 25, 1)])

    def test_places_and_others(self):
        text = profiler.text(samples(counts=CALIBRATION + section(2, startup_64=50, run_init_process=150, pv_hypercall=100)), 1)
        self.assertIn("150 instructions", text)
        self.assertRegex(text, r"kernel: 100, 66\.7%")
        self.assertRegex(text, r"16\.7% +25 +1 others")
        self.assertRegex(text, r"Xen: 50, 33\.3%")
