#!/bin/bash
# export_inspect.sh - hone init, inspect and export: what is written can be opened, computes the same, and is never written over.
source "$(dirname "$0")/lib/begin.sh"
golden=$(dirname "$0")/../golden/models

for dtype in f32 bf16 f16; do
    out=$("$hone" export "$stories" --format safetensors --out "$work/$dtype" --dtype $dtype --json)
    has "export in $dtype is verified" "$out" '"verified":true'
done
same "export in f32 computes the same" "$("$hone" generate "$work/f32" --prompt Once --temperature 0 --max-tokens 30)" \
    "$("$hone" generate "$stories" --prompt Once --temperature 0 --max-tokens 30)"
has "dtype of the file" "$("$hone" inspect "$work/bf16" --json)" '"numbers_by_dtype":{"BF16":260032}'

"$hone" init "$stories" --out "$work/new" --seed 3 2>/dev/null
"$hone" init "$stories" --out "$work/new2" --seed 3 2>/dev/null
cmp "$work/new/model.safetensors" "$work/new2/model.safetensors" || fail "the same seed gives other weights"
has "init" "$("$hone" inspect "$work/new" --json)" '"parameters":260032'
[ -n "$("$hone" generate "$work/new" --prompt Once --max-tokens 5 --temperature 0 --json)" ] || fail "a new model cannot be used"

has "inspect a model" "$("$hone" inspect "$stories")" "BPE (byte fallback)"
has "inspect a model, no problems" "$("$hone" inspect "$stories" --json)" '"problems":[]'
has "inspect an adapter" "$("$hone" inspect "$golden/llama/adapter" --json)" '"kind":"adapter"'
has "inspect an adapter's rank" "$("$hone" inspect "$golden/llama/adapter" --json)" '"rank":4,"alpha":8'
has "inspect a model without a tokenizer" "$("$hone" inspect "$golden/llama" --json)" 'tokenizer.json'
has "inspect a safetensors file" "$("$hone" inspect "$golden/llama/model.safetensors" --json)" '{"name":"lm_head.weight","dtype":"F32","shape":['
printf '{"prompt":"a","completion":"b"}\n{"prompt":"c","completion":"d"}\n' >"$work/pairs.jsonl"
has "inspect data" "$("$hone" inspect "$work/pairs.jsonl" --json)" '"shape":"prompt and completion","rows":2'
has "inspect data with a model" "$("$hone" inspect "$work/pairs.jsonl" --model "$stories" --json)" '"trained_tokens":4'

# A tokenizer larger than the embedding: seen by inspect, refused by everybody else.
mkdir "$work/large"
cp "$stories"/* "$work/large/"
sed 's/"vocab_size": 512/"vocab_size": 500/' "$stories/config.json" >"$work/large/config.json"
has "inspect sees a tokenizer that is too large" "$("$hone" inspect "$work/large" --json)" "the tokenizer has 512 entries, the embedding only 500 rows"
refuses 2 "config.json says [500" "$hone" generate "$work/large" --prompt x

refuses 2 "not empty" "$hone" export "$stories" --format safetensors --out "$work/f32"
refuses 2 "not empty" "$hone" init "$stories" --out "$work/new"
refuses 2 "is not a format" "$hone" export "$stories" --format zip --out "$work/x"
refuses 2 "--format is missing" "$hone" export "$stories" --out "$work/x"
refuses 2 "--out is missing" "$hone" export "$stories" --format safetensors
refuses 2 "there is no adapter to write" "$hone" export "$stories" --format peft --out "$work/x"
refuses 2 "expected f32, bf16 or f16, or nf4" "$hone" export "$stories" --format safetensors --dtype q4 --out "$work/x"
refuses 2 "--out is missing" "$hone" init "$stories"
refuses 2 "there is nothing of this name" "$hone" inspect "$work/nothing"
refuses 2 "PATH is missing" "$hone" inspect
head -c 100 "$stories/model.safetensors" >"$work/cut.safetensors"
refuses 2 "cut.safetensors" "$hone" inspect "$work/cut.safetensors"
