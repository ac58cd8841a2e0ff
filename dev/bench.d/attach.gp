# SPDX-License-Identifier: GPL-2.0
#
# The picture of the benchmark of attachment, called by dev/bench-picture with the
# variables latency, scale and out. A line of latency: link and load, p50, p99 and most
# in ms; of scale: cgroups, instructions of attach, update, detach, flat and three levels.

set terminal svg size 1200,480 font "sans,12" background "white"
set output out
set datafile separator "\t"
set multiplot
set border 3 lc rgb "#606060"
set xtics nomirror
set ytics nomirror scale 0

set title "To attach and detach one link, while others are detached" font ",14" offset 0,1.7
set lmargin at screen 0.27
set rmargin at screen 0.58
set tmargin at screen 0.8
set bmargin at screen 0.13
set xlabel "milliseconds (log scale)"
set logscale x
set xrange [8:1500]
set xtics (10, 30, 100, 300, 1000)
set grid xtics lc rgb "#d0d0d0"
set yrange [7.6:-0.6]
set key at screen 0.425, 0.875 center horizontal samplen 1
plot latency using 2:0:2:4:ytic(1) with xerrorbars pt -1 lw 2 lc rgb "#b8b8b8" notitle, \
     '' using 2:0 with points pt 7 ps 0.9 lc rgb "#4a90c8" title "p50", \
     '' using 3:0 with points pt 7 ps 0.9 lc rgb "#e8853a" title "p99", \
     '' using 4:0 with points pt 7 ps 0.9 lc rgb "#7a7a7a" title "most"

set title "Instructions for each cgroup of the subtree" font ",14" offset 0,1.7
set lmargin at screen 0.66
set rmargin at screen 0.97
unset grid
set grid ytics lc rgb "#d0d0d0"
set xlabel "cgroups in the subtree"
set xrange [8:7000]
set xtics (10, 100, 1000, 5000)
set yrange [0:*]
set ytics auto
set key at graph 1, 0.99 top right vertical maxrows 3 samplen 2
plot scale using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc rgb "#4a90c8" title "attach", \
     '' using 1:3 with linespoints lw 2 pt 7 ps 0.6 lc rgb "#e8853a" title "update", \
     '' using 1:4 with linespoints lw 2 pt 7 ps 0.6 lc rgb "#70a860" title "detach", \
     '' using 1:5 with linespoints lw 2 dt 2 pt 6 ps 0.6 lc rgb "#4a90c8" notitle, \
     '' using 1:6 with linespoints lw 2 dt 2 pt 6 ps 0.6 lc rgb "#e8853a" notitle, \
     '' using 1:7 with linespoints lw 2 dt 2 pt 6 ps 0.6 lc rgb "#70a860" notitle, \
     keyentry with lines lw 2 lc rgb "#303030" title "flat", \
     keyentry with lines lw 2 dt 2 lc rgb "#303030" title "three levels"
unset multiplot
