# SPDX-License-Identifier: GPL-2.0
#
# The picture of the benchmark of statistics, called by dev/bench-picture with the
# variables readers and out. A line of it: cgroups, then the instructions of each
# reader for one cgroup: scanf, text, single, bulk, one.

set terminal svg size 960,480 font "sans,13" background "white"
set output out
set datafile separator "\t"
set title "Reading all counters of a cgroup: instructions for each cgroup (log scale)" font ",16"
set logscale y
set yrange [1000:1500000]
set format y "%.0f"
set ytics nomirror (1000, 10000, 100000)
set xtics nomirror scale 0
set xlabel "cgroups read in one sweep"
set grid ytics lc rgb "#d0d0d0"
set border 3
set xrange [-0.6:3.6]
set style fill solid noborder
set key top left Left reverse vertical maxrows 3 samplen 1.5 width 2 font ",12"
w = 0.16
short(x) = x < 10000 ? sprintf("%.1fk", x / 1000) : sprintf("%.0fk", x / 1000)

plot readers using ($0 - 2 * w):2:(w):xtic(1) with boxes lc rgb "#b8b8b8" title "memory.stat, sscanf()", \
     '' using ($0 - w):3:(w) with boxes lc rgb "#7a7a7a" title "memory.stat, parsed by hand", \
     '' using 0:4:(w) with boxes lc rgb "#4a90c8" title "a kfunc call for each counter", \
     '' using ($0 + w):5:(w) with boxes lc rgb "#e8853a" title "one call, from an iterator", \
     '' using ($0 + 2 * w):6:(w) with boxes lc rgb "#a04a10" title "one call, from a syscall program", \
     for [i = 2:6] '' using ($0 + (i - 4) * w):i:(short(column(i))) with labels offset 0,0.6 font ",10" notitle, \
     '' using ($0 + 2 * w):(strcol(6) eq "?" ? 1060 : NaN):("not measured") with labels rotate by 90 left font ",9" tc rgb "#909090" notitle
