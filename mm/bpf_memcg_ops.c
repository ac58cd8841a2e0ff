// SPDX-License-Identifier: GPL-2.0
/*
 * memcg_bpf_ops: the memory controller's struct_ops type, its adapter to the BPF
 * core and to the attachment of struct_ops to cgroups.
 *
 * A policy is attached to a memcg, that is to a cgroup in which the memory
 * controller is enabled, through bpf_cgroup_ops_link_create() and in no other
 * way. The struct mem_cgroup embeds the node that its attachments hang on and
 * whose effective array mm/bpf_memcg_core.c and the files that use it read.
 *
 * css_online() gives a new memcg what it inherits when nothing can charge it
 * yet. css_killed() takes everything away when the cgroup or its memory
 * controller is removed, before the memcg comes apart.
 */

#include <linux/bpf.h>
#include <linux/bpf_memcg.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/page_counter.h>

#include "bpf_memcg_internal.h"

DEFINE_STATIC_KEY_FALSE(bpf_memcg_key);

static struct bpf_cgroup_ops_node *memcg_node(struct cgroup_subsys_state *css)
{
	return &mem_cgroup_from_css(css)->bpf_ops;
}

static void memcg_online(struct cgroup_subsys_state *css, void *ops)
{
	bpf_memcg_call_online(mem_cgroup_from_css(css), ops);
}

static void memcg_offline(struct cgroup_subsys_state *css, void *ops)
{
	struct mem_cgroup *memcg = mem_cgroup_from_css(css);

	/* What the policy answered about protection ends with its rule. */
	page_counter_override(&memcg->memory, PAGE_COUNTER_AS_SET, PAGE_COUNTER_AS_SET);
	bpf_memcg_call_offline(memcg, ops);
}

static const struct bpf_cgroup_ops_type memcg_bpf_ops_type = {
	.ss_id		= memory_cgrp_id,
	.enabled	= &bpf_memcg_key,
	.node		= memcg_node,
	.online		= memcg_online,
	.offline	= memcg_offline,
};

/**
 * bpf_memcg_css_online - a memcg comes to life
 * @memcg: the memcg
 *
 * Context: mem_cgroup_css_online(), under cgroup_mutex.
 *
 * Return: 0 or -ENOMEM.
 */
int bpf_memcg_css_online(struct mem_cgroup *memcg)
{
	return bpf_cgroup_ops_css_online(&memcg_bpf_ops_type, &memcg->css);
}

/**
 * bpf_memcg_css_killed - a memcg is about to go
 * @memcg: the memcg
 *
 * Context: mem_cgroup_css_killed(), under cgroup_mutex.
 */
void bpf_memcg_css_killed(struct mem_cgroup *memcg)
{
	bpf_cgroup_ops_css_killed(&memcg_bpf_ops_type, &memcg->css);
}

/**
 * bpf_memcg_css_offline - a memcg goes offline
 * @memcg: the memcg
 *
 * Context: mem_cgroup_css_offline(), under cgroup_mutex.
 */
void bpf_memcg_css_offline(struct mem_cgroup *memcg)
{
	bpf_cgroup_ops_css_offline(&memcg_bpf_ops_type, &memcg->css);
}

/**
 * bpf_memcg_css_reset - the memory controller is switched off, the memcg stays
 * @memcg: the memcg
 *
 * Also for the root memcg, before the controller goes to cgroup v1: policies do not
 * go with it.
 *
 * Context: mem_cgroup_css_reset(), under cgroup_mutex.
 */
void bpf_memcg_css_reset(struct mem_cgroup *memcg)
{
	bpf_cgroup_ops_css_reset(&memcg_bpf_ops_type, &memcg->css);
}

/* What a program sees of the members, and what an absent member would do. */

static void cfi_handle_cgroup_online(struct mem_cgroup *memcg)
{
}

static void cfi_handle_cgroup_offline(struct mem_cgroup *memcg)
{
}

static unsigned int cfi_memcg_charged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return 0;
}

static void cfi_memcg_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
}

static int cfi_below_low(struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	return BPF_MEMCG_DEFAULT;
}

static int cfi_below_min(struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	return BPF_MEMCG_DEFAULT;
}

static unsigned int cfi_charge_over_limit(struct mem_cgroup *memcg, struct mem_cgroup *over_limit,
					  gfp_t gfp, unsigned int nr_pages)
{
	return 0;
}

static struct memcg_bpf_ops cfi_memcg_bpf_ops = {
	.handle_cgroup_online	= cfi_handle_cgroup_online,
	.handle_cgroup_offline	= cfi_handle_cgroup_offline,
	.memcg_charged		= cfi_memcg_charged,
	.memcg_uncharged	= cfi_memcg_uncharged,
	.below_low		= cfi_below_low,
	.below_min		= cfi_below_min,
	.charge_over_limit	= cfi_charge_over_limit,
};

static const struct bpf_verifier_ops memcg_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int memcg_ops_init(struct btf *btf)
{
	return 0;
}

static int memcg_ops_check_member(const struct btf_type *t, const struct btf_member *member,
				  const struct bpf_prog *prog)
{
	/* Charges come from interrupts, and readers are waited for with RCU only. */
	return prog->sleepable ? -EINVAL : 0;
}

static int memcg_ops_init_member(const struct btf_type *t, const struct btf_member *member,
				 void *kdata, const void *udata)
{
	return 0;
}

/* Only reached without a cgroup: attaching to one does not come by here. */
static int memcg_ops_reg(void *kdata, struct bpf_link *link)
{
	return link ? -EINVAL : -EOPNOTSUPP;
}

static void memcg_ops_unreg(void *kdata, struct bpf_link *link)
{
}

static struct bpf_struct_ops memcg_struct_ops = {
	.verifier_ops	= &memcg_verifier_ops,
	.init		= memcg_ops_init,
	.check_member	= memcg_ops_check_member,
	.init_member	= memcg_ops_init_member,
	.reg		= memcg_ops_reg,
	.unreg		= memcg_ops_unreg,
	.cgroup_type	= &memcg_bpf_ops_type,
	.cfi_stubs	= &cfi_memcg_bpf_ops,
	.name		= "memcg_bpf_ops",
	.owner		= THIS_MODULE,
};

static int __init memcg_bpf_ops_init(void)
{
	/* Programs name their answers by it. */
	BTF_TYPE_EMIT_ENUM(BPF_MEMCG_DEFAULT);
	return register_bpf_struct_ops(&memcg_struct_ops, memcg_bpf_ops);
}
late_initcall(memcg_bpf_ops_init);
