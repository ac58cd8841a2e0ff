# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How to read the log of a guest's kernel, for what boots guests. To be sourced after
# lib.sh.

# How many logs of failed guests are kept
readonly KEPT_LOGS=20

# A WARNING or worse, at the start of a message: "cut here" opens most of them
splats='------------\[ cut here|WARNING: |BUG[: ]|\[ BUG: |kernel BUG at|Oops|general protection'
splats+='|Kernel panic|UBSAN: |KFENCE: |INFO: task .* blocked|INFO: trying to register'
splats+='|rcu: INFO: |INFO: rcu|.*watchdog: .*(soft lockup|hard LOCKUP)|ODEBUG: |refcount_t: |list_(add|del)'
splats+='|kmemleak: ([0-9]+ new|unreferenced)|double fault|unregister_netdevice: waiting'
splat="^(\[ *[0-9.]+\])?(\[ *[A-Z]?[0-9]+\])? *($splats)"

# without_known LOG: it without the warnings that $KNOWN, a regular expression, matches
without_known()
{
	KNOWN=${KNOWN:-} awk '
		/-\[ cut here \]-/ && !held { held = $0; next }
		held && ENVIRON["KNOWN"] != "" && $0 ~ ENVIRON["KNOWN"] { held = ""; skip = 1 }
		held { print held; held = "" }
		!skip { print }
		/-\[ end trace/ { skip = 0 }
		END { if (held) print held }' "$1"
}

# breakpoint_vanished LOG: the first complaint in it is a breakpoint that is not there
# any more, which the emulator is to blame for: dev/vm says why. "Code:" marks the byte
# after it.
breakpoint_vanished()
{
	grep -m 1 -E "$splat" "$1" | grep -q 'Oops: int3' || return
	awk '/Oops: int3/ { oops = 1 }
		oops && / Code: / {
			sub(/.* Code: /, "")
			for (i = 2; i <= NF; i++)
				if ($i ~ /^</ && $(i - 1) ~ /^[0-9a-f][0-9a-f]$/)
					vanished = $(i - 1) != "cc"
			exit
		}
		END { exit !vanished }' "$1"
}

# keep_log FILE: save the log of a failed guest, NAME.log, from the next guest; print
# where it is then
keep_log()
{
	local name kept old

	name=$(basename "$1" .log)
	kept=$BUILD/failed/$name.$(date +%Y%m%d-%H%M%S).$$.log
	mkdir -p "$BUILD/failed"
	mv "$1" "$kept"
	find "$BUILD/failed" -name "$name.*.log" -printf '%T@ %p\n' | sort -rn | tail -n +$((KEPT_LOGS + 1)) |
	while read -r _ old; do
		rm -f "$old"
	done
	echo "$kept"
}
