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
say() { sed -i 's/"text":".*/"text":"[{\\"question\\":\\"'"$1"'\\",\\"answer\\":\\"'"$2"'\\"}]"}/' "$work/judged/work/questions/answers.jsonl"; rm -f "$work"/judged/work/questions/*-1.json*; }
judged=("$hone" prep "$docs/manual.docx" -o "$work/judged" --questions 1 --model "$base" --judge 0 --duplicates exact --quality off --test 0 --validation 0)
expect 1 'there is no JSON in it' "${judged[@]}"
say 'What size has the seal ring?' 'It has a diameter of 55 mm.'
expect 1 'pairs were refused (the first: unsupported_number: a number is not in the passage: 55)' "${judged[@]}"
say 'What size has the seal ring of the pump?' 'The seal ring has a size of 12 mm.'
"${judged[@]}" > "$work/said" || fail "a good answer"
grep -q 'passages gave [0-9]* pairs of question and answer' "$work/said" || fail "the screen does not tell pairs"
grep -q '"content":"The seal ring has a size of 12 mm."}\],"meta":{"document":".*manual.docx","title":"Pump manual"' "$work/judged/train.jsonl" || { cat "$work/judged/train.jsonl" >&2; fail "no row"; }
[ ! -e "$work/judged/work" ] || fail "kept answers stay behind in a finished folder"

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
HONE_TEACHER_KEY=$'a\nb' expect 2 'the key for http://127.0.0.1:9 has a blank, a line break' "$hone" prep "$work/lamp.txt" -o "$work/x7" --questions 2 --teacher http://127.0.0.1:9 --teacher-model m
echo "ok"
