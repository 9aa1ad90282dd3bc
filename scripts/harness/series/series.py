# SPDX-License-Identifier: GPL-2.0-only
"""The repository as series of patches for the kernel: what each of them changes."""

import functools
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

from .. import paths
from ..cli import Stop
from ..load_script import load_script
from . import without

FOLDER = Path("scripts/series")


@functools.cache
def integrate() -> ModuleType:
    """scripts/integrate, which knows what an edit is."""
    return load_script("integrate")


@dataclass(frozen=True)
class Patch:
    """One patch, with the whole new text of each path that it changes."""

    name: str
    series: str
    subject: str
    message: str
    trailers: tuple[str, ...]
    alone: bool
    own: tuple[str, ...]
    """Edits that only the series make."""
    supersedes: tuple[str, ...]
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def is_fix(self) -> bool:
        """Whether it belongs to a series of fixes of the C code."""
        return self.series.startswith("fix")


@dataclass(frozen=True)
class Letter:
    """One series: its cover letter, and what it is built on."""

    name: str
    subject: str
    text: str
    to: tuple[str, ...]
    prefix: str
    """What stands in the brackets in front of each subject."""
    needs: tuple[str, ...]
    """The series that have to be applied before, in order."""
    exempt: bool
    """checkpatch has exemptions, which patches.py lists."""
    patches: list[Patch]


@dataclass(frozen=True)
class Export:
    """All series, in the order in which they apply together."""

    letters: list[Letter]
    pristine: dict[str, str]
    """The original text of the kernel's files that are edited."""
    edits: dict[str, object]
    """All edits by name, in the order of their application."""
    files: dict[str, Path]
    """Paths in the tree that are files of this repository."""
    outside: list[str]
    """The edits that stay here."""
    apart: tuple[str, ...]
    """Files that Debian has patched in other places."""

    @property
    def patches(self) -> list[Patch]:
        return [patch for letter in self.letters for patch in letter.patches]

    def needed(self, letter: Letter) -> list[Patch]:
        """The patches below a series."""
        return [patch for other in self.letters if other.name in letter.needs for patch in other.patches]


class Declared:
    """The declarations, checked against the existing files and edits."""

    def __init__(self, declared: dict, anchors: dict, own: dict) -> None:
        self.declared = declared
        self.series = declared["series"]
        self.patches = declared["patch"]
        self.places = declared["places"] | {table["target"]: table["path"] for table in anchors["link"] if table["target"] != "."}
        edit = integrate().Edit

        class OwnEdit(edit):
            """The series start from an untouched kernel, where no older form of an edit can be."""

            def leftover(self, _text: str) -> None:
                return None

        self.edits = {table["name"]: OwnEdit(_signed(table)) for table in own["edit"]}
        self.edits |= {table["name"]: edit(table) for table in anchors["edit"]}
        self.rewrites = declared.get("rewrite", [])

    def check_edits(self) -> None:
        """Every edit must belong to exactly one patch, or stay here."""
        used = list(self.outside())
        for patch in self.patches:
            used += [*patch.get("edits", []), *patch.get("own", []), *patch.get("supersedes", [])]
        problems = [f"no patch has the edit {name}" for name in self.edits if name not in used]
        problems += [f"{name} is no edit" for name in used if name not in self.edits]
        problems += [f"more than one patch has the edit {name}" for name in set(used) if used.count(name) > 1]
        _stop(problems)

    def check_series(self) -> None:
        """Patches are in the order of their series, which build on earlier ones only."""
        names = [table["name"] for table in self.series]
        problems = [
            f"the series {table['name']} needs {need}, which does not come before"
            for number, table in enumerate(self.series)
            for need in table.get("needs", [])
            if need not in names[:number]
        ]
        order = [patch["series"] for patch in self.patches]
        problems += [f"{name} is no series" for name in sorted(set(order) - set(names))]
        problems += [f"the series {name} has no patch" for name in names if name not in order]
        if not problems and order != sorted(order, key=names.index):
            problems.append("the patches are not in the order of their series")
        _stop(problems)

    def outside(self) -> list[str]:
        """The edits that stay here."""
        return [name for table in self.declared["outside"] for name in table.get("edits", [])]

    def owners(self, files: Iterable[Path]) -> dict[str, str]:
        """For each file, the patch it comes with, or "" if it stays here.

        Where patterns of several patches match, the last one decides.
        """
        tables = [*self.declared["outside"], *self.patches]
        unused = {pattern for table in tables for pattern in table.get("files", [])}
        owners = {}
        problems = []
        for path in map(str, files):
            for table in tables:
                matching = {pattern for pattern in table.get("files", []) if fnmatchcase(path, pattern)}
                unused -= matching
                if matching:
                    owners[path] = table.get("name", "")
            if path not in owners:
                problems.append(f"no patch has the file {path}")
        problems += [f"no file matches {pattern}" for pattern in sorted(unused)]
        _stop(problems)
        return owners

    def place(self, path: str) -> str:
        """The path in the tree of a file of the repository."""
        prefix = max((start for start in self.places if path.startswith(start)), key=len, default="")
        if not prefix:
            _stop([f"the file {path} has no place in the tree"])
        return self.places[prefix] + path.removeprefix(prefix)

    def rewritten(self, place: str, text: str) -> str:
        """The text with what names other files as they lie in the tree."""
        for table in (table for table in self.rewrites if fnmatchcase(place, table["place"])):
            count = text.count(table["from"])
            if not count and not table.get("any"):
                _stop([f"{place} does not contain {table['from']!r}"])
            text = text.replace(table["from"], table["to"])
        return text


def configured(key: str) -> str:
    """The sender's name or email, from git's configuration or the last commit."""
    return git("config", f"user.{key}") or git("log", "-1", f"--format=%a{key[0]}")


def git(*arguments: str) -> str:
    """The output of a command on this repository."""
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=paths.repo(), capture_output=True, text=True, check=False).stdout.strip()


def _signed(table: dict) -> dict:
    """An edit with the sender's name and address where it asks for them."""
    if "{sender}" not in table["lines"]:
        return table
    return table | {"lines": table["lines"].replace("{sender}", f"{configured('name')} <{configured('email')}>")}


def _stop(problems: list[str]) -> None:
    if problems:
        raise Stop("\n".join(problems), f"list each in {FOLDER}/patches.toml")


def declared() -> Declared:
    tables = [FOLDER / "patches.toml", Path("scripts/anchors.toml"), FOLDER / "edits.toml"]
    return Declared(*(tomllib.loads((paths.repo() / table).read_text()) for table in tables))


def mapping(files: list[Path]) -> str:
    """Every file and every edit is in a patch of a series, or is declared to stay here."""
    plan = declared()
    plan.check_edits()
    plan.check_series()
    owners = plan.owners(files)
    upstream = sum(map(bool, owners.values()))
    for path in (path for path, owner in owners.items() if owner):
        plan.place(path)
    return (
        f"{upstream} of {len(owners)} files and {len(plan.edits)} edits in {len(plan.patches)} patches, {len(plan.series)} series"
    )


def pristine() -> Path:
    tree = paths.pristine()
    if not tree:
        raise Stop("a series is made against an untouched kernel", "run it without KDIR")
    return tree


def load(files: list[Path]) -> Export:
    """Works out each patch from the files of the repository."""
    plan = declared()
    plan.check_edits()
    plan.check_series()
    owners = plan.owners(files)
    tree = pristine()
    before = {edit.file: (tree / edit.file).read_text() for edit in plan.edits.values()}
    state = dict(before)
    held = [name for patch in plan.patches for name in patch.get("brings", [])]
    there: dict[str, str] = {}
    """Paths in the tree, and the text of the file of this repository that is there."""
    patches = []
    for table in plan.patches:
        patch = _patch(plan.declared, table)
        after = dict(state)
        for name in (*patch.own, *table.get("edits", ())):
            edit = plan.edits[name]
            after[edit.file] = plan.rewritten(edit.file, edit.apply(after[edit.file]))
        for path in (path for path, owner in owners.items() if owner == patch.name):
            place = plan.place(path)
            there[place] = plan.rewritten(place, (paths.repo() / path).read_text())
            after[place] = without.options(place, there[place], held)
        for name in table.get("brings", ()):
            held.remove(name)
            marked = {place: text for place, text in there.items() if name in text}
            after |= {place: without.options(place, text, held) for place, text in marked.items()}
        patch.changes.update({path: text for path, text in after.items() if text != state.get(path)})
        state = after
        if not patch.changes:
            raise Stop(f"the patch {patch.name} changes nothing", f"give it files or edits in {FOLDER}/patches.toml")
        patches.append(patch)
    upstream = {plan.place(path): Path(path) for path, owner in owners.items() if owner}
    letters = [_letter(table, patches) for table in plan.series]
    export = Export(letters, before, plan.edits, upstream, plan.outside(), tuple(plan.declared["debian"]))
    _check_independence(export)
    return export


def _patch(declared: dict, table: dict) -> Patch:
    trailers = [f"Fixes: {commit}" for commit in table.get("fixes", ())]
    if "stable" in table:
        trailers.append(f"Cc: stable@vger.kernel.org # {table['stable']}")
    trailers += [f"Cc: {person}" for person in table.get("cc", ())]
    return Patch(
        name=table["name"],
        series=table["series"],
        subject=table["subject"],
        message=table["message"].strip(),
        trailers=(*trailers, *declared["trailers"]),
        alone=table.get("alone", False),
        own=tuple(table.get("own", ())),
        supersedes=tuple(table.get("supersedes", ())),
    )


def _letter(table: dict, patches: list[Patch]) -> Letter:
    return Letter(
        name=table["name"],
        subject=table["subject"],
        text=table["text"].strip(),
        to=tuple(table["to"]),
        prefix=table.get("prefix", "PATCH"),
        needs=tuple(table.get("needs", ())),
        exempt=table.get("exempt", False),
        patches=[patch for patch in patches if patch.series == table["name"]],
    )


def _check_independence(export: Export) -> None:
    """A series changes no file that a series has changed which it does not need."""
    problems = []
    for number, letter in enumerate(export.letters):
        changed = {path for patch in letter.patches for path in patch.changes}
        for other in export.letters[:number]:
            common = changed & {path for patch in other.patches for path in patch.changes}
            if common and other.name not in letter.needs:
                problems.append(f"the series {letter.name} needs {other.name}: both change {', '.join(sorted(common))}")
    _stop(problems)
