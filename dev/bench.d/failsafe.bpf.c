// SPDX-License-Identifier: GPL-2.0
/* The hostile policies of failsafe.c. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

__u64 iterations = 1000000;
__u64 calls;

SEC("struct_ops")
unsigned int BPF_PROG(delay_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__sync_fetch_and_add(&calls, 1);
	return -1;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops delay = {
	.memcg_charged = (void *)delay_charged,
};

static long spin(__u64 i, void *ctx)
{
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(loop_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__sync_fetch_and_add(&calls, 1);
	bpf_loop(iterations, spin, NULL, 0);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops loop = {
	.memcg_charged = (void *)loop_charged,
};

SEC("struct_ops")
int BPF_PROG(slow_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	__sync_fetch_and_add(&calls, 1);
	bpf_loop(iterations, spin, NULL, 0);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops slow = {
	.below_low = (void *)slow_low,
};
