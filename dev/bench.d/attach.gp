# SPDX-License-Identifier: GPL-2.0
#
# The picture of the benchmark of attachment, called with the variables latency,
# scale and out. A line of latency: link and others, p50, p99 and most in ms; of
# scale: cgroups, instructions of attach, update, detach, flat and three levels.

set terminal svg size 1100,460 font "sans,12" background "white"
set output out
set multiplot layout 1,2
set border 3
set grid ytics lc rgb "#d0d0d0"
set xtics nomirror
set ytics nomirror

set title "Attach+detach of one link while 100 others are detached" font ",14"
set ylabel "milliseconds (log scale)"
set logscale y
set yrange [5:5000]
set key top left
set xtics scale 0 font ",8" rotate by -35
set style data histogram
set style histogram clustered gap 1
set style fill solid border -1
plot latency using 2:xtic(1) lc rgb "#4a90c8" title "p50", '' using 3 lc rgb "#e8853a" title "p99", \
     '' using 4 lc rgb "#b8b8b8" title "most"

set title "Instructions for each cgroup of the subtree" font ",14"
set ylabel "instructions"
set xlabel "cgroups"
set logscale xy
set xrange [8:7000]
set yrange [100:*]
set key top right
set xtics norotate (10, 100, 1000, 5000) scale 1 font ",12"
plot scale using 1:2 with linespoints lw 2 lc rgb "#4a90c8" title "attach, flat", \
     '' using 1:5 with linespoints lw 2 dt 2 lc rgb "#4a90c8" title "three levels", \
     '' using 1:3 with linespoints lw 2 lc rgb "#e8853a" title "update, flat", \
     '' using 1:6 with linespoints lw 2 dt 2 lc rgb "#e8853a" title "three levels", \
     '' using 1:4 with linespoints lw 2 lc rgb "#70a860" title "detach, flat", \
     '' using 1:7 with linespoints lw 2 dt 2 lc rgb "#70a860" title "three levels"
unset multiplot
