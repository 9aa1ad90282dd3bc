# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's variants, and how one is configured and built."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .. import paths, settings
from ..cli import Progress, Stop
from ..stream import follow
from . import debian, kconfig


@dataclass(frozen=True)
class Variant:
    name: str
    fragments: tuple[str, ...]
    """From scripts/config; a later one overrides."""
    steps: int
    """How many lines a clean build prints; a finished build updates the number."""
    seed: str = ""
    """A variant that differs little: its objects, if they exist, save most of the work."""
    external: bool = False
    """The out-of-tree modules of this repository are built against it."""
    compiler: tuple[str, ...] = ("LLVM=1",)
    """Variables for make that choose the compiler of C."""
    modules: bool = False
    """All of Debian's, not only those that tests load."""
    debian: bool = False
    """Built on Debian's own configuration, from a tree with copies of this repository's files, as packages need it."""


GCC = ("LLVM=", "CC=gcc")

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("rust", ("dom0", "rust", "samples"), 1700, external=True),
        Variant("debug", ("dom0", "rust", "samples", "debug"), 1700, external=True),
        Variant("debian", ("debian",), 4800, external=True, compiler=GCC, debian=True),
        Variant("debian-c", ("debian", "debian-c"), 300, seed="debian", external=True, compiler=GCC, debian=True),
        Variant("deb", ("debian", "deb"), 300, seed="debian", compiler=GCC, debian=True),
        Variant("deb-full", ("deb-full",), 30000, compiler=GCC, debian=True, modules=True),
        Variant("small", ("dom0", "rust", "small"), 1500),
        Variant("domu", ("dom0", "rust", "small", "domu"), 1200),
        Variant("lto", ("dom0", "rust", "samples", "lto"), 1700, external=True),
        Variant("gcc", ("dom0", "rust", "samples", "gcc"), 1600, external=True, compiler=GCC),
        Variant("c", ("dom0", "c"), 70, seed="rust", external=True),
        Variant("bench-rust", ("dom0", "rust", "bench"), 700, seed="rust"),
        Variant("bench-c", ("dom0", "c", "bench"), 70, seed="bench-rust"),
        Variant("bench-c-lazy", ("dom0", "c", "bench", "lazy-fix"), 70, seed="bench-c"),
        Variant("off", ("dom0", "c", "off"), 1250),
        Variant("fix", ("dom0", "c", "fix"), 1300),
        Variant("fix-locks", ("dom0", "c", "fix", "fix-locks"), 1300),
    )
}

# kbuild's short form of a command, e.g. "  CC      mm/memory.o".
_STEP = re.compile(rb"^  [A-Z][A-Z0-9_+]* +(\[M\] +)?\S")
_ERROR = re.compile(r"(?:^|\s)(?:fatal )?error(?:\[E\d+\])?:|\bundefined (?:symbol|reference)|\bFAILED\b")
_MAKE_ERROR = re.compile(r"\*\*\* ")
_OURS = re.compile(r"pv_?mmu|\brust/kernel/static_call", re.IGNORECASE)


def named(name: str) -> Variant:
    if name not in VARIANTS:
        raise Stop(f"there is no kernel variant {name!r}", f"use one of: {', '.join(VARIANTS)}")
    return VARIANTS[name]


def out(variant: Variant) -> Path:
    """Where kbuild puts this variant's objects."""
    return paths.build() / f"{paths.tree().name}-{variant.name}"


def bzimage(variant: Variant) -> Path:
    return out(variant) / "arch/x86/boot/bzImage"


def vmlinux(variant: Variant) -> Path:
    return out(variant) / "vmlinux"


def goals(variant: Variant) -> tuple[str, ...]:
    """Targets for make: modules are cheap to build, but only if there are any.

    Out-of-tree modules need the list of exports, which is made together with modules.
    """
    wanted = variant.external or "m" in asked_for(variant).values()
    return ("bzImage", "modules") if wanted else ("bzImage",)


def modules(variant: Variant) -> list[Path]:
    """The modules that were built; others in the folder may come from the seed, another kernel."""
    if "modules" not in goals(variant):
        return []
    folders = (out(variant), external(variant)) if variant.external else (out(variant),)
    return [module for folder in folders for module in _listed(folder)]


def _listed(folder: Path) -> list[Path]:
    order = folder / "modules.order"
    names = order.read_text().split() if order.exists() else []
    return [(folder / name).with_suffix(".ko") for name in names]


def external(variant: Variant) -> Path:
    """The folder of its out-of-tree modules."""
    return out(variant) / "external"


def _external_goals(variant: Variant) -> tuple[str, ...]:
    return (f"M={paths.repo() / 'scripts/guest/modules'}", f"MO={external(variant)}", "modules")


def tree_of(variant: Variant) -> Path:
    """The source that a variant is built from."""
    return paths.build() / f"{paths.tree().name}-copy" if variant.debian else paths.tree()


def prepare_tree(tree: Path | None = None, *options: str) -> None:
    """Applies the edits to a source tree: a private copy, or the user's own."""
    tree = tree or paths.tree()
    pristine = paths.pristine()
    if pristine and not tree.exists():
        copy(pristine, tree)
    if not (tree / "Kbuild").exists():
        raise Stop(f"{tree} is not a Linux source tree", "set KDIR to one")
    if (tree / ".config").exists() or (tree / "include/config").exists():
        raise Stop(f"{tree} was built in place", f"run there, after saving its .config: make -C {tree} mrproper")
    trouble = _integrate(tree, *options)
    if trouble and pristine:
        # The copy may carry the edits of an older anchors.toml, or older files: start from a clean one.
        before = contents(tree, edited_files() | copied_files(tree))
        restore(pristine, tree)
        trouble = _integrate(tree, *options)
        keep_times(before)
    if trouble:
        raise Stop(
            f"the kernel tree cannot be integrated with:\n{trouble}",
            "fix scripts/anchors.toml for this kernel"
            if pristine
            else "use a tree of a version that is supported, without other changes to these files; "
            "if another checkout has applied its edits, revert them there",
        )


def _integrate(tree: Path, *options: str) -> str:
    """Applies the edits, without the groups that WITHOUT names; returns the script's output if it cannot."""
    options += tuple(f"--without={group}" for group in os.environ.get("WITHOUT", "").split())
    command = [paths.repo() / "scripts/integrate", *options, "apply", tree]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def restore(pristine: Path, tree: Path) -> None:
    """Restores a copy; files that have not changed keep their objects."""
    command = ["rsync", "-a", "--delete", "--out-format=%n", f"{pristine}/", f"{tree}/"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # They have the times of the original, so make would consider the objects newer.
    for path in (tree / name for name in done.stdout.splitlines()):
        if path.is_file() and not path.is_symlink():
            os.utime(path)


def _anchors() -> dict[str, list[dict[str, str]]]:
    with open(paths.repo() / "scripts/anchors.toml", "rb") as stream:
        return tomllib.load(stream)


def edited_files() -> set[str]:
    return {edit["file"] for edit in _anchors()["edit"]}


def copied_files(tree: Path) -> set[str]:
    """The copies of this repository's files in a tree; links do not count."""
    places = [tree / link["path"] for link in _anchors()["link"]]
    files = (path for place in places if not place.is_symlink() for path in (place, *place.rglob("*")))
    return {str(path.relative_to(tree)) for path in files if path.is_file()}


def contents(tree: Path, names: set[str]) -> dict[Path, tuple[bytes, os.stat_result]]:
    return {place: (place.read_bytes(), place.stat()) for name in names if (place := tree / name).is_file()}


def keep_times(before: dict[Path, tuple[bytes, os.stat_result]]) -> None:
    """Lets files with unchanged contents keep their objects: some are headers that the whole kernel includes."""
    for place, (content, status) in before.items():
        if place.is_file() and place.read_bytes() == content:
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy(source: Path, target: Path) -> None:
    progress = Progress(f"copy of {source.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        child = subprocess.Popen(["cp", "-a", "--reflink=auto", f"{source}/.", scratch], stderr=subprocess.PIPE, text=True)
        # It would print the same for each of the remaining files.
        complaint = child.stderr.readline().strip()
        if complaint:
            child.kill()
        if child.wait():
            raise Stop(complaint, f"make room in {target.parent}, or set XEN_PVMMU_BUILD to another directory")
        scratch.rename(target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    progress.done("done")


def asked_for(variant: Variant) -> dict[str, str]:
    """The symbols that the fragments set, the last one winning."""
    wanted: dict[str, str] = {}
    for name in variant.fragments:
        path = paths.repo() / f"scripts/config/{name}.config"
        wanted |= kconfig.assignments(path.read_text())
    return wanted


def configure(variant: Variant, *, partly: bool = False) -> None:
    """Debian's configuration or none, plus the fragments; every symbol must take effect, or with `partly` those that exist."""
    target = out(variant)
    target.mkdir(parents=True, exist_ok=True)
    wanted = asked_for(variant)
    if partly:
        there = kconfig.declared(paths.tree())
        wanted = {symbol: value for symbol, value in wanted.items() if symbol in there}
    fragment = target / "fragment.config"
    fragment.write_text("".join(f"{symbol}={value}\n" for symbol, value in wanted.items()))
    with (paths.logs() / f"config-{variant.name}.log").open("wb") as log:
        if variant.debian:
            update = functools.partial(_config, variant, log, "olddefconfig")
            debian.configure(tree_of(variant), target, fragment, lambda config: update(KCONFIG_CONFIG=config), variant.modules)
        else:
            _config(variant, log, "allnoconfig", KCONFIG_ALLCONFIG=fragment)
    missing = kconfig.not_taken(wanted, (target / ".config").read_text())
    if missing:
        raise Stop(
            f"these settings did not take effect in the {variant.name} kernel: {' '.join(missing)}",
            "add what they depend on to the fragment in scripts/config (make LLVM=1 menuconfig shows it)",
        )


def _config(variant: Variant, log: BinaryIO, goal: str, **variables: Path) -> None:
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    done = subprocess.run(_make(variant, goal), env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        text = Path(log.name).read_text(errors="replace")
        tail = text.splitlines()[-3:]
        raise Stop("the kernel cannot be configured:\n" + "\n".join(tail), f"read {paths.shown(Path(log.name))}")


def build(variant: Variant, *targets: str) -> str:
    """Applies the edits to the tree and builds a variant; returns one line on the result."""
    prepare_tree(tree_of(variant), *(["--copy"] if variant.debian else []))
    return build_as_it_is(variant, *targets)


def build_as_it_is(variant: Variant, *targets: str, partly: bool = False) -> str:
    """The same without touching the tree, which may have only some of the edits."""
    # Only the length of a first build is worth predicting: later ones build what changed.
    first = not targets and not out(variant).exists()
    resumed = not targets and not first and not bzimage(variant).exists()
    seed = _seed(variant)
    configure(variant, partly=partly)
    if seed:
        _keep_objtool(seed, variant)
    memory = paths.state() / f"steps-{paths.tree().name}-{variant.name}"
    expected = remembered(memory, variant.steps)
    log = paths.logs() / f"build-{variant.name}.log"
    progress = Progress(f"build {variant.name}")
    steps = 0
    # Out-of-tree modules come last: they are linked against the kernel's current exports.
    goals_of_each = [targets or goals(variant), *([_external_goals(variant)] if variant.external and not targets else [])]
    with log.open("wb") as file:
        for wanted in goals_of_each:
            child = subprocess.Popen(
                _make(variant, *wanted),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for line in follow(child, file):
                if line is not None and _STEP.match(line):
                    steps += 1
                limit = f" of about {expected}" if first else f" of at most {expected}" if resumed else ""
                progress.update(f"{steps}{limit} steps")
            if code := child.wait():
                break
    _judge(variant, code, log, progress)
    if first:
        memory.write_text(str(steps))
    text = f"{steps} steps"
    progress.done(text)
    return text


def remembered(memory: Path, otherwise: int) -> int:
    """A number of an earlier run, if there was disk space to store it."""
    text = memory.read_text() if memory.exists() else ""
    return int(text) if text.isdecimal() else otherwise


def _seed(variant: Variant) -> Variant | None:
    """Starts a first build from the objects of a variant that differs little.

    kbuild rebuilds everything that depends on a changed setting.
    """
    if not variant.seed or out(variant).exists():
        return None
    seed = named(variant.seed)
    if not vmlinux(seed).exists():
        return None
    copy(out(seed), out(variant))
    return seed


def _keep_objtool(seed: Variant, variant: Variant) -> None:
    """Builds objtool here without rebuilding every object because of it.

    Its commands contain absolute paths, so it is rebuilt, but the program is the same.
    """
    log = paths.logs() / f"objtool-{variant.name}.log"
    with log.open("wb") as file:
        done = subprocess.run(_make(variant, "tools/objtool"), stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Stop("objtool does not build", f"read {paths.shown(log)}")
    when = (out(seed) / "tools/objtool/objtool").stat().st_mtime_ns
    for path in (out(variant) / "tools/objtool").rglob("*"):
        if path.is_file():
            os.utime(path, ns=(when, when))


def _judge(variant: Variant, code: int, log: Path, progress: Progress) -> None:
    lines = log.read_text(errors="replace").splitlines()
    if code:
        progress.done("failed")
        raise Stop(
            "\n".join([f"the {variant.name} kernel does not build:", *first_errors(lines)]),
            f"fix the first error above and run the same command; the whole output is in {paths.shown(log)}",
        )
    warned = warnings(lines, of_all_c=variant.debian)
    if warned:
        progress.done(f"built, with {len(warned)} warnings")
        _forget_ours(variant)
        raise Stop(
            "\n".join([f"the {variant.name} kernel builds with warnings:", *warned[:8]]),
            f"fix them, since this repository's code builds without any; the whole output is in {paths.shown(log)}",
        )


def first_errors(lines: list[str], count: int = 12) -> list[str]:
    """The first error of a failed build, with the lines after it."""
    for pattern in (_ERROR, _MAKE_ERROR):
        for number, line in enumerate(lines):
            if pattern.search(line):
                return lines[number : number + count]
    return lines[-3:]


def warnings(lines: list[str], *, of_all_c: bool = False) -> list[str]:
    """Warnings about this repository's code or about all C, and all about the linked image.

    rustc and clippy name the file on a separate line, up to a few lines below.
    """
    found = []
    for number, line in enumerate(lines):
        if re.search(r"warning: objtool:|WARNING: modpost:|ld\.lld: warning:", line):
            found.append(line)
        elif line.startswith("warning"):
            place = next((near for near in lines[number + 1 : number + 7] if near.lstrip().startswith("--> ")), "")
            if _OURS.search(place):
                found.append(f"{line} {place.strip()}")
        elif re.search(r":\d+: warning:", line) and (of_all_c or _OURS.search(line)):
            found.append(line)
    return found


def _forget_ours(variant: Variant) -> None:
    """Removes the objects of this repository's code, so that the next build repeats their warnings."""
    for folder in ("arch/x86/xen/pvmmu", "rust"):
        for path in (out(variant) / folder).rglob("*.o"):
            if _OURS.search(f"{folder}/{path.name}") or path.name == "kernel.o":
                path.unlink()


def _make(variant: Variant, *targets: str) -> list[str]:
    common = ["make", "-C", str(tree_of(variant)), f"O={out(variant)}", "CLIPPY=1", f"-j{settings.jobs()}"]
    return [*common, *variant.compiler, *targets]


def main(arguments: list[str]) -> int:
    """build VARIANT [MAKE-TARGET...]"""
    if not arguments:
        raise Stop("which kernel?", f"name one of: {', '.join(VARIANTS)}")
    build(named(arguments[0]), *arguments[1:])
    return 0
