// SPDX-License-Identifier: GPL-2.0
/*
 * memcg_charged() and memcg_uncharged(): the books balance. At rest, what a
 * policy was told since it came adds up to the change of memory.current, to
 * the page, whatever the memory was for.
 *
 *	/p - /p/a	(where memory is used)
 *
 * Policy a is attached to /p, b to /p/a, when there is memory in use already:
 * both the sum over a subtree and a single memcg are looked at, once while the
 * memory is in use and once when it was freed. Catches: any place in
 * mm/memcontrol.c that moves the memory counter and does not tell: a batched,
 * an exact and a forced charge, a drained per-CPU stock, a batch of freed
 * folios. It does not see the call for a replaced folio.
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include <linux/fs.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include "memcg_helpers.h"
#include "memcg_books.skel.h"

#define SIZE		(8 * MEMCG_MB)
#define HUGE_SIZE	(2 * MEMCG_MB)
#define THP_DIR		"/sys/kernel/mm/transparent_hugepage/"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

struct fixture {
	struct memcg_books *skel;
	struct bpf_link *link_a, *link_b;
	int p, a;			/* cgroups */
	long base_p, base_a;		/* pages, when the policies came */
	int loop;
	bool off;			/* the books, found by check() */
	int memfd;
	struct sockaddr_in *addr;	/* shared with children */
};

static bool balanced_p(struct fixture *f)
{
	return memcg_pages(f->p) - f->base_p ==
	       memcg_books_balance(f->skel->bss->a_books);
}

static bool balanced_a(struct fixture *f)
{
	return memcg_pages(f->a) - f->base_a ==
	       memcg_books_balance(f->skel->bss->b_books);
}

/* Books that are off once stay off, so that is waited for and said once. */
static void check(struct fixture *f, const char *when)
{
	if (f->off)
		return;
	f->off = !ASSERT_TRUE(memcg_wait(balanced_p(f) && balanced_a(f)), when);
	if (f->off)
		fprintf(stdout, "pages since attach, and in the books: /p %ld %ld, /p/a %ld %ld\n",
			memcg_pages(f->p) - f->base_p, memcg_books_balance(f->skel->bss->a_books),
			memcg_pages(f->a) - f->base_a, memcg_books_balance(f->skel->bss->b_books));
}

/* How many calls of the two policies the kernel had to skip. */
static __u64 misses(struct fixture *f)
{
	struct bpf_prog_info info;
	struct bpf_program *prog;
	__u64 sum = 0;
	__u32 len;

	bpf_object__for_each_program(prog, f->skel->obj) {
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}

/* Choose @value in a file of THP_DIR; @old is what to restore. */
static int set_thp(const char *file, const char *value, char old[32])
{
	char path[128], buf[128] = "", *p;
	int fd, err;

	snprintf(path, sizeof(path), THP_DIR "%s", file);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	err = read(fd, buf, sizeof(buf) - 1) <= 0;
	p = strchr(buf, '[');
	if (old && p)
		sscanf(p, "[%31[^]]", old);
	err |= write(fd, value, strlen(value)) < 0;
	close(fd);
	return err;
}

static int set_cpu1(const char *value)
{
	int fd = open(CPU1_ONLINE, O_WRONLY), err;

	err = fd < 0 || write(fd, value, 1) != 1 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

/* Attach when nothing moves, so that the base is the page counter's value. */
static bool attach_at_rest(struct fixture *f)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		f->base_p = memcg_pages(f->p);
		f->base_a = memcg_pages(f->a);
		f->link_a = memcg_attach(f->skel->maps.a, f->p, BPF_F_ALLOW_MULTI);
		f->link_b = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
		if (!ASSERT_OK_PTR(f->link_a, "attach a") ||
		    !ASSERT_OK_PTR(f->link_b, "attach b"))
			return false;
		if (balanced_p(f) && balanced_a(f))
			return true;
		/* something was freed late, between the reading and the attaching */
		bpf_link__destroy(f->link_a);
		bpf_link__destroy(f->link_b);
		f->link_a = NULL;
		f->link_b = NULL;
		memset(f->skel->bss->a_books, 0, sizeof(f->skel->bss->a_books));
		memset(f->skel->bss->b_books, 0, sizeof(f->skel->bss->b_books));
		usleep(1000);
	}
	return ASSERT_TRUE(false, "memory at rest");
}

static int use_anon(struct fixture *f)
{
	void *p = memcg_populate(SIZE);

	memcg_pause();
	return munmap(p, SIZE);
}

static int use_thp(struct fixture *f)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *huge = (char *)(((unsigned long)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));

	madvise(huge, 2 * HUGE_SIZE, MADV_HUGEPAGE);
	memset(huge, 1, 2 * HUGE_SIZE);
	/* and a huge page that is split */
	munmap(huge, 4096);
	memcg_pause();
	return munmap(p, SIZE);
}

static int use_shmem(struct fixture *f)
{
	int fd = memfd_create("memcg_books", MFD_CLOEXEC);

	if (fallocate(fd, 0, 0, SIZE))
		return 1;
	memcg_pause();
	return ftruncate(fd, 4096) || close(fd);
}

static int use_file(struct fixture *f)
{
	static char buf[64 * 1024];
	int i;

	if (memcg_read_cache(f->loop, 0, SIZE / 2))
		return 1;
	for (i = 0; i < SIZE / 2 / sizeof(buf); i++)
		if (pwrite(f->loop, buf, sizeof(buf), SIZE / 2 + i * sizeof(buf)) != sizeof(buf))
			return 1;
	memcg_pause();
	return fsync(f->loop) || ioctl(f->loop, BLKFLSBUF, 0);
}

/*
 * Huge pages of a tmpfs, written through a loop device. Their allocation has no
 * flag left that tells it from one that must not spin.
 */
static int use_light_huge(struct fixture *f)
{
	__u64 range[2] = { 0, SIZE };
	char path[32], *buf;
	int fd, err = 0;
	size_t done;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->loop);
	fd = open(path, O_RDWR | O_DIRECT);
	buf = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The pages that the device has are somebody else's. */
	if (fd < 0 || buf == MAP_FAILED || ioctl(f->loop, BLKDISCARD, range))
		return 1;
	for (done = 0; done < SIZE; done += HUGE_SIZE)
		err |= pwrite(fd, buf, HUGE_SIZE, done) != HUGE_SIZE;
	munmap(buf, HUGE_SIZE);
	memcg_pause();
	return err | ioctl(fd, BLKDISCARD, range) | close(fd);
}

static void during_light_huge(struct fixture *f)
{
	ASSERT_GE(memcg_read(f->a, "memory.stat", "shmem_thp"), HUGE_SIZE, "huge pages");
	ASSERT_EQ(misses(f), 0, "calls missed");
}

/* Read more than fits: uncharged by reclaim, from the task that charges. */
static int use_and_reclaim(struct fixture *f)
{
	if (memcg_write_long(f->a, "memory.max", SIZE / 2))
		return 1;
	if (memcg_read_cache(f->loop, 0, SIZE))
		return 1;
	if (memcg_read(f->a, "memory.events", "max") <= 0)
		return 1;
	memcg_pause();
	return memcg_write(f->a, "memory.max", "max") || ioctl(f->loop, BLKFLSBUF, 0);
}

/* Pages of pipes, and small objects that share a page. */
static int use_kmem(struct fixture *f)
{
	static char buf[4096];
	int pipes[32][2], fds[256];
	int i;

	for (i = 0; i < ARRAY_SIZE(pipes); i++) {
		if (pipe2(pipes[i], O_NONBLOCK))
			return 1;
		while (write(pipes[i][1], buf, sizeof(buf)) > 0)
			;
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = memfd_create("memcg_books", MFD_CLOEXEC);
	memcg_pause();
	for (i = 0; i < ARRAY_SIZE(pipes); i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	return 0;
}

/*
 * A socket is charged in softirq when something arrives for it, and that cannot
 * wait: it goes beyond the limit.
 */
static int use_forced(struct fixture *f)
{
	socklen_t len = sizeof(*f->addr);
	int fd, size = SIZE;

	memset(f->addr, 0, sizeof(*f->addr));
	f->addr->sin_family = AF_INET;
	f->addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (void *)f->addr, sizeof(*f->addr)) ||
	    getsockname(fd, (void *)f->addr, &len))
		return 1;
	memcg_pause();
	return close(fd);
}

static void send_forced(struct fixture *f)
{
	static char buf[32 * 1024];
	int fd, i;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (!ASSERT_OK_FD(fd, "socket"))
		return;
	ASSERT_OK(memcg_write_long(f->a, "memory.max", memcg_read(f->a, "memory.current", NULL)),
		  "memory.max");
	for (i = 0; i < 100; i++)
		sendto(fd, buf, sizeof(buf), 0, (void *)f->addr, sizeof(*f->addr));
	close(fd);
	ASSERT_TRUE(memcg_wait(memcg_read(f->a, "memory.current", NULL) >
			       memcg_read(f->a, "memory.max", NULL)), "beyond the limit");
	check(f, "beyond the limit");
	ASSERT_OK(memcg_write(f->a, "memory.max", "max"), "memory.max restored");
}

/* Many at a time: stocks of both CPUs, drained and refilled. */
static int use_concurrently(struct fixture *f)
{
	int i, err = 0;
	pid_t pid[4];

	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(memcg_churn(NULL));
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		err |= memcg_reap(pid[i]);
	memcg_pause();
	return err;
}

static int fill_memfd(void *arg)
{
	struct fixture *f = arg;

	return fallocate(f->memfd, 0, 0, SIZE);
}

/* Leave a stock of charged pages on CPU 1, for that CPU to go away. */
static int use_on_cpu1(struct fixture *f)
{
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(1, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return 1;
	err = memcg_churn(NULL);
	memcg_pause();
	return err;
}

static void cpu1_goes(struct fixture *f)
{
	int err = set_cpu1("0");

	if (err) {
		printf("CPU 1 does not go: %s\n", strerror(-err));
		test__skip();
		return;
	}
	check(f, "CPU 1 gone");
	ASSERT_OK(set_cpu1("1"), "CPU 1 back");
}

/* A descendant dies, and what was charged to it is freed later. */
static void dead_descendants(struct fixture *f)
{
	int fd;

	fd = memcg_create("/p/dead");
	f->memfd = memfd_create("memcg_books", MFD_CLOEXEC);
	ASSERT_OK(memcg_run(fd, fill_memfd, f), "fill");
	check(f, "filled");
	close(fd);
	remove_cgroup("/p/dead");
	ASSERT_TRUE(memcg_wait(memcg_read(f->p, "cgroup.stat", "nr_descendants") == 1), "dead");
	check(f, "dead");
	ASSERT_GE(memcg_pages(f->p) * 4096, SIZE, "but not freed");
	close(f->memfd);
	ASSERT_TRUE(memcg_wait(memcg_pages(f->p) * 4096 < SIZE), "freed");
	check(f, "freed");
}

static const struct {
	const char *name;
	int (*use)(struct fixture *f);		/* in the child */
	void (*during)(struct fixture *f);	/* in the test, meanwhile */
	bool needs_loop, io;
	const char *thp_file, *thp_value;
} tests[] = {
	{ "anon", use_anon },
	{ "thp", use_thp },
	{ "shmem", use_shmem },
	{ "file", use_file, .needs_loop = true },
	{ "reclaim", use_and_reclaim, .needs_loop = true },
	/* neither of the two reclaim flags is left in the gfp mask of a fault */
	{ "thp_light", use_thp, .thp_file = "defrag", .thp_value = "never" },
	{ "thp_loop", use_light_huge, .during = during_light_huge, .needs_loop = true, .io = true,
	  .thp_file = "shmem_enabled", .thp_value = "always" },
	{ "cpu_offline", use_on_cpu1, .during = cpu1_goes },
	{ "kmem", use_kmem },
	{ "forced", use_forced, .during = send_forced },
	{ "concurrent", use_concurrently },
	{ "dead", NULL, .during = dead_descendants },
};

struct child {
	struct fixture *f;
	int (*use)(struct fixture *f);
};

static int child(void *arg)
{
	struct child *c = arg;
	void *before;
	int err;

	before = memcg_populate(SIZE / 4);
	memcg_pause();
	err = c->use ? c->use(c->f) : (memcg_pause(), 0);
	/* part of what is freed now was charged before the policies came */
	munmap(before, SIZE / 4);
	memcg_pause();
	return err;
}

static void run(struct fixture *f, int i)
{
	struct child c = { f, tests[i].use };
	pid_t pid;

	pid = memcg_spawn(f->a, child, &c);
	if (!ASSERT_TRUE(memcg_paused(pid), "before") || !attach_at_rest(f))
		goto out;
	memcg_resume(pid);
	if (!ASSERT_TRUE(memcg_paused(pid), "in use"))
		goto out;
	check(f, "in use");
	if (tests[i].during)
		tests[i].during(f);
	memcg_resume(pid);
	if (!ASSERT_TRUE(memcg_paused(pid), "freed"))
		goto out;
	check(f, "freed");
	memcg_resume(pid);
	ASSERT_OK(memcg_reap(pid), "child");
	pid = -1;
	check(f, "exited");
	ASSERT_EQ(f->skel->bss->memcg_strangers, 0, "calls without online");
	ASSERT_EQ(memcg_books_late(f->skel->bss->a_books), 0, "calls after offline");
	ASSERT_EQ(misses(f), 0, "calls missed");
out:
	memcg_kill(pid);
}

void test_memcg_books(void)
{
	char was[32] = "never";
	struct fixture f;
	void *shared;
	int i;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!ASSERT_NEQ(shared, MAP_FAILED, "mmap"))
		return;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		memset(&f, 0, sizeof(f));
		f.addr = shared;
		f.p = -1;
		f.a = -1;
		f.loop = -1;
		if (tests[i].needs_loop) {
			f.loop = memcg_loop(SIZE);
			if (f.loop < 0) {
				printf("no loop device: %s\n", strerror(errno));
				test__skip();
				continue;
			}
		}
		if (tests[i].thp_file)
			ASSERT_OK(set_thp(tests[i].thp_file, tests[i].thp_value, was),
				  tests[i].thp_file);
		f.skel = memcg_books__open_and_load();
		if (ASSERT_OK_PTR(f.skel, "memcg_books__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			f.p = memcg_create("/p");
			f.a = memcg_create("/p/a");
			/* A loop device charges to the cgroup that the I/O counts for. */
			if (tests[i].io)
				ASSERT_OK(enable_controllers("/p", "io"), "io controller");
			if (ASSERT_OK_FD(f.p, "/p") && ASSERT_OK_FD(f.a, "/p/a"))
				run(&f, i);
		}
		bpf_link__destroy(f.link_a);
		bpf_link__destroy(f.link_b);
		memcg_books__destroy(f.skel);
		if (f.a >= 0)
			close(f.a);
		if (f.p >= 0)
			close(f.p);
		if (f.loop >= 0)
			close(f.loop);
		if (tests[i].thp_file)
			set_thp(tests[i].thp_file, was, NULL);
		cleanup_cgroup_environment();
	}
	munmap(shared, 4096);
}
