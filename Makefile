# SPDX-License-Identifier: GPL-2.0
#
# A thin front: every target is one script under dev/, which says in its first
# comment what it does. Variables are passed on through the environment.

BASE	?= 7.3
SECONDS	?= 300
TORTURE_SECONDS := $(SECONDS)
export BASE KERNEL_SRC DEBUG ICOUNT MEM SWAP CPUS TIMEOUT CMD PATCH FROM V TORTURE_SECONDS
export CONFIG ONLY DEBS SEED MUTANTS KERNELS AGAIN LIMIT RUNS BOOTS LOOPS
unexport SECONDS	# means something else to a shell
# The guest's shell expands CMD, not make
override CMD := $(value CMD)

.PHONY: help demo test test-protection check prefixes torture mutants regress matrix bench base tree kernel \
	series edits mail vm selftests samples deb test-deb readme clean

help:		## list every target with one line each
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo:		## from nothing to the priority demonstration: tables and picture under results/ [STRICT=1]
	@dev/demo
test:		## build what is missing, boot, run test_progs -t memcg and the samples' checks
	@dev/test
test-protection:	## the whole matrix of who is reclaimed, beside what memory.low does [ONLY=mglru]
	@dev/test-protection
check:		## prove the series: regenerates, applies, each prefix compiles, checkpatch, kernel-doc
	@dev/check
prefixes:	## build the whole kernel after each patch of the series (takes long)
	@dev/prefixes
torture:	## hostile policies and what may happen to cgroups, at random [SECONDS=n] [SEED=n] [DEBUG=0|kcsan]
	@dev/torture
mutants:	## take each guarantee's fix out: a test has to fail [MUTANTS='NAME ...']
	@dev/mutants
regress:	## the kernel's own tests on the base, on the series, with a policy at the root
	@dev/regress
matrix:		## compile our files and the edited ones in other configurations [ONLY='NAME ...']
	@dev/matrix
bench:		## every benchmark; tables and pictures under results/
	@dev/bench
base:		## fetch and unpack the base kernel into the per-user cache
	@dev/base
tree:		## make or refresh the patched tree under build/
	@dev/tree
kernel:		## build the patched kernel [DEBUG=1: the debug kernel, DEBUG=kcsan: for data races]
	@dev/kernel
series:		## generate series/$(BASE)/*.patch from own files, edits and messages
	@dev/series
edits:		## fold changes made in the tree's kernel files back into series/$(BASE)/edits [PATCH=NN-slug]
	@dev/edits
mail:		## the series with your own From and Signed-off-by, under build/ [FROM='Name <mail>']
	@dev/mail
vm:		## boot and run CMD as root [DEBUG=1] [ICOUNT=1] [KVM=0] [MEM=1G] [SWAP=512M] [CPUS=2] [TIMEOUT=s] CMD='...'
	@dev/vm
selftests:	## build test_progs with our tests
	@dev/selftests
samples:	## build the samples
	@dev/samples
deb:		## Debian packages of kernel, tools and libbpf under build/ [CONFIG=file]
	@dev/deb
test-deb:	## install, boot, use and remove these packages in a virtual machine that is a real Debian
	@dev/test-deb
readme:		## run the commands of README.md as they are written
	@dev/readme
clean:		## remove everything under build/ (the download cache stays)
	@dev/clean
