# SPDX-License-Identifier: GPL-2.0-only
"""Follow a child's output line by line without ever blocking on it."""

import os
import select
import subprocess
import time
from collections.abc import Iterator
from typing import IO


def follow(child: subprocess.Popen, log: IO[bytes], tick: float = 0.5) -> Iterator[bytes | None]:
    """Yields each complete line, and None whenever `tick` seconds pass without one.

    All output goes to `log` unchanged. Ends when the child closes its output.
    """
    assert child.stdout is not None
    fd = child.stdout.fileno()
    rest = b""
    last = time.monotonic()
    while True:
        ready, _, _ = select.select([fd], [], [], tick)
        if ready:
            data = os.read(fd, 65536)
            if not data:
                break
            log.write(data)
            log.flush()
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield from lines
                last = time.monotonic()
        if time.monotonic() - last >= tick:
            last = time.monotonic()
            yield None
    if rest:
        yield rest
