# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx finds links of the manuals that lead nowhere."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.build import docs
from harness.cli import Stop
from tests import REPO

INDEX = "# Pages\n\n| page | what |\n| --- | --- |\n| [A](a.md) | one |\n| [B](kernel/b.rst) | another |\n"
RST = "=====\nTitle\n=====\n\nSame heading\n============\n\nText\n"


class Manuals(unittest.TestCase):
    def render(self, page):
        """Renders a repository in which a.md is `page`; returns the number of pages."""
        with tempfile.TemporaryDirectory() as folder:
            texts = {"Documentation/index.md": INDEX, "Documentation/a.md": page, "Documentation/kernel/b.rst": RST, "file": "x"}
            for name, text in texts.items():
                (path := Path(folder, name)).parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            shutil.copy(REPO / "Documentation/conf.py", Path(folder, "Documentation"))
            with mock.patch.dict(os.environ, XEN_PVMMU_REPO=folder):
                return docs.manuals(Path(folder, "html"), [*map(Path, texts), Path("Documentation/conf.py")])

    def test_links_that_lead_somewhere(self):
        page = "# A\n\n## There\n\n[1](kernel/b.rst) [2](kernel/b.rst#same-heading) [3](#there) [4](../file) [5](index.md#pages)\n"
        self.assertEqual(self.render(page), 3)

    def test_dead_links(self):
        with self.assertRaises(Stop) as caught:
            self.render("# A\n\n[1](gone.md) [2](kernel/b.rst#gone) [3](#gone) [4](../gone)\n\n![5](gone.svg)\n")
        lines = str(caught.exception).splitlines()
        self.assertEqual(len(lines), 6)
        for line in lines[1:]:
            self.assertRegex(line, r"^Documentation/a\.md:\d: WARNING: .*gone")

    def test_page_that_the_first_one_does_not_name(self):
        with mock.patch.dict(globals(), INDEX=INDEX.replace("| [B]", "| x [B]")), self.assertRaises(Stop) as caught:
            self.render("# A\n")
        self.assertIn("b.rst: WARNING: document isn't included in any toctree", str(caught.exception))
