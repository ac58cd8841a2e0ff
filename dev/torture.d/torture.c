// SPDX-License-Identifier: GPL-2.0
/*
 * Torture: what may happen to cgroups and policies, at random and at once.
 *
 *	torture SEED SECONDS STEPS [FIRST [LAST]]
 *
 * A round has WORKERS processes that do STEPS operations each on the same few cgroups:
 * create, remove and nest them, switch their controller, attach, update, query, pin,
 * detach and close policies with any flags, as the host and as a delegate, kill loaders,
 * set limits, reclaim, and start processes that charge memory of every kind. The
 * policies are hostile (see torture.bpf.c). What a worker does next depends on SEED,
 * the number of the round and its own number only: the same SEED replays the same
 * operations, FIRST and LAST only those of these rounds (fewer STEPS, the first of them). How
 * they interleave is up to the scheduler.
 *
 * After each round nothing of it may be left: every process ends, all links and maps
 * that the round made are gone, no cgroup dies on, online and offline calls pair, and the
 * books of a policy that was there all the time balance with the counter of the
 * topmost cgroup. With CONFIG_FAULT_INJECTION, allocations fail, too.
 *
 * With NO_POLICY in the environment it does the same without any policy, on a kernel with
 * or without the series: is what the kernel says then the base's fault?
 *
 * Prints how many operations of each kind there were, and how many were refused.
 *
 * Exit status: 0 every round ended well, 1 one did not, 2 bad usage.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "torture.skel.h"

#define TOP		"/sys/fs/cgroup/torture"
#define PINS		"/sys/fs/bpf/torture"
#define SCRATCH		"/tmp/torture"
#define OTHERS		"/sys/fs/cgroup/torture-others"
#define NR_OTHERS	8	/* more than NR_MEMCG_STOCK of the kernel */
#define WORKERS		8	/* they wait for grace periods most of the time */
#define NODES		30	/* cgroups that may exist, a tree of threes */
#define LINKS		12	/* of one worker */
#define MIB		(1024UL * 1024)

/* The operations, with how often they come up. */
enum {
	MKDIR, RMDIR, CONTROLLER, ATTACH, UPDATE, DETACH, DETACH_TWICE, CLOSE, PIN, UNPIN,
	QUERY, INFO, LOADER, LIMIT, RECLAIM, LOAD, FAULT,
	/* of the processes that charge */
	ANON, THP, TMPFS, FILES, KMEM, SOCKET, MOVE, FREE,
	NR_OPS
};

static const struct op {
	const char *name;
	int weight;
	bool lifetime;		/* of a cgroup, a link, a policy or a controller */
} ops[NR_OPS] = {
	[MKDIR]		= { "create a cgroup", 140, true },
	[RMDIR]		= { "remove a cgroup", 100, true },
	[CONTROLLER]	= { "switch a controller", 60, true },
	[ATTACH]	= { "attach", 160, true },
	[UPDATE]	= { "update", 80, true },
	[DETACH]	= { "detach", 70, true },
	[DETACH_TWICE]	= { "detach by two at once", 30, true },
	[CLOSE]		= { "close a link", 60, true },
	[PIN]		= { "pin", 30, true },
	[UNPIN]		= { "unpin", 30, true },
	[QUERY]		= { "query", 40, true },
	[INFO]		= { "link_info and fdinfo", 40, true },
	[LOADER]	= { "loader killed", 4, true },
	[LIMIT]		= { "set a limit", 40 },
	[RECLAIM]	= { "memory.reclaim", 40 },
	[LOAD]		= { "process started and killed", 50 },
	[FAULT]		= { "injected failure armed", 20 },
	[ANON]		= { "anonymous memory" },
	[THP]		= { "huge page" },
	[TMPFS]		= { "tmpfs" },
	[FILES]		= { "file" },
	[KMEM]		= { "kernel memory" },
	[SOCKET]	= { "socket" },
	[MOVE]		= { "task moved" },
	[FREE]		= { "memory freed" },
};

static const char * const policies[] = {
	"random", "delay", "protect", "expose", "allocating", "loop", "requeue",
};
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

/* Shared by all processes of a run */
static struct shared {
	atomic_ulong done[NR_OPS], refused[NR_OPS];
	atomic_ulong longest_kill;	/* ms */
	atomic_int failures;
	char what[256];		/* the first failure */
} *shared;

static struct torture_bench *skel;
static int maps[NR_POLICIES];
static uint64_t seed, state;
static int round_nr, worker_nr, steps;
static bool may_inject;
static bool no_policy;		/* see NO_POLICY above */
static int type_id;		/* of struct memcg_bpf_ops */

static uint64_t next_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static unsigned int pick(unsigned int n)
{
	return next_random() % n;
}

static void seed_for(int number)
{
	state = seed ^ ((uint64_t)round_nr << 20) ^ ((uint64_t)number << 50);
	next_random();
	state = next_random();
}

__attribute__((format(printf, 1, 2)))
static void failure(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!atomic_fetch_add(&shared->failures, 1))
		snprintf(shared->what, sizeof(shared->what), "%s", text);
	fprintf(stderr, "torture: round %d: %s\n", round_nr, text);
}

/* Count an operation that gave @ret, or -1 and errno; some refusals are a fault of ours. */
static void count(int op, long ret)
{
	int error = errno;

	atomic_fetch_add(&shared->done[op], 1);
	if (ret >= 0)
		return;
	atomic_fetch_add(&shared->refused[op], 1);
	switch (error) {
	case EFAULT: case ENOTSUP: case ENOSYS: case EIO:
		failure("%s: unexpected error %s", ops[op].name, strerror(error));
	}
}

/* Small helpers: return as the system call does. */

static long write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC), error;
	long ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

static long read_long(const char *dir, const char *file, const char *key)
{
	char name[512], line[256];
	long value = -1, n;
	size_t len = key ? strlen(key) : 0;
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", dir, file);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!len || (!strncmp(line, key, len) && line[len] == ' ')) {
			n = strtol(line + len, NULL, 10);
			value = n;
			break;
		}
	if (f)
		fclose(f);
	return value;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Node 0 is the topmost cgroup of the round; the parent of n is (n - 1) / 3. */
static void node_path(int node, char *path, size_t size)
{
	int way[8], depth = 0;
	size_t len;

	for (; node; node = (node - 1) / 3)
		way[depth++] = node;
	len = snprintf(path, size, TOP "/r%d", round_nr);
	while (depth--)
		len += snprintf(path + len, size - len, "/%d", way[depth]);
}

static void node_file(int node, const char *file, char *path, size_t size)
{
	size_t len;

	node_path(node, path, size);
	len = strlen(path);
	snprintf(path + len, size - len, "/%s", file);
}

static int open_node(int node)
{
	char path[256];

	node_path(node, path, sizeof(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What a worker does */

static int links[LINKS];

/* With the authority of a delegate: without CAP_SYS_ADMIN, this thread only. */
static void delegate(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		err(1, "capget");
	if (on)
		data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	else
		data[0].effective = data[0].permitted;
	if (syscall(SYS_capset, &header, data))
		err(1, "capset");
}

static unsigned int random_policy(void)
{
	/* "delay" and "loop" take long, others fill the round better */
	unsigned int n = pick(NR_POLICIES + 12);

	return n < NR_POLICIES ? n : pick(4) ? pick(2) * 2 : 3 + pick(2);
}

static void do_attach(void)
{
	static const unsigned int modes[] = {
		BPF_F_ALLOW_MULTI, BPF_F_ALLOW_MULTI, BPF_F_ALLOW_MULTI, BPF_F_ALLOW_MULTI,
		BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_OVERRIDE, 0,
		BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE, BPF_F_BEFORE, 1U << 31,
	};
	unsigned int policy = random_policy(), flags = modes[pick(10)], slot = pick(LINKS);
	unsigned int node = pick(20) ? 1 + pick(NODES - 1) : pick(2), as_delegate = !pick(4);
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd = open_node(node), link, error;

	/* now and then not a cgroup at all, or none */
	if (!pick(30)) {
		close(fd);
		fd = pick(2) ? open("/tmp", O_RDONLY | O_CLOEXEC) : -1;
	}
	opts.flags = BPF_F_CGROUP_FD | flags;
	if (!pick(20))
		opts.cgroup.expected_revision = 1 + pick(4);
	if (as_delegate)
		delegate(true);
	link = bpf_link_create(maps[policy], fd, BPF_STRUCT_OPS, &opts);
	error = errno;
	if (as_delegate)
		delegate(false);
	errno = error;
	count(ATTACH, link);
	if (fd >= 0)
		close(fd);
	if (link < 0)
		return;
	if (flags & ~(BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE) ||
	    flags == (BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE))
		failure("attached with flags %#x", flags);
	if (links[slot] >= 0)
		close(links[slot]);
	links[slot] = link;
}

static void do_update(void)
{
	unsigned int slot = pick(LINKS), policy = random_policy(), expected = pick(NR_POLICIES);
	LIBBPF_OPTS(bpf_link_update_opts, opts);

	if (!pick(3)) {
		opts.flags = BPF_F_REPLACE;
		opts.old_map_fd = maps[expected];
	}
	if (links[slot] >= 0)
		count(UPDATE, bpf_link_update(links[slot], maps[policy], &opts) ? -1 : 0);
}

static void do_detach(bool twice)
{
	unsigned int slot = pick(LINKS);
	pid_t pid = -1;
	int status;

	if (links[slot] < 0)
		return;
	if (twice) {
		pid = fork();
		if (!pid)
			_exit(bpf_link_detach(links[slot]) ? errno : 0);
	}
	count(twice ? DETACH_TWICE : DETACH, bpf_link_detach(links[slot]) ? -1 : 0);
	if (pid > 0)
		waitpid(pid, &status, 0);
}

static void pin_name(unsigned int n, char *name, size_t size)
{
	snprintf(name, size, PINS "/%d-%u", worker_nr, n);
}

static void do_pin(void)
{
	unsigned int slot = pick(LINKS), n = pick(8);
	char name[64];

	pin_name(n, name, sizeof(name));
	if (links[slot] >= 0)
		count(PIN, bpf_obj_pin(links[slot], name) ? -1 : 0);
}

static void do_unpin(void)
{
	unsigned int slot = pick(LINKS), n = pick(8), get = pick(2);
	char name[64];
	int fd;

	pin_name(n, name, sizeof(name));
	if (get) {
		fd = bpf_obj_get(name);
		if (fd >= 0) {
			if (links[slot] >= 0)
				close(links[slot]);
			links[slot] = fd;
		}
	}
	count(UNPIN, unlink(name));
}

static void do_query(void)
{
	unsigned int node = pick(NODES), effective = pick(2);
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	__u32 ids[8];
	int fd = open_node(node);

	if (fd < 0)
		return;
	opts.link_ids = ids;
	opts.count = 8;
	opts.query_flags = effective ? BPF_F_QUERY_EFFECTIVE : 0;
	opts.struct_ops_type_id = type_id;
	count(QUERY, bpf_prog_query_opts(fd, BPF_STRUCT_OPS, &opts) ? -1 : 0);
	close(fd);
}

static void do_info(void)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	unsigned int slot = pick(LINKS);
	char name[64], text[512];
	int fd;

	if (links[slot] < 0)
		return;
	count(INFO, bpf_link_get_info_by_fd(links[slot], &info, &len) ? -1 : 0);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", links[slot]);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
		failure("%s cannot be read", name);
	close(fd);
}

/* A process that loads policies of its own, attaches them, and is killed at any moment. */
static void do_loader(void)
{
	unsigned int node = 1 + pick(NODES - 1), ms = pick(200);
	pid_t pid = fork();
	int fd, status;

	if (!pid) {
		LIBBPF_OPTS(bpf_struct_ops_opts, opts,
			    .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
		struct torture_bench *own;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		libbpf_set_print(NULL);
		own = torture_bench__open_and_load();
		fd = open_node(node);
		opts.target_fd = fd;
		if (own && fd >= 0)
			bpf_map__attach_struct_ops_opts(own->maps.random, &opts);
		pause();
	}
	if (pid < 0)
		return;
	usleep(ms * 1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	count(LOADER, 0);
}

static void do_limit(void)
{
	static const char * const files[] = { "memory.max", "memory.high", "memory.low", "memory.min" };
	unsigned int node = pick(NODES), which = pick(4), size = pick(8);
	char name[256], value[32];

	/* An unlimited one now and then, or nothing would ever be charged */
	if (size)
		snprintf(value, sizeof(value), "%uM", size * (which ? 1 : 4));
	else
		strcpy(value, which < 2 ? "max" : "0");
	node_file(node, files[which], name, sizeof(name));
	count(LIMIT, write_file(name, value));
}

static void do_reclaim(void)
{
	unsigned int node = pick(NODES), size = 1 + pick(8);
	char name[256], value[32];

	node_file(node, "memory.reclaim", name, sizeof(name));
	snprintf(value, sizeof(value), "%uM", size);
	count(RECLAIM, write_file(name, value));
}

/* What a process that charges does until it is killed */

static void charge(unsigned int node, unsigned int times)
{
	enum { AREAS = 4, SIZE = 4 };
	static char page[4096];
	char *areas[AREAS] = { }, name[256];
	int sockets[2] = { -1, -1 }, fds[32], nr_fds = 0, fd;
	unsigned int op, slot, size, i, to;

	node_file(node, "cgroup.procs", name, sizeof(name));
	count(MOVE, write_file(name, "0"));
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets);
	while (times--) {
		op = ANON + pick(NR_OPS - ANON);
		slot = pick(AREAS);
		/* pages; mostly few, which leaves time for more operations */
		size = 1 + pick(pick(8) ? 16 : 256);
		to = 1 + pick(NODES - 1);
		switch (op) {
		case ANON:
		case THP:
			if (areas[slot])
				munmap(areas[slot], SIZE * MIB);
			areas[slot] = mmap(NULL, SIZE * MIB, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (areas[slot] == MAP_FAILED) {
				areas[slot] = NULL;
				break;
			}
			madvise(areas[slot], SIZE * MIB, op == THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
			for (i = 0; i < size; i++)
				((volatile char *)areas[slot])[i * 4096] = 1;
			count(op, 0);
			break;
		case TMPFS:
		case FILES:
			snprintf(name, sizeof(name), "%s/%d-%u", op == TMPFS ? SCRATCH : "/run/disk",
				 worker_nr, slot);
			fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
			if (fd < 0)
				break;
			for (i = 0; i < size / 4; i++)
				if (pwrite(fd, page, 4096, i * 4096) != 4096)
					break;
			if (size & 1)
				(void)!ftruncate(fd, 0);
			close(fd);
			count(op, 0);
			break;
		case KMEM:
			while (nr_fds < 30 && size--) {
				if (pipe2(fds + nr_fds, O_CLOEXEC | O_NONBLOCK))
					break;
				(void)!write(fds[nr_fds + 1], page, 4096);
				nr_fds += 2;
			}
			count(op, 0);
			break;
		case SOCKET:
			for (i = 0; i < size / 4; i++)
				if (send(sockets[i & 1], page, sizeof(page), MSG_DONTWAIT) < 0)
					break;
			for (i = 0; i < size / 8; i++)
				if (recv(sockets[i & 1], page, sizeof(page), MSG_DONTWAIT) < 0)
					break;
			count(op, 0);
			break;
		case MOVE:
			node_file(to, "cgroup.procs", name, sizeof(name));
			count(op, write_file(name, "0"));
			break;
		case FREE:
			if (areas[slot])
				munmap(areas[slot], SIZE * MIB);
			areas[slot] = NULL;
			while (nr_fds)
				close(fds[--nr_fds]);
			count(op, 0);
			break;
		}
	}
}

/* Children of this worker that charge; the oldest makes room for a new one */
static pid_t charging[4];

/* All of a small file of that process, "" if it cannot be read. */
static void read_proc(pid_t pid, const char *file, char *text, size_t size)
{
	ssize_t len = -1;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/%s", pid, file);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, size - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
}

/* What keeps a process that was killed: where it is, and the CPU time it has had. */
static void print_late(pid_t pid, double seconds)
{
	unsigned long user = 0, system = 0;
	char text[2048], *end, state = '?';

	/* the 3rd, 14th and 15th field; the 2nd, a name, ends with ')' */
	read_proc(pid, "stat", text, sizeof(text));
	end = strrchr(text, ')');
	if (end)
		sscanf(end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		       &state, &user, &system);
	read_proc(pid, "stack", text, sizeof(text));
	printf("round %d: %d was killed %.1f s ago; state %c, CPU time %lu + %lu ms, at:\n%s",
	       round_nr, pid, seconds, state, user * 10, system * 10, text);
}

static void end_charging(unsigned int slot)
{
	unsigned long took, longest, said = 2000;
	double start = now();
	int status;

	if (charging[slot] <= 0)
		return;
	kill(charging[slot], SIGKILL);
	while (!waitpid(charging[slot], &status, WNOHANG)) {
		usleep(1000);
		took = (now() - start) * 1000;
		if (took >= said) {
			print_late(charging[slot], took / 1000.0);
			said *= 2;
		}
	}
	charging[slot] = 0;
	took = (now() - start) * 1000;
	for (longest = atomic_load(&shared->longest_kill); took > longest;)
		if (atomic_compare_exchange_weak(&shared->longest_kill, &longest, took))
			break;
}

static void do_load(void)
{
	unsigned int slot = pick(4), node = 1 + pick(NODES - 1), times = 50 + pick(400);
	uint64_t own = next_random();
	int i;

	end_charging(slot);
	charging[slot] = fork();
	if (!charging[slot]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		state = own;
		/* links belong to the worker */
		for (i = 0; i < LINKS; i++)
			if (links[i] >= 0)
				close(links[i]);
		charge(node, times);
		_exit(0);
	}
	count(LOAD, charging[slot]);
}

static void do_fault(void)
{
	unsigned int nth = 1 + pick(30);
	char value[16];

	if (!may_inject)
		return;
	snprintf(value, sizeof(value), "%u", nth);
	count(FAULT, write_file("/proc/thread-self/fail-nth", value));
}

static void do_mkdir(void)
{
	unsigned int node = 1 + pick(NODES - 1), enable = pick(4);
	char path[256];

	node_path(node, path, sizeof(path));
	count(MKDIR, mkdir(path, 0755));
	/* Its parent has to give it a memory controller, mostly */
	node_file((node - 1) / 3, "cgroup.subtree_control", path, sizeof(path));
	if (enable)
		write_file(path, "+memory");
}

static void do_controller(void)
{
	unsigned int node = pick(13), on = pick(2);
	char path[256];

	node_file(node, "cgroup.subtree_control", path, sizeof(path));
	count(CONTROLLER, write_file(path, on ? "+memory" : "-memory"));
}

static void do_rmdir(void)
{
	unsigned int node = 1 + pick(NODES - 1);
	char path[256];

	node_path(node, path, sizeof(path));
	count(RMDIR, rmdir(path));
}

static void step(int op)
{
	unsigned int slot;

	if (no_policy && op >= ATTACH && op <= LOADER)
		return;
	switch (op) {
	case MKDIR:		do_mkdir(); break;
	case RMDIR:		do_rmdir(); break;
	case CONTROLLER:	do_controller(); break;
	case ATTACH:		do_attach(); break;
	case UPDATE:		do_update(); break;
	case DETACH:		do_detach(false); break;
	case DETACH_TWICE:	do_detach(true); break;
	case CLOSE:
		slot = pick(LINKS);
		if (links[slot] >= 0)
			count(CLOSE, close(links[slot]));
		links[slot] = -1;
		break;
	case PIN:		do_pin(); break;
	case UNPIN:		do_unpin(); break;
	case QUERY:		do_query(); break;
	case INFO:		do_info(); break;
	case LOADER:		do_loader(); break;
	case LIMIT:		do_limit(); break;
	case RECLAIM:		do_reclaim(); break;
	case LOAD:		do_load(); break;
	case FAULT:		do_fault(); break;
	}
}

static void worker(int number)
{
	int i, n, op, total = 0;

	worker_nr = number;
	seed_for(number);
	for (op = 0; op < ANON; op++)
		total += ops[op].weight;
	for (i = 0; i < LINKS; i++)
		links[i] = -1;
	for (i = 0; i < steps; i++) {
		n = pick(total);
		for (op = 0; n >= ops[op].weight; op++)
			n -= ops[op].weight;
		step(op);
	}
	for (i = 0; i < 4; i++)
		end_charging(i);
	/* Links are closed by the exit, which is a way of its own */
}

/* Around a round */

/* How many objects there are: of links those to cgroups, of maps those of struct_ops. */
static int count_links(void)
{
	struct bpf_link_info info;
	__u32 id = 0, len;
	int fd, n = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!bpf_link_get_info_by_fd(fd, &info, &len) && info.type == BPF_LINK_TYPE_STRUCT_OPS)
			n++;
		close(fd);
	}
	return n;
}

static int count_maps(void)
{
	struct bpf_map_info info;
	__u32 id = 0, len;
	int fd, n = 0;

	while (!bpf_map_get_next_id(id, &id)) {
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!bpf_map_get_info_by_fd(fd, &info, &len) && info.type == BPF_MAP_TYPE_STRUCT_OPS)
			n++;
		close(fd);
	}
	return n;
}

static unsigned long long misses(void)
{
	static const char * const names[] = { "books_charged", "books_uncharged" };
	unsigned long long sum = 0;
	struct bpf_prog_info info;
	struct bpf_program *prog;
	unsigned int i;
	__u32 len;

	for (i = 0; !no_policy && i < 2; i++) {
		prog = bpf_object__find_program_by_name(skel->obj, names[i]);
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!prog || bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			err(1, "%s", names[i]);
		sum += info.recursion_misses;
	}
	return sum;
}

#define wait_for(seconds, cond) ({			\
	double __end = now() + (seconds);		\
	bool __ok;					\
							\
	while (!(__ok = (cond)) && now() < __end)	\
		usleep(5000);				\
	__ok;						\
})

static void remove_pins(void)
{
	struct dirent *entry;
	char name[512];
	DIR *dir = opendir(PINS);

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			snprintf(name, sizeof(name), PINS "/%s", entry->d_name);
			unlink(name);
		}
	if (dir)
		closedir(dir);
}

/* Most of them are there at the beginning, with a memory controller. */
static void make_nodes(void)
{
	char path[300];
	int node;

	seed_for(WORKERS);
	/* a million in one of sixteen rounds, which takes long; in most, others get to run */
	node = pick(16);
	skel->data->loop_iterations = node == 15 ? 1000000 : node == 14 ? 10000 : node < 7 ? 100 : 1000;
	/* endless in one of four rounds, which takes a CPU away from the others */
	skel->data->requeues = pick(4) ? 4 : UINT64_MAX;
	/* Grace periods of their usual length, or over before the next operation */
	write_file("/sys/kernel/rcu_expedited", pick(2) ? "1" : "0");
	for (node = 0; node < NODES; node++) {
		node_path(node, path, sizeof(path));
		if (node && pick(8))
			mkdir(path, 0755);
		node_file(node, "cgroup.subtree_control", path, sizeof(path));
		if (node < NODES / 3)
			write_file(path, "+memory");
	}
}

static void remove_nodes(void)
{
	char path[256];
	int node;

	for (node = NODES - 1; node > 0; node--) {
		node_path(node, path, sizeof(path));
		if (rmdir(path) && errno != ENOENT)
			failure("%s: cannot be removed: %s", path, strerror(errno));
	}
}

static void remove_scratch(void)
{
	char name[64];
	int i, j;

	for (i = 0; i < WORKERS; i++)
		for (j = 0; j < 4; j++) {
			snprintf(name, sizeof(name), SCRATCH "/%d-%d", i, j);
			unlink(name);
			snprintf(name, sizeof(name), "/run/disk/%d-%d", i, j);
			unlink(name);
		}
}

/*
 * A CPU keeps what it charged in advance for the last few memcgs, and with it these
 * memcgs, until it charges for others. So have each CPU charge for others.
 */
static void empty_stocks(void)
{
	int cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	char name[128];
	cpu_set_t set;
	pid_t pid;

	mkdir(OTHERS, 0755);
	write_file(OTHERS "/cgroup.subtree_control", "+memory");
	for (i = 0; i < NR_OTHERS * cpus; i++) {
		cpu = i / NR_OTHERS;
		snprintf(name, sizeof(name), OTHERS "/%d", i % NR_OTHERS);
		mkdir(name, 0755);
		strcat(name, "/cgroup.procs");
		pid = fork();
		if (!pid) {
			CPU_ZERO(&set);
			CPU_SET(cpu, &set);
			if (sched_setaffinity(0, sizeof(set), &set) || write_file(name, "0") < 0 ||
			    mmap(NULL, MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
				_exit(1);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			err(1, "fork");
	}
}

/*
 * A page that was read from swap ahead of time stays in the swap cache when the process
 * is gone, and keeps the memcg of its swap entry. Pages that are in use keep theirs, too.
 */
static void empty_swap_cache(void)
{
	char line[256], *end;
	FILE *f = fopen("/proc/swaps", "re");

	if (f && fgets(line, sizeof(line), f) && fgets(line, sizeof(line), f)) {
		end = strchr(line, ' ');
		if (end)
			*end = '\0';
		if (swapoff(line) || swapon(line, 0))
			err(1, "%s", line);
	}
	if (f)
		fclose(f);
}

/*
 * Files and directories that were written keep the memcg of who did, until they are
 * clean and, after that, some other memcg goes offline (cleanup_offline_cgwbs_workfn()).
 */
static void empty_writeback(void)
{
	sync();
	/* empty_stocks() makes it again */
	if (rmdir(OTHERS "/0"))
		err(1, OTHERS "/0");
}

static bool none_dies(const char *dir)
{
	if (!read_long(dir, "cgroup.stat", "nr_dying_descendants"))
		return true;
	/* A socket, for one, may be uncharged after its cgroup was removed */
	empty_stocks();
	if (wait_for(1, read_long(dir, "cgroup.stat", "nr_dying_descendants") == 0))
		return true;
	empty_swap_cache();
	empty_writeback();
	return false;
}

/* The pages that the bookkeeper believes are charged, less those that are. */
static long books_off(const char *top)
{
	if (no_policy)
		return 0;
	return (long)(skel->bss->charged - skel->bss->uncharged) -
	       read_long(top, "memory.current", NULL) / 4096;
}

static void one_round(void)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	int links_before, maps_before, i, fd, status;
	unsigned long long misses_before;
	struct bpf_link *books = NULL;
	pid_t pids[WORKERS];
	char top[256];

	/* that of the bookkeeper is one */
	links_before = count_links() + !no_policy;
	maps_before = count_maps();
	misses_before = misses();
	skel->bss->stop_requeue = false;
	skel->bss->online = skel->bss->offline = 0;
	skel->bss->charged = skel->bss->uncharged = 0;

	node_path(0, top, sizeof(top));
	if (mkdir(top, 0755))
		err(1, "%s", top);
	fd = open_node(0);
	opts.target_fd = fd;
	if (!no_policy)
		books = bpf_map__attach_struct_ops_opts(skel->maps.books, &opts);
	if (!no_policy && !books)
		err(1, "%s: cannot attach the bookkeeper", top);
	make_nodes();

	for (i = 0; i < WORKERS; i++) {
		fflush(stdout);
		pids[i] = fork();
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			worker(i);
			_exit(0);
		}
		if (pids[i] < 0)
			err(1, "fork");
	}
	for (i = 0; i < WORKERS; i++)
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			failure("worker %d ended with status %#x", i, status);

	/* Nothing may be left but the bookkeeper. */
	skel->bss->stop_requeue = true;
	remove_pins();
	remove_scratch();
	write_file("/proc/sys/vm/drop_caches", "3");
	if (!wait_for(30, count_links() == links_before))
		failure("%d links are left", count_links() - links_before);
	if (!wait_for(30, count_maps() == maps_before))
		failure("%d struct_ops maps are left", count_maps() - maps_before);
	remove_nodes();
	if (!wait_for(60, none_dies(top)))
		failure("%ld dying cgroups are left", read_long(top, "cgroup.stat", "nr_dying_descendants"));
	/*
	 * A call that was skipped, because a hostile policy made the kernel charge from
	 * within or the context was not fit, is missing in the books and says so.
	 */
	if (!wait_for(10, misses() != misses_before || books_off(top) == 0))
		failure("the books are off by %ld pages", books_off(top));

	bpf_link__destroy(books);
	if (skel->bss->online != skel->bss->offline)
		failure("%llu online calls, but %llu offline calls",
			(unsigned long long)skel->bss->online, (unsigned long long)skel->bss->offline);
	close(fd);
	if (rmdir(top))
		failure("%s cannot be removed: %s", top, strerror(errno));
	if (!wait_for(30, none_dies(TOP)))
		failure("the topmost cgroup of the round dies on");
	write_file("/sys/kernel/rcu_expedited", "0");
}

static void load(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_map *map;
	unsigned int i;

	if (btf)
		type_id = btf__find_by_name_kind(btf, "memcg_bpf_ops", BTF_KIND_STRUCT);
	btf__free(btf);
	skel = torture_bench__open_and_load();
	if (!skel)
		err(1, "cannot load the policies: does this kernel have memcg_bpf_ops?");
	LIBBPF_OPTS(bpf_test_run_opts, run);
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &run) || run.retval)
		errx(1, "cannot prepare the queue");
	for (i = 0; i < NR_POLICIES; i++) {
		map = bpf_object__find_map_by_name(skel->obj, policies[i]);
		if (!map)
			errx(1, "no policy %s", policies[i]);
		maps[i] = bpf_map__fd(map);
	}
}

/* libbpf fills in a struct_ops map when it attaches it: do so for each, once. */
static void make_ready(void)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	struct bpf_link *link;
	unsigned int i;

	opts.target_fd = open(TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < NR_POLICIES; i++) {
		link = bpf_map__attach_struct_ops_opts(bpf_object__find_map_by_name(skel->obj, policies[i]),
						       &opts);
		if (!link)
			err(1, "cannot attach the policy %s", policies[i]);
		bpf_link__destroy(link);
	}
	close(opts.target_fd);
}

static unsigned long all_done(void)
{
	unsigned long all = 0;
	int i;

	for (i = 0; i < NR_OPS; i++)
		all += atomic_load(&shared->done[i]);
	return all;
}

static void print_counts(double seconds, int rounds, int last)
{
	unsigned long done, refused, all = 0, lifetime = 0;
	int i;

	for (i = 0; i < NR_OPS; i++) {
		done = atomic_load(&shared->done[i]);
		refused = atomic_load(&shared->refused[i]);
		all += done;
		if (ops[i].lifetime)
			lifetime += done;
		printf("%-28s %9lu, %9lu refused\n", ops[i].name, done, refused);
	}
	printf("%d rounds in %.0f s: %lu operations, %lu of them on lifetimes; policies called %llu times, requeued %llu\n"
	       "SIGKILL took up to %lu ms\n",
	       rounds, seconds, all, lifetime, (unsigned long long)skel->bss->hostile_calls,
	       (unsigned long long)skel->bss->requeued, atomic_load(&shared->longest_kill));
	printf("@{\"seed\": %llu, \"rounds\": %d, \"last_round\": %d, \"seconds\": %.0f, \"operations\": %lu, \"lifetime\": %lu, \"longest_kill_ms\": %lu, \"failures\": %d, \"kinds\": [",
	       (unsigned long long)seed, rounds, last, seconds, all, lifetime,
	       atomic_load(&shared->longest_kill), atomic_load(&shared->failures));
	for (i = 0; i < NR_OPS; i++)
		printf("%s{\"kind\": \"%s\", \"lifetime\": %s, \"done\": %lu, \"refused\": %lu}",
		       i ? ", " : "", ops[i].name, ops[i].lifetime ? "true" : "false",
		       atomic_load(&shared->done[i]), atomic_load(&shared->refused[i]));
	printf("]}\n");
}

int main(int argc, char **argv)
{
	int first = argc > 4 ? atoi(argv[4]) : 1, last = argc > 5 ? atoi(argv[5]) : INT_MAX;
	int seconds = argc > 2 ? atoi(argv[2]) : 0, done = 0;
	double start = now();

	steps = argc > 3 ? atoi(argv[3]) : 0;
	if (argc > 6 || seconds < 1 || steps < 1 || first < 1 || last < first)
		errx(2, "usage: torture SEED SECONDS STEPS [FIRST [LAST]]");
	seed = strtoull(argv[1], NULL, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	may_inject = !access("/proc/self/fail-nth", W_OK);
	mkdir(SCRATCH, 0700);
	mkdir(PINS, 0700);
	if (write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory") < 0 ||
	    (mkdir(TOP, 0755) && errno != EEXIST) ||
	    write_file(TOP "/cgroup.subtree_control", "+memory") < 0)
		err(1, TOP);
	no_policy = getenv("NO_POLICY");
	/* Its maps are not to be charged to a cgroup that a round takes away */
	if (no_policy) {
		skel = torture_bench__open();
		if (!skel)
			err(1, "cannot open the policies");
	} else {
		load();
		make_ready();
	}
	printf("SEED=%llu, faults are %sinjected\n", (unsigned long long)seed, may_inject ? "" : "not ");

	for (round_nr = first; !atomic_load(&shared->failures); round_nr++) {
		one_round();
		done++;
		printf("round %d: %.0f s, %lu operations\n", round_nr, now() - start, all_done());
		if (round_nr == last || now() - start > seconds)
			break;
	}
	print_counts(now() - start, done, first + done - 1);
	if (atomic_load(&shared->failures))
		errx(1, "FAILED: %s; to replay: SEED=%llu, round %d", shared->what,
		     (unsigned long long)seed, round_nr);
	return 0;
}
