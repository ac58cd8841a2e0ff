// SPDX-License-Identifier: GPL-2.0
/*
 * Show the memory counters of a cgroup and of all cgroups below it.
 *
 * The counters are those of memory.stat, memory.events and memory.current, by
 * the same names and in the same units. One read() of a BPF cgroup iterator
 * brings all of them for all cgroups; see memcg_stat.bpf.c.
 *
 * A counter that the kernel does not keep, or a cgroup without the memory
 * controller, shows as absent (-, null, or no sample at all), never as 0.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "memcg_common.h"
#include "memcg_stat.h"
#include "memcg_stat.skel.h"

#define ABSENT		(~0ULL)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* What a value is: an amount in bytes, or a number of events, which only grows. */
enum unit { BYTES, EVENTS };

#define STATE	BPF_MEMCG_ITEM_STATE
#define VM	BPF_MEMCG_ITEM_VM_EVENT
#define EVENT	BPF_MEMCG_ITEM_MEMORY_EVENT
#define USAGE	BPF_MEMCG_ITEM_USAGE

/*
 * The counters by the names that memory.stat and memory.events have for them.
 * Which number the running kernel has for the enumerator is up to its type
 * information; an enumerator that it does not have is a counter that is absent.
 */
static const struct counter {
	const char *name;
	enum bpf_memcg_item_kind kind;
	enum unit unit;
	const char *enumerator;
} counters[] = {
	{ "current",			USAGE,	BYTES,	NULL },
	{ "anon",			STATE,	BYTES,	"NR_ANON_MAPPED" },
	{ "file",			STATE,	BYTES,	"NR_FILE_PAGES" },
	{ "kernel",			STATE,	BYTES,	"MEMCG_KMEM" },
	{ "kernel_stack",		STATE,	BYTES,	"NR_KERNEL_STACK_KB" },
	{ "pagetables",			STATE,	BYTES,	"NR_PAGETABLE" },
	{ "sec_pagetables",		STATE,	BYTES,	"NR_SECONDARY_PAGETABLE" },
	{ "percpu",			STATE,	BYTES,	"MEMCG_PERCPU_B" },
	{ "sock",			STATE,	BYTES,	"MEMCG_SOCK" },
	{ "vmalloc",			STATE,	BYTES,	"NR_VMALLOC" },
	{ "shmem",			STATE,	BYTES,	"NR_SHMEM" },
	{ "swap",			STATE,	BYTES,	"MEMCG_SWAP" },
	{ "zswap",			STATE,	BYTES,	"MEMCG_ZSWAP_B" },
	{ "zswapped",			STATE,	BYTES,	"MEMCG_ZSWAPPED" },
	{ "zswap_incomp",		STATE,	BYTES,	"MEMCG_ZSWAP_INCOMP" },
	{ "file_mapped",		STATE,	BYTES,	"NR_FILE_MAPPED" },
	{ "file_dirty",			STATE,	BYTES,	"NR_FILE_DIRTY" },
	{ "file_writeback",		STATE,	BYTES,	"NR_WRITEBACK" },
	{ "swapcached",			STATE,	BYTES,	"NR_SWAPCACHE" },
	{ "anon_thp",			STATE,	BYTES,	"NR_ANON_THPS" },
	{ "file_thp",			STATE,	BYTES,	"NR_FILE_THPS" },
	{ "shmem_thp",			STATE,	BYTES,	"NR_SHMEM_THPS" },
	{ "inactive_anon",		STATE,	BYTES,	"NR_INACTIVE_ANON" },
	{ "active_anon",		STATE,	BYTES,	"NR_ACTIVE_ANON" },
	{ "inactive_file",		STATE,	BYTES,	"NR_INACTIVE_FILE" },
	{ "active_file",		STATE,	BYTES,	"NR_ACTIVE_FILE" },
	{ "unevictable",		STATE,	BYTES,	"NR_UNEVICTABLE" },
	{ "slab_reclaimable",		STATE,	BYTES,	"NR_SLAB_RECLAIMABLE_B" },
	{ "slab_unreclaimable",		STATE,	BYTES,	"NR_SLAB_UNRECLAIMABLE_B" },
	{ "hugetlb",			STATE,	BYTES,	"NR_HUGETLB" },
	{ "workingset_refault_anon",	STATE,	EVENTS,	"WORKINGSET_REFAULT_ANON" },
	{ "workingset_refault_file",	STATE,	EVENTS,	"WORKINGSET_REFAULT_FILE" },
	{ "workingset_activate_anon",	STATE,	EVENTS,	"WORKINGSET_ACTIVATE_ANON" },
	{ "workingset_activate_file",	STATE,	EVENTS,	"WORKINGSET_ACTIVATE_FILE" },
	{ "workingset_restore_anon",	STATE,	EVENTS,	"WORKINGSET_RESTORE_ANON" },
	{ "workingset_restore_file",	STATE,	EVENTS,	"WORKINGSET_RESTORE_FILE" },
	{ "workingset_nodereclaim",	STATE,	EVENTS,	"WORKINGSET_NODERECLAIM" },
	{ "pgdemote_kswapd",		STATE,	EVENTS,	"PGDEMOTE_KSWAPD" },
	{ "pgdemote_direct",		STATE,	EVENTS,	"PGDEMOTE_DIRECT" },
	{ "pgdemote_khugepaged",	STATE,	EVENTS,	"PGDEMOTE_KHUGEPAGED" },
	{ "pgdemote_proactive",		STATE,	EVENTS,	"PGDEMOTE_PROACTIVE" },
	{ "pgsteal_kswapd",		STATE,	EVENTS,	"PGSTEAL_KSWAPD" },
	{ "pgsteal_direct",		STATE,	EVENTS,	"PGSTEAL_DIRECT" },
	{ "pgsteal_khugepaged",		STATE,	EVENTS,	"PGSTEAL_KHUGEPAGED" },
	{ "pgsteal_proactive",		STATE,	EVENTS,	"PGSTEAL_PROACTIVE" },
	{ "pgscan_kswapd",		STATE,	EVENTS,	"PGSCAN_KSWAPD" },
	{ "pgscan_direct",		STATE,	EVENTS,	"PGSCAN_DIRECT" },
	{ "pgscan_khugepaged",		STATE,	EVENTS,	"PGSCAN_KHUGEPAGED" },
	{ "pgscan_proactive",		STATE,	EVENTS,	"PGSCAN_PROACTIVE" },
	{ "pgrefill",			STATE,	EVENTS,	"PGREFILL" },
	{ "pgpromote_success",		STATE,	EVENTS,	"PGPROMOTE_SUCCESS" },
	{ "pswpin",			VM,	EVENTS,	"PSWPIN" },
	{ "pswpout",			VM,	EVENTS,	"PSWPOUT" },
	{ "pgfault",			VM,	EVENTS,	"PGFAULT" },
	{ "pgmajfault",			VM,	EVENTS,	"PGMAJFAULT" },
	{ "pgactivate",			VM,	EVENTS,	"PGACTIVATE" },
	{ "pgdeactivate",		VM,	EVENTS,	"PGDEACTIVATE" },
	{ "pglazyfree",			VM,	EVENTS,	"PGLAZYFREE" },
	{ "pglazyfreed",		VM,	EVENTS,	"PGLAZYFREED" },
	{ "swpin_zero",			VM,	EVENTS,	"SWPIN_ZERO" },
	{ "swpout_zero",		VM,	EVENTS,	"SWPOUT_ZERO" },
	{ "zswpin",			VM,	EVENTS,	"ZSWPIN" },
	{ "zswpout",			VM,	EVENTS,	"ZSWPOUT" },
	{ "zswpwb",			VM,	EVENTS,	"ZSWPWB" },
	{ "thp_fault_alloc",		VM,	EVENTS,	"THP_FAULT_ALLOC" },
	{ "thp_collapse_alloc",		VM,	EVENTS,	"THP_COLLAPSE_ALLOC" },
	{ "thp_swpout",			VM,	EVENTS,	"THP_SWPOUT" },
	{ "thp_swpout_fallback",	VM,	EVENTS,	"THP_SWPOUT_FALLBACK" },
	{ "numa_pages_migrated",	VM,	EVENTS,	"NUMA_PAGE_MIGRATE" },
	{ "numa_pte_updates",		VM,	EVENTS,	"NUMA_PTE_UPDATES" },
	{ "numa_hint_faults",		VM,	EVENTS,	"NUMA_HINT_FAULTS" },
	{ "low",			EVENT,	EVENTS,	"MEMCG_LOW" },
	{ "high",			EVENT,	EVENTS,	"MEMCG_HIGH" },
	{ "max",			EVENT,	EVENTS,	"MEMCG_MAX" },
	{ "oom",			EVENT,	EVENTS,	"MEMCG_OOM" },
	{ "oom_kill",			EVENT,	EVENTS,	"MEMCG_OOM_KILL" },
	{ "oom_group_kill",		EVENT,	EVENTS,	"MEMCG_OOM_GROUP_KILL" },
	{ "sock_throttled",		EVENT,	EVENTS,	"MEMCG_SOCK_THROTTLED" },
};

static const char default_counters[] =
	"current,anon,file,kernel,pgfault,pgmajfault,high,max,oom_kill";

enum format { TABLE, JSON, OPENMETRICS };

static enum format format = TABLE;
static const char *path;
static const char *counter_list = default_counters;
static const char *sort_by;
static unsigned long long interval_ms, times, top;
static bool self_only, no_flush;

/* The counters chosen, in order. */
static const struct counter *chosen[MEMCG_STAT_MAX_ITEMS];
static unsigned int nr_chosen;
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

static const char usage_text[] =
"Usage: memcg_stat [OPTION]... [CGROUP-DIRECTORY]\n"
"       memcg_stat --list | --probe\n"
"\n"
"Show the memory counters of a cgroup v2 directory, by default the root, and of\n"
"all cgroups below it.\n"
"\n"
"  -c, --counters LIST      names separated by commas, as in memory.stat and\n"
"                           memory.events; current is memory.current; or all\n"
"  -s, --self               only the given cgroup, none below it\n"
"  -j, --json               a line of JSON for each cgroup\n"
"  -m, --openmetrics        OpenMetrics text\n"
"  -i, --interval MS        again and again, 100..3600000; in a table, what only\n"
"                           grows is shown as its growth per second\n"
"  -n, --times N            stop after N times, 1..1000000000\n"
"      --sort NAME          by a counter, largest first; id; or path (default)\n"
"  -t, --top N              only the first N cgroups, 1..1000000; sorted by the first\n"
"                           counter if there is no --sort\n"
"      --no-flush           what the kernel has at hand, up to 2 s old\n"
"      --list               the names of all counters, and what they count\n"
"      --probe              say whether this kernel has what is needed\n"
"  -v, --verbose            show what libbpf says\n"
"  -h, --help               show this\n"
"\n"
"Counters include those of the cgroups below. A counter that this kernel does not\n"
"keep, or that is of a cgroup without the memory controller, shows as -.\n"
"\n"
"Exit status: 0 ended as asked, 1 failed while running, 2 bad options or not a\n"
"cgroup, 77 this kernel lacks what is needed.\n";

/* Options */

static const struct counter *find_counter(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
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

static int choose_counters(void)
{
	const char *name = counter_list;
	const struct counter *c;
	size_t i, len;

	static_assert(ARRAY_SIZE(counters) <= MEMCG_STAT_MAX_ITEMS, "room for all");

	if (!strcmp(counter_list, "all")) {
		for (i = 0; i < ARRAY_SIZE(counters); i++)
			choose(&counters[i]);
	} else {
		for (;; name += len + 1) {
			len = strcspn(name, ",");
			c = find_counter(name, len);
			if (!c)
				return complain(EXIT_USAGE, "--counters: there is no counter '%.*s', see --list",
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
			return complain(EXIT_USAGE, "--sort '%s': give path, id, or a counter of --list",
					sort_by);
		sort_column = choose(c);
	} else if (!sort_by && top) {
		sort_column = 0;
	}
	return 0;
}

static int list_counters(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		printf("%-26s %s\n", counters[i].name,
		       counters[i].unit == BYTES ? "bytes" : "events");
	return 0;
}

enum action { SHOW, LIST, PROBE };

static int parse_options(int argc, char **argv, enum action *action)
{
	static const struct option options[] = {
		{ "counters",	required_argument, NULL, 'c' },
		{ "self",	no_argument,	   NULL, 's' },
		{ "json",	no_argument,	   NULL, 'j' },
		{ "openmetrics", no_argument,	   NULL, 'm' },
		{ "interval",	required_argument, NULL, 'i' },
		{ "times",	required_argument, NULL, 'n' },
		{ "sort",	required_argument, NULL, 'S' },
		{ "top",	required_argument, NULL, 't' },
		{ "no-flush",	no_argument,	   NULL, 'F' },
		{ "list",	no_argument,	   NULL, 'L' },
		{ "probe",	no_argument,	   NULL, 'P' },
		{ "verbose",	no_argument,	   NULL, 'v' },
		{ "help",	no_argument,	   NULL, 'h' },
		{ }
	};
	enum format asked = TABLE;
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "c:sjmi:n:t:vh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			counter_list = optarg;
			break;
		case 's':
			self_only = true;
			break;
		case 'j':
		case 'm':
			asked = c == 'j' ? JSON : OPENMETRICS;
			if (format != TABLE && format != asked)
				err = complain(EXIT_USAGE, "--json and --openmetrics: give one of them");
			format = asked;
			break;
		case 'i':
			err = parse_number("--interval", optarg, 100, 3600000, &interval_ms);
			break;
		case 'n':
			err = parse_number("--times", optarg, 1, 1000000000, &times);
			break;
		case 'S':
			sort_by = optarg;
			break;
		case 't':
			err = parse_number("--top", optarg, 1, 1000000, &top);
			break;
		case 'F':
			no_flush = true;
			break;
		case 'L':
			*action = LIST;
			break;
		case 'P':
			*action = PROBE;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		default:
			/* getopt_long() has said what is wrong */
			return EXIT_USAGE;
		}
	}
	if (err)
		return err;
	if (optind < argc)
		path = argv[optind++];
	if (optind < argc)
		return complain(EXIT_USAGE, "'%s': one cgroup directory is enough, see --help",
				argv[optind]);
	if (times && !interval_ms)
		return complain(EXIT_USAGE, "--times needs --interval");
	if (interval_ms && format == OPENMETRICS)
		return complain(EXIT_USAGE, "--openmetrics is one snapshot: without --interval, run it again");
	return choose_counters();
}

/* Cgroups */

static bool is_cgroup2(const char *dir)
{
	struct statfs fs;

	return !statfs(dir, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Where is cgroup v2 mounted? */
static int find_root(char *dir, size_t size)
{
	char line[3 * PATH_MAX], type[64];
	FILE *f = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %4095s %63s", dir, type) == 2 &&
			!strcmp(type, "cgroup2") && is_cgroup2(dir);
	if (f)
		fclose(f);
	return found ? 0 : complain(EXIT_LACKING, "cgroup v2 is not mounted anywhere");
}

static int open_cgroup(void)
{
	char root[PATH_MAX], real[PATH_MAX], above[PATH_MAX];
	size_t mount_len;
	int err;

	if (!path) {
		err = find_root(root, sizeof(root));
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

/* With @report print each thing looked for. Returns 0 or EXIT_LACKING. */
static int probe_kernel(const struct btf *btf, bool report)
{
	static const struct {
		const char *name, *what;
	} needed[] = {
		{ "bpf_get_mem_cgroup", "memory cgroups of cgroups" },
		{ "bpf_mem_cgroup_flush_stats", "current statistics" },
		{ "bpf_mem_cgroup_read", "many counters in one call" },
	};
	int err = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		bool found = btf && btf__find_by_name_kind(btf, needed[i].name, BTF_KIND_FUNC) > 0;

		if (report)
			printf("%-4s %s (%s)\n", found ? "yes" : "no", needed[i].what,
			       needed[i].name);
		if (found || err)
			continue;
		err = EXIT_LACKING;
		if (!report)
			complain(err, "this kernel has no %s (CONFIG_BPF_MEMCG, CONFIG_DEBUG_INFO_BTF)",
				 needed[i].name);
	}
	return err;
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

static struct bpf_memcg_item item_of(const struct btf *btf, const struct counter *c)
{
	struct bpf_memcg_item item = { .kind = c->kind };
	int index = -1;

	switch (c->kind) {
	case STATE:
		index = enumerator(btf, "node_stat_item", c->enumerator);
		if (index < 0)
			index = enumerator(btf, "memcg_stat_item", c->enumerator);
		break;
	case VM:
		index = enumerator(btf, "vm_event_item", c->enumerator);
		break;
	case EVENT:
		index = enumerator(btf, "memcg_memory_event", c->enumerator);
		break;
	case USAGE:
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
	if (err == -EPERM || err == -EACCES)
		return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; be root, and see --verbose",
				strerror(-err));
	if (err)
		return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; see --verbose",
				strerror(-err));

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

struct line {
	const struct memcg_stat_record *rec, *before;
	const char *path;
	double seconds;		/* since @before */
	unsigned int position;
};

/* The value as shown, ABSENT or not; what grows, as growth if that is asked for. */
static __u64 shown(const struct line *l, unsigned int column)
{
	__u64 value = l->rec->has_memory ? l->rec->values[column] : ABSENT, last;

	if (value == ABSENT || format != TABLE || !interval_ms || chosen[column]->unit == BYTES)
		return value;
	if (!l->before || !l->before->has_memory || l->seconds <= 0)
		return ABSENT;
	last = l->before->values[column];
	/* A counter of one moment may be a little behind that of the last */
	return value > last ? (value - last) / l->seconds + 0.5 : 0;
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	__u64 v, w;

	if (sort_by_id && x->rec->id != y->rec->id)
		return x->rec->id < y->rec->id ? -1 : 1;
	if (sort_column >= 0) {
		v = shown(x, sort_column);
		w = shown(y, sort_column);
		if (v != w) {
			if (v == ABSENT || w == ABSENT)
				return v == ABSENT ? 1 : -1;
			return v > w ? -1 : 1;
		}
	}
	return x->position < y->position ? -1 : x->position > y->position;
}

static void print_amount(FILE *f, __u64 value, enum unit unit, int width)
{
	static const char suffix[] = " KMGTPE";
	double amount = value;
	int i = 0;

	if (value == ABSENT) {
		fprintf(f, "%*s", width, "-");
		return;
	}
	if (unit == EVENTS) {
		fprintf(f, "%*llu", width, (unsigned long long)value);
		return;
	}
	for (; amount >= 1024 && i < 6; i++)
		amount /= 1024;
	if (i)
		fprintf(f, "%*.1f%c", width - 1, amount, suffix[i]);
	else
		fprintf(f, "%*llu", width, (unsigned long long)value);
}

static int column_width(unsigned int column)
{
	int len = strlen(chosen[column]->name);

	if (interval_ms && chosen[column]->unit == EVENTS)
		len += 2;
	return len > 8 ? len : 8;
}

/* No control characters: a terminal would obey them. */
static void print_plain(FILE *f, const char *text)
{
	for (; *text; text++)
		putc(iscntrl((unsigned char)*text) ? '?' : *text, f);
}

/* Both formats escape alike, but for what is not printable. */
static void print_escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(f, "\\%c", *text);
		else if (iscntrl((unsigned char)*text))
			fprintf(f, format == JSON ? "\\u%04x" : "?", (unsigned char)*text);
		else
			putc(*text, f);
	}
}

static void print_table(FILE *f, const struct line *lines, unsigned int nr)
{
	char title[64];
	unsigned int i, c;

	for (c = 0; c < nr_chosen; c++) {
		snprintf(title, sizeof(title), "%s%s", chosen[c]->name,
			 interval_ms && chosen[c]->unit == EVENTS ? "/s" : "");
		fprintf(f, "%*s ", column_width(c), title);
	}
	fprintf(f, "%10s  %s\n", "id", "cgroup");
	for (i = 0; i < nr; i++) {
		for (c = 0; c < nr_chosen; c++) {
			print_amount(f, shown(&lines[i], c), chosen[c]->unit, column_width(c));
			putc(' ', f);
		}
		fprintf(f, "%10llu  ", (unsigned long long)lines[i].rec->id);
		print_plain(f, lines[i].path);
		putc('\n', f);
	}
}

static void print_json(FILE *f, const struct line *lines, unsigned int nr)
{
	struct timespec ts;
	unsigned int i, c;
	__u64 value;

	clock_gettime(CLOCK_REALTIME, &ts);
	for (i = 0; i < nr; i++) {
		fprintf(f, "{\"time\":%lld.%03ld,\"cgroup\":\"", (long long)ts.tv_sec,
			ts.tv_nsec / 1000000);
		print_escaped(f, lines[i].path);
		fprintf(f, "\",\"id\":%llu", (unsigned long long)lines[i].rec->id);
		for (c = 0; c < nr_chosen; c++) {
			value = shown(&lines[i], c);
			if (value == ABSENT)
				fprintf(f, ",\"%s\":null", chosen[c]->name);
			else
				fprintf(f, ",\"%s\":%llu", chosen[c]->name,
					(unsigned long long)value);
		}
		fputs("}\n", f);
	}
}

static void print_openmetrics(FILE *f, const struct line *lines, unsigned int nr)
{
	unsigned int i, c;
	__u64 value;

	for (c = 0; c < nr_chosen; c++) {
		const char *name = chosen[c]->name;
		bool bytes = chosen[c]->unit == BYTES;

		fprintf(f, "# TYPE memcg_%s%s %s\n", name, bytes ? "_bytes" : "",
			bytes ? "gauge" : "counter");
		if (bytes)
			fprintf(f, "# UNIT memcg_%s_bytes bytes\n", name);
		for (i = 0; i < nr; i++) {
			value = shown(&lines[i], c);
			if (value == ABSENT)
				continue;
			fprintf(f, "memcg_%s_%s{cgroup=\"", name, bytes ? "bytes" : "total");
			print_escaped(f, lines[i].path);
			fprintf(f, "\",id=\"%llu\"} %llu\n", (unsigned long long)lines[i].rec->id,
				(unsigned long long)value);
		}
	}
	fputs("# EOF\n", f);
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

/* A screenful at a time for a live view on a terminal, everything otherwise. */
static int show(const struct sweep *s, const struct sweep *before)
{
	struct winsize window = {};
	bool live = interval_ms && format == TABLE && isatty(STDOUT_FILENO) &&
		    !ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) && window.ws_row > 3;
	struct line *lines = calloc(s->nr ?: 1, sizeof(*lines));
	char **paths = make_paths(s), *text = NULL, *row, *end;
	unsigned int i, nr = s->nr;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int err = 0;

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
	/* The last row is for the cursor, the first for the titles */
	if (live && nr > window.ws_row - 3u)
		nr = window.ws_row - 3u;

	if (format == TABLE)
		print_table(f, lines, nr);
	else if (format == JSON)
		print_json(f, lines, nr);
	else
		print_openmetrics(f, lines, nr);
	if (fclose(f))
		err = complain(EXIT_FAILURE, "no memory for the output");

	if (!err && live) {
		/* Home, each line cut at the edge and cleared to its end, then the rest */
		printf("\033[H%u of %u cgroups, every %llu ms; end with Ctrl-C\033[K\n", nr, s->nr,
		       interval_ms);
		for (row = text; *row; row = end + 1) {
			end = strchrnul(row, '\n');
			printf("%.*s\033[K\n", end - row < window.ws_col ? (int)(end - row) :
			       window.ws_col, row);
			if (!*end)
				break;
		}
		printf("\033[J");
	} else if (!err) {
		fwrite(text, 1, size, stdout);
		if (interval_ms && format == TABLE)
			putchar('\n');
	}
	if (fflush(stdout) || ferror(stdout))
		err = err ?: complain(EXIT_FAILURE, "the output cannot be written: %s",
				      strerror(errno));

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
	enum action action = SHOW;
	int signal_fd = -1, err;
	struct btf *btf;

	libbpf_set_print(print_libbpf);
	err = parse_options(argc, argv, &action);
	if (err)
		return err;
	if (action == LIST)
		return list_counters();

	/* Who looks but once can be interrupted at any time */
	if (interval_ms)
		signal_fd = open_signals();
	if (interval_ms && signal_fd < 0)
		return EXIT_FAILURE;

	btf = btf__load_vmlinux_btf();
	if (action == PROBE)
		return probe_kernel(btf, true);
	err = open_cgroup() ?: probe_kernel(btf, false) ?: run(btf, signal_fd);
	btf__free(btf);
	if (cgroup_fd >= 0)
		close(cgroup_fd);
	return err;
}
