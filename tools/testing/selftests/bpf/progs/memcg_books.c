// SPDX-License-Identifier: GPL-2.0
/* Two policies that do nothing but keep books. */
#include "memcg_common.h"

MEMCG_BOOKKEEPER(a)
MEMCG_BOOKKEEPER(b)

SEC(".struct_ops.link")
struct memcg_bpf_ops a = { MEMCG_BOOKKEEPER_OPS(a) };

SEC(".struct_ops.link")
struct memcg_bpf_ops b = { MEMCG_BOOKKEEPER_OPS(b) };
