// SPDX-License-Identifier: GPL-2.0
/*
 * What BPF policies make of the protection of a memcg.
 *
 * mem_cgroup_calculate_protection() computes the effective memory.low and
 * memory.min of a memcg in each reclaim pass. For a memcg that has policies it
 * does so here: compute the kernel's own answer, ask the policies, and store what
 * they make of it in memory.elow and memory.emin. All of reclaim reads these
 * two, so no reclaimer knows about BPF. Both are stored once, after the answer,
 * so that a CPU that reclaims at the same time does not find the kernel's value in
 * between.
 *
 * PROTECT is granted as elow, also when below_min() asked. What only a policy
 * protects is therefore reclaimed in the pass that ignores memory.low, before
 * the kernel would OOM-kill. elow becomes the usage and room for what the memcg
 * charges until reclaim comes to it; see protected_usage().
 *
 * EXPOSE stores 0, and the memcg claims nothing of its parent's protection, so
 * that its siblings get its share.
 *
 * Authority. A policy of the host protects whatever the ancestors of the memcg
 * have. A policy of a delegate protects as if memory.low of the memcg were "max":
 * it claims a share of what the parent has, in competition with the siblings. For
 * the cgroup that the policy is attached to, its PROTECT changes nothing: the
 * delegate could not have written memory.low there.
 *
 * State. An answer that changes what a memcg claims of its parent outlives the
 * pass, because the parent sums up the claims of its children when these charge.
 * It is one byte in the memcg's page counter for each of memory.low and memory.min
 * (see page_counter_override()), written here and nowhere else, except that
 * memcg_offline() in mm/bpf_memcg_ops.c takes both back. That call comes when a
 * policy stops governing a memcg for whatever reason (detach, the loader's death,
 * update, override, rmdir) and no CPU can be asking that policy about that memcg
 * any more, because the bytes are written in the RCU read-side critical section
 * in which the policy was asked. So no override outlives the policy. Policies that
 * still govern the memcg set it again in the next pass.
 *
 * Slow policies. Reclaim comes to many memcgs many times, each may have policies that
 * take as long as a policy can, and others wait: a task that opens a file of a cgroup
 * and has to reclaim for it keeps rmdir waiting, and rmdir holds cgroup_mutex. So a
 * task spends at most about half of its time in policies, see may_ask(), and none
 * after it was killed. While a task may not ask, what the last pass stored stands,
 * so a protection that was granted is not lost. Where nothing is stored the kernel's
 * own computation counts: a memcg that reclaim comes to for the first time then has no
 * more than its memory.low and memory.min. Where several policies govern a memcg, what
 * stands can be the answer of one that was detached meanwhile, until a task asks.
 *
 * Locking. None. Concurrent reclaimers may store different answers; the last one
 * counts until the next pass, as it does for the values that the kernel computes.
 */

#include <linux/bpf_memcg.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/page_counter.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "bpf_memcg_internal.h"

#include <trace/events/bpf_memcg.h>

/* What the policies say about one memcg. */
struct answer {
	enum bpf_memcg_protection	low;
	enum bpf_memcg_protection	min;
	/* Of those who said PROTECT, was it the host? */
	bool				by_host;
	/* The cgroup of the policy that decided, for the tracepoint */
	u64				policy_cgid;
};

/* What the kernel itself makes of memory.low or memory.min. */
struct claim {
	unsigned long	setting;
	unsigned long	claimed;	/* by this memcg now */
	unsigned long	siblings;	/* by all children of its parent now */
	unsigned long	parent;		/* effective protection of the parent */
};

static unsigned long effective(const struct claim *c, unsigned long usage,
			       unsigned long parent_usage, bool recursive)
{
	/* The claim as it would be without any answer. */
	unsigned long siblings = c->siblings - min(c->claimed, c->siblings) +
				 min(usage, c->setting);

	return page_counter_effective_protection(usage, parent_usage, c->setting, c->parent,
						 siblings, recursive);
}

/*
 * The memcg may charge between now and the moment at which reclaim compares its
 * usage with elow. Room for as much again, and for a memcg that has just begun to
 * grow at least 64 MiB, costs nobody anything: what counts against the siblings is
 * the claim, and a claim is never more than the usage. The sum stays far below
 * what overflows in the proportional scan.
 */
static unsigned long protected_usage(unsigned long usage)
{
	return usage + max(usage, SZ_64M >> PAGE_SHIFT);
}

/*
 * May a policy's PROTECT about @memcg count? One of a delegate does not at the
 * cgroup that it is attached to.
 */
static bool may_protect(const struct bpf_cgroup_ops_item *item, struct mem_cgroup *memcg)
{
	return !item->delegate || item->cgroup_id != cgroup_id(memcg->css.cgroup);
}

static enum bpf_memcg_protection valid(int ret, const struct bpf_cgroup_ops_item *item,
				       struct mem_cgroup *memcg)
{
	if (ret == BPF_MEMCG_EXPOSE)
		return BPF_MEMCG_EXPOSE;
	if (ret == BPF_MEMCG_PROTECT && may_protect(item, memcg))
		return BPF_MEMCG_PROTECT;
	return BPF_MEMCG_DEFAULT;
}

/*
 * Ask until both questions have an answer, from the root down: a descendant's
 * policy cannot overturn an ancestor's. PROTECT in answer to below_min() is
 * granted as memory.low, so it answers below_low() as well, unless a policy nearer
 * to the root has done so.
 */
static void ask(struct mem_cgroup *memcg, struct bpf_cgroup_ops_array *array,
		unsigned long emin, unsigned long elow, unsigned long usage, struct answer *answer)
{
	const struct bpf_cgroup_ops_item *item;

	bpf_memcg_for_each_policy(item, array) {
		const struct memcg_bpf_ops *ops = item->ops;

		if (!answer->min && ops->below_min) {
			answer->min = valid(ops->below_min(memcg, emin, usage), item, memcg);
			if (answer->min && !answer->low)
				answer->policy_cgid = item->cgroup_id;
			if (answer->min == BPF_MEMCG_PROTECT && !answer->low) {
				answer->low = BPF_MEMCG_PROTECT;
				answer->by_host = !item->delegate;
			}
		}
		if (!answer->low && ops->below_low) {
			answer->low = valid(ops->below_low(memcg, elow, usage), item, memcg);
			answer->by_host = !item->delegate;
			if (answer->low)
				answer->policy_cgid = item->cgroup_id;
		}
		if (answer->low && answer->min)
			break;
	}
}

/* For how many jiffies a task may ask policies at once, and the longest pause after that. */
#define ASK_BURST	(HZ / 4)
#define ASK_PAUSE	(10 * HZ)

/*
 * May the current task ask policies? It may from the jiffy bpf_memcg_ask on, which
 * moves on by two for each jiffy that an answer took, but is never further in the past
 * than ASK_BURST. So of a long time at most half goes to policies. An answer
 * that takes less than a jiffy meets the beginning of one as often as it takes long.
 */
static bool may_ask(void)
{
	unsigned long now = jiffies;

	if (fatal_signal_pending(current))
		return false;
	/* Later than ASK_PAUSE: so long ago that jiffies came around. */
	if (!time_in_range(current->bpf_memcg_ask, now - ASK_BURST, now + ASK_PAUSE))
		current->bpf_memcg_ask = now - ASK_BURST;
	return time_before_eq(current->bpf_memcg_ask, now);
}

/* The current task asked at the jiffy @start, and has its answer. */
static void has_asked(unsigned long start)
{
	unsigned long now = jiffies, next = current->bpf_memcg_ask + 2 * (now - start);

	if (now != start)
		current->bpf_memcg_ask = time_after(next, now + ASK_PAUSE) ? now + ASK_PAUSE : next;
}

/*
 * Compute and store the protection of a memcg that seems to have policies. For a task
 * that may not ask, what is stored stands. Returns false, and has stored nothing, if
 * there is no policy to ask, or nothing that could stand.
 */
static bool compute(struct mem_cgroup *root, struct mem_cgroup *memcg, bool recursive)
{
	struct page_counter *counter = &memcg->memory, *parent = counter->parent;
	unsigned long usage, parent_usage, emin, elow, start;
	struct bpf_cgroup_ops_array *array;
	struct answer answer = {};
	struct bpf_memcg_call call;
	struct claim low, min;
	u8 low_override;

	usage = page_counter_read(counter);
	if (memcg == root || !usage)
		return false;
	if (!bpf_memcg_call_enter(&call)) {
		bpf_memcg_call_missed(memcg, offsetof(struct memcg_bpf_ops, below_min));
		bpf_memcg_call_missed(memcg, offsetof(struct memcg_bpf_ops, below_low));
		return false;
	}

	/* An offline memcg has no policy. Its ancestors are asked for themselves. */
	array = rcu_dereference(memcg->bpf_ops.effective);
	if (!array || array == &bpf_cgroup_ops_dead) {
		bpf_memcg_call_exit(&call);
		return false;
	}

	if (!may_ask()) {
		bpf_memcg_call_exit(&call);
		return READ_ONCE(counter->elow) || READ_ONCE(counter->emin);
	}

	min.setting = READ_ONCE(counter->min);
	low.setting = READ_ONCE(counter->low);
	if (parent == &root->memory) {
		emin = min.setting;
		elow = low.setting;
	} else {
		parent_usage = page_counter_read(parent);
		min.claimed = atomic_long_read(&counter->min_usage);
		min.siblings = atomic_long_read(&parent->children_min_usage);
		min.parent = READ_ONCE(parent->emin);
		emin = effective(&min, usage, parent_usage, recursive);
		low.claimed = atomic_long_read(&counter->low_usage);
		low.siblings = atomic_long_read(&parent->children_low_usage);
		low.parent = READ_ONCE(parent->elow);
		elow = effective(&low, usage, parent_usage, recursive);
	}

	start = jiffies;
	ask(memcg, array, emin, elow, usage, &answer);
	has_asked(start);

	low_override = PAGE_COUNTER_AS_SET;
	if (answer.min == BPF_MEMCG_EXPOSE)
		emin = 0;
	if (answer.low == BPF_MEMCG_EXPOSE) {
		elow = 0;
		low_override = PAGE_COUNTER_AS_ZERO;
	} else if (answer.low == BPF_MEMCG_PROTECT && answer.by_host) {
		elow = protected_usage(usage);
	} else if (answer.low == BPF_MEMCG_PROTECT) {
		low_override = PAGE_COUNTER_AS_MAX;
		elow = protected_usage(usage);
		if (parent != &root->memory) {
			low.setting = PAGE_COUNTER_MAX;
			elow = min(elow, effective(&low, usage, parent_usage, recursive));
		}
	}

	page_counter_override(counter, answer.min == BPF_MEMCG_EXPOSE ?
			      PAGE_COUNTER_AS_ZERO : PAGE_COUNTER_AS_SET, low_override);
	WRITE_ONCE(counter->emin, emin);
	WRITE_ONCE(counter->elow, elow);
	if (answer.low || answer.min)
		trace_bpf_memcg_protection(answer.policy_cgid, cgroup_id(memcg->css.cgroup),
					   answer.low, answer.min, usage, elow, emin);
	bpf_memcg_call_exit(&call);
	return true;
}

/**
 * __bpf_memcg_protection - compute the effective protection of a memcg
 * @root: the memcg that is reclaimed, never NULL
 * @memcg: a descendant of it, or @root itself
 * @recursive: whether memory_recursiveprot is in effect
 *
 * Stores memory.emin and memory.elow of @memcg, with what its policies make of
 * them. Does what page_counter_calculate_protection() does, and leaves memcgs
 * without a policy to it. Like it, it has to be called for the parent first. For a
 * task that may not ask, the protection that a memcg with policies has stays as it is.
 *
 * Context: reclaim, in process context. The caller keeps @memcg alive.
 */
void __bpf_memcg_protection(struct mem_cgroup *root, struct mem_cgroup *memcg, bool recursive)
{
	if (bpf_memcg_is_governed(memcg) && compute(root, memcg, recursive))
		return;
	page_counter_calculate_protection(&root->memory, &memcg->memory, recursive);
}
