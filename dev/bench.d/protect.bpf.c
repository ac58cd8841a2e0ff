// SPDX-License-Identifier: GPL-2.0
/* The policy of protect.c: one answer to every question, counted. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

int low_answer, min_answer;	/* set before the policy is attached */
__u64 calls;

SEC("struct_ops")
int BPF_PROG(below_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	__sync_fetch_and_add(&calls, 1);
	return low_answer;
}

SEC("struct_ops")
int BPF_PROG(below_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	__sync_fetch_and_add(&calls, 1);
	return min_answer;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops policy = {
	.below_low = (void *)below_low,
	.below_min = (void *)below_min,
};
