// SPDX-License-Identifier: GPL-2.0
/*
 * What can be asked about struct_ops attached to cgroups, and changes that are
 * made only if the answer is still true.
 *
 *	/p - /p/a - /p/a/c
 */
#include <poll.h>
#include <pthread.h>
#include <test_progs.h>
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "memcg_helpers.h"
#include "memcg_attach.skel.h"

#define NONE		0
#define OVERRIDE	BPF_F_ALLOW_OVERRIDE
#define MULTI		BPF_F_ALLOW_MULTI
#define EFFECTIVE	BPF_F_QUERY_EFFECTIVE

#define ROOM		8
#define UNTOUCHED	0xabababab

enum { P, PA, PAC, NR_CGROUPS };

static const char * const paths[NR_CGROUPS] = { "/p", "/p/a", "/p/a/c" };

static struct memcg_attach *skel;
static int cgroup[NR_CGROUPS];
static __u32 type_id, other_type_id;

/* The answer to the last query */
static __u32 link_ids[ROOM], link_flags[ROOM], map_ids[ROOM], mode, count;
static __u64 cgroup_ids[ROOM], revision;

static int query(int fd, __u32 flags, __u32 room, __u32 start)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	int err;

	memset(link_ids, 0xab, sizeof(link_ids));
	memset(link_flags, 0xab, sizeof(link_flags));
	memset(map_ids, 0xab, sizeof(map_ids));
	memset(cgroup_ids, 0xab, sizeof(cgroup_ids));
	opts.query_flags = flags;
	opts.struct_ops_type_id = type_id;
	opts.count = room;
	opts.start = start;
	opts.link_ids = link_ids;
	opts.link_attach_flags = link_flags;
	opts.map_ids = map_ids;
	opts.cgroup_ids = cgroup_ids;
	err = bpf_prog_query_opts(fd, BPF_STRUCT_OPS, &opts);
	mode = opts.attach_flags;
	count = opts.count;
	revision = opts.revision;
	return err;
}

static __u32 link_id(struct bpf_link *link)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	return bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len) ? 0 : info.id;
}

static __u32 map_id(struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_map_get_info_by_fd(bpf_map__fd(map), &info, &len) ? 0 : info.id;
}

/* Entry @i of the last answer is this attachment. */
static void check(int i, struct bpf_link *link, struct bpf_map *map, __u32 flags, int at)
{
	ASSERT_EQ(link_ids[i], link_id(link), "link id");
	ASSERT_EQ(map_ids[i], map_id(map), "map id");
	ASSERT_EQ(link_flags[i], flags, "flags");
	ASSERT_EQ(cgroup_ids[i], get_cgroup_id(paths[at]), "cgroup id");
}

/*
 * Attached and effective policies, in order, after every kind of change.
 * Catches: an answer from another level, or from before a change.
 */
static void test_lists(void)
{
	struct bpf_map *a = skel->maps.a, *b = skel->maps.b, *c = skel->maps.c;
	struct bpf_link *pa, *pab, *pac = NULL, *p;

	ASSERT_OK(query(cgroup[PA], 0, ROOM, 0), "nothing");
	ASSERT_EQ(count, 0, "nothing: count");
	ASSERT_OK(query(cgroup[PA], EFFECTIVE, ROOM, 0), "nothing effective");
	ASSERT_EQ(count, 0, "nothing effective: count");

	p = memcg_attach(a, cgroup[P], MULTI);
	pa = memcg_attach(b, cgroup[PA], MULTI);
	pab = memcg_attach(a, cgroup[PA], MULTI);
	pac = memcg_attach(c, cgroup[PAC], NONE);
	if (!ASSERT_OK_PTR(p, "p") || !ASSERT_OK_PTR(pa, "pa") || !ASSERT_OK_PTR(pab, "pab") ||
	    !ASSERT_OK_PTR(pac, "pac"))
		goto out;

	ASSERT_OK(query(cgroup[PA], 0, ROOM, 0), "attached");
	ASSERT_EQ(count, 2, "attached: count");
	ASSERT_EQ(mode, MULTI, "attached: mode");
	check(0, pa, b, MULTI, PA);
	check(1, pab, a, MULTI, PA);
	ASSERT_EQ(link_ids[2], UNTOUCHED, "behind the end");

	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, ROOM, 0), "effective");
	ASSERT_EQ(count, 4, "effective: count");
	ASSERT_EQ(mode, NONE, "effective: mode");
	check(0, p, a, MULTI, P);
	check(1, pa, b, MULTI, PA);
	check(2, pab, a, MULTI, PA);
	check(3, pac, c, NONE, PAC);

	ASSERT_OK(bpf_link__update_map(pa, c), "update");
	bpf_link__destroy(p);
	p = NULL;
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, ROOM, 0), "changed");
	ASSERT_EQ(count, 3, "changed: count");
	check(0, pa, c, MULTI, PA);

	bpf_link__destroy(pac);
	pac = memcg_attach(c, cgroup[PAC], OVERRIDE);
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, ROOM, 0), "override");
	ASSERT_EQ(count, 3, "under multi an override adds");
	check(2, pac, c, OVERRIDE, PAC);
out:
	bpf_link__destroy(pac);
	bpf_link__destroy(pab);
	bpf_link__destroy(pa);
	bpf_link__destroy(p);
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, ROOM, 0), "all gone");
	ASSERT_EQ(count, 0, "all gone: count");
}

/*
 * Long answers and short buffers. Catches: writing behind a buffer, or an error
 * where all was told.
 */
static void test_pages(void)
{
	struct bpf_link *link[5] = {};
	__u32 effective;
	int i;

	for (i = 0; i < ARRAY_SIZE(link); i++) {
		link[i] = memcg_attach(skel->maps.a, cgroup[PA], MULTI);
		if (!ASSERT_OK_PTR(link[i], "attach"))
			goto out;
	}
	for (i = 0; i < 2; i++) {
		effective = i ? EFFECTIVE : 0;
		ASSERT_OK(query(cgroup[PA], effective, 0, 0), "number only");
		ASSERT_EQ(count, 5, "number only: count");
		ASSERT_EQ(link_ids[0], UNTOUCHED, "number only: nothing else");

		ASSERT_EQ(query(cgroup[PA], effective, 2, 0), -ENOSPC, "first page");
		ASSERT_EQ(count, 5, "first page: count");
		check(1, link[1], skel->maps.a, MULTI, PA);
		ASSERT_EQ(link_ids[2], UNTOUCHED, "first page: end");
		ASSERT_EQ(query(cgroup[PA], effective, 2, 2), -ENOSPC, "second page");
		check(0, link[2], skel->maps.a, MULTI, PA);
		ASSERT_OK(query(cgroup[PA], effective, 2, 4), "last page");
		ASSERT_EQ(count, 5, "last page: count");
		check(0, link[4], skel->maps.a, MULTI, PA);
		ASSERT_EQ(link_ids[1], UNTOUCHED, "last page: end");
		ASSERT_OK(query(cgroup[PA], effective, 2, 5), "behind the last");
		ASSERT_OK(query(cgroup[PA], effective, 2, ~0U), "far behind the last");
		ASSERT_EQ(link_ids[0], UNTOUCHED, "behind the last: nothing");
		ASSERT_OK(query(cgroup[PA], effective, ~0U, 0), "room without end");
		check(4, link[4], skel->maps.a, MULTI, PA);
	}
out:
	for (i = 0; i < ARRAY_SIZE(link); i++)
		bpf_link__destroy(link[i]);
}

/*
 * A long effective list of which a part is inherited, and an ancestor that changes
 * between two pages of it. Catches: a revision that is only the cgroup's own, so
 * that two halves of different answers look like one.
 */
static void test_pages_inherited(void)
{
	struct bpf_link *upper[3] = {}, *lower = NULL, *mid = NULL;
	__u64 first, own;
	int i;

	for (i = 0; i < ARRAY_SIZE(upper); i++)
		upper[i] = memcg_attach(skel->maps.a, cgroup[P], MULTI);
	lower = memcg_attach(skel->maps.b, cgroup[PAC], MULTI);
	if (!ASSERT_OK_PTR(upper[2], "upper") || !ASSERT_OK_PTR(lower, "lower"))
		goto out;
	ASSERT_OK(query(cgroup[PAC], 0, 0, 0), "own");
	own = revision;

	/* nothing changes */
	ASSERT_EQ(query(cgroup[PAC], EFFECTIVE, 2, 0), -ENOSPC, "first page");
	first = revision;
	check(0, upper[0], skel->maps.a, MULTI, P);
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, 2, 2), "second page");
	ASSERT_EQ(revision, first, "one answer");
	check(0, upper[2], skel->maps.a, MULTI, P);
	check(1, lower, skel->maps.b, MULTI, PAC);

	/* detached above, attached between, updated above */
	bpf_link__destroy(upper[0]);
	upper[0] = NULL;
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, 2, 2), "second page, detached");
	ASSERT_GT(revision, first, "another answer");
	ASSERT_EQ(count, 3, "count");
	first = revision;
	mid = memcg_attach(skel->maps.c, cgroup[PA], MULTI);
	ASSERT_OK_PTR(mid, "mid");
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, 2, 2), "second page, attached");
	ASSERT_GT(revision, first, "yet another answer");
	first = revision;
	ASSERT_OK(bpf_link__update_map(upper[1], skel->maps.c), "update");
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, 2, 2), "second page, updated");
	ASSERT_GT(revision, first, "and another");
	ASSERT_OK(query(cgroup[PAC], 0, 0, 0), "own");
	ASSERT_EQ(revision, own, "the cgroup's own has not changed");

	/* what happens below is none of it */
	ASSERT_OK(query(cgroup[PA], EFFECTIVE, 0, 0), "the middle");
	first = revision;
	bpf_link__destroy(lower);
	lower = NULL;
	ASSERT_OK(query(cgroup[PA], EFFECTIVE, 0, 0), "the middle");
	ASSERT_EQ(revision, first, "the middle has not changed");
out:
	bpf_link__destroy(mid);
	bpf_link__destroy(lower);
	for (i = 0; i < ARRAY_SIZE(upper); i++)
		bpf_link__destroy(upper[i]);
}

/*
 * What governs a cgroup that has no memory controller of its own: what governs
 * the nearest one above that has.
 */
static void test_inherited(void)
{
	int none = create_and_get_cgroup("/p/a/c/none");
	struct bpf_link *p, *pac;

	p = memcg_attach(skel->maps.a, cgroup[P], MULTI);
	pac = memcg_attach(skel->maps.b, cgroup[PAC], MULTI);
	if (!ASSERT_OK_FD(none, "no controller") || !ASSERT_OK_PTR(p, "p") ||
	    !ASSERT_OK_PTR(pac, "pac"))
		goto out;
	ASSERT_OK(query(none, EFFECTIVE, ROOM, 0), "effective");
	ASSERT_EQ(count, 2, "effective: count");
	check(0, p, skel->maps.a, MULTI, P);
	check(1, pac, skel->maps.b, MULTI, PAC);
	ASSERT_OK(query(none, 0, ROOM, 0), "attached");
	ASSERT_EQ(count, 0, "attached: count");
	ASSERT_EQ(link_ids[0], UNTOUCHED, "attached: nothing");

	/* the controller is switched off, and what was attached there goes */
	ASSERT_OK(memcg_write(cgroup[PA], "cgroup.subtree_control", "-memory"), "off");
	ASSERT_OK(query(cgroup[PAC], EFFECTIVE, ROOM, 0), "off: effective");
	ASSERT_EQ(count, 1, "off: count");
	check(0, p, skel->maps.a, MULTI, P);
out:
	bpf_link__destroy(pac);
	bpf_link__destroy(p);
	if (none >= 0)
		close(none);
	remove_cgroup("/p/a/c/none");
}

static int raw_query(const union bpf_attr *attr, size_t size)
{
	union bpf_attr copy[2] = { *attr };

	/* what is behind must be 0 */
	return syscall(__NR_bpf, BPF_PROG_QUERY, copy, size) ? errno : 0;
}

/*
 * Everything that a query can have wrong. Catches: fields that are ignored.
 */
static void test_query_refusals(void)
{
	const size_t all = offsetofend(union bpf_attr, query.start);
	union bpf_attr good = {}, attr;
	struct bpf_link *link;
	char room[256] = {};
	int fd;

	good.query.target_fd = cgroup[PA];
	good.query.attach_type = BPF_STRUCT_OPS;
	good.query.struct_ops_type_id = type_id;
	ASSERT_EQ(raw_query(&good, all), 0, "good");
	ASSERT_EQ(raw_query(&good, sizeof(room)), 0, "size of a later kernel");

	attr = good;
	attr.query.struct_ops_type_id = 0;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "no type");
	ASSERT_EQ(raw_query(&good, offsetofend(union bpf_attr, query.revision)), EINVAL,
		  "size of an earlier kernel");
	attr.query.struct_ops_type_id = other_type_id;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "a type without cgroups");
	attr.query.struct_ops_type_id = ~0U;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "no such type");
	attr = good;
	attr.query.query_flags = 1U << 31;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "flags");
	attr = good;
	attr.query.prog_ids = (__u64)(unsigned long)room;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "prog_ids");
	attr = good;
	attr.query.prog_attach_flags = (__u64)(unsigned long)room;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "prog_attach_flags");

	attr = good;
	attr.query.attach_type = BPF_CGROUP_INET_INGRESS;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "type with programs");
	attr.query.struct_ops_type_id = 0;
	ASSERT_EQ(raw_query(&attr, all), 0, "programs");
	attr.query.start = 1;
	ASSERT_EQ(raw_query(&attr, all), EINVAL, "start with programs");

	link = memcg_attach(skel->maps.a, cgroup[PA], NONE);
	attr = good;
	attr.query.count = 1;
	attr.query.link_ids = 8;
	ASSERT_EQ(raw_query(&attr, all), EFAULT, "nowhere to write to");
	bpf_link__destroy(link);

	attr = good;
	attr.query.target_fd = -1;
	ASSERT_EQ(raw_query(&attr, all), EBADF, "no fd");
	attr.query.target_fd = bpf_map__fd(skel->maps.a);
	ASSERT_EQ(raw_query(&attr, all), EBADF, "a map");
	fd = create_and_get_cgroup("/p/a/c/none");
	attr.query.target_fd = fd;
	ASSERT_EQ(raw_query(&attr, all), 0, "no memory controller");
	remove_cgroup("/p/a/c/none");
	ASSERT_EQ(raw_query(&attr, all), ENODEV, "removed");
	close(fd);
}

static int attach_errno(__u64 expected, __u32 flags)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts);
	struct bpf_link *link;
	int err;

	opts.flags = BPF_F_CGROUP_FD | flags;
	opts.target_fd = cgroup[PA];
	opts.expected_revision = expected;
	link = bpf_map__attach_struct_ops_opts(skel->maps.b, &opts);
	err = link ? 0 : errno;
	bpf_link__destroy(link);
	return err;
}

static __u64 revision_of(int at)
{
	return query(cgroup[at], 0, 0, 0) ? 0 : revision;
}

/*
 * A revision that moved on forbids the change. Catches: expected_revision not
 * looked at, or a change that does not move it.
 */
static void test_revision(void)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	struct bpf_link *link, *other;
	__u64 before, now;

	before = revision_of(PA);
	ASSERT_GT(before, 0, "first revision");
	ASSERT_EQ(attach_errno(before + 1, MULTI), ESTALE, "attach, not yet");
	ASSERT_EQ(revision_of(PA), before, "refused, unchanged");
	ASSERT_EQ(attach_errno(before, MULTI), 0, "attach");
	now = revision_of(PA);
	ASSERT_GT(now, before, "attached and detached");
	ASSERT_EQ(attach_errno(before, MULTI), ESTALE, "attach, stale");
	ASSERT_EQ(attach_errno(0, MULTI), 0, "attach, any");

	before = revision_of(PA);
	link = memcg_attach(skel->maps.a, cgroup[PA], MULTI);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	now = revision_of(PA);
	ASSERT_GT(now, before, "attached");
	before = now;
	opts.expected_revision = before + 1;
	ASSERT_EQ(bpf_link_update(bpf_link__fd(link), bpf_map__fd(skel->maps.b), &opts), -ESTALE,
		  "update, stale");
	ASSERT_EQ(revision_of(PA), before, "refused, unchanged");
	ASSERT_OK(query(cgroup[PA], 0, ROOM, 0), "query");
	check(0, link, skel->maps.a, MULTI, PA);
	opts.expected_revision = before;
	ASSERT_OK(bpf_link_update(bpf_link__fd(link), bpf_map__fd(skel->maps.b), &opts), "update");
	now = revision_of(PA);
	ASSERT_GT(now, before, "updated");
	ASSERT_EQ(bpf_link_update(bpf_link__fd(link), bpf_map__fd(skel->maps.a), &opts), -ESTALE,
		  "once more");

	opts.expected_revision = now;
	ASSERT_OK(bpf_link_update(bpf_link__fd(link), bpf_map__fd(skel->maps.b), &opts), "same");
	ASSERT_EQ(revision_of(PA), now, "nothing changed");

	/* of each cgroup its own */
	before = revision_of(PAC);
	ASSERT_OK(bpf_link__update_map(link, skel->maps.a), "update");
	ASSERT_EQ(revision_of(PAC), before, "that of a descendant");
	bpf_link__destroy(link);

	/* a controller that comes back brings no old one, and failing leaves it alone */
	before = revision_of(PAC);
	ASSERT_OK(memcg_write(cgroup[PA], "cgroup.subtree_control", "-memory"), "off");
	ASSERT_TRUE(memcg_wait(!memcg_write(cgroup[PA], "cgroup.subtree_control", "+memory")),
		    "on");
	now = revision_of(PAC);
	ASSERT_GT(now, before, "never the same again");
	link = memcg_attach(skel->maps.a, cgroup[PAC], OVERRIDE);
	ASSERT_OK_PTR(link, "attach");
	now = revision_of(PAC);
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, cgroup[PAC], OVERRIDE), EBUSY, "refused");
	ASSERT_EQ(revision_of(PAC), now, "refused, unchanged");
	before = revision_of(P);
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, cgroup[P], NONE), EBUSY, "refused above");
	ASSERT_EQ(revision_of(P), before, "refused above, unchanged");
	bpf_link__destroy(link);

	/* others have none, and say so */
	other = bpf_map__attach_struct_ops(skel->maps.other);
	if (!ASSERT_OK_PTR(other, "other type"))
		return;
	opts.expected_revision = 1;
	ASSERT_EQ(bpf_link_update(bpf_link__fd(other), bpf_map__fd(skel->maps.other), &opts),
		  -EINVAL, "other type");
	bpf_link__destroy(other);
}

/*
 * Old and new sizes of what BPF_LINK_UPDATE gets. Catches: fields beyond the
 * size read, or garbage behind them taken.
 */
static void test_sizes(void)
{
	const size_t old = offsetofend(union bpf_attr, link_update.old_prog_fd);
	union bpf_attr attr[2] = {};
	struct bpf_link *link;

	/* a map has its value from when it is first attached */
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, cgroup[PA], MULTI), 0, "attach b");
	link = memcg_attach(skel->maps.a, cgroup[PA], MULTI);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	attr->link_update.link_fd = bpf_link__fd(link);
	attr->link_update.new_map_fd = bpf_map__fd(skel->maps.b);
	attr->link_update.expected_revision = ~0ULL;
	ASSERT_OK(syscall(__NR_bpf, BPF_LINK_UPDATE, attr, old), "without the new field");
	ASSERT_ERR(syscall(__NR_bpf, BPF_LINK_UPDATE, attr, sizeof(*attr)), "with it");
	ASSERT_EQ(errno, ESTALE, "with it: errno");
	attr->link_update.expected_revision = 0;
	ASSERT_OK(syscall(__NR_bpf, BPF_LINK_UPDATE, attr, sizeof(attr)), "size of a later kernel");
	((char *)attr)[sizeof(attr) - 1] = 1;
	ASSERT_ERR(syscall(__NR_bpf, BPF_LINK_UPDATE, attr, sizeof(attr)), "garbage behind");
	ASSERT_EQ(errno, E2BIG, "garbage behind: errno");
	bpf_link__destroy(link);
}

/* A page that is not there until somebody provides it, and who does so when. */
struct absent {
	void *page;
	int uffd;
	int go_on;	/* eventfd: now, else after PATIENCE_MS */
	bool in_time;
	int err;	/* of the query that waits for the page */
};

#define PATIENCE_MS	10000

static void *query_into(void *arg)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	struct absent *absent = arg;

	opts.struct_ops_type_id = type_id;
	opts.count = 1;
	opts.map_ids = absent->page;
	absent->err = bpf_prog_query_opts(cgroup[PA], BPF_STRUCT_OPS, &opts);
	return NULL;
}

static void *provide(void *arg)
{
	struct absent *absent = arg;
	struct pollfd pollfd = { .fd = absent->go_on, .events = POLLIN };
	struct uffdio_zeropage zero = {
		.range = { .start = (unsigned long)absent->page, .len = getpagesize() },
	};

	absent->in_time = poll(&pollfd, 1, PATIENCE_MS) == 1;
	ioctl(absent->uffd, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

/*
 * Memory of the user that takes as long as it likes to appear holds up the query
 * that writes there, and nobody else.
 */
static void test_slow_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register where = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct absent absent = { .uffd = -1, .go_on = -1 };
	struct bpf_link *a, *b = NULL;
	pthread_t asker, provider;
	struct pollfd fault;

	a = memcg_attach(skel->maps.a, cgroup[PA], MULTI);
	absent.go_on = eventfd(0, EFD_CLOEXEC);
	absent.uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	absent.page = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	where.range.start = (unsigned long)absent.page;
	where.range.len = getpagesize();
	if (!ASSERT_OK_PTR(a, "attach a") || !ASSERT_OK_FD(absent.go_on, "eventfd") ||
	    !ASSERT_OK_FD(absent.uffd, "userfaultfd") ||
	    !ASSERT_NEQ(absent.page, MAP_FAILED, "mmap") ||
	    !ASSERT_OK(ioctl(absent.uffd, UFFDIO_API, &api), "UFFDIO_API") ||
	    !ASSERT_OK(ioctl(absent.uffd, UFFDIO_REGISTER, &where), "UFFDIO_REGISTER") ||
	    !ASSERT_OK(pthread_create(&asker, NULL, query_into, &absent), "the one who asks"))
		goto out;
	fault = (struct pollfd){ .fd = absent.uffd, .events = POLLIN };
	ASSERT_EQ(poll(&fault, 1, PATIENCE_MS), 1, "the query waits for its page");
	ASSERT_EQ(fault.revents, POLLIN, "what it waits for");
	if (ASSERT_OK(pthread_create(&provider, NULL, provide, &absent), "who provides")) {
		b = memcg_attach(skel->maps.b, cgroup[PA], MULTI);
		ASSERT_OK_PTR(b, "attach b");
		eventfd_write(absent.go_on, 1);
		pthread_join(provider, NULL);
		ASSERT_TRUE(absent.in_time, "attached meanwhile");
	} else {
		provide(&absent);
	}
	pthread_join(asker, NULL);
	ASSERT_OK(absent.err, "query");
	ASSERT_EQ(*(__u32 *)absent.page, map_id(skel->maps.a), "its answer");
out:
	bpf_link__destroy(a);
	bpf_link__destroy(b);
	if (absent.page != MAP_FAILED)
		munmap(absent.page, getpagesize());
	close(absent.uffd);
	close(absent.go_on);
}

void test_memcg_query(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {
		{ "lists", test_lists },
		{ "pages", test_pages },
		{ "pages_inherited", test_pages_inherited },
		{ "inherited", test_inherited },
		{ "refusals", test_query_refusals },
		{ "revision", test_revision },
		{ "sizes", test_sizes },
		{ "slow_memory", test_slow_memory },
	};
	int i, j;

	type_id = memcg_type_id("memcg_bpf_ops");
	other_type_id = memcg_type_id("tcp_congestion_ops");
	if (!ASSERT_NEQ(type_id, 0, "memcg_bpf_ops") ||
	    !ASSERT_NEQ(other_type_id, 0, "tcp_congestion_ops"))
		return;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		memset(cgroup, -1, sizeof(cgroup));
		skel = memcg_attach__open_and_load();
		if (!ASSERT_OK_PTR(skel, "memcg_attach__open_and_load") ||
		    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
			goto next;
		for (j = 0; j < NR_CGROUPS; j++) {
			cgroup[j] = memcg_create(paths[j]);
			if (!ASSERT_OK_FD(cgroup[j], paths[j]))
				goto next;
		}
		tests[i].fn();
next:
		for (j = 0; j < NR_CGROUPS; j++)
			if (cgroup[j] >= 0)
				close(cgroup[j]);
		memcg_attach__destroy(skel);
		cleanup_cgroup_environment();
	}
}
