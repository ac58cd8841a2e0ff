/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaching struct_ops policies to cgroups: what a subsystem embeds, declares
 * and calls. The rules are the first comment of kernel/bpf/cgroup_struct_ops.c.
 */
#ifndef _LINUX_BPF_CGROUP_STRUCT_OPS_H
#define _LINUX_BPF_CGROUP_STRUCT_OPS_H

#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct bpf_cgroup_ops_array;
struct bpf_cgroup_ops_link;
struct bpf_map;
struct bpf_struct_ops;
struct cgroup_subsys_state;
union bpf_attr;

/**
 * struct bpf_cgroup_ops_node - what is attached to, and effective on, one css
 * @effective: own and inherited policies, those nearest the root first. NULL
 *	when there is none, &bpf_cgroup_ops_dead once the css went offline.
 *	Read under RCU, replaced under cgroup_mutex.
 * @inactive: the next @effective, between its allocation and its activation.
 *	Under cgroup_mutex.
 * @links: the links attached to this very css, oldest first. Under cgroup_mutex.
 * @nr_links: the length of @links
 * @flags: BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI or 0, common to all of @links
 * @revision: starts at 1 and grows with every change of @links
 *
 * Embedded by the subsystem in the object that holds its css.
 */
struct bpf_cgroup_ops_node {
	struct bpf_cgroup_ops_array __rcu	*effective;
	struct bpf_cgroup_ops_array		*inactive;
	struct list_head			links;
	u32					nr_links;
	u32					flags;
	u64					revision;
};

/**
 * struct bpf_cgroup_ops_item - one effective policy
 * @ops: the kernel side of the struct_ops map, that is the policy itself
 * @link: the identity of the attachment; for comparison only
 * @map: the map that holds @ops
 * @cgroup_id: the cgroup that the policy is attached to
 * @delegate: the policy was attached without the host's authority
 * @gone: the policy is not in the array that replaced this one, and @map is
 *	pinned until the policy has been told
 */
struct bpf_cgroup_ops_item {
	void				*ops;
	struct bpf_cgroup_ops_link	*link;
	struct bpf_map			*map;
	u64				cgroup_id;
	bool				delegate;
	bool				gone;
};

/**
 * struct bpf_cgroup_ops_array - the policies effective on one css
 * @cnt: the number of @items
 * @type: the type that all @items belong to
 * @css: the css to tell about, pinned; set when the array is retired
 * @retired: links the arrays that one operation retired
 * @rwork: frees the array after a grace period
 * @items: the policies, those nearest the root first
 */
struct bpf_cgroup_ops_array {
	u32					cnt;
	const struct bpf_cgroup_ops_type	*type;
	struct cgroup_subsys_state		*css;
	struct list_head			retired;
	struct rcu_work				rwork;
	struct bpf_cgroup_ops_item		items[] __counted_by(cnt);
};

/**
 * struct bpf_cgroup_ops_type - declares a struct_ops type cgroup-attachable
 * @ss_id: the controller that must be enabled in the cgroup
 * @enabled: the key that is on while any policy of this type is attached
 * @node: finds the node that the subsystem embeds beside a css
 * @online: a policy now governs a css. Called before the policy is published
 *	there, under cgroup_mutex.
 * @offline: the policy governed the css and no longer does. Called when no
 *	reader can still be inside the policy on account of this css, without
 *	locks; the css is pinned and may be offline.
 */
struct bpf_cgroup_ops_type {
	int				ss_id;
	struct static_key_false		*enabled;
	struct bpf_cgroup_ops_node	*(*node)(struct cgroup_subsys_state *css);
	void				(*online)(struct cgroup_subsys_state *css, void *ops);
	void				(*offline)(struct cgroup_subsys_state *css, void *ops);
};

extern struct bpf_cgroup_ops_array bpf_cgroup_ops_dead;

int bpf_cgroup_ops_css_online(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css);
void bpf_cgroup_ops_css_offline(const struct bpf_cgroup_ops_type *type,
				struct cgroup_subsys_state *css);
void bpf_cgroup_ops_css_reset(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css);

/* Between bpf_struct_ops.c, which owns the maps, and cgroup_struct_ops.c. */
const struct bpf_struct_ops *bpf_struct_ops_of_map(struct bpf_map *map, void **kdata);

#if defined(CONFIG_CGROUP_BPF) && defined(CONFIG_BPF_JIT)
int bpf_cgroup_ops_link_create(struct bpf_map *map, const union bpf_attr *attr);
int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr);
#else
static inline int bpf_cgroup_ops_link_create(struct bpf_map *map, const union bpf_attr *attr)
{
	return -EINVAL;
}

static inline int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr)
{
	return -EINVAL;
}
#endif

#endif /* _LINUX_BPF_CGROUP_STRUCT_OPS_H */
