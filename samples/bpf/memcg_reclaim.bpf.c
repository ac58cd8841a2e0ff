// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim in the background, the BPF side; memcg_reclaim.c has the story.
 *
 * A charge finds that a trigger fires and starts a run of reclaim. The run ends
 * when the usage is down at the stop mark, after MAX_ROUNDS batches, when the memcg
 * is going away, or when MAX_FUTILE batches freed nothing. The next charge starts
 * the next run. After a run that freed nothing no charge starts one for a while.
 *
 * In the workqueue a callback reclaims one batch and queues itself for the next: a
 * callback holds up the tasks-trace grace periods of the whole system.
 *
 * The marks are given as usage, but what has to fit below memory.max is what is
 * charged before reclaim has caught up. Where charges come in bursts, such as large
 * readahead, both marks move down: there is room for two bursts above the start.
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
#define HUGE_PAGES	512	/* the most that charge_over_limit() may ask for */

#define BURST_NS	(2 * NSEC_PER_MSEC)
#define PAGE_NS_FIRST	4000	/* what a page takes to reclaim, before we know better */
#define PAGE_NS_MAX	50000

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

/* The batches of the current run, and how many of them in a row freed nothing */
__u32 run_rounds, run_futile;
__u64 run_reclaimed;

/* Pages charged in the current BURST_NS, and in the busiest of late */
__u64 burst_since, burst_pages, burst_most;

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

/* Delay owed on a CPU, less than a millisecond of it, or credit if negative */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, __s64);
} owed_ns SEC(".maps");

/* The counter of the target, which is @memcg or an ancestor of it. */
static struct page_counter *target_counter(struct mem_cgroup *memcg)
{
	struct page_counter *counter = &memcg->memory;
	int up = memcg->css.cgroup->level - target_level;
	int i;

	for (i = 0; i < MAX_DEPTH && i < up && counter->parent; i++)
		counter = counter->parent;
	return counter;
}

/*
 * By how much to lower the marks: two bursts are to fit between the start mark and
 * the limit. Never below a quarter of the limit.
 */
static __u64 lower_by(__u64 limit)
{
	__u64 room = 2 * burst_most, least = limit / 4, low;

	if (limit <= start_mark || limit - start_mark >= room || least >= start_mark)
		return 0;
	low = room - (limit - start_mark);
	return low < start_mark - least ? low : start_mark - least;
}

/* The stop mark keeps its distance, but there is always something left to keep. */
static __u64 stop_at(__u64 limit)
{
	__u64 low = lower_by(limit);

	return stop_mark > low + stop_mark / 8 ? stop_mark - low : stop_mark / 8;
}

/* Races between CPUs make this inexact, which does no harm. */
static void note_burst(unsigned int nr_pages, __u64 now)
{
	if (now - burst_since < BURST_NS) {
		burst_pages += nr_pages;
	} else {
		/* forget an old burst in some hundred windows in which there is charging */
		burst_most -= burst_most / 128;
		burst_since = now;
		burst_pages = nr_pages;
	}
	if (burst_pages > burst_most)
		burst_most = burst_pages;
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

/* The memcg of the target, or NULL; to be put. */
static struct mem_cgroup *get_target(void)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(target_id);
	if (!cgrp)
		return NULL;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	return memcg;
}

/* Reclaim one batch. Returns true if the run is to go on. */
static bool reclaim_batch(void)
{
	struct mem_cgroup *memcg;
	bool go_on = false;
	__u64 before;
	long ret;

	memcg = get_target();
	if (!memcg)
		return false;
	if (!run_rounds)
		count(stats.runs);
	if (memcg->memory.usage.counter > stop_at(memcg->memory.max)) {
		before = bpf_ktime_get_ns();
		ret = bpf_try_to_free_mem_cgroup_pages(memcg, batch, GFP_KERNEL, MAY_SWAP, -1);
		__sync_fetch_and_add(&stats.run_ns, bpf_ktime_get_ns() - before);
		if (ret < 0) {
			count(stats.refused);
		} else {
			count(stats.rounds);
			__sync_fetch_and_add(&stats.reclaimed, ret);
			run_reclaimed += ret;
			run_futile = ret ? 0 : run_futile + 1;
			go_on = ++run_rounds < MAX_ROUNDS && run_futile < MAX_FUTILE;
		}
	}
	bpf_put_mem_cgroup(memcg);

	if (go_on)
		return true;
	if (run_reclaimed)
		back_off_ms = 0;
	else if (run_futile)
		back_off();
	run_rounds = 0;
	run_futile = 0;
	run_reclaimed = 0;
	return false;
}

static int queue_callback(void *map, int *key, void *value)
{
	struct queue_elem *elem = value;

	if (reclaim_batch())
		bpf_wq_start(&elem->wq, 0);
	return 0;
}

static int task_callback(struct bpf_map *map, void *key, void *value)
{
	int i;

	bpf_for(i, 0, MAX_ROUNDS)
		if (!reclaim_batch())
			break;
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
 * Reclaim may be slower than the tasks that charge. A page that is charged above
 * the brake mark costs the task the time that it takes to reclaim one, weighted
 * with the excess: nothing at the mark, all of it half way to the limit, twice of it
 * at the limit. So a huge page costs as much as its pages one by one, and the task
 * is slowed to the speed of reclaim. A page that the task gives back counts the
 * other way: a task that frees what it allocates, and does not grow, is not slowed.
 * If there is nothing to reclaim, it would not help, and nobody is delayed.
 */
static __u64 cost_ns(__u64 usage, unsigned int nr_pages)
{
	__u64 over, page_ns = PAGE_NS_FIRST;

	if (!brake_span || usage <= brake_mark)
		return 0;
	if (stats.reclaimed)
		page_ns = stats.run_ns / stats.reclaimed;
	if (page_ns > PAGE_NS_MAX)
		page_ns = PAGE_NS_MAX;
	over = usage - brake_mark;
	if (over > brake_span)
		over = brake_span;
	return 2 * page_ns * nr_pages * over / brake_span;
}

static unsigned int brake(__u64 usage, unsigned int nr_pages)
{
	__u64 cost = cost_ns(usage, nr_pages);
	unsigned int ms;
	int key = 0;
	__s64 *owed;

	if (!cost || back_off_ms == BACK_OFF_MAX_MS)
		return 0;
	owed = bpf_map_lookup_elem(&owed_ns, &key);
	if (!owed)
		return 0;
	*owed += cost;
	if (*owed < (__s64)NSEC_PER_MSEC)
		return 0;
	ms = (__u64)*owed / NSEC_PER_MSEC;
	if (ms > BRAKE_MAX_MS)
		ms = BRAKE_MAX_MS;
	*owed = 0;
	count(stats.delays);
	return ms;
}

/* What a kernel thread reclaims is not given back by the task that is charged. */
SEC("struct_ops/memcg_uncharged")
void BPF_PROG(keep_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	__s64 *owed, most = BRAKE_MAX_MS * NSEC_PER_MSEC;
	int key = 0;

	if (bpf_get_current_task_btf()->flags & PF_KTHREAD)
		return;
	owed = bpf_map_lookup_elem(&owed_ns, &key);
	if (!owed)
		return;
	*owed -= cost_ns(target_counter(memcg)->usage.counter, nr_pages);
	if (*owed < -most)
		*owed = -most;
}

SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(keep_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	struct page_counter *counter = target_counter(memcg);
	__u64 usage = counter->usage.counter, limit = counter->max;
	__u64 now = bpf_ktime_get_ns();
	bool fires = false;

	if (usage > stats.most_used)
		stats.most_used = usage;
	note_burst(nr_pages, now);
	if (usage <= stop_at(limit))
		return 0;

	if (triggers & TRIGGER_USAGE && usage > start_mark - lower_by(limit)) {
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
	return brake(usage, nr_pages);
}

/*
 * The limit was hit all the same: reclaim more than the page asked for, so that the
 * rest of a readahead does not hit it again and again.
 */
SEC("struct_ops/charge_over_limit")
unsigned int BPF_PROG(keep_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
		      gfp_t gfp, unsigned int nr_pages)
{
	return HUGE_PAGES;
}

SEC(".struct_ops.link")
struct memcg_bpf_ops keep_policy = {
	.memcg_charged		= (void *)keep_charged,
	.memcg_uncharged	= (void *)keep_uncharged,
	.charge_over_limit	= (void *)keep_over_limit,
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
