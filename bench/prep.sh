#!/usr/bin/env bash
# prep.sh HONE SHARED [MB ...] - how fast hone prep goes through data and how much memory it takes, by size: MB/s per core and peak resident set, beside a
# plain copy of the same file on this machine. Rows are those of SHARED's gsm8k, nl2bash and banking77, each time with other numbers and names, so that
# little of it is a duplicate. bench_run lies in bench/ beside HONE (cmake -DHONE_BENCH=ON). MB are millions of bytes; default: 100 1000.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set/{ s/^# \{0,1\}//p }' "$0"; exit 2; }
hone=$(realpath "$1") shared=$2
shift 2
bin=$(dirname "$hone")/bench work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- 100 1000

# Seeds as plain pairs; then copies whose numbers and some words are drawn anew.
{
    sed 's/"question"/"prompt"/; s/"answer"/"completion"/' "$shared/data/gsm8k/train.jsonl"
    cat "$shared/data/nl2bash/nl2bash.jsonl"
} > "$work/seed.jsonl"
make_data() { # MB
    awk -v limit=$(($1 * 1000000)) 'BEGIN { srand(7); while ((getline line < ARGV[1]) > 0) seed[n++] = line
        split("amber birch cedar dune ember fjord grove heron islet jetty kelp larch moss north oaken pebble quartz reed slate thorn umber vale willow yarrow zinc", w, " ")
        for (i = 0; total < limit; i++) {
            s = seed[i % n]; out = ""
            if (i >= n) {
                k = split(s, part, " ")
                for (j = 1; j <= k; j++) {
                    p = part[j]
                    if (rand() < 0.25 && p ~ /^[a-z]+$/) p = w[1 + int(rand() * 25)] int(rand() * 100)
                    out = out (j > 1 ? " " : "") p
                }
            } else out = s
            print out; total += length(out) + 1
        } }' "$work/seed.jsonl"
}
printf '%-8s %-8s %10s %10s %10s %12s\n' MB threads seconds MB/s 'MB/s/core' 'peak MiB'
for mb in "$@"; do
    make_data "$mb" > "$work/data.jsonl"
    bytes=$(stat -c %s "$work/data.jsonl")
    copy=$( { time -p cat "$work/data.jsonl" > "$work/copy"; } 2>&1 | awk '/^real/ { print $2 }')
    rm -f "$work/copy"
    for threads in 1 "$(nproc)"; do
        rm -rf "$work/out"
        took=$("$bin/bench_run" "$threads" - 0 "$hone" prep "$work/data.jsonl" -o "$work/out" --threads "$threads" 2> "$work/log") || { cat "$work/log" >&2; exit 1; }
        awk -v mb="$mb" -v t="$threads" -v b="$bytes" -v took="$took" 'BEGIN { split(took, v, " "); r = b * 1e-6 / v[1]
            printf "%-8s %-8s %10.1f %10.1f %10.1f %12.0f\n", mb, t, v[1], r, r / t, v[2] }'
    done
    awk -v c="$copy" -v b="$bytes" 'BEGIN { if (c > 0) printf "         (a plain copy of the file: %.0f MB/s)\n", b * 1e-6 / c }'
    tail -n 1 "$work/log" >&2 || true
done
