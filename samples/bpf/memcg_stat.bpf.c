// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel side of memcg_stat: a cgroup iterator that puts the counters of
 * each cgroup it comes to into a map. The map is mapped into user space, so that
 * one read() of the iterator brings a whole subtree and copies nothing.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "memcg_stat.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 nr_items = 1;
const volatile bool flush = true;

/* Not constant, because no kfunc takes read-only memory with a size. */
struct bpf_memcg_item items[MEMCG_STAT_MAX_ITEMS] = {};

/* Of the last sweep; may be more than there is room for. */
__u32 nr_cgroups;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct memcg_stat_record) + sizeof(__u64));
} records SEC(".maps");

/* The limits are those of the files; the largest value stands for "max". */
static void read_fields(__u64 *to, struct mem_cgroup *memcg, struct cgroup *cgrp)
{
	to[FIELD_PEAK] = memcg->memory.watermark;
	to[FIELD_MAX] = memcg->memory.max;
	to[FIELD_HIGH] = memcg->memory.high;
	to[FIELD_LOW] = memcg->memory.low;
	to[FIELD_MIN] = memcg->memory.min;
	to[FIELD_SWAP] = memcg->swap.usage.counter;
	to[FIELD_SWAP_PEAK] = memcg->swap.watermark;
	to[FIELD_SWAP_MAX] = memcg->swap.max;
	to[FIELD_SWAP_HIGH] = memcg->swap.high;
	to[FIELD_PSI_SOME] = MEMCG_STAT_ABSENT;
	to[FIELD_PSI_FULL] = MEMCG_STAT_ABSENT;
	if (BPF_CORE_READ(cgrp, psi)) {
		to[FIELD_PSI_SOME] = BPF_CORE_READ(cgrp, psi, total[PSI_MEM_SOME]);
		to[FIELD_PSI_FULL] = BPF_CORE_READ(cgrp, psi, total[PSI_MEM_FULL]);
	}
}

SEC("iter.s/cgroup")
int sweep(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	struct memcg_stat_record *rec;
	struct mem_cgroup *memcg;
	__u32 slot;

	/* The end of the sweep */
	if (!cgrp)
		return 0;

	slot = nr_cgroups++;
	rec = bpf_map_lookup_elem(&records, &slot);
	if (!rec)
		return 0;

	rec->id = cgrp->kn->id;
	rec->level = cgrp->level;
	bpf_probe_read_kernel_str(rec->name, sizeof(rec->name), cgrp->kn->name);

	/* None where the memory controller is not enabled, or no longer */
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	rec->has_memory = !!memcg;
	if (!memcg)
		return 0;

	/* The first has all others below it, and they are flushed with it */
	if (flush && !slot)
		bpf_mem_cgroup_flush_stats(memcg);
	read_fields(rec->fields, memcg, cgrp);
	bpf_mem_cgroup_read(memcg, items, nr_items * sizeof(items[0]),
			    rec->values, nr_items * sizeof(rec->values[0]));
	bpf_put_mem_cgroup(memcg);
	return 0;
}
