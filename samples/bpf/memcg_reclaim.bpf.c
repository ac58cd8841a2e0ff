// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim in the background, the BPF side; memcg_reclaim.c has the story.
 *
 * Nothing here runs but for a charge. A charge finds that a trigger fires, and
 * starts one run of reclaim, which ends after MAX_ROUNDS batches, or when the
 * usage is down at the stop mark, the memcg is going away, or MAX_FUTILE batches
 * freed nothing. A run never starts another one; the next charge does. After a
 * run that freed nothing no charge does for a while.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "memcg_reclaim.h"

char _license[] SEC("license") = "GPL";

extern struct cgroup *bpf_cgroup_from_id(u64 cgid) __ksym __weak;
extern void bpf_cgroup_release(struct cgroup *cgrp) __ksym __weak;
extern struct mem_cgroup *
bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym __weak;
extern void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym __weak;
extern long
bpf_try_to_free_mem_cgroup_pages(struct mem_cgroup *memcg, unsigned long nr_pages,
				 gfp_t gfp_mask, unsigned int reclaim_options,
				 int swappiness) __ksym __weak;

#define GFP_KERNEL	(1U << ___GFP_DIRECT_RECLAIM_BIT | 1U << ___GFP_KSWAPD_RECLAIM_BIT | \
			 1U << ___GFP_IO_BIT | 1U << ___GFP_FS_BIT)
#define MAY_SWAP	2	/* MEMCG_RECLAIM_MAY_SWAP, a macro of the kernel's */

#define NSEC_PER_MSEC	1000000ULL
#define PF_EXITING	0x00000004
#define PF_KTHREAD	0x00200000
#define MAX_DEPTH	64	/* of cgroups below the one that is kept */

/* Given by user space before loading; sizes in pages. */
const volatile __u64 target_id;		/* cgroup id */
const volatile __u64 start_mark, stop_mark;
const volatile __u64 brake_mark, brake_span;	/* span 0: no brake */
const volatile __u32 batch;
const volatile __u32 triggers;
const volatile __u64 fault_threshold;	/* in FAULT_WINDOW_MS */
const volatile bool use_task_work;

/* Its depth, found by prepare(): 1 is a child of the root */
__u32 target_level;

/* Until when there are too many stalls (set by user space), or too many faults */
__u64 stalled_until;
__u64 faulting_until;
__u64 faults_since, faults;

/* Until when to leave it: see above */
__u64 back_off_until;
__u32 back_off_ms;

/* What happened. */
struct memcg_reclaim_stats stats = {};

#define count(x) __sync_fetch_and_add(&(x), 1)

struct queue_elem {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct queue_elem);
} queue SEC(".maps");

struct task_elem {
	struct bpf_task_work tw;
};

/* An element for each CPU, so that tasks on all of them can be at it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct task_elem);
} tasks SEC(".maps");

/* Who was braked last on a CPU, and until when that lasts. */
struct braked {
	__u64 until;
	__u32 pid;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct braked);
} braked SEC(".maps");

/* The usage of the target, which is @memcg or an ancestor of it. */
static __u64 target_usage(struct mem_cgroup *memcg)
{
	struct page_counter *counter = &memcg->memory;
	int up = memcg->css.cgroup->level - target_level;
	int i;

	for (i = 0; i < MAX_DEPTH && i < up && counter->parent; i++)
		counter = counter->parent;
	return counter->usage.counter;
}

static void back_off(void)
{
	__u32 ms = back_off_ms ? back_off_ms * 2 : BACK_OFF_MIN_MS;

	if (ms > BACK_OFF_MAX_MS)
		ms = BACK_OFF_MAX_MS;
	back_off_ms = ms;
	back_off_until = bpf_ktime_get_ns() + ms * NSEC_PER_MSEC;
	count(stats.back_offs);
}

static void run(void)
{
	__u64 before, reclaimed = 0;
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;
	int i, futile = 0;
	long ret = 0;

	cgrp = bpf_cgroup_from_id(target_id);
	if (!cgrp)
		return;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	if (!memcg)
		return;

	count(stats.runs);
	before = bpf_ktime_get_ns();
	bpf_for(i, 0, MAX_ROUNDS) {
		if (memcg->memory.usage.counter <= stop_mark)
			break;
		ret = bpf_try_to_free_mem_cgroup_pages(memcg, batch, GFP_KERNEL, MAY_SWAP, -1);
		if (ret < 0)
			break;
		count(stats.rounds);
		reclaimed += ret;
		if (ret)
			futile = 0;
		else if (++futile == MAX_FUTILE)
			break;
	}
	__sync_fetch_and_add(&stats.run_ns, bpf_ktime_get_ns() - before);
	__sync_fetch_and_add(&stats.reclaimed, reclaimed);
	bpf_put_mem_cgroup(memcg);

	if (ret < 0)
		count(stats.refused);
	if (reclaimed)
		back_off_ms = 0;
	else if (futile)
		back_off();
}

static int queue_callback(void *map, int *key, void *value)
{
	run();
	return 0;
}

static int task_callback(struct bpf_map *map, void *key, void *value)
{
	run();
	return 0;
}

static void start_run(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct queue_elem *queue_elem;
	struct task_elem *task_elem;
	int key = 0;

	if (!use_task_work) {
		queue_elem = bpf_map_lookup_elem(&queue, &key);
		if (queue_elem && !bpf_wq_start(&queue_elem->wq, 0))
			count(stats.starts);
		return;
	}

	/* Only who lives in the target shall work for it. */
	if (task->flags & (PF_KTHREAD | PF_EXITING) ||
	    bpf_get_current_ancestor_cgroup_id(target_level) != target_id)
		return;
	key = bpf_get_smp_processor_id();
	task_elem = bpf_map_lookup_elem(&tasks, &key);
	/* It is refused while it is under way. */
	if (task_elem &&
	    !bpf_task_work_schedule_resume(task, &task_elem->tw, &tasks, task_callback))
		count(stats.starts);
}

/*
 * Reclaim may be slower than who charges. Over the brake mark the charging tasks
 * are delayed: hardly above that mark, but with the square of the excess, so that
 * the limit stays out of reach. Unless there is nothing to reclaim, when it would
 * not help.
 *
 * The delays of one system call or page fault add up, and it may charge a whole
 * readahead, faster than anybody reclaims. It is the usage that has to come down,
 * however many charges saw it: who was just told to wait is not told again.
 */
static unsigned int brake(__u64 usage, __u64 now)
{
	__u32 pid = bpf_get_current_pid_tgid(), ms;
	struct braked *last;
	int key = 0;
	__u64 over;

	if (!brake_span || usage <= brake_mark || back_off_ms == BACK_OFF_MAX_MS)
		return 0;
	last = bpf_map_lookup_elem(&braked, &key);
	if (!last || (last->pid == pid && now < last->until))
		return 0;
	over = usage - brake_mark;
	if (over > brake_span)
		over = brake_span;
	ms = 1 + over * over * (BRAKE_MAX_MS - 1) / (brake_span * brake_span);
	last->pid = pid;
	last->until = now + ms * NSEC_PER_MSEC;
	count(stats.delays);
	return ms;
}

SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(keep_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__u64 usage = target_usage(memcg), now;
	bool fires = false;

	if (usage > stats.most_used)
		stats.most_used = usage;
	if (usage <= stop_mark)
		return 0;

	now = bpf_ktime_get_ns();
	if (triggers & TRIGGER_USAGE && usage > start_mark) {
		count(stats.by_usage);
		fires = true;
	}
	if (triggers & TRIGGER_PSI && now < stalled_until) {
		count(stats.by_psi);
		fires = true;
	}
	if (triggers & TRIGGER_FAULTS && now < faulting_until) {
		count(stats.by_faults);
		fires = true;
	}
	if (fires && now >= back_off_until)
		start_run();
	return brake(usage, now);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops keep_policy = {
	.memcg_charged	= (void *)keep_charged,
};

/* Loaded for the trigger by faults only. */
SEC("?fentry/handle_mm_fault")
int BPF_PROG(on_fault)
{
	__u64 now;

	if (bpf_get_current_ancestor_cgroup_id(target_level) != target_id)
		return 0;
	now = bpf_ktime_get_ns();
	if (now - faults_since > FAULT_WINDOW_MS * NSEC_PER_MSEC) {
		faults_since = now;
		faults = 0;
	}
	if (__sync_fetch_and_add(&faults, 1) + 1 >= fault_threshold)
		faulting_until = now + FAULT_WINDOW_MS * NSEC_PER_MSEC;
	return 0;
}

/* Run by user space before it attaches the policy. */
SEC("syscall")
int prepare(void *ctx)
{
	struct queue_elem *elem;
	struct cgroup *cgrp;
	int key = 0;

	cgrp = bpf_cgroup_from_id(target_id);
	if (!cgrp)
		return 1;
	target_level = cgrp->level;
	bpf_cgroup_release(cgrp);

	elem = bpf_map_lookup_elem(&queue, &key);
	if (!elem)
		return 1;
	/* On any CPU: a bound one would compete with the task that charges. */
	return bpf_wq_init(&elem->wq, &queue, BPF_F_WQ_UNBOUND) ?:
	       bpf_wq_set_callback(&elem->wq, queue_callback, 0);
}
