# SPDX-License-Identifier: GPL-2.0
# The table of dev/torture: jq -s -r -f table.jq torture.json
def kernels: map(.kernel) | unique | sort_by(["normal", "debug", "kcsan"] as $o | . as $k | $o | index($k));
def per_kernel(f): . as $all | kernels | map(. as $k | $all | map(select(.kernel == $k)) | f) | join(" | ");

"<!-- written by dev/torture -->",
"# Torture",
"",
"Operations of each kind, and how many of them the kernel refused. Each round ended with nothing left and the books balanced,",
"unless a row says otherwise.",
"",
"| | \(kernels | join(" | ")) |",
"|---|\(kernels | map("---:") | join("|"))|",
(. as $all | .[0].kinds[] as $kind
	| "| \($kind.kind)\(if $kind.lifetime then " (lifetime)" else "" end) | \($all
		| per_kernel(map(.kinds[] | select(.kind == $kind.kind)) | "\(map(.done) | add) (\(map(.refused) | add))")) |"),
"| **all** | \(per_kernel(map(.operations) | add | tostring)) |",
"| of them on lifetimes | \(per_kernel(map(.lifetime) | add | tostring)) |",
"| rounds | \(per_kernel(map(.rounds) | add | tostring)) |",
"| failures | \(per_kernel(map(.failures) | add | tostring)) |",
"| seconds | \(per_kernel(map(.seconds) | add | tostring)) |",
"| longest SIGKILL, ms | \(per_kernel(map(.longest_kill_ms) | max | tostring)) |",
"| seed | \(per_kernel(map(.seed) | unique | map(tostring) | join(", "))) |",
"| hash of the kernel's code | \(per_kernel(map(.code) | unique | join(", "))) |"
