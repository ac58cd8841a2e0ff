/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of BPF policies for the memory controller share. */
#ifndef _MM_BPF_MEMCG_INTERNAL_H
#define _MM_BPF_MEMCG_INTERNAL_H

#include <linux/bpf_cgroup_struct_ops.h>
#include <linux/memcontrol.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
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
	for (u32 __left = ((item) = (array) ? (array)->items : NULL,	\
			   (item) ? (array)->cnt : 0);			\
	     __left; __left--, (item)++)

/* Without RCU: only says whether looking closer is worth it */
static inline bool bpf_memcg_is_governed(struct mem_cgroup *memcg)
{
	return rcu_access_pointer(memcg->bpf_ops.effective);
}

/**
 * bpf_memcg_call_enter - begin calling policies
 * @call: what bpf_memcg_call_exit() needs to know
 *
 * On success the caller is in an RCU read-side critical section. The first
 * comment of mm/bpf_memcg_core.c has the rules. Inline, because each call of a
 * policy runs through it.
 *
 * Context: any.
 *
 * Return: false in an NMI and if this context is already inside a policy; no
 * policy may be called then.
 */
static inline bool bpf_memcg_call_enter(struct bpf_memcg_call *call)
{
	if (in_nmi())
		return false;

	call->level = BIT(interrupt_context_level());
	if (current->bpf_memcg_active & call->level)
		return false;

	current->bpf_memcg_active |= call->level;
	call->memalloc = in_task() ? current->flags & PF_MEMALLOC : 0;
	current->flags &= ~call->memalloc;
	rcu_read_lock();
	return true;
}

/**
 * bpf_memcg_call_exit - end what bpf_memcg_call_enter() began
 * @call: the same
 *
 * Context: that of bpf_memcg_call_enter().
 */
static inline void bpf_memcg_call_exit(const struct bpf_memcg_call *call)
{
	rcu_read_unlock();
	current->flags |= call->memalloc;
	current->bpf_memcg_active &= ~call->level;
}

/**
 * bpf_memcg_online_policies - find the policies that hear of a memcg's counter
 * @memcg: if it is offline, advanced to its nearest online ancestor
 *
 * Context: within bpf_memcg_call_enter(), or under RCU.
 *
 * Return: the effective array, NULL if it is empty.
 */
static inline struct bpf_cgroup_ops_array *bpf_memcg_online_policies(struct mem_cgroup **memcg)
{
	struct bpf_cgroup_ops_array *array;

	/* Ends at the root, which never goes offline. */
	while ((array = rcu_dereference((*memcg)->bpf_ops.effective)) == &bpf_cgroup_ops_dead)
		*memcg = parent_mem_cgroup(*memcg);
	return array;
}

/* bpf_memcg_core.c */
void bpf_memcg_call_missed(struct mem_cgroup *memcg, u32 member_off);
void bpf_memcg_call_online(struct mem_cgroup *memcg, void *ops);
void bpf_memcg_call_offline(struct mem_cgroup *memcg, void *ops);

/* bpf_memcg_delay.c, for bpf_memcg_charge.c */
u32 bpf_memcg_policy_mark(const struct bpf_cgroup_ops_item *item);
bool bpf_memcg_governs_current(const struct bpf_cgroup_ops_item *item);
void bpf_memcg_add_delay(unsigned int ms, u32 mark);

#endif /* _MM_BPF_MEMCG_INTERNAL_H */
