// SPDX-License-Identifier: GPL-2.0
/* Calls of bpf_try_to_free_mem_cgroup_pages() that must not get past the verifier. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "bpf_experimental.h"
#include "memcg_reclaim.h"

char _license[] SEC("license") = "GPL";

static void reclaim_root(void)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return;
	bpf_try_to_free_mem_cgroup_pages(memcg, 1, MEMCG_GFP_KERNEL, 0, -1);
	bpf_put_mem_cgroup(memcg);
}

static void reclaim_root_bytes(void)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return;
	bpf_memcg_reclaim(memcg, 4096, -1);
	bpf_put_mem_cgroup(memcg);
}

/* A charge may come from anywhere: its policy must not sleep. */
SEC("?struct_ops")
unsigned int BPF_PROG(from_charge, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	bpf_try_to_free_mem_cgroup_pages(memcg, 1, MEMCG_GFP_KERNEL, 0, -1);
	return 0;
}

SEC("?.struct_ops.link")
struct memcg_bpf_ops charge_ops = {
	.memcg_charged = (void *)from_charge,
};

/* Nor may the program say that it sleeps. */
SEC("?struct_ops.s")
unsigned int BPF_PROG(sleeping_charge, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return 0;
}

SEC("?.struct_ops.link")
struct memcg_bpf_ops sleeping_ops = {
	.memcg_charged = (void *)sleeping_charge,
};

struct timer_elem {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct timer_elem);
} timers SEC(".maps");

static int timer_callback(void *map, int *key, struct timer_elem *elem)
{
	reclaim_root();
	return 0;
}

/* Of the callbacks that a policy may start, a timer's is in an interrupt. */
SEC("?struct_ops")
unsigned int BPF_PROG(from_timer, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct timer_elem *elem;
	int key = 0;

	elem = bpf_map_lookup_elem(&timers, &key);
	if (elem) {
		bpf_timer_init(&elem->timer, &timers, 1);
		bpf_timer_set_callback(&elem->timer, timer_callback);
	}
	return 0;
}

SEC("?.struct_ops.link")
struct memcg_bpf_ops timer_ops = {
	.memcg_charged = (void *)from_timer,
};

struct wq_elem {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct wq_elem);
} works SEC(".maps");

static int wq_callback(void *map, int *key, void *value)
{
	reclaim_root();
	return 0;
}

/* The callback may sleep, but it belongs to another type's program. */
SEC("?struct_ops")
void BPF_PROG(from_tcp, struct sock *sk)
{
	struct wq_elem *elem;
	int key = 0;

	elem = bpf_map_lookup_elem(&works, &key);
	if (!elem)
		return;
	bpf_wq_init(&elem->wq, &works, 0);
	bpf_wq_set_callback(&elem->wq, wq_callback, 0);
}

SEC("?struct_ops")
__u32 BPF_PROG(tcp_ssthresh, struct sock *sk)
{
	return 2;
}

SEC("?struct_ops")
void BPF_PROG(tcp_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC("?struct_ops")
__u32 BPF_PROG(tcp_undo_cwnd, struct sock *sk)
{
	return 2;
}

SEC("?.struct_ops.link")
struct tcp_congestion_ops tcp_ops = {
	.init		= (void *)from_tcp,
	.ssthresh	= (void *)tcp_ssthresh,
	.cong_avoid	= (void *)tcp_cong_avoid,
	.undo_cwnd	= (void *)tcp_undo_cwnd,
	.name		= "memcg_reclaim",
};

/* Sleepable, but who knows what locks the caller of a function holds. */
SEC("?fentry.s/bpf_fentry_test1")
int BPF_PROG(from_fentry)
{
	reclaim_root();
	return 0;
}

SEC("?fentry.s/bpf_fentry_test1")
int BPF_PROG(bytes_from_fentry)
{
	reclaim_root_bytes();
	return 0;
}

SEC("?syscall")
int under_rcu(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return 0;
	bpf_rcu_read_lock();
	bpf_try_to_free_mem_cgroup_pages(memcg, 1, MEMCG_GFP_KERNEL, 0, -1);
	bpf_rcu_read_unlock();
	bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("?syscall")
int under_preempt(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return 0;
	bpf_preempt_disable();
	bpf_try_to_free_mem_cgroup_pages(memcg, 1, MEMCG_GFP_KERNEL, 0, -1);
	bpf_preempt_enable();
	bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("?syscall")
int maybe_null(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	bpf_try_to_free_mem_cgroup_pages(memcg, 1, MEMCG_GFP_KERNEL, 0, -1);
	if (memcg)
		bpf_put_mem_cgroup(memcg);
	return 0;
}

/* Found by following pointers: nothing keeps it alive. */
SEC("?syscall")
int untrusted(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup(), *other;

	if (!memcg)
		return 0;
	other = bpf_core_cast(memcg->css.parent, struct mem_cgroup);
	bpf_try_to_free_mem_cgroup_pages(other, 1, MEMCG_GFP_KERNEL, 0, -1);
	bpf_put_mem_cgroup(memcg);
	return 0;
}
