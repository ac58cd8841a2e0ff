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
#include <bpf/btf.h>
#include <sys/syscall.h>
#include "memcg_helpers.h"
#include "memcg_attach.skel.h"

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
 * cgroup accepted and ignored, a dying cgroup taken as alive. Fails if
 * target_css() takes what cgroup_e_css() finds, or without the check of flags
 * in bpf_cgroup_ops_link_create().
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
 * What libbpf would never send. Catches: fields that are not looked at. Fails
 * without the checks at the beginning of bpf_cgroup_ops_link_create().
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
 * Catches: any of them taken for another. Fails without any one of the three
 * checks in hierarchy_allows().
 */
static void test_flags(struct fixture *f)
{
	static const struct {
		const char *name;
		__u32 first, second;
		int same, below, above;
	} cases[] = {
		{ "none, none",		NONE,	  NONE,	    EBUSY, EBUSY, EBUSY },
		{ "none, override",	NONE,	  OVERRIDE, EBUSY, EBUSY, 0 },
		{ "none, multi",	NONE,	  MULTI,    EBUSY, EBUSY, 0 },
		{ "override, none",	OVERRIDE, NONE,	    EBUSY, 0,	  EBUSY },
		{ "override, override",	OVERRIDE, OVERRIDE, EBUSY, 0,	  0 },
		{ "override, multi",	OVERRIDE, MULTI,    EBUSY, 0,	  0 },
		{ "multi, none",	MULTI,	  NONE,	    EBUSY, 0,	  EBUSY },
		{ "multi, override",	MULTI,	  OVERRIDE, EBUSY, 0,	  0 },
		{ "multi, multi",	MULTI,	  MULTI,    0,	   0,	  0 },
	};
	struct bpf_link *link;
	char name[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		link = memcg_attach(f->skel->maps.a, f->fd[PA], cases[i].first);
		if (!ASSERT_OK_PTR(link, cases[i].name))
			continue;
		snprintf(name, sizeof(name), "%s: same", cases[i].name);
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.b, f->fd[PA], cases[i].second),
			  cases[i].same, name);
		snprintf(name, sizeof(name), "%s: below", cases[i].name);
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.b, f->fd[PAC], cases[i].second),
			  cases[i].below, name);
		snprintf(name, sizeof(name), "%s: above", cases[i].name);
		ASSERT_EQ(memcg_attach_errno(f->skel->maps.b, f->fd[P], cases[i].second),
			  cases[i].above, name);
		/* whatever became of the others, the first is still there */
		ASSERT_EQ(told(f, PAC), A, cases[i].name);
		bpf_link__destroy(link);
	}
}

/*
 * Three levels: who is told where, attached from the top and from below, and
 * what is restored when the middle goes. Catches: effective arrays computed
 * from the parent alone, or not recomputed for descendants. Fails if
 * array_compute() looks at the css alone, or recompute() at no descendant.
 */
static void test_chain(struct fixture *f)
{
	static const struct {
		const char *name;
		__u32 p, pa, pac;
		int at_px, at_pax, at_pac, without_pa;
	} cases[] = {
		{ "multi x 3",		MULTI,	  MULTI,    MULTI,    A, A | B, A | B | C, A | C },
		{ "override x 3",	OVERRIDE, OVERRIDE, OVERRIDE, A, B,	C,	   C },
		{ "multi x 2, none",	MULTI,	  MULTI,    NONE,     A, A | B, A | B | C, A | C },
		{ "override, multi x 2", OVERRIDE, MULTI,   MULTI,    A, B,	B | C,	   C },
		{ "multi, override, multi", MULTI, OVERRIDE, MULTI,   A, A | B, A | C,	   A | C },
	};
	struct bpf_link *link[3] = {};
	int i, j, up;

	for (i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *t = &cases[i / 2];

		up = i % 2;	/* attach from below */
		for (j = 0; j < 3; j++) {
			switch (up ? 2 - j : j) {
			case 0:
				link[0] = memcg_attach(f->skel->maps.a, f->fd[P], t->p);
				break;
			case 1:
				link[1] = memcg_attach(f->skel->maps.b, f->fd[PA], t->pa);
				break;
			case 2:
				link[2] = memcg_attach(f->skel->maps.c, f->fd[PAC], t->pac);
				break;
			}
		}
		if (up && t->pa == NONE)
			goto next;
		if (!ASSERT_OK_PTR(link[0], t->name) || !ASSERT_OK_PTR(link[1], t->name) ||
		    !ASSERT_OK_PTR(link[2], t->name))
			goto next;

		ASSERT_EQ(told(f, PX), t->at_px, t->name);
		ASSERT_EQ(told(f, PAX), t->at_pax, t->name);
		ASSERT_EQ(told(f, PAC), t->at_pac, t->name);

		bpf_link__destroy(link[1]);
		link[1] = NULL;
		ASSERT_EQ(told(f, PAX), A, t->name);
		ASSERT_EQ(told(f, PAC), t->without_pa, t->name);
		bpf_link__destroy(link[2]);
		link[2] = NULL;
		ASSERT_EQ(told(f, PAC), A, t->name);
next:
		for (j = 0; j < 3; j++) {
			bpf_link__destroy(link[j]);
			link[j] = NULL;
		}
	}
	ASSERT_EQ(told(f, PAC), 0, "all detached");
}

/*
 * One map at two levels: detaching one link leaves the other's subtree alone.
 * Catches: an attachment found again by its ops instead of by its link. Fails
 * if array_has() compares the ops alone.
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
 * policy knows of every page. Catches: inheriting too late or not at all. Fails
 * without array_compute() in bpf_cgroup_ops_css_online().
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
 * clearing. Fails if link_attach() detaches anything after an error.
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
 * silently accepted and mean nothing. Fails without the check of flags in
 * bpf_struct_ops_link_create().
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

/*
 * Replacing the policy of a link while memory is charged: each page is told to
 * one of the two, so that their books balance together. Catches: a moment
 * without a policy, or with both; an expected old map that is not compared.
 * Fails if bpf_cgroup_ops_link_update() detaches before it attaches, or does
 * not compare expected_old_map.
 */
static void test_update(struct fixture *f)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE);
	struct memcg_attach__bss *bss = f->skel->bss;
	struct bpf_map *a = f->skel->maps.a, *b = f->skel->maps.b;
	struct bpf_link *link;
	int updates = 0, fd, err, status;
	pid_t pid = -1;
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

	base = memcg_pages(f->fd[PX]) -
	       (long)(memcg_book(bss->a_books, f->id[PX])->charged -
		      memcg_book(bss->a_books, f->id[PX])->uncharged +
		      memcg_book(bss->b_books, f->id[PX])->charged -
		      memcg_book(bss->b_books, f->id[PX])->uncharged);
	pid = memcg_spawn(f->fd[PX], memcg_churn, NULL);
	while (!(err = waitpid(pid, &status, WNOHANG))) {
		if (!ASSERT_OK(bpf_link__update_map(link, updates % 2 ? b : a), "update")) {
			memcg_kill(pid);
			goto out;
		}
		updates++;
	}
	ASSERT_EQ(err, pid, "child");
	ASSERT_OK(status, "child's status");
	ASSERT_GT(updates, 1, "updates");
	ASSERT_TRUE(memcg_wait(memcg_pages(f->fd[PX]) - base ==
			       memcg_book(bss->a_books, f->id[PX])->charged -
			       memcg_book(bss->a_books, f->id[PX])->uncharged +
			       memcg_book(bss->b_books, f->id[PX])->charged -
			       memcg_book(bss->b_books, f->id[PX])->uncharged),
		    "no page was told to none or to both");
out:
	bpf_link__destroy(link);
	ASSERT_EQ(memcg_book(bss->a_books, f->id[PX])->online,
		  memcg_book(bss->a_books, f->id[PX])->offline, "a pairs");
	ASSERT_EQ(memcg_book(bss->b_books, f->id[PX])->online,
		  memcg_book(bss->b_books, f->id[PX])->offline, "b pairs");
}

/*
 * Policies in one cgroup have a limit, and reaching it harms none of them.
 * Fails without BPF_CGROUP_OPS_MAX_LINKS.
 */
static void test_many(struct fixture *f)
{
	struct bpf_link *link[80] = {};
	int i, n;

	for (n = 0; n < ARRAY_SIZE(link); n++) {
		link[n] = memcg_attach(n ? f->skel->maps.b : f->skel->maps.a,
				       f->fd[PA], MULTI);
		if (!link[n])
			break;
	}
	ASSERT_EQ(errno, E2BIG, "errno of one too many");
	ASSERT_EQ(n, 64, "policies");
	ASSERT_EQ(told(f, PAC), A | B, "told");
	for (i = 0; i < n; i++)
		bpf_link__destroy(link[i]);
	ASSERT_EQ(told(f, PAC), 0, "detached");
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
	};
	struct fixture f;
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		if (setup(&f))
			tests[i].fn(&f);
		teardown(&f);
	}
}
