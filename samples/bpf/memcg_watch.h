/* SPDX-License-Identifier: GPL-2.0 */
/* The live view of memcg. */
#ifndef MEMCG_WATCH_H
#define MEMCG_WATCH_H

#include "memcg_common.h"

struct watch {
	int map_fd;			/* struct memcg_state by cgroup */
	unsigned int nr_roots;
	__u64 roots[MAX_TARGETS];	/* ids of the cgroups with policies */
};

const char *decision_name(unsigned int decision);
const char *class_name(unsigned int class);
/* "cpu 12 ms" */
const char *describe_sign(unsigned int sign, unsigned long long amount, char *text, size_t size);
/* One picture of all cgroups: a table, or lines of JSON to --json */
int watch_once(const struct watch *w);

#endif /* MEMCG_WATCH_H */
