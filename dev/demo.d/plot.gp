# SPDX-License-Identifier: GPL-2.0
#
# The demonstration's picture, called by dev/demo with the variables data and out.
# A line of data: title, then median, least and most of high, and of low.

set terminal svg size 960,480 font "sans,13" background "white"
set output out
set datafile missing "?"

set title "Two cgroups, each working on 600 MiB, in a guest of 800 MiB" font ",16"
set ylabel "operations per second (log scale)"
set logscale y
set yrange [10:100000]
set format y "%.0f"
set ytics nomirror
set grid ytics lc rgb "#d0d0d0"
set border 3
set xtics nomirror scale 0 font ",11"
set xrange [-0.6:5.6]
set key top left vertical
set bmargin 5

width = 0.36
set style fill solid border -1
set errorbars 1.5

# a bar is the median, its whisker goes from the least to the most
plot data using ($0 - 0.18):2:3:4:(width):xtic(1) with boxerrorbars lc rgb "#e8853a" title "high", \
     data using ($0 + 0.18):5:6:7:(width) with boxerrorbars lc rgb "#4a90c8" title "low", \
     data using ($0 - 0.18):($4 * 1.3):(sprintf("%.0f", $2)) with labels font ",11" notitle, \
     data using ($0 + 0.18):($7 * 1.3):(sprintf("%.0f", $5)) with labels font ",11" notitle
