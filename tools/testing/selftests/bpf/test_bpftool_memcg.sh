#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check what bpftool does with struct_ops that are attached to cgroups:
# `test_bpftool_memcg.sh [BPFTOOL [OBJECT]]`, as root, on a kernel with
# CONFIG_BPF_MEMCG. OBJECT is the built progs/memcg_attach.c. One line per check,
# `ok N - text` or `not ok N - text`; exit status 1 when one failed, 4 (skip)
# when the kernel has no memory cgroup policies; with memcg_tcp_ca.bpf.o beside
# OBJECT, such a kernel is checked to attach nothing.

set -u

here=$(cd "$(dirname "$0")" && pwd)
bpftool=${1:-$(command -v bpftool || echo "$here/tools/sbin/bpftool")}
object=${2:-$here/memcg_attach.bpf.o}
# A struct_ops that has nothing to do with cgroups
tcp_ca=$(dirname "$object")/memcg_tcp_ca.bpf.o
# Another object, with a program for cgroups
program=$(dirname "$object")/test_cgroup_link.bpf.o
root=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
bpffs=$(findmnt -n -o TARGET -t bpf | head -n 1)
top=$root/test_bpftool.$$
pins=$bpffs/test_bpftool_$$
dir=$(mktemp -d)
n=0 failed=0

cleanup()
{
	touch "$dir/stop"
	wait
	rm -rf "$pins" "$dir"
	find "$top" -depth -type d -exec rmdir {} \; 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# check TEXT COMMAND...: one result
check()
{
	local text=$1
	shift

	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		sed 's/^/# /' "$dir/out" "$dir/err" 2>/dev/null | tail -n 20
		failed=$((failed + 1))
	fi
}

# tool WORD...: run bpftool
tool()
{
	timeout 60 "$bpftool" "$@" >"$dir/out" 2>"$dir/err"
}

# says PATTERN WORD...: bpftool succeeds, and a line of its output matches
says()
{
	local pattern=$1
	shift

	tool "$@" && grep -qE -- "$pattern" "$dir/out"
}

# silent WORD...: bpftool succeeds, and has nothing to say
silent()
{
	tool "$@" && [[ ! -s $dir/out && ! -s $dir/err ]]
}

# json EXPRESSION WORD...: bpftool succeeds, and EXPRESSION is true of its output d
json()
{
	local expression=$1
	shift

	tool -j "$@" && python3 -c '
import json, sys
d = json.load(sys.stdin)
sys.exit(not ('"$expression"'))' <"$dir/out" 2>>"$dir/err"
}

# no_links: no struct_ops is attached to a cgroup
no_links()
{
	json 'not [l for m in d for l in m["links"] if "cgroup_id" in l]' struct_ops show
}

# register PINS MAP CGROUP [FLAGS]
register()
{
	local to=$pins/$1 map=$2 cgroup=$3
	shift 3

	tool struct_ops register "$object" "$to" map "$map" cgroup "$top/$cgroup" "$@" &&
		grep -q '^Registered memcg_bpf_ops' "$dir/err" && [[ -e $to/$map ]]
}

# refused WORDS ARGUMENT...: register fails, with one line, and leaves nothing
refused()
{
	local words=$1
	shift

	if tool struct_ops register "$object" "$@"; then
		return 1
	fi
	[[ $(wc -l <"$dir/err") -eq 1 ]] && grep -q -- "^Error: .*$words" "$dir/err" &&
		[[ ! -e $pins ]] && no_links
}

refused_json()
{
	! tool -j struct_ops register "$object" "$pins" map a cgroup "$top/sub/sub" &&
		[[ ! -s $dir/err ]] && python3 -c '
import json, sys
sys.exit("cgroup.subtree_control" not in json.load(sys.stdin)["error"])' <"$dir/out"
}

no_cgroup()
{
	! tool struct_ops register "$object" "$pins" map a &&
		grep -q "attaches to a cgroup, name that with 'cgroup" "$dir/err" &&
		no_links && { [[ ! -d $pins ]] || rmdir "$pins"; }
}

no_cgroup_detach()
{
	! tool cgroup detach "$top/a" struct_ops id 1 && grep -q "bpftool link detach" "$dir/err" &&
		! tool cgroup attach "$top/a" struct_ops id 1 &&
		grep -q "bpftool struct_ops register" "$dir/err"
}

unregister()
{
	! tool struct_ops unregister id "$map" && grep -q "bpftool link detach" "$dir/err"
}

# names STRING: a cgroup with that name is shown as the second argument, everywhere
names()
{
	local name=$1 shown=$2 hex ret=0

	hex=$(printf %s "$name" | od -An -tx1 | tr -d ' \n')
	mkdir "$top/$name" || return
	json "d['cgroup'].endswith('/x') is False and d['link_id'] > 0 and d['map_id'] > 0 and
		d['name'] == 'a' and d['pinned'].endswith('/n/a')" \
		struct_ops register "$object" "$pins/n" map a cgroup "$top/$name" || ret=1
	says "^[[:space:]]cgroup_path /${top##*/}/$shown *\$" link show pinned "$pins/n/a" || ret=1
	json "d['cgroup_path'].encode().decode('unicode_escape').encode('latin1') ==
		b'/${top##*/}/' + bytes.fromhex('$hex')" \
		link show pinned "$pins/n/a" || ret=1
	says "^$top/$shown\$" cgroup tree "$top" || ret=1
	json "len(d) == 1" cgroup tree "$top/$name" || ret=1
	json "len(d) == 1 and d[0]['cgroup_path']" cgroup show "$top/$name" || ret=1
	rm -r "$pins/n"
	rmdir "$top/$name"
	return "$ret"
}

strange_names()
{
	names $'esc\e[31m' 'esc\\x1b\[31m' && names $'c1\xc2\x9b' 'c1\\xc2\\x9b' &&
		names $'bad\xff\xc3' 'bad\\xff\\xc3' && names $'del\x7f' 'del\\x7f' &&
		names $'surrogate\xed\xa0\x80' 'surrogate\\xed\\xa0\\x80'
}

# A link shows, and the command says that it succeeded; also the last of a batch
link_show()
{
	tool link show id "$link" && tool link show pinned "$pins/1/a" &&
		! tool link show id 4000000000 &&
		echo "link show id $link" >"$dir/batch" && tool batch file "$dir/batch"
}

# creating: links come and go as fast as they can
creating()
{
	until [[ -e $dir/stop ]]; do
		"$bpftool" struct_ops register "$object" "$pins/c" map empty cgroup "$top/b" multi
		rm -r "$pins/c"
	done &>/dev/null
}

# Links that are being created are no reason to show no others
show_survives()
{
	local i ret=0

	rm -f "$dir/stop"
	creating &
	for ((i = 0; i < 30 && ret == 0; i++)); do
		says "^$map: a +memcg_bpf_ops +attached" struct_ops show || ret=1
		says "^$link: struct_ops" link show || ret=1
	done
	touch "$dir/stop"
	wait
	rm -rf "$pins/c"
	return "$ret"
}

# A pin that cannot be made is found out too late to not attach
unpinnable()
{
	! tool struct_ops register "$object" "$bpffs/with.dot" map a cgroup "$top/a" &&
		grep -q "can't pin the link" "$dir/err" && no_links
}

no_mount()
{
	! tool --nomount struct_ops register "$object" "$dir/pins" map a cgroup "$top/a" &&
		grep -q 'not mounting it' "$dir/err" && [[ ! -e $dir/pins ]] && no_links
}

# nothing may be left of what was tried with the pin's name taken
taken()
{
	! tool struct_ops register "$object" "$pins/1" map a cgroup "$top/b" &&
		grep -q 'already exists' "$dir/err" && silent cgroup show "$top/b"
}

forbidden()
{
	! register 2 b a override && grep -q 'forbid it' "$dir/err" && [[ ! -e $pins/2 ]]
}

cgroup_id()
{
	stat -c %i "$top/$1"
}

# field NAME OF-PINNED-LINK
field()
{
	"$bpftool" -j link show pinned "$pins/$2" | python3 -c '
import json, sys
print(json.load(sys.stdin)[sys.argv[1]])' "$1" 2>/dev/null
}

# within SECONDS COMMAND...: it succeeds in time
within()
{
	local deadline=$((SECONDS + $1))
	shift

	until "$@"; do
		[[ $SECONDS -lt $deadline ]] || return 1
	done
}

detached()
{
	says '^[[:space:]]detached' link show pinned "$pins/$1" || return
	tool -j link show pinned "$pins/$1" &&
		grep -q '"map_id":0,"cgroup_id":0,.*"detached":true' "$dir/out" &&
		! grep -q cgroup_path "$dir/out"
}

detaches()
{
	tool link detach pinned "$pins/2/b" && detached 2/b && silent cgroup show "$top/a/sub"
}

rmdir_detaches()
{
	register 3 b sub && rmdir "$top/sub/sub" "$top/sub" && within 20 detached 3/b
}

# gone ID
gone()
{
	! "$bpftool" link show id "$1" 2>&1 | grep -q '^[0-9]'
}

no_tree()
{
	! tool cgroup tree "$top/none" && grep -q 'No such file' "$dir/err"
}

# Policies that share one cgroup, more than one query returns at once
many()
{
	local i

	mkdir "$top/b/many" && echo +memory >"$top/b/cgroup.subtree_control" || return
	for ((i = 0; i < 35; i++)); do
		echo "struct_ops register $object $pins/m$i map empty cgroup $top/b multi"
	done >"$dir/batch"
	tool batch file "$dir/batch" &&
		json 'len(d) == 35 and len({p["link_id"] for p in d}) == 35' cgroup show "$top/b" &&
		json '[p["link_id"] for p in d] == sorted(p["link_id"] for p in d) and
		      len(d) == 35' cgroup show "$top/b/many" effective &&
		rm -r "$pins"/m*
}

program_too()
{
	tool prog load "$program" "$pins/prog" type cgroup_skb/egress || return
	tool cgroup attach "$top/a" cgroup_inet_egress pinned "$pins/prog" multi || return
	says '^[0-9]+ +cgroup_inet_egress +multi +egress' cgroup show "$top/a" &&
		says "^$link +struct_ops +multi +a +memcg_bpf_ops" cgroup show "$top/a" &&
		json 'd[0]["attach_type"] == "cgroup_inet_egress" and d[0]["id"] and
		      d[1]["attach_type"] == "struct_ops"' cgroup show "$top/a" &&
		json '[len(c["programs"]) == 1 == len(c["struct_ops"]) for c in d
		       if c["cgroup"].endswith("/a")] == [True]' cgroup tree "$top"
}

# and they go on to be listed when there are no policies to be found
program_alone()
{
	echo -memory >"$top/a/cgroup.subtree_control" &&
		echo -memory >"$top/b/cgroup.subtree_control" &&
		echo -memory >"$top/cgroup.subtree_control" &&
		says '^[0-9]+ +cgroup_inet_egress +multi +egress' cgroup show "$top/a" &&
		! grep -q struct_ops "$dir/out" &&
		json 'len(d) == 1 and len(d[0]["programs"]) == 1 and "struct_ops" not in d[0]' \
			cgroup tree "$top"
}

# Cgroups come and go as fast as they can, at several levels
churn()
{
	while [[ ! -e $dir/stop ]]; do
		mkdir -p "$top/churn/"{1,2,3,4}/{1,2}/{1,2}
		rmdir "$top/churn/"{*/*/*,*/*,*}/
	done
}

# tree_survives [effective]: it never fails, nor loses what stays
tree_survives()
{
	local i ret=0

	rm -f "$dir/stop"
	churn &
	for ((i = 0; i < 20 && ret == 0; i++)); do
		says "^ +$link +struct_ops .*memcg_bpf_ops" cgroup tree "$top" "$@" || ret=1
		[[ ! -s $dir/err ]] || ret=1
	done
	touch "$dir/stop"
	wait
	rmdir "$top/churn"
	return "$ret"
}

# A kernel that would attach it to the whole system
not_here()
{
	! tool struct_ops register "$tcp_ca" "$pins" cgroup "$top" &&
		grep -q '^Error: this kernel does not attach struct_ops to cgroups' "$dir/err" &&
		[[ $(wc -l <"$dir/err") -eq 1 && ! -e $pins ]] &&
		! grep -q memcg_tcp_ca /proc/sys/net/ipv4/tcp_available_congestion_control
}

if [[ ! -x $bpftool || ! -r $object ]]; then
	echo "usage: $0 BPFTOOL OBJECT: there is no $bpftool or no $object" >&2
	exit 2
fi
if ! "$bpftool" btf dump file /sys/kernel/btf/vmlinux 2>/dev/null |
     grep "'bpf_struct_ops_memcg_bpf_ops'" >/dev/null; then
	if [[ -z $root || ! -r $tcp_ca ]]; then
		echo "1..0 # SKIP this kernel has no memory cgroup policies"
		exit 4
	fi
	mkdir "$top"
	check "register: not on this kernel" not_here
	echo "1..$n"
	exit "$failed"
fi
echo +memory >"$root/cgroup.subtree_control"
mkdir -p "$top"/{a,b,sub/sub} && echo +memory >"$top/cgroup.subtree_control" || exit 1

to=(cgroup "$top/a")
file=$top/a/cgroup.procs
check "register: LINK_DIR is missing" refused 'give it\|needs a LINK_DIR' "${to[@]}"
check "register: several can be attached" refused "'map NAME': a, b, c, empty\$" "$pins" "${to[@]}"
check "register: no such map" refused "'x' in .*: a, b, c, empty" "$pins" map x "${to[@]}"
check "register: which flag" refused 'one of' "$pins" map a "${to[@]}" multi override
check "register: what flag" refused "got: 'any'" "$pins" map a "${to[@]}" any
check "register: flag without cgroup" refused "got: 'multi'" "$pins" map a multi
check "register: a value is missing" refused "'cgroup' needs a value" "$pins" map a cgroup
check "register: the first value is missing" refused "'map' needs a value" "$pins" map
check "register: a word twice" refused 'duplicated' "$pins" map a map b
check "register: no such directory" refused 'No such file' "$pins" map a cgroup "$top/x"
check "register: not a directory" refused 'Not a directory' "$pins" map a cgroup "$file"
check "register: not a cgroup" refused 'not a cgroup v2' "$pins" map a cgroup "$dir"
check "register: memory is not enabled" \
	refused 'subtree_control' "$pins" map a cgroup "$top/sub/sub"
check "register: type not for cgroups" refused 'without cgroups' "$pins" map other "${to[@]}"
check "register: not made for links" refused 'BPF_F_LINK' "$pins" map no_link "${to[@]}"
check "register: JSON has the reason" refused_json
check "register: it needs a cgroup" no_cgroup
check "cgroup detach: not for struct_ops" no_cgroup_detach
check "register: not pinned, not attached" unpinnable
check "register: no bpffs, not attached" no_mount

mkdir "$pins"
check "register" register 1 a a multi
link=$(field id 1/a) map=$(field map_id 1/a) id=$(cgroup_id a)
check "register: the pin's name is taken" taken
check "register: override excludes multi" forbidden
check "link show" says "^[[:space:]]cgroup_id $id  attach_flags multi  authority host" link show
check "link show: one" link_show
check "link show: path" says "^[[:space:]]cgroup_path /${top##*/}/a *\$" link show
check "link show: JSON" json "[(l['map_id'], l['cgroup_id'], l['cgroup_path'], l['attach_flags'],
	l['authority'], l['detached']) for l in d if l['id'] == $link] ==
	[($map, $id, '/${top##*/}/a', 'multi', 'host', False)]" link show
check "struct_ops show" says "^$map: a +memcg_bpf_ops +attached" struct_ops show
check "struct_ops show: link" says "^[[:space:]]link $link  cgroup_id $id" struct_ops show id "$map"
check "struct_ops show: JSON" json "d[0]['state'] == 'attached' and
	d[0]['links'] == [{'id': $link, 'cgroup_id': $id, 'attach_flags': 'multi',
			   'authority': 'host'}]" \
	struct_ops show name a
line="$link +struct_ops +multi +a +memcg_bpf_ops map_id=$map authority=host"
check "cgroup show" says "^$line\$" cgroup show "$top/a"
check "cgroup show: JSON" json "len(d) == 1 and (d[0]['link_id'], d[0]['map_id'],
	d[0]['cgroup_id'], d[0]['kernel_struct_ops'], d[0]['name'], d[0]['attach_flags'],
	d[0]['attach_type']) == ($link, $map, $id, 'memcg_bpf_ops', 'a', 'multi', 'struct_ops')" \
	cgroup show "$top/a"
progs=$(python3 -c 'import json, sys; print(*json.load(sys.stdin)[0]["prog_ids"])' <"$dir/out")
check "cgroup show: the programs" json "sorted(p['name'] for p in d
	if str(p['id']) in '$progs'.split()) ==
	['a_charged', 'a_offline', 'a_online', 'a_uncharged']" prog show

mkdir "$top/a/sub" && echo +memory >"$top/a/cgroup.subtree_control"
check "cgroup show: not what is inherited" silent cgroup show "$top/a/sub"
line="^$link +struct_ops +a +memcg_bpf_ops map_id=$map attach_flags=multi"
line+=" authority=host cgroup_id=$id cgroup_path=/${top##*/}/a\$"
check "cgroup show effective" says "$line" cgroup show "$top/a/sub" effective
check "register: one more below" register 2 b a/sub multi
check "cgroup show effective: in order, JSON" json "[(p['name'], p['cgroup_id'], p['cgroup_path'])
	for p in d] == [('a', $id, '/${top##*/}/a'),
			('b', $(cgroup_id a/sub), '/${top##*/}/a/sub')]" \
	cgroup show "$top/a/sub" effective
check "cgroup show: memory is not enabled" silent cgroup show "$top/sub/sub" effective
mkdir "$top/a/sub/none"
check "cgroup show effective: memory is not enabled" json "[p['name'] for p in d] == ['a', 'b']" \
	cgroup show "$top/a/sub/none" effective
check "cgroup show: memory is not enabled, nothing attached" silent cgroup show "$top/a/sub/none"
rmdir "$top/a/sub/none"
check "struct_ops unregister: attached by a link" unregister
check "struct_ops show: links come and go" show_survives
check "strange names" strange_names
check "cgroup tree" says "^    $link +struct_ops +multi +a " cgroup tree
check "cgroup tree: JSON" json "[(c['cgroup'], c['programs'], [p['name'] for p in c['struct_ops']])
	for c in d] == [('$top/a', [], ['a']), ('$top/a/sub', [], ['b'])]" cgroup tree "$top/"
check "cgroup tree effective" json "[[p['name'] for p in c['struct_ops']]
	for c in d] == [['a'], ['a', 'b']]" cgroup tree "$top" effective
check "cgroup tree effective: of all" says "^    $link +struct_ops +a " cgroup tree effective
check "cgroup tree: no such directory" no_tree
check "cgroup tree: cgroups vanish" tree_survives
check "cgroup tree effective: cgroups vanish" tree_survives effective
check "cgroup show: more than fit in one query" many

check "link detach" detaches
check "rmdir detaches" rmdir_detaches
link=$(field id 1/a)
if [[ -r $program ]]; then
	check "programs and policies" program_too
	check "programs without the controller" program_alone
	check "losing the controller detaches" within 20 detached 1/a
fi
rm -r "$pins"
check "removing the pin ends the link" within 20 gone "$link"

echo "1..$n"
[[ $failed -eq 0 ]]
