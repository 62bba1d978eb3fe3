#!/usr/bin/env bash
# hone prep end to end: tables in, a divided data folder out; duplicates, leaks and bad rows leave with their reason; nothing hangs on threads; a killed
# preparation goes on to the same bytes; bad input gets one sentence.
. "$(dirname "$0")/common.sh"

# 400 rows with distinct words; n is the row's number
rows() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        split("amber birch cedar dune ember fjord grove heron islet jetty kelp larch moss north oaken pebble quartz reed slate thorn umber vale willow yarrow zinc", w, " ")
        for (n = from; n <= to; n++) {
            q = ""; for (i = 0; i < 14; i++) q = q w[1 + (n * (i + 3) + int(n / (i + 1)) * 7) % 25] n % (i + 5) " "
            printf "{\"prompt\":\"Ask %d: %swhere?\",\"completion\":\"It lies at place %d, %s.\",\"customer\":\"c%d\",\"topic\":\"t%d\"}\n", n, q, n, w[1 + n % 25], n % 90, n % 4
        }
    }'
}
count() { wc -l < "$1"; }
has() { grep -q -- "$2" "$1" || { head -n 5 "$1" >&2; fail "$1 has no $2"; }; }

# --- a run with everything
rows 1 400 > "$work/a.jsonl"
sed -n 7p "$work/a.jsonl" >> "$work/a.jsonl"                                      # 401: an exact copy
sed -n 9p "$work/a.jsonl" | sed 's/\."/ indeed."/' >> "$work/a.jsonl"        # 402: one word more at the end
echo '{"prompt":"x","completion":' >> "$work/a.jsonl"                             # 403: broken
echo '{"messages":[{"role":"user","content":"only asked"}]}' >> "$work/a.jsonl"   # 404: no answer
sed -n 20p "$work/a.jsonl" > "$work/eval.jsonl"
"$hone" prep "$work/a.jsonl" -o "$work/d" --eval "$work/eval.jsonl" --group customer --label topic --validation 0.1 --test 0.1 --pii off > "$work/said" || fail "hone prep"
has "$work/said" '404 rows read, 5 removed'
[ "$(count "$work/d/removed.jsonl")" = 5 ] || fail "removed.jsonl has $(count "$work/d/removed.jsonl") rows"
has "$work/d/removed.jsonl" '"id":403,"pass":"import"'
has "$work/d/removed.jsonl" '"raw":"{\\"prompt\\":\\"x\\"'
has "$work/d/removed.jsonl" '"id":404,"pass":"import","reason":"example_missing_assistant_message'
has "$work/d/removed.jsonl" '"id":20,"pass":"overlap"'
has "$work/d/removed.jsonl" '"id":401,"pass":"duplicates","reason":"exact duplicate"'
has "$work/d/removed.jsonl" '"pass":"duplicates","reason":"near duplicate"'
total=$(($(count "$work/d/train.jsonl") + $(count "$work/d/validation.jsonl") + $(count "$work/d/test.jsonl")))
[ "$total" = 399 ] || fail "parts have $total rows"
for part in validation test; do
    n=$(count "$work/d/$part.jsonl")
    [ "$n" -ge 34 ] && [ "$n" -le 46 ] || fail "$part has $n rows of 399"
done
# no customer in two parts
for part in train validation test; do grep -o '"customer":"[^"]*"' "$work/d/$part.jsonl" | sort -u; done | sort | uniq -d > "$work/shared"
[ ! -s "$work/shared" ] || fail "customers in two parts: $(head -n 1 "$work/shared")"
has "$work/d/report.html" 'near duplicate'
[ ! -e "$work/d/work" ] || fail "work/ is left"
# training reads the parts
"$hone" inspect "$work/d/train.jsonl" > "$work/said" || fail "inspect"
# the same command again does nothing and says the same
"$hone" prep "$work/a.jsonl" -o "$work/d" --eval "$work/eval.jsonl" --group customer --label topic --validation 0.1 --test 0.1 --pii off | grep -q '404 rows read, 5 removed' || fail "again"
expect 2 'finished data set made of other inputs or options' "$hone" prep "$work/a.jsonl" -o "$work/d" --seed 2 --pii off

# --- the same bytes with one thread, and from a CSV with the same content
"$hone" prep "$work/a.jsonl" -o "$work/one" --threads 1 --eval "$work/eval.jsonl" --group customer --label topic --validation 0.1 --test 0.1 --pii off > /dev/null || fail "one thread"
diff -r -x DONE -x report.html "$work/d" "$work/one" || fail "one thread gives other bytes"
{ echo 'q;a'; rows 1 50 | sed 's/{"prompt":"\([^"]*\)","completion":"\([^"]*\)".*/"\1";"\2"/'; } > "$work/t.csv"
"$hone" prep "$work/t.csv" -o "$work/csv" --prompt '{q}' --completion '{a}' --pii off > /dev/null || fail "CSV"
rows 1 50 | sed 's/,"customer.*/}/' > "$work/t.jsonl"
"$hone" prep "$work/t.jsonl" -o "$work/jsonl" --pii off > /dev/null || fail "JSONL"
cmp "$work/csv/train.jsonl" "$work/jsonl/train.jsonl" || fail "CSV and JSONL differ"
gzip -k "$work/t.jsonl"
"$hone" prep "$work/t.jsonl.gz" -o "$work/gz" --pii off > /dev/null || fail "gzip"
cmp "$work/gz/test.jsonl" "$work/jsonl/test.jsonl" || fail "gzip and plain differ"

# --- killed at every stage, each time after something was saved, it ends with the same bytes
for i in $(seq 6); do rows $((i * 10000)) $((i * 10000 + 3999)) | sed "7~11s/where?/where? Write to ann.$i@web.de./" > "$work/big$i.jsonl"; done
sed -n 1~9p "$work/big1.jsonl" >> "$work/big6.jsonl" # duplicates across the inputs
big=("$hone" prep "$work"/big?.jsonl --pii-key "$work/bigkey" -o)
"${big[@]}" "$work/whole" > /dev/null || fail "whole"
has "$work/whole/removed.jsonl" '"reason":"exact duplicate"'
has "$work/whole/subjects.jsonl" '"kind":"email"'
inputs_read() { sed -n 's/.*"input": *\([0-9]*\).*/\1/p' "$1/work/progress.json" 2> /dev/null || true; }
after_input() { local n; n=$(inputs_read "$work/killed"); [ "${n:-0}" -ge "$1" ]; }
# killed_when SIGNAL CONDITION...: starts it, waits until the condition holds, sends the signal; whether it was still at work then
killed_when() {
    local signal=$1 pid status=0
    shift
    "${big[@]}" "$work/killed" > /dev/null 2> "$work/err" & pid=$!
    until "$@"; do kill -0 $pid 2> /dev/null || break; done
    kill -s "$signal" $pid 2> /dev/null || true
    wait $pid 2> /dev/null || status=$?
    [ "$signal" = INT ] || [ $status = 137 ] || { cat "$work/err" >&2; return 1; }
    [ $status != 0 ] && [ -e "$work/killed/work/progress.json" ]
}
# killed_after SIGNAL N: after input N; where it was done before it was killed, again from where it stood
killed_after() {
    rm -rf "$work/before"
    [ ! -e "$work/killed" ] || cp -r "$work/killed" "$work/before"
    for _ in 1 2 3 4 5 6 7 8; do
        killed_when "$1" after_input "$2" && return
        rm -rf "$work/killed"
        [ ! -e "$work/before" ] || cp -r "$work/before" "$work/killed"
    done
    return 1
}
for n in 1 2 4; do
    killed_after KILL $n || fail "the kill after input $n came too late"
    after_input $n || fail "nothing was kept of input $n"
done
# a stop on request keeps what is done, too
killed_after INT 5 || fail "the stop came too late"
has "$work/err" 'the same command goes on'
killed_after KILL 6 || fail "the kill behind the last input came too late" # while rows are compared
cp -r "$work/killed" "$work/read"
for piece in train.jsonl validation.jsonl test.jsonl manifest.json; do # whole files that a later start has to replace; a fast machine may be done before it is killed
    for try in 1 2 3 4 5 6 7 8; do
        rm -rf "$work/killed" && cp -r "$work/read" "$work/killed"
        killed_when KILL test -e "$work/killed/$piece" && [ -e "$work/killed/$piece" ] && [ ! -e "$work/killed/DONE" ] && break
        [ $try -lt 8 ] || fail "no kill of eight came between $piece and DONE"
    done
    "${big[@]}" "$work/killed" > /dev/null || fail "after a kill behind $piece"
    diff -r -x DONE -x report.html "$work/whole" "$work/killed" || fail "a kill behind $piece changes the result"
done
# killed between DONE and the end: the next start takes away what is left of the work
cp -r "$work/read/work" "$work/killed/work"
"${big[@]}" "$work/killed" | grep -q ' rows read' || fail "a finished folder with work in it"
diff -r -x DONE -x report.html "$work/whole" "$work/killed" || fail "work/ stays in a finished folder"

# --- evaluation questions are found below a system text, as one turn of several, and when repair or personal data changes them; what all rows begin with is no overlap
{
    for i in $(seq 60); do
        echo "{\"messages\":[{\"role\":\"system\",\"content\":\"You are the assistant of our shop and answer in one short sentence without any further explanation.\"},{\"role\":\"user\",\"content\":\"Translate the following request into exactly one line of bash without any further word: list lamp$i oak$((i * 7))\"},{\"role\":\"assistant\",\"content\":\"ls lamp$i oak$((i * 7))\"}]}"
    done
    echo '{"messages":[{"role":"system","content":"You are the assistant of our shop and answer in one short sentence."},{"role":"user","content":"Where can I leave the old lamps?"},{"role":"assistant","content":"At the yard."}]}'
    echo '{"messages":[{"role":"user","content":"Where can I leave the old lamps?"},{"role":"assistant","content":"At the yard."},{"role":"user","content":"And the boxes?"},{"role":"assistant","content":"There, too."}]}'
    echo '{"prompt":"Is the caf&eacute; of <b>Anna Schmidt</b>, anna.schmidt@web.de, open?","completion":"It opens at nine."}'
} > "$work/leaks.jsonl"
{
    sed -n 1,40p "$work/leaks.jsonl" | sed 's/lamp/door/g; s/oak/elm/g'
    echo '{"question":"Where can I leave the old lamps?","answer":"?"}'
    echo '{"question":"Is the caf&eacute; of <b>Anna Schmidt</b>, anna.schmidt@web.de, open?","answer":"?"}'
} > "$work/leaks_eval.jsonl"
"$hone" prep "$work/leaks.jsonl" -o "$work/leaks" --eval "$work/leaks_eval.jsonl" --duplicates off > /dev/null 2> "$work/err" || fail "leaks"
has "$work/err" 'they are taken for a form'
[ "$(grep -o '"id":[0-9]*,"pass":"overlap"' "$work/leaks/removed.jsonl" | tr -dc '0-9\n' | tr '\n' ' ')" = '61 62 63 ' ] || fail "overlap removed $(grep -o '"id":[0-9]*,"pass":"overlap"' "$work/leaks/removed.jsonl" | head -n 5)"

# --- a greeting of more than 13 words is no overlap, whether a few evaluation rows have it or one of them and many rows; what stands behind it is, and a piece of a question is
greet='Good morning dear support team of the lamp shop I hope that this mail finds you all well and in good health today'
piece() { sed "s/.*\"prompt\":\"\([^\"]*\)\".*/\1/" | cut -d' ' -f"$1"; }
rows 2001 2040 > "$work/plain_eval.jsonl"
{
    rows 1 60 | sed "s/\"prompt\":\"/&$greet /"
    echo "{\"prompt\":\"The cellar is dark and the key is gone, but $(sed -n 10p "$work/plain_eval.jsonl" | piece 3-17) is all that the note said to us yesterday evening at home.\",\"completion\":\"It lies there.\"}"
    sed -n 20p "$work/plain_eval.jsonl" | sed "s/\"prompt\":\"/&$greet /"
} > "$work/greeted.jsonl"
for greeted in 1 3; do
    sed "1,${greeted}s/\"prompt\":\"/&$greet /" "$work/plain_eval.jsonl" > "$work/greeted_eval.jsonl"
    "$hone" prep "$work/greeted.jsonl" -o "$work/greeted$greeted" --eval "$work/greeted_eval.jsonl" --pii off > /dev/null || fail "greeted"
    [ "$(grep -o '"id":[0-9]*,"pass":"overlap"' "$work/greeted$greeted/removed.jsonl" | tr -dc '0-9\n' | sort -n | tr '\n' ' ')" = '61 62 ' ] ||
        fail "$greeted greeted: overlap removed $(grep -o '"id":[0-9]*,"pass":"overlap"' "$work/greeted$greeted/removed.jsonl" | head -n 5)"
    [ "$(grep -c '"pass":"overlap","action":"note","reason":"shares words with evaluation rows that other rows have, too: taken for a form"' "$work/greeted$greeted/decisions.jsonl")" = 60 ] ||
        fail "$greeted greeted: forms are not told"
done

# --- copies in other letters are one, also when a name in them is told in one way of writing only
printf '%s\n' '{"prompt":"Who has earned it?","completion":"Evan Miller earned 37 dollars."}' '{"prompt":"WHO HAS EARNED IT?","completion":"EVAN MILLER EARNED 37 DOLLARS."}' \
    '{"prompt":"Who has lost it?","completion":"Nobody has lost a thing today."}' > "$work/capitals.jsonl"
"$hone" prep "$work/capitals.jsonl" -o "$work/capitals" > /dev/null 2> "$work/err" || fail "capitals"
[ "$(grep -c '"reason":"exact duplicate"' "$work/capitals/removed.jsonl")" = 1 ] || fail "a copy in capitals stays"

# --- a mailbox: what nobody answered may leave, and then all rows have the shape of a conversation
mail() { printf 'From %s Thu Jan  1 09:00:00 2026\nFrom: %s\nTo: %s\nSubject: %s\nMessage-ID: <%s@x.example>\n%sDate: Thu, 1 Jan 2026 09:00:00 +0000\n\n%s\n\n' "$@"; }
for i in $(seq 12); do
    mail ann@a.example ann@a.example help@b.example "Lamp $i of the hall" "q$i" "" "The lamp $i of the hall flickers since Monday, what can I do about it?"
    mail help@b.example help@b.example ann@a.example "Re: Lamp $i of the hall" "a$i" "In-Reply-To: <q$i@x.example>
References: <q$i@x.example>
" "Please turn its bulb $i to the right until it sits, then it burns without flickering."
    mail eve@c.example eve@c.example help@b.example "Offer $i" "o$i" "" "We sell bulbs of kind $i by the dozen and deliver them within two days to any town."
done > "$work/box.mbox"
mail_flags=(--pii off --duplicates off --validation 0 --test 0)
"$hone" prep "$work/box.mbox" -o "$work/box" "${mail_flags[@]}" > "$work/said" || fail "mailbox"
has "$work/said" 'train holds rows of 2 shapes (12 messages, 12 text).*--unanswered drop'
"$hone" prep "$work/box.mbox" -o "$work/box2" --unanswered drop "${mail_flags[@]}" > "$work/said" || fail "--unanswered drop"
has "$work/said" '24 rows read, 12 removed'
! grep -q shapes "$work/said" || fail "shapes are mixed all the same"
[ "$(grep -c '"pass":"import","action":"remove","reason":"a mail that nobody answered (--unanswered drop)"' "$work/box2/decisions.jsonl")" = 12 ] || fail "a dropped mail is not told"
[ "$(grep -c 'We sell bulbs of kind' "$work/box2/removed.jsonl")" = 12 ] || fail "removed.jsonl lacks a mail"
"$hone" inspect "$work/box2/train.jsonl" > "$work/said" || fail "inspect of conversations"

# --- mixture: the second input gives a third of its rows
rows 1 300 > "$work/m1.jsonl"
rows 1001 1300 > "$work/m2.jsonl"
"$hone" prep "$work/m1.jsonl" "$work/m2.jsonl" -o "$work/mix" --weights 3,1 --pii off --duplicates exact > /dev/null || fail "mixture"
[ "$(grep -c '"pass":"mixture"' "$work/mix/removed.jsonl")" = 200 ] || fail "mixture removed $(grep -c mixture "$work/mix/removed.jsonl")"

# --- personal data: no value that was planted stands anywhere in the folder, surrogates are the same in every row, and threads change nothing
{ echo 'subject,body,answer,mail'
  for i in $(seq 40); do echo "\"Card $i\",\"Hello, my name is Anna Schmidt, my account is DE89370400440532013000, please call +49 30 90182$i.\",\"Dear Anna Schmidt, card 4111 1111 1111 1111 of case $i is blocked. Write to helpdesk@sparkasse-nord.de.\",anna.schmidt@web.de"; done
  echo '"broken","Anna Schmidt of DE89370400440532013000'; } > "$work/pii.csv"
pii_flags=(--prompt '{subject}: {body}' --completion '{answer}' --duplicates off --pii-key "$work/key")
"$hone" prep "$work/pii.csv" -o "$work/pii" "${pii_flags[@]}" > /dev/null || fail "pii"
[ "$(stat -c %a "$work/key")" = 600 ] || fail "the key can be read by others"
for value in 'DE89370400440532013000' '4111 1111 1111 1111' 'helpdesk@sparkasse-nord.de' 'anna.schmidt@web.de' 'Anna Schmidt'; do
    ! grep -rqF -- "$value" "$work/pii" || fail "$value is left in $(grep -rlF -- "$value" "$work/pii" | head -n 1)"
done
[ "$(cat "$work"/pii/{train,validation,test}.jsonl | grep -o 'account is [A-Z0-9]*' | sort -u | wc -l)" = 1 ] || fail "one IBAN has several surrogates"
[ "$(grep -c '"kind":"iban"' "$work/pii/subjects.jsonl")" -ge 40 ] || fail "the subject index has $(grep -c iban "$work/pii/subjects.jsonl") IBANs"
"$hone" prep "$work/pii.csv" -o "$work/pii1" --threads 1 "${pii_flags[@]}" > /dev/null || fail "pii, one thread"
diff -r -x DONE -x report.html "$work/pii" "$work/pii1" || fail "personal data depends on threads"
"$hone" prep "$work/pii.csv" -o "$work/piir" --pii redact "${pii_flags[@]}" > /dev/null || fail "redact"
has "$work/piir/train.jsonl" 'my account is \[IBAN\]'
"$hone" prep "$work/pii.csv" -o "$work/piid" --pii drop "${pii_flags[@]}" > "$work/said" 2>&1 && fail "every row has personal data, so none may be left"
{ echo 'q,a'
  for i in $(seq 10); do echo "\"Question $i of a customer, who reads it?\",\"Write to Help@Firma.de, please, about matter $i.\""; done
  echo '"Where is the parcel that I sent? Anna Schmidt","It is on its way and comes soon."'
  echo '"I live in Berlin, is that too far for you?","No, we come to Berlin as well."'; } > "$work/drop.csv"
drop_flags=(--prompt '{q}' --completion '{a}' --duplicates off --pii-key "$work/key" --validation 0 --test 0 --pii drop)
"$hone" prep "$work/drop.csv" -o "$work/drop" "${drop_flags[@]}" > "$work/said" || fail "drop"
has "$work/said" '12 rows read, 11 removed' # a place alone takes no row
has "$work/said" 'personal data: rows with email 10, person 1'
has "$work/said" '[-][-]pii-skip KIND'
echo 'help@firma.de' > "$work/allow"
"$hone" prep "$work/drop.csv" -o "$work/drop2" --pii-allow "$work/allow" "${drop_flags[@]}" > "$work/said" || fail "allow"
has "$work/said" '12 rows read, 1 removed'
echo '"Anna Schmidt"' >> "$work/allow"
expect 2 'made of other inputs or options' "$hone" prep "$work/drop.csv" -o "$work/drop2" --pii-allow "$work/allow" "${drop_flags[@]}"
expect 2 'no rules for the country' "$hone" prep "$work/drop.csv" -o "$work/x7" --pii-country XX "${drop_flags[@]}"
expect 2 'is no kind' "$hone" prep "$work/pii.csv" -o "$work/x6" --pii-skip colour "${pii_flags[@]}"

# names inside of meta are data as well: whoever has a value is found, and the value stands nowhere
printf '%s\n' '{"prompt":"Where is the shop that mends lamps?","completion":"Down the road, behind the church.","contacts":{"Anna Schmidt":"private","anna.schmidt@web.de":[{"+49 30 90182917":1}]},"state":"open"}' > "$work/keys.jsonl"
"$hone" prep "$work/keys.jsonl" -o "$work/keys" --validation 0 --test 0 > /dev/null || fail "names in meta"
for value in 'Anna Schmidt' 'anna.schmidt@web.de' '90182917'; do
    ! grep -rqF -- "$value" "$work/keys" || fail "$value is left in a name"
done
has "$work/keys/train.jsonl" '"contacts":{"[A-Z][^"]*":"private","[^"]*@example[^"]*":\[{"[^"]*":1}\]},"state":"open"'
[ "$("$hone" prep review "$work/keys" --person 'anna.schmidt@web.de')" = 1 ] || fail "a name of meta is not in the index of persons"

# a row is found by what a repair cut away from it
printf '%s\n' '{"prompt":"Where is the shop that mends lamps?","completion":"Down the road, behind the church.\n\n-- \nKarla Nord\nkarla.nord@beispielfirma.de"}' \
    '{"prompt":"Who mends lamps on Sundays?","completion":"Nobody does, they all stay at home."}' > "$work/cutaway.jsonl"
"$hone" prep "$work/cutaway.jsonl" -o "$work/cutaway" --validation 0 --test 0 > /dev/null || fail "a signature"
has "$work/cutaway/decisions.jsonl" '"pass":"repair","action":"edit","reason":"mail_signature, '
! grep -rqF 'karla.nord' "$work/cutaway" || fail "the value that was cut is left"
[ "$("$hone" prep review "$work/cutaway" --person 'karla.nord@beispielfirma.de')" = 1 ] || fail "a value that was cut is not in the index of persons"

# why a row cannot be read is told without what stands in it
printf '%s\n' '{"messages":[{"role":"anna.schmidt@web.de","content":"Where?"},{"role":"assistant","content":"There."}]}' '{"prompt":"a" "DE89370400440532013000"}' \
    '{"prompt":"Where is the shop?","completion":"Down the road."}' > "$work/said.jsonl"
"$hone" prep "$work/said.jsonl" -o "$work/saido" --validation 0 --test 0 > /dev/null 2>&1 || fail "reasons"
has "$work/saido/removed.jsonl" 'unrecognized_role'
! grep -rq 'anna.schmidt\|DE8937' "$work/saido" || fail "a reason quotes the row: $(grep -rl 'anna.schmidt\|DE8937' "$work/saido" | head -n 1)"

# --- repairs, quality, languages
cat > "$work/q.jsonl" <<'JSON'
{"prompt":"Is the shop open on Sunday?","completion":"Yes, itâ€™s open from ten to four, and the cafÃ© as well."}
{"prompt":"Where do I find the form?","completion":"It is on the page &quot;Service&quot;,<br>second entry."}
{"prompt":"When does the train leave from here?","completion":"The next train leaves at nine and the one after that, which goes to the"}
{"prompt":"Wann kommt die Lieferung bei uns an?","completion":"Die Lieferung kommt am Dienstag im Laufe des Vormittags bei Ihnen an."}
{"prompt":"How do I cancel the order that I made?","completion":"!!! ???"}
{"prompt":"<p>I used it for a week.</p><p>Is that too long?</p>","completion":"A week is not too long for a lamp of this kind."}
{"prompt":"How long is the warranty of this lamp?","completion":"The warranty of this lamp is two years from the day of purchase."}
{"prompt":"When is the shop in Leeds open?","completion":"n/a"}
{"prompt":"Is my lamp repaired by now?","completion":"We look into it. please wait please wait please wait please wait please wait please wait please wait please wait"}
{"prompt":"The lamp: <html><body><p>Good morning,</p><p>my lamp is dark.</p>&nbsp;<script>t()</script></body></html>","completion":"Please send us the lamp, and we have a look at its cable."}
{"prompt":"What is wrong on my website: <html><body><p>Hi</p></body></html>","completion":"It has no head, which every document has to have."}
JSON
"$hone" prep "$work/q.jsonl" -o "$work/q" --languages en --validation 0 --test 0 > /dev/null || fail "quality"
has "$work/q/train.jsonl" 'it’s open from ten to four, and the café'
has "$work/q/train.jsonl" 'page \\"Service\\",'
has "$work/q/decisions.jsonl" '"pass":"repair","action":"edit"'
has "$work/q/removed.jsonl" '"id":3,"pass":"quality","reason":"truncated'
has "$work/q/removed.jsonl" '"id":4,"pass":"language","reason":"language is de"'
has "$work/q/removed.jsonl" '"id":5,"pass":"quality","reason":"empty'
has "$work/q/train.jsonl" '"prompt":"I used it for a week.\\n\\nIs that too long?"'
has "$work/q/removed.jsonl" '"id":8,"pass":"quality","reason":"empty'
has "$work/q/removed.jsonl" '"id":9,"pass":"quality","reason":"loop'
has "$work/q/train.jsonl" '"prompt":"The lamp: Good morning,\\n\\nmy lamp is dark."'
has "$work/q/decisions.jsonl" '"row":11,.*holds a page in HTML'
[ "$(count "$work/q/train.jsonl")" = 6 ] || fail "quality left $(count "$work/q/train.jsonl") rows"

# an encoding that is given is taken at its word, and what it makes of UTF-8 is told
printf 'question,answer\nWo liegt Köln am Rhein?,Köln liegt im Westen.\nWo liegt der große Hafen?,Der Hafen liegt im Norden.\nWo ist er?,Er ist im Haus.\n' > "$work/enc.csv"
"$hone" prep "$work/enc.csv" -o "$work/enc" --encoding cp1252 --validation 0 --test 0 > /dev/null 2> "$work/said" || fail "a given encoding"
has "$work/said" '2 rows are UTF-8, and reading them as cp1252 makes letters into others (the first: line 2)'
"$hone" prep "$work/enc.csv" -o "$work/enc2" --validation 0 --test 0 > /dev/null 2> "$work/said" || fail "an encoding found"
! grep -q encoding "$work/said" || fail "UTF-8 is in doubt: $(cat "$work/said")"

# --- balance: no label has more than 30 rows
"$hone" prep "$work/a.jsonl" -o "$work/balance" --label topic --most-per-label 30 --pii off > /dev/null || fail "balance"
most=$(cat "$work"/balance/{train,validation,test}.jsonl | grep -o '"topic":"[^"]*"' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $1 }')
[ "$most" = 30 ] || fail "a label has $most rows"

# by length: bins are powers of two of the bytes of question and answer; awk judges. A cap in rows, and as a share of what then stays
for i in $(seq 200); do printf '{"prompt":"%s?","completion":"%s."}\n' "$(rows $i $i | cut -c12-$((20 + (i % 4 > 2 ? 2 : i % 4) * 40)) | tr -d '"{}:,')" "Answer $i"; done > "$work/lengths.jsonl"
"$hone" prep "$work/lengths.jsonl" -o "$work/len0" --pii off --duplicates off --quality off > /dev/null || fail "lengths"
bins() { cat "$1"/{train,validation,test}.jsonl | sed 's/.*"prompt":"\([^"]*\)","completion":"\([^"]*\)".*/\1\2/' | awk '{ b = 0; for (n = length($0); n > 0; n = int(n / 2)) b++; print b }' | sort -n | uniq -c; }
[ "$(bins "$work/len0" | wc -l)" -ge 3 ] || fail "the rows have too few lengths: $(bins "$work/len0")"
"$hone" prep "$work/lengths.jsonl" -o "$work/len1" --pii off --duplicates off --quality off --most-per-length 20 > "$work/said" || fail "lengths by rows"
[ "$(bins "$work/len1" | awk '{ print $1 }' | sort -u)" = "$(bins "$work/len0" | awk '{ print $1 < 20 ? $1 : 20 }' | sort -u)" ] || fail "lengths: $(bins "$work/len1")"
has "$work/said" 'removed: length '
has "$work/len1/removed.jsonl" '"pass":"length","reason":"its length has enough rows"'
has "$work/len1/decisions.jsonl" '"pass":"length","action":"remove","reason":"its length has enough rows",.*"length":"[0-9]* to [0-9]* bytes"'
has "$work/len1/report.html" 'at most 20 rows of each length stay'
"$hone" prep "$work/lengths.jsonl" -o "$work/len2" --pii off --duplicates off --quality off --most-per-length 0.4 > /dev/null || fail "lengths by share"
bins "$work/len2" | awk '{ n += $1; if ($1 > most) most = $1 } END { exit !(most <= 0.4 * n && most + 1 > 0.4 * n - 1) }' || fail "a share of 0.4: $(bins "$work/len2")"
expect 2 'so one of them always has' "$hone" prep "$work/lengths.jsonl" -o "$work/x9" --pii off --duplicates off --quality off --most-per-length 0.05
expect 2 'must be a whole number of rows' "$hone" prep "$work/lengths.jsonl" -o "$work/x9" --most-per-length 20.5

# --- single repairs and rules are switched off by name
"$hone" prep "$work/q.jsonl" -o "$work/skip" --repair-skip entities,tags --quality-skip truncated --validation 0 --test 0 > /dev/null || fail "skip"
has "$work/skip/train.jsonl" 'page &quot;Service&quot;,<br>second'
has "$work/skip/train.jsonl" '"id":3,'
expect 2 '--repair-skip: "colour" is none of utf8, line_endings' "$hone" prep "$work/q.jsonl" -o "$work/x9" --repair-skip colour
expect 2 '--quality-skip: "colour" is none of empty, echo' "$hone" prep "$work/q.jsonl" -o "$work/x9" --quality-skip colour

# --- documents: each becomes rows of text that say where they come from; one that cannot be read is left out by name
golden=$here/../docs/golden
documents=$(find "$golden" -name '*.docx' -o -name '*.html' -o -name '*.pdf' -o -name '*.eml' | sort)
"$hone" prep $documents -o "$work/docs" --pii off --quality off --validation 0 --test 0 > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "documents"; }
[ "$(count "$work/docs/train.jsonl")" -ge 4 ] || fail "documents gave $(count "$work/docs/train.jsonl") rows"
for document in $documents; do has "$work/docs/manifest.json" "$(basename "$document")"; done
has "$work/docs/decisions.jsonl" 'locked.pdf: the PDF is encrypted'
has "$work/err" 'left out: '
head -c 3000 "$golden/$(basename "$(find "$golden" -name '*.docx' | sort | head -n 1)")" > "$work/cut.docx"
expect 2 'cut.docx' "$hone" prep "$work/cut.docx" -o "$work/x7"

# --- one question, two answers
printf '%s\n' '{"prompt":"When do you open?","completion":"We open at nine in the morning."}' '{"prompt":"when do you  open?","completion":"We open at ten in the morning."}' \
    '{"prompt":"Do you deliver?","completion":"Yes, we deliver everywhere in town."}' > "$work/two.jsonl"
"$hone" prep "$work/two.jsonl" -o "$work/two" --pii off --duplicates off --validation 0 --test 0 > /dev/null || fail "contradictions"
[ "$(grep -c '"pass":"contradiction"' "$work/two/decisions.jsonl")" = 2 ] || fail "$(grep -c contradiction "$work/two/decisions.jsonl") contradictions"

# --- a first row that is cut does not make the file something else
{ echo '{"prompt":"x"'; rows 1 20; } > "$work/cut.jsonl"
"$hone" prep "$work/cut.jsonl" -o "$work/cut" --pii off > "$work/said" || fail "a cut first row"
has "$work/said" '21 rows read, 1 removed'

# --- the model's own word: scores, and the best 20 with two controls of 20
make_model
"$hone" prep "$work/t.jsonl" -o "$work/ranked" --model "$work/model" --score --select 20 --select-by longest --pii off > /dev/null 2>&1 || fail "select"
for file in train control_random control_longest; do [ "$(count "$work/ranked/$file.jsonl")" = 20 ] || fail "$file has $(count "$work/ranked/$file.jsonl") rows"; done
has "$work/ranked/scores.jsonl" '"ifd_loss":'
has "$work/ranked/removed.jsonl" '"pass":"select"'

# --- out and in again in every container
for ending in jsonl json csv tsv parquet; do
    "$hone" prep export "$work/jsonl" -o "$work/out.$ending" --part all > /dev/null || fail "export $ending"
    rm -rf "$work/back"
    "$hone" prep "$work/out.$ending" -o "$work/back" --pii off --validation 0 --test 0 > /dev/null || fail "import $ending"
    [ "$(sed 's/,"meta".*//; s/"id":[0-9]*,//' "$work/back/train.jsonl" | sort | cksum)" = "$(cat "$work"/jsonl/{train,validation,test}.jsonl | sed 's/}$//; s/"id":[0-9]*,//' | sort | cksum)" ] ||
        fail "$ending gives other rows back"
done
# Parquet and Arrow wherever they lie: packed, in an archive, in a folder that `datasets` made
arrow=$here/../formats/golden/arrow
gzip -c "$work/out.parquet" > "$work/out.parquet.gz"
tar -C "$work" -cf "$work/out.tar" out.parquet
for file in "$work/out.parquet.gz" "$work/out.tar"; do
    rm -rf "$work/back"
    "$hone" prep "$file" -o "$work/back" --pii off --validation 0 --test 0 > /dev/null || fail "$file"
    [ "$(sed 's/,"meta".*//; s/"id":[0-9]*,//' "$work/back/train.jsonl" | sort | cksum)" = "$(cat "$work"/jsonl/{train,validation,test}.jsonl | sed 's/}$//; s/"id":[0-9]*,//' | sort | cksum)" ] || fail "$file gives other rows"
    [ "$(ls "$work/back" | grep -c work)" = 0 ] || fail "something unpacked is left"
done
mkdir "$work/hf"; cp "$arrow/packed/rows.zip" "$work/hf/"; gunzip -c "$arrow/packed/stream.arrow.gz" > "$work/hf/data-00000-of-00001.arrow"; echo '{"a":1}' > "$work/hf/state.json"; echo '{"b":1}' > "$work/hf/dataset_info.json"
"$hone" prep "$work/hf" -o "$work/hfout" --pii off --duplicates off --quality off > "$work/said" || fail "a folder of datasets"
has "$work/said" '503 rows read'
has "$work/hfout/decisions.jsonl" 'arrow, 3 rows'
has "$work/hfout/decisions.jsonl" 'rows.zip: data/rows.parquet","line":0,"pass":"input","action":"note","reason":"parquet, 500 rows"'
expect 2 'the ending must say what to write' "$hone" prep export "$work/jsonl" -o "$work/out.xyz"
expect 2 'which the kto shape cannot express' "$hone" prep export "$work/jsonl" -o "$work/out.jsonl" --shape kto

# every shape through a table
"$hone" prep export "$work/jsonl" -o "$work/out.csv" --part all --shape messages > /dev/null || fail "export messages as CSV"
rm -rf "$work/back"
"$hone" prep "$work/out.csv" -o "$work/back" --pii off > /dev/null || fail "messages in a CSV file"
has "$work/back/train.jsonl" '"role":"assistant"'

# a table by its template and documents beside it, which the template is not about; evaluation rows in their own shape
printf '%s\n' '{"prompt":"Ask 7 of the template","completion":"yes"}' > "$work/eval2.jsonl"
"$hone" prep "$work/t.csv" "$golden/manual.docx" -o "$work/both" --prompt '{q}' --completion '{a}' --eval "$work/eval2.jsonl" --pii off --quality off > "$work/said" || fail "table and document"
cat "$work"/both/{train,validation,test}.jsonl > "$work/all"
has "$work/all" '"text":'
has "$work/all" '"prompt":'

# --- bad input
for option in --group --label --subject; do expect 2 "$option nope: no row has this column; beside what became texts the rows have customer, topic" "$hone" prep "$work/a.jsonl" -o "$work/x8" --pii off $option nope; done
expect 2 '--time topic: no row has a time there' "$hone" prep "$work/a.jsonl" -o "$work/x8" --pii off --time topic
expect 2 'name it with --model' "$hone" prep "$work/a.jsonl" -o "$work/x5" --score
expect 2 'no --out' "$hone" prep "$work/a.jsonl"
expect 2 'no input' "$hone" prep -o "$work/x"
expect 2 'nope.jsonl' "$hone" prep "$work/nope.jsonl" -o "$work/x"
expect 2 'leave nothing to train on' "$hone" prep "$work/a.jsonl" -o "$work/x" --test 0.6 --validation 0.5
echo '{"prompt":"","completion":"There."}' > "$work/unasked.jsonl"
expect 2 'no row is left of 1; decisions.jsonl in the folder says why each was removed; the first:' "$hone" prep "$work/unasked.jsonl" -o "$work/x2"
expect 2 'is no data folder and not empty' "$hone" prep "$work/a.jsonl" -o "$work"
expect 2 'asks for the column "nope"' "$hone" prep "$work/t.csv" -o "$work/x3" --prompt '{nope}' --completion '{a}' 
expect 2 '--weights has 1 numbers' "$hone" prep "$work/m1.jsonl" "$work/m2.jsonl" -o "$work/x4" --weights 1
echo "ok"
