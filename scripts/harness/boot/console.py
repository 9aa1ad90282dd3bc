# SPDX-License-Identifier: GPL-2.0-only
"""A guest's console, cleaned.

Xen and dom0 share one serial line. dom0 writes 16 bytes at a time, so a line of
Xen can land in the middle of one of Linux. This module separates them again.
"""

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|c)")
_TIME = re.compile(r"^\[\s*\d+\.\d+\](\[\s*[TC]\d+\])? ?")
_XEN = "(XEN) "
_GUEST = "guest: "


@dataclass(frozen=True)
class Line:
    number: int
    """Its line number in the raw log, from 1."""
    text: str
    xen: bool
    guest: bool = False
    """Whether dom0 repeats it from a guest's console."""


def lines_of(raw: bytes) -> list[Line]:
    """The console's lines without carriage returns, escapes and time stamps."""
    result: list[Line] = []
    torn = ""
    for number, line in enumerate(raw.decode("utf-8", "replace").split("\n"), 1):
        text = _ESCAPE.sub("", line.replace("\r", "").replace("\0", ""))
        at = text.find(_XEN)
        if at < 0:
            result.append(_linux(number, torn + text))
            torn = ""
        else:
            torn += text[:at]
            result.append(Line(number, text[at:], True))
    if torn:
        result.append(_linux(number, torn))
    return result


def _linux(number: int, text: str) -> Line:
    guest = text.startswith(_GUEST)
    return Line(number, _TIME.sub("", text.removeprefix(_GUEST)), False, guest)
