# SPDX-License-Identifier: GPL-2.0-only
"""Paths of files and folders. scripts/enter sets them in variables, which this reads."""

import os
import subprocess
from pathlib import Path

from .cli import Stop


def _path(name: str) -> Path:
    value = os.environ.get(f"XEN_PVMMU_{name}")
    if not value:
        raise Stop(f"XEN_PVMMU_{name} is not set", "start this with scripts/enter, or use make")
    return Path(value)


def repo() -> Path:
    return _path("REPO")


def files() -> list[Path]:
    """The repository's files, new ones included, ignored ones not, relative to its top."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repo(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Stop("git cannot list the files: " + done.stderr.decode().strip(), "run this in a git checkout")
    names = {Path(name.decode()) for name in done.stdout.split(b"\0") if name}
    return sorted(path for path in names if (repo() / path).is_file())


def build() -> Path:
    """Where results go."""
    return _path("BUILD")


def logs() -> Path:
    path = build() / "log"
    path.mkdir(parents=True, exist_ok=True)
    return path


def state() -> Path:
    """Numbers that are kept between clean builds."""
    path = _path("STATE")
    path.mkdir(parents=True, exist_ok=True)
    return path


def tree() -> Path:
    """The kernel source that is built: a patched copy, or the user's KDIR."""
    return _path("TREE")


def pristine() -> Path | None:
    """The untouched kernel source, unless the user set KDIR."""
    value = os.environ.get("XEN_PVMMU_PRISTINE")
    return Path(value) if value else None


def debian_config() -> Path:
    """The configuration of Debian's kernel of the same release."""
    return _path("DEBIAN_CONFIG")


def root() -> Path:
    """The build root as seen from outside; with the user's own tools that is /."""
    return Path(os.environ.get("XEN_PVMMU_ROOT", "/"))


def kunit() -> Path:
    """The kernel's own parser of test results."""
    return (pristine() or tree()) / "tools/testing/kunit"


def xen() -> Path:
    return _path("XEN")


def shadow_xen() -> Path:
    """The same Xen, with shadow paging."""
    path = _path("SHADOW_XEN")
    if not path.exists():
        raise Stop("there is no Xen with shadow paging", "run: scripts/setup shadow-xen")
    return path


def old_xen() -> Path:
    """The Xen of Debian's release before."""
    return _path("OLD_XEN")


def disk_base() -> Path:
    """Debian for a dom0 on a disk, as a tar file."""
    path = _path("DISK_BASE")
    if not path.exists():
        raise Stop("there is no Debian for a disk", "run: scripts/setup disk")
    return path


def xen_symbols() -> Path:
    """The addresses of Xen's functions."""
    found = sorted(Path("/usr/lib/debug/boot").glob("xen-syms-*.map"))
    if not found:
        raise Stop("the names of Xen's functions are missing", "install xen-hypervisor-*-dbg, of the version that boots")
    return found[-1]


def shown(path: Path) -> str:
    """A path in the form that a user would type."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
