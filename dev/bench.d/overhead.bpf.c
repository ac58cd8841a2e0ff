// SPDX-License-Identifier: GPL-2.0
/* The policies of overhead.c: one that does nothing, one that hears nothing, one that counts. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

/* Calls of the counting policy. Plain additions: the guest has one CPU. */
__u64 charged, uncharged, low, min, over_limit;

SEC("struct_ops")
void BPF_PROG(nop_online, struct mem_cgroup *memcg)
{
}

SEC("struct_ops")
void BPF_PROG(nop_offline, struct mem_cgroup *memcg)
{
}

SEC("struct_ops")
unsigned int BPF_PROG(nop_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return 0;
}

SEC("struct_ops")
void BPF_PROG(nop_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
}

SEC("struct_ops")
int BPF_PROG(nop_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(nop_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(nop_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over,
		      gfp_t gfp, unsigned int nr_pages)
{
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(count_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	charged++;
	return 0;
}

SEC("struct_ops")
void BPF_PROG(count_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	uncharged++;
}

SEC("struct_ops")
int BPF_PROG(count_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	low++;
	return 0;
}

SEC("struct_ops")
int BPF_PROG(count_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	min++;
	return 0;
}

SEC("struct_ops")
unsigned int BPF_PROG(count_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over,
		      gfp_t gfp, unsigned int nr_pages)
{
	over_limit++;
	return 0;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops nothing = {
	.handle_cgroup_online = (void *)nop_online,
	.handle_cgroup_offline = (void *)nop_offline,
	.memcg_charged = (void *)nop_charged,
	.memcg_uncharged = (void *)nop_uncharged,
	.below_low = (void *)nop_low,
	.below_min = (void *)nop_min,
	.charge_over_limit = (void *)nop_over_limit,
};

/* Implements nothing that is called on a charge or in reclaim. */
SEC(".struct_ops.link")
struct memcg_bpf_ops deaf = {
	.handle_cgroup_online = (void *)nop_online,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops counting = {
	.memcg_charged = (void *)count_charged,
	.memcg_uncharged = (void *)count_uncharged,
	.below_low = (void *)count_low,
	.below_min = (void *)count_min,
	.charge_over_limit = (void *)count_over_limit,
};
