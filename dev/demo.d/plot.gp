# SPDX-License-Identifier: GPL-2.0
#
# The demonstration's picture, called by dev/demo with the variables data, out and
# under, a line of text on how it was measured. A line of data: title, then median,
# least and most of high, and of low.

set terminal svg size 1200,600 font "sans,13" background "white"
set output out
set datafile missing "?"

set title "Two cgroups, each working on 600 MiB, in a guest of 800 MiB\n{/*0.75 ".under."}" font ",16"
set ylabel "MiB written per second (log scale: each line is twice the one below)"
set logscale y 2
set yrange [8:32768]
set format y "%.0f"
set ytics 16,2,16384 nomirror
set grid ytics lc rgb "#d8d8d8"
set border 3
set xtics nomirror scale 0 font ",11"
stats data using 2 nooutput
set xrange [-0.6:STATS_records + STATS_invalid - 0.4]
set key outside top right horizontal
set bmargin 6

width = 0.36
set style fill solid border -1
set errorbars 1.5

# a bar is the median, its whisker goes from the least to the most
plot data using ($0 - 0.18):2:3:4:(width):xtic(1) with boxerrorbars lc rgb "#e8853a" title "high", \
     data using ($0 + 0.18):5:6:7:(width) with boxerrorbars lc rgb "#4a90c8" title "low", \
     data using ($0 - 0.18):($4 * 1.25):(sprintf("%.0f", $2)) with labels font ",11" notitle, \
     data using ($0 + 0.18):($7 * 1.25):(sprintf("%.0f", $5)) with labels font ",11" notitle
