#!/bin/bash
# export_gguf.sh - a run's model as GGUF files, adapters and an Ollama folder: each is opened again and computes the same, works as a model in every
# command, and can be trained on.
source "$(dirname "$0")/common.sh"
make_model
make_data

text() { "$hone" generate "$@" --prompt "Order 5" --temperature 0 --max-tokens 20 --json; }

"$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$work/run" --steps 4 --lr 1e-2 --rank 4 > /dev/null 2>&1 || fail "training"
run=$(text "$work/run")
[ "$run" != "$(text "$work/model")" ] || fail "the run has learned nothing, so nothing was compared"

for type in F32 BF16 Q8_0 Q4_0 Q4_K_M; do
    "$hone" export "$work/run" --format gguf:$type --out "$work/m.$type.gguf" --json > "$work/proof" 2> "$work/err" || { cat "$work/err"; fail "export in $type"; }
    grep -q '"verified":true' "$work/proof" || fail "$type: $(cat "$work/proof")"
    grep -q '"texts":"held-out rows of the run"' "$work/proof" || fail "$type was not compared on held-out rows: $(cat "$work/proof")"
    [ -s "$work/m.$type.certificate.json" ] || fail "$type: no certificate beside the file"
done
grep -q '"notes":.*no whole number of Q4_K_M.s blocks of 256' "$work/proof" || fail "the certificate does not say that rows of 64 cannot be Q4_K: $(cat "$work/proof")"
[ "$(text "$work/m.F32.gguf")" = "$run" ] || fail "the merged GGUF model writes another text than the run"

# The adapter alone, on the folder and on the base as GGUF.
"$hone" export "$work/run" --format gguf-lora --out "$work/lora.gguf" > /dev/null 2>&1 || fail "export of the adapter"
"$hone" export "$work/model" --format gguf:F32 --out "$work/base.gguf" --json 2> /dev/null > "$work/proof" || fail "export of the base"
grep -q '"largest_logit_difference":0.0,' "$work/proof" || fail "F32 does not give the same logits: $(cat "$work/proof")"
[ "$(text "$work/model" --adapter "$work/lora.gguf")" = "$run" ] || fail "base folder and GGUF adapter write another text than the run"
[ "$(text "$work/base.gguf" --adapter "$work/lora.gguf")" = "$run" ] || fail "GGUF base and GGUF adapter write another text than the run"

# A run and a GGUF file as the model of every command.
echo 'Order 5 is' > "$work/line"
[ "$("$hone" tokenize "$work/run" < "$work/line")" = "$("$hone" tokenize "$work/model" < "$work/line")" ] || fail "other tokens for the run"
[ "$("$hone" tokenize "$work/base.gguf" < "$work/line")" = "$("$hone" tokenize "$work/model" < "$work/line")" ] || fail "other tokens"
echo '{"messages":[{"role":"user","content":"hello"}]}' > "$work/line"
[ "$("$hone" render "$work/run" < "$work/line")" = "$("$hone" render "$work/model" < "$work/line")" ] || fail "another rendering for the run"
[ "$("$hone" render "$work/base.gguf" < "$work/line")" = "$("$hone" render "$work/model" < "$work/line")" ] || fail "another rendering"
[ "$("$hone" eval "$work/base.gguf" --data "$work/data.jsonl" --json)" = "$("$hone" eval "$work/model" --data "$work/data.jsonl" --json)" ] || fail "another loss"
"$hone" train --model "$work/m.Q4_K_M.gguf" --data "$work/data.jsonl" --out "$work/run2" --steps 2 --lr 1e-3 --rank 4 > /dev/null 2> "$work/err" || { cat "$work/err"; fail "LoRA on Q4_K"; }
"$hone" export "$work/run2" --format safetensors --dtype f32 --out "$work/back" --json 2> /dev/null | grep -q '"verified":true' || fail "a GGUF base does not become safetensors"
[ -s "$work/back/tokenizer.json" ] || fail "the tokenizer was lost on the way"
expect 2 "packed" "$hone" train --model "$work/m.Q4_K_M.gguf" --data "$work/data.jsonl" --out "$work/run3" --steps 2 --method full

# Ollama: one file, or base and adapter.
"$hone" export "$work/run" --format ollama:Q8_0 --out "$work/ollama" > /dev/null 2>&1 || fail "export for Ollama"
grep -q '^FROM ./model.gguf$' "$work/ollama/Modelfile" || fail "no FROM"
grep -q '^TEMPLATE """' "$work/ollama/Modelfile" || fail "no TEMPLATE"
grep -q '^PARAMETER stop' "$work/ollama/Modelfile" || fail "no stop text"
[ -s "$work/ollama/certificate.json" ] || fail "no certificate in the folder"
"$hone" export "$work/run" --format ollama-lora:F32 --out "$work/apart" > /dev/null 2>&1 || fail "export for Ollama, adapter apart"
grep -q '^ADAPTER ./adapter.gguf$' "$work/apart/Modelfile" || fail "no ADAPTER"

expect 2 "is not a type of GGUF file" "$hone" export "$work/run" --format gguf:Q9 --out "$work/x.gguf"
expect 2 "TYPE should stand behind the colon" "$hone" export "$work/run" --format gguf: --out "$work/x.gguf"
expect 2 "max-shard goes with" "$hone" export "$work/run" --format gguf --max-shard 1M --out "$work/x.gguf"
expect 2 "no such folder or file; expected the path of a model folder or of a .gguf file" "$hone" generate "$work/bas.gguf" --prompt x
expect 2 "name the file in it, $work/ollama/model.gguf" "$hone" generate "$work/ollama" --prompt x
expect 2 "whose name ends with .gguf" "$hone" export "$work/run" --format gguf --out "$work/x"
expect 2 "already something" "$hone" export "$work/run" --format gguf --out "$work/base.gguf"
expect 2 "has no variants" "$hone" export "$work/run" --format peft:F16 --out "$work/x"
expect 2 "there is no adapter" "$hone" export "$work/model" --format gguf-lora --out "$work/x.gguf"
expect 2 "stands behind its name" "$hone" export "$work/run" --format gguf --dtype f16 --out "$work/x.gguf"
expect 2 "name its base model" "$hone" generate "$work/lora.gguf" --prompt x
head -c 5000 "$work/base.gguf" > "$work/cut.gguf"
expect 2 "cut.gguf" "$hone" generate "$work/cut.gguf" --prompt x
for file in base lora; do
    ! "$hone" inspect "$work/$file.gguf" --json | grep -q "behind the last tensor" || fail "inspect of $file.gguf"
    { cat "$work/$file.gguf"; printf 'appended'; } > "$work/long.gguf"
    "$hone" inspect "$work/long.gguf" --json > "$work/out" || fail "inspect ends with 0 whatever it finds"
    grep -q '"problems":\["8 bytes stand behind the last tensor' "$work/out" || { cat "$work/out"; fail "bytes behind the last tensor of $file.gguf"; }
done

# Packed and sharded safetensors.
for dtype in nf4 int8; do
    "$hone" export "$work/run" --format safetensors --dtype $dtype --out "$work/$dtype" --json > "$work/proof" 2> "$work/err" || { cat "$work/err"; fail "export as $dtype"; }
    grep -q '"verified":true' "$work/proof" || fail "$dtype: $(cat "$work/proof")"
done
grep -q '"quant_method": "bitsandbytes"' "$work/nf4/config.json" || fail "the configuration does not say how the weights are packed"
"$hone" export "$work/run" --format safetensors --dtype f32 --max-shard 500kB --out "$work/shards" > /dev/null 2>&1 || fail "export in shards"
[ -s "$work/shards/model.safetensors.index.json" ] || fail "one file although more were asked for"
[ "$(text "$work/shards")" = "$run" ] || fail "the sharded model writes another text than the run"

# A template that cannot be used goes into the file, not without a word.
cp -r "$work/model" "$work/odd"
echo '{% for ' > "$work/odd/chat_template.jinja"
"$hone" export "$work/odd" --format gguf:F32 --out "$work/odd.gguf" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "export with a broken template"; }
grep -q "chat template goes into the file as it is, but it does not render: .*is not closed" "$work/err" || { cat "$work/err"; fail "a broken template was exported silently"; }
