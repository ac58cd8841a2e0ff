// SPDX-License-Identifier: GPL-2.0
/* Two policies that do nothing but keep books, and one that takes its time. */
#include "memcg_common.h"
#include "bpf_experimental.h"

MEMCG_BOOKKEEPER(a)
MEMCG_BOOKKEEPER(b)

SEC(".struct_ops.link")
struct memcg_bpf_ops a = { MEMCG_BOOKKEEPER_OPS(a) };

SEC(".struct_ops.link")
struct memcg_bpf_ops b = { MEMCG_BOOKKEEPER_OPS(b) };

/* Its first call ends when it is told to, or after two seconds. */
__u32 slow_entered;
__u32 slow_left;
__u32 slow_offline;
__u32 slow_offline_inside;
volatile bool slow_release;

SEC("struct_ops")
unsigned int BPF_PROG(slow_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__u64 end = bpf_ktime_get_ns() + 2000000000ULL;

	if (__sync_fetch_and_add(&slow_entered, 1))
		return 0;
	bpf_repeat(BPF_MAX_LOOPS)
		if (slow_release || bpf_ktime_get_ns() > end)
			break;
	__sync_fetch_and_add(&slow_left, 1);
	return 0;
}

SEC("struct_ops")
void BPF_PROG(slow_offline_call, struct mem_cgroup *memcg)
{
	if (slow_entered && !slow_left)
		slow_offline_inside++;
	__sync_fetch_and_add(&slow_offline, 1);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops slow = {
	.memcg_charged = (void *)slow_charged,
	.handle_cgroup_offline = (void *)slow_offline_call,
};
