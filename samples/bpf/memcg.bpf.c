// SPDX-License-Identifier: GPL-2.0
/*
 * Priority control of two memory cgroups, the BPF side; memcg.c has the story.
 *
 * User space decides once per interval and leaves its decision in a variable;
 * the policies here only look it up, because reclaim and charging are hot.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

extern struct cgroup *bpf_cgroup_from_id(u64 cgid) __ksym __weak;
extern void bpf_cgroup_release(struct cgroup *cgrp) __ksym __weak;
extern struct mem_cgroup *
bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym __weak;
extern void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym __weak;
extern void bpf_mem_cgroup_flush_stats(struct mem_cgroup *memcg) __ksym __weak;
extern unsigned long
bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
			 enum vm_event_item event) __ksym __weak;
extern unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg) __ksym __weak;

/* Given by user space before loading. */
const volatile __u64 high_id;	/* cgroup id of the one to protect */
const volatile __u64 stale_ns;	/* a decision older than this is void */
const volatile __u32 delay_ms;	/* for each charge of low while high is active */

/* The decision: written by user space, read by the policies. */
__u32 decision;			/* enum bpf_memcg_protection */
__u64 decided_ns;

/* What observe() saw last. */
__u64 seen_faults;
__u64 seen_usage;

/* What the policies were asked and what they answered. */
__u64 answers[3];		/* indexed by enum bpf_memcg_protection */
__u64 asked_low, asked_min;
__u64 delays;
__u64 online, offline;

#define count(x) __sync_fetch_and_add(&(x), 1)

/*
 * The decision, unless the one who takes them has fallen silent: stopped, or
 * stuck in the very memory shortage that this is about. The kernel's own
 * behaviour is the best guess then.
 */
static __u32 decided(void)
{
	__u32 d = *(volatile __u32 *)&decision;

	if ((__s64)(bpf_ktime_get_ns() - decided_ns) > (__s64)stale_ns)
		return BPF_MEMCG_DEFAULT;
	return d;
}

static int answer(void)
{
	__u32 d = decided();

	if (d == BPF_MEMCG_PROTECT)
		count(answers[BPF_MEMCG_PROTECT]);
	else if (d == BPF_MEMCG_EXPOSE)
		count(answers[BPF_MEMCG_EXPOSE]);
	else
		count(answers[BPF_MEMCG_DEFAULT]);
	return d;
}

SEC("struct_ops/below_low")
int BPF_PROG(high_below_low, struct mem_cgroup *memcg, unsigned long elow,
	     unsigned long usage)
{
	count(asked_low);
	return answer();
}

SEC("struct_ops/below_min")
int BPF_PROG(high_below_min, struct mem_cgroup *memcg, unsigned long emin,
	     unsigned long usage)
{
	count(asked_min);
	return answer();
}

SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(low_charged, struct mem_cgroup *memcg,
		      unsigned int nr_pages)
{
	if (decided() != BPF_MEMCG_PROTECT)
		return 0;
	count(delays);
	return delay_ms;
}

SEC("struct_ops/handle_cgroup_online")
void BPF_PROG(governed_online, struct mem_cgroup *memcg)
{
	count(online);
}

SEC("struct_ops/handle_cgroup_offline")
void BPF_PROG(governed_offline, struct mem_cgroup *memcg)
{
	count(offline);
}

/* User space clears the members that its options do not ask for. */
SEC(".struct_ops.link")
struct memcg_bpf_ops high_policy = {
	.handle_cgroup_online	= (void *)governed_online,
	.handle_cgroup_offline	= (void *)governed_offline,
	.below_low		= (void *)high_below_low,
	.below_min		= (void *)high_below_min,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops low_policy = {
	.handle_cgroup_online	= (void *)governed_online,
	.handle_cgroup_offline	= (void *)governed_offline,
	.memcg_charged		= (void *)low_charged,
};

/*
 * Run by user space once per interval: how much has high been faulting? The
 * counters are hierarchical, so cgroups below high are in.
 */
SEC("syscall")
int observe(void *ctx)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(high_id);
	if (!cgrp)
		return 1;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	if (!memcg)
		return 1;

	bpf_mem_cgroup_flush_stats(memcg);
	seen_faults = bpf_mem_cgroup_vm_events(memcg, PGFAULT);
	seen_usage = bpf_mem_cgroup_usage(memcg);
	bpf_put_mem_cgroup(memcg);
	return 0;
}
