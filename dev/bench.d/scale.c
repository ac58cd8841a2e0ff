// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark of many cgroups, what runs in the guest:
 *
 *	scale run DIR N MIB NEIGHBOUR-MIB SECONDS MODE [PIN]
 *		N cgroups in DIR with a worker each that has MIB of memory, 5 % of them
 *		active at a time, which changes every 4 s; a neighbour beside them that
 *		touches NEIGHBOUR-MIB over and over; 5 cgroups a second that come and go.
 *		One line of JSON per second, and one at the end. MODE says how it is told
 *		whether a cgroup is protected: low (memory.low is not 0), or policy (the
 *		state in the map PIN/cgroups; the CPU time of its programs is reported).
 *	scale daemon DIR LOW
 *		what the policy does, in user space: memory.low is LOW for those that used
 *		CPU time, and 0 for those that did not for 2 s.
 *	scale mkdir DIR N SECONDS
 *		N empty cgroups in DIR; how long it takes meanwhile to make another one and to
 *		remove it, again and again: both wait for cgroup_mutex, which an iterator over
 *		cgroups holds.
 *
 * The daemon is what a careful author would write: it keeps all files open, reads
 * with pread(), writes only what changes, learns of new cgroups by inotify, and
 * locks its memory.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <bpf/bpf.h>
#include "../../samples/bpf/memcg.h"

#define MAX_CGROUPS	2000
#define MAX_DAEMON	4096
#define PAGE		4096
#define TURN_MS		4000	/* how long the same ones are active */
#define INTERVAL_MS	200	/* as the policy has by default */
#define HOLD_MS		2000
#define ACTIVE_US	10000
#define CHURN_MS	200
#define SAMPLE_MS	5

static void fail(const char *what)
{
	fprintf(stderr, "scale: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static unsigned long long read_number(int dir, const char *file)
{
	char text[64] = "";
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	close(fd);
	return strtoull(text, NULL, 10);
}

static void write_text(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(file);
	close(fd);
}

/* The load */

struct shared {
	unsigned int active[MAX_CGROUPS];	/* a futex each */
	unsigned long long ops[MAX_CGROUPS];	/* pages touched */
	unsigned long long neighbour_ops;
};

static struct shared *shared;

static void touch(volatile char *memory, size_t pages, unsigned int *seed)
{
	memory[(size_t)(rand_r(seed) % pages) * PAGE]++;
}

static void __attribute__((noreturn)) worker(int i, size_t pages)
{
	unsigned int seed = i, n;
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t p;

	if (memory == MAP_FAILED)
		fail("mmap");
	for (p = 0; p < pages; p++)
		memory[p * PAGE] = p;
	for (;;) {
		while (!__atomic_load_n(&shared->active[i], __ATOMIC_ACQUIRE))
			syscall(SYS_futex, &shared->active[i], FUTEX_WAIT, 0, NULL, NULL, 0);
		for (n = 0; n < 64; n++)
			touch(memory, pages, &seed);
		__atomic_fetch_add(&shared->ops[i], 64, __ATOMIC_RELAXED);
	}
}

static void __attribute__((noreturn)) neighbour(size_t pages)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t p;

	if (memory == MAP_FAILED)
		fail("mmap");
	for (;;) {
		for (p = 0; p < pages; p++) {
			memory[p * PAGE]++;
			__atomic_fetch_add(&shared->neighbour_ops, 1, __ATOMIC_RELAXED);
		}
	}
}

static int make_cgroup(int dir, const char *name)
{
	int fd;

	if (mkdirat(dir, name, 0755) && errno != EEXIST)
		fail(name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fail(name);
	return fd;
}

/* Into the cgroup first, because memory belongs to where it is charged */
static pid_t spawn(int cgroup)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_text(cgroup, "cgroup.procs", "0");
	}
	return pid;
}

/* Short-lived ones: made, used for a MiB, and removed */
static void __attribute__((noreturn)) churn(int dir)
{
	unsigned int n;
	pid_t pid;
	int fd;

	for (n = 0; ; n++) {
		fd = make_cgroup(dir, "short-lived");
		pid = spawn(fd);
		if (!pid) {
			char *memory = malloc(1 << 20);

			if (memory)
				memset(memory, 1, 1 << 20);
			_exit(memory ? memory[n % (1 << 20)] != 1 : 0);
		}
		waitpid(pid, NULL, 0);
		close(fd);
		while (unlinkat(dir, "short-lived", AT_REMOVEDIR) && errno == EBUSY)
			usleep(1000);
		usleep(CHURN_MS * 1000);
	}
}

static unsigned long long bpf_time_us(const char *pin)
{
	unsigned long long sum = 0;
	struct bpf_prog_info info;
	__u32 id = 0, len;
	int fd;

	/* all that run here are the policy's */
	while (pin && !bpf_prog_get_next_id(id, &id)) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!bpf_prog_get_info_by_fd(fd, &info, &len) &&
		    info.type == BPF_PROG_TYPE_STRUCT_OPS)
			sum += info.run_time_ns / 1000;
		close(fd);
	}
	return sum;
}

static int map_fd = -1;

static bool is_protected(int cgroup)
{
	struct memcg_state state;

	if (map_fd < 0)
		return read_number(cgroup, "memory.low") > 0;
	/* until it is asked about it is what it was */
	return !bpf_map_lookup_elem(map_fd, &cgroup, &state) && state.decision != EXPOSE;
}

static int compare(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int run(int argc, char **argv)
{
	static int cgroups[MAX_CGROUPS];
	static unsigned long long woken[MAX_CGROUPS], delays[100000];
	unsigned long long start, now, next_turn, next_second, ops = 0, last_ops = 0, last_neighbour = 0;
	unsigned long long idle_sum = 0, late = 0;
	int n = atoi(argv[1]), seconds = atoi(argv[4]), i, dir, other, nr_active, first = 0;
	size_t pages = atof(argv[2]) * 256, nr_delays = 0;
	const char *pin = argc > 6 ? argv[6] : NULL;
	char name[64], path[PATH_MAX];
	int samples = 0;

	if (n < 1 || n > MAX_CGROUPS || seconds < 1)
		return 2;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 2 * MAX_CGROUPS, 2 * MAX_CGROUPS });
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	dir = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || shared == MAP_FAILED)
		fail(argv[0]);
	if (pin) {
		snprintf(path, sizeof(path), "%s/cgroups", pin);
		map_fd = bpf_obj_get(path);
		if (map_fd < 0)
			fail(path);
	}
	nr_active = n / 20 ?: 1;
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		cgroups[i] = make_cgroup(dir, name);
		if (!spawn(cgroups[i]))
			worker(i, pages);
	}
	/*
	 * All have their memory, and idle for longer than the hold time. One that thrashes
	 * already gets memory slowly, whoever is exposed: it reclaims mostly from itself.
	 */
	sleep(4);
	snprintf(path, sizeof(path), "%s/../neighbour", argv[0]);
	other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (other < 0)
		fail(path);
	if (!spawn(other))
		neighbour(atoi(argv[3]) * 256UL);
	if (!fork()) {
		/* ends with this one, as all do */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		churn(dir);
	}

	/* the neighbour, too */
	sleep(8);
	start = next_turn = next_second = now_us();
	last_neighbour = shared->neighbour_ops;
	while ((now = now_us()) < start + seconds * 1000000ULL) {
		if (now >= next_turn) {
			for (i = 0; i < nr_active; i++) {
				shared->active[(first + i) % n] = 0;
				late += !!woken[(first + i) % n];
				woken[(first + i) % n] = 0;
			}
			first = (first + nr_active) % n;
			for (i = 0; i < nr_active; i++) {
				int c = (first + i) % n;

				shared->active[c] = 1;
				woken[c] = now_us();
				syscall(SYS_futex, &shared->active[c], FUTEX_WAKE, 1, NULL, NULL, 0);
			}
			next_turn += TURN_MS * 1000;
		}
		for (i = 0; i < nr_active; i++) {
			int c = (first + i) % n;

			if (woken[c] && is_protected(cgroups[c])) {
				if (nr_delays < 100000)
					delays[nr_delays++] = now_us() - woken[c];
				woken[c] = 0;
			}
		}
		if (now >= next_second) {
			unsigned long long idle = 0, active = 0, current;

			for (ops = 0, i = 0; i < n; i++) {
				current = read_number(cgroups[i], "memory.current");
				if (shared->active[i])
					active += current;
				else
					idle += current;
				ops += shared->ops[i];
			}
			idle_sum += idle >> 20;
			samples++;
			printf("{\"second\": %llu, \"idle_mib\": %llu, \"active_mib\": %llu, \"neighbour_mib\": %llu, \"ops\": %llu, \"neighbour_ops\": %llu}\n",
			       (now - start) / 1000000, idle >> 20, active >> 20,
			       read_number(other, "memory.current") >> 20, ops - last_ops,
			       shared->neighbour_ops - last_neighbour);
			fflush(stdout);
			last_ops = ops;
			last_neighbour = shared->neighbour_ops;
			next_second += 1000000;
		}
		usleep(SAMPLE_MS * 1000);
	}
	for (ops = 0, i = 0; i < n; i++)
		ops += shared->ops[i];
	qsort(delays, nr_delays, sizeof(*delays), compare);
	printf("{\"end\": true, \"cgroups\": %d, \"seconds\": %d, \"ops\": %llu, \"neighbour_ops\": %llu, \"idle_mib\": %llu, ",
	       n, seconds, ops / seconds, shared->neighbour_ops / seconds, idle_sum / samples);
	printf("\"woken\": %zu, \"never\": %llu, \"protected_ms\": %.1f, \"protected_p90_ms\": %.1f, \"bpf_us\": %llu}\n",
	       nr_delays, late, nr_delays ? delays[nr_delays / 2] / 1e3 : -1,
	       nr_delays ? delays[nr_delays * 9 / 10] / 1e3 : -1, bpf_time_us(pin));
	return 0;
}

/* The daemon */

struct governed {
	char name[64];
	int cpu_fd, low_fd;
	unsigned long long usage, since, active_at;
	bool low;
};

static struct governed governed[MAX_DAEMON];
static int nr_governed;

static unsigned long long cpu_usage(int fd)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 11)
		return 0;
	text[n] = '\0';
	/* usage_usec is the first line */
	return strtoull(text + 11, NULL, 10);
}

static void add(int dir, const char *name)
{
	struct governed *g = &governed[nr_governed];
	char path[128];

	if (nr_governed == MAX_DAEMON || strlen(name) >= sizeof(g->name))
		return;
	snprintf(path, sizeof(path), "%s/cpu.stat", name);
	g->cpu_fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/memory.low", name);
	g->low_fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	if (g->cpu_fd < 0 || g->low_fd < 0) {
		close(g->cpu_fd);
		close(g->low_fd);
		return;
	}
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->usage = cpu_usage(g->cpu_fd);
	g->since = g->active_at = now_us();
	/* as the policy has it: a new one counts as active */
	g->low = false;
	nr_governed++;
}

static void drop(const char *name)
{
	int i;

	for (i = 0; i < nr_governed; i++) {
		if (strcmp(governed[i].name, name))
			continue;
		close(governed[i].cpu_fd);
		close(governed[i].low_fd);
		governed[i] = governed[--nr_governed];
		return;
	}
}

static void steer(const char *low)
{
	unsigned long long now = now_us(), usage;
	struct governed *g;
	bool active;

	for (g = governed; g < governed + nr_governed; g++) {
		usage = cpu_usage(g->cpu_fd);
		if (usage - g->usage >= ACTIVE_US)
			g->active_at = now;
		if (usage - g->usage >= ACTIVE_US || now - g->since >= INTERVAL_MS * 1000) {
			g->usage = usage;
			g->since = now;
		}
		active = now - g->active_at <= HOLD_MS * 1000;
		if (active != g->low && pwrite(g->low_fd, active ? low : "0",
					       active ? strlen(low) : 1, 0) > 0)
			g->low = active;
	}
}

static int run_daemon(char **argv)
{
	struct itimerspec timer = {
		.it_interval.tv_nsec = INTERVAL_MS * 1000000L,
		.it_value.tv_nsec = INTERVAL_MS * 1000000L,
	};
	char buffer[65536] __attribute__((aligned(8)));
	struct inotify_event *event;
	struct dirent *entry;
	struct rusage usage;
	unsigned long long ticks;
	sigset_t set;
	ssize_t n, at;
	DIR *d;
	int dir;

	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3 * MAX_DAEMON, 3 * MAX_DAEMON });
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("mlockall");

	struct pollfd fds[] = {
		{ .fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN },
		{ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN },
		{ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN },
	};
	if (inotify_add_watch(fds[2].fd, argv[0], IN_CREATE | IN_DELETE | IN_ONLYDIR) < 0)
		fail("inotify");
	timerfd_settime(fds[1].fd, 0, &timer, NULL);
	d = opendir(argv[0]);
	if (!d)
		fail(argv[0]);
	dir = dirfd(d);
	while ((entry = readdir(d)))
		if (entry->d_type == DT_DIR && *entry->d_name != '.')
			add(dir, entry->d_name);
	fprintf(stderr, "ready\n");

	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			break;
		while ((n = read(fds[2].fd, buffer, sizeof(buffer))) > 0) {
			for (at = 0; at < n; at += sizeof(*event) + event->len) {
				event = (void *)(buffer + at);
				if (event->mask & IN_ISDIR && event->mask & IN_CREATE)
					add(dir, event->name);
				else if (event->mask & IN_ISDIR)
					drop(event->name);
			}
		}
		if (fds[1].revents && read(fds[1].fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			steer(argv[1]);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"cpu_us\": %lld}\n",
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
	       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	return 0;
}

static int run_mkdir(char **argv)
{
	static unsigned long long took[1000000];
	int n = atoi(argv[1]), seconds = atoi(argv[2]), dir, i;
	unsigned long long end, before, now;
	size_t nr = 0;
	char name[32];

	dir = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		fail(argv[0]);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		close(make_cgroup(dir, name));
	}
	now = now_us();
	end = now + seconds * 1000000ULL;
	while (now < end && nr < sizeof(took) / sizeof(*took)) {
		before = now_us();
		if (mkdirat(dir, "another", 0755) || unlinkat(dir, "another", AT_REMOVEDIR))
			fail("another");
		now = now_us();
		took[nr++] = now - before;
	}
	qsort(took, nr, sizeof(*took), compare);
	printf("{\"made\": %zu, \"p50_us\": %llu, \"p99_us\": %llu, \"max_us\": %llu}\n",
	       nr, took[nr / 2], took[nr * 99 / 100], took[nr - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 8 && !strcmp(argv[1], "run"))
		return run(argc - 2, argv + 2);
	if (argc == 4 && !strcmp(argv[1], "daemon"))
		return run_daemon(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "mkdir"))
		return run_mkdir(argv + 2);
	fprintf(stderr, "usage: see the first comment of scale.c\n");
	return 2;
}
