/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the memcg_*.c tests share. The books are kept by the BPF side, see
 * progs/memcg_common.h, and read by the test through the skeleton; everything
 * below them is for the test alone.
 */
#ifndef __MEMCG_HELPERS_H
#define __MEMCG_HELPERS_H

#define MEMCG_BOOKS	32

/* What one policy was told about one memcg. */
struct memcg_book {
	unsigned long long cgid;	/* of the memcg's cgroup, 0: unused */
	unsigned long long online;	/* calls of handle_cgroup_online() */
	unsigned long long offline;	/* calls of handle_cgroup_offline() */
	unsigned long long calls;	/* calls of memcg_charged() */
	unsigned long long charged;	/* pages */
	unsigned long long uncharged;	/* pages */
	unsigned long long late;	/* calls of any kind after the last offline */
};

#ifndef __bpf__

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "cgroup_helpers.h"
#include "testing_helpers.h"

#define MEMCG_MB	(1024UL * 1024)

/* Poll for something that the kernel promises, but not at once. */
#define memcg_wait(cond) ({						\
	__u64 __end = get_time_ns() + 30 * 1000000000ULL;		\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && get_time_ns() < __end)		\
		usleep(1000);						\
	__ok;								\
})

/* The book of that cgroup; an empty one if there is none. */
struct memcg_book *memcg_book(struct memcg_book *books, unsigned long long cgid);

/* Pages that the policy believes are charged, over all memcgs it governs. */
long memcg_books_balance(const struct memcg_book *books);

/* True if each memcg that came online for the policy went offline, too. */
bool memcg_books_pair(const struct memcg_book *books);

/* Calls after the last offline call, over all memcgs. */
long memcg_books_late(const struct memcg_book *books);

/* The id in the kernel's type information of a struct, 0 if there is none. */
__u32 memcg_type_id(const char *name);

/* Attach with these of BPF_F_ALLOW_*. */
struct bpf_link *memcg_attach(const struct bpf_map *map, int cgroup_fd, __u32 flags);

/* As memcg_attach(), for an attachment that is to fail: the errno, or 0. */
int memcg_attach_errno(const struct bpf_map *map, int cgroup_fd, __u32 flags);

/* A cgroup below the work directory that has the memory controller. */
int memcg_create(const char *path);

/* Write a file of the cgroup: 0 or -errno. */
int memcg_write(int cgroup_fd, const char *file, const char *value);

int memcg_write_long(int cgroup_fd, const char *file, long value);

/*
 * The number after @key in a file of the cgroup, or the file's first number
 * when @key is NULL; -1 when there is none.
 */
long memcg_read(int cgroup_fd, const char *file, const char *key);

/* memory.current in pages, or -1. */
long memcg_pages(int cgroup_fd);

/* Move the calling process. The helpers by path only know their own children. */
int memcg_join(int cgroup_fd);

/* Run @fn in a child that joins the cgroup first; its result is the status. */
pid_t memcg_spawn(int cgroup_fd, int (*fn)(void *arg), void *arg);

/* Wait for a child: its exit status, 128 + the signal, or -1. */
int memcg_reap(pid_t pid);

/* memcg_spawn() and memcg_reap(). */
int memcg_run(int cgroup_fd, int (*fn)(void *arg), void *arg);

/* Kill and reap a child, if @pid is one. */
void memcg_kill(pid_t pid);

/* For the child: say that a step is done, and wait to be told to go on. */
void memcg_pause(void);

/* For the test: true when the child has come to its next memcg_pause(). */
bool memcg_paused(pid_t pid);

/* For the test: let the child go on after memcg_pause(). */
void memcg_resume(pid_t pid);

/* Map and touch that much memory. */
void *memcg_populate(size_t size);

/* Use a MiB, more than any per-CPU stock of charged pages can hide. */
int memcg_use_some(void *unused);

/* Charge and uncharge for a while. */
int memcg_churn(void *unused);

/*
 * A block device whose pages are in memory that nobody here pays for: reading
 * it fills the page cache of the reader's memcg, with clean pages that can be
 * reclaimed wherever these tests run. It goes with its last file descriptor.
 */
int memcg_loop(size_t size);

/* Read @size bytes at @offset into the page cache. */
int memcg_read_cache(int fd, size_t offset, size_t size);

/* True when the policy hears of what is charged to this cgroup. */
bool memcg_hears(struct memcg_book *books, int cgroup_fd, unsigned long long cgid);

#endif /* !__bpf__ */
#endif /* __MEMCG_HELPERS_H */
