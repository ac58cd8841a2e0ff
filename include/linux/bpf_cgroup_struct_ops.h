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

struct bpf_cgroup_ops_array;
struct bpf_cgroup_ops_link;
struct bpf_map;
struct bpf_struct_ops;
struct cgroup_subsys_state;
union bpf_attr;

/**
 * struct bpf_cgroup_ops_node - what is attached to, and effective on, one css
 * @effective: own and inherited policies, those nearest the root first. NULL
 *	when there is none, &bpf_cgroup_ops_dead once the css was killed.
 *	Read under RCU, replaced under cgroup_mutex.
 * @links: the links attached to this very css, oldest first. Under cgroup_mutex.
 * @nr_links: the length of @links
 * @flags: BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI or 0, common to all of @links
 * @revision: of the last change of @links; no two changes have the same one,
 *	in this css or another
 *
 * Embedded by the subsystem in the object that holds its css.
 */
struct bpf_cgroup_ops_node {
	struct bpf_cgroup_ops_array __rcu	*effective;
	struct list_head			links;
	u32					nr_links;
	u32					flags;
	u64					revision;
};

/**
 * struct bpf_cgroup_ops_item - one effective policy
 * @ops: the kernel side of the struct_ops map, that is the policy itself
 * @link: the identity of the attachment
 * @map: the map that holds @ops
 * @cgroup_id: the cgroup that the policy is attached to
 * @delegate: the policy was not attached with the host's authority: what it
 *	claims for its cgroup is limited by what the cgroup's ancestors have
 * @gone: the policy is not in the array that replaced this one, and @map is
 *	pinned until the offline call has been made
 *
 * Readers may use @ops, @cgroup_id and @delegate.
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
 * @css: the css that the array was made for; pinned while the array is retired
 * @list: on the list of arrays that are computed, later of those that are retired
 * @gp: the grace period after which a retired array's offline calls are made
 * @rcu: frees an array that has no offline calls to make
 * @items: the policies, those nearest the root first
 *
 * Readers may use @cnt and @items.
 */
struct bpf_cgroup_ops_array {
	u32					cnt;
	const struct bpf_cgroup_ops_type	*type;
	struct cgroup_subsys_state		*css;
	struct list_head			list;
	union {
		struct rcu_gp_seq		gp;
		struct rcu_head			rcu;
	};
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
 *	reader can still be inside the policy on account of this css, with or
 *	without cgroup_mutex; the css is pinned and may be offline.
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
void bpf_cgroup_ops_css_killed(const struct bpf_cgroup_ops_type *type,
			       struct cgroup_subsys_state *css);
void bpf_cgroup_ops_css_offline(const struct bpf_cgroup_ops_type *type,
				struct cgroup_subsys_state *css);
void bpf_cgroup_ops_css_reset(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css);

/* Between bpf_struct_ops.c, which owns the maps, and cgroup_struct_ops.c. */
const struct bpf_struct_ops *bpf_struct_ops_of_map(struct bpf_map *map, void **kdata);

#if defined(CONFIG_CGROUP_BPF) && defined(CONFIG_BPF_JIT)
int bpf_cgroup_ops_link_create(struct bpf_map *map, const struct bpf_cgroup_ops_type *type,
			       void *ops, const union bpf_attr *attr);
int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr);
#else
static inline int bpf_cgroup_ops_link_create(struct bpf_map *map,
					     const struct bpf_cgroup_ops_type *type,
					     void *ops, const union bpf_attr *attr)
{
	return -EINVAL;
}

static inline int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr)
{
	return -EINVAL;
}
#endif

#endif /* _LINUX_BPF_CGROUP_STRUCT_OPS_H */
