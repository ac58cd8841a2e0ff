#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check the sample memcg_reclaim: `test_memcg_reclaim.sh PATH-OF-MEMCG_RECLAIM`, as
# root, on a kernel with CONFIG_BPF_MEMCG. One line per check, `ok N - text` or
# `not ok N - text`; exit status 1 when one failed, 77 when the kernel lacks the
# policies.

set -u

memcg=${1:?give the path of the built sample}
# Something to fill the page cache with: where the build of the kernel leaves it
big=${2:-$(dirname "$memcg")/../../vmlinux}
root=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
top=$root/test_memcg_reclaim.$$
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/memcg_check.sh"

cleanup()
{
	"$memcg" --unpin "test-$$" >/dev/null 2>&1
	rmdir "$top"/*/ "$top" 2>/dev/null
}

helps()
{
	"$memcg" --help >"$dir/log" 2>"$dir/err" && grep -q -- --brake "$dir/log"
}

# fresh: an empty cgroup, no limit above it, and nothing cached
fresh()
{
	echo 1 >/proc/sys/vm/drop_caches
	emptied "$top"/*/
	rmdir "$top"/*/ 2>/dev/null
	echo max >"$top/memory.max"
	echo max >"$top/memory.high"
	mkdir -p "$top/low"
}

# begin OPTION...: start it, return when it is attached
begin()
{
	: >"$dir/log"
	"$memcg" --json "$dir/json" "$@" >"$dir/log" 2>"$dir/err" &
	pid=$!
	logged keeping
}

# counter NAME: from the last line of JSON
counter()
{
	sed -n "s/.*\"$1\": \"\{0,1\}\([a-z0-9]*\).*/\1/p" "$dir/json" | tail -n 1
}

# cache CGROUP MIB SKIP: that much page cache
cache()
{
	(echo "$BASHPID" >"$top/$1/cgroup.procs" &&
		exec dd if="$big" of=/dev/null bs=1M count="$2" skip="$3" status=none)
}

# events CGROUP max|high
events()
{
	sed -n "s/^$2 //p" "$top/$1/memory.events"
}

stop()
{
	kill -INT "$pid" && ended 0 && grep -q 'detached' "$dir/log"
}

# avoids_max OPTION...: low reads more than its limit, and hits it only without us
avoids_max()
{
	fresh
	echo 64M >"$top/low/memory.max"
	cache low 128 0
	[[ $(events low max) -gt 0 ]] || return
	fresh
	echo 64M >"$top/low/memory.max"
	begin "$top/low" "$@" && cache low 128 0 && [[ $(events low max) -eq 0 ]] && stop &&
		[[ $(counter ended) == signal && $(counter reclaimed) -gt 0 ]]
}

# lowered: the limit gets lower while it runs, as in a resize in place
lowered()
{
	fresh
	echo 128M >"$top/low/memory.max"
	begin "$top/low" && cache low 32 0 && echo 48M >"$top/low/memory.max" &&
		cache low 128 32 && [[ $(events low max) -eq 0 ]] && stop &&
		[[ $(counter starts) -gt 0 ]] && grep -q 'from 36864 KiB' "$dir/log"
}

# by_high: memory.high is the nearest limit
by_high()
{
	fresh
	echo 128M >"$top/low/memory.max"
	echo 48M >"$top/low/memory.high"
	begin "$top/low" && cache low 128 0 && [[ $(events low high) -eq 0 ]] && stop &&
		[[ $(counter starts) -gt 0 ]]
}

by_ancestor()
{
	fresh
	echo 128M >"$top/low/memory.max"
	echo 48M >"$top/memory.max"
	local before
	before=$(sed -n 's/^max //p' "$top/memory.events")
	begin "$top/low" && cache low 128 0 && stop && [[ $(counter starts) -gt 0 ]] &&
		[[ $(sed -n 's/^max //p' "$top/memory.events") -eq $before ]]
}

# warns: a size that the limit has come below is not forgotten, nor hoped for
warns()
{
	fresh
	echo 128M >"$top/low/memory.max"
	begin "$top/low" --start 96m --stop 80m && echo 48M >"$top/low/memory.max" &&
		cache low 128 0 && [[ $(events low max) -eq 0 ]] && stop &&
		grep -q 'warning: --start can never be reached' "$dir/log"
}

hangs_up()
{
	fresh && begin "$top/low" --start 24M && kill -HUP "$pid" && ended 0 &&
		grep -q 'detached' "$dir/log"
}

ends_with_target()
{
	fresh && begin "$top/low" --start 24M && rmdir "$top/low" && ended 0 &&
		[[ $(counter ended) == gone ]]
}

# each: all with a limit of their own, made before and after, and nobody else
each()
{
	fresh && mkdir "$top/free" && echo 64M >"$top/low/memory.max" || return
	begin --each "$top" --start 75% --stop 50% && mkdir "$top/later" &&
		echo 48M >"$top/later/memory.max" &&
		cache low 96 0 && cache later 64 96 && cache free 48 160 &&
		[[ $(events low max) -eq 0 && $(events later max) -eq 0 ]] &&
		[[ $(<"$top/free/memory.current") -gt $((40 << 20)) ]] && stop &&
		grep -q '/low: reclaim from 49152 KiB down to 32768 KiB' "$dir/log" &&
		grep -q '/later: reclaim from' "$dir/log" && ! grep -q '/free: ' "$dir/log"
}

# attribute CGROUP TEXT
attribute()
{
	python3 -c 'import os, sys
os.setxattr(sys.argv[1], "user.memcg_reclaim", sys.argv[2].encode())' "$top/$1" "$2"
}

attributes()
{
	fresh && mkdir "$top/off" && echo 64M | tee "$top/low/memory.max" >"$top/off/memory.max" &&
		attribute low "50 25" && attribute off "off" || return
	begin --each "$top" && cache low 96 0 && cache off 96 100 &&
		[[ $(events low max) -eq 0 && $(events off max) -gt 0 ]] && stop &&
		grep -q '/low: reclaim from 32768 KiB down to 16384 KiB, by its attribute' \
			"$dir/log" &&
		grep -q '/off: off, by its attribute' "$dir/log"
}

# charged PATTERN: appears in the log while low charges, within 20 s
charged()
{
	local i

	for ((i = 0; i < 200; i++)); do
		! grep -q -- "$1" "$dir/log" || return 0
		cache low 1 $((100 + i))
		sleep 0.1
	done
	return 1
}

# an attribute that is set, changed and removed while it runs
attribute_changes()
{
	fresh && echo 64M >"$top/low/memory.max" && begin --each "$top" || return
	charged '/low: reclaim from 49152 KiB' && attribute low 40 &&
		charged '/low: reclaim from 26212 KiB down to 22932 KiB, by its attribute' &&
		attribute low off && charged '/low: off, by its attribute' || return
	: >"$dir/log"
	python3 -c 'import os, sys; os.removexattr(sys.argv[1], "user.memcg_reclaim")' "$top/low" &&
		charged '/low: reclaim from 49152 KiB' && stop
}

# nonsense is said once, and does not count
bad_attributes()
{
	local text

	fresh && echo 64M >"$top/low/memory.max" || return
	for text in '95%' '90 95' '95  90' '95 90 85' '95 ' '100' 'offer' '123456789012345678'; do
		attribute low "$text" && begin --each "$top" && charged 'low: warning: user' &&
			charged '/low: reclaim from 49152 KiB down to 43008 KiB$' && stop &&
			[[ $(grep -c warning "$dir/log") -eq 1 ]] || return
	done
}

pinned()
{
	fresh && echo 64M >"$top/low/memory.max" &&
		"$memcg" --each "$top" --pin "test-$$" >"$dir/log" 2>"$dir/err" &&
		cache low 96 0 && [[ $(events low max) -eq 0 ]] &&
		"$memcg" --list >"$dir/log" 2>"$dir/err" &&
		grep -q "^test-$$ .*/${top##*/}: 1 cgroups, [1-9][0-9]* starts" "$dir/log"
	local status=$?
	"$memcg" --unpin "test-$$" 2>"$dir/err" && [[ $status -eq 0 ]] &&
		! grep -q test <("$memcg" --list)
}

full()
{
	refused 1 'No space' "$top/low" --quiet --json /dev/full --duration 1
}

if ! "$memcg" --probe >"$dir/log" 2>"$dir/err"; then
	status=$?
	sed 's/^/# /' "$dir/log" "$dir/err"
	echo "# this kernel lacks what the sample needs"
	exit "$status"
fi
attributes=$(sed -n 's/^\([a-z]*\) *extended attributes.*/\1/p' "$dir/log")
echo +memory >"$root/cgroup.subtree_control"
mkdir "$top" && echo +memory >"$top/cgroup.subtree_control" && fresh || exit 1

check "--probe finds the policies" grep -q 'yes *memory cgroup policies' "$dir/log"
check "--help ends well" helps
check "--version, too" "$memcg" --version
check "no cgroup" refused 2 'no cgroup directory' --start 1M
check "no such directory" refused 2 'No such file' "$top/none"
check "two directories" refused 2 'one cgroup directory' "$top/low" "$top"
check "a directory and --each" refused 2 'given already' --each "$top" "$top/low"
check "nothing to keep below" refused 2 'no memory.max' "$top/low"
echo 64M >"$top/low/memory.max"
check "not a size" refused 2 'give a size' "$top/low" --start 12x
check "not a percentage" refused 2 'percentage from' "$top/low" --start 100%
check "less than a page" refused 2 'less than a page' "$top/low" --start 1
check "a size above all" refused 2 'give a size' "$top/low" --start 99999999999E
check "start above the limit" refused 2 'not below the limit' "$top/low" --start 65M
check "stop above start" refused 2 'not below --start' "$top/low" --start 20M --stop 30M
check "in percent, too" refused 2 'not below --start' "$top/low" --start 90% --stop 95%
check "with --each, too" refused 2 'not below --start' --each "$top" --stop 80%
check "brake above the limit" refused 2 'not between' "$top/low" --brake 1G
check "unknown context" refused 2 'workqueue|task-work' "$top/low" --context irq
check "unknown trigger" refused 2 'usage|psi|faults' "$top/low" --trigger usage,cpu
check "a trigger of one for all" refused 2 'only usage' --each "$top" --trigger psi
check "JSON to nowhere" refused 2 'No such file' "$top/low" --json "$dir/no/file"
check "a full disk" full
echo 0 >"$top/low/memory.max"
check "a limit of 0" refused 2 'cannot be kept' "$top/low"
check "in a workqueue no charge hits the limit" avoids_max --context workqueue
check "nor in task_work" avoids_max --context task-work
check "all triggers together" avoids_max --trigger usage,psi,faults --faults 100
check "marks follow a limit that is lowered" lowered
check "memory.high is a limit, too" by_high
check "and so is that of an ancestor" by_ancestor
check "a mark that cannot be reached" warns
check "removal of the cgroup ends it" ends_with_target
check "SIGHUP ends it" hangs_up
check "--each keeps all that have a limit" each
if command -v python3 >/dev/null && [[ $attributes == yes ]]; then
	check "marks by extended attribute" attributes
	check "which may change" attribute_changes
	check "and may be nonsense" bad_attributes
else
	skip "marks by extended attribute" \
		"no bpf_cgroup_read_xattr (CONFIG_BPF_LSM), or no python3"
fi
check "pinned it goes on" pinned

echo "1..$n"
[[ $failed -eq 0 ]]
