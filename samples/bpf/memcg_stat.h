/* SPDX-License-Identifier: GPL-2.0 */
/* What the two sides of the sample memcg_stat share. */
#ifndef MEMCG_STAT_H
#define MEMCG_STAT_H

#define MEMCG_STAT_MAX_ITEMS	128
#define MEMCG_STAT_ABSENT	(~0ULL)
#define MEMCG_STAT_NO_LIMIT	(~0ULL - 1)

/* What is no counter: fields of the kernel's structures, sizes in pages. */
enum memcg_stat_field {
	FIELD_PEAK, FIELD_MAX, FIELD_HIGH, FIELD_LOW, FIELD_MIN,
	FIELD_SWAP, FIELD_SWAP_PEAK, FIELD_SWAP_MAX, FIELD_SWAP_HIGH,
	FIELD_PSI_SOME, FIELD_PSI_FULL,		/* ns */
	NR_FIELDS,
};

/* One cgroup. Comes before those below it, and after its parent. */
struct memcg_stat_record {
	__u64 id;
	__u32 level;
	__u32 has_memory;
	char name[256];
	__u64 fields[NR_FIELDS];
	__u64 values[];
};

#ifndef __bpf__
/* The BPF side has these from the kernel's type information. */
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

#endif
