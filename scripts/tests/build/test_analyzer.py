# SPDX-License-Identifier: GPL-2.0-only
"""An editor finds the crate and its dependencies."""

import unittest
from pathlib import Path

from harness.build import analyzer
from harness.cli import Stop


class Editor(unittest.TestCase):
    def crate(self, name: str) -> dict:
        return {"display_name": name, "root_module": f"/usr/lib/{name}.rs", "cfg": [name], "edition": "2021"}

    def test_the_crate_is_added_and_paths_are_those_outside(self):
        names = ("core", "pin_init", "kernel", "zerocopy", "zerocopy_derive")
        made = {"crates": [self.crate(name) for name in names], "sysroot": "/usr"}
        made = analyzer.project(made, Path("/tree"), Path("/repo"), Path("/root"))
        ours = made["crates"][-1]
        self.assertEqual(ours["root_module"], "/repo/rust/xen_pv_mmu.rs")
        self.assertEqual(ours["cfg"], ["kernel"])
        self.assertIn({"crate": 2, "name": "kernel"}, ours["deps"])
        self.assertEqual(analyzer.paths_in(made)[:2], [Path("/root/usr"), Path("/root/usr/lib/core.rs")])

    def test_a_kernel_that_has_other_crates_is_named(self):
        with self.assertRaisesRegex(Stop, "lacks kernel pin_init"):
            analyzer.project({"crates": [self.crate("core")], "sysroot": "/usr"}, Path(), Path(), Path())


if __name__ == "__main__":
    unittest.main()
