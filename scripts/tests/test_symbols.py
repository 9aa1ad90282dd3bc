#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of scripts/symbols, on tables as llvm-nm and modpost print them."""

import contextlib
import io
import os
import tempfile
import textwrap
import unittest
from pathlib import Path

from harness.load_script import load_script
from tests import SCRIPTS


symbols = load_script("symbols")

NM = """\


Symbols from arch/x86/xen/p2m.o:

Name                  Value           Class        Type         Size             Line  Section
.text               |0000000000000000|   t  |           SECTION|0000000000000000|     |.text
HYPERVISOR_shared_info|                |   U  |            NOTYPE|                |     |*UND*
alloc_p2m_page      |0000000000000610|   t  |              FUNC|000000000000002b|     |.ref.text
get_phys_to_machine |00000000000001a0|   T  |              FUNC|00000000000000fb|     |.text
p2m.c               |0000000000000000|   a  |              FILE|0000000000000000|     |*ABS*
xen_max_p2m_pfn     |0000000000000010|   D  |            OBJECT|0000000000000008|     |.data..ro_after_init

Symbols from arch/x86/xen/multicalls.o:

Name                  Value           Class        Type         Size             Line  Section
xen_mc_irq_flags    |0000000000000c10|   D  |            OBJECT|0000000000000008|     |.data..percpu
"""

SYMVERS = (
    "0x00000000\tget_phys_to_machine\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"
    "0x00000000\txen_alloc_p2m_entry\tvmlinux\tEXPORT_SYMBOL\t\n"
    "0x00000000\txen_example\tvmlinux\tEXPORT_SYMBOL_GPL\tXEN\n"
)


def function(name, section=".text"):
    return symbols.Symbol(name, "T", "FUNC", 16, section)


def data(name, size=8, section=".data"):
    return symbols.Symbol(name, "D", "OBJECT", size, section)


class ParseTest(unittest.TestCase):
    def test_nm(self):
        parsed = {symbol.name: symbol for symbol in symbols.parse_nm(NM)}
        self.assertNotIn("Name", parsed)
        described = {s.name: s.describe() for s in parsed.values() if s.is_global}
        self.assertEqual(
            described,
            {
                "get_phys_to_machine": "function",
                "xen_max_p2m_pfn": "data of 8 bytes",
                "xen_mc_irq_flags": "per-CPU data of 8 bytes",
            },
        )
        self.assertEqual(parsed["p2m.c"].type, "FILE")

    def test_symvers(self):
        self.assertEqual(
            symbols.parse_symvers(SYMVERS),
            {
                "get_phys_to_machine": ("EXPORT_SYMBOL_GPL", ""),
                "xen_alloc_p2m_entry": ("EXPORT_SYMBOL", ""),
                "xen_example": ("EXPORT_SYMBOL_GPL", "XEN"),
            },
        )


class CompareTest(unittest.TestCase):
    def setUp(self):
        objects = [f"arch/x86/xen/{name}.o" for name in symbols.REPLACED]
        self.c = symbols.Side(
            symbols=[function("xen_mc_flush"), data("xen_p2m_size")],
            exports={"xen_p2m_size": ("EXPORT_SYMBOL_GPL", "")},
            members=["arch/x86/xen/setup.o", *objects],
            source_files={"setup.c", "mmu_pv.c", "p2m.c", "multicalls.c"},
        )
        self.rust = symbols.Side(
            symbols=list(self.c.symbols),
            exports=dict(self.c.exports),
            members=["arch/x86/xen/setup.o", "arch/x86/xen/pvmmu/xen_pv_mmu.o"],
            source_files={"setup.c", "xen_pv_mmu.abcd-cgu.0"},
        )
        self.listed = {}

    def assert_differences(self, *expected):
        self.assertEqual(symbols.compare(self.c, self.rust, self.listed), list(expected))

    def test_no_difference(self):
        self.assert_differences()

    def test_undefined_symbol(self):
        del self.rust.symbols[0]
        self.assert_differences("xen_mc_flush: function in C, not defined by the crate")

    def test_extra_symbol(self):
        self.rust.symbols.append(function("xen_surprise"))
        self.assert_differences("xen_surprise: function of the crate, C does not define it")

    def test_local_symbols_are_not_compared(self):
        self.rust.symbols.append(symbols.Symbol("local", "t", "FUNC", 16, ".text"))
        self.assert_differences()

    def test_symbols_of_the_rust_support_are_not_compared(self):
        self.rust.symbols += [function("_RNvCs1_10xen_pv_mmu4init"), function("rust_helper_x")]
        self.rust.symbols.append(function("rust_do_trace_xen_mc_flush"))
        self.rust.exports["rust_helper_x"] = ("EXPORT_SYMBOL_GPL", "")
        self.assert_differences()

    def test_exports_of_others_are_not_compared(self):
        self.rust.exports["from_another_driver"] = ("EXPORT_SYMBOL_GPL", "")
        self.assert_differences()

    def test_other_kind(self):
        self.rust.symbols[0] = data("xen_mc_flush")
        self.assert_differences("xen_mc_flush: function in C, data of 8 bytes in the crate")

    def test_other_size(self):
        self.rust.symbols[1] = data("xen_p2m_size", size=4)
        self.assert_differences("xen_p2m_size: data of 8 bytes in C, data of 4 bytes in the crate")

    def test_data_instead_of_per_cpu_data(self):
        self.c.symbols[1] = data("xen_p2m_size", section=".data..percpu")
        self.assert_differences(
            "xen_p2m_size: per-CPU data of 8 bytes in C, data of 8 bytes in the crate"
        )

    def test_discarded_too_early(self):
        self.rust.symbols[0] = function("xen_mc_flush", section=".init.text")
        self.assert_differences(
            "xen_mc_flush: discarded after boot by the crate (.init.text), kept by C"
        )

    def test_kept_although_c_discards_it(self):
        self.c.symbols[0] = function("xen_mc_flush", section=".init.text")
        self.assert_differences()

    def test_missing_export(self):
        self.rust.exports = {}
        self.assert_differences("xen_p2m_size: EXPORT_SYMBOL_GPL in C, not exported by the crate")

    def test_additional_export(self):
        self.rust.exports["xen_mc_flush"] = ("EXPORT_SYMBOL_GPL", "")
        self.assert_differences(
            "xen_mc_flush: EXPORT_SYMBOL_GPL of the crate, not exported by C"
        )

    def test_additional_export_that_is_listed(self):
        self.rust.symbols.append(function("xen_pv_mmu_set_ptes"))
        entry = {"names": ["xen_pv_mmu_set_ptes"], "export": "EXPORT_SYMBOL", "why": "a test"}
        self.listed = {"extra": [entry]}
        self.assert_differences(
            "xen_pv_mmu_set_ptes: listed as EXPORT_SYMBOL, not exported by the crate"
        )
        self.rust.exports["xen_pv_mmu_set_ptes"] = ("EXPORT_SYMBOL", "")
        self.assert_differences()
        self.rust.exports["xen_pv_mmu_set_ptes"] = ("EXPORT_SYMBOL_GPL", "")
        self.assert_differences(
            "xen_pv_mmu_set_ptes: EXPORT_SYMBOL_GPL of the crate, not exported by C"
        )

    def test_other_class_of_export(self):
        self.rust.exports["xen_p2m_size"] = ("EXPORT_SYMBOL", "")
        self.assert_differences(
            "xen_p2m_size: EXPORT_SYMBOL_GPL in C, EXPORT_SYMBOL in the crate"
        )

    def test_other_namespace(self):
        self.rust.exports["xen_p2m_size"] = ("EXPORT_SYMBOL_GPL", "XEN")
        self.assert_differences(
            "xen_p2m_size: EXPORT_SYMBOL_GPL in C, "
            "EXPORT_SYMBOL_GPL in namespace XEN in the crate"
        )

    def test_c_object_still_linked(self):
        self.rust.members.append("arch/x86/xen/p2m.o")
        self.assert_differences("arch/x86/xen/p2m.o: still linked into the Rust build")

    def test_c_source_still_in_vmlinux(self):
        self.rust.source_files.add("mmu_pv.c")
        self.assert_differences(
            "mmu_pv.c: its local symbols are still in vmlinux of the Rust build"
        )

    def test_crate_not_linked(self):
        self.rust.members.pop()
        self.assert_differences(
            "arch/x86/xen/pvmmu/: no object of the crate is linked into the Rust build"
        )

    def test_builds_exchanged(self):
        self.c, self.rust = self.rust, self.c
        differences = symbols.compare(self.c, self.rust, self.listed)
        self.assertIn(
            "arch/x86/xen/p2m.o: not linked in the C build, so there is nothing to compare with",
            differences,
        )

    # symbols.toml

    def test_listed_extra_symbol(self):
        self.rust.symbols.append(function("xen_surprise"))
        self.listed = {"extra": [{"names": ["xen_surprise"], "why": "trace.c calls it"}]}
        self.assert_differences()

    def test_listed_missing_symbol(self):
        del self.rust.symbols[0]
        self.listed = {"missing": [{"names": ["xen_mc_flush"], "why": "only for this test"}]}
        self.assert_differences()

    def test_listing_does_not_excuse_an_export(self):
        self.rust.symbols.pop()
        self.rust.exports = {}
        self.listed = {"missing": [{"names": ["xen_p2m_size"], "why": "only for this test"}]}
        self.assert_differences("xen_p2m_size: EXPORT_SYMBOL_GPL in C, not exported by the crate")

    def test_unneeded_entries(self):
        self.listed = {
            "extra": [
                {"names": ["gone"], "why": "was needed once"},
                {"names": ["xen_mc_flush"], "why": "is no extra"},
            ],
            "missing": [
                {"names": ["gone"], "why": "was in C once"},
                {"names": ["xen_p2m_size"], "why": "is there now"},
            ],
        }
        self.assert_differences(
            "gone: listed as extra, but the crate does not define it",
            "xen_mc_flush: listed as extra, but C defines it too",
            "gone: listed as missing, but C does not define it",
            "xen_p2m_size: listed as missing, but the crate defines it",
        )


class CommandTest(unittest.TestCase):
    """The whole command, with stand-ins for llvm-ar and llvm-nm."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = Path(scratch.name)
        self.tool("llvm-ar", 'cat "$2.list"')
        self.tool("llvm-nm", 'case "$*" in *vmlinux) cat vmlinux.nm;; *) cat objects.nm;; esac')
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{self.top}:{path}"
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        objects = [f"arch/x86/xen/{name}.o" for name in symbols.REPLACED]
        self.c = self.build("c", objects, ["mmu_pv.c", "p2m.c", "multicalls.c"])
        self.rust = self.build("rust", ["arch/x86/xen/pvmmu/xen_pv_mmu.o"], ["setup.c"])
        (self.top / "list.toml").write_text("")

    def tool(self, name, script):
        place = self.top / name
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def build(self, name, members, source_files):
        directory = self.top / name
        (directory / "arch/x86/xen").mkdir(parents=True)
        (directory / "arch/x86/xen/built-in.a").touch()
        (directory / "arch/x86/xen/built-in.a.list").write_text("\n".join(members) + "\n")
        (directory / "vmlinux").touch()
        (directory / "vmlinux.symvers").write_text(SYMVERS)
        (directory / "objects.nm").write_text(NM)
        (directory / "vmlinux.nm").write_text(
            "".join(f"{file}|0|   a  |  FILE|0|     |*ABS*\n" for file in source_files)
        )
        return directory

    def run_symbols(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = symbols.main(
                ["--c", str(self.c), "--rust", str(self.rust)]
                + ["--list", str(self.top / "list.toml")]
            )
        self.output = output.getvalue()
        return code

    def test_equal_builds(self):
        self.assertEqual(self.run_symbols(), 0, getattr(self, "output", ""))
        self.assertEqual(
            self.output, "symbols: 3 global symbols of the C objects, no difference\n"
        )

    def test_exports_of_a_build_with_modules(self):
        (self.rust / "vmlinux.symvers").rename(self.rust / "Module.symvers")
        self.assertEqual(self.run_symbols(), 0, getattr(self, "output", ""))
        (self.rust / "Module.symvers").unlink()
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn("vmlinux.symvers is missing", self.output)

    def test_differences_are_printed_and_fail(self):
        self.tool("llvm-nm", textwrap.dedent("""\
            case "$*" in
            *vmlinux) cat vmlinux.nm;;
            *xen_pv_mmu.o) grep -v get_phys_to_machine objects.nm;;
            *) cat objects.nm;;
            esac"""))
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn("get_phys_to_machine: function in C, not defined by the crate", self.output)
        self.assertIn("symbols: differences: 1", self.output)

    def test_build_that_is_not_finished(self):
        (self.rust / "vmlinux").unlink()
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn(f"{self.rust}: vmlinux is missing; build vmlinux there first", self.output)

    def test_list_that_cannot_be_read(self):
        (self.top / "list.toml").write_text("names =")
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn("list.toml cannot be read: ", self.output)
        (self.top / "list.toml").unlink()
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn("list.toml cannot be read: ", self.output)

    def test_tool_that_fails(self):
        self.tool("llvm-nm", "echo no such object >&2; exit 1")
        self.assertEqual(self.run_symbols(), 1)
        self.assertIn("no such object", self.output)


class ListTest(unittest.TestCase):
    """symbols.toml itself."""

    def test_every_entry_has_a_reason(self):
        listed = symbols.tomllib.loads((SCRIPTS / "symbols.toml").read_text())
        self.assertLessEqual(listed.keys(), {"extra", "missing"})
        for entry in listed.get("extra", []) + listed.get("missing", []):
            self.assertEqual(entry.keys() - {"export"}, {"names", "why"}, entry)
            self.assertTrue(entry["why"].strip(), entry)


if __name__ == "__main__":
    unittest.main()
