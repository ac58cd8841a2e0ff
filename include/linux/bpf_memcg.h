/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF policies for the memory controller: what a policy implements, and the
 * gates by which the memory controller calls it.
 *
 * mm/bpf_memcg_ops.c makes struct memcg_bpf_ops loadable and attachable,
 * mm/bpf_memcg_core.c has what all calls of a policy have in common,
 * mm/bpf_memcg_charge.c and mm/bpf_memcg_protect.c make the calls, and
 * mm/bpf_memcg_delay.c serves the delays that policies ask for. While no policy is
 * attached to any cgroup each gate is a jump label that is not taken; without
 * CONFIG_BPF_MEMCG it is nothing.
 */
#ifndef _LINUX_BPF_MEMCG_H
#define _LINUX_BPF_MEMCG_H

#include <linux/bpf_cgroup_struct_ops.h>
#include <linux/jump_label.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/types.h>

struct mem_cgroup;

/**
 * enum bpf_memcg_protection - what below_low() and below_min() may answer
 * @BPF_MEMCG_DEFAULT: no opinion: the kernel decides by memory.low or memory.min
 * @BPF_MEMCG_PROTECT: protect all that this memcg uses
 * @BPF_MEMCG_EXPOSE: protect nothing of it, and give its share to its siblings
 */
enum bpf_memcg_protection {
	BPF_MEMCG_DEFAULT,
	BPF_MEMCG_PROTECT,
	BPF_MEMCG_EXPOSE,
};

/**
 * struct memcg_bpf_ops - a policy for a cgroup and its descendants
 *
 * Every member is optional and none may sleep. All are called under RCU, with
 * the policy itself and the memcg alive, in the context of whoever charges,
 * uncharges or reclaims: task, softirq or hard interrupt, possibly with
 * interrupts disabled. A policy that makes the kernel charge or uncharge is not
 * called again for that from the same context. Such calls, and calls skipped
 * because the context does not permit them (NMI, allocations that must not
 * spin), count as recursion misses of the program that was not called.
 */
struct memcg_bpf_ops {
	/**
	 * @handle_cgroup_online: The policy governs @memcg from now on. Called
	 * once for every memcg that is in the subtree when the policy is
	 * attached, and for each one created later, before any other member is
	 * called with that memcg.
	 *
	 * Context: process context, under cgroup_mutex.
	 */
	void (*handle_cgroup_online)(struct mem_cgroup *memcg);

	/**
	 * @handle_cgroup_offline: The policy does not govern @memcg any more:
	 * it was detached, replaced or overridden there, or the cgroup or its
	 * memory controller was removed. Pairs with @handle_cgroup_online. No member is called with
	 * @memcg afterwards, unless the policy comes to govern it again.
	 *
	 * Context: process context.
	 */
	void (*handle_cgroup_offline)(struct mem_cgroup *memcg);

	/**
	 * @memcg_charged: @nr_pages pages were added to the charge of @memcg
	 * itself, with which they count for all its ancestors. The memory
	 * controller charges in batches (%MEMCG_CHARGE_BATCH), so this is
	 * called when the counter moves and not for each page.
	 *
	 * Context: any but NMI; see above.
	 *
	 * Return: delay in milliseconds for the task that charged, 0 for none.
	 * The task serves the sum of the delays of one kernel entry when it
	 * returns to user space, at most %BPF_MEMCG_MAX_DELAY_MS of it. Of
	 * several policies the largest delay counts. No effect on tasks outside
	 * of the subtree that the policy governs, when the delay is noted or
	 * when it is to be served; in interrupts; on kernel threads,
	 * reclaimers, exiting tasks and OOM victims. Time for which
	 * memory.high makes the task sleep is taken off.
	 */
	unsigned int (*memcg_charged)(struct mem_cgroup *memcg, unsigned int nr_pages);

	/**
	 * @memcg_uncharged: @nr_pages pages were taken off the charge of @memcg
	 * itself. What was charged to a memcg that is offline by now is
	 * reported with its nearest ancestor that is not.
	 *
	 * Context: any but NMI; see above.
	 */
	void (*memcg_uncharged)(struct mem_cgroup *memcg, unsigned int nr_pages);

	/**
	 * @below_low: Reclaim computes the effective protection of @memcg.
	 * @elow is the effective memory.low that the kernel arrives at by
	 * itself, and @usage the usage, both in pages. Asked once in each
	 * reclaim pass, unless @below_min was answered with
	 * %BPF_MEMCG_PROTECT, and not asked about the memcg that is itself
	 * the target of the reclaim. A task that was killed does not ask, nor
	 * one that has spent more than half of its time with the answers: for
	 * these, the last answer stands.
	 *
	 * %BPF_MEMCG_PROTECT makes the effective memory.low cover the usage.
	 * Reclaim passes over @memcg until there is nothing else to reclaim. A
	 * policy with the host's authority protects regardless of what the
	 * ancestors have. One with a delegate's protects as memory.low=max
	 * would: within what the ancestors have, and not the cgroup that it
	 * is attached to.
	 *
	 * %BPF_MEMCG_EXPOSE makes the effective memory.low 0. @memcg claims
	 * nothing of its parent's protection until the policy answers
	 * otherwise or no longer governs it, so its siblings get its share.
	 *
	 * Context: reclaim, in process context or kswapd.
	 *
	 * Return: &enum bpf_memcg_protection; anything else counts as
	 * %BPF_MEMCG_DEFAULT. Of several policies the one nearest the root that
	 * has an answer decides.
	 */
	int (*below_low)(struct mem_cgroup *memcg, unsigned long elow, unsigned long usage);

	/**
	 * @below_min: The same for memory.min: @emin is the effective
	 * memory.min of @memcg, in pages. Asked before @below_low.
	 * %BPF_MEMCG_EXPOSE makes the effective memory.min 0.
	 * %BPF_MEMCG_PROTECT is granted as memory.low, as by @below_low: a
	 * policy must not be able to force an OOM kill.
	 *
	 * Context: reclaim, in process context or kswapd.
	 *
	 * Return: as for @below_low.
	 */
	int (*below_min)(struct mem_cgroup *memcg, unsigned long emin, unsigned long usage);

	/**
	 * @charge_over_limit: A charge of @nr_pages pages to @memcg hit the
	 * limit of @over_limit, which is @memcg or an ancestor of it, and is
	 * about to reclaim from it. @gfp is that of the allocation. The policies
	 * that govern @over_limit are asked, once for each limit that a charge
	 * hits.
	 *
	 * Context: process context that may sleep (the policy may not).
	 *
	 * Return: the number of pages to reclaim, clamped to @nr_pages and the
	 * size of a huge page; 0 for the default, which is @nr_pages. Of
	 * several policies the largest number counts.
	 */
	unsigned int (*charge_over_limit)(struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
					  gfp_t gfp, unsigned int nr_pages);
};

/* The most that one return to user space is delayed. */
#define BPF_MEMCG_MAX_DELAY_MS	2000

/* Called only if bpf_memcg_has_policies(). */
void __bpf_memcg_protection(struct mem_cgroup *root, struct mem_cgroup *memcg, bool recursive);

#ifdef CONFIG_BPF_MEMCG

DECLARE_STATIC_KEY_FALSE(bpf_memcg_key);

int bpf_memcg_css_online(struct mem_cgroup *memcg);
void bpf_memcg_css_killed(struct mem_cgroup *memcg);
void bpf_memcg_css_offline(struct mem_cgroup *memcg);
void bpf_memcg_css_reset(struct mem_cgroup *memcg);

void __bpf_memcg_charged(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp);
void __bpf_memcg_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages);
unsigned int __bpf_memcg_over_limit(struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
				    gfp_t gfp, unsigned int nr_pages);
void __bpf_memcg_serve_delay(void);

static inline bool bpf_memcg_has_policies(void)
{
	return static_branch_unlikely(&bpf_memcg_key);
}

/* The memory counter of @memcg, and of its ancestors, went up. */
static inline void bpf_memcg_charged(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp)
{
	if (bpf_memcg_has_policies())
		__bpf_memcg_charged(memcg, nr_pages, gfp);
}

/* It went down. */
static inline void bpf_memcg_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
	if (bpf_memcg_has_policies())
		__bpf_memcg_uncharged(memcg, nr_pages);
}

/* How much is to be reclaimed for a charge that hit a limit? */
static inline unsigned int bpf_memcg_over_limit(struct mem_cgroup *memcg,
						struct mem_cgroup *over_limit, gfp_t gfp,
						unsigned int nr_pages)
{
	if (bpf_memcg_has_policies())
		return __bpf_memcg_over_limit(memcg, over_limit, gfp, nr_pages);
	return nr_pages;
}

/*
 * On the way to user space, without locks. From here on, charges of this task note
 * no delay, until bpf_memcg_delay_served().
 */
static inline void bpf_memcg_serve_delay(void)
{
	if (bpf_memcg_has_policies())
		__bpf_memcg_serve_delay();
}

/* The end of this pass; after a delay was served the quiet period lasts for one more. */
static inline void bpf_memcg_delay_served(void)
{
	if (bpf_memcg_has_policies())
		current->bpf_memcg_delay_quiet >>= 1;
}

/* memory.high made the current task sleep: that counts towards its delay. */
static inline void bpf_memcg_high_penalty(unsigned int ms)
{
	if (bpf_memcg_has_policies())
		current->bpf_memcg_delay_ms -= min_t(unsigned int, ms, current->bpf_memcg_delay_ms);
}

/*
 * A new task owes no delay and is inside no policy. While no policy is attached
 * it may inherit a debt that its parent did not serve before the last policy
 * went. That lapses when it is to be served.
 */
static inline void bpf_memcg_fork(struct task_struct *child)
{
	if (bpf_memcg_has_policies()) {
		child->bpf_memcg_active = 0;
		child->bpf_memcg_delay_quiet = 0;
		child->bpf_memcg_delay_ms = 0;
	}
}

#else /* CONFIG_BPF_MEMCG */

static inline bool bpf_memcg_has_policies(void)
{
	return false;
}

static inline int bpf_memcg_css_online(struct mem_cgroup *memcg)
{
	return 0;
}

static inline void bpf_memcg_css_killed(struct mem_cgroup *memcg)
{
}

static inline void bpf_memcg_css_offline(struct mem_cgroup *memcg)
{
}

static inline void bpf_memcg_css_reset(struct mem_cgroup *memcg)
{
}

static inline void bpf_memcg_charged(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp)
{
}

static inline void bpf_memcg_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
}

static inline unsigned int bpf_memcg_over_limit(struct mem_cgroup *memcg,
						struct mem_cgroup *over_limit, gfp_t gfp,
						unsigned int nr_pages)
{
	return nr_pages;
}

static inline void bpf_memcg_serve_delay(void)
{
}

static inline void bpf_memcg_delay_served(void)
{
}

static inline void bpf_memcg_high_penalty(unsigned int ms)
{
}

static inline void bpf_memcg_fork(struct task_struct *child)
{
}

#endif /* CONFIG_BPF_MEMCG */

#endif /* _LINUX_BPF_MEMCG_H */
