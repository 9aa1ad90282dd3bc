/* SPDX-License-Identifier: GPL-2.0 */
/* Every test, in the order of the table in test.c. */
#ifndef TESTS_H
#define TESTS_H

void test_fork(void);
void test_fork_big(void);
void test_cow(void);
void test_mm_drop(void);
void test_fork_exec(void);
void test_vfork_exec(void);
void test_exec_storm(void);
void test_exec_threads(void);
void test_mmap(void);
void test_sparse(void);
void test_mprotect_page(void);
void test_mprotect_16m(void);
void test_no_exec(void);
void test_prot_none(void);
void test_mremap_move(void);
void test_mremap_grow(void);
void test_mremap_table(void);
void test_mremap_pud(void);
void test_shared_anon(void);
void test_shared_file(void);
void test_private_file(void);
void test_dirty_race(void);
void test_dirty_swap(void);
void test_threads(void);
void test_thread_exit(void);
void test_dontneed(void);
void test_mlock(void);
void test_pagemap(void);
void test_accessed(void);
void test_soft_dirty(void);
void test_ksm(void);
void test_uffd_wp(void);
void test_large_folio(void);
void test_vsyscall(void);
void test_ldt(void);
void test_cpu_hotplug(void);
void test_balloon(void);
void test_balloon_grow(void);
void test_memory_hog(void);
void test_fault_protect(void);
void test_fault_write(void);
void test_fault_pin(void);
void test_fault_fork(void);
void test_fault_growth(void);
void test_fault_grant(void);
void test_debugfs_ops(void);
void test_debugfs_p2m(void);
void test_debugfs_stats(void);
void test_debugfs_tables(void);
void test_wx(void);
void test_dmesg(void);

#endif /* TESTS_H */
