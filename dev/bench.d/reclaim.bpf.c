// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the CPU time of kernel threads in the reclaim kfunc, by another way
 * than the kfunc does: by a clock that runs while such a thread is on a CPU.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

#define PF_KTHREAD	0x00200000

__u64 kthread_ns;	/* of finished calls and parts of calls */
__u64 calls;

/* The threads that are in the kfunc: since when on a CPU, 0 when on none */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} inside SEC(".maps");

static void clock_off(__u32 pid)
{
	__u64 *since = bpf_map_lookup_elem(&inside, &pid);

	if (since && *since) {
		__sync_fetch_and_add(&kthread_ns, bpf_ktime_get_ns() - *since);
		*since = 0;
	}
}

static void clock_on(__u32 pid)
{
	__u64 *since = bpf_map_lookup_elem(&inside, &pid);

	if (since)
		*since = bpf_ktime_get_ns();
}

SEC("fentry/bpf_try_to_free_mem_cgroup_pages")
int BPF_PROG(enter)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = task->pid;
	__u64 now;

	if (!(task->flags & PF_KTHREAD))
		return 0;
	now = bpf_ktime_get_ns();
	bpf_map_update_elem(&inside, &pid, &now, BPF_ANY);
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("fexit/bpf_try_to_free_mem_cgroup_pages")
int BPF_PROG(leave)
{
	__u32 pid = bpf_get_current_task_btf()->pid;

	clock_off(pid);
	bpf_map_delete_elem(&inside, &pid);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	clock_off(prev->pid);
	clock_on(next->pid);
	return 0;
}
