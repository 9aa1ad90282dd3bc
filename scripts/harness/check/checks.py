# SPDX-License-Identifier: GPL-2.0-only
"""Linters and formatters over every file of the repository."""

import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..build import docs, kernel
from ..cli import Progress, Stop
from ..host import host
from ..series import series
from . import callers, commits, contexts, coverage_map, layers

# Messages of checkpatch that do not apply, and why. In code for the kernel:
_IGNORED_IN_KERNEL = (
    # Helpers for Rust carry the kernel's own names, e.g. PagePinned.
    "CAMELCASE",
    # The repository has no MAINTAINERS file; the exported series has.
    "FILE_PATH_CHANGES",
    # codespell knows more words and a list of exceptions.
    "TYPO_SPELLING",
    # Exported functions are defined in Rust.
    "EXPORT_SYMBOL",
)
# In programs for user space, which use C11 and libc, not the kernel's headers:
_IGNORED_IN_PROGRAMS = (
    *_IGNORED_IN_KERNEL,
    "BIT_MACRO",
    "EMBEDDED_FUNCTION_NAME",
    # A missing system call returns this.
    "ENOSYS",
    "PREFER_KERNEL_TYPES",
    "PREFER_DEFINED_ATTRIBUTE_MACRO",
    "STATIC_CONST_CHAR_ARRAY",
    # checkpatch takes _Atomic and _Thread_local for statements.
    "LINE_SPACING",
    # The tests access memory that the compiler must not optimise.
    "VOLATILE",
    # checkpatch takes the star behind a typedef of libc for a product.
    "SPACING",
)
# "useable" is a member of struct user_desc; "statics" is a term of Rust; "nd" is a bus of Linux.
_WORDS = ("crate", "useable", "statics", "nd")
TAG = "SPDX-License-Identifier:"
# Modules under rust/ that may have unsafe code; all others forbid it.
_MAY_BE_UNSAFE = tuple(
    Path("rust", name)
    for name in (
        "xen_pv_mmu.rs",
        "platform",
        "platform.rs",
        "ops",
        "ops.rs",
        # Element access of the queue.
        "multicall.rs",
        "multicall/queue.rs",
        # Crates of their own.
        "kernel",
        "macros",
        # Tests that make hypercalls directly, and the host.
        "testing",
    )
)
_FORBID = "#![forbid(unsafe_code)]"


@dataclass(frozen=True)
class Check:
    name: str
    what: str
    run: Callable[[list[Path]], str]
    """Takes the repository's files; returns a summary or raises Stop."""


def _text(path: Path) -> str:
    return (paths.repo() / path).read_text(errors="replace")


def _is_script(path: Path, *interpreters: str) -> bool:
    first = _text(path).split("\n", 1)[0]
    return first.startswith("#!") and any(first.rstrip().endswith(name) for name in interpreters)


def _tool(command: list[str], files: list[Path], advice: str) -> str:
    """Runs a linter that prints its findings and exits non-zero."""
    if not files:
        raise Stop(f"{command[0]}: there is nothing to check", "run this in a complete checkout")
    done = subprocess.run(
        [*command, *map(str, files)], cwd=paths.repo(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        found = dict.fromkeys((done.stdout + done.stderr).strip().splitlines())
        raise Stop("\n".join([f"{command[0]} reports:", *found]), advice)
    return f"{len(files)} files"


def _rust(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".rs"]


def _shell(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".sh" or _is_script(path, "sh", "bash")]


def _python(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".py" or _is_script(path, "python3")]


def reuse(files: list[Path]) -> str:
    """The tool finds the files itself, by git."""
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    command = ["reuse", "--root", str(paths.repo()), "lint", "--lines"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        found = (done.stdout + done.stderr).strip()
        raise Stop(f"reuse reports:\n{found}", "state the licence in the first line of each, or in REUSE.toml")
    return f"{len(files)} files"


def licence_line(files: list[Path]) -> str:
    """reuse accepts a tag anywhere in a file; here it is on the first line, as in the kernel."""
    stated = tomllib.loads(_text(Path("REUSE.toml")))["annotations"]
    patterns = ["COPYING", "LICENSES/*"]
    for annotation in stated:
        if annotation["precedence"] == "override":
            patterns += annotation["path"]
    bare = []
    for path in files:
        lines = _text(path).split("\n", 2)
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        if f"{TAG} " not in first and not any(path.full_match(pattern) for pattern in patterns):
            bare.append(str(path))
    if bare:
        raise Stop("no SPDX line at the top of: " + " ".join(bare), f"start each with {TAG} GPL-2.0-only")
    return f"{len(files)} files"


def _kernel() -> Path:
    """A kernel source tree that is there before any step of a build."""
    return paths.pristine() or paths.tree()


def _rustfmt(*options: str) -> list[str]:
    return ["rustfmt", "--edition", "2021", "--config-path", str(_kernel() / ".rustfmt.toml"), *options]


def rustfmt(files: list[Path]) -> str:
    return _tool(_rustfmt("--check", "--files-with-diff"), _rust(files), "run: make fmt")


def checkpatch(files: list[Path]) -> str:
    ours = [path for path in files if path.suffix in (".c", ".h", ".rs") or path.name.startswith("Kconfig")]
    programs = [path for path in ours if path.parts[0] == "scripts"]
    output = ""
    for group, ignored in ((programs, _IGNORED_IN_PROGRAMS), (sorted({*ours} - {*programs}), _IGNORED_IN_KERNEL)):
        if not group:
            continue  # without a file it waits for input
        command = ["perl", str(_kernel() / "scripts/checkpatch.pl"), f"--root={_kernel()}", "--no-tree"]
        command += ["--strict", "--terse", "--show-types", "--no-summary", "--quiet", "--ignore", ",".join(ignored), "-f", "--"]
        # It leaves a cache where it runs, so it runs elsewhere.
        with tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run(
                [*command, *(str(paths.repo() / path) for path in group)],
                cwd=elsewhere,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
        if done.returncode:
            output += done.stdout.replace(f"{paths.repo()}/", "")
    if output:
        found = output.splitlines()
        raise Stop("\n".join([f"checkpatch reports {len(found)} lines:", *found]), "fix each; its kind is in capitals")
    return f"{len(ours)} files"


def shellcheck(files: list[Path]) -> str:
    return _tool(["shellcheck", "--format=gcc", "--external-sources", "--source-path=."], _shell(files), "fix each")


def pyflakes(files: list[Path]) -> str:
    return _tool(["pyflakes3"], _python(files), "fix each line")


def codespell(files: list[Path]) -> str:
    return _tool(["codespell", "--ignore-words-list", ",".join(_WORDS)], files, "correct each, or accept the word in checks.py")


def unsafe_blocks(files: list[Path]) -> str:
    """Counts unsafe blocks, which shows growth, and checks that modules of logic have none."""
    counts = {path: len(re.findall(r"^(?!\s*//).*\bunsafe \{", _text(path), re.MULTILINE)) for path in _rust(files)}
    for path, count in counts.items():
        if count:
            print(f"  {count:4} {path}")
    safe = [path for path in counts if path.parts[0] == "rust" and not any(path.is_relative_to(place) for place in _MAY_BE_UNSAFE)]
    lax = [str(path) for path in safe if counts[path] or _FORBID not in _text(path).splitlines()]
    if lax:
        raise Stop("modules of logic that allow unsafe code: " + " ".join(lax), f"have {_FORBID} in each and leave it to the platform")
    return f"{sum(counts.values())} in {sum(map(bool, counts.values()))} of {len(counts)} files, {len(safe)} forbid it"


CHECKS = (
    Check("reuse", "every file has a licence and a copyright", reuse),
    Check("licence-line", "the licence is on the first line of every file", licence_line),
    Check("rustfmt", "Rust is formatted as the kernel's is", rustfmt),
    Check("clippy", "clippy over the crates of the host tests", lambda files: host.clippy()),
    Check("checkpatch", "kernel style of Rust, C and Kconfig", checkpatch),
    Check("shellcheck", "shell scripts", shellcheck),
    Check("pyflakes", "Python", pyflakes),
    Check("codespell", "spelling", codespell),
    Check("manuals", "the manuals render, and their links lead somewhere", docs.check),
    Check("covered", "the coverage map names tests that exist", coverage_map.check),
    Check("layers", "imports of the crate go down its layer map", layers.check),
    Check("contexts", "public functions state their context", contexts.check),
    Check("callers", "callers of what may wait in lazy MMU mode are known", callers.check),
    Check("mapping", "every file and edit has its patch in the series", series.mapping),
    Check("unsafe", "unsafe blocks per file, none in modules of logic", unsafe_blocks),
    Check("commits", "new commits have a subject in the imperative and a body", commits.check),
)


def main(arguments: list[str]) -> int:
    """check [--fix]: run all checks, then list those that failed; or fix what a tool can."""
    if arguments not in ([], ["--fix"]):
        raise Stop(f"cannot do {' '.join(arguments)}", "give nothing, or --fix")
    kernel.prepare_tree()
    files = paths.files()
    if arguments:
        print(_tool(_rustfmt(), _rust(files), "fix the syntax error above") + f" formatted, {callers.write()} made, {layers.write(files)} drawn")
        return 0
    failed = []
    for check in CHECKS:
        progress = Progress(f"check {check.name}")
        try:
            progress.done("ok, " + check.run(files))
        except Stop as stop:
            failed.append(check.name)
            progress.done("FAILED")
            print(f"{stop}\n  -> {stop.advice}")
    if failed:
        raise Stop(f"{len(failed)} of {len(CHECKS)} checks failed: {', '.join(failed)}", "fix what is listed above")
    print(f"all {len(CHECKS)} checks passed")
    return 0
