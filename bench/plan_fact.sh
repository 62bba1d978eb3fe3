#!/usr/bin/env bash
# plan_fact.sh HONE SHARED [ROWS] - what hone plan says against what hone train then takes, for twelve unlike runs of random models on SHARED's nl2bash:
# memory (peak resident set) and time, each as plan / fact. ROWS: only those lines of the table below, as "1,4,12". On a machine that others use as
# well the times say little: both depend on what else runs.
set -euo pipefail
hone=$1 shared=$2 rows=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n 3000 "$shared/data/nl2bash/nl2bash.jsonl" > "$work/rows.jsonl"

# name, model_type, hidden, layers, heads, kv heads, ffn, vocabulary; method, activations, micro-tokens, rank, steps
table='0.3M-lora-keep    llama   64  5  8  4   172   512  lora keep        256  4  40
0.3M-full-keep    llama   64  5  8  4   172   512  full keep       1024 16  40
1M-lora-check     llama  128  6  4  2   344   512  lora checkpoint 1024 16  30
3M-full-check     llama  192  6  6  3   512  4096  full checkpoint  512 16  20
3M-lora-4096      llama  192  6  6  3   512  4096  lora keep       4096 16  10
6M-lora-r64       qwen3  256  8  4  2   768  4096  lora keep       1024 64  12
6M-gpt2-full      gpt2   256  6  4  4  1024  8192  full keep        512 16  12
12M-lora-auto     llama  320 10  5  5   860  8192  lora auto       2048 16   8
25M-full-keep     llama  448 10  7  7  1200 16384  full keep        512 16   8
30M-lora-r64      llama  512 10  8  2  1376 16384  lora checkpoint 1024 64   8
135M-lora-keep    llama  576 30  9  3  1536 49152  lora keep        512 16   5
135M-full-check   llama  576 30  9  3  1536 49152  full checkpoint 1024 16   4'

shape() { # type hidden layers heads kv ffn vocab
    mkdir -p "$work/shape"
    if [ "$1" = gpt2 ]; then
        echo "{\"model_type\":\"gpt2\",\"n_embd\":$2,\"n_layer\":$3,\"n_head\":$4,\"n_inner\":$6,\"vocab_size\":$7,\"n_positions\":1024,\"n_ctx\":1024}"
    else
        echo "{\"model_type\":\"$1\",\"hidden_size\":$2,\"num_hidden_layers\":$3,\"num_attention_heads\":$4,\"num_key_value_heads\":$5,\"head_dim\":$(($2 / $4))," \
             "\"intermediate_size\":$6,\"vocab_size\":$7,\"max_position_embeddings\":1024,\"tie_word_embeddings\":true}"
    fi > "$work/shape/config.json"
    cp "$shared"/models/stories260K/tokenizer*.json "$work/shape/"
}

number() { grep -o "\"$1\": *[0-9.e+]*" "$2" | head -n 1 | sed 's/.*: *//'; }

printf '%-18s %10s %10s %6s   %9s %9s %6s\n' run 'plan MiB' 'fact MiB' ratio 'plan s' 'fact s' ratio
line=0
while read -r name type hidden layers heads kv ffn vocab method activations micro rank steps; do
    line=$((line + 1))
    [ -z "$rows" ] || [[ ",$rows," == *,$line,* ]] || continue
    rm -rf "$work/shape" "$work/model" "$work/run"
    shape "$type" "$hidden" "$layers" "$heads" "$kv" "$ffn" "$vocab"
    "$hone" init "$work/shape" --out "$work/model" --seed 1 > /dev/null 2>&1
    flags=(--model "$work/model" --data "$work/rows.jsonl" --on-long drop --max-length 200 --eval 0.02 --samples 1 --sample-tokens 16 --eval-every "$steps"
           --method "$method" --activations "$activations" --micro-tokens "$micro" --batch-tokens $((micro > 1024 ? micro : 1024)) --rank "$rank" --steps "$steps")
    "$hone" plan "${flags[@]}" --json > "$work/plan" 2> /dev/null
    "$hone" train "${flags[@]}" --out "$work/run" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; exit 1; }
    awk -v n="$name" -v pm="$(number memory_bytes "$work/plan")" -v fm="$(number memory_bytes "$work/run/DONE")" -v ps="$(number seconds "$work/plan")" \
        -v fs="$(number seconds "$work/run/DONE")" \
        'BEGIN { printf "%-18s %10.1f %10.1f %6.3f   %9.1f %9.1f %6.2f\n", n, pm / 1048576, fm / 1048576, pm / fm, ps, fs, ps / fs }'
done <<< "$table"
