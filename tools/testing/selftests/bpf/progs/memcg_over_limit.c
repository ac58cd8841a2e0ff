// SPDX-License-Identifier: GPL-2.0
/* Two policies that say how much to reclaim when a charge hits a limit. */
#include "memcg_common.h"

__u32 answer[2];	/* pages, by policy: a, b */
__u64 calls, calls_b;	/* of policy a, b */
__u64 memcg_cgid, over_limit_cgid;
__u32 gfp, max_nr_pages;
__u32 charge;		/* pages, of the last question */
__u64 most;		/* pages that reclaim was asked for */
__u64 too_few;		/* times that it was asked for less than the charge */

SEC("struct_ops")
unsigned int BPF_PROG(a_over_limit, struct mem_cgroup *memcg,
		      struct mem_cgroup *over_limit, gfp_t gfp_mask,
		      unsigned int nr_pages)
{
	__sync_fetch_and_add(&calls, 1);
	memcg_cgid = memcg_id(memcg);
	over_limit_cgid = memcg_id(over_limit);
	gfp = gfp_mask;
	charge = nr_pages;
	if (nr_pages > max_nr_pages)
		max_nr_pages = nr_pages;
	return answer[0];
}

SEC("struct_ops")
unsigned int BPF_PROG(b_over_limit, struct mem_cgroup *memcg,
		      struct mem_cgroup *over_limit, gfp_t gfp_mask,
		      unsigned int nr_pages)
{
	__sync_fetch_and_add(&calls_b, 1);
	return answer[1];
}

SEC(".struct_ops.link")
struct memcg_bpf_ops a = { .charge_over_limit = (void *)a_over_limit };

SEC(".struct_ops.link")
struct memcg_bpf_ops b = { .charge_over_limit = (void *)b_over_limit };

SEC("fentry/try_to_free_mem_cgroup_pages")
int BPF_PROG(on_reclaim, struct mem_cgroup *memcg, unsigned long nr_pages)
{
	if (!charge || memcg_id(memcg) != over_limit_cgid)
		return 0;
	if (nr_pages > most)
		most = nr_pages;
	if (nr_pages < charge)
		too_few++;
	return 0;
}
