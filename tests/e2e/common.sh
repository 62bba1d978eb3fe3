# common.sh - sourced by the end-to-end scripts: $hone, $shared, a scratch folder $work that is removed at the end, and small checks.
set -euo pipefail
hone=$1
shared=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
mounted= # below $work

# Whoever still runs may write into the folder while it is removed ("Directory not empty"): what was started in the background is ended and waited for first. With
# traps of their own, signals wait for the command in front; without, bash would come here while it is still at work.
clean() {
    local left
    trap '' HUP INT TERM
    left=$(jobs -p)
    [ -z "$left" ] || { kill $left 2> /dev/null || true; wait $left 2> /dev/null || true; }
    [ -z "$mounted" ] || umount "$mounted" 2> /dev/null || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
skip() { echo "SKIPPED: $*" >&2; exit 77; }

# A random model of four layers with the tests' byte-level tokenizer, in $work/model.
make_model() {
    mkdir -p "$work/shape"
    cat > "$work/shape/config.json" <<'JSON'
{"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":64,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,
 "intermediate_size":128,"vocab_size":1408,"max_position_embeddings":256,"tie_word_embeddings":true,"eos_token_id":1}
JSON
    cp "$here/../golden/tokenizer/byte_level.json" "$work/shape/tokenizer.json"
    echo '{"bos_token":"<|begin_of_text|>","eos_token":"<|end_of_text|>"}' > "$work/shape/tokenizer_config.json"
    "$hone" init "$work/shape" --out "$work/model" --seed 3 > /dev/null 2>&1 || fail "hone init"
}

# 60 pairs in $work/data.jsonl
make_data() {
    for i in $(seq 60); do
        echo "{\"prompt\":\"Order $((i * 37 % 1000)) arrived on day $((i % 31)) and is $( ((i % 3)) && echo blue || echo green).\",\"completion\":\" colour: $( ((i % 3)) && echo blue || echo green), day: $((i % 31))\"}"
    done > "$work/data.jsonl"
}

# expect STATUS TEXT COMMAND...: the command ends with STATUS and says TEXT on standard error, in one line that names what and where.
expect() {
    local status=$1 text=$2 got=0
    shift 2
    "$@" > "$work/out" 2> "$work/err" || got=$?
    [ "$got" = "$status" ] || { cat "$work/err" >&2; fail "$*: exit $got, expected $status"; }
    grep -qF -- "$text" "$work/err" || { cat "$work/err" >&2; fail "$*: does not say \"$text\""; }
}
