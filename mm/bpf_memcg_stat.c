// SPDX-License-Identifier: GPL-2.0
/*
 * Reading many counters of a memcg in one call.
 *
 * The counters are those of memory.stat and memory.events, named by the kernel's
 * own enums. What reading one of them takes besides the load itself (is it
 * tracked, where is it, what is its unit) is the same for every memcg, so it is
 * looked up once at boot and not for each read.
 *
 * Nothing is locked and nothing is flushed: call bpf_mem_cgroup_flush_stats()
 * first where the last two seconds matter. The caller's reference, or the RCU
 * section that its program runs in, keeps the memcg and its counters alive.
 */

#include <linux/bpf.h>
#include <linux/bpf_memcg.h>
#include <linux/btf.h>
#include <linux/init.h>
#include <linux/memcontrol.h>

#include "bpf_memcg_stat.h"

/**
 * enum bpf_memcg_item_kind - which enum a counter is named by
 * @BPF_MEMCG_ITEM_STATE: &enum node_stat_item and &enum memcg_stat_item, which
 *	share one range of numbers. Value as in memory.stat: bytes, or a number of
 *	events for those items that count events.
 * @BPF_MEMCG_ITEM_VM_EVENT: &enum vm_event_item. Value: number of events.
 * @BPF_MEMCG_ITEM_MEMORY_EVENT: &enum memcg_memory_event, as in memory.events
 * @BPF_MEMCG_ITEM_USAGE: index 0, as memory.current, in bytes. The root has no
 *	counter of its own; its page cache and mapped anonymous memory stand in.
 */
enum bpf_memcg_item_kind {
	BPF_MEMCG_ITEM_STATE,
	BPF_MEMCG_ITEM_VM_EVENT,
	BPF_MEMCG_ITEM_MEMORY_EVENT,
	BPF_MEMCG_ITEM_USAGE,
};

/**
 * struct bpf_memcg_item - names one counter
 * @kind: &enum bpf_memcg_item_kind
 * @index: in the enum that @kind says
 */
struct bpf_memcg_item {
	u16 kind;
	u16 index;
};

/* More than there are counters; keeps a call short. */
#define BPF_MEMCG_READ_MAX	512

/* Where a counter is in the arrays of a memcg. */
struct stat_slot {
	u32 slot;
	u32 unit;	/* 0: not tracked */
};

static struct stat_slot state_slots[MEMCG_NR_STAT] __ro_after_init;
static struct stat_slot event_slots[NR_VM_EVENT_ITEMS] __ro_after_init;

static u64 memcg_usage(struct mem_cgroup *memcg)
{
	if (mem_cgroup_is_root(memcg))
		return memcg_page_state_output(memcg, NR_FILE_PAGES) +
		       memcg_page_state_output(memcg, NR_ANON_MAPPED);
	return (u64)page_counter_read(&memcg->memory) * PAGE_SIZE;
}

__bpf_kfunc_start_defs();

/**
 * bpf_mem_cgroup_read - read many counters of a memcg at once
 * @memcg: the memcg
 * @items: the counters to read
 * @items__sz: size of @items in bytes
 * @values: on return the value of each counter, in the order of @items;
 *	(u64)-1 for one that does not exist or that memcgs do not track
 * @values__sz: size of @values in bytes, at least 8 for each item
 *
 * The counters include those of all descendants. How fresh they are is up to
 * bpf_mem_cgroup_flush_stats(). Like all memory that is passed to a kfunc with
 * its size, @items has to be writable for the program, though nothing is
 * written there.
 *
 * Context: any that a program may hold @memcg in.
 *
 * Return: the number of items that have a value; -EINVAL when a buffer is not
 * aligned to its elements, @items__sz is no whole number of them or @values is
 * too short; -E2BIG for more than 512 items. Nothing is written on error.
 */
__bpf_kfunc int bpf_mem_cgroup_read(struct mem_cgroup *memcg, const struct bpf_memcg_item *items,
				    u32 items__sz, u64 *values, u32 values__sz)
{
	u32 i, nr = items__sz / sizeof(*items), found = nr;
	const unsigned long *events;
	const long *states;

	if (!IS_ALIGNED((unsigned long)items, sizeof(*items)) ||
	    !IS_ALIGNED((unsigned long)values, sizeof(*values)) ||
	    items__sz % sizeof(*items) || values__sz / sizeof(*values) < nr)
		return -EINVAL;
	if (nr > BPF_MEMCG_READ_MAX)
		return -E2BIG;

	memcg_vmstats_arrays(memcg, &states, &events);

	for (i = 0; i < nr; i++) {
		/* Once: what was checked may be changing under our feet. */
		const struct bpf_memcg_item item = READ_ONCE(items[i]);
		struct stat_slot s;

		switch (item.kind) {
		case BPF_MEMCG_ITEM_STATE:
			if (item.index >= MEMCG_NR_STAT)
				break;
			s = state_slots[item.index];
			if (!s.unit)
				break;
			/* Between flushes a sum over CPUs may be negative. */
			values[i] = (u64)max(READ_ONCE(states[s.slot]), 0L) * s.unit;
			continue;
		case BPF_MEMCG_ITEM_VM_EVENT:
			if (item.index >= NR_VM_EVENT_ITEMS)
				break;
			s = event_slots[item.index];
			if (!s.unit)
				break;
			values[i] = READ_ONCE(events[s.slot]);
			continue;
		case BPF_MEMCG_ITEM_MEMORY_EVENT:
			if (item.index >= MEMCG_NR_MEMORY_EVENTS)
				break;
			values[i] = atomic_long_read(&memcg->memory_events[item.index]);
			continue;
		case BPF_MEMCG_ITEM_USAGE:
			if (item.index)
				break;
			values[i] = memcg_usage(memcg);
			continue;
		}
		values[i] = -1;
		found--;
	}
	return found;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_memcg_stat_kfuncs)
BTF_ID_FLAGS(func, bpf_mem_cgroup_read)
BTF_KFUNCS_END(bpf_memcg_stat_kfuncs)

static const struct btf_kfunc_id_set bpf_memcg_stat_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_memcg_stat_kfuncs,
};

static int __init bpf_memcg_stat_init(void)
{
	int i;

	/* Programs name counters by it. */
	BTF_TYPE_EMIT_ENUM(BPF_MEMCG_ITEM_STATE);

	/* Before there is a root memcg the memory controller has no table. */
	if (!mem_cgroup_disabled()) {
		for (i = 0; i < MEMCG_NR_STAT; i++)
			state_slots[i].unit = memcg_state_slot(i, &state_slots[i].slot);
		for (i = 0; i < NR_VM_EVENT_ITEMS; i++)
			event_slots[i].unit = memcg_event_slot(i, &event_slots[i].slot);
	}

	return register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &bpf_memcg_stat_kfunc_set);
}
late_initcall(bpf_memcg_stat_init);
