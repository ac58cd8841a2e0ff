// SPDX-License-Identifier: GPL-2.0
/*
 * How soon is high back at its speed when it wakes up?
 *
 *	wake HIGH-DIRECTORY LOW-DIRECTORY MIB CYCLES LOG
 *
 * Two workers, one in each cgroup, write MIB of memory over and over; an operation is
 * a MiB written. High works for ACTIVE_MS, is stopped until the controller has
 * decided that it is idle and for IDLE_MS more, and goes on. LOG is what the controller
 * logs: ": idle" or ": active" in a line that is not about low. For each cycle one line
 *
 *	@wake CYCLE BEFORE IDLE ACTIVE BACK
 *
 * BEFORE is the speed of high before it stopped, in operations/s. The others are in
 * seconds: from the stop to the decision that high is idle; from the wakeup to
 * the decision that it is active; and from the wakeup until high does BACK_PERCENT of
 * BEFORE within a window. "-" stands for what did not happen in LIMIT_MS, or not before high
 * was back. IDLE is 0 when high was taken for idle while it still worked.
 */
#define _GNU_SOURCE
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
#include <sys/prctl.h>

#define TICK_MS		50
#define ACTIVE_MS	6000
#define IDLE_MS		5000
#define LIMIT_MS	40000
#define WINDOW		10	/* ticks over which a speed is taken */
#define BEFORE		60	/* ticks of which the median speed is that of high */
#define BACK_PERCENT	90

enum state { UNKNOWN, IDLE, ACTIVE };

struct worker {
	const char *dir;
	pid_t pid;
	volatile uint64_t *done;
};

static struct worker high, low;
static uint64_t history[BEFORE + WINDOW + 1];	/* of high->done, the newest last */
static uint64_t times[BEFORE + WINDOW + 1];
static int log_fd;
static enum state state;

static void die(const char *what)
{
	fprintf(stderr, "wake: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void work(const struct worker *w, size_t size)
{
	char path[4096], *memory;
	volatile uint64_t *p;
	size_t mib, i;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/cgroup.procs", w->dir);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	memory = mmap(NULL, size << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	for (;;) {
		for (mib = 0; mib < size; mib++) {
			p = (uint64_t *)(memory + (mib << 20));
			for (i = 0; i < (1 << 20) / sizeof(*p); i++)
				p[i] = i;
			++*w->done;
		}
	}
}

static void start(struct worker *w, const char *dir, size_t size)
{
	w->dir = dir;
	w->done = mmap(NULL, sizeof(*w->done), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->done == MAP_FAILED)
		die("mmap");
	w->pid = fork();
	if (w->pid < 0)
		die("fork");
	if (!w->pid)
		work(w, size);
}

/* The controller's log as far as it has got: the last decision in it. */
static void read_log(void)
{
	static char line[512];
	static size_t length;
	char c;

	while (read(log_fd, &c, 1) == 1) {
		if (c != '\n') {
			if (length < sizeof(line) - 1)
				line[length++] = c;
			continue;
		}
		line[length] = '\0';
		length = 0;
		if (strstr(line, "/low: "))
			continue;
		if (strstr(line, ": idle,") || strstr(line, ": idle "))
			state = IDLE;
		else if (strstr(line, ": active,") || strstr(line, ": active "))
			state = ACTIVE;
	}
}

static void tick(void)
{
	const size_t n = sizeof(history) / sizeof(history[0]);

	usleep(TICK_MS * 1000);
	memmove(history, history + 1, (n - 1) * sizeof(history[0]));
	memmove(times, times + 1, (n - 1) * sizeof(times[0]));
	history[n - 1] = *high.done;
	times[n - 1] = now_ms();
	read_log();
}

/* Operations/s of high in the window that ended @ago ticks ago. */
static double speed(size_t ago)
{
	const size_t end = sizeof(history) / sizeof(history[0]) - 1 - ago;

	return (history[end] - history[end - WINDOW]) * 1000.0 /
	       (times[end] - times[end - WINDOW] ?: 1);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_speed(void)
{
	double speeds[BEFORE];
	size_t i;

	for (i = 0; i < BEFORE; i++)
		speeds[i] = speed(i);
	qsort(speeds, BEFORE, sizeof(speeds[0]), compare);
	return speeds[BEFORE / 2];
}

static void run(uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		tick();
}

static void print(double seconds)
{
	if (seconds < 0)
		printf(" -");
	else
		printf(" %.2f", seconds);
}

static void cycle(int number)
{
	double before, idle = -1, active = -1, back = -1;
	uint64_t since;
	int ticks;

	run(ACTIVE_MS);
	before = median_speed();

	kill(high.pid, SIGSTOP);
	since = now_ms();
	if (state == IDLE)
		idle = 0;
	while (idle < 0 && now_ms() - since < LIMIT_MS) {
		tick();
		if (state == IDLE)
			idle = (now_ms() - since) / 1e3;
	}
	run(IDLE_MS);

	kill(high.pid, SIGCONT);
	since = now_ms();
	ticks = 0;
	do {
		tick();
		ticks++;
		if (state == ACTIVE && active < 0)
			active = (now_ms() - since) / 1e3;
		/* windows that began after the wakeup only */
		if (ticks > WINDOW && speed(0) >= before * BACK_PERCENT / 100)
			back = (now_ms() - since) / 1e3;
	} while (back < 0 && now_ms() - since < LIMIT_MS);

	printf("@wake %d %.1f", number, before);
	print(idle);
	print(active);
	print(back);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int cycles, i;
	size_t size;

	if (argc != 6) {
		fprintf(stderr, "usage: wake HIGH-DIRECTORY LOW-DIRECTORY MIB CYCLES LOG\n");
		return 2;
	}
	size = strtoul(argv[3], NULL, 10);
	cycles = atoi(argv[4]);
	log_fd = open(argv[5], O_RDONLY | O_CLOEXEC);
	if (log_fd < 0)
		die(argv[5]);

	start(&high, argv[1], size);
	start(&low, argv[2], size);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	/* until high has all its memory */
	for (i = 0; *high.done < size && i * TICK_MS < LIMIT_MS; i++)
		tick();
	for (i = 1; i <= cycles; i++)
		cycle(i);
	kill(high.pid, SIGKILL);
	kill(low.pid, SIGKILL);
	return 0;
}
