#!/usr/bin/env bash
# template.sh HONE SHARED - a model with a chat template of its own: rendered with it, trained with it, and an adapter refused behind another one.
. "$(dirname "$0")/common.sh"
make_model
cat > "$work/model/chat_template.jinja" <<'JINJA'
{{ bos_token }}{% for m in messages %}
<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and think is defined and think %}
<think>
{% endif %}
{{ m.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
JINJA
for i in $(seq 40); do
    echo "{\"messages\":[{\"role\":\"user\",\"content\":\"Number $i?\"},{\"role\":\"assistant\",\"content\":\"It is $((i * 7)).\"}]}"
done > "$work/talks.jsonl"

# --- rendering
head -n 1 "$work/talks.jsonl" | "$hone" render "$work/model" > "$work/rendered"
grep -qF '"text":"<|begin_of_text|><|im_start|>user\nNumber 1?<|im_end|>\n<|im_start|>assistant\nIt is 7.<|im_end|>\n"' "$work/rendered" || { cat "$work/rendered"; fail "render"; }
head -n 1 "$work/talks.jsonl" | "$hone" render "$work/model" --kwargs '{"think":true}' | grep -qF 'assistant\n<think>\nIt is 7.' || fail "render --kwargs"
head -n 1 "$work/talks.jsonl" | "$hone" render "$work/model" --generation-prompt | grep -qF 'It is 7.<|im_end|>\n<|im_start|>assistant\n"' || fail "render --generation-prompt"
echo '{% for m in messages %}{{ m.content }} {% endfor %}' > "$work/other.jinja"
expect 2 "line 1, messages[1]: what the assistant says cannot be told apart" "$hone" render "$work/model" --template "$work/other.jinja" < "$work/talks.jsonl"
echo '{% for m in messages %}{% include "x" %}{% endfor %}' > "$work/other.jinja"
expect 2 "other.jinja, chat template, line 1 of the template: {% include %}" "$hone" render "$work/model" --template "$work/other.jinja" < "$work/talks.jsonl"
expect 2 "--kwargs" "$hone" render "$work/model" --kwargs '[1]' < "$work/talks.jsonl"
echo "{{ raise_exception('roles must alternate') }}" > "$work/other.jinja"
expect 2 "line 1: $work/other.jinja, chat template, line 1 of the template: the template refuses the conversation: roles must alternate" \
    "$hone" render "$work/model" --template "$work/other.jinja" < "$work/talks.jsonl"

# --- training, and the guard
"$hone" train --model "$work/model" --data "$work/talks.jsonl" --out "$work/run" --max-length 128 --steps 3 > /dev/null 2> "$work/err" || { cat "$work/err"; fail "train"; }
"$hone" generate "$work/run" --max-tokens 4 --prompt "Number 3?" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "generate"; }
cp "$work/model/chat_template.jinja" "$work/kept"
sed -i 's/<think>/<thought>/' "$work/model/chat_template.jinja"
expect 2 "was trained with the chat template" "$hone" generate "$work/run" --max-tokens 4 --prompt "Number 3?"
rm "$work/model/chat_template.jinja"
expect 2 "was trained with the chat template" "$hone" generate "$work/model" --adapter "$work/run/adapter" --max-tokens 4 --prompt "Number 3?"
cp "$work/kept" "$work/model/chat_template.jinja"
"$hone" generate "$work/run" --max-tokens 4 --prompt "Number 3?" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "generate with the old template back"; }

# --- all weights trained: the model's folder remembers the template, an export of it too
"$hone" train --model "$work/model" --data "$work/talks.jsonl" --out "$work/full" --method full --max-length 128 --steps 3 > /dev/null 2> "$work/err" || { cat "$work/err"; fail "train full"; }
"$hone" export "$work/full" --format safetensors --max-shard 500KB --out "$work/exported" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "export"; }
"$hone" export "$work/run" --format safetensors --out "$work/merged" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "export"; }
for folder in full exported merged; do
    dir=$work/$folder
    [ $folder = full ] && dir=$work/full/model
    "$hone" generate "$work/$folder" --max-tokens 4 --prompt "Number 3?" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "generate by $folder"; }
    sed -i 's/<think>/<thought>/' "$dir/chat_template.jinja"
    expect 2 "this model was trained with the chat template" "$hone" generate "$work/$folder" --max-tokens 4 --prompt "Number 3?"
done

# --- the base that an adapter was trained on: the same numbers in other files, and another model of the same shape
"$hone" export "$work/model" --format safetensors --dtype bf16 --max-shard 200KB --out "$work/copy" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "export of the base"; }
"$hone" export "$work/model" --format gguf:F32 --out "$work/copy.gguf" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "export of the base"; }
for base in model copy copy.gguf; do
    "$hone" generate "$work/$base" --adapter "$work/run/adapter" --max-tokens 4 --prompt "Number 3?" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "generate with $base"; }
    ! grep -q "fingerprint" "$work/err" || { cat "$work/err"; fail "$base is taken for another model"; }
done
cp -r "$work/model" "$work/twin"
"$hone" init "$work/model" --out "$work/other" --seed 4 > /dev/null 2>&1 || fail "hone init"
cp "$work/other/model.safetensors" "$work/twin/"
expect 0 "was trained on a base whose weights have the fingerprint" "$hone" generate "$work/twin" --adapter "$work/run/adapter" --max-tokens 4 --prompt "Number 3?"

# --- an adapter that brings another template than the model's, and does not say that it was trained with the model's
echo '{"prompt":"Number 3?","completion":" three"}' > "$work/pair.jsonl"
"$hone" train --model "$work/model" --data "$work/pair.jsonl" --eval 0 --out "$work/pairs" --steps 1 > /dev/null 2> "$work/err" || { cat "$work/err"; fail "train on pairs"; }
cp "$work/kept" "$work/pairs/adapter/chat_template.jinja"
"$hone" generate "$work/pairs" --max-tokens 4 --prompt "Number 3?" > /dev/null 2> "$work/err" || { cat "$work/err"; fail "generate"; }
! grep -q "template of its own" "$work/err" || fail "a warning about a template that is the model's"
cp "$work/other.jinja" "$work/pairs/adapter/chat_template.jinja"
expect 0 "brings a chat template of its own" "$hone" generate "$work/pairs" --max-tokens 4 --prompt "Number 3?"
rm "$work/pairs/adapter/chat_template.jinja"

# --- target_modules that leaves out what the adapter has weights for
sed -i 's/"q_proj"/"other_proj"/' "$work/pairs/adapter/adapter_config.json"
expect 2 "target_modules does not name model.layers.0.self_attn.q_proj" "$hone" generate "$work/pairs" --max-tokens 4 --prompt "Number 3?"
