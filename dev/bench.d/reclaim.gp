# SPDX-License-Identifier: GPL-2.0
#
# The picture of the benchmark of reclaim, called by dev/bench-picture with the
# variables steady, default and out: one file for each of the two settings. A line of
# them: scenario, what it is (0 for comparison, 1 others, 2 ours), then median, least and
# most of the elapsed s, the stalled ms, the max events and the p99.9 in ms.

set terminal svg size 1200,640 font "sans,12" noenhanced background "white"
set output out
set datafile separator "\t"
set multiplot
set border 2 lc rgb "#606060"
unset xtics
unset ytics
set style fill solid 0.9 noborder
unset key

# bar i of a column: 0 is written as 0, what was not measured as such
number(x) = x == 0 ? "0" : x < 10 ? sprintf("%.2f", x) : sprintf("%.0f", x)
row(n) = n + 1
color(kind) = kind == 0 ? 0xb8b8b8 : kind == 1 ? 0x4a90c8 : 0xe8853a

files = steady . " " . default
heads = "'a disk with 128 KiB of readahead' 'the disk as it comes, 8 MiB of readahead'"
array Column[4] = [3, 6, 9, 12]
titles = "'elapsed, s' 'stalled for memory, ms' 'hits of memory.max' 'p99.9 of touching a page, ms'"

set label 1 "A 64 MiB file, written and read four times in a cgroup of 32 MiB" \
	at screen 0.5, 0.97 center font ",16"
set label 2 "bar: median of the runs; line: from the least to the most" \
	at screen 0.5, 0.93 center font ",11" tc rgb "#606060"

do for [f = 1:2] {
	file = word(files, f)
	top = f == 1 ? 0.83 : 0.38
	set tmargin at screen top
	set bmargin at screen top - 0.32
	set label 3 word(heads, f) at screen 0.16, top + 0.065 left font ",13"
	do for [c = 1:4] {
		left = 0.16 + (c - 1) * 0.21
		set lmargin at screen left
		set rmargin at screen left + 0.17
		set title word(titles, c) font ",12" offset 0,-0.6
		col = Column[c]
		set xrange [*:*]
		set yrange [*:*]
		stats file using (column(col + 2)) nooutput
		set yrange [7.6:0.4]
		set xrange [0:(STATS_max > 0 ? STATS_max * 1.25 : 1)]
		plot file using (0):(row($0)):(0):col:(row($0) - 0.33):(row($0) + 0.33):(color($2)) \
				with boxxyerror lc rgb variable, \
			'' using col:(row($0)):(column(col + 1)):(column(col + 2)) \
				with xerrorbars pt -1 lw 1.5 lc rgb "#303030", \
			'' using (column(col + 2)):(row($0)):(number(column(col))) \
				with labels left offset 0.6,0 font ",11", \
			'' using (0):(row($0)):(c == 1 ? strcol(1) : "") \
				with labels right offset -0.7,0 tc rgb "#303030", \
			'' using (strcol(col) eq "?" ? 0 : NaN):(row($0)):("not measured") \
				with labels left offset 0.6,0 font ",10" tc rgb "#909090"
		unset label 1
		unset label 2
		unset label 3
	}
}
unset multiplot
