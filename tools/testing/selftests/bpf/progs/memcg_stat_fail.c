// SPDX-License-Identifier: GPL-2.0
/* What the verifier must refuse of the kfuncs that read memcg statistics. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

struct bpf_memcg_item items[8];
const struct bpf_memcg_item fixed_items[8] = {};
__u64 values[8];
__u32 size;

/* More than all variables together: to the verifier they are one map value. */
#define TOO_LONG	4096

/* Inlined: the verifier is to see the arguments of each test. */
static __always_inline int read_root(const void *from, __u32 from_sz, void *to, __u32 to_sz)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return 0;
	bpf_mem_cgroup_read(memcg, from, from_sz, to, to_sz);
	bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("syscall")
__success
int good(void *ctx)
{
	return read_root(items, sizeof(items), values, sizeof(values));
}

SEC("syscall")
__failure __msg("invalid access to map value")
int values_too_long(void *ctx)
{
	return read_root(items, sizeof(items), values, TOO_LONG);
}

SEC("syscall")
__failure __msg("invalid access to map value")
int items_too_long(void *ctx)
{
	return read_root(items, TOO_LONG, values, sizeof(values));
}

SEC("syscall")
__failure __msg("unbounded memory access")
int values_unbounded(void *ctx)
{
	return read_root(items, sizeof(items), values, size);
}

SEC("syscall")
__failure __msg("unbounded memory access")
int items_unbounded(void *ctx)
{
	return read_root(items, size, values, sizeof(values));
}

SEC("syscall")
__failure __msg("write into map forbidden")
int items_read_only(void *ctx)
{
	return read_root(fixed_items, sizeof(fixed_items), values, sizeof(values));
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed")
int items_null(void *ctx)
{
	return read_root(NULL, sizeof(items), values, sizeof(values));
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed")
int values_null(void *ctx)
{
	return read_root(items, sizeof(items), NULL, sizeof(values));
}

SEC("syscall")
__failure
int values_number(void *ctx)
{
	return read_root(items, sizeof(items), (void *)(long)size, sizeof(values));
}

SEC("syscall")
__failure __msg("Possibly NULL pointer passed")
int memcg_unchecked(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	bpf_mem_cgroup_read(memcg, items, sizeof(items), values, sizeof(values));
	if (memcg)
		bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("syscall")
__failure __msg("must be referenced or trusted")
int memcg_walked(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup(), *walked;

	if (!memcg)
		return 0;
	walked = bpf_core_cast(memcg->vmstats_percpu, struct mem_cgroup);
	bpf_mem_cgroup_read(walked, items, sizeof(items), values, sizeof(values));
	bpf_put_mem_cgroup(memcg);
	return 0;
}

SEC("syscall")
__failure
int memcg_after_put(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return 0;
	bpf_put_mem_cgroup(memcg);
	return bpf_mem_cgroup_page_state(memcg, 0);
}

SEC("syscall")
__failure __msg("Unreleased reference")
int memcg_kept(void *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	return memcg ? bpf_mem_cgroup_usage(memcg) : 0;
}

SEC("iter/cgroup")
__failure __msg("program must be sleepable")
int flush_not_sleepable(struct bpf_iter__cgroup *ctx)
{
	struct mem_cgroup *memcg = bpf_get_root_mem_cgroup();

	if (!memcg)
		return 0;
	bpf_mem_cgroup_flush_stats(memcg);
	bpf_put_mem_cgroup(memcg);
	return 0;
}
