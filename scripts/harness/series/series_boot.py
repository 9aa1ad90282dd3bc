# SPDX-License-Identifier: GPL-2.0-only
"""Build the series in trees of their own, whole or patch by patch, compare and boot them."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from .. import paths
from ..boot import boot, initramfs, machines
from ..build import kernel
from ..cli import Stop
from . import fixes, patches, series
from .tree import change, start, times_kept, tree_for


def is_unused(patch: series.Patch, tree: Path) -> bool:
    """Whether a patch only adds files that no file of the kernel refers to yet."""
    names = [Path(path).name for path in patch.changes]
    return not any(name.startswith(("Kconfig", "Kbuild", "Makefile")) for name in names) and not any(
        (tree / path).exists() for path in patch.changes
    )


def build_each() -> str:
    """Builds after each patch, with the part of the backend so far, and finally with the option off."""
    made = series.load(paths.files())
    tree = tree_for("series")
    written = start(made, tree)
    built = 0
    for number, patch in enumerate(made.patches, 1):
        unused = is_unused(patch, tree)
        change(tree, written[patch.name])
        last = number == len(made.patches)
        if unused and not last:
            print(f"\n[{number}/{len(written)}] {patch.name}: nothing uses its files yet", flush=True)
            continue
        print(f"\n[{number}/{len(written)}] {patch.name}", flush=True)
        try:
            kernel.build_as_it_is(kernel.named("rust"), partly=not last)
        except Stop as stop:
            raise Stop(f"after {patch.name}, {stop}", stop.advice) from None
        built += 1
    print("\nwith the option off", flush=True)
    kernel.build_as_it_is(kernel.named("c"))
    return f"{len(written)} patches, {built} of them change what is built, each builds without a warning"


def compare_off() -> str:
    """Builds without Rust, with the fixes and then with all patches: every object must be the same."""
    made = series.load(paths.files())
    tree = tree_for("off")
    variant = kernel.named("off")
    changed = {name for patch in made.patches for name in patch.changes}
    with times_kept(tree, changed):
        written = start(made, tree)
        for patch in made.patches:
            if patch.is_fix:
                change(tree, written[patch.name])
    kernel.build_as_it_is(variant)
    before = objects(kernel.out(variant))
    for patch in made.patches:
        if not patch.is_fix:
            change(tree, written[patch.name])
    kernel.build_as_it_is(variant)
    after = objects(kernel.out(variant))
    different = sorted(name for name in before | after if before.get(name) != after.get(name))
    if different:
        raise Stop(
            f"{len(different)} of {len(after)} objects differ with the option off:\n" + "\n".join(different[:20]),
            "find what the series change without the option",
        )
    return f"{len(after)} objects, byte for byte the same with the option off"


def objects(out: Path) -> dict[str, str]:
    """A hash of each object of the kernel, without the host's programs and what holds the time of the build."""
    names = {str(path.relative_to(out)): path for path in out.rglob("*.o")}
    left_out = re.compile(r"(scripts|tools)/|(.*/)?\.?(tmp_)?vmlinux|init/version")
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names.items() if not left_out.match(name)}


def boot_whole(variant: str, machine: str) -> str:
    """Applies the series to a whole kernel, builds it and boots it; for C only the fixes."""
    # Only this kernel is built from the series, so guests have none of their own.
    dom0s = (entry for entry in machines.MACHINES if entry.kind == "dom0")
    table = {entry.name: entry for entry in dom0s if entry.guests in ("", variant)}
    if variant not in ("rust", "debug", "c") or machine not in table:
        raise Stop(f"cannot boot {machine!r} with {variant!r}", f"name rust, debug or c, and one of: {', '.join(table)}")
    made = series.load(paths.files())
    tree = tree_for("fixes" if variant == "c" else "series")
    with times_kept(tree, {name for patch in made.patches for name in patch.changes}):
        written = start(made, tree)
        for patch in made.patches:
            if patch.is_fix or variant != "c":
                change(tree, written[patch.name])
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
    """patches [build | off | fixes [PATTERN] | boot VARIANT MACHINE]: write the series and check them, or try them out."""
    match arguments:
        case []:
            kernel.prepare_tree()
            print(patches.make())
        case ["build"]:
            print(build_each())
        case ["off"]:
            print(compare_off())
        case ["fixes", *pattern]:
            print(fixes.run(pattern[0] if pattern else ""))
        case ["boot", variant, machine]:
            print(boot_whole(variant, machine))
        case _:
            raise Stop(f"cannot do {' '.join(arguments)}", "give nothing, build, off, fixes, or: boot VARIANT MACHINE")
    return 0
