# SPDX-License-Identifier: GPL-2.0
#
# What idle cgroups hold over time, and what their neighbour gets done:
# gnuplot -e "dir='DIR'; number='N'; out='FILE'" scale.gp
set terminal svg size 800,500 font 'sans,12' background '#ffffff'
set output out
set multiplot layout 2,1 title number.' cgroups, one in twenty works at a time'
set key outside right top
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
set yrange [0:*]
set ylabel 'held by idle ones, MiB'
plot dir.'/series.none' using 1:2 with lines lw 2 lc rgb '#999999' title 'nothing', \
     dir.'/series.low' using 1:2 with lines lw 2 lc rgb '#d55e00' title 'memory.low on all', \
     dir.'/series.daemon' using 1:2 with lines lw 2 lc rgb '#e69f00' title 'daemon', \
     dir.'/series.policy' using 1:2 with lines lw 2 lc rgb '#0072b2' title 'memcg --each'
set ylabel 'neighbour, pages/s'
set xlabel 's'
plot dir.'/series.none' using 1:3 with lines lw 2 lc rgb '#999999' title 'nothing', \
     dir.'/series.low' using 1:3 with lines lw 2 lc rgb '#d55e00' title 'memory.low on all', \
     dir.'/series.daemon' using 1:3 with lines lw 2 lc rgb '#e69f00' title 'daemon', \
     dir.'/series.policy' using 1:3 with lines lw 2 lc rgb '#0072b2' title 'memcg --each'
