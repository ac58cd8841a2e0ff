// SPDX-License-Identifier: GPL-2.0
/*
 * below_low() and below_min(): who is reclaimed.
 *
 *	/p - /p/a	with as much clean page cache each
 *	   - /p/b
 *
 * Most cases reclaim from /p and look at what /p/a and /p/b lost. All of it runs
 * for both LRU implementations if the kernel has both: they read the effective
 * protection in different places. memcg_protection.c compares the answers with
 * what memory.low does, under each way of reclaim.
 */
#include <test_progs.h>
#include "memcg_helpers.h"
#include "memcg_protect.skel.h"

#define SIZE		(8 * MEMCG_MB)		/* of each one's page cache */
#define B_OFFSET	(12 * MEMCG_MB)		/* b's, out of a's readahead */
#define LOOP_SIZE	(B_OFFSET + SIZE)
#define SOME		"4M"
#define SOME_PAGES	(4L * 256)
#define FEW_PAGES	128L			/* noise: stocks, kernel memory */
#define SLOW_MS		10			/* what a slow policy takes to answer */
#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"

#define DEFAULT		0
#define PROTECT		1
#define EXPOSE		2
#define NONSENSE	7

struct fixture {
	struct memcg_protect *skel;
	struct bpf_link *link;
	int p, a, b;			/* cgroups */
	__u64 id_a, id_b;
	int loop;
	long lost_a, lost_b;		/* pages, in the last reclaim_some() */
	int times;			/* that reclaim_from_p() asks for SOME */
};

struct range {
	int fd;
	size_t offset, size;
};

static int read_range(void *arg)
{
	struct range *r = arg;

	return memcg_read_cache(r->fd, r->offset, r->size);
}

static bool fill_both(struct fixture *f)
{
	struct range a = { f->loop, 0, SIZE }, b = { f->loop, B_OFFSET, SIZE };

	return ASSERT_OK(ioctl(f->loop, BLKFLSBUF, 0), "drop caches") &&
	       ASSERT_OK(memcg_run(f->a, read_range, &a), "fill a") &&
	       ASSERT_OK(memcg_run(f->b, read_range, &b), "fill b");
}

/* Fill both, with @protection (a file) of @a and @b MiB, and reclaim SOME. */
static bool reclaim_some(struct fixture *f, const char *protection, int a, int b)
{
	long usage_a, usage_b;

	if (!fill_both(f))
		return false;
	memcg_write_long(f->a, protection, a * MEMCG_MB);
	memcg_write_long(f->b, protection, b * MEMCG_MB);
	usage_a = memcg_pages(f->a);
	usage_b = memcg_pages(f->b);
	/* fails if it cannot get as much; that is for the caller to see */
	memcg_write(f->p, "memory.reclaim", SOME);
	f->lost_a = usage_a - memcg_pages(f->a);
	f->lost_b = usage_b - memcg_pages(f->b);
	memcg_write_long(f->a, protection, 0);
	memcg_write_long(f->b, protection, 0);
	return true;
}

static void answer(struct fixture *f, int policy, int low, int min)
{
	f->skel->bss->answer_cgid[policy] = f->id_a;
	f->skel->bss->answer_low[policy] = low;
	f->skel->bss->answer_min[policy] = min;
}

#define ASSERT_SPARED(lost, name)	ASSERT_LE(lost, FEW_PAGES, name)
#define ASSERT_RECLAIMED(lost, name)	ASSERT_GE(lost, SOME_PAGES * 3 / 4, name)

/*
 * Protected, a loses nothing though it has no memory.low or memory.min, and b
 * pays for both. Catches: an answer that is not asked for or not heeded.
 */
static void test_protect(struct fixture *f)
{
	answer(f, 0, PROTECT, DEFAULT);
	if (reclaim_some(f, "memory.low", 0, 0)) {
		ASSERT_SPARED(f->lost_a, "a, by below_low");
		ASSERT_RECLAIMED(f->lost_b, "b, by below_low");
	}
	ASSERT_GT(f->skel->bss->low_usage, SIZE / 4096 / 2, "usage");
	ASSERT_EQ(f->skel->bss->low_elow, 0, "elow");

	answer(f, 0, DEFAULT, PROTECT);
	if (reclaim_some(f, "memory.min", 0, 0)) {
		ASSERT_SPARED(f->lost_a, "a, by below_min");
		ASSERT_RECLAIMED(f->lost_b, "b, by below_min");
	}
	ASSERT_GT(f->skel->bss->min_usage, SIZE / 4096 / 2, "usage");

	/* and without the policy both are equals again */
	bpf_link__destroy(f->link);
	f->link = NULL;
	if (reclaim_some(f, "memory.low", 0, 0))
		ASSERT_GT(f->lost_a, FEW_PAGES, "a, by nobody");
}

/*
 * Exposed, a pays though memory.low or memory.min covers all of both. Catches:
 * policies that can add protection, but not withdraw it.
 */
static void test_expose(struct fixture *f)
{
	answer(f, 0, EXPOSE, DEFAULT);
	if (reclaim_some(f, "memory.low", 64, 64)) {
		ASSERT_RECLAIMED(f->lost_a, "a, below memory.low");
		ASSERT_SPARED(f->lost_b, "b, below memory.low");
	}
	ASSERT_GT(f->skel->bss->low_elow, SIZE / 4096 / 2, "elow");

	answer(f, 0, DEFAULT, EXPOSE);
	if (reclaim_some(f, "memory.min", 64, 64)) {
		ASSERT_RECLAIMED(f->lost_a, "a, below memory.min");
		ASSERT_SPARED(f->lost_b, "b, below memory.min");
	}
	ASSERT_GT(f->skel->bss->min_emin, SIZE / 4096 / 2, "emin");
}

/*
 * Above its protection a memcg is scanned in proportion to what is not covered.
 * Exposed, it is scanned in full. Catches: an answer that counts when reclaim
 * skips a memcg and not when it sizes the scan.
 */
static void test_proportional(struct fixture *f)
{
	answer(f, 0, EXPOSE, DEFAULT);
	if (reclaim_some(f, "memory.low", 7, 7))
		ASSERT_GT(f->lost_a, 2 * f->lost_b, "a, by memory.low");
	answer(f, 0, DEFAULT, EXPOSE);
	if (reclaim_some(f, "memory.min", 7, 7))
		ASSERT_GT(f->lost_a, 2 * f->lost_b, "a, by memory.min");
}

/*
 * What is neither of the answers is none.
 */
static void test_nonsense(struct fixture *f)
{
	answer(f, 0, NONSENSE, -1);
	if (reclaim_some(f, "memory.low", 64, 0)) {
		ASSERT_SPARED(f->lost_a, "a, covered");
		ASSERT_RECLAIMED(f->lost_b, "b, not covered");
	}
	if (reclaim_some(f, "memory.low", 0, 64)) {
		ASSERT_RECLAIMED(f->lost_a, "a, not covered");
		ASSERT_SPARED(f->lost_b, "b, covered");
	}
	ASSERT_GT(f->skel->bss->calls, 0, "calls");
}

/*
 * The policy nearest the root that has an answer decides. Catches: the last one
 * deciding, or any one that protects.
 */
static void test_combination(struct fixture *f)
{
	struct bpf_link *lower;

	lower = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(lower, "attach b"))
		return;

	answer(f, 0, EXPOSE, DEFAULT);
	answer(f, 1, PROTECT, DEFAULT);
	if (reclaim_some(f, "memory.low", 0, 64)) {
		ASSERT_RECLAIMED(f->lost_a, "a, exposed from above");
		ASSERT_SPARED(f->lost_b, "b, covered");
	}
	answer(f, 0, PROTECT, DEFAULT);
	answer(f, 1, EXPOSE, DEFAULT);
	if (reclaim_some(f, "memory.low", 64, 0))
		ASSERT_SPARED(f->lost_a, "a, protected from above");
	answer(f, 0, NONSENSE, DEFAULT);
	answer(f, 1, PROTECT, DEFAULT);
	if (reclaim_some(f, "memory.low", 0, 0))
		ASSERT_SPARED(f->lost_a, "a, protected by its own");
	bpf_link__destroy(lower);
}

/*
 * Reclaim in the whole system comes to its memcgs by another way in the multi-gen
 * LRU, which has not the same regard for memory.low and memory.min. There are
 * others to reclaim from: see that a is spared by either answer, and that it no
 * longer is without the policy.
 */
static void test_global(struct fixture *f)
{
	long usage_a, usage_b, stolen;
	int root, i, min;

	root = get_root_cgroup();
	for (min = 0; min < 2; min++) {
		answer(f, 0, min ? DEFAULT : PROTECT, min ? PROTECT : DEFAULT);
		if (!fill_both(f))
			goto out;
		usage_a = memcg_pages(f->a);
		usage_b = memcg_pages(f->b);
		stolen = memcg_read(f->a, "memory.stat", "pgsteal");
		/* often rather than much; with nothing else left it would take from a */
		for (i = 0; i < 1024 && usage_b - memcg_pages(f->b) < SOME_PAGES; i++)
			memcg_write(root, "memory.reclaim", "16K");
		ASSERT_GE(usage_b - memcg_pages(f->b), SOME_PAGES, "b");
		ASSERT_SPARED(usage_a - memcg_pages(f->a), "a, protected");
		/* exact, and less than reclaim takes at a time */
		stolen = memcg_read(f->a, "memory.stat", "pgsteal") - stolen;
		ASSERT_LT(stolen, 32, "reclaimed from a, protected");
	}

	answer(f, 0, DEFAULT, DEFAULT);
	for (i = 0; i < 64 && usage_a - memcg_pages(f->a) < SOME_PAGES; i++)
		memcg_write(root, "memory.reclaim", SOME);
	ASSERT_GE(usage_a - memcg_pages(f->a), SOME_PAGES, "a, not protected");
out:
	close(root);
}

/*
 * A policy that protects everybody must not end in an OOM kill: there is plenty
 * to reclaim. Catches: PROTECT granted as memory.min.
 */
static void test_everybody(struct fixture *f)
{
	struct range a = { f->loop, 0, LOOP_SIZE };
	int i;

	f->skel->bss->answer_cgid[0] = 0;
	for (i = 0; i < 2; i++) {
		f->skel->bss->answer_low[0] = i ? DEFAULT : PROTECT;
		f->skel->bss->answer_min[0] = i ? PROTECT : DEFAULT;
		f->skel->bss->calls = 0;
		if (!fill_both(f))
			return;
		ASSERT_OK(memcg_write_long(f->p, "memory.max", SIZE), "memory.max");
		ASSERT_OK(memcg_run(f->a, read_range, &a), "read more than fits");
		ASSERT_GT(f->skel->bss->calls, 0, "calls");
		ASSERT_EQ(memcg_read(f->p, "memory.events", "oom"), 0, "oom");
		ASSERT_EQ(memcg_read(f->p, "memory.events", "oom_kill"), 0, "oom_kill");
		ASSERT_OK(memcg_write(f->p, "memory.max", "max"), "memory.max");
	}

	/* memory.min of the administrator's is still as hard as ever */
	if (reclaim_some(f, "memory.min", 64, 64)) {
		ASSERT_SPARED(f->lost_a, "a, below memory.min");
		ASSERT_SPARED(f->lost_b, "b, below memory.min");
	}
}

/* A memcg is never protected from its own limit. */
static void test_own_limit(struct fixture *f)
{
	struct range a = { f->loop, 0, SIZE };

	answer(f, 0, PROTECT, PROTECT);
	ASSERT_OK(memcg_write_long(f->a, "memory.max", SIZE / 2), "memory.max");
	ASSERT_OK(memcg_run(f->a, read_range, &a), "read more than fits");
	ASSERT_GT(memcg_read(f->a, "memory.events", "max"), 0, "max");
	ASSERT_EQ(memcg_read(f->a, "memory.events", "oom"), 0, "oom");
}

/*
 * The effective memory.low of b that the kernel arrives at, in pages, after the
 * policies were asked about a.
 */
static long elow_of_b(struct fixture *f)
{
	/* from above /p: /p has a share to give only if it is not the target itself */
	int above = openat(f->p, "..", O_RDONLY | O_DIRECTORY);
	int i;

	f->skel->bss->calls = 0;
	for (i = 0; i < 100 && !f->skel->bss->calls; i++)
		memcg_write(above, "memory.reclaim", "16K");
	f->skel->bss->watch_elow = -1;
	for (i = 0; i < 100 && f->skel->bss->watch_elow == -1; i++)
		memcg_write(above, "memory.reclaim", "16K");
	close(above);
	return f->skel->bss->watch_elow;
}

static bool is_about(long pages, long want)
{
	return pages >= want - want / 8 && pages <= want + want / 8;
}

/* a and b claim SIZE each of the SIZE that /p has, and use it. */
static bool overcommit(struct fixture *f)
{
	f->skel->bss->watch_cgid = f->id_b;
	memcg_write_long(f->p, "memory.low", SIZE);
	memcg_write_long(f->a, "memory.low", SIZE);
	memcg_write_long(f->b, "memory.low", SIZE);
	return fill_both(f);
}

#define SHARE	((long)SIZE / 4096 / 2)
#define ALL	((long)SIZE / 4096)

/*
 * What is exposed claims nothing, so the sibling gets all of the parent's
 * protection; and does not any more as soon as the answer is another one, the
 * policy is replaced or detached, or its loader dies. Catches: an exposed memcg
 * that keeps its claim, and a claim that stays away for good.
 */
static void test_siblings(struct fixture *f)
{
	struct bpf_link *other, *watch;
	pid_t loader;

	answer(f, 0, DEFAULT, DEFAULT);
	if (!overcommit(f))
		return;
	ASSERT_TRUE(is_about(elow_of_b(f), SHARE), "half of it each");

	answer(f, 0, EXPOSE, DEFAULT);
	ASSERT_TRUE(is_about(elow_of_b(f), ALL), "all of it while a is exposed");
	ASSERT_EQ(memcg_read(f->a, "memory.low", NULL), SIZE, "the file is as it was");

	answer(f, 0, DEFAULT, DEFAULT);
	ASSERT_TRUE(is_about(elow_of_b(f), SHARE), "half again, by another answer");

	/* b keeps watch while a policy on a comes and goes. */
	answer(f, 1, EXPOSE, DEFAULT);
	other = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(other, "attach to a"))
		return;
	ASSERT_TRUE(is_about(elow_of_b(f), ALL), "all of it, by the policy on a");
	bpf_link__destroy(other);
	ASSERT_TRUE(is_about(elow_of_b(f), SHARE), "half again, detached");

	loader = fork();
	if (!loader) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI))
			_exit(1);
		memcg_pause();
		_exit(0);
	}
	if (ASSERT_TRUE(memcg_paused(loader), "another loader"))
		ASSERT_TRUE(is_about(elow_of_b(f), ALL), "all of it, by the other loader");
	memcg_kill(loader);
	ASSERT_TRUE(memcg_wait(is_about(elow_of_b(f), SHARE)), "half again, its loader killed");

	/* As before, but then nobody is left who could be asked about a. */
	f->skel->bss->answer_cgid[0] = f->id_b;
	watch = memcg_attach(f->skel->maps.a, f->b, BPF_F_ALLOW_MULTI);
	other = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
	bpf_link__destroy(f->link);
	f->link = NULL;
	if (ASSERT_OK_PTR(watch, "attach to b") && ASSERT_OK_PTR(other, "attach to a again")) {
		ASSERT_TRUE(is_about(elow_of_b(f), ALL), "all of it, by the only policy on a");
		/* closing a link leaves the end of it to another thread */
		ASSERT_OK(bpf_link__detach(other), "detach");
		/* a has lost some of what it claims */
		if (fill_both(f))
			ASSERT_TRUE(is_about(elow_of_b(f), SHARE),
				    "half again, without a policy on a");
	}
	bpf_link__destroy(other);
	bpf_link__destroy(watch);
}

/*
 * A protected memcg may charge before reclaim comes to it. Catches: an effective
 * memory.low of no more than the usage at which the policy was asked.
 */
static void test_room(struct fixture *f)
{
	struct bpf_link *granted = bpf_program__attach(f->skel->progs.granted);
	struct range grown = { f->loop, SIZE, B_OFFSET - SIZE };

	if (!ASSERT_OK_PTR(granted, "attach to the tracepoint"))
		return;
	answer(f, 0, PROTECT, DEFAULT);
	if (reclaim_some(f, "memory.low", 0, 0)) {
		ASSERT_SPARED(f->lost_a, "a");
		ASSERT_GT(f->skel->bss->granted_usage, SIZE / 4096 / 2, "usage");
		ASSERT_OK(memcg_run(f->a, read_range, &grown), "a grows by half");
		ASSERT_GT(memcg_pages(f->a), (long)f->skel->bss->granted_usage, "usage of a");
		ASSERT_GE((long)f->skel->bss->granted_elow, memcg_pages(f->a), "elow covers it");
	}
	bpf_link__destroy(granted);
}

/*
 * The share of an exposed cgroup that is removed is not lost. Catches: a claim
 * taken out of the parent twice.
 */
static void test_exposed_dies(struct fixture *f)
{
	answer(f, 0, EXPOSE, DEFAULT);
	if (!overcommit(f))
		return;
	ASSERT_TRUE(is_about(elow_of_b(f), ALL), "all of it while a is exposed");
	ioctl(f->loop, BLKFLSBUF, 0);
	close(f->a);
	f->a = -1;
	remove_cgroup("/p/a");
	f->a = memcg_create("/p/a");
	f->id_a = get_cgroup_id("/p/a");
	answer(f, 0, DEFAULT, DEFAULT);
	if (!overcommit(f))
		return;
	ASSERT_TRUE(is_about(elow_of_b(f), SHARE), "half of it, beside the new a");
}

static int reclaim_as_victim(void *arg)
{
	struct fixture *f = arg;

	f->skel->bss->victim = getpid();
	/* the first pass, which is the one it is killed in, wants a quarter of that */
	memcg_write(f->p, "memory.reclaim", "16M");
	return 0;
}

/* Reclaim in a process that is killed inside policy a, at its first question. */
static void reclaim_killed(struct fixture *f)
{
	long usage_b = memcg_pages(f->b);
	pid_t pid;

	pid = memcg_spawn(f->b, reclaim_as_victim, f);
	if (ASSERT_TRUE(memcg_wait(f->skel->bss->victim_calls), "inside"))
		kill(pid, SIGKILL);
	f->skel->bss->victim_killed = true;
	ASSERT_EQ(memcg_reap(pid), 128 + SIGKILL, "killed");
	ASSERT_EQ(f->skel->bss->victim_calls, 1, "questions");
	f->lost_b = usage_b - memcg_pages(f->b);
}

/*
 * A process is killed while it reclaims and is inside a policy. Catches: a task that has to
 * wait for a slow policy at each memcg it comes to; a protection that is lost because the
 * task does not ask.
 */
static void test_killed(struct fixture *f)
{
	answer(f, 0, PROTECT, DEFAULT);
	f->skel->bss->answer_cgid[0] = f->id_b;
	if (!reclaim_some(f, "memory.low", 0, 0) || !fill_both(f))
		return;
	ASSERT_SPARED(f->lost_b, "b, before");
	reclaim_killed(f);
	ASSERT_SPARED(f->lost_b, "b, by the answer of the pass before");
}

/*
 * The same where there was no pass before: the first question is about a. Catches: a
 * memory.low that is not computed for a task that does not ask.
 */
static void test_killed_first(struct fixture *f)
{
	answer(f, 0, DEFAULT, DEFAULT);
	if (!fill_both(f))
		return;
	memcg_write_long(f->b, "memory.low", SIZE + SIZE / 2);
	reclaim_killed(f);
	ASSERT_SPARED(f->lost_b, "b, by memory.low");
}

static int reclaim_from_p(void *arg)
{
	struct fixture *f = arg;
	int i;

	for (i = 0; i < f->times; i++)
		memcg_write(f->p, "memory.reclaim", SOME);
	return 0;
}

/* Reclaim @times times, in vain, where each answer takes @us: for how long in the policy? */
static void reclaim_slowly(struct fixture *f, unsigned int us, int times)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	__u64 start, elapsed;

	answer(f, 0, DEFAULT, DEFAULT);
	if (!fill_both(f))
		return;
	memcg_write_long(f->a, "memory.min", SIZE * 2);
	memcg_write_long(f->b, "memory.min", SIZE * 2);
	f->skel->bss->slow_ns = us * 1000ULL;
	f->times = times;
	start = get_time_ns();
	ASSERT_OK(memcg_run(f->b, reclaim_from_p, f), "reclaim");
	elapsed = get_time_ns() - start;
	ASSERT_GT(f->skel->bss->slow_total, 0, "asked");
	/* half of the time, 250 ms at once, and the last answer */
	ASSERT_LT(f->skel->bss->slow_total / 1000000, elapsed / 2000000 + 250 + 3 * SLOW_MS,
		  "ms in the policy");
	if (ASSERT_OK(bpf_prog_get_info_by_fd(bpf_program__fd(f->skel->progs.a_low), &info, &len),
		      "info"))
		ASSERT_EQ(info.recursion_misses, 0, "calls missed");
}

/*
 * Reclaim comes again and again to memcgs from which it gets nothing, and whose policy is
 * slow. Catches: a policy that makes a reclaimer as slow as it wants, and all who wait for it.
 */
static void test_slow(struct fixture *f)
{
	reclaim_slowly(f, SLOW_MS * 1000, 1);
}

/* The same with answers that are shorter than a jiffy. Catches: only long ones count. */
static void test_slow_short(struct fixture *f)
{
	reclaim_slowly(f, 500, 8);
}

/*
 * A policy that is ten times as slow has its say when reclaim begins. Catches: a task that asks
 * nobody after one slow answer; here it was about a, and the next question is about b. What is
 * to be had is reclaimed within the pause.
 */
static void test_slow_first(struct fixture *f)
{
	long usage_b;

	answer(f, 0, PROTECT, DEFAULT);
	f->skel->bss->answer_cgid[0] = f->id_b;
	if (!fill_both(f))
		return;
	usage_b = memcg_pages(f->b);
	f->skel->bss->slow_ns = 10 * SLOW_MS * 1000000ULL;
	f->times = 1;
	ASSERT_OK(memcg_run(f->b, reclaim_from_p, f), "reclaim");
	f->lost_b = usage_b - memcg_pages(f->b);
	ASSERT_SPARED(f->lost_b, "b");
}

static void run(const char *lru)
{
	static const struct {
		const char *name;
		void (*fn)(struct fixture *f);
	} tests[] = {
		{ "protect", test_protect },
		{ "expose", test_expose },
		{ "proportional", test_proportional },
		{ "nonsense", test_nonsense },
		{ "combination", test_combination },
		{ "global", test_global },
		{ "everybody", test_everybody },
		{ "own_limit", test_own_limit },
		{ "siblings", test_siblings },
		{ "exposed_dies", test_exposed_dies },
		{ "room", test_room },
		{ "killed", test_killed },
		{ "killed_first", test_killed_first },
		{ "slow", test_slow },
		{ "slow_short", test_slow_short },
		{ "slow_first", test_slow_first },
	};
	struct fixture f;
	char name[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		snprintf(name, sizeof(name), "%s_%s", tests[i].name, lru);
		if (!test__start_subtest(name))
			continue;
		f.loop = memcg_loop(LOOP_SIZE);
		if (f.loop < 0) {
			printf("no loop device: %s\n", strerror(errno));
			test__skip();
			continue;
		}
		f.p = -1;
		f.a = -1;
		f.b = -1;
		f.link = NULL;
		f.skel = memcg_protect__open_and_load();
		if (ASSERT_OK_PTR(f.skel, "memcg_protect__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			f.p = memcg_create("/p");
			f.a = memcg_create("/p/a");
			f.b = memcg_create("/p/b");
			f.id_a = get_cgroup_id("/p/a");
			f.id_b = get_cgroup_id("/p/b");
			f.link = memcg_attach(f.skel->maps.a, f.p, BPF_F_ALLOW_MULTI);
			if (ASSERT_OK_PTR(f.link, "attach"))
				tests[i].fn(&f);
		}
		bpf_link__destroy(f.link);
		memcg_protect__destroy(f.skel);
		if (f.b >= 0)
			close(f.b);
		if (f.a >= 0)
			close(f.a);
		if (f.p >= 0)
			close(f.p);
		close(f.loop);
		cleanup_cgroup_environment();
	}
}

/* Serial: the LRU is switched for the whole system. */
void serial_test_memcg_protect(void)
{
	char before[16] = {};
	int fd, n;

	fd = open(LRU_GEN, O_RDWR);
	n = fd < 0 ? -1 : read(fd, before, sizeof(before) - 1);
	if (n <= 0) {
		run("lru");
		goto out;
	}
	if (ASSERT_EQ(pwrite(fd, "n", 1, 0), 1, "classic LRU"))
		run("lru");
	if (ASSERT_EQ(pwrite(fd, "y", 1, 0), 1, "multi-gen LRU"))
		run("mglru");
	ASSERT_EQ(pwrite(fd, before, n, 0), n, "restore");
out:
	if (fd >= 0)
		close(fd);
}
