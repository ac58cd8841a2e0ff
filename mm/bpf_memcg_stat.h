/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/memcontrol.c tells mm/bpf_memcg_stat.c: the hierarchical counters of a
 * memcg are two arrays, and each counter that is tracked has a slot in one.
 */
#ifndef _MM_BPF_MEMCG_STAT_H
#define _MM_BPF_MEMCG_STAT_H

#include <linux/types.h>

struct mem_cgroup;

void memcg_vmstats_arrays(struct mem_cgroup *memcg, const long **states,
			  const unsigned long **events);

/* The unit in which memory.stat shows the counter; 0 if there is no such counter. */
unsigned int memcg_state_slot(int idx, u32 *slot);
unsigned int memcg_event_slot(int idx, u32 *slot);

#endif /* _MM_BPF_MEMCG_STAT_H */
