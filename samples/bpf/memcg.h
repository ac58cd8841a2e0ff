/* SPDX-License-Identifier: GPL-2.0 */
/* What the sides of the sample memcg share; see memcg.bpf.c. */
#ifndef MEMCG_H
#define MEMCG_H

/* What tells that a cgroup works. */
enum memcg_sign {
	SIGN_CPU,		/* ns of CPU time, of its own tasks */
	SIGN_FAULTS,		/* page faults */
	SIGN_REFAULTS,		/* pages that it had to read again */
	SIGN_STALLS,		/* ns that tasks stalled for memory */
	NR_SIGNS,
	SIGN_BELOW = NR_SIGNS,	/* a cgroup below it works */
	SIGN_NONE,
};

enum memcg_class { CLASS_NORMAL, CLASS_HIGH, CLASS_LOW, CLASS_IGNORE };

/* The answers, enum bpf_memcg_protection of the kernel */
enum memcg_decision { LEAVE, PROTECT, EXPOSE };

#define LOOK_DIVISOR	10	/* so many looks in an interval, at most */
#define ATTRIBUTE_MS	1000	/* how old what is known of an attribute may be */
#define RECENT_MS	1000	/* a cgroup of class high was active just now */
#define DELAY_BYTES	(256 << 10)	/* the amount charged that --delay is for */

/* What the policy knows of a cgroup, all times in ns of CLOCK_MONOTONIC. */
struct memcg_state {
	unsigned long long id;
	unsigned long long looked;		/* the last look */
	unsigned long long since;		/* since when signs are counted */
	unsigned long long seen[NR_SIGNS];	/* the counters then */
	unsigned long long active_at;		/* the last sign of life */
	unsigned long long amount;		/* of that sign */
	unsigned long long decided;		/* the last change of decision */
	unsigned long long read;		/* when the attribute was */
	unsigned long long answers[3];		/* by enum memcg_decision */
	unsigned long long delays;
	long long owed_ns;			/* delay, less than a millisecond */
	unsigned int class;
	unsigned int sign;
	unsigned int decision;
	char attribute[12];
};

struct memcg_stats {
	unsigned long long answers[3];
	unsigned long long asked_low, asked_min;
	unsigned long long looks, changes;
	unsigned long long delays, delayed_ms;
	unsigned long long online, offline;	/* calls */
};

/* A decision that changed. */
struct memcg_event {
	unsigned long long id;
	unsigned long long usage;		/* pages */
	unsigned long long idle_ns;		/* without a sign of life */
	unsigned long long amount;
	unsigned int class, sign, decision;
	unsigned int active;
};

#endif /* MEMCG_H */
