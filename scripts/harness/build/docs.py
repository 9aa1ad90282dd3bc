# SPDX-License-Identifier: GPL-2.0-only
"""The manuals as HTML, and rustdoc of the crate and of the host crates."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from .. import paths
from ..cli import Progress, Stop
from ..host.host import COMPILE_FAIL
from . import cargo, kernel

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
    pages = manuals(top)
    progress.done(f"{pages} pages")
    progress = Progress("rustdoc of the crate")
    crate(top / "rustdoc")
    progress.done("no warning")
    host(top / "host")
    return f"{pages} pages, the crate and the host crates in {paths.shown(top)}"


def manuals(top: Path) -> int:
    """Turns each page into HTML, beside the pictures it shows."""
    pages = [path for path in paths.files() if path.suffix == ".md"]
    pictures = [path for path in paths.files() if path.parts[0] == "Documentation" and path.suffix in (".svg", ".png")]
    for page in [*pages, *pictures]:
        (top / page).parent.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        shutil.copyfile(paths.repo() / picture, top / picture)
    for page in pages:
        command = ["pandoc", "--from=gfm", "--to=html5", "--standalone", "--fail-if-warnings"]
        command += [f"--lua-filter={paths.repo() / 'scripts/harness/build/html.lua'}"]
        command += [f"--output={(top / page).with_suffix('.html')}", str(paths.repo() / page)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Stop(f"{page} cannot be rendered: {done.stderr.strip()}", "fix the page")
    return len(pages)


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
    shutil.copytree(Path(os.environ["CARGO_TARGET_DIR"]) / "doc", folder)
