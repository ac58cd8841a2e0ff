// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The struct_ops that are attached to, or effective on, a cgroup: what
 * "bpftool cgroup show" and "bpftool cgroup tree" list after the programs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "cgroup_struct_ops.h"
#include "main.h"

/* A type of struct_ops; id is 0 if the kernel attaches none of it to cgroups */
struct ops_type {
	const char *name;
	__u32 id;
	__u32 value_id;
};

/* A struct_ops map as it is attached to a cgroup */
struct policy {
	const struct ops_type *type;
	__u32 link_id;
	__u32 map_id;
	__u32 attach_flags;
	__u64 cgroup_id;
};

static const struct btf *vmlinux;
static struct ops_type *ops_types;
static unsigned int nr_ops_types;

void policies_init(const struct btf *btf_vmlinux)
{
	__u32 id, type_id, cnt;

	vmlinux = btf_vmlinux;
	cnt = btf__type_cnt(vmlinux);
	for (id = 1; id < cnt; id++) {
		const struct btf_type *t;
		struct ops_type *types;

		type_id = struct_ops_type_id(vmlinux, id);
		if (!type_id)
			continue;

		types = realloc(ops_types, (nr_ops_types + 1) * sizeof(*types));
		if (!types) {
			p_err("mem alloc failed");
			return;
		}
		ops_types = types;

		t = btf__type_by_id(vmlinux, type_id);
		types[nr_ops_types].name = btf__name_by_offset(vmlinux, t->name_off);
		types[nr_ops_types].id = type_id;
		types[nr_ops_types].value_id = id;
		nr_ops_types++;
	}
}

#define POLICIES_PER_QUERY	32
#define MAX_QUERY_RESTARTS	8

/* Add the policies of one type, in the order in which they run */
static int query_type(int cgroup_fd, __u32 query_flags, const struct ops_type *type,
		      struct policies *all)
{
	LIBBPF_OPTS(bpf_prog_query_opts, q);
	__u32 i, start = 0, total = 0, old_cnt = all->cnt;
	__u32 attach_flags[POLICIES_PER_QUERY] = {};
	__u64 cgroup_ids[POLICIES_PER_QUERY] = {};
	__u32 link_ids[POLICIES_PER_QUERY] = {};
	__u32 map_ids[POLICIES_PER_QUERY] = {};
	int err, restarts = 0;
	__u64 revision = 0;

	q.query_flags = query_flags;
	q.struct_ops_type_id = type->id;
	q.link_ids = link_ids;
	q.link_attach_flags = attach_flags;
	q.map_ids = map_ids;
	q.cgroup_ids = cgroup_ids;

	do {
		struct policy *list;

		q.start = start;
		q.count = POLICIES_PER_QUERY;
		err = bpf_prog_query_opts(cgroup_fd, BPF_STRUCT_OPS, &q);
		/* ENOSPC: there are more, for the next round */
		if (err && err != -ENOSPC)
			goto drop;

		/* Pages of different lists do not make one list */
		if (start && (q.count != total || q.revision != revision) &&
		    restarts++ < MAX_QUERY_RESTARTS) {
			all->cnt = old_cnt;
			start = 0;
			total = q.count;
			continue;
		}
		total = q.count;
		revision = q.revision;
		if (start >= total)
			break;

		list = realloc(all->list, (old_cnt + total) * sizeof(*list));
		if (!list) {
			err = -ENOMEM;
			goto drop;
		}
		all->list = list;

		for (i = 0; i < POLICIES_PER_QUERY && start < total; i++, start++) {
			list[all->cnt].type = type;
			list[all->cnt].link_id = link_ids[i];
			list[all->cnt].map_id = map_ids[i];
			list[all->cnt].attach_flags = attach_flags[i];
			list[all->cnt].cgroup_id = cgroup_ids[i];
			all->cnt++;
		}
	} while (start < total);

	return 0;

drop:
	all->cnt = old_cnt;
	return err;
}

int policies_query(int cgroup_fd, __u32 query_flags, struct policies *all)
{
	unsigned int i;
	int ret = 0;

	all->list = NULL;
	all->cnt = 0;

	for (i = 0; i < nr_ops_types; i++) {
		int err;

		if (!ops_types[i].id)
			continue;

		err = query_type(cgroup_fd, query_flags, &ops_types[i], all);
		switch (err) {
		case 0:
		case -ENOENT:	/* the controller is not in cgroup v2 */
		case -ENODEV:	/* the cgroup is being removed */
			break;
		case -EINVAL:	/* not a type for cgroups, or an old kernel */
		case -E2BIG:
			ops_types[i].id = 0;
			break;
		default:
			ret = err;
		}
	}

	return ret;
}

/* The length of the UTF-8 sequence at @s; 0 if there is none that may be shown */
static int printable_len(const unsigned char *s)
{
	__u32 c, min;
	int len, i;

	if (*s < 0x80)
		return *s >= ' ' && *s < 0x7f;
	if (*s >= 0xc2 && *s < 0xe0) {
		len = 2;
		min = 0xa0;	/* C1 controls are below */
	} else if (*s >= 0xe0 && *s < 0xf0) {
		len = 3;
		min = 0x800;
	} else if (*s >= 0xf0 && *s < 0xf5) {
		len = 4;
		min = 0x10000;
	} else {
		return 0;
	}

	c = *s & (0xff >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}

	return c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

char *cgroup_path_escape(const char *path)
{
	const unsigned char *s = (const unsigned char *)path;
	char *shown, *to;
	int len;

	shown = path ? malloc(4 * strlen(path) + 1) : NULL;
	if (!shown)
		return NULL;

	for (to = shown; *s; s += len ?: 1) {
		len = printable_len(s);
		if (len) {
			memcpy(to, s, len);
			to += len;
		} else {
			to += sprintf(to, "\\x%02x", *s);
		}
	}
	*to = '\0';

	return shown;
}

static char *get_link_cgroup_path(__u32 link_id)
{
	char *path, *shown;
	int fd;

	/* It has no id before its creator gets the fd. */
	fd = link_id ? bpf_link_get_fd_by_id(link_id) : -1;
	if (fd < 0)
		return NULL;

	path = get_fdinfo(fd, "cgroup_path:");
	close(fd);
	shown = cgroup_path_escape(path);
	free(path);

	return shown;
}

static bool is_func_ptr(__u32 type_id)
{
	const struct btf_type *t;
	int id;

	id = btf__resolve_type(vmlinux, type_id);
	if (id < 0)
		return false;
	t = btf__type_by_id(vmlinux, id);
	if (!btf_is_ptr(t))
		return false;
	id = btf__resolve_type(vmlinux, t->type);

	return id > 0 && btf_is_func_proto(btf__type_by_id(vmlinux, id));
}

/* In the value of a struct_ops map, pointers to functions are ids of programs. */
static void show_policy_progs_json(int map_fd, const struct ops_type *type,
				   const struct bpf_map_info *info)
{
	const struct btf_type *value_type, *t;
	__u32 i, offset, zero = 0;
	char *value;

	jsonw_name(json_wtr, "prog_ids");
	jsonw_start_array(json_wtr);

	value = calloc(1, info->value_size);
	if (!value || info->btf_vmlinux_value_type_id != type->value_id ||
	    bpf_map_lookup_elem(map_fd, &zero, value))
		goto out;

	value_type = btf__type_by_id(vmlinux, type->value_id);
	t = btf__type_by_id(vmlinux, type->id);
	for (i = 0; i < btf_vlen(t); i++) {
		unsigned long id;

		if (!is_func_ptr(btf_members(t)[i].type))
			continue;
		offset = (btf_member_bit_offset(value_type, 1) +
			  btf_member_bit_offset(t, i)) / 8;
		if (offset + sizeof(id) > info->value_size)
			break;
		memcpy(&id, value + offset, sizeof(id));
		if (id)
			jsonw_uint(json_wtr, id);
	}
out:
	free(value);
	jsonw_end_array(json_wtr);
}

static void show_policy(const struct policy *policy, __u32 query_flags, int level)
{
	bool effective = query_flags & BPF_F_QUERY_EFFECTIVE;
	struct bpf_map_info info = {};
	__u32 info_len = sizeof(info);
	char buf[32], *path = NULL;
	const char *mode;
	int map_fd;

	/* What went after the query leaves its name and path empty. */
	map_fd = bpf_map_get_fd_by_id(policy->map_id);
	if (map_fd >= 0 && bpf_map_get_info_by_fd(map_fd, &info, &info_len))
		info.value_size = 0;
	if (effective || json_output)
		path = get_link_cgroup_path(policy->link_id);
	mode = cgroup_attach_flags_str(policy->attach_flags, buf, sizeof(buf));

	if (json_output) {
		jsonw_start_object(json_wtr);
		jsonw_uint_field(json_wtr, "link_id", policy->link_id);
		jsonw_string_field(json_wtr, "attach_type", "struct_ops");
		jsonw_string_field(json_wtr, "attach_flags", mode);
		jsonw_string_field(json_wtr, "authority",
				   cgroup_authority_str(policy->attach_flags));
		jsonw_uint_field(json_wtr, "map_id", policy->map_id);
		jsonw_string_field(json_wtr, "name", info.name);
		jsonw_string_field(json_wtr, "kernel_struct_ops", policy->type->name);
		show_policy_progs_json(map_fd, policy->type, &info);
		jsonw_lluint_field(json_wtr, "cgroup_id", policy->cgroup_id);
		if (path)
			jsonw_string_field(json_wtr, "cgroup_path", path);
		jsonw_end_object(json_wtr);
	} else {
		printf("%s%-8u %-15s", level ? "    " : "", policy->link_id, "struct_ops");
		if (!effective)
			printf(" %-15s", mode);
		printf(" %-15s %s map_id=%u", info.name, policy->type->name, policy->map_id);
		if (effective && *mode)
			printf(" attach_flags=%s", mode);
		printf(" authority=%s", cgroup_authority_str(policy->attach_flags));
		if (effective)
			printf(" cgroup_id=%llu", policy->cgroup_id);
		if (path)
			printf(" cgroup_path=%s", path);
		printf("\n");
	}

	free(path);
	if (map_fd >= 0)
		close(map_fd);
}

void policies_show(const struct policies *policies, __u32 query_flags, int level)
{
	__u32 i;

	for (i = 0; i < policies->cnt; i++)
		show_policy(&policies->list[i], query_flags, level);
}

void policies_free(struct policies *policies)
{
	free(policies->list);
	policies->list = NULL;
	policies->cnt = 0;
}

void policies_exit(void)
{
	free(ops_types);
	ops_types = NULL;
	nr_ops_types = 0;
}
