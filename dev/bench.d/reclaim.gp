# SPDX-License-Identifier: GPL-2.0
#
# The picture of the benchmark of reclaim, called with the variables data and out.
# A line of data: scenario, elapsed s, stalled s, p99.9 ms.

set terminal svg size 960,480 font "sans,13" background "white"
set output out
set title "A 64 MiB file, four times through a cgroup of 32 MiB" font ",16"
set ylabel "seconds; milliseconds for p99.9 (log scale)"
set logscale y
set yrange [0.001:100]
set grid ytics lc rgb "#d0d0d0"
set border 3
set xtics nomirror scale 0
set ytics nomirror
set key top right
set style data histogram
set style histogram clustered gap 1
set style fill solid border -1

plot data using 2:xtic(1) lc rgb "#4a90c8" title "elapsed, s", \
     data using ($3 > 0.001 ? $3 : 0.001) lc rgb "#e8853a" title "stalled for memory, s", \
     data using 4 lc rgb "#70a860" title "p99.9 of touching a page, ms"
