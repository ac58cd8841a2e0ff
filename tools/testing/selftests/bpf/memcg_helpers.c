// SPDX-License-Identifier: GPL-2.0
/* What the memcg_*.c tests share: the user space side. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/btf.h>
#include "memcg_helpers.h"

struct memcg_book *memcg_book(struct memcg_book *books, unsigned long long cgid)
{
	static struct memcg_book none;
	int i;

	for (i = 0; i < MEMCG_BOOKS; i++)
		if (cgid && books[i].cgid == cgid)
			return &books[i];
	memset(&none, 0, sizeof(none));
	return &none;
}

long memcg_books_balance(const struct memcg_book *books)
{
	long pages = 0;
	int i;

	for (i = 0; i < MEMCG_BOOKS; i++)
		pages += books[i].charged - books[i].uncharged;
	return pages;
}

bool memcg_books_pair(const struct memcg_book *books)
{
	int i;

	for (i = 0; i < MEMCG_BOOKS; i++)
		if (books[i].online != books[i].offline)
			return false;
	return true;
}

long memcg_books_late(const struct memcg_book *books)
{
	long late = 0;
	int i;

	for (i = 0; i < MEMCG_BOOKS; i++)
		late += books[i].late;
	return late;
}

__u32 memcg_type_id(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT) : 0;

	btf__free(btf);
	return id < 0 ? 0 : id;
}

struct bpf_link *memcg_attach(const struct bpf_map *map, int cgroup_fd, __u32 flags)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts,
		    .flags = BPF_F_CGROUP_FD | flags,
		    .target_fd = cgroup_fd);

	return bpf_map__attach_struct_ops_opts(map, &opts);
}

int memcg_attach_errno(const struct bpf_map *map, int cgroup_fd, __u32 flags)
{
	struct bpf_link *link = memcg_attach(map, cgroup_fd, flags);
	int err = link ? 0 : errno;

	bpf_link__destroy(link);
	return err;
}

int memcg_create(const char *path)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s", path);
	dirname(parent);
	/* EBUSY while a task that was reaped is still on its way out of it */
	if (!memcg_wait(!enable_controllers(parent, "memory")))
		return -1;
	return create_and_get_cgroup(path);
}

int memcg_write(int cgroup_fd, const char *file, const char *value)
{
	int fd, err = 0;

	fd = openat(cgroup_fd, file, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int memcg_write_long(int cgroup_fd, const char *file, long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", value);
	return memcg_write(cgroup_fd, file, buf);
}

long memcg_read(int cgroup_fd, const char *file, const char *key)
{
	char buf[16384], *p = buf;
	ssize_t len;
	int fd;

	fd = openat(cgroup_fd, file, O_RDONLY);
	if (fd < 0)
		return -1;
	len = read(fd, buf + 1, sizeof(buf) - 2);
	close(fd);
	if (len < 0)
		return -1;
	buf[0] = '\n';
	buf[len + 1] = '\0';
	while (key && (p = strstr(p, key))) {
		char before = p[-1];

		p += strlen(key);
		if (strchr("\n ", before) && strchr(" =", *p))
			break;
	}
	return p ? strtol(p + 1, NULL, 10) : -1;
}

long memcg_pages(int cgroup_fd)
{
	long bytes = memcg_read(cgroup_fd, "memory.current", NULL);

	return bytes < 0 ? -1 : bytes / sysconf(_SC_PAGESIZE);
}

int memcg_join(int cgroup_fd)
{
	return memcg_write(cgroup_fd, "cgroup.procs", "0");
}

pid_t memcg_spawn(int cgroup_fd, int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	/* a test that dies leaves no child behind to pin its cgroups */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (memcg_join(cgroup_fd))
		_exit(125);
	_exit(fn(arg));
}

int memcg_reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int memcg_run(int cgroup_fd, int (*fn)(void *arg), void *arg)
{
	return memcg_reap(memcg_spawn(cgroup_fd, fn, arg));
}

void memcg_kill(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		memcg_reap(pid);
	}
}

void memcg_pause(void)
{
	raise(SIGSTOP);
}

bool memcg_paused(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, WUNTRACED) == pid &&
	       WIFSTOPPED(status);
}

void memcg_resume(pid_t pid)
{
	kill(pid, SIGCONT);
}

void *memcg_populate(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

int memcg_use_some(void *unused)
{
	return memcg_populate(MEMCG_MB) == MAP_FAILED;
}

int memcg_churn(void *unused)
{
	void *p;
	int i;

	for (i = 0; i < 100; i++) {
		p = memcg_populate(MEMCG_MB);
		if (p == MAP_FAILED)
			return 1;
		munmap(p, MEMCG_MB);
	}
	return 0;
}

int memcg_loop(size_t size)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	char path[32];
	int ctl, nr, fd = -1;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	config.fd = memfd_create("memcg_loop", MFD_CLOEXEC);
	if (ctl < 0 || (int)config.fd < 0 || fallocate(config.fd, 0, 0, size))
		goto out;
	do {
		nr = ioctl(ctl, LOOP_CTL_GET_FREE);
		snprintf(path, sizeof(path), "/dev/loop%d", nr);
		fd = nr < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0 || !ioctl(fd, LOOP_CONFIGURE, &config))
			break;
		close(fd);
		fd = -1;
	} while (errno == EBUSY);
out:
	if ((int)config.fd >= 0)
		close(config.fd);
	if (ctl >= 0)
		close(ctl);
	return fd;
}

int memcg_read_cache(int fd, size_t offset, size_t size)
{
	static char buf[64 * 1024];
	ssize_t n;

	for (; size; size -= n, offset += n) {
		n = pread(fd, buf, size < sizeof(buf) ? size : sizeof(buf), offset);
		if (n <= 0)
			return 1;
	}
	return 0;
}

bool memcg_hears(struct memcg_book *books, int cgroup_fd, unsigned long long cgid)
{
	unsigned long long before = memcg_book(books, cgid)->calls;

	if (memcg_run(cgroup_fd, memcg_use_some, NULL))
		return false;
	return memcg_book(books, cgid)->calls > before;
}
