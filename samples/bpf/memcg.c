// SPDX-License-Identifier: GPL-2.0
/*
 * Protect cgroups while they work, and expose them while they do not.
 *
 * memory.low on a cgroup helps while the cgroup works, and starves its neighbours
 * when it only sits on its memory. The policy in memcg.bpf.c decides that for
 * each cgroup when reclaim asks: for all below a slice (--each), or for some that
 * have priority over others (--high, --low).
 *
 * This program only loads the policy, attaches it, and logs what it decides. It
 * is not needed for the decisions: with --pin they go on without it. Otherwise
 * nothing outlives this program: the policies are held by links, which the kernel
 * takes down when their file descriptors are closed, for whatever reason.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include "memcg.h"
#include "memcg_watch.h"
#include "memcg.skel.h"

/* Those of this program have a map that no other has */
#define STATS_MAP	"memcg_stats"

static struct targets each, highs, lows;
static unsigned int signs = 1 << NR_SIGNS;	/* not given */
static unsigned long long cpu_ms, faults = 64, refaults = 16, stall_us;
static unsigned long long interval_ms = 200, hold_ms = 2000, delay_ms;
enum { KEEP_LOW, KEEP_USAGE };
static unsigned int protect = KEEP_LOW;
static bool steer_min, no_expose, trace, watching;
static const char *operand;

static struct memcg *skel;
static const char *ended;

static const struct option_spec options[] = {
	{ "each", "SLICE", "each cgroup below SLICE, those to come included. The\n"
	  "extended attribute user.memcg_bpf of a cgroup gives it a\n"
	  "class: high, low or ignore", CGROUPS, 'e', &each },
	{ "high", "DIR", "a cgroup that has priority, and those below it; may be\n"
	  "given several times", CGROUPS, 'H', &highs },
	{ "low", "DIR", "one that has not; may be given several times", CGROUPS, 'L', &lows },
	{ "signs", "cpu|faults|refaults|stalls", "what tells that a cgroup works, joined by commas\n"
	  "(default: all)", CHOICES, 's', &signs },
	{ "cpu", "MS", "from so much CPU time in an interval on, 1..60000\n"
	  "(default: a 20th of the interval)", NUMBER, 0, &cpu_ms, 1, 60000 },
	{ "faults", "N", "from N page faults on, 1..1000000000 (default 64)",
	  NUMBER, 0, &faults, 1, 1000000000 },
	{ "refaults", "N", "from N pages on that were reclaimed and read again,\n"
	  "1..1000000000 (default 16)", NUMBER, 0, &refaults, 1, 1000000000 },
	{ "stall", "US", "from so long on that tasks stalled for memory,\n"
	  "1..60000000 (default: a 20th of the interval)", NUMBER, 0, &stall_us, 1, 60000000 },
	{ "interval", "MS", "the interval, 10..60000 (default 200)",
	  NUMBER, 'i', &interval_ms, 10, 60000 },
	{ "hold", "MS", "how long a cgroup must be quiet to count as idle,\n"
	  "0..3600000 (default 2000)", NUMBER, 0, &hold_ms, 0, 3600000 },
	{ "protect", "low|usage", "what a cgroup keeps while it works: its memory.low, or\n"
	  "all that it uses (default low; usage for high ones)", CHOICE, 0, &protect },
	{ "min", NULL, "steer memory.min, too: an idle one has none", FLAG, 0, &steer_min },
	{ "no-expose", NULL, "leave an idle one its static protection", FLAG, 0, &no_expose },
	{ "delay", "MS", "delay low ones by MS for each 256 KiB that they charge while\n"
	  "a high one works and memory is reclaimed; in proportion for\n"
	  "less or more, 0..2000 (default 0: none)", NUMBER, 0, &delay_ms, 0, 2000 },
	{ "watch", NULL, "show once a second who is protected, exposed and delayed,\n"
	  "of what this starts, or of the policy NAME", FLAG, 'w', &watching },
	{ "trace", NULL, "write changed decisions to trace_pipe, too", FLAG, 0, &trace },
	{ }
};

static const char help_head[] =
"Usage: memcg [OPTION]... --each SLICE\n"
"       memcg [OPTION]... --high DIR... [--low DIR]...\n"
"       memcg --list | --watch [NAME] | --unpin NAME | --probe\n"
"\n"
"While a cgroup works it keeps its protection from reclaim; while it is idle it is\n"
"exposed, whatever memory.low it has. Decided in the kernel when it reclaims. Runs\n"
"until SIGINT, SIGTERM or SIGHUP, or until a cgroup given here goes away, and leaves\n"
"nothing behind unless it is pinned.\n"
"\n";

static const char help_tail[] =
"\n"
"Exit status: 0 ended as asked (or --probe: all there), 1 failed while running,\n"
"2 bad options or cgroups, 77 this kernel lacks what is needed.\n";

static const struct kernel_need needs[] = {
	/* the type that only a registered struct_ops has */
	{ "bpf_struct_ops_memcg_bpf_ops", "memory cgroup policies", NULL, BTF_KIND_STRUCT },
	{ "bpf_cgroup_from_id", "cgroups by id", NULL, BTF_KIND_FUNC },
	{ "bpf_mem_cgroup_vm_events", "event statistics", NULL, BTF_KIND_FUNC },
	{ "bpf_mem_cgroup_page_state", "statistics of pages", NULL, BTF_KIND_FUNC },
	{ "cgroup_rstat_base_cpu", "CPU time of cgroups", NULL, BTF_KIND_STRUCT },
	{ "bpf_cgroup_read_xattr", "extended attributes of cgroups",
	  "--each has one class for all", BTF_KIND_FUNC },
	{ "/proc/pressure/memory", "pressure stall information", "stalls are no sign of activity" },
	{ }
};

static int check_options(void)
{
	if (!each.nr && !highs.nr)
		return complain(EXIT_USAGE, "--each or --high is missing, see --help");
	if (each.nr && (highs.nr || lows.nr))
		return complain(EXIT_USAGE, "--each: classes come from user.memcg_bpf then, not from --high and --low");
	if (each.nr > 1)
		return complain(EXIT_USAGE, "--each: give it once, or run this for each of them");
	if (pin_name && (duration_s || json_path || watching))
		return complain(EXIT_USAGE, "--pin %s: --duration, --json and --watch have no meaning with it",
				pin_name);
	if (delay_ms && !each.nr && !lows.nr)
		return complain(EXIT_USAGE, "--delay: there is no --low to be delayed");
	if (!cpu_ms)
		cpu_ms = (interval_ms + 19) / 20;
	if (!stall_us)
		stall_us = interval_ms * 1000 / 20;
	return pin_name ? check_pin_name(pin_name) : 0;
}

/* Cgroups */

static int check_apart(struct target *a, struct target *b)
{
	if (a->id == b->id)
		return complain(EXIT_USAGE, "--%s %s and --%s %s are the same cgroup",
				a->option, a->path, b->option, b->path);
	if (is_below(a, b->id) || is_below(b, a->id))
		return complain(EXIT_USAGE, "%s and %s: one is above the other; give two that are apart",
				a->path, b->path);
	return 0;
}

/* All targets, in one list from here on. */
static struct targets all;
static const struct bpf_map *policies[MAX_TARGETS];

static int add_targets(const struct targets *some)
{
	unsigned int i, j;
	int err;

	for (i = 0; i < some->nr; i++) {
		if (all.nr == MAX_TARGETS)
			return complain(EXIT_USAGE, "more than %d cgroups are given", MAX_TARGETS);
		all.list[all.nr] = some->list[i];
		err = open_target(&all.list[all.nr]);
		for (j = 0; j < all.nr && !err; j++)
			err = check_apart(&all.list[j], &all.list[all.nr]);
		if (err)
			return err;
		all.nr++;
	}
	return 0;
}

static int open_targets(void)
{
	return add_targets(&each) ?: add_targets(&highs) ?: add_targets(&lows);
}

/* The policy */

static int load(void)
{
	const unsigned long long threshold[NR_SIGNS] = {
		[SIGN_CPU] = cpu_ms * NSEC_PER_MSEC,
		[SIGN_FAULTS] = faults,
		[SIGN_REFAULTS] = refaults,
		[SIGN_STALLS] = stall_us * 1000,
	};
	unsigned int i;
	int err;

	skel = memcg__open();
	if (!skel)
		return complain(EXIT_FAILURE, "the BPF object cannot be opened: %s",
				strerror(errno));

	skel->rodata->slice_id = each.nr ? all.list[0].id : 0;
	for (i = 0; i < NR_SIGNS; i++)
		if (signs & (1 << i | 1 << NR_SIGNS))
			skel->rodata->threshold[i] = threshold[i];
	skel->rodata->interval_ns = interval_ms * NSEC_PER_MSEC;
	skel->rodata->hold_ns = hold_ms * NSEC_PER_MSEC;
	skel->rodata->delay_page_ns = delay_ms * NSEC_PER_MSEC * sysconf(_SC_PAGESIZE) /
				      DELAY_BYTES;
	skel->rodata->nr_cpus = libbpf_num_possible_cpus();
	skel->rodata->protect_usage = protect == KEEP_USAGE;
	skel->rodata->expose = !no_expose;
	skel->rodata->trace = trace;

	/* What is not asked for shall not cost anything */
	if (!steer_min) {
		skel->struct_ops.each_policy->below_min = NULL;
		skel->struct_ops.high_policy->below_min = NULL;
		skel->struct_ops.low_policy->below_min = NULL;
	}
	if (!delay_ms) {
		skel->struct_ops.each_policy->memcg_charged = NULL;
		skel->struct_ops.low_policy->memcg_charged = NULL;
	}
	bpf_map__set_autocreate(skel->maps.each_policy, each.nr);
	bpf_map__set_autocreate(skel->maps.high_policy, highs.nr);
	bpf_map__set_autocreate(skel->maps.low_policy, lows.nr);

	err = memcg__load(skel);
	if (err)
		return complain_load(err);
	for (i = 0; i < all.nr; i++)
		policies[i] = each.nr ? skel->maps.each_policy :
			      i < highs.nr ? skel->maps.high_policy : skel->maps.low_policy;
	return 0;
}

/* The log: a decision changed */
static int on_event(void *ctx, void *data, size_t size)
{
	static const char * const verbs[] = { "leave it to the kernel", "protect", "expose" };
	const struct memcg_event *e = data;
	char path[PATH_MAX], why[64];

	cgroup_path(e->id, path, sizeof(path));
	if (e->active)
		describe_sign(e->sign, e->amount, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "quiet for %.1f s", e->idle_ns / 1e9);
	if (!watching)
		say("%s: %s (%s): %s (%s, has %llu MiB)", path, e->active ? "active" : "idle", why,
		    verbs[e->decision % 3], class_name(e->class),
		    e->usage * sysconf(_SC_PAGESIZE) >> 20);
	if (json_file && !watching) {
		fprintf(json_file, "{\"time\": %.3f, \"cgroup\": ", wall_clock());
		print_json_string(json_file, path);
		fprintf(json_file, ", \"id\": %llu, \"class\": \"%s\", \"active\": %s, \"why\": \"%s\", \"decision\": \"%s\", \"pages\": %llu}\n",
			e->id, class_name(e->class), e->active ? "true" : "false", why,
			decision_name(e->decision), e->usage);
	}
	return 0;
}

/* Until a signal, the end of @duration_s, or the end of one of @links */
static int wait_for_end(int signal_fd, struct ring_buffer *events, const struct watch *view)
{
	__u64 end = now_ns() + duration_s * NSEC_PER_SEC, next = now_ns(), now, wake;
	struct pollfd fds[2 + MAX_TARGETS] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = events ? ring_buffer__epoll_fd(events) : -1, .events = POLLIN },
	};
	unsigned int i;
	int err;

	/* an attachment that ends by itself says POLLHUP */
	for (i = 0; i < all.nr; i++)
		fds[2 + i].fd = bpf_link__fd(all.list[i].link);

	for (;;) {
		now = now_ns();
		if (watching && now >= next) {
			err = watch_once(view);
			if (err)
				return err;
			next += NSEC_PER_SEC;
			if (next < now)
				next = now + NSEC_PER_SEC;
		}
		ended = "duration";
		if (duration_s && now >= end)
			return 0;
		wake = watching ? next : end;
		if (duration_s && end < wake)
			wake = end;
		if (poll(fds, 2 + all.nr, !watching && !duration_s ? -1 : wake <= now ? 0 :
			 (int)((wake - now) / NSEC_PER_MSEC + 1)) < 0 && errno != EINTR)
			return complain(EXIT_FAILURE, "poll: %s", strerror(errno));
		if (events)
			ring_buffer__consume(events);
		ended = "signal";
		if (fds[0].revents)
			return 0;
		ended = "gone";
		for (i = 0; i < all.nr; i++) {
			if (!fds[2 + i].revents)
				continue;
			say("%s is gone, or its memory controller is", all.list[i].path);
			return 0;
		}
		err = check_output();
		if (err)
			return err;
	}
}

static void write_json(FILE *f)
{
	const struct memcg_stats *s = &skel->data_stats->stats;

	fprintf(f, "{\"ended\": \"%s\", \"interval_ms\": %llu, \"hold_ms\": %llu, \"looks\": %llu, \"changes\": %llu, ",
		ended, interval_ms, hold_ms, s->looks, s->changes);
	fprintf(f, "\"below_low_calls\": %llu, \"below_min_calls\": %llu, ",
		s->asked_low, s->asked_min);
	fprintf(f, "\"answered_default\": %llu, \"answered_protect\": %llu, \"answered_expose\": %llu, ",
		s->answers[LEAVE], s->answers[PROTECT], s->answers[EXPOSE]);
	fprintf(f, "\"delays\": %llu, \"delayed_ms\": %llu, \"delay_ms\": %llu, ",
		s->delays, s->delayed_ms, delay_ms);
	fprintf(f, "\"online_calls\": %llu, \"offline_calls\": %llu}\n", s->online, s->offline);
}

static int run(int signal_fd)
{
	const struct map_pin maps[] = {
		{ skel->maps.data_stats, STATS_MAP }, { skel->maps.cgroups, "cgroups" }, { },
	};
	struct watch view = { .map_fd = bpf_map__fd(skel->maps.cgroups) };
	struct ring_buffer *events;
	unsigned int i;
	int err = 0;

	events = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, NULL, NULL);
	if (!events)
		return complain(EXIT_FAILURE, "ring buffer: %s", strerror(errno));
	for (i = 0; i < all.nr && !err; i++) {
		view.roots[view.nr_roots++] = all.list[i].id;
		err = attach_policy(&all.list[i], policies[i]);
	}
	if (!err && pin_name) {
		err = pin_policy(pin_name, &all, maps);
		if (!err)
			say("left running as %s", pin_name);
		err = err ?: check_output();
	} else if (!err) {
		if (!watching)
			say("watching %s%s%s", each.nr ? "each cgroup in " : "", all.list[0].path,
			    all.nr > 1 ? " and others" : "");
		err = wait_for_end(signal_fd, events, &view);
	}
	/* The last calls are counted once the links are gone */
	for (i = 0; i < all.nr; i++)
		bpf_link__destroy(all.list[i].link);
	if (!err && !pin_name) {
		say("detached (%s)", ended);
		if (json_file && !watching)
			write_json(json_file);
		err = check_output();
	}
	ring_buffer__free(events);
	return err;
}

/* Policies that were left running */

static int show_pinned(const struct pinned *p, int map_fd)
{
	typeof(*skel->data_stats) data;
	const struct memcg_stats *s = &data.stats;
	char path[PATH_MAX];
	unsigned int i;
	__u32 key = 0;

	if (bpf_map_lookup_elem(map_fd, &key, &data))
		return complain(EXIT_FAILURE, "%s: %s", p->name, strerror(errno));
	printf("%-16s", p->name);
	for (i = 0; i < p->nr_links; i++)
		printf(" %s", p->cgroup_ids[i] ?
		       cgroup_path(p->cgroup_ids[i], path, sizeof(path)) : "(gone)");
	printf(": %llu cgroups, asked %llu times: %llu protect, %llu expose, %llu left; %llu changes, %llu delays\n",
	       s->online - s->offline, s->asked_low + s->asked_min, s->answers[PROTECT],
	       s->answers[EXPOSE], s->answers[LEAVE], s->changes, s->delays);
	return 0;
}

static struct watch pinned_view = { .map_fd = -1 };
static const char *viewed;

static int choose_view(const struct pinned *p, int map_fd)
{
	if (viewed)
		return complain(EXIT_USAGE, "--watch: there are several, give a name of --list");
	viewed = strdup(p->name);
	pinned_view.map_fd = dup(map_fd);
	pinned_view.nr_roots = p->nr_links;
	memcpy(pinned_view.roots, p->cgroup_ids, sizeof(p->cgroup_ids));
	return 0;
}

static int watch_pinned(void)
{
	int signal_fd, err;

	err = walk_pinned(operand, "cgroups", choose_view) ?: open_output();
	if (err)
		return err;
	if (!viewed)
		return complain(EXIT_USAGE, "--watch: no policy was left running, see --pin");
	signal_fd = open_signals();
	if (signal_fd < 0)
		return EXIT_FAILURE;
	return wait_for_end(signal_fd, NULL, &pinned_view);
}

int main(int argc, char **argv)
{
	int signal_fd, err;

	err = parse_options(argc, argv, options, policy_options, &operand, help_head, help_tail);
	if (err)
		return err;
	if (probe_only)
		return probe_kernel(needs, true);
	if (list_pinned)
		return walk_pinned(NULL, STATS_MAP, show_pinned) ?: check_output();
	if (unpin_name)
		return unpin_policy(unpin_name);
	if (watching && !each.nr && !highs.nr)
		return watch_pinned();
	if (operand)
		return complain(EXIT_USAGE, "'%s': only options are taken, see --help", operand);

	err = check_options() ?: open_targets() ?: probe_kernel(needs, false) ?: open_output();
	if (err)
		return err;
	signal_fd = open_signals();
	if (signal_fd < 0)
		return EXIT_FAILURE;
	/* The controller must not stall on the pressure that it manages */
	if (!pin_name && mlockall(MCL_CURRENT | MCL_FUTURE))
		complain(0, "going on without locked memory: %s", strerror(errno));
	err = load() ?: run(signal_fd);
	memcg__destroy(skel);
	return err;
}
