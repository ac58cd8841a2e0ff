/* SPDX-License-Identifier: GPL-2.0 */
/* What memcg_reclaim.c and memcg_reclaim.bpf.c share. */
#ifndef MEMCG_RECLAIM_H
#define MEMCG_RECLAIM_H

/* What starts reclaim; any of those chosen */
#define TRIGGER_USAGE	1
#define TRIGGER_PSI	2
#define TRIGGER_FAULTS	4

#define FAULT_WINDOW_MS	100

#define WORKERS		2	/* of a cgroup, the second for when charges are delayed */
#define MAX_ROUNDS	64	/* batches in a run */
#define MAX_FUTILE	3	/* batches in a row that free nothing */
#define BACK_OFF_MIN_MS	10	/* doubles with each futile run */
#define BACK_OFF_MAX_MS	1000
#define CREDIT_MAX_MS	10	/* of delay, for what was given back */
#define LOOK_MS		10	/* how old the marks of a cgroup may be */
#define ATTRIBUTE_MS	1000	/* and what its extended attribute says */

#define NO_LIMIT	(~0ULL)
#define WHOLE		1000	/* a share is in thousandths */

/* A mark as the user gives it: pages, or a share; both 0 if not given. */
struct memcg_mark {
	unsigned long long pages;
	unsigned int share;
};

/* The marks of one cgroup, in pages, for the limit that it has at present. */
struct memcg_marks {
	unsigned long long limit;	/* the nearest effective one, or NO_LIMIT */
	unsigned long long start, stop;
	unsigned long long brake, span;	/* span 0: no brake */
};

struct memcg_reclaim_stats {
	unsigned long long by_usage, by_psi, by_faults;	/* charges that found it firing */
	unsigned long long starts, runs, rounds;
	unsigned long long reclaimed;			/* pages */
	unsigned long long run_ns;			/* elapsed, in runs */
	unsigned long long back_offs, refused, delays, delayed_ms;
	unsigned long long most_used;			/* pages */
	unsigned long long kept;			/* cgroups at present */
};

/* The marks of the cgroup @id changed, because its limit did. */
struct memcg_reclaim_event {
	unsigned long long id;
	struct memcg_marks marks;
	unsigned int start_too_high;	/* a given --start that could not be reached */
	unsigned int by_attribute;	/* the cgroup's own shares are used, or it is off */
	unsigned int bad_attribute;	/* it has one that is not understood */
};

#endif /* MEMCG_RECLAIM_H */
