// SPDX-License-Identifier: GPL-2.0
/*
 * memcg --reclaim: keep a cgroup below its memory.max in the background.
 *
 * A task that hits memory.max has to reclaim before it can go on. Here a policy
 * hears of every charge long before, and has the memory reclaimed meanwhile:
 * from a start mark on, down to a stop mark, in batches. It is done either by a
 * kernel thread, a BPF workqueue, whose CPU time is accounted to the cgroup; or
 * by a task of the cgroup when it returns to user space, where it holds no locks.
 *
 * Not polled: what starts reclaim is a charge that finds the usage over the mark,
 * or that comes when the cgroup stalls for memory or faults a lot, as chosen.
 * Whoever charges faster than is reclaimed is delayed over the brake mark.
 *
 * It ends by itself: a run has at most MAX_ROUNDS batches and starts no other;
 * three futile batches end it, and no new one starts for a while, up to a second.
 * Without a charge nothing happens; with the cgroup or this program gone, neither.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "memcg.h"
#include "memcg_reclaim.h"
#include "memcg_reclaim.skel.h"

#define PSI_WINDOW_US	1000000

static struct target target = { .option = "--reclaim", .fd = -1 };
/* In bytes */
static unsigned long long limit, start_mark, stop_mark, brake_mark;
static bool no_brake;
static unsigned int triggers = TRIGGER_USAGE;
static unsigned long long batch;
static unsigned long long stall_us = 50000;
static unsigned long long faults = 2000;
static unsigned long long duration_s;
static bool use_task_work;
static const char *json_path;

static struct memcg_reclaim *skel;
static const char *ended;

static const char usage_text[] =
"Usage: memcg --reclaim DIR [OPTION]...\n"
"\n"
"Keep the cgroup DIR below its memory.max by reclaim in the background, started by\n"
"its charges. Runs until SIGINT or SIGTERM, or until the cgroup goes away, and\n"
"leaves nothing behind. SIZE is a number of bytes, or of K, M or G.\n"
"\n"
"      --reclaim DIR        the cgroup v2 directory\n"
"      --context workqueue|task-work\n"
"                           who reclaims: a kernel thread (default), or the task\n"
"                           that charged, on its way to user space\n"
"      --start SIZE         from this usage on (default 3/4 of memory.max)\n"
"      --stop SIZE          down to this one (default 7/8 of --start; 127/128 in\n"
"                           task-work, where somebody waits for it)\n"
"      --brake SIZE|off     delay charges above this (default: half way from\n"
"                           --start to memory.max), up to 10 ms at memory.max\n"
"      --trigger LIST       of usage (default): above --start; psi: tasks stall;\n"
"                           faults: many page faults; joined by commas. The last\n"
"                           two reclaim above --stop while they fire\n"
"      --stall US           psi fires for a second when tasks stalled that long in\n"
"                           a second, 1000..1000000 (default 50000)\n"
"      --faults N           faults fires from N in 100 ms, 1..10000000 (default\n"
"                           2000)\n"
"      --batch PAGES        reclaimed at once, 32..4096 (default 512; 32 in\n"
"                           task-work)\n"
"      --duration S         stop after S seconds, 1..31536000\n"
"      --json FILE          at the end, write the counters there (-: to stdout)\n"
"  -v, --verbose            show what libbpf says\n"
"  -h, --help               show this\n"
"\n"
"Exit status: 0 ended as asked, 1 failed while running, 2 bad options or cgroup,\n"
"77 this kernel lacks what is needed.\n";

static int parse_size(const char *option, const char *text, unsigned long long *value)
{
	unsigned int shift = 0;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*end && strchr("KMG", *end))
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	if (*text < '0' || *text > '9' || *end || errno || !*value || *value > 1ULL << 50 >> shift)
		return complain(EXIT_USAGE, "%s '%s': give a size above 0, such as 24M", option,
				text);
	*value <<= shift;
	return 0;
}

static int parse_triggers(char *list)
{
	char *name, *rest = list;

	triggers = 0;
	while ((name = strsep(&rest, ","))) {
		if (!strcmp(name, "usage"))
			triggers |= TRIGGER_USAGE;
		else if (!strcmp(name, "psi"))
			triggers |= TRIGGER_PSI;
		else if (!strcmp(name, "faults"))
			triggers |= TRIGGER_FAULTS;
		else
			return complain(EXIT_USAGE, "--trigger '%s': give usage, psi, faults, or some of them joined by commas",
					name);
	}
	return 0;
}

static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "reclaim",	required_argument, NULL, 'r' },
		{ "context",	required_argument, NULL, 'c' },
		{ "start",	required_argument, NULL, 'a' },
		{ "stop",	required_argument, NULL, 'o' },
		{ "brake",	required_argument, NULL, 'b' },
		{ "trigger",	required_argument, NULL, 't' },
		{ "stall",	required_argument, NULL, 'p' },
		{ "faults",	required_argument, NULL, 'f' },
		{ "batch",	required_argument, NULL, 'n' },
		{ "duration",	required_argument, NULL, 's' },
		{ "json",	required_argument, NULL, 'j' },
		{ "verbose",	no_argument,	   NULL, 'v' },
		{ "help",	no_argument,	   NULL, 'h' },
		{ }
	};
	int c, err = 0;

	/* with a directory still to be given, to ask for help is no mistake */
	for (c = 1; c < argc; c++) {
		if (!strcmp(argv[c], "--help") || !strcmp(argv[c], "-h")) {
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		}
	}

	while (!err && (c = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			target.path = optarg;
			break;
		case 'c':
			use_task_work = !strcmp(optarg, "task-work");
			if (!use_task_work && strcmp(optarg, "workqueue"))
				err = complain(EXIT_USAGE, "--context '%s': give workqueue or task-work",
					       optarg);
			break;
		case 'a':
			err = parse_size("--start", optarg, &start_mark);
			break;
		case 'o':
			err = parse_size("--stop", optarg, &stop_mark);
			break;
		case 'b':
			no_brake = !strcmp(optarg, "off");
			if (!no_brake)
				err = parse_size("--brake", optarg, &brake_mark);
			break;
		case 't':
			err = parse_triggers(optarg);
			break;
		case 'p':
			err = parse_number("--stall", optarg, 1000, PSI_WINDOW_US, &stall_us);
			break;
		case 'f':
			err = parse_number("--faults", optarg, 1, 10000000, &faults);
			break;
		case 'n':
			err = parse_number("--batch", optarg, 32, 4096, &batch);
			break;
		case 's':
			err = parse_number("--duration", optarg, 1, 31536000, &duration_s);
			break;
		case 'j':
			json_path = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			/* getopt_long() has said what is wrong */
			return EXIT_USAGE;
		}
	}
	if (err)
		return err;
	if (optind < argc)
		return complain(EXIT_USAGE, "'%s': only options are taken, see --reclaim --help",
				argv[optind]);
	return 0;
}

/* memory.max, 0 for none */
static int read_limit(void)
{
	char text[32] = "";
	int fd;

	fd = openat(target.fd, "memory.max", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return complain(EXIT_FAILURE, "%s/memory.max: %s", target.path, strerror(errno));
	close(fd);
	limit = *text == 'm' ? 0 : strtoull(text, NULL, 10);
	return 0;
}

static int check_marks(void)
{
	if (!limit && !start_mark)
		return complain(EXIT_USAGE, "%s has no memory.max: set one, or give --start",
				target.path);
	if (!start_mark)
		start_mark = limit / 4 * 3;
	/* In small steps when the task that charged waits for them */
	if (!stop_mark)
		stop_mark = use_task_work ? start_mark / 128 * 127 : start_mark / 8 * 7;
	if (!batch)
		batch = use_task_work ? 32 : 512;
	if (limit && start_mark >= limit)
		return complain(EXIT_USAGE, "--start %llu is not below memory.max, which is %llu",
				start_mark, limit);
	if (stop_mark >= start_mark)
		return complain(EXIT_USAGE, "--stop %llu is not below --start, which is %llu",
				stop_mark, start_mark);
	if (brake_mark && !limit)
		return complain(EXIT_USAGE, "--brake has no meaning here: %s has no memory.max",
				target.path);
	if (limit && !brake_mark)
		brake_mark = start_mark + (limit - start_mark) / 2;
	if (limit && (brake_mark < start_mark || brake_mark >= limit))
		return complain(EXIT_USAGE, "--brake %llu is not between --start (%llu) and memory.max (%llu)",
				brake_mark, start_mark, limit);
	return 0;
}

static int check_kernel(void)
{
	static const char * const needed[] = {
		"bpf_struct_ops_memcg_bpf_ops", "bpf_try_to_free_mem_cgroup_pages",
		"bpf_get_mem_cgroup", "bpf_wq_start", "bpf_task_work_schedule_resume",
	};
	struct btf *btf = btf__load_vmlinux_btf();
	size_t i;

	if (!btf)
		return complain(EXIT_LACKING, "the kernel's type information cannot be read (CONFIG_DEBUG_INFO_BTF): %s",
				strerror(errno));
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (btf__find_by_name(btf, needed[i]) > 0)
			continue;
		btf__free(btf);
		return complain(EXIT_LACKING, "this kernel has no %s (CONFIG_BPF_MEMCG)",
				needed[i]);
	}
	btf__free(btf);
	return 0;
}

static int load(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	unsigned long long page = sysconf(_SC_PAGESIZE);
	int err;

	skel = memcg_reclaim__open();
	if (!skel)
		return complain(EXIT_FAILURE, "the BPF object cannot be opened: %s",
				strerror(errno));
	skel->rodata->target_id = target.id;
	skel->rodata->start_mark = start_mark / page;
	skel->rodata->stop_mark = stop_mark / page;
	if (limit && !no_brake) {
		skel->rodata->brake_mark = brake_mark / page;
		skel->rodata->brake_span = (limit - brake_mark) / page;
	}
	skel->rodata->batch = batch;
	skel->rodata->triggers = triggers;
	skel->rodata->fault_threshold = faults;
	skel->rodata->use_task_work = use_task_work;
	bpf_map__set_max_entries(skel->maps.tasks, libbpf_num_possible_cpus());
	bpf_program__set_autoload(skel->progs.on_fault, triggers & TRIGGER_FAULTS);

	err = memcg_reclaim__load(skel);
	if (err)
		return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; be root, and see --verbose",
				strerror(-err));
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &opts) || opts.retval)
		return complain(EXIT_FAILURE, "the workqueue cannot be set up: %s",
				opts.retval ? "see the kernel's log" : strerror(errno));
	if (triggers & TRIGGER_FAULTS) {
		skel->links.on_fault = bpf_program__attach(skel->progs.on_fault);
		if (!skel->links.on_fault)
			return complain(EXIT_FAILURE, "page faults cannot be counted: %s",
					strerror(errno));
	}
	return 0;
}

static int open_psi(int *fd)
{
	char text[64];

	if (!(triggers & TRIGGER_PSI))
		return 0;
	*fd = openat(target.fd, "memory.pressure", O_RDWR | O_CLOEXEC);
	snprintf(text, sizeof(text), "some %llu %u", stall_us, PSI_WINDOW_US);
	if (*fd < 0 || write(*fd, text, strlen(text) + 1) < 0)
		return complain(EXIT_LACKING, "%s/memory.pressure: %s; --trigger psi needs CONFIG_PSI and psi=1",
				target.path, strerror(errno));
	return 0;
}

static int watch(int signal_fd, int psi_fd)
{
	__u64 end = now_ns() + duration_s * NSEC_PER_SEC;
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		/* an attachment that ends by itself says POLLHUP */
		{ .fd = bpf_link__fd(target.link) },
		{ .fd = psi_fd, .events = POLLPRI },
	};
	int timeout = -1, n;

	for (;;) {
		if (duration_s) {
			__u64 now = now_ns();

			timeout = now < end ? (end - now) / NSEC_PER_MSEC + 1 : 0;
		}
		n = poll(fds, 3, timeout);
		if (n < 0 && errno != EINTR)
			return complain(EXIT_FAILURE, "poll: %s", strerror(errno));
		if (fds[0].revents || fds[1].revents || !n) {
			ended = fds[0].revents ? "signal" : fds[1].revents ? "gone" : "duration";
			return 0;
		}
		if (fds[2].revents & POLLERR)
			fds[2].fd = -1;
		else if (fds[2].revents)
			skel->bss->stalled_until = now_ns() + PSI_WINDOW_US * 1000ULL;
	}
}

static void write_json(FILE *f)
{
	const struct memcg_reclaim_stats *s = &skel->bss->stats;
	unsigned long long page = sysconf(_SC_PAGESIZE);

	fprintf(f, "{\"context\": \"%s\", \"start\": %llu, \"stop\": %llu, \"brake\": %llu, \"batch\": %llu,\n",
		use_task_work ? "task-work" : "workqueue", start_mark, stop_mark,
		no_brake ? 0 : brake_mark, batch);
	fprintf(f, " \"ended\": \"%s\", \"by_usage\": %llu, \"by_psi\": %llu, \"by_faults\": %llu,\n",
		ended, s->by_usage, s->by_psi, s->by_faults);
	fprintf(f, " \"starts\": %llu, \"runs\": %llu, \"rounds\": %llu, \"reclaimed\": %llu, \"run_us\": %llu,\n",
		s->starts, s->runs, s->rounds, s->reclaimed * page, s->run_ns / 1000);
	fprintf(f, " \"back_offs\": %llu, \"refused\": %llu, \"delays\": %llu, \"most_used\": %llu}\n",
		s->back_offs, s->refused, s->delays, s->most_used * page);
}

int memcg_reclaim(int argc, char **argv)
{
	int signal_fd = -1, psi_fd = -1, err;
	FILE *json = NULL;

	err = parse_options(argc, argv) ?: open_target(&target) ?: read_limit() ?:
	      check_marks() ?: check_kernel();
	if (err)
		return err;
	if (json_path) {
		json = !strcmp(json_path, "-") ? stdout : fopen(json_path, "we");
		if (!json)
			return complain(EXIT_USAGE, "--json %s: %s", json_path, strerror(errno));
	}
	signal_fd = open_signals();
	if (signal_fd < 0)
		return EXIT_FAILURE;

	err = load() ?: open_psi(&psi_fd);
	if (!err) {
		/* The one who decides about memory should not have to wait for it */
		if (mlockall(MCL_CURRENT | MCL_FUTURE))
			complain(0, "going on without locked memory: %s", strerror(errno));
		err = attach(&target, skel->maps.keep_policy);
	}
	if (!err) {
		/* with the log on stderr when stdout is for JSON */
		fprintf(json == stdout ? stderr : stdout, "keeping %s below %llu bytes, down to %llu, in %s\n",
			target.path, start_mark, stop_mark,
			use_task_work ? "task_work" : "a workqueue");
		err = watch(signal_fd, psi_fd);
		bpf_link__destroy(target.link);
	}
	if (!err) {
		fprintf(json == stdout ? stderr : stdout, "detached (%s)\n", ended);
		if (json) {
			write_json(json);
			if (fflush(json) || ferror(json))
				err = complain(EXIT_FAILURE, "--json %s: %s", json_path,
					       strerror(errno));
		}
	}
	memcg_reclaim__destroy(skel);
	return err;
}
