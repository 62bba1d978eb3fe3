#!/bin/bash
# chat.sh - hone chat in a pipe: answers to standard output, everything else to standard error, the words with a slash.
source "$(dirname "$0")/lib/begin.sh"

talk() { "$hone" chat "$stories" --temperature 0 --max-tokens 12 2>"$work/err"; }

one=$(printf 'Hello\n' | talk)
[ -n "$one" ] || fail "no answer"
same "a last line without an end" "$(printf 'Hello' | talk)" "$one"
same "empty input" "$(printf '' | talk)" ""
same "empty lines are passed over" "$(printf '\n\nHello\n' | talk)" "$one"
same "/reset forgets" "$(printf 'One\nHello\n/reset\nHello\n' | talk | tail -n "$(printf '%s\n' "$one" | wc -l)")" "$one"
same "/quit ends" "$(printf 'Hello\n/quit\nHello\n' | talk)" "$one"
printf '/nonsense\n' | talk
has "an unknown word lists the known ones" "$(cat "$work/err")" "/system"
told=$(printf 'Hello\n' | "$hone" chat "$stories" --temperature 0 --max-tokens 12 --system "You are a cat" 2>/dev/null)
same "/system is --system" "$(printf '/system You are a cat\nHello\n' | talk)" "$told"
expect 2 "line 2, byte 5" "$hone" chat "$stories" --max-tokens 2 < <(printf 'ok\nbad \377\n')
for _ in $(seq 200); do echo "This conversation will soon be longer than the model can read."; done > "$work/long"
expect 2 "/reset starts a new one" "$hone" chat "$stories" --temperature 0 --max-tokens 2 < "$work/long"
refuses 2 "MODEL is missing" "$hone" chat
