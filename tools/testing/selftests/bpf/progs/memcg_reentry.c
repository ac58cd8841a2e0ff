// SPDX-License-Identifier: GPL-2.0
/*
 * A policy that makes the kernel charge the memcg it is called for. Most of what a
 * program may allocate is reported to nobody, because it must not spin, or is
 * charged by an interrupt. What a signal takes is an ordinary charge, if the kernel
 * has preemptible RCU; else an interrupt sends it.
 */
#include "memcg_common.h"
#include "bpf_experimental.h"

#define EEXIST	17
#define SCRATCH	4096
#define SIGRTMIN 34
#define SIGNALS	4000	/* take more than a CPU has charged in advance */

extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				__u64 value) __ksym;

struct scratch {
	char bytes[SCRATCH];
};

/* Allocated and freed at every call, at the expense of the map's own memcg. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct scratch);
} storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct scratch);
} hash SEC(".maps");

/*
 * Who is in the policy: a task and, as an interrupt on top of it is somebody
 * else, the interrupt level. Found here twice, it was called again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u32);
} inside SEC(".maps");

static struct scratch zeroes;
__u64 next_key;
__u64 calls, reentered, allocated, signals;
__u32 target;		/* who gets signals */

static __always_inline void work(void)
{
	__u64 who = bpf_get_current_task() + 2 * !!bpf_in_hardirq() + !!bpf_in_serving_softirq();
	__u32 one = 1;
	__u64 key;
	int i;

	__sync_fetch_and_add(&calls, 1);
	if (bpf_map_update_elem(&inside, &who, &one, BPF_NOEXIST) == -EEXIST) {
		__sync_fetch_and_add(&reentered, 1);
		return;
	}

	if (bpf_task_storage_get(&storage, bpf_get_current_task_btf(), 0,
				 BPF_LOCAL_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&allocated, 1);
	key = __sync_fetch_and_add(&next_key, 1) % 4096;
	if (!bpf_map_update_elem(&hash, &key, &zeroes, BPF_ANY))
		__sync_fetch_and_add(&allocated, 1);
	bpf_task_storage_delete(&storage, bpf_get_current_task_btf());
	if (bpf_get_current_pid_tgid() >> 32 == target && signals < SIGNALS) {
		bpf_for(i, 0, SIGNALS) {
			/* an interrupt sends one at a time */
			if (bpf_send_signal_task(bpf_get_current_task_btf(), SIGRTMIN,
						 PIDTYPE_PID, i))
				break;
			__sync_fetch_and_add(&signals, 1);
		}
	}

	bpf_map_delete_elem(&inside, &who);
}

SEC("struct_ops")
unsigned int BPF_PROG(charged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	work();
	return 0;
}

SEC("struct_ops")
void BPF_PROG(uncharged, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	work();
}

SEC(".struct_ops.link")
struct memcg_bpf_ops policy = {
	.memcg_charged = (void *)charged,
	.memcg_uncharged = (void *)uncharged,
};
