# SPDX-License-Identifier: GPL-2.0
#
# What the test_memcg*.sh share; to be sourced by them, who get
# the path of the built sample. Its output goes to $dir/log and $dir/err. Their
# function cleanup is called at the end, whatever that is.

# shellcheck shell=bash

program=${1:?give the path of the built sample}
dir=$(mktemp -d)
n=0 failed=0 pid=

leave()
{
	[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null
	cleanup
	rm -rf "$dir"
}
trap leave EXIT
trap 'exit 130' INT TERM

# check TEXT COMMAND...: one result. ONLY='a regular expression' chooses checks.
check()
{
	local text=$1
	shift

	[[ $text =~ ${ONLY:-} ]] || return 0
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		sed 's/^/# /' "$dir/log" "$dir/err" 2>/dev/null | tail -n 12
		failed=$((failed + 1))
		# What it left running would steer the cgroups of the next check
		[[ -z $pid ]] || { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null
		pid=
	fi
}

# refused STATUS WORDS OPTION...: ends with STATUS and one line that has WORDS
refused()
{
	local status=$1 words=$2
	shift 2

	timeout 20 "$program" "$@" >"$dir/log" 2>"$dir/err"
	[[ $? -eq $status && $(wc -l <"$dir/err") -eq 1 ]] && grep -q -- "$words" "$dir/err"
}

# ended STATUS: it ends by itself within 20 s, so
ended()
{
	local i status

	for ((i = 0; i < 200; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	status=$?
	pid=
	[[ $status -eq $1 ]]
}

# logged PATTERN: appears in the log within 20 s
logged()
{
	local i

	for ((i = 0; i < 200; i++)); do
		! grep -q -- "$1" "$dir/log" || return 0
		sleep 0.1
	done
	return 1
}

# skip TEXT WHY: a check that this kernel cannot serve
skip()
{
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# emptied CGROUP...: those have no tasks any more. A task that was waited for may
# still be on its way out.
emptied()
{
	local dir i

	for dir; do
		for ((i = 0; i < 200; i++)); do
			grep -q 'populated 1' "$dir/cgroup.events" 2>/dev/null || break
			sleep 0.05
		done
	done
}
