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
 * Not a stall. Nobody waits for a kernel thread, so PSI is told nothing, as with
 * a write to memory.reclaim.
 */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/kernel_stat.h>
#include <linux/memcontrol.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "internal.h"

/* 16 MiB of 4 KiB pages: some milliseconds. Who wants more calls again. */
#define BPF_MEMCG_RECLAIM_MAX	4096UL

static void account_to(struct mem_cgroup *memcg, u64 ns)
{
	struct cgroup *cgrp = memcg->css.cgroup;

	/* cpu.stat is of the default hierarchy, and the root has its own source. */
	if (!cgroup_on_dfl(cgrp) || !cgroup_parent(cgrp))
		return;
	__cgroup_account_cputime(cgrp, ns);
	__cgroup_account_cputime_field(cgrp, CPUTIME_SYSTEM, ns);
}

__bpf_kfunc_start_defs();

/**
 * bpf_try_to_free_mem_cgroup_pages - reclaim from a memcg and its descendants
 * @memcg: the memcg
 * @nr_pages: how many pages to try for, at least 1; more than 4096 count as 4096
 * @gfp_mask: %GFP_KERNEL
 * @reclaim_options: MEMCG_RECLAIM_MAY_SWAP (2) and MEMCG_RECLAIM_PROACTIVE (4) or
 *	neither; the latter is implied
 * @swappiness: 0 to 200, 201 for anonymous memory only, -1 for that of @memcg
 *
 * One round of what a write to memory.reclaim does, with the same respect for
 * memory.min and memory.low. The CPU time that a kernel thread spends in it is
 * accounted to the cgroup of @memcg.
 *
 * Context: process context, sleeps. For SYSCALL programs, and the bpf_wq and
 * task_work callbacks of memcg_bpf_ops programs.
 *
 * Return: the number of pages reclaimed, which may be more or less than asked
 * for; -EINVAL for an argument out of range, -EAGAIN if @memcg is being removed,
 * -EINTR if the calling task is being killed or exits, -EBUSY from within reclaim.
 */
__bpf_kfunc long bpf_try_to_free_mem_cgroup_pages(struct mem_cgroup *memcg, unsigned long nr_pages,
						  gfp_t gfp_mask, unsigned int reclaim_options,
						  int swappiness)
{
	bool account = current->flags & PF_KTHREAD;
	unsigned long reclaimed;
	u64 start = 0;

	if (!nr_pages || gfp_mask != GFP_KERNEL ||
	    reclaim_options & ~(MEMCG_RECLAIM_MAY_SWAP | MEMCG_RECLAIM_PROACTIVE) ||
	    swappiness < -1 || swappiness > SWAPPINESS_ANON_ONLY)
		return -EINVAL;
	/* No sleepable program runs inside reclaim. Should one ever, it ends here. */
	if (current->flags & PF_MEMALLOC || current->reclaim_state)
		return -EBUSY;
	/* What is left there goes to the parent soon. Whoever loops had better stop. */
	if (memcg_is_dying(memcg))
		return -EAGAIN;
	/* task_work runs on the way out, too. That memory is free before long. */
	if (current->flags & PF_EXITING || fatal_signal_pending(current))
		return -EINTR;

	if (account)
		start = task_sched_runtime(current);
	reclaimed = try_to_free_mem_cgroup_pages(memcg, min(nr_pages, BPF_MEMCG_RECLAIM_MAX),
						 GFP_KERNEL,
						 reclaim_options | MEMCG_RECLAIM_PROACTIVE,
						 swappiness == -1 ? NULL : &swappiness);
	if (account)
		account_to(memcg, task_sched_runtime(current) - start);
	return reclaimed;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_memcg_reclaim_kfuncs)
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
