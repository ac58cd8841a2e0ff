// SPDX-License-Identifier: GPL-2.0
/*
 * This file holds the delays that BPF policies impose on tasks that charge.
 *
 * A delay is noted on the task that charged, when it charged, and served when
 * that task returns to user space: there it holds no lock that others may wait
 * for. The delays of one kernel entry add up to at most BPF_MEMCG_MAX_DELAY_MS.
 *
 * A policy only delays tasks of the subtree that it governs. This is checked
 * when the delay is noted and again when it is served: a delay lapses when its
 * policy was detached or replaced, or when the task moved out of the subtree.
 * The task keeps no reference to the policy. It keeps a 32-bit mark, made of the
 * ids of the policy's map and cgroup, and looks for it in the effective array of
 * its own memcg, under RCU. A debt to several policies counts as one to the last
 * of them.
 *
 * One return to user space is delayed once. Serving a delay opens a quiet period
 * in which the charges of this task note no delay: they come from a signal frame
 * or from the rseq area, which the kernel writes on the way out. The quiet
 * period ends when a pass through resume_user_mode_work() has nothing to serve;
 * __bpf_memcg_serve_delay() requests one more pass for this.
 *
 * The sleep is interruptible. A signal ends it early and the rest stays owed: the
 * exit loop delivers the signal, freezes the task or stops it, and then serves
 * the rest. So a delayed task can be frozen and killed at once, and a signal does
 * not shorten the delay.
 *
 * io_uring workers never return to user space. They serve their delay in
 * io_run_task_work(), between two requests, where memory.high is served for
 * them, and have no quiet period. Their sleep is killable: no exit loop would
 * deliver a signal.
 *
 * memory.high has its own debt, current->memcg_nr_pages_over_high. Where its
 * penalty makes the task sleep, bpf_memcg_high_penalty() takes that time off the
 * delay owed here: the task sleeps for the larger of the two.
 *
 * The fields in task_struct are only used by the task itself, in task context.
 */

#include <linux/bpf.h>
#include <linux/bpf_memcg.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/psi.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>

#include "bpf_memcg_internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/bpf_memcg.h>

/*
 * Kernel threads and vhost workers never come to where delays are served.
 * Reclaimers and exiting tasks must not be held up: others wait for the memory
 * that they free.
 */
static bool may_delay(void)
{
	unsigned int never = PF_KTHREAD | PF_MEMALLOC | PF_EXITING;

	if (!(current->flags & PF_IO_WORKER))
		never |= PF_USER_WORKER;
	return in_task() && !(current->flags & never) && !fatal_signal_pending(current) &&
	       !tsk_is_oom_victim(current);
}

/**
 * bpf_memcg_policy_mark - a short name of an attached policy
 * @item: the policy
 *
 * Two policies that are attached at the same time have the same mark only if
 * their ids exceed 16 bits and happen to collide.
 *
 * Context: under RCU.
 *
 * Return: the mark.
 */
u32 bpf_memcg_policy_mark(const struct bpf_cgroup_ops_item *item)
{
	return (u32)item->cgroup_id ^ rol32(item->map->id, 16);
}

/**
 * bpf_memcg_governs_current - is the current task in the subtree of a policy?
 * @item: the policy
 *
 * Context: under RCU.
 *
 * Return: true if the policy is effective on the memcg of the current task.
 */
bool bpf_memcg_governs_current(const struct bpf_cgroup_ops_item *item)
{
	struct mem_cgroup *memcg = mem_cgroup_from_task(current);
	const struct bpf_cgroup_ops_item *pos;
	struct bpf_cgroup_ops_array *array;

	array = rcu_dereference(memcg->bpf_ops.effective);
	bpf_memcg_for_each_policy(pos, array)
		if (pos->link == item->link)
			return true;
	return false;
}

/*
 * Find the policy that the current task owes its delay to. Returns false if that
 * policy does not govern the task any more.
 */
static bool find_creditor(u64 *policy_cgid, u64 *memcg_cgid)
{
	const struct bpf_cgroup_ops_item *item;
	struct bpf_cgroup_ops_array *array;
	struct mem_cgroup *memcg;
	bool found = false;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(current);
	array = rcu_dereference(memcg->bpf_ops.effective);
	bpf_memcg_for_each_policy(item, array) {
		if (bpf_memcg_policy_mark(item) == current->bpf_memcg_delay_mark) {
			*policy_cgid = item->cgroup_id;
			*memcg_cgid = cgroup_id(memcg->css.cgroup);
			found = true;
		}
	}
	rcu_read_unlock();
	return found;
}

/**
 * bpf_memcg_add_delay - note a delay for the current task
 * @ms: milliseconds
 * @mark: of the policy that asked for it, see bpf_memcg_policy_mark()
 *
 * Context: that of the charge: any but NMI.
 */
void bpf_memcg_add_delay(unsigned int ms, u32 mark)
{
	if (!may_delay())
		return;

	/* Also ends a quiet period that was left open when the last policy went. */
	set_notify_resume(current);
	if (current->bpf_memcg_delay_quiet)
		return;

	current->bpf_memcg_delay_mark = mark;
	current->bpf_memcg_delay_ms = min(current->bpf_memcg_delay_ms +
					  min(ms, BPF_MEMCG_MAX_DELAY_MS), BPF_MEMCG_MAX_DELAY_MS);
}

/* Sleep for @ms; returns how many of them are left after a signal. */
static unsigned int sleep_off(unsigned int ms)
{
	unsigned int state = current->flags & PF_IO_WORKER ? TASK_KILLABLE : TASK_INTERRUPTIBLE;
	ktime_t end = ktime_add_ms(ktime_get(), ms);
	s64 left;

	for (;;) {
		set_current_state(state | TASK_FREEZABLE);
		if (signal_pending_state(state, current))
			break;
		/* Not a jiffies timeout: with HZ=250 one millisecond would take up to eight. */
		if (!schedule_hrtimeout_range(&end, current->timer_slack_ns, HRTIMER_MODE_ABS))
			return 0;
	}
	__set_current_state(TASK_RUNNING);
	left = ktime_to_ns(ktime_sub(end, ktime_get()));
	return left <= 0 ? 0 : min_t(u64, ms, DIV_ROUND_UP_ULL(left, NSEC_PER_MSEC));
}

/**
 * __bpf_memcg_serve_delay - serve the delay that the current task owes
 *
 * Sleeps, never shorter than asked for, and longer by no more than the task's
 * timer slack and what the scheduler needs. Counts as a memory stall. Charges of
 * this task note no delay until the quiet period ends.
 *
 * Context: on the way to user space, without locks.
 */
void __bpf_memcg_serve_delay(void)
{
	bool io_worker = current->flags & PF_IO_WORKER;
	unsigned int ms = current->bpf_memcg_delay_ms;
	u64 policy_cgid, memcg_cgid;
	unsigned long pflags;
	unsigned int left;
	ktime_t start;

	current->bpf_memcg_delay_quiet = io_worker ? 0 : 1;
	current->bpf_memcg_delay_ms = 0;
	if (!ms || !may_delay() || !find_creditor(&policy_cgid, &memcg_cgid))
		return;

	start = ktime_get();
	psi_memstall_enter(&pflags);
	left = sleep_off(ms);
	psi_memstall_leave(&pflags);

	if (!io_worker) {
		current->bpf_memcg_delay_ms = left;
		/* for this pass and the next one */
		current->bpf_memcg_delay_quiet = 2;
		set_notify_resume(current);
	}
	trace_bpf_memcg_delay(policy_cgid, memcg_cgid, ms, ktime_ms_delta(ktime_get(), start));
}
