# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that a user sets as variables."""

import os

from .cli import Stop


def number(name: str, default: int, least: int, most: int = 2**32 - 1) -> int:
    """The value of a variable, or the default if it is not set or empty."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise Stop(f"{name}={text} is not a number from {least} to {most}", f"set one, or leave {name} out")
    return int(text)


def jobs() -> int:
    """How many compilers, or tests, run at once."""
    return number("JOBS", len(os.sched_getaffinity(0)), 1)
