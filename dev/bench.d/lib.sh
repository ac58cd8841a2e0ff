# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the benchmarks share. To be sourced after dev/lib.sh:
#
#	. "$TOP/dev/bench.d/lib.sh"

# No figure comes from a guest whose CPUs take turns, see dev/vm
export THREAD=${THREAD:-multi}

# bench_program NAME [DIR]: NAME.bpf.c and NAME.c in DIR, by default here, become
# build/BASE/bench/NAME, with the skeleton inside called NAME_bench
bench_program()
{
	need_packages gcc:gcc clang-19:clang-19 libelf-dev zlib1g-dev
	mkdir -p "$BUILD/bench"
	run_logged "$BUILD/bench/$1.log" build_bench_program "$@" ||
		die "the benchmark $1 did not build"
}

build_bench_program()
{
	local here=${2:-$TOP/dev/bench.d} out=$BUILD/bench libbpf=$BUILD/bpftool-obj/libbpf

	clang-19 --target=bpf -mcpu=v3 -g -O2 -Wall -Werror -D__TARGET_ARCH_x86 \
		-fms-extensions -Wno-microsoft-anon-tag -I"$BUILD/samples" \
		-I"$libbpf/include" -I"$here" -c "$here/$1.bpf.c" -o "$out/$1.bpf.o" &&
	"$BUILD/bpftool" gen skeleton "$out/$1.bpf.o" name "$1_bench" >"$out/$1.skel.h" &&
	gcc -g -O2 -Wall -Werror -I"$out" -I"$BUILD/samples" -I"$libbpf/include" \
		-I"$TREE/tools/include/uapi" \
		-I"$here" "$here/$1.c" "$libbpf/libbpf.a" -lelf -lz -lpthread -o "$out/$1"
}
