/* SPDX-License-Identifier: GPL-2.0 */
/* What memcg_stat shows: columns, and the three forms of output. */
#ifndef MEMCG_STAT_OUTPUT_H
#define MEMCG_STAT_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>
#include "memcg_stat.h"

#define MEMCG_STAT_FIELD	0x100	/* a kind beside those of the kernel */

/* What a value is: a size, a limit, or what only grows: events, or a time in ns. */
enum unit { BYTES, LIMIT, EVENTS, TIME };

struct counter {
	const char *name;
	unsigned int kind;
	enum unit unit;
	const char *enumerator;
	enum memcg_stat_field field;
};

extern const struct counter counters[];
extern const unsigned int nr_counters;

enum format { TABLE, JSON, OPENMETRICS };

/* The columns chosen, in order. */
extern const struct counter *chosen[MEMCG_STAT_MAX_ITEMS];
extern unsigned int nr_chosen;

struct line {
	const struct memcg_stat_record *rec, *before;
	const char *path;
	double seconds;		/* since @before */
	unsigned int position;
};

/*
 * The value in a column, MEMCG_STAT_ABSENT, or MEMCG_STAT_NO_LIMIT. What only
 * grows is its growth per second if @rates.
 */
__u64 shown(const struct line *l, unsigned int column, bool rates);

/* @width of the terminal, 0 if there is none: columns that do not fit are left out */
void print_table(FILE *f, const struct line *lines, unsigned int nr, bool rates,
		 unsigned int width);
void print_json(FILE *f, const struct line *lines, unsigned int nr);
void print_openmetrics(FILE *f, const struct line *lines, unsigned int nr);

#endif /* MEMCG_STAT_OUTPUT_H */
