// SPDX-License-Identifier: GPL-2.0
/*
 * handle_cgroup_online() and handle_cgroup_offline(): each memcg that a policy
 * governs is announced once, and taken back once.
 *
 *	/p - /p/a - /p/a/c
 *	   - /p/b
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include "memcg_helpers.h"
#include "memcg_books.skel.h"

enum { P, PA, PAC, PB, NR_CGROUPS };

static const char * const paths[NR_CGROUPS] = { "/p", "/p/a", "/p/a/c", "/p/b" };

struct fixture {
	struct memcg_books *skel;
	int fd[NR_CGROUPS];
	__u64 id[NR_CGROUPS];
};

static void check(struct memcg_book *books, __u64 id, int online, int offline,
		  const char *name)
{
	struct memcg_book *book = memcg_book(books, id);

	if (!ASSERT_EQ(book->online, online, name) ||
	    !ASSERT_EQ(book->offline, offline, name))
		fprintf(stdout, "cgroup %llu: online %llu offline %llu\n",
			(unsigned long long)id, book->online, book->offline);
}

static int books_used(struct memcg_book *books)
{
	int i, n = 0;

	for (i = 0; i < MEMCG_BOOKS; i++)
		n += !!books[i].cgid;
	return n;
}

/*
 * All that are there at attach, those that come later, and everything again at
 * detach. Catches: existing cgroups left out, detach without offline, a sibling
 * or parent announced.
 */
static void test_attach(struct fixture *f)
{
	struct memcg_book *a = f->skel->bss->a_books;
	struct bpf_link *link;
	__u64 id;
	int fd;

	link = memcg_attach(f->skel->maps.a, f->fd[PA], 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	check(a, f->id[PA], 1, 0, "itself");
	check(a, f->id[PAC], 1, 0, "below");
	check(a, f->id[P], 0, 0, "parent");
	check(a, f->id[PB], 0, 0, "sibling");

	fd = memcg_create("/p/a/new");
	id = get_cgroup_id("/p/a/new");
	check(a, id, 1, 0, "created");
	close(fd);
	remove_cgroup("/p/a/new");
	ASSERT_TRUE(memcg_wait(memcg_book(a, id)->offline == 1), "removed");

	bpf_link__destroy(link);
	check(a, f->id[PA], 1, 1, "itself, detached");
	check(a, f->id[PAC], 1, 1, "below, detached");
	check(a, id, 1, 1, "removed, detached");
	ASSERT_EQ(books_used(a), 3, "nobody else");

	/* and the same again */
	link = memcg_attach(f->skel->maps.a, f->fd[PA], 0);
	check(a, f->id[PA], 2, 1, "itself, again");
	ASSERT_OK(bpf_link__detach(link), "detach");
	check(a, f->id[PA], 2, 2, "itself, detached by force");
	bpf_link__destroy(link);
	check(a, f->id[PA], 2, 2, "itself, destroyed");
	check(a, f->id[PAC], 2, 2, "below, again");
}

/*
 * Overriding takes cgroups from the upper policy, and detaching gives them
 * back. Catches: a policy that still believes to govern what it lost.
 */
static void test_override(struct fixture *f)
{
	struct memcg_book *a = f->skel->bss->a_books, *b = f->skel->bss->b_books;
	struct bpf_link *upper, *lower;

	upper = memcg_attach(f->skel->maps.a, f->fd[P], BPF_F_ALLOW_OVERRIDE);
	lower = memcg_attach(f->skel->maps.b, f->fd[PA], BPF_F_ALLOW_OVERRIDE);
	if (!ASSERT_OK_PTR(upper, "upper") || !ASSERT_OK_PTR(lower, "lower"))
		goto out;
	check(a, f->id[P], 1, 0, "a, p");
	check(a, f->id[PB], 1, 0, "a, sibling");
	check(a, f->id[PA], 1, 1, "a, overridden");
	check(a, f->id[PAC], 1, 1, "a, below overridden");
	check(b, f->id[PA], 1, 0, "b, itself");
	check(b, f->id[PAC], 1, 0, "b, below");

	bpf_link__destroy(lower);
	lower = NULL;
	check(a, f->id[PA], 2, 1, "a, restored");
	check(a, f->id[PAC], 2, 1, "a, below restored");
	check(b, f->id[PA], 1, 1, "b, gone");

	/* attached underneath: nothing changes for the lower one */
	bpf_link__destroy(upper);
	lower = memcg_attach(f->skel->maps.b, f->fd[PA], BPF_F_ALLOW_OVERRIDE);
	upper = memcg_attach(f->skel->maps.a, f->fd[P], BPF_F_ALLOW_OVERRIDE);
	if (!ASSERT_OK_PTR(upper, "upper") || !ASSERT_OK_PTR(lower, "lower"))
		goto out;
	check(a, f->id[PA], 2, 2, "a, overridden from the start");
	check(b, f->id[PA], 2, 1, "b, not disturbed");
	check(b, f->id[PAC], 2, 1, "b, below not disturbed");
out:
	bpf_link__destroy(lower);
	bpf_link__destroy(upper);
	ASSERT_EQ(memcg_books_late(a), 0, "a's calls after offline");
	ASSERT_EQ(memcg_books_late(b), 0, "b's calls after offline");
}

/* Both policies are told, and one's going is not the other's. */
static void test_multi(struct fixture *f)
{
	struct memcg_book *a = f->skel->bss->a_books, *b = f->skel->bss->b_books;
	struct bpf_link *upper, *lower;
	int fd = -1;
	__u64 id;

	upper = memcg_attach(f->skel->maps.a, f->fd[P], BPF_F_ALLOW_MULTI);
	lower = memcg_attach(f->skel->maps.b, f->fd[PA], BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(upper, "upper") || !ASSERT_OK_PTR(lower, "lower"))
		goto out;
	check(a, f->id[PA], 1, 0, "a");
	check(b, f->id[PA], 1, 0, "b");
	fd = memcg_create("/p/a/new");
	id = get_cgroup_id("/p/a/new");
	check(a, id, 1, 0, "a, created");
	check(b, id, 1, 0, "b, created");

	bpf_link__destroy(upper);
	upper = NULL;
	check(a, f->id[PA], 1, 1, "a, detached");
	check(a, id, 1, 1, "a, created, detached");
	check(a, f->id[PB], 1, 1, "a, sibling, detached");
	check(b, f->id[PA], 1, 0, "b stays");
	check(b, id, 1, 0, "b stays, created");

	close(fd);
	fd = -1;
	remove_cgroup("/p/a/new");
	ASSERT_TRUE(memcg_wait(memcg_book(b, id)->offline == 1), "b, removed");
	check(a, id, 1, 1, "a, removed");
out:
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(lower);
	bpf_link__destroy(upper);
}

/* Replacing announces to the new one and takes back from the old one. */
static void test_update(struct fixture *f)
{
	struct memcg_book *a = f->skel->bss->a_books, *b = f->skel->bss->b_books;
	struct bpf_link *link;
	int i;

	link = memcg_attach(f->skel->maps.a, f->fd[P], 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	ASSERT_OK(bpf_link__update_map(link, f->skel->maps.b), "update");
	for (i = 0; i < NR_CGROUPS; i++) {
		check(a, f->id[i], 1, 1, "a");
		check(b, f->id[i], 1, 0, "b");
	}
	bpf_link__destroy(link);
	for (i = 0; i < NR_CGROUPS; i++)
		check(b, f->id[i], 1, 1, "b, detached");
}

/* Switching the controller off and on below is death and birth. */
static void test_controller(struct fixture *f)
{
	struct memcg_book *a = f->skel->bss->a_books;
	struct bpf_link *link;

	link = memcg_attach(f->skel->maps.a, f->fd[P], 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		return;
	ASSERT_OK(memcg_write(f->fd[PA], "cgroup.subtree_control", "-memory"), "off");
	ASSERT_TRUE(memcg_wait(memcg_book(a, f->id[PAC])->offline == 1), "offline");
	check(a, f->id[PA], 1, 0, "the parent stays");
	ASSERT_TRUE(memcg_wait(!memcg_write(f->fd[PA], "cgroup.subtree_control", "+memory")), "on");
	check(a, f->id[PAC], 2, 1, "online again");
	ASSERT_TRUE(memcg_hears(a, f->fd[PAC], f->id[PAC]), "hears");
	bpf_link__destroy(link);
	check(a, f->id[PAC], 2, 2, "detached");
	ASSERT_EQ(memcg_books_late(a), 0, "calls after offline");
}

void test_memcg_ops(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct fixture *f);
	} tests[] = {
		{ "attach", test_attach },
		{ "override", test_override },
		{ "multi", test_multi },
		{ "update", test_update },
		{ "controller", test_controller },
	};
	struct fixture f;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		memset(f.fd, -1, sizeof(f.fd));
		f.skel = memcg_books__open_and_load();
		if (!ASSERT_OK_PTR(f.skel, "memcg_books__open_and_load") ||
		    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
			goto next;
		for (j = 0; j < NR_CGROUPS; j++) {
			f.fd[j] = memcg_create(paths[j]);
			f.id[j] = get_cgroup_id(paths[j]);
			if (!ASSERT_OK_FD(f.fd[j], paths[j]))
				goto next;
		}
		tests[i].fn(&f);
		ASSERT_EQ(f.skel->bss->memcg_strangers, 0, "calls without online");
next:
		for (j = 0; j < NR_CGROUPS; j++)
			if (f.fd[j] >= 0)
				close(f.fd[j]);
		memcg_books__destroy(f.skel);
		cleanup_cgroup_environment();
	}
}
