# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a measurement as a picture: each side relative to the C backend as shipped."""

import io
import os
import tempfile

from .report import NATIVE, RUST, Table

_COLOURS = {NATIVE: "#9a9a9a", "c-lazy": "#e0a458", RUST: "#2a6f97"}
_NAMES = {NATIVE: "without Xen", "c-lazy": "C, lazy MMU mode fixed", RUST: "Rust"}


def svg(table: Table) -> str:
    """Bars for each operation; the C backend is the line at 1."""
    # It needs a directory for its cache, and has no home directory here.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file, with text that can be searched.
    matplotlib.rcParams.update({"svg.hashsalt": "pvmmu", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    columns = {side: table.ratios(side) for side in _COLOURS if side in table.sides}
    names = list(columns[RUST])
    height = 0.8 / len(columns)
    figure, axes = pyplot.subplots(figsize=(8, 0.38 * len(names) + 1.6), layout="constrained")
    for number, (side, column) in enumerate(columns.items()):
        shown = [name for name in names if name in column]
        places = [names.index(name) + (number - (len(columns) - 1) / 2) * height for name in shown]
        values = [column[name] for name in shown]
        bars = axes.barh(places, values, height, color=_COLOURS[side], label=_NAMES[side])
        if side == RUST:
            axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=-20, fontsize=7, color="white")
    axes.axvline(1, color="#b5403a", linewidth=1.2, label="C as shipped")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.05, *(max(column.values()) + 0.08 for column in columns.values())))
    axes.set_xlabel("instructions for one operation, C as shipped = 1; less is better")
    versions = f"Linux {', '.join(table.linux)}, Xen {', '.join(table.xen)}"
    axes.set_title(f"{versions}: Rust/C {table.mean()[0]:.2f} (geometric mean)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(columns) + 1, frameon=False)
    output = io.StringIO()
    figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    # The licence is on the first line, as in every file.
    picture = output.getvalue()
    lines = (line.rstrip() for line in picture[picture.index("<svg") :].splitlines())
    # REUSE-IgnoreStart
    return "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n" + "\n".join(lines) + "\n"
    # REUSE-IgnoreEnd
