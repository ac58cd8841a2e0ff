// SPDX-License-Identifier: GPL-2.0
/*
 * The three forms in which memcg_stat shows cgroups: a table, JSON, OpenMetrics.
 *
 * Names of cgroups may hold any bytes but / and 0: a user who may make cgroups
 * chooses them. A table shows no control characters, because a terminal obeys
 * them; the other two are valid UTF-8.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <unistd.h>
#include "memcg_common.h"
#include "memcg_stat_output.h"
#include "memcg_stat_counters.h"

#define ABSENT		MEMCG_STAT_ABSENT
#define NO_LIMIT	MEMCG_STAT_NO_LIMIT

const struct counter *chosen[MEMCG_STAT_MAX_ITEMS];
unsigned int nr_chosen;

static __u64 value_of(const struct memcg_stat_record *rec, unsigned int column)
{
	const struct counter *c = chosen[column];
	__u64 value;

	if (!rec->has_memory)
		return ABSENT;
	/* The root has memory.stat, and none of the other files */
	if (!rec->level && c->kind != BPF_MEMCG_ITEM_STATE && c->kind != BPF_MEMCG_ITEM_VM_EVENT)
		return ABSENT;
	if (c->kind != MEMCG_STAT_FIELD)
		return rec->values[column];
	value = rec->fields[c->field];
	if (c->unit == TIME || value == ABSENT)
		return value;
	/* the kernel's word for no limit is less than half of all bits */
	return value >= ABSENT >> 14 ? NO_LIMIT : value * sysconf(_SC_PAGESIZE);
}

static bool grows(enum unit unit)
{
	return unit == EVENTS || unit == TIME;
}

__u64 shown(const struct line *l, unsigned int column, bool rates)
{
	__u64 value = value_of(l->rec, column), last;

	if (value == ABSENT || !rates || !grows(chosen[column]->unit))
		return value;
	last = l->before ? value_of(l->before, column) : ABSENT;
	if (last == ABSENT || l->seconds <= 0)
		return ABSENT;
	/* A counter of one moment may be a little behind that of the last */
	return value > last ? (value - last) / l->seconds + 0.5 : 0;
}

/* The table */

static void print_value(FILE *f, __u64 value, enum unit unit, int width)
{
	static const char suffix[] = " KMGTPE";
	double amount = value;
	int i = 0;

	if (value == ABSENT || value == NO_LIMIT) {
		fprintf(f, " %*s", width, value == ABSENT ? "-" : "max");
		return;
	}
	if (unit == TIME) {
		fprintf(f, " %*.1fms", width - 2, value / 1e6);
		return;
	}
	for (; unit != EVENTS && amount >= 1024 && i < 6; i++)
		amount /= 1024;
	if (i)
		fprintf(f, " %*.1f%c", width - 1, amount, suffix[i]);
	else
		fprintf(f, " %*llu", width, (unsigned long long)value);
}

static int column_width(unsigned int column, bool rates)
{
	int len = strlen(chosen[column]->name);

	if (rates && grows(chosen[column]->unit))
		len += 2;
	return len > 8 ? len : 8;
}

static void print_path(FILE *f, const char *path, int width)
{
	int len = strlen(path);

	/* Only one that is wider than the whole terminal is cut, at its beginning */
	if (len > width) {
		putc('<', f);
		path += len - width + 1;
	}
	for (; *path; path++)
		putc((unsigned char)*path < 0x20 || *path == 0x7f ? '?' : *path, f);
	if (len < width)
		fprintf(f, "%*s", width - len, "");
}

void print_table(FILE *f, const struct line *lines, unsigned int nr, bool rates,
		 unsigned int width)
{
	unsigned int i, c, path_width = 6, used, nr_columns;
	char title[64];

	for (i = 0; i < nr; i++)
		if (strlen(lines[i].path) > path_width)
			path_width = strlen(lines[i].path);
	if (width && path_width > width)
		path_width = width;
	used = path_width;
	for (c = 0; c < nr_chosen; c++) {
		used += 1 + column_width(c, rates);
		if (width && used > width)
			break;
	}
	nr_columns = c;

	print_path(f, "cgroup", path_width);
	for (c = 0; c < nr_columns; c++) {
		snprintf(title, sizeof(title), "%s%s", chosen[c]->name,
			 rates && grows(chosen[c]->unit) ? "/s" : "");
		fprintf(f, " %*s", column_width(c, rates), title);
	}
	putc('\n', f);
	for (i = 0; i < nr; i++) {
		print_path(f, lines[i].path, path_width);
		for (c = 0; c < nr_columns; c++)
			print_value(f, shown(&lines[i], c, rates), chosen[c]->unit,
				    column_width(c, rates));
		putc('\n', f);
	}
	if (nr_columns < nr_chosen)
		fprintf(f, "(%u of %u columns fit; see --columns)\n", nr_columns, nr_chosen);
}

/* JSON */

void print_json(FILE *f, const struct line *lines, unsigned int nr)
{
	double time = wall_clock();
	unsigned int i, c;
	__u64 value;

	for (i = 0; i < nr; i++) {
		fprintf(f, "{\"time\":%.3f,\"cgroup\":", time);
		print_json_string(f, lines[i].path);
		fprintf(f, ",\"id\":%llu", (unsigned long long)lines[i].rec->id);
		for (c = 0; c < nr_chosen; c++) {
			value = shown(&lines[i], c, false);
			if (value == ABSENT)
				fprintf(f, ",\"%s\":null", chosen[c]->name);
			else if (value == NO_LIMIT)
				fprintf(f, ",\"%s\":\"max\"", chosen[c]->name);
			else
				fprintf(f, ",\"%s\":%llu", chosen[c]->name,
					(unsigned long long)value);
		}
		fputs("}\n", f);
	}
}

/* OpenMetrics */

/* Metrics that cAdvisor has, by its names, so that its dashboards find them. */
static const struct {
	const char *counter, *metric, *label, *help;
} familiar[] = {
	{ "oom_kill", "container_oom_events", "", "Processes killed for lack of memory" },
	{ "max", "container_memory_failcnt", "",
	  "Times that usage was about to exceed memory.max" },
	{ "pgfault", "container_memory_failures", ",failure_type=\"pgfault\",scope=\"hierarchy\"",
	  "Page faults, by whether they had to wait for a disk" },
	{ "pgmajfault", "container_memory_failures",
	  ",failure_type=\"pgmajfault\",scope=\"hierarchy\"",
	  "Page faults, by whether they had to wait for a disk" },
	{ "psi_some", "container_pressure_memory_waiting_seconds", "",
	  "Time that some tasks waited for memory" },
	{ "psi_full", "container_pressure_memory_stalled_seconds", "",
	  "Time that all tasks waited for memory" },
};

static void print_family(FILE *f, const char *metric, const char *help, enum unit unit)
{
	fprintf(f, "# TYPE %s %s\n", metric, grows(unit) ? "counter" : "gauge");
	if (!grows(unit))
		fprintf(f, "# UNIT %s bytes\n", metric);
	else if (unit == TIME)
		fprintf(f, "# UNIT %s seconds\n", metric);
	fprintf(f, "# HELP %s %s\n", metric, help);
}

static void print_samples(FILE *f, const struct line *lines, unsigned int nr, unsigned int column,
			  const char *metric, const char *label)
{
	enum unit unit = chosen[column]->unit;
	unsigned int i;
	__u64 value;

	for (i = 0; i < nr; i++) {
		value = shown(&lines[i], column, false);
		if (value == ABSENT)
			continue;
		fprintf(f, "%s%s{id=", metric, grows(unit) ? "_total" : "");
		print_label(f, lines[i].path);
		fprintf(f, "%s} ", label);
		if (value == NO_LIMIT)
			fputs("+Inf\n", f);
		else if (unit == TIME)
			fprintf(f, "%.6f\n", value / 1e9);
		else
			fprintf(f, "%llu\n", (unsigned long long)value);
	}
}

void print_openmetrics(FILE *f, const struct line *lines, unsigned int nr)
{
	const char *last = "", *metric, *label;
	char name[128], help[160];
	unsigned int c, i, pass;

	/*
	 * All samples of a metric must be together, and some share one: those that
	 * cAdvisor has come first, in the order of the list above.
	 */
	for (i = 0; i < ARRAY_SIZE(familiar); i++) {
		for (c = 0; c < nr_chosen; c++) {
			if (strcmp(chosen[c]->name, familiar[i].counter))
				continue;
			metric = familiar[i].metric;
			label = familiar[i].label;
			if (strcmp(last, metric))
				print_family(f, metric, familiar[i].help, chosen[c]->unit);
			last = metric;
			print_samples(f, lines, nr, c, metric, label);
		}
	}
	for (c = 0; c < nr_chosen; c++) {
		for (pass = i = 0; i < ARRAY_SIZE(familiar); i++)
			pass |= !strcmp(chosen[c]->name, familiar[i].counter);
		if (pass)
			continue;
		snprintf(name, sizeof(name), "memcg_%s%s", chosen[c]->name,
			 grows(chosen[c]->unit) ? "" : "_bytes");
		snprintf(help, sizeof(help), "%s of the cgroup and those below it, see cgroup-v2.rst",
			 chosen[c]->name);
		print_family(f, name, help, chosen[c]->unit);
		print_samples(f, lines, nr, c, name, "");
	}
	fputs("# EOF\n", f);
}
