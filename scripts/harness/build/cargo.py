# SPDX-License-Identifier: GPL-2.0-only
"""Run cargo on the host crates: progress, a log, a time limit, and advice."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import paths, settings
from ..cli import Progress, Stop
from ..stream import follow
from . import kernel

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMPILES = re.compile(r"^ +(Compiling|Checking) (\S+)")
_NOT_FETCHED = re.compile(r"offline|failed to (?:download|get|load source)|no matching package")


@dataclass(frozen=True)
class Run:
    """Result of a command."""

    code: int
    lines: list[str]
    seconds: float
    log: Path
    in_time: bool

    @property
    def log_shown(self) -> str:
        return paths.shown(self.log)


def seed() -> int:
    """The seed of everything random: SEED=N, or a new one."""
    return settings.number("SEED", random.SystemRandom().getrandbits(32), 0)


def target() -> Path:
    """Where cargo puts what it builds."""
    return Path(os.environ["CARGO_TARGET_DIR"])


def tool(name: str) -> None:
    """Checks that a command of cargo exists."""
    if not shutil.which(name):
        raise Stop(f"{name} is not installed", f"run: scripts/setup {name}")


def run(
    name: str,
    arguments: list[str],
    show: Callable[[str], str | None],
    limit: float,
    **environment: str | None,
) -> Run:
    """Runs cargo in rust/ for at most `limit` seconds.

    `show` turns a line of output into text for the progress line, or None.
    A variable of the environment that is None is removed.
    """
    log = paths.logs() / f"{name}.log"
    variables = os.environ | {"CARGO_TERM_COLOR": "never"} | environment
    progress = Progress(name)
    deadline = time.monotonic() + limit
    lines: list[str] = []
    shown = "done"
    in_time = True
    with log.open("wb") as file:
        child = subprocess.Popen(
            ["cargo", *arguments],
            cwd=paths.repo() / "rust",
            env={variable: value for variable, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            for raw in follow(child, file):
                if raw is not None:
                    line = _COLOUR.sub("", raw.decode("utf-8", "replace"))
                    lines.append(line)
                    shown = show(line) or compiles(line) or shown
                if time.monotonic() >= deadline:
                    in_time = False
                    break
                progress.update(shown)
        finally:
            if child.poll() is None:
                # Cargo's children are the programs that hang.
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
    progress.done(shown if in_time else f"stopped after {limit:.0f} s at: {shown}")
    return Run(code, lines, progress.seconds, log, in_time)


def compiles(line: str) -> str | None:
    """The crate that cargo is compiling, if the line names one."""
    match = _COMPILES.match(line)
    return f"{match[1].lower()} {match[2]}" if match else None


def build(name: str, arguments: list[str], **environment: str) -> Run:
    """As `run`, for a command that only compiles; stops if that fails."""
    done = run(name, arguments, compiles, 900, **environment)
    if done.code or not done.in_time:
        stop_of_build(done)
    return done


def stop_of_build(done: Run) -> None:
    """Raises Stop with the reason why nothing could be built."""
    errors = kernel.first_errors(done.lines)
    if not done.in_time:
        raise Stop("the host crates do not build in time", f"see where it stopped in {done.log_shown}")
    if any(_NOT_FETCHED.search(line) for line in errors):
        raise Stop("\n".join(["cargo lacks a crate:", *errors]), "run: make setup")
    raise Stop(
        "\n".join(["the host crates do not build:", *errors]),
        f"fix the first error above; the whole output is in {done.log_shown}",
    )
