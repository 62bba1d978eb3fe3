#!/usr/bin/env bash
# gpu.sh HONE OUT - is hone right on this card, and how fast: one call of less than ten minutes. HONE is the program of a build with CUDA and -DHONE_BENCH=ON; its folder has bench/
# and tests/ beside it, with test_cuda_run_card built (ninja test_cuda_run_card). OUT becomes a folder with gpu.json (all figures), table.txt (the table, which is also printed last) and the logs. In this order:
#   1  every operation against ref (tests/test_cuda_card), and runs on the card against ref: ten steps of every kind of model, plan against fact, failures (tests/test_cuda_run)
#   2  compute-sanitizer memcheck and racecheck over the same operations, where that tool is
#   3  sustained rates of a large bf16 product and of a copy: the bars of all that follows
#   4  each kernel on the shapes of an 8B model: microseconds, bytes, operations, per cent of the bar
#   5  steps of random models of 8B and 1.5B shape, {lora, qlora, full} x {512, 2048, 4096} tokens a text: tokens/s, per cent of the product's rate, memory; a 70B qlora step;
#      one of them twice: same seed, same bits
#   6  PyTorch + peft beside it, where PYTHON has them
# When 1 and 2 pass on a card, all sources of kernels are recorded as verified (tools/cuda_ledger.sh record). Exit status: 0 all passed, 1 something failed (the table says what).
# In the environment:
#   PYTHON=python3           with torch, transformers and peft; - leaves 6 out
#   SECONDS_RATES=30         of the sustained rates
#   LIMIT=570                seconds for everything; what does not fit is named in the table
#   DEVICE=cuda              another device of hone, to try this script where no card is: DEVICE=cpu takes tiny shapes
set -uo pipefail
[ $# -eq 2 ] || { sed -n '2,/^set/{ s/^# \{0,1\}//p }' "$0"; exit 2; }
hone=$(realpath "$1") out=$2 device=${DEVICE:-cuda} python=${PYTHON:-python3} limit=${LIMIT:-570} seconds=${SECONDS_RATES:-30}
here=$(cd "$(dirname "$0")" && pwd) build=$(dirname "$hone")
mkdir -p "$out" && out=$(realpath "$out")
json=$out/gpu.json table=$out/table.txt
: > "$json.lines"
: > "$table"
began=$SECONDS failed=0 verified=1

left() { echo $((limit - (SECONDS - began))); }
say() { printf '%s\n' "$*" >> "$table"; }
# part NAME MOST COMMAND...: within MOST seconds and what is left of all; its output to OUT/NAME.log. 0 passed, 77 skipped.
part() {
    local name=$1 most=$2 rest rc began_part=$SECONDS
    shift 2
    rest=$(left)
    [ "$rest" -gt 5 ] || { say "$name: no time left"; return 99; }
    timeout -k 5 $((most < rest ? most : rest)) "$@" > "$out/$name.log" 2> "$out/$name.err"
    rc=$?
    echo "$name: exit $rc after $((SECONDS - began_part)) s" >&2
    return $rc
}
# The last line that says something.
why() { cat "$out/$1.err" "$out/$1.log" 2> /dev/null | grep -v '^$' | tail -n 1 | cut -c1-200; }
get() { sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" <<< "$1" | head -n 1; }
keep() { cat "$out/$1.log" >> "$json.lines"; }

part probe 60 "$build/bench/bench_gpu" "$device" rates 0.1 64
case $? in
    0) ;;
    2) why probe; exit 1 ;;                       # "no card: ..."
    *) echo "the card fails at once: $(why probe)"; exit 1 ;;
esac
tiny=
[ "$device" = cuda ] || tiny=1 verified=0 seconds=1

# --- 1, 2: right? ----------------------------------------------------------------------------------------------------------------------------------
check() { # NAME MOST COMMAND...
    part "$@"
    case $? in
        0)  say "$(printf '%-18s %s' "$1" passed)" ;;
        77) say "$(printf '%-18s skipped: %s' "$1" "$(why "$1")")"; verified=0 ;;
        99) verified=0 ;;
        *)  say "$(printf '%-18s FAILED: %s' "$1" "$(grep -h -m 1 -e ERROR -e FAILED -e '========= Error' "$out/$1.err" "$out/$1.log" | cut -c1-160)")"; failed=1 verified=0 ;;
    esac
}
if [ -z "$tiny" ]; then
    check operations 120 "$build/tests/test_cuda_card"
    check runs 120 "$build/tests/test_cuda_run_card"
    if command -v compute-sanitizer > /dev/null; then
        check memcheck 60 compute-sanitizer --tool memcheck --error-exitcode 1 "$build/bench/bench_gpu" "$device" kernels tiny 96 0 0
        check racecheck 60 compute-sanitizer --tool racecheck --error-exitcode 1 "$build/bench/bench_gpu" "$device" kernels tiny 96 0 0
    else
        say "$(printf '%-18s skipped: compute-sanitizer is not here' memcheck)"
    fi
fi

# --- 3, 4: how fast is the card, and each kernel? -----------------------------------------------------------------------------------------------------
tflops=0 gbs=0
if part rates $((seconds * 2 + 30)) "$build/bench/bench_gpu" "$device" rates "$seconds" ${tiny:+256}; then
    keep rates
    line=$(cat "$out/rates.log")
    tflops=$(get "$line" tflops) gbs=$(get "$line" copy_gbs)
    say "$(printf '%-18s %s TFLOP/s %s, copy %s GB/s; %s W, %s MHz, %s degrees' sustained "$tflops" "$(get "$line" compute)" "$gbs" "$(get "$line" watts)" "$(get "$line" megahertz)" "$(get "$line" celsius)")"
else
    say "rates: FAILED: $(why rates)"; failed=1
fi
shape=8b rows=4096
[ -z "$tiny" ] || shape=tiny rows=96
part kernels 60 "$build/bench/bench_gpu" "$device" kernels $shape $rows "$tflops" "$gbs" || { say "kernels: FAILED: $(why kernels)"; failed=1; }
keep kernels
say ""
say "$(printf '%-16s %10s %9s %9s %9s %9s  %s' kernel us GB GFLOP GB/s TFLOP/s 'of the bar')"
while read -r line; do
    say "$(printf '%-16s %10s %9s %9s %9s %9s  %s of %s' "$(get "$line" kernel)" "$(get "$line" us)" "$(get "$line" gb)" "$(get "$line" gflop)" "$(get "$line" gbs)" "$(get "$line" tflops)" \
        "$(get "$line" of_bar)" "$(get "$line" bound)")"
done < "$out/kernels.log"

# --- 5, 6: steps ----------------------------------------------------------------------------------------------------------------------------------------
torch=
if [ "$python" != - ] && [ -z "$tiny" ] && "$python" -c 'import torch, transformers, peft; assert torch.cuda.is_available()' 2> /dev/null; then
    torch=1
fi
say ""
say "$(printf '%-20s %11s %8s %11s %10s %10s  %s' 'step (tokens a text)' tokens/s 'of gemm' activations 'held GiB' 'PyTorch' bits)"
gib() { awk -v b="$1" 'BEGIN { printf "%.2f", b / 1073741824 }'; }
step() { # SHAPE METHOD LENGTH TOKENS STEPS
    local name=$1-$2-$3 line peer=-
    if ! part "$name" 120 "$build/bench/bench_gpu" "$device" step "$1" "$2" "$3" "$4" "$tflops" "$5"; then
        say "$(printf '%-20s %s' "$name" "$(why "$name")")"
        return 1
    fi
    keep "$name"
    line=$(cat "$out/$name.log")
    if [ -n "$torch" ] && [ "$2" != qlora ] && [ "$3" != 512 ]; then
        part "torch-$name" 90 "$python" "$here/torch_step.py" --device cuda --shape "$1" --method "$2" --dtype bf16 --batch $(($4 / $3)) --length "$3" && peer=$(cut -d' ' -f1 "$out/torch-$name.log")
        printf '{"case":"torch","name":"%s","tokens_per_second":"%s"}\n' "$name" "$peer" >> "$json.lines"
    fi
    say "$(printf '%-20s %11s %8s %11s %10s %10s  %s' "$name" "$(get "$line" tokens_per_second)" "$(get "$line" of_gemm)" "$(get "$line" activations)" "$(gib "$(get "$line" memory)")" "$peer" \
        "$(get "$line" bits)")"
}
if [ -n "$tiny" ]; then
    for method in lora qlora full; do step tiny $method 32 64 2 || failed=1; done
    again="tiny lora 32 64 2"
else
    for length in 2048 512 4096; do
        for method in lora qlora full; do
            for shape in 8b 1.5b; do
                step $shape $method $length 8192 3 || :
            done
        done
    done
    step 70b qlora 2048 2048 1 || :
    again="1.5b lora 2048 8192 3"
fi
read -r shape method length tokens steps <<< "$again"
first=$(get "$(cat "$out/$shape-$method-$length.log")" bits)
part again 120 "$build/bench/bench_gpu" "$device" step "$shape" "$method" "$length" "$tokens" "$tflops" "$steps"
second=$(get "$(cat "$out/again.log")" bits)
if [ -n "$first" ] && [ "$first" = "$second" ]; then
    say "same seed twice: the same bits"
else
    say "same seed twice: OTHER BITS ($first, $second)"; failed=1 verified=0
fi

# --- what is kept ------------------------------------------------------------------------------------------------------------------------------------
version=$("$hone" --version 2> /dev/null | tr -s ' ' | tr '\n' ';' | sed 's/"/ /g')
{
    printf '{"date":"%s","version":"%s","commit":"%s","passed":%s,"figures":[\n' "$(date -u +%FT%TZ)" "$version" "$(git -C "$here" rev-parse --short HEAD 2> /dev/null || echo -)" \
        "$([ $failed = 0 ] && echo true || echo false)"
    sed '$!s/$/,/' "$json.lines"
    printf ']}\n'
} > "$json"
rm -f "$json.lines"
if [ $verified = 1 ] && [ $failed = 0 ] && command -v nvidia-smi > /dev/null; then
    card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1) driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)
    "$here/../tools/cuda_ledger.sh" record "$card" "$driver" "$(date -u +%F)" && cp "$here/../src/tensor/cuda/verified.tsv" "$out/"
    say "recorded as verified: $card, driver $driver"
fi
say "$([ $failed = 0 ] && echo 'passed' || echo 'FAILED') in $((SECONDS - began)) s"
cat "$table"
exit $failed
