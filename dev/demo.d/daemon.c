// SPDX-License-Identifier: GPL-2.0
/*
 * The strongest alternative to samples/bpf/memcg that needs no BPF: a daemon in
 * user space that decides as the sample does, by the same signal at the same interval,
 * and steers with memory.low.
 *
 *	daemon HIGH-DIRECTORY LOW-VALUE
 *
 * High is active while it causes at least THRESHOLD page faults in an interval, and
 * for some time after. While high is active, memory.low of high is LOW-VALUE; while
 * it is idle, 0. A guess that high is idle and that proves wrong at once makes the next
 * one wait twice as long. These are the rules and figures of the sample.
 *
 * The daemon is written to be hard to beat: all files stay open, an interval costs one
 * pread() of memory.stat, memory.low is written only when it changes, nothing is
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
#define HOLD_MAX	16	/* how much longer than HOLD_NS a guess may wait */
#define THRESHOLD	64

static volatile sig_atomic_t stop;

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

static uint64_t faults(int stat_fd)
{
	static char text[16384];
	char *p;

	read_at_start(stat_fd, text, sizeof(text));
	p = strstr(text, "\npgfault ");
	if (!p) {
		errno = ENODATA;
		die("pgfault in memory.stat");
	}
	return strtoull(p + strlen("\npgfault "), NULL, 10);
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
	uint64_t start, now, before, after, ticks, seen_active, idle_since = 0, hold = HOLD_NS;
	int stat_fd, low_fd, timer_fd;
	bool active = true, above;
	char found[64];

	if (argc != 3) {
		fprintf(stderr, "usage: daemon HIGH-DIRECTORY LOW-VALUE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	stat_fd = open_file(argv[1], "memory.stat", O_RDONLY);
	low_fd = open_file(argv[1], "memory.low", O_RDWR);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &timer, NULL))
		die("timer");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");

	read_at_start(low_fd, found, sizeof(found));
	write_low(low_fd, argv[2]);
	start = seen_active = now_ns();
	before = faults(stat_fd);

	while (!stop) {
		if (read(timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		after = faults(stat_fd);
		now = now_ns();
		above = after - before >= THRESHOLD;
		before = after;

		if (above && !active) {
			if (now - idle_since > hold)
				hold = HOLD_NS;
			else if (hold < HOLD_MAX * HOLD_NS)
				hold *= 2;
			active = true;
			write_low(low_fd, argv[2]);
		} else if (!above && active && now - seen_active >= hold) {
			active = false;
			idle_since = now;
			write_low(low_fd, "0");
		}
		if (above)
			seen_active = now;
		printf("%9.3f s: %s, hold %.1f s\n", (now - start) / 1e9,
		       active ? "active" : "idle", hold / 1e9);
	}
	write_low(low_fd, found);
	return 0;
}
