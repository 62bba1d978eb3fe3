# begin.sh - common.sh, the real small model as $stories (without it the script is skipped), and comparisons of what a command printed.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
stories=$shared/models/stories260K
[ -f "$stories/model.safetensors" ] || skip "$stories is not there"

# same WHAT GOT WANT
same() { [ "$2" = "$3" ] || fail "$1: got \"$2\", expected \"$3\""; }

# has WHAT TEXT PART
has() { [[ $2 == *"$3"* ]] || fail "$1: got \"$2\", expected somewhere in it \"$3\""; }

# refuses STATUS TEXT COMMAND...: as expect, in exactly one line, with nothing on standard output
refuses() {
    expect "$@" < /dev/null
    same "lines of error of ${*:3}" "$(wc -l < "$work/err")" 1
    same "output of ${*:3}" "$(cat "$work/out")" ""
}
