#!/usr/bin/env bash
# bad_input.sh HONE SHARED - wrong models, data and recipes: each gets one clear sentence and exit status 2, a failing run status 1, and nothing saved is lost.
. "$(dirname "$0")/common.sh"
make_model
make_data
train() { "$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$work/run" --max-length 128 "$@"; }
fresh() { rm -rf "$work/bad"; cp -r "$work/model" "$work/bad"; }
with_bad() { "$hone" train --model "$work/bad" --data "$work/data.jsonl" --out "$work/run"; }

# --- the model
fresh; truncate -s -100 "$work/bad/model.safetensors"
expect 2 "$work/bad/model.safetensors" with_bad
fresh; printf '\377\377\377\377\377\377\377\177' | dd of="$work/bad/model.safetensors" conv=notrunc bs=8 status=none
expect 2 "$work/bad/model.safetensors" with_bad
fresh; rm "$work/bad/model.safetensors"
echo '{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors","model.embed_tokens.weight":"model-00002-of-00002.safetensors"}}' > "$work/bad/model.safetensors.index.json"
expect 2 "model-00001-of-00002.safetensors" with_bad
fresh; sed -i 's/"hidden_size"/"hidden_sise"/' "$work/bad/config.json"
expect 2 "hidden_size" with_bad
fresh; sed -i 's/"llama"/"mamba"/' "$work/bad/config.json"
expect 2 "mamba" with_bad
fresh; sed -i 's/"intermediate_size": *128/"intermediate_size": 129/' "$work/bad/config.json"
expect 2 "129" with_bad
fresh; rm "$work/bad/tokenizer.json"
expect 2 "tokenizer.json" with_bad
fresh; echo '{' > "$work/bad/tokenizer.json"
expect 2 "tokenizer.json" with_bad
rm -rf "$work/small" "$work/bad"; mkdir "$work/small"; cp "$work"/shape/* "$work/small"; sed -i 's/"vocab_size": *1408/"vocab_size": 1000/' "$work/small/config.json"
"$hone" init "$work/small" --out "$work/bad" 2>/dev/null
expect 2 "do not belong together" with_bad
expect 2 "$work/nowhere" "$hone" train --model "$work/nowhere" --data "$work/data.jsonl" --out "$work/run"

# --- the data
: > "$work/empty.jsonl"
expect 2 "empty.jsonl" train --data "$work/empty.jsonl"
{ head -n 6 "$work/data.jsonl"; echo '{"prompt": "cut'; } > "$work/broken.jsonl"
expect 2 "broken.jsonl, line 7" train --data "$work/broken.jsonl"
{ head -n 3 "$work/data.jsonl"; printf '{"prompt":"caf\351","completion":"x"}\n'; } > "$work/latin1.jsonl"
expect 2 "line 4" train --data "$work/latin1.jsonl"
printf 'caf\351 au lait\n' > "$work/latin1.txt"
expect 2 "UTF-8" train --data "$work/latin1.txt"
{ head -n 2 "$work/data.jsonl"; echo '{"prompt":"a","completion":""}'; } > "$work/hollow.jsonl"
expect 2 "line 3" train --data "$work/hollow.jsonl"
{ head -n 2 "$work/data.jsonl"; echo "{\"prompt\":\"$(seq -s ' ' 400)\",\"completion\":\"x\"}"; } > "$work/long.jsonl"
expect 2 "line 3" train --data "$work/long.jsonl"
expect 2 "nowhere.jsonl" train --data "$work/nowhere.jsonl"

# --- the recipe
printf 'model: x\nlearning_rte: 1\n' > "$work/recipe.yaml"
expect 2 "learning_rte" "$hone" train "$work/recipe.yaml"
printf 'lr: fast\n' > "$work/recipe.yaml"
expect 2 "lr" "$hone" train "$work/recipe.yaml"
expect 2 "rank" train --rank 0
expect 2 "did you mean" train --epoch 3
expect 2 "no linear of this model" train --target-modules q_porj
"$hone" export "$work/model" --format safetensors --dtype nf4 --out "$work/packed" >/dev/null 2>&1
expect 2 "packed already" train --model "$work/packed" --method qlora
expect 2 "use method lora" train --model "$work/packed" --method full
expect 2 "to be trained; use activations spill" train --activations stream --method full
expect 2 "packed for method qlora; use activations spill" train --activations stream --method qlora
[ ! -e "$work/run/recipe.yaml" ] || fail "a refused recipe left a run behind"

# --- the work: NaN or worse stops with the step, the last good checkpoint stays, and FAILED says why
expect 1 "step " train --lr 1e9 --warmup 0 --steps 40 --eval-every 5
[ -s "$work/run/FAILED" ] || fail "no FAILED"
[ -s "$work/run/checkpoints/step-000000000/state.safetensors" ] || fail "the good checkpoint is gone"
rm -rf "$work/run"

# --- a full disk (needs the right to mount)
mkdir "$work/disk"
if mount -t tmpfs -o size=700k tmpfs "$work/disk" 2>/dev/null; then
    mounted=$work/disk
    expect 1 "$work/disk" "$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$work/disk/run" --max-length 128 --steps 40 --eval-every 5 --rank 4
    ! ls -d "$work"/disk/run/checkpoints/*.tmp-* 2>/dev/null || fail "half a checkpoint left behind"
    mount -o remount,size=20m "$work/disk"
    "$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$work/disk/run" --max-length 128 --steps 40 --eval-every 5 --rank 4 2> "$work/err" ||
        { cat "$work/err" >&2; fail "with room on the disk the run does not go on"; }
else
    echo "SKIPPED: a really full disk (no right to mount); test_run simulates one" >&2
fi
echo "every bad input got its sentence"
