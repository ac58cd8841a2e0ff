/* SPDX-License-Identifier: GPL-2.0 */
/* What both sides of the memcg_*reclaim tests know. */
#ifndef __MEMCG_RECLAIM_H
#define __MEMCG_RECLAIM_H

/* Macros and private enums of the kernel, which its type information lacks */
#define MEMCG_GFP_KERNEL	0xcc0
#define MEMCG_GFP_ATOMIC	0x820
#define MEMCG_MAY_SWAP		2
#define MEMCG_PROACTIVE		4

#define MEMCG_RECLAIM_MOST	4096

#define MEMCG_WQ_UNBOUND	1	/* BPF_F_WQ_UNBOUND, which programs alone can see */

/* There was no memcg to call the kfunc for; no errno has this value */
#define MEMCG_RECLAIM_NONE	(-100000)

#endif /* __MEMCG_RECLAIM_H */
