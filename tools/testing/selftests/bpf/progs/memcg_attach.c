// SPDX-License-Identifier: GPL-2.0
/* Three policies to attach anywhere, and things that do not attach. */
#define MEMCG_ON_CHARGED(name, memcg)	trace_call(#name[0], memcg)
#include "memcg_common.h"

/* Who is told of charges to one cgroup, in the order of the calls. */
#define TRACE_SIZE	256

__u64 trace_cgid;
__u32 trace_len;
char trace[TRACE_SIZE];

static __always_inline void trace_call(char name, struct mem_cgroup *memcg)
{
	__u32 i;

	if (memcg_id(memcg) != trace_cgid)
		return;
	i = __sync_fetch_and_add(&trace_len, 1);
	if (i < TRACE_SIZE)
		trace[i] = name;
}

MEMCG_BOOKKEEPER(a)
MEMCG_BOOKKEEPER(b)
MEMCG_BOOKKEEPER(c)

SEC(".struct_ops.link")
struct memcg_bpf_ops a = { MEMCG_BOOKKEEPER_OPS(a) };

SEC(".struct_ops.link")
struct memcg_bpf_ops b = { MEMCG_BOOKKEEPER_OPS(b) };

SEC(".struct_ops.link")
struct memcg_bpf_ops c = { MEMCG_BOOKKEEPER_OPS(c) };

/* Every member is optional. */
SEC(".struct_ops.link")
struct memcg_bpf_ops empty = {};

SEC(".struct_ops")
struct memcg_bpf_ops no_link = { MEMCG_BOOKKEEPER_OPS(a) };

/* A struct_ops type that has nothing to do with cgroups. */
SEC("struct_ops")
__u32 BPF_PROG(other_ssthresh, struct sock *sk)
{
	return 2;
}

SEC("struct_ops")
void BPF_PROG(other_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC("struct_ops")
__u32 BPF_PROG(other_undo_cwnd, struct sock *sk)
{
	return 2;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops other = {
	.ssthresh = (void *)other_ssthresh,
	.cong_avoid = (void *)other_cong_avoid,
	.undo_cwnd = (void *)other_undo_cwnd,
	.name = "memcg_other",
};
