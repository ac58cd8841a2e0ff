// SPDX-License-Identifier: GPL-2.0
/* A policy that delays each charge by the same time, whatever its size. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

const volatile __u32 call_ms;
__u64 delays;

SEC("struct_ops")
unsigned int BPF_PROG(charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__sync_fetch_and_add(&delays, 1);
	return call_ms;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops fixed = {
	.memcg_charged = (void *)charged,
};
