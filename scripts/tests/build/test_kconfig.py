# SPDX-License-Identifier: GPL-2.0-only
"""What configurations set, and how Debian's becomes ours."""

import tempfile
import unittest
from pathlib import Path

from harness.build import debian, kconfig, kernel
from harness.cli import Stop
from tests import REPO


class Config(unittest.TestCase):
    CONFIG = 'CONFIG_XEN=y\n# CONFIG_SMP is not set\nCONFIG_NR_CPUS=64\nCONFIG_NAME="x"\n'

    def test_both_ways_to_say_no(self):
        self.assertEqual(
            kconfig.assignments("# a comment\nCONFIG_A=n\n# CONFIG_B is not set\nCONFIG_C=y\n"),
            {"CONFIG_A": "n", "CONFIG_B": "n", "CONFIG_C": "y"},
        )

    def test_what_took_effect(self):
        wanted = {"CONFIG_XEN": "y", "CONFIG_SMP": "n", "CONFIG_NR_CPUS": "64", "CONFIG_NAME": '"x"'}
        self.assertEqual(kconfig.not_taken(wanted, self.CONFIG), [])

    def test_what_did_not(self):
        wanted = {"CONFIG_SMP": "y", "CONFIG_XEN": "n", "CONFIG_NR_CPUS": "8", "CONFIG_GONE": "y"}
        self.assertEqual(
            kconfig.not_taken(wanted, self.CONFIG),
            ["CONFIG_SMP=y", "CONFIG_XEN=n", "CONFIG_NR_CPUS=8", "CONFIG_GONE=y"],
        )

    def test_what_a_tree_has_an_entry_for(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            (tree / "Kconfig.x").write_text("config A\n\tbool\nmenuconfig B\n# config C\nif A\n  config D\nendif\n")
            (tree / "x").mkdir()
            (tree / "x/Kconfig").write_text("config E\n\thelp\n\t  See config.\n")
            self.assertEqual(kconfig.declared(tree), {f"CONFIG_{name}" for name in "ABDE"})

    def test_modules_that_are_not_kept_are_off(self):
        config = "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=m\n# CONFIG_D is not set\n"
        self.assertEqual(
            kconfig.with_modules_of(config, {"CONFIG_C", "CONFIG_D"}),
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n# CONFIG_D is not set\n",
        )

    def test_a_list_is_the_first_words_of_its_lines(self):
        self.assertEqual(kconfig.names_in("# CONFIG_A\n\nCONFIG_B\tbecause of CONFIG_C\n"), {"CONFIG_B"})


class Debian(unittest.TestCase):
    """A kconfig that drops what it is told to."""

    BASE = "CONFIG_A=y\nCONFIG_XENFS=m\nCONFIG_OTHER=m\nCONFIG_OF_OTHER=y\n"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def test_what_is_expected_may_differ_and_nothing_else(self):
        debian.check_differences(["CONFIG_A=y", "CONFIG_B=m"], {"CONFIG_A"}, {"CONFIG_B"})
        with self.assertRaisesRegex(Stop, "did not take effect: CONFIG_C$"):
            debian.check_differences(["CONFIG_A=y", "CONFIG_C=1"], {"CONFIG_A"}, set())

    def test_the_report_names_all_that_is_different(self):
        text = debian.report(kconfig.assignments(self.BASE), {"CONFIG_A": "n", "CONFIG_XENFS": "m", "CONFIG_NEW": "y"})
        self.assertEqual(
            text,
            "3 differ:\n"
            "CONFIG_A: y in Debian's, here n\n"
            "CONFIG_NEW: n in Debian's, here y\n"
            "CONFIG_OF_OTHER: y in Debian's, here n\n"
            "\n1 modules are left out:\n"
            "CONFIG_OTHER: m in Debian's, here n\n",
        )

    def test_lists_do_not_contradict_the_fragments(self):
        config = REPO / "scripts/config"
        ours = kconfig.assignments((config / "debian.config").read_text())
        kept = kconfig.names_in((config / "debian.modules").read_text())
        self.assertFalse(kconfig.names_in((config / "debian.differences").read_text()) & kept)
        self.assertEqual({symbol for symbol, value in ours.items() if value == "m"} - kept, set())

    def test_packages_have_no_tests(self):
        deb = kernel.named("deb")
        self.assertTrue(deb.debian)
        self.assertEqual(kernel.named("debian").fragments, deb.fragments[:1])
