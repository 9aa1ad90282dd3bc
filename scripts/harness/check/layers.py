# SPDX-License-Identifier: GPL-2.0-only
"""Imports of the crate go down its layer map, and none goes round in a circle.

The map is the one in the documentation of rust/xen_pv_mmu.rs: a line for each layer,
the highest first, with the names of its modules and a description. Modules below a
named one belong to it, unless the map names them as well. Tests may use everything.

The picture in the manual is drawn from the same map and imports; what is beyond the edge to C
is added to it.
"""

import html
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..cli import Stop

ROOT = Path("rust/xen_pv_mmu.rs")
PICTURE = Path("Documentation/xen-pv-mmu/layers.svg")

_MAP = re.compile(r"^//! ```text\n(.*?)^//! ```", re.M | re.S)
_LINE = re.compile(r"//! {3}(?P<modules>\S+(?: {1,2}\S+)*) {3,}(?P<what>\S.*)")
_TESTS = re.compile(r"^#\[kernel::macros::kunit_tests\(\w+\)\]\nmod \w+ \{\n.*?^\}\n", re.M | re.S)
_COMMENT = re.compile(r"//[^\n]*")
_USE = re.compile(r"\buse\s+((?:crate|super|self)\b[^;]*);", re.S)
_PATH = re.compile(r"\bcrate(?:::\w+)+")
_TEST_FILE = re.compile(r"(^|_)tests$")


@dataclass(frozen=True)
class Import:
    file: str
    user: str
    """The module of the map that the file belongs to."""
    used: str


def layers(text: str) -> dict[str, int]:
    """Returns the layer of each module, counted from the highest."""
    found = _MAP.search(text)
    if not found:
        raise Stop(f"{ROOT} has no layer map", "it is the block that begins with ```text in the documentation of the crate")
    ranks: dict[str, int] = {}
    for rank, line in enumerate(found[1].splitlines()):
        parts = _LINE.fullmatch(line)
        if not parts:
            raise Stop(f"{ROOT}: not a line of the layer map: {line}", "write modules, at least three spaces, and what they are")
        for module in parts["modules"].split():
            if module in ranks:
                raise Stop(f"{ROOT}: {module} is in the layer map twice", "name it once")
            ranks[module] = rank
    return ranks


def _names(tree: str) -> list[str]:
    """Returns all paths of a tree of imports."""
    head, brace, rest = tree.partition("{")
    if not brace:
        return ["".join(tree.split(" as ")[0].split())]
    paths, depth, start = [], 0, 0
    body = rest[: rest.rindex("}")]
    for at, letter in enumerate(body + ","):
        if letter == "," and depth == 0:
            if part := body[start:at].strip():
                paths += [head.strip() + path for path in _names(part)]
            start = at + 1
        depth += {"{": 1, "}": -1}.get(letter, 0)
    return paths


def _absolute(path: str, module: tuple[str, ...]) -> tuple[str, ...]:
    base, rest = module, path.split("::")
    while rest and rest[0] in ("crate", "self", "super"):
        word = rest.pop(0)
        base = () if word == "crate" else base[:-1] if word == "super" else base
    return (*base, *rest)


def unit(path: tuple[str, ...], ranks: dict[str, int]) -> str | None:
    """Returns the module of the map that `path` lies in."""
    return next((name for end in range(len(path), 0, -1) if (name := "::".join(path[:end])) in ranks), None)


def imports(files: dict[str, str], ranks: dict[str, int]) -> list[Import]:
    """Finds the imports between modules of the map in `files`, named from rust/ on."""
    found = []
    for file, text in files.items():
        module = Path(file).with_suffix("").parts
        if _TEST_FILE.search(module[-1]):
            continue
        user = unit(module, ranks)
        if user is None:
            raise Stop(f"rust/{file} is not in the layer map of {ROOT}", "give its module a place there")
        code = _COMMENT.sub("", _TESTS.sub("", text))
        paths = [path for use in _USE.findall(code) for path in _names(use)]
        for path in (*paths, *_PATH.findall(_USE.sub("", code))):
            used = unit(_absolute(path, module), ranks)
            if used is not None and used != user:
                found.append(Import(file, user, used))
    return found


def _circle(edges: dict[str, set[str]]) -> list[str] | None:
    """Returns modules that use each other in a circle, if there are any."""
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        found = next((circle for used in sorted(edges.get(module, ())) if (circle := visit(used, [*way, module]))), None)
        done.add(module)
        return found

    return next((circle for module in sorted(edges) if (circle := visit(module, []))), None)


def verdict(files: dict[str, str], text: str) -> str:
    ranks = layers(text)
    found = imports(files, ranks)
    upwards = sorted({f"rust/{each.file} uses {each.used}, which is above {each.user}" for each in found if ranks[each.used] < ranks[each.user]})
    if upwards:
        raise Stop("\n  ".join(("imports go up the layer map:", *upwards)), f"move what is used down, or change the map in {ROOT}")
    edges: dict[str, set[str]] = {}
    for each in found:
        edges.setdefault(each.user, set()).add(each.used)
    if circle := _circle(edges):
        raise Stop(f"modules use each other in a circle: {' -> '.join(circle)}", "move what they share to a module below")
    absent = sorted(module for module in ranks if f"{module.replace('::', '/')}.rs" not in files)
    if absent:
        raise Stop(f"the layer map of {ROOT} names modules that do not exist: {', '.join(absent)}", "name modules as files below rust/")
    return f"{len(ranks)} modules in {len(set(ranks.values()))} layers"


_ROW, _BOX, _LEFT, _RIGHT, _OUTER, _WIDTH = 52, 30, 150, 900, 962, 1200
# What is beyond the edge to C, at the layer of a module: which way calls go, what it is, and details.
_BEYOND = {
    "ops": ("in", "Linux calls, from C:", ("pv_ops.mmu", "symbols of mmu_pv.c,", "p2m.c and multicalls.c", "<asm/pgtable.h>")),
    "platform": ("out", "The platform calls and uses:", ("hypercalls of Xen", "functions and data of Linux", "(bindings, helpers)", "memory of page tables")),
}


def _edge(ranks: dict[str, int], height: int) -> list[str]:
    """The edge to C as a line, and the boxes beyond it with their arrows."""
    line = (_RIGHT + _OUTER) / 2
    turned = f'transform="translate({line + 18} {height / 2}) rotate(90)"'
    shapes = [f'<path class="edge" d="M{line} 2 V{height - 2}"/>', f'<text class="sign" {turned}>edge to C</text>']
    for module, (way, title, details) in _BEYOND.items():
        if module not in ranks:
            continue
        middle = ranks[module] * _ROW + _ROW / 2
        size = 36 + 17 * len(details)
        top = min(max(2, middle - size / 2), height - size - 2)
        start, end, tip = (_OUTER, _RIGHT, 8) if way == "in" else (_RIGHT - 2, _OUTER, -8)
        shapes.append(f'<rect class="beyond" x="{_OUTER}" y="{top}" width="{_WIDTH - _OUTER - 2}" height="{size}"/>')
        shapes.append(f'<text class="title" x="{_OUTER + 12}" y="{top + 20}">{title}</text>')
        for number, words in enumerate(details):
            shapes.append(f'<text x="{_OUTER + 12}" y="{top + 40 + 17 * number}">{html.escape(words)}</text>')
        shapes.append(f'<path class="call" d="M{start} {middle} H{end + tip}"/>')
        shapes.append(f'<path class="tip" d="M{end} {middle} l{tip} -5 v10 z"/>')
    return shapes


def picture(files: dict[str, str], text: str) -> str:
    """Layers with their modules, and arcs from those that import to those that are imported."""
    ranks = layers(text)
    counts = Counter((ranks[each.user], ranks[each.used]) for each in set(imports(files, ranks)))
    what = [_LINE.fullmatch(line)["what"] for line in _MAP.search(text)[1].splitlines()]
    middle = [rank * _ROW + _ROW / 2 for rank in range(len(what))]
    shapes = []
    for (user, used), number in sorted(counts.items()):
        if user != used:
            bulge = _LEFT - 10 - 14 * (used - user)
            shapes.append(
                f'<path class="use" stroke-width="{0.4 + number / 12:.2f}" '
                f'd="M{_LEFT - 6} {middle[user]} C{bulge} {middle[user]} {bulge} {middle[used]} {_LEFT - 6} {middle[used]}"/>'
            )
    for rank, words in enumerate(what):
        left = _LEFT
        shapes.append(f'<rect class="layer" x="{_LEFT}" y="{rank * _ROW + 2}" width="{_RIGHT - _LEFT - 2}" height="{_ROW - 4}"/>')
        for module in (name for name, of in ranks.items() if of == rank):
            width = 14 + 7.3 * len(module)
            top = middle[rank] - _BOX / 2
            shapes.append(f'<rect class="module" x="{left + 8}" y="{top}" width="{width:.1f}" height="{_BOX}"/>')
            shapes.append(f'<text class="name" x="{left + 8 + width / 2:.1f}" y="{middle[rank] + 4}">{module}</text>')
            left += width + 8
        shapes.append(f'<text class="what" x="{_RIGHT - 12}" y="{middle[rank] + 4}">{words}</text>')
    height = len(what) * _ROW
    shapes += _edge(ranks, height)
    style = (
        ".page{fill:#fff}.use{fill:none;stroke:#2a6f97;stroke-opacity:.6}.layer{fill:#f4f6f8;stroke:#c5ced6}.module{fill:#fff;stroke:#2a6f97}"
        "text{font:13px sans-serif;fill:#222}.name{font-family:monospace;font-size:12px;text-anchor:middle}.what{text-anchor:end;fill:#555}"
        ".edge{stroke:#b5651d;stroke-dasharray:6 4}.beyond{fill:#fdf3e7;stroke:#b5651d}.title{font-weight:bold}.sign{text-anchor:middle;fill:#b5651d}"
        ".call{fill:none;stroke:#b5651d;stroke-width:2}.tip{fill:#b5651d}"
    )
    return "\n".join(
        (
            "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
            "<!-- Drawn by make fmt from the layer map and the imports of the crate. -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
            f"<style>{style}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            *shapes,
            "</svg>\n",
        )
    )


# Parts that are not the backend: tests, and separate crates.
_BESIDE = ("bindings", "helpers", "kernel", "macros", "testing")


def _files(listed: list[Path]) -> dict[str, str]:
    files = {}
    for path in listed:
        if path.suffix == ".rs" and path.parts[0] == "rust" and path != ROOT:
            inside = path.relative_to("rust")
            if inside.with_suffix("").parts[0] not in _BESIDE:
                files[inside.as_posix()] = (paths.repo() / path).read_text()
    return files


def write(listed: list[Path]) -> str:
    """Redraws the picture."""
    (paths.repo() / PICTURE).write_text(picture(_files(listed), (paths.repo() / ROOT).read_text()))
    return str(PICTURE)


def check(listed: list[Path]) -> str:
    files, text = _files(listed), (paths.repo() / ROOT).read_text()
    said = verdict(files, text)
    if (paths.repo() / PICTURE).read_text() != picture(files, text):
        raise Stop(f"{PICTURE} does not match the map and the imports", "run: make fmt")
    return said
