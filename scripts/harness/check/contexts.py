# SPDX-License-Identifier: GPL-2.0-only
"""Each public function of the crate says in which context it may be called.

The statement is a paragraph `Context: ...`, the last of the function's documentation but for
sections and the targets of links. One in the documentation of a type or a trait covers its
methods, and one at the top of a file the functions in it, as far as these have none of their
own. Public besides those with `pub` are functions that C calls by name, methods that a trait
declares, and functions in the body of a macro that makes them public. A public function that
is unsafe has a `# Safety` section.

rustdoc's JSON would tell, but only a nightly compiler writes it. So this reads tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .. import paths
from ..cli import Stop

# What has no callers in the kernel: tests, macros that run in rustc, and lists of C headers.
_BESIDE = ("bindings", "macros", "testing")
_TEST_FILE = re.compile(r"(^|_)tests$")

_TOKEN = re.compile(
    r"""
      (?P<inner>//![^\n]*)
    | (?P<outer>///(?!/)[^\n]*)
    | (?P<skipped>//[^\n]*|/\*.*?\*/|\s+)
    | (?P<string>b?r(?P<hashes>\#*)".*?"(?P=hashes)|[bc]?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]+?|[^\\'\n])')
    | (?P<word>(?:r\#)?\w+)
    | (?P<sign>.)
    """,
    re.X | re.S,
)
_STATEMENT = re.compile(r"(?:^|\n\n)Context: [^\n]+(?:\n[^\n]+)*?\.(?=\n\n(?:# |\[)|$)")
_FOR_C = ("no_mangle", "export", "export_name")


@dataclass
class Scope:
    """What a pair of braces encloses."""

    kind: str
    """A word of Rust, where `mod` is a file as well, or `!` for the body of a macro."""
    name: str
    docs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Function:
    line: int
    name: str
    lacks: tuple[str, ...]
    """What its documentation does not say."""


def _text(docs: list[str]) -> str:
    return "\n".join(line[3:].strip() for line in docs).strip()


def _states(docs: list[str]) -> bool:
    return bool(_STATEMENT.search(_text(docs)))


def _lacks(docs: list[str], is_unsafe: bool, inherits: bool) -> tuple[str, ...]:
    text = _text(docs)
    return tuple(
        what
        for what, is_there in (
            ("documentation", _STATEMENT.sub("", text)),
            ("a context", inherits or _STATEMENT.search(text)),
            ("a section # Safety", not is_unsafe or "\n# Safety\n" in f"\n{text}\n"),
        )
        if not is_there
    )


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    for token in _TOKEN.finditer(text):
        if token.lastgroup != "skipped":
            yield ("string" if token["string"] else token.lastgroup), token[0], token.start()


def _type(words: list[str]) -> str:
    """Returns the name of the type that `impl`, with its generics and bounds, is for."""
    depth, names = 0, []
    for word in words[words.index("impl") + 1 :]:
        if word == "where" and depth == 0:
            break
        if depth == 0 and word.isidentifier():
            names.append(word)
        depth += {"<": 1, ">": -1}.get(word, 0)
    return names[-1] if names else ""


def _scope(words: list[str], docs: list[str]) -> Scope:
    """Returns what the brace behind `words` opens."""
    for kind in ("fn", "impl", "trait", "mod"):
        if kind in words:
            name = _type(words) if kind == "impl" else words[words.index(kind) + 1]
            return Scope(kind, name, docs)
    return Scope("!" if words[-1:] == ["!"] else "", "")


def functions(text: str) -> list[Function]:
    """Finds the public functions of a file, outside of functions."""
    found: list[tuple[int, str, str, list[str], bool, bool]] = []
    types: dict[str, list[str]] = {}
    stack = [Scope("mod", "")]
    docs: list[str] = []
    words: list[str] = []
    attribute = 0  # brackets that are open
    marks: list[str] = []
    before = ""
    for kind, word, at in _tokens(text):
        if attribute:
            attribute += {"[": 1, "]": -1}.get(word, 0) if kind == "sign" else 0
            marks.append(word)
        elif kind == "inner":
            stack[-1].docs.append(word)
        elif kind == "outer":
            docs.append(word)
        elif kind == "sign" and word == "[" and before in ("#", "!") and (not words or set(words) <= {"#", "!"}):
            attribute, words = 1, []
        elif kind == "sign" and word in "{};":
            if word == "{":
                stack.append(_scope(words, docs))
            elif word == "}" and len(stack) > 1:
                stack.pop()
            docs, words, marks = [], [], []
        else:
            if before in ("struct", "enum", "union", "trait") and kind == "word":
                types[word] = docs
            elif before == "fn" and kind == "word" and all(each.kind != "fn" for each in stack):
                scope = stack[-1]
                if "pub" in words or scope.kind in ("trait", "!") or set(marks) & {*_FOR_C}:
                    owner = scope.name if scope.kind in ("impl", "trait") else ""
                    inherits = any(_states(each.docs) for each in stack)
                    found.append((text.count("\n", 0, at) + 1, owner, word, docs, "unsafe" in words, inherits))
            words.append(word if kind != "string" else '""')
        before = word
    # A type may stand behind its methods.
    return [
        Function(line, f"{owner}::{name}" if owner else name, _lacks(own, is_unsafe, inherits or _states(types.get(owner, []))))
        for line, owner, name, own, is_unsafe, inherits in found
    ]


def verdict(files: dict[str, str]) -> str:
    missing, number = [], 0
    for file, text in files.items():
        for each in functions(text):
            number += 1
            if each.lacks:
                missing.append(f"{file}:{each.line}: {each.name} lacks {', '.join(each.lacks)}")
    if missing:
        advice = 'add what is missing; a context is a paragraph such as "Context: may sleep." of the function, its type or its file'
        raise Stop("\n  ".join((f"{len(missing)} of {number} public functions are not documented:", *missing)), advice)
    if not number:
        raise Stop("there is no public function", "run this in a complete checkout")
    return f"{number} functions"


def _files(listed: list[Path]) -> dict[str, str]:
    return {
        path.as_posix(): (paths.repo() / path).read_text()
        for path in listed
        if path.suffix == ".rs" and path.parts[0] == "rust" and path.parts[1] not in _BESIDE and not _TEST_FILE.search(path.stem)
    }


def check(listed: list[Path]) -> str:
    return verdict(_files(listed))
