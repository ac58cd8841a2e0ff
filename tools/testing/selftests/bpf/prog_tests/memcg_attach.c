// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching struct_ops to cgroups, with memcg_bpf_ops: who may attach where,
 * and which policies a cgroup is governed by afterwards.
 *
 * Only leaves can hold tasks, so every level of the tree has one (x) in which
 * memory is charged to see who is told:
 *
 *	/p - /p/x
 *	   - /p/a - /p/a/x
 *	          - /p/a/c
 */
#include <test_progs.h>
#include <sys/syscall.h>
#include "memcg_helpers.h"
#include "memcg_attach.skel.h"
#include "memcg_tcp_ca.skel.h"

#define NONE		0
#define OVERRIDE	BPF_F_ALLOW_OVERRIDE
#define MULTI		BPF_F_ALLOW_MULTI

/* Policies, as bits of who is to be told. */
#define A		1
#define B		2
#define C		4

enum { P, PX, PA, PAX, PAC, NR_CGROUPS };

static const char * const paths[NR_CGROUPS] = {
	"/p", "/p/x", "/p/a", "/p/a/x", "/p/a/c",
};

static __u32 type_id;

struct fixture {
	struct memcg_attach *skel;
	int fd[NR_CGROUPS];
	__u64 id[NR_CGROUPS];
};

static bool setup(struct fixture *f)
{
	int i;

	memset(f->fd, -1, sizeof(f->fd));
	f->skel = memcg_attach__open_and_load();
	if (!ASSERT_OK_PTR(f->skel, "memcg_attach__open_and_load"))
		return false;
	if (!ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		return false;
	for (i = 0; i < NR_CGROUPS; i++) {
		f->fd[i] = memcg_create(paths[i]);
		f->id[i] = get_cgroup_id(paths[i]);
		if (!ASSERT_OK_FD(f->fd[i], paths[i]))
			return false;
	}
	return true;
}

static void teardown(struct fixture *f)
{
	int i;

	for (i = 0; i < NR_CGROUPS; i++)
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	memcg_attach__destroy(f->skel);
	cleanup_cgroup_environment();
}

/* Which policies are told of what is charged to this cgroup? */
static int told(struct fixture *f, int cgroup)
{
	struct memcg_book *books[] = {
		f->skel->bss->a_books, f->skel->bss->b_books, f->skel->bss->c_books,
	};
	__u64 before[3];
	int i, bits = 0;

	for (i = 0; i < 3; i++)
		before[i] = memcg_book(books[i], f->id[cgroup])->calls;
	if (memcg_run(f->fd[cgroup], memcg_use_some, NULL))
		return -1;
	for (i = 0; i < 3; i++)
		if (memcg_book(books[i], f->id[cgroup])->calls > before[i])
			bits |= 1 << i;
	return bits;
}

/*
 * Every refusal, each with its own errno. Catches: an ancestor's memcg taken
 * where the controller is off (governing all of its siblings too), flags or a
 * cgroup accepted and ignored, a dying cgroup taken as alive.
 */
static void test_refusals(struct fixture *f)
{
	struct bpf_map *a = f->skel->maps.a;
	int fd, threaded = -1;

	ASSERT_EQ(memcg_attach_errno(a, -1, NONE), EBADF, "no such fd");
	fd = open("/dev/null", O_RDONLY);
	ASSERT_EQ(memcg_attach_errno(a, fd, NONE), EBADF, "not a directory");
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(memcg_attach_errno(a, fd, NONE), EBADF, "not a cgroup");
	close(fd);
	fd = openat(f->fd[P], "cgroup.procs", O_RDONLY);
	ASSERT_EQ(memcg_attach_errno(a, fd, NONE), EBADF, "a file of a cgroup");
	close(fd);
	ASSERT_EQ(memcg_attach_errno(a, bpf_map__fd(a), NONE), EBADF, "a map");

	/* the memory controller is on in /p/x, but not below it */
	fd = create_and_get_cgroup("/p/x/none");
	ASSERT_EQ(memcg_attach_errno(a, fd, NONE), ENOENT, "no memory controller");
	ASSERT_EQ(memcg_attach_errno(a, fd, MULTI), ENOENT, "no memory controller, multi");
	close(fd);
	remove_cgroup("/p/x/none");

	threaded = create_and_get_cgroup("/p/x/threaded");
	if (ASSERT_OK(memcg_write(threaded, "cgroup.type", "threaded"), "threaded"))
		ASSERT_EQ(memcg_attach_errno(a, threaded, NONE), ENOENT, "threaded");
	close(threaded);
	remove_cgroup("/p/x/threaded");

	fd = memcg_create("/p/gone");
	remove_cgroup("/p/gone");
	ASSERT_EQ(memcg_attach_errno(a, fd, NONE), ENODEV, "removed");
	close(fd);

	ASSERT_EQ(memcg_attach_errno(a, f->fd[P], OVERRIDE | MULTI), EINVAL, "both flags");
	ASSERT_EQ(memcg_attach_errno(a, f->fd[P], BPF_F_REPLACE), EINVAL, "replace");
	ASSERT_EQ(memcg_attach_errno(a, f->fd[P], 1U << 31), EINVAL, "unknown flag");

	ASSERT_ERR_PTR(bpf_map__attach_struct_ops(a), "without a cgroup");
	ASSERT_EQ(errno, EINVAL, "without a cgroup: errno");
	ASSERT_ERR_PTR(bpf_map__attach_struct_ops(f->skel->maps.no_link), "without a link");
	ASSERT_EQ(errno, EOPNOTSUPP, "without a link: errno");

	/* and after all that nothing is attached */
	ASSERT_EQ(told(f, PX), 0, "told after refusals");
	ASSERT_EQ(memcg_attach_errno(a, f->fd[P], NONE), 0, "attach after refusals");
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.empty, f->fd[P], NONE), 0, "no members");
}

static int raw_link_create(union bpf_attr *attr, size_t size)
{
	int fd = syscall(__NR_bpf, BPF_LINK_CREATE, attr, size);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/*
 * What libbpf would never send. Catches: fields that are not looked at.
 */
static void test_raw(struct fixture *f)
{
	const size_t all = offsetofend(union bpf_attr, link_create.cgroup.expected_revision);
	char room[sizeof(union bpf_attr) + 8];
	union bpf_attr good = {}, attr;
	int zero, fd;

	/* a map has its value from when it is first attached */
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.a, f->fd[P], NONE), 0, "by libbpf");
	good.link_create.map_fd = bpf_map__fd(f->skel->maps.a);
	good.link_create.target_fd = f->fd[P];
	good.link_create.attach_type = BPF_STRUCT_OPS;
	good.link_create.flags = BPF_F_CGROUP_FD;
	ASSERT_EQ(raw_link_create(&good, all), 0, "good");

	attr = good;
	attr.link_create.flags = 0;
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "target_fd without its flag");
	attr.link_create.flags = MULTI;
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "attach flag without a cgroup");

	attr = good;
	attr.link_create.cgroup.relative_fd = f->fd[PA];
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "relative_fd");

	attr = good;
	attr.link_create.attach_type = BPF_CGROUP_INET_INGRESS;
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "attach type");

	attr = good;
	attr.link_create.map_fd = f->fd[P];
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "map_fd is no map");
	attr.link_create.map_fd = bpf_map__fd(f->skel->maps.bss);
	ASSERT_EQ(raw_link_create(&attr, all), EINVAL, "map_fd is no struct_ops");

	/* a kernel that knows less than the caller must say so */
	memset(room, 0, sizeof(room));
	memcpy(room, &good, sizeof(good));
	room[sizeof(room) - 1] = 1;
	ASSERT_EQ(raw_link_create((void *)room, sizeof(room)), E2BIG, "garbage behind");

	/* 0 is a file descriptor like any other */
	zero = fcntl(0, F_DUPFD_CLOEXEC, 3);
	fd = dup2(f->fd[P], 0);
	if (ASSERT_EQ(fd, 0, "cgroup at fd 0")) {
		attr = good;
		attr.link_create.target_fd = 0;
		ASSERT_EQ(raw_link_create(&attr, all), 0, "fd 0");
	}
	if (zero >= 0) {
		dup2(zero, 0);
		close(zero);
	} else {
		close(0);
	}
}

/*
 * The flags between two attachments: at the same cgroup, below and above.
 * Catches: any of them taken for another, and a second policy that is attached
 * but governs nobody.
 */
static void test_flags(struct fixture *f)
{
	/* the second: at the same cgroup, below, above; 0 for refused, or who is told */
	static const struct {
		const char *name;
		__u32 first, second;
		int told[3];
	} cases[] = {
		{ "none, none",		NONE,	  NONE,	    { 0, 0, 0 } },
		{ "none, override",	NONE,	  OVERRIDE, { 0, 0, A } },
		{ "none, multi",	NONE,	  MULTI,    { 0, 0, A | B } },
		{ "override, none",	OVERRIDE, NONE,	    { 0, B, 0 } },
		{ "override, override",	OVERRIDE, OVERRIDE, { 0, B, A } },
		{ "override, multi",	OVERRIDE, MULTI,    { 0, B, A | B } },
		{ "multi, none",	MULTI,	  NONE,	    { 0, A | B, 0 } },
		{ "multi, override",	MULTI,	  OVERRIDE, { 0, A | B, A } },
		{ "multi, multi",	MULTI,	  MULTI,    { A | B, A | B, A | B } },
	};
	static const int where[] = { PA, PAC, P };
	struct bpf_link *link, *second;
	int i, j, governs;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		link = memcg_attach(f->skel->maps.a, f->fd[PA], cases[i].first);
		if (!ASSERT_OK_PTR(link, cases[i].name))
			continue;
		for (j = 0; j < ARRAY_SIZE(where); j++) {
			governs = cases[i].told[j];
			second = memcg_attach(f->skel->maps.b, f->fd[where[j]], cases[i].second);
			if (!governs)
				ASSERT_EQ(second ? 0 : errno, EBUSY, cases[i].name);
			else
				ASSERT_OK_PTR(second, cases[i].name);
			ASSERT_EQ(told(f, PAC), governs ?: A, paths[where[j]]);
			bpf_link__destroy(second);
		}
		/* whatever became of the others, the first is still there */
		ASSERT_EQ(told(f, PAC), A, cases[i].name);
		bpf_link__destroy(link);
	}
}

/*
 * The model of three levels: policy i is attached to level i with flags[i], and
 * who is effective where follows from that alone.
 */
#define LEVELS	3

struct model {
	__u32 flags[LEVELS];
	bool attached[LEVELS];
};

/* From the root down: all that allow others, and the nearest one. */
static int model_effective(const struct model *m, int level, char *names)
{
	int i, n = 0, nearest = -1;

	for (i = 0; i <= level; i++)
		if (m->attached[i])
			nearest = i;
	for (i = 0; i <= level; i++)
		if (m->attached[i] && (i == nearest || m->flags[i] == MULTI))
			names[n++] = "abc"[i];
	names[n] = '\0';
	return n;
}

/* The nearest attachment above decides; without a flag nothing may be below. */
static bool model_allows(const struct model *m, int level)
{
	int i;

	for (i = level - 1; i >= 0 && !m->attached[i]; i--)
		;
	if (i >= 0 && m->flags[i] == NONE)
		return false;
	for (i = level + 1; i < LEVELS; i++)
		if (m->attached[i] && m->flags[level] == NONE)
			return false;
	return true;
}

static const int levels[LEVELS] = { P, PA, PAC };

struct chain {
	struct model model;
	struct bpf_link *link[LEVELS];
	__u32 map_id[LEVELS];
	/* how often policy i was told that it governs level j, and that it does not */
	unsigned long online[LEVELS][LEVELS], offline[LEVELS][LEVELS];
	char effective[LEVELS][LEVELS + 1];
};

static struct memcg_book *chain_books(struct fixture *f, int policy)
{
	struct memcg_book *books[LEVELS] = {
		f->skel->bss->a_books, f->skel->bss->b_books, f->skel->bss->c_books,
	};

	return books[policy];
}

/* After a change: the effective lists and the calls are the model's. */
static bool chain_check(struct fixture *f, struct chain *c, const char *name)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	char want[LEVELS + 1], got[LEVELS + 1];
	struct memcg_book *book;
	__u32 map_ids[LEVELS];
	int i, j, n;

	for (j = 0; j < LEVELS; j++) {
		model_effective(&c->model, j, want);
		opts.query_flags = BPF_F_QUERY_EFFECTIVE;
		opts.struct_ops_type_id = type_id;
		opts.count = LEVELS;
		opts.map_ids = map_ids;
		if (!ASSERT_OK(bpf_prog_query_opts(f->fd[levels[j]], BPF_STRUCT_OPS, &opts), name))
			return false;
		for (n = 0; n < opts.count; n++)
			for (i = 0; i < LEVELS; i++)
				if (map_ids[n] == c->map_id[i])
					got[n] = "abc"[i];
		got[n] = '\0';
		if (!ASSERT_STREQ(got, want, name))
			return false;
		for (i = 0; i < LEVELS; i++) {
			c->online[i][j] += strchr(want, "abc"[i]) &&
					   !strchr(c->effective[j], "abc"[i]);
			c->offline[i][j] += !strchr(want, "abc"[i]) &&
					    strchr(c->effective[j], "abc"[i]);
			book = memcg_book(chain_books(f, i), f->id[levels[j]]);
			if (!ASSERT_EQ(book->online, c->online[i][j], name) ||
			    !ASSERT_EQ(book->offline, c->offline[i][j], name))
				return false;
		}
		memcpy(c->effective[j], want, sizeof(want));
	}
	return true;
}

/* Each charge at the last level is told to all in order, once. */
static void chain_calls(struct fixture *f, struct chain *c, const char *name)
{
	struct memcg_attach__bss *bss = f->skel->bss;
	int i, n = strlen(c->effective[LEVELS - 1]);

	bss->trace_len = 0;
	bss->trace_cgid = f->id[PAC];
	ASSERT_OK(memcg_run(f->fd[PAC], memcg_use_some, NULL), name);
	bss->trace_cgid = 0;
	if (!n) {
		ASSERT_EQ(bss->trace_len, 0, name);
		return;
	}
	ASSERT_GT(bss->trace_len, 0, name);
	ASSERT_EQ(bss->trace_len % n, 0, name);
	for (i = 0; i < bss->trace_len && i < sizeof(bss->trace); i++)
		if (!ASSERT_EQ(bss->trace[i], c->effective[LEVELS - 1][i % n], name))
			break;
}

/*
 * All combinations of flags on three levels, attached and detached in each order,
 * insertion in the middle among them, against the model. Catches: effective
 * arrays computed from the parent alone, or not recomputed for descendants; calls
 * twice, or in another order than the query says.
 */
static void test_chain(struct fixture *f)
{
	static const __u32 flags[] = { NONE, OVERRIDE, MULTI };
	static const int orders[][LEVELS] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct bpf_map *maps[] = { f->skel->maps.a, f->skel->maps.b, f->skel->maps.c };
	struct chain c = {};
	char name[64];
	int run, i, n, level, up, down;

	for (i = 0; i < LEVELS; i++) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);

		ASSERT_OK(bpf_map_get_info_by_fd(bpf_map__fd(maps[i]), &info, &len), "map info");
		c.map_id[i] = info.id;
	}
	/* each combination twice: in one of all orders, and with one level in the middle last */
	for (run = 0; run < 27 * 2; run++) {
		for (i = 0, n = run / 2; i < LEVELS; i++, n /= 3)
			c.model.flags[i] = flags[n % 3];
		up = run % 2 ? 1 : (run / 2) % 6;
		down = (run / 2 + run / 12) % 6;
		for (i = 0; i < LEVELS; i++) {
			level = orders[up][i];
			snprintf(name, sizeof(name), "flags %u%u%u, order %d, attach %d",
				 c.model.flags[0], c.model.flags[1], c.model.flags[2], up, level);
			c.link[level] = memcg_attach(maps[level], f->fd[levels[level]],
						     c.model.flags[level]);
			if (!ASSERT_EQ(c.link[level] ? 0 : errno,
				       model_allows(&c.model, level) ? 0 : EBUSY, name))
				goto out;
			c.model.attached[level] = c.link[level];
			if (!chain_check(f, &c, name))
				goto out;
		}
		chain_calls(f, &c, name);
		for (i = 0; i < LEVELS; i++) {
			level = orders[down][i];
			snprintf(name, sizeof(name), "flags %u%u%u, order %d, detach %d",
				 c.model.flags[0], c.model.flags[1], c.model.flags[2], down, level);
			bpf_link__destroy(c.link[level]);
			c.link[level] = NULL;
			c.model.attached[level] = false;
			if (!chain_check(f, &c, name))
				goto out;
		}
	}
	ASSERT_EQ(told(f, PAC), 0, "all detached");
out:
	for (i = 0; i < LEVELS; i++)
		bpf_link__destroy(c.link[i]);
	ASSERT_EQ(memcg_books_late(f->skel->bss->a_books), 0, "a's calls after offline");
	ASSERT_EQ(memcg_books_late(f->skel->bss->b_books), 0, "b's calls after offline");
	ASSERT_EQ(memcg_books_late(f->skel->bss->c_books), 0, "c's calls after offline");
	ASSERT_EQ(f->skel->bss->memcg_twice, 0, "online twice");
}

/*
 * Two links of one map at one cgroup, and a witness: the detached one of the two
 * makes no more calls. The books of the map alone would not show it.
 */
static void test_two_links(struct fixture *f)
{
	struct memcg_attach__bss *bss = f->skel->bss;
	struct bpf_link *first, *second, *witness;
	__u64 a, b;

	first = memcg_attach(f->skel->maps.a, f->fd[PA], MULTI);
	witness = memcg_attach(f->skel->maps.b, f->fd[PA], MULTI);
	second = memcg_attach(f->skel->maps.a, f->fd[PA], MULTI);
	if (!ASSERT_OK_PTR(first, "first") || !ASSERT_OK_PTR(second, "second") ||
	    !ASSERT_OK_PTR(witness, "witness"))
		goto out;
	ASSERT_OK(memcg_run(f->fd[PAC], memcg_use_some, NULL), "use");
	a = memcg_book(bss->a_books, f->id[PAC])->calls;
	b = memcg_book(bss->b_books, f->id[PAC])->calls;
	ASSERT_GT(b, 0, "calls");
	ASSERT_EQ(a, 2 * b, "both links call");

	ASSERT_OK(bpf_link__detach(first), "detach");
	ASSERT_EQ(memcg_book(bss->a_books, f->id[PAC])->offline, 1, "offline");
	ASSERT_OK(memcg_run(f->fd[PAC], memcg_use_some, NULL), "use");
	a = memcg_book(bss->a_books, f->id[PAC])->calls - a;
	b = memcg_book(bss->b_books, f->id[PAC])->calls - b;
	ASSERT_GT(b, 0, "calls after detach");
	ASSERT_EQ(a, b, "one link calls");
out:
	bpf_link__destroy(first);
	bpf_link__destroy(second);
	bpf_link__destroy(witness);
}

/*
 * One map at two levels: detaching one link leaves the other's subtree alone.
 * Catches: an attachment found again by its ops instead of by its link.
 */
static void test_two_levels(struct fixture *f)
{
	struct memcg_book *books = f->skel->bss->a_books;
	__u32 flags[] = { OVERRIDE, MULTI };
	struct bpf_link *upper, *lower;
	int i, j, before;

	for (i = 0; i < 4; i++) {
		before = memcg_book(books, f->id[PAC])->online;
		upper = memcg_attach(f->skel->maps.a, f->fd[P], flags[i / 2]);
		lower = memcg_attach(f->skel->maps.a, f->fd[PA], flags[i / 2]);
		if (!ASSERT_OK_PTR(upper, "upper") || !ASSERT_OK_PTR(lower, "lower"))
			goto next;
		ASSERT_EQ(told(f, PX), A, "both: upper");
		ASSERT_EQ(told(f, PAC), A, "both: lower");
		ASSERT_EQ(memcg_book(books, f->id[PAC])->online - before, 2, "both: online calls");

		if (i % 2) {
			bpf_link__destroy(upper);
			upper = NULL;
			ASSERT_EQ(told(f, PX), 0, "upper gone: upper");
			ASSERT_EQ(told(f, PAC), A, "upper gone: lower");
		} else {
			bpf_link__destroy(lower);
			lower = NULL;
			ASSERT_EQ(told(f, PX), A, "lower gone: upper");
			ASSERT_EQ(told(f, PAC), A, "lower gone: lower");
		}
next:
		bpf_link__destroy(upper);
		bpf_link__destroy(lower);
		ASSERT_EQ(told(f, PAC), 0, "both gone");
		for (j = 0; j < NR_CGROUPS; j++)
			ASSERT_EQ(memcg_book(books, f->id[j])->online,
				  memcg_book(books, f->id[j])->offline, paths[j]);
	}
	ASSERT_EQ(memcg_books_late(books), 0, "calls after offline");
}

/*
 * A cgroup made after the attachment is governed before its first charge: the
 * policy knows of every page. Catches: inheriting too late or not at all.
 */
static void test_inherit(struct fixture *f)
{
	struct bpf_link *link;
	int fd, nested = -1;
	__u64 id;

	link = memcg_attach(f->skel->maps.a, f->fd[P], NONE);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;

	fd = memcg_create("/p/new");
	id = get_cgroup_id("/p/new");
	if (!ASSERT_OK_FD(fd, "new"))
		goto out;
	ASSERT_OK(memcg_run(fd, memcg_use_some, NULL), "use");
	ASSERT_EQ(memcg_book(f->skel->bss->a_books, id)->online, 1, "online");
	ASSERT_GT(memcg_book(f->skel->bss->a_books, id)->calls, 0, "calls");
	ASSERT_TRUE(memcg_wait(memcg_book(f->skel->bss->a_books, id)->charged -
			       memcg_book(f->skel->bss->a_books, id)->uncharged ==
			       memcg_pages(fd)), "every page is known");

	nested = memcg_create("/p/new/nested");
	id = get_cgroup_id("/p/new/nested");
	ASSERT_TRUE(memcg_hears(f->skel->bss->a_books, nested, id), "nested");
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.b, nested, NONE), EBUSY,
		  "flags are inherited too");
	ASSERT_EQ(f->skel->bss->memcg_strangers, 0, "calls without online");

	bpf_link__destroy(link);
	link = NULL;
	ASSERT_FALSE(memcg_hears(f->skel->bss->a_books, nested, id), "detached");
out:
	bpf_link__destroy(link);
	if (nested >= 0) {
		close(nested);
		remove_cgroup("/p/new/nested");
	}
	if (fd >= 0) {
		close(fd);
		remove_cgroup("/p/new");
	}
}

/*
 * A failed attach changes nothing for those that are there. Catches: undoing by
 * clearing.
 */
static void test_failed(struct fixture *f)
{
	struct bpf_link *a, *b;

	a = memcg_attach(f->skel->maps.a, f->fd[P], MULTI);
	b = memcg_attach(f->skel->maps.b, f->fd[PAC], NONE);
	if (ASSERT_OK_PTR(a, "a") && ASSERT_OK_PTR(b, "b")) {
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[P], NONE), EBUSY, "same");
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[PA], NONE), EBUSY, "above b");
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[PAC], MULTI), EBUSY, "with b");
		ASSERT_EQ(told(f, PX), A, "told, upper");
		ASSERT_EQ(told(f, PAC), A | B, "told, lower");
		ASSERT_EQ(memcg_book(f->skel->bss->a_books, f->id[PAC])->offline, 0, "a offline");
		ASSERT_EQ(memcg_book(f->skel->bss->b_books, f->id[PAC])->offline, 0, "b offline");
		ASSERT_EQ(memcg_book(f->skel->bss->c_books, f->id[PAC])->online,
			  memcg_book(f->skel->bss->c_books, f->id[PAC])->offline, "c pairs");
	}
	bpf_link__destroy(a);
	bpf_link__destroy(b);
}

/*
 * Other struct_ops types know no cgroups and no flags. Catches: flags that are
 * silently accepted and mean nothing.
 */
static void test_other_types(struct fixture *f)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts);
	struct bpf_map *other = f->skel->maps.other;
	static const __u32 flags[] = { OVERRIDE, MULTI, BPF_F_REPLACE, 1U << 31 };
	struct bpf_link *link;
	int i;

	ASSERT_EQ(memcg_attach_errno(other, f->fd[P], NONE), EINVAL, "cgroup");
	ASSERT_EQ(memcg_attach_errno(other, f->fd[P], MULTI), EINVAL, "cgroup, multi");
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		opts.flags = flags[i];
		link = bpf_map__attach_struct_ops_opts(other, &opts);
		ASSERT_ERR_PTR(link, "flags");
		ASSERT_EQ(errno, EINVAL, "flags: errno");
		bpf_link__destroy(link);
	}

	link = bpf_map__attach_struct_ops(other);
	ASSERT_OK_PTR(link, "as ever");
	bpf_link__destroy(link);
	opts.flags = 0;
	link = bpf_map__attach_struct_ops_opts(other, &opts);
	ASSERT_OK_PTR(link, "as ever, with opts");
	bpf_link__destroy(link);
}

static bool enough;

static void be_told(int sig)
{
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
}

/* Charge and uncharge until SIGTERM. */
static int churn_until_told(void *unused)
{
	void *p;

	signal(SIGTERM, be_told);
	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		p = memcg_populate(MEMCG_MB);
		if (p == MAP_FAILED)
			return 1;
		munmap(p, MEMCG_MB);
	}
	return 0;
}

/*
 * Replacing the policy of a link while memory is charged: each page is told to
 * one of the two, so that their books balance together. Catches: a moment
 * without a policy, or with both; an expected old map that is not compared.
 */
static void test_update(struct fixture *f)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE);
	struct memcg_attach__bss *bss = f->skel->bss;
	struct bpf_map *a = f->skel->maps.a, *b = f->skel->maps.b;
	struct bpf_link *link;
	int updates, fd;
	__u64 calls;
	pid_t pid;
	long base;

	/* a map has its value from when it is first attached */
	ASSERT_EQ(memcg_attach_errno(b, f->fd[P], NONE), 0, "attach b");
	memset(bss->b_books, 0, sizeof(bss->b_books));
	link = memcg_attach(a, f->fd[P], NONE);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	fd = bpf_link__fd(link);

	opts.old_map_fd = bpf_map__fd(b);
	ASSERT_EQ(bpf_link_update(fd, bpf_map__fd(b), &opts), -EPERM, "not the old map");
	ASSERT_EQ(told(f, PX), A, "after -EPERM");
	opts.old_map_fd = bpf_map__fd(a);
	ASSERT_OK(bpf_link_update(fd, bpf_map__fd(b), &opts), "the old map");
	ASSERT_EQ(told(f, PX), B, "after update");
	ASSERT_EQ(bpf_link__update_map(link, f->skel->maps.other), -EINVAL, "other type");
	ASSERT_EQ(bpf_link_update(fd, bpf_map__fd(f->skel->maps.no_link), NULL), -EINVAL,
		  "not for links");
	ASSERT_EQ(told(f, PX), B, "after failures");
	ASSERT_EQ(memcg_book(bss->a_books, f->id[PX])->offline, 1, "a offline");
	ASSERT_EQ(memcg_book(bss->b_books, f->id[PX])->online, 1, "b online");

	calls = memcg_book(bss->a_books, f->id[PX])->calls +
		memcg_book(bss->b_books, f->id[PX])->calls;
	base = memcg_pages(f->fd[PX]) -
	       (long)(memcg_book(bss->a_books, f->id[PX])->charged -
		      memcg_book(bss->a_books, f->id[PX])->uncharged +
		      memcg_book(bss->b_books, f->id[PX])->charged -
		      memcg_book(bss->b_books, f->id[PX])->uncharged);
	pid = memcg_spawn(f->fd[PX], churn_until_told, NULL);
	for (updates = 0; updates < 300; updates++)
		if (!ASSERT_OK(bpf_link__update_map(link, updates % 2 ? b : a), "update"))
			break;
	calls = memcg_book(bss->a_books, f->id[PX])->calls +
		memcg_book(bss->b_books, f->id[PX])->calls - calls;
	kill(pid, SIGTERM);
	ASSERT_OK(memcg_reap(pid), "child");
	/* both sides did something meanwhile */
	ASSERT_GT(calls, updates, "charges during the updates");
	ASSERT_TRUE(memcg_wait(memcg_pages(f->fd[PX]) - base ==
			       memcg_book(bss->a_books, f->id[PX])->charged -
			       memcg_book(bss->a_books, f->id[PX])->uncharged +
			       memcg_book(bss->b_books, f->id[PX])->charged -
			       memcg_book(bss->b_books, f->id[PX])->uncharged),
		    "no page was told to none or to both");
	bpf_link__destroy(link);
	ASSERT_EQ(memcg_book(bss->a_books, f->id[PX])->online,
		  memcg_book(bss->a_books, f->id[PX])->offline, "a pairs");
	ASSERT_EQ(memcg_book(bss->b_books, f->id[PX])->online,
		  memcg_book(bss->b_books, f->id[PX])->offline, "b pairs");
}

static __u64 revision(struct fixture *f, int cgroup)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);

	opts.struct_ops_type_id = type_id;
	return bpf_prog_query_opts(f->fd[cgroup], BPF_STRUCT_OPS, &opts) ? 0 : opts.revision;
}

/*
 * At most 64 policies are effective on a cgroup, counted over its branch, and
 * reaching the limit harms none of them. Catches: a limit for each level, and one
 * that is only looked at where a policy is attached.
 */
static void test_many(struct fixture *f)
{
	struct bpf_link *link[80] = {}, *middle;
	__u64 before;
	int i, n;

	for (n = 0; n < 40; n++) {
		link[n] = memcg_attach(f->skel->maps.a, f->fd[P], MULTI);
		if (!ASSERT_OK_PTR(link[n], "attach at the top"))
			goto out;
	}
	for (; n < ARRAY_SIZE(link); n++) {
		link[n] = memcg_attach(n ? f->skel->maps.b : f->skel->maps.a,
				       f->fd[PAC], MULTI);
		if (!link[n])
			break;
	}
	ASSERT_EQ(errno, E2BIG, "errno of one too many");
	ASSERT_EQ(n, 64, "policies");
	before = revision(f, P);
	ASSERT_GT(before, 0, "revision");
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[P], MULTI), E2BIG,
		  "too many for a descendant");
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[PA], MULTI), E2BIG,
		  "too many for a child");
	ASSERT_EQ(revision(f, P), before, "a failed attach leaves the revision");
	ASSERT_EQ(told(f, PAC), A | B, "told");
	ASSERT_EQ(told(f, PAX), A, "told beside it");

	/* an array that is full, changed in the middle */
	ASSERT_EQ(memcg_book(f->skel->bss->a_books, f->id[PAC])->online, 40, "a online");
	ASSERT_EQ(memcg_book(f->skel->bss->b_books, f->id[PAC])->online, 24, "b online");
	middle = link[20];
	ASSERT_OK(bpf_link__update_map(middle, f->skel->maps.c), "update in the middle");
	ASSERT_EQ(memcg_book(f->skel->bss->a_books, f->id[PAC])->offline, 1, "a offline");
	ASSERT_EQ(memcg_book(f->skel->bss->c_books, f->id[PAC])->online, 1, "c online");
	ASSERT_EQ(told(f, PAC), A | B | C, "told, with the update");
	ASSERT_OK(bpf_link__detach(middle), "detach in the middle");
	ASSERT_EQ(memcg_book(f->skel->bss->c_books, f->id[PAC])->offline, 1, "c offline");
	ASSERT_EQ(memcg_attach_errno(f->skel->maps.c, f->fd[PAC], MULTI), 0, "room for one");
out:
	for (i = 0; i < ARRAY_SIZE(link); i++)
		bpf_link__destroy(link[i]);
	ASSERT_EQ(told(f, PAC), 0, "detached");
	ASSERT_TRUE(memcg_books_pair(f->skel->bss->a_books), "a pairs");
	ASSERT_TRUE(memcg_books_pair(f->skel->bss->b_books), "b pairs");
	ASSERT_TRUE(memcg_books_pair(f->skel->bss->c_books), "c pairs");
}

#define NR_CHARGED	32

struct charged {
	struct fixture *f;
	struct bpf_link *link[NR_CHARGED];
};

/* In the child: attach as often as there is room. */
static int attach_many(void *arg)
{
	struct charged *c = arg;
	int i;

	memcg_pause();
	for (i = 0; i < NR_CHARGED; i++) {
		c->link[i] = memcg_attach(c->f->skel->maps.a, c->f->fd[P], MULTI);
		if (!c->link[i])
			return 1;
	}
	memcg_pause();
	return 0;
}

/* Bytes of kernel memory that a process pays for when it attaches many times. */
static long charged_for_attaching(struct fixture *f, const char *cgroup)
{
	struct charged c = { .f = f };
	int payer = memcg_create(cgroup);
	long bytes = 0;
	pid_t pid;

	pid = memcg_spawn(payer, attach_many, &c);
	if (ASSERT_TRUE(memcg_paused(pid), "started")) {
		bytes = -memcg_read(payer, "memory.stat", "slab");
		memcg_resume(pid);
		if (ASSERT_TRUE(memcg_paused(pid), "attached"))
			bytes += memcg_read(payer, "memory.stat", "slab");
	}
	memcg_kill(pid);
	/* links of a process that ended go by and by */
	ASSERT_TRUE(memcg_wait(!told(f, PX)), "detached");
	close(payer);
	remove_cgroup(cgroup);
	return bytes;
}

/*
 * The kernel's memory for the effective arrays is charged to whoever attaches: more
 * of it the more descendants there are. Links and files are charged, too, but as
 * many of them in either case.
 */
static void test_accounted(struct fixture *f)
{
	const int nr = 64, item_size = 4 * sizeof(__u64);
	long few, many;
	char path[64];
	int i, fd;

	few = charged_for_attaching(f, "/payer1");
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/p/more%d", i);
		fd = memcg_create(path);
		if (!ASSERT_OK_FD(fd, path))
			goto out;
		close(fd);
	}
	many = charged_for_attaching(f, "/payer2");
	ASSERT_GE(many - few, nr * NR_CHARGED * item_size, "charged for more cgroups");
out:
	while (--i >= 0) {
		snprintf(path, sizeof(path), "/p/more%d", i);
		remove_cgroup(path);
	}
}

/*
 * On a kernel booted with cgroup_disable=memory the root still has a memcg, and
 * nothing may attach to it.
 */
static void test_disabled(void)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	struct memcg_attach *skel;
	char cmdline[4096] = "";
	int fd, root;

	fd = open("/proc/cmdline", O_RDONLY);
	if (ASSERT_OK_FD(fd, "cmdline"))
		read(fd, cmdline, sizeof(cmdline) - 1);
	close(fd);
	if (!strstr(cmdline, "cgroup_disable=memory")) {
		test__skip();
		return;
	}
	root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	skel = memcg_attach__open_and_load();
	opts.struct_ops_type_id = type_id;
	if (ASSERT_OK_FD(root, "root") && ASSERT_OK_PTR(skel, "memcg_attach__open_and_load")) {
		ASSERT_EQ(memcg_attach_errno(skel->maps.a, root, NONE), ENOENT, "attach");
		ASSERT_EQ(bpf_prog_query_opts(root, BPF_STRUCT_OPS, &opts), -ENOENT, "query");
	}
	memcg_attach__destroy(skel);
	close(root);
}

/*
 * A cgroup is asked for, and the type does not know any, or the kernel does not:
 * nothing is attached to the whole system instead. Runs on every kernel.
 */
static void test_never_global(void)
{
	struct memcg_tcp_ca *skel = memcg_tcp_ca__open_and_load();
	char known[4096] = "";
	int root, fd, err;

	root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	if (ASSERT_OK_PTR(skel, "memcg_tcp_ca__open_and_load") && ASSERT_OK_FD(root, "root")) {
		err = memcg_attach_errno(skel->maps.memcg_tcp_ca, root, MULTI);
		ASSERT_TRUE(err == EINVAL || err == EOPNOTSUPP, "attach");
		printf("attach: %s\n", strerror(err));
		fd = open("/proc/sys/net/ipv4/tcp_available_congestion_control", O_RDONLY);
		ASSERT_GT(read(fd, known, sizeof(known) - 1), 0, "known to TCP");
		ASSERT_NULL(strstr(known, "memcg_tcp_ca"), "not known to TCP");
		close(fd);
	}
	memcg_tcp_ca__destroy(skel);
	close(root);
}

void test_memcg_attach(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct fixture *f);
	} tests[] = {
		{ "refusals", test_refusals },
		{ "raw", test_raw },
		{ "flags", test_flags },
		{ "chain", test_chain },
		{ "two_levels", test_two_levels },
		{ "inherit", test_inherit },
		{ "failed", test_failed },
		{ "other_types", test_other_types },
		{ "update", test_update },
		{ "many", test_many },
		{ "two_links", test_two_links },
		{ "accounted", test_accounted },
	};
	struct fixture f;
	int i;

	type_id = memcg_type_id("memcg_bpf_ops");
	if (!ASSERT_NEQ(type_id, 0, "memcg_bpf_ops"))
		return;

	if (test__start_subtest("disabled"))
		test_disabled();
	if (test__start_subtest("never_global"))
		test_never_global();
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		if (setup(&f))
			tests[i].fn(&f);
		teardown(&f);
	}
}
