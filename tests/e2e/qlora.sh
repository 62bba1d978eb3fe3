#!/usr/bin/env bash
# qlora.sh HONE SHARED - method qlora: trains on a base packed while it loads; whoever uses the run afterwards gets the very same base, and the exported
# model is the trained one. The adapter on the base in 16 bits is another model, and is not taken for it.
. "$(dirname "$0")/common.sh"
make_model
make_data
"$hone" export "$work/model" --format safetensors --dtype bf16 --out "$work/base" > /dev/null 2>&1
flags=(--data "$work/data.jsonl" --steps 20 --lr 5e-3 --batch-tokens 512 --seed 1)

"$hone" train --model "$work/base" --method qlora "${flags[@]}" --out "$work/run" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "train --method qlora"; }
[ -s "$work/run/DONE" ] || fail "no DONE"

# the same as training on the packed base that export writes
"$hone" export "$work/base" --format safetensors --dtype nf4-double --out "$work/packed" > /dev/null 2>&1
"$hone" train --model "$work/packed" "${flags[@]}" --out "$work/run2" > /dev/null 2>&1
losses() { grep -o '"loss":[^,]*' "$1/metrics.jsonl"; }
[ "$(losses "$work/run")" = "$(losses "$work/run2")" ] || fail "packing at load and a packed file differ"

# used again: the run, and the adapter named by hand, stand on the packed base
score() { "$hone" score "$@" --data "$work/data.jsonl" --json; }
score "$work/run" > "$work/a"
score "$work/base" --adapter "$work/run/adapter" > "$work/b"
score "$work/packed" --adapter "$work/run/adapter" > "$work/c"
cmp "$work/a" "$work/b" || fail "the run and its adapter differ"
cmp "$work/a" "$work/c" || fail "the base packed while it loads and the packed file differ"

# trained on: with the base it knows, or not at all
more=(--init-adapter "$work/run/adapter" --data "$work/data.jsonl" --steps 2 --batch-tokens 512 --out "$work/more")
"$hone" train --model "$work/base" "${more[@]}" > /dev/null 2> "$work/err" && fail "a packed base's adapter went on with the base in 16 bits"
grep -q "go on with --method qlora" "$work/err" || { cat "$work/err"; fail "the refusal does not say what to do"; }
"$hone" train --model "$work/packed" "${more[@]}" > /dev/null 2>&1 || fail "it does not go on with the packed file"

# exported: certified against the trained model
"$hone" export "$work/run" --format safetensors --dtype f32 --out "$work/merged" > "$work/out" 2>&1 || { cat "$work/out"; fail "export"; }
loss() { "$hone" eval "$1" --data "$work/data.jsonl" --json 2>/dev/null | grep -o '"loss":[^,]*' | head -n 1 | cut -d: -f2; }
awk -v a="$(loss "$work/run")" -v b="$(loss "$work/merged")" 'BEGIN { d = a - b; exit !(a > 0 && d < 1e-5 && d > -1e-5) }' ||
    fail "the merged model is not the trained one: $(loss "$work/run") and $(loss "$work/merged")"
