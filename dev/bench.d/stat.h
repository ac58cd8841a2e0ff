/* SPDX-License-Identifier: GPL-2.0 */
/* What the two sides of the benchmark of statistics share. */
#ifndef STAT_H
#define STAT_H

#define MAX_ITEMS	128
#define MAX_CGROUPS	1024

struct record {
	__u64 id;
	__u64 values[MAX_ITEMS];
};

#ifndef __bpf__
/* The BPF side has these from the kernel's type information. */
struct bpf_memcg_item {
	__u16 kind;	/* 0: state, 1: vm event */
	__u16 index;
};
#endif

#endif
