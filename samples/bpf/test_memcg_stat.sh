#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check the sample memcg_stat: `test_memcg_stat.sh PATH-OF-MEMCG_STAT`, as root,
# on a kernel with CONFIG_BPF_MEMCG. One line per check, `ok N - text` or `not ok
# N - text`; exit status 1 when one failed, 77 when the kernel lacks the kfuncs.

set -u

stat=${1:?give the path of the built sample}
root=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
top=$root/test_memcg_stat.$$
many=${MANY:-500}
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/memcg_check.sh"

cleanup()
{
	[[ ! -d $top ]] || find "$top" -depth -type d -exec rmdir {} + 2>/dev/null
}

# shows OPTION...: its output is in $dir/log, and nothing is on stderr
shows()
{
	timeout 60 "$stat" "$@" >"$dir/log" 2>"$dir/err" && [[ ! -s $dir/err ]]
}

id()
{
	stat -c %i "$1"
}

# the value of NAME in the line of JSON of the cgroup PATH
value()
{
	grep -F "\"cgroup\":\"$1\"," "$dir/log" | sed -n -E 's/.*"'"$2"'":([^,}]*).*/\1/p'
}

helps()
{
	shows --help && grep -q -- --openmetrics "$dir/log" &&
		shows --list && grep -q '^anon  *bytes$' "$dir/log"
}

full()
{
	! "$stat" "$top" >/dev/full 2>"$dir/err" && grep -q 'cannot be written' "$dir/err" &&
		refused 1 'No space' --json /dev/full "$top"
}

whole()
{
	shows --json - --no-flush && grep -qF '"cgroup":"/"' "$dir/log" &&
		grep -qF "\"$rel/a/deep\"" "$dir/log"
}

# every counter that memory.stat has, of a cgroup at rest, and its others
agrees()
{
	for _ in 1 2 3 4 5; do
		cp "$top/a/memory.stat" "$dir/before"
		shows --json - --columns all --self "$top/a" || return
		cmp -s "$dir/before" "$top/a/memory.stat" && break
		sleep 0.5
	done
	# a name and a value on each line, as memory.stat has them
	tr -d '{}' <"$dir/log" | tr ',' '\n' | sed -n 's/^"\(.*\)":\(.*\)$/\1 \2/p' |
		sort >"$dir/shown"
	grep -vE '^(slab|pgscan|pgsteal) ' "$dir/before" | sort >"$dir/wanted"
	comm -23 "$dir/wanted" "$dir/shown" >>"$dir/err"
	[[ ! -s $dir/err && $(wc -l <"$dir/wanted") -gt 30 ]] &&
		grep -qx "current $(<"$top/a/memory.current")" "$dir/shown"
}

subtree()
{
	shows --json - "$top" && [[ $(wc -l <"$dir/log") -eq 4 &&
		$(value "$rel/a/deep" id) == "$(id "$top/a/deep")" &&
		$(value "$rel" id) == "$(id "$top")" ]] &&
		shows --json - --self "$top" && [[ $(wc -l <"$dir/log") -eq 1 ]]
}

# a cgroup without the memory controller has no values, one with it has zeros
absent()
{
	shows --json - -c oom_kill,current "$top" &&
		[[ $(value "$rel/a/deep" current) == null &&
		   $(value "$rel/a/deep" oom_kill) == null &&
		   $(value "$rel/a" oom_kill) == 0 ]] &&
		shows -c oom_kill "$top" && grep -qE "^$rel/a/deep +-$" "$dir/log" &&
		shows --openmetrics -c current "$top" && ! grep -q /a/deep "$dir/log"
}

openmetrics()
{
	local faults="container_memory_failures_total{id=\"$rel/a\",failure_type=\"pgfault\""
	local waiting="container_pressure_memory_waiting_seconds_total{id=\"$rel/a\"}"

	shows -m -c current,limit,pgfault,pgmajfault,psi_some,pgscan_direct "$top" &&
		[[ $(tail -n 1 "$dir/log") == "# EOF" ]] &&
		grep -q '^# TYPE memcg_current_bytes gauge$' "$dir/log" &&
		[[ $(grep -c '^# TYPE container_memory_failures counter$' "$dir/log") -eq 1 &&
		   $(grep -c '^# HELP ' "$dir/log") -eq 5 ]] &&
		grep -qx "$faults,scope=\"hierarchy\"} [0-9][0-9]*" "$dir/log" &&
		grep -qx "$waiting [0-9.][0-9.]*" "$dir/log" &&
		grep -q "^memcg_limit_bytes{id=\"$rel/a\"} +Inf$" "$dir/log" &&
		! grep -vE '^(# (TYPE|UNIT|HELP|EOF)|[a-z_]+\{id="[^"]*"[^}]*\} )' "$dir/log"
}

# what is in the other files, and what the root has none of
fields()
{
	echo 1G >"$top/b/memory.max"
	echo 8M >"$top/b/memory.low"
	shows --json - -c peak,limit,limit_low,limit_high,swap_limit "$top/b" &&
		[[ $(value "$rel/b" limit) == 1073741824 &&
		   $(value "$rel/b" limit_low) == 8388608 &&
		   $(value "$rel/b" limit_high) == '"max"' &&
		   $(value "$rel/b" swap_limit) == '"max"' &&
		   $(value "$rel/b" peak) == "$(<"$top/b/memory.peak")" ]] &&
		shows -c limit_high "$top/b" && grep -qE "^$rel/b +max$" "$dir/log" || return
	echo max >"$top/b/memory.max"
	echo 0 >"$top/b/memory.low"
	shows --self --json - -c current,limit,oom_kill,anon "$root" &&
		[[ $(value / current) == null && $(value / limit) == null &&
		   $(value / oom_kill) == null && $(value / anon) != null ]]
}

# a terminal of 80 columns shows whole paths, and says what does not fit
narrow()
{
	local name=a-name-of-some-length-as-systemd-and-kubernetes-make-them

	command -v script >/dev/null || return 0
	mkdir "$top/b/$name"
	script -q -c "stty cols 80 rows 24; exec '$stat' --interval 100 --times 1 '$top'" \
		/dev/null >"$dir/log" 2>"$dir/err" </dev/null
	rmdir "$top/b/$name"
	grep -q "$rel/b/$name" "$dir/log" && grep -q 'columns fit' "$dir/log"
}

# names that need escapes, and bytes that are no UTF-8
valid()
{
	local odd

	odd=$(printf 'we"ird \\ na\tme \377\300\257')
	mkdir "$top/$odd"
	shows --json - "$top"
	cp "$dir/log" "$dir/json"
	shows --openmetrics "$top"
	rmdir "$top/$odd"
	! command -v python3 >/dev/null || python3 - "$dir" 2>>"$dir/err" <<'END'
import json, sys
lines = open(sys.argv[1] + "/json", encoding="utf-8").read().splitlines()
names = [json.loads(line)["cgroup"] for line in lines]
ok = any(name.endswith('/we"ird \\ na\tme \ufffd\ufffd\ufffd') for name in names)
metrics = open(sys.argv[1] + "/log", encoding="utf-8").read()
sys.exit(not (ok and 'we\\"ird \\\\ na?me \ufffd' in metrics))
END
}

sorts()
{
	shows --sort file -c file "$top" || return
	[[ $(awk 'NR > 1 { print $1 }' "$dir/log" | tr '\n' ' ') == \
	   "$rel $rel/a $rel/b $rel/a/deep " ]] &&
		shows --sort file --top 2 -c current "$top" && [[ $(wc -l <"$dir/log") -eq 3 ]] &&
		shows --sort id --json - "$top" && [[ $(wc -l <"$dir/log") -eq 4 ]]
}

repeats()
{
	shows --interval 100 --times 3 --json - "$top" && [[ $(wc -l <"$dir/log") -eq 12 ]] &&
		shows --interval 100 --times 2 -c pgfault "$top" &&
		grep -q 'pgfault/s' "$dir/log" &&
		grep -qE "^$rel/a +0$" "$dir/log"
}

# begin OPTION...: start it, return when there is output
begin()
{
	local i

	# the shell behind the & may come to it late, and find what is left there
	: >"$dir/log"
	"$stat" --interval 100 "$@" >"$dir/log" 2>"$dir/err" &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		[[ ! -s $dir/log ]] || return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	return 1
}

stops_on()
{
	begin "$top" && kill -"$1" "$pid" && ended 0 && [[ ! -s $dir/err ]]
}

gone()
{
	mkdir "$top/b/gone"
	begin "$top/b/gone" && rmdir "$top/b/gone" && ended 0 && grep -q 'gone' "$dir/err"
}

# cgroups come and go while it looks
churn()
{
	local i

	begin --json - "$top" || return
	for ((i = 0; i < 200; i++)); do
		mkdir "$top/b/c$i" && rmdir "$top/b/c$i"
	done
	kill -INT "$pid" && ended 0 && [[ ! -s $dir/err ]]
}

# more cgroups than there were when it began, which takes another map
grows()
{
	begin --json - "$top" || return
	(cd "$top/b" && seq -f m%g "$many" | xargs mkdir) || return
	logged "\"$rel/b/m$many\"" && kill -INT "$pid" && ended 0 && [[ ! -s $dir/err ]]
}

counts_many()
{
	shows --json - -c all "$top" && [[ $(wc -l <"$dir/log") -eq $((many + 4)) ]]
}

if ! "$stat" --probe >"$dir/log" 2>"$dir/err"; then
	status=$?
	sed 's/^/# /' "$dir/log" "$dir/err"
	echo "# this kernel lacks what the sample needs"
	exit "$status"
fi
echo +memory >"$root/cgroup.subtree_control"
mkdir "$top" && echo +memory >"$top/cgroup.subtree_control" &&
	mkdir "$top/a" "$top/b" "$top/a/deep" || exit 1
rel=/${top##*/}
# a past, and something that stays
(
	echo "$BASHPID" >"$top/a/cgroup.procs"
	printf '%1048576s' x >"$dir/file"
)
(
	echo "$BASHPID" >"$top/b/cgroup.procs"
	printf '%65536s' x >"$dir/less"
)

check "--probe finds the kfuncs" grep -q 'yes *many counters' "$dir/log"
check "--help and --list end well" helps
check "no such directory" refused 2 'No such file' "$top/none"
check "a file, not a directory" refused 2 'Not a directory' "$top/a/memory.stat"
check "not a cgroup" refused 2 'not a cgroup v2' /tmp
check "two directories" refused 2 'one cgroup directory' "$top" "$top/a"
check "unknown counter" refused 2 "no counter 'anno'" -c current,anno "$top"
check "an empty name" refused 2 "no counter ''" -c current, "$top"
check "unknown order" refused 2 "sort 'size'" --sort size "$top"
check "not a number" refused 2 'whole number' --interval 1x "$top"
check "out of range" refused 2 'from 100 to' --interval 99 "$top"
check "none at all" refused 2 'from 1 to' --top 0 "$top"
check "--times without --interval" refused 2 'needs --interval' --times 2 "$top"
check "two formats" refused 2 'one of them' --openmetrics --json - "$top"
check "unknown option" refused 2 'unrecognized' --jsno "$top"
check "nowhere to write to" full
check "the root is the default" whole
check "all counters agree with memory.stat" agrees
check "a subtree, or one cgroup" subtree
check "absent is not 0" absent
check "OpenMetrics" openmetrics
check "limits and peaks, and the root that has none" fields
check "valid text whatever a cgroup is called" valid
check "a narrow terminal" narrow
check "sorts, and cuts" sorts
check "repeats, and shows growth" repeats
check "SIGINT ends it" stops_on INT
check "SIGTERM ends it" stops_on TERM
check "SIGHUP ends it" stops_on HUP
check "removal of its cgroup ends it" gone
check "cgroups come and go" churn
check "room for more grows" grows
check "$many cgroups" counts_many

echo "1..$n"
[[ $failed -eq 0 ]]
