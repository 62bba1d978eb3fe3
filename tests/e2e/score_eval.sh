#!/bin/bash
# score_eval.sh - hone score and hone eval: known numbers, one line per text, task scores, and what is refused.
source "$(dirname "$0")/lib/begin.sh"

printf '{"text":"Once upon a time"}\n\n{"text":"a"}\n' >"$work/text.jsonl"
"$hone" score "$stories" --data "$work/text.jsonl" --json >"$work/scores"
same "one line per text" "$(wc -l <"$work/scores")" 2
has "ids of a text, and no log-probability for the first" "$(head -n 1 "$work/scores")" '{"ids":[1,403,407,261,378],"logprobs":[null,-0.2437'
printf '[{"text":"Once upon a time"},{"text":"a"}]' >"$work/text.json"
same "an array of rows" "$("$hone" score "$stories" --data "$work/text.json" --json)" "$(cat "$work/scores")"

printf '{"prompt":"Once upon a time","completion":", there was a little girl named Lily."}\n' >"$work/pairs.jsonl"
has "a pair is scored with its end" "$("$hone" score "$stories" --data "$work/pairs.jsonl" --json)" ',2],"logprobs":[null,'
printf '%s' "$(cat "$work/pairs.jsonl" "$work/pairs.jsonl" "$work/pairs.jsonl")" >"$work/raw.txt"
[ "$("$hone" score "$stories" --data "$work/raw.txt" --max-length 50 --json | wc -l)" -gt 1 ] || fail "raw text is not cut into pieces"

# The same tokens through both commands: the mean of the scores of the trained part is the loss.
loss=$("$hone" eval "$stories" --data "$work/pairs.jsonl" --objective text --json)
mean=$("$hone" score "$stories" --data "$work/pairs.jsonl" --json | sed 's/.*null,//; s/\].*//' | tr , '\n' | awk '{ s -= $1 } END { printf "%.6f", s / NR }')
has "eval's loss is the mean of score's numbers" "$(printf '%s' "$loss" | sed 's/.*"loss"://; s/,.*//' | awk '{ printf "%.6f", $1 }')" "$mean"
has "eval --json" "$loss" '"tokens":'

out=$("$hone" eval "$stories" --data "$work/pairs.jsonl" --generate --json)
has "eval --generate" "$out" '"exact_match":0.0,'
has "intervals" "$out" '"interval95":{"exact_match":[0.0,'
printf '{"prompt":"Give me JSON","completion":"{\\"a\\":1,\\"b\\":null}"}\n' >"$work/json.jsonl"
out=$("$hone" eval "$stories" --data "$work/json.jsonl" --generate --json)
has "fields" "$out" '"fields":{"a":0.0,"b":0.0}'
has "field accuracy" "$out" '"field_accuracy":0.0'
out=$("$hone" eval "$stories" --data "$work/json.jsonl" --generate --show 1)
has "--show prints what was expected" "$out" 'expected  {"a":1,"b":null}'
cat "$work/pairs.jsonl" "$work/pairs.jsonl" >"$work/two.jsonl"
has "--limit" "$("$hone" eval "$stories" --data "$work/two.jsonl" --limit 1 --json)" '"examples":1'

# a run folder remembers what became of long rows
{ cat "$work/pairs.jsonl"; printf '{"prompt":"%s","completion":" The end."}\n' "$(printf 'Once upon a time there was a girl. %.0s' $(seq 120))"; } >"$work/long.jsonl"
"$hone" train --model "$stories" --data "$work/long.jsonl" --out "$work/run" --steps 1 --max-length 64 --on-long cut-prompt --eval 0 >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "train"; }
out=$("$hone" eval "$work/run" --data "$work/long.jsonl" --generate --max-tokens 4 --json 2>"$work/err")
has "long rows are cut as in the run" "$out" '"examples":2'
has "and that is said" "$(cat "$work/err")" '--on-long cut-prompt, as the run was trained'
refuses 2 "--on-long drop" "$hone" eval "$work/run" --data "$work/long.jsonl" --on-long fail

refuses 2 "--data is missing" "$hone" eval "$stories"
refuses 2 "--data is missing" "$hone" score "$stories"
refuses 2 "nothing.jsonl" "$hone" eval "$stories" --data "$work/nothing.jsonl"
refuses 2 "more than --max-length 4" "$hone" score "$stories" --data "$work/text.jsonl" --max-length 4
refuses 2 "positions of the model" "$hone" eval "$stories" --data "$work/text.jsonl" --max-length 100000
refuses 2 "--generate needs prompts" "$hone" eval "$stories" --data "$work/text.jsonl" --generate
refuses 2 "--show prints answers" "$hone" eval "$stories" --data "$work/pairs.jsonl" --show 3
printf '{"text":"bad \377"}\n' >"$work/bad.jsonl"
refuses 2 "bad.jsonl, line 1" "$hone" score "$stories" --data "$work/bad.jsonl"
printf '' >"$work/empty.jsonl"
refuses 2 "empty" "$hone" eval "$stories" --data "$work/empty.jsonl"
