// SPDX-License-Identifier: GPL-2.0
/*
 * With whose authority a policy is attached: the host's, or that of a container
 * to which a subtree was delegated.
 *
 *	/p - /p/a (delegated) - /p/a/c
 */
#include <test_progs.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "memcg_helpers.h"
#include "memcg_attach.skel.h"
#include "memcg_protect.skel.h"

#define MULTI		BPF_F_ALLOW_MULTI
#define DELEGATE_UID	1000

enum { P, PA, PAC, NR_CGROUPS };

static const char * const paths[NR_CGROUPS] = { "/p", "/p/a", "/p/a/c" };

static struct memcg_attach *skel;
static int cgroup[NR_CGROUPS];
static __u32 type_id;
static __u64 pac_id;

/* In the container, where ASSERT_*() would not be heard of */
#define FAILED(cond)	failed(!(cond), __func__, __LINE__, #cond)

static bool failed(bool is, const char *func, int line, const char *what)
{
	if (is)
		/* not stderr, which the test runner has replaced */
		dprintf(STDERR_FILENO, "%s:%d: not true: %s (errno %d)\n", func, line, what,
			errno);
	return is;
}

static int write_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int (*in_container)(void *arg);

/* Root of a user namespace of its own, with the uid of the delegate outside. */
static int container(void *arg)
{
	if (FAILED(!unshare(CLONE_NEWUSER | CLONE_NEWNS)))
		return 1;
	memcg_pause();
	if (FAILED(!setresgid(0, 0, 0)))
		return 1;
	if (FAILED(!setresuid(0, 0, 0)))
		return 1;
	return in_container(arg);
}

/* Start the container, with @fn in it. It is in the delegated cgroup. */
static pid_t container_spawn(int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	in_container = fn;
	pid = memcg_spawn(cgroup[PAC], container, arg);
	if (!ASSERT_TRUE(memcg_paused(pid), "container") ||
	    !ASSERT_OK(write_proc(pid, "setgroups", "deny"), "setgroups") ||
	    !ASSERT_OK(write_proc(pid, "uid_map", "0 1000 1"), "uid_map") ||
	    !ASSERT_OK(write_proc(pid, "gid_map", "0 1000 1"), "gid_map")) {
		memcg_kill(pid);
		return -1;
	}
	memcg_resume(pid);
	return pid;
}

static int link_fd_flags(int fd)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (bpf_link_get_info_by_fd(fd, &info, &len))
		return -1;
	return info.struct_ops.attach_flags;
}

/* Attach without libbpf's own tries: the fd of the link, or -errno. */
static int attach_fd(struct bpf_map *map, int cgroup_fd, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BPF_F_CGROUP_FD | flags);

	return bpf_link_create(bpf_map__fd(map), cgroup_fd, BPF_STRUCT_OPS, &opts);
}

static int attach_as_delegate(void *host_link)
{
	LIBBPF_OPTS(bpf_prog_query_opts, query);
	int fd, path_fd;
	char path[64];

	/* above its subtree: not permitted, however it got hold of the directory */
	if (FAILED(attach_fd(skel->maps.a, cgroup[P], MULTI) == -EACCES))
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", cgroup[PA]);
	path_fd = open(path, O_PATH);
	if (FAILED(path_fd >= 0))
		return 1;
	if (FAILED(attach_fd(skel->maps.a, path_fd, MULTI) == -EBADF))
		return 1;

	/* its own, and what it makes there */
	fd = attach_fd(skel->maps.a, cgroup[PA], MULTI);
	if (FAILED(fd >= 0))
		return 1;
	if (FAILED(link_fd_flags(fd) == (BPF_F_CGROUP_FD | MULTI | BPF_F_CGROUP_DELEGATE)))
		return 1;
	if (FAILED(!close(fd)))
		return 1;
	if (FAILED(!mkdirat(cgroup[PA], "new", 0755)))
		return 1;
	fd = openat(cgroup[PA], "new", O_RDONLY | O_DIRECTORY);
	if (FAILED(fd >= 0))
		return 1;
	fd = attach_fd(skel->maps.a, fd, MULTI);
	if (FAILED(fd >= 0))
		return 1;
	if (FAILED(link_fd_flags(fd) & BPF_F_CGROUP_DELEGATE))
		return 1;
	if (FAILED(!close(fd)))
		return 1;
	if (FAILED(!unlinkat(cgroup[PA], "new", AT_REMOVEDIR)))
		return 1;

	/* the flag is told, not asked for */
	if (FAILED(attach_fd(skel->maps.a, cgroup[PA], BPF_F_CGROUP_DELEGATE) == -EINVAL))
		return 1;

	/* ids of links, maps and cgroups of others are none of its business */
	query.struct_ops_type_id = type_id;
	if (FAILED(bpf_prog_query_opts(cgroup[PA], BPF_STRUCT_OPS, &query) == -EPERM))
		return 1;

	/* who was given the link may change it, but does not speak for the host then */
	if (FAILED(!bpf_link_update(bpf_link__fd(host_link), bpf_map__fd(skel->maps.b), NULL)))
		return 1;
	return 0;
}

/*
 * A container attaches to its own subtree and not above. Catches: a file
 * descriptor of a directory taken for the permission to write there, and a
 * delegate taken for the host.
 */
static void test_attach(void)
{
	LIBBPF_OPTS(bpf_prog_query_opts, query);
	struct bpf_link *link;
	char path[64];
	__u32 flags;
	int path_fd;

	link = memcg_attach(skel->maps.c, cgroup[P], MULTI);
	if (!ASSERT_OK_PTR(link, "the host attaches"))
		return;
	ASSERT_EQ(link_fd_flags(bpf_link__fd(link)), BPF_F_CGROUP_FD | MULTI, "authority");
	ASSERT_EQ(attach_fd(skel->maps.a, cgroup[PA], BPF_F_CGROUP_DELEGATE), -EINVAL,
		  "no flag to attach with");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", cgroup[P]);
	path_fd = open(path, O_PATH);
	ASSERT_EQ(attach_fd(skel->maps.a, path_fd, MULTI), -EBADF, "O_PATH");
	close(path_fd);

	ASSERT_OK(memcg_reap(container_spawn(attach_as_delegate, link)), "container");

	query.struct_ops_type_id = type_id;
	query.count = 1;
	query.link_attach_flags = &flags;
	ASSERT_OK(bpf_prog_query_opts(cgroup[P], BPF_STRUCT_OPS, &query), "query");
	ASSERT_EQ(query.count, 1, "policies");
	ASSERT_EQ(flags, MULTI | BPF_F_CGROUP_DELEGATE, "updated by a delegate");
	ASSERT_OK(bpf_link__update_map(link, skel->maps.c), "updated by the host");
	ASSERT_EQ(link_fd_flags(bpf_link__fd(link)),
		  BPF_F_CGROUP_FD | MULTI | BPF_F_CGROUP_DELEGATE, "does not get it back");
	bpf_link__destroy(link);
}

static int attach_all(void *unused)
{
	int n;

	for (n = 0; attach_fd(skel->maps.a, cgroup[PA], MULTI) >= 0; n++)
		;
	if (FAILED(errno == E2BIG))
		return 1;
	if (FAILED(n == 32))
		return 1;
	memcg_pause();
	return 0;
}

/* A delegate that attaches all it can leaves room for the host. */
static void test_limit(void)
{
	struct bpf_link *link[32] = {};
	pid_t pid;
	int i;

	pid = container_spawn(attach_all, NULL);
	if (!ASSERT_TRUE(memcg_paused(pid), "attached"))
		return;
	for (i = 0; i < ARRAY_SIZE(link); i++) {
		link[i] = memcg_attach(skel->maps.b, cgroup[P], MULTI);
		if (!ASSERT_OK_PTR(link[i], "the host attaches above"))
			break;
	}
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, cgroup[P], MULTI), E2BIG, "one more");
	memcg_resume(pid);
	ASSERT_OK(memcg_reap(pid), "container");
	for (i = 0; i < ARRAY_SIZE(link); i++)
		bpf_link__destroy(link[i]);
}

/* A container that sees its cgroup through a read-only mount changes nothing there. */
static void test_read_only(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int mnt, fd = -1;

	mnt = syscall(__NR_open_tree, cgroup[PA], "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
	if (ASSERT_OK_FD(mnt, "open_tree") &&
	    ASSERT_OK(syscall(__NR_mount_setattr, mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)),
		      "mount_setattr")) {
		fd = openat(mnt, ".", O_RDONLY | O_DIRECTORY);
		ASSERT_EQ(attach_fd(skel->maps.a, fd, MULTI), -EROFS, "read-only mount");
	}
	if (fd >= 0)
		close(fd);
	if (mnt >= 0)
		close(mnt);
}

#define CACHE		(8 * MEMCG_MB)
#define B_OFFSET	(12 * MEMCG_MB)		/* out of the other's readahead */
#define SOME_PAGES	(4L * 256)

static struct memcg_protect *protector;

static int attach_protector(void *unused)
{
	if (FAILED(attach_fd(protector->maps.a, cgroup[PA], MULTI) >= 0))
		return 1;
	memcg_pause();
	return 0;
}

static int loop_fd;

static int read_some(void *offset)
{
	return memcg_read_cache(loop_fd, *(size_t *)offset, CACHE);
}

/* What /p/a/c loses when 4 MiB are reclaimed from /p, in pages; -1 on failure */
static long lost_by_delegate(int b)
{
	size_t offset_c = 0, offset_b = B_OFFSET;
	long before;

	ioctl(loop_fd, BLKFLSBUF, 0);
	if (!ASSERT_OK(memcg_run(cgroup[PAC], read_some, &offset_c), "fill c") ||
	    !ASSERT_OK(memcg_run(b, read_some, &offset_b), "fill b"))
		return -1;
	before = memcg_pages(cgroup[PAC]);
	memcg_write(cgroup[P], "memory.reclaim", "4M");
	return before - memcg_pages(cgroup[PAC]);
}

/*
 * A delegate that protects everything takes nothing from /p/b, which is the host's:
 * its PROTECT is worth what the host gave to /p/a, and nothing at /p/a itself.
 */
static void test_protect(void)
{
	pid_t pid = -1;
	int b;

	b = memcg_create("/p/b");
	loop_fd = memcg_loop(B_OFFSET + CACHE);
	protector = memcg_protect__open_and_load();
	if (!ASSERT_OK_FD(b, "/p/b") || !ASSERT_OK_FD(loop_fd, "loop device") ||
	    !ASSERT_OK_PTR(protector, "memcg_protect__open_and_load") ||
	    !ASSERT_EQ(memcg_attach_errno(protector->maps.a, cgroup[P], 0), 0, "attach"))
		goto out;
	protector->bss->answer_low[0] = 1;
	pid = container_spawn(attach_protector, NULL);
	if (!ASSERT_TRUE(memcg_paused(pid), "attached in the container"))
		goto out;

	protector->bss->calls = 0;
	ASSERT_GT(lost_by_delegate(b), SOME_PAGES / 8, "c, without a share of the host's");
	ASSERT_GT(protector->bss->calls, 0, "calls");
	ASSERT_OK(memcg_write_long(cgroup[PA], "memory.low", 2 * CACHE), "memory.low of a");
	ASSERT_LE(lost_by_delegate(b), 128, "c, within what the host gave to a");
out:
	memcg_kill(pid);
	memcg_protect__destroy(protector);
	close(loop_fd);
	close(b);
}

/* In the container: everything from nothing, by a token. */
static int load_by_token(void *unused)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct memcg_attach *own;
	struct bpf_link *link;
	int fs_fd, mnt_fd;
	char path[64];

	/* where the test outside finds it */
	fs_fd = syscall(__NR_fsopen, "bpf", 0);
	if (FAILED(fs_fd >= 0))
		return 1;
	if (FAILED(dup2(fs_fd, 200) == 200))
		return 1;
	memcg_pause();
	mnt_fd = syscall(__NR_fsmount, fs_fd, 0, 0);
	if (FAILED(mnt_fd >= 0))
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mnt_fd);

	opts.bpf_token_path = "";
	own = memcg_attach__open_opts(&opts);
	if (FAILED(own))
		return 1;
	if (FAILED(memcg_attach__load(own)))
		return 1;
	memcg_attach__destroy(own);

	opts.bpf_token_path = path;
	own = memcg_attach__open_opts(&opts);
	if (FAILED(own))
		return 1;
	if (FAILED(!memcg_attach__load(own)))
		return 1;
	if (FAILED(!memcg_attach(own->maps.a, cgroup[P], MULTI) && errno == EACCES))
		return 1;
	link = memcg_attach(own->maps.a, cgroup[PA], MULTI);
	if (FAILED(link))
		return 1;
	if (FAILED(link_fd_flags(bpf_link__fd(link)) & BPF_F_CGROUP_DELEGATE))
		return 1;
	if (FAILED(memcg_populate(MEMCG_MB) != MAP_FAILED))
		return 1;
	if (FAILED(memcg_book(own->bss->a_books, pac_id)->calls))
		return 1;
	bpf_link__destroy(link);
	memcg_attach__destroy(own);
	return 0;
}

/*
 * A container that was given a BPF token loads and attaches its own policy,
 * without a privilege outside of it.
 */
static void test_token(void)
{
	static const char * const delegated[] = {
		"delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs",
	};
	int pidfd, fs_fd, i;
	pid_t pid;

	pid = container_spawn(load_by_token, NULL);
	if (!ASSERT_TRUE(memcg_paused(pid), "opened bpffs"))
		goto out;
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	fs_fd = syscall(__NR_pidfd_getfd, pidfd, 200, 0);
	if (ASSERT_OK_FD(fs_fd, "bpffs of the container")) {
		for (i = 0; i < ARRAY_SIZE(delegated); i++)
			ASSERT_OK(syscall(__NR_fsconfig, fs_fd, FSCONFIG_SET_STRING, delegated[i],
					  "any", 0), delegated[i]);
		/* what is delegated takes effect with the privilege of the one who says so */
		ASSERT_OK(syscall(__NR_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0),
			  "create");
	}
	close(fs_fd);
	close(pidfd);
	memcg_resume(pid);
	ASSERT_OK(memcg_reap(pid), "container");
	pid = -1;
out:
	memcg_kill(pid);
}

void test_memcg_delegate(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {
		{ "attach", test_attach },
		{ "limit", test_limit },
		{ "read_only", test_read_only },
		{ "protect", test_protect },
		{ "token", test_token },
	};
	int i, j;

	type_id = memcg_type_id("memcg_bpf_ops");
	if (!ASSERT_NEQ(type_id, 0, "memcg_bpf_ops"))
		return;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		memset(cgroup, -1, sizeof(cgroup));
		skel = memcg_attach__open_and_load();
		if (!ASSERT_OK_PTR(skel, "memcg_attach__open_and_load") ||
		    !ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment"))
			goto next;
		for (j = 0; j < NR_CGROUPS; j++) {
			cgroup[j] = memcg_create(paths[j]);
			if (!ASSERT_OK_FD(cgroup[j], paths[j]))
				goto next;
		}
		pac_id = get_cgroup_id(paths[PAC]);
		/* maps have their values from when they are first attached */
		if (!ASSERT_EQ(memcg_attach_errno(skel->maps.a, cgroup[P], 0), 0, "attach a") ||
		    !ASSERT_EQ(memcg_attach_errno(skel->maps.b, cgroup[P], 0), 0, "attach b") ||
		    !ASSERT_OK(fchown(cgroup[PA], DELEGATE_UID, DELEGATE_UID), "delegate"))
			goto next;
		tests[i].fn();
next:
		for (j = 0; j < NR_CGROUPS; j++)
			if (cgroup[j] >= 0)
				close(cgroup[j]);
		memcg_attach__destroy(skel);
		cleanup_cgroup_environment();
	}
}
