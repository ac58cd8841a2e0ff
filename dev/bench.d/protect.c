// SPDX-License-Identifier: GPL-2.0
/*
 * What dev/bench.d/protect runs in its guests.
 *
 *	protect policy DIR low|min	PROTECT for DIR and what is below it, until SIGTERM
 *	protect hold MIB		touch so much anonymous memory, then sleep
 *	protect walk MIB SECONDS	write to each page of it, over and over
 *	protect cost DIR N ANSWER	reclaim from N cgroups below DIR under one policy
 *
 * policy and hold print "ready" when they are. walk prints how many pages it came
 * by, policy how often it was asked, cost a line of JSON. Under ICOUNT a nanosecond
 * of CPU time is an instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "protect.skel.h"

#define MIB		(1024UL * 1024)
#define PAGE		4096UL
#define EACH		(64 * MIB)	/* of all cgroups together, in cost */
#define STEPS		24		/* of reclaim, a MiB each */

static void die(const char *what)
{
	fprintf(stderr, "protect: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long number(const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (!*arg || *end) {
		fprintf(stderr, "protect: '%s' is not a number\n", arg);
		exit(2);
	}
	return n;
}

static void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

static char *memory(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static struct protect_bench *attach(const char *dir, int low, int min)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	struct protect_bench *skel = protect_bench__open_and_load();

	if (!skel)
		die("load");
	skel->bss->low_answer = low;
	skel->bss->min_answer = min;
	opts.target_fd = open(dir, O_RDONLY | O_DIRECTORY);
	skel->links.policy = bpf_map__attach_struct_ops_opts(skel->maps.policy, &opts);
	if (!skel->links.policy)
		die("attach");
	return skel;
}

static int policy(const char *dir, const char *how)
{
	bool low = !strcmp(how, "low");
	struct protect_bench *skel;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	skel = attach(dir, low, !low);
	ready();
	sigwait(&set, &sig);
	printf("%llu\n", (unsigned long long)skel->bss->calls);
	protect_bench__destroy(skel);
	return 0;
}

static int hold(size_t size)
{
	char *p = memory(size);
	size_t i;

	for (i = 0; i < size; i += PAGE)
		p[i] = i >> 12;
	ready();
	pause();
	return 0;
}

static int walk(size_t size, unsigned long seconds)
{
	volatile char *p = memory(size);
	unsigned long pages = 0;
	struct timespec now;
	size_t i = 0;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + seconds;
	do {
		p[i]++;
		pages++;
		i = i + PAGE < size ? i + PAGE : 0;
		if (!(pages % 64))
			clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end);
	printf("%lu\n", pages);
	return 0;
}

static void put(const char *dir, const char *file, const char *value)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		if (errno != EAGAIN)	/* reclaimed less than was asked for */
			die(path);
	close(fd);
}

static unsigned long stolen(void)
{
	char buf[65536], *p;
	unsigned long n = 0;
	int fd = open("/proc/vmstat", O_RDONLY);
	ssize_t len = read(fd, buf, sizeof(buf) - 1);

	close(fd);
	buf[len < 0 ? 0 : len] = '\0';
	for (p = strstr(buf, "\npgsteal_"); p; p = strstr(p + 1, "\npgsteal_"))
		if (!strncmp(p + 9, "kswapd", 6) || !strncmp(p + 9, "direct", 6) ||
		    !strncmp(p + 9, "proactive", 9))
			n += strtoul(strchr(p, ' '), NULL, 10);
	return n;
}

/* Instructions and calls for each 1000 pages reclaimed, from N cgroups below DIR. */
static int cost(const char *dir, unsigned long n, const char *answer)
{
	unsigned long before, pages, i;
	struct protect_bench *skel = NULL;
	struct timespec t0, t1;
	double instructions;
	char path[4096];
	pid_t *child;
	int fds[2];
	char c;

	child = calloc(n, sizeof(*child));
	if (!child || pipe(fds) || mkdir(dir, 0755))
		die(dir);
	put(dir, "cgroup.subtree_control", "+memory");
	if (strcmp(answer, "none"))
		skel = attach(dir, 0, 0);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%lu", dir, i);
		if (mkdir(path, 0755))
			die(path);
		child[i] = fork();
		if (!child[i]) {
			size_t size = EACH / n, j;
			char *p;

			put(path, "cgroup.procs", "0");
			p = memory(size);
			for (j = 0; j < size; j += PAGE)
				p[j] = 1;
			if (write(fds[1], "", 1) != 1)
				_exit(1);
			pause();
			_exit(0);
		}
		if (read(fds[0], &c, 1) != 1)
			die("fill");
	}

	if (skel)
		skel->bss->calls = 0;
	before = stolen();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (i = 0; i < STEPS; i++)
		/* from above: the target itself is never asked about */
		put("/sys/fs/cgroup", "memory.reclaim", "1M");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	pages = stolen() - before;
	instructions = (t1.tv_sec - t0.tv_sec) * 1e9 + t1.tv_nsec - t0.tv_nsec;
	printf("@{\"cost\": %lu, \"policy\": %s, \"pages\": %lu, \"calls\": %.1f, \"instructions\": %.0f}\n",
	       n, skel ? "true" : "false", pages,
	       skel ? skel->bss->calls * 1000.0 / pages : 0, instructions * 1000 / pages);

	for (i = 0; i < n; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
		snprintf(path, sizeof(path), "%s/%lu", dir, i);
		while (rmdir(path) && errno == EBUSY)
			usleep(1000);
	}
	if (skel)
		protect_bench__destroy(skel);
	while (rmdir(dir) && errno == EBUSY)
		usleep(1000);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "policy"))
		return policy(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(number(argv[2]) * MIB);
	if (argc == 4 && !strcmp(argv[1], "walk"))
		return walk(number(argv[2]) * MIB, number(argv[3]));
	if (argc == 5 && !strcmp(argv[1], "cost"))
		return cost(argv[2], number(argv[3]), argv[4]);
	fprintf(stderr, "protect: see the first comment of dev/bench.d/protect.c\n");
	return 2;
}
