// SPDX-License-Identifier: GPL-2.0
/*
 * The delays that BPF policies impose on tasks that charge.
 *
 * A delay is noted on the task that charged, when it charged, and served when
 * that task returns to user space: there it holds no lock that others may wait
 * for. It is a debt of the task, so it depends neither on the policy, which may
 * be gone by then, nor on the memcg; of both only the cgroup ids are noted.
 *
 * The delays of one kernel entry add up, as the charges do, but one return never
 * serves more than BPF_MEMCG_MAX_DELAY_MS of them; the rest is forgiven. The
 * fields in task_struct are only used by the task itself, never in interrupts.
 *
 * memory.high has its own debt, current->memcg_nr_pages_over_high. It is served
 * beside this one and does not know about it.
 */

#include <linux/bpf_memcg.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/oom.h>
#include <linux/psi.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>

#include "bpf_memcg_internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/bpf_memcg.h>

/*
 * Who never returns to user space has nowhere to serve. Reclaimers, and tasks on
 * their way out, must not be held up: others wait for the memory they free.
 */
static bool may_delay(void)
{
	return in_task() &&
	       !(current->flags & (PF_KTHREAD | PF_USER_WORKER | PF_MEMALLOC | PF_EXITING)) &&
	       !fatal_signal_pending(current) && !tsk_is_oom_victim(current);
}

/**
 * bpf_memcg_add_delay - note a delay for the current task
 * @ms: milliseconds
 * @policy_cgid: the cgroup that the policy asking for it is attached to
 * @memcg_cgid: the cgroup that was charged
 *
 * Context: that of the charge: any but NMI.
 */
void bpf_memcg_add_delay(unsigned int ms, u64 policy_cgid, u64 memcg_cgid)
{
	if (!may_delay())
		return;

	ms = min(ms, BPF_MEMCG_MAX_DELAY_MS);
	if (ms > current->bpf_memcg_delay_worst) {
		/* The trace names the policy that asked for most at once. */
		current->bpf_memcg_delay_worst = ms;
		current->bpf_memcg_delay_policy = policy_cgid;
		current->bpf_memcg_delay_memcg = memcg_cgid;
	}
	current->bpf_memcg_delay_ms = min(current->bpf_memcg_delay_ms + ms,
					  BPF_MEMCG_MAX_DELAY_MS);
	set_notify_resume(current);
}

/**
 * __bpf_memcg_serve_delay - serve the delay that the current task owes
 *
 * Sleeps, killable, never shorter than asked for, and longer by no more than the
 * task's timer slack and what the scheduler needs. Counts as a memory stall.
 *
 * Context: on the way to user space, without locks.
 */
void __bpf_memcg_serve_delay(void)
{
	unsigned int ms = current->bpf_memcg_delay_ms;
	ktime_t expires = ms_to_ktime(ms);
	unsigned long pflags;
	ktime_t start;

	current->bpf_memcg_delay_ms = 0;
	current->bpf_memcg_delay_worst = 0;
	if (!may_delay())
		return;

	start = ktime_get();
	psi_memstall_enter(&pflags);
	/* Not a jiffies timeout: with HZ=250 one millisecond would take up to eight. */
	set_current_state(TASK_KILLABLE);
	schedule_hrtimeout_range(&expires, current->timer_slack_ns, HRTIMER_MODE_REL);
	psi_memstall_leave(&pflags);

	trace_bpf_memcg_delay(current->bpf_memcg_delay_policy, current->bpf_memcg_delay_memcg,
			      ms, ktime_ms_delta(ktime_get(), start));
}
