# SPDX-License-Identifier: GPL-2.0-only
"""Only what belongs to an option is removed from a file."""

import textwrap
import unittest

from harness.cli import Stop
from harness.series import strip_tests


class Strip(unittest.TestCase):
    """Tests are removed from files without a trace."""

    def rust(self, text: str) -> str:
        text = textwrap.dedent(text)
        return strip_tests.strip("rust/x.rs", text.replace("MARK", "#[cfg(CONFIG_TESTS)]"), "TESTS")

    def test_items_of_one_line(self):
        self.assertEqual(self.rust("mod a;\nMARK\nmod b;\nMARK\npub use c::*;\nmod d;\n"), "mod a;\nmod d;\n")

    def test_item_with_comments_and_attributes(self):
        text = """\
            fn a() {}

            /// Says what.
            /// And why.
            MARK
            #[derive(Clone)]
            struct B {
                c: u8,
            }

            fn d() {}
            """
        self.assertEqual(self.rust(text), "fn a() {}\n\nfn d() {}\n")

    def test_items_that_follow_each_other(self):
        self.assertEqual(self.rust("fn a() {}\n\nMARK\nstruct B(u8);\n\nMARK\nimpl B {\n}\n"), "fn a() {}\n")

    def test_option_among_others(self):
        text = "fn a() {}\n\n#[cfg(all(\n    CONFIG_B,\n    CONFIG_TESTS\n))]\nmod c {\n}\nMARK\nuse c::D;\n"
        self.assertEqual(self.rust(text), "fn a() {}\n")
        shared = "#[cfg(any(CONFIG_B, CONFIG_TESTS))]\nmod c;\n"
        self.assertEqual(self.rust(shared), "#[cfg(CONFIG_B)]\nmod c;\n")
        with self.assertRaisesRegex(Stop, "neither a Rust item nor an entry"):
            self.rust("#[cfg(any(CONFIG_TESTS, CONFIG_B))]\nmod c;\n")

    def test_statement(self):
        text = """\
            fn a() {
                MARK
                if b(C {
                    d,
                }) {
                    return;
                }
                e();
            }
            """
        self.assertEqual(self.rust(text), "fn a() {\n    e();\n}\n")

    def test_last_item_of_a_block(self):
        text = "impl A {\n    fn b() {}\n\n    MARK\n    fn c() {\n    }\n}\n"
        self.assertEqual(self.rust(text), "impl A {\n    fn b() {}\n}\n")

    def test_entry_of_kconfig(self):
        text = "config A\n\tbool\n\nconfig TESTS\n\tbool\n\thelp\n\t  Tests.\n\nconfig B\n\tbool\n"
        self.assertEqual(strip_tests.strip("Kconfig", text, "TESTS"), "config A\n\tbool\n\nconfig B\n\tbool\n")
        last = "config A\n\tbool\n\nconfig TESTS\n\tbool\n"
        self.assertEqual(strip_tests.strip("Kconfig", last, "TESTS"), "config A\n\tbool\n")

    def test_marks_of_another_kind_are_refused(self):
        for path, text in (("x.c", "#ifdef CONFIG_TESTS\n"), ("x.rs", "if cfg!(CONFIG_TESTS) {}\n")):
            with self.subTest(path), self.assertRaisesRegex(Stop, f"^{path}: TESTS marks something"):
                strip_tests.strip(path, text, "TESTS")
