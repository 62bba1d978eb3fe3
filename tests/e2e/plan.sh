#!/usr/bin/env bash
# plan.sh HONE SHARED - hone plan on the demo's model: memory within 2 % of what the run takes, a limit that is kept, one that is too small and names
# the least that works, what was chosen stands in the recipe, every choice gives the same losses, and what is spilled leaves nothing behind.
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
[ -n "$asan" ] || ! grep -q "^activations: keep" "$work/small/recipe.yaml" || fail "with $least blocks should be computed twice"
"$hone" train "${common[@]}" --out "$work/small" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "the chosen values should hold without --memory"; }
grep -q "already done" "$work/err" || fail "a finished run is not planned again"

# every way to keep activations gives the same bits, each in less memory than the one before, as planned
losses() { grep -o '"loss":[^,]*' "$1/metrics.jsonl"; }
before=
for how in keep checkpoint spill stream; do
    "$hone" train "${common[@]}" --activations $how --out "$work/$how" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "--activations $how"; }
    [ "$(losses "$work/$how")" = "$(losses "$work/keep")" ] || fail "--activations $how gives other losses than keep"
    [ -n "$asan" ] || awk -v p="$(number memory_bytes "$work/$how/run.json")" -v f="$(number memory_bytes "$work/$how/DONE")" -v b="${before:-1e18}" -v how="$how" \
        'BEGIN { exit !(p / f > 0.98 && (p / f < 1.02 || how == "stream") && f < b) }' || # how much of a mapping comes in beside what is read is the system's
        fail "$how: planned $(number memory_bytes "$work/$how/run.json") bytes, taken $(number memory_bytes "$work/$how/DONE"), by the way before ${before:-more}"
    before=$(number memory_bytes "$work/$how/DONE")
done
[ "$(number file_bytes "$work/spill/run.json")" -gt 0 ] || fail "the plan does not tell the file of block inputs"

# a run that is killed leaves no file of its inputs behind, and goes on by another way to the same result
"$hone" train "${common[@]}" --steps 12 --batch-tokens 1024 --save-every 2 --activations spill --out "$work/killed" > /dev/null 2>&1 &
pid=$!
for _ in $(seq 600); do [ -e "$work/killed/checkpoints/step-000000002" ] && break; sleep 0.1; done
ls -l "/proc/$pid/fd" 2>/dev/null | grep -q '(deleted)' || fail "the file of block inputs has a name, or is not there"
kill -9 $pid 2>/dev/null || fail "the run was over before it could be killed"
wait $pid 2>/dev/null || true
[ -z "$(find "$work" -name 'spill*' ! -path "$work/spill" ! -path "$work/spill/*")" ] || fail "the file of block inputs is still there"
"$hone" train "${common[@]}" --steps 12 --batch-tokens 1024 --save-every 2 --activations keep --out "$work/killed" > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "going on with keep"; }
"$hone" train "${common[@]}" --steps 12 --batch-tokens 1024 --save-every 2 --activations checkpoint --out "$work/whole" > /dev/null 2> "$work/err" || fail "the run at one go"
[ "$(losses "$work/killed")" = "$(losses "$work/whole")" ] || fail "killed and gone on with in another way, the run has other losses"

# a disk that lacks the room for it is told before the first step, with the bytes needed and free (needs the right to mount)
mkdir "$work/disk"
if mount -t tmpfs -o size=1200k tmpfs "$work/disk" 2>/dev/null; then
    mounted=$work/disk
    expect 1 "are needed to put numbers aside, and 1.17 MiB are free" "$hone" train "${common[@]}" --activations spill --out "$work/disk/run"
    [ ! -e "$work/disk/run/metrics.jsonl" ] || fail "the run began on a disk that is too small"
else
    echo "SKIPPED: a disk too small (no right to mount)" >&2
fi

# training all weights is offered with moments of 8 bits where it fits only so
row() { "$hone" plan "${common[@]}" --micro-tokens 512 --json "$@" 2> "$work/err" | grep -o '{[^{}]*"method":"full"[^{}]*"activations":"keep"[^{}]*}' | head -n 1 > "$work/row"; }
row; wide=$(number memory_bytes "$work/row")
row --optim adamw_8bit; narrow=$(number memory_bytes "$work/row")
[ "$narrow" -lt "$wide" ] || fail "moments of 8 bits take $narrow bytes, those of 32 $wide"
row --memory $(((wide + narrow) / 2))
grep -q '"optim":"adamw_8bit".*"fits":true' "$work/row" || fail "full training is not offered with moments of 8 bits: $(cat "$work/row")"
