#!/bin/sh
# check_layers.sh - the house rules that can be read off the source lines: who may include whom, which library has which door, which
# calls are banned. Prints FILE:LINE for each breach and exits 1; "N files, no breach" otherwise.
# To add a room: its floor in `floors`. To give a library a door: a row in `doors`.
# An optional argument is the root of another tree (its src/ is read); the tests of this script use it.
cd "${1:-$(dirname "$0")/..}" || exit 1

list=$(find src -type f \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) | LC_ALL=C sort)
[ -n "$list" ] || { echo "no source files below $(pwd)/src"; exit 1; }

# shellcheck disable=SC2086  # file names in this house have no spaces
awk '
BEGIN {
    n = split("base 0 formats 1 tokenizer 2 tensor 2 docs 2 model 3 data 3 train 4 infer 4 eval 5 rag 5 prep 5 serve 6 cli 7", f, " ")
    for (i = 1; i < n; i += 2) floor[f[i]] = f[i + 1]
    # header pattern -> folder that alone may include it
    door["^(jansson|yaml|utf8proc|sodium)\\.h$"] = "src/base/"
    door["^sodium/"]                             = "src/base/"
    door["^(seccomp|xxhash)\\.h$"]              = "src/base/"
    door["^(archive|archive_entry|zlib|zstd|snappy-c)\\.h$"] = "src/formats/"
    door["^brotli/"]                             = "src/formats/"
    door["^(libxml|gmime)/"]                     = "src/docs/"
    door["^gumbo\\.h$"]                         = "src/docs/"
    door["^microhttpd\\.h$"]                    = "src/serve/"
    door["^curl/"]                               = "src/infer/teacher_http.c"
    door["^pcre2(posix)?\\.h$"]                  = "src/tokenizer/"
    door["^(cuda|cublas|cudnn|nccl|curand|cusparse|cusolver|nvrtc|nvml|device_launch|mma\\.h|cooperative_groups)"] = "src/tensor/cuda/"
    banned = "(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|strtok|gets)[ \t]*\\("
}
function breach(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad++ }
FNR == 1 {
    files++
    comment = 0
    split(FILENAME, part, "/")
    room = part[2]
    if (!(room in floor)) breach("the room " room " has no floor; add it to floors")
}
{
    # Take strings and comments out, so that a text about strcpy is no call of it. The include lines are read from the raw line.
    raw = $0
    line = $0
    if (!comment) gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
    code = ""
    while (line != "") {
        if (comment) {
            end = index(line, "*/")
            if (!end) break
            line = substr(line, end + 2)
            comment = 0
            continue
        }
        block = index(line, "/*")
        rest = index(line, "//")
        if (rest && (!block || rest < block)) { code = code substr(line, 1, rest - 1); break }
        if (!block) { code = code line; break }
        code = code substr(line, 1, block - 1)
        line = substr(line, block + 2)
        comment = 1
    }
    if (code ~ banned) breach("a banned call: " code)
    if (code !~ /^[ \t]*#[ \t]*include/) next
    header = raw
    sub(/^[ \t]*#[ \t]*include[ \t]*[<"]/, "", header)
    sub(/[>"].*$/, "", header)
    for (pattern in door)
        if (header ~ pattern && index(FILENAME, door[pattern]) != 1)
            breach("<" header "> may be included only below " door[pattern])
    if (raw !~ /include[ \t]*"/) next
    split(header, part, "/")
    other = part[1]
    if (header !~ /\// || !(other in floor)) {
        if (header ~ /\.\./) breach("\"" header "\": write the path from src, as in \"base/err.h\"")
        next
    }
    if (floor[other] > floor[room])
        breach("\"" header "\": " room " (floor " floor[room] ") must not look up to " other " (floor " floor[other] ")")
    else if (floor[other] == floor[room] && other != room)
        breach("\"" header "\": " room " and " other " are neighbours on floor " floor[room] " and do not know each other")
}
END {
    if (bad) { printf "%d files, %d breaches\n", files, bad; exit 1 }
    printf "%d files, no breach\n", files
}' $list
