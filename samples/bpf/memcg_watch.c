// SPDX-License-Identifier: GPL-2.0
/*
 * The live view of memcg: what its policy knows of each cgroup, read from the
 * cgroup storage of the policy, which may have been left running by another
 * process.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <bpf/bpf.h>
#include "memcg.h"
#include "memcg_watch.h"

struct row {
	char *path;
	struct memcg_state state;
	unsigned long long current;
};

static struct row *rows;
static size_t nr_rows, room;

const char *decision_name(unsigned int decision)
{
	static const char * const names[] = { "left", "protected", "exposed" };

	return decision < ARRAY_SIZE(names) ? names[decision] : "?";
}

const char *class_name(unsigned int class)
{
	static const char * const names[] = { "normal", "high", "low", "ignore" };

	return class < ARRAY_SIZE(names) ? names[class] : "?";
}

const char *describe_sign(unsigned int sign, unsigned long long amount, char *text, size_t size)
{
	static const char * const names[] = { "cpu", "faults", "refaults", "stalls" };

	if (sign == SIGN_BELOW)
		snprintf(text, size, "one below");
	else if (sign >= NR_SIGNS)
		snprintf(text, size, "new");
	else if (sign == SIGN_CPU || sign == SIGN_STALLS)
		snprintf(text, size, "%s %llu ms", names[sign], amount / 1000000);
	else
		snprintf(text, size, "%s %llu", names[sign], amount);
	return text;
}

static unsigned long long read_current(int dir)
{
	char text[32] = "";
	int fd = openat(dir, "memory.current", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	if (fd >= 0)
		close(fd);
	return strtoull(text, NULL, 10);
}

/* The cgroup @fd and those below it; takes @fd. */
static int add_rows(const struct watch *w, int fd, const char *path)
{
	char below[PATH_MAX];
	struct dirent *entry;
	struct row *row;
	int err = 0, sub;
	DIR *dir;

	if (nr_rows == room) {
		room = room ? room * 2 : 64;
		row = realloc(rows, room * sizeof(*rows));
		if (!row) {
			close(fd);
			return complain(EXIT_FAILURE, "no memory for %zu cgroups", room);
		}
		rows = row;
	}
	row = &rows[nr_rows];
	if (!bpf_map_lookup_elem(w->map_fd, &fd, &row->state)) {
		row->current = read_current(fd);
		row->path = strdup(path);
		nr_rows += !!row->path;
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return 0;
	}
	while (!err && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || *entry->d_name == '.')
			continue;
		sub = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub < 0)	/* it went away meanwhile */
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		err = add_rows(w, sub, below);
	}
	closedir(dir);
	return err;
}

/* As in systemd-cgtop, the largest first */
static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->current != y->current)
		return x->current > y->current ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void print_row(const struct row *r, int width, __u64 now)
{
	const struct memcg_state *s = &r->state;
	char why[48], *c, path[PATH_MAX];
	double quiet_s = (now - s->active_at) / 1e9;
	int len;

	snprintf(path, sizeof(path), "%s", r->path);
	/* a terminal would obey control characters */
	for (c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	len = strlen(path);
	/* The end of a path says more than its beginning */
	if (width && len > width)
		printf("<%s", path + len - width + 1);
	else
		printf("%-*s", width ?: 32, path);
	printf(" %-9s %-6s %8.1fM %7.1fs %-16s %llu\n", decision_name(s->decision),
	       class_name(s->class), r->current / 1048576.0, quiet_s > 0 ? quiet_s : 0,
	       describe_sign(s->sign, s->amount, why, sizeof(why)), s->delays);
}

static void print_json(FILE *f, const struct row *r, __u64 now)
{
	const struct memcg_state *s = &r->state;
	char why[48];

	fprintf(f, "{\"time\": %.3f, \"cgroup\": ", wall_clock());
	print_json_string(f, r->path);
	fprintf(f, ", \"id\": %llu, \"decision\": \"%s\", \"class\": \"%s\", \"current\": %llu, ",
		s->id, decision_name(s->decision), class_name(s->class), r->current);
	fprintf(f, "\"quiet_ms\": %llu, \"why\": \"%s\", \"delays\": %llu, \"protect\": %llu, \"expose\": %llu}\n",
		s->active_at < now ? (now - s->active_at) / NSEC_PER_MSEC : 0,
		describe_sign(s->sign, s->amount, why, sizeof(why)), s->delays,
		s->answers[PROTECT], s->answers[EXPOSE]);
}

int watch_once(const struct watch *w)
{
	struct winsize window = {};
	bool live = !json_file && isatty(STDOUT_FILENO) &&
		    !ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) && window.ws_row > 3;
	unsigned int count[3] = {};
	char path[PATH_MAX], root[PATH_MAX];
	int width = live && window.ws_col > 80 ? window.ws_col - 58 : live ? 22 : 0;
	size_t i, shown;
	__u64 now;
	int fd, err;

	err = find_cgroup_root(root, sizeof(root));
	for (i = 0; i < w->nr_roots && !err; i++) {
		char full[2 * PATH_MAX];

		cgroup_path(w->roots[i], path, sizeof(path));
		snprintf(full, sizeof(full), "%s%s", root, path);
		fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			err = add_rows(w, fd, path);
	}
	qsort(rows, nr_rows, sizeof(*rows), compare_rows);
	now = now_ns();
	shown = live && nr_rows > window.ws_row - 3u ? window.ws_row - 3u : nr_rows;
	for (i = 0; i < nr_rows; i++)
		count[rows[i].state.decision % 3]++;
	if (!json_file) {
		printf("%s%zu cgroups: %u protected, %u exposed, %u left to the kernel%s\n",
		       live ? "\033[H\033[J" : "", nr_rows, count[PROTECT], count[EXPOSE],
		       count[LEAVE], live ? "; end with Ctrl-C" : "");
		printf("%-*s %-9s %-6s %9s %8s %-16s %s\n", width ?: 32, "cgroup", "memory is",
		       "class", "current", "quiet", "last sign", "delays");
	}
	for (i = 0; i < nr_rows; i++) {
		if (json_file)
			print_json(json_file, &rows[i], now);
		else if (i < shown)
			print_row(&rows[i], width, now);
		free(rows[i].path);
	}
	if (!json_file && !live)
		putchar('\n');
	nr_rows = 0;
	return err ?: check_output();
}
