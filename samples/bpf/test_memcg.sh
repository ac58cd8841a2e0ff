#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check the sample memcg: `test_memcg.sh PATH-OF-MEMCG`, as root, on a kernel
# with CONFIG_BPF_MEMCG. One line per check, `ok N - text` or `not ok N - text`;
# exit status 1 when one failed, 77 when the kernel lacks the policies.

set -u

memcg=${1:?give the path of the built sample}
# Something to fill the page cache with: where the build of the kernel leaves it
big=${2:-$(dirname "$memcg")/../../vmlinux}
root=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
top=$root/test_memcg.$$
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/memcg_check.sh"

cleanup()
{
	[[ -z ${busy[*]-} ]] || kill "${busy[@]}" 2>/dev/null
	"$memcg" --unpin "test-$$" >/dev/null 2>&1
	[[ -z ${thp-} ]] || echo "$thp" >/sys/kernel/mm/transparent_hugepage/enabled
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
	emptied "$top"/*/
	rmdir "$top"/*/ 2>/dev/null
	echo +memory >"$top/cgroup.subtree_control"
	mkdir -p "$top/high" "$top/low"
}

# begin OPTION...: start the sample on high and low, return when it is attached
begin()
{
	begin_on --high "$top/high" --low "$top/low" "$@"
}

# begin_on OPTION...: start the sample
begin_on()
{
	: >"$dir/log"
	"$memcg" --interval 50 --json "$dir/json" "$@" >"$dir/log" 2>"$dir/err" &
	pid=$!
	logged 'watching'
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

# asked PATTERN: appears in the log while memory is reclaimed, within 20 s
asked()
{
	local i

	for ((i = 0; i < 400; i++)); do
		! grep -q -- "$1" "$dir/log" || return 0
		echo 64K >"$top/memory.reclaim" 2>/dev/null
		sleep 0.05
	done
	return 1
}

# busy CGROUP: something that needs the CPU and no memory, until all of them are ended
busy()
{
	(echo "$BASHPID" >"$top/$1/cgroup.procs" && exec bash -c 'while :; do :; done') &
	busy+=("$!")
}

end_busy()
{
	[[ ${#busy[@]} -eq 0 ]] || kill "${busy[@]}" 2>/dev/null
	wait "${busy[@]}" 2>/dev/null
	emptied "$top/high" "$top/low"
	busy=()
}

stop()
{
	kill -INT "$pid" && ended 0
}

stops_on()
{
	begin && kill -s "$1" "$pid" && ended 0 && grep -q 'detached' "$dir/log" &&
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

# a cgroup that computes and touches no new memory has no page faults
sees_cpu()
{
	fresh && cache high 16 0
	begin --hold 300 --signs cpu && asked '/high: idle (quiet .*): expose' || return
	busy high
	asked '/high: active (cpu .*): protect'
	local status=$?
	end_busy
	stop && [[ $status -eq 0 && $(counter changes) -ge 2 ]]
}

sees_faults()
{
	fresh && cache high 16 0
	begin --hold 300 --signs faults --faults 1000 && asked '/high: idle (quiet .*): expose' &&
		fault high 32 && asked '/high: active (faults .*): protect' && stop
}

# What happened at some time since the last question, which is longer ago than the hold
# time, counts for an interval and not for another hold time
long_ago()
{
	local from

	fresh && begin --hold 3000 --signs cpu --cpu 1 && cache high 16 0 || return
	# Nobody asks meanwhile, so there is nothing to wait for
	sleep 3.2
	from=${EPOCHREALTIME/./}
	asked '/high: idle' && [[ $((${EPOCHREALTIME/./} - from)) -lt 2000000 ]] && stop
}

# what a cgroup below it does counts for high
sees_below()
{
	fresh && echo +memory >"$top/high/cgroup.subtree_control" && mkdir "$top/high/sub" &&
		cache high/sub 16 0
	begin --hold 300 --signs cpu && asked '/high: idle' && asked '/high/sub: idle' || return
	busy high/sub
	asked '/high: active (one below): protect'
	local status=$?
	end_busy
	stop && emptied "$top/high/sub" && rmdir "$top/high/sub" && [[ $status -eq 0 ]]
}

# delays never|always: a low that charges 16 MiB, in huge pages or not, waits for
# 20 ms 64 times, but only while a high one works
delays()
{
	local start took

	[[ -z $thp ]] || echo "$1" >/sys/kernel/mm/transparent_hugepage/enabled || return
	fresh && cache high 16 0
	begin --hold 300 --delay 20 && asked '/high: idle' || return
	busy high
	asked '/high: active' || { end_busy; return 1; }
	# only while memory is reclaimed is anybody delayed
	while :; do echo 64K >"$top/memory.reclaim"; sleep 0.1; done 2>/dev/null &
	busy+=("$!")
	start=${EPOCHREALTIME/./}
	fault low 16
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	[[ -z $thp ]] || echo "$thp" >/sys/kernel/mm/transparent_hugepage/enabled
	end_busy
	stop && [[ $(counter delayed_ms) -ge 1240 && $(counter delayed_ms) -le 1600 &&
		$took -ge 1240 ]]
}

no_delays()
{
	fresh && cache high 16 0
	begin --hold 300 --delay 20 && asked '/high: idle' && sleep 1.1 && fault low 16 &&
		stop && [[ $(counter delays) -eq 0 ]]
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
		begin --hold 100 "$@" || return
		# so that it is idle when reclaim asks for the first time
		sleep 0.2
	fi
	cache low 150 70
	kept=$(($(<"$top/high/memory.current") >> 20))
	[[ $1 == none ]] || stop
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
	begin --hold 60000 || return
	cache low 150 70
	kept=$(($(<"$top/high/memory.current") >> 20))
	echo max >"$top/memory.max"
	stop && [[ $kept -ge 50 && $(counter answered_protect) -gt 0 ]]
}

leaves_nothing()
{
	begin && kill -KILL "$pid" && ! ended 0 && stops_on INT
}

several()
{
	fresh && mkdir "$top/high2" "$top/low2"
	begin --high "$top/high2" --low "$top/low2" && stop && [[ $(counter online_calls) -eq 4 ]]
	local status=$?
	rmdir "$top/high2" "$top/low2"
	return $status
}

# classify CGROUP CLASS
classify()
{
	python3 -c 'import os, sys
os.setxattr(sys.argv[1], "user.memcg_bpf", sys.argv[2].encode())' "$top/$1" "$2"
}

# with --each the one that works keeps its memory, one that idles does not, and
# one that is made later is steered like them
each()
{
	local status

	fresh && cache high 16 0 && cache low 16 16
	begin_on --each "$top" --hold 300 && asked '/high: idle .*: expose' &&
		asked '/low: idle' || return
	busy high
	asked '/high: active (cpu .*): leave' && mkdir "$top/later" && cache later 16 40 &&
		asked '/later: idle .*: expose'
	status=$?
	end_busy
	stop && emptied "$top/later" && rmdir "$top/later" && [[ $status -eq 0 ]] &&
		! grep -q "/${top##*/}: " "$dir/log" && grep -q '"decision": "exposed"' "$dir/json"
}

each_usage()
{
	local status

	fresh && cache high 16 0
	begin_on --each "$top" --hold 300 --protect usage && asked '/high: idle' || return
	busy high
	asked '/high: active (cpu .*): protect'
	status=$?
	end_busy
	stop && [[ $status -eq 0 ]]
}

classes()
{
	local class status

	fresh && cache high 16 0 && cache low 16 16 && mkdir "$top/ignored" &&
		cache ignored 16 40 && classify ignored ignore || return
	for class in high low; do
		classify "$class" "$class" || return
	done
	busy high
	busy low
	begin_on --each "$top" --hold 300 --delay 1 && asked '/high: active (.*): protect (high' &&
		asked '/low: active .*: expose (low' && sleep 0.5
	status=$?
	end_busy
	stop && ! grep -q /ignored "$dir/log" && [[ $status -eq 0 ]]
}

# a class that changes, and one that is none, while it runs
class_changes()
{
	local class said status

	fresh && cache high 16 0
	begin_on --each "$top" --hold 300 && asked '/high: idle .*: expose (normal' || return
	for class in ignore higher ignore none; do
		# what was said before does not count
		: >"$dir/log"
		said='/high: idle .*: expose (normal'
		# active, too: faults of before may be added up only now
		[[ $class != ignore ]] || said='/high: .*: leave .*(ignore'
		if [[ $class == none ]]; then
			python3 -c 'import os, sys
os.removexattr(sys.argv[1], "user.memcg_bpf")' "$top/high"
		else
			classify high "$class"
		fi && asked "$said" || return
	done
	# when the class alone changes, and not what becomes of the memory
	busy high
	asked '/high: active .*: leave .*(normal' && classify high ignore &&
		asked '/high: active .*: leave .*(ignore'
	status=$?
	end_busy
	stop && [[ $status -eq 0 ]]
}

# watched PATTERN: --watch shows it of the pinned policy while memory is reclaimed,
# within 20 s. Page faults that the kernel had not added up yet may show as activity
# at first.
watched()
{
	local i

	for ((i = 0; i < 20; i++)); do
		echo 64K >"$top/memory.reclaim" 2>/dev/null
		"$memcg" --watch "test-$$" --duration 1 --json - >"$dir/log" 2>"$dir/err" || return
		! grep -q -- "$1" "$dir/log" || return 0
	done
	return 1
}

# pinned: it goes on without the program, can be looked at, and ended
pinned()
{
	local status

	fresh && cache high 16 0
	"$memcg" --each "$top" --hold 100 --interval 50 --pin "test-$$" >"$dir/log" 2>"$dir/err" &&
		refused 2 'exists' --each "$top" --pin "test-$$" &&
		! grep -q exposed <("$memcg" --watch "test-$$" --duration 1 --json -) || return
	watched "\"cgroup\": \"/${top##*/}/high\".*\"decision\": \"exposed\"" &&
		"$memcg" --watch "test-$$" --duration 1 >"$dir/log" 2>"$dir/err" &&
		grep -q "^/${top##*/}/high  *exposed" "$dir/log" &&
		"$memcg" --list >"$dir/log" 2>"$dir/err" &&
		grep -q "^test-$$ .*/${top##*/}: 2 cgroups, asked [1-9]" "$dir/log"
	status=$?
	# the log says what failed
	"$memcg" --unpin "test-$$" 2>>"$dir/err" && [[ $status -eq 0 ]] &&
		! grep -q test <("$memcg" --list) && refused 2 'there is none' --unpin "test-$$"
}

full()
{
	refused 1 'No space' --high "$top/high" --quiet --json /dev/full --duration 1 &&
		! "$memcg" --high "$top/high" --duration 1 >/dev/full 2>"$dir/err" &&
		[[ $(wc -l <"$dir/err") -eq 1 ]] && grep -q 'cannot be written' "$dir/err"
}

# closed: what it writes to goes away. Its first line is read, the second is not
closed()
{
	local i

	fresh && cache high 16 0
	: >"$dir/out"
	(timeout 20 "$memcg" --high "$top/high" --interval 50 --hold 100 2>"$dir/err"
		echo $? >"$dir/out") | head -n 1 >/dev/null &
	for ((i = 0; i < 200; i++)); do
		[[ ! -s $dir/out ]] || break
		echo 64K >"$top/memory.reclaim" 2>/dev/null
		sleep 0.1
	done
	wait $!
	[[ $(<"$dir/out") -eq 1 ]] && grep -q 'Broken pipe' "$dir/err"
}

silent()
{
	"$memcg" --high "$top/high" --quiet --duration 1 >"$dir/log" 2>"$dir/err" &&
		[[ ! -s $dir/log ]]
}

if ! "$memcg" --probe >"$dir/log" 2>"$dir/err"; then
	status=$?
	sed 's/^/# /' "$dir/log" "$dir/err"
	echo "# this kernel lacks what the sample needs"
	exit "$status"
fi
attributes=$(sed -n 's/^\([a-z]*\) *extended attributes.*/\1/p' "$dir/log")
echo +memory >"$root/cgroup.subtree_control"
mkdir "$top" && fresh || exit 1
busy=()
thp=$(sed -n 's/.*\[\(.*\)\].*/\1/p' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)

check "--probe finds the policies" grep -q 'yes *memory cgroup policies' "$dir/log"
check "--help ends well" helps --high
check "--version, too" "$memcg" --version
two=(--high "$top/high" --low "$top/low")
check "a path is missing" refused 2 '--each or --high is missing' --low "$top/low"
check "no such directory" refused 2 'No such file' --high "$top/none" --low "$top/low"
check "a file, not a directory" refused 2 'Not a directory' --high "$top/high/memory.low" \
	--low "$top/low"
check "not a cgroup" refused 2 'not a cgroup v2' --high /tmp --low "$top/low"
check "the root cgroup" refused 2 'root cgroup' --high "$root" --low "$top/low"
mkdir "$top/high/sub"
check "memory not enabled there" refused 2 'not enabled' --high "$top/high/sub" --low "$top/low"
rmdir "$top/high/sub"
check "both the same" refused 2 'same cgroup' --high "$top/high" --low "$top/low/../high"
check "the same twice" refused 2 'same cgroup' "${two[@]}" --high "$top/high"
check "low below high" refused 2 'above the other' --high "$top" --low "$top/low"
check "high below low" refused 2 'above the other' --high "$top/high" --low "$top"
check "--each with --high" refused 2 'classes come from' --each "$top" --high "$top/high"
check "--each twice" refused 2 'give it once' --each "$top" --each "$top/high"
check "not a number" refused 2 'whole number' "${two[@]}" --faults 12x
check "negative" refused 2 'whole number' "${two[@]}" --interval -1
check "out of range" refused 2 'from 0 to 2000' "${two[@]}" --delay 2001
check "nobody to delay" refused 2 'no --low' --high "$top/high" --delay 1
check "unknown sign" refused 2 "'cup': give some" "${two[@]}" --signs faults,cup
check "no sign" refused 2 "'': give some" "${two[@]}" --signs ''
check "unknown protection" refused 2 'one of low|usage' "${two[@]}" --protect min
check "unknown option" refused 2 'unrecognized' "${two[@]}" --hihg
check "an operand" refused 2 'only options' "${two[@]}" "$top/high"
check "names that cannot be pinned" refused 2 'give a name' "${two[@]}" --pin a/b
check "nor can one with a dot" refused 2 'give a name' "${two[@]}" --pin a.b
check "--pin with --duration" refused 2 'no meaning' "${two[@]}" --pin a --duration 1
check "nothing of that name to watch" refused 2 'nothing of that name' --watch "none-$$"
check "nothing of that name to end" refused 2 'there is none' --unpin "none-$$"
check "JSON to nowhere" refused 2 'No such file' "${two[@]}" --json "$dir/no/file"
check "a full disk" full
check "a closed pipe" closed
check "--quiet" silent
check "SIGINT detaches" stops_on INT
check "SIGTERM detaches" stops_on TERM
check "SIGHUP detaches" stops_on HUP
check "--duration ends it" lasts
check "several of each" several
check "CPU time is activity" sees_cpu
check "so are page faults" sees_faults
check "and what a cgroup below does" sees_below
check "what was long ago counts for an interval" long_ago
check "charges of low are delayed while high works" delays never
if [[ -n $thp ]]; then
	check "huge pages are delayed like as many others" delays always
else
	skip "huge pages are delayed like as many others" "no CONFIG_TRANSPARENT_HUGEPAGE"
fi
check "but not while it is idle" no_delays
check "an idle high is exposed, static memory.low or not" exposes
check "an active high is protected without memory.low" protects
check "killed, it leaves nothing" leaves_nothing
check "removal of low ends it" stops_with_rmdir low
check "removal of high ends it" stops_with_rmdir high
check "so does losing the memory controller" stops_with_controller
fresh
check "--each steers all below, those to come, too" each
check "--protect usage" each_usage
if command -v python3 >/dev/null && [[ $attributes == yes ]]; then
	check "classes by extended attribute" classes
	check "which may change" class_changes
else
	skip "classes by extended attribute" \
		"no bpf_cgroup_read_xattr (CONFIG_BPF_LSM), or no python3"
fi
check "pinned it goes on" pinned

echo "1..$n"
[[ $failed -eq 0 ]]
