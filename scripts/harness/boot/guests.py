# SPDX-License-Identifier: GPL-2.0-only
"""What a machine with guests boots: the toolstack, and a kernel for the guests, in dom0's initramfs."""

import subprocess
from pathlib import Path

from .. import paths
from ..build import kernel
from ..cli import Stop
from .machines import Machine


def initrd(machine: Machine, plain: Path, inner: Path) -> Path:
    """The initramfs of a machine: `plain`, unless it has guests, which boot `inner`."""
    if not machine.guests:
        return plain
    image = kernel.bzimage(kernel.named(machine.guests))
    name = f"guests-{machine.name if machine.programs else machine.guests}"
    overlay = paths.build() / name
    result = paths.build() / f"initramfs-{name}.cpio.gz"
    folder = paths.repo() / "scripts/guest"
    run(folder / "mkguests", overlay, image, inner, *machine.programs)
    run(folder / "mkinitrd", result, overlay)
    return result


def run(script: Path, *arguments: Path | str) -> None:
    """Runs one of the scripts that build what a machine boots."""
    done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"{script.name} failed:\n{(done.stdout + done.stderr).strip()}", "fix that")
