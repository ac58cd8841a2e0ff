// SPDX-License-Identifier: GPL-2.0
/*
 * What the benchmark of attachment runs in the guest:
 *
 *	attach latency ROUNDS SAMPLES	attach and detach an unrelated link while
 *					100 others are being detached
 *	attach scale RUNS N		attach to, update and detach from the root of
 *					N cgroups, one level deep and three
 *	attach churn RUNS N		create and remove N cgroups, without and with
 *					a policy that they inherit
 *	attach memory RUNS N		what N cgroups with a policy take more
 *
 * Every result is a line: @ and a JSON object. Times are in microseconds.
 *
 * A keeper, a policy on a cgroup of its own, is attached all the time, so that no
 * measured operation is the first or the last of the system: those switch the
 * jump labels, which costs the same whatever the number of cgroups.
 *
 * All cgroups are in a directory of our own below the root cgroup. The work is
 * done by a child, and the parent removes that directory however the child ends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "attach.skel.h"

#define NR_OTHERS	100
#define CONGESTION	"bench_attach"	/* its name, in attach.bpf.c */
#define SLAB_LINE	"%63s %lu %lu %lu"

static char top[] = "/sys/fs/cgroup/bench-attach.XXXXXX";
static struct attach_bench *skel;
static int policy, successor, congestion;	/* fds of the maps */

/* The clocks: elapsed, and what this thread ran. */

struct cost {
	double us, cpu_us;
};

static double clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static struct cost now(void)
{
	return (struct cost){ clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_THREAD_CPUTIME_ID) };
}

static struct cost since(struct cost start)
{
	struct cost end = now();

	return (struct cost){ end.us - start.us, end.cpu_us - start.cpu_us };
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @v. The smallest that @percent of all do not exceed. */
static double percentile(double *v, int n, int percent)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[(n * percent + 99) / 100 - 1];
}

/* Cgroups, by paths relative to the current directory, which is ours. */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

static void make_cgroup(const char *path)
{
	if (mkdir(path, 0755))
		err(1, "%s: cannot create the cgroup", path);
}

static void enable_memory(const char *path)
{
	char file[512];

	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
	write_file(file, "+memory");
}

static int open_cgroup(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* What is below the open directory @fd, which this closes, but not itself. */
static int remove_below(int fd)
{
	struct dirent *d;
	DIR *dir;
	int ret = 0;

	dir = fdopendir(fd);
	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || remove_below(fd) ||
		    unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR))
			ret = -1;
	}
	closedir(dir);
	return ret;
}

/* A removed cgroup lingers; wait until the last one below @path is gone. */
static void wait_gone(const char *path)
{
	char file[512], line[128];
	int dying, tries;
	FILE *stat;

	snprintf(file, sizeof(file), "%s/cgroup.stat", path);
	for (tries = 0; tries < 60000; tries++) {
		dying = -1;
		stat = fopen(file, "re");
		while (stat && fgets(line, sizeof(line), stat))
			sscanf(line, "nr_dying_descendants %d", &dying);
		if (!stat || dying < 0)
			err(1, "%s", file);
		fclose(stat);
		if (!dying)
			return;
		usleep(1000);
	}
	errx(1, "%s: %d removed cgroups are still there after a minute", path, dying);
}

static void remove_cgroup(const char *path)
{
	if (remove_below(open_cgroup(path)) || rmdir(path))
		err(1, "%s: cannot remove the cgroup", path);
	wait_gone(".");
}

/*
 * @path with cgroups below it, @n in all, in as many levels as asked for: 1, or 3
 * with the same number of children everywhere.
 */
static void make_subtree(const char *path, int n, int levels)
{
	char name[256];
	int width, a, b, c;

	make_cgroup(path);
	enable_memory(path);
	n--;
	if (levels == 1) {
		for (a = 0; a < n; a++) {
			snprintf(name, sizeof(name), "%s/%d", path, a);
			make_cgroup(name);
		}
		return;
	}
	for (width = 1; width + width * width + width * width * width < n; width++)
		;
	for (a = 0; n > 0 && a < width; a++) {
		snprintf(name, sizeof(name), "%s/%d", path, a);
		make_cgroup(name);
		enable_memory(name);
		n--;
		for (b = 0; n > 0 && b < width; b++) {
			snprintf(name, sizeof(name), "%s/%d/%d", path, a, b);
			make_cgroup(name);
			enable_memory(name);
			n--;
			for (c = 0; n > 0 && c < width; c++, n--) {
				snprintf(name, sizeof(name), "%s/%d/%d/%d", path, a, b, c);
				make_cgroup(name);
			}
		}
	}
}

/* Links. Not through struct bpf_link, which allocates and writes the map anew. */

static int attach(int map, int cgroup)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd;

	if (cgroup >= 0)
		opts.flags = BPF_F_CGROUP_FD;
	fd = bpf_link_create(map, cgroup >= 0 ? cgroup : 0, BPF_STRUCT_OPS, &opts);
	if (fd < 0)
		err(1, "cannot attach");
	return fd;
}

static void detach(int link)
{
	if (bpf_link_detach(link))
		err(1, "cannot detach");
	close(link);
}

/* Have the policies been told of as many cgroups as they should have? */
static void told(const char *what, __u64 *counter, __u64 expected)
{
	__u64 is = *(volatile __u64 *)counter;

	if (is != expected)
		errx(1, "%s: %llu calls of a policy, and not %llu", what,
		     (unsigned long long)is, (unsigned long long)expected);
	*counter = 0;
}

/* The keeper's links end with us. Its attaching makes the maps ready to be used. */
static void load(int keeper)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts,
		    .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI, .target_fd = keeper);
	struct bpf_link *link;

	skel = attach_bench__open_and_load();
	if (!skel)
		err(1, "cannot load the policies: does this kernel have memcg_bpf_ops?");
	if (!bpf_map__attach_struct_ops_opts(skel->maps.policy, &opts) ||
	    !bpf_map__attach_struct_ops_opts(skel->maps.successor, &opts))
		err(1, "cannot attach the keeper");
	link = bpf_map__attach_struct_ops(skel->maps.congestion);
	if (!link)
		err(1, "cannot attach a congestion control");
	bpf_link__destroy(link);
	policy = bpf_map__fd(skel->maps.policy);
	successor = bpf_map__fd(skel->maps.successor);
	congestion = bpf_map__fd(skel->maps.congestion);
}

/*
 * Latency of one link while others are detached, by one thread each or one after
 * the other by a single one; then they are attached again, which is not measured.
 * A sample begins after a random pause or, of many threads, when a random number
 * of them has begun: after its own last grace period, or before the others have
 * got anywhere, it would always meet them in the same state. Either is spent in
 * sched_yield(), so that samples begin alike.
 */

static struct {
	int maps[NR_OTHERS], cgroups[NR_OTHERS], links[NR_OTHERS];
	int nr_threads;
	pthread_barrier_t go, done;
	atomic_int begun, left;
	bool stop;
} others;

static void *detach_others(void *arg)
{
	int i;

	for (;;) {
		pthread_barrier_wait(&others.go);
		if (others.stop)
			return NULL;
		for (i = (intptr_t)arg; i < NR_OTHERS; i += others.nr_threads) {
			atomic_fetch_add(&others.begun, 1);
			detach(others.links[i]);
			atomic_fetch_sub(&others.left, 1);
		}
		pthread_barrier_wait(&others.done);
	}
}

static void print_latency(const char *name, double *v, int n)
{
	double p50 = percentile(v, n, 50);

	printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}", name, p50,
	       percentile(v, n, 99), v[n - 1]);
}

/* A link of @map, to @cgroup or -1, while @nr_threads detach what is in others. */
static void latency_of(int round, const char *what, int map, int cgroup, int nr_threads,
		       int samples)
{
	double *attaching = calloc(samples, sizeof(double));
	double *detaching = calloc(samples, sizeof(double));
	double *both = calloc(samples, sizeof(double));
	int i, n = 0, link, begun, left, under_way = 0;
	pthread_t threads[NR_OTHERS];
	double start, middle, end;

	others.nr_threads = nr_threads;
	others.stop = false;
	pthread_barrier_init(&others.go, NULL, nr_threads + 1);
	pthread_barrier_init(&others.done, NULL, nr_threads + 1);
	for (i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, detach_others, (void *)(intptr_t)i))
			errx(1, "cannot create a thread");

	while (n < samples) {
		if (nr_threads) {
			for (i = 0; i < NR_OTHERS; i++)
				others.links[i] = attach(others.maps[i], others.cgroups[i]);
			atomic_store(&others.begun, 0);
			atomic_store(&others.left, NR_OTHERS);
			pthread_barrier_wait(&others.go);
		}
		do {
			if (nr_threads > 1) {
				begun = random() % NR_OTHERS;
				while (atomic_load(&others.begun) < begun)
					sched_yield();
			} else {
				end = clock_us(CLOCK_MONOTONIC) + random() % 10000;
				while (clock_us(CLOCK_MONOTONIC) < end)
					sched_yield();
			}
			left = atomic_load(&others.left);
			if (nr_threads && !left)
				break;
			if (nr_threads)
				under_way += atomic_load(&others.begun) - (NR_OTHERS - left);
			start = clock_us(CLOCK_MONOTONIC);
			link = attach(map, cgroup);
			middle = clock_us(CLOCK_MONOTONIC);
			detach(link);
			end = clock_us(CLOCK_MONOTONIC);
			attaching[n] = middle - start;
			detaching[n] = end - middle;
			both[n++] = end - start;
		} while (nr_threads <= 1 && n < samples);
		if (nr_threads)
			pthread_barrier_wait(&others.done);
	}

	others.stop = true;
	pthread_barrier_wait(&others.go);
	for (i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&others.go);
	pthread_barrier_destroy(&others.done);

	printf("@{\"latency\": \"%s\", \"others\": \"%s\", \"round\": %d, \"samples\": %d, \"under_way\": %.1f",
	       cgroup < 0 ? "tcp_congestion_ops" : "memcg_bpf_ops", what, round, n,
	       (double)under_way / n);
	print_latency("attach", attaching, n);
	print_latency("detach", detaching, n);
	print_latency("both", both, n);
	printf("}\n");
	free(attaching);
	free(detaching);
	free(both);
}

/* As many congestion controls, each from an object of its own, as the name is in it. */
static void load_controls(void)
{
	struct attach_bench *control;
	struct bpf_link *link;
	char *data, *name;
	size_t size;
	int i;

	for (i = 0; i < NR_OTHERS; i++) {
		control = attach_bench__open();
		if (!control)
			err(1, "cannot open a congestion control");
		bpf_map__set_autocreate(control->maps.policy, false);
		bpf_map__set_autocreate(control->maps.successor, false);
		/* The skeleton has no member for a string */
		data = bpf_map__initial_value(control->maps.congestion, &size);
		name = data ? memmem(data, size, CONGESTION, sizeof(CONGESTION)) : NULL;
		if (!name)
			errx(1, "the congestion control has no name " CONGESTION);
		snprintf(name, sizeof(CONGESTION), "bench_%d", i);
		if (attach_bench__load(control))
			err(1, "cannot load a congestion control");
		link = bpf_map__attach_struct_ops(control->maps.congestion);
		if (!link)
			err(1, "cannot attach a congestion control");
		bpf_link__destroy(link);
		others.maps[i] = bpf_map__fd(control->maps.congestion);
		others.cgroups[i] = -1;
	}
}

static void latency(int rounds, int samples)
{
	int i, kind, round;
	int maps[] = { congestion, policy }, cgroups[] = { -1, -1 };
	char name[32];

	make_cgroup("unrelated");
	cgroups[1] = open_cgroup("unrelated");
	for (i = 0; i < NR_OTHERS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		make_cgroup(name);
		others.maps[i] = policy;
		others.cgroups[i] = open_cgroup(name);
	}
	for (round = 1; round <= rounds; round++) {
		for (kind = 0; kind < 2; kind++) {
			latency_of(round, "none", maps[kind], cgroups[kind], 0, samples);
			latency_of(round, "at once", maps[kind], cgroups[kind], NR_OTHERS, samples);
			latency_of(round, "one by one", maps[kind], cgroups[kind], 1, samples);
		}
	}

	/*
	 * For comparison, fewer because each takes so long: tcp_congestion_ops
	 * waits for a grace period with a global mutex held, as we must not.
	 */
	load_controls();
	for (kind = 0; kind < 2; kind++)
		latency_of(1, "congestion controls", maps[kind], cgroups[kind], NR_OTHERS,
			   samples < 20 ? samples : 20);
}

/* The cost by the number of cgroups. Run 0 is a warm-up. */

static void print_cost(const char *name, struct cost cost, int n)
{
	printf(", \"%s\": {\"us\": %.4f, \"cpu_us\": %.4f}", name, cost.us / n, cost.cpu_us / n);
}

static void scale(int runs, int n)
{
	struct cost start, attached, updated, detached;
	int levels, run, cgroup, link;

	for (levels = 1; levels <= 3; levels += 2) {
		make_subtree("tree", n, levels);
		cgroup = open_cgroup("tree");
		for (run = 0; run <= runs; run++) {
			skel->bss->online = skel->bss->offline = 0;
			start = now();
			link = attach(policy, cgroup);
			attached = since(start);
			told("attach", &skel->bss->online, n);

			start = now();
			if (bpf_link_update(link, successor, NULL))
				err(1, "cannot update");
			updated = since(start);
			told("update, new policy", &skel->bss->online, n);
			told("update, old policy", &skel->bss->offline, n);

			start = now();
			detach(link);
			detached = since(start);
			told("detach", &skel->bss->offline, n);
			if (!run)
				continue;
			printf("@{\"scale\": %d, \"levels\": %d, \"run\": %d", n, levels, run);
			print_cost("attach", attached, n);
			print_cost("update", updated, n);
			print_cost("detach", detached, n);
			printf("}\n");
		}
		close(cgroup);
		remove_cgroup("tree");
	}
}

static void churn_once(int run, int n, bool with_policy)
{
	struct cost start, created, removed, gone;
	int i, cgroup, link = -1;
	char name[32];

	make_cgroup("churn");
	enable_memory("churn");
	cgroup = open_cgroup("churn");
	if (with_policy)
		link = attach(policy, cgroup);
	skel->bss->online = skel->bss->offline = 0;

	start = now();
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (mkdirat(cgroup, name, 0755))
			err(1, "churn/%s: cannot create the cgroup", name);
	}
	created = since(start);
	told("creation", &skel->bss->online, with_policy ? n : 0);

	start = now();
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (unlinkat(cgroup, name, AT_REMOVEDIR))
			err(1, "churn/%s: cannot remove the cgroup", name);
	}
	removed = since(start);
	wait_gone("churn");
	gone = since(start);
	told("removal", &skel->bss->offline, with_policy ? n : 0);

	if (with_policy)
		detach(link);
	close(cgroup);
	remove_cgroup("churn");
	if (!run)
		return;
	printf("@{\"churn\": %d, \"policy\": %s, \"run\": %d", n, with_policy ? "true" : "false", run);
	print_cost("create", created, n);
	print_cost("remove", removed, n);
	/* The kernel's workers do that, and waiting is not work */
	printf(", \"gone\": {\"us\": %.4f}}\n", gone.us / n);
}

static void churn(int runs, int n)
{
	int run;

	/* In turns, and now one first, now the other */
	for (run = 0; run <= runs; run++) {
		churn_once(run, n, run & 1);
		churn_once(run, n, !(run & 1));
	}
}

/*
 * Memory: what the types say, and what the slabs say. MemAvailable says nothing:
 * each CPU keeps some MiB of free pages that it does not count, and growing by one
 * MiB the slabs take from those.
 */

struct usage {
	unsigned long active, total;	/* objects of the slab */
	long unreclaimable;		/* KiB */
};

static struct usage usage_now(const char *slab)
{
	struct usage usage = { };
	unsigned long active, total, size;
	char line[512], name[64];
	FILE *file;

	/* fold what the CPUs have counted for themselves */
	write_file("/proc/sys/vm/stat_refresh", "1");
	file = fopen("/proc/slabinfo", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, SLAB_LINE, name, &active, &total, &size) == 4 &&
		    !strcmp(name, slab)) {
			usage.active = active;
			usage.total = total;
		}
	if (!file)
		err(1, "/proc/slabinfo");
	fclose(file);

	file = fopen("/proc/meminfo", "re");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "SUnreclaim: %ld", &usage.unreclaimable);
	if (!file)
		err(1, "/proc/meminfo");
	fclose(file);
	return usage;
}

/* The general slab that an allocation of @size comes from. */
static unsigned long size_class(unsigned long size, char *slab)
{
	unsigned long active, total, objsize, best = 0;
	char line[512], name[64], unit, rest;
	FILE *file = fopen("/proc/slabinfo", "re");
	int number;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, SLAB_LINE, name, &active, &total, &objsize) != 4 ||
		    sscanf(name, "kmalloc-%d%c%c", &number, &unit, &rest) > 2 ||
		    strncmp(name, "kmalloc-", 8) || name[8] < '1' || name[8] > '9')
			continue;
		if (objsize >= size && (!best || objsize < best)) {
			best = objsize;
			strcpy(slab, name);
		}
	}
	if (!best)
		errx(1, "/proc/slabinfo has no kmalloc slab for %lu bytes", size);
	fclose(file);
	return best;
}

static unsigned long type_size(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);

	if (id < 0)
		errx(1, "the kernel has no type struct %s", name);
	return btf__resolve_size(btf, id);
}

static void memory(int runs, int n)
{
	struct btf *btf = btf__load_vmlinux_btf();
	unsigned long array, item, node, class;
	struct usage before, after;
	char slab[64], file[128];
	int run, cgroup, link, i;

	if (!btf)
		err(1, "the kernel's type information");
	array = type_size(btf, "bpf_cgroup_ops_array");
	item = type_size(btf, "bpf_cgroup_ops_item");
	node = type_size(btf, "bpf_cgroup_ops_node");
	btf__free(btf);
	printf("@{\"types\": {\"array\": %lu, \"item\": %lu, \"node\": %lu}, \"classes\": {", array,
	       item, node);
	for (i = 8; i > 0; i /= 2) {
		class = size_class(array + i * item, slab);
		printf("\"%d\": %lu%s", i, class, i > 1 ? ", " : "}}\n");
	}

	make_subtree("tree", n, 1);
	cgroup = open_cgroup("tree");
	snprintf(file, sizeof(file), "/sys/kernel/slab/%s/shrink", slab);
	for (run = 0; run <= runs; run++) {
		/* or else the slabs have free objects, and need not grow */
		write_file(file, "1");
		before = usage_now(slab);
		link = attach(policy, cgroup);
		after = usage_now(slab);
		if (run)
			printf("@{\"memory\": %d, \"run\": %d, \"slab\": \"%s\", \"size\": %lu, \"objects\": %.3f, \"slab_bytes\": %.1f, \"unreclaimable\": %.1f}\n",
			       n, run, slab, class, ((double)after.active - before.active) / n,
			       ((double)after.total - before.total) * class / n,
			       (after.unreclaimable - before.unreclaimable) * 1024.0 / n);
		detach(link);
	}
	close(cgroup);
	remove_cgroup("tree");
}

static int number(const char *text, int least, int most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < least || value > most)
		errx(2, "'%s' is not a number from %d to %d", text, least, most);
	return value;
}

static void work(const char *what, int runs, int n)
{
	/* one line at a time, for those who watch */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (chdir(top))
		err(1, "%s", top);
	enable_memory(".");
	make_cgroup("keeper");
	load(open_cgroup("keeper"));
	if (!strcmp(what, "latency"))
		latency(runs, n);
	else if (!strcmp(what, "scale"))
		scale(runs, n);
	else if (!strcmp(what, "churn"))
		churn(runs, n);
	else
		memory(runs, n);
}

static pid_t child;

static void on_signal(int sig)
{
	kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	int runs, n, status, fd;
	sigset_t set, old;
	unsigned int i;

	if (argc != 4 || (strcmp(argv[1], "latency") && strcmp(argv[1], "scale") &&
			  strcmp(argv[1], "churn") && strcmp(argv[1], "memory")))
		errx(2, "usage: attach latency|scale|churn|memory RUNS NUMBER");
	runs = number(argv[2], 1, 1000);
	n = number(argv[3], 2, 50000);

	/* From here on, until the parent has a child that it can stop */
	sigemptyset(&set);
	for (i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (!mkdtemp(top))
		err(1, "%s: cannot create a cgroup (is cgroup2 mounted there, are you root?)", top);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &old, NULL);
		work(argv[1], runs, n);
		exit(0);
	}
	if (child < 0) {
		rmdir(top);
		err(1, "fork");
	}
	for (i = 0; i < 3; i++)
		sigaction(signals[i], &action, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "waitpid");

	for (i = 0; i < 3; i++)
		signal(signals[i], SIG_IGN);
	fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || remove_below(fd) || rmdir(top))
		errx(1, "%s: some cgroups could not be removed", top);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
