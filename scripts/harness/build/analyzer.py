# SPDX-License-Identifier: GPL-2.0-only
"""rust-project.json: the crate and what it uses, for rust-analyzer in an editor outside of the build root."""

import json
from pathlib import Path

from .. import paths
from ..cli import Stop
from . import kernel

_ROOT = Path("rust/xen_pv_mmu.rs")
# The kernel's script adds the crates of drivers, but not this one, which is below arch.
_LIKE = "kernel"
_USES = ("core", "kernel", "pin_init", "zerocopy", "zerocopy_derive")


def project(made: dict, tree: Path, repo: Path, root: Path) -> dict:
    """The project that kbuild wrote, with this crate added and paths as the editor sees them."""
    crates = [_outside(crate, root) for crate in made["crates"]]
    index = {crate["display_name"]: number for number, crate in enumerate(crates)}
    missing = [name for name in _USES if name not in index]
    if missing:
        raise Stop(f"the kernel's rust-project.json lacks {' '.join(missing)}", "see scripts/generate_rust_analyzer.py there")
    like = crates[index[_LIKE]]
    crates.append(
        {
            "display_name": _ROOT.stem,
            "root_module": str(repo / _ROOT),
            "is_workspace_member": True,
            "is_proc_macro": False,
            "deps": [{"crate": index[name], "name": name} for name in _USES],
            "cfg": like["cfg"],
            "edition": like["edition"],
            "env": {"RUST_MODFILE": "This is only for rust-analyzer"},
            # A link in the tree leads to the same files; the editor should open them here.
            "source": {"include_dirs": [str(repo / "rust")], "exclude_dirs": [str(tree / "arch/x86/xen/pvmmu")]},
        }
    )
    return {"crates": crates, "sysroot": _path(made["sysroot"], root)}


def _outside(value: object, root: Path) -> object:
    """The same with every path of the build root's /usr in the build root."""
    if isinstance(value, dict):
        return {key: _outside(part, root) for key, part in value.items()}
    if isinstance(value, list):
        return [_outside(part, root) for part in value]
    return _path(value, root) if isinstance(value, str) else value


def _path(value: str, root: Path) -> str:
    return str(root / value[1:]) if Path(value).is_relative_to("/usr") else value


def paths_in(made: dict) -> list[Path]:
    """All the paths in a project."""
    found = [Path(made["sysroot"])]
    for crate in made["crates"]:
        found.append(Path(crate["root_module"]))
        found += map(Path, crate.get("source", {}).get("include_dirs", ()))
        if crate.get("is_proc_macro"):
            found.append(Path(crate["proc_macro_dylib_path"]))
    return found


def make() -> str:
    """Writes the file, for a kernel that is built."""
    variant = kernel.named("rust")
    kernel.build(variant, "rust-analyzer")
    made = json.loads((kernel.out(variant) / "rust-project.json").read_text())
    made = project(made, paths.tree(), paths.repo(), paths.root())
    missing = [str(path) for path in paths_in(made) if not path.exists()]
    if missing:
        raise Stop("rust-project.json names paths that do not exist:\n" + "\n".join(missing), "run: make build")
    target = paths.repo() / "rust-project.json"
    target.write_text(json.dumps(made, indent=4, sort_keys=True) + "\n")
    return f"{len(made['crates'])} crates in {paths.shown(target)}, all of their paths exist"


def main(arguments: list[str]) -> int:
    """rust-analyzer: build the crate, since some of its dependencies are generated, and describe it."""
    if arguments:
        raise Stop(f"cannot do {' '.join(arguments)}", "give no arguments")
    kernel.build(kernel.named("rust"))
    print(make())
    return 0
