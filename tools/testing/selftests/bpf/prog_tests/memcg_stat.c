// SPDX-License-Identifier: GPL-2.0
/*
 * The kfuncs that read the statistics of a memcg: those that read one counter,
 * and bpf_mem_cgroup_read(), which reads many. What they say is compared with
 * memory.stat, memory.events and memory.current of a cgroup at rest,
 *
 *	/p - /p/a	(had some memory of each kind, and lost it)
 */
#include <ctype.h>
#include <test_progs.h>
#include <bpf/btf.h>
#include "memcg_helpers.h"
#include "memcg_stat.h"
#include "memcg_stat.skel.h"
#include "memcg_stat_fail.skel.h"
#include "memcg_stat_fail_policy.skel.h"

#define NO_VALUE	((__u64)-1)
#define FILE_SIZE	(4 * MEMCG_MB)

static struct memcg_stat *skel;
static struct btf *btf;
static int p, a;

/* Names of memory.stat that are not the enumerator's in lower case. */
static const struct {
	const char *name, *item;
} other_names[] = {
	{ "anon", "NR_ANON_MAPPED" },
	{ "file", "NR_FILE_PAGES" },
	{ "kernel", "MEMCG_KMEM" },
	{ "kernel_stack", "NR_KERNEL_STACK_KB" },
	{ "pagetables", "NR_PAGETABLE" },
	{ "sec_pagetables", "NR_SECONDARY_PAGETABLE" },
	{ "percpu", "MEMCG_PERCPU_B" },
	{ "sock", "MEMCG_SOCK" },
	{ "vmalloc", "NR_VMALLOC" },
	{ "shmem", "NR_SHMEM" },
	{ "zswap", "MEMCG_ZSWAP_B" },
	{ "zswapped", "MEMCG_ZSWAPPED" },
	{ "zswap_incomp", "MEMCG_ZSWAP_INCOMP" },
	{ "file_mapped", "NR_FILE_MAPPED" },
	{ "file_dirty", "NR_FILE_DIRTY" },
	{ "file_writeback", "NR_WRITEBACK" },
	{ "swapcached", "NR_SWAPCACHE" },
	{ "anon_thp", "NR_ANON_THPS" },
	{ "file_thp", "NR_FILE_THPS" },
	{ "shmem_thp", "NR_SHMEM_THPS" },
	{ "inactive_anon", "NR_INACTIVE_ANON" },
	{ "active_anon", "NR_ACTIVE_ANON" },
	{ "inactive_file", "NR_INACTIVE_FILE" },
	{ "active_file", "NR_ACTIVE_FILE" },
	{ "unevictable", "NR_UNEVICTABLE" },
	{ "slab_reclaimable", "NR_SLAB_RECLAIMABLE_B" },
	{ "slab_unreclaimable", "NR_SLAB_UNRECLAIMABLE_B" },
	{ "hugetlb", "NR_HUGETLB" },
	{ "numa_pages_migrated", "NUMA_PAGE_MIGRATE" },
};

/* Sums that memory.stat makes of the others. */
static const char * const sums[] = { "slab", "pgscan", "pgsteal" };

static int enumerator(const char *type, const char *name)
{
	const struct btf_type *t;
	const struct btf_enum *e;
	int i, id;

	id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	if (id < 0)
		return -1;
	t = btf__type_by_id(btf, id);
	for (i = 0, e = btf_enum(t); i < btf_vlen(t); i++, e++)
		if (!strcmp(btf__name_by_offset(btf, e->name_off), name))
			return e->val;
	return -1;
}

/* What memory.stat calls @name, as an item. */
static bool find_stat(const char *name, struct bpf_memcg_item *item)
{
	char upper[64];
	int i, index;

	for (i = 0; i < sizeof(upper) - 1 && name[i]; i++)
		upper[i] = toupper(name[i]);
	upper[i] = '\0';

	for (i = 0; i < ARRAY_SIZE(other_names); i++)
		if (!strcmp(other_names[i].name, name))
			strcpy(upper, other_names[i].item);

	item->kind = BPF_MEMCG_ITEM_STATE;
	index = enumerator("node_stat_item", upper);
	if (index < 0)
		index = enumerator("memcg_stat_item", upper);
	if (index < 0) {
		item->kind = BPF_MEMCG_ITEM_VM_EVENT;
		index = enumerator("vm_event_item", upper);
	}
	item->index = index;
	return index >= 0;
}

static void add_item(__u16 kind, __u16 index)
{
	skel->bss->items[skel->bss->nr_items].kind = kind;
	skel->bss->items[skel->bss->nr_items].index = index;
	skel->bss->nr_items++;
}

static void nothing_chosen(void)
{
	skel->bss->nr_items = 0;
	skel->bss->items_extra = 0;
	skel->bss->items_offset = 0;
	skel->bss->values_short = 0;
	skel->bss->values_offset = 0;
	skel->bss->rounds = 1;
	memset(skel->bss->bulk, 0xaa, sizeof(skel->bss->bulk));
	memset(skel->bss->single, 0xaa, sizeof(skel->bss->single));
}

static int run_syscall(__u64 cgid, bool flush)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	skel->bss->cgid = cgid;
	skel->bss->flush = flush;
	skel->bss->result = -1000;
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_syscall), &opts))
		return -1;
	return opts.retval;
}

static int run_iter(struct bpf_program *prog, int cgroup_fd)
{
	union bpf_iter_link_info linfo = {
		.cgroup.cgroup_fd = cgroup_fd,
		.cgroup.order = BPF_CGROUP_ITER_SELF_ONLY,
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts);
	struct bpf_link *link;
	int fd, err = -1;
	char none;

	opts.link_info = &linfo;
	opts.link_info_len = sizeof(linfo);
	skel->bss->result = -1000;
	link = bpf_program__attach_iter(prog, &opts);
	if (!link)
		return -1;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd >= 0) {
		err = read(fd, &none, sizeof(none));
		close(fd);
	}
	bpf_link__destroy(link);
	return err;
}

static int read_file(int cgroup_fd, const char *name, char *buf, size_t size)
{
	int fd = openat(cgroup_fd, name, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, buf, size - 1);
	close(fd);
	buf[len > 0 ? len : 0] = '\0';
	return len > 0 ? 0 : -1;
}

/* Some of every kind of memory, all given back in the end but for the file. */
static int use_memory(void *file)
{
	void *anon = memcg_populate(4 * MEMCG_MB);
	int memfd = memfd_create("memcg_stat", 0), sk[2], i;
	char buf[4096] = "";

	if (anon == MAP_FAILED || memfd < 0 || fallocate(memfd, 0, 0, MEMCG_MB) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sk))
		return 1;
	for (i = 0; i < 16; i++)
		if (send(sk[0], buf, sizeof(buf), MSG_DONTWAIT) < 0)
			break;
	return memcg_read_cache(*(int *)file, 0, FILE_SIZE);
}

/*
 * Read with the program and the text until the text is the same before and
 * after: then the values are of one moment.
 */
static bool read_at_rest(int cgroup_fd, __u64 cgid, const char *file, char *text, size_t size)
{
	char after[16384];
	int i;

	for (i = 0; i < 20; i++) {
		if (read_file(cgroup_fd, file, text, size) || run_syscall(cgid, true) ||
		    read_file(cgroup_fd, file, after, sizeof(after)))
			return false;
		if (!strcmp(text, after))
			return true;
		usleep(100 * 1000);
	}
	return false;
}

static void check_stat_text(int cgroup_fd, __u64 cgid, const char *file, const char *what)
{
	char text[16384], copy[16384], *line, *save;
	int i, nr = 0, nonzero = 0;
	char name[64];
	__u64 value;

	/* Choose what the file has ... */
	nothing_chosen();
	if (!ASSERT_OK(read_file(cgroup_fd, file, copy, sizeof(copy)), file))
		return;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct bpf_memcg_item item;
		bool known = false;

		if (sscanf(line, "%63s %llu", name, &value) != 2)
			continue;
		for (i = 0; i < ARRAY_SIZE(sums); i++)
			known |= !strcmp(name, sums[i]);
		if (known)
			continue;
		if (!strcmp(file, "memory.events")) {
			char item_name[80] = "MEMCG_";

			for (i = 0; name[i]; i++)
				item_name[6 + i] = toupper(name[i]);
			item_name[6 + i] = '\0';
			item.kind = BPF_MEMCG_ITEM_MEMORY_EVENT;
			item.index = enumerator("memcg_memory_event", item_name);
			known = item.index != (__u16)-1;
		} else {
			known = find_stat(name, &item);
		}
		if (!ASSERT_TRUE(known, name))
			continue;
		add_item(item.kind, item.index);
	}
	if (!ASSERT_GT(skel->bss->nr_items, 5, "counters"))
		return;

	/* ... and compare it */
	if (!ASSERT_TRUE(read_at_rest(cgroup_fd, cgid, file, text, sizeof(text)), "read at rest"))
		return;
	ASSERT_EQ(skel->bss->result, skel->bss->nr_items, "all have a value");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool sum = false;

		if (sscanf(line, "%63s %llu", name, &value) != 2)
			continue;
		for (i = 0; i < ARRAY_SIZE(sums); i++)
			sum |= !strcmp(name, sums[i]);
		if (sum)
			continue;
		ASSERT_EQ(skel->bss->bulk[nr], value, name);
		ASSERT_EQ(skel->bss->single[nr], value, name);
		nonzero += value != 0;
		nr++;
	}
	if (env.verbosity > VERBOSE_NONE)
		printf("%s of %s: %d counters, %d not 0\n", file, what, nr, nonzero);
}

static void test_text(int loop)
{
	char text[16384];

	ASSERT_OK(memcg_run(a, use_memory, &loop), "use memory");
	check_stat_text(a, get_cgroup_id("/p/a"), "memory.stat", "itself");
	check_stat_text(p, get_cgroup_id("/p"), "memory.stat", "its parent");
	check_stat_text(a, get_cgroup_id("/p/a"), "memory.events", "itself");
	check_stat_text(p, get_cgroup_id("/p"), "memory.events", "its parent");

	/* the file is still there */
	ASSERT_GE(memcg_read(p, "memory.stat", "file"), (long)FILE_SIZE, "file");

	nothing_chosen();
	add_item(BPF_MEMCG_ITEM_USAGE, 0);
	if (ASSERT_TRUE(read_at_rest(a, get_cgroup_id("/p/a"), "memory.current",
				     text, sizeof(text)), "read usage")) {
		ASSERT_EQ(skel->bss->bulk[0], strtoull(text, NULL, 10), "usage");
		ASSERT_EQ(skel->bss->single[0], strtoull(text, NULL, 10), "usage");
	}
}

/* Every number of an enum and some beyond: both ways agree on what is tracked. */
static void check_range(__u16 kind, int last, const char *what, int least)
{
	int i, tracked = 0;

	nothing_chosen();
	for (i = 0; i < last + 20; i++)
		add_item(kind, i);
	add_item(kind, 0x7fff);
	add_item(kind, 0x8000);
	add_item(kind, 0xffff);
	if (!ASSERT_OK(run_syscall(get_cgroup_id("/p/a"), true), what))
		return;
	for (i = 0; i < skel->bss->nr_items; i++) {
		ASSERT_EQ(skel->bss->bulk[i], skel->bss->single[i], what);
		tracked += skel->bss->bulk[i] != NO_VALUE;
		if (i >= last)
			ASSERT_EQ(skel->bss->bulk[i], NO_VALUE, what);
	}
	ASSERT_EQ(skel->bss->bulk[skel->bss->nr_items], 0xaaaaaaaaaaaaaaaa, "no more than asked");
	ASSERT_EQ(skel->bss->result, tracked, what);
	ASSERT_GE(tracked, least, what);
}

static void test_items(void)
{
	int nr_states = enumerator("memcg_stat_item", "MEMCG_NR_STAT");
	int nr_vm_events = enumerator("vm_event_item", "NR_VM_EVENT_ITEMS");
	int nr_events = enumerator("memcg_memory_event", "MEMCG_NR_MEMORY_EVENTS");

	check_range(BPF_MEMCG_ITEM_STATE, nr_states, "state", 30);
	check_range(BPF_MEMCG_ITEM_VM_EVENT, nr_vm_events, "vm event", 5);
	check_range(BPF_MEMCG_ITEM_MEMORY_EVENT, nr_events, "memory event", nr_events);
	check_range(BPF_MEMCG_ITEM_USAGE, 1, "usage", 1);
	/* no kind */
	check_range(BPF_MEMCG_ITEM_USAGE + 1, 0, "no kind", 0);
	check_range(0xffff, 0, "no kind", 0);

	/* not tracked, though there is such a number, and the rest is read */
	nothing_chosen();
	add_item(BPF_MEMCG_ITEM_USAGE, 0);
	add_item(BPF_MEMCG_ITEM_STATE, enumerator("node_stat_item", "NR_ISOLATED_ANON"));
	add_item(BPF_MEMCG_ITEM_VM_EVENT, enumerator("vm_event_item", "PGFREE"));
	add_item(BPF_MEMCG_ITEM_VM_EVENT, enumerator("vm_event_item", "PGFAULT"));
	/* one twice is as good as any */
	add_item(BPF_MEMCG_ITEM_USAGE, 0);
	ASSERT_OK(run_syscall(get_cgroup_id("/p/a"), false), "run");
	ASSERT_EQ(skel->bss->result, 3, "result");
	ASSERT_NEQ(skel->bss->bulk[0], NO_VALUE, "usage");
	ASSERT_EQ(skel->bss->bulk[1], NO_VALUE, "state not tracked");
	ASSERT_EQ(skel->bss->bulk[2], NO_VALUE, "event not tracked");
	ASSERT_NEQ(skel->bss->bulk[3], NO_VALUE, "event");
	ASSERT_EQ(skel->bss->bulk[4], skel->bss->bulk[0], "usage again");
}

static void check_error(int expected, const char *what)
{
	ASSERT_OK(run_syscall(get_cgroup_id("/p/a"), false), what);
	ASSERT_EQ(skel->bss->result, expected, what);
	ASSERT_EQ(skel->bss->bulk[0], 0xaaaaaaaaaaaaaaaa, "nothing was written");
}

static void choose(int nr)
{
	nothing_chosen();
	while (nr--)
		add_item(BPF_MEMCG_ITEM_USAGE, 0);
}

static void test_bounds(void)
{
	choose(0);
	check_error(0, "nothing asked");
	choose(512);
	ASSERT_OK(run_syscall(get_cgroup_id("/p/a"), false), "most");
	ASSERT_EQ(skel->bss->result, 512, "most");
	choose(513);
	check_error(-E2BIG, "too many");

	choose(4);
	skel->bss->items_extra = 2;
	check_error(-EINVAL, "half an item");
	choose(4);
	skel->bss->items_extra = 4;
	check_error(-EINVAL, "one value too few");
	choose(4);
	skel->bss->values_short = 1;
	check_error(-EINVAL, "a byte too few");
	choose(4);
	skel->bss->items_offset = 2;
	check_error(-EINVAL, "items not aligned");
	choose(4);
	skel->bss->values_offset = 4;
	check_error(-EINVAL, "values not aligned");
}

static void test_root(void)
{
	__u64 root_id = get_cgroup_id("/.."), ids[] = { 0, root_id };
	const char *stat = "../../memory.stat";
	__u64 *v = skel->bss->bulk;
	long before;
	int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		nothing_chosen();
		add_item(BPF_MEMCG_ITEM_USAGE, 0);
		add_item(BPF_MEMCG_ITEM_STATE, enumerator("node_stat_item", "NR_FILE_PAGES"));
		add_item(BPF_MEMCG_ITEM_STATE, enumerator("node_stat_item", "NR_ANON_MAPPED"));
		add_item(BPF_MEMCG_ITEM_VM_EVENT, enumerator("vm_event_item", "PGFAULT"));
		/* it never rests, but some numbers only grow */
		before = memcg_read(p, stat, "pgfault");
		ASSERT_GT(before, 0, "pgfault");
		ASSERT_OK(run_syscall(ids[i], true), "run");
		ASSERT_EQ(skel->bss->result, 4, "result");
		ASSERT_GE(v[3], before, "pgfault");
		ASSERT_LE(v[3], memcg_read(p, stat, "pgfault"), "pgfault");
		ASSERT_GT(v[1], 0, "file");
		ASSERT_GT(v[2], 0, "anon");
		/* other numbers do change, but not by half */
		ASSERT_GT(v[0], (v[1] + v[2]) / 2, "usage");
		ASSERT_LT(v[0], (v[1] + v[2]) * 2, "usage");
		/* which has no counter of its own: the sum of the cgroups below */
		ASSERT_NEQ(skel->bss->single[0], NO_VALUE, "usage by the kfunc for it");
	}
}

static void test_programs(void)
{
	struct bpf_link *link;

	choose(1);
	add_item(BPF_MEMCG_ITEM_STATE, enumerator("node_stat_item", "NR_FILE_PAGES"));
	ASSERT_OK(run_iter(skel->progs.read_iter_sleepable, a), "iterator that may sleep");
	ASSERT_EQ(skel->bss->result, 2, "result");
	ASSERT_EQ(skel->bss->bulk[0], memcg_read(a, "memory.current", NULL), "usage");
	ASSERT_EQ(skel->bss->single[1], skel->bss->bulk[1], "file");

	nothing_chosen();
	add_item(BPF_MEMCG_ITEM_USAGE, 0);
	ASSERT_OK(run_iter(skel->progs.read_iter, a), "iterator that may not");
	ASSERT_EQ(skel->bss->result, 1, "result");
	ASSERT_EQ(skel->bss->bulk[0], memcg_read(a, "memory.current", NULL), "usage");

	link = memcg_attach(skel->maps.stat_policy, a, 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	ASSERT_OK(memcg_run(a, memcg_use_some, NULL), "use some");
	ASSERT_GT(skel->bss->charges, 0, "charges");
	ASSERT_GT(skel->bss->charged_usage, 0, "read in a policy");
	bpf_link__destroy(link);
}

/* Reading takes references that it gives back: a removed cgroup goes away. */
static void test_references(void)
{
	int g = memcg_create("/p/gone");
	__u64 id = get_cgroup_id("/p/gone");

	if (!ASSERT_OK_FD(g, "create"))
		return;
	close(g);
	choose(8);
	skel->bss->rounds = 100;
	ASSERT_OK(run_syscall(id, true), "run");
	remove_cgroup("/p/gone");
	ASSERT_TRUE(memcg_wait(memcg_read(p, "cgroup.stat", "nr_dying_descendants") == 0), "gone");
	ASSERT_NEQ(run_syscall(id, true), 0, "run on what is gone");
}

void test_memcg_stat(void)
{
	int loop;

	RUN_TESTS(memcg_stat_fail);
	if (test__start_subtest("flush_in_policy"))
		ASSERT_NULL(memcg_stat_fail_policy__open_and_load(), "flush in a policy");

	btf = btf__load_vmlinux_btf();
	skel = memcg_stat__open_and_load();
	loop = memcg_loop(FILE_SIZE);
	p = -1;
	a = -1;
	if (!ASSERT_OK_PTR(btf, "btf") || !ASSERT_OK_PTR(skel, "memcg_stat__open_and_load") ||
	    !ASSERT_OK_FD(loop, "loop device") ||
	    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		goto out;
	p = memcg_create("/p");
	a = memcg_create("/p/a");
	if (!ASSERT_OK_FD(p, "/p") || !ASSERT_OK_FD(a, "/p/a"))
		goto out;

	if (test__start_subtest("text"))
		test_text(loop);
	if (test__start_subtest("items"))
		test_items();
	if (test__start_subtest("bounds"))
		test_bounds();
	if (test__start_subtest("root"))
		test_root();
	if (test__start_subtest("programs"))
		test_programs();
	if (test__start_subtest("references"))
		test_references();
out:
	if (a >= 0)
		close(a);
	if (p >= 0)
		close(p);
	if (loop >= 0)
		close(loop);
	cleanup_cgroup_environment();
	memcg_stat__destroy(skel);
	btf__free(btf);
}
