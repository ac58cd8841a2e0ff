// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim from BPF: bounded, in contexts that can bear it, and paid for by the
 * cgroup that it is done for.
 *
 * Who may call. Reclaim waits for file systems, so it must not run where their
 * locks are held. Programs of type SYSCALL run in a system call of their own;
 * those of memcg_bpf_ops cannot sleep, so they get here only through their bpf_wq
 * and task_work callbacks, which hold nothing either. No other program gets the
 * kfunc past the verifier.
 *
 * Who pays. A task that reclaims pays by being in its cgroup. The CPU time of a
 * kernel thread would vanish in the root cgroup instead, which the threads of
 * workqueues cannot leave. It is added to the cpu.stat of the cgroup that is
 * reclaimed from, and with it to those of the ancestors. The root's is taken from
 * the CPUs and has that time already, once.
 * This is bookkeeping: cpu.max does not throttle kernel threads.
 *
 * Stall. A task that reclaims, in a SYSCALL program or in task_work on its way to
 * user space, does not do its own work meanwhile. PSI counts the time as a memory
 * stall, as it does for memory.high. No task waits for a kernel thread, so its
 * reclaim is no stall.
 *
 * Hibernation. Worker threads are not frozen. Once the image is being taken,
 * writing to a file system or a swap device would damage it. The power management
 * core restricts gfp_allowed_mask for that time, and reclaim is refused.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/kernel_stat.h>
#include <linux/memcontrol.h>
#include <linux/psi.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/suspend.h>
#include <linux/swap.h>

#include "internal.h"

/* 16 MiB of 4 KiB pages: some milliseconds. Callers that need more call again. */
#define BPF_MEMCG_RECLAIM_MAX	4096UL

/* What bpf_memcg_reclaim() does at most */
#define BPF_MEMCG_RECLAIM_BATCH	64UL

static void account_to(struct mem_cgroup *memcg, u64 ns)
{
	struct cgroup *cgrp = memcg->css.cgroup;

	/* cpu.stat is of the default hierarchy, and the root has its own source. */
	if (!cgroup_on_dfl(cgrp) || !cgroup_parent(cgrp))
		return;
	__cgroup_account_cputime(cgrp, ns);
	__cgroup_account_cputime_field(cgrp, CPUTIME_SYSTEM, ns);
}

static long reclaim(struct mem_cgroup *memcg, unsigned long nr_pages, unsigned int options,
		    int swappiness)
{
	bool kthread = current->flags & PF_KTHREAD;
	unsigned long reclaimed, pflags;
	u64 start = 0;

	if (!nr_pages || swappiness < -1 || swappiness > SWAPPINESS_ANON_ONLY)
		return -EINVAL;
	/* No sleepable program runs inside reclaim. Should one ever, it ends here. */
	if (current->flags & PF_MEMALLOC || current->reclaim_state || pm_suspended_storage())
		return -EBUSY;
	/* What is left there goes to the parent soon. This tells a looping caller to stop. */
	if (memcg_is_dying(memcg))
		return -EAGAIN;
	/* task_work also runs in an exiting task, whose memory is free before long. */
	if (current->flags & PF_EXITING || fatal_signal_pending(current))
		return -EINTR;

	if (kthread)
		start = task_sched_runtime(current);
	else
		psi_memstall_enter(&pflags);
	reclaimed = try_to_free_mem_cgroup_pages(memcg, nr_pages, GFP_KERNEL,
						 options | MEMCG_RECLAIM_PROACTIVE,
						 swappiness == -1 ? NULL : &swappiness);
	if (kthread)
		account_to(memcg, task_sched_runtime(current) - start);
	else
		psi_memstall_leave(&pflags);
	return reclaimed;
}

__bpf_kfunc_start_defs();

/**
 * bpf_memcg_reclaim - reclaim some memory from a memcg and its descendants
 * @memcg: the memcg
 * @size: how many bytes to try for, at least a page; more than 64 pages count as 64
 * @swappiness: 0 to 200, 201 for anonymous memory only, -1 for that of @memcg
 *
 * One round of what a write to memory.reclaim does, with the same respect for
 * the memory.min and memory.low of the descendants of @memcg. May swap. The CPU
 * time that a kernel thread spends in it is accounted to the cgroup of @memcg;
 * for other tasks the time counts as a memory stall.
 *
 * Context: process context, sleeps. For SYSCALL programs, and the bpf_wq and
 * task_work callbacks of memcg_bpf_ops programs.
 *
 * Return: the number of bytes reclaimed, which may be more or less than asked
 * for; -EINVAL for an argument out of range, -EAGAIN if @memcg is being removed,
 * -EINTR if the calling task is being killed or exits, -EBUSY from within
 * reclaim or while the system is being suspended.
 */
__bpf_kfunc long bpf_memcg_reclaim(struct mem_cgroup *memcg, u64 size, int swappiness)
{
	unsigned long nr_pages = min_t(u64, size >> PAGE_SHIFT, BPF_MEMCG_RECLAIM_BATCH);
	long reclaimed;

	reclaimed = reclaim(memcg, nr_pages, MEMCG_RECLAIM_MAY_SWAP, swappiness);
	return reclaimed < 0 ? reclaimed : reclaimed << PAGE_SHIFT;
}

/**
 * bpf_try_to_free_mem_cgroup_pages - reclaim from a memcg and its descendants
 * @memcg: the memcg
 * @nr_pages: how many pages to try for, at least 1; more than 4096 count as 4096
 * @gfp_mask: %GFP_KERNEL
 * @reclaim_options: MEMCG_RECLAIM_MAY_SWAP (2) and MEMCG_RECLAIM_PROACTIVE (4) or
 *	neither; the latter is implied
 * @swappiness: 0 to 200, 201 for anonymous memory only, -1 for that of @memcg
 *
 * As bpf_memcg_reclaim(), by larger steps and without swap if asked. Its name and
 * arguments are those of an earlier proposal, whose programs work unchanged.
 *
 * Context: as for bpf_memcg_reclaim().
 *
 * Return: the number of pages reclaimed, which may be more or less than asked
 * for; an error as for bpf_memcg_reclaim().
 */
__bpf_kfunc long bpf_try_to_free_mem_cgroup_pages(struct mem_cgroup *memcg, unsigned long nr_pages,
						  gfp_t gfp_mask, unsigned int reclaim_options,
						  int swappiness)
{
	if (gfp_mask != GFP_KERNEL ||
	    reclaim_options & ~(MEMCG_RECLAIM_MAY_SWAP | MEMCG_RECLAIM_PROACTIVE))
		return -EINVAL;
	return reclaim(memcg, min(nr_pages, BPF_MEMCG_RECLAIM_MAX), reclaim_options, swappiness);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_memcg_reclaim_kfuncs)
BTF_ID_FLAGS(func, bpf_memcg_reclaim, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_try_to_free_mem_cgroup_pages, KF_SLEEPABLE)
BTF_KFUNCS_END(bpf_memcg_reclaim_kfuncs)

BTF_ID_LIST_SINGLE(memcg_bpf_ops_id, struct, memcg_bpf_ops)

/* Asked about every kfunc that a program of either type calls, ours or not. */
static int bpf_memcg_reclaim_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&bpf_memcg_reclaim_kfuncs, kfunc_id))
		return 0;
	if (prog->type == BPF_PROG_TYPE_SYSCALL)
		return 0;
	if (prog->type == BPF_PROG_TYPE_STRUCT_OPS &&
	    prog->aux->attach_btf_id == memcg_bpf_ops_id[0])
		return 0;
	return -EACCES;
}

static const struct btf_kfunc_id_set bpf_memcg_reclaim_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_memcg_reclaim_kfuncs,
	.filter	= bpf_memcg_reclaim_filter,
};

static int __init bpf_memcg_reclaim_init(void)
{
	int err;

	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &bpf_memcg_reclaim_kfunc_set);
	return err ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS,
						&bpf_memcg_reclaim_kfunc_set);
}
late_initcall(bpf_memcg_reclaim_init);
