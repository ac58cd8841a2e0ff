// SPDX-License-Identifier: GPL-2.0
/* What memcg, memcg_reclaim and memcg_stat share. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <mntent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include "memcg_common.h"

#define MAX_OPTIONS	40

bool verbose, quiet, probe_only, list_pinned;
unsigned long long duration_s;
const char *pin_name, *unpin_name;
const char *json_path;
FILE *json_file;
static FILE *log_file;

int complain(int status, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	return status;
}

__u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

double wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * From here on a signal waits until it can be answered properly. Shells have
 * what they start in the background ignore SIGINT, nohup has it ignore SIGHUP;
 * the first is undone here, the second is respected.
 */
int open_signals(void)
{
	struct sigaction hup;
	sigset_t set;
	int fd;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	/* A closed pipe is an error like any other */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		complain(EXIT_FAILURE, "signalfd: %s", strerror(errno));
	return fd;
}

/* Options */

static const struct option_spec common_options[] = {
	{ "json", "FILE", "write lines of JSON there (-: to stdout)", TEXT, 'j', &json_path },
	{ "probe", NULL, "say what this kernel offers, and do nothing", FLAG, 0, &probe_only },
	{ "quiet", NULL, "no log, only errors", FLAG, 'q', &quiet },
	{ "verbose", NULL, "show what libbpf says", FLAG, 'v', &verbose },
	{ "version", NULL, "show the version", SHOW_VERSION, 'V', NULL },
	{ "help", NULL, "show this", SHOW_HELP, 'h', NULL },
};

const struct option_spec policy_options[] = {
	{ "duration", "S", "stop after S seconds, 1..31536000",
	  NUMBER, 0, &duration_s, 1, 31536000 },
	{ "pin", "NAME", "leave the policy running under this name, and end", TEXT, 0, &pin_name },
	{ "unpin", "NAME", "end the policy of this name", TEXT, 0, &unpin_name },
	{ "list", NULL, "show the policies that were left running", FLAG, 'l', &list_pinned },
	{ }
};

static int parse_number(const struct option_spec *o, const char *text)
{
	unsigned long long *value = o->value;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *value < o->min || *value > o->max)
		return complain(EXIT_USAGE, "--%s '%s': give a whole number from %llu to %llu",
				o->name, text, o->min, o->max);
	return 0;
}

/* 75%, 24M or off; suffixes are those of the cgroup files */
static int parse_mark(const struct option_spec *o, const char *text)
{
	static const char suffixes[] = "kmgtpe";
	struct mark *mark = o->value;
	unsigned int shift = 0;
	const char *suffix;
	double percent;
	char *end;

	memset(mark, 0, sizeof(*mark));
	mark->given = true;
	/* max says whether it can be off */
	if (o->max && !strcmp(text, "off"))
		return 0;
	if (*text >= '0' && *text <= '9' && text[strlen(text) - 1] == '%') {
		percent = strtod(text, &end);
		if (!strcmp(end, "%") && percent >= 0.1 && percent < 100) {
			mark->share = percent * 10 + 0.5;
			return 0;
		}
		return complain(EXIT_USAGE, "--%s '%s': give a percentage from 0.1 to below 100",
				o->name, text);
	}
	errno = 0;
	mark->bytes = strtoull(text, &end, 10);
	suffix = *end ? strchr(suffixes, *end | 0x20) : NULL;
	if (suffix) {
		shift = 10 * (suffix - suffixes + 1);
		end++;
	}
	if (*text < '0' || *text > '9' || *end || errno || mark->bytes > 1ULL << 60 >> shift)
		return complain(EXIT_USAGE, "--%s '%s': give a size, such as 24M, or a percentage of the limit, such as 75%%%s",
				o->name, text, o->max ? ", or off" : "");
	mark->bytes <<= shift;
	if (mark->bytes < (unsigned long long)sysconf(_SC_PAGESIZE))
		return complain(EXIT_USAGE, "--%s '%s': this is less than a page", o->name, text);
	return 0;
}

/* The number of @word among the @words, which are separated by |; or -1 */
static int find_word(const char *words, const char *word, size_t len)
{
	int i = 0;

	for (;; words++, i++) {
		if (strcspn(words, "|") == len && !strncmp(words, word, len))
			return i;
		words += strcspn(words, "|");
		if (!*words)
			return -1;
	}
}

static int parse_words(const struct option_spec *o, const char *text)
{
	unsigned int *value = o->value, bits = 0;
	size_t len;
	int i;

	for (;; text += len + 1) {
		len = o->kind == CHOICES ? strcspn(text, ",") : strlen(text);
		i = find_word(o->arg, text, len);
		if (i < 0)
			return complain(EXIT_USAGE, "--%s '%.*s': give %s of %s", o->name, (int)len,
					text, o->kind == CHOICES ? "some (joined by commas)" : "one",
					o->arg);
		bits |= 1U << i;
		if (!text[len])
			break;
	}
	*value = o->kind == CHOICES ? bits : i;
	return 0;
}

static int parse_cgroup(const struct option_spec *o, const char *text)
{
	struct targets *targets = o->value;

	if (targets->nr == MAX_TARGETS)
		return complain(EXIT_USAGE, "--%s %s: there are %d already, no more than that",
				o->name, text, MAX_TARGETS);
	targets->list[targets->nr++] = (struct target){
		.option = o->name, .path = text, .fd = -1,
	};
	return 0;
}

static void show_help(const struct option_spec *specs, unsigned int n, const char *head,
		      const char *tail)
{
	const struct option_spec *o;
	const char *line, *end;
	char left[64];

	fputs(head, stdout);
	for (o = specs; o < specs + n; o++) {
		snprintf(left, sizeof(left), "  %c%c%c --%s %s", o->letter ? '-' : ' ',
			 o->letter ?: ' ', o->letter ? ',' : ' ', o->name, o->arg ?: "");
		printf("%-26s", left);
		if (strlen(left) > 25)
			printf("\n%26s", "");
		for (line = o->help; ; line = end + 1) {
			end = strchrnul(line, '\n');
			printf(" %.*s\n", (int)(end - line), line);
			if (!*end)
				break;
			printf("%26s", "");
		}
	}
	fputs(tail, stdout);
}

int parse_options(int argc, char **argv, const struct option_spec *specs,
		  const struct option_spec *more, const char **operand,
		  const char *head, const char *tail)
{
	struct option_spec all[MAX_OPTIONS];
	struct option options[MAX_OPTIONS + 1] = {};
	char letters[2 * MAX_OPTIONS + 1] = "";
	const struct option_spec *o;
	int c, i, n = 0, err = 0;

	for (; specs->name; specs++)
		all[n++] = *specs;
	for (; more && more->name; more++)
		all[n++] = *more;
	memcpy(all + n, common_options, sizeof(common_options));
	n += ARRAY_SIZE(common_options);
	for (i = 0; i < n; i++) {
		o = &all[i];
		/* by number, because not all have a letter */
		options[i] = (struct option){ o->name, o->arg ? required_argument : no_argument,
					      NULL, 256 + i };
		if (o->letter)
			sprintf(letters + strlen(letters), "%c%s", o->letter, o->arg ? ":" : "");
	}

	while (!err && (c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		for (i = 0; i < n && c != 256 + i && c != all[i].letter; i++)
			;
		if (i == n)	/* getopt_long() has said what is wrong */
			return EXIT_USAGE;
		o = &all[i];
		switch (o->kind) {
		case FLAG:
			*(bool *)o->value = true;
			break;
		case NUMBER:
			err = parse_number(o, optarg);
			break;
		case TEXT:
			*(const char **)o->value = optarg;
			break;
		case CHOICE:
		case CHOICES:
			err = parse_words(o, optarg);
			break;
		case CGROUPS:
			err = parse_cgroup(o, optarg);
			break;
		case MARK:
			err = parse_mark(o, optarg);
			break;
		case SHOW_VERSION:
			printf("%s (memcg-bpf) %s\n", program_invocation_short_name, VERSION);
			exit(EXIT_SUCCESS);
		case SHOW_HELP:
			show_help(all, n, head, tail);
			exit(EXIT_SUCCESS);
		}
	}
	if (err)
		return err;
	if (operand && optind < argc)
		*operand = argv[optind++];
	if (optind < argc)
		return complain(EXIT_USAGE, "'%s': %s, see --help", argv[optind],
				operand ? "one cgroup directory is enough" : "only options are taken");
	return 0;
}

/* Cgroups */

bool on_cgroup2(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int get_cgroup_id(int fd, __u64 *id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(*id)];
	} u;
	int mount_id;

	u.handle.handle_bytes = sizeof(*id);
	if (name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH))
		return -errno;
	memcpy(id, u.handle.f_handle, sizeof(*id));
	return 0;
}

int find_cgroup_root(char *dir, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;

	while (mounts && !found && (m = getmntent(mounts))) {
		found = !strcmp(m->mnt_type, "cgroup2");
		if (found)
			snprintf(dir, size, "%s", m->mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	return found ? 0 : complain(EXIT_LACKING, "cgroup v2 is not mounted anywhere");
}

int open_target(struct target *t)
{
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return complain(EXIT_USAGE, "--%s %s: %s", t->option, t->path, strerror(errno));
	if (!on_cgroup2(t->fd))
		return complain(EXIT_USAGE, "--%s %s: not a cgroup v2 directory",
				t->option, t->path);
	if (faccessat(t->fd, "memory.current", F_OK, 0)) {
		if (faccessat(t->fd, "cgroup.events", F_OK, 0))
			return complain(EXIT_USAGE, "--%s %s: the root cgroup cannot be controlled, give one below it",
					t->option, t->path);
		return complain(EXIT_USAGE, "--%s %s: the memory controller is not enabled for it, write +memory to cgroup.subtree_control of its parent",
				t->option, t->path);
	}
	if (get_cgroup_id(t->fd, &t->id))
		return complain(EXIT_FAILURE, "--%s %s: no cgroup id: %s", t->option,
				t->path, strerror(errno));
	return 0;
}

/* Symbolic links do not fool this. */
bool is_below(const struct target *t, __u64 id)
{
	int fd = dup(t->fd), up;
	__u64 parent = 0, last = t->id;
	bool found = false;

	while (fd >= 0 && !found) {
		up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
		/* above the mount point is another file system, or itself */
		if (fd < 0 || !on_cgroup2(fd) || get_cgroup_id(fd, &parent) || parent == last)
			break;
		found = parent == id;
		last = parent;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

const char *cgroup_path(__u64 id, char *path, size_t size)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(id)];
	} u = { .handle = { .handle_bytes = sizeof(id), .handle_type = 0xfe /* FILEID_KERNFS */ } };
	static char root[PATH_MAX];
	static int root_fd = -1;
	char proc[64], full[PATH_MAX];
	ssize_t len = -1;
	int fd;

	if (root_fd < 0 && !find_cgroup_root(root, sizeof(root)))
		root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(root_fd, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		len = readlink(proc, full, sizeof(full) - 1);
		close(fd);
	}
	if (len < 0) {
		snprintf(path, size, "(cgroup %llu)", (unsigned long long)id);
		return path;
	}
	full[len] = '\0';
	len = strlen(root);
	snprintf(path, size, "%s", strncmp(full, root, len) ? full : full[len] ? full + len : "/");
	return path;
}

static const char *attach_reason(int err)
{
	switch (err) {
	case EBADF:
		return "not a cgroup v2 directory";
	case ENOENT:
		return "the memory controller is not enabled for it";
	case ENODEV:
		return "it is being removed";
	case EBUSY:
		return "a policy of this cgroup, above or below it does not allow another";
	case E2BIG:
		return "it has as many policies as it can have";
	case EPERM:
	case EACCES:
		return "not permitted, be root";
	default:
		return strerror(err);
	}
}

int attach_policy(struct target *t, const struct bpf_map *map)
{
	LIBBPF_OPTS(bpf_struct_ops_opts, opts,
		    .flags = BPF_F_CGROUP_FD | BPF_F_ALLOW_MULTI,
		    .target_fd = t->fd);

	t->link = bpf_map__attach_struct_ops_opts(map, &opts);
	if (!t->link)
		return complain(EXIT_FAILURE, "--%s %s: the policy cannot be attached: %s",
				t->option, t->path, attach_reason(errno));
	return 0;
}

/* The kernel */

bool kernel_has(const char *function)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf && btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return found;
}

int probe_kernel(const struct kernel_need *needs, bool report)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err = btf ? 0 : EXIT_LACKING;
	bool found;

	if (!btf && report)
		printf("no   type information (CONFIG_DEBUG_INFO_BTF): nothing works\n");
	else if (!btf)
		complain(err, "the kernel's type information cannot be read (CONFIG_DEBUG_INFO_BTF): %s",
			 strerror(errno));
	for (; btf && needs->name; needs++) {
		if (*needs->name == '/')
			found = !access(needs->name, R_OK);
		else
			found = btf__find_by_name_kind(btf, needs->name, needs->kind) > 0;
		if (report)
			printf("%-4s %s (%s)%s%s\n", found ? "yes" : "no", needs->what, needs->name,
			       found ? "" : ": ", found ? "" : needs->without ?: "nothing works");
		if (found || needs->without || err)
			continue;
		err = EXIT_LACKING;
		if (!report)
			complain(err, "this kernel has no %s (CONFIG_BPF_MEMCG)", needs->name);
	}
	btf__free(btf);
	if (report && fflush(stdout))
		return complain(EXIT_FAILURE, "the output cannot be written: %s", strerror(errno));
	return err;
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (!verbose || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

int complain_load(int err)
{
	bool permission = err == -EPERM || err == -EACCES;

	return complain(EXIT_FAILURE, "the BPF object cannot be loaded: %s; %ssee --verbose",
			strerror(-err), permission ? "be root, and " : "");
}

/* Output */

int open_output(void)
{
	libbpf_set_print(print_libbpf);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_file = stdout;
	if (!json_path)
		return 0;
	if (!strcmp(json_path, "-")) {
		json_file = stdout;
		log_file = stderr;
		return 0;
	}
	json_file = fopen(json_path, "we");
	if (!json_file)
		return complain(EXIT_USAGE, "--json %s: %s", json_path, strerror(errno));
	setvbuf(json_file, NULL, _IOLBF, 0);
	return 0;
}

void say(const char *fmt, ...)
{
	struct timespec ts;
	struct tm tm;
	va_list args;
	char text[32];

	if (quiet)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%F %T", &tm);
	fprintf(log_file, "%s.%03ld ", text, ts.tv_nsec / 1000000);
	va_start(args, fmt);
	vfprintf(log_file, fmt, args);
	va_end(args);
	fputc('\n', log_file);
}

int check_output(void)
{
	/* An error that was not looked at stays in the stream */
	if (fflush(log_file ?: stdout) || ferror(log_file ?: stdout))
		return complain(EXIT_FAILURE, "the output cannot be written: %s", strerror(errno));
	if (json_file && (fflush(json_file) || ferror(json_file)))
		return complain(EXIT_FAILURE, "--json %s: %s", json_path, strerror(errno));
	return 0;
}

/* How many bytes of valid UTF-8 with one character @s begins with; 0 for none. */
static unsigned int utf8_length(const unsigned char *s)
{
	unsigned int len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
			   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	unsigned int i;

	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* too long, surrogates, and beyond the last */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

static void print_string(FILE *f, const char *text, bool json)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned int len;

	putc('"', f);
	for (; *s; s += len ?: 1) {
		len = utf8_length(s);
		if (!len)
			fputs("\xef\xbf\xbd", f);	/* U+FFFD, the replacement character */
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(f, json ? "\\u%04x" : *s == '\n' ? "\\n" : "?", *s);
		else
			fwrite(s, 1, len, f);
	}
	putc('"', f);
}

void print_json_string(FILE *f, const char *text)
{
	print_string(f, text, true);
}

void print_label(FILE *f, const char *text)
{
	print_string(f, text, false);
}

/* Policies that are left running */

int check_pin_name(const char *name)
{
	/* the BPF file system has no names with dots */
	if (!*name || strlen(name) > 64 || strpbrk(name, "./"))
		return complain(EXIT_USAGE, "'%s': give a name of 1 to 64 bytes without slashes and dots",
				name);
	return 0;
}

/* Everything in PIN_ROOT/@name, links first, so that the policy ends at once */
static int remove_pins(const char *name)
{
	char dir[PATH_MAX], path[PATH_MAX + 256];
	struct dirent *entry;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/%s", PIN_ROOT, name);
	d = opendir(dir);
	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		unlink(path);
	}
	closedir(d);
	return rmdir(dir) ? -errno : 0;
}

int pin_policy(const char *name, const struct targets *targets, const struct map_pin *maps)
{
	char path[PATH_MAX];
	unsigned int i;
	int err;

	mkdir(PIN_ROOT, 0700);
	snprintf(path, sizeof(path), "%s/%s", PIN_ROOT, name);
	if (mkdir(path, 0700))
		return complain(errno == EEXIST ? EXIT_USAGE : EXIT_FAILURE, "--pin %s: %s%s", name,
				strerror(errno), errno == EEXIST ? "; end it with --unpin" :
				"; is a BPF file system mounted at /sys/fs/bpf?");
	for (; maps->map; maps++) {
		snprintf(path, sizeof(path), "%s/%s/%s", PIN_ROOT, name, maps->name);
		err = bpf_obj_pin(bpf_map__fd(maps->map), path);
		if (err)
			goto fail;
	}
	for (i = 0; i < targets->nr; i++) {
		snprintf(path, sizeof(path), "%s/%s/link_%u", PIN_ROOT, name, i);
		err = bpf_link__pin(targets->list[i].link, path);
		if (err)
			goto fail;
	}
	return 0;
fail:
	remove_pins(name);
	return complain(EXIT_FAILURE, "--pin %s: %s", path, strerror(-err));
}

int unpin_policy(const char *name)
{
	int err = check_pin_name(name);

	if (err)
		return err;
	err = remove_pins(name);
	if (err)
		return complain(err == -ENOENT ? EXIT_USAGE : EXIT_FAILURE, "--unpin %s: %s", name,
				err == -ENOENT ? "there is none, see --list" : strerror(-err));
	return 0;
}

static void read_links(struct pinned *p)
{
	struct bpf_link_info info;
	char path[PATH_MAX];
	__u32 len;
	int fd;

	for (p->nr_links = 0; p->nr_links < MAX_TARGETS; p->nr_links++) {
		snprintf(path, sizeof(path), "%s/%s/link_%u", PIN_ROOT, p->name, p->nr_links);
		fd = bpf_obj_get(path);
		if (fd < 0)
			break;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		p->cgroup_ids[p->nr_links] = bpf_link_get_info_by_fd(fd, &info, &len) ? 0 :
					     info.struct_ops.cgroup_id;
		close(fd);
	}
}

int walk_pinned(const char *only, const char *map, int (*show)(const struct pinned *p, int fd))
{
	struct dirent **names;
	struct pinned p = {};
	char path[PATH_MAX];
	bool found = false;
	int n, i, fd, err = 0;

	n = scandir(PIN_ROOT, &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		p.name = names[i]->d_name;
		if (*p.name == '.' || err || (only && strcmp(only, p.name)))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", PIN_ROOT, p.name, map);
		fd = bpf_obj_get(path);
		if (fd < 0)	/* of another program */
			continue;
		found = true;
		read_links(&p);
		err = show(&p, fd);
		close(fd);
	}
	for (i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
	if (only && !found)
		return complain(EXIT_USAGE, "'%s': nothing of that name is pinned here, see --list",
				only);
	return err;
}
