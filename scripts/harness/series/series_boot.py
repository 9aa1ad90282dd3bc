# SPDX-License-Identifier: GPL-2.0-only
"""Build the series in a tree of its own, whole or patch by patch, and boot it."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .. import paths
from ..boot import boot, initramfs, machines
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


def _tree(purpose: str) -> Path:
    """Makes this tree the one that is built."""
    tree = paths.build() / f"{series.pristine().name}-{purpose}"
    os.environ["XEN_PVMMU_TREE"] = str(tree)
    return tree


def _start(made: series.Series, tree: Path) -> list[Path]:
    """Resets the tree to the kernel's; returns the patches for it."""
    _, *written = patches.write(made, paths.build() / f"patches-{tree.name}")
    if tree.exists():
        kernel.restore(series.pristine(), tree)
    else:
        kernel.copy(series.pristine(), tree)
    return written


@contextmanager
def times_kept(tree: Path, names: Iterable[str]) -> Iterator[None]:
    """Files that end up with their old contents keep their times, so that make does not rebuild them."""
    files = [tree / name for name in names]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files if path.exists()}
    yield
    for path, (content, time) in before.items():
        if path.exists() and path.read_bytes() == content:
            os.utime(path, ns=(time, time))


def build_each() -> str:
    """Builds after each patch, with the part of the backend so far, and finally with the backend in C."""
    made = series.load(paths.files())
    tree = _tree("series")
    written = _start(made, tree)
    for number, path in enumerate(written, 1):
        print(f"\n[{number}/{len(written)}] {path.name}", flush=True)
        change(tree, path)
        try:
            kernel.build_as_it_is(kernel.named("rust"), partly=number < len(written))
        except Stop as stop:
            raise Stop(f"after {path.name}, {stop}", stop.advice) from None
    print("\nwith the option off", flush=True)
    kernel.build_as_it_is(kernel.named("c"))
    return f"{len(written)} patches, each builds without a warning"


def boot_whole(variant: str, machine: str) -> str:
    """Applies the series to a whole kernel, builds it and boots it; for C only the patches that stand alone."""
    # Only this kernel is built from the series, so guests have none of their own.
    dom0s = (entry for entry in machines.MACHINES if entry.kind == "dom0")
    table = {entry.name: entry for entry in dom0s if entry.guests in ("", variant)}
    if variant not in ("rust", "debug", "c") or machine not in table:
        raise Stop(f"cannot boot {machine!r} with {variant!r}", f"name rust, debug or c, and one of: {', '.join(table)}")
    made = series.load(paths.files())
    tree = _tree("fixes" if variant == "c" else "series")
    with times_kept(tree, {name for patch in made.patches for name in patch.changes}):
        for patch, path in zip(made.patches, _start(made, tree), strict=True):
            if patch.alone or variant != "c":
                change(tree, path)
    kernel.build_as_it_is(kernel.named(variant))
    chosen = replace(table[machine], name=f"{machine}-{tree.name}-{variant}", kernel=variant)
    if variant == "c":
        # The crate is missing: no samples, no files in debugfs.
        chosen = replace(chosen, kind="dom0-c", must_print=())
    verdict = boot.run(chosen, initramfs.make())
    if verdict.problems:
        raise Stop("\n".join(map(str, verdict.problems[:8])), f"read {paths.shown(verdict.log)}")
    return verdict.summary


def main(arguments: list[str]) -> int:
    """patches [build | boot VARIANT MACHINE]: write the series and check it, or try it out."""
    match arguments:
        case []:
            kernel.prepare_tree()
            print(patches.make())
        case ["build"]:
            print(build_each())
        case ["boot", variant, machine]:
            print(boot_whole(variant, machine))
        case _:
            raise Stop(f"cannot do {' '.join(arguments)}", "give nothing, build, or: boot VARIANT MACHINE")
    return 0
