/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef __BPFTOOL_CGROUP_STRUCT_OPS_H
#define __BPFTOOL_CGROUP_STRUCT_OPS_H

#include <linux/types.h>

struct btf;
struct policy;

/* struct policies - the struct_ops of one cgroup, in the order in which they run */
struct policies {
	struct policy *list;
	__u32 cnt;
};

/* policies_init - look up what types of struct_ops there are
 *
 * Which of them can be attached to cgroups, the kernel tells at the first query.
 * @btf_vmlinux has to stay until policies_exit().
 */
void policies_init(const struct btf *btf_vmlinux);
void policies_exit(void);

/* policies_query - ask for all of one cgroup
 *
 * An error with one type does not hide the others. Returns 0 or -errno; in any
 * case policies_free() has to be called.
 */
int policies_query(int cgroup_fd, __u32 query_flags, struct policies *all);
void policies_show(const struct policies *policies, __u32 query_flags, int level);
void policies_free(struct policies *policies);

#endif /* __BPFTOOL_CGROUP_STRUCT_OPS_H */
