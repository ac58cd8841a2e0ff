/* SPDX-License-Identifier: GPL-2.0 */
/* What memcg_reclaim.c and memcg_reclaim.bpf.c share. */
#ifndef MEMCG_RECLAIM_H
#define MEMCG_RECLAIM_H

/* What starts reclaim; any of those chosen */
#define TRIGGER_USAGE	1
#define TRIGGER_PSI	2
#define TRIGGER_FAULTS	4

#define FAULT_WINDOW_MS	100

#define MAX_ROUNDS	64	/* batches in a run */
#define MAX_FUTILE	3	/* batches in a row that free nothing */
#define BACK_OFF_MIN_MS	10	/* doubles with each futile run */
#define BACK_OFF_MAX_MS	1000
#define BRAKE_MAX_MS	10	/* of delay, when the usage is at memory.max */

struct memcg_reclaim_stats {
	unsigned long long by_usage, by_psi, by_faults;	/* charges that found it firing */
	unsigned long long starts, runs, rounds;
	unsigned long long reclaimed;			/* pages */
	unsigned long long run_ns;			/* elapsed, in runs */
	unsigned long long back_offs, refused, delays;
	unsigned long long most_used;			/* pages */
};

#endif /* MEMCG_RECLAIM_H */
