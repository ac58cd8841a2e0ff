// SPDX-License-Identifier: GPL-2.0
/*
 * charge_over_limit(): how much to reclaim when a charge hits a limit.
 *
 *	/p (with the limit) - /p/a	(reads more than fits)
 *
 * How often the limit is hit tells how much was reclaimed each time. The policies
 * that govern the memcg with the limit are asked, those of a descendant are not.
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include <sys/mman.h>
#include "memcg_helpers.h"
#include "memcg_over_limit.skel.h"

#define LIMIT		(8 * MEMCG_MB)
#define SIZE		(32 * MEMCG_MB)
#define HUGE_PAGES	(2 * MEMCG_MB / 4096)

static int loop;

static int read_all(void *unused)
{
	return memcg_read_cache(loop, 0, SIZE);
}

static int use_huge_page(void *unused)
{
	char *p = mmap(NULL, 2 * HUGE_PAGES * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	/* without huge pages that does nothing */
	madvise(p, 2 * HUGE_PAGES * 4096, MADV_HUGEPAGE);
	memset(p, 1, 2 * HUGE_PAGES * 4096);
	return 0;
}

/* How often does reading it all hit the limit? */
static long times_hit(int p, int a)
{
	long before = memcg_read(p, "memory.events", "max");

	ioctl(loop, BLKFLSBUF, 0);
	if (!ASSERT_OK(memcg_run(a, read_all, NULL), "read"))
		return -1;
	return memcg_read(p, "memory.events", "max") - before;
}

void test_memcg_over_limit(void)
{
	struct memcg_over_limit *skel;
	struct bpf_link *upper = NULL, *lower = NULL;
	long plain, zero, more, huge, least, below, both, swapped;
	int p = -1, a = -1;

	loop = memcg_loop(SIZE);
	if (loop < 0) {
		printf("no loop device: %s\n", strerror(errno));
		test__skip();
		return;
	}
	skel = memcg_over_limit__open_and_load();
	if (!ASSERT_OK_PTR(skel, "memcg_over_limit__open_and_load") ||
	    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		goto out;
	p = memcg_create("/p");
	a = memcg_create("/p/a");
	if (!ASSERT_OK(memcg_write_long(p, "memory.max", LIMIT), "memory.max"))
		goto out;
	plain = times_hit(p, a);

	upper = memcg_attach(skel->maps.a, p, BPF_F_ALLOW_MULTI);
	skel->links.on_reclaim = bpf_program__attach(skel->progs.on_reclaim);
	if (!ASSERT_OK_PTR(upper, "attach") || !ASSERT_OK_PTR(skel->links.on_reclaim, "fentry"))
		goto out;
	zero = times_hit(p, a);
	ASSERT_GT(skel->bss->calls, 0, "calls");
	ASSERT_EQ(skel->bss->memcg_cgid, get_cgroup_id("/p/a"), "memcg");
	ASSERT_EQ(skel->bss->over_limit_cgid, get_cgroup_id("/p"), "over_limit");
	ASSERT_NEQ(skel->bss->gfp, 0, "gfp");
	ASSERT_GE(skel->bss->max_nr_pages, 1, "nr_pages");
	ASSERT_LE(skel->bss->max_nr_pages, HUGE_PAGES, "nr_pages");

	skel->bss->answer[0] = HUGE_PAGES;
	more = times_hit(p, a);
	/* out of range both ways: as if the bounds had been asked for */
	skel->bss->answer[0] = ~0U;
	huge = times_hit(p, a);
	skel->bss->answer[0] = 1;
	least = times_hit(p, a);
	/* the limit is full of what was read */
	ASSERT_OK(memcg_run(a, use_huge_page, NULL), "huge page");

	/* the policy of a child has no say in its parent's limit */
	skel->bss->answer[1] = HUGE_PAGES;
	lower = memcg_attach(skel->maps.b, a, BPF_F_ALLOW_MULTI);
	ASSERT_OK_PTR(lower, "attach b");
	below = times_hit(p, a);
	ASSERT_EQ(skel->bss->calls_b, 0, "calls of the child's policy");
	bpf_link__destroy(lower);

	/* the largest of several counts */
	lower = memcg_attach(skel->maps.b, p, BPF_F_ALLOW_MULTI);
	ASSERT_OK_PTR(lower, "attach b");
	both = times_hit(p, a);
	skel->bss->answer[0] = HUGE_PAGES;
	skel->bss->answer[1] = 1;
	swapped = times_hit(p, a);

	printf("largest charge %u, limit hit: plain %ld, 0: %ld, huge page: %ld, all: %ld, 1: %ld, below: %ld, both: %ld, %ld\n",
	       skel->bss->max_nr_pages, plain, zero, more, huge, least, below, both, swapped);
	ASSERT_EQ(skel->bss->most, HUGE_PAGES, "pages to reclaim, at most");
	ASSERT_EQ(skel->bss->too_few, 0, "less to reclaim than the charge");
	ASSERT_GT(plain, 50, "plain");
	ASSERT_GT(zero, plain / 2, "0 is the default");
	ASSERT_LT(more, plain / 2, "a huge page each time");
	ASSERT_LT(huge, plain / 2, "no more than a huge page each time");
	ASSERT_GT(huge, more / 4, "no more than a huge page each time");
	ASSERT_GT(least, plain / 2, "no less than what is charged");
	ASSERT_GT(below, plain / 2, "the child's policy");
	ASSERT_LT(both, plain / 2, "the maximum of both");
	ASSERT_LT(swapped, plain / 2, "the maximum of both, in the other order");
	ASSERT_EQ(memcg_read(p, "memory.events", "oom"), 0, "oom");
out:
	bpf_link__destroy(lower);
	bpf_link__destroy(upper);
	memcg_over_limit__destroy(skel);
	close(loop);
	if (a >= 0)
		close(a);
	if (p >= 0)
		close(p);
	cleanup_cgroup_environment();
}
