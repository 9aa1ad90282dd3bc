# SPDX-License-Identifier: GPL-2.0-only
"""The fixes of C: each reproducer shows its bug without the fix, and not with it alone."""

import re
from dataclasses import dataclass

from .. import paths
from ..boot import boot, initramfs
from ..boot.machines import Machine
from ..build import kernel
from ..cli import Stop
from . import series
from .tree import change, start, times_kept, tree_for


@dataclass(frozen=True)
class Fix:
    name: str
    patches: tuple[str, ...]
    kernel: str
    """A variant of kernel.py."""
    cmdline: str
    tests: tuple[str, ...]
    """The tests of the guest that must pass with the fix."""
    report: str
    """What the console shows without the fix, and must not show with it."""
    guests: bool = False

    def machine(self, when: str) -> Machine:
        selected = f"pvmmu.run={'toolstack' if self.guests else 'smoke'} pvmmu.tests={':'.join(self.tests)} {self.cmdline}"
        guests = self.kernel if self.guests else ""
        return Machine(
            f"{self.name}-{when}", self.kernel, "dom0-c", 2, 2048, "1024M", selected.strip(), 1200, guests=guests
        )  # fmt: skip


FIXES = (
    Fix(
        "page-table-check",
        ("fix-page-table-check",),
        "fix",
        "",
        ("prot-none",),
        r"kernel BUG at mm/page_table_check\.c:\d+",
    ),
    Fix(
        "user-pgd",
        ("fix-user-pgd",),
        "fix-locks",
        "",
        ("mm-drop", "fork-exec"),
        r"RIP: \S+ (__mmdrop|kmem_cache_free)\b|Call Trace:.*\n(.*\n){0,40}.*__mmdrop",
    ),
    Fix(
        "lazy-mmu-mode",
        ("fix-lazy-mmu-mode",),
        "fix",
        "",
        ("fork", "table-reclaim", "madv-free", "mprotect-16m"),
        r"WARNING: include/linux/pgtable\.h:\d+ at xen_end_context_switch",
    ),
    Fix(
        "removed-tables",
        ("fix-removed-tables",),
        "fix",
        "memmap=128M!512M init_on_free=1",
        ("pmem",),
        r"BUG: unable to handle page fault for address",
    ),
    Fix(
        "privcmd-moves",
        ("fix-mremap-hook", "fix-privcmd-moves"),
        # The guest runs it as well, and must not report the other bugs.
        "off",
        "pvmmu.rounds=1 pvmmu.moves",
        ("create", "frames", "shutdown"),
        r"PVMMU: FAIL frames\b",
        guests=True,
    ),
)


def run(pattern: str) -> str:
    """Boots each reproducer twice, with the kernel as it is and with the fix alone."""
    chosen = [fix for fix in FIXES if re.search(pattern, fix.name)]
    if not chosen:
        raise Stop(f"no fix matches {pattern}", f"there are: {', '.join(fix.name for fix in FIXES)}")
    made = series.load(paths.files())
    tree = tree_for("fixes")
    rows = []
    # Kernels without any fix first: those of one variant differ by a few objects only.
    for variant in sorted({fix.kernel for fix in chosen}):
        group = [fix for fix in chosen if fix.kernel == variant]
        shown = {}
        for applied in (None, *group):
            names = applied.patches if applied else ()
            with times_kept(tree, {path for patch in made.patches for path in patch.changes}):
                written = start(made, tree)
                for name in names:
                    change(tree, written[name])
            kernel.build_as_it_is(kernel.named(variant))
            for fix in [applied] if applied else group:
                shown[fix, applied is None] = _boot(fix, "fixed" if applied else "as-it-is")
        rows += [f"{fix.name}: {_verdict(fix, shown[fix, True], shown[fix, False])}" for fix in group]
    print("\n".join(rows))
    wrong = [row for row in rows if ": without it " not in row]
    if wrong:
        raise Stop("\n".join(wrong), f"read the logs of these boots in {paths.shown(paths.logs())}")
    return f"{len(rows)} fixes: each reproducer fails without, and passes with its fix alone"


def _boot(fix: Fix, when: str) -> str:
    """The console of a boot."""
    return boot.run(fix.machine(when), initramfs.make()).log.read_text(errors="replace")


def _verdict(fix: Fix, before: str, after: str) -> str:
    """One line that says what was seen; it begins with "without it" if that is as it should be."""
    found = re.search(fix.report, before)
    if not found:
        return f"not reproduced: {fix.report} did not appear on the kernel as it is"
    if again := re.search(fix.report, after):
        return f"not fixed: {again[0]}"
    missing = [test for test in fix.tests if not re.search(rf"PVMMU: PASS {re.escape(test)}\b", after)]
    if missing:
        return f"does not pass with the fix: {' '.join(missing)}"
    return f"without it {found[0].splitlines()[-1]!r}, with it {' '.join(fix.tests)} pass"
