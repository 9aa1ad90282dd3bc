# SPDX-License-Identifier: GPL-2.0-only
"""What must not appear on a console, or in the log of a kernel that prints nothing there.

Each rule carries lines it must catch and lines it must let pass; the self-test
tries every one of them. Those of Linux are compiled into the guest's programs,
which judge the kernel's log by them: their patterns mean the same to Python and
to regcomp().
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .console import Line


def _has(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Rule:
    name: str
    pattern: str
    """A regular expression; case does not matter."""
    unless: str = ""
    """The rule ignores lines that match this."""
    bad: tuple[str, ...] = ()
    """Lines it must catch."""
    good: tuple[str, ...] = ()
    """Lines that look alike and must pass."""

    def catches(self, text: str) -> bool:
        return _has(self.pattern, text) and not (self.unless and _has(self.unless, text))


@dataclass(frozen=True)
class Problem:
    what: str
    line: int = 0
    """Line of the log, from 1; 0 if it concerns no single line."""
    text: str = ""

    def __str__(self) -> str:
        where = f" (line {self.line}): {self.text}" if self.line else ""
        return f"{self.what}{where}"


LINUX = (
    Rule(
        "kernel warning",
        r"\bWARNING: |-\[ cut here \]-",
        unless=": WARNING: ",
        bad=(
            "------------[ cut here ]------------",
            "WARNING: include/linux/pgtable.h:362 at xen_end_context_switch+0x4e/0x60, CPU#0: init/1",
            "WARNING: CPU: 0 PID: 1 at mm/memory.c:1",
        ),
        good=("Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",),
    ),
    Rule(
        "kernel bug",
        r"\bBUG: |\bkernel BUG at ",
        bad=(
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "kernel BUG at mm/page_table_check.c:142!",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!",
        ),
        good=("DEBUG: nothing to see", "if necessary, use \"pci=nocrs\" and report a bug"),
    ),
    Rule(
        "oops",
        r"\bOops\b|\bunable to handle\b|^general protection fault",
        bad=(
            "Oops: Oops: 0003 [#1] SMP NOPTI",
            "Oops: general protection fault, 0000 [#1]",
            "general protection fault, probably for non-canonical address 0x1: 0000 [#1]",
            "unable to handle page fault for address: 0000000000000008",
        ),
        good=("oopsie", "traps: mmstress[7] general protection fault ip:401000 sp:7ffd error:0 in mmstress"),
    ),
    Rule(
        "call trace",
        r"\bCall Trace:",
        bad=("Call Trace:", " Call Trace: <TASK>"),
        good=("trace event string verifier disabled",),
    ),
    Rule(
        "kernel panic",
        r"\bKernel panic\b",
        bad=("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",),
        good=("panic_timeout is 0",),
    ),
    Rule(
        "lock report",
        r"possible (circular|recursive) locking|possible irq lock inversion|possible deadlock|"
        r"inconsistent lock state|invalid wait context|bad unlock balance|held lock freed|"
        r"still held|non-static key|turning off the locking correctness validator|"
        r"locks? held by|safe .* lock order detected",
        bad=(
            "INFO: possible recursive locking detected",
            "WARNING: possible circular locking dependency detected",
            "INFO: trying to register non-static key.",
            "[ BUG: Invalid wait context ]",
            "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
            "1 lock held by init/1:",
        ),
        good=("Lock dependency validator: Copyright (c) 2006 Red Hat, Inc.",),
    ),
    Rule(
        "suspicious use",
        r"\bsuspicious\b",
        bad=("WARNING: suspicious RCU usage",),
        good=("rcu: Preemptible hierarchical RCU implementation.",),
    ),
    Rule(
        "wrong context",
        r"sleeping function called|scheduling while atomic|\bin preemptible \[",
        bad=(
            "BUG: sleeping function called from invalid context at mm/vmalloc.c:1",
            "BUG: scheduling while atomic: init/1/0x00000002",
            "BUG: using smp_processor_id() in preemptible [00000000] code: init/1",
        ),
        good=("sched_clock: Marking stable (3700198541, 28336763)",),
    ),
    Rule(
        "stall",
        r"\brcu\b.*\bstall|blocked for more than [0-9]+ seconds|workqueue lockup",
        unless="RCU CPU stall warnings suppressed",
        bad=(
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "INFO: task init:1 blocked for more than 120 seconds.",
        ),
        good=(
            "rcu: Hierarchical SRCU implementation.",
            "clocksource: Watchdog remote CPU 1 read timed out",
            # A parameter that guests are started with.
            "\tRCU CPU stall warnings suppressed (rcu_cpu_stall_suppress).",
        ),
    ),
    Rule(
        "sanitizer",
        r"\b(KASAN|KCSAN|KMSAN|UBSAN|KFENCE): ",
        unless="KFENCE: initialized - ",
        bad=("BUG: KASAN: use-after-free in x", "UBSAN: shift-out-of-bounds in x"),
        good=("kfence: initialized - using 2097152 bytes for 255 objects at 0x1-0x2",),
    ),
    Rule(
        "bad page or entry",
        r"\bBad (page|pte|pmd|pud|p4d|pgd|rss)\b|page_table_check",
        # Announces that the checker is on.
        unless="^page_table_check: ",
        bad=(
            "BUG: Bad page state in process init  pfn:1234",
            "mm/pgtable-generic.c:44: bad pmd 0000000000000001.",
            "BUG: Bad rss-counter state mm:1 type:MM_ANONPAGES val:1",
        ),
        good=("ACPI: bad luck", "page_table_check: Disabled"),
    ),
    Rule(
        "writable and executable",
        r"W\+X mappings?: FAILED|insecure W\+X|W\^X violation",
        bad=(
            "x86/mm: Checked W+X mappings: FAILED, 4 W+X pages found.",
            "CPA detected W^X violation: 8000000000000161 -> 0000000000000163 range: 0xffff888000000000 - 0xffff888000000fff PFN 0",
        ),
        good=("x86/mm: Checked W+X mappings: passed, no W+X pages found.",),
    ),
    Rule(
        "multicall failed",
        r"multicalls?(\(s\))?.* failed",
        bad=("1 of 2 multicall(s) failed: cpu 0", "multicall 3 failed: update_va_mapping"),
        good=("multicall statistics: 3 flushes",),
    ),
    Rule(
        "refused by Xen",
        r"xen_pv_mmu: .*(\bfailed\b|has one of its own|stays mapped|is kept|across the border|"
        r"with preemption on|not one of frames of others|no room to add memory|no p2m entry)|"
        r"swiotlb_memblock_alloc: Failed|No low mem",
        bad=(
            "xen_pv_mmu: mmu_update of 0x1000 <- 0x2067 failed: -EINVAL, called by do_anonymous_page+0x1/0x2",
            "xen_pv_mmu: GNTTABOP_map_grant_ref of 0x1000 <- 0x2067 failed: -EPERM, called by x+0x1/0x2",
            "xen_pv_mmu: 12 more operations failed",
            "xen_pv_mmu: frame 0x12 gets a foreign frame but has one of its own",
            "software IO TLB: swiotlb_memblock_alloc: Failed to remap 64 MiB",
        ),
        good=("xen_pv_mmu: Rust PV MMU backend, 4 page table levels", "xen_pv_mmu: xen_mc_debug active", "xen_pv_mmu: 3 callbacks suppressed"),
    ),
    Rule(
        "probe of Xen",
        r"xen_pv_mmu: probe '",
        bad=("xen_pv_mmu: probe 'a table is pinned once', step 3: result is 0 (0x0), not -22 (0xffffffffffffffea)",),
        good=("xen_pv_mmu: probes of pins: 29 of 29 as expected",),
    ),
    Rule(
        "no contiguous memory",
        r"swiotlb\w*: Failed to",
        bad=("software IO TLB: swiotlb_memblock_alloc: Failed to remap 67108864 bytes",),
        good=("software IO TLB: mapped [mem 0x0000000039600000-0x000000003d600000] (64MB)",),
    ),
    Rule(
        "out of memory",
        r"\bOut of memory\b|\bcannot add additional memory\b|\bno memory added\b",
        bad=(
            "Out of memory: Killed process 1234 (mmstress) total-vm:1kB",
            "xen:balloon: Cannot add additional memory (-17)",
        ),
        good=("Memory: 473756K/524288K available",),
    ),
    Rule(
        "Rust panic",
        r"rust_kernel: panicked|\bpanicked at\b",
        bad=("rust_kernel: panicked at arch/x86/xen/pvmmu/rust/p2m.rs:1:2:",),
        good=("Rust is here",),
    ),
    Rule(
        "guest test failed",
        r"\bPVMMU: FAIL\b",
        bad=("PVMMU: FAIL fork: contents differ",),
        good=("PVMMU: PASS fork", "PVMMU: DONE pass=1 fail=0"),
    ),
    Rule(
        "guest test not possible",
        r"\bPVMMU: SKIP .* in this kernel\b",
        bad=("PVMMU: SKIP threads no madvise in this kernel",),
        good=("PVMMU: SKIP balloon-grow has all the memory that it may have",),
    ),
    Rule(
        "no user space",
        r"Initramfs unpacking failed|No filesystem could mount root",
        bad=("Initramfs unpacking failed: junk at the end of compressed archive",),
        good=("Unpacking initramfs...",),
    ),
)

XEN = (
    Rule(
        "Xen: page tables refused",
        r"\bmm\.c:\d+|could not get_page|\bBad (L[1-4]|type|page|flags)|implicitly unmap|L1TF|"
        r"Error (-?\d+ )?(while )?(pinning|validating|installing|unpinning|getting|freeing)|"
        r"(pin|unpin|promot|validat)\w* .*fail|get_page(_and_type)?(_from_l[1-4]e)? .*fail",
        bad=(
            "(XEN) arch/x86/mm.c:1234:d0v0 Non-privileged attempt to map I/O space 1",
            "(XEN) d0v0 Bad L1 flags 800000",
            "(XEN) d0v1 could not get_page_from_l1e: mfn 1234",
            "(XEN) d0v0 Attempt to implicitly unmap d0's grant PTE 1",
            "(XEN) d0v0 L1TF-vulnerable L1e 0000000000000001 - Shadowing",
            "(XEN) d0v0 Error while pinning MFN 1234",
            "(XEN) d0v0 Error -22 validating L3",
        ),
        good=("(XEN)   PV L1TF shadowing: Dom0 disabled, DomU disabled",),
    ),
    Rule(
        "Xen: complaint about a guest",
        r"\bd\[?\w+\]?v\d+\b(?!.*\b(RDMSR|WRMSR|upcall vector)\b| (save|restore): \w+$)",
        bad=("(XEN) d0v0 Unhandled page fault fault/trap [#14, ec=0003]", "(XEN) d1v0 Dom1 crashed"),
        good=(
            "(XEN) d0 has maximum 416 PIRQs",
            "(XEN) emul-priv-op.c:1023:d0v0 RDMSR 0xc0000080 unimplemented",
            "(XEN) d0v0: upcall vector f3",
            "(XEN) HVM d1v0 save: CPU",
        ),
    ),
    Rule(
        "Xen: crash",
        r"crashed|Dom0 halted|Panic on CPU|Assertion|\bBUG at\b|FATAL|WARN at|domain_crash",
        bad=(
            "(XEN) Hardware Dom0 crashed: 'noreboot' set - not rebooting.",
            "(XEN) Domain 0 (vcpu#0) crashed on cpu#0:",
            "(XEN) Hardware Dom0 halted: halting machine",
            "(XEN) Panic on CPU 0:",
            "(XEN) Xen BUG at arch/x86/mm.c:1",
            "(XEN) Xen WARN at arch/x86/mm.c:1",
        ),
        good=("(XEN) Hardware Dom0 shutdown: powering off",),
    ),
)

# After one of these nothing useful follows; the machine is given a moment and
# then switched off.
FATAL = re.compile(r"Kernel panic|\(XEN\).*(crashed|Dom0 halted|Panic on CPU)", re.IGNORECASE)

# Lines that a rule above would catch, and why they pass.
ACCEPTED = (
    # Xen's table of mitigations, and the options that concern them.
    r"^\(XEN\) +((PV )?L1TF shadowing|L1TF: believed )",
    r"^\(XEN\) Command line: ",
)


def problems(lines: Iterable[Line]) -> list[Problem]:
    """Every line that breaks a rule, in order."""
    found = []
    for line in lines:
        if any(re.search(pattern, line.text, re.IGNORECASE) for pattern in ACCEPTED):
            continue
        for rule in XEN if line.xen else LINUX:
            if rule.catches(line.text):
                found.append(Problem(rule.name, line.number, line.text.strip()))
                break
    return found


def _c(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def header() -> str:
    """The rules of Linux as elements of an array of C."""
    return "".join(f"{{ {_c(rule.name)}, {_c(rule.pattern)}, {_c(rule.unless)} }},\n" for rule in LINUX)


if __name__ == "__main__":
    print(header(), end="")
