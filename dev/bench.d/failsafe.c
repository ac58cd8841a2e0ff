// SPDX-License-Identifier: GPL-2.0
/*
 * What a hostile policy can do to the rest of the machine: run as root by
 * dev/bench.d/failsafe in a guest. One line for each finding, "@" and a JSON object.
 *
 *	failsafe SAMPLES
 *
 * Exit status: 0 measured, 1 something failed, 2 bad usage.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "failsafe.skel.h"

#define ROOT	"/sys/fs/cgroup"
#define TOP	ROOT "/failsafe"
#define LIMITED	TOP "/limited"
#define SIZE	(4UL << 20)
#define BUSY	4
#define SIBLINGS	16

static struct failsafe_bench *skel;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(double *)a, y = *(double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double *v, int n)
{
	qsort(v, n, sizeof(*v), by_value);
	printf("@{\"what\": \"%s\", \"samples\": %d, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n",
	       what, n, v[n / 2], v[n * 99 / 100], v[n - 1]);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", name);
	close(fd);
}

static void touch_all(void)
{
	char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	for (i = 0; i < SIZE; i += 4096)
		((volatile char *)area)[i] = 1;
	munmap(area, SIZE);
}

/* A task in @cgroup that does @what without end. */
static pid_t task(const char *cgroup, void (*what)(void))
{
	char name[300];
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "%s/cgroup.procs", cgroup);
	write_file(name, "0");
	for (;;)
		what();
}

/* One that charges and uncharges */
static pid_t busy(const char *cgroup)
{
	return task(cgroup, touch_all);
}

/* One that has something and sleeps */
static void touch_and_sleep(void)
{
	volatile char some[1 << 16];
	size_t i;

	for (i = 0; i < sizeof(some); i += 4096)
		some[i] = 1;
	pause();
}

static double kill_ms(pid_t pid)
{
	double start = now_ms();

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return now_ms() - start;
}

static struct bpf_link *attach(struct bpf_map *map, const char *cgroup)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	struct bpf_link *link;

	opts.target_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	link = bpf_map__attach_struct_ops_opts(map, &opts);
	if (!link)
		err(1, "%s: cannot attach", cgroup);
	close(opts.target_fd);
	return link;
}

/* A shell that runs a trivial command, in the root cgroup */
static void commands(const char *what, int n)
{
	double *v = calloc(n, sizeof(*v)), start;
	pid_t pid;
	int i;

	for (i = 0; i < n; i++) {
		start = now_ms();
		pid = fork();
		if (!pid) {
			execl("/bin/true", "true", NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
		v[i] = now_ms() - start;
		usleep(2000);
	}
	print(what, v, n);
	free(v);
}

static void start_busy(pid_t *pids)
{
	int i;

	for (i = 0; i < BUSY; i++)
		pids[i] = busy(TOP);
}

static void stop_busy(pid_t *pids)
{
	int i;

	for (i = 0; i < BUSY; i++)
		kill_ms(pids[i]);
}

static bool asleep(pid_t pid)
{
	char name[64], text[512], *at;
	bool yes = false;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	file = fopen(name, "re");
	if (file && fgets(text, sizeof(text), file)) {
		at = strrchr(text, ')');
		yes = at && (at[2] == 'D' || at[2] == 'S');
	}
	if (file)
		fclose(file);
	return yes;
}

/* The longest that a touch of a page took in a task that is delayed for ever, in ms. */
static double one_return(void)
{
	double start, took, longest = 0;
	int ends[2], i;
	char *area;
	pid_t pid;

	if (pipe(ends))
		err(1, "pipe");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		write_file(TOP "/cgroup.procs", "0");
		for (i = 0; i < 256 && longest < 1000; i++) {
			start = now_ms();
			((volatile char *)area)[i * 4096] = 1;
			took = now_ms() - start;
			longest = took > longest ? took : longest;
		}
		(void)!write(ends[1], &longest, sizeof(longest));
		_exit(0);
	}
	if (pid < 0 || read(ends[0], &longest, sizeof(longest)) != sizeof(longest))
		err(1, "a delayed task");
	close(ends[0]);
	close(ends[1]);
	waitpid(pid, NULL, 0);
	return longest;
}

/* Reclaim from all siblings until the kernel gives up: they do not have that much. */
static void reclaim_in_vain(const char *what)
{
	double v[5], start;
	unsigned int i;
	int fd;

	fd = open(LIMITED "/memory.reclaim", O_WRONLY | O_CLOEXEC);
	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		start = now_ms();
		if (write(fd, "1G", 2) >= 0 || errno != EAGAIN)
			err(1, LIMITED "/memory.reclaim");
		v[i] = now_ms() - start;
	}
	close(fd);
	print(what, v, i);
}

/*
 * Tasks that reclaim from cgroups whose policy takes its time to answer, and tasks that are
 * killed while they do.
 */
static void slow_reclaim(double *v, int n)
{
	pid_t siblings[SIBLINGS], pid;
	struct bpf_link *link;
	char name[256];
	__u64 before;
	double start;
	int i;

	mkdir(LIMITED, 0755);
	write_file(TOP "/cgroup.subtree_control", "+memory");
	write_file(LIMITED "/cgroup.subtree_control", "+memory");
	for (i = 0; i < SIBLINGS; i++) {
		snprintf(name, sizeof(name), LIMITED "/%d", i);
		mkdir(name, 0755);
		siblings[i] = task(name, touch_and_sleep);
	}
	reclaim_in_vain("reclaim in vain, no policy");
	link = attach(skel->maps.slow, LIMITED);
	reclaim_in_vain("reclaim in vain, a policy loops a million times in each answer");
	write_file(LIMITED "/memory.high", "1M");
	for (i = 0; i < n; i++) {
		before = __atomic_load_n(&skel->bss->calls, __ATOMIC_RELAXED);
		start = now_ms();
		pid = busy(LIMITED "/0");
		while (__atomic_load_n(&skel->bss->calls, __ATOMIC_RELAXED) < before + 3) {
			if (now_ms() - start > 60000)
				errx(1, LIMITED "/0 does not reclaim");
			usleep(1000);
		}
		v[i] = kill_ms(pid);
	}
	bpf_link__destroy(link);
	for (i = 0; i < SIBLINGS; i++) {
		kill_ms(siblings[i]);
		snprintf(name, sizeof(name), LIMITED "/%d", i);
		rmdir(name);
	}
	rmdir(LIMITED);
	write_file(TOP "/cgroup.subtree_control", "-memory");
}

int main(int argc, char **argv)
{
	int n = argc == 2 ? atoi(argv[1]) : 0, i, few;
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct bpf_link *link;
	pid_t pids[BUSY], pid;
	double *v, start;
	int stats;

	if (n < 10 || n > 10000)
		errx(2, "usage: failsafe SAMPLES (10 to 10000)");
	few = n / 10 < 5 ? 5 : n / 10;
	v = calloc(n, sizeof(*v));
	setvbuf(stdout, NULL, _IOLBF, 0);
	write_file(ROOT "/cgroup.subtree_control", "+memory");
	mkdir(TOP, 0755);
	skel = failsafe_bench__open_and_load();
	if (!skel)
		err(1, "cannot load the policies");
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats < 0)
		err(1, "BPF statistics");

	start_busy(pids);
	commands("command in the root, no policy, neighbours busy", n);
	stop_busy(pids);

	/* The largest delay for everybody in a subtree */
	link = attach(skel->maps.delay, TOP);
	start_busy(pids);
	commands("command in the root, neighbours delayed", n);
	stop_busy(pids);

	for (i = 0; i < few; i++) {
		pid = busy(TOP);
		start = now_ms();
		while (!asleep(pid) && now_ms() - start < 10000)
			usleep(1000);
		v[i] = kill_ms(pid);
	}
	print("SIGKILL of a delayed task", v, few);

	/* One return: the first touched page that is not in the CPU's stock of charges */
	for (i = 0; i < 3; i++)
		v[i] = one_return();
	print("one return of a task that is delayed for as long as possible", v, 3);
	bpf_link__destroy(link);

	slow_reclaim(v, few);
	print("SIGKILL of a task that reclaims, a policy loops a million times in each answer", v, few);

	/* A million iterations at each charge, for the whole machine but the root itself */
	link = attach(skel->maps.loop, ROOT);
	start_busy(pids);
	commands("command in the root, a policy there loops a million times", n);
	start = now_ms();
	/* closing it would leave the work to another thread */
	if (bpf_link__detach(link))
		err(1, "detach");
	v[0] = now_ms() - start;
	bpf_link__destroy(link);
	print("detach of the policy that loops", v, 1);
	commands("command in the root, after that", n);
	stop_busy(pids);

	if (bpf_prog_get_info_by_fd(bpf_program__fd(skel->progs.loop_charged), &info, &len))
		err(1, "prog info");
	printf("@{\"what\": \"bpftool prog show of the policy that loops\", \"run_time_ms\": %.1f, \"run_cnt\": %llu}\n",
	       info.run_time_ns / 1e6, (unsigned long long)info.run_cnt);
	rmdir(TOP);
	return 0;
}
