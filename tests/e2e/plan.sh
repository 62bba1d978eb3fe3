#!/usr/bin/env bash
# plan.sh HONE SHARED - hone plan on the demo's model: memory within 2 % of what the run takes, a limit that is kept, one that is too small and names
# the least that works, what was chosen holds for the run that goes on, and every choice gives the same losses.
source "$(dirname "$0")/common.sh"

root=$here/../..
common=(--model "$root/examples/base" --data "$root/examples/triage/valid.jsonl" --max-length 512 --steps 2 --samples 1 --sample-tokens 8)
number() { grep -o "\"$1\": *[0-9.e+]*" "$2" | head -n 1 | sed 's/.*: *//'; }

"$hone" plan "${common[@]}" --json > "$work/plan" 2> "$work/err" || { cat "$work/err" >&2; fail "hone plan"; }
[ ! -e "$work/run" ] || fail "plan wrote something"
for key in memory_bytes seconds tokens_per_second disk_bytes; do
    [ -n "$(number $key "$work/plan")" ] || fail "the plan lacks $key"
done
"$hone" train "${common[@]}" --out "$work/run" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "hone train"; }
grep -q "^takes " "$work/err" || fail "train does not say its plan first"
grep -q "^plan and fact: " "$work/err" || fail "train does not hold its plan against the fact"
# The address sanitizer keeps memory of its own that no plan knows, and freed memory too.
asan=$(ldd "$hone" | grep asan || true)
if [ -z "$asan" ]; then
    awk -v p="$(number memory_bytes "$work/plan")" -v f="$(number memory_bytes "$work/run/DONE")" 'BEGIN { exit !(p / f > 0.98 && p / f < 1.02) }' ||
        fail "planned $(number memory_bytes "$work/plan") bytes, taken $(number memory_bytes "$work/run/DONE")"
fi
# Products in bf16: a way of the table where the processor can, planned as exactly when it is the way taken; else a sentence.
if "$hone" --version | grep -q "^cpu .*avx512bf16"; then
    grep -q '"compute": *"bf16"' "$work/plan" || fail "the plan does not offer bf16"
    "$hone" train "${common[@]}" --compute bf16 --out "$work/bf16" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "hone train --compute bf16"; }
    [ -n "$asan" ] || awk -v p="$(number memory_bytes "$work/bf16/run.json")" -v f="$(number memory_bytes "$work/bf16/DONE")" \
        'BEGIN { exit !(p / f > 0.98 && p / f < 1.02) }' || fail "bf16: planned $(number memory_bytes "$work/bf16/run.json") bytes, taken $(number memory_bytes "$work/bf16/DONE")"
else
    echo "SKIPPED: products in bf16: this processor has no AVX512-BF16" >&2
    expect 2 "AVX512-BF16" "$hone" train "${common[@]}" --compute bf16 --out "$work/bf16"
fi
grep -q "^activations: keep" "$work/run/recipe.yaml" || fail "the recipe does not say what was chosen"

expect 1 "needs at least" "$hone" train "${common[@]}" --out "$work/small" --memory 4MiB
least=$(sed -n 's/.*(--memory \([0-9]*MiB\)).*/\1/p' "$work/err")
"$hone" train "${common[@]}" --out "$work/small" --memory "$least" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "$least was said to be enough"; }
[ -n "$asan" ] || grep -q "^activations: checkpoint" "$work/small/recipe.yaml" || fail "with $least blocks should be computed twice"
"$hone" train "${common[@]}" --out "$work/small" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "the chosen values should hold without --memory"; }
grep -q "already done" "$work/err" || fail "a finished run is not planned again"

# the three ways to keep activations, and weights that come and go, give the same bits
losses() { grep -o '"loss":[^,]*' "$1/metrics.jsonl"; }
for how in keep checkpoint stream; do
    "$hone" train "${common[@]}" --activations $how --out "$work/$how" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "--activations $how"; }
    [ "$(losses "$work/$how")" = "$(losses "$work/keep")" ] || fail "--activations $how gives other losses than keep"
done

# training all weights is offered with moments of 8 bits where it fits only so
row() { "$hone" plan "${common[@]}" --micro-tokens 512 --json "$@" 2> "$work/err" | grep -o '{[^{}]*"method":"full"[^{}]*"activations":"keep"[^{}]*}' | head -n 1 > "$work/row"; }
row; wide=$(number memory_bytes "$work/row")
row --optim adamw_8bit; narrow=$(number memory_bytes "$work/row")
[ "$narrow" -lt "$wide" ] || fail "moments of 8 bits take $narrow bytes, those of 32 $wide"
row --memory $(((wide + narrow) / 2))
grep -q '"optim":"adamw_8bit".*"fits":true' "$work/row" || fail "full training is not offered with moments of 8 bits: $(cat "$work/row")"
