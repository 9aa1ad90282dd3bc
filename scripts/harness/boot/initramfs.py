# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs of a machine: user space, the modules of its kernel, a toolstack if it has guests."""

import gzip
import shutil
import subprocess
import tempfile
from pathlib import Path

from .. import paths
from ..build import kernel
from ..cli import Progress, Stop
from ..stream import follow
from . import guests
from .machines import Machine


def make(*folders: Path, name: str = "initramfs") -> Path:
    """The guest's user space; what is in the folders is copied into it."""
    path = paths.build() / f"{name}.cpio.gz"
    log = paths.logs() / "initramfs.log"
    progress = Progress("initramfs")
    with log.open("wb") as file:
        child = subprocess.Popen(
            [paths.repo() / "scripts/guest/mkinitrd", path, *folders], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in follow(child, file):
            progress.update("being made")
        code = child.wait()
    if code:
        tail = log.read_text(errors="replace").splitlines()[-5:]
        raise Stop(
            "\n".join(["scripts/guest/mkinitrd failed:", *tail]), f"fix that; everything is in {paths.shown(log)}"
        )
    progress.done("made")
    return path


def of(machine: Machine, plain: Path) -> Path:
    """What a machine boots with: `plain`, to which its kernel's modules and its guests are added."""
    inner = with_modules_of(kernel.named(machine.guests), plain) if machine.guests else plain
    return with_modules_of(kernel.named(machine.kernel), guests.initrd(machine, plain, inner))


def with_modules_of(variant: kernel.Variant, initrd: Path) -> Path:
    """Named after both, since two variants may share a plain one."""
    name = initrd.name.removesuffix(".cpio.gz")
    return with_modules(initrd, kernel.modules(variant), paths.build() / f"{name}-{variant.name}.cpio.gz")


def with_modules(initrd: Path, modules: list[Path], out: Path) -> Path:
    """Adds modules, in an archive of their own behind the first one, without what only debuggers read."""
    if not modules:
        return initrd
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "lib/modules"
        folder.mkdir(parents=True)
        for module in modules:
            shutil.copy(module, folder)
        names = ["lib", "lib/modules", *(f"lib/modules/{module.name}" for module in modules)]
        subprocess.run(["strip", "--strip-debug", *names[2:]], cwd=root, check=True)
        archive = subprocess.run(
            ["cpio", "--quiet", "--owner=0:0", "-H", "newc", "-o"],
            input="\n".join(names).encode(),
            cwd=root,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    out.write_bytes(initrd.read_bytes() + gzip.compress(archive, 1))
    return out
