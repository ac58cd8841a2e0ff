// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmark of reclaim runs in the guest:
 *
 *	reclaim load FILE MIB ROUNDS	write a file and read it back through a
 *					mapping, so many times; print what it took
 *	reclaim cold FILE MIB ROUNDS	the same, with nothing of it in the cache before
 *					each writing and reading; dropping it is not
 *					counted: what the misses alone cost
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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <bpf/libbpf.h>
#include "reclaim.skel.h"

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

/* Make all of the file clean and forget it. Returns how long that took. */
static uint64_t drop(int fd)
{
	uint64_t start = now_ns();

	if (fdatasync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		err(1, "dropping the file from the cache");
	return now_ns() - start;
}

/*
 * Write a file and read it back, @rounds times. How long each page took goes to
 * @took: every one that is written or touched may have to be allocated. Returns
 * the time without that for drop().
 */
static uint64_t rounds_of(int fd, size_t pages, int rounds, bool cold, uint32_t *took)
{
	uint64_t start = now_ns(), before, after, sum = 0;
	static unsigned char page[PAGE];
	volatile unsigned char *p;
	int round;
	size_t i;

	for (round = 0; round < rounds; round++) {
		memset(page, round + 1, PAGE);
		p = NULL;
		before = now_ns();
		for (i = 0; i < 2 * pages; i++) {
			if (cold && i % pages == 0) {
				start += drop(fd);
				before = now_ns();
			}
			if (i == pages) {
				p = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
				if (p == MAP_FAILED)
					err(1, "mmap");
			}
			if (i < pages) {
				if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
					err(1, "writing");
			} else {
				sum += p[(i - pages) * PAGE];
			}
			after = now_ns();
			*took++ = after - before;
			before = after;
		}
		munmap((void *)p, pages * PAGE);
	}
	if (sum != (uint64_t)pages * rounds * (rounds + 1) / 2)
		errx(1, "read something else than was written");
	return now_ns() - start;
}

static int open_new(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		err(1, "%s", file);
	return fd;
}

/*
 * There is a first round with another file, not counted: the emulator translates
 * kernel code anew after attaching a policy has changed it, when it runs first.
 */
static void load(const char *file, size_t size, int rounds, bool cold)
{
	size_t pages = size / PAGE, total = 2 * pages * rounds;
	char other[4096];
	uint64_t elapsed;
	uint32_t *took;
	int fd;

	/* not of the cgroup's page cache, but there before anything is timed */
	took = mmap(NULL, total * sizeof(*took), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (took == MAP_FAILED)
		err(1, "mmap");

	snprintf(other, sizeof(other), "%s.warm-up", file);
	fd = open_new(other);
	rounds_of(fd, pages, 1, cold, took);
	unlink(other);
	close(fd);
	sync();

	fd = open_new(file);
	elapsed = rounds_of(fd, pages, rounds, cold, took);

	qsort(took, total, sizeof(*took), by_size);
	printf("{\"elapsed_us\": %llu, \"cpu_us\": %llu, \"p50_ns\": %u, \"p99_ns\": %u, \"p999_ns\": %u, \"max_ns\": %u}\n",
	       (unsigned long long)elapsed / 1000, (unsigned long long)cpu_us(),
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

static void meter(void)
{
	struct reclaim_bench *skel;
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	skel = reclaim_bench__open_and_load();
	if (!skel || reclaim_bench__attach(skel))
		errx(1, "cannot be measured");
	fprintf(stderr, "metering\n");
	sigwait(&term, &sig);
	printf("{\"kthread_us\": %llu, \"calls\": %llu}\n",
	       (unsigned long long)skel->bss->kthread_ns / 1000,
	       (unsigned long long)skel->bss->calls);
	reclaim_bench__destroy(skel);
}

int main(int argc, char **argv)
{
	if (argc == 5 && (!strcmp(argv[1], "load") || !strcmp(argv[1], "cold")))
		load(argv[2], strtoul(argv[3], NULL, 10) << 20, atoi(argv[4]), *argv[1] == 'c');
	else if (argc == 5 && !strcmp(argv[1], "daemon"))
		serve(argv[2], atoll(argv[3]), atoll(argv[4]));
	else if (argc == 2 && !strcmp(argv[1], "meter"))
		meter();
	else
		errx(2, "see the first comment of reclaim.c");
	return 0;
}
