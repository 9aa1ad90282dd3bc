// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault injection by the kernel's framework, with a directory below xen_pv_mmu
 * in debugfs for each kind of operation.
 *
 * Operations of tasks with make-it-fail set can fail, or those of all tasks if
 * task-filter is cleared. Every operation counts as 1 towards "space".
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <xen/xen.h>

#include "fault.h"

struct fault_point {
	const char *name;
	struct fault_attr attr;
	u32 error;	/* a positive errno */
};

#define FAULT_POINT(_name) {			\
		.name = (_name),		\
		.attr = FAULT_ATTR_INITIALIZER,	\
		.error = EINVAL,		\
	}

static struct fault_point fault_points[] = {
	[XEN_PV_MMU_FAULT_PROTECTION] = FAULT_POINT("fail_protection"),
	[XEN_PV_MMU_FAULT_UPDATE] = FAULT_POINT("fail_update"),
	[XEN_PV_MMU_FAULT_REMAP] = FAULT_POINT("fail_remap"),
	[XEN_PV_MMU_FAULT_PIN] = FAULT_POINT("fail_pin"),
	[XEN_PV_MMU_FAULT_UNPIN] = FAULT_POINT("fail_unpin"),
	[XEN_PV_MMU_FAULT_EXT] = FAULT_POINT("fail_ext"),
	[XEN_PV_MMU_FAULT_VA_MAPPING] = FAULT_POINT("fail_va_mapping"),
	[XEN_PV_MMU_FAULT_EXCHANGE] = FAULT_POINT("fail_exchange"),
	[XEN_PV_MMU_FAULT_GRANT] = FAULT_POINT("fail_grant"),
	[XEN_PV_MMU_FAULT_ALLOC] = FAULT_POINT("fail_alloc"),
};

/* Returns a negative errno if an operation has to fail now, or 0. */
int xen_pv_mmu_fault(enum xen_pv_mmu_fault kind)
{
	struct fault_point *point = &fault_points[kind];

	/* should_fail() ignores the probability for a task with fail-nth. */
	if (!READ_ONCE(point->attr.probability) || !should_fail(&point->attr, 1))
		return 0;
	return -(int)READ_ONCE(point->error);
}

/*
 * For KUnit: makes @times operations of the current task fail, from number
 * @index on.
 */
void xen_pv_mmu_fault_arm(enum xen_pv_mmu_fault kind, unsigned int index,
			  unsigned int times, unsigned int error)
{
	struct fault_point *point = &fault_points[kind];

	point->error = error;
	atomic_set(&point->attr.space, index + 1);
	atomic_set(&point->attr.times, times);
	WRITE_ONCE(point->attr.probability, 100);
	current->make_it_fail = 1;
}

/* Ends the injection; returns how many of @times operations have not failed. */
unsigned int xen_pv_mmu_fault_disarm(enum xen_pv_mmu_fault kind)
{
	struct fault_point *point = &fault_points[kind];
	unsigned int left = atomic_read(&point->attr.times);

	current->make_it_fail = 0;
	WRITE_ONCE(point->attr.probability, 0);
	atomic_set(&point->attr.space, 0);
	atomic_set(&point->attr.times, 1);
	point->error = EINVAL;
	return left;
}

/*
 * With debug_pagealloc, the allocator maps the page that it returns. If that failed,
 * the caller would write to nothing. So no operation of the current task fails until
 * xen_pv_mmu_fault_resume() gets what this returns.
 */
bool xen_pv_mmu_fault_pause(void)
{
	bool fails = current->make_it_fail;

	if (debug_pagealloc_enabled())
		current->make_it_fail = 0;
	return fails;
}

void xen_pv_mmu_fault_resume(bool fails)
{
	current->make_it_fail = fails;
}

static int error_get(void *data, u64 *error)
{
	*error = *(u32 *)data;
	return 0;
}

static int error_set(void *data, u64 error)
{
	if (!error || error > MAX_ERRNO)
		return -EINVAL;
	WRITE_ONCE(*(u32 *)data, error);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(error_fops, error_get, error_set, "%llu\n");

static int __init fault_init(void)
{
	struct dentry *root, *dir;

	if (!xen_pv_domain())
		return 0;

	root = debugfs_create_dir("xen_pv_mmu", NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(fault_points); i++) {
		struct fault_point *point = &fault_points[i];

		/* Tests expect only the report of the backend in the log. */
		point->attr.verbose = 0;
		point->attr.task_filter = true;
		dir = fault_create_debugfs_attr(point->name, root, &point->attr);
		debugfs_create_file_unsafe("error", 0600, dir, &point->error,
					   &error_fops);
	}
	return 0;
}
late_initcall(fault_init);
