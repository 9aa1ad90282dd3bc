# SPDX-License-Identifier: GPL-2.0-only
"""What configurations of the kernel set, and what becomes of that."""

import re
from pathlib import Path


def assignments(config: str) -> dict[str, str]:
    """What a configuration sets; "is not set" is n."""
    found = {}
    for line in config.splitlines():
        if match := re.match(r"# (CONFIG_\w+) is not set$", line):
            found[match[1]] = "n"
        elif match := re.match(r"(CONFIG_\w+)=(.+)$", line):
            found[match[1]] = match[2]
    return found


def not_taken(wanted: dict[str, str], config: str) -> list[str]:
    """The assignments that did not survive into a .config."""
    got = assignments(config)
    return [f"{symbol}={value}" for symbol, value in wanted.items() if got.get(symbol, "n") != value]


def declared(tree: Path) -> set[str]:
    """The symbols that the tree's Kconfig files have an entry for."""
    entry = re.compile(r"^\s*(?:menu)?config (\w+)", re.MULTILINE)
    files = (path for path in tree.rglob("Kconfig*") if path.is_file())
    return {f"CONFIG_{name}" for path in files for name in entry.findall(path.read_text())}


def with_modules_of(config: str, kept: set[str]) -> str:
    """A configuration whose modules are only those of the symbols that are kept."""

    def setting(line: re.Match[str]) -> str:
        return line[0] if line[1] in kept else f"# {line[1]} is not set"

    return re.sub(r"^(CONFIG_\w+)=m$", setting, config, flags=re.MULTILINE)


def modules_in(config: str) -> set[str]:
    return {symbol for symbol, value in assignments(config).items() if value == "m"}


def names_in(text: str) -> set[str]:
    """The symbols that start the lines of a list; what follows one is its reason."""
    return set(re.findall(r"^(CONFIG_\w+)", text, re.MULTILINE))
