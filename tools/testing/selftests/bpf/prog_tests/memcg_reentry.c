// SPDX-License-Identifier: GPL-2.0
/*
 * A policy whose maps belong to the memcg it governs charges that memcg when it
 * is called for a charge. It is not called for that again on the same task, and
 * what it missed is counted. Catches: a missing guard against re-entry, which
 * ends in a stack overflow or in the policy's own half-done state.
 */
#include <sys/resource.h>
#include <test_progs.h>
#include <bpf/btf.h>
#include "memcg_helpers.h"
#include "memcg_reentry.skel.h"

static __u64 misses(struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (!ASSERT_OK(bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len), "info"))
		return 0;
	return info.recursion_misses;
}

/* Signals pile up, and each takes memory that is charged. */
static int churn_deaf(void *arg)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct memcg_reentry *skel = arg;
	sigset_t set;

	if (setrlimit(RLIMIT_SIGPENDING, &limit))
		return 1;
	sigemptyset(&set);
	sigaddset(&set, 34);	/* what the kernel calls SIGRTMIN is 32 */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return 1;
	skel->bss->target = getpid();
	return memcg_churn(NULL);
}

void test_memcg_reentry(void)
{
	struct memcg_reentry *skel = NULL;
	struct bpf_link *link = NULL;
	int fd;

	if (!ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
		goto out;
	fd = memcg_create("/a");
	/* maps are charged to the cgroup in which they are created */
	if (!ASSERT_OK_FD(fd, "/a") || !ASSERT_OK(memcg_join(fd), "join"))
		goto out;
	skel = memcg_reentry__open_and_load();
	join_root_cgroup();
	if (!ASSERT_OK_PTR(skel, "memcg_reentry__open_and_load"))
		goto out_fd;

	link = memcg_attach(skel->maps.policy, fd, 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		goto out_fd;
	ASSERT_OK(memcg_run(fd, churn_deaf, skel), "child");
	ASSERT_GT(skel->bss->calls, 100, "calls");
	ASSERT_GT(skel->bss->allocated, 100, "allocations in the policy");
	ASSERT_GE(skel->bss->signals, 100, "signals sent in the policy");
	ASSERT_EQ(skel->bss->reentered, 0, "re-entered");
	ASSERT_GT(misses(skel->progs.charged) + misses(skel->progs.uncharged), 0,
		  "recursion_misses");
out_fd:
	bpf_link__destroy(link);
	memcg_reentry__destroy(skel);
	close(fd);
out:
	cleanup_cgroup_environment();
}
