// SPDX-License-Identifier: GPL-2.0
/*
 * The policies of torture.c: one that keeps books, and those that mean harm. Each
 * hostile policy does one thing to the extreme; "random" returns any value at all.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

#define GFP_KERNEL_BITS	0xcc0
#define MAY_SWAP	2

/* Iterations of the policy "loop" in one call, and how it is cut short */
__u64 loop_iterations = 1000000;

/* What the bookkeeper was told, summed over all memcgs */
__u64 online, offline, charged, uncharged;

/* Calls of the hostile policies, to know that they ran */
__u64 hostile_calls, requeued;

static __always_inline void note(void)
{
	__sync_fetch_and_add(&hostile_calls, 1);
}

SEC("struct_ops")
void BPF_PROG(books_online, struct mem_cgroup *memcg)
{
	__sync_fetch_and_add(&online, 1);
}

SEC("struct_ops")
void BPF_PROG(books_offline, struct mem_cgroup *memcg)
{
	__sync_fetch_and_add(&offline, 1);
}

SEC("struct_ops")
unsigned int BPF_PROG(books_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__sync_fetch_and_add(&charged, nr_pages);
	return 0;
}

SEC("struct_ops")
void BPF_PROG(books_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__sync_fetch_and_add(&uncharged, nr_pages);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops books = {
	.handle_cgroup_online = (void *)books_online,
	.handle_cgroup_offline = (void *)books_offline,
	.memcg_charged = (void *)books_charged,
	.memcg_uncharged = (void *)books_uncharged,
};

/* Any value. Delays are left to the policy "delay": they would fill the round. */
static __always_inline __u32 any(void)
{
	__u32 value = bpf_get_prandom_u32();

	note();
	/* small values are the meaningful ones */
	return value & 1 ? value >> 28 : value;
}

SEC("struct_ops")
unsigned int BPF_PROG(random_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return any() & 3;
}

SEC("struct_ops")
int BPF_PROG(random_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	return any();
}

SEC("struct_ops")
int BPF_PROG(random_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	return any();
}

SEC("struct_ops")
unsigned int BPF_PROG(random_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over,
		      gfp_t gfp, unsigned int nr_pages)
{
	return any();
}

SEC(".struct_ops.link")
struct memcg_bpf_ops random = {
	.memcg_charged = (void *)random_charged,
	.below_low = (void *)random_low,
	.below_min = (void *)random_min,
	.charge_over_limit = (void *)random_over_limit,
};

SEC("struct_ops")
unsigned int BPF_PROG(delay_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	note();
	return -1;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops delay = {
	.memcg_charged = (void *)delay_charged,
};

SEC("struct_ops")
int BPF_PROG(protect_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	note();
	return 1;
}

SEC("struct_ops")
int BPF_PROG(protect_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	note();
	return 1;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops protect = {
	.below_low = (void *)protect_low,
	.below_min = (void *)protect_min,
};

SEC("struct_ops")
int BPF_PROG(expose_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	note();
	return 2;
}

SEC("struct_ops")
int BPF_PROG(expose_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	note();
	return 2;
}

SEC("struct_ops")
unsigned int BPF_PROG(expose_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over,
		      gfp_t gfp, unsigned int nr_pages)
{
	note();
	return -1;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops expose = {
	.below_low = (void *)expose_low,
	.below_min = (void *)expose_min,
	.charge_over_limit = (void *)expose_over_limit,
};

/* Makes the kernel allocate and free inside each call. */
struct chunk {
	char bytes[2048];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct chunk);
} storage SEC(".maps");

static struct chunk zeroes;

static __always_inline void allocate(void)
{
	__u32 key = bpf_get_prandom_u32() & 255;

	note();
	bpf_map_update_elem(&chunks, &key, &zeroes, BPF_ANY);
	key ^= 1;
	bpf_map_delete_elem(&chunks, &key);
	bpf_task_storage_get(&storage, bpf_get_current_task_btf(), 0,
			     BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (key & 2)
		bpf_task_storage_delete(&storage, bpf_get_current_task_btf());
}

SEC("struct_ops")
void BPF_PROG(allocate_online, struct mem_cgroup *memcg)
{
	allocate();
}

SEC("struct_ops")
void BPF_PROG(allocate_offline, struct mem_cgroup *memcg)
{
	allocate();
}

SEC("struct_ops")
unsigned int BPF_PROG(allocate_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	allocate();
	return 0;
}

SEC("struct_ops")
void BPF_PROG(allocate_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	allocate();
}

SEC("struct_ops")
int BPF_PROG(allocate_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	allocate();
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops allocating = {
	.handle_cgroup_online = (void *)allocate_online,
	.handle_cgroup_offline = (void *)allocate_offline,
	.memcg_charged = (void *)allocate_charged,
	.memcg_uncharged = (void *)allocate_uncharged,
	.below_low = (void *)allocate_low,
};

/* Takes its time */
static long spin(__u64 i, void *ctx)
{
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(loop_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	note();
	bpf_loop(loop_iterations, spin, NULL, 0);
	return 0;
}

SEC("struct_ops")
int BPF_PROG(loop_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	note();
	bpf_loop(loop_iterations, spin, NULL, 0);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops loop = {
	.memcg_charged = (void *)loop_charged,
	.below_low = (void *)loop_low,
};

/* Work that reclaims, and queues itself again */
struct queue_value {
	struct bpf_wq wq;
	struct bpf_task_work tw;
	__u64 cgid;
	__u64 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct queue_value);
} queue SEC(".maps");

/* How often the work queues itself again for one charge */
__u64 requeues = 4;

/* Ends the chain: a policy that nobody governs any more has no business */
bool stop_requeue;

static void reclaim(struct queue_value *value)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(value->cgid);
	if (!cgrp)
		return;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	if (!memcg)
		return;
	bpf_try_to_free_mem_cgroup_pages(memcg, 64, GFP_KERNEL_BITS, MAY_SWAP, -1);
	bpf_put_mem_cgroup(memcg);
}

static int wq_callback(void *map, int *key, void *value)
{
	struct queue_value *v = value;

	__sync_fetch_and_add(&requeued, 1);
	reclaim(v);
	if (!stop_requeue && v->left) {
		v->left--;
		bpf_wq_start(&v->wq, 0);
	}
	return 0;
}

static int task_callback(struct bpf_map *map, void *key, void *value)
{
	__sync_fetch_and_add(&requeued, 1);
	reclaim(value);
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(requeue_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct queue_value *value;
	int key = 0;

	note();
	value = bpf_map_lookup_elem(&queue, &key);
	if (!value || stop_requeue)
		return 0;
	value->cgid = memcg->css.cgroup->kn->id;
	value->left = requeues;
	if (bpf_get_prandom_u32() & 1)
		bpf_wq_start(&value->wq, 0);
	else
		bpf_task_work_schedule_resume(bpf_get_current_task_btf(), &value->tw, &queue,
					      task_callback);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops requeue = {
	.memcg_charged = (void *)requeue_charged,
};

SEC("syscall")
int prepare(void *ctx)
{
	struct queue_value *value;
	int key = 0;

	value = bpf_map_lookup_elem(&queue, &key);
	if (!value)
		return 1;
	return bpf_wq_init(&value->wq, &queue, 0) ?: bpf_wq_set_callback(&value->wq, wq_callback, 0);
}
