# SPDX-License-Identifier: GPL-2.0-only
"""The repository as a series of patches for the kernel: what each of them changes."""

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

from .. import paths
from ..cli import Stop
from ..load_script import load_script
from . import strip_tests

FOLDER = Path("scripts/series")


@functools.cache
def integrate() -> ModuleType:
    """scripts/integrate, which knows what an edit is."""
    return load_script("integrate")


@dataclass(frozen=True)
class Patch:
    """One patch, with the whole new text of each path that it changes."""

    name: str
    subject: str
    message: str
    alone: bool
    own: tuple[str, ...]
    """Edits that only the series makes."""
    supersedes: tuple[str, ...]
    changes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    cover: dict[str, str]
    patches: list[Patch]
    pristine: dict[str, str]
    """The original text of the kernel's files that are edited."""
    edits: dict[str, object]
    """All edits by name, in the order of their application."""
    files: dict[str, Path]
    """Paths in the tree that are files of this repository."""
    outside: list[str]
    """The edits that stay here."""


class Declared:
    """The declarations, checked against the existing files and edits."""

    def __init__(self, declared: dict, anchors: dict, own: dict) -> None:
        self.declared = declared
        self.patches = declared["patch"]
        self.folder = declared["folder"]
        self.links = {table["target"]: table["path"] for table in anchors["link"] if table["target"] != "."}
        edit = integrate().Edit
        self.edits = {table["name"]: edit(table) for table in own["edit"]}
        self.own = set(self.edits)
        self.edits |= {table["name"]: edit(table) for table in anchors["edit"]}

    def check_edits(self) -> None:
        """Every edit must belong to exactly one patch, or stay here."""
        used = list(self.outside())
        for patch in self.patches:
            used += [*patch.get("edits", []), *patch.get("own", []), *patch.get("supersedes", [])]
        problems = [f"no patch has the edit {name}" for name in self.edits if name not in used]
        problems += [f"{name} is no edit" for name in used if name not in self.edits]
        problems += [f"more than one patch has the edit {name}" for name in set(used) if used.count(name) > 1]
        _stop(problems)

    def outside(self) -> list[str]:
        """The edits that stay here."""
        return [name for table in self.declared["outside"] for name in table.get("edits", [])]

    def owners(self, files: Iterable[Path]) -> dict[str, str]:
        """For each file, the patch it comes with, or "" if it stays here.

        Where patterns of several patches match, the last one decides.
        """
        tables = [*self.declared["outside"], *self.patches]
        unused = {pattern for table in tables if not table.get("optional") for pattern in table.get("files", [])}
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
        target = next((target for target in self.links if path == target or path.startswith(f"{target}/")), "")
        return self.links[target] + path.removeprefix(target) if target else f"{self.folder}/{path}"


def _stop(problems: list[str]) -> None:
    if problems:
        raise Stop("\n".join(problems), f"list each in {FOLDER}/patches.toml")


def declared() -> Declared:
    tables = [FOLDER / "patches.toml", Path("scripts/anchors.toml"), FOLDER / "edits.toml"]
    return Declared(*(tomllib.loads((paths.repo() / table).read_text()) for table in tables))


def mapping(files: list[Path]) -> str:
    """Every file and every edit is in a patch of the series, or is declared to stay here."""
    plan = declared()
    plan.check_edits()
    owners = plan.owners(files)
    upstream = sum(map(bool, owners.values()))
    return f"{upstream} of {len(owners)} files and {len(plan.edits)} edits in {len(plan.patches)} patches"


def pristine() -> Path:
    tree = paths.pristine()
    if not tree:
        raise Stop("a series is made against an untouched kernel", "run it without KDIR")
    return tree


def load(files: list[Path]) -> Series:
    """Works out each patch from the files of the repository."""
    plan = declared()
    plan.check_edits()
    owners = plan.owners(files)
    tree = pristine()
    before = {edit.file: (tree / edit.file).read_text() for edit in plan.edits.values()}
    state = dict(before)
    patches = []
    option, bring = (plan.declared["hunks"][key] for key in ("option", "patch"))
    whole: dict[str, str] | None = {}
    for table in plan.patches:
        patch = Patch(
            name=table["name"],
            subject=table["subject"],
            message=table["message"].strip(),
            alone=table.get("alone", False),
            own=tuple(table.get("own", ())),
            supersedes=tuple(table.get("supersedes", ())),
        )
        after = dict(state)
        for name in (*patch.own, *table.get("edits", ())):
            edit = plan.edits[name]
            after[edit.file] = edit.apply(after[edit.file])
        if patch.name == bring and whole:
            after |= whole
            whole = None
        for path in (path for path, owner in owners.items() if owner == patch.name):
            text = (paths.repo() / path).read_text()
            place = plan.place(path)
            after[place] = text
            if whole is not None:
                after[place] = strip_tests.strip(place, text, option)
                whole[place] = text
        patch.changes.update({path: text for path, text in after.items() if text != state.get(path)})
        state = after
        if patch.changes:
            patches.append(patch)
        elif not table.get("optional"):
            raise Stop(f"the patch {patch.name} changes nothing", f"give it files or edits in {FOLDER}/patches.toml")
    upstream = {plan.place(path): Path(path) for path, owner in owners.items() if owner}
    return Series(plan.declared["cover"], patches, before, plan.edits, upstream, plan.outside())
