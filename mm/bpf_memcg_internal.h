/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_BPF_MEMCG_INTERNAL_H
#define _MM_BPF_MEMCG_INTERNAL_H

#include <linux/types.h>

struct mem_cgroup;

/* bpf_memcg_dispatch.c, for bpf_memcg_ops.c */
void bpf_memcg_call_online(struct mem_cgroup *memcg, void *ops);
void bpf_memcg_call_offline(struct mem_cgroup *memcg, void *ops);

/* bpf_memcg_delay.c, for bpf_memcg_dispatch.c */
void bpf_memcg_add_delay(unsigned int ms, u64 policy_cgid, u64 memcg_cgid);

#endif /* _MM_BPF_MEMCG_INTERNAL_H */
