# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's callers of functions that may wait in lazy MMU mode are those that were reviewed.

scripts/lazy-mmu-callers.toml lists them; the tables of the page are made from it.

A function runs in a section if the section calls it, in the same file, or elsewhere by
name if that function itself calls something that waits. Longer chains of calls, such as
those of allocators, are not followed.
"""

import os
import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .. import paths
from ..build import kernel
from ..cli import Stop

TABLE = Path("scripts/lazy-mmu-callers.toml")
PAGE = Path("Documentation/lazy-mmu-callers.md")

# Folders to search for callers; no other architecture has this backend.
PLACES = (
    "arch/x86",
    *("block", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc", "kernel", "lib"),
    *("mm", "net", "rust", "security", "sound", "virt"),
)
# Functions whose effect may wait until the task leaves lazy MMU mode.
HOOKS = (
    "set_ptes",
    "set_pte_at",
    "get_and_clear_full_ptes",
    "get_and_clear_ptes",
    "clear_full_ptes",
    "clear_ptes",
    "wrprotect_ptes",
    "ptep_modify_prot_commit",
    "modify_prot_commit_ptes",
    "clear_young_dirty_ptes",
)
# These wait as well. That matters only in sections, where few functions call them.
FLUSHES = (
    "flush_tlb_all",
    "flush_tlb_before_set",
    "flush_tlb_kernel_range",
    "flush_tlb_local",
    "flush_tlb_mm",
    "flush_tlb_mm_range",
    "flush_tlb_multi",
    "flush_tlb_one_kernel",
    "flush_tlb_one_user",
    "flush_tlb_page",
    "flush_tlb_range",
    "ptep_clear_flush",
    "tlb_flush_mmu",
    "tlb_flush_mmu_tlbonly",
)
ENTER = ("lazy_mmu_mode_enable", "arch_enter_lazy_mmu_mode", "xen_pv_mmu_begin_table_move")
ENTER_IS_DEFINED_IN = "include/linux/pgtable.h"
LEAVE = ("lazy_mmu_mode_disable", "xen_pv_mmu_end_table_move")
# They call their fourth argument for each entry, in a section of this function.
APPLY = ("apply_to_page_range", "apply_to_existing_page_range")
APPLIER = "apply_to_pte_range"

_NOT_CODE = re.compile(
    r"/\*.*?\*/|//(?:\\\n|[^\n])*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\\\n",
    re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)
_MACRO = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)(?:\([^)]*\))?(.*)", re.DOTALL)
_BRACES = re.compile(r"^}|[{};]", re.MULTILINE)
_NAME_BEFORE_PARENTHESIS = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_CALL = re.compile(r"(?<!->)(?<![.\w])([A-Za-z_]\w*)\s*\(")
# Words in the head of a function that have parentheses and are not its name.
_ATTRIBUTE = re.compile(
    r"__(acquires\w*|releases\w*|must_hold\w*|printf|scanf|attribute__|section|aligned|alloc_size|no_sanitize\w*"
    r"|cond_acquires\w*|cond_releases\w*|counted_by|diagnose_as|asm\w*)$|asmlinkage|typeof"
)


@dataclass(frozen=True)
class Function:
    name: str
    body: str
    is_local: bool
    """Whether it is static, and not in a header."""


@dataclass
class Found:
    """All of these in a tree."""

    callers: set[tuple[str, str, str]] = field(default_factory=set)
    """File, function, hook."""
    sections: set[tuple[str, str]] = field(default_factory=set)
    callbacks: set[tuple[str, str]] = field(default_factory=set)
    """File, function that is called for each entry."""
    inside: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    """For each function that calls something that waits, the sections that it runs in."""
    waiting: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """The calls of each of these functions."""


def code(text: str) -> str:
    """C without comments and strings, on the same lines."""

    def blank(match: re.Match) -> str:
        what = match[0]
        if what == "\\\n":
            return " "
        return " " * (what[0] == "/") + what[0] * 2 * (what[0] != "/") + "\n" * what.count("\n")

    return _NOT_CODE.sub(blank, text)


def functions(text: str, *, header: bool = False) -> list[Function]:
    """The functions and macros that a file of C defines, with their bodies."""
    # Continued lines are one, so that a macro is one directive.
    text = code(text)
    found = []

    def note(match: re.Match) -> str:
        if macro := _MACRO.match(match[0]):
            found.append(Function(macro[1], macro[2], not header))
        return ""

    text = _DIRECTIVE.sub(note, text)
    depth = start = body = 0
    head = ""
    for brace in _BRACES.finditer(text):
        at = brace.start()
        if brace[0] == "{":
            if not depth:
                head, body = text[start:at], at
            depth += 1
        elif brace[0] == "}" and depth:
            # A brace at the margin ends a function, even if branches of #ifdef have opened more.
            depth = 0 if at == 0 or text[at - 1] == "\n" else depth - 1
            if not depth:
                if name := _name(head):
                    found.append(Function(name, text[body:at], not header and bool(re.search(r"\bstatic\b", head))))
                start = at + 1
        elif not depth:
            start = at + 1
    return found


def _name(head: str) -> str:
    """The name of the function that this head belongs to, if any."""
    if "(" not in head or re.search(r"=\s*(\([^()]*\)\s*)?$", head.rstrip()):
        return ""
    if system_call := re.search(r"\b(?:COMPAT_)?SYSCALL_DEFINE\d\s*\(\s*(\w+)", head):
        return system_call[1]
    names = (name for name in _NAME_BEFORE_PARENTHESIS.findall(head) if not _ATTRIBUTE.match(name))
    return next(names, "")


def _calls(text: str) -> set[str]:
    return set(_CALL.findall(text))


def _within(function: Function) -> str:
    """The part of a function that is in its section: from the first entry to the last exit."""
    starts = [at for name in ENTER if (at := function.body.find(name)) >= 0]
    end = max(map(function.body.rfind, LEAVE))
    return function.body[min(starts) : end if end >= 0 else None]


def _arguments(text: str, name: str) -> Iterable[list[str]]:
    for match in re.finditer(rf"(?<![.\w]){name}\s*\(", text):
        depth, arguments = 1, [""]
        for char in text[match.end() :]:
            depth += (char in "([{") - (char in ")]}")
            if not depth:
                break
            if char == "," and depth == 1:
                arguments.append("")
            else:
                arguments[-1] += char
        yield [argument.strip() for argument in arguments]


def _files(tree: Path) -> list[str]:
    """The files that contain any of the names."""
    command = ["grep", "-rlIF", "--include=*.c", "--include=*.h", "-e", "\n".join((*HOOKS, *ENTER, *APPLY))]
    command += [place for place in PLACES if (tree / place).exists()]
    # grep compares bytes faster than characters.
    done = subprocess.run(command, cwd=tree, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise Stop(f"grep cannot read {tree}:\n{done.stderr.strip()}", "look at the tree")
    return sorted(done.stdout.split())


def scan(tree: Path) -> Found:
    """Finds callers, sections, and which callers run in which sections."""
    files: dict[str, dict[str, list[Function]]] = {}
    for name in _files(tree):
        by_name = files[name] = defaultdict(list)
        for function in functions((tree / name).read_text(errors="replace"), header=name.endswith(".h")):
            by_name[function.name].append(function)

    found = Found()
    public: dict[str, list[str]] = defaultdict(list)
    for name, by_name in files.items():
        for function in (function for those in by_name.values() for function in those):
            called = _calls(function.body)
            hooks = called & set(HOOKS)
            found.callers |= {(name, function.name, hook) for hook in hooks}
            # The page-table headers only pass calls on, under the names of hooks.
            if hooks and not function.is_local and not name.endswith("pgtable.h"):
                public[function.name].append(name)
            if called & set(ENTER) and name != ENTER_IS_DEFINED_IN:
                found.sections.add((name, function.name))
            for apply in called & set(APPLY):
                for arguments in _arguments(function.body, apply):
                    if len(arguments) > 3 and arguments[3] in by_name:
                        found.callbacks.add((name, arguments[3]))
                    elif len(arguments) > 3 and arguments[3] != "NULL":
                        found.callbacks.add((name, f"{arguments[3]} of {function.name}"))

    for name, section in found.sections:
        texts = [_within(function) for function in files[name][section] if _calls(function.body) & set(ENTER)]
        _follow(found, files, public, name, section, section, texts)
    for name, callback in found.callbacks:
        found.inside[name, callback].add(APPLIER)
        found.waiting.setdefault((name, callback), set())
        texts = [function.body for function in files[name].get(callback, ())]
        _follow(found, files, public, name, callback, APPLIER, texts)
    return found


def _follow(found: Found, files: dict, public: dict, name: str, first: str, section: str, texts: list[str]) -> None:
    """Records the calls that wait in these bodies, and in those that they call in the same file."""
    bodies, seen = [(name, first, text) for text in texts], {(name, first)}
    while bodies:
        file, function, text = bodies.pop()
        called = _calls(text)
        if waiting := called & {*HOOKS, *FLUSHES}:
            found.inside[file, function].add(section)
            found.waiting.setdefault((file, function), set()).update(waiting)
        for callee in called:
            here = [(file, callee)] if callee in files[file] else [(other, callee) for other in public.get(callee, ())]
            for place in here:
                if place not in seen:
                    seen.add(place)
                    bodies += [(*place, other.body) for other in files[place[0]][callee]]


def version(tree: Path) -> str:
    """Major and minor number of the kernel."""
    text = (tree / "Makefile").read_text()
    numbers = [re.search(rf"^{name} = (\d+)$", text, re.MULTILINE) for name in ("VERSION", "PATCHLEVEL")]
    if not all(numbers):
        raise Stop(f"{tree} is not a Linux source tree", "set KDIR to one")
    return ".".join(number[1] for number in numbers)


def load(path: Path) -> dict:
    return tomllib.loads(path.read_text())


def _holds(row: dict, kernel: str) -> bool:
    return kernel in row.get("linux", (kernel,))


def _outside(table: dict, kernel: str) -> set[tuple[str, str, str]]:
    """Callers that are never in a section; a name may be followed by the versions that have it."""
    found = set()
    for row in table.get("outside", ()):
        for hook in HOOKS:
            for entry in row.get(hook, ()):
                function, *versions = entry.split()
                if not versions or kernel in versions:
                    found.add((row["file"], function, hook))
    return found


def wrong(found: Found, table: dict, kernel: str) -> list[str]:
    """Differences between the tree and the table, with what to do."""
    if kernel not in table["linux"]:
        return [f"{TABLE} does not know Linux {kernel}: go through its callers, then add it to `linux`"]
    problems = []

    sections = {(row["file"], row["function"]) for row in table.get("section", ()) if _holds(row, kernel)}
    for name, function in sorted(found.sections - sections):
        problems.append(f"{name}: {function}() enters lazy MMU mode and is no [[section]]: add one with what it holds and when it ends")
    for name, function in sorted(sections - found.sections):
        problems.append(f"{name}: {function}() does not enter lazy MMU mode any more: remove its [[section]]")

    inside = {(row["file"], row["function"]): row for row in table.get("inside", ()) if _holds(row, kernel)}
    for place, where in sorted(found.inside.items()):
        what = f"{place[0]}: {place[1]}()"
        if place not in inside:
            calls = ", ".join(sorted(found.waiting[place])) or "nothing that waits"
            problems.append(
                f"{what} runs in lazy MMU mode, in {', '.join(sorted(where))}, and calls {calls}: "
                "read it, and add an [[inside]] with the reason why that is correct"
            )
            continue
        row = inside[place]
        for key, actual in (("sections", where), ("calls", found.waiting[place])):
            if more := actual - set(row[key]):
                problems.append(f"{what} has more `{key}`: {', '.join(sorted(more))}: read it again, and add them")
            if less := set(row[key]) - actual:
                problems.append(f"{what} has no such `{key}` any more: {', '.join(sorted(less))}: remove them")
    for name, function in sorted(set(inside) - set(found.inside)):
        problems.append(f"{name}: {function}() does not run in lazy MMU mode any more: remove its [[inside]]")

    outside = _outside(table, kernel)
    callers = {caller for caller in found.callers if (caller[0], caller[1]) not in found.inside}
    for name, function, hook in sorted(callers - outside):
        problems.append(
            f"{name}: {function}() calls {hook}() and is not known: "
            "find out whether it can be in lazy MMU mode, and add it to [[outside]] or [[inside]]"
        )
    for name, function, hook in sorted(outside - callers):
        is_inside = (name, function) in found.inside
        why = "is not outside" if is_inside else f"does not call {hook}() any more"
        problems.append(f"{name}: {function}() {why}: remove it from [[outside]]")
    return problems


def _rows(titles: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(' '.join(cell.split()) for cell in line)} |\n" for line in lines)


def _only(row: dict) -> str:
    return f" (only {', '.join(row['linux'])})" if "linux" in row else ""


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _place(row: dict) -> str:
    return f"`{row['file']}`: `{row['function']}`{_only(row)}"


def tables(table: dict) -> dict[str, str]:
    """The tables of the page, by the names of their markers in it."""
    columns = ("reads", "others", "why")
    return {
        "sections": _rows(
            ("section", "holds", "note"), ((_place(row), row["holds"], row["note"]) for row in table["section"])
        ),
        "inside": _rows(
            ("caller", "in", "calls", "what waits", "what it reads back", "other readers", "why it is correct"),
            (
                (_place(row), _code(row["sections"]), _code(row["calls"]) or "-", row["waits"], *(row[key] for key in columns))
                for row in table["inside"]
            ),
        ),
        "outside": _rows(
            ("file", "callers", "why never in a section"),
            (
                (
                    f"`{row['file']}`",
                    "; ".join(f"`{hook}`: {_names(row[hook])}" for hook in HOOKS if hook in row),
                    row["why"],
                )
                for row in table["outside"]
            ),
        ),
    }


def _names(entries: list[str]) -> str:
    parts = (entry.split() for entry in entries)
    return ", ".join(f"`{name}`" + (f" (only {', '.join(only)})" if only else "") for name, *only in parts)


def page(text: str, table: dict) -> str:
    """The page with its tables as they should be."""
    for name, rows in tables(table).items():
        place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(text):
            raise Stop(f"{PAGE} has no place for the table {name}", "put the two marks back")
        text = place.sub(lambda match, rows=rows: f"{match[1]}\n{rows}\n{match[2]}", text)
    return text


def write() -> str:
    """Regenerates the tables of the page."""
    path = paths.repo() / PAGE
    path.write_text(page(path.read_text(), load(paths.repo() / TABLE)))
    return f"the tables of {PAGE}"


def check(_listed: list[Path]) -> str:
    table = load(paths.repo() / TABLE)
    if not paths.tree().exists():
        kernel.prepare_tree()
    found = scan(paths.tree())
    if problems := wrong(found, table, version(paths.tree())):
        raise Stop("\n".join([f"{TABLE} does not fit the kernel:", *problems]), f"change {TABLE}, then run: make fmt")
    text = (paths.repo() / PAGE).read_text()
    if page(text, table) != text:
        raise Stop(f"{PAGE} does not match {TABLE}", "run: make fmt")
    return f"{len(found.callers)} calls, {len(found.inside)} functions in {len(found.sections)} sections"
