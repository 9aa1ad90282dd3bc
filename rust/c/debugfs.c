// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files in debugfs below xen/pvmmu, which show the state of the backend.
 * This file opens, iterates and locks. The crate provides the contents.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/memory_hotplug.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>

#include <xen/xen.h>

#include "debugfs.h"

/* ops: slots of pv_ops.mmu */

static int ops_show(struct seq_file *m, void *v)
{
	xen_pv_mmu_show_ops(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ops);

/* stats, stats_on: counters, each of which costs a nop while counting is off */

struct xen_pv_mmu_stats xen_pv_mmu_stats = {
	.counting = STATIC_KEY_FALSE_INIT,
};

static int stats_show(struct seq_file *m, void *v)
{
	xen_pv_mmu_show_stats(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int stats_on_get(void *data, u64 *value)
{
	*value = static_key_enabled(&xen_pv_mmu_stats.counting);
	return 0;
}

/* Counters start from zero, and keep their values when counting is off. */
static int stats_on_set(void *data, u64 value)
{
	static DEFINE_MUTEX(lock);

	if (value > 1)
		return -EINVAL;

	mutex_lock(&lock);
	if (!value) {
		static_branch_disable(&xen_pv_mmu_stats.counting);
	} else if (!static_key_enabled(&xen_pv_mmu_stats.counting)) {
		xen_pv_mmu_reset_stats();
		static_branch_enable(&xen_pv_mmu_stats.counting);
	}
	mutex_unlock(&lock);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(stats_on_fops, stats_on_get, stats_on_set, "%llu\n");

/* p2m: a line for each range; the position in the file is its first frame */

static void *p2m_at(struct seq_file *m, loff_t pos)
{
	struct xen_pv_mmu_p2m_range *range = m->private;

	return xen_pv_mmu_find_p2m_range(pos, range) ? range : NULL;
}

static void *p2m_start(struct seq_file *m, loff_t *pos)
{
	return p2m_at(m, *pos);
}

static void *p2m_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct xen_pv_mmu_p2m_range *range = v;

	*pos = range->end;
	return p2m_at(m, *pos);
}

static void p2m_stop(struct seq_file *m, void *v)
{
}

static int p2m_show(struct seq_file *m, void *v)
{
	struct xen_pv_mmu_p2m_range *range = v;

	seq_printf(m, "%#lx %#lx %s\n", range->start, range->end, range->kind);
	return 0;
}

static const struct seq_operations p2m_sops = {
	.start = p2m_start,
	.next = p2m_next,
	.stop = p2m_stop,
	.show = p2m_show,
};

static int p2m_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &p2m_sops,
				sizeof(struct xen_pv_mmu_p2m_range));
}

static const struct file_operations p2m_fops = {
	.owner = THIS_MODULE,
	.open = p2m_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/*
 * tables: a line for the kernel and one for each process; the position in the
 * file is the pid. Processes come and go meanwhile.
 */

struct process {
	pid_t pid;
	struct task_struct *task;	/* NULL for the kernel */
};

static void *tables_at(struct seq_file *m, loff_t *pos)
{
	struct process *process = m->private;
	struct pid *pid;

	process->pid = *pos;
	process->task = NULL;
	if (!*pos)
		return process;

	guard(rcu)();
	for (int nr = *pos; (pid = find_ge_pid(nr, &init_pid_ns)); nr++) {
		nr = pid_nr(pid);
		process->task = pid_task(pid, PIDTYPE_TGID);
		if (process->task) {
			get_task_struct(process->task);
			process->pid = nr;
			*pos = nr;
			return process;
		}
	}
	return NULL;
}

static void tables_stop(struct seq_file *m, void *v)
{
	struct process *process = m->private;

	if (process->task)
		put_task_struct(process->task);
	process->task = NULL;
}

static void *tables_start(struct seq_file *m, loff_t *pos)
{
	return tables_at(m, pos);
}

static void *tables_next(struct seq_file *m, void *v, loff_t *pos)
{
	tables_stop(m, v);
	++*pos;
	return tables_at(m, pos);
}

/* While the lock is held, no table above level 1 is freed. */
static int count_tables(struct mm_struct *mm, struct xen_pv_mmu_tables *tables)
{
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	xen_pv_mmu_count_tables(mm, tables);
	mmap_write_unlock(mm);
	return 0;
}

static int tables_show(struct seq_file *m, void *v)
{
	struct xen_pv_mmu_tables tables = { };
	struct process *process = v;
	char name[TASK_COMM_LEN] = "kernel";
	struct mm_struct *mm;
	int ret;

	if (process->task) {
		mm = get_task_mm(process->task);
		if (!mm)
			return 0;
		get_task_comm(name, process->task);
		ret = count_tables(mm, &tables);
		mmput(mm);
	} else {
		seq_puts(m, "pid level1 level2 level3 level4 user_roots not_pinned name\n");
		get_online_mems();
		ret = count_tables(&init_mm, &tables);
		put_online_mems();
	}
	if (ret)
		return ret;

	seq_printf(m, "%d", process->pid);
	for (size_t i = 0; i < ARRAY_SIZE(tables.pinned); i++)
		seq_printf(m, " %lu", tables.pinned[i]);
	seq_printf(m, " %lu %lu ", tables.user_roots, tables.not_pinned);
	seq_escape(m, name, "\n \\");
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations tables_sops = {
	.start = tables_start,
	.next = tables_next,
	.stop = tables_stop,
	.show = tables_show,
};

static int tables_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &tables_sops, sizeof(struct process));
}

static const struct file_operations tables_fops = {
	.owner = THIS_MODULE,
	.open = tables_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static int __init xen_pv_mmu_debugfs_init(void)
{
	struct dentry *dir;

	if (!xen_pv_domain())
		return 0;

	dir = debugfs_create_dir("pvmmu", debugfs_create_dir("xen", NULL));
	debugfs_create_file("ops", 0400, dir, NULL, &ops_fops);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
	debugfs_create_file_unsafe("stats_on", 0600, dir, NULL, &stats_on_fops);
	debugfs_create_file("p2m", 0400, dir, NULL, &p2m_fops);
	debugfs_create_file("tables", 0400, dir, NULL, &tables_fops);
	return 0;
}
late_initcall(xen_pv_mmu_debugfs_init);
