// SPDX-License-Identifier: GPL-2.0
/*
 * Protect cgroups while they work and expose them while they do not: the policy.
 *
 * The kernel asks below_low for a cgroup when it reclaims. The answer is found
 * there and then: look() compares the cgroup's counters with those of the last
 * interval. If one grew enough, the cgroup is active, and stays so for the hold
 * time. Otherwise it is idle. Nothing runs while nobody reclaims.
 *
 * What the policy knows of a cgroup is a struct memcg_state in cgroup storage,
 * made by the online call and removed by the offline call. Several CPUs may ask
 * at once; the one that advances ->looked looks, the others take the decision
 * that stands.
 *
 * Page faults and refaults are in the counters when the kernel has flushed them,
 * which it does every 2 s and when it reclaims. No call of the policy may sleep, so
 * none can flush. Thus what happened up to 2 s ago may count as activity of now,
 * after the online call, too. That errs towards protection.
 *
 * A cgroup has a class, which user space gives it by --high and --low, or which
 * --each reads from its extended attribute user.memcg_bpf:
 *
 *		active				idle
 *	high	protect all that it uses	expose
 *	normal	leave it its memory.low (or protect)	expose
 *	low	as normal; but exposed, and delayed when it charges, while a
 *		cgroup of class high is active
 *	ignore	leave					leave
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "memcg.h"
#include "memcg_owed.h"

char _license[] SEC("license") = "GPL";

extern struct cgroup *bpf_cgroup_from_id(u64 cgid) __ksym __weak;
extern void bpf_cgroup_release(struct cgroup *cgrp) __ksym __weak;
extern unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
					      enum vm_event_item event) __ksym __weak;
extern unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym __weak;
extern int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str,
				 struct bpf_dynptr *value_p) __ksym __weak;
extern const void __per_cpu_offset __ksym;

/* Given by user space before loading. */
const volatile __u64 slice_id;		/* of --each, which is not governed itself */
const volatile __u64 threshold[NR_SIGNS];	/* active from this on; 0: not looked at */
const volatile __u64 interval_ns = 200000000;
const volatile __u64 hold_ns = 2000000000;
const volatile __u64 delay_page_ns;	/* for a page that class low charges */
const volatile __u32 nr_cpus = 1;
const volatile bool protect_usage, expose = true, trace;

__u64 high_active_at;			/* the last time that one of class high was */
struct memcg_stats stats SEC(".data.stats") = {};

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct memcg_state);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

#define count(x) __sync_fetch_and_add(&(x), 1)

/*
 * The CPU time of the tasks in @cgrp. The kernel adds it up per CPU and sums
 * these when somebody reads cpu.stat, which may be never.
 */
static __u64 cpu_time(struct cgroup *cgrp)
{
	struct cgroup_rstat_base_cpu *base = BPF_CORE_READ(cgrp, rstat_base_cpu);
	__u64 offset, sum = 0;
	int cpu;

	bpf_for(cpu, 0, nr_cpus) {
		bpf_probe_read_kernel(&offset, sizeof(offset),
				      (void *)&__per_cpu_offset + cpu * sizeof(offset));
		sum += BPF_CORE_READ((struct cgroup_rstat_base_cpu *)((void *)base + offset),
				     bstat.cputime.sum_exec_runtime);
	}
	return sum;
}

static __u64 read_sign(struct mem_cgroup *memcg, struct cgroup *cgrp, int sign)
{
	switch (sign) {
	case SIGN_CPU:
		return cpu_time(cgrp);
	case SIGN_FAULTS:
		return bpf_mem_cgroup_vm_events(memcg, PGFAULT);
	case SIGN_REFAULTS:
		return bpf_mem_cgroup_page_state(memcg, WORKINGSET_REFAULT_ANON) +
		       bpf_mem_cgroup_page_state(memcg, WORKINGSET_REFAULT_FILE);
	case SIGN_STALLS:	/* the first row, PSI_AVGS, of two in one array */
		return BPF_CORE_READ(cgrp, psi, total[PSI_MEM_SOME]);
	}
	return 0;
}

static void works_at(struct memcg_state *st, int sign, __u64 at)
{
	st->sign = sign;
	if ((__s64)(at - st->active_at) > 0)
		st->active_at = at;
}

/* @css and the cgroups above it contain one that works. */
static void mark_active(struct cgroup_subsys_state *css, __u64 at)
{
	struct memcg_state *st;
	int i;

	bpf_for(i, 0, 64) {
		if (!css)
			break;
		st = bpf_cgrp_storage_get(&cgroups, css->cgroup, NULL, 0);
		if (!st)
			break;
		works_at(st, SIGN_BELOW, at);
		css = css->parent;
	}
}

static void look_for_signs(struct memcg_state *st, struct mem_cgroup *memcg,
			   struct cgroup *cgrp, __u64 now)
{
	__u64 seen[NR_SIGNS] = {}, span = now - st->since, at = now;
	int i, fired = SIGN_NONE;

	/* When it worked is not known if nobody asked for long: the next interval tells */
	if (span > hold_ns && hold_ns > interval_ns)
		at = now - hold_ns + interval_ns;

	for (i = NR_SIGNS - 1; i >= 0; i--) {
		if (!threshold[i])
			continue;
		seen[i] = read_sign(memcg, cgrp, i);
		if ((__s64)(seen[i] - st->seen[i]) < (__s64)threshold[i])
			continue;
		fired = i;
		st->amount = seen[i] - st->seen[i];
	}
	if (fired != SIGN_NONE) {
		works_at(st, fired, at);
		mark_active(memcg->css.parent, at);
	}
	if (fired != SIGN_NONE || span >= interval_ns) {
		__builtin_memcpy(st->seen, seen, sizeof(seen));
		st->since = now;
	}
}

static void read_class(struct memcg_state *st)
{
	struct bpf_dynptr value;
	struct cgroup *cgrp;
	int len;

	if (!bpf_cgroup_read_xattr ||
	    bpf_dynptr_from_mem(st->attribute, sizeof(st->attribute), 0, &value))
		return;
	cgrp = bpf_cgroup_from_id(st->id);
	if (!cgrp)
		return;
	len = bpf_cgroup_read_xattr(cgrp, "user.memcg_bpf", &value);
	bpf_cgroup_release(cgrp);
	st->class = CLASS_NORMAL;
	if (len == 4 && !bpf_strncmp(st->attribute, 4, "high"))
		st->class = CLASS_HIGH;
	else if (len == 3 && !bpf_strncmp(st->attribute, 3, "low"))
		st->class = CLASS_LOW;
	else if (len == 6 && !bpf_strncmp(st->attribute, 6, "ignore"))
		st->class = CLASS_IGNORE;
}

static bool high_is_active(__u64 now)
{
	return high_active_at && (__s64)(now - high_active_at) < RECENT_MS * NSEC_PER_MSEC;
}

static __u32 decide(struct memcg_state *st, bool active, __u64 now)
{
	if (st->class == CLASS_IGNORE)
		return BPF_MEMCG_DEFAULT;
	if (!active || (st->class == CLASS_LOW && high_is_active(now)))
		return expose ? BPF_MEMCG_EXPOSE : BPF_MEMCG_DEFAULT;
	if (st->class == CLASS_HIGH || protect_usage)
		return BPF_MEMCG_PROTECT;
	return BPF_MEMCG_DEFAULT;
}

static void tell(struct memcg_state *st, bool active, unsigned long usage, __u64 now)
{
	struct memcg_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (trace)
		bpf_printk("memcg: cgroup=%llu decision=%d active=%d", st->id, st->decision,
			   active);
	/* Nobody has to listen */
	if (!e)
		return;
	*e = (struct memcg_event){
		.id = st->id, .usage = usage, .idle_ns = now - st->active_at,
		.amount = st->amount, .class = st->class, .sign = st->sign,
		.decision = st->decision, .active = active,
	};
	bpf_ringbuf_submit(e, 0);
}

static void look(struct memcg_state *st, struct mem_cgroup *memcg, struct cgroup *cgrp,
		 unsigned long usage, __u64 looked, __u64 now)
{
	__u32 decision, class = st->class;
	bool active, new = !st->read;

	count(stats.looks);
	if (slice_id && now - st->read >= ATTRIBUTE_MS * NSEC_PER_MSEC) {
		st->read = now;
		read_class(st);
	}
	look_for_signs(st, memcg, cgrp, now);
	/* Those below are asked after it. If nobody was for long, they could not tell. */
	if (st->sign == SIGN_BELOW && now - looked > hold_ns)
		st->active_at = now;
	active = now - st->active_at <= hold_ns;
	if (active && st->class == CLASS_HIGH)
		high_active_at = now;
	decision = decide(st, active, now);
	if (decision != st->decision) {
		st->decision = decision;
		st->decided = now;
		count(stats.changes);
	} else if (st->class == class || new) {
		return;	/* what is only now known of it is no change */
	}
	tell(st, active, usage, now);
}

static int answer(struct mem_cgroup *memcg, unsigned long usage)
{
	struct cgroup *cgrp = memcg->css.cgroup;
	__u64 now = bpf_ktime_get_ns(), looked;
	struct memcg_state *st;

	st = bpf_cgrp_storage_get(&cgroups, cgrp, NULL, 0);
	if (!st)
		return BPF_MEMCG_DEFAULT;
	looked = st->looked;
	if (now - looked >= interval_ns / LOOK_DIVISOR &&
	    __sync_val_compare_and_swap(&st->looked, looked, now) == looked)
		look(st, memcg, cgrp, usage, looked, now);

	switch (st->decision) {
	case BPF_MEMCG_PROTECT:
		count(st->answers[PROTECT]);
		count(stats.answers[PROTECT]);
		return BPF_MEMCG_PROTECT;
	case BPF_MEMCG_EXPOSE:
		count(st->answers[EXPOSE]);
		count(stats.answers[EXPOSE]);
		return BPF_MEMCG_EXPOSE;
	}
	count(st->answers[LEAVE]);
	count(stats.answers[LEAVE]);
	return BPF_MEMCG_DEFAULT;
}

SEC("struct_ops/below_low")
int BPF_PROG(below_low, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	count(stats.asked_low);
	return answer(memcg, usage);
}

SEC("struct_ops/below_min")
int BPF_PROG(below_min, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	count(stats.asked_min);
	return answer(memcg, usage);
}

/* Each page costs the same, charged by itself, in a batch, or in a huge page. */
SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct memcg_state *st;
	unsigned int ms;

	if (!high_is_active(bpf_ktime_get_ns()))
		return 0;
	st = bpf_cgrp_storage_get(&cgroups, memcg->css.cgroup, NULL, 0);
	if (!st || st->class != CLASS_LOW)
		return 0;
	ms = owe(&st->owed_ns, nr_pages * delay_page_ns);
	if (!ms)
		return 0;
	count(st->delays);
	count(stats.delays);
	__sync_fetch_and_add(&stats.delayed_ms, ms);
	return ms;
}

/* A new cgroup counts as active: nothing is taken before it was watched for a while. */
static void begin(struct mem_cgroup *memcg, __u32 class)
{
	struct cgroup *cgrp = memcg->css.cgroup;
	struct memcg_state *st;
	__u64 now;
	int i;

	if (cgrp->kn->id == slice_id)
		return;
	count(stats.online);
	st = bpf_cgrp_storage_get(&cgroups, cgrp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!st)
		return;
	st->id = cgrp->kn->id;
	st->class = class;
	st->sign = SIGN_NONE;
	now = bpf_ktime_get_ns();
	st->since = now;
	st->active_at = now;
	st->decided = now;
	for (i = 0; i < NR_SIGNS; i++)
		st->seen[i] = read_sign(memcg, cgrp, i);
	st->decision = decide(st, true, now);
}

SEC("struct_ops/handle_cgroup_online")
void BPF_PROG(each_online, struct mem_cgroup *memcg)
{
	begin(memcg, CLASS_NORMAL);
}

SEC("struct_ops/handle_cgroup_online")
void BPF_PROG(high_online, struct mem_cgroup *memcg)
{
	begin(memcg, CLASS_HIGH);
}

SEC("struct_ops/handle_cgroup_online")
void BPF_PROG(low_online, struct mem_cgroup *memcg)
{
	begin(memcg, CLASS_LOW);
}

SEC("struct_ops/handle_cgroup_offline")
void BPF_PROG(offline, struct mem_cgroup *memcg)
{
	if (memcg->css.cgroup->kn->id == slice_id)
		return;
	count(stats.offline);
	bpf_cgrp_storage_delete(&cgroups, memcg->css.cgroup);
}

/* User space clears the members that its options do not ask for. */
SEC(".struct_ops.link")
struct memcg_bpf_ops each_policy = {
	.handle_cgroup_online	= (void *)each_online,
	.handle_cgroup_offline	= (void *)offline,
	.below_low		= (void *)below_low,
	.below_min		= (void *)below_min,
	.memcg_charged		= (void *)charged,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops high_policy = {
	.handle_cgroup_online	= (void *)high_online,
	.handle_cgroup_offline	= (void *)offline,
	.below_low		= (void *)below_low,
	.below_min		= (void *)below_min,
};

SEC(".struct_ops.link")
struct memcg_bpf_ops low_policy = {
	.handle_cgroup_online	= (void *)low_online,
	.handle_cgroup_offline	= (void *)offline,
	.below_low		= (void *)below_low,
	.below_min		= (void *)below_min,
	.memcg_charged		= (void *)charged,
};
