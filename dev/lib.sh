# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What every script under dev/ shares: where things are, how to speak, how to
# fail, how to get packages and how to run something long. To be sourced:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# It sets TOP (the repository), BASE (the base's name, a line of series/BASES,
# whose other fields become BASE_KERNEL, BASE_PACKAGE, BASE_VERSION, BASE_SHA256
# and BASE_SUITES), CACHE (downloads, per user), BUILD (all that is built for
# this base), TREE (the patched source tree) and OBJ (the kernel's object
# directory, that of a debug kernel with DEBUG=1 or DEBUG=kcsan).

set -euo pipefail

# The makes we call are no sub-makes of ours: the kernel's selftests, for one,
# find their output directory only at the top level, and copy / without it.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BASE=${BASE:-7.3}
CACHE=${MEMCG_BPF_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/memcg-bpf}

# say WORDS: progress, on stderr so that stdout stays the result's
say()
{
	printf 'memcg-bpf: %s\n' "$*" >&2
}

# die WORDS [CODE]: one line of what was wrong and what to do, then exit
die()
{
	printf 'memcg-bpf: error: %s\n' "$1" >&2
	exit "${2:-1}"
}

# at_exit COMMAND ARGS: run it when the script ends in whatever way, last first
at_exit_commands=()
at_exit()
{
	at_exit_commands+=("$(printf '%q ' "$@")")
}

run_at_exit()
{
	local status=$? i

	trap '' INT TERM HUP
	for ((i = ${#at_exit_commands[@]} - 1; i >= 0; i--)); do
		eval "${at_exit_commands[i]}" || :
	done
	exit "$status"
}
trap run_at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# scratch_dir VAR: a temporary directory, removed at exit
scratch_dir()
{
	local dir

	dir=$(mktemp -d "${TMPDIR:-/tmp}/memcg-bpf.XXXXXX")
	at_exit rm -rf -- "$dir"
	printf -v "$1" %s "$dir"
}

# lock FILE: hold it until the script ends; say so when another one has it.
# Children inherit the lock: start long-lived ones with {lock_fd}>&-.
lock()
{
	mkdir -p "$(dirname "$1")"
	exec {lock_fd}>>"$1"
	if ! flock -n "$lock_fd"; then
		say "waiting for another run that holds $1"
		flock "$lock_fd"
	fi
}

unlock()
{
	exec {lock_fd}>&-
}

# need_packages PACKAGE[:COMMAND]...: install what is missing, after saying so.
# Where there is no apt-get, the commands named are all that can be looked for.
need_packages()
{
	local item missing=() root=()

	if ! command -v apt-get >/dev/null; then
		for item; do
			[[ $item != *:* ]] || command -v "${item#*:}" >/dev/null ||
				missing+=("${item#*:}")
		done
		[[ ${#missing[@]} -eq 0 ]] ||
			die "no apt-get here, and these commands are missing: ${missing[*]} (from what Debian calls ${*%%:*})"
		return 0
	fi

	mapfile -t missing < <(missing_packages "$@")
	[[ ${#missing[@]} -gt 0 ]] || return 0

	say "installing Debian packages: ${missing[*]}"
	if [[ $(id -u) -ne 0 ]]; then
		command -v sudo >/dev/null ||
			die "these packages are missing, and there is no sudo: as root, run: apt-get install ${missing[*]}"
		root=(sudo)
	fi
	mkdir -p "$TOP/build"
	run_logged "$TOP/build/apt.log" apt_install "${missing[@]}"
}

# missing_packages PACKAGE[:COMMAND]...: those that are not installed
missing_packages()
{
	local item

	for item; do
		item=${item%%:*}
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$item" 2>/dev/null) == installed ]] ||
			echo "$item"
	done
}

apt_install()
{
	# a list that cannot be refreshed need not keep the packages from us
	"${root[@]}" apt-get -o DPkg::Lock::Timeout=600 update ||
		echo "apt-get update failed, trying to install all the same"
	# of a run that was interrupted
	"${root[@]}" dpkg --configure -a
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y \
		-o DPkg::Lock::Timeout=600 install --no-install-recommends "$@"
}

# packages_of SCRIPT...: what these scripts ask need_packages for
packages_of()
{
	sed -e :a -e '/\\$/N; s/\\\n//; ta' "$@" |
		sed -n -E 's/^[^#"]*\bneed_packages ([a-z][^)|&;]*).*/\1/p' | tr -s ' \t' '\n' | sort -u
}

# announce WHAT SCRIPTS WORDS PACKAGE[:COMMAND]...: one line about what is going to be
# installed, fetched and built for make WHAT, and WORDS about what comes then. SCRIPTS
# of dev/ are used for it, besides those that get a kernel. Installs all packages.
announce()
{
	local what=$1 scripts=$2 words=$3 packages=() plan=() missing=() size
	shift 3

	# shellcheck disable=SC2086
	mapfile -t packages < <(cd "$TOP/dev" && packages_of base tree lib-series.sh kernel vm $scripts)
	packages+=("$@")
	if command -v apt-get >/dev/null; then
		mapfile -t missing < <(missing_packages "${packages[@]}")
		size=$(LC_ALL=C apt-get --assume-no -o Debug::NoLocking=1 install --no-install-recommends \
			"${missing[@]}" 2>/dev/null | sed -n 's/^Need to get \([^ ]* [^ ]*B\).*/\1/p') || :
		[[ ${#missing[@]} -eq 0 ]] || plan+=("installs ${#missing[@]} Debian packages and what they need (${size:-some 100 MB} to fetch)")
	fi
	[[ -n ${KERNEL_SRC:-} || -e $BUILD/base/Makefile || -d $CACHE/${BASE_PACKAGE}_$BASE_VERSION ]] ||
		plan+=("fetches the kernel's source (170 MB, 1.8 GB unpacked)")
	[[ -e $OBJ/arch/x86/boot/bzImage ]] ||
		plan+=("builds the kernel (about $((KERNEL_CPU_MINUTES / $(nproc) + 1)) minutes, 4 GB under build/)")
	[[ ${#plan[@]} -eq 0 ]] || words="then $words"
	printf -v words '%s, ' "${plan[@]}" "$words"
	say "make $what ${words%, }"
	need_packages "${packages[@]}"
}

# run_logged LOGFILE COMMAND ARGS: output goes to the file; a line every 20 s
# says that it lives and where it is; when it fails, the reason is shown. A shell
# function given as COMMAND runs without -e: chain its steps with &&. With LINES_TO_COME
# set, about so many lines are expected, one for each file that is built.
run_logged()
{
	local log=$1 status=0 beat
	shift

	mkdir -p "$(dirname "$log")"
	: >"$log"
	heartbeat "$log" "$$" &
	beat=$!
	# In the foreground: a job in the background would be deaf to Ctrl-C.
	if "$@" </dev/null >>"$log" 2>&1; then status=0; else status=$?; fi
	kill "$beat" 2>/dev/null || :
	wait "$beat" 2>/dev/null || :

	if [[ $status -ne 0 ]]; then
		show_failure "$log"
		say "failed with status $status: $1; the whole log: $log"
	fi
	return "$status"
}

heartbeat()
{
	local log=$1 parent=$2 last start=$SECONDS n=0

	trap - EXIT INT TERM HUP
	while sleep 1 >/dev/null 2>&1 && kill -0 "$parent" 2>/dev/null; do
		(((n += 1) % 20 == 0)) || continue
		last=$(tail -n 1 "$log" | tr -d '\000-\010\013-\037' | cut -c 1-100)
		say "$((SECONDS - start)) s: $(progress "$log" $((SECONDS - start)))$last"
	done
}

# progress LOGFILE SECONDS: how far it is after that time, with LINES_TO_COME
progress()
{
	local lines

	lines=$(wc -l <"$1")
	# the last steps, such as linking, take long and say little
	((lines > 0 && lines < ${LINES_TO_COME:-0})) || return 0
	echo "$lines of about $LINES_TO_COME files, $(((LINES_TO_COME - lines) * $2 / lines / 60 + 1)) min left: "
}

# show_failure LOGFILE: the lines that look like a reason, else the last ones
show_failure()
{
	local lines

	lines=$(grep -n -E -A 4 '(^|[^a-z_-])(error|ERROR|Error|undefined reference|FAILED|No space left|fatal)[: ]' "$1" |
		head -n 30) || :
	[[ -n $lines ]] || lines=$(tail -n 20 "$1")
	printf '%s\n' "$lines" >&2
}

# count_lost: from here on dev/vm notes the runs that the emulator lost (see there);
# say_lost: say how many it repeated, if any
count_lost()
{
	local tally_dir

	scratch_dir tally_dir
	export VM_TALLY=$tally_dir/lost
}

say_lost()
{
	[[ ! -s $VM_TALLY ]] ||
		say "repeated $(wc -l <"$VM_TALLY") guest runs that the emulator lost (see dev/vm)"
}

# accelerator: print what guests run under, KVM or an emulator
accelerator()
{
	PROBE=1 "$TOP/dev/vm"
}

# say_accelerator: say it once, instead of for each guest
say_accelerator()
{
	say "guests run under $(accelerator)"
	export VM_QUIET=1
}

# base_fields: the line of series/BASES for $BASE
base_fields()
{
	local name known=()

	while IFS=$'\t' read -r name BASE_KERNEL BASE_PACKAGE BASE_VERSION \
			BASE_SHA256 BASE_SUITES; do
		[[ -n $name && $name != \#* ]] || continue
		[[ $name != "$BASE" ]] || return 0
		known+=("$name")
	done <"$TOP/series/BASES"
	die "no base named '$BASE' in series/BASES; there are: ${known[*]}" 2
}

# kernel_version DIR: the version of the source tree there, nothing if it is none
kernel_version()
{
	[[ -r $1/Makefile ]] || return 0
	awk -F ' *= *' '
		$1 == "VERSION" { v = $2 }
		$1 == "PATCHLEVEL" { v = v "." $2 }
		$1 == "SUBLEVEL" { v = v "." $2 }
		$1 == "EXTRAVERSION" { if (v ~ /\./) print v $2; exit }
	' "$1/Makefile"
}

# kernel_make_args TREE OBJECTS: fill make_args for builds of the kernel, by way of ccache
# if it is there. Fixed values, because each would otherwise make ccache miss.
kernel_make_args()
{
	make_args=(-C "$1" "O=$2" "-j$(nproc)" LOCALVERSION=
		KBUILD_BUILD_USER=memcg-bpf KBUILD_BUILD_HOST=memcg-bpf
		"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970")
	command -v ccache >/dev/null || return 0
	make_args+=("CC=ccache gcc")
	# CCACHE_DEPEND saves running the preprocessor apart; what it overlooks, dev/tools/ccache
	# keeps from it
	export CCACHE_DIR=$CACHE/compiler CCACHE_BASEDIR=$TOP CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
	[[ -n ${MEMCG_BPF_CCACHE:-} ]] || MEMCG_BPF_CCACHE=$(command -v ccache)
	export MEMCG_BPF_CCACHE
	[[ $PATH == "$TOP/dev/tools:"* ]] || export PATH=$TOP/dev/tools:$PATH
}

# What it takes to build the kernel with nothing in the compiler's cache
readonly KERNEL_CPU_MINUTES=35

base_fields
export BASE
BUILD=$TOP/build/$BASE
TREE=$BUILD/linux
# In the tree: the kernel's build then calls its sources by relative paths, so that ccache
# can know an object again in another tree (a mutant's, the base's, another clone's)
OBJ=$TREE/obj
case ${DEBUG:-0} in
0)	;;
1)	OBJ=$TREE/obj-debug ;;
kcsan)	OBJ=$TREE/obj-kcsan ;;
*)	die "DEBUG='$DEBUG' is none of 0, 1 and kcsan" 2 ;;
esac
