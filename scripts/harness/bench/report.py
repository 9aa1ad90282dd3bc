# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a measurement: as a table for a person, as JSON for a script."""

import json
import math
from dataclasses import asdict, dataclass
from statistics import median

from .measure import BOOT, COMPILE, COMPILE_SYSTEM, Boot, Sample

# On bare metal neither backend runs. Ratios are between C and Rust, or against bare metal.
NATIVE, C, RUST = "native", "c", "rust"
# Whole loads, which the mean of the operations leaves out.
_LOADS = (BOOT, COMPILE, COMPILE_SYSTEM)
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
    """About five characters: 4.75k, 735k, 30.8M."""
    if value < 1:
        return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            digits = 0 if value >= 99.95 or (unit == "" and value == int(value)) else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    raise AssertionError


class Table:
    def __init__(self, results: dict[str, list[Boot]]) -> None:
        self.sides = list(results)
        boots = [one for side in results.values() for one in side]
        self.linux = sorted({one.linux for one in boots})
        self.xen = sorted({one.xen for one in boots if one.xen != "none"})
        self.operations = list(dict.fromkeys(sample.operation for one in boots for sample in one.samples))
        self.figures = {side: _figures(boots) for side, boots in results.items()}

    def ratios(self, side: str = RUST, base: str = C) -> dict[str, float]:
        """For each operation of both sides, the ratio of instructions on one to those on the other."""
        above, below = self.figures.get(side, {}), self.figures.get(base, {})
        both = (name for name in self.operations if name in above and name in below)
        return {name: above[name].instructions / below[name].instructions for name in both}

    def mean(self) -> tuple[float, int]:
        """The geometric mean of the ratios, without whole loads, and their number."""
        found = [ratio for name, ratio in self.ratios().items() if name not in _LOADS]
        return math.exp(sum(map(math.log, found)) / max(len(found), 1)), len(found)

    def text(self) -> str:
        ratios = {"rust/c": self.ratios(), "PV tax": self.ratios(RUST, NATIVE)}
        ratios = {head: column for head, column in ratios.items() if column}
        guests = [side for side in self.sides if any(one.hypercalls for one in self.figures[side].values())]
        events = [(title, event, side) for event, title in _EVENTS.items() for side in guests]
        rows = [["operation", *self.sides, "+-", *ratios, *(f"{title} {side}" for title, _, side in events)]]
        for name in self.operations:
            here = {side: self.figures[side].get(name) for side in self.sides}
            spread = max(one.spread for one in here.values() if one) / 2
            row = [name, *(short(one.instructions) if one else "-" for one in here.values()), f"{spread:.1%}"]
            row += [f"{column[name]:.2f}" if name in column else "-" for column in ratios.values()]
            row += [short(getattr(here[side], event)) if here[side] else "-" for _, event, side in events]
            rows.append(row)
        lines = ["Instructions for one operation (median), then what it asks of Xen:", "", *_aligned(rows)]
        mean, count = self.mean()
        if count:
            lines += ["", f"rust/c, geometric mean of {count}: {mean:.3f}"]
        return "\n".join(lines)

    def json(self) -> str:
        """One line for each operation of each side, so that differences can be read."""
        head = {
            "linux": self.linux,
            "xen": self.xen,
            "mean": round(self.mean()[0], 4),
            "ratios": {name: round(ratio, 4) for name, ratio in self.ratios().items()},
        }
        sides = []
        for side, figures in self.figures.items():
            lines = (f"{json.dumps(name)}: {json.dumps(asdict(one))}" for name, one in figures.items())
            sides.append(f"{json.dumps(side)}: {{\n" + ",\n".join(lines) + "\n}")
        return json.dumps(head)[:-1] + ',\n"sides": {\n' + ",\n".join(sides) + "\n}}\n"


def _figures(boots: list[Boot]) -> dict[str, Figure]:
    samples: dict[str, list[Sample]] = {}
    for one in boots:
        for sample in one.samples:
            samples.setdefault(sample.operation, []).append(sample)
    return {name: figure(found) for name, found in samples.items()}


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
