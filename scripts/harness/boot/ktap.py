# SPDX-License-Identifier: GPL-2.0-only
"""KUnit's results, read by the kernel's own parser."""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .. import paths

_HEAD = re.compile(r"(?:^|\] ) {4,}KTAP version 1$")


@dataclass
class Results:
    passed: list[str] = field(default_factory=list)
    """Names as SUITE.TEST."""
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)


def adjoined(lines: Iterable[str]) -> Iterator[str]:
    """Moves the two lines at the head of a suite together, if another CPU has printed something in between.

    The kernel's parser loses the suite's name otherwise.
    """
    head = None
    for line in lines:
        if _HEAD.search(line):
            head = line
            continue
        if head and "# Subtest: " in line:
            yield head
            head = None
        yield line


def read(lines: Iterable[str]) -> Results:
    """Parses the KTAP in a cleaned console log. No KTAP at all: no suites."""
    folder = str(paths.kunit())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    parser = importlib.import_module("kunit_parser")
    printer = importlib.import_module("kunit_printer")
    test = parser.parse_run_tests(adjoined(lines), printer.null_printer)
    results = Results()
    if test.status in (parser.TestStatus.FAILURE_TO_PARSE_TESTS, parser.TestStatus.NO_TESTS):
        return results
    for name, status in _ended(test):
        if status == parser.TestStatus.SUCCESS:
            results.passed.append(name)
        elif status == parser.TestStatus.SKIPPED:
            results.skipped.append(name)
    results.suites = [suite.name for suite in test.subtests]
    results.failures = [name for suite in test.subtests for name in _failed(suite, "")]
    if test.counts.errors and not results.failures:
        results.failures.append(f"{test.counts.errors} parse errors, e.g. a test that never ended")
    return results


def _ended(test, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each test without subtests, and its result."""
    for sub in test.subtests:
        name = prefix + (sub.name or "<unnamed>")
        if sub.subtests:
            yield from _ended(sub, f"{name}.")
        else:
            yield name, sub.status


def _failed(test, prefix: str) -> list[str]:
    name = prefix + (test.name or "<unnamed>")
    if test.subtests:
        below = [bad for sub in test.subtests for bad in _failed(sub, name + ".")]
        if below:
            return below
    return [] if test.ok_status() and not test.counts.errors else [name]
