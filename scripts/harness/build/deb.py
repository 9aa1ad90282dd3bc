# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of the kernel, made by its own build, and what may not be in them."""

import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

from .. import paths
from ..cli import Stop, elapsed
from . import kernel

CONFIGS = {"": "deb", "full": "deb-full"}
KINDS = ("linux-image", "linux-headers", "linux-libc-dev")


def folder(variant: kernel.Variant) -> Path:
    return paths.build() / f"packages-{variant.name}"


def make(config: str = "") -> list[Path]:
    """Builds the kernel and its packages; returns them, image first."""
    if config not in CONFIGS:
        raise Stop(f"there is no CONFIG={config}", f"leave it out, or use: {', '.join(filter(None, CONFIGS))}")
    variant = kernel.named(CONFIGS[config])
    # There may be nobody of this name in the build root, and dpkg wants one.
    os.environ.setdefault("KBUILD_BUILD_USER", "builder")
    os.environ.setdefault("DEBFULLNAME", "Xen PV MMU in Rust")
    os.environ.setdefault("DEBEMAIL", "builder@localhost")
    os.environ.setdefault("KDEB_CHANGELOG_DIST", "trixie")
    # Do not check build dependencies: the kernel's own list has build-essential, for its C compiler.
    os.environ.setdefault("DPKG_FLAGS", "-d")
    # The package with debugging symbols takes longer than all else.
    os.environ["DEB_BUILD_PROFILES"] = "pkg.linux-upstream.nokerneldbg"
    kernel.build(variant, "bindeb-pkg")
    made = collect(kernel.out(variant), folder(variant))
    for package in made:
        check(package, entries(package))
    return made


def collect(out: Path, target: Path) -> list[Path]:
    """dpkg puts packages beside the directory that it works in, and lists them within."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    made = []
    for line in (out / "debian/files").read_text().splitlines():
        name = line.split()[0]
        shutil.move(out.parent / name, target / name)
        if name.endswith(".deb"):
            made.append(target / name)
    for leftover in out.parent.glob("linux-upstream_*.changes"):
        leftover.unlink()
    missing = [kind for kind in KINDS if not any(package.name.startswith(kind) for package in made)]
    if missing:
        raise Stop(f"the kernel's build made no {', '.join(missing)}", f"read {paths.shown(paths.logs())}")
    return sorted(made, key=lambda package: [package.name.startswith(kind) for kind in KINDS], reverse=True)


def entries(package: Path) -> list[str]:
    """What is in a package, a line each, as tar lists it."""
    done = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def check(package: Path, lines: list[str]) -> None:
    """Stops at links that lead out of the packages."""
    wrong = [line for line in lines if leaves(line)]
    if wrong:
        raise Stop(
            "\n".join([f"{package.name} has links that lead out of it:", *wrong[:8]]),
            "the tree has to hold files: scripts/integrate --copy",
        )


def leaves(line: str) -> bool:
    """Whether a line of the list is of a link that leads out of the packages."""
    found = re.search(r" \./(\S+) -> (\S+)$", line)
    if not found:
        return False
    place, target = PurePosixPath("/", found[1]), PurePosixPath(found[2])
    whole = PurePosixPath(os.path.normpath(place.parent / target))
    return not str(whole).startswith(("/usr/", "/lib/", "/boot/"))


def main(arguments: list[str]) -> int:
    """deb [CONFIG]: the packages of the kernel with Debian's configuration."""
    begin = os.times().elapsed
    for package in make(arguments[0] if arguments else ""):
        print(f"{paths.shown(package)}  {package.stat().st_size / 1e6:.1f} MB")
    print(f"deb: ok, {elapsed(os.times().elapsed - begin)}")
    return 0
