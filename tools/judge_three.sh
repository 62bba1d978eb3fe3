#!/usr/bin/env bash
# judge_three.sh HONE PYTHON SHARED - LoRA on one base in F32, in bitsandbytes' NF4 and in GGUF's Q4_K_M, each beside peft on the numbers that the official
# libraries make of the file (judge_packed.py, judge_train.py). Prints the first and last loss of 20 steps and the largest relative difference of a step.
# PYTHON has tools/requirements.txt installed. Exit status 1 when a step's loss is off by more than 1e-5.
set -euo pipefail
[ $# = 3 ] || { sed -n '2,4{ s/^# \{0,1\}//p }' "$0"; exit 2; }
hone=$(realpath "$1") python=$2 shared=$3 here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error

# A base that has learned something: whole super-blocks of 256 in every matrix, so that Q4_K packs them all.
mkdir "$work/shape"
cat > "$work/shape/config.json" <<'JSON'
{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":256,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,
 "intermediate_size":512,"vocab_size":512,"max_position_embeddings":512,"rms_norm_eps":1e-05,"rope_theta":10000.0,"hidden_act":"silu",
 "tie_word_embeddings":true,"bos_token_id":1,"eos_token_id":2}
JSON
cp "$shared"/models/stories260K/tokenizer*.json "$work/shape/"
head -c 300000 "$shared/data/tinyshakespeare/input.txt" > "$work/text.txt"
"$hone" init "$work/shape" --out "$work/random" --seed 1 2> /dev/null
"$hone" train --model "$work/random" --method full --data "$work/text.txt" --objective text --max-length 128 --steps 60 --lr 3e-3 --samples 0 --out "$work/made" 2> /dev/null
"$hone" export "$work/made" --format safetensors --dtype f32 --out "$work/F32" > /dev/null 2>&1

"$python" "$here/judge_packed.py" pack "$work/F32" "$work/NF4" > "$work/log" 2>&1
"$python" "$here/judge_packed.py" unpack "$work/NF4" "$work/NF4.plain" > "$work/log" 2>&1
"$hone" export "$work/F32" --format gguf:Q4_K_M --out "$work/Q4_K_M.gguf" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$python" "$here/judge_packed.py" unpack "$work/Q4_K_M.gguf" "$work/Q4_K_M.plain" "$work/F32" > "$work/log" 2>&1
ln -s F32 "$work/F32.plain"

head -n 300 "$shared/data/nl2bash/nl2bash.jsonl" > "$work/rows.jsonl"
flags=(--data "$work/rows.jsonl" --eval 0 --samples 0 --max-length 256 --on-long drop --batch-tokens 512 --seed 1)
"$hone" train --model "$work/F32" "${flags[@]}" --steps 1 --lr 1e-30 --out "$work/first" 2> /dev/null
"$hone" train --model "$work/F32" "${flags[@]}" --preview 1000000 --json > "$work/rows" 2> /dev/null
# At 5e-3 this base is past the edge of stability: hone on ref and on cpu differ by 1e-3 then, grown from 1e-9 in twenty steps.
for base in F32 NF4 Q4_K_M.gguf; do
    "$hone" train --model "$work/$base" "${flags[@]}" --steps 20 --lr 1e-3 --init-adapter "$work/first/adapter" --out "$work/run.$base" 2> "$work/log" || { cat "$work/log"; exit 1; }
    "$python" "$here/judge_train.py" --run "$work/run.$base" --rows "$work/rows" --init-adapter "$work/first/adapter" --model "$work/${base%.gguf}.plain" --method lora > "$work/theirs.$base" 2> "$work/log" || { cat "$work/log"; exit 1; }
    "$python" - "$base" "$work/run.$base/metrics.jsonl" "$work/theirs.$base" <<'PY' || bad=1
import json, sys
ours = [r["loss"] for r in map(json.loads, open(sys.argv[2])) if "loss" in r]
theirs = json.load(open(sys.argv[3]))["train_losses"]
assert len(ours) == len(theirs) == 20, (len(ours), len(theirs))
worst = max(abs(a - b) / b for a, b in zip(ours, theirs))
print(f"{sys.argv[1]:11} hone {ours[0]:.6f} -> {ours[-1]:.6f}   peft {theirs[0]:.6f} -> {theirs[-1]:.6f}   largest relative difference {worst:.1e}")
sys.exit(worst > 1e-5)
PY
done
exit "${bad:-0}"
