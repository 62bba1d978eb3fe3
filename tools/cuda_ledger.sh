#!/bin/sh
# cuda_ledger.sh - two tables about the kernels of src/tensor/cuda.
#   verified.tsv   which card, driver and day each source last passed on; a source or a header of its that has changed since is UNVERIFIED
#   resources.tsv  registers, shared and local memory of each kernel on each target, as the compiler told them
# Usage:
#   cuda_ledger.sh status                          a line for each source
#   cuda_ledger.sh record CARD DRIVER DATE         all sources as they stand have passed: writes verified.tsv
#   cuda_ledger.sh header FILE                     what the program says of it, as a C header
#   cuda_ledger.sh compile LOG NVCC ARGS...        runs the compiler, keeps what the assembler tells in LOG and shows the rest
#   cuda_ledger.sh resources FOLDER NVCC           the table of the logs in FOLDER, on standard output
#   cuda_ledger.sh check FOLDER NVCC               compares it with resources.tsv: a kernel that is new or takes more fails (77: another compiler wrote the table)
#   cuda_ledger.sh write FOLDER NVCC               writes resources.tsv
set -eu
LC_ALL=C
export LC_ALL
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$root/src/tensor/cuda
verified=$dir/verified.tsv
resources=$dir/resources.tsv
tab=$(printf '\t')
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The source and the folder's headers that it includes, directly or not; names in order, so the hash does not depend on who includes first.
hash_of() {
    todo=$1
    seen=
    while [ -n "$todo" ]; do
        next=
        for f in $todo; do
            case " $seen " in *" $f "*) continue ;; esac
            seen="$seen $f"
            next="$next $(sed -n 's,^[ ]*#include "tensor/cuda/\([^"]*\)".*,\1,p' "$dir/$f" | grep -v '^verified\.h$' || true)"
        done
        todo=$(echo $next)
    done
    for f in $(echo $seen | tr ' ' '\n' | sort); do
        echo "$f"
        cat "$dir/$f"
    done | sha256sum | cut -c1-16
}

status() {
    for f in "$dir"/*.cu; do
        name=$(basename "$f")
        line=$(awk -F "$tab" -v name="$name" -v hash="$(hash_of "$name")" '$1 == name && $2 == hash { print $3 ", driver " $4 ", " $5 }' "$verified")
        printf '%-12s %s\n' "$name" "${line:-UNVERIFIED}"
    done
}

record() {
    {
        printf '# The last run on a card that each source of kernels passed, as it stands: source, hash of it with its headers, card, driver, day (tools/cuda_ledger.sh record).\n'
        for f in "$dir"/*.cu; do
            name=$(basename "$f")
            printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$(hash_of "$name")" "$1" "$2" "$3"
        done
    } > "$tmp/new"
    cp "$tmp/new" "$verified"
}

header() {
    status > "$tmp/status"
    {
        echo "/* Written by tools/cuda_ledger.sh from verified.tsv. */"
        echo "#define CUDA_UNVERIFIED $(grep -c 'UNVERIFIED$' "$tmp/status" || true)"
        echo "#define CUDA_VERIFIED \\"
        sed 's/["\\]/\\&/g; s/^/    "/; s/$/\\n" \\/' "$tmp/status"
        echo '    ""'
    } > "$tmp/header"
    cp "$tmp/header" "$1"
}

compile() {
    log=$1
    shift
    rc=0
    "$@" > "$log" 2>&1 || rc=$?
    grep -v -e '^ptxas info' -e 'bytes stack frame' -e '^$' "$log" || true
    return $rc
}

version_of() {
    "$1" --version | sed -n 's/.*release [^,]*, V\([0-9.]*\).*/\1/p'
}

resources() {
    printf '# Registers of a thread, bytes of static shared memory, of stack and of spills, by nvcc %s (tools/cuda_ledger.sh write).\n' "$(version_of "$2")"
    printf '# source\tkernel\ttarget\tregisters\tshared\tstack\tspills\n'
    for log in "$1"/*.cu.log; do
        awk -v source="$(basename "$log" .log)" '
            /Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; target = q[4]; stack = spills = 0 }
            /bytes stack frame/ { stack = $1; spills = $5 + $9 }
            /Used [0-9]+ registers/ {
                regs = $0; sub(/.*Used /, "", regs); sub(/ .*/, "", regs)
                shared = 0
                if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH) + 0
                if (kernel != "") printf "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", source, kernel, target, regs, shared, stack, spills
                kernel = ""
            }' "$log"
    done | c++filt | sed 's/\tvoid /\t/; s/\t\([^\t]*\)(\([^\t()]*\|[^\t]*\))\t\(sm_\)/\t\1\t\3/' | sort
}

check() {
    [ -f "$resources" ] || { echo "there is no $resources; write it: tools/cuda_ledger.sh write FOLDER NVCC"; return 1; }
    resources "$1" "$2" > "$tmp/now"
    if [ "$(head -n 1 "$tmp/now")" != "$(head -n 1 "$resources")" ]; then
        echo "SKIPPED: the table was written with another compiler than nvcc $(version_of "$2")"
        return 77
    fi
    awk -F "$tab" '
        /^#/ { next }
        FNR == NR { was[$1 "\t" $2 "\t" $3] = $4 "\t" $5; next }
        {
            n++
            key = $1 "\t" $2 "\t" $3
            if ($6 + $7 > 0) { printf "%s %s on %s: %d bytes of stack, %d of spills\n", $1, $2, $3, $6, $7; bad = 1 }
            if (!(key in was)) { printf "%s %s on %s: not in the table; write it anew (tools/cuda_ledger.sh write)\n", $1, $2, $3; bad = 1; next }
            split(was[key], w, "\t")
            if ($4 > w[1] || $5 > w[2]) { printf "%s %s on %s: %d registers and %d bytes of shared memory, the table has %d and %d\n", $1, $2, $3, $4, $5, w[1], w[2]; bad = 1 }
        }
        END { if (!n) { print "no logs of the compiler: build first"; bad = 1 } else if (!bad) printf "%d kernels and targets, none takes more than before\n", n; exit bad }
    ' "$resources" "$tmp/now"
}

command=${1:-status}
[ $# -gt 0 ] && shift
case $command in
status) status ;;
record) [ $# -eq 3 ] || { echo "usage: cuda_ledger.sh record CARD DRIVER DATE" >&2; exit 2; }; record "$@" ;;
header) header "$1" ;;
compile) compile "$@" ;;
resources) resources "$1" "$2" ;;
check) check "$1" "$2" ;;
write) resources "$1" "$2" > "$tmp/table"; cp "$tmp/table" "$resources" ;;
*) echo "cuda_ledger.sh: status, record, header, compile, resources, check or write" >&2; exit 2 ;;
esac
