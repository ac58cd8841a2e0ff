// SPDX-License-Identifier: GPL-2.0
/*
 * Who is reclaimed: each way of reclaim, each answer, beside what memory.low does.
 *
 *	/victim			idle, holds anonymous memory or page cache
 *	/walker			wants more memory than there is
 *	/locker			locks what would otherwise have to be used up first
 *
 * They are at the top level, or in a cgroup /p that has no memory.low of its own.
 * A cell of the matrix compares what is left of the victim under a policy's answer
 * with what memory.low leaves of it under the same pressure, in the same boot. A
 * constant would say nothing about reclaim of another kernel, or of a slow machine.
 *
 * A quick selection of the cells runs by default, all of them with the environment
 * variable MEMCG_PROTECTION=all. The cells that need memory of the whole machine to
 * be short lock most of it, so they run on a machine of at most 1 GiB only.
 */
#include <test_progs.h>
#include <sys/param.h>
#include <sys/stat.h>
#include "memcg_helpers.h"
#include "memcg_protect.skel.h"

#define CGROUPS		"/mnt"			/* where cgroup_helpers mounts them */
#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define WATERMARKS	"/proc/sys/vm/watermark_scale_factor"
#define ZSWAP		"/sys/module/zswap/parameters/enabled"

#define VICTIM		(8 * MEMCG_MB)
#define WALK		(48 * MEMCG_MB)
#define ROOM		(20 * MEMCG_MB)		/* for both */
#define WALKERS		4			/* of direct reclaim */
#define MOST_ROUNDS	40			/* of the walkers */
#define GONE		15			/* percent left, or less */
#define MOST_WRITES	1000			/* to memory.reclaim, in a round */

#define DEFAULT		0
#define PROTECT		1
#define EXPOSE		2

enum how { DIRECT, KSWAPD, MAX, RECLAIM };
enum where { TOP, BELOW, BELOW_RECURSIVE };
enum what { FILE_ZERO, FILE_MAX, LOW_PROTECT, MIN_PROTECT, LOW_EXPOSE, NO_ANSWER };

static const char * const how_names[] = { "direct", "kswapd", "max", "reclaim" };
static const char * const where_names[] = { "top", "below", "below_recursive" };
static const char * const what_names[] = {
	"memory.low=0", "memory.low=max", "PROTECT by below_low", "PROTECT by below_min",
	"EXPOSE by below_low", "DEFAULT",
};

struct cell {
	bool mglru;
	bool anon;
	enum how how;
	enum where where;
};

static struct {
	struct memcg_protect *skel;
	int parent, victim, walker, locker;	/* cgroups */
	int loop;			/* what page cache is read from */
	int go, done;			/* pipes: a round to the walkers, and its end */
	bool all;
} t;

static int put(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY), err = 0;

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The number after @key in a file of /proc */
static long procfs(const char *file, const char *key)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);
	long value = memcg_read(fd, file, key);

	close(fd);
	return value;
}

static long meminfo(const char *key)
{
	return procfs("meminfo", key) * 1024;
}

/* On 64 bits the id of a cgroup is the inode number of its directory. */
static __u64 id_of(int cgroup_fd)
{
	struct stat st;

	return fstat(cgroup_fd, &st) ? 0 : st.st_ino;
}

/* Children: a byte on @done says that memory is filled, and that a round is over. */

static int hold(void *arg)
{
	const struct cell *cell = arg;
	char *p;

	if (cell->anon) {
		p = memcg_populate(VICTIM);
		if (p == MAP_FAILED)
			return 1;
	} else if (memcg_read_cache(t.loop, 0, VICTIM)) {
		return 1;
	}
	if (write(t.done, "", 1) != 1)
		return 1;
	pause();
	return 0;
}

/*
 * Give kswapd the time to free what this task would otherwise have to reclaim by
 * itself. It may have given up, and only this task's reclaim brings it back.
 */
static void wait_for_room(void)
{
	int i;

	for (i = 0; i < 50 && meminfo("MemFree:") < 5 * (long)MEMCG_MB; i++)
		usleep(1000);
}

/*
 * New memory in each round: what walks over the same memory again and again
 * reclaims mostly from itself with the multi-gen LRU. The classic LRU reclaims
 * nothing in the pass in which it finds everything young, and memory.low would give
 * way: there the memory is old as soon as it was written to.
 */
static int walk(void *arg)
{
	const struct cell *cell = arg;
	size_t size = WALK, i;
	char *p = MAP_FAILED, c;
	int old = -1;

	if (cell->how == DIRECT)
		size /= WALKERS;
	if (!cell->mglru) {
		old = open("/proc/self/clear_refs", O_WRONLY);
		if (old < 0)
			return 1;
	}
	while (read(t.go, &c, 1) == 1) {
		if (p != MAP_FAILED)
			munmap(p, size);
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		for (i = 0; i < size; i += 4096) {
			/* Let kswapd do it, and wait for it. */
			if (cell->how == KSWAPD && !(i % (128 * 4096)))
				wait_for_room();
			WRITE_ONCE(p[i], p[i] + 1);
			if (old >= 0 && (i + 4096) % MEMCG_MB == 0 && write(old, "1", 1) != 1)
				return 1;
		}
		if (write(t.done, "", 1) != 1)
			return 1;
	}
	return 0;
}

/*
 * Lock memory until no more than ROOM is free. memory.reclaim is to find memory that
 * nobody has reclaimed before: there the walkers get what they need besides.
 */
static int hog(void *arg)
{
	const struct cell *cell = arg;
	long room = ROOM;
	void *p;

	if (cell->how == RECLAIM)
		room += WALK;
	while (meminfo("MemFree:") > room + (long)MEMCG_MB) {
		p = mmap(NULL, MEMCG_MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		if (p == MAP_FAILED || mlock(p, MEMCG_MB))
			return 1;
	}
	if (write(t.done, "", 1) != 1)
		return 1;
	pause();
	return 0;
}

static bool wait_done(int fd, int n)
{
	char c;

	while (n--)
		if (read(fd, &c, 1) != 1)
			return false;
	return true;
}

static int create(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY);
}

static void remove_all(void)
{
	static const char * const paths[] = {
		CGROUPS "/memcg_p/victim", CGROUPS "/memcg_p/walker", CGROUPS "/memcg_p/locker",
		CGROUPS "/memcg_p", CGROUPS "/victim", CGROUPS "/walker", CGROUPS "/locker",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		memcg_wait(!rmdir(paths[i]) || errno == ENOENT);
}

/*
 * Percent of the victim's memory that is left after @rounds of the walkers, or
 * fewer if it is gone before; -1 on failure. How fast it goes depends on the LRU,
 * on luck and on the machine, so @rounds returns how many there were.
 */
static int run(const struct cell *cell, enum what what, int *rounds)
{
	/* What there is besides these two is to be locked. */
	bool global = cell->how == DIRECT || cell->how == KSWAPD || cell->where == TOP;
	int n = cell->how == DIRECT ? WALKERS : 1;
	pid_t victim = -1, locker = -1, walkers[WALKERS];
	const char *dir = cell->where == TOP ? CGROUPS : CGROUPS "/memcg_p";
	int go[2] = { -1, -1 }, done[2] = { -1, -1 };
	struct bpf_link *link = NULL;
	long before, direct, kswapd, proactive;
	int left = -1, i, round;

	memset(walkers, -1, sizeof(walkers));
	t.parent = -1;
	t.victim = -1;
	t.walker = -1;
	t.locker = -1;
	/*
	 * A kswapd that gave up in the run before starts again once something was
	 * reclaimed while memory is free.
	 */
	if (global)
		put(CGROUPS "/memory.reclaim", "1M");
	if (cell->where != TOP)
		close(create(CGROUPS, "memcg_p"));
	t.parent = open(dir, O_RDONLY | O_DIRECTORY);
	if (!ASSERT_OK(memcg_write(t.parent, "cgroup.subtree_control", "+memory"), "+memory") ||
	    !ASSERT_OK(pipe(go), "pipe") || !ASSERT_OK(pipe(done), "pipe"))
		goto out;
	t.victim = create(dir, "victim");
	t.walker = create(dir, "walker");
	t.locker = create(dir, "locker");
	if (!ASSERT_GE(t.victim, 0, "victim") || !ASSERT_GE(t.walker, 0, "walker") ||
	    !ASSERT_GE(t.locker, 0, "locker"))
		goto out;
	t.go = go[0];
	t.done = done[1];

	if (what == FILE_MAX || what == LOW_EXPOSE || what == NO_ANSWER)
		memcg_write(t.victim, "memory.low", "max");
	if (what >= LOW_PROTECT) {
		int cgroup = cell->where == TOP ? t.victim : t.parent;

		t.skel->bss->answer_cgid[0] = id_of(t.victim);
		t.skel->bss->answer_low[0] = what == LOW_PROTECT ? PROTECT :
					     what == LOW_EXPOSE ? EXPOSE : DEFAULT;
		t.skel->bss->answer_min[0] = what == MIN_PROTECT ? PROTECT : DEFAULT;
		t.skel->bss->calls = 0;
		link = memcg_attach(t.skel->maps.a, cgroup, BPF_F_ALLOW_MULTI);
		if (!ASSERT_OK_PTR(link, "attach"))
			goto out;
	}

	if (!cell->anon)
		ioctl(t.loop, BLKFLSBUF, 0);
	victim = memcg_spawn(t.victim, hold, (void *)cell);
	if (!ASSERT_TRUE(wait_done(done[0], 1), "victim holds its memory"))
		goto out;
	if (global) {
		put("/proc/sys/vm/drop_caches", "1");
		if (!cell->anon) {
			/* once more, what was just dropped */
			memcg_kill(victim);
			victim = memcg_spawn(t.victim, hold, (void *)cell);
			if (!ASSERT_TRUE(wait_done(done[0], 1), "victim holds its memory"))
				goto out;
		}
		locker = memcg_spawn(t.locker, hog, (void *)cell);
		if (!ASSERT_TRUE(wait_done(done[0], 1), "memory is short"))
			goto out;
	}
	before = memcg_pages(t.victim);
	if (!ASSERT_GT(before, 0, "pages of the victim"))
		goto out;
	if (cell->how == MAX)
		memcg_write_long(t.parent, "memory.max", ROOM + 2 * MEMCG_MB);
	for (i = 0; i < n; i++)
		walkers[i] = memcg_spawn(t.walker, walk, (void *)cell);

	direct = -procfs("vmstat", "pgsteal_direct");
	kswapd = -procfs("vmstat", "pgsteal_kswapd");
	proactive = -procfs("vmstat", "pgsteal_proactive");
	for (round = 0; round < *rounds; round++) {
		if (memcg_pages(t.victim) * 100 / before <= GONE)
			break;
		if (!ASSERT_EQ(write(go[1], "1234", n), n, "next round") ||
		    !ASSERT_TRUE(wait_done(done[0], n), "round"))
			goto out;
		/*
		 * Until the walker has lost half, as there may be others to reclaim
		 * from. The less it has, the more of that is in use, and memory.low
		 * gives way when a pass finds nothing but that.
		 */
		for (i = 0; cell->how == RECLAIM && i < MOST_WRITES &&
		     memcg_pages(t.walker) > (long)(WALK / 4096 / 2); i++)
			memcg_write(t.parent, "memory.reclaim", "1M");
	}
	direct += procfs("vmstat", "pgsteal_direct");
	kswapd += procfs("vmstat", "pgsteal_kswapd");
	proactive += procfs("vmstat", "pgsteal_proactive");
	if (cell->how == DIRECT)
		ASSERT_GT(direct, 0, "pages reclaimed directly");
	if (cell->how == KSWAPD)
		ASSERT_GT(kswapd, direct, "pages reclaimed by kswapd");
	if (cell->how == RECLAIM)
		ASSERT_GT(proactive, direct + kswapd, "pages reclaimed by memory.reclaim");
	if (what >= LOW_PROTECT)
		ASSERT_GT(t.skel->bss->calls, 0, "calls");
	left = memcg_pages(t.victim) * 100 / before;
	*rounds = round;
out:
	for (i = 0; i < WALKERS; i++)
		memcg_kill(walkers[i]);
	memcg_kill(victim);
	memcg_kill(locker);
	bpf_link__destroy(link);
	for (i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
	close(t.parent);
	close(t.victim);
	close(t.walker);
	close(t.locker);
	remove_all();
	return left;
}

/*
 * Does memory.low of the victim protect it? Not from reclaim of the whole machine
 * when its parent has no protection to pass on.
 */
static bool low_protects(const struct cell *cell)
{
	return cell->where == TOP || cell->how == MAX || cell->how == RECLAIM;
}

static void judge(const struct cell *cell, enum what what, int left, int zero, int max)
{
	bool held = low_protects(cell);

	switch (what) {
	case LOW_PROTECT:
	case MIN_PROTECT:
		ASSERT_GE(left, 97, what_names[what]);
		ASSERT_GE(left, max - 3, what_names[what]);
		break;
	case LOW_EXPOSE:
		ASSERT_GE(left, 0, what_names[what]);
		ASSERT_LE(left, MAX(zero + 10, GONE), what_names[what]);
		break;
	default:
		/* what memory.low=max does not protect is on its way out, however far */
		ASSERT_GE(left, held ? max - 10 : 0, what_names[what]);
		ASSERT_LE(left, held ? max + 10 : GONE, what_names[what]);
	}
}

/*
 * The victim's share that each answer leaves, held against the files. Of a memcg
 * below an ancestor without protection memory.low protects nothing from global
 * reclaim; a policy of the host's does.
 */
static void test_cell(const struct cell *cell)
{
	int zero, max, left, what, gone, rounds, n, tries = 0;

	/* The pressure is what is held constant; it has to be there. */
	do {
		rounds = MOST_ROUNDS;
		zero = run(cell, FILE_ZERO, &rounds);
	} while (zero >= 20 && ++tries < 3);
	gone = rounds;
	/* the same pressure and half as much again for all others */
	rounds += rounds / 2 + 1;
	n = rounds;
	max = run(cell, FILE_MAX, &n);
	if (!ASSERT_GE(zero, 0, "memory.low=0 ran") || !ASSERT_GE(max, 0, "memory.low=max ran"))
		return;
	ASSERT_LT(zero, 20, "left with memory.low=0");
	/* Otherwise the answers are held against nothing. */
	if (low_protects(cell))
		ASSERT_GE(max, 90, "left with memory.low=max");
	for (what = LOW_PROTECT; what <= NO_ANSWER; what++) {
		if (!t.all && what != LOW_PROTECT && what != LOW_EXPOSE)
			continue;
		/* what is not protected is gone sooner or later */
		n = rounds;
		if (what == LOW_EXPOSE || (what == NO_ANSWER && !low_protects(cell)))
			n = MOST_ROUNDS;
		left = run(cell, what, &n);
		if (env.verbosity > VERBOSE_NONE || t.all)
			printf("%s: %d %% left after %d rounds, memory.low=0 %d %% after %d, =max %d %%\n",
			       what_names[what], left, n, zero, gone, max);
		judge(cell, what, left, zero, max);
	}
}

static bool swap_is_on(void)
{
	return meminfo("SwapFree:") >= 2 * (long)(VICTIM + WALK);
}

static bool is_small(void)
{
	return meminfo("MemTotal:") <= 1024 * (long)MEMCG_MB;
}

static bool is_quick(const struct cell *cell)
{
	return cell->where == BELOW && cell->how == MAX;
}

static void set_recursive(bool on)
{
	ASSERT_OK(mount(NULL, CGROUPS, NULL, MS_REMOUNT, on ? "memory_recursiveprot" : ""),
		  "memory_recursiveprot");
}

/* The distance between two watermarks, at least a thousandth of the machine. */
static void set_watermarks(long size)
{
	char value[32];

	snprintf(value, sizeof(value), "%ld", MAX(10L, size * 10000 / meminfo("MemTotal:")));
	ASSERT_OK(put(WATERMARKS, value), "watermarks");
}

static void test_cells(bool mglru)
{
	struct cell cell = { .mglru = mglru };
	char name[64];
	int how, where, anon;

	for (where = TOP; where <= BELOW_RECURSIVE; where++) {
		for (how = DIRECT; how <= RECLAIM; how++) {
			for (anon = 0; anon < 2; anon++) {
				cell.anon = anon;
				cell.how = how;
				cell.where = where;
				/* The root has no limit. */
				if (where == TOP && how == MAX)
					continue;
				if (!t.all && !is_quick(&cell))
					continue;
				snprintf(name, sizeof(name), "%s_%s_%s_%s",
					 mglru ? "mglru" : "classic", where_names[where],
					 how_names[how], anon ? "anon" : "cache");
				if (!test__start_subtest(name))
					continue;
				if (!swap_is_on() ||
				    ((how <= KSWAPD || where == TOP) && !is_small())) {
					printf("needs swap, and a small machine\n");
					test__skip();
					continue;
				}
				set_recursive(where == BELOW_RECURSIVE);
				/* kswapd wakes up early, or hardly ever */
				set_watermarks(how == KSWAPD ? 3 * MEMCG_MB : 0);
				test_cell(&cell);
			}
		}
	}
}

/* Serial: the LRU, the watermarks and the mount are the whole system's. */
void serial_test_memcg_protection(void)
{
	const char *all = getenv("MEMCG_PROTECTION");
	char before[16] = {};
	bool zswap;
	int fd, n;

	t.all = all && !strcmp(all, "all");
	fd = open(LRU_GEN, O_RDWR);
	n = fd < 0 ? -1 : read(fd, before, sizeof(before) - 1);
	t.loop = memcg_loop(VICTIM);
	t.skel = memcg_protect__open_and_load();
	if (!ASSERT_GE(t.loop, 0, "loop device") ||
	    !ASSERT_OK_PTR(t.skel, "memcg_protect__open_and_load") ||
	    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		goto out;

	/*
	 * A swap device takes its time, and a pass of reclaim that only starts to
	 * write has reclaimed nothing: then memory.low gives way, as it should.
	 */
	zswap = !put(ZSWAP, "Y");
	if (n > 0 && ASSERT_EQ(pwrite(fd, "y", 1, 0), 1, "multi-gen LRU"))
		test_cells(true);
	if (n <= 0 || ASSERT_EQ(pwrite(fd, "n", 1, 0), 1, "classic LRU"))
		test_cells(false);
	if (n > 0)
		ASSERT_EQ(pwrite(fd, before, n, 0), n, "restore the LRU");
	if (zswap)
		put(ZSWAP, "N");
	set_recursive(false);
	set_watermarks(0);
	cleanup_cgroup_environment();
out:
	memcg_protect__destroy(t.skel);
	close(t.loop);
	close(fd);
}
