# SPDX-License-Identifier: GPL-2.0
"""The figures of a measurement: as a table for a person, as JSON for a script."""

import json
import math
from dataclasses import asdict, dataclass
from statistics import median

from .measure import Sample

# Natively nothing of ours runs; the ratios are between these.
NATIVE, C, RUST = "native", "c", "rust"
_EVENTS = {
    "hypercalls": "hypercalls",
    "emulated": "traps",
    "flushes": "flushes",
    "bytes": "bytes",
}


@dataclass(frozen=True)
class Figure:
    """One operation on one side: medians over its samples."""

    instructions: float
    spread: float
    """(largest - smallest) / median."""
    samples: list[float]
    user: float
    kernel: float
    xen: float
    hypercalls: float
    exceptions: float
    emulated: float
    flushes: float
    updates: float
    bytes: float


def figure(samples: list[Sample]) -> Figure:
    counts = [sample.instructions for sample in samples]
    middle = median(counts)

    def of(name: str) -> float:
        return round(median(getattr(sample, name) for sample in samples), 2)

    return Figure(
        round(middle, 2),
        round((max(counts) - min(counts)) / middle, 5),
        [round(count, 2) for count in counts],
        *(of(name) for name in list(Figure.__dataclass_fields__)[3:]),
    )


def short(value: float) -> str:
    """Five characters or so: 4.75k, 735k, 30.8M."""
    if value < 1:
        return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            digits = 0 if value >= 99.95 or (unit == "" and value == int(value)) else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    raise AssertionError


class Table:
    def __init__(self, results: dict[str, list[Sample]]) -> None:
        self.sides = list(results)
        self.operations = list(dict.fromkeys(sample.operation for samples in results.values() for sample in samples))
        self.figures = {
            side: {
                operation: figure([sample for sample in samples if sample.operation == operation])
                for operation in self.operations
            }
            for side, samples in results.items()
        }

    def ratios(self, side: str = RUST, base: str = C) -> dict[str, float]:
        """Of each operation, instructions on one side to those on the other."""
        if not {side, base} <= set(self.sides):
            return {}
        pairs = ((name, self.figures[side][name], self.figures[base][name]) for name in self.operations)
        return {name: above.instructions / below.instructions for name, above, below in pairs}

    def text(self) -> str:
        rows = [["operation", *self.sides, "+-"]]
        columns = [self.ratios(), self.ratios(RUST, NATIVE)]
        heads = ["rust/c", "PV tax"]
        shown = [(head, column) for head, column in zip(heads, columns) if column]
        rows[0] += [head for head, _ in shown]
        guests = [side for side in self.sides if any(f.hypercalls for f in self.figures[side].values())]
        rows[0] += [f"{title} {side}" for title in _EVENTS.values() for side in guests]
        for name in self.operations:
            here = {side: self.figures[side][name] for side in self.sides}
            spread = max(figure.spread for figure in here.values()) / 2
            row = [name, *(short(figure.instructions) for figure in here.values()), f"{spread:.1%}"]
            row += [f"{column[name]:.2f}" for _, column in shown]
            row += [short(getattr(here[side], event)) for event in _EVENTS for side in guests]
            rows.append(row)
        lines = ["Instructions for one operation (median), then what it asks of Xen:", "", *_aligned(rows)]
        if ratios := self.ratios():
            lines += ["", f"rust/c, geometric mean of {len(ratios)}: {mean(ratios):.3f}"]
        return "\n".join(lines)

    def json(self) -> str:
        figures = {
            side: {name: asdict(figure) for name, figure in table.items()} for side, table in self.figures.items()
        }
        ratios = {name: round(ratio, 4) for name, ratio in self.ratios().items()}
        text = json.dumps({"ratios": ratios, "sides": figures}, indent=1)
        # The licence is on the first line, as in every file.
        return '{"licence": "SPDX-License-Identifier: GPL-2.0",' + text[1:] + "\n"


def mean(ratios: dict[str, float]) -> float:
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns of text; a long heading is broken at its blank."""
    head = [cell.split(" ", 1) for cell in rows[0]]
    top = [words[0] if len(words) > 1 else "" for words in head]
    rows = [top, [words[-1] for words in head], *rows[1:]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return lines
