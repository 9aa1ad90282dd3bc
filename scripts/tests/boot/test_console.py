# SPDX-License-Identifier: GPL-2.0-only
"""A console log is split into lines of Xen and lines of Linux."""

import unittest

from harness.boot.console import Line, lines_of


def texts(raw: bytes, xen: bool = False) -> list[str]:
    return [line.text for line in lines_of(raw) if line.xen == xen and line.text]


class Console(unittest.TestCase):
    def test_carriage_returns_and_escapes_are_removed(self):
        self.assertEqual(texts(b"\x1bc\x1b[?7l\x1b[2Jhello\r\r\n"), ["hello"])

    def test_time_stamps_are_removed_and_indentation_stays(self):
        self.assertEqual(texts(b"[    0.123456]     ok 1 walk\n"), ["    ok 1 walk"])
        self.assertEqual(texts(b"[    0.123456][    T1] hello\n"), ["hello"])

    def test_lines_of_xen_and_linux_are_distinguished(self):
        raw = b"(XEN) one\n[    1.000000] two\n"
        self.assertEqual(lines_of(raw)[:2], [Line(1, "(XEN) one", True), Line(2, "two", False)])

    def test_a_torn_line_is_joined(self):
        raw = b"[    1.0] PVMMU: PA(XEN) uart interrupt\r\nSS fork\r\n"
        self.assertEqual(texts(raw), ["PVMMU: PASS fork"])
        self.assertEqual(texts(raw, xen=True), ["(XEN) uart interrupt"])

    def test_two_lines_of_xen_in_one_of_linux(self):
        self.assertEqual(texts(b"a(XEN) x\nb(XEN) y\nc\n"), ["abc"])

    def test_the_last_line_may_be_unfinished(self):
        self.assertEqual(texts(b"one\ntwo"), ["one", "two"])
        self.assertEqual(texts(b"one\ntw(XEN) x"), ["one", "tw"])
