# SPDX-License-Identifier: GPL-2.0-only
"""Write the series as files for `git am`, and check them."""

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from ..cli import Progress, Stop
from . import series

# Messages of checkpatch that do not apply to a patch, and why.
_IGNORED = {
    "MISSING_SIGN_OFF": "the sender signs the series: git am --signoff",
    "FILE_PATH_CHANGES": "all new files lie in folders that have an entry in MAINTAINERS",
    "AVOID_BUG": "the fixes keep the BUG_ON() that C has",
    "CAMELCASE": "helpers for Rust carry the kernel's own names, such as PagePinned",
    "EXPORT_SYMBOL": "what is exported is defined in Rust",
    "TYPO_SPELLING": "make check runs codespell over the same text",
}


class Repository:
    """A throw-away git repository with the few files of the kernel that matter here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name, address = (_configured(key) for key in ("name", "email"))
        date = _ours("log", "-1", "--format=%cI")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        for role in ("AUTHOR", "COMMITTER"):
            values = {"NAME": name, "EMAIL": address, "DATE": date}
            self._environment |= {f"GIT_{role}_{key}": value for key, value in values.items()}
        self("init", "--quiet", "--initial-branch=series")

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Stop(f"git {arguments[0]}: {(done.stderr or done.stdout).strip()}", "fix the patch named above")
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str) -> None:
        for path, text in files.items():
            place = self.path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self("add", "--all")
        self("commit", "--quiet", "--file=-", text=message)

    def contents(self) -> dict[str, str]:
        """All committed files."""
        return {path: (self.path / path).read_text() for path in self("ls-files").splitlines()}


def _ours(*arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=paths.repo(), capture_output=True, text=True, check=False).stdout.strip()


def _configured(key: str) -> str:
    """The author's name or address, from git's configuration or the last commit."""
    return _ours("config", f"user.{key}") or _ours("log", "-1", f"--format=%a{key[0]}")


@contextmanager
def _repository(files: dict[str, str]) -> Iterator[Repository]:
    """A repository with the untouched kernel in it."""
    with tempfile.TemporaryDirectory(prefix="series-") as folder:
        repository = Repository(Path(folder))
        repository.commit(files, "kernel\n")
        repository("tag", "kernel")
        yield repository


def wrapped(text: str) -> str:
    """The text with its paragraphs wrapped for a commit message; indented ones stay as they are."""
    paragraphs = re.split(r"\n{2,}", text.strip("\n"))
    return "\n\n".join(part if part.startswith(" ") else textwrap.fill(part, 72) for part in paragraphs)


def write(made: series.Series, folder: Path) -> list[Path]:
    """Writes the cover letter and the patches; returns their paths in order."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with _repository(made.pristine) as repository:
        for patch in made.patches:
            repository.commit(patch.changes, f"{patch.subject}\n\n{wrapped(patch.message)}\n")
        letter = repository.path / ".git/letter"
        letter.write_text(f"{made.cover['subject']}\n\n{wrapped(made.cover['text'])}\n")
        repository(
            "format-patch",
            "--quiet",
            "--cover-letter",
            "--cover-from-description=subject",
            f"--description-file={letter}",
            "--full-index",
            "--no-renames",
            "--no-signature",
            "--zero-commit",
            f"--output-directory={folder}",
            "kernel",
        )
    return sorted(folder.glob("*.patch"))


def repeatable(made: series.Series, patches: list[Path]) -> None:
    """The same input results in the same patches."""
    with tempfile.TemporaryDirectory() as folder:
        again = write(made, Path(folder) / "again")
        if [path.read_bytes() for path in again] != [path.read_bytes() for path in patches]:
            raise Stop("the series comes out differently the second time", "find what in it depends on time or path")


def applies(made: series.Series, patches: list[Path]) -> None:
    """The series applies in order, and each step has the declared result."""
    with _repository(made.pristine) as repository:
        expected = dict(made.pristine)
        for patch, path in zip(made.patches, patches, strict=True):
            repository("am", "--quiet", str(path))
            expected |= patch.changes
            if repository.contents() != expected:
                raise Stop(f"{path.name} does not result in the declared files", "read it")
            _formatted(repository.path, patch, [path for path in patch.changes if path not in made.pristine])
            sourced(repository.path, patch)
        _same_as_integrated(made, expected)
        for patch, path in zip(made.patches, patches, strict=True):
            if not patch.alone:
                continue
            repository("reset", "--quiet", "--hard", "kernel")
            repository("am", "--quiet", str(path))
            alone = dict(made.pristine)
            for name in patch.own:
                edit = made.edits[name]
                alone[edit.file] = edit.apply(alone[edit.file])
            if repository.contents() != alone:
                raise Stop(f"{path.name} does not stand alone", "read it")


def _formatted(tree: Path, patch: series.Patch, added: list[str]) -> None:
    """A file without its tests is in rustfmt's format, and every module that it names exists."""
    config = str(series.pristine() / ".rustfmt.toml")
    roots = [path for path in added if path.endswith(".rs")]
    if not roots:
        return
    command = ["rustfmt", "--edition", "2021", "--config-path", config, "--check", "--files-with-diff"]
    done = subprocess.run([*command, *roots], cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"{patch.name} is not formatted:\n{done.stdout}{done.stderr}", "see scripts/harness/series/strip_tests.py")


def sourced(tree: Path, patch: series.Patch) -> None:
    """Every Kconfig file that one of the patch sources exists."""
    for path in (path for path in patch.changes if Path(path).name.startswith("Kconfig")):
        for name in re.findall(r'^source "(.+)"', patch.changes[path], re.MULTILINE):
            if not (tree / name).exists() and not (series.pristine() / name).exists():
                raise Stop(f"{patch.name} reads {name}, which is not there yet", "change the order of the patches")


def _same_as_integrated(made: series.Series, result: dict[str, str]) -> None:
    """Except for its own edits and those that stay here, the series equals the output of scripts/integrate."""
    own = [name for patch in made.patches for name in patch.own]
    superseded = {name for patch in made.patches for name in patch.supersedes}
    here = dict(result)
    for name in own:
        edit = made.edits[name]
        here[edit.file] = edit.revert(here[edit.file])
    for name in (name for name in made.edits if name in superseded or name in made.outside):
        edit = made.edits[name]
        here[edit.file] = edit.apply(here[edit.file])
    added = {path for patch in made.patches for path in patch.changes} - set(made.pristine) - set(made.files)
    wrong = [path for path in sorted(set(here) - added) if (paths.tree() / path).read_text() != here[path]]
    wrong += [path for path in sorted(added) if (paths.tree() / path).exists()]
    if wrong:
        raise Stop(
            "the series and scripts/integrate differ in:\n" + "\n".join(wrong),
            f"declare the difference in {series.FOLDER}, or undo it",
        )


def checkpatch(patches: list[Path]) -> None:
    tree = series.pristine()
    command = ["perl", str(tree / "scripts/checkpatch.pl"), f"--root={tree}", "--no-tree", "--strict", "--terse"]
    command += ["--show-types", "--no-summary", "--quiet", "--ignore", ",".join(_IGNORED), "--"]
    # It leaves a cache where it runs, so it runs elsewhere.
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [*command, *map(str, patches)], cwd=elsewhere, stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise Stop(f"checkpatch reports errors in the series:\n{done.stdout.strip()}", "fix each; its kind is in capitals")


def make() -> str:
    """Writes the series for this kernel and checks it."""
    progress = Progress("series")
    made = series.load(paths.files())
    version = series.pristine().name.removeprefix("linux-")
    folder = paths.build() / f"patches-{version}"
    letter, *patches = write(made, folder)
    repeatable(made, [letter, *patches])
    progress.update("applying")
    applies(made, patches)
    progress.update("checkpatch")
    checkpatch(patches)
    progress.done(f"{len(patches)} patches")
    return f"{len(patches)} patches and {letter.name} in {paths.shown(folder)}"
