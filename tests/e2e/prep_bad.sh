#!/usr/bin/env bash
# hone prep on bad input: each gets one sentence with file and row, what came before it is kept, memory stays bounded, a full disk loses nothing, and a run that
# is refused leaves nothing behind.
. "$(dirname "$0")/common.sh"

has() { grep -qF -- "$2" "$1" || { head -n 5 "$1" >&2; fail "$1 has no $2"; }; }
rows() { for i in $(seq "$1" "$2"); do echo "{\"prompt\":\"Question number $i about the lamp of room $((i * 7919 % 1000))?\",\"completion\":\"The lamp of room $((i * 7919 % 1000)) has the number $i.\"}"; done; }
prep() { rm -rf "$work/o"; "$hone" prep "$@" -o "$work/o" --pii off --duplicates off; }
# refused TEXT ARGS...: exit 2 with this sentence, and no folder is left
refused() { local text=$1; shift; expect 2 "$text" prep "$@"; [ ! -e "$work/o" ] || fail "$text: $(ls "$work/o" | tr '\n' ' ')is left"; }
# kept N TEXT ARGS...: N rows come through, and the screen or the log says TEXT
kept() {
    local n=$1 text=$2; shift 2
    prep "$@" > "$work/out" 2> "$work/err" || { cat "$work/err" >&2; fail "$*: failed"; }
    cat "$work/o/decisions.jsonl" "$work/out" >> "$work/err"
    has "$work/err" "$text"
    [ "$(cat "$work"/o/{train,validation,test}.jsonl | wc -l)" = "$n" ] || fail "$*: $(cat "$work"/o/{train,validation,test}.jsonl | wc -l) rows, expected $n"
}
# peak KB: of the last command under `measured`
asan=$(ldd "$hone" | grep asan || true) # which takes memory of its own
measured() { /usr/bin/time -f %M -o "$work/peak" "$@"; }

# --- nothing in it
: > "$work/empty.csv"; printf ' \n\n\t\n' > "$work/white.csv"; echo 'question,answer' > "$work/head.csv"; : > "$work/empty.pdf"
refused 'empty.csv is empty (0 bytes): there is nothing to prepare in it' "$work/empty.csv"
refused 'empty.pdf is empty (0 bytes)' "$work/empty.pdf"
refused 'white.csv holds only white space' "$work/white.csv"
refused 'head.csv has a header and no row below it' "$work/head.csv"
head -c 4000 "$hone" | tail -c 3000 > "$work/junk.pdf"; cp "$work/junk.pdf" "$work/junk.zip"; cp "$work/junk.pdf" "$work/junk.csv"
refused 'junk.pdf: its name says PDF, but its contents are no PDF document' "$work/junk.pdf"
refused 'junk.zip: its name says zip, but its contents are no zip archive' "$work/junk.zip"
refused 'junk.csv: this is binary data of no kind that is known here' "$work/junk.csv"
rows 1 20 > "$work/a.jsonl"
kept 20 'left out: ' "$work/a.jsonl" "$work/junk.pdf" "$work/empty.csv"
has "$work/err" '2 inputs could not be read or gave no row'

# --- options that only the data can refute
printf 'question,answer\nWhere is the lamp?,It is in the room.\n' > "$work/qa.csv"
refused 'qa.csv, line 2: --prompt asks for the column "nope"; the row has question, answer' "$work/qa.csv" --prompt '{nope}' --completion '{answer}'
refused '--group nope: no row has this column' "$work/qa.csv" --group nope
echo '{"foo":1}' > "$work/none.jsonl"
refused 'none.jsonl, line 1: it has no question that could be compared' "$work/a.jsonl" --eval "$work/none.jsonl"
refused 'empty.csv is empty (0 bytes): there is nothing to compare with' "$work/a.jsonl" --eval "$work/empty.csv"
refused 'nowhere.jsonl' "$work/a.jsonl" --eval "$work/nowhere.jsonl"
mkdir "$work/o2"; expect 2 '--group nope' "$hone" prep "$work/qa.csv" -o "$work/o2" --group nope; [ -z "$(ls "$work/o2")" ] || fail "the user's empty folder is not empty"
# an evaluation row counts by its question
printf '%s\n' '{"question":"Question number 7 about the lamp of room 433?"}' '{"messages":[{"role":"user","content":"Question number 8 about the lamp of room 352?"}]}' > "$work/bare.jsonl"
kept 18 '2 of 2 evaluation rows have no answer and are compared by their question alone' "$work/a.jsonl" --eval "$work/bare.jsonl"
# a preparation that left no row is no work to go on with: another try in the same folder begins anew
refused 'none.jsonl, line 1: missing_messages_list: the row has none of the known shapes (its columns: foo); say which column is what' "$work/none.jsonl"
echo '{"prompt":"Where is the lamp?","completion":""}' > "$work/unanswered.jsonl"
expect 2 'no row is left of 1; decisions.jsonl in the folder says why' prep "$work/unanswered.jsonl"
[ -s "$work/o/decisions.jsonl" ] || fail "no decisions are left"
"$hone" prep "$work/a.jsonl" -o "$work/o" --pii off > /dev/null || fail "the next try"

# --- CSV
printf 'q,a,q\n1,2,3\n4,5,6\n' > "$work/twice.csv"
refused 'twice.csv: line 1: columns 1 and 3 are both named "q"; rename one, or say that the file has no header (--header no)' "$work/twice.csv"
kept 3 '3 rows read' "$work/twice.csv" --header no --prompt '{column_1}' --completion '{column_2} {column_3}' --quality off
for i in 1 2 3; do echo "How do I reset lamp $i?,Hold its button for $i seconds."; done > "$work/bare.csv"
refused 'say which column is what, as in --prompt "{column_1}" --completion "{column_2}"' "$work/bare.csv"
kept 3 '3 rows read' "$work/bare.csv" --prompt '{column_1}' --completion '{column_2}'
awk 'BEGIN { for (r = 0; r < 2; r++) { for (i = 0; i < 1000000; i++) printf "%sc%d", i ? "," : "", i; print "" } }' > "$work/wide.csv"
refused 'wide.csv: line 1, the first record: it has more than 65536 columns' "$work/wide.csv"
{ echo 'question,answer'; printf 'Wie hei\303\237t die gr\303\266\303\237te Stadt?,Die gr\303\266\303\237te Stadt hei\303\237t K\303\266ln.\n'; printf 'Wo gibt es sch\366ne B\374cher?,Sch\366ne B\374cher gibt es \374berall.\n'; } > "$work/mixed.csv"
kept 2 'encodings are mixed: 1 lines are not UTF-8 (the first: line 3)' "$work/mixed.csv" --validation 0 --test 0
has "$work/o/train.jsonl" 'Wo gibt es schöne Bücher?'
has "$work/o/train.jsonl" 'Die größte Stadt heißt Köln.'

# --- JSON
{ rows 1 2; echo '{"prompt":"a","prompt":"b","completion":"c"}'; echo "{\"prompt\":\"a\",\"completion\":\"b\",\"meta\":$(printf '[%.0s' $(seq 5000))$(printf ']%.0s' $(seq 5000))}"
  echo '{"prompt":"cut'; rows 3 4; } > "$work/odd.jsonl"
kept 4 '"line":3,"pass":"import","action":"remove","reason":"unreadable: column 22: this is not usable JSON: duplicate object key' "$work/odd.jsonl"
has "$work/o/decisions.jsonl" '"line":4,"pass":"import","action":"remove","reason":"unreadable: column 166: arrays and objects are nested more than 128 levels deep'
has "$work/o/decisions.jsonl" '"line":5,"pass":"import","action":"remove","reason":"unreadable: '

# --- archives: damaged in the middle, in one another, and bombs
rows 1 3000 > "$work/t.jsonl"
gzip -k "$work/t.jsonl"; head -c $(($(stat -c %s "$work/t.jsonl.gz") / 2)) "$work/t.jsonl.gz" > "$work/cut.jsonl.gz"
prep "$work/cut.jsonl.gz" > "$work/out" 2> "$work/err" || fail "cut.jsonl.gz"
has "$work/err" 'cut.jsonl.gz: the gzip data is damaged after'
has "$work/err" 'this part is left out, and the'
has "$work/out" 'of 1 input a part could not be read and is missing'
n=$(cat "$work"/o/{train,validation,test}.jsonl | wc -l)
[ "$n" -gt 1000 ] && [ "$n" -lt 2000 ] || fail "cut.jsonl.gz gave $n rows"
# what could not be read is no row that is used
{ for i in 1 2 3 4 5 6 7; do echo '{"prompt":"broken'; done; cat "$work/t.jsonl"; } | gzip > "$work/some.jsonl.gz"
head -c $(($(stat -c %s "$work/some.jsonl.gz") / 2)) "$work/some.jsonl.gz" > "$work/some_cut.jsonl.gz"
prep "$work/some_cut.jsonl.gz" --quality off > "$work/out" 2> "$work/err" || fail "some_cut.jsonl.gz"
has "$work/err" "and the $(cat "$work"/o/{train,validation,test}.jsonl | wc -l) rows of the file before it are used"
if command -v zip > /dev/null; then
    mkdir "$work/z"; for i in 1 2 3; do rows $((i * 1000)) $((i * 1000 + 999)) > "$work/z/part$i.jsonl"; done
    (cd "$work/z" && zip -qX parts.zip part1.jsonl part2.jsonl part3.jsonl && zip -qX ../nested.zip parts.zip part1.jsonl && mv parts.zip ..)
    size=$(stat -c %s "$work/parts.zip"); cp "$work/parts.zip" "$work/broken.zip"
    printf '\377\0\377' | dd of="$work/broken.zip" bs=1 seek=$((size / 2)) conv=notrunc status=none
    prep "$work/broken.zip" > "$work/out" 2> "$work/err" || fail "broken.zip"
    has "$work/err" 'broken.zip: part2.jsonl: the zip archive is damaged'
    [ "$(cat "$work"/o/{train,validation,test}.jsonl | wc -l)" -ge 2000 ] || fail "broken.zip lost its first or its last member"
    { printf '{"text":"'; head -c 60000000 /dev/zero | tr '\0' 0; echo '"}'; } > "$work/z/bomb.jsonl"
    printf 'PK\3\4 no archive' > "$work/z/odd.jsonl.zip"
    (cd "$work/z" && zip -qX ../first.zip bomb.jsonl odd.jsonl.zip part1.jsonl part2.jsonl)
    kept 2000 'first.zip: bomb.jsonl: it unpacks to more than 1000 times its size' "$work/first.zip"
    has "$work/err" 'first.zip: odd.jsonl.zip: this is a zip archive inside of an archive'
    [ "$(grep -c 'bomb.jsonl: it unpacks' "$work/o/decisions.jsonl")" = 1 ] || fail "the bomb is not told once"
    kept 1000 'nested.zip: parts.zip: this is a zip archive inside of an archive, which is refused; unpack the outer one yourself; this part is left out' "$work/nested.zip"
fi
{ printf '{"text":"'; head -c 100000000 /dev/zero | tr '\0' 0; echo '"}'; } | gzip | gzip > "$work/bomb.gz"
measured "$hone" prep "$work/bomb.gz" -o "$work/o9" > /dev/null 2> "$work/err" && fail "the bomb was read"
has "$work/err" 'it unpacks to more than 1000 times its size'
[ -n "$asan" ] || [ "$(tail -n 1 "$work/peak")" -lt 200000 ] || fail "the bomb took $(cat "$work/peak") KB"

# --- rows of 10 MB, and of more than is allowed
big() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "The lamp of room %d has the number %d and a cable.%s", i % 977, i, i % 20 ? " " : "\\n" }'; }
{ rows 1 1; printf '{"prompt":"Tell me","completion":"'; big 200000; echo '"}'; rows 2 2; } > "$work/big.jsonl"
{ echo 'question,answer'; printf '"Tell me","'; big 200000; echo '"'; } > "$work/big.csv"
for file in big.jsonl big.csv; do
    size=$(stat -c %s "$work/$file")
    rm -rf "$work/o"
    measured "$hone" prep "$work/$file" -o "$work/o" --validation 0 --test 0 > /dev/null 2> "$work/err" || { cat "$work/err" >&2; fail "$file"; }
    [ -n "$asan" ] || [ "$(tail -n 1 "$work/peak")" -lt $((size * 8 / 1024 + 60000)) ] || fail "$file of $size bytes took $(cat "$work/peak") KB"
done
{ rows 1 1; printf '{"prompt":"Tell me","completion":"'; head -c 70000000 /dev/zero | tr '\0' x; echo '"}'; rows 2 2; } > "$work/huge.jsonl"
kept 2 '"line":2,"pass":"import","action":"remove","reason":"unreadable: the row is longer than 67108864 bytes, the most that is allowed; split it' "$work/huge.jsonl"

# --- a full disk, here a limit on the size of files: what is done is kept, and the same command goes on to the same bytes
rm -rf "$work/whole" "$work/full"
"$hone" prep "$work/t.jsonl" -o "$work/whole" --pii off > /dev/null || fail "whole"
for blocks in 100 250 400 600; do
    (ulimit -f $blocks; "$hone" prep "$work/t.jsonl" -o "$work/full" --pii off > /dev/null 2> "$work/err") && break
    has "$work/err" 'cannot write it: the file would be larger than the system allows'
done
"$hone" prep "$work/t.jsonl" -o "$work/full" --pii off > /dev/null || fail "after a full disk"
diff -r -x DONE -x report.html "$work/whole" "$work/full" || fail "a full disk changes the result"

# --- time and groups: what a group carries over the boundary is told
for i in $(seq 1 60); do echo "{\"prompt\":\"Question $i about room $((i * 7919 % 1000))?\",\"completion\":\"It has the number $i.\",\"day\":\"2026-01-$(printf %02d $(((i - 1) / 2 + 1)))\",\"customer\":\"c$((i % 20))\"}"; done > "$work/time.jsonl"
kept 60 '--time: test begins at 2026-01-' "$work/time.jsonl" --time day --group customer --test 0.1
has "$work/out" 'are older and stand there too, with the newer rows of their group'

# --- mail and HTML in a table
cat > "$work/mail.csv" <<'CSV'
question,answer
"Die Lampe geht nicht.

Von: Kundendienst <a@x.example>
Gesendet: Montag, 6. Mai 2024 09:12
An: Bob
Betreff: Lampe

Alte Nachricht","Bitte drehen Sie die Lampe fest und schalten Sie sie dann ein."
"<html><head><style>p { color: red }</style></head><body><p>The lamp does not work.</p><script>track();</script></body></html>","Please turn the lamp until it sits firmly, then switch it on."
CSV
kept 2 'mail_quote' "$work/mail.csv" --validation 0 --test 0
has "$work/o/train.jsonl" '"prompt":"Die Lampe geht nicht.","completion"'
has "$work/o/train.jsonl" '"prompt":"The lamp does not work.","completion"'
echo ok
