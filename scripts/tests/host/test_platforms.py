# SPDX-License-Identifier: GPL-2.0-only
"""The host's platform has the files of the kernel's, or states why it lacks them."""

import re
import unittest
from pathlib import Path

from harness import paths

_SHARED = re.compile(r'^#\[path = "[./]*/platform/(\w+/\w+)\.rs"\]$', re.MULTILINE)


def _files(folder: Path) -> set[str]:
    """Files of the folders below a platform, as FOLDER/NAME."""
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.rs") if path.name != "mod.rs"}


class Platforms(unittest.TestCase):
    def test_files_have_namesakes(self):
        kernel, host = paths.repo() / "rust/platform", paths.repo() / "rust/testing/host/platform"
        here = _files(host) | {name for room in host.glob("*/mod.rs") for name in _SHARED.findall(room.read_text())}
        there = _files(kernel)
        said = (host / "mod.rs").read_text()
        self.assertEqual([name for name in sorted(there - here) if f"`{name}`" not in said], [])
        # The simulated machine has no counterpart.
        self.assertEqual([name for name in sorted(here - there) if not name.startswith("machine/")], [])
        self.assertGreater(len(there & here), 20)

    def test_files_that_are_listed_as_missing_are_missing(self):
        kernel, host = paths.repo() / "rust/platform", paths.repo() / "rust/testing/host/platform"
        for name in re.findall(r"^//! - `(\w+/\w+)`", (host / "mod.rs").read_text(), re.MULTILINE):
            self.assertIn(name, _files(kernel))
            self.assertNotIn(name, _files(host))
