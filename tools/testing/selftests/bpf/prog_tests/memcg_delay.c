// SPDX-License-Identifier: GPL-2.0
/*
 * The delay that memcg_charged() asks for: served to the task that charged, once
 * on its way back to user space, bounded, killable, freezable, and seen in PSI.
 *
 *	/p - /p/a	(the target's)
 *	/q		(not governed)
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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
	int pipe[2];
	pid_t owner;			/* who is charged by others */
};

struct fixture {
	struct memcg_delay *skel;
	struct bpf_link *link;
	struct shared *shared;
	int p, a, q;
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
 * that nobody can see was lost.
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
 * Charged by somebody else: neither the owner nor the other task, which is
 * outside of the governed subtree, is delayed for it, and an interrupt delays
 * nobody. Catches: the delay found by the memcg of the memory's owner, or taken
 * out on whoever is current.
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
	ASSERT_EQ(bss->other_delays, 0, "the other task delayed");

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

static int charge_owner(void *arg)
{
	struct fixture *f = arg;
	static char buf[SIZE];
	char path[64];
	ssize_t n;
	int fd;

	f->skel->bss->target = getpid();
	snprintf(path, sizeof(path), "/proc/%d/mem", f->shared->owner);
	fd = open(path, O_RDWR);
	f->skel->bss->delay_ms[0] = 10;
	f->skel->bss->delay_ms[1] = 20;
	f->shared->calls = f->skel->bss->calls;
	n = pwrite(fd, buf, sizeof(buf), (long)f->shared->untouched);
	f->shared->calls = f->skel->bss->calls - f->shared->calls;
	memset(f->skel->bss->delay_ms, 0, sizeof(f->skel->bss->delay_ms));
	close(fd);
	return n != sizeof(buf);
}

/*
 * Two policies are asked, but only one of them governs the task that charges: its
 * delay is served, though the other one asks for more.
 */
static void test_remote_two(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	int b = memcg_create("/p/b");
	struct bpf_link *link;

	link = memcg_attach(f->skel->maps.b, f->a, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_FD(b, "/p/b") || !ASSERT_OK_PTR(link, "attach b"))
		goto out;
	f->shared->owner = memcg_spawn(f->a, be_charged, f);
	if (ASSERT_TRUE(memcg_paused(f->shared->owner), "child")) {
		ASSERT_OK(memcg_run(b, charge_owner, f), "charge it");
		ASSERT_GE(f->shared->calls, SIZE / 4096 / 64, "charges");
		ASSERT_EQ(bss->delays, 1, "delays");
		ASSERT_EQ(bss->asked_ms, 10 * f->shared->calls, "asked");
		ASSERT_EQ(bss->last_policy_cgid, get_cgroup_id("/p"), "policy_cgid");
	}
	memcg_kill(f->shared->owner);
out:
	bpf_link__destroy(link);
	close(b);
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

/* Charge for the buffers of a pipe, and stay in that system call until it is read. */
static int charge_and_block(void *arg)
{
	struct fixture *f = arg;
	static char buf[2 * MEMCG_MB];
	int *fds = f->shared->pipe;

	memset(buf, 1, sizeof(buf));
	f->skel->bss->target = getpid();
	memcg_pause();
	f->shared->delays = f->skel->bss->delays;
	f->skel->bss->delay_ms[0] = 100;
	if (write(fds[1], buf, sizeof(buf)) != sizeof(buf))
		return 1;
	f->skel->bss->delay_ms[0] = 0;
	f->shared->delays = f->skel->bss->delays - f->shared->delays;
	memcg_pause();
	return charge_in_one_call(f, 1);
}

enum meanwhile { NOTHING, DETACHED, MOVED };

/*
 * What a task owes when it is about to return is looked at again: it is served if
 * the policy still governs the task, and lapses if not. What has lapsed does not come
 * back with the next charge.
 */
static void check_lapse(struct fixture *f, enum meanwhile what)
{
	static char buf[64 * 1024];
	size_t left = 2 * MEMCG_MB;
	char pids[16];
	ssize_t n;
	pid_t pid;

	if (!ASSERT_OK(pipe(f->shared->pipe), "pipe"))
		return;
	ASSERT_GE(fcntl(f->shared->pipe[1], F_SETPIPE_SZ, MEMCG_MB), MEMCG_MB, "F_SETPIPE_SZ");
	pid = memcg_spawn(f->a, charge_and_block, f);
	if (!ASSERT_TRUE(memcg_paused(pid), "child"))
		goto out;
	f->skel->bss->calls = 0;
	memcg_resume(pid);
	if (!ASSERT_TRUE(memcg_wait(f->skel->bss->calls >= 3 && task_state(pid) == 'S'), "blocked"))
		goto out;

	f->skel->bss->delay_ms[0] = 0;
	if (what == DETACHED) {
		ASSERT_OK(bpf_link__detach(f->link), "detach");
		/* another one takes its place */
		bpf_link__destroy(f->link);
		f->link = memcg_attach(f->skel->maps.b, f->p, BPF_F_ALLOW_MULTI);
		ASSERT_OK_PTR(f->link, "attach b");
	} else if (what == MOVED) {
		snprintf(pids, sizeof(pids), "%d", pid);
		ASSERT_OK(memcg_write(f->q, "cgroup.procs", pids), "move");
	}
	while (left) {
		n = read(f->shared->pipe[0], buf, sizeof(buf));
		if (!ASSERT_GT(n, 0, "read"))
			goto out;
		left -= n;
	}
	if (!ASSERT_TRUE(memcg_paused(pid), "written"))
		goto out;
	ASSERT_EQ(f->shared->delays, what == NOTHING, "delays");
	if (what == MOVED)
		ASSERT_OK(memcg_write(f->a, "cgroup.procs", pids), "move back");
	f->skel->bss->asked_ms = 0;
	memcg_resume(pid);
	ASSERT_OK(memcg_reap(pid), "child's status");
	pid = -1;
	if (what == MOVED) {
		ASSERT_EQ(f->shared->delays, 1, "delays, back again");
		ASSERT_EQ(f->skel->bss->asked_ms, f->shared->calls, "asked, back again");
	}
out:
	memcg_kill(pid);
	close(f->shared->pipe[0]);
	close(f->shared->pipe[1]);
}

static void test_lapse(struct fixture *f)
{
	check_lapse(f, NOTHING);
	check_lapse(f, MOVED);
	check_lapse(f, DETACHED);
}

static void on_signal(int sig)
{
}

#define HUGE_SIZE	(2 * MEMCG_MB)

/* Charged at least once and at most twice, whatever is in the stock of the CPU */
#define A_LITTLE	(128 * 4096)

/* One system call that charges; the frame of a signal is on a huge page of its own. */
static int charge_then_handle(void *arg)
{
	struct fixture *f = arg;
	struct memcg_delay__bss *bss = f->skel->bss;
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = HUGE_SIZE };
	__u64 start;
	int fd, err;
	char *p;

	p = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_sp = (void *)(((unsigned long)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (p == MAP_FAILED || madvise(stack.ss_sp, HUGE_SIZE, MADV_HUGEPAGE) ||
	    sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &sa, NULL))
		return 1;
	fd = memfd_create("memcg_delay", MFD_CLOEXEC);
	bss->target = getpid();
	bss->calls = 0;
	start = get_time_ns();
	bss->delay_ms[0] = CAP_MS;
	err = fallocate(fd, 0, 0, A_LITTLE);
	bss->delay_ms[0] = 0;
	f->shared->elapsed_ms = (get_time_ns() - start) / 1000000;
	f->shared->calls = bss->calls;
	return err && errno != EINTR;
}

/*
 * One return is delayed once, also if the kernel writes a signal frame on the way
 * and is charged for it. The signal does not shorten the delay either. It comes
 * late, because what is owed never exceeds the cap: a delay for the frame would
 * not show at the beginning.
 */
static void test_signal(struct fixture *f)
{
	__u64 start;
	pid_t pid;

	pid = memcg_spawn(f->a, charge_then_handle, f);
	ASSERT_TRUE(memcg_wait(f->skel->bss->delay_ms[0] && f->skel->bss->calls &&
			       strchr("SD", task_state(pid))), "delayed");
	start = get_time_ns();
	ASSERT_TRUE(memcg_wait(get_time_ns() - start > CAP_MS * 3 / 4 * 1000000ULL), "most of it");
	kill(pid, SIGUSR1);
	ASSERT_OK(memcg_reap(pid), "child's status");
	ASSERT_GE(f->shared->calls, 2, "charges of the call and of the frame");
	ASSERT_GE(f->shared->elapsed_ms, CAP_MS, "elapsed, at least");
	ASSERT_LT(f->shared->elapsed_ms, CAP_MS * 3 / 2, "elapsed, at most");
}

/* A task that is being delayed freezes at once, and serves the rest when it thaws. */
static void test_freeze(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	__u64 start;
	pid_t pid;

	pid = memcg_spawn(f->a, charge_too_much_each, f);
	ASSERT_TRUE(memcg_wait(bss->delay_ms[0] && strchr("SD", task_state(pid))), "delayed");
	start = get_time_ns();
	ASSERT_OK(memcg_write(f->a, "cgroup.freeze", "1"), "freeze");
	ASSERT_TRUE(memcg_wait(memcg_read(f->a, "cgroup.events", "frozen") == 1), "frozen");
	ASSERT_LT((get_time_ns() - start) / 1000000, CAP_MS / 2, "time to freeze, ms");
	ASSERT_OK(memcg_write(f->a, "cgroup.freeze", "0"), "thaw");
	ASSERT_OK(memcg_reap(pid), "child's status");
	/* whole milliseconds of each part */
	ASSERT_GE(bss->served_ms, CAP_MS - bss->delays, "served in all");
	ASSERT_LT(bss->served_ms, CAP_MS * 3 / 2, "served in all");
}

static int charge_over_high(void *arg)
{
	struct fixture *f = arg;
	struct memcg_delay__bss *bss = f->skel->bss;
	__u64 start;
	int fd, err;

	if (memcg_populate(2 * SIZE) == MAP_FAILED)
		return 1;
	bss->target = getpid();
	memcg_pause();
	fd = memfd_create("memcg_delay", MFD_CLOEXEC);
	start = get_time_ns();
	bss->delay_ms[0] = CAP_MS;
	err = fallocate(fd, 0, 0, A_LITTLE);
	bss->delay_ms[0] = 0;
	f->shared->elapsed_ms = (get_time_ns() - start) / 1000000;
	return err;
}

/* memory.high makes the same call sleep: the larger of the two counts, not the sum. */
static void test_high(struct fixture *f)
{
	pid_t pid;

	/* -1: no swap there */
	memcg_write(f->p, "memory.swap.max", "0");
	pid = memcg_spawn(f->a, charge_over_high, f);
	if (ASSERT_TRUE(memcg_paused(pid), "child")) {
		ASSERT_OK(memcg_write_long(f->a, "memory.high", SIZE), "memory.high");
		memcg_resume(pid);
		ASSERT_OK(memcg_reap(pid), "child's status");
		pid = -1;
		ASSERT_GT(memcg_read(f->a, "memory.events", "high"), 0, "high events");
		ASSERT_GE(f->shared->elapsed_ms, CAP_MS, "elapsed, at least");
		ASSERT_LT(f->shared->elapsed_ms, CAP_MS * 3 / 2, "elapsed, at most");
	}
	memcg_kill(pid);
}

/* Have a worker of io_uring charge: as little of that interface as will do. */
static int charge_by_worker(void *arg)
{
	struct fixture *f = arg;
	struct memcg_delay__bss *bss = f->skel->bss;
	struct io_uring_params params = {};
	struct io_uring_sqe *sqe;
	unsigned int *sq;
	int ring, fd;

	fd = memfd_create("memcg_delay", MFD_CLOEXEC);
	ring = syscall(__NR_io_uring_setup, 2, &params);
	if (ring < 0)
		return 77;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, params.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (fd < 0 || sq == MAP_FAILED || sqe == MAP_FAILED)
		return 1;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_FALLOCATE;
	sqe->flags = IOSQE_ASYNC;
	sqe->fd = fd;
	sqe->addr = SIZE;
	sq[params.sq_off.array / 4] = 0;
	sq[params.sq_off.tail / 4]++;
	__sync_synchronize();

	bss->target = getpid();
	bss->delay_ms[0] = 10;
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return 1;
	bss->delay_ms[0] = 0;
	return !memcg_wait(bss->worker_delays);
}

/* Workers of io_uring are delayed, where memory.high is served for them. */
static void test_io_uring(struct fixture *f)
{
	int status = memcg_run(f->a, charge_by_worker, f);

	if (status == 77) {
		printf("no io_uring\n");
		test__skip();
		return;
	}
	ASSERT_OK(status, "child's status");
	ASSERT_GE(f->skel->bss->worker_delays, 1, "delays of the worker");
}

static const char zswap[] = "/sys/module/zswap/parameters/enabled";

/* Compress some of its own memory: zswap charges what it needs, in reclaim. */
static int charge_in_reclaim(void *arg)
{
	struct fixture *f = arg;
	struct memcg_delay__bss *bss = f->skel->bss;
	char *p = memcg_populate(SIZE);
	size_t i;

	if (p == MAP_FAILED)
		return 1;
	/* what cannot be compressed well, so that there is something to charge */
	for (i = 0; i < SIZE; i += 4096)
		if (getrandom(p + i, 2048, 0) != 2048)
			return 1;
	bss->target = getpid();
	bss->calls = 0;
	bss->delay_ms[0] = 10;
	memcg_write_long(f->a, "memory.reclaim", SIZE * 3 / 4);
	bss->delay_ms[0] = 0;
	f->shared->calls = bss->calls;
	return 0;
}

/*
 * A reclaimer is not delayed for what it charges, and is a reclaimer still when the
 * policy returns.
 */
static void test_reclaimer(struct fixture *f)
{
	struct memcg_delay__bss *bss = f->skel->bss;
	char before = 'N';
	int fd;

	fd = open(zswap, O_RDWR);
	if (fd < 0 || read(fd, &before, 1) != 1 ||
	    memcg_read(f->a, "memory.swap.current", NULL) < 0 ||
	    pwrite(fd, "Y", 1, 0) != 1) {
		printf("no zswap\n");
		test__skip();
		goto out;
	}
	f->skel->links.on_shrink = bpf_program__attach(f->skel->progs.on_shrink);
	if (ASSERT_OK_PTR(f->skel->links.on_shrink, "tracepoint"))
		ASSERT_OK(memcg_run(f->a, charge_in_reclaim, f), "child");
	if (before == 'N')
		ASSERT_EQ(pwrite(fd, "N", 1, 0), 1, "zswap as it was");
	if (!memcg_read(f->p, "memory.stat", "zswpout")) {
		printf("no swap\n");
		test__skip();
		goto out;
	}
	ASSERT_GT(f->shared->calls, 0, "charges in reclaim");
	ASSERT_EQ(bss->delays, 0, "delays");
	ASSERT_GT(bss->shrinks, 0, "lists shrunk");
	ASSERT_EQ(bss->shrinks_unmarked, 0, "lists shrunk without PF_MEMALLOC");
out:
	close(fd);
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
		{ "remote_two", test_remote_two },
		{ "detach", test_detach },
		{ "lapse", test_lapse },
		{ "signal", test_signal },
		{ "freeze", test_freeze },
		{ "high", test_high },
		{ "io_uring", test_io_uring },
		{ "reclaimer", test_reclaimer },
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
		f.q = -1;
		f.skel = memcg_delay__open_and_load();
		if (ASSERT_OK_PTR(f.skel, "memcg_delay__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			f.skel->links.on_delay = bpf_program__attach(f.skel->progs.on_delay);
			f.p = memcg_create("/p");
			f.a = memcg_create("/p/a");
			f.q = memcg_create("/q");
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
		if (f.q >= 0)
			close(f.q);
		cleanup_cgroup_environment();
	}
	munmap(f.shared, sizeof(*f.shared));
}
