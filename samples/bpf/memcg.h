/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the sample memcg share. */
#ifndef MEMCG_H
#define MEMCG_H

#include "memcg_common.h"

struct target {
	const char *option;
	const char *path;
	int fd;
	__u64 id;
	struct bpf_link *link;
};

int open_target(struct target *t);
int attach(struct target *t, const struct bpf_map *map);

/* memcg --reclaim */
int memcg_reclaim(int argc, char **argv);

#endif /* MEMCG_H */
