// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmark of reclaim runs in the guest:
 *
 *	reclaim load FILE MIB ROUNDS	write a file and read it back through a
 *					mapping, so many times; print what it took
 *	reclaim daemon DIR START STOP	reclaim from user space, until SIGTERM: the
 *					usage of the cgroup is kept below START bytes,
 *					down to STOP, by memory.reclaim
 *
 * The daemon is as good as we could write one: locked in memory, of the highest
 * priority, with all files open, woken by PSI when tasks begin to stall, and else
 * looking at the usage every millisecond.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE	4096UL

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static uint64_t cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000ULL +
	       ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Every page that is written or touched may have to be allocated: all are timed. */
static void load(const char *file, size_t size, int rounds)
{
	size_t pages = size / PAGE, i, n = 0, total = 2 * pages * rounds;
	uint64_t start, before, after, sum = 0;
	static unsigned char page[PAGE];
	volatile unsigned char *p;
	uint32_t *took;
	int fd, round;

	/* not of the cgroup's page cache, but there before anything is timed */
	took = mmap(NULL, total * sizeof(*took), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (took == MAP_FAILED || fd < 0)
		err(1, "%s", file);

	start = now_ns();
	for (round = 0; round < rounds; round++) {
		memset(page, round + 1, PAGE);
		p = NULL;
		before = now_ns();
		for (i = 0; i < 2 * pages; i++) {
			if (i == pages) {
				p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
				if (p == MAP_FAILED)
					err(1, "mmap");
			}
			if (i < pages) {
				if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
					err(1, "%s", file);
			} else {
				sum += p[(i - pages) * PAGE];
			}
			after = now_ns();
			took[n++] = after - before;
			before = after;
		}
		munmap((void *)p, size);
	}
	after = now_ns() - start;
	if (sum != pages * rounds * (rounds + 1) / 2)
		errx(1, "%s: read something else than was written", file);

	qsort(took, total, sizeof(*took), by_size);
	printf("{\"elapsed_us\": %llu, \"cpu_us\": %llu, \"p50_ns\": %u, \"p99_ns\": %u, \"p999_ns\": %u, \"max_ns\": %u}\n",
	       (unsigned long long)after / 1000, (unsigned long long)cpu_us(),
	       took[total / 2], took[total * 99 / 100], took[total * 999 / 1000],
	       took[total - 1]);
}

static volatile sig_atomic_t stop_now;

static void on_term(int sig)
{
	stop_now = sig;
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void serve(const char *dir, long long start, long long stop)
{
	static const char trigger[] = "some 5000 500000";
	int current = open_in(dir, "memory.current", O_RDONLY);
	int reclaim = open_in(dir, "memory.reclaim", O_WRONLY);
	struct pollfd psi = {
		.fd = open_in(dir, "memory.pressure", O_RDWR),
		.events = POLLPRI,
	};
	long long usage, wakeups = 0, writes = 0;
	struct timespec ms = { .tv_nsec = 1000000 };
	char text[32];
	ssize_t n;

	if (write(psi.fd, trigger, sizeof(trigger)) < 0)
		err(1, "memory.pressure");
	if (setpriority(PRIO_PROCESS, 0, -20) || mlockall(MCL_CURRENT | MCL_FUTURE))
		warn("priority or locked memory");
	signal(SIGTERM, on_term);
	fprintf(stderr, "keeping %s below %lld\n", dir, start);
	while (!stop_now) {
		ppoll(&psi, 1, &ms, NULL);
		wakeups++;
		n = pread(current, text, sizeof(text) - 1, 0);
		if (n <= 0)
			break;
		text[n] = '\0';
		usage = atoll(text);
		if (usage <= start)
			continue;
		n = snprintf(text, sizeof(text), "%lld", usage - stop);
		writes++;
		/* -EAGAIN: not as much as asked for; the next look decides */
		if (write(reclaim, text, n) < 0 && errno != EAGAIN && errno != EINTR)
			break;
	}
	printf("{\"wakeups\": %lld, \"writes\": %lld, \"cpu_us\": %llu}\n", wakeups, writes,
	       (unsigned long long)cpu_us());
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		load(argv[2], strtoul(argv[3], NULL, 10) << 20, atoi(argv[4]));
	else if (argc == 5 && !strcmp(argv[1], "daemon"))
		serve(argv[2], atoll(argv[3]), atoll(argv[4]));
	else
		errx(2, "see the first comment of reclaim.c");
	return 0;
}
