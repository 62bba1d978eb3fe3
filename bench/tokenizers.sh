#!/usr/bin/env bash
# tokenizers.sh BENCH PYTHON DATA [REPS] - encoding speed, hone beside the tokenizers library, one kind of pipeline after the other, on one thread and on
# two, taking turns in the same run. BENCH is the built bench_tokenize, PYTHON has tools/requirements.txt installed, DATA holds texts.
# One line per case: hone, tokenizers (encode_batch_fast, ids only), MB/s, ratio. The number of ids must be the same, or it says so and fails.
set -euo pipefail
bench=$1 python=$2 data=$3 reps=${4:-5}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/tokenizers_time.py" make "$data" "$work" 2>/dev/null
for file in "$work"/*.json; do
    for threads in 1 2; do
        read -r ours n_ours < <("$bench" "$file" "$work/lines.jsonl" "$threads" "$reps")
        read -r theirs n_theirs < <("$python" "$here/tokenizers_time.py" time "$file" "$work/lines.jsonl" "$threads" "$reps")
        [ "$n_ours" = "$n_theirs" ] || { echo "$(basename "$file"): $n_ours ids, tokenizers has $n_theirs"; exit 1; }
        awk -v n="$(basename "$file" .json)" -v t="$threads" -v a="$ours" -v b="$theirs" \
            'BEGIN { printf "%-18s %d thread%s  hone %8.2f MB/s   tokenizers %8.2f   ratio %.2f\n", n, t, t > 1 ? "s" : " ", a, b, a / b }'
    done
done
