// SPDX-License-Identifier: GPL-2.0
/*
 * Calling the BPF policies of a memcg: the slow side of the gates in
 * <linux/bpf_memcg.h>.
 *
 * What is read: memcg->bpf_ops.effective, under RCU, and the ops that it lists.
 * kernel/bpf/cgroup_struct_ops.c guarantees that they are alive for as long as
 * that. No lock is taken here, so any context of a charge will do, except two:
 * in an NMI, and for allocations that must not spin, the program might wait for
 * a lock that this very CPU holds.
 *
 * Recursion. A policy may make the kernel charge (a map update, task storage)
 * and would be called for it again and again. current->bpf_memcg_active has a
 * bit for each interrupt level at which this task is inside a policy. It is
 * only changed by that task and by interrupts on top of it, which restore it
 * before they return, so plain accesses will do. An interrupt that charges while
 * the task below is inside a policy is not a recursion: it is one level up.
 *
 * Reserves. Charges are reported in reclaim, too: the books must balance. A
 * program does not get at the memory reserves of a reclaimer, however:
 * PF_MEMALLOC is taken off while it runs.
 *
 * Dead memcgs. Where the counter of an offline memcg moves, its nearest living
 * ancestor moves as well, and the change is reported with that one. Nothing is
 * ever called with a memcg that is offline.
 */

#include <linux/bpf.h>
#include <linux/bpf_memcg.h>
#include <linux/huge_mm.h>
#include <linux/memcontrol.h>
#include <linux/preempt.h>

#include "bpf_memcg_internal.h"

struct policy_call {
	unsigned int	memalloc;
	u8		level;
};

static bool call_enter(struct policy_call *call)
{
	if (in_nmi())
		return false;

	call->level = BIT(interrupt_context_level());
	if (current->bpf_memcg_active & call->level)
		return false;

	current->bpf_memcg_active |= call->level;
	call->memalloc = in_task() ? current->flags & PF_MEMALLOC : 0;
	current->flags &= ~call->memalloc;
	rcu_read_lock();
	return true;
}

static void call_exit(const struct policy_call *call)
{
	rcu_read_unlock();
	current->flags |= call->memalloc;
	current->bpf_memcg_active &= ~call->level;
}

/* The policies of @*memcg, or of its nearest living ancestor, which it becomes. */
static struct bpf_cgroup_ops_array *living_policies(struct mem_cgroup **memcg)
{
	struct bpf_cgroup_ops_array *array;

	/* Ends at the root, which never goes offline. */
	while ((array = rcu_dereference((*memcg)->bpf_ops.effective)) == &bpf_cgroup_ops_dead)
		*memcg = parent_mem_cgroup(*memcg);
	return array;
}

static bool has_policies(struct mem_cgroup *memcg)
{
	return rcu_access_pointer(memcg->bpf_ops.effective);
}

static int count_miss(struct bpf_prog *prog, void *member_off)
{
	if (prog->aux->attach_st_ops_member_off == *(u32 *)member_off)
		bpf_prog_inc_misses_counter(prog);
	return 0;
}

/* A call had to be skipped: let those who rely on it know, in bpftool prog show. */
static void call_missed(struct mem_cgroup *memcg, u32 member_off)
{
	struct bpf_cgroup_ops_array *array;
	u32 i;

	rcu_read_lock();
	array = living_policies(&memcg);
	for (i = 0; array && i < array->cnt; i++)
		bpf_struct_ops_for_each_prog(array->items[i].ops, count_miss, &member_off);
	rcu_read_unlock();
}

/*
 * Allocators that must not spin set no reclaim flag, and no other either. The
 * light huge page allocation drops the reclaim flags as well, but it comes from
 * a fault that may do anything; to skip it would leave a hole in the books.
 */
static bool may_spin(gfp_t gfp)
{
	return gfp & (__GFP_RECLAIM | __GFP_FS);
}

/**
 * __bpf_memcg_charged - tell the policies of a memcg that it was charged
 * @memcg: whose memory counter went up, with those of its ancestors
 * @nr_pages: by how many pages
 * @gfp: of the allocation
 *
 * Context: any. The caller keeps @memcg alive.
 */
void __bpf_memcg_charged(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp)
{
	struct bpf_cgroup_ops_array *array;
	unsigned int ms, delay = 0;
	u64 policy_cgid, memcg_cgid;
	struct policy_call call;
	u32 i;

	if (!has_policies(memcg))
		return;
	if (!may_spin(gfp) || !call_enter(&call)) {
		call_missed(memcg, offsetof(struct memcg_bpf_ops, memcg_charged));
		return;
	}

	array = living_policies(&memcg);
	for (i = 0; array && i < array->cnt; i++) {
		const struct memcg_bpf_ops *ops = array->items[i].ops;

		if (!ops->memcg_charged)
			continue;
		ms = ops->memcg_charged(memcg, nr_pages);
		if (ms > delay) {
			delay = ms;
			policy_cgid = array->items[i].cgroup_id;
			memcg_cgid = cgroup_id(memcg->css.cgroup);
		}
	}
	call_exit(&call);

	if (delay)
		bpf_memcg_add_delay(delay, policy_cgid, memcg_cgid);
}

/**
 * __bpf_memcg_uncharged - tell the policies of a memcg that it was uncharged
 * @memcg: whose memory counter went down, with those of its ancestors
 * @nr_pages: by how many pages
 *
 * Context: any. The caller keeps @memcg alive.
 */
void __bpf_memcg_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct bpf_cgroup_ops_array *array;
	struct policy_call call;
	u32 i;

	if (!has_policies(memcg))
		return;
	if (!call_enter(&call)) {
		call_missed(memcg, offsetof(struct memcg_bpf_ops, memcg_uncharged));
		return;
	}

	array = living_policies(&memcg);
	for (i = 0; array && i < array->cnt; i++) {
		const struct memcg_bpf_ops *ops = array->items[i].ops;

		if (ops->memcg_uncharged)
			ops->memcg_uncharged(memcg, nr_pages);
	}
	call_exit(&call);
}

/* The first answer from the root down; a descendant cannot overturn an ancestor. */
static enum bpf_memcg_protection ask_protection(struct mem_cgroup *memcg, bool hard,
						unsigned long protected, unsigned long usage)
{
	enum bpf_memcg_protection answer = BPF_MEMCG_DEFAULT;
	struct bpf_cgroup_ops_array *array;
	struct policy_call call;
	int ret;
	u32 i;

	if (!has_policies(memcg))
		return BPF_MEMCG_DEFAULT;
	if (!call_enter(&call)) {
		call_missed(memcg, hard ? offsetof(struct memcg_bpf_ops, below_min) :
					  offsetof(struct memcg_bpf_ops, below_low));
		return BPF_MEMCG_DEFAULT;
	}

	/* An offline memcg has no policy. Its ancestors are asked for themselves. */
	array = rcu_dereference(memcg->bpf_ops.effective);
	for (i = 0; array && i < array->cnt; i++) {
		const struct memcg_bpf_ops *ops = array->items[i].ops;

		if (hard)
			ret = ops->below_min ? ops->below_min(memcg, protected, usage) : 0;
		else
			ret = ops->below_low ? ops->below_low(memcg, protected, usage) : 0;
		if (ret == BPF_MEMCG_PROTECT || ret == BPF_MEMCG_EXPOSE) {
			answer = ret;
			break;
		}
	}
	call_exit(&call);
	return answer;
}

/**
 * __bpf_memcg_below_low - is a memcg to be spared as if below its memory.low?
 * @memcg: the memcg that reclaim came to
 * @elow: its effective memory.low in pages
 * @usage: its usage in pages
 *
 * Context: reclaim. The caller keeps @memcg alive.
 *
 * Return: what the policies say, or what mem_cgroup_below_low() says without.
 */
bool __bpf_memcg_below_low(struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	enum bpf_memcg_protection answer = ask_protection(memcg, false, elow, usage);

	return answer == BPF_MEMCG_DEFAULT ? elow >= usage : answer == BPF_MEMCG_PROTECT;
}

/**
 * __bpf_memcg_below_min - is a memcg to be spared as if below its memory.min?
 * @memcg: the memcg that reclaim came to
 * @emin: its effective memory.min in pages
 * @usage: its usage in pages
 *
 * Context: reclaim. The caller keeps @memcg alive.
 *
 * Return: what the policies say, or what mem_cgroup_below_min() says without.
 */
bool __bpf_memcg_below_min(struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	enum bpf_memcg_protection answer = ask_protection(memcg, true, emin, usage);

	return answer == BPF_MEMCG_DEFAULT ? emin >= usage : answer == BPF_MEMCG_PROTECT;
}

/**
 * __bpf_memcg_protection - take exposed protection out of the proportional scan
 * @memcg: the memcg about to be scanned
 * @min: its effective memory.min in pages; 0 on return if exposed
 * @low: its effective memory.low in pages; 0 on return if exposed
 * @usage: its usage in pages
 *
 * Reclaim scans a memcg the less the more of it is protected. That protection
 * would outlive an answer to expose the memcg.
 *
 * Context: reclaim. The caller keeps @memcg alive.
 */
void __bpf_memcg_protection(struct mem_cgroup *memcg, unsigned long *min, unsigned long *low,
			    unsigned long usage)
{
	if (*min && ask_protection(memcg, true, *min, usage) == BPF_MEMCG_EXPOSE)
		*min = 0;
	if (*low && ask_protection(memcg, false, *low, usage) == BPF_MEMCG_EXPOSE)
		*low = 0;
}

/**
 * __bpf_memcg_over_limit - how much to reclaim for a charge that hit a limit
 * @memcg: the memcg being charged
 * @over_limit: the memcg whose limit was hit
 * @gfp: of the allocation
 * @nr_pages: the size of the charge
 *
 * Context: process context. The caller keeps @memcg and @over_limit alive.
 *
 * Return: pages, between @nr_pages and the size of a huge page.
 */
unsigned int __bpf_memcg_over_limit(struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
				    gfp_t gfp, unsigned int nr_pages)
{
	unsigned int target = nr_pages, most = max(nr_pages, 1U << (PMD_SHIFT - PAGE_SHIFT));
	struct bpf_cgroup_ops_array *array;
	struct policy_call call;
	u32 i;

	if (!has_policies(memcg))
		return nr_pages;
	if (!call_enter(&call)) {
		call_missed(memcg, offsetof(struct memcg_bpf_ops, charge_over_limit));
		return nr_pages;
	}

	living_policies(&over_limit);
	array = living_policies(&memcg);
	for (i = 0; array && i < array->cnt; i++) {
		const struct memcg_bpf_ops *ops = array->items[i].ops;

		if (ops->charge_over_limit)
			target = max(target, ops->charge_over_limit(memcg, over_limit, gfp,
								    nr_pages));
	}
	call_exit(&call);
	return min(target, most);
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
	struct policy_call call;

	online = ((struct memcg_bpf_ops *)ops)->handle_cgroup_online;
	if (!online || !call_enter(&call))
		return;
	online(memcg);
	call_exit(&call);
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
	struct policy_call call;

	offline = ((struct memcg_bpf_ops *)ops)->handle_cgroup_offline;
	if (!offline || !call_enter(&call))
		return;
	offline(memcg);
	call_exit(&call);
}
