#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check the sample memcg: `test_memcg.sh PATH-OF-MEMCG`, as root, on a kernel
# with CONFIG_BPF_MEMCG. One line per check, `ok N - text` or `not ok N - text`;
# exit status 1 when one failed, 77 when the kernel lacks the policies.

set -u

memcg=${1:?give the path of the built sample}
# Something to fill the page cache with
big=${2:-$(dirname "$memcg")/../obj/vmlinux}
root=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
top=$root/test_memcg.$$
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/memcg_check.sh"

cleanup()
{
	rmdir "$top"/*/ "$top" 2>/dev/null
}

# helps WORDS OPTION...
helps()
{
	local words=$1
	shift

	"$memcg" "$@" --help >"$dir/log" 2>"$dir/err" && grep -q -- "$words" "$dir/log"
}

# fresh: two empty cgroups, and nothing cached that others would have paid for
fresh()
{
	echo 1 >/proc/sys/vm/drop_caches
	rmdir "$top"/*/ 2>/dev/null
	echo +memory >"$top/cgroup.subtree_control"
	mkdir -p "$top/high" "$top/low"
}

# begin OPTION...: start the sample, return when it decides
begin()
{
	local i

	: >"$dir/log"
	"$memcg" --high "$top/high" --low "$top/low" --interval 50 --json "$dir/json" "$@" \
		>"$dir/log" 2>"$dir/err" &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		[[ ! -s $dir/log ]] || return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	return 1
}

# counter NAME: from the JSON
counter()
{
	sed -n "s/.*\"$1\": \"\{0,1\}\([a-z0-9]*\).*/\1/p" "$dir/json"
}

# inside CGROUP COMMAND...
inside()
{
	local to=$top/$1
	shift

	(echo "$BASHPID" >"$to/cgroup.procs" && exec "$@")
}

# fault CGROUP MIB: that much anonymous memory, touched
fault()
{
	inside "$1" dd if=/dev/zero of=/dev/null bs="$2M" count=1 status=none
}

# cache CGROUP MIB SKIP: that much page cache
cache()
{
	inside "$1" dd if="$big" of=/dev/null bs=1M count="$2" skip="$3" status=none
}

stops_on()
{
	begin && kill -s "$1" "$pid" && ended 0 && grep -q '^detached' "$dir/log" &&
		[[ $(counter ended) == signal && $(counter online_calls) -ge 2 &&
		   $(counter online_calls) -eq $(counter offline_calls) ]]
}

lasts()
{
	begin --duration 1 && ended 0 && [[ $(counter ended) == duration ]]
}

stops_with_rmdir()
{
	fresh && begin && rmdir "$top/$1" && ended 0 && grep -q "$top/$1 is gone" "$dir/log"
}

stops_with_controller()
{
	fresh && begin && echo -memory >"$top/cgroup.subtree_control" && ended 0 &&
		grep -q "is gone, or its memory controller is" "$dir/log"
}

sees_activity()
{
	begin --hold 300 --threshold 1000 && logged 'idle, expose' &&
		fault high 32 && logged '>= 1000, idle for .*: active, protect' &&
		kill -INT "$pid" && ended 0 && [[ $(counter switches) -ge 2 ]]
}

sees_stalls()
{
	begin --hold 0 --trigger psi && logged 'stalled us .*idle, expose' &&
		kill -INT "$pid" && ended 0 && [[ $(counter trigger) == psi ]]
}

delays()
{
	local start took

	begin --hold 60000 --delay 200 || return
	start=${EPOCHREALTIME/./}
	fault low 16
	took=$((${EPOCHREALTIME/./} - start))
	kill -INT "$pid" && ended 0 && [[ $(counter delays) -gt 0 && $took -ge 200000 ]]
}

# keeps none|OPTION...: kept is what an idle high with memory.low keeps next to
# low, without the sample or with it
keeps()
{
	echo max >"$top/memory.max"
	fresh
	echo 100M >"$top/high/memory.low"
	echo 128M >"$top/memory.max"
	cache high 64 0
	if [[ $1 != none ]]; then
		begin --hold 0 "$@" && logged 'idle' || return
	fi
	cache low 150 70
	kept=$(($(<"$top/high/memory.current") >> 20))
	[[ $1 == none ]] || { kill -INT "$pid" && ended 0; }
}

exposes()
{
	local kept status

	keeps none && [[ $kept -ge 50 ]] && keeps --interval 50 && [[ $kept -lt 50 ]] &&
		[[ $(counter answered_expose) -gt 0 ]] &&
		keeps --no-expose && [[ $kept -ge 50 ]]
	status=$?
	echo max >"$top/memory.max"
	return $status
}

protects()
{
	local kept

	fresh
	echo 128M >"$top/memory.max"
	cache high 64 0
	begin --hold 60000 && logged active || return
	cache low 150 70
	kept=$(($(<"$top/high/memory.current") >> 20))
	echo max >"$top/memory.max"
	kill -INT "$pid" && ended 0 && [[ $kept -ge 50 && $(counter answered_protect) -gt 0 ]]
}

leaves_nothing()
{
	begin && kill -KILL "$pid" && ! ended 0 && stops_on INT
}

# background OPTION...: start memcg --reclaim on low, return when it is attached
background()
{
	: >"$dir/log"
	"$memcg" --reclaim "$top/low" --json "$dir/json" "$@" >"$dir/log" 2>"$dir/err" &
	pid=$!
	logged '^keeping'
}

# max_events NAME
max_events()
{
	sed -n 's/^max //p' "$top/$1/memory.events"
}

# avoids_max OPTION...: low reads more than its limit, and hits it only without us
avoids_max()
{
	fresh
	echo 64M >"$top/low/memory.max"
	cache low 128 0
	[[ $(max_events low) -gt 0 ]] || return
	fresh
	rmdir "$top/low" && mkdir "$top/low" && echo 64M >"$top/low/memory.max"
	background "$@" && cache low 128 0 && [[ $(max_events low) -eq 0 ]] &&
		kill -INT "$pid" && ended 0 && grep -q '^detached' "$dir/log" &&
		[[ $(counter ended) == signal && $(counter reclaimed) -gt 0 ]]
}

ends_with_target()
{
	fresh && background --start 24M && rmdir "$top/low" && ended 0 &&
		[[ $(counter ended) == gone ]]
}

if ! "$memcg" --probe >"$dir/log" 2>"$dir/err"; then
	status=$?
	sed 's/^/# /' "$dir/log" "$dir/err"
	echo "# this kernel lacks what the sample needs"
	exit "$status"
fi
echo +memory >"$root/cgroup.subtree_control"
mkdir "$top" && fresh || exit 1

check "--probe finds the policies" grep -q 'yes *memory cgroup policies' "$dir/log"
check "--help ends well" helps --high
two=(--high "$top/high" --low "$top/low")
check "a path is missing" refused 2 '--low is missing' --high "$top/high"
check "no such directory" refused 2 'No such file' --high "$top/none" --low "$top/low"
check "a file, not a directory" refused 2 'Not a directory' --high "$top/high/memory.low" --low "$top/low"
check "not a cgroup" refused 2 'not a cgroup v2' --high /tmp --low "$top/low"
check "the root cgroup" refused 2 'root cgroup' --high "$root" --low "$top/low"
mkdir "$top/high/sub"
check "memory not enabled there" refused 2 'not enabled' --high "$top/high/sub" --low "$top/low"
rmdir "$top/high/sub"
check "both the same" refused 2 'same cgroup' --high "$top/high" --low "$top/low/../high"
check "low below high" refused 2 'above the other' --high "$top" --low "$top/low"
check "high below low" refused 2 'above the other' --high "$top/high" --low "$top"
check "not a number" refused 2 'whole number' "${two[@]}" --threshold 12x
check "negative" refused 2 'whole number' "${two[@]}" --interval -1
check "out of range" refused 2 'from 0 to 2000' "${two[@]}" --delay 2001
check "unknown trigger" refused 2 'give faults or psi' "${two[@]}" --trigger cpu
check "unknown option" refused 2 'unrecognized' "${two[@]}" --hihg
check "JSON to nowhere" refused 2 'No such file' "${two[@]}" --json "$dir/no/file"
check "SIGINT detaches" stops_on INT
check "SIGTERM detaches" stops_on TERM
check "--duration ends it" lasts
check "activity is seen, and idleness" sees_activity
check "so are stalls" sees_stalls
check "charges of low are delayed" delays
check "an idle high is exposed, static memory.low or not" exposes
check "an active high is protected without memory.low" protects
check "killed, it leaves nothing" leaves_nothing
check "removal of low ends it" stops_with_rmdir low
check "removal of high ends it" stops_with_rmdir high
check "so does losing the memory controller" stops_with_controller
fresh
reclaim=(--reclaim "$top/low")
check "reclaim: --help, too" helps --brake --reclaim
check "reclaim: no such directory" refused 2 'No such file' --reclaim "$top/none"
check "reclaim: nothing to keep below" refused 2 'no memory.max' "${reclaim[@]}"
echo 64M >"$top/low/memory.max"
check "reclaim: not a size" refused 2 'give a size' "${reclaim[@]}" --start 12x
check "reclaim: start above the limit" refused 2 'not below memory.max' "${reclaim[@]}" --start 65M
check "reclaim: stop above start" \
	refused 2 'not below --start' "${reclaim[@]}" --start 20M --stop 30M
check "reclaim: brake above the limit" refused 2 'not between' "${reclaim[@]}" --brake 1G
check "reclaim: unknown context" refused 2 'workqueue or task-work' "${reclaim[@]}" --context irq
check "reclaim: unknown trigger" refused 2 'usage, psi, faults' "${reclaim[@]}" --trigger usage,cpu
check "reclaim: in a workqueue no charge hits the limit" avoids_max --context workqueue
check "reclaim: nor in task_work" avoids_max --context task-work
check "reclaim: all triggers together" avoids_max --trigger usage,psi,faults --faults 100
check "reclaim: removal of the cgroup ends it" ends_with_target

echo "1..$n"
[[ $failed -eq 0 ]]
