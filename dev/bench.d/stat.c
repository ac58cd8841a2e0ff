// SPDX-License-Identifier: GPL-2.0
/*
 * Read the counters of memory.stat of many cgroups again and again, in one of
 * several ways, and say what it cost: `stat READER flush|no-flush READS DIR`.
 * DIR is the cgroup to read, with all cgroups below it; READS is how many times
 * a cgroup is read in all. Prints the number of cgroups and of counters, the
 * reads, and the nanoseconds of elapsed, user and system time.
 *
 *	text	memory.stat, kept open, pread(), parsed by hand
 *	scanf	memory.stat, kept open as a stream, fgets() and sscanf()
 *	single	a kfunc call for each counter, from a cgroup iterator
 *	bulk	one kfunc call for all, from a cgroup iterator
 *	one	one kfunc call for all, from a syscall program for each cgroup
 *
 * All bring the same counters into the same place. Before anything is measured
 * the values are compared with the text.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include "stat.h"
#include "stat.skel.h"

static struct cgroup {
	int dir, fd;
	FILE *stream;
	__u64 id;
} cgroups[MAX_CGROUPS];
static unsigned int nr_cgroups;

/* A line of memory.stat; the column of its value, or -1 for sums of others. */
static int column[MAX_ITEMS];
static char names[MAX_ITEMS][32];
static unsigned int nr_lines, nr_columns, nr_states;
static struct bpf_memcg_item items[MAX_ITEMS];

static struct record *records;		/* where all readers put their values */
static struct stat_bench *skel;
static struct bpf_link *iter_link;

/* Which item has which name, as far as it is not the enumerator in lower case. */
static const struct {
	const char *name, *item;
} state_names[] = {
	{ "anon", "NR_ANON_MAPPED" },			{ "file", "NR_FILE_PAGES" },
	{ "kernel", "MEMCG_KMEM" },			{ "kernel_stack", "NR_KERNEL_STACK_KB" },
	{ "pagetables", "NR_PAGETABLE" },		{ "sec_pagetables", "NR_SECONDARY_PAGETABLE" },
	{ "percpu", "MEMCG_PERCPU_B" },			{ "sock", "MEMCG_SOCK" },
	{ "vmalloc", "NR_VMALLOC" },			{ "shmem", "NR_SHMEM" },
	{ "zswap", "MEMCG_ZSWAP_B" },			{ "zswapped", "MEMCG_ZSWAPPED" },
	{ "zswap_incomp", "MEMCG_ZSWAP_INCOMP" },	{ "file_mapped", "NR_FILE_MAPPED" },
	{ "file_dirty", "NR_FILE_DIRTY" },		{ "file_writeback", "NR_WRITEBACK" },
	{ "swapcached", "NR_SWAPCACHE" },		{ "anon_thp", "NR_ANON_THPS" },
	{ "file_thp", "NR_FILE_THPS" },			{ "shmem_thp", "NR_SHMEM_THPS" },
	{ "inactive_anon", "NR_INACTIVE_ANON" },	{ "active_anon", "NR_ACTIVE_ANON" },
	{ "inactive_file", "NR_INACTIVE_FILE" },	{ "active_file", "NR_ACTIVE_FILE" },
	{ "unevictable", "NR_UNEVICTABLE" },		{ "hugetlb", "NR_HUGETLB" },
	{ "slab_reclaimable", "NR_SLAB_RECLAIMABLE_B" },
	{ "slab_unreclaimable", "NR_SLAB_UNRECLAIMABLE_B" },
	{ "numa_pages_migrated", "NUMA_PAGE_MIGRATE" },
};

static __u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static __u64 usage_ns(bool system)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return system ? ru.ru_stime.tv_sec * 1000000000ULL + ru.ru_stime.tv_usec * 1000ULL :
			ru.ru_utime.tv_sec * 1000000000ULL + ru.ru_utime.tv_usec * 1000ULL;
}

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

/* The cgroup @path and those below it, parents first. */
static void open_cgroups(const char *path)
{
	char file[4096];
	struct dirent *d;
	struct cgroup *c;
	struct stat st;
	DIR *dir;

	if (nr_cgroups == MAX_CGROUPS)
		errx(1, "%s: more than %d cgroups", path, MAX_CGROUPS);
	c = &cgroups[nr_cgroups++];
	c->dir = open(path, O_RDONLY | O_DIRECTORY);
	c->fd = openat(c->dir, "memory.stat", O_RDONLY);
	if (c->fd < 0 || fstat(c->dir, &st))
		err(1, "%s/memory.stat", path);
	c->id = st.st_ino;

	dir = opendir(path);
	while ((d = readdir(dir))) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
		open_cgroups(file);
	}
	closedir(dir);
}

/* Learn the lines of memory.stat, and which items they are. */
static void learn_layout(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	static char text[16384];
	char name[32], upper[64], *p;
	int line[MAX_ITEMS], index;
	unsigned int i;
	ssize_t n;

	n = pread(cgroups[0].fd, text, sizeof(text) - 1, 0);
	if (n <= 0 || !btf)
		err(1, "memory.stat");
	text[n] = '\0';
	for (p = text; *p; p = strchr(p, '\n') + 1) {
		if (sscanf(p, "%31s", name) != 1)
			break;
		for (i = 0; name[i]; i++)
			upper[i] = toupper(name[i]);
		upper[i] = '\0';
		for (i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
			if (!strcmp(name, state_names[i].name))
				strcpy(upper, state_names[i].item);
		strcpy(names[nr_lines], name);
		column[nr_lines] = -1;
		if (strcmp(name, "slab") && strcmp(name, "pgscan") && strcmp(name, "pgsteal")) {
			struct bpf_memcg_item item = { };

			index = enumerator(btf, "node_stat_item", upper);
			if (index < 0)
				index = enumerator(btf, "memcg_stat_item", upper);
			if (index < 0) {
				item.kind = 1;
				index = enumerator(btf, "vm_event_item", upper);
			}
			if (index < 0)
				errx(1, "memory.stat has %s, which is not known here", name);
			item.index = index;
			/* memory.stat has events last, which keeps states first here */
			if (!item.kind)
				nr_states = nr_columns + 1;
			items[nr_columns] = item;
			line[nr_columns] = nr_lines;
			column[nr_lines] = nr_columns++;
		}
		nr_lines++;
	}
	for (i = 0; i < nr_columns; i++)
		if ((items[i].kind == 1) != (i >= nr_states))
			errx(1, "memory.stat mixes events with states at %s", names[line[i]]);
	btf__free(btf);
}

static void load(const char *reader, bool flush)
{
	union bpf_iter_link_info linfo = {
		.cgroup.cgroup_fd = cgroups[0].dir,
		.cgroup.order = BPF_CGROUP_ITER_DESCENDANTS_PRE,
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts,
		    .link_info = &linfo, .link_info_len = sizeof(linfo));
	unsigned int i;

	skel = stat_bench__open();
	if (!skel)
		err(1, "open");
	skel->rodata->nr_items = nr_columns;
	skel->rodata->nr_states = nr_states;
	skel->rodata->flush = flush;
	memcpy(skel->bss->items, items, sizeof(items));
	for (i = 0; i < nr_columns; i++) {
		skel->rodata->states[i] = items[i].index;
		skel->rodata->events[i] = items[i].index;
	}
	bpf_program__set_autoload(skel->progs.read_one, !strcmp(reader, "one"));
	bpf_program__set_autoload(skel->progs.sweep_bulk, !strcmp(reader, "bulk"));
	bpf_program__set_autoload(skel->progs.sweep_single, !strcmp(reader, "single"));
	if (stat_bench__load(skel))
		err(1, "load");

	if (!strcmp(reader, "bulk") || !strcmp(reader, "single")) {
		iter_link = bpf_program__attach_iter(!strcmp(reader, "bulk") ? skel->progs.sweep_bulk :
						skel->progs.sweep_single, &opts);
		if (!iter_link)
			err(1, "attach");
		records = mmap(NULL, sizeof(struct record) * MAX_CGROUPS, PROT_READ, MAP_SHARED,
			       bpf_map__fd(skel->maps.records), 0);
		if (records == MAP_FAILED)
			err(1, "mmap");
	}
}

/* The readers: each reads all cgroups once. */

static void read_text(void)
{
	static char text[16384];
	unsigned int i, line;
	const char *p;
	__u64 value;
	ssize_t n;

	for (i = 0; i < nr_cgroups; i++) {
		n = pread(cgroups[i].fd, text, sizeof(text) - 1, 0);
		if (n <= 0)
			err(1, "memory.stat");
		text[n] = '\0';
		/* The order of the lines is known, so names are skipped and not compared */
		for (p = text, line = 0; line < nr_lines; line++) {
			while (*p++ != ' ')
				;
			for (value = 0; *p != '\n'; p++)
				value = value * 10 + (*p - '0');
			p++;
			if (column[line] >= 0)
				records[i].values[column[line]] = value;
		}
	}
}

static void read_scanf(void)
{
	unsigned long long value;
	char line[128], name[64];
	unsigned int i, nr;

	for (i = 0; i < nr_cgroups; i++) {
		rewind(cgroups[i].stream);
		for (nr = 0; fgets(line, sizeof(line), cgroups[i].stream); nr++) {
			if (sscanf(line, "%63s %llu", name, &value) != 2)
				errx(1, "memory.stat: %s", line);
			if (column[nr] >= 0)
				records[i].values[column[nr]] = value;
		}
		if (nr != nr_lines)
			errx(1, "memory.stat has %u lines", nr);
	}
}

static void read_iter(void)
{
	int fd = bpf_iter_create(bpf_link__fd(iter_link));
	char none;

	skel->bss->nr_cgroups = 0;
	if (fd < 0 || read(fd, &none, sizeof(none)))
		err(1, "iterator");
	close(fd);
	if (skel->bss->nr_cgroups != nr_cgroups)
		errx(1, "the iterator had %u cgroups of %u", skel->bss->nr_cgroups, nr_cgroups);
}

static void read_one(void)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_program__fd(skel->progs.read_one);
	unsigned int i;

	for (i = 0; i < nr_cgroups; i++) {
		skel->bss->cgid = cgroups[i].id;
		if (bpf_prog_test_run_opts(fd, &opts) || opts.retval)
			errx(1, "the program cannot read");
		memcpy(records[i].values, skel->bss->values, nr_columns * sizeof(__u64));
	}
}

/* Are the values those of the text? All cgroups are at rest. */
static void compare(void)
{
	unsigned int i, c, different = 0;
	struct record *before, *is;

	is = malloc(sizeof(*is) * nr_cgroups);
	memcpy(is, records, sizeof(*is) * nr_cgroups);
	before = records;
	records = calloc(nr_cgroups, sizeof(*records));
	read_text();
	for (i = 0; i < nr_cgroups; i++)
		for (c = 0; c < nr_columns; c++)
			different += is[i].values[c] != records[i].values[c];
	/* The iterator may have siblings in another order: the first cgroup is enough */
	if (iter_link)
		for (different = 0, c = 0; c < nr_columns; c++)
			different += is[0].values[c] != records[0].values[c];
	if (different)
		warnx("%u values differ from the text", different);
	free(is);
	free(records);
	records = before;
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 4 * MAX_CGROUPS, 4 * MAX_CGROUPS };
	__u64 elapsed, user, system;
	unsigned long i, sweeps;
	const char *reader;
	void (*read_all)(void);

	if (argc != 5)
		errx(2, "usage: stat text|scanf|single|bulk|one flush|no-flush READS DIR");
	reader = argv[1];
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "setrlimit");
	open_cgroups(argv[4]);
	learn_layout();
	sweeps = strtoul(argv[3], NULL, 10) / nr_cgroups ?: 1;

	if (!strcmp(reader, "text"))
		read_all = read_text;
	else if (!strcmp(reader, "scanf"))
		read_all = read_scanf;
	else if (!strcmp(reader, "one"))
		read_all = read_one;
	else
		read_all = read_iter;
	if (read_all == read_scanf)
		for (i = 0; i < nr_cgroups; i++)
			cgroups[i].stream = fdopen(dup(cgroups[i].fd), "r");
	if (read_all == read_iter || read_all == read_one)
		load(reader, !strcmp(argv[2], "flush"));
	if (read_all != read_iter)
		records = calloc(nr_cgroups, sizeof(*records));

	/* Once to warm up, and to be compared */
	read_all();
	compare();

	elapsed = clock_ns();
	user = usage_ns(false);
	system = usage_ns(true);
	for (i = 0; i < sweeps; i++)
		read_all();
	system = usage_ns(true) - system;
	user = usage_ns(false) - user;
	elapsed = clock_ns() - elapsed;
	printf("@ %s %s %u %u %lu %llu %llu %llu\n", reader, argv[2], nr_cgroups, nr_columns,
	       sweeps * nr_cgroups, elapsed, user, system);
	return 0;
}
