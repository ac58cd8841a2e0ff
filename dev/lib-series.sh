# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2153
#
# The series as data: reads and judges the manifest, and turns it into a small
# git repository that holds only the files that the series touches: one commit
# with the base's versions (tag "base"), then one for each patch. Everything else
# is made from that: the tree, the patches, the refreshed edits. To be sourced
# after lib.sh; series/README describes the files.

SERIES=$TOP/series/$BASE
MESSAGES=$TOP/series/messages

# Where own files live. MAINTAINERS at the top is our stanza only.
OWN_DIRS=(Documentation include kernel mm net samples tools)

# The committed patches are no person's: whoever mails them signs them off.
NEUTRAL_NAME=memcg-bpf
NEUTRAL_MAIL=memcg-bpf@series.invalid	# a domain that never exists, RFC 2606
SERIES_EPOCH=1793491200			# 2026-11-01, any date that never changes

# Each option whose default a version of git or its user can change
diff_options=(--diff-algorithm=myers --indent-heuristic --unified=3
	--inter-hunk-context=0 --no-renames --no-ext-diff --no-textconv
	--no-color --src-prefix=a/ --dst-prefix=b/)

patches=()		# NN-slug, in order
declare -A own_of	# NN-slug -> its own files, separated by spaces
declare -A patch_of	# own file -> NN-slug
declare -A edited_of	# NN-slug -> kernel files that its edit touches
unlisted=()		# own files that no base's manifest names

# Whatever the user has configured or exported must not reach the patches.
clean_git_environment()
{
	local name

	for name in $(git rev-parse --local-env-vars) GIT_DIFF_OPTS GIT_EXTERNAL_DIFF \
			GIT_NAMESPACE GIT_ATTR_SOURCE; do
		unset "$name"
	done
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null \
		GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 LC_ALL=C TZ=UTC
}

# bad WORDS: strict callers die of it, the tree only tells
bad()
{
	case $series_mode in
	strict)		die "$1" ;;
	lenient)	say "note: $1" ;;
	esac
}

# manifest FILE: "NN-slug file file ..." for each patch
manifest()
{
	sed 's/#.*//' "$1" | awk '
		/^[ \t]*$/ { next }
		/^[^ \t]/ {
			if (patch) print patch
			i = index($0, ":")
			patch = i ? substr($0, 1, i - 1) : $0 " (no colon)"
			$0 = i ? substr($0, i + 1) : ""
		}
		{ for (i = 1; i <= NF; i++) patch = patch " " $i }
		END { if (patch) print patch }'
}

list_own_files()
{
	local dir present=()

	for dir in "${OWN_DIRS[@]}"; do
		[[ ! -d $TOP/$dir ]] || present+=("$dir")
	done
	[[ ${#present[@]} -eq 0 ]] ||
		(cd "$TOP" && find "${present[@]}" \( -type f -o -type l \) ! -name '*~' \
			! -name '.*.sw?' ! -name '*.orig' ! -name '*.rej' \
			! -path '*/__pycache__/*' | sort)
	[[ ! -e $TOP/MAINTAINERS ]] || echo MAINTAINERS
}

# message_of NN-slug: the path of its message, the base's own if there is one
message_of()
{
	local file=$MESSAGES/$1.$BASE.msg

	[[ -e $file ]] || file=$MESSAGES/$1.msg
	printf '%s\n' "$file"
}

# message_text FILE: without the comment lines at its head
message_text()
{
	sed '1,/^[^#]/ { /^#/d }' "$1"
}

check_message()
{
	local file name subject

	file=$(message_of "$1")
	name=${file#"$TOP/"}
	[[ -e $file ]] || { bad "patch $1 has no message: write $name"; return 0; }
	subject=$(message_text "$file" | head -n 1)
	[[ -n $subject && $subject != \[* ]] ||
		bad "$name: the first line must be the subject, without [PATCH]"
	[[ ${#subject} -le 75 ]] ||
		bad "$name: the subject has ${#subject} characters, 75 is the most"
	[[ -z $(message_text "$file" | sed -n 2p) &&
	   -n $(message_text "$file" | sed -n 3p) ]] ||
		bad "$name: after the subject must come an empty line and a body"
}

# strip_level FILE: the -p that the diff wants (git's a/ and b/, or none)
strip_level()
{
	if grep -E '^\+\+\+ ' "$1" | grep -qv '^+++ b/' &&
	   [[ -e $BUILD/base/$(sed -n 's/^+++ \([^\t]*\).*/\1/p' "$1" | head -n 1) ]]; then
		echo 0
	else
		echo 1
	fi
}

check_edit()
{
	local patch=$1 diff=$SERIES/edits/$1.diff name file summary

	name=${diff#"$TOP/"}
	[[ -e $diff ]] || return 0
	# outside of a repository, so that git apply takes paths as they are
	summary=$(git -C / apply --summary -p "$(strip_level "$diff")" "$diff" 2>&1) ||
		die "$name is no valid diff: $(head -n 1 <<<"$summary")"
	[[ -z $summary ]] ||
		die "$name may only change lines of existing files, not${summary%%$'\n'*}"
	while IFS=$'\t' read -r _ _ file; do
		[[ $file != MAINTAINERS ]] ||
			die "$name: the stanza for MAINTAINERS is the file at our top, list it as an own file"
		[[ -z ${patch_of[$file]:-} ]] ||
			die "$name edits $file, which is our own file: change that instead"
		[[ -f $BUILD/base/$file ]] ||
			die "$name edits $file, which the base (Linux $(kernel_version "$BUILD/base")) does not have"
		edited_of[$patch]+="${edited_of[$patch]:+ }$file"
	done < <(git -C / apply --numstat -p "$(strip_level "$diff")" "$diff")
}

# read_series strict|lenient|quiet: fill the variables above, or die of a broken
# rule. Lenient is for series in the making: no messages yet, files not listed yet.
read_series()
{
	local line words patch file last='' other elsewhere=' ' made

	series_mode=$1
	if [[ ! -e $SERIES/series ]]; then
		made=$(cd "$TOP/series" && ls -d -- */series 2>/dev/null) || :
		made=${made//$'\n'/ }
		die "there is no series for base $BASE; there is one for: ${made//\/series/}"
	fi

	while read -ra words; do
		patch=${words[0]}
		[[ $patch =~ ^[0-9][0-9]-[a-z0-9][a-z0-9_-]*$ && $patch != 00-* ]] ||
			die "series/$BASE/series: '$patch' is not 'NN-slug:'"
		[[ $patch > $last ]] ||
			die "series/$BASE/series: $patch comes after $last: numbers must rise"
		last=$patch
		patches+=("$patch")
		own_of[$patch]=''
		for file in "${words[@]:1}"; do
			[[ -z ${patch_of[$file]:-} ]] ||
				die "series/$BASE/series: $file is in two patches, ${patch_of[$file]} and $patch"
			patch_of[$file]=$patch
			if [[ $file != MAINTAINERS ]]; then
				[[ " ${OWN_DIRS[*]} " == *" ${file%%/*} "* ]] ||
					die "series/$BASE/series: $file is in none of our directories (${OWN_DIRS[*]})"
				[[ ! -e $BUILD/base/$file ]] ||
					die "$file is in the base already, so it cannot be our own (is the series applied to KERNEL_SRC?)"
			fi
			if [[ -L $TOP/$file ]]; then
				die "$file is a symbolic link: own files are plain files"
			elif [[ ! -f $TOP/$file ]]; then
				bad "series/$BASE/series: $file does not exist (patch $patch)"
				continue
			fi
			own_of[$patch]+="${own_of[$patch]:+ }$file"
		done
	done < <(manifest "$SERIES/series")
	[[ ${#patches[@]} -gt 0 ]] || bad "series/$BASE/series names no patch yet"

	# a file that only another base needs is listed there
	for other in "$TOP"/series/*/series; do
		elsewhere+=$(manifest "$other" | cut -d ' ' -f 2- -s | tr '\n' ' ')' '
	done
	for file in $(list_own_files); do
		[[ -n ${patch_of[$file]:-} || $elsewhere == *" $file "* ]] ||
			unlisted+=("$file")
	done
	[[ ${#unlisted[@]} -eq 0 ]] ||
		bad "in no patch, to be listed in series/$BASE/series: ${unlisted[*]}"

	for patch in "${patches[@]}"; do
		check_message "$patch"
		check_edit "$patch"
		[[ -n ${own_of[$patch]} || -n ${edited_of[$patch]:-} ]] ||
			bad "patch $patch has neither own files nor edits/$patch.diff"
	done
	for file in "$SERIES"/edits/*; do
		[[ -e $file ]] || continue
		patch=$(basename "$file" .diff)
		[[ " ${patches[*]} " == *" $patch "* ]] ||
			bad "${file#"$TOP/"} belongs to no patch in series/$BASE/series"
	done
}

# list_objects: fill own with the series' own kernel files, and objects with what comes
# of these, of the files it edits, and of some users of the headers that it edits
list_objects()
{
	local patch file

	own=() objects=()
	for patch in "${patches[@]}"; do
		for file in ${own_of[$patch]} ${edited_of[$patch]:-}; do
			[[ $file =~ ^(mm|kernel|net|fs|block|io_uring)/.*\.c$ ]] || continue
			[[ " ${objects[*]} " == *" ${file%.c}.o "* ]] || objects+=("${file%.c}.o")
			[[ -z ${patch_of[$file]:-} ]] || own+=("$file")
		done
	done
	objects+=(kernel/entry/common.o kernel/cgroup/cgroup.o kernel/sched/core.o mm/memory.o
		mm/oom_kill.o)
}

# copy_base DIR [COPY OPTION]: the whole base as DIR, complete or not at all
copy_base()
{
	local base

	base=$(readlink "$BUILD/base")
	rm -rf "$1.new" "$1"
	at_exit rm -rf -- "$1.new"
	mkdir -p "$1.new"
	if [[ -e $base/.git ]]; then
		# a user's clone: its tracked files, without what was built there
		(cd "$base" && git -c safe.directory="$base" ls-files -z |
			tar -c --null --verbatim-files-from -T -) | tar -x -C "$1.new"
	else
		cp -a "${2:---reflink=auto}" "$base/." "$1.new"
	fi || die "cannot copy $base to ${1#"$TOP/"}; is there room (2 GB)?"
	[[ ! -e $1.new/.config && ! -d $1.new/include/config ]] ||
		die "a kernel was built inside $base, which spoils builds elsewhere; run 'make mrproper' there, or give a clean tree"
	mv -T "$1.new" "$1"
}

# base_identity: differs when another source is the base
base_identity()
{
	printf '%s %s\n' "$(readlink "$BUILD/base")" "$(kernel_version "$BUILD/base")"
}

# add_stanza BASE_MAINTAINERS: print it with our stanza after the section that
# precedes it in the alphabet (the list is not quite in order everywhere)
add_stanza()
{
	awk -v stanza="$(sed '/^#/d' "$TOP/MAINTAINERS" | sed '/./,$!d')" '
		BEGIN { split(stanza, lines, "\n"); ours = toupper(lines[1]) }
		/^Maintainers List$/ { list = NR + 1 }
		{ line[NR] = $0 }
		list && NR > list && $0 != "" && line[NR - 1] == "" &&
		toupper($0) < ours && toupper($0) > best {
			best = toupper($0)
			at = NR
		}
		END {
			for (i = 1; i <= NR; i++) {
				print line[i]
				if (at && i >= at && line[i] == "") {
					print stanza "\n"
					at = 0
					done = 1
				}
			}
			exit !done
		}' "$1"
}

# sgit ARGS: git in the small repository $repo
sgit()
{
	git -C "$repo" "$@"
}

commit_as()
{
	local date="$SERIES_EPOCH +0000"

	GIT_AUTHOR_NAME=${SUBMITTER_NAME:-$NEUTRAL_NAME} GIT_AUTHOR_EMAIL=${SUBMITTER_MAIL:-$NEUTRAL_MAIL} \
	GIT_COMMITTER_NAME=${SUBMITTER_NAME:-$NEUTRAL_NAME} GIT_COMMITTER_EMAIL=${SUBMITTER_MAIL:-$NEUTRAL_MAIL} \
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date \
		git -C "$repo" commit -q --allow-empty --no-verify --cleanup=verbatim -F -
}

# put_file FROM DIR PATH: replace it in one step, a shared copy stays as it is
put_file()
{
	mkdir -p "$2/$(dirname "$3")"
	cp "$1" "$2/$3.memcg-bpf-new"
	mv -f "$2/$3.memcg-bpf-new" "$2/$3"
}

put_own_file()
{
	if [[ $1 == MAINTAINERS ]]; then
		add_stanza "$BUILD/base/MAINTAINERS" >"$repo/MAINTAINERS" ||
			die "found no place for our stanza in the base's MAINTAINERS"
	else
		mkdir -p "$repo/$(dirname "$1")"
		cp "$TOP/$1" "$repo/$1"
	fi
}

# new_repo DIR: an empty one that diffs alike for everybody
new_repo()
{
	repo=$1
	rm -rf "$repo"
	mkdir -p "$repo"
	git init -q --template= --object-format=sha1 -b series "$repo"
	# Which line a hunk header quotes: git's own rules for C vary by version
	mkdir -p "$repo/.git/info"
	printf '%s diff=kernel\n' '*.c' '*.h' >"$repo/.git/info/attributes"
	sgit config diff.kernel.xfuncname \
		$'!^[A-Za-z_][A-Za-z0-9_]*:\n^[A-Za-z_].*$'
	sgit config core.fileMode true
	sgit config core.autocrlf false
	sgit config gc.auto 0
}

# build_repo DIR: the repository described at the top of this file
build_repo()
{
	local patch file error diff

	new_repo "$1"
	for patch in "${patches[@]}"; do
		for file in ${edited_of[$patch]:-}; do
			mkdir -p "$repo/$(dirname "$file")"
			cp "$BUILD/base/$file" "$repo/$file"
		done
	done
	[[ -z ${patch_of[MAINTAINERS]:-} ]] ||
		cp "$BUILD/base/MAINTAINERS" "$repo/"
	sgit add -A -f .
	commit_as <<<"Linux $(kernel_version "$BUILD/base")"
	sgit tag base

	for patch in "${patches[@]}"; do
		for file in ${own_of[$patch]}; do
			put_own_file "$file"
		done
		sgit add -A -f .
		diff=$SERIES/edits/$patch.diff
		if [[ -e $diff ]]; then
			# no -C, no --3way, no fuzz: what does not fit exactly is wrong
			error=$(sgit apply --index --whitespace=nowarn -p "$(strip_level "$diff")" "$diff" 2>&1) ||
				die "${diff#"$TOP/"} does not apply to Linux $(kernel_version "$BUILD/base"): $(head -n 1 <<<"$error")"
		fi
		file=$(message_of "$patch")
		if [[ -e $file ]]; then
			message_text "$file" | commit_as
		else
			commit_as <<<"$patch"
		fi
		sgit tag "$patch"
	done

	# files in the making are in the tree too, but in no patch
	for file in "${unlisted[@]}"; do
		[[ -e $BUILD/base/$file && $file != MAINTAINERS ]] || put_own_file "$file"
	done
	sgit add -A -f .
	commit_as <<<"own files in no patch"
}

# changed_in_tree: kernel files and own files in $TREE that are not what dev/tree
# wrote, one a line; "new FILE" for sources that neither we nor the base have
changed_in_tree()
{
	local file base
	local -A written

	base=$(sed 's/ [^ ]*$//' "$BUILD/tree.base")
	blobs_of "$BUILD/written" HEAD written
	# by ctime, which no tool that keeps times can set
	find "$TREE" -path "$TREE/obj*" -prune -o -type f -cnewer "$BUILD/tree.base" -printf '%P\n' | sort |
	while read -r file; do
		if [[ -n ${written[$file]:-} ]]; then
			[[ $(blob_in "$TREE" "$file") == "${written[$file]}" ]] || echo "$file"
		elif [[ -f $base/$file ]]; then
			cmp -s "$base/$file" "$TREE/$file" || echo "$file"
		elif [[ $file =~ (\.[chS]|\.rst|/Makefile|/Kconfig[^/]*)$ ]]; then
			echo "new $file"
		fi
	done
}

# blobs_of REPO REVISION ARRAY: fill ARRAY with path -> "mode blob"
blobs_of()
{
	local -n blobs=$3
	local mode blob path

	blobs=()
	[[ -d $1/.git ]] && git -C "$1" rev-parse -q --verify "$2" >/dev/null || return 0
	while IFS=$' \t' read -r mode _ blob path; do
		# shellcheck disable=SC2004 # an associative array
		blobs[$path]="$mode $blob"
	done < <(git -C "$1" ls-tree -r "$2")
}

# blob_in DIR PATH: "mode blob" of a file on disk, nothing when there is none
blob_in()
{
	local mode=100644

	[[ -f $1/$2 ]] || return 0
	[[ ! -x $1/$2 ]] || mode=100755
	printf '%s %s\n' "$mode" "$(git hash-object --no-filters "$1/$2")"
}

need_packages git:git
clean_git_environment
