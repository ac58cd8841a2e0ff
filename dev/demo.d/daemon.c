// SPDX-License-Identifier: GPL-2.0
/*
 * The strongest alternative to samples/bpf/memcg that needs no BPF: a daemon in
 * user space that decides as the sample does, by the same signal at the same interval,
 * and steers with memory.low.
 *
 *	daemon HIGH-DIRECTORY LOW-VALUE
 *
 * High is active when one of four signs says so for an interval, and for HOLD_NS after
 * that: CPU time, page faults, refaults, time stalled for memory. While high is active,
 * memory.low of high is LOW-VALUE; while it is idle, 0. These are the signs and the
 * figures of the sample.
 *
 * The daemon is written to be hard to beat: all files stay open, an interval costs one
 * pread() of each of three files, memory.low is written only when it changes, nothing is
 * allocated after the start, and its memory is locked. One line a decision on stdout;
 * it ends on SIGTERM or SIGINT and puts back what memory.low was.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#define INTERVAL_MS	200
#define HOLD_NS		2000000000ull

enum { CPU, FAULTS, REFAULTS, STALLS, NR_SIGNS };

/* In an interval: microseconds, faults, pages, microseconds */
static const uint64_t threshold[NR_SIGNS] = {
	INTERVAL_MS * 1000 / 20, 64, 16, INTERVAL_MS * 1000 / 20
};

static volatile sig_atomic_t stop;
static int cpu_fd, stat_fd, psi_fd;

static void on_signal(int signal)
{
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "daemon: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int open_file(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static ssize_t read_at_start(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	if (n < 0)
		die("read");
	text[n] = '\0';
	return n;
}

/* The number after @key in @text */
static uint64_t value(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	if (!p) {
		errno = ENODATA;
		die(key);
	}
	return strtoull(p + strlen(key), NULL, 10);
}

static void read_signs(uint64_t *signs)
{
	static char text[16384];

	read_at_start(cpu_fd, text, sizeof(text));
	signs[CPU] = value(text, "usage_usec ");
	read_at_start(stat_fd, text, sizeof(text));
	signs[FAULTS] = value(text, "\npgfault ");
	signs[REFAULTS] = value(text, "\nworkingset_refault_anon ") +
			  value(text, "\nworkingset_refault_file ");
	read_at_start(psi_fd, text, sizeof(text));
	signs[STALLS] = value(text, "total=");
}

/* Has one of the signs grown enough since the last call? */
static bool works(void)
{
	static uint64_t before[NR_SIGNS];
	uint64_t after[NR_SIGNS];
	bool found = false;
	int i;

	read_signs(after);
	for (i = 0; i < NR_SIGNS; i++) {
		found |= after[i] - before[i] >= threshold[i];
		before[i] = after[i];
	}
	return found;
}

static void write_low(int low_fd, const char *value)
{
	if (pwrite(low_fd, value, strlen(value), 0) < 0)
		die("memory.low");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec timer = {
		.it_interval.tv_nsec = INTERVAL_MS * 1000000,
		.it_value.tv_nsec = INTERVAL_MS * 1000000,
	};
	uint64_t start, now, ticks, seen_active;
	int low_fd, timer_fd;
	bool active = true;
	char found[64];

	if (argc != 3) {
		fprintf(stderr, "usage: daemon HIGH-DIRECTORY LOW-VALUE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	cpu_fd = open_file(argv[1], "cpu.stat", O_RDONLY);
	stat_fd = open_file(argv[1], "memory.stat", O_RDONLY);
	psi_fd = open_file(argv[1], "memory.pressure", O_RDONLY);
	low_fd = open_file(argv[1], "memory.low", O_RDWR);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &timer, NULL))
		die("timer");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");

	read_at_start(low_fd, found, sizeof(found));
	write_low(low_fd, argv[2]);
	start = seen_active = now_ns();
	works();

	while (!stop) {
		if (read(timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		now = now_ns();
		if (works()) {
			seen_active = now;
			if (!active)
				write_low(low_fd, argv[2]);
			active = true;
		} else if (active && now - seen_active > HOLD_NS) {
			active = false;
			write_low(low_fd, "0");
		}
		printf("%9.3f s: %s, quiet for %.1f s\n", (now - start) / 1e9,
		       active ? "active" : "idle", (now - seen_active) / 1e9);
	}
	write_low(low_fd, found);
	return 0;
}
