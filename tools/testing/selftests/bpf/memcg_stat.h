/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __MEMCG_STAT_H
#define __MEMCG_STAT_H

/* More than bpf_mem_cgroup_read() reads in one call. */
#define MEMCG_STAT_ITEMS	520

#ifndef __bpf__
/* BPF programs have these from the kernel's type information. */
enum bpf_memcg_item_kind {
	BPF_MEMCG_ITEM_STATE,
	BPF_MEMCG_ITEM_VM_EVENT,
	BPF_MEMCG_ITEM_MEMORY_EVENT,
	BPF_MEMCG_ITEM_USAGE,
};

struct bpf_memcg_item {
	__u16 kind;
	__u16 index;
};
#endif

#endif /* __MEMCG_STAT_H */
