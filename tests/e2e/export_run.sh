#!/bin/bash
# export_run.sh - what a run has learned leaves it: as an adapter, merged, and used in place; all three compute the same.
source "$(dirname "$0")/common.sh"
make_model
make_data

loss() { "$hone" eval "$@" --data "$work/data.jsonl" --json | sed 's/.*"loss"://; s/,.*//' | awk '{ printf "%.4f", $1 }'; }

"$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$work/run" --steps 4 --lr 1e-2 --rank 4 > /dev/null 2>&1 || fail "training"
"$hone" export "$work/run" --format peft --out "$work/adapter" --json > "$work/proof" || fail "export of the adapter"
grep -q '"largest_logit_difference":0.0,' "$work/proof" || fail "the adapter does not come back as it was: $(cat "$work/proof")"
"$hone" export "$work/run" --format safetensors --dtype f32 --out "$work/merged" --json > "$work/proof" || fail "export of the merged model"
grep -q '"verified":true' "$work/proof" || fail "$(cat "$work/proof")"

run=$(loss "$work/run") base=$(loss "$work/model")
[ "$run" != "$base" ] || fail "the run has learned nothing, so nothing was compared"
[ "$(loss "$work/model" --adapter "$work/adapter")" = "$run" ] || fail "base and exported adapter have another loss than the run"
[ "$(loss "$work/merged")" = "$run" ] || fail "the merged model has another loss than the run"
a=$("$hone" generate "$work/run" --prompt "Order 5" --temperature 0 --max-tokens 20 --json)
[ "$("$hone" generate "$work/merged" --prompt "Order 5" --temperature 0 --max-tokens 20 --json)" = "$a" ] || fail "the merged model writes another text than the run"

"$hone" inspect "$work/run" --json | grep -q '"state":"done"' || fail "inspect of a finished run"
expect 2 "brings its own adapter" "$hone" generate "$work/run" --adapter "$work/adapter" --prompt x
expect 2 "goes with --format safetensors" "$hone" export "$work/run" --format peft --dtype bf16 --out "$work/x"
expect 2 "already a file" "$hone" export "$work/run" --format peft --out "$work/data.jsonl"
mv "$work/run/adapter" "$work/run/gone"
expect 2 "no result yet" "$hone" export "$work/run" --format peft --out "$work/x"
