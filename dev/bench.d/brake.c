// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmark of delays runs in the guest:
 *
 *	brake charge DIR base|huge|cache MIB FILE
 *		from within the cgroup DIR touch so much anonymous memory, in small or in
 *		huge pages, or read so much of FILE, which is not cached; print what it took,
 *		and how much came in huge pages
 *	brake churn DIR cache|swap ROUNDS FILE
 *		one task reads FILE in DIR again and again, or writes to more memory than there
 *		is room for, and another allocates, touches and frees a MiB, so many times;
 *		print what the second took, and what the first did meanwhile
 *	brake fixed DIR MS
 *		until SIGTERM delay each charge by MS
 *	brake keep DIR ALL|UNCHARGED|CHARGED
 *		until SIGTERM the policy of samples/bpf/memcg_reclaim: all of it, without
 *		memcg_uncharged, or without memcg_charged as well
 *
 * The last two print their counters at the end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "../../samples/bpf/memcg_reclaim.h"
#include "brake.skel.h"
#include "memcg_reclaim.skel.h"

#define PAGE	4096UL
#define HUGE	(2UL << 20)
#define MIB	(1UL << 20)
#define SWAPPING	(48 * MIB)

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static void enter(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

static size_t read_all(const char *file, size_t most)
{
	static char buffer[16 * PAGE];
	size_t all = 0;
	ssize_t n = 1;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", file);
	while (n > 0 && all < most) {
		n = read(fd, buffer, sizeof(buffer));
		if (n < 0)
			err(1, "%s", file);
		all += n;
	}
	close(fd);
	return all;
}

static char *map(size_t size, int advice)
{
	char *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	p = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	if (madvise(p, size, advice))
		err(1, "madvise");
	return p;
}

static void touch(volatile char *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		p[i] = 1;
}

static unsigned long huge_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "AnonHugePages: %lu", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void charge(const char *dir, const char *kind, size_t size, const char *file)
{
	uint64_t start, took;
	char *p = NULL;

	if (strcmp(kind, "cache"))
		p = map(size, *kind == 'h' ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	enter(dir);
	start = now_us();
	if (p)
		touch(p, size);
	else if (read_all(file, size) < size)
		errx(1, "%s is too small", file);
	took = now_us() - start;
	printf("{\"elapsed_us\": %llu, \"huge_kib\": %lu}\n", (unsigned long long)took, huge_kib());
}

static void churn(const char *dir, bool swap, int rounds, const char *file)
{
	uint64_t start, before;
	volatile uint64_t *count;
	char *memory = NULL;
	pid_t other;
	int i;

	count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED)
		err(1, "mmap");
	if (swap)
		memory = map(SWAPPING, MADV_NOHUGEPAGE);
	enter(dir);
	other = fork();
	if (other < 0)
		err(1, "fork");
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0;; i = (i + 1) % (SWAPPING / MIB)) {
			if (swap)
				touch(memory + i * MIB, MIB);
			*count += swap ? MIB : read_all(file, SIZE_MAX);
		}
	}
	/* once round, so that there is something to reclaim from then on */
	while (*count < SWAPPING)
		usleep(1000);
	before = *count;
	start = now_us();
	for (i = 0; i < rounds; i++) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			err(1, "mmap");
		touch(p, MIB);
		munmap(p, MIB);
	}
	start = now_us() - start;
	before = *count - before;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	printf("{\"elapsed_us\": %llu, \"other_mib\": %llu}\n", (unsigned long long)start,
	       (unsigned long long)before / MIB);
}

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", dir);
	return fd;
}

static struct bpf_link *attach(int dir, const struct bpf_map *policy)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD, .target_fd = dir);
	struct bpf_link *link = bpf_map__attach_struct_ops_opts(policy, &opts);

	if (!link)
		err(1, "the policy cannot be attached");
	return link;
}

static void wait_for_term(void)
{
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	fprintf(stderr, "attached\n");
	sigwait(&term, &sig);
}

static void fixed(const char *dir, int ms)
{
	struct brake_bench *skel = brake_bench__open();
	struct bpf_link *link;

	if (!skel)
		err(1, "the policy cannot be opened");
	skel->rodata->call_ms = ms;
	if (brake_bench__load(skel))
		err(1, "the policy cannot be loaded");
	link = attach(open_dir(dir), skel->maps.fixed);
	wait_for_term();
	bpf_link__destroy(link);
	printf("{\"delays\": %llu, \"delayed_ms\": %llu}\n", (unsigned long long)skel->bss->delays,
	       (unsigned long long)skel->bss->delays * ms);
	brake_bench__destroy(skel);
}

static void keep(const char *dir, const char *without)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct memcg_reclaim *skel = memcg_reclaim__open();
	struct bpf_link *link;
	struct stat st;
	int fd = open_dir(dir);

	if (!skel || fstat(fd, &st))
		err(1, "the policy cannot be opened");
	/* what the sample has by default; the id of a cgroup is its inode number */
	skel->rodata->target_id = st.st_ino;
	skel->rodata->batch = 512;
	skel->rodata->triggers = 1;
	bpf_program__set_autoload(skel->progs.on_fault, false);
	if (!strcmp(without, "CHARGED"))
		skel->struct_ops.keep_policy->memcg_charged = NULL;
	if (strcmp(without, "ALL"))
		skel->struct_ops.keep_policy->memcg_uncharged = NULL;
	if (memcg_reclaim__load(skel) ||
	    bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &opts) || opts.retval)
		err(1, "the policy cannot be loaded");
	link = attach(fd, skel->maps.keep_policy);
	wait_for_term();
	bpf_link__destroy(link);
	printf("{\"delays\": %llu, \"delayed_ms\": %llu}\n",
	       (unsigned long long)skel->data_stats->stats.delays,
	       (unsigned long long)skel->data_stats->stats.delayed_ms);
	memcg_reclaim__destroy(skel);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "";

	if (argc == 6 && !strcmp(mode, "charge"))
		charge(argv[2], argv[3], strtoul(argv[4], NULL, 10) * MIB, argv[5]);
	else if (argc == 6 && !strcmp(mode, "churn"))
		churn(argv[2], !strcmp(argv[3], "swap"), atoi(argv[4]), argv[5]);
	else if (argc == 4 && !strcmp(mode, "fixed"))
		fixed(argv[2], atoi(argv[3]));
	else if (argc == 4 && !strcmp(mode, "keep"))
		keep(argv[2], argv[3]);
	else
		errx(2, "see the first comment of brake.c");
	return 0;
}
