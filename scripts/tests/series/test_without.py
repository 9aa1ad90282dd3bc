# SPDX-License-Identifier: GPL-2.0-only
"""Only what belongs to an option is left out of a file."""

import unittest

from harness.cli import Stop
from harness.series import without


class Without(unittest.TestCase):
    """Rust is left to the program, which has tests of its own."""

    def test_entry_of_kconfig(self):
        text = "config A\n\tbool\n\nconfig TESTS\n\tbool\n\thelp\n\t  Tests.\n\nconfig B\n\tbool\n"
        self.assertEqual(without.options("Kconfig", text, ["TESTS"]), "config A\n\tbool\n\nconfig B\n\tbool\n")
        last = "config A\n\tbool\n\nconfig TESTS\n\tbool\n"
        self.assertEqual(without.options("Kconfig", last, ["TESTS"]), "config A\n\tbool\n")

    def test_lines_of_kbuild(self):
        text = "obj-y += a.o\nobj-$(CONFIG_TESTS) += b.o\n"
        self.assertEqual(without.options("a/Kbuild", text, ["OTHER", "TESTS"]), "obj-y += a.o\n")

    def test_conditions_of_c(self):
        text = '#include "a.h"\n#ifdef CONFIG_TESTS\n#include "b.h"\n\nint b;\n#endif\n#ifdef CONFIG_A\nint c;\n#endif\n'
        self.assertEqual(without.options("a.h", text, ["TESTS"]), '#include "a.h"\n#ifdef CONFIG_A\nint c;\n#endif\n')

    def test_files_without_the_option_stay(self):
        self.assertEqual(without.options("Documentation/a.rst", "CONFIG_TESTS\n", ["TESTS"]), "CONFIG_TESTS\n")
        for place in ("a.rs", "Kconfig", "a.c"):
            self.assertEqual(without.options(place, "CONFIG_TESTS_TOO\n", ["TESTS"]), "CONFIG_TESTS_TOO\n")

    def test_what_cannot_be_left_out_is_named(self):
        with self.assertRaisesRegex(Stop, "^x.c: TESTS marks something that cannot be left out"):
            without.options("x.c", "#if IS_ENABLED(CONFIG_TESTS)\n", ["TESTS"])
