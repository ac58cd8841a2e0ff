// SPDX-License-Identifier: GPL-2.0
/*
 * What the series costs: loops that charge and reclaim, each in a cgroup with and
 * without policies, counted in instructions. To be run as root in a guest with
 * ICOUNT=1 and one CPU:
 *
 *	overhead RUNS COLUMN[,COLUMN]... [LOOP[,LOOP]...]
 *	overhead profile COLUMN LOOP
 *	overhead hold CGROUP COMMAND [ARGUMENT]...
 *	overhead sample COLUMN LOOP RUN
 *
 * The second form says which functions the instructions of a loop are spent in, by
 * samples of the instruction pointer. What runs with interrupts off is found where they
 * are switched on again. The third form attaches the policy that does nothing to a cgroup
 * and runs a command for as long as it is there: dev/regress uses it. With the fourth the
 * program runs itself.
 *
 * A column says which policies there are (see columns[] below); "none" loads no
 * BPF program at all, so it also runs on a kernel without the series. One line
 * per sample, "@" and a JSON object.
 *
 * In such a guest the time stamp counter counts instructions. It counts those of
 * the whole machine: interrupts and the work that the loop leaves to kernel
 * threads are a part of the cost. It also jumps when the machine is idle, so no
 * loop may sleep while nothing else can run; where that is inevitable
 * (CPU_TIME below) the CPU time of the calling thread is taken instead.
 *
 * Exit status: 0 done, 1 something failed, 2 bad usage.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "overhead.skel.h"

#define TOP		"/sys/fs/cgroup/overhead"
#define MIB		(1024UL * 1024)
#define PAGE		4096UL
#define HUGE		(2 * MIB)
#define NR_MEMCGS	100
#define DEEP		10
#define MAX_POLICIES	10

/* Where the loop runs: @group has the policies, @leaf the task. */
struct place {
	char group[256], leaf[512];
};

static struct place flat, deep;
static struct overhead_bench *skel;

struct column {
	const char *name;
	struct place *place;	/* of the loop */
	const char *policies;	/* where policies are attached: a directory, or NULL */
	int nr;			/* how many */
	const char *which;	/* the map */
};

static const struct column columns[] = {
	{ "none",	&flat },
	{ "sibling",	&flat, TOP "/sibling",	1, "nothing" },
	{ "deaf",	&flat, TOP "/load",	1, "deaf" },
	{ "here",	&flat, TOP "/load",	1, "nothing" },
	{ "ten",	&flat, TOP "/load",	MAX_POLICIES, "nothing" },
	{ "deep-none",	&deep },
	{ "deep",	&deep, TOP "/deep",	1, "nothing" },
	/* No column of the result: how often a policy is called for one operation. */
	{ "count",	&flat, TOP "/load",	1, "counting" },
};

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "%s: writing '%s'", name, text);
	close(fd);
}

static void enter(const char *dir)
{
	char name[2048];

	snprintf(name, sizeof(name), "%s/cgroup.procs", dir);
	write_file(name, "0");
}

static void make_dir(const char *dir)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		err(1, "%s: cannot create", dir);
}

static void make_cgroup(const char *dir, bool inner)
{
	char name[1024];

	make_dir(dir);
	if (!inner)
		return;
	snprintf(name, sizeof(name), "%s/cgroup.subtree_control", dir);
	write_file(name, "+memory");
}

/* The loops. Each does @nr operations; what it needs for that is made by setup(). */

struct loop {
	const char *name, *what;
	int nr;			/* operations in one sample */
	bool cpu_time;		/* the loop sleeps: count the thread's CPU time */
	void (*setup)(const struct place *place);
	void (*prepare)(const struct place *place);	/* before each sample */
	void (*run)(const struct place *place, int nr);
};

static char *area;
static int files[2];
static char page[PAGE];

static void setup_area(const struct place *place)
{
	area = mmap(NULL, 64 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		err(1, "mmap");
	area = (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
}

/* Fault in @size bytes by steps of @step, then give them back, over and over. */
static void touch(size_t size, size_t step, int advice, int nr)
{
	size_t i;

	while (nr > 0) {
		if (mmap(area, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != area ||
		    madvise(area, size, advice))
			err(1, "mmap");
		for (i = 0; i < size && nr > 0; i += step, nr--)
			((volatile char *)area)[i] = 1;
		munmap(area, size);
	}
}

static void run_fault(const struct place *place, int nr)
{
	touch(8 * MIB, PAGE, MADV_NOHUGEPAGE, nr);
}

static void run_fault_huge(const struct place *place, int nr)
{
	touch(32 * MIB, HUGE, MADV_HUGEPAGE, nr);
}

static void open_scratch(const char *name)
{
	files[0] = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (files[0] < 0)
		err(1, "%s", name);
	unlink(name);
}

static void setup_ext4(const struct place *place)
{
	open_scratch("/run/disk/overhead");
}

static void setup_tmpfs(const struct place *place)
{
	open_scratch("/tmp/overhead");
}

/* 4 MiB by pages, and gone before anything has to be written back. */
static void run_write(const struct place *place, int nr)
{
	off_t at;

	while (nr > 0) {
		for (at = 0; at < (off_t)(4 * MIB) && nr > 0; at += PAGE, nr--)
			if (pwrite(files[0], page, PAGE, at) != PAGE)
				err(1, "pwrite");
		if (ftruncate(files[0], 0))
			err(1, "ftruncate");
	}
}

static void run_fork(const struct place *place, int nr)
{
	pid_t pid;

	while (nr--) {
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			err(1, "fork");
	}
}

/* The other end of the ping-pong, in @cgroup: sends everything back. */
static void start_peer(const char *cgroup)
{
	char buffer[64];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, files))
		err(1, "socketpair");
	switch (fork()) {
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter(cgroup);
		close(files[0]);
		while (read(files[1], buffer, sizeof(buffer)) > 0)
			if (write(files[1], buffer, sizeof(buffer)) != sizeof(buffer))
				break;
		_exit(0);
	case -1:
		err(1, "fork");
	}
	close(files[1]);
}

static void setup_socket(const struct place *place)
{
	start_peer(place->leaf);
}

/*
 * Client and server in a cgroup each: the CPU's stock of charged bytes belongs to one
 * cgroup at a time, so it is drained at every message.
 */
static void setup_two_cgroups(const struct place *place)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/peer", place->group);
	make_dir(name);
	start_peer(name);
}

static void run_socket(const struct place *place, int nr)
{
	char buffer[64] = "";

	while (nr--)
		if (write(files[0], buffer, sizeof(buffer)) != sizeof(buffer) ||
		    read(files[0], buffer, sizeof(buffer)) != sizeof(buffer))
			err(1, "socket");
}

static void run_memfd(const struct place *place, int nr)
{
	int fd;

	while (nr--) {
		fd = memfd_create("overhead", MFD_CLOEXEC);
		if (fd < 0 || write(fd, page, PAGE) != PAGE)
			err(1, "memfd");
		close(fd);
	}
}

static void run_dentry(const struct place *place, int nr)
{
	int fd;

	while (nr--) {
		fd = open("/tmp/overhead.file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || unlink("/tmp/overhead.file"))
			err(1, "/tmp/overhead.file");
		close(fd);
	}
}

static void member(const struct place *place, int i, char *name, size_t size)
{
	snprintf(name, size, "%s/m%d", place->group, i);
}

static void setup_reclaim(const struct place *place)
{
	char name[1024];
	int i, fd;

	for (i = 0; i < NR_MEMCGS; i++) {
		member(place, i, name, sizeof(name));
		make_dir(name);
		/* Reading a hole fills the page cache without the disk */
		snprintf(name, sizeof(name), "/run/disk/m%d", i);
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, MIB))
			err(1, "%s", name);
		close(fd);
	}
	enter(place->leaf);
}

/* Each of the memcgs gets its file into the page cache anew. */
static void prepare_reclaim(const struct place *place)
{
	char name[1024];
	int i, fd;
	off_t at;

	for (i = 0; i < NR_MEMCGS; i++) {
		member(place, i, name, sizeof(name));
		enter(name);
		snprintf(name, sizeof(name), "/run/disk/m%d", i);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		for (at = 0; at < (off_t)MIB; at += PAGE)
			if (pread(fd, page, PAGE, at) != PAGE)
				err(1, "%s", name);
		close(fd);
	}
	memset(page, 0, PAGE);
	enter(place->leaf);
}

/* One operation is a request of as much as there is in half of the memcgs. */
static void run_reclaim(const struct place *place, int nr)
{
	char name[1024];
	int fd;

	snprintf(name, sizeof(name), "%s/memory.reclaim", place->group);
	while (nr--) {
		fd = open(name, O_WRONLY | O_CLOEXEC);
		/* EAGAIN: less than that was reclaimed */
		if (fd < 0 || (write(fd, "50M swappiness=0", 16) != 16 && errno != EAGAIN))
			err(1, "%s", name);
		close(fd);
	}
}

static void run_cgroup(const struct place *place, int nr)
{
	char name[1024];

	snprintf(name, sizeof(name), "%s/x", place->group);
	while (nr--)
		if (mkdir(name, 0755) || rmdir(name))
			err(1, "%s", name);
}

static const struct loop loops[] = {
	{ "fault",	"page fault, 4 KiB",	16384, false, setup_area, NULL, run_fault },
	{ "fault-thp",	"page fault, 2 MiB",	32, false, setup_area, NULL, run_fault_huge },
	{ "ext4",	"page-cache write, 4 KiB", 8192, false, setup_ext4, NULL, run_write },
	{ "tmpfs",	"tmpfs write, 4 KiB",	16384, false, setup_tmpfs, NULL, run_write },
	{ "fork",	"fork and exit",	500, false, NULL, NULL, run_fork },
	{ "unix",	"AF_UNIX ping-pong",	10000, false, setup_socket, NULL, run_socket },
	{ "unix-two",	"AF_UNIX, between two cgroups", 10000, false, setup_two_cgroups, NULL, run_socket },
	{ "memfd",	"memfd, one page",	10000, false, NULL, NULL, run_memfd },
	{ "dentry",	"create and unlink",	20000, false, NULL, NULL, run_dentry },
	{ "reclaim",	"reclaim pass, 100 memcgs", 1, false, setup_reclaim, prepare_reclaim, run_reclaim },
	{ "cgroup",	"cgroup create and remove", 300, true, NULL, NULL, run_cgroup },
};

/* Instructions so far, of the machine or of this thread. */
static double instructions(bool cpu_time, double per_ns)
{
	struct timespec now;

	if (!cpu_time)
		return __rdtsc();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (now.tv_sec * 1e9 + now.tv_nsec) * per_ns;
}

/* How many instructions the kernel's clock takes for a nanosecond: close to 1. */
static double calibrate(void)
{
	struct timespec from, to;
	uint64_t start, end;

	clock_gettime(CLOCK_MONOTONIC, &from);
	start = __rdtsc();
	do {
		end = __rdtsc();
	} while (end - start < 100 * 1000 * 1000);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (end - start) / ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec);
}

/* Where the instructions go: samples of the instruction pointer, by function. */

#define PERIOD		10007		/* instructions */
#define PROFILE_ROUNDS	20
#define RING		(512 * PAGE)

static struct symbol {
	uint64_t address;
	unsigned int samples;
	char name[64];
} *symbols;
static size_t nr_symbols;
static struct perf_event_mmap_page *ring;

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static int by_samples(const void *a, const void *b)
{
	return (int)((const struct symbol *)b)->samples - (int)((const struct symbol *)a)->samples;
}

static void start_profile(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(attr),
		.sample_period = PERIOD,
		.sample_type = PERF_SAMPLE_IP,
	};
	char line[256], type;
	FILE *file;
	int fd;

	symbols = calloc(300000, sizeof(*symbols));
	strcpy(symbols[nr_symbols++].name, "(user)");
	file = fopen("/proc/kallsyms", "re");
	while (file && nr_symbols < 300000 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx %c %63s", &symbols[nr_symbols].address, &type,
			   symbols[nr_symbols].name) == 3 && strchr("tTwW", type))
			nr_symbols++;
	if (!file)
		err(1, "/proc/kallsyms");
	fclose(file);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_address);

	/* of CPU 0, which is all there is: also what others do for the loop */
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		err(1, "perf_event_open");
	ring = mmap(NULL, PAGE + RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(1, "mmap of samples");
}

static void skip_samples(void)
{
	__atomic_store_n(&ring->data_tail, __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

static void take_samples(void)
{
	uint64_t tail = ring->data_tail, head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	struct sample {
		struct perf_event_header header;
		uint64_t ip;
	} *sample;
	size_t low, high, middle;

	while (tail < head) {
		/* of 16 bytes all of them, so none wraps; a lost record is longer */
		sample = (void *)((char *)ring + PAGE + tail % RING);
		tail += sample->header.size;
		if (sample->header.type != PERF_RECORD_SAMPLE)
			continue;
		for (low = 0, high = nr_symbols; high - low > 1;) {
			middle = (low + high) / 2;
			if (symbols[middle].address <= sample->ip)
				low = middle;
			else
				high = middle;
		}
		symbols[low].samples++;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
}

static void print_profile(const char *column, const char *loop, int nr)
{
	size_t i;

	qsort(symbols, nr_symbols, sizeof(*symbols), by_samples);
	for (i = 0; i < nr_symbols && symbols[i].samples > 1; i++)
		printf("@{\"profile\": \"%s\", \"column\": \"%s\", \"symbol\": \"%s\", \"per_op\": %.2f}\n",
		       loop, column, symbols[i].name, (double)symbols[i].samples * PERIOD / nr);
}

/* The loop, after a round that does not count. Run 0 is a profile. */
static void run_sample(const struct column *column, const struct loop *loop, int run)
{
	double per_ns = loop->cpu_time ? calibrate() : 1, start, end;

	enter(column->place->leaf);
	if (loop->setup)
		loop->setup(column->place);
	if (loop->prepare)
		loop->prepare(column->place);
	loop->run(column->place, loop->nr);
	if (!run) {
		start_profile();
		for (run = 0; run < PROFILE_ROUNDS; run++) {
			if (loop->prepare)
				loop->prepare(column->place);
			skip_samples();
			loop->run(column->place, loop->nr);
			take_samples();
		}
		print_profile(column->name, loop->name, loop->nr * PROFILE_ROUNDS);
		fflush(stdout);
		_exit(0);
	}
	if (loop->prepare)
		loop->prepare(column->place);
	if (skel)
		memset(skel->bss, 0, sizeof(*skel->bss));
	start = instructions(loop->cpu_time, per_ns);
	loop->run(column->place, loop->nr);
	end = instructions(loop->cpu_time, per_ns);

	printf("@{\"loop\": \"%s\", \"what\": \"%s\", \"column\": \"%s\", \"run\": %d, \"instructions\": %.2f",
	       loop->name, loop->what, column->name, run, (end - start) / loop->nr);
	if (!strcmp(column->name, "count"))
		printf(", \"calls\": {\"charged\": %.3f, \"uncharged\": %.3f, \"low\": %.3f, \"min\": %.3f, \"over_limit\": %.3f}",
		       (double)skel->bss->charged / loop->nr,
		       (double)skel->bss->uncharged / loop->nr,
		       (double)skel->bss->low / loop->nr, (double)skel->bss->min / loop->nr,
		       (double)skel->bss->over_limit / loop->nr);
	printf("}\n");
	fflush(stdout);
	_exit(0);
}

/*
 * A process of its own for each sample. It is this program anew: what it would inherit
 * depends on the policies that are loaded, and fork() has to copy it. Only one that
 * counts calls needs the policy's memory.
 */
static void sample(const struct column *column, const struct loop *loop, int run)
{
	char number[16];
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid) {
		if (waitpid(pid, &status, 0) != pid || status)
			errx(1, "%s, %s: the loop failed", column->name, loop->name);
		return;
	}

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!strcmp(column->name, "count"))
		run_sample(column, loop, run);
	snprintf(number, sizeof(number), "%d", run);
	execl("/proc/self/exe", "overhead", "sample", column->name, loop->name, number, NULL);
	err(1, "cannot start itself");
}

static void measure(const struct column *column, const struct loop *loop, int run)
{
	struct bpf_link *links[MAX_POLICIES];
	struct bpf_map *map;
	int i, fd = -1;

	if (column->policies) {
		LIBBPF_OPTS(bpf_struct_ops_opts, opts,
			    .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);

		fd = open(column->policies, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		map = bpf_object__find_map_by_name(skel->obj, column->which);
		if (fd < 0 || !map)
			err(1, "%s", column->policies);
		opts.target_fd = fd;
		for (i = 0; i < column->nr; i++) {
			links[i] = bpf_map__attach_struct_ops_opts(map, &opts);
			if (!links[i])
				err(1, "%s: cannot attach", column->policies);
		}
	}
	sample(column, loop, run);
	if (column->policies) {
		for (i = 0; i < column->nr; i++)
			bpf_link__destroy(links[i]);
		close(fd);
	}
}

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at = list;

	while ((at = strstr(at, name))) {
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
		at += len;
	}
	return false;
}

static void make_places(void)
{
	size_t len;
	int i;

	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	make_cgroup(TOP, true);
	make_cgroup(TOP "/sibling", false);

	strcpy(flat.group, TOP "/load");
	strcpy(flat.leaf, TOP "/load/leaf");
	make_cgroup(flat.group, true);
	make_cgroup(flat.leaf, false);

	/* The policy is attached at the top of the branch, the task is at its end. */
	strcpy(deep.group, TOP "/deep");
	make_cgroup(deep.group, true);
	for (i = 3; i < DEEP; i++) {
		len = strlen(deep.group);
		snprintf(deep.group + len, sizeof(deep.group) - len, "/%d", i);
		make_cgroup(deep.group, true);
	}
	snprintf(deep.leaf, sizeof(deep.leaf), "%s/leaf", deep.group);
	make_cgroup(deep.leaf, false);
}

/* The link has no close-on-exec flag left: it lives as long as the command. */
static void hold(char **argv)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	struct bpf_link *link;

	opts.target_fd = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	skel = overhead_bench__open_and_load();
	if (opts.target_fd < 0 || !skel)
		err(1, "%s", argv[0]);
	link = bpf_map__attach_struct_ops_opts(bpf_object__find_map_by_name(skel->obj, "nothing"), &opts);
	if (!link || fcntl(bpf_link__fd(link), F_SETFD, 0))
		err(1, "%s: cannot attach", argv[0]);
	execvp(argv[1], argv + 1);
	err(1, "%s", argv[1]);
}

static void sample_anew(const char *column, const char *loop, int run)
{
	unsigned int c, l;

	make_places();
	for (l = 0; l < sizeof(loops) / sizeof(loops[0]); l++)
		for (c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
			if (!strcmp(columns[c].name, column) && !strcmp(loops[l].name, loop))
				run_sample(&columns[c], &loops[l], run);
	errx(2, "%s, %s: no such column or loop", column, loop);
}

int main(int argc, char **argv)
{
	const char *which_loops = argc == 4 ? argv[3] : NULL;
	bool policies = false, profile = argc == 4 && !strcmp(argv[1], "profile");
	unsigned int c, l;
	int run, runs;

	if (argc >= 4 && !strcmp(argv[1], "hold"))
		hold(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "sample"))
		sample_anew(argv[2], argv[3], atoi(argv[4]));
	runs = profile ? 1 : argc == 3 || argc == 4 ? atoi(argv[1]) : 0;
	if (runs < 1 || runs > 1000)
		errx(2, "usage: overhead RUNS COLUMN[,COLUMN]... [LOOP[,LOOP]...] | profile COLUMN LOOP | hold CGROUP COMMAND...");
	for (c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
		policies |= listed(argv[2], columns[c].name) && columns[c].policies;
	if (policies) {
		skel = overhead_bench__open_and_load();
		if (!skel)
			err(1, "cannot load the policies: does this kernel have memcg_bpf_ops?");
	}
	make_places();

	/* In turns, so that what changes with time changes all columns alike. */
	for (run = 0; run < runs; run++)
		for (l = 0; l < sizeof(loops) / sizeof(loops[0]); l++)
			for (c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
				if (listed(argv[2], columns[c].name) &&
				    (!which_loops || listed(which_loops, loops[l].name)))
					measure(&columns[c], &loops[l], profile ? 0 : run + 1);
	return 0;
}
