#!/usr/bin/env bash
# The scripts' own end: whoever ends one, and whatever it still runs, its folder is gone afterwards, and nothing that it started lives on.
. "$(dirname "$0")/common.sh"

# A script that writes without a pause, in front and behind, and is ended (TERM), or fails.
cat > "$work/script.sh" <<'SH'
. "$1/common.sh" hone shared
echo "$work" > "$2"
mkdir "$work/many"
cat > "$work/writes.sh" <<'WRITES'
for ((i = 0; i < $3; i++)); do : > "$1/many/$2$i" || exit 0; done 2> /dev/null
WRITES
bash "$work/writes.sh" "$work" behind 3000000 & echo $! >> "$2"
bash "$work/writes.sh" "$work" front 200
[ "$3" = term ] && sleep 2
fail "as it should"
SH
# ends WHAT: what was the script's folder, and its process behind
ends() {
    local place pid
    place=$(sed -n 1p "$work/place") pid=$(sed -n 2p "$work/place")
    ! grep -q 'not empty' "$work/said" || fail "$1: $(cat "$work/said")"
    [ ! -e "$place" ] || fail "$1: $place is left"
    ! kill -0 "$pid" 2> /dev/null || fail "$1: process $pid is left"
}
for try in 1 2; do
    bash "$work/script.sh" "$here" "$work/place" fail > "$work/said" 2>&1 && fail "the script should fail"
    ends "a failure"
    rm "$work/place"
    bash "$work/script.sh" "$here" "$work/place" term > "$work/said" 2>&1 & script=$!
    for wait in $(seq 50); do [ -e "$work/place" ] && [ "$(wc -l < "$work/place")" = 2 ] && break; sleep 0.1; done
    sleep 0.2
    kill $script
    wait $script && fail "the script should be ended"
    ends "TERM"
    rm "$work/place"
done
echo "ok"
