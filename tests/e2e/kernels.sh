#!/bin/bash
# kernels.sh - the sets of kernels in this program: what --version says of each, that the tile instructions are really in it, that one of them can be
# asked for, and that a processor without AVX2 is served, slower, and told so.
source "$(dirname "$0")/common.sh"

version=$("$hone" --version)
sets=$(sed -n 's/^kernels  //p' <<< "$version")
[[ $sets == *"in use"* && $sets == *base* ]] || fail "--version does not say which kernels are in use: $version"
[ "$(grep -o 'in use' <<< "$sets" | wc -l)" = 1 ] || fail "not one set in use: $sets"

if [ "$(uname -m)" = x86_64 ]; then
    grep -q 'amxbf16 ([^)]*has not run on real hardware' <<< "$sets" || fail "--version does not say that the tiles are unproven: $sets"
    if command -v objdump > /dev/null; then
        # whole: the kernel of a full block; four products for each step of k
        objdump -d --no-show-raw-insn "$hone" | grep -oE '\b(ldtilecfg|tilerelease|tilezero|tileloadd|tdpbf16ps|tilestored)\b' | sort | uniq -c > "$work/tiles"
        for i in ldtilecfg tilerelease tilezero tileloadd tdpbf16ps tilestored; do
            grep -q " $i$" "$work/tiles" || fail "no $i in the program"
        done
        [ "$(awk '$2 == "tdpbf16ps" { print $1 }' "$work/tiles")" -ge 9 ] || fail "blocks of 1, 2, 2 and 4 registers hold 9 products: $(cat "$work/tiles")"
    else
        echo "SKIPPED: the tile instructions: no objdump" >&2
    fi
fi

make_model
printf '{"text":"Order 37 arrived on day 5 and is green."}\n' > "$work/text.jsonl"
run() { "$hone" score "$work/model" --data "$work/text.jsonl" --json 2> "$work/err"; }
best=$(run) || { cat "$work/err" >&2; fail "hone score"; }
for name in $(sed 's/([^)]*)//g; s/,/ /g' <<< "$sets"); do
    if ! out=$(HONE_KERNELS=$name run); then
        grep -q "HONE_KERNELS: This machine has no instruction set \"$name\"" "$work/err" || { cat "$work/err" >&2; fail "HONE_KERNELS=$name"; }
        continue
    fi
    [[ $(HONE_KERNELS=$name "$hone" --version) =~ [[:space:]]$name\ \([^\)]*in\ use ]] || fail "$name is not in use when asked for"
    # numbers to four digits: sets round differently
    awk -v a="$best" -v b="$out" 'BEGIN { n = split(a, x, /[,\[\]{}]/); m = split(b, y, /[,\[\]{}]/); if (n != m || n < 20) exit 1
        for (i = 1; i <= n; i++) if (x[i] != y[i] && (x[i] - y[i] > 2e-3 || y[i] - x[i] > 2e-3 || x[i] == 0)) exit 1 }' || fail "$name gives $out, the best set $best"
    if [ "$name" = base ] && [ "$(uname -m)" = x86_64 ]; then
        grep -q "without AVX2" "$work/err" || fail "a slow machine is not told so"
        [ "$(grep -c "without AVX2" "$work/err")" = 1 ] || fail "told more than once"
    else
        ! grep -q "without AVX2" "$work/err" || fail "$name has AVX2"
    fi
done
expect 2 "choose one of" env HONE_KERNELS=sse9 "$hone" score "$work/model" --data "$work/text.jsonl"
