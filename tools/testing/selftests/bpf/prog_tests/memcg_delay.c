// SPDX-License-Identifier: GPL-2.0
/*
 * The delay that memcg_charged() asks for: served to the task that charged, once
 * on its way back to user space, bounded, killable, and seen in PSI.
 *
 *	/p - /p/a	(the target's)
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "memcg_helpers.h"
#include "memcg_delay.skel.h"

#define SIZE	(4 * MEMCG_MB)		/* 16 per-CPU stocks */
#define CAP_MS	2000

struct shared {
	struct sockaddr_in addr;	/* of the target's socket */
	void *untouched;		/* in the target */
	__u64 elapsed_ms;		/* of the target's one system call */
	__u64 calls;
	__u64 delays;
};

struct fixture {
	struct memcg_delay *skel;
	struct bpf_link *link;
	struct shared *shared;
	int p, a;
};

/* Ask for @ms per charge while one system call charges SIZE. */
static int charge_in_one_call(struct fixture *f, __u32 ms)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	__u64 start;
	int i, fd, err;

	bss->target = getpid();
	fd = memfd_create("memcg_delay", MFD_CLOEXEC);
	/* twice, the first time so that nothing but the call faults pages in */
	for (i = 0; i < 2; i++) {
		f->shared->calls = bss->calls;
		f->shared->delays = bss->delays;
		start = get_time_ns();
		bss->delay_ms[0] = i ? ms : 0;
		err = fallocate(fd, 0, 0, SIZE);
		bss->delay_ms[0] = 0;
		f->shared->elapsed_ms = (get_time_ns() - start) / 1000000;
		f->shared->calls = bss->calls - f->shared->calls;
		f->shared->delays = bss->delays - f->shared->delays;
		err = err ?: ftruncate(fd, 0);
	}
	close(fd);
	return err;
}

static int charge_a_little_each(void *arg)
{
	return charge_in_one_call(arg, 10);
}

static int charge_too_much_each(void *arg)
{
	return charge_in_one_call(arg, 1000);
}

/*
 * Many charges in one system call: their delays add up, and are served in one
 * go. Catches: sleeping at each charge, where locks are held; delays forgotten.
 * Fails if bpf_memcg_add_delay() sleeps, or does not add.
 */
static void test_once(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;

	ASSERT_OK(memcg_run(f->a, charge_a_little_each, f), "child");
	ASSERT_GE(f->shared->calls, SIZE / 4096 / 64, "charges");
	ASSERT_EQ(f->shared->delays, 1, "delays");
	ASSERT_EQ(bss->asked_ms, 10 * f->shared->calls, "asked");
	ASSERT_GE(bss->served_ms, bss->asked_ms, "served");
	ASSERT_GE(f->shared->elapsed_ms, bss->asked_ms, "elapsed");
	ASSERT_EQ(bss->last_policy_cgid, get_cgroup_id("/p"), "policy_cgid");
	ASSERT_EQ(bss->last_memcg_cgid, get_cgroup_id("/p/a"), "memcg_cgid");
	ASSERT_EQ(bss->other_delays, 0, "others delayed");
}

/*
 * No more than CAP_MS per return to user space, and PSI knows. Catches: the cap
 * per charge instead of per return, so that one call sleeps for minutes; time
 * that nobody can see was lost. Fails without BPF_MEMCG_MAX_DELAY_MS, or
 * without psi_memstall_enter().
 */
static void test_cap(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	long stall = memcg_read(f->a, "memory.pressure", "total");

	ASSERT_OK(memcg_run(f->a, charge_too_much_each, f), "child");
	ASSERT_EQ(f->shared->delays, 1, "delays");
	ASSERT_GE(f->shared->calls, SIZE / 4096 / 64, "charges");
	ASSERT_EQ(bss->asked_ms, CAP_MS, "asked");
	ASSERT_GE(bss->served_ms, CAP_MS, "served");
	ASSERT_GE(f->shared->elapsed_ms, CAP_MS, "elapsed, at least");
	ASSERT_LT(f->shared->elapsed_ms, 2 * CAP_MS, "elapsed, at most");
	ASSERT_GE(memcg_read(f->a, "memory.pressure", "total") - stall,
		  CAP_MS * 1000 * 9 / 10, "PSI stall, us");
}

/*
 * Two policies: the larger delay, not the sum. Fails if __bpf_memcg_charged()
 * adds up what several policies ask for.
 */
static void test_maximum(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	struct bpf_link *link;

	link = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(link, "attach b"))
		return;
	bss->delay_ms[1] = 4;
	ASSERT_OK(memcg_run(f->a, charge_a_little_each, f), "child");
	bss->delay_ms[1] = 0;
	ASSERT_EQ(f->shared->delays, 1, "delays");
	/* b asks for its 4 ms outside the one call, too */
	ASSERT_GE(bss->asked_ms, 10 * f->shared->calls, "asked, at least");
	ASSERT_LT(bss->asked_ms, 10 * f->shared->calls + 4 * bss->calls + 1, "asked, at most");
	bpf_link__destroy(link);
}

static int touch_with_delays(void *arg)
{
	struct memcg_delay__bss *bss = ((struct fixture *)arg)->skel->bss;
	char *p;
	int i;

	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, SIZE, MADV_NOHUGEPAGE))
		return 1;
	bss->target = getpid();
	bss->delay_ms[0] = 1;
	for (i = 0; i < SIZE; i += 4096)
		p[i] = 1;
	bss->delay_ms[0] = 0;
	return 0;
}

/*
 * A millisecond is one, not one or two ticks of the scheduler: the shortest of
 * many counts, as any of them can be late. Fails with a timeout in jiffies, at
 * HZ=250 and less.
 */
static void test_short(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;

	ASSERT_OK(memcg_run(f->a, touch_with_delays, f), "child");
	ASSERT_GE(bss->delays, SIZE / 4096 / 64, "delays");
	ASSERT_GE(f->skel->data->shortest_ms, 1, "the shortest, ms, at least");
	ASSERT_LT(f->skel->data->shortest_ms, 4, "the shortest, ms, at most");
}

static int charge_forever(void *arg)
{
	struct fixture *f = arg;

	f->skel->bss->target = getpid();
	while (!memcg_churn(NULL))
		;
	return 1;
}

static char task_state(pid_t pid)
{
	char path[64], buf[512], *p;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return '?';
	buf[n] = '\0';
	p = strrchr(buf, ')');
	return p ? p[2] : '?';
}

/*
 * A task that is being delayed dies at once when killed. Fails if the delay
 * sleeps uninterruptibly.
 */
static void test_kill(struct fixture *f)
{
	__u64 start;
	pid_t pid;

	pid = memcg_spawn(f->a, charge_forever, f);
	ASSERT_TRUE(memcg_wait(f->skel->bss->calls), "charging");
	f->skel->bss->delay_ms[0] = 100000;
	/* it never sleeps but for us */
	ASSERT_TRUE(memcg_wait(strchr("SD", task_state(pid))), "delayed");
	start = get_time_ns();
	memcg_kill(pid);
	ASSERT_LT((get_time_ns() - start) / 1000000, CAP_MS / 2, "time to die, ms");
	f->skel->bss->delay_ms[0] = 0;
}

/*
 * A target that leaves memory untouched and a socket unread, for others to fill,
 * and then does something that charges nothing.
 */
static int be_charged(void *arg)
{
	struct fixture *f = arg;
	struct sockaddr_in *addr = &f->shared->addr;
	int fd, size = SIZE;
	socklen_t len = sizeof(*addr);

	f->shared->untouched = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (f->shared->untouched == MAP_FAILED || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (void *)addr, len) || getsockname(fd, (void *)addr, &len))
		return 1;
	memcg_pause();
	return getppid() <= 0;
}

/*
 * Charged by somebody else: the owner is not delayed for it, and an interrupt
 * delays nobody, whoever it came upon. Catches: the delay found by the memcg of
 * the memory's owner, or taken out on whoever is current. Fails without
 * in_task() in may_delay().
 */
static void test_remote(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	static char buf[64 * 1024];
	__u64 calls, delays;
	char path[64];
	pid_t pid;
	int fd, i;

	pid = memcg_spawn(f->a, be_charged, f);
	if (!ASSERT_TRUE(memcg_paused(pid), "child"))
		goto out;
	bss->target = pid;
	bss->delay_ms[0] = 1;

	/* in task context: by writing into its address space */
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	for (i = 0; i < SIZE / sizeof(buf); i++)
		if (!ASSERT_EQ(pwrite(fd, buf, sizeof(buf),
				      (long)f->shared->untouched + i * sizeof(buf)),
			       sizeof(buf), "write to its memory"))
			break;
	close(fd);
	ASSERT_GE(bss->remote_calls, SIZE / 4096 / 64, "charged by another task");

	/* in softirq: through the network */
	calls = bss->remote_calls;
	delays = bss->other_delays;
	bss->delay_ms[0] = CAP_MS;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (i = 0; i < 64; i++)
		sendto(fd, buf, 32 * 1024, 0, (void *)&f->shared->addr, sizeof(f->shared->addr));
	close(fd);
	ASSERT_TRUE(memcg_wait(bss->remote_calls > calls), "charged by softirq");
	ASSERT_EQ(bss->other_delays, delays, "delayed for softirq");
	bss->delay_ms[0] = 0;

	ASSERT_EQ(bss->calls, 0, "charges by the owner");
	memcg_resume(pid);
	ASSERT_OK(memcg_reap(pid), "child's status");
	pid = -1;
	ASSERT_EQ(bss->delays, 0, "owner delayed");
out:
	bss->delay_ms[0] = 0;
	memcg_kill(pid);
}

static int charge_and_go(void *arg)
{
	struct fixture *f = arg;

	f->skel->bss->target = getpid();
	if (charge_in_one_call(f, 10))
		return 1;
	f->shared->delays = f->skel->bss->delays;
	memcg_pause();
	memcg_use_some(NULL);
	f->shared->delays = f->skel->bss->delays - f->shared->delays;
	return 0;
}

/* Detaching restores the plain kernel: nobody is delayed any more. */
static void test_detach(struct fixture *f)
{
	pid_t pid = memcg_spawn(f->a, charge_and_go, f);

	if (ASSERT_TRUE(memcg_paused(pid), "child")) {
		ASSERT_EQ(f->skel->bss->delays, 1, "delayed");
		/* the child has a copy of the link's fd, so closing it won't do */
		ASSERT_OK(bpf_link__detach(f->link), "detach");
		f->skel->bss->delay_ms[0] = 1000;
		memcg_resume(pid);
		ASSERT_OK(memcg_reap(pid), "child's status");
		pid = -1;
		ASSERT_EQ(f->shared->delays, 0, "delayed after detach");
	}
	memcg_kill(pid);
}

void test_memcg_delay(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct fixture *f);
	} tests[] = {
		{ "once", test_once },
		{ "cap", test_cap },
		{ "maximum", test_maximum },
		{ "short", test_short },
		{ "kill", test_kill },
		{ "remote", test_remote },
		{ "detach", test_detach },
	};
	struct fixture f;
	int i;

	f.shared = mmap(NULL, sizeof(*f.shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!ASSERT_NEQ(f.shared, MAP_FAILED, "mmap"))
		return;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		f.link = NULL;
		f.p = -1;
		f.a = -1;
		f.skel = memcg_delay__open_and_load();
		if (ASSERT_OK_PTR(f.skel, "memcg_delay__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			f.skel->links.on_delay = bpf_program__attach(f.skel->progs.on_delay);
			f.p = memcg_create("/p");
			f.a = memcg_create("/p/a");
			f.link = memcg_attach(f.skel->maps.a, f.p, BPF_F_ALLOW_MULTI);
			if (ASSERT_OK_PTR(f.skel->links.on_delay, "tracepoint") &&
			    ASSERT_OK_PTR(f.link, "attach"))
				tests[i].fn(&f);
		}
		bpf_link__destroy(f.link);
		memcg_delay__destroy(f.skel);
		if (f.a >= 0)
			close(f.a);
		if (f.p >= 0)
			close(f.p);
		cleanup_cgroup_environment();
	}
	munmap(f.shared, sizeof(*f.shared));
}
