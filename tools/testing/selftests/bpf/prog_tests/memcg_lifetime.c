// SPDX-License-Identifier: GPL-2.0
/*
 * Who may die first: the cgroup, its memory controller, the link, the loader,
 * or the memory that was charged.
 */
#include <test_progs.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include "memcg_helpers.h"
#include "memcg_books.skel.h"

#define BPFFS	"/sys/fs/bpf"

static struct memcg_books *skel;
static __u64 cgroup_id;
static __u32 type_id;

static struct memcg_book *book(__u64 id)
{
	return memcg_book(skel->bss->a_books, id);
}

static int nr_policies(int cgroup_fd)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	int err;

	opts.struct_ops_type_id = type_id;
	err = bpf_prog_query_opts(cgroup_fd, BPF_STRUCT_OPS, &opts);
	return err ?: opts.count;
}

static __u64 revision(int cgroup_fd)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);

	opts.struct_ops_type_id = type_id;
	return bpf_prog_query_opts(cgroup_fd, BPF_STRUCT_OPS, &opts) ? 0 : opts.revision;
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
 */
static void test_rmdir(void)
{
	int fd, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct bpf_link *link, *late;
	struct epoll_event event = {};
	__u64 id;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	link = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	late = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(link, "attach") || !ASSERT_OK_PTR(late, "attach"))
		goto out;
	ASSERT_OK(memcg_run(fd, memcg_use_some, NULL), "use");
	ASSERT_EQ(link_events(link, 0), 0, "no event while alive");
	ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, bpf_link__fd(link), &event), "EPOLL_CTL_ADD");

	remove_cgroup("/a");
	/* epoll looks at the link only if it was woken, poll in any case */
	ASSERT_EQ(epoll_wait(epoll, &event, 1, 10000), 1, "woken");
	ASSERT_EQ(event.events, EPOLLHUP, "EPOLLHUP");
	ASSERT_TRUE(link_events(link, 10000) & POLLHUP, "POLLHUP");
	ASSERT_TRUE(memcg_wait(book(id)->offline == 2), "offline");
	ASSERT_EQ(book(id)->online, 2, "online");
	check_dead_link(link);
	ASSERT_EQ(book(id)->offline, 2, "offline once each");
	ASSERT_EQ(book(id)->late, 0, "calls after offline");
out:
	bpf_link__destroy(link);
	bpf_link__destroy(late);
	close(epoll);
	close(fd);
}

/*
 * A live cgroup loses its memory controller and gets it back: that is another
 * memcg, which the old link must not touch. Catches: only rmdir being watched.
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

	/*
	 * Waits until the old memcg is offline. Nothing before it may create or
	 * destroy a link: that would make the offline calls, too.
	 */
	ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "+memory"), "on");
	ASSERT_EQ(book(id)->offline, 1, "offline before the new memcg is online");
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

	ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "-memory"), "off again");
	ASSERT_EQ(memcg_attach_errno(skel->maps.a, fd, 0), ENOENT, "attach while off");
out:
	bpf_link__destroy(link);
	close(fd);
	close(parent);
}

/*
 * The io controller needs the memory controller: switched off, that one stays
 * behind io unseen. Catches: attaching to what users cannot see, and links that
 * stay there.
 */
static void test_controller_hidden(void)
{
	int parent = memcg_create("/p"), fd = memcg_create("/p/a");
	struct bpf_link *upper, *link, *again = NULL;
	__u64 id = get_cgroup_id("/p/a"), calls;

	upper = memcg_attach(skel->maps.b, parent, BPF_F_ALLOW_MULTI);
	link = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(upper, "attach above") || !ASSERT_OK_PTR(link, "attach") ||
	    !ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "+io"), "io"))
		goto out;
	ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears");

	ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "-memory"), "off");
	ASSERT_TRUE(link_events(link, 10000) & POLLHUP, "POLLHUP");
	ASSERT_TRUE(memcg_wait(book(id)->offline == 1), "offline");
	ASSERT_EQ(memcg_attach_errno(skel->maps.a, fd, BPF_F_ALLOW_MULTI), ENOENT,
		  "attach while off");
	calls = book(id)->calls;
	ASSERT_TRUE(memcg_hears(skel->bss->b_books, fd, id), "what it inherits goes on");
	ASSERT_EQ(book(id)->calls, calls, "calls while off");

	ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "+memory"), "on");
	check_dead_link(link);
	again = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	if (ASSERT_OK_PTR(again, "attach again"))
		ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears again");
	ASSERT_EQ(book(id)->late, 0, "calls after offline");
out:
	bpf_link__destroy(again);
	bpf_link__destroy(link);
	bpf_link__destroy(upper);
	close(fd);
	close(parent);
}

/* What is done to a link while its cgroup is removed */
enum { CREATE, CLOSE, DETACH, UPDATE, PIN, NR_RACES };

/*
 * Between the rmdir and the operation, in microseconds; below 0 the operation
 * comes first. The grace periods that a dying cgroup passes through take some
 * 10 ms.
 */
static const int race_delays[] = {
	-2000, -200, -50, 0, 0, 0, 50, 200, 1000, 5000, 10000, 20000, 30000, 40000,
};

/* Which of the two came first, as the operation saw it */
static int link_won, cgroup_won;

static void race_once(int fd, int what, int delay)
{
	char path[64];
	struct bpf_link *link = NULL;
	bool *go;
	pid_t pid;
	int err;

	if (what != CREATE) {
		link = memcg_attach(skel->maps.a, fd, 0);
		if (!ASSERT_OK_PTR(link, "attach"))
			return;
	}
	go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid) {
		while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
			sched_yield();
		if (delay < 0)
			usleep(-delay);
		remove_cgroup_pid("/a", getppid());
		_exit(0);
	}
	__atomic_store_n(go, true, __ATOMIC_RELEASE);
	if (delay >= 1000)
		/* from the rmdir on, not from when it was asked for */
		ASSERT_OK(memcg_reap(pid), "child");
	if (delay > 0)
		usleep(delay);
	switch (what) {
	case CREATE:
		link = memcg_attach(skel->maps.a, fd, 0);
		if (link)
			link_won++;
		else if (ASSERT_EQ(errno, ENODEV, "create"))
			cgroup_won++;
		break;
	case DETACH:
		ASSERT_OK(bpf_link__detach(link), "detach");
		ASSERT_EQ(book(cgroup_id)->offline, 1, "told when the detach returns");
		break;
	case UPDATE:
		err = bpf_link__update_map(link, skel->maps.b);
		if (!err)
			link_won++;
		else if (ASSERT_EQ(err, -ENOLINK, "update"))
			cgroup_won++;
		break;
	case PIN:
		snprintf(path, sizeof(path), BPFFS "/memcg_race_%d", getpid());
		ASSERT_OK(bpf_link__pin(link, path), "pin");
		ASSERT_OK(bpf_link__unpin(link), "unpin");
		break;
	}
	bpf_link__destroy(link);
	if (delay < 1000)
		ASSERT_OK(memcg_reap(pid), "child");
	munmap(go, 4096);
}

/*
 * The cgroup goes while its link is created, closed, detached, updated or
 * pinned. Catches, with the debug kernel's help: whoever comes second using
 * what the first one freed. Both outcomes must have been seen.
 */
static void test_race(void)
{
	struct memcg_book *other;
	int fd, i;

	link_won = 0;
	cgroup_won = 0;
	for (i = 0; i < ARRAY_SIZE(race_delays) * NR_RACES; i++) {
		fd = memcg_create("/a");
		cgroup_id = get_cgroup_id("/a");
		if (!ASSERT_OK_FD(fd, "memcg_create"))
			break;
		race_once(fd, i % NR_RACES, race_delays[i / NR_RACES]);
		close(fd);
		other = memcg_book(skel->bss->b_books, cgroup_id);
		if (!ASSERT_TRUE(memcg_wait(book(cgroup_id)->offline == book(cgroup_id)->online &&
					    other->offline == other->online), "offline") ||
		    !ASSERT_EQ(book(cgroup_id)->late + other->late, 0, "calls after offline"))
			break;
		/* the books are small */
		memset(skel->bss->a_books, 0, sizeof(skel->bss->a_books));
		memset(skel->bss->b_books, 0, sizeof(skel->bss->b_books));
	}
	ASSERT_GT(link_won, 0, "the link was first");
	ASSERT_GT(cgroup_won, 0, "the cgroup was first");
	ASSERT_EQ(skel->bss->memcg_twice, 0, "online twice");
}

/*
 * The memory controller goes and comes while policies attach. Catches: a link
 * that sticks to a css which is gone, or to one that is not there yet. Both
 * outcomes must have been seen, for links that were attached and for new ones.
 */
static void test_race_controller(void)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BPF_F_CGROUP_FD);
	int parent, fd, link_fd, attached = 0, refused = 0, kept = 0, lost = 0, i, err;
	pid_t pid;
	__u64 id;

	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	id = get_cgroup_id("/p/a");
	/* a map has its value from when it is first attached */
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, fd, 0), 0, "attach");
	ASSERT_EQ(memcg_attach_errno(skel->maps.a, fd, 0), 0, "attach");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			memcg_write(parent, "cgroup.subtree_control", "-memory");
			while (memcg_write(parent, "cgroup.subtree_control", "+memory"))
				;
			usleep(1000);
		}
	}
	/* until all was seen often enough; on a slow machine that may take a while */
	memcg_wait(({
		for (i = 0; i < 10; i++) {
			link_fd = bpf_link_create(bpf_map__fd(skel->maps.a), fd, BPF_STRUCT_OPS,
						  &opts);
			if (link_fd < 0) {
				if (link_fd != -ENOENT && link_fd != -ENODEV)
					ASSERT_OK(link_fd, "attach");
				refused++;
				continue;
			}
			attached++;
			usleep(race_delays[attached % ARRAY_SIZE(race_delays)] & 0xfff);
			err = bpf_link_update(link_fd, bpf_map__fd(skel->maps.b), NULL);
			if (err && err != -ENOLINK)
				ASSERT_OK(err, "update");
			if (err)
				lost++;
			else
				kept++;
			close(link_fd);
		}
		attached >= 20 && refused >= 20 && kept >= 5 && lost >= 5;
	}));
	memcg_kill(pid);
	ASSERT_GT(attached, 0, "attached");
	ASSERT_GT(refused, 0, "refused");
	ASSERT_GT(kept, 0, "updated while attached");
	ASSERT_GT(lost, 0, "updated too late");
	ASSERT_TRUE(memcg_wait(book(id)->offline == book(id)->online), "offline");
	ASSERT_EQ(book(id)->late, 0, "calls after offline");
	ASSERT_EQ(skel->bss->memcg_twice, 0, "online twice");
	close(fd);
	close(parent);
}

/*
 * A policy elsewhere is called, and does not return: no grace period ends, so
 * nothing that died can go offline or be told. In a cgroup of its own.
 */
struct stall {
	struct bpf_link *link;
	pid_t pid;
	int fd;
};

static bool stall_begin(struct stall *stall)
{
	stall->fd = memcg_create("/stall");
	stall->pid = -1;
	stall->link = memcg_attach(skel->maps.slow, stall->fd, 0);
	if (!ASSERT_OK_PTR(stall->link, "attach the stall"))
		return false;
	stall->pid = memcg_spawn(stall->fd, memcg_use_some, NULL);
	return ASSERT_TRUE(memcg_wait(skel->bss->slow_entered), "stalled");
}

static void stall_end(struct stall *stall)
{
	skel->bss->slow_release = true;
	memcg_reap(stall->pid);
	bpf_link__destroy(stall->link);
	close(stall->fd);
}

/*
 * A removed child whose link is still held, and that cannot go offline yet, is no
 * reason to refuse an attachment above it, and is not told of it. Catches: dying
 * cgroups that block, for as long as a task of theirs is stuck in exit.
 */
static void test_dying(void)
{
	struct bpf_link *child, *upper;
	struct stall stall;
	int parent, fd;
	__u64 id;

	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	id = get_cgroup_id("/p/a");
	child = memcg_attach(skel->maps.b, fd, 0);
	if (!ASSERT_OK_PTR(child, "attach to the child") || !stall_begin(&stall))
		goto out;
	remove_cgroup("/p/a");
	ASSERT_TRUE(link_events(child, 0) & POLLHUP, "POLLHUP at once");

	upper = memcg_attach(skel->maps.a, parent, 0);
	ASSERT_OK_PTR(upper, "attach above");
	ASSERT_EQ(skel->bss->slow_left, 0, "stalled until here");
	stall_end(&stall);
	bpf_link__destroy(upper);
	ASSERT_EQ(book(id)->online, 0, "announced to the dying");
	ASSERT_TRUE(memcg_wait(memcg_book(skel->bss->b_books, id)->offline == 1), "child told");
out:
	bpf_link__destroy(child);
	close(fd);
	close(parent);
}

/*
 * When a detach returns, cgroups removed before have been told, too, wherever they
 * are on their way to go offline. Catches: offline calls in a work item that
 * nobody waits for.
 */
static void test_detach_removed(void)
{
	const int nr = 8;
	struct bpf_link *link;
	int parent, i, j;
	char path[64];
	__u64 id[nr];

	parent = memcg_create("/p");
	for (i = 0; i < ARRAY_SIZE(race_delays); i++) {
		for (j = 0; j < nr; j++) {
			snprintf(path, sizeof(path), "/p/a%d", j);
			close(memcg_create(path));
			id[j] = get_cgroup_id(path);
		}
		link = memcg_attach(skel->maps.a, parent, 0);
		if (!ASSERT_OK_PTR(link, "attach"))
			break;
		for (j = 0; j < nr; j++) {
			snprintf(path, sizeof(path), "/p/a%d", j);
			remove_cgroup(path);
		}
		if (race_delays[i] > 0)
			usleep(race_delays[i]);
		ASSERT_OK(bpf_link__detach(link), "detach");
		for (j = 0; j < nr; j++) {
			ASSERT_EQ(book(id[j])->online, 1, "online");
			if (!ASSERT_EQ(book(id[j])->offline, 1, "offline when the detach returns"))
				printf("after %d us\n", race_delays[i]);
		}
		bpf_link__destroy(link);
		/* the books are small */
		memset(skel->bss->a_books, 0, sizeof(skel->bss->a_books));
	}
	close(parent);
}

/* Threads that change links of one map against each other */
struct crossing {
	pthread_t thread;
	struct bpf_link *link;
	struct bpf_map *map;
	int fd;
	__u32 flags;
	bool *stop;
	int changes;
};

static void *cross_update(void *arg)
{
	struct crossing *c = arg;

	while (!__atomic_load_n(c->stop, __ATOMIC_RELAXED))
		c->changes += !bpf_link__update_map(c->link, c->map);
	return NULL;
}

static void *cross_attach(void *arg)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BPF_F_CGROUP_FD);
	struct crossing *c = arg;
	int fd;

	opts.flags |= c->flags;
	while (!__atomic_load_n(c->stop, __ATOMIC_RELAXED)) {
		fd = bpf_link_create(bpf_map__fd(c->map), c->fd, BPF_STRUCT_OPS, &opts);
		if (fd < 0)
			continue;
		c->changes++;
		close(fd);
	}
	return NULL;
}

static void cross(struct crossing c[2], void *(*fn)(void *))
{
	bool stop = false;
	int i;

	for (i = 0; i < 2; i++) {
		c[i].stop = &stop;
		c[i].changes = 0;
		if (!ASSERT_OK(pthread_create(&c[i].thread, NULL, fn, &c[i]), "pthread_create"))
			c[i].stop = NULL;
	}
	memcg_wait(__atomic_load_n(&c[0].changes, __ATOMIC_RELAXED) >= 25 &&
		   __atomic_load_n(&c[1].changes, __ATOMIC_RELAXED) >= 25);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		if (c[i].stop)
			pthread_join(c[i].thread, NULL);
		ASSERT_GE(c[i].changes, 25, "changes");
	}
}

/*
 * Online, offline, online: a policy is never told twice in a row that it governs
 * a memcg, or that it does not, whoever changes what at the same time.
 */
static void test_alternate(void)
{
	struct bpf_link *link, *upper;
	struct crossing c[2];
	int parent, fd, i;

	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, fd, 0), 0, "attach b");
	link = memcg_attach(skel->maps.a, fd, 0);
	if (!ASSERT_OK_PTR(link, "attach a"))
		goto out;

	/* updates of one link to a, and to b */
	c[0] = (struct crossing){ .link = link, .map = skel->maps.a };
	c[1] = (struct crossing){ .link = link, .map = skel->maps.b };
	cross(c, cross_update);
	bpf_link__destroy(link);
	ASSERT_EQ(skel->bss->memcg_twice, 0, "updates: online twice");
	ASSERT_EQ(memcg_books_late(skel->bss->a_books), 0, "updates: a's calls after offline");
	ASSERT_EQ(memcg_books_late(skel->bss->b_books), 0, "updates: b's calls after offline");

	/* one detached, and attached again before that was over */
	c[0] = (struct crossing){ .fd = fd, .map = skel->maps.a };
	c[1] = c[0];
	cross(c, cross_attach);
	ASSERT_EQ(skel->bss->memcg_twice, 0, "attach again: online twice");

	/* overridden, restored, overridden again */
	upper = memcg_attach(skel->maps.a, parent, BPF_F_ALLOW_OVERRIDE);
	if (!ASSERT_OK_PTR(upper, "upper"))
		goto out;
	c[0] = (struct crossing){ .fd = fd, .map = skel->maps.b, .flags = BPF_F_ALLOW_OVERRIDE };
	c[1] = c[0];
	cross(c, cross_attach);
	ASSERT_EQ(skel->bss->memcg_twice, 0, "restore: online twice");

	/* the controller off and on: another memcg, but the same cgroup */
	for (i = 0; i < 20; i++) {
		ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "-memory"), "off");
		ASSERT_TRUE(memcg_wait(!memcg_write(parent, "cgroup.subtree_control", "+memory")),
			    "on");
	}
	ASSERT_EQ(skel->bss->memcg_twice, 0, "controller: online twice");
	bpf_link__destroy(upper);
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->a_books)), "a pairs");
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->b_books)), "b pairs");
	ASSERT_EQ(memcg_books_late(skel->bss->a_books), 0, "a's calls after offline");
	ASSERT_EQ(memcg_books_late(skel->bss->b_books), 0, "b's calls after offline");
out:
	close(fd);
	close(parent);
}

static void *attach_once(void *arg)
{
	struct crossing *c = arg;

	c->link = memcg_attach(c->map, c->fd, c->flags);
	return NULL;
}

/*
 * A policy is overridden, and is back before it was told: whoever overrides it waits
 * for a grace period in its system call, and loses its link meanwhile, because the
 * controller is switched off. That stays behind io, as in test_controller_hidden().
 */
static void test_returning(void)
{
	int parent = memcg_create("/p"), fd = memcg_create("/p/a"), i;
	struct crossing c = { .fd = fd, .map = skel->maps.b, .flags = BPF_F_ALLOW_OVERRIDE };
	struct bpf_link *upper;

	upper = memcg_attach(skel->maps.a, parent, BPF_F_ALLOW_OVERRIDE);
	if (!ASSERT_OK_PTR(upper, "attach above") ||
	    !ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "+io"), "io"))
		goto out;
	for (i = 0; i < 20; i++) {
		if (!ASSERT_OK(pthread_create(&c.thread, NULL, attach_once, &c), "thread"))
			break;
		ASSERT_TRUE(memcg_wait(nr_policies(fd) == 1), "attached");
		ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "-memory"), "off");
		pthread_join(c.thread, NULL);
		bpf_link__destroy(c.link);
		ASSERT_OK(memcg_write(parent, "cgroup.subtree_control", "+memory"), "on");
	}
	ASSERT_EQ(skel->bss->memcg_twice, 0, "online twice");
	bpf_link__destroy(upper);
	upper = NULL;
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->a_books)), "a pairs");
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->b_books)), "b pairs");
out:
	bpf_link__destroy(upper);
	close(fd);
	close(parent);
}

static bool has_cgroups(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = !dir;

	while (!found && (entry = readdir(dir)))
		found = entry->d_type == DT_DIR && entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/*
 * The memory controller moves to cgroup v1 while a policy is attached to the root
 * of cgroup v2. Needs a system on which nothing else uses the controller.
 */
static void test_v1_mount(void)
{
	char dir[] = "/tmp/memcg_v1_XXXXXX";
	struct bpf_link *link = NULL;
	int root = -1, fd;
	bool on_v1;

	cleanup_cgroup_environment();
	/* take nobody's memory controller away */
	if (has_cgroups("/sys/fs/cgroup")) {
		test__skip();
		goto out_setup;
	}
	if (!ASSERT_OK_PTR(mkdtemp(dir), "mkdtemp"))
		goto out_setup;
	root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	if (!ASSERT_OK_FD(root, "root"))
		goto out;
	link = memcg_attach(skel->maps.a, root, 0);
	if (!ASSERT_OK_PTR(link, "attach to the root"))
		goto out;
	memcg_write(root, "cgroup.subtree_control", "-memory");
	/* EBUSY while there are memcgs that were removed, and their page cache keeps them */
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	ASSERT_EQ(write(fd, "1", 1), 1, "drop_caches");
	close(fd);
	on_v1 = false;
	memcg_wait((on_v1 = !mount("none", dir, "cgroup", 0, "memory")) || errno != EBUSY);
	if (!on_v1) {
		test__skip();	/* CONFIG_MEMCG_V1 is off, or memory is in use */
	} else {
		ASSERT_TRUE(link_events(link, 0) & POLLHUP, "POLLHUP");
		check_dead_link(link);
		ASSERT_EQ(memcg_attach_errno(skel->maps.b, root, 0), ENOENT, "attach while on v1");
		ASSERT_EQ(nr_policies(root), -ENOENT, "query while on v1");
		ASSERT_EQ(book(1)->offline, book(1)->online, "offline");
	}
	umount(dir);
	bpf_link__destroy(link);
	link = NULL;
	/* it comes back when the v1 hierarchy is gone */
	ASSERT_TRUE(memcg_wait(!memcg_write(root, "cgroup.subtree_control", "+memory")), "back");
	ASSERT_EQ(memcg_attach_errno(skel->maps.b, root, 0), 0, "attach after it came back");
out:
	rmdir(dir);
	bpf_link__destroy(link);
	if (root >= 0)
		close(root);
out_setup:
	setup_cgroup_environment();
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
 * a memcg after its last call, long after the policy itself may be gone.
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

static void *detach_thread(void *link)
{
	return (void *)(long)bpf_link__detach(link);
}

/*
 * A policy is detached while another CPU is inside it, and stays there. Catches:
 * an offline call, or the end of the detach, before the last call has returned;
 * a lock that is held meanwhile, so that other links have to wait.
 */
static void test_inside(void)
{
	struct bpf_link *link, *other;
	pthread_t thread;
	void *err = NULL;
	pid_t pid = -1;
	int fd, fd2;

	fd = memcg_create("/a");
	fd2 = memcg_create("/b");
	link = memcg_attach(skel->maps.slow, fd, 0);
	if (!ASSERT_OK_PTR(link, "attach"))
		goto out;
	pid = memcg_spawn(fd, memcg_use_some, NULL);
	if (!ASSERT_TRUE(memcg_wait(skel->bss->slow_entered), "entered") ||
	    !ASSERT_OK(pthread_create(&thread, NULL, detach_thread, link), "pthread_create"))
		goto out;

	ASSERT_TRUE(memcg_wait(!nr_policies(fd)), "detached, as others see it");
	other = memcg_attach(skel->maps.a, fd2, 0);
	ASSERT_OK_PTR(other, "attach elsewhere");
	ASSERT_EQ(skel->bss->slow_offline, 0, "offline calls so far");
	ASSERT_EQ(skel->bss->slow_left, 0, "still inside");

	skel->bss->slow_release = true;
	ASSERT_OK(pthread_join(thread, &err), "pthread_join");
	ASSERT_OK((long)err, "detach");
	ASSERT_GE(skel->bss->slow_left, 1, "the call returned");
	ASSERT_EQ(skel->bss->slow_offline, 1, "offline calls");
	ASSERT_EQ(skel->bss->slow_offline_inside, 0, "offline calls while inside");
	bpf_link__destroy(other);
out:
	skel->bss->slow_release = true;
	memcg_reap(pid);
	bpf_link__destroy(link);
	close(fd2);
	close(fd);
}

/*
 * A CPU is inside the first of two policies while a third one is attached. Catches: an
 * effective array that is freed while somebody still walks it, which KASAN sees.
 */
static void test_replaced(void)
{
	struct bpf_link *links[3] = {};
	pid_t pid = -1;
	__u64 id;
	int fd, i;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	links[0] = memcg_attach(skel->maps.slow, fd, BPF_F_ALLOW_MULTI);
	links[1] = memcg_attach(skel->maps.b, fd, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(links[0], "slow") || !ASSERT_OK_PTR(links[1], "b"))
		goto out;
	pid = memcg_spawn(fd, memcg_use_some, NULL);
	if (!ASSERT_TRUE(memcg_wait(skel->bss->slow_entered), "entered"))
		goto out;
	links[2] = memcg_attach(skel->maps.a, fd, BPF_F_ALLOW_MULTI);
	ASSERT_OK_PTR(links[2], "a");
	ASSERT_EQ(skel->bss->slow_left, 0, "still inside");
	ASSERT_EQ(memcg_book(skel->bss->b_books, id)->calls, 0, "calls of b so far");
	skel->bss->slow_release = true;
	ASSERT_TRUE(memcg_wait(memcg_book(skel->bss->b_books, id)->calls), "b is called");
out:
	skel->bss->slow_release = true;
	memcg_reap(pid);
	for (i = 0; i < 3; i++)
		bpf_link__destroy(links[i]);
	close(fd);
}

#define RCU_EXPEDITED	"/sys/kernel/rcu_expedited"

/*
 * Offline calls are made for all links together, and by whoever comes first. Catches: one
 * that waited for an older grace period and makes the call of a policy that a CPU is
 * still inside. Each policy keeps a CPU busy, so there have to be others. Grace periods are
 * expedited: a normal one may have to wait for one that is under way before it begins, and
 * then waits for the second policy as well. Five attempts, because an expedited one does
 * so, too, if that policy is entered before the first detach begins to wait.
 */
static void test_two_inside(void)
{
	struct memcg_books *skels[2] = { skel };
	struct bpf_link *links[2] = {};
	pthread_t threads[2];
	bool detaching[2];
	pid_t pids[2];
	int fds[2], i, n, rcu;
	char before[8] = {};

	if (sysconf(_SC_NPROCESSORS_ONLN) < 4) {
		test__skip();
		return;
	}
	rcu = open(RCU_EXPEDITED, O_RDWR);
	skels[1] = memcg_books__open_and_load();
	fds[0] = memcg_create("/a");
	fds[1] = memcg_create("/b");
	if (!ASSERT_OK_PTR(skels[1], "memcg_books__open_and_load") ||
	    !ASSERT_GT(read(rcu, before, sizeof(before) - 1), 0, RCU_EXPEDITED) ||
	    !ASSERT_EQ(pwrite(rcu, "1", 1, 0), 1, RCU_EXPEDITED))
		goto out;

	for (n = 0; n < 5; n++) {
		memset(detaching, 0, sizeof(detaching));
		memset(pids, -1, sizeof(pids));
		for (i = 0; i < 2; i++) {
			skels[i]->bss->slow_entered = 0;
			skels[i]->bss->slow_left = 0;
			skels[i]->bss->slow_release = false;
			links[i] = memcg_attach(skels[i]->maps.slow, fds[i], 0);
			ASSERT_OK_PTR(links[i], "attach");
		}
		for (i = 0; i < 2 && links[i]; i++) {
			pids[i] = memcg_spawn(fds[i], memcg_use_some, NULL);
			if (!ASSERT_TRUE(memcg_wait(skels[i]->bss->slow_entered), "entered") ||
			    !ASSERT_OK(pthread_create(&threads[i], NULL, detach_thread, links[i]),
				       "pthread_create"))
				break;
			detaching[i] = true;
			ASSERT_TRUE(memcg_wait(!nr_policies(fds[i])), "detached, as others see it");
		}
		for (i = 0; i < 2; i++) {
			skels[i]->bss->slow_release = true;
			if (detaching[i])
				pthread_join(threads[i], NULL);
			memcg_reap(pids[i]);
			bpf_link__destroy(links[i]);
			ASSERT_EQ(skels[i]->bss->slow_offline, n + 1, "offline calls");
			ASSERT_EQ(skels[i]->bss->slow_offline_inside, 0, "offline calls while inside");
		}
	}
out:
	pwrite(rcu, before, strlen(before), 0);
	close(rcu);
	memcg_books__destroy(skels[1]);
	close(fds[1]);
	close(fds[0]);
}

struct second_detach {
	struct bpf_link *link;
	bool returned;
	__u32 left;	/* had the call returned by then? */
};

static void *second_detach(void *arg)
{
	struct second_detach *second = arg;

	bpf_link__detach(second->link);
	second->left = skel->bss->slow_left;
	__atomic_store_n(&second->returned, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * A link is detached twice while a CPU is inside its policy. Catches: a second
 * detach that finds nothing to do and returns.
 */
static void test_detach_twice(void)
{
	struct second_detach second = {};
	pthread_t first, thread;
	__u64 patience;
	pid_t pid = -1;
	int fd;

	fd = memcg_create("/a");
	second.link = memcg_attach(skel->maps.slow, fd, 0);
	if (!ASSERT_OK_PTR(second.link, "attach"))
		goto out;
	pid = memcg_spawn(fd, memcg_use_some, NULL);
	if (!ASSERT_TRUE(memcg_wait(skel->bss->slow_entered), "entered") ||
	    !ASSERT_OK(pthread_create(&first, NULL, detach_thread, second.link), "first") ||
	    !ASSERT_TRUE(memcg_wait(!nr_policies(fd)), "the first one is under way") ||
	    !ASSERT_OK(pthread_create(&thread, NULL, second_detach, &second), "second"))
		goto out;
	/* it must not return; a tenth of a second is plenty for what it would do wrong */
	patience = get_time_ns() + 100000000ULL;
	while (!__atomic_load_n(&second.returned, __ATOMIC_ACQUIRE) && get_time_ns() < patience)
		usleep(1000);
	skel->bss->slow_release = true;
	pthread_join(first, NULL);
	pthread_join(thread, NULL);
	ASSERT_EQ(second.left, 1, "the call returned before the second detach did");
	ASSERT_EQ(skel->bss->slow_offline, 1, "offline calls");
out:
	skel->bss->slow_release = true;
	memcg_reap(pid);
	bpf_link__destroy(second.link);
	close(fd);
}

/* Threads of a threaded subtree are charged to its root, whose policy hears. */
static void test_threaded(void)
{
	struct bpf_link *link;
	int fd, threaded;
	__u64 id;

	fd = memcg_create("/a");
	id = get_cgroup_id("/a");
	threaded = create_and_get_cgroup("/a/t");
	ASSERT_OK(memcg_write(threaded, "cgroup.type", "threaded"), "cgroup.type");
	link = memcg_attach(skel->maps.a, fd, 0);
	if (ASSERT_OK_PTR(link, "attach")) {
		ASSERT_TRUE(memcg_hears(skel->bss->a_books, fd, id), "hears of the root");
		ASSERT_EQ(memcg_attach_errno(skel->maps.b, threaded, BPF_F_ALLOW_MULTI), ENOENT,
			  "has no memcg of its own");
		ASSERT_EQ(nr_policies(threaded), 0, "nor policies");
	}
	bpf_link__destroy(link);
	close(threaded);
	close(fd);
}

/* What fdinfo says of a link to that cgroup has @want in it. */
static int check_path(int cgroup_fd, const char *want)
{
	char path[64], buf[4096];
	struct bpf_link *link;
	int fd, n;

	link = memcg_attach(skel->maps.a, cgroup_fd, 0);
	if (!link)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	fd = open(path, O_RDONLY);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	bpf_link__destroy(link);
	if (n <= 0)
		return 2;
	buf[n] = '\0';
	return strstr(buf, want) ? 0 : 3;
}

static int in_namespace(void *arg)
{
	int *fds = arg;

	if (unshare(CLONE_NEWCGROUP))
		return 10;
	return check_path(fds[0], "cgroup_path:\t/\n") ?:
	       check_path(fds[1], "cgroup_path:\t/../b\n");
}

/* Paths are the reader's, wherever the root of its cgroup namespace is. */
static void test_namespace(void)
{
	int fds[] = { memcg_create("/a"), memcg_create("/b") };

	ASSERT_OK(memcg_run(fds[0], in_namespace, fds), "as seen from inside");
	close(fds[0]);
	close(fds[1]);
}

#define FAULTS	"/sys/kernel/debug/"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err;

	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* Let the @nth allocation of this thread from now on fail; 0 for none. */
static void fail_nth(int fd, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	pwrite(fd, text, strlen(text), 0);
}

/* Has it failed? Otherwise there were not that many. */
static bool has_failed(int fd)
{
	char text[16] = "";

	pread(fd, text, sizeof(text) - 1, 0);
	fail_nth(fd, 0);
	return !atoi(text);
}

/* The books are small: give those of dead memcgs away, once they are complete. */
static void forget_dead(struct memcg_book *books, int alive)
{
	int i, open;

	memcg_wait(({
		for (i = 0, open = 0; i < MEMCG_BOOKS; i++)
			open += books[i].online != books[i].offline;
		open <= alive;
	}));
	for (i = 0; i < MEMCG_BOOKS; i++)
		if (books[i].online == books[i].offline)
			memset(&books[i], 0, sizeof(books[i]));
}

static __u32 map_id(struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_map_get_info_by_fd(bpf_map__fd(map), &info, &len) ? 0 : info.id;
}

static bool map_gone(__u32 id)
{
	int fd = bpf_map_get_fd_by_id(id);

	if (fd >= 0)
		close(fd);
	return fd == -ENOENT;
}

/*
 * Every allocation on the way of attaching, updating and making a cgroup fails
 * in its turn. Catches: a link that is published before it can no longer fail,
 * and a failure that takes with it what others attached.
 */
static void test_faults(void)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI);
	int parent, fd, link_fd, fault, nth, err, failed[3] = {};
	struct bpf_link *link, *gone = NULL;
	struct stall stall = { .fd = -1 };
	__u64 id, before;

	if (write_file(FAULTS "failslab/ignore-gfp-wait", "N")) {
		test__skip();
		return;
	}
	write_file(FAULTS "failslab/verbose", "0");
	/* Whole pages fail, too, where the kernel can make them. */
	write_file(FAULTS "fail_page_alloc/ignore-gfp-wait", "N");
	write_file(FAULTS "fail_page_alloc/verbose", "0");
	fault = open("/proc/thread-self/fail-nth", O_RDWR);
	parent = memcg_create("/p");
	fd = memcg_create("/p/a");
	id = get_cgroup_id("/p/a");
	/* a map has its value from when it is first attached */
	ASSERT_EQ(memcg_attach_errno(skel->maps.a, fd, 0), 0, "attach a");
	memset(skel->bss->a_books, 0, sizeof(skel->bss->a_books));
	link = memcg_attach(skel->maps.b, parent, BPF_F_ALLOW_MULTI);
	if (!ASSERT_OK_PTR(link, "attach b") || !ASSERT_OK_FD(fault, "fail-nth"))
		goto out;

	/* beside a cgroup that is dying and will be for as long as this takes */
	close(memcg_create("/p/gone"));
	gone = memcg_attach(skel->maps.b, parent, BPF_F_ALLOW_MULTI);
	ASSERT_OK_PTR(gone, "attach for the dying");
	bpf_link__destroy(gone);
	if (!stall_begin(&stall))
		goto out;
	remove_cgroup("/p/gone");

	for (nth = 1; nth < 1000; nth++) {
		before = revision(parent);
		fail_nth(fault, nth);
		link_fd = bpf_link_create(bpf_map__fd(skel->maps.a), parent, BPF_STRUCT_OPS,
					  &opts);
		err = errno;
		if (!has_failed(fault))
			break;
		if (link_fd >= 0) {
			skel->bss->slow_release = true;
			close(link_fd);
		} else {
			failed[0]++;
			ASSERT_EQ(err, ENOMEM, "attach: errno");
			ASSERT_EQ(revision(parent), before, "attach: revision");
		}
		if (!ASSERT_EQ(nr_policies(parent), 1, "attach: policies") ||
		    !ASSERT_EQ(book(id)->online, book(id)->offline, "attach: pairs"))
			break;
	}
	ASSERT_GE(link_fd, 0, "attach, in the end");
	stall_end(&stall);
	close(link_fd);

	for (nth = 1; nth < 1000; nth++) {
		before = revision(parent);
		fail_nth(fault, nth);
		err = bpf_link_update(bpf_link__fd(link), bpf_map__fd(skel->maps.a), NULL);
		if (!has_failed(fault))
			break;
		if (!err)
			ASSERT_OK(bpf_link__update_map(link, skel->maps.b), "update back");
		else
			failed[1]++;
		if (err)
			ASSERT_EQ(revision(parent), before, "update: revision");
		if (!ASSERT_EQ(book(id)->online, book(id)->offline, "update: pairs") ||
		    !ASSERT_TRUE(memcg_hears(skel->bss->b_books, fd, id), "update: the old one"))
			break;
	}
	ASSERT_OK(err, "update, in the end");

	/* a new cgroup has many reasons to fail; a policy must hear of none */
	for (nth = 1; nth < 1000; nth++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "/proc/self/fd/%d/new", parent);
		fail_nth(fault, nth);
		err = mkdir(path, 0755) ? errno : 0;
		if (!has_failed(fault))
			break;
		failed[2] += !!err;
		if (!err)
			rmdir(path);
		/* of /p and /p/a by the link's policy, which is a now */
		forget_dead(skel->bss->a_books, 2);
	}
	ASSERT_OK(err, "mkdir, in the end");
	remove_cgroup("/p/new");
	printf("failed: attach %d, update %d, mkdir %d\n", failed[0], failed[1], failed[2]);
	ASSERT_GT(failed[0], 2, "attachments that failed");
	ASSERT_GT(failed[1], 1, "updates that failed");
	ASSERT_GT(failed[2], 2, "cgroups that failed");
	bpf_link__destroy(link);
	link = NULL;
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->a_books)), "a pairs");
	ASSERT_TRUE(memcg_wait(memcg_books_pair(skel->bss->b_books)), "b pairs");
	ASSERT_EQ(skel->bss->memcg_strangers, 0, "calls without online");
out:
	bpf_link__destroy(link);
	close(fault);
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
		{ "controller_hidden", test_controller_hidden },
		{ "race", test_race },
		{ "race_controller", test_race_controller },
		{ "dying", test_dying },
		{ "detach_removed", test_detach_removed },
		{ "detach_twice", test_detach_twice },
		{ "alternate", test_alternate },
		{ "returning", test_returning },
		{ "inside", test_inside },
		{ "two_inside", test_two_inside },
		{ "replaced", test_replaced },
		{ "threaded", test_threaded },
		{ "namespace", test_namespace },
		{ "faults", test_faults },
		{ "info", test_info },
		{ "pin", test_pin },
		{ "loader_killed", test_loader_killed },
		{ "dead_cache", test_dead_cache },
		{ "v1_mount", test_v1_mount },
	};
	__u32 a, b;
	int i;

	type_id = memcg_type_id("memcg_bpf_ops");
	if (!ASSERT_NEQ(type_id, 0, "memcg_bpf_ops"))
		return;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!test__start_subtest(tests[i].name))
			continue;
		skel = memcg_books__open_and_load();
		if (ASSERT_OK_PTR(skel, "memcg_books__open_and_load") &&
		    ASSERT_OK(setup_cgroup_environment(), "setup_cgroup_environment")) {
			tests[i].fn();
			if (skel)
				ASSERT_EQ(skel->bss->memcg_strangers, 0, "calls without online");
		}
		cleanup_cgroup_environment();
		a = skel ? map_id(skel->maps.a) : 0;
		b = skel ? map_id(skel->maps.b) : 0;
		memcg_books__destroy(skel);
		/* a reference that was left behind would keep a map */
		ASSERT_TRUE(memcg_wait(map_gone(a)), "a is freed");
		ASSERT_TRUE(memcg_wait(map_gone(b)), "b is freed");
	}
}
