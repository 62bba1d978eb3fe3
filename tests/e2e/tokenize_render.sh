#!/bin/bash
# tokenize_render.sh - hone tokenize and hone render as filters: there and back, special tokens, masks, and what is refused.
source "$(dirname "$0")/lib/begin.sh"

same "ids" "$(printf 'Once upon a time\n' | "$hone" tokenize "$stories")" "[1,403,407,261,378]"
same "ids without special tokens" "$(printf 'Once upon a time\n' | "$hone" tokenize "$stories" --no-special)" "[403,407,261,378]"
same "a last line without an end, an empty line" "$(printf '\na' | "$hone" tokenize "$stories" | wc -l)" 2
same "empty input" "$(printf '' | "$hone" tokenize "$stories")" ""
printf 'Hello there, how are you?\ncaf\303\251 \344\270\255\346\226\207 \360\237\231\202\n  two  spaces\n' >"$work/text"
same "there and back" "$("$hone" tokenize "$stories" <"$work/text" | "$hone" tokenize "$stories" --decode --no-special)" "$(cat "$work/text")"
same "special tokens spelled out" "$(printf '[1,403,2]' | "$hone" tokenize "$stories" --decode)" "<s> Once</s>"

printf '{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}\n' >"$work/chat"
has "render's text" "$("$hone" render "$stories" <"$work/chat")" '{"text":"<s>user:\nQ</s>\nassistant:\nA</s>\n","ids":[1,'
has "render's mask" "$("$hone" render "$stories" <"$work/chat")" ',1,1,0'
has "--generation-prompt" "$(printf '{"messages":[{"role":"user","content":"Q"}]}' | "$hone" render "$stories" --generation-prompt)" 'assistant:\n"'
same "empty input" "$(printf '' | "$hone" render "$stories")" ""

# wrong COMMAND INPUT TEXT
wrong() {
    # shellcheck disable=SC2059,SC2086  # the input is a format with escapes, the command is several words
    expect 2 "$3" "$hone" $1 < <(printf "$2")
    same "lines of error of $1 with $2" "$(wc -l < "$work/err")" 1
}
wrong "tokenize $stories" 'ok\nbad \377\n' "line 2, byte 5"
wrong "tokenize $stories --decode" '{"a":1}\n' "expected a JSON array"
wrong "tokenize $stories --decode" '[1]\n[1,"x"]\n' "line 2: item 2 is a string"
wrong "tokenize $stories --decode" '[512]\n' "ids are 0 to 511"
wrong "tokenize $stories --decode" '[-1]\n' "ids are 0 to 511"
wrong "tokenize $stories --decode" '[1]\n[1' "standard input, line 2, column 2: this is not usable JSON"
wrong "tokenize $work" 'x\n' "tokenizer.json"
wrong "tokenize $stories --decod" 'x\n' "did you mean --decode?"
wrong "render $stories" '[]\n' "expected one object"
wrong "render $stories" '{"messages":[]}\n' "at least one message"
wrong "render $stories" '{"messages":[{"role":"king","content":"x"}]}\n' 'unknown role "king"'
wrong "render $stories" '{"messages":[{"role":"user","content":"x"}]}\n{' "line 2"
wrong "tokenize" 'x\n' "MODEL is missing"
wrong "render" 'x\n' "MODEL is missing"
