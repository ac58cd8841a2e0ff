// SPDX-License-Identifier: GPL-2.0
/*
 * Calling the BPF policies of a memcg: the charge side.
 *
 * This file reports each change of a memcg's memory counter to the policies that
 * are effective on it, and asks the policies of a memcg whose limit was hit how
 * much to reclaim. mm/bpf_memcg_core.c has the rules of a call; mm/bpf_memcg_delay.c serves
 * the delays that memcg_charged() asks for.
 */

#include <linux/bpf_memcg.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>

#include "bpf_memcg_internal.h"

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
	const struct bpf_cgroup_ops_item *item;
	struct bpf_cgroup_ops_array *array;
	unsigned int ms, delay = 0;
	struct bpf_memcg_call call;
	u32 mark = 0;

	if (!bpf_memcg_is_governed(memcg))
		return;
	if (!gfpflags_allow_spinning(gfp) || !bpf_memcg_call_enter(&call)) {
		bpf_memcg_call_missed(memcg, offsetof(struct memcg_bpf_ops, memcg_charged));
		return;
	}

	array = bpf_memcg_online_policies(&memcg);
	bpf_memcg_for_each_policy(item, array) {
		const struct memcg_bpf_ops *ops = item->ops;

		if (!ops->memcg_charged)
			continue;
		ms = ops->memcg_charged(memcg, nr_pages);
		if (ms > delay && bpf_memcg_governs_current(item)) {
			delay = ms;
			mark = bpf_memcg_policy_mark(item);
		}
	}
	bpf_memcg_call_exit(&call);

	if (delay)
		bpf_memcg_add_delay(delay, mark);
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
	const struct bpf_cgroup_ops_item *item;
	struct bpf_cgroup_ops_array *array;
	struct bpf_memcg_call call;

	if (!bpf_memcg_is_governed(memcg))
		return;
	if (!bpf_memcg_call_enter(&call)) {
		bpf_memcg_call_missed(memcg, offsetof(struct memcg_bpf_ops, memcg_uncharged));
		return;
	}

	array = bpf_memcg_online_policies(&memcg);
	bpf_memcg_for_each_policy(item, array) {
		const struct memcg_bpf_ops *ops = item->ops;

		if (ops->memcg_uncharged)
			ops->memcg_uncharged(memcg, nr_pages);
	}
	bpf_memcg_call_exit(&call);
}

/**
 * __bpf_memcg_over_limit - ask the policies of a memcg whose limit was hit
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
	const struct bpf_cgroup_ops_item *item;
	struct bpf_cgroup_ops_array *array;
	struct bpf_memcg_call call;

	if (!bpf_memcg_is_governed(over_limit))
		return nr_pages;
	if (!bpf_memcg_call_enter(&call)) {
		bpf_memcg_call_missed(over_limit,
				      offsetof(struct memcg_bpf_ops, charge_over_limit));
		return nr_pages;
	}

	bpf_memcg_online_policies(&memcg);
	array = bpf_memcg_online_policies(&over_limit);
	bpf_memcg_for_each_policy(item, array) {
		const struct memcg_bpf_ops *ops = item->ops;

		if (ops->charge_over_limit)
			target = max(target, ops->charge_over_limit(memcg, over_limit, gfp,
								    nr_pages));
	}
	bpf_memcg_call_exit(&call);
	return min(target, most);
}
