/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What memcg, memcg_reclaim and memcg_stat share: options, cgroups, what the
 * kernel offers, policies attached and pinned. Functions that return an int
 * return 0, or an exit status after one line on stderr.
 */
#ifndef MEMCG_COMMON_H
#define MEMCG_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define EXIT_USAGE	2	/* bad options, or cgroups that cannot serve */
#define EXIT_LACKING	77	/* the kernel does not have what this needs */

#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_TARGETS	32
#define PIN_ROOT	"/sys/fs/bpf/memcg"
#define VERSION		"1"

extern bool verbose, quiet, probe_only, list_pinned;
extern unsigned long long duration_s;
extern const char *pin_name, *unpin_name;
extern const char *json_path;	/* --json, "-" for stdout */

/* One line on stderr; returns @status. */
int __attribute__((format(printf, 2, 3))) complain(int status, const char *fmt, ...);
__u64 now_ns(void);
/* SIGINT, SIGTERM and SIGHUP from now on by this file descriptor, or -1. */
int open_signals(void);

/* Options */

enum option_kind {
	FLAG,		/* bool */
	NUMBER,		/* unsigned long long, from min to max */
	TEXT,		/* const char * */
	CHOICE,		/* unsigned int, the number of one word of arg */
	CHOICES,	/* unsigned int, a bit for each of some words of arg */
	CGROUPS,	/* struct targets, may be given again */
	MARK,		/* struct mark */
	SHOW_HELP, SHOW_VERSION,
};

struct option_spec {
	const char *name;
	const char *arg;	/* what --help shows; the words of CHOICE, CHOICES */
	const char *help;	/* lines separated by \n */
	enum option_kind kind;
	char letter;
	void *value;
	unsigned long long min, max;
};

/* An amount: of memory, or of a limit, in thousandths. Neither: off, or not given. */
struct mark {
	bool given;
	unsigned long long bytes;
	unsigned int share;
};

/*
 * Fill the values of @specs and of @more, which end with an empty one, and of the
 * options that all have: --json, --probe, --quiet, --verbose, --version, --help. @more
 * may be NULL. At most one argument that is no option goes to @operand, if that is not
 * NULL. --help prints @head, the options and @tail.
 */
int parse_options(int argc, char **argv, const struct option_spec *specs,
		  const struct option_spec *more, const char **operand,
		  const char *head, const char *tail);

/* What each program that attaches a policy has: --duration, --pin, --unpin, --list. */
extern const struct option_spec policy_options[];

/* Cgroups */

struct target {
	const char *option;
	const char *path;
	int fd;
	__u64 id;
	struct bpf_link *link;
};

struct targets {
	unsigned int nr;
	struct target list[MAX_TARGETS];
};

bool on_cgroup2(int fd);
int get_cgroup_id(int fd, __u64 *id);
/* Where cgroup v2 is mounted */
int find_cgroup_root(char *dir, size_t size);
int open_target(struct target *t);
/* Is the cgroup @id an ancestor of @t? */
bool is_below(const struct target *t, __u64 id);
/* The path of a cgroup from the mount point on; what of it is known when it is gone. */
const char *cgroup_path(__u64 id, char *path, size_t size);
/* Attach @map to @t, with others (@flags 0) or with attach flags of one's own. */
int attach_policy(struct target *t, const struct bpf_map *map);

/* The kernel */

struct kernel_need {
	const char *name;	/* in its type information; a path, if it starts with / */
	const char *what;
	const char *without;	/* what is lost; NULL: nothing works */
	__u32 kind;		/* BTF_KIND_ */
};

/* With @report print each. @needs end with an empty one. */
int probe_kernel(const struct kernel_need *needs, bool report);
bool kernel_has(const char *function);
/* After a failed load of a skeleton */
int complain_load(int err);

/* Output */

extern FILE *json_file;		/* NULL without --json */
/* Before anything is attached */
int open_output(void);
/* A line of the log, with the time; none with --quiet. On stderr if JSON is on stdout. */
void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...);
/* "..." with what JSON needs, whatever bytes @text has */
void print_json_string(FILE *f, const char *text);
/* The same for OpenMetrics */
void print_label(FILE *f, const char *text);
double wall_clock(void);
/* Has all been written? */
int check_output(void);

/* Policies that are left running: links and maps in PIN_ROOT/NAME */

struct pinned {
	const char *name;
	unsigned int nr_links;
	__u64 cgroup_ids[MAX_TARGETS];	/* 0 where the cgroup is gone */
};

int check_pin_name(const char *name);
/* A map and the name that its pin gets. Those of a program end with an empty one. */
struct map_pin {
	const struct bpf_map *map;
	const char *name;
};

int pin_policy(const char *name, const struct targets *targets, const struct map_pin *maps);
int unpin_policy(const char *name);
/* Call @show for each that has a map called @map, or for @only. */
int walk_pinned(const char *only, const char *map, int (*show)(const struct pinned *p, int fd));

#endif /* MEMCG_COMMON_H */
