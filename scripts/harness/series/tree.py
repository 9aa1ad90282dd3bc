# SPDX-License-Identifier: GPL-2.0-only
"""The trees that the series are applied to and built in."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from ..build import kernel
from ..cli import Stop
from . import patches, series


def change(tree: Path, patch: Path) -> None:
    """Applies a patch to a tree that is no repository, though it may lie in one."""
    # In a folder of a repository, git would leave out files that are not below that folder.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", str(patch)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"{patch.name} does not apply: {done.stderr.strip()}", "run: make patches")


def tree_for(purpose: str) -> Path:
    """Makes this tree the one that is built."""
    tree = paths.build() / f"{series.pristine().name}-{purpose}"
    os.environ["XEN_PVMMU_TREE"] = str(tree)
    return tree


def start(made: series.Export, tree: Path) -> dict[str, Path]:
    """Resets the tree to the kernel's; returns the patches for it by name, in order."""
    written = patches.in_order(patches.write(made, paths.build() / f"patches-{tree.name}"))
    if tree.exists():
        kernel.restore(series.pristine(), tree)
    else:
        kernel.copy(series.pristine(), tree)
    return {patch.name: path for patch, path in zip(made.patches, written, strict=True)}


@contextmanager
def times_kept(tree: Path, names: Iterable[str]) -> Iterator[None]:
    """Files that end up with their old contents keep their times, so that make does not rebuild them."""
    files = [tree / name for name in names]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files if path.exists()}
    yield
    for path, (content, time) in before.items():
        if path.exists() and path.read_bytes() == content:
            os.utime(path, ns=(time, time))
