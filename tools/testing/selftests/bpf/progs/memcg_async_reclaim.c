// SPDX-License-Identifier: GPL-2.0
/*
 * A policy that keeps its cgroup below memory.max: when a charge takes it over
 * the start mark, reclaim in the background down to the stop mark, either in a
 * workqueue or by the task that charged, on its way to user space. Who charges
 * faster than that is slowed down over the brake mark.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "bpf_experimental.h"
#include "memcg_reclaim.h"

char _license[] SEC("license") = "GPL";

/* All in pages */
__u64 start;
__u64 stop;
__u64 brake;
__u64 cgid;
bool use_task_work;

__u64 kicks;
__u64 wq_runs;
__u64 task_runs;
__u64 rounds;
__u64 most_rounds;
__u64 reclaimed;
__u64 delays;
__u64 high_water;
__s64 failure;

#define BATCH		512
#define MAX_ROUNDS	32
#define MAX_FUTILE	3

struct elem {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct elem);
} queue SEC(".maps");

struct task_elem {
	struct bpf_task_work tw;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct task_elem);
} tasks SEC(".maps");

static __u64 usage_of(struct mem_cgroup *memcg)
{
	return memcg->memory.usage.counter;
}

/* Never starts itself again: only a charge does, and it does so once. */
static void reclaim(void)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;
	int i, futile = 0;
	__u64 mine = 0;
	__s64 ret;

	cgrp = bpf_cgroup_from_id(cgid);
	if (!cgrp)
		return;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	if (!memcg)
		return;
	bpf_for(i, 0, MAX_ROUNDS) {
		if (usage_of(memcg) <= stop)
			break;
		ret = bpf_try_to_free_mem_cgroup_pages(memcg, BATCH, MEMCG_GFP_KERNEL,
						       MEMCG_MAY_SWAP, -1);
		if (ret < 0) {
			failure = ret;
			break;
		}
		mine++;
		__sync_fetch_and_add(&rounds, 1);
		__sync_fetch_and_add(&reclaimed, ret);
		if (!ret && ++futile == MAX_FUTILE)
			break;
	}
	if (mine > most_rounds)
		most_rounds = mine;
	bpf_put_mem_cgroup(memcg);
}

static int wq_callback(void *map, int *key, void *value)
{
	__sync_fetch_and_add(&wq_runs, 1);
	reclaim();
	return 0;
}

static int task_callback(struct bpf_map *map, void *key, void *value)
{
	__sync_fetch_and_add(&task_runs, 1);
	reclaim();
	return 0;
}

static void kick(void)
{
	struct task_elem *task_elem;
	struct elem *elem;
	int key = 0;

	if (use_task_work) {
		task_elem = bpf_map_lookup_elem(&tasks, &key);
		/* -EBUSY while it is under way */
		if (task_elem)
			bpf_task_work_schedule_resume(bpf_get_current_task_btf(), &task_elem->tw,
						      &tasks, task_callback);
	} else {
		elem = bpf_map_lookup_elem(&queue, &key);
		if (elem)
			bpf_wq_start(&elem->wq, 0);
	}
	__sync_fetch_and_add(&kicks, 1);
}

SEC("struct_ops")
unsigned int BPF_PROG(charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__u64 usage = usage_of(memcg);

	if (usage > high_water)
		high_water = usage;
	if (usage > start)
		kick();
	if (usage <= brake)
		return 0;
	__sync_fetch_and_add(&delays, 1);
	return 1 + (usage - brake) / 8;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops policy = {
	.memcg_charged = (void *)charged,
};

SEC("syscall")
int prepare(void *ctx)
{
	struct elem *elem;
	int key = 0;

	elem = bpf_map_lookup_elem(&queue, &key);
	if (!elem)
		return 1;
	return bpf_wq_init(&elem->wq, &queue, BPF_F_WQ_UNBOUND) ?:
	       bpf_wq_set_callback(&elem->wq, wq_callback, 0);
}
