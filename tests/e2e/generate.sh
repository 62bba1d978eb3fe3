#!/bin/bash
# generate.sh - hone generate: the known story, the same seed, several answers, stop texts, and what is refused.
source "$(dirname "$0")/lib/begin.sh"

story="Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high."
for device in ref cpu auto; do
    text=$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 0 --echo --max-tokens 80 --device $device 2>"$work/err")
    has "greedy story on $device" "$text" "$story"
    same "standard error on $device" "$(cat "$work/err")" ""
done
text=$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 0 --max-tokens 8)
same "without --echo" "$text" ", there was a little girl"

printf 'Once upon a time' >"$work/prompt"
same "--prompt-file" "$("$hone" generate "$stories" --prompt-file "$work/prompt" --temperature 0 --max-tokens 8)" "$text"
same "--threads" "$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 0 --max-tokens 8 --threads 1)" "$text"
for kv in f16 int8; do
    same "--kv $kv" "$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 0 --max-tokens 8 --kv $kv)" "$text"
done
same "--stop" "$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 0 --stop 'xx,ttle g' --max-tokens 50)" ", there was a li"

a=$("$hone" generate "$stories" --prompt "One day" --temperature 1 --seed 5 --max-tokens 40)
same "same seed" "$("$hone" generate "$stories" --prompt "One day" --temperature 1 --seed 5 --max-tokens 40)" "$a"
b=$("$hone" generate "$stories" --prompt "One day" --temperature 1 --seed 6 --max-tokens 40)
[ "$a" != "$b" ] || fail "two seeds give the same text"
same "--top-k 1 is greedy" "$("$hone" generate "$stories" --prompt "Once upon a time" --temperature 1 --top-k 1 --max-tokens 8)" "$text"

"$hone" generate "$stories" --prompt "One day" --temperature 1 --seed 5 --max-tokens 20 --n 3 --json >"$work/json"
same "lines of --n 3 --json" "$(wc -l <"$work/json")" 3
same "different texts of --n 3" "$(sort -u "$work/json" | cut -d, -f1-3 | sort -u | wc -l)" 3
has "--json" "$(cat "$work/json")" '"finish":"length","sequence":2,"prompt_tokens":'
has "the model's positions end a text" "$("$hone" generate "$stories" --prompt "Once" --temperature 0 --max-tokens 100000 --stop zzzz --json --chat)" '"finish":"'
has "--chat" "$("$hone" generate "$stories" --prompt "Hi" --system "Be kind" --chat --echo --max-tokens 1)" "assistant:"

refuses 2 "did you mean --prompt?" "$hone" generate "$stories" --promt x
refuses 2 "MODEL is missing" "$hone" generate --prompt x
refuses 2 "the prompt is missing" "$hone" generate "$stories"
refuses 2 "there is no such folder" "$hone" generate "$work/nothing" --prompt x
refuses 2 "--system goes with --chat" "$hone" generate "$stories" --prompt x --system y
refuses 2 "has positions for 512" "$hone" generate "$stories" --prompt-file "$stories/tokenizer.json"
refuses 2 "not valid UTF-8" "$hone" generate "$stories" --prompt-file "$stories/model.safetensors"
refuses 2 "one of the texts is empty" "$hone" generate "$stories" --prompt x --stop ,
refuses 2 "--temperature" "$hone" generate "$stories" --prompt x --temperature hot
refuses 2 "no adapter_config.json" "$hone" generate "$stories" --prompt x --adapter "$work"
refuses 2 "xpu" "$hone" generate "$stories" --prompt x --device xpu
has "--help" "$("$hone" generate --help)" "--repetition-penalty"
