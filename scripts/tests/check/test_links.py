# SPDX-License-Identifier: GPL-2.0-only
"""Links of the manuals that lead nowhere are found."""

import tempfile
import unittest
from pathlib import Path

from harness.check import links


class Links(unittest.TestCase):
    def test_sections(self):
        text = "# A `b` c!\n## Same\n## Same\n```\n# not this\n```\n"
        self.assertEqual(links.anchors(text), {"a-b-c", "same", "same-1"})

    def test_dead_links(self):
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder)
            (top / "b.md").write_text("# There\n")
            (top / "a.md").write_text(
                "[ok](b.md#there) [web](https://x.example/y) `[code](nowhere)`\n"
                "[gone](c.md) [section](b.md#here) [own](#a) [out](../x)\n\n[r]: d.md\n"
            )
            self.assertEqual(
                links.dead(Path("a.md"), top),
                [
                    "a.md: there is no c.md",
                    "a.md: b.md has no section here",
                    "a.md: the page has no section a",
                    "a.md: there is no ../x",
                    "a.md: there is no d.md",
                ],
            )
