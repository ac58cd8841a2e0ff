/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of BPF policies for the memory controller share. */
#ifndef _MM_BPF_MEMCG_INTERNAL_H
#define _MM_BPF_MEMCG_INTERNAL_H

#include <linux/bpf_cgroup_struct_ops.h>
#include <linux/memcontrol.h>
#include <linux/types.h>

/**
 * struct bpf_memcg_call - one entry into the policies of a memcg
 * @memalloc: PF_MEMALLOC if the task had it
 * @level: the bit of the interrupt level in current->bpf_memcg_active
 */
struct bpf_memcg_call {
	unsigned int	memalloc;
	u8		level;
};

/* The policies in an effective @array, which may be NULL, nearest the root first */
#define bpf_memcg_for_each_policy(item, array)				\
	for ((item) = (array) ? (array)->items : NULL;			\
	     (item) && (item) < (array)->items + (array)->cnt; (item)++)

/* Without RCU: only says whether looking closer is worth it */
static inline bool bpf_memcg_is_governed(struct mem_cgroup *memcg)
{
	return rcu_access_pointer(memcg->bpf_ops.effective);
}

/* bpf_memcg_core.c */
bool bpf_memcg_call_enter(struct bpf_memcg_call *call);
void bpf_memcg_call_exit(const struct bpf_memcg_call *call);
struct bpf_cgroup_ops_array *bpf_memcg_online_policies(struct mem_cgroup **memcg);
void bpf_memcg_call_missed(struct mem_cgroup *memcg, u32 member_off);
void bpf_memcg_call_online(struct mem_cgroup *memcg, void *ops);
void bpf_memcg_call_offline(struct mem_cgroup *memcg, void *ops);

/* bpf_memcg_delay.c, for bpf_memcg_charge.c */
u32 bpf_memcg_policy_mark(const struct bpf_cgroup_ops_item *item);
bool bpf_memcg_governs_current(const struct bpf_cgroup_ops_item *item);
void bpf_memcg_add_delay(unsigned int ms, u32 mark);

#endif /* _MM_BPF_MEMCG_INTERNAL_H */
