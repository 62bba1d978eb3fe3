#!/usr/bin/env bash
# hone prep review end to end: the address is printed, strangers are refused, verdicts survive kill -9, --apply moves rows and a second one moves none,
# the data folder trains on as before; bad input gets one sentence.
. "$(dirname "$0")/common.sh"

make_data
head -n 1 "$work/data.jsonl" >> "$work/data.jsonl" # an exact copy
"$hone" prep "$work/data.jsonl" -o "$work/d" --duplicates exact --pii off > /dev/null || fail "hone prep"
before=$(cat "$work"/d/{train,validation,test,removed}.jsonl | wc -l)

start() {
    : > "$work/url" # else the address of the last one may be read before the new one has begun
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
expect 1 "the review page of this folder is open (process $server)" "$hone" prep review "$work/d" --apply
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

# --- edits: checked when they are applied, taken back, sorted by, and erased without a trace
make_model
printf '%s\n' '{"prompt":"Where is it?","completion":"It&nbsp;is itâ€™s in the drawer of the desk."}' '{"prompt":"When do you open again?","completion":"We open at nine in the morning."}' \
    '{"prompt":"Who can help me with that?","completion":"The desk on the second floor helps you."}' > "$work/few.jsonl"
"$hone" prep "$work/few.jsonl" -o "$work/e" --model "$work/model" --max-length 60 --validation 0 --test 0 --quality off > /dev/null || fail "hone prep"
grep -q '"before":\[{"at":1,"text":"It&nbsp;is itâ€™s' "$work/e/decisions.jsonl" || fail "the log has no text before the repair"
mv "$work/d" "$work/d0"; ln -s e "$work/d"
start
says "$token" GET "/api/rows?sort=tokens&down=1" "" '"count":3'
says "$token" GET "/api/rows?sort=colour" "" 'HTTP/1.1 400'
says "$token" POST /api/act '{"action":"restore","reviewer":"Ann","row":1,"edit":0}' '{"row":1}'
says "$token" POST /api/act '{"action":"restore","reviewer":"Ann","row":2,"edit":0}' 'no repair changed row 2'
says "$token" POST /api/act '{"action":"edit","reviewer":"Ann","row":2,"row_new":{"prompt":"When do you open again?","completion":"Ask Anna Schmidt, anna.schmidt@web.de."}}' '{"row":2}'
says "$token" POST /api/act "{\"action\":\"edit\",\"reviewer\":\"Ann\",\"row\":3,\"row_new\":{\"prompt\":\"Who?\",\"completion\":\"$(printf 'lamp %.0s' $(seq 80)).\"}}" '{"row":3}'
kill -TERM $server; wait $server || fail "a stopped review ends with $?"
before=$(grep -c . "$work/e/subjects.jsonl" || true)
"$hone" prep review "$work/e" --apply > "$work/said" || fail "apply"
for text in '3 edited (1 by taking an edit back)' '1 edited rows hold what looks like personal data' '1 edited rows are longer than --max-length'; do grep -q "$text" "$work/said" || { cat "$work/said"; fail "apply does not say $text"; }; done
grep -q 'It&nbsp;is itâ€™s in the drawer' "$work/e/train.jsonl" || fail "the repair was not taken back"
grep -q '"pass":"pii","action":"note","reason":"an edit brought in email, person"' "$work/e/decisions.jsonl" || fail "personal data of an edit is not told"
[ "$(grep -c . "$work/e/subjects.jsonl")" -gt "$before" ] || fail "subjects.jsonl did not follow the edit"
! grep -q 'Anna' "$work/e/decisions.jsonl" || fail "the log of decisions holds a value"
grep -q '"Tokens of an example, rows"' "$work/e/manifest.json" || fail "no statistics"
[ "$("$hone" prep "$work/e/train.jsonl" -o "$work/e2" --model "$work/model" --max-length 60 --validation 0 --test 0 --quality off --no-repair --pii off > /dev/null; sed -n '/"statistics"/,/^  }/p' "$work/e2/manifest.json" | cksum)" = \
  "$(sed -n '/"statistics"/,/^  }/p' "$work/e/manifest.json" | cksum)" ] || fail "apply's statistics are not those of a new preparation"
[ "$("$hone" prep review "$work/e" --person ANNA.SCHMIDT@web.de)" = 2 ] || fail "the person is in row $("$hone" prep review "$work/e" --person ANNA.SCHMIDT@web.de)"
[ "$("$hone" prep review "$work/e" --person "Anna  Schmidt")" = 2 ] || fail "a name finds no row"
[ "$("$hone" prep review "$work/e" --person Schmidt)" = 2 ] || fail "a word of a name finds no row"
[ "$("$hone" prep review "$work/e" --person "second floor")" = 3 ] || fail "a text is not looked through"
[ "$("$hone" prep review "$work/e" --person bert@web.de)" = "no row" ] || fail "a stranger is found"
expect 2 "is not there; give the key" "$hone" prep review "$work/e" --person bert@web.de --pii-key "$work/nokey"
# what the mail parser cuts away (a signature) was said of a person, too: the row is found by it, and the value stands nowhere in the folder
cat > "$work/box.mbox" <<'MBOX'
From ann@example.com Thu Jan  1 09:00:00 2026
From: ann@example.com
To: help@shop.example
Subject: Lamp
Message-ID: <1@example.com>
Date: Thu, 1 Jan 2026 09:00:00 +0000

My lamp flickers when it is cold outside. What can be done about it?

From help@shop.example Fri Jan  2 09:00:00 2026
From: help@shop.example
To: ann@example.com
Subject: Re: Lamp
Message-ID: <2@shop.example>
In-Reply-To: <1@example.com>
Date: Fri, 2 Jan 2026 09:00:00 +0000

Please turn the bulb once more to the right, then it sits firmly in its place.

-- 
Zbigniew Ostrowicki
+49 151 23456789, z.ostrowicki@web.de

MBOX
"$hone" prep "$work/box.mbox" -o "$work/box" > "$work/said" 2>&1 || { cat "$work/said"; fail "prep of a mailbox fails"; }
for value in "z.ostrowicki@web.de" "Zbigniew Ostrowicki" "+49 151 23456789"; do
    [ "$("$hone" prep review "$work/box" --person "$value")" = 1 ] || fail "a value of a cut signature is not found: $value"
    grep -rqF "$value" "$work/box" && fail "a value of a cut signature stands in the folder: $value"
done
"$hone" prep review "$work/e" --forget 2 > /dev/null || fail "forget"
! grep -rq 'nine in the morning' "$work/e" || fail "an earlier text is left in $(grep -rl 'nine in the morning' "$work/e")"
"$hone" prep review "$work/e" --erase 2,1 > /dev/null || fail "erase"
! grep -rqE 'Anna Schmidt|anna.schmidt|open again|drawer of the desk' "$work/e" || fail "erased rows are left in $(grep -rlE 'Anna|open again|drawer' "$work/e")"
[ "$(wc -l < "$work/e/train.jsonl")" = 1 ] || fail "erase took the wrong rows"
expect 2 "has no row 2" "$hone" prep review "$work/e" --erase 2
expect 2 "no number of a row" "$hone" prep review "$work/e" --erase x
expect 2 "four things" "$hone" prep review "$work/e" --erase 1 --apply
rm "$work/d"; mv "$work/d0" "$work/d"

expect 2 "DATA is missing" "$hone" prep review
expect 2 "no such folder" "$hone" prep review "$work/none"
expect 2 "no finished data folder" "$hone" prep review "$work"
expect 2 "port" "$hone" prep review "$work/d" --port 70000
echo "review: ok"
