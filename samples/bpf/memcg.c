// SPDX-License-Identifier: GPL-2.0
/*
 * Priority control of two memory cgroups by a memcg_bpf_ops policy.
 *
 * A cgroup that matters (high) shares a machine with one that matters less
 * (low). memory.low on high helps while high works, and starves low for nothing
 * when high only sits on its memory. This program looks at high's activity once
 * per interval and decides: while high is active its memory is protected from
 * reclaim; while it is idle it is exposed, even where memory.low (or memory.min)
 * is set on it, so that low can have what high does not use. Charges of low can
 * be delayed as well while high is active.
 *
 * Activity is what high cannot hide: its page faults, or the time that its tasks
 * were stalled for memory. Both have the same blind spot. A cgroup whose memory
 * is all there causes neither, however busy it is. So nothing seen for a while
 * (--hold) is only a guess that high is idle, and exposing it is how the guess
 * is tested: when high takes its memory back at once, it was wrong, and the next
 * guess waits twice as long (up to HOLD_MAX times --hold).
 *
 * Nothing outlives this program: the policies are held by two links, which the
 * kernel takes down when their file descriptors are closed, for whatever reason.
 *
 * memcg --reclaim is another policy, and has memcg_reclaim.c to itself.
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
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "memcg.h"
#include "memcg.skel.h"

#define HOLD_MAX	16	/* how much longer than asked --hold may get */

/* A decision this old no longer counts: so many intervals, and so long at least */
#define STALE_INTERVALS	10
#define STALE_MS	5000

/* enum bpf_memcg_protection, which only the kernel's type information has */
enum decision { LEAVE, PROTECT, EXPOSE };

enum trigger { TRIGGER_FAULTS, TRIGGER_PSI };

static struct target high = { .option = "--high", .fd = -1 };
static struct target low = { .option = "--low", .fd = -1 };

static enum trigger trigger = TRIGGER_FAULTS;
static unsigned long long threshold;		/* 0: what suits the trigger */
static unsigned long long interval_ms = 200;
static unsigned long long hold_ms = 2000;
static unsigned long long delay_ms;
static unsigned long long duration_s;
static bool steer_min;
static bool expose = true;
static const char *json_path;

static struct memcg *skel;
static FILE *log_file;
static int psi_fd = -1;

/* What happened, for --json. */
static struct {
	unsigned long long intervals, active_intervals, switches, total;
	const char *ended;
} seen;

static const char usage_text[] =
"Usage: memcg --high DIR --low DIR [OPTION]...\n"
"       memcg --reclaim DIR [OPTION]..., see memcg --reclaim --help\n"
"       memcg --probe\n"
"\n"
"While the cgroup DIR of --high is active, protect its memory from reclaim; while\n"
"it is idle, expose it, whatever memory.low it has. Runs until SIGINT or SIGTERM,\n"
"or until one of the cgroups goes away, and leaves nothing behind.\n"
"\n"
"      --high DIR           the cgroup v2 directory that has priority\n"
"      --low DIR            the one that has not\n"
"      --trigger faults|psi what tells activity: page faults (default), or the\n"
"                           microseconds that tasks stalled for memory\n"
"      --threshold N        active from N faults or microseconds in an interval on\n"
"                           (default: 64 faults; a 20th of the interval)\n"
"      --interval MS        how often to look, 10..60000 (default 200)\n"
"      --hold MS            how long high must be quiet to count as idle,\n"
"                           0..3600000 (default 2000); doubles up to 16 times\n"
"                           when it proves wrong\n"
"      --protect low|min    which protection to steer (default low); with min,\n"
"                           a static memory.min is taken away while idle, too\n"
"      --no-expose          leave an idle high its static protection\n"
"      --delay MS           delay each charge of low while high is active,\n"
"                           0..2000 (default 0: none)\n"
"      --duration S         stop after S seconds, 1..31536000\n"
"      --json FILE          at the end, write the counters there (-: to stdout,\n"
"                           the log goes to stderr then)\n"
"      --probe              say what this kernel offers, and do nothing\n"
"  -v, --verbose            show what libbpf says\n"
"  -h, --help               show this\n"
"\n"
"Exit status: 0 ended as asked (or --probe: all there), 1 failed while running,\n"
"2 bad options or cgroups, 77 this kernel lacks what is needed.\n";

/* Options */

static int parse_choice(const char *option, const char *text, const char *first,
			const char *second, bool *is_second)
{
	*is_second = !strcmp(text, second);
	if (!*is_second && strcmp(text, first))
		return complain(EXIT_USAGE, "%s '%s': give %s or %s", option, text,
				first, second);
	return 0;
}

static int parse_options(int argc, char **argv, bool *probe)
{
	static const struct option options[] = {
		{ "high",	required_argument, NULL, 'H' },
		{ "low",	required_argument, NULL, 'L' },
		{ "trigger",	required_argument, NULL, 't' },
		{ "threshold",	required_argument, NULL, 'n' },
		{ "interval",	required_argument, NULL, 'i' },
		{ "hold",	required_argument, NULL, 'o' },
		{ "protect",	required_argument, NULL, 'p' },
		{ "no-expose",	no_argument,	   NULL, 'x' },
		{ "delay",	required_argument, NULL, 'd' },
		{ "duration",	required_argument, NULL, 's' },
		{ "json",	required_argument, NULL, 'j' },
		{ "probe",	no_argument,	   NULL, 'P' },
		{ "verbose",	no_argument,	   NULL, 'v' },
		{ "help",	no_argument,	   NULL, 'h' },
		{ }
	};
	bool second;
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
		switch (c) {
		case 'H':
			high.path = optarg;
			break;
		case 'L':
			low.path = optarg;
			break;
		case 't':
			err = parse_choice("--trigger", optarg, "faults", "psi", &second);
			trigger = second ? TRIGGER_PSI : TRIGGER_FAULTS;
			break;
		case 'n':
			err = parse_number("--threshold", optarg, 1, 1000000000, &threshold);
			break;
		case 'i':
			err = parse_number("--interval", optarg, 10, 60000, &interval_ms);
			break;
		case 'o':
			err = parse_number("--hold", optarg, 0, 3600000, &hold_ms);
			break;
		case 'p':
			err = parse_choice("--protect", optarg, "low", "min", &steer_min);
			break;
		case 'x':
			expose = false;
			break;
		case 'd':
			err = parse_number("--delay", optarg, 0, 2000, &delay_ms);
			break;
		case 's':
			err = parse_number("--duration", optarg, 1, 31536000, &duration_s);
			break;
		case 'j':
			json_path = optarg;
			break;
		case 'P':
			*probe = true;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		default:
			/* getopt_long() has said what is wrong */
			return EXIT_USAGE;
		}
	}
	if (err)
		return err;
	if (optind < argc)
		return complain(EXIT_USAGE, "'%s': only options are taken, see --help",
				argv[optind]);
	if (*probe)
		return 0;
	if (!high.path || !low.path)
		return complain(EXIT_USAGE, "%s is missing, see --help",
				high.path ? low.option : high.option);
	if (!threshold)
		threshold = trigger == TRIGGER_PSI ? interval_ms * 1000 / 20 : 64;
	return 0;
}

/* Cgroups */

static int get_cgroup_id(int fd, __u64 *id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(*id)];
	} u;
	int mount_id;

	u.handle.handle_bytes = sizeof(*id);
	if (name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH))
		return -errno;
	memcpy(id, u.handle.f_handle, sizeof(*id));
	return 0;
}

static bool on_cgroup2(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int open_target(struct target *t)
{
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return complain(EXIT_USAGE, "%s %s: %s", t->option, t->path, strerror(errno));
	if (!on_cgroup2(t->fd))
		return complain(EXIT_USAGE, "%s %s: not a cgroup v2 directory",
				t->option, t->path);
	if (faccessat(t->fd, "memory.current", F_OK, 0)) {
		if (faccessat(t->fd, "cgroup.events", F_OK, 0))
			return complain(EXIT_USAGE, "%s %s: the root cgroup cannot be controlled, give one below it",
					t->option, t->path);
		return complain(EXIT_USAGE, "%s %s: the memory controller is not enabled for it, write +memory to cgroup.subtree_control of its parent",
				t->option, t->path);
	}
	if (get_cgroup_id(t->fd, &t->id))
		return complain(EXIT_FAILURE, "%s %s: no cgroup id: %s", t->option,
				t->path, strerror(errno));
	return 0;
}

/* Is the cgroup @id an ancestor of @t? Symbolic links do not fool this. */
static bool is_below(const struct target *t, __u64 id)
{
	int fd = dup(t->fd), up;
	__u64 parent = 0, last = t->id;
	bool found = false;

	while (fd >= 0 && !found) {
		up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
		/* above the mount point is another file system, or itself */
		if (fd < 0 || !on_cgroup2(fd) || get_cgroup_id(fd, &parent) || parent == last)
			break;
		found = parent == id;
		last = parent;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static int open_targets(void)
{
	int err;

	err = open_target(&high) ?: open_target(&low);
	if (err)
		return err;
	if (high.id == low.id)
		return complain(EXIT_USAGE, "--high and --low are the same cgroup: %s", high.path);
	if (is_below(&low, high.id) || is_below(&high, low.id))
		return complain(EXIT_USAGE, "%s and %s: one is above the other; give two that are apart",
				high.path, low.path);

	if (trigger == TRIGGER_PSI) {
		psi_fd = openat(high.fd, "memory.pressure", O_RDONLY | O_CLOEXEC);
		if (psi_fd < 0)
			return complain(EXIT_LACKING, "%s/memory.pressure: %s; --trigger psi needs CONFIG_PSI and psi=1",
					high.path, strerror(errno));
	}
	return 0;
}

/* The kernel */

/* With @report print each thing looked for. Returns 0 or EXIT_LACKING. */
static int probe_kernel(bool report)
{
	static const struct {
		const char *name;
		__u32 kind;
		const char *what;
	} needed[] = {
		/* the type that only a registered struct_ops has */
		{ "bpf_struct_ops_memcg_bpf_ops", BTF_KIND_STRUCT, "memory cgroup policies" },
		{ "bpf_cgroup_from_id", BTF_KIND_FUNC, "cgroups by id" },
		{ "bpf_get_mem_cgroup", BTF_KIND_FUNC, "memory cgroups of cgroups" },
		{ "bpf_mem_cgroup_flush_stats", BTF_KIND_FUNC, "current statistics" },
		{ "bpf_mem_cgroup_vm_events", BTF_KIND_FUNC, "event statistics" },
		{ "bpf_mem_cgroup_usage", BTF_KIND_FUNC, "usage" },
	};
	const struct btf_member *m;
	const struct btf_type *t;
	struct btf *btf;
	int err = 0;
	__s32 id;
	size_t i;

	btf = btf__load_vmlinux_btf();
	if (!btf) {
		if (!report)
			return complain(EXIT_LACKING, "the kernel's type information cannot be read (CONFIG_DEBUG_INFO_BTF): %s",
					strerror(errno));
		printf("no   the kernel's type information (CONFIG_DEBUG_INFO_BTF): %s\n",
		       strerror(errno));
		return EXIT_LACKING;
	}

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		bool found = btf__find_by_name_kind(btf, needed[i].name, needed[i].kind) > 0;

		if (report)
			printf("%-4s %s (%s)\n", found ? "yes" : "no", needed[i].what,
			       needed[i].name);
		if (found || err)
			continue;
		err = EXIT_LACKING;
		if (!report)
			complain(err, "this kernel has no %s (CONFIG_BPF_MEMCG)", needed[i].name);
	}

	if (report) {
		id = btf__find_by_name_kind(btf, "memcg_bpf_ops", BTF_KIND_STRUCT);
		t = id > 0 ? btf__type_by_id(btf, id) : NULL;
		for (i = 0, m = t ? btf_members(t) : NULL; t && i < btf_vlen(t); i++)
			printf("     member %s\n", btf__name_by_offset(btf, m[i].name_off));
		printf("%-4s reclaim, for --reclaim\n",
		       btf__find_by_name_kind(btf, "bpf_try_to_free_mem_cgroup_pages",
					      BTF_KIND_FUNC) > 0 ? "yes" : "no");
		printf("%-4s pressure stall information, for --trigger psi\n",
		       access("/proc/pressure/memory", R_OK) ? "no" : "yes");
	}
	btf__free(btf);
	return err;
}

static int load(void)
{
	int err;

	skel = memcg__open();
	if (!skel)
		return complain(EXIT_FAILURE, "the BPF object cannot be opened: %s",
				strerror(errno));

	skel->rodata->high_id = high.id;
	skel->rodata->delay_ms = delay_ms;
	skel->rodata->stale_ns = NSEC_PER_MSEC *
		(STALE_INTERVALS * interval_ms < STALE_MS ? STALE_MS :
		 STALE_INTERVALS * interval_ms);

	/* What is not asked for shall not cost anything */
	if (!steer_min)
		skel->struct_ops.high_policy->below_min = NULL;
	if (!delay_ms)
		skel->struct_ops.low_policy->memcg_charged = NULL;

	err = memcg__load(skel);
	if (err == -EPERM || err == -EACCES)
		return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; be root, and see --verbose",
				strerror(-err));
	if (err)
		return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; see --verbose",
				strerror(-err));
	return 0;
}

static const char *attach_reason(int err)
{
	switch (err) {
	case EBADF:
		return "not a cgroup v2 directory";
	case ENOENT:
		return "the memory controller is not enabled for it";
	case ENODEV:
		return "it is being removed";
	case EBUSY:
		return "a policy of this cgroup, above or below it does not allow another";
	case E2BIG:
		return "it has as many policies as it can have";
	case EPERM:
	case EACCES:
		return "not permitted, be root";
	default:
		return strerror(err);
	}
}

int attach(struct target *t, const struct bpf_map *map)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts,
		    .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI,
		    .target_fd = t->fd);

	t->link = bpf_map__attach_struct_ops_opts(map, &opts);
	if (!t->link)
		return complain(EXIT_FAILURE, "%s %s: the policy cannot be attached: %s",
				t->option, t->path, attach_reason(errno));
	return 0;
}

/* Watching */

static bool read_psi(__u64 *total)
{
	unsigned long long us;
	char text[512], *p;
	ssize_t n;

	n = pread(psi_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* some avg10=0.00 avg60=0.00 avg300=0.00 total=0 */
	p = strstr(text, "total=");
	if (!p || sscanf(p, "total=%llu", &us) != 1)
		return false;
	*total = us;
	return true;
}

/* The trigger's counter so far; false when high is gone. */
static bool observe(__u64 *total)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.observe), &opts) || opts.retval)
		return false;
	*total = skel->bss->seen_faults;
	return trigger == TRIGGER_FAULTS || read_psi(total);
}

static void decide(enum decision decision)
{
	skel->bss->decision = decision;
	skel->bss->decided_ns = now_ns();
}

/*
 * One interval in which the trigger counted @value: decide, and say why. High
 * starts as active: nothing is taken from it before it was watched for a while.
 */
static void interval(__u64 now, __u64 start, __u64 value)
{
	static bool active = true;
	static __u64 hold_ns, seen_active, idle_since;
	bool above = value >= threshold;
	char why[96] = "";

	if (!seen_active) {
		hold_ns = hold_ms * NSEC_PER_MSEC;
		seen_active = start;
	}

	if (above) {
		if (!active) {
			/* Soon back means that it was not idle at all */
			if (now - idle_since > hold_ns)
				hold_ns = hold_ms * NSEC_PER_MSEC;
			else if (hold_ns < HOLD_MAX * hold_ms * NSEC_PER_MSEC)
				hold_ns *= 2;
			snprintf(why, sizeof(why), ", idle for %.1f s; hold %.1f s from now on",
				 (now - idle_since) / 1e9, hold_ns / 1e9);
			active = true;
			seen.switches++;
		}
		seen_active = now;
	} else if (active) {
		snprintf(why, sizeof(why), ", quiet for %.1f of %.1f s",
			 (now - seen_active) / 1e9, hold_ns / 1e9);
		if (now - seen_active >= hold_ns) {
			active = false;
			idle_since = now;
			seen.switches++;
		}
	}

	if (active)
		decide(PROTECT);
	else
		decide(expose ? EXPOSE : LEAVE);

	seen.intervals++;
	seen.active_intervals += active;
	seen.total += value;
	fprintf(log_file, "%9.3f s  %s %llu %s %llu%s: %s, %s (high has %llu MiB)\n",
		(now - start) / 1e9, trigger == TRIGGER_PSI ? "stalled us" : "faults",
		(unsigned long long)value, above ? ">=" : "<", threshold, why,
		active ? "active" : "idle",
		active ? "protect" : expose ? "expose" : "leave it to the kernel",
		(unsigned long long)skel->bss->seen_usage >> 20);
}

static int watch(int signal_fd, int timer_fd)
{
	__u64 start, now, before, after, ticks;
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = timer_fd, .events = POLLIN },
		/* an attachment that ends by itself says POLLHUP */
		{ .fd = bpf_link__fd(high.link) },
		{ .fd = bpf_link__fd(low.link) },
	};

	start = now_ns();
	if (!observe(&before))
		return complain(EXIT_FAILURE, "%s: its %s cannot be read", high.path,
				trigger == TRIGGER_PSI ? "memory.pressure" : "statistics");

	for (;;) {
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			return complain(EXIT_FAILURE, "poll: %s", strerror(errno));

		if (fds[0].revents) {
			seen.ended = "signal";
			return 0;
		}
		if (fds[2].revents || fds[3].revents) {
			seen.ended = "gone";
			fprintf(log_file, "%s is gone, or its memory controller is\n",
				fds[2].revents ? high.path : low.path);
			return 0;
		}
		if (!fds[1].revents || read(timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;

		now = now_ns();
		/* when high is going away, the next poll() is about to say so */
		if (!observe(&after))
			continue;
		interval(now, start, after - before);
		before = after;
		if (duration_s && now - start >= duration_s * NSEC_PER_SEC) {
			seen.ended = "duration";
			return 0;
		}
	}
}

static int write_json(FILE *f)
{
	const typeof(skel->bss) bss = skel->bss;

	fprintf(f, "{\"trigger\": \"%s\", \"threshold\": %llu, \"interval_ms\": %llu, \"protect\": \"%s\",\n",
		trigger == TRIGGER_PSI ? "psi" : "faults", threshold, interval_ms,
		steer_min ? "min" : "low");
	fprintf(f, " \"ended\": \"%s\", \"intervals\": %llu, \"active_intervals\": %llu, \"switches\": %llu, \"trigger_total\": %llu,\n",
		seen.ended, seen.intervals, seen.active_intervals, seen.switches, seen.total);
	fprintf(f, " \"below_low_calls\": %llu, \"below_min_calls\": %llu,\n",
		(unsigned long long)bss->asked_low, (unsigned long long)bss->asked_min);
	fprintf(f, " \"answered_default\": %llu, \"answered_protect\": %llu, \"answered_expose\": %llu,\n",
		(unsigned long long)bss->answers[LEAVE],
		(unsigned long long)bss->answers[PROTECT],
		(unsigned long long)bss->answers[EXPOSE]);
	fprintf(f, " \"delays\": %llu, \"delay_ms\": %llu, \"online_calls\": %llu, \"offline_calls\": %llu}\n",
		(unsigned long long)bss->delays, delay_ms,
		(unsigned long long)bss->online, (unsigned long long)bss->offline);
	if (fflush(f) || ferror(f))
		return complain(EXIT_FAILURE, "--json %s: %s", json_path, strerror(errno));
	return 0;
}

static int run(int signal_fd, FILE *json)
{
	struct itimerspec timer = {
		.it_interval.tv_sec = interval_ms / 1000,
		.it_interval.tv_nsec = interval_ms % 1000 * NSEC_PER_MSEC,
	};
	int timer_fd, err;

	timer.it_value = timer.it_interval;
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &timer, NULL))
		return complain(EXIT_FAILURE, "timer: %s", strerror(errno));

	/* The one who decides about memory should not have to wait for it */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		complain(0, "going on without locked memory: %s", strerror(errno));

	decide(PROTECT);
	err = attach(&high, skel->maps.high_policy) ?: attach(&low, skel->maps.low_policy);
	if (!err)
		err = watch(signal_fd, timer_fd);

	/* The last calls are counted once the links are gone */
	bpf_link__destroy(low.link);
	bpf_link__destroy(high.link);
	close(timer_fd);
	if (!err)
		fprintf(log_file, "detached (%s)\n", seen.ended);
	if (!err && json)
		err = write_json(json);
	return err;
}

/* The file for --json, opened before anything is attached. */
static int open_json(FILE **json)
{
	if (!json_path)
		return 0;
	if (!strcmp(json_path, "-")) {
		*json = stdout;
		log_file = stderr;
		return 0;
	}
	*json = fopen(json_path, "we");
	if (!*json)
		return complain(EXIT_USAGE, "--json %s: %s", json_path, strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	bool probe = false;
	FILE *json = NULL;
	int signal_fd, err, i;

	log_file = stdout;
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(print_libbpf);

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--reclaim") || !strncmp(argv[i], "--reclaim=", 10))
			return memcg_reclaim(argc, argv);

	err = parse_options(argc, argv, &probe);
	if (err)
		return err;
	if (probe)
		return probe_kernel(true);

	signal_fd = open_signals();
	if (signal_fd < 0)
		return EXIT_FAILURE;

	err = open_targets() ?: probe_kernel(false) ?: load() ?: open_json(&json) ?:
	      run(signal_fd, json);
	memcg__destroy(skel);
	return err;
}
