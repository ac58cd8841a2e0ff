// SPDX-License-Identifier: GPL-2.0
/*
 * Show the memory of a cgroup and of all cgroups below it.
 *
 * The counters are those of memory.stat and memory.events, by the same names and
 * in the same units; and usage, peaks, limits, swap and pressure. One read() of a
 * BPF cgroup iterator brings all of them for all cgroups; see memcg_stat.bpf.c.
 *
 * A counter that the kernel does not keep, or a cgroup without the memory
 * controller, shows as absent (-, null, or no sample at all), never as 0.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include "memcg_common.h"
#include "memcg_stat_output.h"
#include "memcg_stat.skel.h"

static const char default_columns[] =
	"current,limit,anon,file,kernel,pgfault,pgmajfault,high,max,oom_kill";

static enum format format = TABLE;
static const char *path;
static const char *column_list = default_columns;
static const char *sort_by;
static unsigned long long interval_ms, times, top;
static bool self_only, no_flush, openmetrics, list;

static int sort_column = -1;	/* in chosen[]; -1: as the tree is */
static bool sort_by_id;

static int cgroup_fd = -1;
static char start_path[PATH_MAX];	/* from the mount point on */

static struct memcg_stat *skel;
static struct bpf_link *iter_link;
static char *records;			/* the map */
static size_t stride;
static unsigned int room;

/* One sweep, in the order of the iterator. */
struct sweep {
	unsigned int nr;
	char *copy;		/* of the records, because the map is overwritten */
	__u64 at_ns;
	unsigned int *by_id;
};

/* Options */

static const struct option_spec options[] = {
	{ "columns", "LIST", "names separated by commas, see --list; or all",
	  TEXT, 'c', &column_list },
	{ "self", NULL, "only the given cgroup, none below it", FLAG, 's', &self_only },
	{ "openmetrics", NULL, "OpenMetrics text; events and pressure by the names that\n"
	  "cAdvisor has for them", FLAG, 'm', &openmetrics },
	{ "interval", "MS", "again and again, 100..3600000; in a table, what only\n"
	  "grows is shown as its growth per second", NUMBER, 'i', &interval_ms, 100, 3600000 },
	{ "times", "N", "stop after N times, 1..1000000000", NUMBER, 'n', &times, 1, 1000000000 },
	{ "sort", "NAME", "by a column, largest first; id; or path (default)", TEXT, 0, &sort_by },
	{ "top", "N", "only the first N cgroups, 1..1000000; sorted by the first\n"
	  "column if there is no --sort", NUMBER, 't', &top, 1, 1000000 },
	{ "no-flush", NULL, "what the kernel has at hand, up to 2 s old", FLAG, 0, &no_flush },
	{ "list", NULL, "the names of all columns, and what they are", FLAG, 'l', &list },
	{ }
};

static const char help_head[] =
"Usage: memcg_stat [OPTION]... [CGROUP-DIRECTORY]\n"
"       memcg_stat --list | --probe\n"
"\n"
"Show the memory of a cgroup v2 directory, by default the root, and of all cgroups\n"
"below it.\n"
"\n";

static const char help_tail[] =
"\n"
"Counters include those of the cgroups below. What the kernel does not keep, or\n"
"not for this cgroup, shows as -. Pressure is up to 2 s old.\n"
"\n"
"Exit status: 0 ended as asked, 1 failed while running, 2 bad options or not a\n"
"cgroup, 77 this kernel lacks what is needed.\n";

static const struct counter *find_counter(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < nr_counters; i++)
		if (strlen(counters[i].name) == len && !strncmp(counters[i].name, name, len))
			return &counters[i];
	return NULL;
}

static int choose(const struct counter *c)
{
	unsigned int i;

	for (i = 0; i < nr_chosen; i++)
		if (chosen[i] == c)
			return i;
	chosen[nr_chosen] = c;
	return nr_chosen++;
}

static int choose_columns(void)
{
	const char *name = column_list;
	const struct counter *c;
	size_t i, len;

	if (!strcmp(column_list, "all")) {
		for (i = 0; i < nr_counters; i++)
			choose(&counters[i]);
	} else {
		for (;; name += len + 1) {
			len = strcspn(name, ",");
			c = find_counter(name, len);
			if (!c)
				return complain(EXIT_USAGE, "--columns: there is no counter '%.*s', see --list",
						(int)len, name);
			choose(c);
			if (!name[len])
				break;
		}
	}

	if (sort_by && !strcmp(sort_by, "id")) {
		sort_by_id = true;
	} else if (sort_by && strcmp(sort_by, "path")) {
		c = find_counter(sort_by, strlen(sort_by));
		if (!c)
			return complain(EXIT_USAGE, "--sort '%s': give path, id, or a column of --list",
					sort_by);
		sort_column = choose(c);
	} else if (!sort_by && top) {
		sort_column = 0;
	}
	return 0;
}

static int list_counters(void)
{
	static const char * const units[] = { "bytes", "bytes", "events", "ns" };
	size_t i;

	for (i = 0; i < nr_counters; i++)
		printf("%-26s %s\n", counters[i].name, units[counters[i].unit]);
	return 0;
}

static int check_options(void)
{
	if (json_path && openmetrics)
		return complain(EXIT_USAGE, "--json and --openmetrics: give one of them");
	format = json_path ? JSON : openmetrics ? OPENMETRICS : TABLE;
	if (times && !interval_ms)
		return complain(EXIT_USAGE, "--times needs --interval");
	if (interval_ms && format == OPENMETRICS)
		return complain(EXIT_USAGE, "--openmetrics is one snapshot: without --interval, run it again");
	return choose_columns();
}

/* Cgroups */

static bool is_cgroup2(const char *dir)
{
	struct statfs fs;

	return !statfs(dir, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int open_cgroup(void)
{
	char root[PATH_MAX], real[PATH_MAX], above[PATH_MAX];
	size_t mount_len;
	int err;

	if (!path) {
		err = find_cgroup_root(root, sizeof(root));
		if (err)
			return err;
		path = root;
	}
	cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup_fd < 0 || !realpath(path, real))
		return complain(EXIT_USAGE, "%s: %s", path, strerror(errno));
	if (!is_cgroup2(real))
		return complain(EXIT_USAGE, "%s: not a cgroup v2 directory", path);
	path = NULL;

	/* As far up as there are cgroups is the mount point */
	snprintf(above, sizeof(above), "%s", real);
	do {
		mount_len = strlen(above);
		*strrchr(above, '/') = '\0';
	} while (*above && is_cgroup2(above));
	snprintf(start_path, sizeof(start_path), "%s", real[mount_len] ? real + mount_len : "/");
	return 0;
}

static unsigned int count_cgroups(void)
{
	unsigned int nr = 0;
	char text[4096], *p;
	ssize_t n;
	int fd;

	fd = openat(cgroup_fd, "cgroup.stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strstr(text, "nr_descendants ");
	if (p)
		sscanf(p, "nr_descendants %u", &nr);
	return nr;
}

/* The kernel */

static const struct kernel_need needs[] = {
	{ "bpf_get_mem_cgroup", "memory cgroups of cgroups", NULL, BTF_KIND_FUNC },
	{ "bpf_mem_cgroup_flush_stats", "current statistics", NULL, BTF_KIND_FUNC },
	{ "bpf_mem_cgroup_read", "many counters in one call", NULL, BTF_KIND_FUNC },
	{ "/proc/pressure/memory", "pressure stall information",
	  "psi_some and psi_full show as -" },
	{ }
};

static int enumerator(const struct btf *btf, const char *type, const char *name)
{
	int i, id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t;
	const struct btf_enum *e;

	if (id < 0)
		return -1;
	t = btf__type_by_id(btf, id);
	for (i = 0, e = btf_enum(t); i < btf_vlen(t); i++, e++)
		if (!strcmp(btf__name_by_offset(btf, e->name_off), name))
			return e->val;
	return -1;
}

static struct bpf_memcg_item item_of(const struct btf *btf, const struct counter *c)
{
	/* A field is read otherwise; in the list it is one more usage */
	struct bpf_memcg_item item = {
		.kind = c->kind == MEMCG_STAT_FIELD ? BPF_MEMCG_ITEM_USAGE : c->kind,
	};
	int index = -1;

	switch (c->kind) {
	case BPF_MEMCG_ITEM_STATE:
		index = enumerator(btf, "node_stat_item", c->enumerator);
		if (index < 0)
			index = enumerator(btf, "memcg_stat_item", c->enumerator);
		break;
	case BPF_MEMCG_ITEM_VM_EVENT:
		index = enumerator(btf, "vm_event_item", c->enumerator);
		break;
	case BPF_MEMCG_ITEM_MEMORY_EVENT:
		index = enumerator(btf, "memcg_memory_event", c->enumerator);
		break;
	case BPF_MEMCG_ITEM_USAGE:
		index = 0;
		break;
	}
	/* One that no kernel has makes the counter absent */
	item.index = index;
	return item;
}

static void unload(void)
{
	if (records)
		munmap(records, stride * room);
	records = NULL;
	bpf_link__destroy(iter_link);
	iter_link = NULL;
	memcg_stat__destroy(skel);
	skel = NULL;
}

/* Make room for @nr cgroups. */
static int load(const struct btf *btf, unsigned int nr)
{
	union bpf_iter_link_info linfo = {
		.cgroup.cgroup_fd = cgroup_fd,
		.cgroup.order = self_only ? BPF_CGROUP_ITER_SELF_ONLY :
					    BPF_CGROUP_ITER_DESCENDANTS_PRE,
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts,
		    .link_info = &linfo, .link_info_len = sizeof(linfo));
	unsigned int i;
	int err;

	skel = memcg_stat__open();
	if (!skel)
		return complain(EXIT_FAILURE, "the BPF object cannot be opened: %s",
				strerror(errno));

	skel->rodata->nr_items = nr_chosen;
	skel->rodata->flush = !no_flush;
	for (i = 0; i < nr_chosen; i++)
		skel->bss->items[i] = item_of(btf, chosen[i]);

	/* A multiple of 8, as the elements of the map are */
	stride = sizeof(struct memcg_stat_record) + nr_chosen * sizeof(__u64);
	room = nr + nr / 4 + 64;
	bpf_map__set_value_size(skel->maps.records, stride);
	bpf_map__set_max_entries(skel->maps.records, room);

	err = memcg_stat__load(skel);
	if (err)
		return complain_load(err);

	records = mmap(NULL, stride * room, PROT_READ, MAP_SHARED,
		       bpf_map__fd(skel->maps.records), 0);
	if (records == MAP_FAILED) {
		records = NULL;
		return complain(EXIT_FAILURE, "the counters cannot be mapped: %s", strerror(errno));
	}
	iter_link = bpf_program__attach_iter(skel->progs.sweep, &opts);
	if (!iter_link)
		return complain(EXIT_FAILURE, "the cgroup iterator cannot be attached: %s",
				strerror(errno));
	return 0;
}

static struct memcg_stat_record *record(const struct sweep *s, unsigned int i)
{
	return (struct memcg_stat_record *)(s->copy + i * stride);
}

static int compare_ids(const void *a, const void *b, void *arg)
{
	__u64 x = record(arg, *(const unsigned int *)a)->id;
	__u64 y = record(arg, *(const unsigned int *)b)->id;

	return x < y ? -1 : x > y;
}

/* The record of the cgroup @id in @s, or NULL. */
static struct memcg_stat_record *find_record(const struct sweep *s, __u64 id)
{
	unsigned int from = 0, to = s->nr, middle;

	while (from < to) {
		middle = (from + to) / 2;
		if (record(s, s->by_id[middle])->id < id)
			from = middle + 1;
		else
			to = middle;
	}
	if (from < s->nr && record(s, s->by_id[from])->id == id)
		return record(s, s->by_id[from]);
	return NULL;
}

static void forget(struct sweep *s)
{
	free(s->copy);
	free(s->by_id);
	memset(s, 0, sizeof(*s));
}

/* Read everything once. */
static int look(const struct btf *btf, struct sweep *s)
{
	unsigned int i, nr;
	int fd, err;
	ssize_t n;
	char none;

	for (;;) {
		fd = bpf_iter_create(bpf_link__fd(iter_link));
		if (fd < 0)
			return complain(EXIT_FAILURE, "the cgroup iterator cannot be opened: %s",
					strerror(errno));
		skel->bss->nr_cgroups = 0;
		do
			n = read(fd, &none, sizeof(none));
		while (n < 0 && (errno == EINTR || errno == EAGAIN));
		err = n < 0 ? errno : 0;
		close(fd);
		if (err)
			return complain(EXIT_FAILURE, "the cgroup iterator cannot be read: %s",
					strerror(err));
		nr = skel->bss->nr_cgroups;
		if (nr <= room)
			break;
		/* More cgroups than there were: make more room, look again */
		unload();
		err = load(btf, nr);
		if (err)
			return err;
	}

	s->at_ns = now_ns();
	s->nr = nr;
	s->copy = malloc(stride * (nr ?: 1));
	s->by_id = calloc(nr ?: 1, sizeof(*s->by_id));
	if (!s->copy || !s->by_id)
		return complain(EXIT_FAILURE, "no memory for %u cgroups", nr);
	memcpy(s->copy, records, stride * nr);
	for (i = 0; i < nr; i++)
		s->by_id[i] = i;
	if (interval_ms)
		qsort_r(s->by_id, nr, sizeof(*s->by_id), compare_ids, s);
	return 0;
}

/* What is shown */

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	__u64 v, w;

	if (sort_by_id && x->rec->id != y->rec->id)
		return x->rec->id < y->rec->id ? -1 : 1;
	if (sort_column >= 0) {
		v = shown(x, sort_column, interval_ms && format == TABLE);
		w = shown(y, sort_column, interval_ms && format == TABLE);
		if (v != w) {
			if (v == MEMCG_STAT_ABSENT || w == MEMCG_STAT_ABSENT)
				return v == MEMCG_STAT_ABSENT ? 1 : -1;
			return v > w ? -1 : 1;
		}
	}
	return x->position < y->position ? -1 : x->position > y->position;
}

/*
 * The paths of all cgroups, in the order of the iterator: each is below the last
 * one seen a level up.
 */
static char **make_paths(const struct sweep *s)
{
	const char *above;
	char **paths = calloc(s->nr ?: 1, sizeof(*paths));
	unsigned int i, first;
	unsigned int *last = NULL, *more, depth = 0, level;

	if (!paths || !s->nr)
		return paths;
	first = record(s, 0)->level;
	for (i = 0; i < s->nr; i++) {
		const struct memcg_stat_record *rec = record(s, i);

		level = rec->level > first ? rec->level - first : 0;
		if (level >= depth) {
			more = realloc(last, (level + 16) * sizeof(*last));
			if (!more)
				goto fail;
			last = more;
			memset(last + depth, 0, (level + 16 - depth) * sizeof(*last));
			depth = level + 16;
		}
		last[level] = i;
		if (!level) {
			paths[i] = strdup(start_path);
		} else {
			above = paths[last[level - 1]];
			if (asprintf(&paths[i], "%s/%s", strcmp(above, "/") ? above : "",
				     rec->name) < 0)
				paths[i] = NULL;
		}
		if (!paths[i])
			goto fail;
	}
	free(last);
	return paths;
fail:
	for (i = 0; i < s->nr; i++)
		free(paths[i]);
	free(paths);
	free(last);
	return NULL;
}

/* The terminal's width and height, for a live view; false if there is none. */
static bool live_view(struct winsize *window)
{
	return interval_ms && format == TABLE && isatty(STDOUT_FILENO) &&
	       !ioctl(STDOUT_FILENO, TIOCGWINSZ, window) && window->ws_row > 3;
}

/* @text from the top of the terminal, each line cleared to its end, then the rest */
static void show_live(const char *text, unsigned int shown_rows, unsigned int nr)
{
	const char *row, *end;

	printf("\033[H%u of %u cgroups, every %llu ms; end with Ctrl-C\033[K\n", shown_rows, nr,
	       interval_ms);
	for (row = text; *row; row = end + 1) {
		end = strchrnul(row, '\n');
		printf("%.*s\033[K\n", (int)(end - row), row);
		if (!*end)
			break;
	}
	printf("\033[J");
}

/* A screenful at a time for a live view on a terminal, everything otherwise. */
static int show(const struct sweep *s, const struct sweep *before)
{
	struct winsize window = {};
	bool live = live_view(&window);
	struct line *lines = calloc(s->nr ?: 1, sizeof(*lines));
	FILE *out = json_file ?: stdout, *f;
	char **paths = make_paths(s), *text = NULL;
	unsigned int i, nr = s->nr;
	size_t size;
	int err = 0;

	f = open_memstream(&text, &size);
	if (!lines || !paths || !f)
		return complain(EXIT_FAILURE, "no memory for %u cgroups", s->nr);
	for (i = 0; i < nr; i++) {
		lines[i].rec = record(s, i);
		lines[i].path = paths[i];
		lines[i].position = i;
		if (before->nr) {
			lines[i].before = find_record(before, lines[i].rec->id);
			lines[i].seconds = (s->at_ns - before->at_ns) / 1e9;
		}
	}
	if (sort_column >= 0 || sort_by_id)
		qsort(lines, nr, sizeof(*lines), compare_lines);
	if (top && nr > top)
		nr = top;
	/* The last row is for the cursor, the first for the titles, one for a note */
	if (live && nr > window.ws_row - 4u)
		nr = window.ws_row - 4u;

	if (format == TABLE)
		print_table(f, lines, nr, interval_ms, live ? window.ws_col : 0);
	else if (format == JSON)
		print_json(f, lines, nr);
	else
		print_openmetrics(f, lines, nr);
	if (fclose(f))
		err = complain(EXIT_FAILURE, "no memory for the output");

	if (!err && live) {
		show_live(text, nr, s->nr);
	} else if (!err) {
		fwrite(text, 1, size, out);
		if (interval_ms && format == TABLE)
			putc('\n', out);
	}
	err = err ?: check_output();

	for (i = 0; i < s->nr; i++)
		free(paths[i]);
	free(paths);
	free(lines);
	free(text);
	return err;
}

/* Wait for the next time; true when a signal came instead. */
static bool wait_for(int signal_fd, int timer_fd)
{
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = timer_fd, .events = POLLIN },
	};
	__u64 ticks;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return true;
		if (read(timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			return false;
	}
}

static int run(const struct btf *btf, int signal_fd)
{
	struct itimerspec timer = {
		.it_interval.tv_sec = interval_ms / 1000,
		.it_interval.tv_nsec = interval_ms % 1000 * NSEC_PER_MSEC,
	};
	struct sweep now = {}, before = {};
	unsigned long long n = 0;
	int timer_fd, err;

	timer.it_value = timer.it_interval;
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &timer, NULL))
		return complain(EXIT_FAILURE, "timer: %s", strerror(errno));

	err = load(btf, self_only ? 1 : count_cgroups() + 1);
	while (!err) {
		err = look(btf, &now);
		if (!err && !now.nr) {
			/* That it ends is an error only for who asked for it once */
			complain(0, "%s: this cgroup is gone", start_path);
			err = n ? 0 : EXIT_FAILURE;
			break;
		}
		if (!err)
			err = show(&now, &before);
		forget(&before);
		before = now;
		memset(&now, 0, sizeof(now));
		if (err || !interval_ms || ++n == times || wait_for(signal_fd, timer_fd))
			break;
	}
	forget(&before);
	forget(&now);
	unload();
	close(timer_fd);
	return err;
}

int main(int argc, char **argv)
{
	int signal_fd = -1, err;
	struct btf *btf;

	err = parse_options(argc, argv, options, NULL, &path, help_head,
			    help_tail) ?: check_options();
	if (err)
		return err;
	if (list)
		return list_counters() ?: check_output();
	if (probe_only)
		return probe_kernel(needs, true);

	/* Who looks but once can be interrupted at any time */
	signal(SIGPIPE, SIG_IGN);
	if (interval_ms)
		signal_fd = open_signals();
	if (interval_ms && signal_fd < 0)
		return EXIT_FAILURE;

	btf = btf__load_vmlinux_btf();
	err = open_cgroup() ?: probe_kernel(needs, false) ?: open_output() ?: run(btf, signal_fd);
	btf__free(btf);
	if (cgroup_fd >= 0)
		close(cgroup_fd);
	return err;
}
