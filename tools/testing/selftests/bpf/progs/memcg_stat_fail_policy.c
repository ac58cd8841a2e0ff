// SPDX-License-Identifier: GPL-2.0
/* A policy that wants to flush: no member of a policy may sleep. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

SEC("struct_ops")
unsigned int BPF_PROG(flushing_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	bpf_mem_cgroup_flush_stats(memcg);
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops flushing_policy = { .memcg_charged = (void *)flushing_charged };
