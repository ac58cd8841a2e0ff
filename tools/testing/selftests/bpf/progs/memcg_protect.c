// SPDX-License-Identifier: GPL-2.0
/* Two policies that answer what they are told to about one cgroup each. */
#include "memcg_common.h"
#include "bpf_experimental.h"

/* By policy: a, b. */
__u64 answer_cgid[2];		/* about whom, 0: about everybody */
int answer_low[2], answer_min[2];

__u64 calls;			/* of policy a */
__u64 low_elow, low_usage;	/* what policy a was asked about its cgroup */
__u64 min_emin, min_usage;
__u64 watch_cgid, watch_elow;	/* elow of another cgroup */
__u64 granted_elow, granted_usage;	/* what the answer about policy a's cgroup led to */

__u32 victim;			/* a process; policy a holds it until it was killed */
__u64 victim_calls;
volatile bool victim_killed;

__u64 slow_ns;			/* policy a takes that long in below_low() */
__u64 slow_total;		/* ns, so far */

static __always_inline void wait_for_kill(void)
{
	__u64 end = bpf_ktime_get_ns() + 2000000000ULL;

	if (!victim || bpf_get_current_pid_tgid() >> 32 != victim)
		return;
	if (__sync_fetch_and_add(&victim_calls, 1))
		return;
	bpf_repeat(BPF_MAX_LOOPS)
		if (victim_killed || bpf_ktime_get_ns() > end)
			break;
}

static __always_inline void be_slow(void)
{
	__u64 start = bpf_ktime_get_ns();

	bpf_repeat(BPF_MAX_LOOPS)
		if (bpf_ktime_get_ns() - start > slow_ns)
			break;
	__sync_fetch_and_add(&slow_total, bpf_ktime_get_ns() - start);
}

static __always_inline bool applies(int policy, struct mem_cgroup *memcg)
{
	return !answer_cgid[policy] || answer_cgid[policy] == memcg_id(memcg);
}

SEC("struct_ops")
int BPF_PROG(a_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	if (watch_cgid == memcg_id(memcg))
		watch_elow = elow;
	if (slow_ns)
		be_slow();
	if (!applies(0, memcg))
		return BPF_MEMCG_DEFAULT;
	__sync_fetch_and_add(&calls, 1);
	low_elow = elow;
	low_usage = usage;
	return answer_low[0];
}

SEC("struct_ops")
int BPF_PROG(a_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	wait_for_kill();
	if (!applies(0, memcg))
		return BPF_MEMCG_DEFAULT;
	__sync_fetch_and_add(&calls, 1);
	min_emin = emin;
	min_usage = usage;
	return answer_min[0];
}

SEC("tp_btf/bpf_memcg_protection")
int BPF_PROG(granted, u64 policy_cgid, u64 memcg_cgid, int low, int min, unsigned long usage,
	     unsigned long elow, unsigned long emin)
{
	if (memcg_cgid == answer_cgid[0]) {
		granted_usage = usage;
		granted_elow = elow;
	}
	return 0;
}

SEC("struct_ops")
int BPF_PROG(b_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	return applies(1, memcg) ? answer_low[1] : BPF_MEMCG_DEFAULT;
}

SEC("struct_ops")
int BPF_PROG(b_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	return applies(1, memcg) ? answer_min[1] : BPF_MEMCG_DEFAULT;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops a = {
	.below_low = (void *)a_low,
	.below_min = (void *)a_min,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops b = {
	.below_low = (void *)b_low,
	.below_min = (void *)b_min,
};
