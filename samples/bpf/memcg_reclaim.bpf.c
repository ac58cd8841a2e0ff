// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim in the background, the BPF side; memcg_reclaim.c has the story.
 *
 * Each cgroup that is kept below its limit has an element in the map kept, with its
 * marks, and WORKERS elements in the map workers, with the workqueue items that
 * reclaim from it. The online call of its memcg makes them, the offline call removes
 * them. The marks are computed by the charges, from the limits that the cgroup and
 * its ancestors have at that time.
 *
 * A charge finds that a trigger fires and starts a run of reclaim. The run ends
 * when the usage is down at the stop mark, after MAX_ROUNDS batches, when the memcg
 * is going away, or when MAX_FUTILE batches freed nothing. The next charge starts
 * the next run. After a run that freed nothing no charge starts one for a while.
 *
 * In the workqueue a callback reclaims one batch and queues itself for the next: a
 * callback holds up the tasks-trace grace periods of the whole system. The first
 * worker does all of a run; the others help while charges are delayed.
 *
 * The marks are given as usage, but what has to fit below the limit is what is
 * charged before reclaim has caught up. Where charges come in bursts, such as large
 * readahead, the marks move down: there is room for two bursts above the start, and
 * charges are delayed once there is not room for another one. Pages that are being read
 * cannot be reclaimed, so a worker can be stuck while the next burst comes.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "memcg_owed.h"
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
extern int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str,
				 struct bpf_dynptr *value_p) __ksym __weak;

#define GFP_KERNEL	(1U << ___GFP_DIRECT_RECLAIM_BIT | 1U << ___GFP_KSWAPD_RECLAIM_BIT | \
			 1U << ___GFP_IO_BIT | 1U << ___GFP_FS_BIT)
#define MAY_SWAP	2	/* MEMCG_RECLAIM_MAY_SWAP, a macro of the kernel's */

#define ENODATA		61
#define PF_EXITING	0x00000004
#define PF_KTHREAD	0x00200000
#define MAX_DEPTH	64	/* of cgroups below the one that is kept */
#define HUGE_PAGES	512	/* the most that charge_over_limit() may ask for */

#define BURST_NS	(8 * NSEC_PER_MSEC)
#define PAGE_NS_FIRST	4000	/* what a page takes to reclaim, before we know better */
#define PAGE_NS_MAX	50000

/* Given by user space before loading. */
const volatile __u64 target_id;		/* cgroup id */
const volatile bool each;		/* all below it, or it alone */
const volatile struct memcg_mark start_mark, stop_mark, brake_mark;
const volatile __u32 default_stop = 875;	/* share of the start mark */
const volatile bool no_brake;
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

/* What happened. */
struct memcg_reclaim_stats stats SEC(".data.stats") = {};

/* Told to whoever wants to know; nobody has to */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

#define count(x) __sync_fetch_and_add(&(x), 1)

/* One cgroup that is kept below its limit. */
struct kept {
	struct memcg_marks marks;
	__u64 looked, read;		/* when its marks and its attribute were */
	__u64 back_off_until;		/* leave it until then */
	__u32 back_off_ms;
	/* The batches of the current run, and how many in a row freed nothing */
	__u32 run_rounds, run_futile;
	__u64 run_reclaimed;
	/* Pages charged in the current BURST_NS, and in the busiest of late */
	__u64 burst_since, burst_pages, burst_most;
	/* All that was reclaimed from it, and how long that took */
	__u64 reclaimed, took_ns;
	__s64 owed_ns;			/* delay, or credit if negative */
	__u32 start_share, stop_share;	/* its own, by its attribute, or 0 */
	bool off, bad_attribute;	/* by its attribute */
	char attribute[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);		/* cgroup id */
	__type(value, struct kept);
} kept SEC(".maps");

struct worker_id {
	__u64 id;			/* of the cgroup */
	__u64 nr;			/* 0 to WORKERS - 1 */
};

struct one_worker {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536 * WORKERS);
	__type(key, struct worker_id);
	__type(value, struct one_worker);
} workers SEC(".maps");

struct task_elem {
	struct bpf_task_work tw;
	__u64 id;
};

/* An element for each CPU, so that tasks on all of them can be at it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct task_elem);
} tasks SEC(".maps");

/*
 * What the attribute of @len bytes, or -errno, says: the start mark in percent of the
 * limit, and after a blank the stop mark; or off. Returns false if it says neither.
 */
static bool parse_attribute(struct kept *k, int len)
{
	__u32 share = 0, start = 0;
	bool second = false;
	int i;

	k->start_share = 0;
	k->stop_share = 0;
	k->off = len == 3 && !bpf_strncmp(k->attribute, 3, "off");
	if (k->off || len == -ENODATA)
		return true;
	if (len <= 0)
		return false;
	for (i = 0; i < (int)sizeof(k->attribute) && i < len; i++) {
		char c = k->attribute[i];

		if (c == ' ' && !second) {
			second = true;
			start = share;
			share = 0;
			continue;
		}
		if (c < '0' || c > '9' || share >= WHOLE)
			return false;
		share = share * 10 + (c - '0') * (WHOLE / 100);
	}
	if (!second) {
		start = share;
		share = 0;
	}
	if (!start || start >= WHOLE || share >= start || second != !!share)
		return false;
	k->start_share = start;
	k->stop_share = share;
	return true;
}

static void read_attribute(struct kept *k, __u64 id)
{
	struct bpf_dynptr value;
	struct cgroup *cgrp;

	if (!bpf_cgroup_read_xattr || bpf_dynptr_from_mem(k->attribute, sizeof(k->attribute), 0,
							  &value))
		return;
	cgrp = bpf_cgroup_from_id(id);
	if (!cgrp)
		return;
	k->bad_attribute = !parse_attribute(k, bpf_cgroup_read_xattr(cgrp, "user.memcg_reclaim",
								     &value));
	bpf_cgroup_release(cgrp);
}

static __u64 place_of(__u64 limit, __u64 pages, __u32 share)
{
	if (pages)
		return pages;
	return limit == NO_LIMIT ? NO_LIMIT : limit * share / WHOLE;
}

/* The marks for the limit that @counter has at present, its ancestors' included. */
static void look(struct kept *k, __u64 id, struct page_counter *counter, __u64 now)
{
	struct page_counter *up = counter;
	struct memcg_reclaim_event *event;
	struct memcg_marks m = { .limit = NO_LIMIT };
	bool too_high = false, was_bad = k->bad_attribute;
	int i;

	if (each && now - k->read > ATTRIBUTE_MS * NSEC_PER_MSEC) {
		k->read = now;
		read_attribute(k, id);
	}
	bpf_for(i, 0, MAX_DEPTH) {
		__u64 max, high;

		if (!up)
			break;
		max = up->max;
		high = up->high;
		/* the kernel's word for no limit is less than half of all bits */
		if (max < m.limit && max < NO_LIMIT >> 14)
			m.limit = max;
		if (high < m.limit && high < NO_LIMIT >> 14)
			m.limit = high;
		/* With --each only who has a limit of its own is kept */
		if (each && up == counter && m.limit == NO_LIMIT)
			break;
		up = up->parent;
	}

	m.start = k->start_share ? place_of(m.limit, 0, k->start_share) :
		  place_of(m.limit, start_mark.pages, start_mark.share ?: WHOLE * 3 / 4);
	if (m.limit != NO_LIMIT && m.start >= m.limit) {
		too_high = true;
		m.start = m.limit * 3 / 4;
	}
	m.stop = NO_LIMIT;
	if (k->stop_share)
		m.stop = place_of(m.limit, 0, k->stop_share);
	else if (!k->start_share && (stop_mark.pages || stop_mark.share))
		m.stop = place_of(m.limit, stop_mark.pages, stop_mark.share);
	if (m.stop >= m.start)
		m.stop = m.start == NO_LIMIT ? m.start : m.start * default_stop / WHOLE;
	if (m.limit != NO_LIMIT && !no_brake) {
		m.brake = place_of(m.limit, brake_mark.pages, brake_mark.share);
		if (m.brake < m.start || m.brake >= m.limit)
			m.brake = m.start + (m.limit - m.start) / 2;
		m.span = m.limit - m.brake;
	}
	/* --each with a size as --start has one for cgroups without a limit, too */
	if (k->off || (each && m.limit == NO_LIMIT)) {
		m.start = NO_LIMIT;
		m.stop = NO_LIMIT;
		m.span = 0;
	}
	if (m.limit != k->marks.limit || m.start != k->marks.start ||
	    k->bad_attribute > was_bad) {
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (event) {
			event->id = id;
			event->marks = m;
			event->start_too_high = too_high;
			event->by_attribute = k->off || k->start_share;
			event->bad_attribute = k->bad_attribute;
			bpf_ringbuf_submit(event, 0);
		}
	}
	k->marks = m;
	k->looked = now;
}

/*
 * By how much to lower the marks: two bursts are to fit between the start mark and
 * the limit. Never below a quarter of the limit.
 */
static __u64 lower_by(struct kept *k)
{
	__u64 limit = k->marks.limit, start = k->marks.start;
	__u64 room = 2 * k->burst_most, least = limit / 4, low;

	if (limit <= start || limit - start >= room || least >= start)
		return 0;
	low = room - (limit - start);
	return low < start - least ? low : start - least;
}

/*
 * The stop mark. Where the marks are lowered it is one batch below the start mark: as
 * little is kept as can be, and what is read ahead must not go before it is used.
 */
static __u64 stop_at(struct kept *k)
{
	__u64 low = lower_by(k), start = k->marks.start - low, gap = k->marks.start - k->marks.stop;

	if (!low)
		return k->marks.stop;
	if (gap > batch)
		gap = batch;
	return start > gap + start / 8 ? start - gap : start / 8;
}

/* Above this a charge costs something: the brake mark, or where one more burst fits. */
static __u64 brake_at(struct kept *k)
{
	__u64 limit = k->marks.limit, room = k->burst_most, most = limit - limit / 4;

	if (!k->marks.span)
		return NO_LIMIT;
	if (room > most)
		room = most;
	return limit - room < k->marks.brake ? limit - room : k->marks.brake;
}

/* Races between CPUs make this inexact, which does no harm. */
static void note_burst(struct kept *k, unsigned int nr_pages, __u64 now)
{
	if (now - k->burst_since < BURST_NS) {
		k->burst_pages += nr_pages;
	} else {
		/* forget an old burst in some hundred windows in which there is charging */
		k->burst_most -= k->burst_most / 128;
		k->burst_since = now;
		k->burst_pages = nr_pages;
	}
	if (k->burst_pages > k->burst_most)
		k->burst_most = k->burst_pages;
}

static void back_off(struct kept *k)
{
	__u32 ms = k->back_off_ms ? k->back_off_ms * 2 : BACK_OFF_MIN_MS;

	if (ms > BACK_OFF_MAX_MS)
		ms = BACK_OFF_MAX_MS;
	k->back_off_ms = ms;
	k->back_off_until = bpf_ktime_get_ns() + ms * NSEC_PER_MSEC;
	count(stats.back_offs);
}

/* The memcg of the cgroup @id, or NULL; to be put. */
static struct mem_cgroup *get_memcg(__u64 id)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(id);
	if (!cgrp)
		return NULL;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	return memcg;
}

/* Reclaim one batch, if the usage is above @floor. Returns true if the run is to go on. */
static bool reclaim_batch(struct kept *k, __u64 id, __u64 floor)
{
	struct mem_cgroup *memcg;
	bool go_on = false;
	__u64 before;
	long ret;

	memcg = get_memcg(id);
	if (!memcg)
		return false;
	if (memcg->memory.usage.counter > floor) {
		before = bpf_ktime_get_ns();
		ret = bpf_try_to_free_mem_cgroup_pages(memcg, batch, GFP_KERNEL, MAY_SWAP, -1);
		before = bpf_ktime_get_ns() - before;
		__sync_fetch_and_add(&stats.run_ns, before);
		__sync_fetch_and_add(&k->took_ns, before);
		if (ret < 0) {
			count(stats.refused);
		} else {
			count(stats.rounds);
			__sync_fetch_and_add(&stats.reclaimed, ret);
			__sync_fetch_and_add(&k->reclaimed, ret);
			k->run_reclaimed += ret;
			k->run_futile = ret ? 0 : k->run_futile + 1;
			go_on = ++k->run_rounds < MAX_ROUNDS && k->run_futile < MAX_FUTILE;
		}
	}
	bpf_put_mem_cgroup(memcg);
	return go_on;
}

static void end_run(struct kept *k)
{
	count(stats.runs);
	if (k->run_reclaimed)
		k->back_off_ms = 0;
	else if (k->run_futile)
		back_off(k);
	k->run_rounds = 0;
	k->run_futile = 0;
	k->run_reclaimed = 0;
}

static int queue_callback(void *map, int *key, void *value)
{
	struct worker_id *which = (void *)key;
	struct one_worker *w = value;
	__u64 id = which->id;
	struct kept *k;

	k = bpf_map_lookup_elem(&kept, &id);
	if (!k)
		return 0;
	if (reclaim_batch(k, id, which->nr ? brake_at(k) : stop_at(k)))
		bpf_wq_start(&w->wq, 0);
	else if (!which->nr)
		end_run(k);
	return 0;
}

static int task_callback(struct bpf_map *map, void *key, void *value)
{
	struct task_elem *elem = value;
	struct kept *k;
	__u64 id = elem->id;
	int i;

	k = bpf_map_lookup_elem(&kept, &id);
	if (!k)
		return 0;
	bpf_for(i, 0, MAX_ROUNDS)
		if (!reclaim_batch(k, id, stop_at(k)))
			break;
	end_run(k);
	return 0;
}

static bool start_worker(__u64 id, __u64 nr)
{
	struct worker_id key = { .id = id, .nr = nr };
	struct one_worker *w = bpf_map_lookup_elem(&workers, &key);

	return w && !bpf_wq_start(&w->wq, 0);
}

/*
 * Of the cgroup @id, which is at @level: 1 is a child of the root. With @help, by all
 * workers.
 */
static void start_run(struct kept *k, __u64 id, int level, bool help)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_elem *elem;
	int cpu, i;

	if (!use_task_work) {
		if (start_worker(id, 0))
			count(stats.starts);
		if (help)
			bpf_for(i, 1, WORKERS)
				start_worker(id, i);
		return;
	}

	/* Only who lives in the cgroup shall work for it. */
	if (task->flags & (PF_KTHREAD | PF_EXITING) ||
	    bpf_get_current_ancestor_cgroup_id(level) != id)
		return;
	cpu = bpf_get_smp_processor_id();
	elem = bpf_map_lookup_elem(&tasks, &cpu);
	/* It is refused while it is under way; it comes when this task leaves the kernel */
	if (elem && !bpf_task_work_schedule_resume(task, &elem->tw, &tasks, task_callback)) {
		elem->id = id;
		count(stats.starts);
	}
}

/*
 * Reclaim may be slower than the tasks that charge. A page that is charged above
 * the brake mark costs the task the time that it takes to reclaim one, weighted
 * with the square of the excess: nothing at the mark, half of it half way to the
 * limit, twice of it at the limit. A page that takes the room of the next burst costs
 * that time in full. So a huge page costs as much as its pages one by
 * one, and the task is slowed to the speed of reclaim. A page that the task gives
 * back counts the other way: a task that frees what it allocates, and does not grow,
 * is not slowed. If there is nothing to reclaim, it would not help, and nobody is
 * delayed.
 */
static __u64 cost_ns(struct kept *k, __u64 usage, unsigned int nr_pages)
{
	__u64 over, cost = 0, page_ns = PAGE_NS_FIRST, span = k->marks.span, at = brake_at(k);

	if (usage <= at)
		return 0;
	if (k->reclaimed)
		page_ns = k->took_ns / k->reclaimed;
	if (page_ns > PAGE_NS_MAX)
		page_ns = PAGE_NS_MAX;
	if (at < k->marks.brake)
		cost = page_ns * (usage - at < nr_pages ? usage - at : nr_pages);
	if (usage <= k->marks.brake)
		return cost;
	over = usage - k->marks.brake;
	if (over > span)
		over = span;
	/* in 1024ths of the span, so that the square fits for any size */
	over = over * 1024 / span;
	over = 2 * page_ns * nr_pages * over * over >> 20;
	return over > cost ? over : cost;
}

static unsigned int brake(struct kept *k, __u64 usage, unsigned int nr_pages)
{
	__u64 cost = cost_ns(k, usage, nr_pages);
	unsigned int ms;

	if (!cost || k->back_off_ms == BACK_OFF_MAX_MS)
		return 0;
	ms = owe(&k->owed_ns, cost);
	if (!ms)
		return 0;
	count(stats.delays);
	__sync_fetch_and_add(&stats.delayed_ms, ms);
	return ms;
}

/* What a task gives back to the cgroup, which is not what a kernel thread reclaims. */
static void give_back(struct kept *k, struct page_counter *counter, unsigned int nr_pages)
{
	__u64 worth = cost_ns(k, counter->usage.counter, nr_pages);

	if (worth && k->owed_ns > -CREDIT_MAX_MS * NSEC_PER_MSEC)
		__sync_fetch_and_add(&k->owed_ns, -(__s64)worth);
}

/* A charge to the cgroup @id, or to one below it. Returns how many ms to delay it. */
static unsigned int keep(struct kept *k, __u64 id, int level, struct page_counter *counter,
			 unsigned int nr_pages, __u64 now)
{
	__u64 usage = counter->usage.counter;
	bool fires = false;

	if (now - k->looked > LOOK_MS * NSEC_PER_MSEC)
		look(k, id, counter, now);
	if (usage > stats.most_used)
		stats.most_used = usage;
	note_burst(k, nr_pages, now);
	if (usage <= stop_at(k))
		return 0;

	if (triggers & TRIGGER_USAGE && usage > k->marks.start - lower_by(k)) {
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
	if (fires && now >= k->back_off_until)
		start_run(k, id, level, usage > brake_at(k));
	return brake(k, usage, nr_pages);
}

/*
 * What is charged to a cgroup, or uncharged, is so for those above it, too. Calls
 * keep() or give_back() for each that is kept; returns the longest delay asked for.
 */
static unsigned int walk_kept(struct mem_cgroup *memcg, unsigned int nr_pages, bool charged)
{
	struct cgroup_subsys_state *css = bpf_core_cast(&memcg->css, struct cgroup_subsys_state);
	struct page_counter *counter = bpf_core_cast(&memcg->memory, struct page_counter);
	__u64 now = charged ? bpf_ktime_get_ns() : 0, id;
	unsigned int ms = 0, more = 0;
	struct kept *k;
	int i, level;

	bpf_for(i, 0, MAX_DEPTH) {
		if (!css || !counter)
			break;
		level = css->cgroup->level;
		if (level < target_level)
			break;
		id = css->cgroup->kn->id;
		k = bpf_map_lookup_elem(&kept, &id);
		if (k && charged)
			more = keep(k, id, level, counter, nr_pages, now);
		else if (k)
			give_back(k, counter, nr_pages);
		if (more > ms)
			ms = more;
		css = css->parent;
		counter = counter->parent;
	}
	return ms;
}

SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(keep_charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return walk_kept(memcg, nr_pages, true);
}

SEC("struct_ops/memcg_uncharged")
void BPF_PROG(keep_uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	if (!(bpf_get_current_task_btf()->flags & PF_KTHREAD))
		walk_kept(memcg, nr_pages, false);
}

/*
 * The limit was hit all the same: reclaim more than the page asked for, so that the
 * rest of a readahead does not hit it again and again.
 */
SEC("struct_ops/charge_over_limit")
unsigned int BPF_PROG(keep_over_limit, struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
		      gfp_t gfp, unsigned int nr_pages)
{
	__u64 id = over_limit->css.cgroup->kn->id;

	return bpf_map_lookup_elem(&kept, &id) ? HUGE_PAGES : 0;
}

SEC("struct_ops/handle_cgroup_online")
void BPF_PROG(keep_online, struct mem_cgroup *memcg)
{
	__u64 id = memcg->css.cgroup->kn->id;
	struct worker_id key = { .id = id };
	struct one_worker none = {}, *w;
	struct kept new = {};
	int i;

	/* the target, or all but the target */
	if (id == target_id ? each : !each)
		return;
	new.marks.limit = NO_LIMIT;
	new.marks.start = NO_LIMIT;
	new.marks.stop = NO_LIMIT;
	if (bpf_map_update_elem(&kept, &id, &new, BPF_NOEXIST))
		return;
	count(stats.kept);
	bpf_for(i, 0, WORKERS) {
		key.nr = i;
		bpf_map_update_elem(&workers, &key, &none, BPF_NOEXIST);
		w = bpf_map_lookup_elem(&workers, &key);
		/* On any CPU: a bound one would compete with the task that charges. */
		if (w && !bpf_wq_init(&w->wq, &workers, BPF_F_WQ_UNBOUND))
			bpf_wq_set_callback(&w->wq, queue_callback, 0);
	}
}

SEC("struct_ops/handle_cgroup_offline")
void BPF_PROG(keep_offline, struct mem_cgroup *memcg)
{
	__u64 id = memcg->css.cgroup->kn->id;
	struct worker_id key = { .id = id };
	int i;

	if (!bpf_map_delete_elem(&kept, &id))
		__sync_fetch_and_sub(&stats.kept, 1);
	bpf_for(i, 0, WORKERS) {
		key.nr = i;
		bpf_map_delete_elem(&workers, &key);
	}
}

SEC(".struct_ops.link")
struct memcg_bpf_ops keep_policy = {
	.handle_cgroup_online	= (void *)keep_online,
	.handle_cgroup_offline	= (void *)keep_offline,
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
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_from_id(target_id);
	if (!cgrp)
		return 1;
	target_level = cgrp->level;
	bpf_cgroup_release(cgrp);
	return 0;
}
