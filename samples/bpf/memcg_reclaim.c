// SPDX-License-Identifier: GPL-2.0
/*
 * Keep cgroups below their memory limits by reclaim in the background.
 *
 * A task that hits memory.max has to reclaim before it can go on. Here a policy
 * hears of every charge long before, and has the memory reclaimed meanwhile:
 * from a start mark on, down to a stop mark, in batches. It is done either by a
 * kernel thread, a BPF workqueue, whose CPU time is accounted to the cgroup; or
 * by a task of the cgroup when it returns to user space, where it holds no locks.
 *
 * The marks of a cgroup are shares of its nearest effective limit: the least of
 * memory.max and memory.high, its own and its ancestors'. The policy looks the
 * limit up itself, so marks follow limits that change. With --each one policy
 * keeps every cgroup below a slice that has a limit of its own.
 *
 * Not polled: what starts reclaim is a charge that finds the usage over the mark,
 * or that comes when the cgroup stalls for memory or faults a lot, as chosen.
 * Charges over the brake mark are delayed.
 *
 * A run of reclaim has at most MAX_ROUNDS batches and starts no other; three
 * futile batches end it, and no new one starts for a while, up to a second.
 * Without a charge nothing runs. The policy ends with its cgroup, or with this
 * program unless it is pinned.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include "memcg_common.h"
#include "memcg_reclaim.h"
#include "memcg_reclaim.skel.h"

#define PSI_WINDOW_US	1000000

static struct targets targets;
static const char *operand;
static struct target *target = &targets.list[0];
static bool each;
static struct mark start_mark, stop_mark, brake_mark;
static unsigned int triggers = TRIGGER_USAGE;
static unsigned long long batch;
static unsigned long long stall_us = 50000;
static unsigned long long faults = 2000;
static unsigned int use_task_work;

static struct memcg_reclaim *skel;
static unsigned long long page;
static const char *ended;

static const struct option_spec options[] = {
	{ "each", "SLICE", "keep all cgroups below SLICE, those to come included,\n"
	  "that have a memory.max or memory.high of their own.\n"
	  "The attribute user.memcg_reclaim of a cgroup has its own\n"
	  "percentages (\"95 90\") or off", CGROUPS, 'e', &targets },
	{ "context", "workqueue|task-work", "who reclaims: a kernel thread (default), or the task\n"
	  "that charged, on its way to user space", CHOICE, 0, &use_task_work },
	{ "start", "MARK", "from this usage on (default 75%)", MARK, 0, &start_mark },
	{ "stop", "MARK", "down to this one (default 7/8 of --start; 99.2% of it in\n"
	  "task-work, where somebody waits for it)", MARK, 0, &stop_mark },
	{ "brake", "MARK|off", "delay charges above this, at the limit by twice the time\n"
	  "that it takes to reclaim as much (default: half way from\n"
	  "--start to the limit)", MARK, 0, &brake_mark, 0, 1 },
	{ "trigger", "usage|psi|faults", "some of these, joined by commas: usage above --start\n"
	  "(default), tasks that stall, many page faults. The last\n"
	  "two reclaim above --stop while they fire", CHOICES, 't', &triggers },
	{ "stall", "US", "psi fires for a second when tasks stalled that long in\n"
	  "a second, 1000..1000000 (default 50000)", NUMBER, 0, &stall_us, 1000, PSI_WINDOW_US },
	{ "faults", "N", "faults fires from N in 100 ms, 1..10000000 (default\n2000)",
	  NUMBER, 0, &faults, 1, 10000000 },
	{ "batch", "PAGES", "reclaimed at once, 32..4096 (default 512; 32 in\ntask-work)",
	  NUMBER, 0, &batch, 32, 4096 },
	{ }
};

static const char help_head[] =
"Usage: memcg_reclaim [OPTION]... CGROUP-DIRECTORY\n"
"       memcg_reclaim [OPTION]... --each SLICE\n"
"       memcg_reclaim --list | --unpin NAME | --probe\n"
"\n"
"Keep a cgroup, or each cgroup below SLICE, below its memory limit by reclaim in the\n"
"background, started by its charges. Runs until SIGINT, SIGTERM or SIGHUP, or until the\n"
"cgroup goes away, and leaves nothing behind unless it is pinned.\n"
"\n"
"A MARK is a percentage of the nearest effective limit (the least memory.max or\n"
"memory.high of the cgroup and those above it), which is followed when it changes; or\n"
"a size with the suffixes of memory.max.\n"
"\n";

static const char help_tail[] =
"\n"
"Exit status: 0 ended as asked, 1 failed while running, 2 bad options or cgroup,\n"
"77 this kernel lacks what is needed.\n";

static const struct kernel_need needs[] = {
	/* the type that only a registered struct_ops has */
	{ "bpf_struct_ops_memcg_bpf_ops", "memory cgroup policies", NULL, BTF_KIND_STRUCT },
	{ "bpf_try_to_free_mem_cgroup_pages", "reclaim from BPF", NULL, BTF_KIND_FUNC },
	{ "bpf_get_mem_cgroup", "memory cgroups of cgroups", NULL, BTF_KIND_FUNC },
	{ "bpf_wq_start", "BPF workqueues", NULL, BTF_KIND_FUNC },
	{ "bpf_task_work_schedule_resume", "BPF task work", NULL, BTF_KIND_FUNC },
	{ "bpf_cgroup_read_xattr", "extended attributes of cgroups",
	  "--each has the same marks for all", BTF_KIND_FUNC },
	{ "/proc/pressure/memory", "pressure stall information", "no --trigger psi" },
	{ }
};

/* The least of memory.max and memory.high from @fd upwards; NO_LIMIT for none. */
static unsigned long long effective_limit(int fd)
{
	static const char * const files[] = { "memory.max", "memory.high" };
	unsigned long long limit = NO_LIMIT, value;
	char text[32];
	size_t i;
	int file, up;
	ssize_t n;

	for (fd = dup(fd); fd >= 0 && on_cgroup2(fd); fd = up) {
		for (i = 0; i < ARRAY_SIZE(files); i++) {
			file = openat(fd, files[i], O_RDONLY | O_CLOEXEC);
			n = file < 0 ? 0 : read(file, text, sizeof(text) - 1);
			if (file >= 0)
				close(file);
			text[n > 0 ? n : 0] = '\0';
			value = *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : NO_LIMIT;
			if (value < limit)
				limit = value;
		}
		/* the root has none, and nothing above it has */
		up = faccessat(fd, "cgroup.events", F_OK, 0) ? -1 :
		     openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
	}
	if (fd >= 0)
		close(fd);
	return limit;
}

static unsigned long long in_bytes(const struct mark *m, unsigned long long limit)
{
	return m->share && limit != NO_LIMIT ? limit / WHOLE * m->share : m->bytes;
}

/* What cannot be meant, as far as it is known before there is a charge. */
static int check_marks(void)
{
	unsigned long long limit = each ? NO_LIMIT : effective_limit(target->fd);
	unsigned long long start = in_bytes(&start_mark, limit), stop = in_bytes(&stop_mark, limit);
	unsigned long long brake = in_bytes(&brake_mark, limit);

	if (!each && limit == NO_LIMIT && !start_mark.bytes)
		return complain(EXIT_USAGE, "%s has no memory.max, nor has anything above it: set one, or give a size as --start",
				target->path);
	if (limit < 4 * page)
		return complain(EXIT_USAGE, "%s cannot be kept below its limit, which is %llu bytes",
				target->path, limit);
	if (!start && limit != NO_LIMIT)
		start = limit / 4 * 3;
	if (start && start >= limit)
		return complain(EXIT_USAGE, "--start %llu is not below the limit, which is %llu",
				start, limit);
	if ((start && stop >= start) ||
	    (stop_mark.share && stop_mark.share >= (start_mark.share ?:
						     start_mark.bytes ? WHOLE : WHOLE * 3 / 4)))
		return complain(EXIT_USAGE, "--stop is not below --start%s", start_mark.given ? "" :
				", which is 75%");
	if (brake && limit == NO_LIMIT && !each)
		return complain(EXIT_USAGE, "--brake has no meaning here: %s has no memory.max",
				target->path);
	if ((brake && (brake < start || brake >= limit)) ||
	    (brake_mark.share && start_mark.share > brake_mark.share))
		return complain(EXIT_USAGE, "--brake is not between --start and the limit");
	return 0;
}

static int check_options(void)
{
	each = targets.nr;
	if (targets.nr > 1)
		return complain(EXIT_USAGE, "--each: give it once, or run this for each of them");
	if (operand && each)
		return complain(EXIT_USAGE, "'%s': --each SLICE is given already", operand);
	if (!operand && !each)
		return complain(EXIT_USAGE, "no cgroup directory is given, see --help");
	if (operand)
		targets = (struct targets){
			1, { { .option = "cgroup", .path = operand, .fd = -1 } }
		};
	if (each && triggers & ~TRIGGER_USAGE)
		return complain(EXIT_USAGE, "--trigger: with --each there is only usage");
	if (pin_name && (duration_s || json_path))
		return complain(EXIT_USAGE, "--pin %s: --duration and --json have no meaning with it",
				pin_name);
	if (pin_name && triggers & ~TRIGGER_USAGE)
		return complain(EXIT_USAGE, "--pin %s: --trigger psi and faults need this program",
				pin_name);
	return pin_name ? check_pin_name(pin_name) : 0;
}

static int load(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	skel = memcg_reclaim__open();
	if (!skel)
		return complain(EXIT_FAILURE, "the BPF object cannot be opened: %s",
				strerror(errno));
	skel->rodata->target_id = target->id;
	skel->rodata->each = each;
	skel->rodata->start_mark.pages = start_mark.bytes / page;
	skel->rodata->start_mark.share = start_mark.share;
	skel->rodata->stop_mark.pages = stop_mark.bytes / page;
	skel->rodata->stop_mark.share = stop_mark.share;
	skel->rodata->brake_mark.pages = brake_mark.bytes / page;
	skel->rodata->brake_mark.share = brake_mark.share;
	/* In small steps when the task that charged waits for them */
	if (use_task_work)
		skel->rodata->default_stop = 992;
	skel->rodata->no_brake = brake_mark.given && !brake_mark.bytes && !brake_mark.share;
	skel->rodata->batch = batch ?: use_task_work ? 32 : 512;
	skel->rodata->triggers = triggers;
	skel->rodata->fault_threshold = faults;
	skel->rodata->use_task_work = use_task_work;
	bpf_map__set_max_entries(skel->maps.tasks, libbpf_num_possible_cpus());
	bpf_program__set_autoload(skel->progs.on_fault, triggers & TRIGGER_FAULTS);

	err = memcg_reclaim__load(skel);
	if (err)
		return complain_load(err);
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.prepare), &opts) || opts.retval)
		return complain(EXIT_FAILURE, "%s: it is being removed", target->path);
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
	*fd = openat(target->fd, "memory.pressure", O_RDWR | O_CLOEXEC);
	snprintf(text, sizeof(text), "some %llu %u", stall_us, PSI_WINDOW_US);
	if (*fd < 0 || write(*fd, text, strlen(text) + 1) < 0)
		return complain(EXIT_LACKING, "%s/memory.pressure: %s; --trigger psi needs CONFIG_PSI and psi=1",
				target->path, strerror(errno));
	return 0;
}

/* The marks of a cgroup are new, or have changed */
static int on_event(void *ctx, void *data, size_t size)
{
	const struct memcg_reclaim_event *e = data;
	char path[PATH_MAX];

	cgroup_path(e->id, path, sizeof(path));
	if (e->bad_attribute)
		say("%s: warning: user.memcg_reclaim is neither percentages, such as \"95 90\", nor off: ignored",
		    path);
	if (e->marks.start == NO_LIMIT) {
		say("%s: %s", path, e->by_attribute ? "off, by its attribute" : "no limit any more");
	} else {
		if (e->start_too_high)
			say("%s: warning: --start can never be reached below a limit of %llu KiB, using 75%% of that",
			    path, e->marks.limit * page >> 10);
		say("%s: reclaim from %llu KiB down to %llu KiB%s", path,
		    e->marks.start * page >> 10, e->marks.stop * page >> 10,
		    e->by_attribute ? ", by its attribute" : "");
	}
	if (json_file) {
		fprintf(json_file, "{\"time\": %.3f, \"cgroup\": ", wall_clock());
		print_json_string(json_file, path);
		fprintf(json_file, ", \"limit\": %lld, \"start\": %lld, \"stop\": %lld}\n",
			e->marks.limit == NO_LIMIT ? -1LL : (long long)(e->marks.limit * page),
			e->marks.start == NO_LIMIT ? -1LL : (long long)(e->marks.start * page),
			e->marks.stop == NO_LIMIT ? -1LL : (long long)(e->marks.stop * page));
	}
	return 0;
}

static int watch(int signal_fd, int psi_fd, struct ring_buffer *events)
{
	__u64 end = now_ns() + duration_s * NSEC_PER_SEC;
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		/* an attachment that ends by itself says POLLHUP */
		{ .fd = bpf_link__fd(target->link) },
		{ .fd = psi_fd, .events = POLLPRI },
		{ .fd = ring_buffer__epoll_fd(events), .events = POLLIN },
	};
	int timeout = -1, n, err;

	for (;;) {
		if (duration_s) {
			__u64 now = now_ns();

			timeout = now < end ? (end - now) / NSEC_PER_MSEC + 1 : 0;
		}
		n = poll(fds, ARRAY_SIZE(fds), timeout);
		if (n < 0 && errno != EINTR)
			return complain(EXIT_FAILURE, "poll: %s", strerror(errno));
		ring_buffer__consume(events);
		if (fds[0].revents || fds[1].revents || !n) {
			ended = fds[0].revents ? "signal" : fds[1].revents ? "gone" : "duration";
			return 0;
		}
		if (fds[2].revents & POLLERR)
			fds[2].fd = -1;
		else if (fds[2].revents)
			skel->bss->stalled_until = now_ns() + PSI_WINDOW_US * 1000ULL;
		err = check_output();
		if (err)
			return err;
	}
}

static void write_json(FILE *f)
{
	const struct memcg_reclaim_stats *s = &skel->data_stats->stats;

	fprintf(f, "{\"context\": \"%s\", \"batch\": %u, ", use_task_work ? "task-work" : "workqueue",
		skel->rodata->batch);
	fprintf(f, "\"ended\": \"%s\", \"by_usage\": %llu, \"by_psi\": %llu, \"by_faults\": %llu, ",
		ended, s->by_usage, s->by_psi, s->by_faults);
	fprintf(f, "\"starts\": %llu, \"runs\": %llu, \"rounds\": %llu, \"reclaimed\": %llu, \"run_us\": %llu, ",
		s->starts, s->runs, s->rounds, s->reclaimed * page, s->run_ns / 1000);
	fprintf(f, "\"back_offs\": %llu, \"refused\": %llu, \"delays\": %llu, \"delayed_ms\": %llu, ",
		s->back_offs, s->refused, s->delays, s->delayed_ms);
	fprintf(f, "\"most_used\": %llu}\n", s->most_used * page);
}

static int show_pinned(const struct pinned *p, int map_fd)
{
	typeof(*skel->data_stats) data;
	char path[PATH_MAX];
	__u32 key = 0;

	if (bpf_map_lookup_elem(map_fd, &key, &data))
		return complain(EXIT_FAILURE, "%s: %s", p->name, strerror(errno));
	printf("%-16s %s: %llu cgroups, %llu starts, %llu MiB reclaimed in %llu ms, %llu delays\n",
	       p->name, p->cgroup_ids[0] ? cgroup_path(p->cgroup_ids[0], path, sizeof(path)) :
	       "(gone)", data.stats.kept, data.stats.starts, data.stats.reclaimed * page >> 20,
	       data.stats.run_ns / NSEC_PER_MSEC, data.stats.delays);
	return 0;
}

/* Those of this program have a map that no other has */
#define STATS_MAP	"reclaim_stats"

static int run(int signal_fd)
{
	/* The work of a map that nobody holds from outside is cancelled */
	const struct map_pin maps[] = {
		{ skel->maps.data_stats, STATS_MAP }, { skel->maps.workers, "workers" }, { },
	};
	struct ring_buffer *events = NULL;
	int psi_fd = -1, err;

	err = open_psi(&psi_fd);
	/* The controller must not stall on the pressure that it manages */
	if (!err && mlockall(MCL_CURRENT | MCL_FUTURE))
		complain(0, "going on without locked memory: %s", strerror(errno));
	if (!err) {
		events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
		err = events ? attach_policy(target, skel->maps.keep_policy) :
			       complain(EXIT_FAILURE, "ring buffer: %s", strerror(errno));
	}
	if (!err && pin_name) {
		err = pin_policy(pin_name, &targets, maps);
		if (!err)
			say("left running as %s", pin_name);
		err = err ?: check_output();
	} else if (!err) {
		say("keeping %s%s below %s limit, in %s", each ? "each cgroup in " : "",
		    target->path, each ? "its own" : "its",
		    use_task_work ? "task_work" : "a workqueue");
		err = watch(signal_fd, psi_fd, events);
		bpf_link__destroy(target->link);
		if (!err) {
			say("detached (%s)", ended);
			if (json_file)
				write_json(json_file);
			err = check_output();
		}
	}
	ring_buffer__free(events);
	return err;
}

int main(int argc, char **argv)
{
	int signal_fd, err;

	page = sysconf(_SC_PAGESIZE);
	err = parse_options(argc, argv, options, policy_options, &operand, help_head, help_tail);
	if (err)
		return err;
	if (probe_only)
		return probe_kernel(needs, true);
	if (list_pinned)
		return walk_pinned(NULL, STATS_MAP, show_pinned) ?: check_output();
	if (unpin_name)
		return unpin_policy(unpin_name);

	err = check_options() ?: open_target(target) ?: check_marks() ?:
	      probe_kernel(needs, false) ?: open_output();
	if (err)
		return err;
	signal_fd = open_signals();
	if (signal_fd < 0)
		return EXIT_FAILURE;
	err = load() ?: run(signal_fd);
	memcg_reclaim__destroy(skel);
	return err;
}
