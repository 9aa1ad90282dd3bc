# SPDX-License-Identifier: GPL-2.0-only
"""Many mutants in one program; a variable of its environment chooses one.

A function with mutants becomes a `match` with an arm for each of them and one for the
original function. Two kinds are compiled one by one: mutants of functions that return
an `impl` type, whose arms would have different types; and those of code that the
compiler evaluates, where nothing can be chosen yet.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .. import paths
from ..build import cargo
from ..cli import Stop

PACKAGE = "xen-pv-mmu-host"
_ROOT = "testing/host/lib.rs"
_SWITCH = Path(__file__).with_name("mutation.rs")
_FEATURES = "#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features)]\n"
_HEADER = re.compile(r"^\s*(?!//|#)[^\n]*\bfn\b", re.MULTILINE)
_OPTIONS = ["--config=profile.dev.opt-level=2", "--config=profile.dev.debug=0"]
_ENVIRONMENT = {"RUSTFLAGS": "-A warnings", "RUSTC_BOOTSTRAP": "1"}
# Errors of one kind hide those of the next.
_ROUNDS = 20

Position = tuple[int, int]


@dataclass(frozen=True)
class Span:
    """A span from one line and column to another; both count from 1."""

    start: Position
    end: Position


@dataclass(frozen=True)
class Mutant:
    """A span of a file, relative to rust/, and its replacement.

    `owner` is the first mutant of the same function.
    """

    number: int
    owner: int
    name: str
    file: str
    span: Span
    replacement: str
    function: Span | None
    returns: str

    @property
    def can_be_chosen(self) -> bool:
        return self.function is not None and not re.search(r"\bimpl\b", self.returns)


def _span(value: dict) -> Span:
    return Span(*((value[end]["line"], value[end]["column"]) for end in ("start", "end")))


def read(listing: str, names: list[str]) -> list[Mutant]:
    """The mutants of cargo-mutants' two lists, one with their places and one with their names."""
    entries = json.loads(listing)
    if len(entries) != len(names):
        raise Stop("cargo-mutants' two lists differ", "see scripts/config/mutants.toml")
    owners: dict[tuple[str, Span | None], int] = {}
    mutants = []
    for number, (entry, name) in enumerate(zip(entries, names)):
        function = entry["function"]
        span = _span(function["span"]) if function else None
        mutants.append(
            Mutant(
                number,
                owners.setdefault((entry["file"], span), number),
                name,
                entry["file"],
                _span(entry["span"]),
                entry["replacement"],
                span,
                function["return_type"] if function else "",
            )
        )
    return mutants


class _Source:
    """A text with lines and columns."""

    def __init__(self, text: str) -> None:
        self.text = text
        lengths = (len(line) + 1 for line in text.split("\n"))
        self._lines = [0, *itertools.accumulate(lengths)]

    def at(self, position: Position) -> int:
        return self._lines[position[0] - 1] + position[1] - 1

    def body(self, function: Span) -> tuple[int, int]:
        """Where a function's body begins, with its brace, and ends."""
        start, end = self.at(function.start), self.at(function.end)
        header = _HEADER.search(self.text[start:end])
        depth = 0
        for place in range(start + header.end() if header else end, end):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.text[place], 0)
            if self.text[place] == "{" and depth == 0:
                return place, end
        raise Stop(f"no body in: {self.text[start:end]}", "see _HEADER in scripts/harness/mutants/schemata.py")

    def changed(self, mutant: Mutant, start: int, end: int) -> str:
        """The text between two places, with a mutant."""
        before, after = self.text[start : self.at(mutant.span.start)], self.text[self.at(mutant.span.end) : end]
        return before + mutant.replacement + after


def mutated(text: str, mutant: Mutant) -> str:
    """A file with one mutant."""
    return _Source(text).changed(mutant, 0, len(text))


@dataclass
class Switched:
    """A file with many mutants, and the lines of each arm: the mutant's, or the function's."""

    text: str
    mutants: list[tuple[range, int]] = field(default_factory=list)
    functions: list[tuple[range, int]] = field(default_factory=list)


def switched(text: str, mutants: list[Mutant]) -> Switched:
    """A file with a choice of mutants, all of them in functions."""
    source = _Source(text)
    functions: dict[tuple[int, int], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        functions[source.body(mutant.function)].append(mutant)
    new = Switched("")
    last = 0
    for (start, end), choices in sorted(functions.items()):
        if start < last:
            raise Stop("a function with mutants is in another one", "leave it out in scripts/config/mutants.toml")
        number = choices[0].owner
        new.text += text[last:start] + f"{{ match crate::mutation::chosen({number}) {{\n"
        begin = new.text.count("\n")
        for mutant in choices:
            first = new.text.count("\n") + 1
            new.text += f"{mutant.number} => {source.changed(mutant, start, end)}\n"
            new.mutants.append((range(first, new.text.count("\n") + 1), mutant.number))
        new.text += f"_ => {text[start:end]}\n}} }}"
        new.functions.append((range(begin, new.text.count("\n") + 2), number))
        last = end
    new.text += text[last:]
    return new


@dataclass
class Blame:
    """Mutants that do not compile, and functions that the compiler evaluates."""

    mutants: set[int] = field(default_factory=set)
    functions: set[int] = field(default_factory=set)


def _spans(message: dict) -> list[dict]:
    """All places that an error names, including those of macros and notes."""
    found = []
    for part in (message, *message.get("children", [])):
        for span in part["spans"]:
            while span:
                found.append(span)
                span = (span.get("expansion") or {}).get("span")
    return found


def _at(lines: list[tuple[range, int]], number: int) -> set[int]:
    return {choice for covered, choice in lines if number in covered}


def blamed(errors: list[dict], files: dict[str, Switched]) -> Blame:
    """The mutants and functions that the compiler's errors concern. `files` has names as the compiler prints them."""
    blame = Blame()
    for error in errors:
        evaluated = any(Path(span["file_name"]).name == _SWITCH.name for span in _spans(error))
        # The first place is that of the error; others may be of code that it conflicts with.
        for span in sorted(_spans(error), key=lambda span: not span["is_primary"]):
            file = files.get(span["file_name"])
            if not file:
                continue
            if evaluated:
                blame.functions |= _at(file.functions, span["line_start"])
            elif found := _at(file.mutants, span["line_start"]):
                blame.mutants |= found
                break
    return blame


@dataclass(frozen=True)
class Compiled:
    """A program, or errors. `output` is the rest of cargo's output."""

    program: Path | None
    errors: list[dict]
    output: list[str]


class Workshop:
    """A copy of the sources, and the programs compiled from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rust = folder / "rust"
        shutil.rmtree(self.rust, ignore_errors=True)
        shutil.copytree(paths.repo() / "rust", self.rust, symlinks=True, ignore=shutil.ignore_patterns("target"))
        self._original: dict[Path, str] = {}

    def write(self, file: str, text: str) -> None:
        path = (self.rust / file).resolve()
        self._original.setdefault(path, path.read_text())
        path.write_text(text)

    def original(self, file: str) -> str:
        path = (self.rust / file).resolve()
        return self._original.get(path) or path.read_text()

    def restore(self) -> None:
        """Restores the files that were written."""
        for path, text in self._original.items():
            if path.read_text() != text:
                path.write_text(text)

    def compile(self, level: int, show: Callable[[str], None] = lambda _: None) -> Compiled:
        """Compiles the tests, at that level; all other crates are optimised in any case."""
        child = subprocess.Popen(
            ["cargo", "test", "--manifest-path", str(self.rust / "Cargo.toml"), "--package", PACKAGE]
            + [*_OPTIONS, f"--config=profile.dev.package.{PACKAGE}.opt-level={level}"]
            + ["--lib", "--no-run", "--locked", "--message-format=json"],
            env=os.environ | _ENVIRONMENT | {"CARGO_TARGET_DIR": str(self.folder / "target")},
            cwd=self.rust,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        program, errors, output = None, [], []
        with child:
            for line in child.stdout:
                if not line.startswith("{"):
                    output.append(line.rstrip())
                    show(cargo.compiles(line) or "compiling")
                    continue
                said = json.loads(line)
                if said["reason"] == "compiler-message" and said["message"]["level"] == "error":
                    errors.append(said["message"])
                elif said["reason"] == "compiler-artifact" and said["executable"]:
                    program = Path(said["executable"])
        return Compiled(None if child.returncode else program, errors, output)


@dataclass(frozen=True)
class Program:
    """A program with a choice of mutants, the mutants that do not compile, and the remaining ones."""

    path: Path
    chosen: list[Mutant]
    unviable: list[Mutant]
    apart: list[Mutant]


def program(workshop: Workshop, mutants: list[Mutant], show: Callable[[str], None]) -> Program:
    """Compiles as many mutants as possible into one program."""
    blame = Blame()
    root = workshop.original(_ROOT)
    workshop.write(_ROOT, root.replace("\n#![", f"\n{_FEATURES}#![", 1).replace("\nmod ", "\nmod mutation;\nmod ", 1))
    shutil.copy(_SWITCH, (workshop.rust / _ROOT).parent)
    for _ in range(_ROUNDS):
        apart = [one for one in mutants if not one.can_be_chosen or one.owner in blame.functions]
        others = [one for one in mutants if one not in apart]
        unviable = [one for one in others if one.number in blame.mutants]
        chosen = [one for one in others if one.number not in blame.mutants]
        files = {}
        for file in {one.file for one in mutants}:
            here = [one for one in chosen if one.file == file]
            files[file] = switched(workshop.original(file), here)
            # Functions with many arms, each with inlined copies of others, would take forever to compile.
            workshop.write(file, files[file].text.replace("#[inline(always)]", "#[inline(never)]"))
        done = workshop.compile(1, show)
        if done.program:
            return Program(done.program, chosen, unviable, apart)
        new = blamed(done.errors, files)
        if new.mutants <= blame.mutants and new.functions <= blame.functions:
            errors = [error["rendered"] for error in done.errors[:3]] or done.output[-5:]
            raise Stop("\n".join(["the mutants do not build:", *errors]), "see scripts/harness/mutants/schemata.py")
        blame = Blame(blame.mutants | new.mutants, blame.functions | new.functions)
    raise Stop(f"the mutants do not build, {_ROUNDS} times", "see scripts/harness/mutants/schemata.py")
