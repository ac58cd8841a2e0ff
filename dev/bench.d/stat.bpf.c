// SPDX-License-Identifier: GPL-2.0
/* The kernel side of the readers that stat.c compares with parsing text. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "stat.h"

char _license[] SEC("license") = "GPL";

const volatile __u32 nr_items = 1;
const volatile __u32 nr_states = 1;	/* of the items, the first ones */
const volatile bool flush = true;
const volatile __u32 states[MAX_ITEMS];
const volatile __u32 events[MAX_ITEMS];

struct bpf_memcg_item items[MAX_ITEMS] = {};
__u64 cgid;
__u64 values[MAX_ITEMS];
__u32 nr_cgroups;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_CGROUPS);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

/* One cgroup, many counters in one call. */
SEC("syscall")
int read_one(void *ctx)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(cgid);
	if (!cgrp)
		return 1;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	if (!memcg)
		return 1;
	if (flush)
		bpf_mem_cgroup_flush_stats(memcg);
	bpf_mem_cgroup_read(memcg, items, nr_items * sizeof(items[0]),
			    values, nr_items * sizeof(values[0]));
	bpf_put_mem_cgroup(memcg);
	return 0;
}

/* As many cgroups as the iterator has, many counters in one call. */
SEC("iter.s/cgroup")
int sweep_bulk(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	struct mem_cgroup *memcg;
	struct record *rec;
	__u32 slot;

	if (!cgrp)
		return 0;
	slot = nr_cgroups;
	rec = bpf_map_lookup_elem(&records, &slot);
	if (!rec)
		return 1;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (!memcg)
		return 0;
	if (flush && !slot)
		bpf_mem_cgroup_flush_stats(memcg);
	rec->id = cgrp->kn->id;
	bpf_mem_cgroup_read(memcg, items, nr_items * sizeof(items[0]),
			    rec->values, nr_items * sizeof(values[0]));
	nr_cgroups = slot + 1;
	bpf_put_mem_cgroup(memcg);
	return 0;
}

/* As many as the iterator has, one counter in each call. */
SEC("iter.s/cgroup")
int sweep_single(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	struct mem_cgroup *memcg;
	struct record *rec;
	__u32 slot, i;

	if (!cgrp)
		return 0;
	slot = nr_cgroups;
	rec = bpf_map_lookup_elem(&records, &slot);
	if (!rec)
		return 1;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (!memcg)
		return 0;
	if (flush && !slot)
		bpf_mem_cgroup_flush_stats(memcg);
	rec->id = cgrp->kn->id;
	for (i = 0; i < nr_states && i < MAX_ITEMS; i++)
		rec->values[i] = bpf_mem_cgroup_page_state(memcg, states[i]);
	for (; i < nr_items && i < MAX_ITEMS; i++)
		rec->values[i] = bpf_mem_cgroup_vm_events(memcg, events[i]);
	nr_cgroups = slot + 1;
	bpf_put_mem_cgroup(memcg);
	return 0;
}
