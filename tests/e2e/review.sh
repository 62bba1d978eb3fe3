#!/usr/bin/env bash
# hone prep review end to end: the address is printed, strangers are refused, verdicts survive kill -9, --apply moves rows and a second one moves none,
# the data folder trains on as before; bad input gets one sentence.
. "$(dirname "$0")/common.sh"

make_data
head -n 1 "$work/data.jsonl" >> "$work/data.jsonl" # an exact copy
"$hone" prep "$work/data.jsonl" -o "$work/d" --duplicates exact --pii off > /dev/null || fail "hone prep"
before=$(cat "$work"/d/{train,validation,test,removed}.jsonl | wc -l)

start() {
    "$hone" prep review "$work/d" > "$work/url" 2> /dev/null &
    server=$!
    for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
    [ -s "$work/url" ] || fail "no address"
    port=$(sed 's|.*127.0.0.1:\([0-9]*\)/.*|\1|' "$work/url")
    token=$(sed 's|.*token=||' "$work/url")
}
# ask TOKEN METHOD PATH [BODY]
ask() {
    exec 3<> "/dev/tcp/127.0.0.1/$port"
    printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$2" "$3" "$port" "$1" "${#4}" "$4" >&3
    cat <&3
    exec 3>&-
}
says() { ask "$1" "$2" "$3" "${4:-}" > "$work/answer"; grep -q -- "$5" "$work/answer" || { cat "$work/answer" >&2; fail "$2 $3: no $5"; }; }

start
says "$token" GET / "" "<!doctype html>"
says wrong GET /api/facts "" "HTTP/1.1 401"
says "$token" GET /api/facts "" '"rows":61'
says "$token" POST /api/act '{"action":"reject","reviewer":"Ann","row":2}' '{"row":2}'
says "$token" POST /api/act '{"action":"accept","reviewer":"Ann","row":61}' '{"row":61}'
expect 1 "another process" "$hone" prep review "$work/d" --apply
kill -9 $server
wait $server 2> /dev/null || true
start
says "$token" GET "/api/rows?look=judged" "" '"count":2'
kill -TERM $server
wait $server || fail "a stopped review ends with $?"

"$hone" prep review "$work/d" --apply > "$work/said" || fail "apply"
grep -q '1 rows came back, 1 left' "$work/said" || fail "$(cat "$work/said")"
[ "$(cat "$work"/d/{train,validation,test,removed}.jsonl | wc -l)" = "$before" ] || fail "rows were lost"
grep -q '^{"id":2,"pass":"review"' "$work/d/removed.jsonl" || fail "row 2 is not in removed.jsonl"
home=$(grep -l '^{"id":1,' "$work"/d/{train,validation,test}.jsonl)
grep -q '^{"id":61,' "$home" || fail "the copy of row 1 went to another part than row 1"
[ "$(sha256sum < "$work/d/train.jsonl" | cut -d' ' -f1)" = "$(sed -n 's/.*"train.jsonl": "\([0-9a-f]*\)".*/\1/p' "$work/d/manifest.json")" ] || fail "manifest.json has another hash"
cp "$work/d/train.jsonl" "$work/first"
"$hone" prep review "$work/d" --apply > "$work/said"
cmp -s "$work/first" "$work/d/train.jsonl" || fail "a second apply changed rows"
"$hone" inspect "$work/d/train.jsonl" > /dev/null || fail "the applied rows are no training data"

expect 2 "DATA is missing" "$hone" prep review
expect 2 "no such folder" "$hone" prep review "$work/none"
expect 2 "no finished data folder" "$hone" prep review "$work"
expect 2 "port" "$hone" prep review "$work/d" --port 70000
echo "review: ok"
