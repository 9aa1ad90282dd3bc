# SPDX-License-Identifier: GPL-2.0-only
"""Files as they were before an option was added: without what is marked by it."""

import functools
import re
import subprocess
from pathlib import Path

from .. import paths
from ..build import cargo
from ..cli import Stop

_PACKAGE = "without-option"


@functools.cache
def _program() -> Path:
    """The program that takes marked items out of Rust, which parses the language."""
    cargo.build(_PACKAGE, ["build", "--offline", "--locked", "--package", _PACKAGE])
    return cargo.target() / "debug" / _PACKAGE


def options(place: str, text: str, held: list[str]) -> str:
    """The text of a file of the tree as if the options did not exist."""
    if place.startswith("Documentation/"):
        return text
    marks = [option for option in held if re.search(rf"\b(?:CONFIG_)?{option}\b", text)]
    if not marks:
        return text
    if place.endswith(".rs"):
        text = _rust(place, text, marks)
    elif Path(place).name == "Kbuild":
        lines = text.splitlines(True)
        text = "".join(line for line in lines if not any(f"$(CONFIG_{option})" in line for option in marks))
    elif Path(place).name == "Kconfig":
        text = _kconfig(text, marks)
    elif place.endswith((".c", ".h")):
        for option in marks:
            text = re.sub(rf"^#ifdef CONFIG_{option}\n(?:[^#].*\n|\n|#include .*\n)*#endif\n", "", text, flags=re.MULTILINE)
    left = [option for option in marks if re.search(rf"^(?!\s*//).*\b(?:CONFIG_)?{option}\b", text, re.MULTILINE)]
    if left:
        raise Stop(
            f"{place}: {' '.join(left)} marks something that cannot be left out",
            "let it mark parts of Rust, entries of a Kconfig, lines of a Kbuild or an #ifdef of C without another inside",
        )
    return text


def _rust(place: str, text: str, marks: list[str]) -> str:
    commands = (
        [str(_program()), *(f"CONFIG_{option}" for option in marks)],
        ["rustfmt", "--edition=2021", "--config-path", str(paths.pristine() / ".rustfmt.toml")],
    )
    for command in commands:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Stop(f"{place} without {' '.join(marks)}: {done.stderr.strip()}", "fix the file")
        text = done.stdout
    return text


def _kconfig(text: str, marks: list[str]) -> str:
    entries = re.split(r"^(?=(?:menu)?config |source |if |endif|menu |endmenu|choice)", text, flags=re.MULTILINE)
    kept = [entry for entry in entries if not any(entry.startswith(f"config {option}\n") for option in marks)]
    return re.sub(r"\n+\Z", "\n", "".join(kept))
