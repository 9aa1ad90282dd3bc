# SPDX-License-Identifier: GPL-2.0-only
"""The manuals are compared with the repository: messages, events, files, targets, names."""

import re
import subprocess
import tomllib
import unittest

from harness.boot import disks, machines, rules
from harness.boot.console import lines_of
from harness.check import checks
from tests import REPO

# The rest of rust/ is for the host.
_CRATE = r"rust/(?!testing/(?!probes/)|macros/|kernel/).*"
CRATE = re.compile(_CRATE + r"\.(?:rs|c)$")
# Messages of failing tests are not explained.
NO_TESTS = re.compile(_CRATE + r"(?<!tests)\.(?:rs|c)$")
FORMATS = (r'\bpr_\w+!?\(\s*"((?:[^"\\]|\\.)+)', r'\b(?:die|die_refused|raw_console)\(\s*c"([^"]+)"')
# Messages that are explained by their parts, and those that only report that tests passed.
PLAIN = {
    "call {}: op {} result {} caller {:#x} target {:#x} value {:#x} done {}",
    "Rust PV MMU backend, {} page table levels",
    "probes of {}: {} of {} as expected",
}


def text(path: str) -> str:
    return (REPO / path).read_text()


def crate(pattern: re.Pattern = CRATE) -> str:
    files = ("/".join(path.relative_to(REPO).parts) for path in (REPO / "rust").rglob("*"))
    return "\n".join(text(path) for path in sorted(files) if pattern.match(path))


def section(page: str, title: str) -> str:
    """A section of a page, with those below it."""
    if page.endswith(".rst"):
        found = re.search(rf"^{re.escape(title)}\n([=-])\1+\n", text(page), re.MULTILINE)
        other = "=" if found[1] == "=" else "=-"
        return re.split(rf"^.+\n[{other}]{{3,}}\n", text(page)[found.end() :], flags=re.MULTILINE)[0]
    found = re.search(rf"^(#+) {re.escape(title)}\n", text(page), re.MULTILINE)
    rest = text(page)[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, flags=re.MULTILINE)[0]


def listed(page: str, title: str, end: str = "\0") -> list[str]:
    """The text in code marks in the first column of a section's tables, up to `end`."""
    part = section(page, title).split(f"\n{end}")[0]
    if page.endswith(".rst"):
        rows = re.findall(r"^   \* - (``.*?)^     - ", part, re.MULTILINE | re.DOTALL)
        return [name for row in rows for name in re.findall(r"``([^`]+)``", row)]
    rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def messages() -> set[str]:
    """Every format that the crate prints, or stops with."""
    found = {format for pattern in FORMATS for format in re.findall(pattern, crate(NO_TESTS))}
    return {format.removesuffix("\\n").strip() for format in found}


def words(format: str) -> re.Pattern:
    """A pattern for a message in a manual, with anything for its values."""
    parts = re.split(r"\{[^}]*\}|%[#a-z]+", format)
    return re.compile("[^`\n]*?".join(map(re.escape, parts)))


class Rules(unittest.TestCase):
    def test_every_warning_of_the_crate_breaks_a_rule(self):
        """Except for lines below another one that does, and messages before a panic."""
        formats = re.findall(r'\bpr_(?:warn|err|alert)!\(\s*"((?:[^"\\]|\\.)+)', crate(NO_TESTS))
        formats += re.findall(r'_printk\(\s*c"\\x01[0-4]xen_pv_mmu: ([^"]+)"', crate(NO_TESTS))
        said = [re.sub(r"\{[^}]*\}|%[#a-zA-Z]+", "0", format.removesuffix("\\n")) for format in formats]
        self.assertGreater(len(said), 9)
        passed = [one for one in said if not one.startswith("  ") and not rules.problems(lines_of(f"xen_pv_mmu: {one}".encode()))]
        self.assertEqual(passed, [])


class Guide(unittest.TestCase):
    PAGE = "Documentation/xen-pv-mmu/admin-guide.rst"
    ABI = "Documentation/ABI/testing/debugfs-xen-pvmmu"

    def test_every_message_is_explained(self):
        found = messages()
        self.assertGreater(len(found), 40)
        page = section(self.PAGE, "Troubleshooting by message") + section(self.PAGE, "What the log says")
        self.assertEqual([one for one in sorted(found - PLAIN) if not words(one).search(page)], [])

    def test_every_message_that_is_explained_exists(self):
        known = [words(one) for one in messages()]
        odd = listed(self.PAGE, "Something is odd, and the kernel goes on")
        # After them are those of C code outside of the backend.
        stops = listed(self.PAGE, "It stops", end="``setup.c``")
        self.assertGreater(min(len(odd), len(stops)), 9)
        self.assertEqual([one for one in odd + stops if not any(pattern.search(one) for pattern in known)], [])

    def test_refused_operations(self):
        named = set(re.findall(r'\bc"([a-z_0-9 ]+)"', crate()))
        table = listed(self.PAGE, "Xen refused something")
        self.assertEqual([one for one in table if one not in named and not one.startswith("-E")], [])

    def test_trace_events(self):
        defined = re.findall(r"^XEN_RUST_TRACE\((\w+)", text("rust/c/trace.c"), re.MULTILINE)
        self.assertEqual(sorted(listed(self.PAGE, "Trace events")), sorted(defined))

    def test_files_in_debugfs(self):
        made = re.findall(r'debugfs_create_file(?:_unsafe)?\("(\w+)"', text("rust/c/debugfs.c"))
        described = re.findall(r"^What:\t\t/sys/kernel/debug/xen/pvmmu/(\w+)$", text(self.ABI), re.MULTILINE)
        self.assertEqual(described, made)
        self.assertEqual([name for name in made if f"``{name}``" not in text("Documentation/xen-pv-mmu/debugfs.rst")], [])

    def test_counters(self):
        code = text("rust/platform/diag/stats.rs")
        kinds = re.findall(r'^    \w+ = "(\w+) \w+",$|\(Lengths::\w+, "(\w+)"\)', code, re.MULTILINE)
        described = re.findall(r"^\t\t(\w+)(?: N)? {4,}\w", text(self.ABI).split("/p2m\n")[0], re.MULTILINE)
        self.assertEqual(described, list(dict.fromkeys(counter or lengths for counter, lengths in kinds)))

    def test_boot_parameters(self):
        known = re.findall(r'early_param\("(\w+)"|\bname: c"(\w+)"', crate())
        names = [name.partition("=")[0] for name in listed(self.PAGE, "Boot parameters")]
        self.assertEqual(sorted(names), sorted(c or rust for c, rust in known))
        page = section(self.PAGE, "Boot parameters")
        # What scripts/integrate adds to the kernel's list; the C backend has an entry for one of them.
        added = [edit["lines"] for edit in tomllib.loads(text("scripts/anchors.toml"))["edit"] if edit["name"].startswith("parameter-")]
        entries = {name: lines for lines in added for name in re.findall(r"^\t(\w+)=?\t", lines, re.MULTILINE)}
        self.assertEqual(sorted({*entries, "xen_mc_debug"}), sorted(names))
        for switch in re.findall(r'^\t\{ "(\w+)", &', text("rust/c/switches.c"), re.MULTILINE):
            self.assertIn(f"``{switch}`` (", page)
            self.assertRegex(entries["xen_pv_mmu_off"], rf"\t{switch} -- ")

    def test_options(self):
        entries = text("Kconfig") + text("samples/Kconfig") + text("scripts/anchors.toml")
        options = re.findall(r"^config ((?:XEN_PV|SAMPLE)_\w+)\n\t", entries, re.MULTILINE)
        self.assertGreater(len(options), 7)
        explained = listed(self.PAGE, "Configuration") + listed("Documentation/user-guide.md", "Configuration")
        explained += re.findall(r"``CONFIG_(\w+)=y``", text("Documentation/xen-pv-mmu/debugfs.rst"))
        self.assertEqual(sorted(set(options) - set(explained)), [])


class Others(unittest.TestCase):
    def test_targets(self):
        command = ["make", "--no-print-directory", "-C", REPO, "help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertIn(shown.split("\n\n")[0], section("Documentation/building.md", "Targets"))
        phony = re.search(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)[1].split()
        self.assertEqual(phony, re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE))

    def test_version(self):
        version = text("VERSION").strip()
        self.assertRegex(version, r"^\d+\.\d+\.\d+$")
        released = re.findall(r"^## (.*)$", text("Documentation/changelog.md"), re.MULTILINE)
        newest = [title for title in released if title != "Unreleased"][0]
        self.assertEqual(newest.partition(",")[0], version)
        for command in (["make", "-C", REPO, "help"], [REPO / "scripts/integrate", "--version"]):
            shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            self.assertIn(version, shown)

    def test_layout(self):
        paths = listed("Documentation/building.md", "Layout")
        self.assertEqual([path for path in paths if not (REPO / path).exists()], [])
        self.assertGreater(len(paths), 20)

    def test_checks(self):
        names = listed("Documentation/contributing.md", "Checks")
        self.assertEqual(names, [check.name for check in checks.CHECKS])

    def test_suites(self):
        suites = re.findall(r"kunit_tests\((\w+)\)", crate())
        self.assertEqual(sorted(listed("Documentation/testing.md", "KUnit")), sorted(suites))

    def test_scenarios(self):
        played = re.findall(r"^play_(\w+)\(\)", text("scripts/guest/toolstack/scenarios.sh"), re.MULTILINE)
        self.assertEqual(sorted(listed("Documentation/testing.md", "Guests")), sorted(played))

    def test_faults(self):
        points = re.findall(r'FAULT_POINT\("(\w+)"\)', text("rust/c/fault.c"))
        self.assertEqual(sorted(listed("Documentation/testing.md", "Fault injection")), sorted(points))

    def test_disks(self):
        rows = re.findall(
            r"^\| `(debian.*?)` \| (\w+) \|", section("Documentation/testing.md", "dom0 on a disk"), re.MULTILINE
        )
        names = {"bios": "SeaBIOS", "efi": "OVMF"}
        self.assertEqual(rows, [(disk.name, names[disk.firmware]) for disk in (*disks.DISKS, *disks.SOAK)])

    def test_boots(self):
        named = set()
        for row in re.findall(r"^\| (`.*?) \|", section("Documentation/testing.md", "Boots"), re.MULTILINE):
            first, *rest = re.findall(r"`([^`]+)`", row)
            # Names with the same beginning are written once.
            named |= {first, *(first.partition("-")[0] * name.startswith("-") + name for name in rest)}
        self.assertEqual(named, {entry.name for entry in (*machines.MACHINES, *disks.DISKS)})
