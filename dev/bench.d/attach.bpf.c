// SPDX-License-Identifier: GPL-2.0
/* What attach.c attaches: two policies, and struct_ops that know no cgroup. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

/* How often a policy was told of a memcg that it governs, or no longer does. */
__u64 online, offline;

SEC("struct_ops")
void BPF_PROG(handle_online, struct mem_cgroup *memcg)
{
	__sync_fetch_and_add(&online, 1);
}

SEC("struct_ops")
void BPF_PROG(handle_offline, struct mem_cgroup *memcg)
{
	__sync_fetch_and_add(&offline, 1);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops policy = {
	.handle_cgroup_online = (void *)handle_online,
	.handle_cgroup_offline = (void *)handle_offline,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops successor = {
	.handle_cgroup_online = (void *)handle_online,
	.handle_cgroup_offline = (void *)handle_offline,
};

/* The least that is accepted as a congestion control. Nobody selects it. */
SEC("struct_ops")
__u32 BPF_PROG(ssthresh, struct sock *sk)
{
	return 2;
}

SEC("struct_ops")
void BPF_PROG(cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC("struct_ops")
__u32 BPF_PROG(undo_cwnd, struct sock *sk)
{
	return 2;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops congestion = {
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "bench_attach",
};
