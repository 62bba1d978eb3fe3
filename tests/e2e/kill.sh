#!/usr/bin/env bash
# kill.sh HONE SHARED [KILLS] - a run killed with -9 at random moments and started again ends with the same bits as one left alone: an adapter, and all
# weights with moments of 8 bits.
. "$(dirname "$0")/common.sh"
kills=${3:-8}
make_model
make_data
RANDOM=20240731

how=(--lr 1e-2)
result=adapter/adapter_model.safetensors
run() { # exec, so that the process that is killed is hone itself and not a shell around it
    exec "$hone" train --model "$work/model" --data "$work/data.jsonl" --out "$1" --steps 24 --batch-tokens 512 --micro-tokens 256 --max-length 128 \
        --eval-every 4 --save-every 2 --patience 0 --seed 9 --threads "$2" "${how[@]}" 2> "$work/log"
}
sums() { (cd "$1" && sha256sum checkpoints/step-000000024/state.safetensors "$result" order.jsonl); }

kill_often() { # KILLS
    local begin took done_kills=0 ends=0 pid
    begin=$(date +%s%N)
    (run "$work/whole" 2) || { cat "$work/log" >&2; fail "the undisturbed run"; }
    took=$((($(date +%s%N) - begin) / 1000000)) # ms
    sums "$work/whole" > "$work/want"
    while [ "$done_kills" -lt "$1" ]; do
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
    rm -rf "$work/whole" "$work/broken"
}

kill_often "$kills"
how=(--method full --lr 3e-3 --optim adamw_8bit)
result=model/model.safetensors
kill_often $(((kills + 1) / 2))
