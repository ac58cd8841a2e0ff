// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching struct_ops policies to cgroups.
 *
 * This file owns the links between a struct_ops map and a cgroup, the rules of
 * who may attach where, and the effective arrays. It knows nothing of what the
 * policies do: a subsystem embeds a struct bpf_cgroup_ops_node beside its css,
 * declares a struct bpf_cgroup_ops_type, calls the three css functions below
 * from its css callbacks, and reads node->effective.
 *
 * Identity. An attachment is its link. The same map may be attached any number
 * of times, so neither a map nor its ops pointer ever identifies one.
 *
 * Locking. Everything written here is written under cgroup_mutex, which is the
 * only lock: a cgroup link never takes the update_mutex of bpf_struct_ops.c, so
 * there is no order between the two to get wrong. No grace period is waited for
 * under it. The static key is switched under it, as cgroup-bpf does.
 *
 * Readers hold rcu_read_lock() and dereference node->effective, nothing else.
 *
 * Who keeps what alive:
 *  - link: its file. The css side reaches links through node->links only, under
 *    cgroup_mutex; a link is off that list before its memory goes, because
 *    dealloc detaches first.
 *  - link->css: no reference. The css cannot go offline without clearing it,
 *    and going offline comes before being freed.
 *  - link->map: a reference while link->css is set. The map is freed an RCU and
 *    an RCU-tasks grace period after its last reference, and the link is out of
 *    every array before it drops its own: a reader finds the ops alive.
 *  - array: published by rcu_assign_pointer(), freed after a grace period.
 *  - array->css, item->map of a @gone item: references, from the moment the
 *    array is retired until the policy has been told.
 *
 * Online and offline. Replacing an array compares the old with the new by
 * (link, ops): what is only in the new one gets its online call before the
 * array is published, what is only in the old one gets its offline call after a
 * grace period, when no reader can still be in it on account of that css. So
 * attach, detach, override, restore, update and the death of a cgroup all pair
 * without further thought. A system call waits for the grace period after it
 * has dropped cgroup_mutex; the death of a css, which must not wait, leaves it
 * to a work item.
 *
 * Failure. All arrays of an operation are allocated before the first one is
 * published. Attach and update fail as a whole; detach cannot fail.
 */

#include <linux/bpf.h>
#include <linux/bpf_cgroup_struct_ops.h>
#include <linux/btf.h>
#include <linux/cgroup.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../cgroup/cgroup-internal.h"

/* As many as cgroup-bpf allows for one cgroup and attach type. */
#define BPF_CGROUP_OPS_MAX_LINKS	64

#define BPF_CGROUP_OPS_MODES		(BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI)

/**
 * struct bpf_cgroup_ops_link - a policy attached to a cgroup
 * @link: the generic part
 * @node: on &struct bpf_cgroup_ops_node.links of @css
 * @type: the type of the policy; never changes
 * @css: what the policy is attached to; NULL once detached
 * @map: the map that holds @ops; NULL once detached
 * @ops: the policy
 * @cgroup_id: the cgroup of @css
 * @flags: the attach flags
 * @wait_hup: woken with EPOLLHUP when the link is detached
 *
 * All but @link, @type and @wait_hup change under cgroup_mutex.
 */
struct bpf_cgroup_ops_link {
	struct bpf_link				link;
	struct list_head			node;
	const struct bpf_cgroup_ops_type	*type;
	struct cgroup_subsys_state		*css;
	struct bpf_map				*map;
	void					*ops;
	u64					cgroup_id;
	u32					flags;
	wait_queue_head_t			wait_hup;
};

/*
 * The effective array of a css that went offline. Readers tell it from "alive,
 * and no policy" and may turn to the parent instead.
 */
struct bpf_cgroup_ops_array bpf_cgroup_ops_dead;

static struct bpf_cgroup_ops_array *node_effective(struct bpf_cgroup_ops_node *node)
{
	return rcu_dereference_protected(node->effective, lockdep_is_held(&cgroup_mutex));
}

static struct bpf_cgroup_ops_array *
array_compute(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css, gfp_t gfp)
{
	struct bpf_cgroup_ops_array *array;
	struct cgroup_subsys_state *pos;
	struct bpf_cgroup_ops_node *node;
	struct bpf_cgroup_ops_link *link;
	u32 cnt = 0, i;

	/* An ancestor counts if it allows others beside it, or if it is the first. */
	for (pos = css; pos; pos = pos->parent) {
		node = type->node(pos);
		if (!cnt || (node->flags & BPF_F_ALLOW_MULTI))
			cnt += node->nr_links;
	}
	if (!cnt)
		return NULL;

	array = kzalloc(struct_size(array, items, cnt), gfp);
	if (!array)
		return ERR_PTR(-ENOMEM);
	array->cnt = cnt;
	array->type = type;

	for (pos = css, i = cnt; pos; pos = pos->parent) {
		node = type->node(pos);
		if (i < cnt && !(node->flags & BPF_F_ALLOW_MULTI))
			continue;
		list_for_each_entry_reverse(link, &node->links, node)
			array->items[--i] = (struct bpf_cgroup_ops_item) {
				.ops = link->ops,
				.link = link,
				.map = link->map,
				.cgroup_id = link->cgroup_id,
			};
	}
	return array;
}

static bool array_has(const struct bpf_cgroup_ops_array *array,
		      const struct bpf_cgroup_ops_item *item)
{
	u32 i;

	for (i = 0; array && i < array->cnt; i++)
		if (array->items[i].link == item->link && array->items[i].ops == item->ops)
			return true;
	return false;
}

/* After a grace period: nobody is in a policy on account of this array. */
static void array_free(struct bpf_cgroup_ops_array *array)
{
	u32 i;

	for (i = 0; i < array->cnt; i++) {
		if (!array->items[i].gone)
			continue;
		array->type->offline(array->css, array->items[i].ops);
		bpf_map_put(array->items[i].map);
	}
	css_put(array->css);
	kfree(array);
}

static void array_free_work(struct work_struct *work)
{
	array_free(container_of(to_rcu_work(work), struct bpf_cgroup_ops_array, rwork));
}

/*
 * Replace the effective array of @css by @new. The old one goes to @retired if
 * there is an offline call to make, and is freed after a grace period if not.
 */
static void array_activate(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css,
			   struct bpf_cgroup_ops_array *new, struct list_head *retired)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct bpf_cgroup_ops_array *old = node_effective(node);
	bool gone = false;
	u32 i;

	for (i = 0; new && i < new->cnt; i++)
		if (!array_has(old, &new->items[i]))
			type->online(css, new->items[i].ops);

	rcu_assign_pointer(node->effective, new);
	if (!old)
		return;

	for (i = 0; i < old->cnt; i++) {
		if (array_has(new, &old->items[i]))
			continue;
		bpf_map_inc(old->items[i].map);
		old->items[i].gone = true;
		gone = true;
	}
	if (!gone) {
		kfree_rcu(old, rwork.rcu);
		return;
	}
	css_get(css);
	old->css = css;
	list_add_tail(&old->retired, retired);
}

/* The end of a system call that changed arrays: no locks held, may wait. */
static void retire_sync(struct list_head *retired)
{
	struct bpf_cgroup_ops_array *array, *next;

	if (list_empty(retired))
		return;
	synchronize_rcu();
	list_for_each_entry_safe(array, next, retired, retired) {
		array_free(array);
		cond_resched();
	}
}

/* The same where cgroup_mutex is held, or waiting is out of the question. */
static void retire_async(struct list_head *retired)
{
	struct bpf_cgroup_ops_array *array, *next;

	list_for_each_entry_safe(array, next, retired, retired) {
		INIT_RCU_WORK(&array->rwork, array_free_work);
		queue_rcu_work(system_dfl_wq, &array->rwork);
	}
}

/*
 * Bring the effective arrays of @root and its descendants up to date with what
 * is attached now. Fails, changing nothing, only if @gfp allows it to.
 */
static int recompute(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *root,
		     gfp_t gfp, struct list_head *retired)
{
	struct bpf_cgroup_ops_node *node;
	struct cgroup_subsys_state *css;
	int err = 0;

	css_for_each_descendant_pre(css, root) {
		cond_resched();
		node = type->node(css);
		if (node_effective(node) == &bpf_cgroup_ops_dead)
			continue;
		node->inactive = array_compute(type, css, gfp);
		if (IS_ERR(node->inactive)) {
			err = PTR_ERR(node->inactive);
			node->inactive = NULL;
			break;
		}
	}

	css_for_each_descendant_pre(css, root) {
		node = type->node(css);
		if (node_effective(node) == &bpf_cgroup_ops_dead)
			continue;
		cond_resched();
		if (err)
			kfree(node->inactive);
		else
			array_activate(type, css, node->inactive, retired);
		node->inactive = NULL;
	}
	return err;
}

/* May a policy with these attach @flags join what is attached already? */
static int hierarchy_allows(const struct bpf_cgroup_ops_type *type,
			    struct cgroup_subsys_state *css, u32 flags)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct cgroup_subsys_state *pos;

	if (node->nr_links) {
		if (!(node->flags & BPF_F_ALLOW_MULTI) || node->flags != flags)
			return -EBUSY;
		if (node->nr_links >= BPF_CGROUP_OPS_MAX_LINKS)
			return -E2BIG;
	}

	/* The nearest ancestor that has a policy decides. */
	for (pos = css->parent; pos; pos = pos->parent) {
		node = type->node(pos);
		if (!node->nr_links)
			continue;
		if (!node->flags)
			return -EBUSY;
		break;
	}

	/* Without a flag no descendant may have a policy, not even an earlier one. */
	if (!flags) {
		css_for_each_descendant_pre(pos, css)
			if (pos != css && type->node(pos)->nr_links)
				return -EBUSY;
	}
	return 0;
}

static void link_hook(struct bpf_cgroup_ops_link *link, struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = link->type->node(css);

	list_add_tail(&link->node, &node->links);
	node->nr_links++;
	node->flags = link->flags & BPF_CGROUP_OPS_MODES;
	node->revision++;
	link->cgroup_id = cgroup_id(css->cgroup);
	/* poll() looks without the lock. */
	WRITE_ONCE(link->css, css);
	static_branch_inc(link->type->enabled);
}

static void link_unhook(struct bpf_cgroup_ops_link *link)
{
	struct bpf_cgroup_ops_node *node = link->type->node(link->css);

	list_del_init(&link->node);
	if (!--node->nr_links)
		node->flags = 0;
	node->revision++;
	WRITE_ONCE(link->css, NULL);
}

/* The last step of a detach, when no array refers to @link any more. */
static void link_drop(struct bpf_cgroup_ops_link *link)
{
	static_branch_dec(link->type->enabled);
	bpf_map_put(link->map);
	link->map = NULL;
	link->ops = NULL;
	wake_up_interruptible_poll(&link->wait_hup, EPOLLHUP);
}

static struct cgroup *cgroup_get_from_target_fd(int fd)
{
	struct cgroup *cgrp = cgroup_get_from_fd(fd);

	/* The directory is still open, but the cgroup is gone. */
	return cgrp == ERR_PTR(-ENOENT) ? ERR_PTR(-ENODEV) : cgrp;
}

/*
 * Find the css of exactly @cgrp. The css of an ancestor that
 * cgroup_e_css() would give in its place governs all of the siblings, too.
 */
static struct cgroup_subsys_state *target_css(const struct bpf_cgroup_ops_type *type,
					      struct cgroup *cgrp)
{
	struct cgroup *parent = cgroup_parent(cgrp);
	struct cgroup_subsys_state *css;

	if (cgroup_is_dead(cgrp))
		return ERR_PTR(-ENODEV);

	/* Switched off, a controller may linger unseen because another needs it. */
	css = rcu_dereference_protected(cgrp->subsys[type->ss_id],
					lockdep_is_held(&cgroup_mutex));
	if (!css || (parent && !(parent->subtree_control & BIT(type->ss_id))))
		return ERR_PTR(-ENOENT);

	/* Switched off and on again in a moment: the new css is not there yet. */
	if (css_is_dying(css) || node_effective(type->node(css)) == &bpf_cgroup_ops_dead)
		return ERR_PTR(-ENODEV);
	return css;
}

static int link_attach(struct bpf_cgroup_ops_link *link, struct cgroup *cgrp, u64 revision,
		       struct list_head *retired)
{
	struct cgroup_subsys_state *css;
	int err;

	css = target_css(link->type, cgrp);
	if (IS_ERR(css))
		return PTR_ERR(css);
	if (revision && revision != link->type->node(css)->revision)
		return -ESTALE;
	err = hierarchy_allows(link->type, css, link->flags & BPF_CGROUP_OPS_MODES);
	if (err)
		return err;

	bpf_map_inc(link->map);
	link_hook(link, css);
	err = recompute(link->type, css, GFP_KERNEL, retired);
	if (err) {
		link_unhook(link);
		link_drop(link);
	}
	return err;
}

static int bpf_cgroup_ops_link_detach(struct bpf_link *l)
{
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);
	struct cgroup_subsys_state *css;
	LIST_HEAD(retired);

	cgroup_lock();
	css = link->css;
	if (css) {
		link_unhook(link);
		recompute(link->type, css, GFP_KERNEL | __GFP_NOFAIL, &retired);
		link_drop(link);
	}
	cgroup_unlock();

	retire_sync(&retired);
	return 0;
}

static void bpf_cgroup_ops_link_dealloc(struct bpf_link *l)
{
	/* Nothing to detach if the cgroup went first, or if attaching failed. */
	bpf_cgroup_ops_link_detach(l);
	kfree(container_of(l, struct bpf_cgroup_ops_link, link));
}

static int bpf_cgroup_ops_link_update(struct bpf_link *l, struct bpf_map *new_map,
				      struct bpf_map *expected_old_map, u64 expected_revision)
{
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);
	const struct bpf_struct_ops *st_ops;
	struct bpf_cgroup_ops_node *node;
	void *new_ops, *old_ops;
	struct bpf_map *old_map;
	LIST_HEAD(retired);
	int err = 0;

	st_ops = bpf_struct_ops_of_map(new_map, &new_ops);
	if (!st_ops || st_ops->cgroup_type != link->type)
		return -EINVAL;

	cgroup_lock();
	if (!link->css) {
		err = -ENOLINK;
		goto out;
	}
	node = link->type->node(link->css);
	if (expected_revision && expected_revision != node->revision) {
		err = -ESTALE;
		goto out;
	}
	old_map = link->map;
	old_ops = link->ops;
	if (expected_old_map && expected_old_map != old_map) {
		err = -EPERM;
		goto out;
	}
	if (new_map == old_map)
		goto out;

	bpf_map_inc(new_map);
	link->map = new_map;
	link->ops = new_ops;
	err = recompute(link->type, link->css, GFP_KERNEL, &retired);
	if (err) {
		link->map = old_map;
		link->ops = old_ops;
		bpf_map_put(new_map);
		goto out;
	}
	node->revision++;
	bpf_map_put(old_map);
out:
	cgroup_unlock();

	retire_sync(&retired);
	return err;
}

static void bpf_cgroup_ops_link_show_fdinfo(const struct bpf_link *l, struct seq_file *seq)
{
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);
	char *path = kzalloc(PATH_MAX, GFP_KERNEL);

	cgroup_lock();
	if (link->css) {
		seq_printf(seq, "map_id:\t%u\n", link->map->id);
		seq_printf(seq, "cgroup_id:\t%llu\n", link->cgroup_id);
		/* As the reader's cgroup namespace sees it. */
		if (path) {
			spin_lock_irq(&css_set_lock);
			cgroup_path_ns_locked(link->css->cgroup, path, PATH_MAX,
					      current->nsproxy->cgroup_ns);
			spin_unlock_irq(&css_set_lock);
		}
		seq_printf(seq, "cgroup_path:\t%s\n", path ?: "<unknown>");
	}
	seq_printf(seq, "attach_flags:\t%#x\n", link->flags);
	cgroup_unlock();
	kfree(path);
}

static int bpf_cgroup_ops_link_fill_info(const struct bpf_link *l, struct bpf_link_info *info)
{
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);

	cgroup_lock();
	if (link->css) {
		info->struct_ops.map_id = link->map->id;
		info->struct_ops.cgroup_id = link->cgroup_id;
	}
	info->struct_ops.attach_flags = link->flags;
	cgroup_unlock();
	return 0;
}

static __poll_t bpf_cgroup_ops_link_poll(struct file *file, struct poll_table_struct *pts)
{
	struct bpf_link *l = file->private_data;
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);

	poll_wait(file, &link->wait_hup, pts);
	return READ_ONCE(link->css) ? 0 : EPOLLHUP;
}

static const struct bpf_link_ops bpf_cgroup_ops_link_lops = {
	.dealloc	= bpf_cgroup_ops_link_dealloc,
	.detach		= bpf_cgroup_ops_link_detach,
	.show_fdinfo	= bpf_cgroup_ops_link_show_fdinfo,
	.fill_link_info	= bpf_cgroup_ops_link_fill_info,
	.update_map	= bpf_cgroup_ops_link_update,
	.poll		= bpf_cgroup_ops_link_poll,
};

/**
 * bpf_cgroup_ops_link_create - attach a struct_ops map to a cgroup
 * @map: a map of a cgroup-attachable type, ready to be attached
 * @attr: of BPF_LINK_CREATE: target_fd is the cgroup, flags has BPF_F_CGROUP_FD
 *	and at most one of BPF_F_ALLOW_OVERRIDE and BPF_F_ALLOW_MULTI
 *
 * The attach rules are those of __cgroup_bpf_attach(), with one more: a policy
 * without a flag cannot be attached above an existing one.
 *
 * Context: process context, takes cgroup_mutex and may wait for a grace period
 * after it.
 *
 * Return: the fd of the new link, which holds a reference to @map of its own;
 * -EINVAL flags or map are not right, -EBADF target_fd is not a cgroup v2
 * directory, -ENODEV the cgroup is being removed, -ENOENT the controller is not
 * enabled in exactly this cgroup, -EBUSY another policy here, above or below
 * does not permit it, -E2BIG too many policies here, -ESTALE expected_revision
 * is not the current one, -ENOMEM.
 */
int bpf_cgroup_ops_link_create(struct bpf_map *map, const union bpf_attr *attr)
{
	u32 flags = attr->link_create.flags;
	const struct bpf_struct_ops *st_ops;
	struct bpf_cgroup_ops_link *link;
	struct bpf_link_primer primer;
	struct cgroup *cgrp;
	LIST_HEAD(retired);
	void *ops;
	int err;

	if (!(flags & BPF_F_CGROUP_FD) || flags & ~(BPF_F_CGROUP_FD | BPF_CGROUP_OPS_MODES) ||
	    (flags & BPF_CGROUP_OPS_MODES) == BPF_CGROUP_OPS_MODES ||
	    attr->link_create.cgroup.relative_fd)
		return -EINVAL;

	st_ops = bpf_struct_ops_of_map(map, &ops);
	if (!st_ops || !st_ops->cgroup_type)
		return -EINVAL;

	cgrp = cgroup_get_from_target_fd(attr->link_create.target_fd);
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);

	link = kzalloc_obj(*link, GFP_USER);
	if (!link) {
		err = -ENOMEM;
		goto out_put;
	}
	bpf_link_init(&link->link, BPF_LINK_TYPE_STRUCT_OPS, &bpf_cgroup_ops_link_lops, NULL,
		      attr->link_create.attach_type);
	INIT_LIST_HEAD(&link->node);
	init_waitqueue_head(&link->wait_hup);
	link->type = st_ops->cgroup_type;
	link->map = map;
	link->ops = ops;
	link->flags = flags;

	/* Everything that can fail comes before the link is visible to anyone. */
	err = bpf_link_prime(&link->link, &primer);
	if (err) {
		kfree(link);
		goto out_put;
	}

	cgroup_lock();
	err = link_attach(link, cgrp, attr->link_create.cgroup.expected_revision, &retired);
	cgroup_unlock();
	retire_sync(&retired);

	if (err)
		bpf_link_cleanup(&primer);
	else
		err = bpf_link_settle(&primer);
out_put:
	cgroup_put(cgrp);
	return err;
}

/* What a query tells of one policy. */
struct query_entry {
	u64 cgroup_id;
	u32 link_id;
	u32 map_id;
	u32 flags;
};

static struct query_entry query_entry(const struct bpf_cgroup_ops_link *link)
{
	return (struct query_entry) {
		.cgroup_id = link->cgroup_id,
		/* 0 until the system call that creates the link has finished. */
		.link_id = READ_ONCE(link->link.id),
		.map_id = link->map->id,
		.flags = link->flags & BPF_CGROUP_OPS_MODES,
	};
}

static int query_copy(const union bpf_attr *attr, const struct query_entry *entries, u32 nr)
{
	u32 __user *link_flags = u64_to_user_ptr(attr->query.link_attach_flags);
	u64 __user *cgroup_ids = u64_to_user_ptr(attr->query.cgroup_ids);
	u32 __user *link_ids = u64_to_user_ptr(attr->query.link_ids);
	u32 __user *map_ids = u64_to_user_ptr(attr->query.map_ids);
	u32 i;

	for (i = 0; i < nr; i++)
		if ((link_ids && put_user(entries[i].link_id, &link_ids[i])) ||
		    (link_flags && put_user(entries[i].flags, &link_flags[i])) ||
		    (map_ids && put_user(entries[i].map_id, &map_ids[i])) ||
		    (cgroup_ids && put_user(entries[i].cgroup_id, &cgroup_ids[i])))
			return -EFAULT;
	return 0;
}

/**
 * bpf_cgroup_ops_query - tell what is attached to, or effective on, a cgroup
 * @attr: of BPF_PROG_QUERY: target_fd is the cgroup, struct_ops_type_id the BTF
 *	id in vmlinux of a cgroup-attachable struct, query_flags 0 or
 *	BPF_F_QUERY_EFFECTIVE, count the room in each of the arrays that is given,
 *	start the number of policies to skip
 * @uattr: where attach_flags and revision of the cgroup and count, the number of
 *	policies there are, are written to
 *
 * Policies come in the order in which they are called. With count 0 nothing but
 * @uattr is written. Memory of the user is touched after cgroup_mutex was dropped.
 *
 * Context: process context, takes cgroup_mutex.
 *
 * Return: 0; -ENOSPC if there are more policies after those that were written;
 * -EINVAL an argument is not right, or policies of this type do not attach to
 * cgroups; -EBADF, -ENODEV and -ENOENT as for bpf_cgroup_ops_link_create();
 * -ENOMEM, -EFAULT.
 */
int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr)
{
	u32 room = attr->query.count, start = attr->query.start, nr = 0, total, flags, i;
	bool effective = attr->query.query_flags & BPF_F_QUERY_EFFECTIVE;
	const struct bpf_struct_ops_desc *desc;
	struct query_entry *entries = NULL;
	struct bpf_cgroup_ops_array *array;
	struct cgroup_subsys_state *css;
	struct bpf_cgroup_ops_node *node;
	struct bpf_cgroup_ops_link *link;
	struct cgroup *cgrp;
	struct btf *btf;
	u64 revision;
	int err;

	if (attr->query.prog_ids || attr->query.prog_attach_flags)
		return -EINVAL;
	btf = bpf_get_btf_vmlinux();
	if (IS_ERR_OR_NULL(btf))
		return -EINVAL;
	desc = bpf_struct_ops_find(btf, attr->query.struct_ops_type_id);
	if (!desc || !desc->st_ops->cgroup_type)
		return -EINVAL;

	cgrp = cgroup_get_from_target_fd(attr->query.target_fd);
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);

	cgroup_lock();
	css = target_css(desc->st_ops->cgroup_type, cgrp);
	if (IS_ERR(css)) {
		err = PTR_ERR(css);
		goto out_unlock;
	}
	node = desc->st_ops->cgroup_type->node(css);
	array = node_effective(node);
	flags = node->flags;
	revision = node->revision;
	if (effective)
		total = array ? array->cnt : 0;
	else
		total = node->nr_links;

	if (start < total)
		nr = min(room, total - start);
	if (nr) {
		entries = kvmalloc_objs(*entries, nr);
		if (!entries) {
			err = -ENOMEM;
			goto out_unlock;
		}
	}
	if (effective) {
		/* A link is off all arrays before it goes, both under cgroup_mutex. */
		for (i = 0; i < nr; i++)
			entries[i] = query_entry(array->items[start + i].link);
	} else {
		i = 0;
		list_for_each_entry(link, &node->links, node) {
			if (i >= start && i - start < nr)
				entries[i - start] = query_entry(link);
			i++;
		}
	}
	err = 0;
out_unlock:
	cgroup_unlock();
	cgroup_put(cgrp);

	if (!err && (put_user(flags, &uattr->query.attach_flags) ||
		     put_user(total, &uattr->query.count) ||
		     put_user(revision, &uattr->query.revision)))
		err = -EFAULT;
	if (!err)
		err = query_copy(attr, entries, nr);
	if (!err && room && start < total && room < total - start)
		err = -ENOSPC;
	kvfree(entries);
	return err;
}

/**
 * bpf_cgroup_ops_css_online - give a new css what it inherits
 * @type: the type of policies
 * @css: the new css
 *
 * To be called by the subsystem's css_online() when nothing else can fail any
 * more and before anything can happen to @css that a policy wants to know.
 *
 * Context: process context, under cgroup_mutex.
 *
 * Return: 0 or -ENOMEM.
 */
int bpf_cgroup_ops_css_online(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct bpf_cgroup_ops_array *array;

	INIT_LIST_HEAD(&node->links);
	node->revision = 1;

	array = array_compute(type, css, GFP_KERNEL);
	if (IS_ERR(array))
		return PTR_ERR(array);
	array_activate(type, css, array, NULL);
	return 0;
}

static void detach_all(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css,
		       struct list_head *retired)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct bpf_cgroup_ops_link *link, *next;
	LIST_HEAD(links);

	list_splice_init(&node->links, &links);
	list_for_each_entry(link, &links, node)
		WRITE_ONCE(link->css, NULL);
	node->nr_links = 0;
	node->flags = 0;
	node->revision++;

	recompute(type, css, GFP_KERNEL | __GFP_NOFAIL, retired);

	list_for_each_entry_safe(link, next, &links, node) {
		list_del_init(&link->node);
		link_drop(link);
	}
}

/**
 * bpf_cgroup_ops_css_offline - a css goes away, by rmdir or with its controller
 * @type: the type of policies
 * @css: the dying css
 *
 * Detaches what is attached to @css and ends the rule of what it inherits. When
 * this returns no new reader finds a policy on @css; the offline calls follow
 * from a work item after a grace period.
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_cgroup_ops_css_offline(const struct bpf_cgroup_ops_type *type,
				struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	LIST_HEAD(retired);

	if (node->nr_links)
		detach_all(type, css, &retired);
	array_activate(type, css, &bpf_cgroup_ops_dead, &retired);
	retire_async(&retired);
}

/**
 * bpf_cgroup_ops_css_reset - the controller of a css was switched off, but the
 *	css stays because another controller depends on it
 * @type: the type of policies
 * @css: the css that is hidden from now on
 *
 * Detaches what is attached to @css. What it inherits goes on to govern it.
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_cgroup_ops_css_reset(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css)
{
	LIST_HEAD(retired);

	if (!type->node(css)->nr_links)
		return;
	detach_all(type, css, &retired);
	retire_async(&retired);
}
