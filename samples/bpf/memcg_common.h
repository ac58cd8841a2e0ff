/* SPDX-License-Identifier: GPL-2.0 */
/* What the samples memcg and memcg_stat have in common on the command line. */
#ifndef MEMCG_COMMON_H
#define MEMCG_COMMON_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/libbpf.h>

#define EXIT_USAGE	2	/* bad options, or cgroups that cannot serve */
#define EXIT_LACKING	77	/* the kernel does not have what this needs */

#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

extern bool verbose;

/* One line on stderr; returns @status. */
int __attribute__((format(printf, 2, 3))) complain(int status, const char *fmt, ...);
int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args);
__u64 now_ns(void);
int parse_number(const char *option, const char *text, unsigned long long min,
		 unsigned long long max, unsigned long long *value);
/* SIGINT and SIGTERM from now on by this file descriptor; -1 and complaint */
int open_signals(void);

#endif /* MEMCG_COMMON_H */
