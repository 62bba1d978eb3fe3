#!/usr/bin/env bash
# questions.sh HONE SHARED - questions from documents by hone's own engine: a model that is too small ends with a sentence, and the next start asks nothing again;
# what options and inputs have to be. (Addresses: tests/serve/test_teacher.c.)
. "$(dirname "$0")/common.sh"

docs=$here/../docs/golden
make_model
cat > "$work/lamp.txt" <<'TXT'
The lamp weighs 300 grams. Its stand weighs 700 grams.
TXT

# --- passages that do not fit, and answers that are no JSON
expect 1 'no usable pair came out of 1 passages: 1 answers of ' "$hone" prep "$work/lamp.txt" -o "$work/own" --questions 2 --teacher "$work/model"
grep -q 'refused_by_teacher: .*: passage and instructions have [0-9]* tokens, and the model has 256 positions' "$work/err" || { cat "$work/err" >&2; fail "does not say what did not fit"; }
[ ! -e "$work/own/DONE" ] || fail "a preparation without rows is done"
base=$here/../../examples/base
expect 1 'there is no JSON in it' "$hone" prep "$docs/manual.docx" -o "$work/base" --questions 1 --model "$base"
answers=$(wc -l < "$work/base/work/questions/answers.jsonl")
expect 1 'there is no JSON in it' "$hone" prep "$docs/manual.docx" -o "$work/base" --questions 1 --model "$base"
[ "$(wc -l < "$work/base/work/questions/answers.jsonl")" = "$answers" ] || fail "answers that were there were asked for again"
expect 1 'no usable pair came out of' "$hone" prep "$docs/manual.docx" -o "$work/base1" --questions 1 --model "$base" --threads 1
cmp "$work/base/work/questions/answers.jsonl" "$work/base1/work/questions/answers.jsonl" || fail "answers depend on threads"

# --- a teacher that does better: what it says is put in the place of the kept answers, which are read before anybody is asked
# say FOLDER PAIRS: PAIRS is JSON
say() {
    local text; text=$(printf '%s' "$2" | tr '\n' ' ' | sed 's/["\\]/\\&/g; s/[&|\\]/\\&/g')
    sed -i 's|"text":".*|"text":"'"$text"'"}|' "$1/work/questions/answers.jsonl"
}
judged=("$hone" prep "$docs/manual.docx" -o "$work/judged" --questions 1 --model "$base" --judge 0 --duplicates exact --quality off --test 0 --validation 0)
expect 1 'there is no JSON in it' "${judged[@]}"
say "$work/judged" '[{"question":"What size has the seal ring?","answer":"It has a diameter of 55 mm."}]'
expect 1 'pairs were refused (the first: unsupported_number: a number is not in the passage: 55)' "${judged[@]}"
say "$work/judged" '[{"question":"What size has the seal ring of the pump?","answer":"The seal ring has a size of 12 mm."}]'
"${judged[@]}" > "$work/said" || fail "a good answer"
grep -q 'passages gave [0-9]* pairs of question and answer' "$work/said" || fail "the screen does not tell pairs"
grep -q '"content":"The seal ring has a size of 12 mm."}\],"meta":{"document":".*manual.docx","title":"Pump manual"' "$work/judged/train.jsonl" || { cat "$work/judged/train.jsonl" >&2; fail "no row"; }
[ ! -e "$work/judged/work" ] || fail "kept answers stay behind in a finished folder"

# --- personal data of a document and of answers stands nowhere in the finished folder, and no reason tells it
echo 'Questions about the lamp go to anna.schmidt@web.de, and Mrs. Anna Schmidt answers them within 3 days.' > "$work/mail.txt"
mail=("$hone" prep "$work/mail.txt" -o "$work/mail" --questions 2 --model "$base" --judge 0 --quality off --test 0 --validation 0)
expect 1 'no usable pair' "${mail[@]}"
say "$work/mail" '[{"question":"Who answers questions about the lamp?","answer":"Mrs. Anna Schmidt, anna.schmidt@web.de, answers them within 3 days."},
    {"question":"Who else answers questions about the lamp?","answer":"Write to bernd.kowalski@web.de or call +49 30 90182917."}]'
"${mail[@]}" > "$work/said" || fail "a document with personal data"
grep -q '1 removed' "$work/said" || fail "$(cat "$work/said")"
grep -q '"pass":"questions","action":"remove","reason":"unsupported_number: a number is not in the passage","score":' "$work/mail/decisions.jsonl" || fail "$(cat "$work/mail/decisions.jsonl")"
for value in anna.schmidt@web.de 'Anna Schmidt' bernd.kowalski 90182917; do
    ! grep -rqF -- "$value" "$work/mail" || fail "$value is left in $(grep -rlF -- "$value" "$work/mail" | head -n 1)"
done

# --- addresses: a certificate that nobody vouches for, and a host outside, which is told before anything goes there
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
far=("$hone" prep "$work/lamp.txt" --questions 2 --teacher-model m)
expect 1 'was asked 2 times, in vain: Could not resolve host: no-such-host.invalid' "${far[@]}" -o "$work/far" --teacher https://no-such-host.invalid/v1
grep -qF 'the passages of the documents go to m at https://no-such-host.invalid/v1, outside this machine and its networks, with other values in the place of the personal data' "$work/err" || { cat "$work/err" >&2; fail "no warning"; }
expect 1 'in vain' "${far[@]}" -o "$work/far2" --teacher https://no-such-host.invalid/v1 --pii off
grep -qF 'outside this machine and its networks, as they stand' "$work/err" || { cat "$work/err" >&2; fail "no warning without --pii"; }
expect 2 'lies outside this machine, and --teacher-sees original would send personal data there' "${far[@]}" -o "$work/far3" --teacher https://no-such-host.invalid/v1 --teacher-sees original
expect 2 '--teacher-sees goes with a --teacher that is the address of a server' "$hone" prep "$work/lamp.txt" -o "$work/far4" --questions 2 --teacher "$work/model" --teacher-sees original
if command -v openssl > /dev/null; then
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 -subj /CN=localhost 2> /dev/null
    openssl s_server -accept 0 -cert "$work/cert.pem" -key "$work/key.pem" -www > "$work/tls" 2>&1 & tls=$!
    port=
    for try in $(seq 50); do
        port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/tls")
        [ -z "$port" ] || break
        sleep 0.1
    done
    if [ -n "$port" ]; then
        expect 1 'certificate' "${far[@]}" -o "$work/tls1" --teacher "https://localhost:$port/v1"
        grep -q 'cannot be asked: SSL certificate problem: self-signed certificate' "$work/err" || { cat "$work/err" >&2; fail "the certificate was not what stopped it"; }
    else
        echo "NOT TESTED: a certificate that nobody vouches for (the port of openssl s_server cannot be found)" >&2
    fi
    kill $tls 2> /dev/null || true
    wait $tls 2> /dev/null || true
else
    echo "NOT TESTED: a certificate that nobody vouches for (there is no openssl)" >&2
fi

# --- options
expect 2 '--questions needs a model that writes them' "$hone" prep "$work/lamp.txt" -o "$work/x" --questions 2
expect 2 'say how many of each passage with --questions N' "$hone" prep "$work/lamp.txt" -o "$work/x" --teacher "$work/model"
expect 2 'say with --teacher-model NAME which model is asked there' "$hone" prep "$work/lamp.txt" -o "$work/x" --questions 2 --teacher http://127.0.0.1:9
expect 2 '--teacher-model goes with a --teacher that is the address of a server' "$hone" prep "$work/lamp.txt" -o "$work/x" --questions 2 --teacher "$work/model" --teacher-model m
expect 2 'use https' "$hone" prep "$work/lamp.txt" -o "$work/x1" --questions 2 --teacher http://93.184.216.34/v1 --teacher-model m
expect 2 '--teacher: ' "$hone" prep "$work/lamp.txt" -o "$work/x2" --questions 2 --teacher "$work/nothing"
expect 2 'questions' "$hone" prep "$work/lamp.txt" -o "$work/x3" --questions 51 --teacher "$work/model"
make_data
expect 2 'makes questions from documents' "$hone" prep "$work/data.jsonl" -o "$work/x4" --questions 2 --teacher "$work/model"
printf '\n \n' > "$work/empty.txt"
expect 2 'none of the 1 documents has any text' "$hone" prep "$work/empty.txt" -o "$work/x5" --questions 2 --teacher "$work/model"
expect 2 'locked.pdf: the PDF is encrypted' "$hone" prep "$docs/locked.pdf" -o "$work/x6" --questions 2 --teacher "$work/model"
head -c 3000 /dev/urandom | tr -d '\n' > "$work/noise.txt" # no text, whatever its name says: left out, never taken for plain text
expect 2 'noise.txt: ' "$hone" prep "$work/noise.txt" -o "$work/x8" --questions 2 --teacher "$work/model"
expect 1 'no usable pair' "$hone" prep "$work/noise.txt" "$work/lamp.txt" -o "$work/x9" --questions 2 --teacher "$work/model"
grep -q 'left out: .*noise.txt: ' "$work/err" || { cat "$work/err" >&2; fail "noise is not left out"; }
HONE_TEACHER_KEY=$'a\nb' expect 2 'the key for http://127.0.0.1:9 has a blank, a line break' "$hone" prep "$work/lamp.txt" -o "$work/x7" --questions 2 --teacher http://127.0.0.1:9 --teacher-model m
echo "ok"
