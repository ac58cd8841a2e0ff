// SPDX-License-Identifier: GPL-2.0
/*
 * Calling the BPF policies of a memcg: what all calls have in common.
 *
 * This file holds the rules of a call, the calls that tell a policy which memcgs
 * it governs, and the count of those that were skipped. mm/bpf_memcg_internal.h
 * enters and leaves a call, here and in mm/bpf_memcg_{charge,protect}.c.
 *
 * Readers. memcg->bpf_ops.effective and the ops that it lists are read under
 * RCU. kernel/bpf/cgroup_struct_ops.c keeps them alive for as long as that. No
 * lock is taken here, so a call can be made wherever memory is charged, with two
 * exceptions: in an NMI, and for allocations that must not spin, the program
 * might wait for a lock that this very CPU holds.
 *
 * Recursion. A policy may make the kernel charge (a map update, task storage)
 * and would be called for it again and again. current->bpf_memcg_active has a
 * bit for each interrupt level at which this task is inside a policy. Only that
 * task and the interrupts on top of it change it, and an interrupt restores it
 * before it returns, so plain accesses are enough. An interrupt that charges while
 * the task below is inside a policy is not a recursion: it is one level up.
 *
 * Reserves. Charges are reported in reclaim, too: the books must balance. The
 * program must not use the memory reserves of a reclaimer, so PF_MEMALLOC is
 * taken off while it runs.
 *
 * Dead memcgs. When the counter of an offline memcg changes, that of its nearest
 * online ancestor changes as well, and the change is reported for that ancestor.
 * No policy is ever called with an offline memcg.
 */

#include <linux/bpf.h>
#include <linux/bpf_memcg.h>
#include <linux/memcontrol.h>

#include "bpf_memcg_internal.h"

static int count_miss(struct bpf_prog *prog, void *member_off)
{
	if (prog->aux->attach_st_ops_member_off == *(u32 *)member_off)
		bpf_prog_inc_misses_counter(prog);
	return 0;
}

/**
 * bpf_memcg_call_missed - count a call that had to be skipped
 * @memcg: the memcg it was about
 * @member_off: which member of &struct memcg_bpf_ops was to be called
 *
 * The miss shows as recursion miss of the program in bpftool prog show.
 *
 * Context: any.
 */
void bpf_memcg_call_missed(struct mem_cgroup *memcg, u32 member_off)
{
	const struct bpf_cgroup_ops_item *item;
	struct bpf_cgroup_ops_array *array;

	rcu_read_lock();
	array = bpf_memcg_online_policies(&memcg);
	bpf_memcg_for_each_policy(item, array)
		bpf_struct_ops_for_each_prog(item->ops, count_miss, &member_off);
	rcu_read_unlock();
}

/**
 * bpf_memcg_call_online - tell one policy that it governs a memcg
 * @memcg: the memcg
 * @ops: the policy, a &struct memcg_bpf_ops
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_memcg_call_online(struct mem_cgroup *memcg, void *ops)
{
	void (*online)(struct mem_cgroup *memcg);
	struct bpf_memcg_call call;

	online = ((struct memcg_bpf_ops *)ops)->handle_cgroup_online;
	if (!online || !bpf_memcg_call_enter(&call))
		return;
	online(memcg);
	bpf_memcg_call_exit(&call);
}

/**
 * bpf_memcg_call_offline - tell one policy that it governs a memcg no more
 * @memcg: the memcg
 * @ops: the policy, a &struct memcg_bpf_ops
 *
 * Context: process context.
 */
void bpf_memcg_call_offline(struct mem_cgroup *memcg, void *ops)
{
	void (*offline)(struct mem_cgroup *memcg);
	struct bpf_memcg_call call;

	offline = ((struct memcg_bpf_ops *)ops)->handle_cgroup_offline;
	if (!offline || !bpf_memcg_call_enter(&call))
		return;
	offline(memcg);
	bpf_memcg_call_exit(&call);
}
