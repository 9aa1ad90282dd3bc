# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx builds the manuals: pages in Markdown, and those in the kernel's form. See `make doc`."""

import re

from docutils import nodes
from docutils.parsers.rst.directives.images import Figure
from myst_parser.mdit_to_docutils.base import default_slugify

project = "Xen PV MMU backend in Rust"
root_doc = "Documentation/index"
include_patterns = ["README.md", "SECURITY.md", "samples/README.md", "Documentation/**"]
extensions = ["myst_parser"]
# Links of pages lead to headings by the names that a forge gives them.
myst_heading_anchors = 4
# A link that leads nowhere is a warning, also one of a role or of the text.
nitpicky = True
# Examples are in languages that Pygments need not know.
highlight_language = "none"

html_theme = "alabaster"
html_theme_options = {"description": "Linux on Xen, in PV domains", "page_width": "75em", "sidebar_width": "16em", "body_max_width": "none"}
html_sidebars = {"**": ["about.html", "searchbox.html", "navigation.html"]}
html_show_copyright = False
html_copy_source = False


def _contents(_app, page, source):
    """Makes the pages that the first page names its table of contents, which a forge would show as code."""
    if page == root_doc:
        pages = re.findall(r"^\| \[[^]]*\]\((\S+)\.(?:md|rst)\)", source[0], re.MULTILINE)
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```\n"])


def _anchors(app, doctree):
    """Gives headings of reStructuredText the same names, so that links from Markdown find them."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for section in doctree.findall(nodes.section):
        title = section[0].astext()
        slugs.setdefault(default_slugify(title), (section.line, section["ids"][0], title))


def setup(app):
    # The kernel's name of it.
    app.add_directive("kernel-figure", Figure)
    app.connect("source-read", _contents)
    app.connect("doctree-read", _anchors)
    return {"parallel_read_safe": True}
