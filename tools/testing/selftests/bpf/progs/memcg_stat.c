// SPDX-License-Identifier: GPL-2.0
/*
 * Read the counters of a memcg in every way there is: many in one call, and one
 * at a time; from a syscall program, from iterators that may and may not sleep,
 * and from a policy.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "memcg_stat.h"

char _license[] SEC("license") = "GPL";

/* What to read. Writable, as all memory is that a kfunc gets with its size. */
struct bpf_memcg_item items[MEMCG_STAT_ITEMS] = {};
__u32 nr_items;

__u64 cgid;			/* 0: the root memcg by its own kfunc */
bool flush;

/* How the sizes and addresses of the buffers are wrong, in bytes. */
__u32 items_extra, items_offset, values_short, values_offset;

__u64 bulk[MEMCG_STAT_ITEMS + 1];
__u64 single[MEMCG_STAT_ITEMS];
int result;
int rounds;

static __always_inline __u64 read_single(struct mem_cgroup *memcg, __u32 kind, __u32 index)
{
	switch (kind) {
	case BPF_MEMCG_ITEM_STATE:
		return bpf_mem_cgroup_page_state(memcg, index);
	case BPF_MEMCG_ITEM_VM_EVENT:
		return bpf_mem_cgroup_vm_events(memcg, index);
	case BPF_MEMCG_ITEM_MEMORY_EVENT:
		return bpf_mem_cgroup_memory_events(memcg, index);
	case BPF_MEMCG_ITEM_USAGE:
		return index ? -1 : bpf_mem_cgroup_usage(memcg);
	default:
		return -1;
	}
}

static __always_inline int read_bulk(struct mem_cgroup *memcg)
{
	__u32 items__sz = nr_items * sizeof(items[0]) + items_extra;
	__u32 values__sz = nr_items * sizeof(bulk[0]) - values_short;
	__u32 from = items_offset, to = values_offset;

	if (items__sz > sizeof(items) - sizeof(items[0]) || from >= sizeof(items[0]) ||
	    values__sz > sizeof(bulk) - sizeof(bulk[0]) || to >= sizeof(bulk[0]))
		return -1000;
	return bpf_mem_cgroup_read(memcg, (void *)items + from, items__sz,
				   (void *)bulk + to, values__sz);
}

static __always_inline void read_both(struct mem_cgroup *memcg)
{
	__u32 i;

	result = read_bulk(memcg);
	bpf_for(i, 0, nr_items) {
		if (i >= MEMCG_STAT_ITEMS)
			break;
		single[i] = read_single(memcg, items[i].kind, items[i].index);
	}
}

SEC("syscall")
int read_syscall(void *ctx)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;
	int i;

	if (!cgid) {
		memcg = bpf_get_root_mem_cgroup();
	} else {
		cgrp = bpf_cgroup_from_id(cgid);
		if (!cgrp)
			return 1;
		memcg = bpf_get_mem_cgroup(&cgrp->self);
		bpf_cgroup_release(cgrp);
	}
	if (!memcg)
		return 2;
	if (flush)
		bpf_mem_cgroup_flush_stats(memcg);
	bpf_for(i, 0, rounds)
		read_both(memcg);
	bpf_put_mem_cgroup(memcg);
	return 0;
}

static __always_inline int read_iterated(struct cgroup *cgrp, bool may_sleep)
{
	struct mem_cgroup *memcg;

	if (!cgrp)
		return 0;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (!memcg)
		return 1;
	if (may_sleep)
		bpf_mem_cgroup_flush_stats(memcg);
	read_both(memcg);
	bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("iter.s/cgroup")
int read_iter_sleepable(struct bpf_iter__cgroup *ctx)
{
	return read_iterated(ctx->cgroup, true);
}

SEC("iter/cgroup")
int read_iter(struct bpf_iter__cgroup *ctx)
{
	return read_iterated(ctx->cgroup, false);
}

/* A policy has its memcg as an argument and need not hold it. */
__u64 charges, charged_usage;

SEC("struct_ops")
unsigned int BPF_PROG(stat_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct bpf_memcg_item item = { .kind = BPF_MEMCG_ITEM_USAGE };
	__u64 value = 0;

	if (bpf_mem_cgroup_read(memcg, &item, sizeof(item), &value, sizeof(value)) == 1 &&
	    value == bpf_mem_cgroup_usage(memcg))
		charged_usage = value;
	__sync_fetch_and_add(&charges, 1);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops stat_policy = { .memcg_charged = (void *)stat_charged };
