# SPDX-License-Identifier: GPL-2.0-only
"""Debian's configuration of the kernel as a base: which settings may differ, and which modules stay."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from .. import paths
from ..cli import Stop
from . import kconfig

REPORT = "differences.txt"


def configure(tree: Path, target: Path, fragment: Path, update: Callable[[Path], None], modules: bool) -> None:
    """Makes the .config of a build from Debian's, a fragment, and the list of modules that are kept, if not all are.

    `update` lets kconfig bring a configuration up to date. What Debian's sets has to survive the fragment,
    but for what scripts/config/debian.differences lists; what the missing modules take with them is reported.
    """
    base = paths.debian_config()
    whole = target / "whole.config"
    merge(tree, whole, base, fragment)
    update(whole)
    ours = kconfig.assignments(fragment.read_text())
    wanted = kconfig.assignments(base.read_text()) | ours
    check_differences(kconfig.not_taken(wanted, whole.read_text()), _listed("debian.differences"), set(ours))

    kept = kconfig.modules_in(whole.read_text()) if modules else _listed("debian.modules")
    config = target / ".config"
    trimmed = target / "trimmed.config"
    trimmed.write_text(kconfig.with_modules_of(whole.read_text(), kept))
    update(trimmed)
    got = kconfig.assignments(trimmed.read_text())
    lost = sorted(symbol for symbol in kept if got.get(symbol) not in ("m", "y") and ours.get(symbol) != "n")
    if lost:
        raise Stop(
            f"these modules are gone with others that they need: {' '.join(lost)}",
            "add the others to scripts/config/debian.modules",
        )
    (target / REPORT).write_text(report(kconfig.assignments(base.read_text()), got))
    if not config.exists() or config.read_bytes() != trimmed.read_bytes():
        trimmed.replace(config)


def merge(tree: Path, result: Path, *parts: Path) -> None:
    """The kernel's own script lets later parts override earlier ones."""
    script = tree / "scripts/kconfig/merge_config.sh"
    done = subprocess.run(
        [script, "-m", "-O", result.parent, *parts],
        env={"PATH": "/usr/sbin:/usr/bin", "KCONFIG_CONFIG": str(result)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Stop(f"merge_config.sh failed:\n{(done.stdout + done.stderr).strip()}", "fix the fragments in scripts/config")


def _listed(name: str) -> set[str]:
    return kconfig.names_in((paths.repo() / "scripts/config" / name).read_text())


def check_differences(found: list[str], expected: set[str], ours: set[str]) -> None:
    """What did not take effect, beside the list of what may not; the fragment's own is judged elsewhere."""
    names = {setting.split("=", 1)[0] for setting in found} - ours
    unexpected = sorted(names - expected)
    if unexpected:
        raise Stop(
            f"these settings of Debian's did not take effect: {' '.join(unexpected)}",
            "add what they depend on to scripts/config/debian.config, or list them in debian.differences with the reason",
        )


def report(debian: dict[str, str], got: dict[str, str]) -> str:
    """Each setting of Debian's that is another here, modules that were left out last."""
    others, left_out = [], []
    for symbol in sorted(debian.keys() | got.keys()):
        theirs, here = debian.get(symbol, "n"), got.get(symbol, "n")
        if theirs != here:
            (left_out if theirs == "m" and here == "n" else others).append(f"{symbol}: {theirs} in Debian's, here {here}\n")
    return "".join([f"{len(others)} differ:\n", *others, f"\n{len(left_out)} modules are left out:\n", *left_out])
