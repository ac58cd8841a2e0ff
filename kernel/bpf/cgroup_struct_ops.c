// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching struct_ops policies to cgroups.
 *
 * This file holds the links between a struct_ops map and a cgroup, the rules of
 * who may attach where, and the effective arrays. It does not know what the
 * policies do. A subsystem embeds a struct bpf_cgroup_ops_node beside its css,
 * declares a struct bpf_cgroup_ops_type, calls the four css functions below
 * from its css callbacks, and reads node->effective.
 *
 * Identity. An attachment is its link. The same map may be attached any number
 * of times, so neither a map nor its ops pointer identifies an attachment.
 *
 * Authority. Attaching needs write permission on the directory of the cgroup.
 * A link that is created with CAP_SYS_ADMIN in the initial user namespace has
 * the host's authority. Any other link is a delegate's: its items are marked,
 * and the subsystem limits what they claim by what the ancestors have.
 *
 * Locking. cgroup_mutex protects links, nodes and the replacement of effective
 * arrays. retired_mutex protects the list of retired arrays and orders online
 * and offline calls; it nests inside cgroup_mutex. A cgroup link never takes
 * the update_mutex of bpf_struct_ops.c. No grace period is waited for under
 * any of the three. The static key is switched under cgroup_mutex, as
 * cgroup-bpf does.
 *
 * Readers hold rcu_read_lock() and dereference node->effective. The fields of
 * an item that they may read do not change while the array is published.
 *
 * Who keeps what alive:
 *  - link: its file. The css side reaches links through node->links only, under
 *    cgroup_mutex. dealloc detaches the link and flushes the retired arrays
 *    before it frees the link, so neither a node nor a retired array refers to
 *    a freed link.
 *  - link->css: no reference. A css is killed before it goes offline, and
 *    killing it clears link->css.
 *  - link->map: a reference while link->css is set. The map is freed an RCU and
 *    an RCU-tasks grace period after its last reference. The link is out of
 *    every array before it drops its reference, so a reader finds the ops alive.
 *  - array: published by rcu_assign_pointer(), freed after a grace period.
 *  - array->css, item->map of a @gone item: references, from the moment the
 *    array is retired until the offline call has been made.
 *
 * Online and offline. Replacing an array compares the old one with the new one
 * by (link, ops). What is only in the new one gets its online call before the
 * array is published. What is only in the old one gets its offline call after a
 * grace period, when no reader can still be inside it on account of that css.
 * Until then the old array is on the list of retired arrays:
 *  - a system call that retires an array flushes the list after it has dropped
 *    cgroup_mutex. So does every detach, whether it found something to detach or
 *    not: when a detach returns, all offline calls of that link have been made.
 *  - the death of a css must not wait and leaves the flush to a work item.
 *
 * For one (css, link, ops) the calls alternate. A policy that comes back to a
 * css while its offline call is pending gets neither call. Attach and update
 * wait for the pending offline calls of the same ops in the same subtree,
 * whichever link they belong to. css_offline() makes the offline calls that are
 * due, so those for a css come before the online calls for its successor in the
 * same cgroup.
 *
 * Death. A css leaves this file's rules when it is killed, at the rmdir or when
 * its controller is switched off, not when it goes offline, which a task in
 * do_exit() can put off. From then on its array is &bpf_cgroup_ops_dead, it has
 * no links, and no operation looks at it: it neither blocks an attachment nor
 * is told of one.
 *
 * Failure. All arrays of an operation are allocated before the first one is
 * published. Attach and update fail as a whole; detach cannot fail. What attach,
 * update and mkdir allocate is accounted. Detach replaces accounted arrays with
 * smaller ones that are not: a charge that fails must not stop it, and must not
 * start an OOM kill.
 */

#include <linux/bpf.h>
#include <linux/bpf_cgroup_struct_ops.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "../cgroup/cgroup-internal.h"

/*
 * Policies that can be effective on one css, counted over the whole branch. An
 * array of that many still fits into a page. A delegate may use half of the
 * places, so that it cannot keep the host from attaching above it.
 */
#define BPF_CGROUP_OPS_MAX		64
#define BPF_CGROUP_OPS_MAX_DELEGATE	(BPF_CGROUP_OPS_MAX / 2)

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
 * @serial: grows with each attachment; the order of links of one css
 * @flags: the attach flags
 * @level: the depth of @css in the hierarchy
 * @nr_pending: offline calls that are still to be made for this link. Under
 *	retired_mutex.
 * @delegate: attached without CAP_SYS_ADMIN in the initial user namespace, or
 *	updated without it since
 * @wait_hup: woken with EPOLLHUP when the link is detached
 *
 * All but @link, @type, @nr_pending and @wait_hup change under cgroup_mutex.
 */
struct bpf_cgroup_ops_link {
	struct bpf_link				link;
	struct list_head			node;
	const struct bpf_cgroup_ops_type	*type;
	struct cgroup_subsys_state		*css;
	struct bpf_map				*map;
	void					*ops;
	u64					cgroup_id;
	u64					serial;
	u32					flags;
	u32					level;
	u32					nr_pending;
	bool					delegate;
	wait_queue_head_t			wait_hup;
};

/*
 * The effective array of a css that was killed. Readers tell it from "alive,
 * and no policy" and may turn to the parent instead.
 */
struct bpf_cgroup_ops_array bpf_cgroup_ops_dead;

/* Retired arrays with offline calls to make, oldest first. Under retired_mutex. */
static LIST_HEAD(retired);
static DEFINE_MUTEX(retired_mutex);

static void flush_retired_work_fn(struct work_struct *work);
static DECLARE_WORK(flush_retired_work, flush_retired_work_fn);

/* Both only grow, for all cgroups together. Under cgroup_mutex. */
static u64 last_revision, last_serial;

static struct bpf_cgroup_ops_array *node_effective(struct bpf_cgroup_ops_node *node)
{
	return rcu_dereference_protected(node->effective, lockdep_is_held(&cgroup_mutex));
}

static bool is_killed(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css)
{
	return node_effective(type->node(css)) == &bpf_cgroup_ops_dead;
}

/* A caller that changes the links of a node gives it a revision it never had. */
static void change_revision(struct bpf_cgroup_ops_node *node)
{
	node->revision = ++last_revision;
}

static bool has_host_authority(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
}

/*
 * Allocate the array of what is effective on @css now. Returns NULL if nothing
 * is, -E2BIG if more than @max policies are, -ENOMEM.
 */
static struct bpf_cgroup_ops_array *
compute_effective_array(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css,
			u32 max, gfp_t gfp)
{
	struct bpf_cgroup_ops_array *array;
	struct cgroup_subsys_state *pos;
	struct bpf_cgroup_ops_node *node;
	struct bpf_cgroup_ops_link *link;
	u32 cnt = 0, i;

	BUILD_BUG_ON(struct_size_t(struct bpf_cgroup_ops_array, items, BPF_CGROUP_OPS_MAX) >
		     PAGE_SIZE);

	/* An ancestor counts if it allows others beside it, or if it is the first. */
	for (pos = css; pos; pos = pos->parent) {
		node = type->node(pos);
		if (!cnt || (node->flags & BPF_F_ALLOW_MULTI))
			cnt += node->nr_links;
	}
	if (!cnt)
		return NULL;
	if (cnt > max)
		return ERR_PTR(-E2BIG);

	array = kzalloc(struct_size(array, items, cnt), gfp);
	if (!array)
		return ERR_PTR(-ENOMEM);
	array->cnt = cnt;
	array->type = type;
	array->css = css;

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
				.delegate = link->delegate,
			};
	}
	return array;
}

/* An offline call is not to be made any more: because it was, or was cancelled. */
static void forget_gone(struct bpf_cgroup_ops_item *item)
{
	item->gone = false;
	item->link->nr_pending--;
	bpf_map_put(item->map);
}

/* Make the offline calls of the retired arrays whose grace period is over. */
static void reap_retired(void)
{
	struct bpf_cgroup_ops_array *array, *next;
	u32 i;

	mutex_lock(&retired_mutex);
	list_for_each_entry_safe(array, next, &retired, list) {
		if (!poll_state_synchronize_rcu_full(&array->gp))
			break;
		list_del(&array->list);
		for (i = 0; i < array->cnt; i++) {
			if (!array->items[i].gone)
				continue;
			array->type->offline(array->css, array->items[i].ops);
			forget_gone(&array->items[i]);
		}
		css_put(array->css);
		kfree(array);
		cond_resched();
	}
	mutex_unlock(&retired_mutex);
}

/* Wait until the offline calls of all arrays retired so far have been made. */
static void flush_retired(void)
{
	struct rcu_gp_seq gp;
	bool empty;

	mutex_lock(&retired_mutex);
	empty = list_empty(&retired);
	if (!empty)
		gp = list_last_entry(&retired, struct bpf_cgroup_ops_array, list)->gp;
	mutex_unlock(&retired_mutex);

	if (empty)
		return;
	cond_synchronize_rcu_full(&gp);
	reap_retired();
}

static void flush_retired_work_fn(struct work_struct *work)
{
	flush_retired();
}

/*
 * Is an offline call of @ops pending for a css of @cgrp or of a descendant that is
 * still there, whatever link it belongs to?
 */
static bool offline_pending(struct cgroup *cgrp, const void *ops)
{
	struct bpf_cgroup_ops_array *array;
	bool pending = false;
	u32 i;

	mutex_lock(&retired_mutex);
	list_for_each_entry(array, &retired, list) {
		if (is_killed(array->type, array->css) ||
		    !cgroup_is_descendant(array->css->cgroup, cgrp))
			continue;
		for (i = 0; i < array->cnt && !pending; i++)
			pending = array->items[i].gone && array->items[i].ops == ops;
		if (pending)
			break;
	}
	mutex_unlock(&retired_mutex);
	return pending;
}

/*
 * Take back the pending offline call of a policy that returns to @css. Returns
 * false if there is none. Arrays are retired in the order of the walk that finds
 * them here, so the search ends early.
 */
static bool cancel_offline(struct cgroup_subsys_state *css,
			   const struct bpf_cgroup_ops_item *item)
{
	struct bpf_cgroup_ops_array *array;
	struct bpf_cgroup_ops_item *gone;

	lockdep_assert_held(&retired_mutex);

	if (!item->link->nr_pending)
		return false;
	list_for_each_entry(array, &retired, list) {
		if (array->css != css)
			continue;
		for (gone = array->items; gone < array->items + array->cnt; gone++) {
			if (!gone->gone || gone->link != item->link || gone->ops != item->ops)
				continue;
			forget_gone(gone);
			return true;
		}
	}
	return false;
}

/* The order of items in an array: from the root down, then by age. */
static bool item_before(const struct bpf_cgroup_ops_item *a, const struct bpf_cgroup_ops_item *b)
{
	if (a->link->level != b->link->level)
		return a->link->level < b->link->level;
	return a->link->serial < b->link->serial;
}

/*
 * Replace the effective array of @css by @new. Returns true if that left offline
 * calls to make.
 */
static bool activate_effective_array(const struct bpf_cgroup_ops_type *type,
				     struct cgroup_subsys_state *css,
				     struct bpf_cgroup_ops_array *new)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct bpf_cgroup_ops_array *old = node_effective(node);
	u32 nr_old = old ? old->cnt : 0, nr_new = new ? new->cnt : 0;
	struct bpf_cgroup_ops_item *was, *is;
	u32 i = 0, j = 0, nr_gone = 0;

	lockdep_assert_held(&retired_mutex);

	/* Both are in the same order, so one pass finds what is in one of them only. */
	while (i < nr_old || j < nr_new) {
		was = i < nr_old ? &old->items[i] : NULL;
		is = j < nr_new ? &new->items[j] : NULL;
		if (was && is && was->link == is->link && was->ops == is->ops) {
			i++;
			j++;
		} else if (was && (!is || !item_before(is, was))) {
			bpf_map_inc(was->map);
			was->link->nr_pending++;
			was->gone = true;
			nr_gone++;
			i++;
		} else {
			if (!cancel_offline(css, is))
				type->online(css, is->ops);
			j++;
		}
	}

	rcu_assign_pointer(node->effective, new);
	if (!old)
		return false;
	if (!nr_gone) {
		kfree_rcu(old, rcu);
		return false;
	}
	css_get(css);
	old->css = css;
	get_state_synchronize_rcu_full(&old->gp);
	list_add_tail(&old->list, &retired);
	return true;
}

/*
 * Bring the effective arrays of @root and its descendants up to date with what
 * is attached now. Fails, changing nothing, with -E2BIG if more than @max
 * policies would be effective on one css, and with -ENOMEM if @gfp allows that.
 * Sets @retire if there are offline calls to make.
 */
static int update_effective_arrays(const struct bpf_cgroup_ops_type *type,
				   struct cgroup_subsys_state *root, u32 max, gfp_t gfp,
				   bool *retire)
{
	struct bpf_cgroup_ops_array *array, *next;
	struct cgroup_subsys_state *css;
	LIST_HEAD(computed);
	int err = 0;

	css_for_each_descendant_pre(css, root) {
		cond_resched();
		if (is_killed(type, css))
			continue;
		array = compute_effective_array(type, css, max, gfp);
		if (IS_ERR(array)) {
			err = PTR_ERR(array);
			goto out_free;
		}
		if (array)
			list_add_tail(&array->list, &computed);
	}

	mutex_lock(&retired_mutex);
	css_for_each_descendant_pre(css, root) {
		cond_resched();
		if (is_killed(type, css))
			continue;
		/* The same walk again: a css without an array of its own gets NULL. */
		array = list_first_entry_or_null(&computed, struct bpf_cgroup_ops_array, list);
		if (array && array->css == css)
			list_del(&array->list);
		else
			array = NULL;
		*retire |= activate_effective_array(type, css, array);
	}
	mutex_unlock(&retired_mutex);

out_free:
	list_for_each_entry_safe(array, next, &computed, list)
		kfree(array);
	return err;
}

/* Check attach @flags against the hierarchy. */
static bool hierarchy_allows_attach(const struct bpf_cgroup_ops_type *type,
				    struct cgroup_subsys_state *css, u32 flags)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	struct cgroup_subsys_state *pos;

	if (node->nr_links && (!(node->flags & BPF_F_ALLOW_MULTI) || node->flags != flags))
		return false;

	/* The nearest ancestor that has a policy decides. */
	for (pos = css->parent; pos; pos = pos->parent) {
		node = type->node(pos);
		if (node->nr_links) {
			if (!node->flags)
				return false;
			break;
		}
	}

	/* Without a flag no descendant may have a policy, not even an earlier one. */
	if (!flags) {
		css_for_each_descendant_pre(pos, css)
			if (pos != css && type->node(pos)->nr_links)
				return false;
	}
	return true;
}

static void add_link(struct bpf_cgroup_ops_link *link, struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = link->type->node(css);

	list_add_tail(&link->node, &node->links);
	node->nr_links++;
	node->flags = link->flags & BPF_CGROUP_OPS_MODES;
	link->serial = ++last_serial;
	link->level = css->cgroup->level;
	link->cgroup_id = cgroup_id(css->cgroup);
	/* poll() looks without the lock. */
	WRITE_ONCE(link->css, css);
	static_branch_inc(link->type->enabled);
}

static void del_link(struct bpf_cgroup_ops_link *link)
{
	struct bpf_cgroup_ops_node *node = link->type->node(link->css);

	list_del_init(&link->node);
	if (!--node->nr_links)
		node->flags = 0;
	WRITE_ONCE(link->css, NULL);
}

/* The last step of a detach, when no array refers to @link any more. */
static void release_link(struct bpf_cgroup_ops_link *link)
{
	static_branch_dec(link->type->enabled);
	bpf_map_put(link->map);
	link->map = NULL;
	link->ops = NULL;
	wake_up_interruptible_poll(&link->wait_hup, EPOLLHUP);
}

static struct cgroup *cgroup_get_from_dir(struct file *file)
{
	struct cgroup_subsys_state *css = css_tryget_online_from_dir(file->f_path.dentry, NULL);

	if (IS_ERR(css)) /* -ENOENT: the directory is still open, but the cgroup is gone. */
		return ERR_PTR(PTR_ERR(css) == -ENOENT ? -ENODEV : PTR_ERR(css));
	if (!cgroup_on_dfl(css->cgroup)) {
		css_put(css);
		return ERR_PTR(-EBADF);
	}
	return css->cgroup;
}

/*
 * Get the cgroup to attach to. The caller must be permitted to write to its
 * directory, as it must be to create a cgroup there; having got hold of a file
 * descriptor, say with O_PATH, says nothing about that.
 */
static struct cgroup *get_target_cgroup(int fd)
{
	struct cgroup *cgrp;
	int err;

	CLASS(fd, f)(fd);
	if (fd_empty(f))
		return ERR_PTR(-EBADF);
	cgrp = cgroup_get_from_dir(fd_file(f));
	if (IS_ERR(cgrp))
		return cgrp;

	err = file_permission(fd_file(f), MAY_WRITE);
	if (!err && __mnt_is_readonly(fd_file(f)->f_path.mnt))
		err = -EROFS;
	if (err) {
		cgroup_put(cgrp);
		return ERR_PTR(err);
	}
	return cgrp;
}

/* Is the controller on in exactly this cgroup, as its users see it? */
static bool controller_enabled(const struct bpf_cgroup_ops_type *type, struct cgroup *cgrp)
{
	struct cgroup *parent = cgroup_parent(cgrp);
	u32 enabled = parent ? parent->subtree_control : cgrp_dfl_root.subsys_mask;

	return enabled & BIT(type->ss_id);
}

/* The css of @cgrp itself, or NULL. It can outlast its controller behind another one. */
static struct cgroup_subsys_state *own_css(const struct bpf_cgroup_ops_type *type,
					   struct cgroup *cgrp)
{
	return rcu_dereference_protected(cgrp->subsys[type->ss_id],
					 lockdep_is_held(&cgroup_mutex));
}

/*
 * Find the css of exactly @cgrp. The css of an ancestor that
 * cgroup_e_css() would give in its place governs all of the siblings, too.
 */
static struct cgroup_subsys_state *target_css(const struct bpf_cgroup_ops_type *type,
					      struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css = own_css(type, cgrp);

	if (cgroup_is_dead(cgrp))
		return ERR_PTR(-ENODEV);
	if (!css || !controller_enabled(type, cgrp))
		return ERR_PTR(-ENOENT);
	/* Switched off and on again in a moment: the new css is not there yet. */
	if (is_killed(type, css))
		return ERR_PTR(-ENODEV);
	return css;
}

static int attach_link(struct bpf_cgroup_ops_link *link, struct cgroup *cgrp, u64 revision,
		       bool *retire)
{
	u32 max = link->delegate ? BPF_CGROUP_OPS_MAX_DELEGATE : BPF_CGROUP_OPS_MAX;
	struct cgroup_subsys_state *css;
	int err;

	css = target_css(link->type, cgrp);
	if (IS_ERR(css))
		return PTR_ERR(css);
	if (revision && revision != link->type->node(css)->revision)
		return -ESTALE;
	if (!hierarchy_allows_attach(link->type, css, link->flags & BPF_CGROUP_OPS_MODES))
		return -EBUSY;

	bpf_map_inc(link->map);
	add_link(link, css);
	err = update_effective_arrays(link->type, css, max, GFP_KERNEL_ACCOUNT, retire);
	if (err) {
		del_link(link);
		release_link(link);
		return err;
	}
	change_revision(link->type->node(css));
	return 0;
}

/*
 * Take cgroup_mutex for an operation on @link, attached or about to be attached to
 * @cgrp, that makes online calls of @ops: not before the pending offline calls of
 * @ops there, which are made without that lock.
 */
static void lock_for_online(const struct bpf_cgroup_ops_link *link, struct cgroup *cgrp,
			    const void *ops)
{
	for (;;) {
		cgroup_lock();
		if (link->css)
			cgrp = link->css->cgroup;
		if (!cgrp || !offline_pending(cgrp, ops))
			return;
		cgroup_unlock();
		flush_retired();
	}
}

static int bpf_cgroup_ops_link_detach(struct bpf_link *l)
{
	struct bpf_cgroup_ops_link *link = container_of(l, struct bpf_cgroup_ops_link, link);
	struct cgroup_subsys_state *css;
	bool retire = false;

	cgroup_lock();
	css = link->css;
	if (css) {
		del_link(link);
		change_revision(link->type->node(css));
		update_effective_arrays(link->type, css, BPF_CGROUP_OPS_MAX,
					GFP_KERNEL | __GFP_NOFAIL, &retire);
		release_link(link);
	}
	cgroup_unlock();

	/* Also when another caller detached it, or its cgroup went: those calls are ours. */
	flush_retired();
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
	bool old_delegate, retire = false;
	struct bpf_map *old_map;
	int err = 0;

	st_ops = bpf_struct_ops_of_map(new_map, &new_ops);
	if (!st_ops || st_ops->cgroup_type != link->type)
		return -EINVAL;

	lock_for_online(link, NULL, new_ops);
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
	old_delegate = link->delegate;
	if (expected_old_map && expected_old_map != old_map) {
		err = -EPERM;
		goto out;
	}
	if (new_map == old_map)
		goto out;

	bpf_map_inc(new_map);
	link->map = new_map;
	link->ops = new_ops;
	/* The host did not choose this policy. */
	if (!has_host_authority())
		link->delegate = true;
	err = update_effective_arrays(link->type, link->css, BPF_CGROUP_OPS_MAX,
				      GFP_KERNEL_ACCOUNT, &retire);
	if (err) {
		link->map = old_map;
		link->ops = old_ops;
		link->delegate = old_delegate;
		bpf_map_put(new_map);
		goto out;
	}
	change_revision(node);
	bpf_map_put(old_map);
out:
	cgroup_unlock();

	if (retire)
		flush_retired();
	return err;
}

/* The attach flags that users are told, with the authority among them. */
static u32 reported_flags(const struct bpf_cgroup_ops_link *link)
{
	return link->flags | (link->delegate ? BPF_F_CGROUP_DELEGATE : 0);
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
	seq_printf(seq, "attach_flags:\t%#x\n", reported_flags(link));
	seq_printf(seq, "authority:\t%s\n", link->delegate ? "delegate" : "host");
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
	info->struct_ops.attach_flags = reported_flags(link);
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
 * @type: that type
 * @ops: the policy in @map
 * @attr: of BPF_LINK_CREATE: target_fd is the cgroup, flags has BPF_F_CGROUP_FD
 *	and at most one of BPF_F_ALLOW_OVERRIDE and BPF_F_ALLOW_MULTI
 *
 * The attach rules are those of __cgroup_bpf_attach(), with one more: a policy
 * without a flag cannot be attached above an existing one.
 *
 * Context: process context, takes cgroup_mutex. Waits for a grace period if
 * offline calls are to be made, or if some of the same policy are pending there.
 *
 * Return: the fd of the new link, which holds a reference to @map of its own;
 * -EINVAL flags are not right, -EBADF target_fd is not a cgroup v2 directory or
 * was opened with O_PATH, -EACCES no write permission on the directory, -EROFS
 * it is mounted read-only there, -ENODEV the cgroup is being removed, -ENOENT
 * the controller is not enabled in exactly this cgroup, -EBUSY another policy
 * here, above or below does not permit it, -E2BIG too many policies would be
 * effective here or in a descendant, -ESTALE expected_revision is not the current
 * one, -ENOMEM.
 */
int bpf_cgroup_ops_link_create(struct bpf_map *map, const struct bpf_cgroup_ops_type *type,
			       void *ops, const union bpf_attr *attr)
{
	u32 flags = attr->link_create.flags;
	struct bpf_cgroup_ops_link *link;
	struct bpf_link_primer primer;
	struct cgroup *cgrp;
	bool retire = false;
	int err;

	if (!(flags & BPF_F_CGROUP_FD) || flags & ~(BPF_F_CGROUP_FD | BPF_CGROUP_OPS_MODES) ||
	    (flags & BPF_CGROUP_OPS_MODES) == BPF_CGROUP_OPS_MODES ||
	    attr->link_create.cgroup.relative_fd)
		return -EINVAL;

	cgrp = get_target_cgroup(attr->link_create.target_fd);
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);

	link = kzalloc_obj(*link, GFP_KERNEL_ACCOUNT);
	if (!link) {
		err = -ENOMEM;
		goto out_put;
	}
	bpf_link_init(&link->link, BPF_LINK_TYPE_STRUCT_OPS, &bpf_cgroup_ops_link_lops, NULL,
		      attr->link_create.attach_type);
	INIT_LIST_HEAD(&link->node);
	init_waitqueue_head(&link->wait_hup);
	link->type = type;
	link->map = map;
	link->ops = ops;
	link->flags = flags;
	link->delegate = !has_host_authority();

	/* Everything that can fail comes before the link is visible to anyone. */
	err = bpf_link_prime(&link->link, &primer);
	if (err) {
		kfree(link);
		goto out_put;
	}

	lock_for_online(link, cgrp, ops);
	err = attach_link(link, cgrp, attr->link_create.cgroup.expected_revision, &retire);
	cgroup_unlock();
	if (retire)
		flush_retired();

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

/* The answer to a query. */
struct query_answer {
	struct query_entry *entries;
	u32 nr;		/* of @entries */
	u32 total;	/* policies there are */
	u32 flags;
	u64 revision;
};

static struct query_entry query_entry(const struct bpf_cgroup_ops_link *link)
{
	return (struct query_entry) {
		.cgroup_id = link->cgroup_id,
		/* 0 until the system call that creates the link has finished. */
		.link_id = READ_ONCE(link->link.id),
		.map_id = link->map->id,
		.flags = reported_flags(link) & ~BPF_F_CGROUP_FD,
	};
}

/*
 * Find the css that governs @cgrp: its own, or that of the nearest ancestor that
 * has one. NULL if the controller is not in this hierarchy.
 */
static struct cgroup_subsys_state *governing_css(const struct bpf_cgroup_ops_type *type,
						 struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css;

	for (; cgrp; cgrp = cgroup_parent(cgrp)) {
		css = own_css(type, cgrp);
		if (css && !is_killed(type, css))
			return cgroup_parent(cgrp) || controller_enabled(type, cgrp) ? css : NULL;
	}
	return NULL;
}

/* The last change to anything that can be effective on @css. */
static u64 branch_revision(const struct bpf_cgroup_ops_type *type, struct cgroup_subsys_state *css)
{
	u64 revision = 0;

	for (; css; css = css->parent)
		revision = max(revision, type->node(css)->revision);
	return revision;
}

/* Collect the answer: at most @room policies after the first @start. */
static int collect_policies(const struct bpf_cgroup_ops_type *type, struct cgroup *cgrp,
			    bool effective, u32 start, u32 room, struct query_answer *answer)
{
	struct bpf_cgroup_ops_array *array = NULL;
	struct cgroup_subsys_state *css, *own;
	struct bpf_cgroup_ops_link *link;
	u32 i = 0;

	lockdep_assert_held(&cgroup_mutex);

	if (cgroup_is_dead(cgrp))
		return -ENODEV;
	css = governing_css(type, cgrp);
	if (!css)
		return -ENOENT;
	own = css->cgroup == cgrp ? css : NULL;

	answer->flags = own ? type->node(own)->flags : 0;
	if (effective) {
		array = node_effective(type->node(css));
		answer->total = array ? array->cnt : 0;
	} else {
		answer->total = own ? type->node(own)->nr_links : 0;
	}
	answer->revision = own && !effective ? type->node(own)->revision :
					       branch_revision(type, css);

	if (start < answer->total)
		answer->nr = min(room, answer->total - start);
	if (!answer->nr)
		return 0;
	answer->entries = kvmalloc_objs(*answer->entries, answer->nr);
	if (!answer->entries)
		return -ENOMEM;

	if (effective) {
		/* A link is off all arrays before it goes, both under cgroup_mutex. */
		for (i = 0; i < answer->nr; i++)
			answer->entries[i] = query_entry(array->items[start + i].link);
		return 0;
	}
	list_for_each_entry(link, &type->node(own)->links, node) {
		if (i >= start && i - start < answer->nr)
			answer->entries[i - start] = query_entry(link);
		i++;
	}
	return 0;
}

/* Copy the answer to the user. No locks held: user memory may take its time. */
static int copy_policies(const struct query_answer *answer, const union bpf_attr *attr,
			 union bpf_attr __user *uattr)
{
	u32 __user *link_flags = u64_to_user_ptr(attr->query.link_attach_flags);
	u64 __user *cgroup_ids = u64_to_user_ptr(attr->query.cgroup_ids);
	u32 __user *link_ids = u64_to_user_ptr(attr->query.link_ids);
	u32 __user *map_ids = u64_to_user_ptr(attr->query.map_ids);
	const struct query_entry *entry = answer->entries;
	u32 i;

	if (put_user(answer->flags, &uattr->query.attach_flags) ||
	    put_user(answer->total, &uattr->query.count) ||
	    put_user(answer->revision, &uattr->query.revision))
		return -EFAULT;
	for (i = 0; i < answer->nr; i++, entry++)
		if ((link_ids && put_user(entry->link_id, &link_ids[i])) ||
		    (link_flags && put_user(entry->flags, &link_flags[i])) ||
		    (map_ids && put_user(entry->map_id, &map_ids[i])) ||
		    (cgroup_ids && put_user(entry->cgroup_id, &cgroup_ids[i])))
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
 * A cgroup in which the controller is not enabled has no policy attached. Those
 * of the nearest ancestor in which it is are effective on it.
 *
 * With BPF_F_QUERY_EFFECTIVE the revision is that of the last change in the
 * cgroup or an ancestor. It tells whether two parts of a long answer belong
 * together, and is no expected_revision.
 *
 * Like a query for cgroup-bpf programs it needs CAP_NET_ADMIN or CAP_SYS_ADMIN in
 * the initial user namespace, which the caller has checked: it names links, maps
 * and cgroups of other users, by ids that are not local to a namespace.
 *
 * Context: process context, takes cgroup_mutex.
 *
 * Return: 0; -ENOSPC if there are more policies after those that were written;
 * -EINVAL an argument is not right, or policies of this type do not attach to
 * cgroups; -EBADF target_fd is not a cgroup v2 directory; -ENODEV the cgroup is
 * being removed; -ENOENT the controller is not in the cgroup v2 hierarchy;
 * -ENOMEM, -EFAULT.
 */
int bpf_cgroup_ops_query(const union bpf_attr *attr, union bpf_attr __user *uattr)
{
	bool effective = attr->query.query_flags & BPF_F_QUERY_EFFECTIVE;
	u32 room = attr->query.count, start = attr->query.start;
	const struct bpf_struct_ops_desc *desc;
	struct query_answer answer = {};
	struct cgroup *cgrp;
	struct btf *btf;
	int err;

	if (attr->query.prog_ids || attr->query.prog_attach_flags)
		return -EINVAL;
	btf = bpf_get_btf_vmlinux();
	if (IS_ERR_OR_NULL(btf))
		return -EINVAL;
	desc = bpf_struct_ops_find(btf, attr->query.struct_ops_type_id);
	if (!desc || !desc->st_ops->cgroup_type)
		return -EINVAL;

	CLASS(fd_raw, f)(attr->query.target_fd);
	if (fd_empty(f))
		return -EBADF;
	cgrp = cgroup_get_from_dir(fd_file(f));
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);

	cgroup_lock();
	err = collect_policies(desc->st_ops->cgroup_type, cgrp, effective, start, room, &answer);
	cgroup_unlock();
	cgroup_put(cgrp);

	if (!err)
		err = copy_policies(&answer, attr, uattr);
	if (!err && room && start < answer.total && room < answer.total - start)
		err = -ENOSPC;
	kvfree(answer.entries);
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
	change_revision(node);

	/* As many as for the parent. */
	array = compute_effective_array(type, css, BPF_CGROUP_OPS_MAX, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(array))
		return PTR_ERR(array);
	mutex_lock(&retired_mutex);
	activate_effective_array(type, css, array);
	mutex_unlock(&retired_mutex);
	return 0;
}

static void del_all_links(struct bpf_cgroup_ops_node *node, struct list_head *links)
{
	struct bpf_cgroup_ops_link *link, *next;

	list_for_each_entry_safe(link, next, &node->links, node) {
		del_link(link);
		list_add_tail(&link->node, links);
	}
	change_revision(node);
}

static void release_links(struct list_head *links)
{
	struct bpf_cgroup_ops_link *link, *next;

	list_for_each_entry_safe(link, next, links, node) {
		list_del_init(&link->node);
		release_link(link);
	}
}

/**
 * bpf_cgroup_ops_css_killed - a css is about to go, by rmdir or with its controller
 * @type: the type of policies
 * @css: the css, which has no living descendants
 *
 * Detaches what is attached to @css and ends the rule of what it inherits. When
 * this returns no new reader finds a policy on @css, and no operation on the
 * hierarchy looks at it. The offline calls follow after a grace period.
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_cgroup_ops_css_killed(const struct bpf_cgroup_ops_type *type,
			       struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	LIST_HEAD(links);
	bool retire;

	if (is_killed(type, css))
		return;

	del_all_links(node, &links);

	mutex_lock(&retired_mutex);
	retire = activate_effective_array(type, css, &bpf_cgroup_ops_dead);
	mutex_unlock(&retired_mutex);

	release_links(&links);
	if (retire)
		queue_work(system_dfl_wq, &flush_retired_work);
}

/**
 * bpf_cgroup_ops_css_offline - a css goes offline
 * @type: the type of policies
 * @css: the dying css
 *
 * Makes the offline calls for @css, a grace period after it was killed. So they
 * come before the online calls for a css that takes its place in the cgroup.
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_cgroup_ops_css_offline(const struct bpf_cgroup_ops_type *type,
				struct cgroup_subsys_state *css)
{
	bpf_cgroup_ops_css_killed(type, css);
	reap_retired();
}

/**
 * bpf_cgroup_ops_css_reset - the controller of a css was switched off, but the
 *	css stays because another controller depends on it
 * @type: the type of policies
 * @css: the css that is hidden from now on
 *
 * Detaches what is attached to @css. What it inherits goes on to govern it. Also
 * for the root css when its controller leaves the cgroup v2 hierarchy.
 *
 * Context: process context, under cgroup_mutex.
 */
void bpf_cgroup_ops_css_reset(const struct bpf_cgroup_ops_type *type,
			      struct cgroup_subsys_state *css)
{
	struct bpf_cgroup_ops_node *node = type->node(css);
	bool retire = false;
	LIST_HEAD(links);

	if (!node->nr_links)
		return;

	del_all_links(node, &links);
	update_effective_arrays(type, css, BPF_CGROUP_OPS_MAX, GFP_KERNEL | __GFP_NOFAIL, &retire);
	release_links(&links);
	queue_work(system_dfl_wq, &flush_retired_work);
}
