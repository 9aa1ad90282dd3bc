# SPDX-License-Identifier: GPL-2.0-only
"""Write each series as files for `git am`, and check them."""

import email
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
from . import base, series

# Messages of checkpatch that do not apply to the series with the backend, and why. To the fixes all apply.
_IGNORED = {
    "FILE_PATH_CHANGES": "the patch that adds the option adds the entry in MAINTAINERS as well",
    "CAMELCASE": "helpers for Rust carry the kernel's own names, such as PagePinned",
    "EXPORT_SYMBOL": "what is exported is defined in Rust",
}

# What it cannot know here.
_UNKNOWN = {"UNKNOWN_COMMIT_ID": "the kernel's history is not here; the commits were looked up when they were named"}

# Until 7.2 this trailer named a program and its version, since then it must not.
_OLD_FORM = "BAD_SIGN_OFF: Assisted-by expects 'AGENT_NAME:MODEL_VERSION"

# As many lines as a person reviews in one sitting.
_LONG = 700


class Repository:
    """A throw-away git repository with the few files of the kernel that matter here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name, address = (series.configured(key) for key in ("name", "email"))
        date = series.git("log", "-1", "--format=%cI")
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
    return "\n\n".join(part if part.startswith(" ") else textwrap.fill(part, 72, break_on_hyphens=False) for part in paragraphs)


def _text(patch: series.Patch) -> str:
    trailers = "\n".join(patch.trailers)
    return f"{patch.subject}\n\n{wrapped(patch.message)}\n\n{trailers}\n"


def write(made: series.Export, folder: Path) -> dict[str, list[Path]]:
    """Writes a folder for each series; returns the paths in it in order, the cover letter first."""
    shutil.rmtree(folder, ignore_errors=True)
    written = {}
    with _repository(made.pristine) as repository:
        for letter in made.letters:
            repository("reset", "--quiet", "--hard", "kernel")
            below = {path: text for patch in made.needed(letter) for path, text in patch.changes.items()}
            if below:
                repository.commit(below, "what the series needs\n")
            repository("tag", "--force", "base")
            for patch in letter.patches:
                repository.commit(patch.changes, _text(patch))
            written[letter.name] = _formatted_patches(repository, letter, folder / letter.name)
    return written


def _formatted_patches(repository: Repository, letter: series.Letter, folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    cover = repository.path / ".git/letter"
    cover.write_text(f"{letter.subject}\n\n{wrapped(_with_base(letter))}\n")
    repository(
        "format-patch",
        "--quiet",
        "--cover-letter",
        "--cover-from-description=subject",
        f"--description-file={cover}",
        f"--subject-prefix={letter.prefix}",
        *(f"--to={address}" for address in letter.to),
        "--full-index",
        "--no-renames",
        "--no-signature",
        "--zero-commit",
        f"--output-directory={folder}",
        "base",
    )
    return sorted(folder.glob("*.patch"))


def _with_base(letter: series.Letter) -> str:
    needed = f", on top of the series {', '.join(letter.needs)}" if letter.needs else ""
    return f"{letter.text}\n\nBased on v{base.version()}{needed}."


def repeatable(made: series.Export, written: dict[str, list[Path]]) -> None:
    """The same input results in the same patches."""
    with tempfile.TemporaryDirectory() as folder:
        again = write(made, Path(folder) / "again")
        for name, patches in written.items():
            if [path.read_bytes() for path in again[name]] != [path.read_bytes() for path in patches]:
                raise Stop(f"the series {name} comes out differently the second time", "find what depends on time or path")


def in_order(written: dict[str, list[Path]]) -> list[Path]:
    """All patches without the cover letters, in the order in which they apply together."""
    return [path for patches in written.values() for path in patches[1:]]


def applies(made: series.Export, written: dict[str, list[Path]]) -> None:
    """The series apply in order, each step has the declared result, and each series needs only what it says."""
    with _repository(made.pristine) as repository:
        expected = dict(made.pristine)
        for patch, path in zip(made.patches, in_order(written), strict=True):
            repository("am", "--quiet", str(path))
            expected |= patch.changes
            if repository.contents() != expected:
                raise Stop(f"{path.name} does not result in the declared files", "read it")
            sourced(repository.path, patch)
        _same_as_integrated(made, expected)
        for number, letter in enumerate(made.letters):
            if len(letter.needs) == number:
                continue  # just seen
            repository("reset", "--quiet", "--hard", "kernel")
            for other in (*letter.needs, letter.name):
                repository("am", "--quiet", *map(str, written[other][1:]))
        for patch, path in zip(made.patches, in_order(written), strict=True):
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


def reviewable(written: dict[str, list[Path]]) -> None:
    """No patch is longer than a person reviews."""
    lines = {path: sum(line.startswith("+") for line in path.read_text().splitlines()) for path in in_order(written)}
    long = [f"{path.parent.name}/{path.name} adds {count} lines" for path, count in lines.items() if count > _LONG]
    if long:
        raise Stop("\n".join(long), f"split the patch by subject in {series.FOLDER}/patches.toml")


def sourced(tree: Path, patch: series.Patch) -> None:
    """Every Kconfig file that one of the patch sources exists."""
    for path in (path for path in patch.changes if Path(path).name.startswith("Kconfig")):
        for name in re.findall(r'^source "(.+)"', patch.changes[path], re.MULTILINE):
            if not (tree / name).exists() and not (series.pristine() / name).exists():
                raise Stop(f"{patch.name} reads {name}, which is not there yet", "change the order of the patches")


def _same_as_integrated(made: series.Export, result: dict[str, str]) -> None:
    """Except for their own edits and those that stay here, the series equal the output of scripts/integrate."""
    plan = series.declared()
    own = [name for patch in made.patches for name in patch.own]
    superseded = {name for patch in made.patches for name in patch.supersedes}
    here = dict(result)
    for name in reversed(own):
        edit = made.edits[name]
        here[edit.file] = edit.revert(here[edit.file])
    for name in (name for name in made.edits if name in superseded or name in made.outside):
        edit = made.edits[name]
        here[edit.file] = edit.apply(here[edit.file])
    wrong = [path for path in made.pristine if plan.rewritten(path, (paths.tree() / path).read_text()) != here[path]]
    whole = {place: plan.rewritten(place, (paths.repo() / path).read_text()) for place, path in made.files.items()}
    wrong += [place for place, text in whole.items() if text != here[place]]
    if wrong:
        raise Stop(
            "the series and scripts/integrate differ in:\n" + "\n".join(wrong),
            f"declare the difference in {series.FOLDER}, or undo it",
        )


def checkpatch(made: series.Export, written: dict[str, list[Path]]) -> None:
    """As the patches are when they are sent, signed off; the fixes get no exemption."""
    tree = series.pristine()
    command = ["perl", str(tree / "scripts/checkpatch.pl"), f"--root={tree}", "--no-tree", "--strict", "--terse"]
    command += ["--show-types", "--no-summary", "--quiet"]
    found = ""
    # It leaves a cache where it runs, so it runs elsewhere.
    with tempfile.TemporaryDirectory() as elsewhere:
        for letter in made.letters:
            ignored = ["--ignore", ",".join(_UNKNOWN | _IGNORED if letter.exempt else _UNKNOWN)]
            signed = [_signed(path, Path(elsewhere) / f"{letter.name}-{path.name}") for path in written[letter.name][1:]]
            done = subprocess.run(
                [*command, *ignored, "--", *map(str, signed)], cwd=elsewhere, stdout=subprocess.PIPE, text=True, check=False
            )
            found += "".join(line for line in done.stdout.splitlines(True) if _OLD_FORM not in line)
    if found:
        raise Stop(f"checkpatch reports errors in the series:\n{found.strip()}", "fix each; its kind is in capitals")


def _signed(path: Path, copy: Path) -> Path:
    """What `git am --signoff` makes of a patch."""
    text = path.read_text()
    person = " ".join(email.message_from_string(text)["From"].split())
    copy.write_text(text.replace("\n---\n", f"\nSigned-off-by: {person}\n---\n", 1))
    return copy


def make() -> str:
    """Writes all series for this kernel and checks them."""
    progress = Progress("series")
    made = series.load(paths.files())
    base.check(made)
    folder = paths.build() / f"patches-{series.pristine().name.removeprefix('linux-')}"
    written = write(made, folder)
    repeatable(made, written)
    progress.update("applying")
    applies(made, written)
    reviewable(written)
    progress.update("checkpatch")
    checkpatch(made, written)
    text = f"{len(made.patches)} patches in {len(written)} series"
    progress.done(text)
    return f"{text} in {paths.shown(folder)}"
