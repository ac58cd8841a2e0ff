/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A delay in proportion to the pages that are charged. The kernel takes milliseconds,
 * and a page costs less: the rest stays owed by the cgroup.
 */
#ifndef MEMCG_OWED_H
#define MEMCG_OWED_H

#define NSEC_PER_MSEC	1000000LL

/*
 * Add @ns to @owed_ns. Returns the whole milliseconds that are owed, which the caller
 * charges to its task, so that they are not owed any more. @owed_ns may be negative: it
 * is for a moment when two CPUs take the same millisecond, and longer if it has credit.
 */
static inline unsigned int owe(__s64 *owed_ns, __s64 ns)
{
	__s64 owed = __sync_fetch_and_add(owed_ns, ns) + ns;
	unsigned int ms;

	if (owed < NSEC_PER_MSEC)
		return 0;
	ms = (__u64)owed / NSEC_PER_MSEC;
	__sync_fetch_and_add(owed_ns, -(ms * NSEC_PER_MSEC));
	return ms;
}

#endif /* MEMCG_OWED_H */
