// SPDX-License-Identifier: GPL-2.0-only
/* The tests by name. */
#include <string.h>

#include "mmstress.h"
#include "tests.h"

const struct test tests[] = {
	{ "fork", test_fork, 0, "small processes" },
	{ "fork-big", test_fork_big, 0, "64 MiB touched, written on both sides" },
	{ "cow", test_cow, 0, "a chain of processes that share their pages" },
	{ "mm-drop", test_mm_drop, 0, "many address spaces dropped at once" },
	{ "fork-exec", test_fork_exec, 0, "" },
	{ "vfork-exec", test_vfork_exec, 0, "" },
	{ "exec-storm", test_exec_storm, 0, "programs that exec themselves" },
	{ "exec-threads", test_exec_threads, 0, "exec while other threads fault" },
	{ "exec-overlap", test_exec_overlap, TEST_NAMED, "stacks that overlap their new location" },
	{ "mmap", test_mmap, 0, "map, touch, punch holes, unmap" },
	{ "sparse", test_sparse, 0, "pages far apart, up to the last address" },
	{ "mprotect-4k", test_mprotect_page, 0, "" },
	{ "mprotect-16m", test_mprotect_16m, 0, "" },
	{ "no-exec", test_no_exec, 0, "pages run only while executable" },
	{ "prot-none", test_prot_none, 0, "inaccessible pages are freed" },
	{ "mremap-move", test_mremap_move, 0, "8 MiB" },
	{ "mremap-grow", test_mremap_grow, 0, "grow and shrink" },
	{ "mremap-table", test_mremap_table, 0, "moves whole level-1 tables" },
	{ "mremap-pud", test_mremap_pud, 0, "moves whole level-2 tables" },
	{ "shared-anon", test_shared_anon, 0, "processes on all CPUs" },
	{ "shared-file", test_shared_file, 0, "mapping and file agree" },
	{ "private-file", test_private_file, 0, "copies on write" },
	{ "dirty-race", test_dirty_race, 0, "no write is lost to an unmap" },
	{ "dirty-swap", test_dirty_swap, TEST_SINGLE, "no write is lost to reclaim" },
	{ "threads", test_threads, 0, "all CPUs in one address space" },
	{ "thread-exit", test_thread_exit, 0, "exit while threads fault" },
	{ "dontneed", test_dontneed, 0, "madvise gives zeros or the file" },
	{ "madv-free", test_madv_free, 0, "pages marked cold or free, then written to" },
	{ "table-reclaim", test_table_reclaim, 0, "empty tables freed by several threads" },
	{ "mlock", test_mlock, 0, "pages present before they are touched" },
	{ "copy-faults", test_copy_faults, 0, "system calls that fault in the kernel" },
	{ "driver-faults", test_driver_faults, 0, "a driver maps pages during interrupts" },
	{ "pagemap", test_pagemap, 0, "frames are the guest's own" },
	{ "direct-map", test_direct_map, 0, "read-only for tables, cached for all" },
	{ "accessed", test_accessed, 0, "accessed bits cleared and set" },
	{ "soft-dirty", test_soft_dirty, 0, "soft-dirty bits cleared and set" },
	{ "ksm", test_ksm, TEST_SINGLE, "equal pages merged and split" },
	{ "uffd-wp", test_uffd_wp, 0, "write faults delivered to user space" },
	{ "large-folio", test_large_folio, 0, "no huge mappings without PSE" },
	{ "hugetlb", test_hugetlb, TEST_SINGLE, "refused without PSE, nothing reserved" },
	{ "vsyscall", test_vsyscall, 0, "as /proc/self/maps says" },
	{ "ldt", test_ldt, 0, "install, load, read back, inherit" },
	{ "cpu-hotplug", test_cpu_hotplug, TEST_SINGLE, "CPUs go offline during fork and exit" },
	{ "balloon", test_balloon, TEST_SINGLE, "shrink by 64 MiB and back" },
	{ "balloon-grow", test_balloon_grow, TEST_SINGLE, "grow and back" },
	{ "grant-map", test_grant_map, TEST_SINGLE | TEST_NAMED, "1 to 1000 pages, by the domain" },
	{ "grant-beyond", test_grant_beyond, TEST_SINGLE | TEST_NAMED, "mapped beyond memory" },
	{ "grant-bad", test_grant_bad, TEST_SINGLE | TEST_NAMED, "one grant of many is bad" },
	{ "grant-use", test_grant_use, TEST_SINGLE | TEST_NAMED, "fork, protect, move and unmap" },
	{ "grant-private", test_grant_private, TEST_SINGLE | TEST_NAMED, "never written to" },
	{ "grant-exit", test_grant_exit, TEST_SINGLE | TEST_NAMED, "killed with grants mapped" },
	{ "sleep", test_sleep, TEST_NAMED, "ACPI S3, until the machine is woken" },
	{ "memory-hog", test_memory_hog, TEST_ALONE, "three quarters of memory" },
	{ "pmem", test_pmem, TEST_ALONE | TEST_NAMED, "memory removed and added again" },
	{ "kexec-load", test_kexec_load, TEST_SINGLE, "page tables that Xen never sees" },
	{ "fault-protect", test_fault_protect, TEST_NAMED, "refused changes of protection" },
	{ "fault-write", test_fault_write, TEST_NAMED, "refused write faults" },
	{ "fault-pin", test_fault_pin, TEST_NAMED, "tables and roots without pins" },
	{ "fault-fork", test_fault_fork, TEST_NAMED, "no memory for a user root" },
	{ "fault-growth", test_fault_growth, TEST_NAMED, "no memory for the p2m list" },
	{ "fault-grant", test_fault_grant, TEST_NAMED, "refused mappings of grants" },
	{ "debugfs-ops", test_debugfs_ops, 0, "every slot is the backend's" },
	{ "debugfs-p2m", test_debugfs_p2m, 0, "ranges without gaps" },
	{ "debugfs-stats", test_debugfs_stats, TEST_SINGLE, "counters on and off" },
	{ "debugfs-tables", test_debugfs_tables, 0, "all of them pinned" },
	{ "trace-events", test_trace_events, TEST_SINGLE, "what a process does is traced" },
	{ "trace-guide", test_trace_guide, TEST_SINGLE, "as the admin guide says" },
	{ "trace-functions", test_trace_functions, TEST_ALONE, "of the whole kernel, on one CPU" },
	{ "nonram", test_nonram, 0, "moved ranges keep their contents" },
	{ "static-call", test_static_call, TEST_SINGLE, "a sample module" },
	{ "pgtable-dump", test_pgtable_dump, TEST_SINGLE, "a sample module" },
	{ "module-inlines", test_module_inlines, TEST_SINGLE, "an out-of-tree module" },
	{ "module-closed", test_module_closed, TEST_SINGLE | TEST_NAMED, "one that is not GPL" },
	{ "module-storm", test_module_storm, TEST_ALONE, "the samples, over and over" },
	{ "wx", test_wx, TEST_LAST, "no page writable and executable" },
	{ "dmesg", test_dmesg, TEST_LAST, "no complaint in the kernel's log" },
};

const size_t nr_tests = ARRAY_SIZE(tests);

const struct test *find_test(const char *name)
{
	for (size_t i = 0; i < nr_tests; i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	return NULL;
}
