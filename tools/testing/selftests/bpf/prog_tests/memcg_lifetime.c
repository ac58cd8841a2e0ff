// SPDX-License-Identifier: GPL-2.0
/*
 * Who may die first: the cgroup, its memory controller, the link, the loader,
 * or the memory that was charged.
 */
#include <test_progs.h>
#include <bpf/btf.h>
#include <poll.h>
#include "memcg_helpers.h"
#include "memcg_books.skel.h"

#define BPFFS	"/sys/fs/bpf"

static struct memcg_books *skel;

static struct memcg_book *book(__u64 id)
{
	return memcg_book(skel->bss->a_books, id);
}

static short link_events(struct bpf_link *link, int timeout_ms)
{
	struct pollfd pfd = { .fd = bpf_link__fd(link), .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) < 0 ? -1 : pfd.revents;
}

/* All that a link can still be asked for once its cgroup let go of it. */
static void check_dead_link(struct bpf_link *link)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[64], buf[512];
	int fd, n;

	ASSERT_EQ(bpf_link__update_map(link, skel->maps.b), -ENOLINK, "update");
	ASSERT_OK(bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len), "info");
	ASSERT_EQ(info.type, BPF_LINK_TYPE_STRUCT_OPS, "info: type");
	ASSERT_EQ(info.struct_ops.cgroup_id, 0, "info: cgroup_id");
	ASSERT_EQ(info.struct_ops.map_id, 0, "info: map_id");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	fd = open(path, O_RDONLY);
	if (ASSERT_OK_FD(fd, "fdinfo")) {
		n = read(fd, buf, sizeof(buf) - 1);
		ASSERT_GT(n, 0, "fdinfo: length");
		close(fd);
	}
	ASSERT_TRUE(link_events(link, 0) & POLLHUP, "still POLLHUP");
	bpf_link__detach(link);		/* whatever it says, it must not crash */
}

/*
 * The cgroup goes while its link is there. Catches: a link that keeps the
 * cgroup (rmdir would fail or leak), or is freed or left attached with it.
 * Fails without detach_all() in bpf_cgroup_ops_css_offline(), or without the
 * wake-up in link_drop().
 */
static void test_rmdir(void)
{
	struct bpf_link *link, *late;
	int fd;
	__u64 id;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	link = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	late = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(link, "attach") || !ASSERT_OK_PTR(late, "attach"))
		goto out;
	ASSERT_OK(memcg_run(fd, memcg_use_some, NULL), "use");
	ASSERT_EQ(link_events(link, 0), 0, "no event while alive");

	remove_cgroup("/a");
	ASSERT_TRUE(link_events(link, 10000) & POLLHUP, "POLLHUP");
	ASSERT_TRUE(memcg_wait(book(id)->offline == 2), "offline");
	ASSERT_EQ(book(id)->online, 2, "online");
	check_dead_link(link);
	ASSERT_EQ(book(id)->offline, 2, "offline once each");
	ASSERT_EQ(book(id)->late, 0, "calls after offline");
out:
	bpf_link__destroy(link);
	bpf_link__destroy(late);
	close(fd);
}

/*
 * A live cgroup loses its memory controller and gets it back: that is another
 * memcg, which the old link must not touch. Catches: only rmdir being watched.
 * Fails without detach_all(), too.
 */
static void test_controller_off_on(void)
{
	struct bpf_link *link, *again = NULL;
	int parent, fd;
	__u64 id, calls;

	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	id = get_cgroup_id("/p/a");
	link = memcg_attach(skel->maps.a, fd, 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		goto out;
	ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears");

	ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "-memory"), "off");
	ASSERT_TRUE(link_events(link, 10000) & POLLHUP, "POLLHUP");
	ASSERT_TRUE(memcg_wait(book(id)->offline == 1), "offline");
	ASSERT_EQ(memcg_attach_errno(skel->maps.a, fd, 0), ENOENT, "attach while off");

	/* an offline memcg of the same cgroup may still be around for a while */
	ASSERT_TRUE(memcg_wait(!memcg_write(parent, "cgroup.subtree_control", "+memory")), "on");
	calls = book(id)->calls;
	ASSERT_OK(memcg_run(fd, memcg_use_some, NULL), "use");
	ASSERT_EQ(book(id)->calls, calls, "the new memcg is not governed");
	check_dead_link(link);

	again = memcg_attach(skel->maps.a, fd, 0);
	if (ASSERT_OK_PTR(again, "attach again")) {
		bpf_link__destroy(link);
		link = NULL;
		ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears again");
		ASSERT_EQ(book(id)->online, 2, "online");
	}
	bpf_link__destroy(again);
	ASSERT_EQ(book(id)->offline, 2, "offline");
	ASSERT_EQ(book(id)->late, 0, "calls after offline");
out:
	bpf_link__destroy(link);
	close(fd);
	close(parent);
}

/*
 * The link and its cgroup go at the same time, in either order. Catches, with
 * the debug kernel's help: whoever comes second using what the first one freed.
 */
static void test_race(void)
{
	struct bpf_link *link;
	int fd, i, err;
	pid_t pid;
	__u64 id;

	for (i = 0; i < 30; i++) {
		fd = memcg_create("/a");
		id = get_cgroup_id("/a");
		link = memcg_attach(skel->maps.a, fd, 0);
		if (!ASSERT_OK_PTR(link, "attach")) {
			close(fd);
			break;
		}
		pid = fork();
		if (!pid) {
			remove_cgroup_pid("/a", getppid());
			_exit(0);
		}
		if (i % 3 == 1)
			sched_yield();
		if (i % 3 == 2)
			bpf_link__detach(link);
		bpf_link__destroy(link);
		close(fd);
		err = memcg_reap(pid);
		if (!ASSERT_OK(err, "child") ||
		    !ASSERT_TRUE(memcg_wait(book(id)->offline == book(id)->online), "offline") ||
		    !ASSERT_EQ(book(id)->late, 0, "calls after offline"))
			break;
		/* the books are small */
		memset(skel->bss->a_books, 0, sizeof(skel->bss->a_books));
	}
}

/* bpf_link_info and fdinfo say what is attached where. */
static void test_info(void)
{
	struct bpf_map_info map_info = {};
	struct bpf_link_info info = {};
	__u32 len = sizeof(map_info);
	char path[64], buf[4096], want[256], cgroup[64];
	struct bpf_link *link;
	int fd, info_fd, n;
	__u64 id;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	link = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(link, "attach"))
		goto out;
	ASSERT_OK(bpf_map_get_info_by_fd(bpf_map__fd(skel->maps.a), &map_info, &len), "map info");
	len = sizeof(info);
	ASSERT_OK(bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len), "info");
	ASSERT_EQ(info.type, BPF_LINK_TYPE_STRUCT_OPS, "type");
	ASSERT_EQ(info.struct_ops.map_id, map_info.id, "map_id");
	ASSERT_EQ(info.struct_ops.cgroup_id, id, "cgroup_id");
	ASSERT_EQ(info.struct_ops.attach_flags & BPF_F_ALLOW_MULTI, BPF_F_ALLOW_MULTI,
		  "attach_flags");

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	info_fd = open(path, O_RDONLY);
	if (!ASSERT_OK_FD(info_fd, "fdinfo"))
		goto out;
	n = read(info_fd, buf, sizeof(buf) - 1);
	close(info_fd);
	if (!ASSERT_GT(n, 0, "read fdinfo"))
		goto out;
	buf[n] = '\0';
	snprintf(want, sizeof(want), "map_id:\t%u\n", map_info.id);
	ASSERT_HAS_SUBSTR(buf, want, "map_id");
	snprintf(want, sizeof(want), "cgroup_id:\t%llu\n", (unsigned long long)id);
	ASSERT_HAS_SUBSTR(buf, want, "cgroup_id");
	ASSERT_HAS_SUBSTR(buf, "attach_flags:\t", "attach_flags");
	ASSERT_HAS_SUBSTR(buf, "cgroup_path:\t/", "cgroup_path");
	snprintf(cgroup, sizeof(cgroup), "work-dir%d/a\n", getpid());
	ASSERT_HAS_SUBSTR(buf, cgroup, "cgroup_path's end");

	/* an update shows the new map */
	len = sizeof(map_info);
	ASSERT_OK(bpf_link__update_map(link, skel->maps.b), "update");
	ASSERT_OK(bpf_map_get_info_by_fd(bpf_map__fd(skel->maps.b), &map_info, &len), "map info");
	len = sizeof(info);
	ASSERT_OK(bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len), "info");
	ASSERT_EQ(info.struct_ops.map_id, map_info.id, "map_id after update");
out:
	bpf_link__destroy(link);
	close(fd);
}

/* A pinned link governs on without its loader, until it is unpinned. */
static void test_pin(void)
{
	struct bpf_link *link;
	char path[64];
	int fd;
	__u64 id;

	snprintf(path, sizeof(path), BPFFS "/memcg_lifetime_%d", getpid());
	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	link = memcg_attach(skel->maps.a, fd, 0);
	if (!ASSERT_OK_PTR(link, "attach") ||
	    !ASSERT_OK(bpf_link__pin(link, path), "pin"))
		goto out;
	bpf_link__destroy(link);
	ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "pinned");

	link = bpf_link__open(path);
	ASSERT_OK_PTR(link, "open");
	ASSERT_OK(unlink(path), "unpin");
	ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "unpinned, but open");
	bpf_link__destroy(link);
	link = NULL;
	ASSERT_TRUE(memcg_wait(book(id)->offline == 1), "offline");
	ASSERT_FALSE(memcg_hears(skel->bss->a_books, fd, id), "gone");
out:
	unlink(path);
	bpf_link__destroy(link);
	close(fd);
}

/* The loader is killed: its policy goes with it, and no other does. */
static void test_loader_killed(void)
{
	struct bpf_link *link;
	pid_t pid;
	__u64 id;
	int fd;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	link = memcg_attach(skel->maps.b, fd, BPF_F_ALLOW_MULTI);
	pid = fork();
	if (!pid) {
		if (!memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI))
			_exit(1);
		memcg_pause();
		_exit(0);
	}
	if (ASSERT_OK_PTR(link, "attach") && ASSERT_TRUE(memcg_paused(pid), "child")) {
		ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears");
		memcg_kill(pid);
		pid = -1;
		ASSERT_TRUE(memcg_wait(book(id)->offline == 1), "offline");
		ASSERT_FALSE(memcg_hears(skel->bss->a_books, fd, id), "the dead one's");
		ASSERT_TRUE(memcg_hears(skel->bss->b_books, fd, id), "the other one");
	}
	memcg_kill(pid);
	bpf_link__destroy(link);
	close(fd);
}

struct shmem {
	int memfd;
	size_t size;
};

static int fill_shmem(void *arg)
{
	struct shmem *shmem = arg;

	return fallocate(shmem->memfd, 0, 0, shmem->size);
}

/*
 * Memory outlives its cgroup and is freed later. Catches: a policy called with
 * a memcg after its last call, long after the policy itself may be gone. Fails
 * if bpf_cgroup_ops_css_offline() leaves the effective array in place, or if
 * living_policies() stops at dead memcgs.
 */
static void test_dead_cache(void)
{
	struct shmem shmem = { .memfd = -1, .size = 4 * MEMCG_MB };
	struct bpf_link *link, *upper = NULL;
	long held;
	int parent, fd;
	__u64 id, parent_id;

	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	id = get_cgroup_id("/p/a");
	parent_id = get_cgroup_id("/p");
	upper = memcg_attach(skel->maps.b, parent, BPF_F_ALLOW_MULTI);
	link = memcg_attach(skel->maps.a, fd, 0);
	shmem.memfd = memfd_create("memcg_dead", MFD_CLOEXEC);
	if (!ASSERT_OK_PTR(upper, "attach") || !ASSERT_OK_PTR(link, "attach") ||
	    !ASSERT_OK_FD(shmem.memfd, "memfd"))
		goto out;
	ASSERT_OK(memcg_run(fd, fill_shmem, &shmem), "fill");
	held = shmem.size / sysconf(_SC_PAGESIZE);
	ASSERT_GE((long)(book(id)->charged - book(id)->uncharged), held, "held");

	close(fd);
	fd = -1;
	remove_cgroup("/p/a");
	ASSERT_TRUE(link_events(link, 10000) & POLLHUP, "POLLHUP");
	ASSERT_TRUE(memcg_wait(book(id)->offline == 1), "offline");
	ASSERT_TRUE(memcg_wait(memcg_book(skel->bss->b_books, id)->offline == 1), "b offline");
	ASSERT_GE(memcg_pages(parent), held, "the parent still pays");

	close(shmem.memfd);
	shmem.memfd = -1;
	/* late uncharges are the parent's, whose policy is alive */
	ASSERT_TRUE(memcg_wait(memcg_pages(parent) < held), "freed");
	ASSERT_TRUE(memcg_wait((long)(memcg_book(skel->bss->b_books, parent_id)->uncharged) >=
			       held), "told to the parent's policy");
	ASSERT_EQ(memcg_books_late(skel->bss->a_books), 0, "a's calls after offline");
	ASSERT_EQ(memcg_books_late(skel->bss->b_books), 0, "b's calls after offline");
out:
	if (shmem.memfd >= 0)
		close(shmem.memfd);
	bpf_link__destroy(link);
	bpf_link__destroy(upper);
	if (fd >= 0)
		close(fd);
	close(parent);
}

void test_memcg_lifetime(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {
		{ "rmdir", test_rmdir },
		{ "controller_off_on", test_controller_off_on },
		{ "race", test_race },
		{ "info", test_info },
		{ "pin", test_pin },
		{ "loader_killed", test_loader_killed },
		{ "dead_cache", test_dead_cache },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		skel = memcg_books__open_and_load();
		if (ASSERT_OK_PTR(skel, "memcg_books__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			tests[i].fn();
			ASSERT_EQ(skel->bss->memcg_strangers, 0, "calls without online");
		}
		cleanup_cgroup_environment();
		memcg_books__destroy(skel);
	}
}
