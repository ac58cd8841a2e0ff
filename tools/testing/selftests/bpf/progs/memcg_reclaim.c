// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_try_to_free_mem_cgroup_pages(): called from a system call, and from a
 * kernel thread that keeps a record of the CPU time it takes.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "bpf_experimental.h"
#include "memcg_reclaim.h"

char _license[] SEC("license") = "GPL";

__u64 cgid;
__u64 nr_pages;
__u32 gfp;
__u32 options;
__s32 swappiness;
__s64 result;

/* How long the loops below go on */
__u64 until_spent_ns;
__u64 deadline_ns;

__u64 spent_ns;
__u64 calls;
bool done;

__u32 wq_flags;
char worker_name[16];
__u32 worker_cpu;
bool worker_began;

/* A reference to the memcg alone, which does not keep its cgroup from going. */
static struct mem_cgroup *target(void)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(cgid);
	if (!cgrp)
		return NULL;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	return memcg;
}

SEC("syscall")
int reclaim(void *ctx)
{
	struct mem_cgroup *memcg = target();

	result = MEMCG_RECLAIM_NONE;
	if (!memcg)
		return 0;
	result = bpf_try_to_free_mem_cgroup_pages(memcg, nr_pages, gfp, options, swappiness);
	bpf_put_mem_cgroup(memcg);
	return 0;
}

__u64 size;		/* bytes */

SEC("syscall")
int reclaim_bytes(void *ctx)
{
	struct mem_cgroup *memcg = target();

	result = MEMCG_RECLAIM_NONE;
	if (!memcg)
		return 0;
	result = bpf_memcg_reclaim(memcg, size, swappiness);
	bpf_put_mem_cgroup(memcg);
	return 0;
}

/* As precise as the scheduler's tick, hence one long run of it. */
static __u64 runtime_ns(void)
{
	return bpf_get_current_task_btf()->se.sum_exec_runtime;
}

/* With the same memcg, until time is up or the kernel says that it is dying. */
static void reclaim_repeatedly(void)
{
	struct mem_cgroup *memcg = target();
	__u64 start = runtime_ns();
	int i;

	result = MEMCG_RECLAIM_NONE;
	if (!memcg)
		return;
	bpf_for(i, 0, BPF_MAX_LOOPS) {
		result = bpf_try_to_free_mem_cgroup_pages(memcg, nr_pages, gfp, options,
							  swappiness);
		calls++;
		spent_ns = runtime_ns() - start;
		if (result < 0 || spent_ns > until_spent_ns || bpf_ktime_get_ns() > deadline_ns)
			break;
	}
	bpf_put_mem_cgroup(memcg);
}

SEC("syscall")
int reclaim_until_dead(void *ctx)
{
	reclaim_repeatedly();
	return 0;
}

/* Detaching it waits for a tasks-trace grace period. */
SEC("uprobe")
int on_nothing(void *ctx)
{
	return 0;
}

struct elem {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct elem);
} work SEC(".maps");

static int worker(void *map, int *key, void *value)
{
	bpf_get_current_comm(worker_name, sizeof(worker_name));
	worker_cpu = bpf_get_smp_processor_id();
	worker_began = true;
	reclaim_repeatedly();
	done = true;
	return 0;
}

SEC("syscall")
int start_worker(void *ctx)
{
	struct elem *elem;
	int key = 0;

	elem = bpf_map_lookup_elem(&work, &key);
	if (!elem)
		return 1;
	if (bpf_wq_init(&elem->wq, &work, wq_flags) ||
	    bpf_wq_set_callback(&elem->wq, worker, 0))
		return 2;
	return bpf_wq_start(&elem->wq, 0) ? 3 : 0;
}
