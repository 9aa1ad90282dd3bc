# SPDX-License-Identifier: GPL-2.0-only
"""The manuals as HTML, here and in the kernel, and rustdoc of the crate and of the host crates."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from .. import paths
from ..cli import Progress, Stop
from ..host.host import COMPILE_FAIL
from . import cargo, kernel

_CONFIG = Path("Documentation")
_PAGES = (".md", ".rst")
# Where the kernel's tree has the pages that are in its form.
_IN_KERNEL = Path("Documentation/arch/x86/xen-pv-mmu")
_ABI = Path("Documentation/ABI/testing/debugfs-xen-pvmmu")
_COMPLAINT = re.compile("warning|error", re.IGNORECASE)
_CRATE = "arch/x86/xen/pvmmu/rust/xen_pv_mmu.o"
# These options set where objects go; rustdoc finds the standard library itself.
_OUTPUT = ("--emit", "--out-dir", "-o")


def main(arguments: list[str]) -> int:
    """doc: all of it, below doc/ of the results."""
    if arguments:
        raise Stop(f"cannot do {' '.join(arguments)}", "give no arguments")
    kernel.build(kernel.named("rust"))
    print(make())
    return 0


def make() -> str:
    """Everything, for a kernel that is built."""
    top = paths.build() / "doc"
    shutil.rmtree(top, ignore_errors=True)
    progress = Progress("manuals")
    pages = manuals(top, paths.files())
    progress.done(f"{pages} pages")
    progress = Progress("manuals in the kernel")
    progress.done(in_kernel(top / "kernel"))
    progress = Progress("rustdoc of the crate")
    crate(top / "rustdoc")
    progress.done("no warning")
    host(top / "host")
    return f"{pages} pages, the crate and the host crates in {paths.shown(top)}"


def manuals(top: Path, files: list[Path]) -> int:
    """Lets Sphinx render the pages among the files. Its warnings are errors, such as links that lead nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        # Sphinx follows every link below its source, and results may be there.
        for path in files:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.repo() / path, source / path)
        command = ["sphinx-build", "-q", "-W", "--keep-going", "-c", str(paths.repo() / _CONFIG)]
        command += ["-d", f"{folder}/doctrees", str(source), str(top)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            found = (done.stdout + done.stderr).replace(f"{source}/", "").splitlines()
            raise Stop("\n".join(["the manuals cannot be rendered:", *filter(None, found)]), "fix each")
    return sum(path.suffix in _PAGES for path in files)


def check(files: list[Path]) -> str:
    """The manuals render, and their links lead to pages, sections and files."""
    with tempfile.TemporaryDirectory() as folder:
        return f"{manuals(Path(folder), files)} pages"


def _mirror(tree: Path, copy: Path, names: tuple[str, ...]) -> None:
    """Links to everything in a tree but the folder with these names, which is copied.

    The kernel's Sphinx looks for the rest of the tree where the pages really are.
    """
    if not names:
        shutil.copytree(tree, copy)
        return
    copy.mkdir()
    for path in tree.iterdir():
        if path.name != names[0]:
            (copy / path.name).symlink_to(path)
    _mirror(tree / names[0], copy / names[0], names[1:])


def in_kernel(top: Path) -> str:
    """Lets the kernel's own tools render the pages and the description of the ABI that go there."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "linux")
        _mirror(paths.tree(), tree, _IN_KERNEL.parts)
        # Of the ABI there is only this backend's part, and a page that shows it.
        abi = tree / _ABI
        (tree / "Documentation/ABI").unlink()
        abi.parent.mkdir(parents=True)
        shutil.copyfile(paths.tree() / _ABI, abi)
        (tree / _IN_KERNEL / "abi.rst").write_text("===\nABI\n===\n\n.. kernel-abi:: testing\n")
        folder_option = f"SPHINXDIRS={_IN_KERNEL.relative_to('Documentation')}"
        render = ["make", "-C", tree, f"O={top}", "htmldocs", folder_option, "SPHINXOPTS=-q"]
        validate = [tree / "tools/docs/get_abi.py", "--dir", tree / "Documentation/ABI", "validate"]
        done = [subprocess.run(command, capture_output=True, text=True, check=False) for command in (render, validate)]
    log = paths.logs() / "htmldocs.log"
    log.write_text("".join(each.stdout + each.stderr for each in done))
    # dot is for sources of pictures, which none of the pages has.
    found = [line for line in log.read_text().splitlines() if _COMPLAINT.search(line) and "dot(1)" not in line]
    if found or any(each.returncode for each in done):
        text = "\n".join(["the kernel reports errors in its pages:", *found])
        raise Stop(text.replace(f"{tree}/", ""), f"fix each; the whole output is in {paths.shown(log)}")
    return "no warning"


def crate(folder: Path) -> None:
    """Documents the crate with the flags that kbuild compiles it with, private items included."""
    out = kernel.out(kernel.named("rust"))
    saved = out / f"{Path(_CRATE).parent}/.{Path(_CRATE).name}.cmd"
    if not saved.exists():
        raise Stop("the crate is not built", "run: make build")
    command = saved.read_text().split("\n", 1)[0].split(":= ", 1)[1]
    # Commands on the compiler's output follow it.
    words = shlex.split(command.split(";", 1)[0].split("&&", 1)[0])
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
    environment |= dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    flags = []
    arguments = iter(words[next(n for n, word in enumerate(words) if word.endswith(("rustc", "clippy-driver"))) + 1 :])
    for word in arguments:
        if word in _OUTPUT:
            next(arguments)
        elif not word.startswith(tuple(f"{name}=" for name in _OUTPUT)):
            flags.append(word)
    # All items are private, and documented; links to them are allowed.
    options = ["--document-private-items", "--deny=warnings", "--allow=rustdoc::private_intra_doc_links"]
    done = subprocess.run(
        ["rustdoc", *flags, *options, f"--output={folder}"],
        cwd=out,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    log = paths.logs() / "rustdoc.log"
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        errors = kernel.first_errors(done.stderr.splitlines())
        raise Stop("\n".join(["rustdoc reports errors in the crate:", *errors]), f"fix each; the whole output is in {paths.shown(log)}")


def host(folder: Path) -> None:
    """Documents the crates that run on the host, except the one that must not compile."""
    command = ["doc", "--workspace", "--exclude", COMPILE_FAIL, "--no-deps", "--document-private-items", "--locked"]
    cargo.build("host-doc", command, RUSTDOCFLAGS="--deny=warnings")
    shutil.copytree(cargo.target() / "doc", folder)
