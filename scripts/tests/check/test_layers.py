# SPDX-License-Identifier: GPL-2.0-only
"""The layer map is compared with imports, on small crates made for each test."""

import re
import unittest

from harness.check import layers
from harness.cli import Stop

MAP = """\
//! ```text
//!   ops               entry points
//!   list::grow  pte   operations
//!   list  queue       structures
//!   addr              types
//! ```
"""

CRATE = {
    "ops.rs": "use crate::pte;\nuse crate::list::{\n    grow,\n    word, //\n};\n",
    "ops/vtable.rs": "use super::caller;\nuse crate::addr::Vaddr;\n",
    "list.rs": "use crate::addr::Pfn;\npub(crate) mod grow;\n",
    "list/grow.rs": "use super::word;\nuse crate::{\n    addr::Pfn,\n    queue::{self, Batch as Calls},\n};\n",
    "queue.rs": "/// As [`crate::ops::flush`].\nuse crate::addr::Vaddr;\n",
    "pte.rs": "fn set() {\n    crate::queue::flush();\n}\n",
    "addr.rs": "",
}

TESTS = """
#[cfg(TEST)]
#[kernel::macros::kunit_tests(xen_addr)]
mod tests {
    use crate::ops;
}
"""


def verdict(changed: dict[str, str], text: str = MAP) -> str:
    return layers.verdict({**CRATE, **changed}, text)


class Layers(unittest.TestCase):
    def assert_refused(self, words: str, changed: dict[str, str], text: str = MAP) -> None:
        with self.assertRaisesRegex(Stop, words):
            verdict(changed, text)

    def test_imports_that_go_down_pass(self) -> None:
        self.assertEqual(verdict({}), "6 modules in 4 layers")

    def test_tests_may_use_everything(self) -> None:
        verdict({"addr.rs": TESTS, "queue/fault_tests.rs": "use crate::ops;\n", "tests.rs": "use crate::ops;\n"})

    def test_an_import_that_goes_up_is_refused(self) -> None:
        self.assert_refused(r"rust/addr\.rs uses ops, which is above addr", {"addr.rs": "use crate::ops::hook;\n"})

    def test_so_is_a_path_in_the_code(self) -> None:
        self.assert_refused("uses pte, which", {"queue.rs": "fn flush() {\n    crate::pte::set();\n}\n"})

    def test_so_is_one_of_many_in_braces(self) -> None:
        self.assert_refused("uses list::grow, which", {"list.rs": "use crate::{addr::Pfn, list::{self, grow::grow}};\n"})

    def test_so_is_one_by_way_of_super(self) -> None:
        self.assert_refused("uses pte, which", {"queue/batch.rs": "use super::super::pte;\n"})

    def test_so_is_one_behind_the_tests(self) -> None:
        self.assert_refused("uses ops, which", {"addr.rs": TESTS + "\nuse crate::ops;\n"})

    def test_modules_of_a_layer_may_use_each_other_one_way_only(self) -> None:
        verdict({"pte.rs": "use crate::list::grow;\n"})
        self.assert_refused(
            r"circle: list::grow -> pte -> list::grow",
            {"pte.rs": "use crate::list::grow;\n", "list/grow.rs": "use crate::pte;\n"},
        )

    def test_a_module_outside_of_the_map_is_refused(self) -> None:
        self.assert_refused(r"rust/other\.rs is not in the layer map", {"other.rs": ""})

    def test_a_map_that_cannot_be_read_is_refused(self) -> None:
        self.assert_refused("has no layer map", {}, "//! Nothing.\n")
        self.assert_refused("not a line of the layer map", {}, MAP.replace("ops               entry", "ops entry"))
        self.assert_refused("queue is in the layer map twice", {}, MAP.replace("pte  ", "queue  "))
        self.assert_refused("names modules that do not exist: cr3", {}, MAP.replace("list  queue", "list  queue  cr3"))

    def test_the_picture_has_each_module_and_arcs_that_go_down(self) -> None:
        drawn = layers.picture(CRATE, MAP)
        for module in ("ops", "list::grow", "pte", "list", "queue", "addr"):
            self.assertIn(f">{module}</text>", drawn)
        # Each layer imports from all below it.
        arcs = re.findall(r'd="M144 ([\d.]+) C.* 144 ([\d.]+)"/>', drawn)
        self.assertEqual(len(arcs), 6)
        self.assertTrue(all(float(user) < float(used) for user, used in arcs))

    def test_the_picture_has_the_edge_to_c(self) -> None:
        text = MAP.replace("addr  ", "platform  addr")
        drawn = layers.picture({**CRATE, "platform.rs": ""}, text)
        self.assertEqual(re.findall(r'class="call" d="M(\d+) ([\d.]+) H(\d+)"', drawn), [("962", "26.0", "908"), ("898", "182.0", "954")])
        self.assertIn("&lt;asm/pgtable.h&gt;", drawn)
        self.assertNotIn("hypercalls", layers.picture(CRATE, MAP))

    def test_the_picture_follows_the_imports(self) -> None:
        fewer = layers.picture({**CRATE, "pte.rs": ""}, MAP)
        self.assertNotEqual(fewer, layers.picture(CRATE, MAP))
