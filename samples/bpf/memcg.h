/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the sample memcg share. */
#ifndef MEMCG_H
#define MEMCG_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/libbpf.h>

#define EXIT_USAGE	2	/* bad options, or cgroups that cannot serve */
#define EXIT_LACKING	77	/* the kernel does not have what this needs */

#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

struct target {
	const char *option;
	const char *path;
	int fd;
	__u64 id;
	struct bpf_link *link;
};

extern bool verbose;

/* One line on stderr; returns @status. */
int __attribute__((format(printf, 2, 3))) complain(int status, const char *fmt, ...);
int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args);
__u64 now_ns(void);
int parse_number(const char *option, const char *text, unsigned long long min,
		 unsigned long long max, unsigned long long *value);
int open_target(struct target *t);
int attach(struct target *t, const struct bpf_map *map);
/* SIGINT and SIGTERM from now on by this file descriptor; -1 and complaint */
int open_signals(void);

/* memcg --reclaim */
int memcg_reclaim(int argc, char **argv);

#endif /* MEMCG_H */
