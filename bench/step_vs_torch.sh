#!/usr/bin/env bash
# step_vs_torch.sh HONE PYTHON SHARED [STEPS] - tokens per second of a LoRA step, hone beside PyTorch + peft, in the same run on the same rows, two threads
# each, taking turns: the real stories260K on nl2bash, and a random model of SmolLM2-135M's shape. PYTHON has tools/requirements.txt installed.
# One line per case: hone, PyTorch (medians of three turns), ratio.
set -euo pipefail
hone=$1 python=$2 shared=$3 steps=${4:-6}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1
head -n 2000 "$shared/data/nl2bash/nl2bash.jsonl" > "$work/rows.jsonl"

make_135m() {
    mkdir -p "$work/shape"
    cat > "$work/shape/config.json" <<'JSON'
{"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":576,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,
 "intermediate_size":1536,"vocab_size":49152,"max_position_embeddings":2048,"rope_theta":100000.0,"rms_norm_eps":1e-05,"tie_word_embeddings":true}
JSON
    cp "$shared"/models/stories260K/tokenizer*.json "$work/shape/"
    "$hone" init "$work/shape" --out "$work/135m" --seed 1 2>/dev/null
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare NAME MODEL BATCH_TOKENS
compare() {
    local flags=(--model "$2" --data "$work/rows.jsonl" --on-long drop --max-length 512 --eval 0 --lr 1e-4 --threads 2 --batch-tokens "$3" --micro-tokens 1024)
    rm -rf "$work/init" "$work/ours" "$work/theirs"
    "$hone" train "${flags[@]}" --out "$work/init" --steps 1 2>/dev/null
    "$hone" train "${flags[@]}" --preview 1000000 --json > "$work/rows" 2>/dev/null
    for turn in 1 2 3; do
        rm -rf "$work/run"
        "$hone" train "${flags[@]}" --out "$work/run" --steps "$steps" --init-adapter "$work/init/adapter" 2>/dev/null
        sed 1d "$work/run/metrics.jsonl" | sed 's/.*"tokens_per_second"://; s/}//' | median >> "$work/ours"
        "$python" "$here/tools/judge_train.py" --run "$work/run" --rows "$work/rows" --init-adapter "$work/init/adapter" --threads 2 2>/dev/null |
            "$python" -c 'import json,sys; print(json.load(sys.stdin)["tokens_per_second"])' >> "$work/theirs"
    done
    awk -v n="$1" -v a="$(median < "$work/ours")" -v b="$(median < "$work/theirs")" \
        'BEGIN { printf "%-34s hone %8.0f tokens/s   PyTorch + peft %8.0f   ratio %.2f\n", n, a, b, a / b }'
}

compare "stories260K, LoRA r16, f32" "$shared/models/stories260K" 4096
make_135m
compare "SmolLM2-135M shape, LoRA r16, f32" "$work/135m" 1024
