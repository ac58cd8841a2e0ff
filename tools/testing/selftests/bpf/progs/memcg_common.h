/* SPDX-License-Identifier: GPL-2.0 */
/* The books that a memcg_bpf_ops policy of the memcg_*.c tests keeps. */
#ifndef __MEMCG_COMMON_H
#define __MEMCG_COMMON_H

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "memcg_helpers.h"

char _license[] SEC("license") = "GPL";

/* Calls for a memcg that has no book: it was never announced to the policy. */
__u64 memcg_strangers;

/*
 * Online calls for a memcg that the policy governed already. With one link of
 * the policy in a branch there must be none.
 */
__u64 memcg_twice;

static __always_inline __u64 memcg_id(struct mem_cgroup *memcg)
{
	return memcg->css.cgroup->kn->id;
}

/*
 * The book of @memcg. Scanning a small array takes no lock and allocates
 * nothing, so that keeping books never changes what is in them.
 */
static __always_inline struct memcg_book *
memcg_book(struct memcg_book *books, struct mem_cgroup *memcg, bool create)
{
	__u64 cgid = memcg_id(memcg), owner;
	int i;

	for (i = 0; i < MEMCG_BOOKS; i++) {
		owner = books[i].cgid;
		if (!owner && create)
			owner = __sync_val_compare_and_swap(&books[i].cgid, 0, cgid) ?: cgid;
		if (owner == cgid)
			return &books[i];
	}
	__sync_fetch_and_add(&memcg_strangers, 1);
	return NULL;
}

static __always_inline void memcg_note_online(struct memcg_book *books,
					      struct mem_cgroup *memcg)
{
	struct memcg_book *book = memcg_book(books, memcg, true);

	if (!book)
		return;
	if (book->online > book->offline)
		__sync_fetch_and_add(&memcg_twice, 1);
	__sync_fetch_and_add(&book->online, 1);
}

static __always_inline void memcg_note_offline(struct memcg_book *books,
					       struct mem_cgroup *memcg)
{
	struct memcg_book *book = memcg_book(books, memcg, false);

	if (!book)
		return;
	if (book->offline >= book->online)
		__sync_fetch_and_add(&book->late, 1);
	__sync_fetch_and_add(&book->offline, 1);
}

static __always_inline void memcg_note_charged(struct memcg_book *books,
					       struct mem_cgroup *memcg,
					       unsigned int nr_pages)
{
	struct memcg_book *book = memcg_book(books, memcg, false);

	if (!book)
		return;
	if (book->offline >= book->online)
		__sync_fetch_and_add(&book->late, 1);
	__sync_fetch_and_add(&book->calls, 1);
	__sync_fetch_and_add(&book->charged, nr_pages);
}

static __always_inline void memcg_note_uncharged(struct memcg_book *books,
						 struct mem_cgroup *memcg,
						 unsigned int nr_pages)
{
	struct memcg_book *book = memcg_book(books, memcg, false);

	if (!book)
		return;
	if (book->offline >= book->online)
		__sync_fetch_and_add(&book->late, 1);
	__sync_fetch_and_add(&book->uncharged, nr_pages);
}

/* What a test wants done in memcg_charged() besides; defined before the include */
#ifndef MEMCG_ON_CHARGED
#define MEMCG_ON_CHARGED(name, memcg)
#endif

/* The four members with which a policy called @name keeps @name_books. */
#define MEMCG_BOOKKEEPER(name)						\
struct memcg_book name##_books[MEMCG_BOOKS];				\
									\
SEC("struct_ops")							\
void BPF_PROG(name##_online, struct mem_cgroup *memcg)			\
{									\
	memcg_note_online(name##_books, memcg);				\
}									\
									\
SEC("struct_ops")							\
void BPF_PROG(name##_offline, struct mem_cgroup *memcg)			\
{									\
	memcg_note_offline(name##_books, memcg);			\
}									\
									\
SEC("struct_ops")							\
unsigned int BPF_PROG(name##_charged, struct mem_cgroup *memcg,		\
		      unsigned int nr_pages)				\
{									\
	memcg_note_charged(name##_books, memcg, nr_pages);		\
	MEMCG_ON_CHARGED(name, memcg);					\
	return 0;							\
}									\
									\
SEC("struct_ops")							\
void BPF_PROG(name##_uncharged, struct mem_cgroup *memcg,		\
	      unsigned int nr_pages)					\
{									\
	memcg_note_uncharged(name##_books, memcg, nr_pages);		\
}

#define MEMCG_BOOKKEEPER_OPS(name)					\
	.handle_cgroup_online = (void *)name##_online,			\
	.handle_cgroup_offline = (void *)name##_offline,		\
	.memcg_charged = (void *)name##_charged,			\
	.memcg_uncharged = (void *)name##_uncharged

#endif /* __MEMCG_COMMON_H */
