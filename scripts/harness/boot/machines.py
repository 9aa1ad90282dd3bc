# SPDX-License-Identifier: GPL-2.0-only
"""The boots that `make test` makes, as a table."""

from dataclasses import dataclass

# What each kind of machine must print, as proof of its kind.
KINDS = {
    "dom0": (r"Booting kernel on Xen", r"PV MMU: Rust\b", r"Paging levels: +4\b"),
    "dom0-c": (r"Booting kernel on Xen", r"PV MMU: C\b", r"Paging levels: +4\b"),
    "bare4": (r"Booting paravirtualized kernel on bare hardware", r"PV MMU: none\b", r"Paging levels: +4\b"),
    "bare5": (r"Booting paravirtualized kernel on bare hardware", r"PV MMU: none\b", r"Paging levels: +5\b"),
    "pvh": (r"Booting paravirtualized kernel on bare hardware", r"PV MMU: none\b", r"Paging levels: +4\b"),
}
DONE = r"PVMMU: DONE pass=[1-9]\d* fail=0 skip=\d+\b"
OFF = r"reboot: Power down"

# Tests of the guest that may skip, by kind of machine and by kernel. No others may.
_NO_XEN = (
    "balloon", "balloon-grow", "debugfs-ops", "debugfs-p2m", "debugfs-stats", "debugfs-tables", "direct-map", "nonram",
    "trace-events", "trace-guide",
)  # fmt: skip
_NO_RUST = (*(name for name in _NO_XEN if not name.startswith("balloon")), "module-storm", "pgtable-dump", "static-call")
_SKIPS_OF_KIND = {"dom0": ("nonram",), "dom0-c": _NO_RUST, "bare4": _NO_XEN, "bare5": _NO_XEN, "pvh": _NO_XEN}
_SKIPS_OF_KERNEL = {
    "rust": ("kexec-load", "trace-functions"),
    "c": ("kexec-load", "trace-functions"),
    "debug": ("trace-functions",),
    # It has no memory hotplug for the balloon.
    "lto": ("balloon-grow", "kexec-load", "trace-functions"),
    "gcc": ("kexec-load", "trace-functions"),
}

# Tests of KUnit that need Xen, as SUITE.TEST: without it all of them are skipped.
_ON_XEN = (
    r"xen_pv_mmu_(batch_faults|contiguous|keep_frame|p2m_faults|probes|pte|table_thunks|thunks)\..*",
    r"xen_pv_mmu_batch\.(more_operations_than_fit|updates_behind_a_refused|calls_behind_a_refused).*",
    r"xen_pv_mmu_lazy\.(?!new_task_is_not_paused).*",
    r"xen_pv_mmu_live\.(?!word_of_the_user_root).*",
    r"xen_pv_mmu_ops\.(all_slots_call_the_backend|call_sites_are_direct|no_call_site_is_indirect).*",
    r"xen_pv_mmu_p2m\.(?!entries_that_are_not_present).*",
    r"xen_pv_mmu_p2m_ranges\.ranges_of_the_live_list.*",
    r"xen_pv_mmu_tables\.(?!reports_are_limited).*",
)
_OFF_XEN = (r"xen_pv_mmu_ops\.without_xen_no_slot_calls_the_backend",)
# Tests that the configuration of a kernel leaves out.
_FAULTS_ONLY = r"xen_pv_mmu_contiguous\.failed_exchange_changes_nothing"
_IBT_ONLY = r"xen_pv_mmu_ops\.all_slots_are_landing_pads"
# Tables have no locks of their own.
_LOCKS_ONLY = r"xen_pv_mmu_tables\.second_mapping_of_a_table_is_reported"
_DUMPS_ONLY = r"xen_pv_mmu_tables\.note_for_dumps_is_found_by_machine_address"
# The p2m list ends where memory does.
_ROOM_ONLY = (
    r"xen_pv_mmu_p2m\.(list_grows_where_it_is_written|missing_frames_are_not_mapped|nothing_is_where_.*)",
    r"xen_pv_mmu_lazy\.list_grows_by_a_fault_within_a_section",
)
_LEFT_OUT = {
    "rust": (_FAULTS_ONLY, _IBT_ONLY),
    "debug": (_IBT_ONLY,),
    "debian": (_FAULTS_ONLY,),
    "small": (_FAULTS_ONLY, _IBT_ONLY, _LOCKS_ONLY, _DUMPS_ONLY, *_ROOM_ONLY),
    "lto": (_FAULTS_ONLY, _LOCKS_ONLY, *_ROOM_ONLY),
    "gcc": (_FAULTS_ONLY, _IBT_ONLY),
}
# It crashes the machine on request.
_CRASH_ONLY = r"xen_pv_mmu_crash\.batch_is_open_in_a_crash"


@dataclass(frozen=True)
class Machine:
    name: str
    kernel: str
    """A variant of kernel.py."""
    kind: str
    """dom0 under Xen, dom0-c with the C backend; bare4 and bare5, no Xen, four and five levels; pvh, the ELF entry, no Xen."""
    vcpus: int
    memory: int
    """Of the whole machine, in MiB."""
    dom0_mem: str
    """Xen's parameter of that name."""
    cmdline: str
    seconds: int
    """Time-out, generous: pure emulation on a shared machine is slow."""
    must_print: tuple[str, ...] = ()
    """In addition to what every machine of its kind must print."""
    reports: tuple[str, ...] = ()
    """Whole lines that a rule would catch and that tests provoke. Each must appear, and their total
    must be the count of the guest's tests."""
    guests: str = ""
    """The variant that guests of this dom0 boot, if it has guests."""
    programs: tuple[str, ...] = ()
    """Programs of the build root that this dom0 has in addition to the toolstack."""
    dies: str = ""
    """What Xen must print about a machine that crashes while it boots; apart from `must_print`, nothing else is judged."""
    cpu: str = "max"
    """The CPU in QEMU's form; without Xen the number of levels is set as well."""
    xen: str = ""
    """More parameters for Xen."""
    hypervisor: str = ""
    """Another Xen than Debian's, or the one that XEN names: shadow, with shadow paging; old, of Debian's release before."""
    memory_map: tuple[str, ...] = ()
    """Changes of the memory map that Xen sees, in the form of scripts/guest/mkxen."""
    stale: bool = False
    """Its memory holds stale data when it starts."""
    sleeps: bool = False
    """It goes to sleep, and is woken up each time."""
    nodes: int = 0
    """Number of NUMA nodes; 0: none."""
    skips: tuple[str, ...] = ()
    """Tests of the guest that may skip on it, in addition to those of its kind and of its kernel."""

    @property
    def markers(self) -> tuple[str, ...]:
        guest = ()
        if self.guests:
            mmu = "none" if "pvmmu.guest=pvh" in self.cmdline.split() else "C" if self.guests == "c" else "Rust"
            guest = (rf"PVMMU: PASS create .*PV MMU of the guest is {mmu}\b",)
        return (*KINDS[self.kind], *guest, *self.must_print, DONE, OFF)

    @property
    def all_skips(self) -> tuple[str, ...]:
        """All tests of the guest that may skip."""
        return (*_SKIPS_OF_KIND[self.kind], *_SKIPS_OF_KERNEL.get(self.kernel, ()), *self.skips)

    @property
    def kunit_may_skip(self) -> tuple[str, ...]:
        """Tests of KUnit that may be skipped, as patterns of SUITE.TEST."""
        return _LEFT_OUT.get(self.kernel, ())

    @property
    def kunit_must_skip(self) -> tuple[str, ...]:
        """Tests of KUnit that cannot run, as patterns of SUITE.TEST."""
        return (_CRASH_ONLY, *(_OFF_XEN if self.kind.startswith("dom0") else _ON_XEN))


# Races when tables are freed, and stacks that move over themselves, provoked more often than by
# chance, in kernels with the checkers.
RECLAIM = "pvmmu.run=smoke pvmmu.seconds=60 pvmmu.tests=table-reclaim:madv-free:exec-overlap:dmesg"
OVERLAP = "pvmmu.run=smoke pvmmu.seconds=300 pvmmu.tests=exec-overlap:dmesg"
FAULTS = "pvmmu.run=smoke pvmmu.tests=fault-protect:fault-write:fault-pin:fault-fork:fault-growth"
# A short selection of the scenarios for a guest.
GUEST = "pvmmu.run=toolstack pvmmu.rounds=2 pvmmu.tests=create:viewer:cpus:memory:block:frames:dump:save:shutdown:totals:dmesg"
GRANTS = "pvmmu.run=smoke pvmmu.tests=grant-map:grant-beyond:grant-bad:grant-use:grant-private:grant-exit:wx:dmesg"
# A module that is not GPL turns lock debugging off, so no other machine loads one.
MODULES = "pvmmu.run=smoke pvmmu.tests=module-inlines:module-closed:wx:dmesg"
# gntdev takes its own lock inside mmap_lock and the other way round, with any backend: no lockdep where gntdev is used.
NO_LOCKDEP = "lockdep.prove_locking=0"
GRANT_FAULTS = f"pvmmu.run=smoke pvmmu.tests=fault-grant {NO_LOCKDEP}"
# Part of its memory is a pmem device; freed memory is written to at once.
PMEM = "pvmmu.run=smoke pvmmu.tests=pmem:fork-big:wx:dmesg memmap=128M!512M init_on_free=1"
# The backend's reports of refusals that these provoke; for more than eight in a batch, the number of the others.
_REFUSED = r"of 0x[0-9a-f]+ <- 0x[0-9a-f]+ failed: -(EPERM|ENOMEM|EFAULT|EBUSY|EINVAL), called by \w+\+0x[0-9a-f]+/0x[0-9a-f]+"
REPORTS = (
    rf"xen_pv_mmu: mmu_update {_REFUSED}",
    rf"xen_pv_mmu: mmuext_op {_REFUSED}",
    r"xen_pv_mmu: 12 more operations failed",
    r"set_phys_to_machine\(\) failed, no memory added",
)


# dom0 may not map the local APIC, and tries it before it has a console.
EARLY = "earlycon=uart8250,mmio32,0xfee00000"
REFUSED = r"xen_pv_mmu: Xen refused a fixed mapping: update_va_mapping of 0x[0-9a-f]+ returned -1$"
# A crash with an open batch: its reason, interrupts that are off, its place, and the reactions of Linux and Xen.
CRASH = "xen_pv_mmu_crash oops=panic kunit.filter_glob=xen_pv_mmu_crash"
LAST_WORDS = (
    "crash within a batch", r"EFLAGS: 000[0-9a-f]{2}[014589cd][0-9a-f]{2}$", r"batch_is_open_in_a_crash\+0x",
    "Kernel panic - not syncing: Fatal exception",
)  # fmt: skip

# Xen puts dom0's kernel at 0x1000000, followed by start info and page tables, and the initramfs of 2 MiB
# at 0x2000000, followed by the p2m list, which has 2 MiB for 1024 MiB of memory. Two ranges of ACPI NVS
# move; the second begins in the kernel's last pages. A page of the initramfs and one of the list are
# missing, so that both move.
MOVED = (
    "0x1400800-0x1402800:4", "0x1d00000-0x1f80000:4", "0x2080000-0x2081000:0", "0x22f0000-0x22f1000:0",
)  # fmt: skip
MOVES = (
    r"xen_pv_mmu: Remapped 643 non-RAM page\(s\)", r"initrd moved from", r"xen_pv_mmu: p2m list moved from",
    r"PVMMU: PASS nonram\b",
)  # fmt: skip
# For a Xen where some probes have other results, and one may stop dom0.
NO_PROBES = "kunit.filter_glob=xen_pv_mmu_[!p]*"
# Xen takes this CPU for one with L1TF: only then does it restrict the addresses in absent entries.
VULNERABLE = "max,vendor=GenuineIntel,family=6,model=85,stepping=4"
# The kernel itself cannot move.
HOLE = "Xen hypervisor allocated kernel memory conflicts with E820 map"

# Debian's kernel runs tests only if asked.
ASKED = "kunit.enable=1"
# The p2m list covers all memory that hotplug could add, even without the balloon's hotplug.
BEYOND = (r"PVMMU: PASS grant-beyond\b", r"p2m virtual area at \S+, size is 40000000\b")
STRESSED = f"pvmmu.run=stress pvmmu.seconds=60 init_on_free=1 memtest=1 {ASKED}"
# Settings with which Xen does more for each change of a table; dom0 sees no difference.
SETTINGS = "xpti=on pcid=0 pv-linear-pt=false"

# fmt: off
MACHINES = (
    #       name              kernel   kind    vcpus MiB   dom0_mem          command line                            time-out
    Machine("demo",           "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=demo",                           480),
    Machine("dom0-1cpu",      "rust",  "dom0",  1, 1024, "512M",             "pvmmu.run=smoke",                          480, skips=("cpu-hotplug",)),
    Machine("dom0-2cpu",      "rust",  "dom0",  2, 1024, "512M",             "pvmmu.run=smoke",                          480),
    Machine("dom0-4cpu",      "rust",  "dom0",  4, 1024, "512M",             "pvmmu.run=smoke",                          480),
    Machine("dom0-256M",      "rust",  "dom0",  2, 1024, "256M",             "pvmmu.run=smoke",                          480),
    Machine("dom0-1025M",     "rust",  "dom0",  2, 2048, "1025M",            "pvmmu.run=smoke",                          480),
    Machine("dom0-odd",       "rust",  "dom0",  2, 1024, "401412K",          "pvmmu.run=smoke",                          480),
    Machine("dom0-ballooned", "rust",  "dom0",  2, 2048, "512M,max:1024M",   "pvmmu.run=smoke",                          480),
    Machine("dom0-mc-debug",  "rust",  "dom0",  2, 1024, "512M",             "pvmmu.run=smoke xen_mc_debug",             480),
    Machine("dom0-grants",    "rust",  "dom0",  2, 1024, "512M",             GRANTS,                                     480, skips=("grant-beyond",)),
    Machine("dom0-modules",   "rust",  "dom0",  1, 1024, "512M",             MODULES,                                    480),
    Machine("bare-4level",    "rust",  "bare4", 2, 1024, "",                 "pvmmu.run=smoke",                          480),
    Machine("bare-5level",    "rust",  "bare5", 2, 1024, "",                 "pvmmu.run=smoke",                          480),
    Machine("pvh",            "rust",  "pvh",   2, 1024, "",                 "pvmmu.run=smoke",                          480),
    Machine("early-refusal",  "rust",  "dom0",  1, 1024, "512M",             EARLY,                                      240, dies=REFUSED),
    Machine("batch-crash",    "rust",  "dom0",  2, 1024, "512M",             CRASH,                                      240, LAST_WORDS, dies="Hardware Dom0 crashed"),
    Machine("dom0-all",       "rust",  "dom0",  2, 1024, "",                 "pvmmu.run=smoke mitigations=off",          480),
    Machine("map-moves",      "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=smoke",                          480, MOVES, memory_map=MOVED),
    Machine("map-hole",       "rust",  "dom0",  1, 2048, "1024M",            "",                                         240, dies=HOLE, memory_map=("0x1400000-0x1401000:0",)),
    Machine("dom0-l1tf",      "rust",  "dom0",  2, 1024, "512M",             f"pvmmu.run=smoke {NO_PROBES}",             480, cpu=VULNERABLE, xen="pv-l1tf=dom0"),
    Machine("dom0-stale",     "rust",  "dom0",  2, 1024, "512M",             "pvmmu.run=smoke",                          480, stale=True),
    Machine("dom0-settings",  "rust",  "dom0",  2, 1024, "700M",             f"pvmmu.run=smoke memmap=64M$512M {NO_PROBES}", 480, nodes=2, xen=SETTINGS),
    Machine("dom0-old-xen",   "rust",  "dom0",  2, 1024, "512M",             "pvmmu.run=smoke",                          480, (r"Xen version: 4\.17\b",), hypervisor="old"),
    Machine("guest",          "rust",  "dom0",  2, 2048, "1024M",            GUEST,                                     1800, guests="rust"),
    Machine("stress",         "rust",  "dom0",  4, 2048, "1024M",            "pvmmu.run=stress pvmmu.seconds=60",        900),
    Machine("distro",         "debian","dom0",  2, 2048, "1024M",            f"pvmmu.run=smoke {ASKED}",                 900),
    Machine("distro-grants",  "debian","dom0",  2, 2048, "1024M,max:1024M",  f"{GRANTS} {ASKED}",                        480, skips=("grant-beyond",)),
    Machine("distro-stress",  "debian","dom0",  4, 2048, "1024M",            STRESSED,                                   900),
    Machine("debug-2cpu",     "debug", "dom0",  2, 2048, "1024M",            "pvmmu.run=smoke",                          900),
    Machine("debug-faults",   "debug", "dom0",  2, 2048, "1024M,max:1024M",  FAULTS,                                     900, (), REPORTS),
    Machine("debug-grants",   "debug", "dom0",  2, 2048, "1024M,max:1024M",  GRANT_FAULTS,                               900),
    Machine("debug-reclaim",  "debug", "dom0",  4, 2048, "1024M",            RECLAIM,                                    900),
    Machine("debug-pmem",     "debug", "dom0",  2, 2048, "1024M",            PMEM,                                       900),
    Machine("debug-stress",   "debug", "dom0",  4, 2048, "1024M",            "pvmmu.run=stress pvmmu.seconds=60 debug_pagealloc=on", 900),
)
# fmt: on

# The tests for a kernel that lacks most options.
SMALL = (
    "pvmmu.run=smoke pvmmu.tests=fork:fork-big:cow:mm-drop:fork-exec:vfork-exec:exec-storm:exec-threads:mmap:sparse:"
    "mprotect-4k:mprotect-16m:no-exec:prot-none:mremap-move:mremap-grow:mremap-table:mremap-pud:shared-anon:shared-file:"
    "private-file:dirty-race:threads:thread-exit:dontneed:mlock:copy-faults:pagemap:accessed:large-folio:hugetlb:"
    "vsyscall:memory-hog:dmesg"
)
SLEEP = "pvmmu.tests=sleep:fork:fork-big:mmap:threads:cpu-hotplug:balloon:wx:dmesg"
SLEPT = (r"PM: suspend exit",)
# For a guest's kernel that lacks most options.
DOMU = "pvmmu.run=toolstack pvmmu.rounds=1 pvmmu.tests=create:cpus:memory:block:frames:save:shutdown:totals:dmesg"
E820 = "pvmmu.run=toolstack pvmmu.guest=e820 pvmmu.rounds=1"
PVH = "pvmmu.run=toolstack pvmmu.guest=pvh pvmmu.rounds=1 pvmmu.tests=create:console:cpus:memory:pause:block:grants:save:forks:cancel:move:shutdown:totals:dmesg"
STORM = "pvmmu.run=toolstack pvmmu.tests=create:storm:totals:dmesg"
STORMERS = ("/usr/bin/stress-ng",)
TRACE = f"{ASKED} pvmmu.run=toolstack pvmmu.tests=create:tracers:shutdown:totals:dmesg"
TRACERS = ("/usr/bin/perf", "/usr/bin/trace-cmd")
# Sizes of dom0 around the borders of leaves, middle pages and tables: 2 MiB, 512 MiB, 1 GiB, 4 GiB.
_SMALL_SIZES = ("96M", "128M", "131068K", "131076K")
_SIZES = (
    "524284K", "524292K", "1022M", "1048572K", "1048580K", "1026M",
    "2047M", "2049M", "4095M", "4097M", "5000M",
)  # fmt: skip

# fmt: off
# The additional boots of `make soak-boots`.
SOAK = (
    # Linux would take half of these for bounce buffers.
    *(Machine(f"dom0-{size}", "rust", "dom0",  2, 6656, size,                "pvmmu.run=smoke swiotlb=4096",             600) for size in _SMALL_SIZES),
    *(Machine(f"dom0-{size}", "rust", "dom0",  2, 6656, size,                "pvmmu.run=smoke",                          600) for size in _SIZES),
    Machine("dom0-max",       "rust",  "dom0",  2, 6656, "512M,max:6G",      "pvmmu.run=smoke",                          600),
    Machine("no-nx",          "rust",  "dom0",  2, 1024, "512M",             f"pvmmu.run=smoke {NO_PROBES}",             480, cpu="max,nx=off", skips=("no-exec",)),
    Machine("small",          "small", "dom0",  1, 1024, "512M",             SMALL,                                      480),
    Machine("lto",            "lto",   "dom0",  3, 1024, "512M",             "pvmmu.run=smoke",                          480),
    Machine("lto-grants",     "lto",   "dom0",  2, 2048, "1024M,max:1024M",  GRANTS,                                     480, BEYOND),
    Machine("lto-stress",     "lto",   "dom0",  3, 2048, "1024M",            "pvmmu.run=stress pvmmu.seconds=60",        900),
    Machine("gcc",            "gcc",   "dom0",  2, 1024, "512M",             "pvmmu.run=smoke",                          480),
    Machine("dom0-sleep",     "rust",  "dom0",  2, 1024, "512M",             f"pvmmu.run=smoke {SLEEP}",                 480, SLEPT, sleeps=True),
    Machine("soak-balloon",   "rust",  "dom0",  2, 3072, "512M,max:2048M",   "pvmmu.run=smoke pvmmu.seconds=240 pvmmu.tests=balloon:balloon-grow:dmesg", 900),
    Machine("soak-stress",    "rust",  "dom0",  4, 2048, "1024M",            "pvmmu.run=stress pvmmu.seconds=600",      1500),
    Machine("soak-storm",     "rust",  "dom0",  4, 2048, "1024M",            f"{STORM} pvmmu.seconds=600",              2400, guests="rust", programs=STORMERS),
    Machine("guests",         "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=toolstack",                     3600, guests="rust"),
    Machine("guests-of-c",    "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=toolstack pvmmu.rounds=1",      3600, guests="c"),
    Machine("guests-on-c",    "c",     "dom0-c",2, 2048, "1024M",            "pvmmu.run=toolstack pvmmu.rounds=1",      3600, guests="rust"),
    Machine("guests-e820",    "rust",  "dom0",  2, 2048, "1024M",            E820,                                      3600, guests="rust"),
    Machine("guests-pvh",     "rust",  "dom0",  2, 2048, "1024M",            PVH,                                       3600, guests="rust"),
    Machine("guests-only",    "rust",  "dom0",  2, 2048, "1024M",            DOMU,                                      1800, guests="domu"),
    Machine("soak-save",      "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=toolstack pvmmu.rounds=20",     3600, guests="rust"),
    Machine("soak-crowd",     "debian","dom0",  2, 2048, "1024M",            f"pvmmu.run=toolstack pvmmu.tests=create:crowd:totals:dmesg nokaslr {ASKED}", 1800, guests="debian"),
    Machine("tracers",        "debian","dom0",  2, 2048, "1024M",            TRACE,                                      1800, guests="debian", programs=TRACERS),
    Machine("soak-live",      "rust",  "dom0",  2, 2048, "1024M",            "pvmmu.run=toolstack pvmmu.rounds=5 pvmmu.tests=create:live:save:shutdown:totals:dmesg", 3600, guests="rust", hypervisor="shadow"),
    Machine("soak-sizes",     "rust",  "dom0",  2, 6656, "1024M",            "pvmmu.run=toolstack pvmmu.tests=create:sizes:grown:totals:dmesg", 3600, guests="rust"),
    Machine("exec-overlap",   "debug", "dom0",  2, 2048, "1024M",            OVERLAP,                                    900),
    Machine("soak-debug",     "debug", "dom0",  2, 2048, "1024M",            f"pvmmu.run=toolstack pvmmu.rounds=5 {NO_LOCKDEP}", 3600, guests="debug"),
)
# fmt: on

# What `make boot` on a terminal starts: no time-out applies, a person leaves it.
SHELL = Machine("shell", "rust", "dom0", 2, 2048, "1024M", "pvmmu.run=shell", 0)
DEMO = MACHINES[0]

# Every kernel with the backend's tests must report suites with this in their names.
SUITE = "xen_pv_mmu"
