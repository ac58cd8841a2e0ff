// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_memcg_reclaim() and bpf_try_to_free_mem_cgroup_pages(): what they refuse,
 * what they free, and who pays for it.
 */
#include <fnmatch.h>
#include <pthread.h>
#include <sys/resource.h>
#include <test_progs.h>
#include "memcg_helpers.h"
#include "memcg_reclaim.h"
#include "memcg_reclaim.skel.h"
#include "memcg_reclaim_fail.skel.h"

#define CACHED		(48 * MEMCG_MB)
#define SPEND_NS	5000000000ULL
#define STALL_NS	200000000ULL
#define BYTES_MOST	(64 * 4096)

static int loop;

static int fill(void *unused)
{
	return memcg_read_cache(loop, 0, CACHED);
}

static size_t fill_offset;

static int fill_part(void *unused)
{
	return memcg_read_cache(loop, fill_offset, CACHED / 3);
}

static int run(const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	return bpf_prog_test_run_opts(bpf_program__fd(prog), &opts) ?: opts.retval;
}

/* For one page of /p, in the one way that is always allowed. */
static void aim(struct memcg_reclaim *skel)
{
	skel->bss->cgid = get_cgroup_id("/p");
	skel->bss->nr_pages = 1;
	skel->bss->gfp = MEMCG_GFP_KERNEL;
	skel->bss->swappiness = -1;
}

/* The verifier's refusals. from_tcp fails if bpf_memcg_reclaim_filter() lets all pass. */

static void test_verifier(void)
{
	static const struct {
		const char *prog;
		const char *map;
		const char *reason;
	} tests[] = {
		{ "from_charge", "charge_ops", "sleep" },
		{ "sleeping_charge", "sleeping_ops", "unsupported member memcg_charged" },
		{ "from_timer", "timer_ops", "sleep" },
		{ "from_tcp", "tcp_ops", "calling kernel function bpf_try_to_free" },
		{ "from_fentry", NULL, "calling kernel function bpf_try_to_free" },
		{ "bytes_from_fentry", NULL, "calling kernel function bpf_memcg_reclaim" },
		{ "under_rcu", NULL, "sleepable" },
		{ "under_preempt", NULL, "sleepable" },
		{ "maybe_null", NULL, "NULL pointer passed to trusted" },
		{ "untrusted", NULL, "trusted" },
	};
	static char log[64 * 1024];
	struct memcg_reclaim_fail *skel;
	struct bpf_program *prog;
	struct bpf_map *map;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		skel = memcg_reclaim_fail__open();
		if (!ASSERT_OK_PTR(skel, "memcg_reclaim_fail__open"))
			return;
		/* libbpf heeds the '?' of a section for its first variable only */
		bpf_object__for_each_map(map, skel->obj)
			if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
				bpf_map__set_autocreate(map, tests[i].map &&
							!strcmp(bpf_map__name(map), tests[i].map));
		prog = bpf_object__find_program_by_name(skel->obj, tests[i].prog);
		bpf_program__set_autoload(prog, true);
		log[0] = '\0';
		bpf_program__set_log_buf(prog, log, sizeof(log));
		err = memcg_reclaim_fail__load(skel);
		if (!ASSERT_TRUE(err == -EACCES || err == -EINVAL, tests[i].prog) ||
		    !ASSERT_HAS_SUBSTR(log, tests[i].reason, "reason"))
			printf("%s: %d\n%s\n", tests[i].prog, err, log);
		memcg_reclaim_fail__destroy(skel);
	}
}

/* The refusals at run time, and what is taken */

static void test_arguments(struct memcg_reclaim *skel, int p)
{
	static const struct {
		__u64 nr_pages;
		__u32 gfp, options;
		__s32 swappiness;
		bool refused;
	} tests[] = {
		{ 0, MEMCG_GFP_KERNEL, 0, -1, true },
		{ 1, 0, 0, -1, true },
		{ 1, MEMCG_GFP_ATOMIC, 0, -1, true },
		{ 1, MEMCG_GFP_KERNEL | 1 << 31, 0, -1, true },
		{ 1, MEMCG_GFP_KERNEL, 1, -1, true },
		{ 1, MEMCG_GFP_KERNEL, 8, -1, true },
		{ 1, MEMCG_GFP_KERNEL, ~0U, -1, true },
		{ 1, MEMCG_GFP_KERNEL, 0, -2, true },
		{ 1, MEMCG_GFP_KERNEL, 0, 202, true },
		{ 1, MEMCG_GFP_KERNEL, 0, -1 },
		{ 1, MEMCG_GFP_KERNEL, MEMCG_MAY_SWAP, 0 },
		{ 1, MEMCG_GFP_KERNEL, MEMCG_PROACTIVE, 200 },
		{ 1, MEMCG_GFP_KERNEL, MEMCG_MAY_SWAP | MEMCG_PROACTIVE, 201 },
	};
	long before;
	int i;

	if (!ASSERT_OK(memcg_run(p, fill, NULL), "fill"))
		return;
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		skel->bss->nr_pages = tests[i].nr_pages;
		skel->bss->gfp = tests[i].gfp;
		skel->bss->options = tests[i].options;
		skel->bss->swappiness = tests[i].swappiness;
		before = memcg_read(p, "memory.stat", "pgscan_proactive");
		if (!ASSERT_OK(run(skel->progs.reclaim), "run"))
			return;
		if (tests[i].refused) {
			if (!ASSERT_EQ(skel->bss->result, -EINVAL, "refused"))
				printf("in line %d\n", i);
			ASSERT_EQ(memcg_read(p, "memory.stat", "pgscan_proactive"), before,
				  "pgscan_proactive of a refused call");
		} else if (!ASSERT_GE(skel->bss->result, 0, "taken")) {
			printf("in line %d\n", i);
		}
	}
}

/* The plain kfunc: bytes in, bytes out, 64 pages at most. */
static void test_bytes(struct memcg_reclaim *skel, int p)
{
	static const struct {
		__u64 size;
		__s32 swappiness;
		long most;		/* to be reclaimed, or the error */
	} tests[] = {
		{ 0, -1, -EINVAL },
		{ 4095, -1, -EINVAL },
		{ 4096, -2, -EINVAL },
		{ 4096, 202, -EINVAL },
		/* reclaim goes by batches, so it may do somewhat more */
		{ 4096, -1, 4 * BYTES_MOST },
		{ BYTES_MOST, 0, 4 * BYTES_MOST },
		{ 4096ULL << 32, 60, 4 * BYTES_MOST },
		{ ~0ULL, 200, 4 * BYTES_MOST },
	};
	long before;
	int i;

	ioctl(loop, BLKFLSBUF, 0);
	if (!ASSERT_OK(memcg_run(p, fill, NULL), "fill"))
		return;
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		skel->bss->size = tests[i].size;
		skel->bss->swappiness = tests[i].swappiness;
		before = memcg_read(p, "memory.stat", "pgsteal_proactive");
		if (!ASSERT_OK(run(skel->progs.reclaim_bytes), "run"))
			return;
		if (tests[i].most < 0) {
			ASSERT_EQ(skel->bss->result, tests[i].most, "refused");
		} else {
			ASSERT_GE(skel->bss->result, 4096, "reclaimed, at least");
			ASSERT_LE(skel->bss->result, tests[i].most, "reclaimed, at most");
			ASSERT_EQ(skel->bss->result % 4096, 0, "whole pages");
			ASSERT_EQ(memcg_read(p, "memory.stat", "pgsteal_proactive") - before,
				  skel->bss->result / 4096, "pgsteal_proactive");
		}
	}
}

/* Descendants' memory.min and memory.low hold while there is anything else to take. */
static void test_protected(struct memcg_reclaim *skel, int p)
{
	static const char * const names[] = { "/p/min", "/p/low", "/p/none" };
	static const char * const files[] = { "memory.min", "memory.low", NULL };
	long before[3], after[3];
	int fd[3], i;

	for (i = 0; i < 3; i++)
		fd[i] = memcg_create(names[i]);
	ioctl(loop, BLKFLSBUF, 0);
	ASSERT_OK(memcg_write_long(p, "memory.min", CACHED), "parent's memory.min");
	ASSERT_OK(memcg_write_long(p, "memory.low", CACHED), "parent's memory.low");
	for (i = 0; i < 3; i++) {
		if (files[i])
			ASSERT_OK(memcg_write_long(fd[i], files[i], CACHED / 2), files[i]);
		fill_offset = i * CACHED / 3;
		ASSERT_OK(memcg_run(fd[i], fill_part, NULL), "fill");
		before[i] = memcg_pages(fd[i]);
	}
	/* half of what is not protected */
	skel->bss->swappiness = -1;
	skel->bss->size = ~0ULL;
	for (i = 0; i < CACHED / 6; i += BYTES_MOST)
		ASSERT_OK(run(skel->progs.reclaim_bytes), "run");
	for (i = 0; i < 3; i++) {
		after[i] = memcg_pages(fd[i]);
		close(fd[i]);
	}
	ASSERT_LE(before[0] - after[0], 64, "taken from memory.min");
	ASSERT_LE(before[1] - after[1], 64, "taken from memory.low");
	ASSERT_GE((before[2] - after[2]) * 4096, CACHED / 12, "taken from the unprotected one");
}

static int reclaim_for_a_while(void *skel)
{
	struct memcg_reclaim *s = skel;

	s->bss->until_spent_ns = STALL_NS;
	s->bss->deadline_ns = get_time_ns() + 20 * STALL_NS;
	return run(s->progs.reclaim_until_dead);
}

/* A task that reclaims does not do its own work: PSI says so. */
static void test_stall(struct memcg_reclaim *skel, int p)
{
	int a = memcg_create("/p/a");
	long stall;

	ioctl(loop, BLKFLSBUF, 0);
	if (!ASSERT_OK(memcg_run(a, fill, NULL), "fill"))
		goto out;
	skel->bss->cgid = get_cgroup_id("/p/a");
	stall = memcg_read(a, "memory.pressure", "total");
	ASSERT_OK(memcg_run(a, reclaim_for_a_while, skel), "reclaim");
	stall = memcg_read(a, "memory.pressure", "total") - stall;
	ASSERT_GE(skel->bss->spent_ns, STALL_NS, "time spent, ns");
	ASSERT_GE(stall * 1000, STALL_NS * 8 / 10, "stall, ns");
out:
	close(a);
}

static void test_bounded(struct memcg_reclaim *skel, int p)
{
	long before, after, scanned, stolen;

	/* what others cached is charged to them */
	ioctl(loop, BLKFLSBUF, 0);
	if (!ASSERT_OK(memcg_run(p, fill, NULL), "fill"))
		return;
	before = memcg_pages(p);
	scanned = memcg_read(p, "memory.stat", "pgscan_proactive");
	stolen = memcg_read(p, "memory.stat", "pgsteal_proactive");
	ASSERT_GT(before, 2 * MEMCG_RECLAIM_MOST, "cached");

	skel->bss->nr_pages = ~0ULL;
	ASSERT_OK(run(skel->progs.reclaim), "run");
	after = memcg_pages(p);
	ASSERT_GE(skel->bss->result, MEMCG_RECLAIM_MOST, "reclaimed");
	/* reclaim goes by batches, so it may do somewhat more */
	ASSERT_LT(skel->bss->result, MEMCG_RECLAIM_MOST * 3 / 2, "reclaimed");
	ASSERT_LE(after, before - MEMCG_RECLAIM_MOST / 2, "usage afterwards");
	ASSERT_GE(memcg_read(p, "memory.stat", "pgscan_proactive") - scanned,
		  MEMCG_RECLAIM_MOST, "pgscan_proactive");
	ASSERT_GE(memcg_read(p, "memory.stat", "pgsteal_proactive") - stolen,
		  MEMCG_RECLAIM_MOST, "pgsteal_proactive");
	ASSERT_EQ(memcg_read(p, "memory.events", "max"), 0, "max");
}

static void *run_until_dead(void *prog)
{
	return (void *)(long)run(prog);
}

static void test_dying(struct memcg_reclaim *skel, int p)
{
	pthread_t thread;
	void *ret = NULL;
	int d;

	d = memcg_create("/p/d");
	ASSERT_GE(d, 0, "memcg_create");
	skel->bss->cgid = get_cgroup_id("/p/d");
	skel->bss->nr_pages = 1;
	skel->bss->until_spent_ns = ~0ULL;
	skel->bss->deadline_ns = get_time_ns() + 20000000000ULL;
	if (!ASSERT_OK(memcg_run(d, fill, NULL), "fill") ||
	    !ASSERT_OK(pthread_create(&thread, NULL, run_until_dead,
				      skel->progs.reclaim_until_dead), "pthread_create"))
		goto out;
	ASSERT_TRUE(memcg_wait(skel->bss->calls), "began");
	remove_cgroup("/p/d");
	pthread_join(thread, &ret);
	ASSERT_OK((long)ret, "run");
	ASSERT_EQ(skel->bss->result, -EAGAIN, "a dying memcg");
	/* and it is not found again */
	ASSERT_OK(run(skel->progs.reclaim), "run");
	ASSERT_EQ(skel->bss->result, MEMCG_RECLAIM_NONE, "a dead memcg");
out:
	close(d);
}

static int reclaim_forever(void *skel)
{
	return run(((struct memcg_reclaim *)skel)->progs.reclaim_until_dead);
}

/* Who is killed stops. */
static void test_killed(struct memcg_reclaim *skel, int p)
{
	__u64 start;
	pid_t pid;

	skel->bss->until_spent_ns = ~0ULL;
	skel->bss->deadline_ns = get_time_ns() + 20000000000ULL;
	pid = memcg_spawn(p, reclaim_forever, skel);
	ASSERT_TRUE(memcg_wait(skel->bss->calls), "began");
	start = get_time_ns();
	memcg_kill(pid);
	ASSERT_LT((get_time_ns() - start) / 1000000, 10000, "time to die, ms");
	ASSERT_EQ(skel->bss->result, -EINTR, "the last call");
}

/*
 * Time that cpu.stat has to call user time: while a cgroup has none, it shows all of its
 * time as system time, whatever was accounted.
 */
static int burn(void *unused)
{
	struct rusage usage;
	int i;

	do {
		for (i = 0; i < 1000000; i++)
			asm volatile ("");
		getrusage(RUSAGE_SELF, &usage);
	} while (!usage.ru_utime.tv_sec && usage.ru_utime.tv_usec < 500000);
	return 0;
}

/*
 * What a kernel thread spends, while nobody else works in the cgroup. Fails
 * without account_to(), or if it is called for every task.
 */
static void test_accounting(struct memcg_reclaim *skel, int p)
{
	int a = memcg_create("/p/a"), root = get_root_cgroup(), child[16];
	long usage[3], system[3], spent, stall;
	char name[32];
	pid_t pid;
	int i;

	/* a call visits them all, so that the program spends little between its calls */
	for (i = 0; i < ARRAY_SIZE(child); i++) {
		snprintf(name, sizeof(name), "/p/a/%d", i);
		child[i] = memcg_create(name);
	}

	/* a task that has nothing to do, and does not stall either */
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(name, sizeof(name), "%d", pid);
	ioctl(loop, BLKFLSBUF, 0);
	if (!ASSERT_GE(root, 0, "root") ||
	    !ASSERT_OK(memcg_run(child[0], fill, NULL), "fill") ||
	    !ASSERT_OK(memcg_run(child[0], burn, NULL), "burn") ||
	    !ASSERT_OK(memcg_write(child[0], "cgroup.procs", name), "cgroup.procs"))
		goto out;

	usage[0] = memcg_read(a, "cpu.stat", "usage_usec");
	usage[1] = memcg_read(p, "cpu.stat", "usage_usec");
	usage[2] = memcg_read(root, "cpu.stat", "usage_usec");
	system[0] = memcg_read(a, "cpu.stat", "system_usec");
	system[1] = memcg_read(p, "cpu.stat", "system_usec");
	stall = memcg_read(a, "memory.pressure", "total");

	skel->bss->cgid = get_cgroup_id("/p/a");
	skel->bss->nr_pages = 1024;
	skel->bss->until_spent_ns = SPEND_NS;
	skel->bss->deadline_ns = get_time_ns() + 5 * SPEND_NS;
	if (!ASSERT_OK(run(skel->progs.start_worker), "start_worker") ||
	    !ASSERT_TRUE(memcg_wait(skel->bss->done), "done"))
		goto out;
	/* the loop sees the last call's return, not what is accounted after it */
	usleep(10000);
	spent = skel->bss->spent_ns / 1000;
	usage[0] = memcg_read(a, "cpu.stat", "usage_usec") - usage[0];
	usage[1] = memcg_read(p, "cpu.stat", "usage_usec") - usage[1];
	usage[2] = memcg_read(root, "cpu.stat", "usage_usec") - usage[2];
	system[0] = memcg_read(a, "cpu.stat", "system_usec") - system[0];
	system[1] = memcg_read(p, "cpu.stat", "system_usec") - system[1];
	stall = memcg_read(a, "memory.pressure", "total") - stall;
	printf("worker: %ld us in %llu calls; usage %ld, parent %ld, root %ld; system %ld, parent %ld\n",
	       spent, skel->bss->calls, usage[0], usage[1], usage[2], system[0], system[1]);

	ASSERT_GE(spent * 1000, SPEND_NS, "spent");
	ASSERT_GE(usage[0] * 100, spent * 95, "usage, at least");
	ASSERT_LE(usage[0] * 100, spent * 105, "usage, at most");
	ASSERT_GE(system[0] * 100, spent * 95, "system, at least");
	ASSERT_LE(system[0] * 100, spent * 105, "system, at most");
	ASSERT_EQ(usage[1], usage[0], "the parent's usage");
	ASSERT_GE(system[1] * 100, spent * 95, "the parent's system, at least");
	ASSERT_LE(system[1] * 100, spent * 105, "the parent's system, at most");
	/* by ticks, and with whatever else there is: but no second time */
	ASSERT_GE(usage[2] * 100, spent * 80, "the root's usage, at least");
	ASSERT_LE(usage[2] * 100, spent * 170, "the root's usage, at most");
	ASSERT_EQ(stall, 0, "memory.pressure");
	ASSERT_GT(memcg_read(a, "memory.stat", "pgsteal_proactive"), CACHED / 4096 / 2,
		  "pgsteal_proactive");
out:
	memcg_kill(pid);
	for (i = 0; i < ARRAY_SIZE(child); i++)
		close(child[i]);
	close(a);
	close(root);
}

/*
 * Which kernel thread it is: one of the CPU that started the work, or one of no
 * CPU. Catches: the flag ignored, or always in force. Fails if bpf_wq_queue()
 * does not look at the flags, or bpf_wq_init() takes all of them.
 */
static void test_workqueue(struct memcg_reclaim *unused, int p)
{
	static const struct {
		__u32 flags;
		int ret;
		const char *name;
	} cases[] = {
		{ 0, 0, "kworker/[0-9]*" },
		{ MEMCG_WQ_UNBOUND, 0, "kworker/u*" },
		{ MEMCG_WQ_UNBOUND << 1, 2, "" },
	};
	struct memcg_reclaim *skel;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		skel = memcg_reclaim__open_and_load();
		if (!ASSERT_OK_PTR(skel, "memcg_reclaim__open_and_load"))
			return;
		aim(skel);
		skel->bss->wq_flags = cases[i].flags;
		ASSERT_EQ(run(skel->progs.start_worker), cases[i].ret, "start_worker");
		ASSERT_TRUE(cases[i].ret || memcg_wait(skel->bss->done), "done");
		ASSERT_OK(fnmatch(cases[i].name, skel->bss->worker_name, 0), "the worker's name");
		memcg_reclaim__destroy(skel);
	}
}

#define LONG_MS		100

/* Start a worker that reclaims for LONG_MS in one callback, and wait until it does. */
static bool start_long(struct memcg_reclaim *skel, int p)
{
	ioctl(loop, BLKFLSBUF, 0);
	skel->bss->nr_pages = 32;
	skel->bss->until_spent_ns = ~0ULL;
	skel->bss->wq_flags = MEMCG_WQ_UNBOUND;
	skel->bss->worker_began = false;
	skel->bss->done = false;
	if (!ASSERT_OK(memcg_run(p, fill, NULL), "fill"))
		return false;
	skel->bss->deadline_ns = get_time_ns() + LONG_MS * 1000000ULL;
	if (!ASSERT_OK(run(skel->progs.start_worker), "start_worker"))
		return false;
	return ASSERT_TRUE(memcg_wait(skel->bss->worker_began), "began");
}

static noinline void nothing(void)
{
	asm volatile ("");
}

static struct bpf_link *attach_to_nothing(struct memcg_reclaim *skel)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);

	nothing();
	return bpf_program__attach_uprobe_opts(skel->progs.on_nothing, 0, "/proc/self/exe",
					       get_uprobe_offset(&nothing), &opts);
}

/* Detaching from a uprobe waits for a tasks-trace grace period: the time in us. */
static long detach_from_nothing(struct bpf_link *link)
{
	__u64 start = get_time_ns();

	bpf_link__destroy(link);
	return (get_time_ns() - start) / 1000;
}

/*
 * A callback is a tasks-trace read section, from its start to its end: it holds up
 * the grace periods of the system. The advice to reclaim one batch in a callback
 * rests on this.
 */
static void test_grace_period(struct memcg_reclaim *skel, int p)
{
	struct bpf_link *link;
	long idle, busy;

	link = attach_to_nothing(skel);
	if (!ASSERT_OK_PTR(link, "attach_uprobe"))
		return;
	idle = detach_from_nothing(link);

	link = attach_to_nothing(skel);
	if (!ASSERT_OK_PTR(link, "attach_uprobe again"))
		return;
	if (!start_long(skel, p)) {
		bpf_link__destroy(link);
		return;
	}
	busy = detach_from_nothing(link);
	ASSERT_TRUE(skel->bss->done, "the callback ended first");
	printf("detached in %ld us, while a callback reclaims for %d ms in %ld us\n",
	       idle, LONG_MS, busy);
	ASSERT_TRUE(memcg_wait(skel->bss->done), "done");
}

void test_memcg_reclaim(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct memcg_reclaim *skel, int p);
	} tests[] = {
		{ "arguments", test_arguments },
		{ "bytes", test_bytes },
		{ "bounded", test_bounded },
		{ "protected", test_protected },
		{ "stall", test_stall },
		{ "dying", test_dying },
		{ "killed", test_killed },
		{ "accounting", test_accounting },
		{ "workqueue", test_workqueue },
		{ "grace_period", test_grace_period },
	};
	struct memcg_reclaim *skel;
	int i, p;

	if (test__start_subtest("verifier"))
		test_verifier();

	loop = memcg_loop(CACHED);
	if (!ASSERT_GE(loop, 0, "loop device"))
		return;
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		p = -1;
		skel = memcg_reclaim__open_and_load();
		if (ASSERT_OK_PTR(skel, "memcg_reclaim__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			p = memcg_create("/p");
			aim(skel);
			if (ASSERT_GE(p, 0, "memcg_create"))
				tests[i].fn(skel, p);
		}
		memcg_reclaim__destroy(skel);
		if (p >= 0)
			close(p);
		cleanup_cgroup_environment();
	}
	close(loop);
}
