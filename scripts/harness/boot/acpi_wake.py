# SPDX-License-Identifier: GPL-2.0-only
"""Wake a machine from ACPI S3, by QEMU's monitor."""

import re
import socket
import tempfile
import time
from pathlib import Path

ASLEEP = re.compile(r"Entering ACPI S3 state")
# Xen prints this just before it sleeps.
_SECONDS = 2.0


class Waker:
    """Wakes the machine some seconds after it has reported that it goes to sleep."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pvmmu-")
        self._path = Path(self._folder.name) / "monitor"
        self._due: float | None = None

    @property
    def options(self) -> list[str]:
        """Arguments for QEMU."""
        return ["-monitor", f"unix:{self._path},server=on,wait=off"]

    def read(self, text: str) -> None:
        if ASLEEP.search(text):
            self._due = time.monotonic() + _SECONDS

    def wake_if_due(self) -> None:
        """Must be called from time to time."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(_SECONDS)
            monitor.connect(str(self._path))
            # The monitor greets, and echoes the command.
            monitor.recv(4096)
            monitor.sendall(b"system_wakeup\n")
            monitor.recv(4096)

    def close(self) -> None:
        self._folder.cleanup()
