// SPDX-License-Identifier: GPL-2.0
/* Two policies that ask for a delay at every charge, and who was delayed. */
#include "memcg_common.h"

#define PF_IO_WORKER	0x00000010
#define PF_MEMALLOC	0x00000800

__u32 delay_ms[2];	/* by policy: a, b */
__u32 target;		/* the process whose charges and delays are counted */
__u64 calls;		/* of policy a, for charges made by the target */
__u64 remote_calls;	/* of policy a, for charges made by others */

__u64 delays;		/* of the target */
__u64 asked_ms;
__u64 served_ms;
__u64 shortest_ms = -1;	/* served at once */
__u64 last_policy_cgid;
__u64 last_memcg_cgid;
__u64 other_delays;	/* of anybody else */
__u64 worker_delays;	/* of the target's io_uring workers */
__u64 shrinks;		/* of LRU lists, by the target */
__u64 shrinks_unmarked;	/* the task not marked as a reclaimer */

SEC("struct_ops")
unsigned int BPF_PROG(a_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	if (bpf_get_current_pid_tgid() >> 32 == target)
		__sync_fetch_and_add(&calls, 1);
	else
		__sync_fetch_and_add(&remote_calls, 1);
	return delay_ms[0];
}

SEC("struct_ops")
unsigned int BPF_PROG(b_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return delay_ms[1];
}

SEC(".struct_ops.link")
struct memcg_bpf_ops a = { .memcg_charged = (void *)a_charged };

SEC(".struct_ops.link")
struct memcg_bpf_ops b = { .memcg_charged = (void *)b_charged };

SEC("tracepoint/bpf_memcg/bpf_memcg_delay")
int on_delay(struct trace_event_raw_bpf_memcg_delay *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != target) {
		__sync_fetch_and_add(&other_delays, 1);
		return 0;
	}
	if (bpf_get_current_task_btf()->flags & PF_IO_WORKER)
		__sync_fetch_and_add(&worker_delays, 1);
	__sync_fetch_and_add(&asked_ms, ctx->asked_ms);
	__sync_fetch_and_add(&served_ms, ctx->served_ms);
	if (ctx->served_ms < shortest_ms)
		shortest_ms = ctx->served_ms;
	last_policy_cgid = ctx->policy_cgid;
	last_memcg_cgid = ctx->memcg_cgid;
	__sync_fetch_and_add(&delays, 1);
	return 0;
}

SEC("tracepoint/vmscan/mm_vmscan_lru_shrink_inactive")
int on_shrink(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	__sync_fetch_and_add(&shrinks, 1);
	if (!(bpf_get_current_task_btf()->flags & PF_MEMALLOC))
		__sync_fetch_and_add(&shrinks_unmarked, 1);
	return 0;
}
