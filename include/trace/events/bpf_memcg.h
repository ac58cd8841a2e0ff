/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bpf_memcg

#if !defined(_TRACE_BPF_MEMCG_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_BPF_MEMCG_H

#include <linux/tracepoint.h>

/**
 * bpf_memcg_delay - the current task was delayed on its way to user space
 * @policy_cgid: the cgroup whose policy asked for it (the last one, where several
 *	charges did)
 * @memcg_cgid: the cgroup of the task
 * @asked_ms: the delay owed in milliseconds
 * @served_ms: the time it took; less when a signal came. Unless that killed the
 *	task the rest is served afterwards, and reported by another event.
 */
TRACE_EVENT(bpf_memcg_delay,

	TP_PROTO(u64 policy_cgid, u64 memcg_cgid, unsigned int asked_ms, unsigned int served_ms),

	TP_ARGS(policy_cgid, memcg_cgid, asked_ms, served_ms),

	TP_STRUCT__entry(
		__field(u64, policy_cgid)
		__field(u64, memcg_cgid)
		__field(unsigned int, asked_ms)
		__field(unsigned int, served_ms)
	),

	TP_fast_assign(
		__entry->policy_cgid = policy_cgid;
		__entry->memcg_cgid = memcg_cgid;
		__entry->asked_ms = asked_ms;
		__entry->served_ms = served_ms;
	),

	TP_printk("policy_cgid=%llu memcg_cgid=%llu asked_ms=%u served_ms=%u",
		  __entry->policy_cgid, __entry->memcg_cgid,
		  __entry->asked_ms, __entry->served_ms)
);

#define show_answer(answer) \
	__print_symbolic(answer, { 0, "default" }, { 1, "protect" }, { 2, "expose" })

/**
 * bpf_memcg_protection - a policy decided about the protection of a memcg
 * @policy_cgid: the cgroup whose policy decided; of two, that of memory.low
 * @memcg_cgid: the cgroup of the memcg
 * @low: the answer about memory.low that counts, &enum bpf_memcg_protection
 * @min: the answer about memory.min that counts
 * @usage: usage of the memcg in pages
 * @elow: its effective memory.low from now on, in pages
 * @emin: its effective memory.min from now on, in pages
 *
 * Once in each reclaim pass, and not if both answers are %BPF_MEMCG_DEFAULT.
 */
TRACE_EVENT(bpf_memcg_protection,

	TP_PROTO(u64 policy_cgid, u64 memcg_cgid, int low, int min, unsigned long usage,
		 unsigned long elow, unsigned long emin),

	TP_ARGS(policy_cgid, memcg_cgid, low, min, usage, elow, emin),

	TP_STRUCT__entry(
		__field(u64, policy_cgid)
		__field(u64, memcg_cgid)
		__field(int, low)
		__field(int, min)
		__field(unsigned long, usage)
		__field(unsigned long, elow)
		__field(unsigned long, emin)
	),

	TP_fast_assign(
		__entry->policy_cgid = policy_cgid;
		__entry->memcg_cgid = memcg_cgid;
		__entry->low = low;
		__entry->min = min;
		__entry->usage = usage;
		__entry->elow = elow;
		__entry->emin = emin;
	),

	TP_printk("policy_cgid=%llu memcg_cgid=%llu low=%s min=%s usage=%lu elow=%lu emin=%lu",
		  __entry->policy_cgid, __entry->memcg_cgid,
		  show_answer(__entry->low), show_answer(__entry->min),
		  __entry->usage, __entry->elow, __entry->emin)
);

#endif /* _TRACE_BPF_MEMCG_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
