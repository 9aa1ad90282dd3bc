# SPDX-License-Identifier: GPL-2.0-only
"""The output of commands: progress, results, and how a failure ends."""

import errno
import subprocess
import sys
import time
from collections.abc import Callable

# Errors of files, and what to do about them.
_ADVICE = {
    errno.ENOSPC: "make room there, or set XEN_PVMMU_BUILD to a directory that has some",
    errno.EDQUOT: "make room there, or set XEN_PVMMU_BUILD to a directory that has some",
    errno.EROFS: "set XEN_PVMMU_BUILD to a directory that can be written",
    errno.EACCES: "see who owns it, or set XEN_PVMMU_BUILD to a directory of yours",
    errno.EPERM: "see who owns it, or set XEN_PVMMU_BUILD to a directory of yours",
}


class Stop(Exception):
    """Work cannot continue. States what happened and what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


REFUSALS = (OSError, subprocess.CalledProcessError)
"""Errors of the system, which are reported like a Stop."""


def stop_of(error: OSError | subprocess.CalledProcessError) -> Stop:
    """The same as a Stop."""
    if isinstance(error, subprocess.CalledProcessError):
        return Stop(f"{error.cmd[0]} ended with {error.returncode}", "fix what it names above")
    return Stop(str(error), _ADVICE.get(error.errno, "check that it exists and is usable"))


class Progress:
    """One line that is redrawn on a terminal; elsewhere, occasional lines."""

    QUIET_SECONDS = 15

    def __init__(self, title: str) -> None:
        self.title = title
        self.start = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._next = self.start + self.QUIET_SECONDS
        self._drawn = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def update(self, text: str) -> None:
        now = time.monotonic()
        if self._terminal:
            if now < self._next and self._drawn:
                return
            self._next = now + 0.2
            self._drawn = True
            line = f"{self.title}: {text}, {elapsed(self.seconds)}"
            print(f"\r\033[K{line[:100]}", end="", flush=True)
        elif now >= self._next:
            self._next = now + self.QUIET_SECONDS
            print(f"{self.title}: {text}, {elapsed(self.seconds)}", flush=True)

    def done(self, text: str) -> None:
        if self._drawn:
            print("\r\033[K", end="")
        print(f"{self.title}: {text}, {elapsed(self.seconds)}", flush=True)


def elapsed(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def run(main: Callable[[list[str]], int]) -> None:
    """Runs a command's main function; a Stop ends with one line of advice."""
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as caught:
        stop = caught
    except REFUSALS as error:
        stop = stop_of(error)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"error: {stop}", file=sys.stderr)
    print(f"  -> {stop.advice}", file=sys.stderr)
    sys.exit(1)
