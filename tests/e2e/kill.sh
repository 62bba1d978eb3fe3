#!/usr/bin/env bash
# kill.sh HONE SHARED [KILLS] - a run killed with -9 at random moments and started again ends with the same bits as one left alone.
. "$(dirname "$0")/common.sh"
kills=${3:-8}
make_model
make_data
RANDOM=20240731

run() { # exec, so that the process that is killed is hone itself and not a shell around it
    exec "$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$1" --steps 24 --batch-tokens 512 --micro-tokens 256 --max-length 128 --lr 1e-2 \
        --eval-every 4 --save-every 2 --patience 0 --seed 9 --threads "$2" 2> "$work/log"
}
sums() { (cd "$1" && sha256sum checkpoints/step-000000024/state.safetensors adapter/adapter_model.safetensors order.jsonl); }

begin=$(date +%s%N)
(run "$work/whole" 2) || { cat "$work/log" >&2; fail "the undisturbed run"; }
took=$((($(date +%s%N) - begin) / 1000000)) # ms
sums "$work/whole" > "$work/want"

done_kills=0
ends=0
while [ "$done_kills" -lt "$kills" ]; do
    run "$work/broken" $((1 + RANDOM % 2)) &
    pid=$!
    sleep "$(awk -v r=$RANDOM -v t="$took" 'BEGIN { printf "%.3f", 0.01 + r / 32768 * t * 0.6 / 1000 }')"
    kill -9 $pid 2>/dev/null && done_kills=$((done_kills + 1))
    wait $pid 2>/dev/null || true
    if [ -e "$work/broken/DONE" ]; then
        sums "$work/broken" | cmp - "$work/want" || fail "other bits after $done_kills kills"
        ends=$((ends + 1))
        rm -rf "$work/broken"
    fi
done
(run "$work/broken" 1) || { cat "$work/log" >&2; fail "the run after the last kill"; }
sums "$work/broken" | cmp - "$work/want" || fail "other bits after $done_kills kills"
! ls -d "$work"/broken/*.tmp-* "$work"/broken/checkpoints/*.tmp-* 2>/dev/null || fail "temporary files left behind"
echo "$done_kills kills, $((ends + 1)) ends, all with the same bits"
