// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim in the background by a policy: a workload that does not fit into its
 * memory.max hits it without, and never with.
 */
#include <test_progs.h>
#include "memcg_helpers.h"
#include "memcg_reclaim.h"
#include "memcg_async_reclaim.skel.h"

#define LIMIT		(32 * MEMCG_MB)
#define SIZE		(64 * MEMCG_MB)
#define START		(20 * MEMCG_MB / 4096)
#define STOP		(16 * MEMCG_MB / 4096)
#define BRAKE		(24 * MEMCG_MB / 4096)

static int loop;

/* Write it, then read it back through a mapping. */
static int write_and_map(void *unused)
{
	static char buf[64 * 1024];
	unsigned char *p, *end;
	size_t done;
	int bad = 0;

	memset(buf, 1, sizeof(buf));
	for (done = 0; done < SIZE; done += sizeof(buf))
		if (pwrite(loop, buf, sizeof(buf), done) != sizeof(buf))
			return 1;
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, loop, 0);
	if (p == MAP_FAILED)
		return 2;
	for (end = p + SIZE; p < end; p += 4096)
		bad |= *p != 1;
	return bad ? 3 : 0;
}

static void forget(void)
{
	fsync(loop);
	ioctl(loop, BLKFLSBUF, 0);
}

static void test_context(bool use_task_work)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct memcg_async_reclaim *skel;
	struct bpf_link *link = NULL;
	unsigned long long kicks, rounds;
	int p = -1, q = -1;
	long max;

	skel = memcg_async_reclaim__open_and_load();
	if (!ASSERT_OK_PTR(skel, "memcg_async_reclaim__open_and_load") ||
	    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		goto out;
	p = memcg_create("/p");
	q = memcg_create("/q");
	if (!ASSERT_GE(p, 0, "memcg_create") || !ASSERT_GE(q, 0, "memcg_create") ||
	    !ASSERT_OK(memcg_write_long(p, "memory.max", LIMIT), "memory.max") ||
	    !ASSERT_OK(memcg_write_long(q, "memory.max", LIMIT), "memory.max"))
		goto out;

	forget();
	ASSERT_OK(memcg_run(q, write_and_map, NULL), "workload without");
	ASSERT_GT(memcg_read(q, "memory.events", "max"), 0, "max without");
	forget();

	skel->bss->cgid = get_cgroup_id("/p");
	skel->bss->start = START;
	skel->bss->stop = STOP;
	skel->bss->brake = BRAKE;
	skel->bss->use_task_work = use_task_work;
	ASSERT_OK(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &opts), "prepare");
	ASSERT_OK(opts.retval, "prepare");
	link = memcg_attach(skel->maps.policy, p, 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		goto out;
	ASSERT_OK(memcg_run(p, write_and_map, NULL), "workload with");
	max = memcg_read(p, "memory.events", "max");
	printf("max: without %ld, with %ld; kicks %llu, runs %llu + %llu, rounds %llu (at most %llu), pages %llu, delays %llu, most used %llu\n",
	       memcg_read(q, "memory.events", "max"), max, skel->bss->kicks,
	       skel->bss->wq_runs, skel->bss->task_runs, skel->bss->rounds,
	       skel->bss->most_rounds, skel->bss->reclaimed, skel->bss->delays,
	       skel->bss->high_water);
	ASSERT_EQ(max, 0, "max with");
	ASSERT_EQ(memcg_read(p, "memory.events", "oom"), 0, "oom");
	ASSERT_GT(use_task_work ? skel->bss->task_runs : skel->bss->wq_runs, 0, "runs");
	ASSERT_EQ(use_task_work ? skel->bss->wq_runs : skel->bss->task_runs, 0, "other runs");
	ASSERT_GT(skel->bss->reclaimed, 0, "reclaimed");
	ASSERT_EQ(skel->bss->failure, 0, "failure");
	ASSERT_GT(memcg_read(p, "memory.stat", "pgsteal_proactive"), 0, "pgsteal_proactive");

	/* with nothing charged it comes to rest, even with a goal out of reach */
	skel->bss->stop = 0;
	skel->bss->start = 0;
	ASSERT_OK(memcg_run(p, memcg_use_some, NULL), "use some");
	usleep(500000);
	kicks = skel->bss->kicks;
	rounds = skel->bss->rounds;
	usleep(500000);
	ASSERT_EQ(skel->bss->kicks, kicks, "kicks at rest");
	ASSERT_EQ(skel->bss->rounds, rounds, "rounds at rest");

	/* nor does it survive its link */
	bpf_link__destroy(link);
	link = NULL;
	kicks = skel->bss->kicks;
	ASSERT_OK(memcg_run(p, memcg_use_some, NULL), "use some");
	ASSERT_EQ(skel->bss->kicks, kicks, "kicks after detach");
out:
	bpf_link__destroy(link);
	memcg_async_reclaim__destroy(skel);
	if (q >= 0)
		close(q);
	if (p >= 0)
		close(p);
	forget();
	cleanup_cgroup_environment();
}

void test_memcg_async_reclaim(void)
{
	loop = memcg_loop(SIZE);
	if (!ASSERT_GE(loop, 0, "loop device"))
		return;
	if (test__start_subtest("workqueue"))
		test_context(false);
	if (test__start_subtest("task_work"))
		test_context(true);
	close(loop);
}
