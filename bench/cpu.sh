#!/usr/bin/env bash
# cpu.sh HONE PYTHON SHARED [OUT.csv] - how fast hone is on this CPU, beside the machine's own limits, PyTorch + peft and llama.cpp: one run, one table.
#
#   HONE    the program; bench_probe, bench_run and bench_infer lie in bench/ beside it (cmake -DHONE_BENCH=ON)
#   PYTHON  has tools/requirements.txt installed; - measures hone alone
#   SHARED  folder with models/stories260K and data/
#   OUT.csv gets a row per figure: date, commit, machine, case, measure, hone, peer, ratio
#
# Every row of the table is hone, peer and hone / peer; the measure names the peer. Peers take turns with hone; figures are medians. In the environment:
#   ONLY='@(probe|train/*/lora/*)'   cases to run, a pattern of bash; the names are those in the table. Default: all
#   TURNS=3                          turns of each case
#   DTYPES='f32 bf16'                number formats of PyTorch beside an f32 step
#   PREFIX='nice -n -20'             put before every measured command
# All cases take hours; a case that cannot run says why in the table. Models are random, of real shapes, in bf16 files (as the real ones are published).
set -uo pipefail
shopt -s extglob
[ $# -ge 3 ] || { sed -n '2,/^set/{ s/^# \{0,1\}//p }' "$0"; exit 2; }
hone=$(realpath "$1") python=$2 shared=$3 csv=${4:-}
only=${ONLY:-*} turns=${TURNS:-3} formats=${DTYPES:-f32 bf16} prefix=${PREFIX:-} threads=$(nproc)
here=$(cd "$(dirname "$0")" && pwd) bin=$(dirname "$hone")/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$python" = - ] || export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error

# name type hidden layers heads kv_heads ffn vocab rope_theta positions; heads are 64 wide, embeddings tied
shapes='
135m  llama  576 30  9 3 1536  49152   100000   8192
qwen05 qwen2 896 24 14 2 4864 151936  1000000  32768
llama1 llama 2048 16 32 8 8192 128256  500000 131072'
batches='4x256 2x512 1x1024'   # rows x tokens of a training step

# --- the table ------------------------------------------------------------------------------------------------------------------------------------

isa=$(awk '/^flags/ { s = "scalar"; for (i = 1; i <= NF; i++) f[$i] = 1
                      if (f["avx2"]) s = "AVX2"; if (f["avx512f"]) s = "AVX-512"; if (f["avx512_vnni"]) s = s " VNNI"; if (f["avx512_bf16"]) s = s " BF16"
                      print s; exit }' /proc/cpuinfo)
machine="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $threads cores, ${isa:-$(uname -m)}"
commit=$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo -)
date=$(date -u +%F)

# row CASE MEASURE HONE PEER: one line of the table and of OUT.csv; PEER - where there is none
row() {
    local ratio=-
    [ "$4" = - ] || ratio=$(awk -v a="$3" -v b="$4" 'BEGIN { if (b > 0) printf "%.3f", a / b; else print "-" }')
    printf '%-26s %-44s %11s %11s %7s\n' "$1" "$2" "$3" "$4" "$ratio"
    [ -z "$csv" ] || printf '%s,%s,"%s",%s,"%s",%s,%s,%s\n' "$date" "$commit" "$machine" "$1" "$2" "$3" "$4" "$ratio" >> "$csv"
}
# skip CASE WHY: also a line, so that nothing is missing in silence
skip() { printf '%-26s skipped: %s\n' "$1" "$2"; }
# why LOG STATUS: a peer's last line may be a warning, so a signal is named first
why() { [ "${2:-0}" -le 128 ] || printf 'ended by signal %d; ' $(($2 - 128)); grep -v '^$' "$1" | tail -n 1 | cut -c1-200; }
wanted() { case $1 in $only) return 0 ;; esac; return 1; }
median() { sort -g "$@" | awk '{ v[NR] = $1 } END { if (NR) printf "%.6g", (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }
column() { awk -v n="$1" '{ print $n }' "$2" | median; }
num() { awk "BEGIN { printf \"%.${2:-1}f\", $1 }"; }

# --- models, rows, sums ----------------------------------------------------------------------------------------------------------------------------

shape() { read -r _ type D L H G F V theta positions <<< "$(grep "^$1 " <<< "$shapes")"; }

# The folder of a random model; made when it is first asked for.
model() {
    local dir=$work/$1
    shape "$1"
    [ -d "$dir" ] && return
    mkdir "$dir.shape"
    cat > "$dir.shape/config.json" <<JSON
{"model_type":"$type","hidden_size":$D,"num_hidden_layers":$L,"num_attention_heads":$H,"num_key_value_heads":$G,"intermediate_size":$F,
 "vocab_size":$V,"max_position_embeddings":$positions,"rope_theta":$theta.0,"rms_norm_eps":1e-05,"hidden_act":"silu","tie_word_embeddings":true,
 "bos_token_id":1,"eos_token_id":2,"initializer_range":0.02}
JSON
    cp "$shared"/models/stories260K/tokenizer*.json "$dir.shape/"
    $prefix "$hone" init "$dir.shape" --out "$dir" --seed 1 --dtype bf16 2> "$work/init.log"
}

# GFLOP of a training step, the useful work alone (nothing that is computed twice counts twice): step_gflop METHOD ROWS LENGTH. With P weights in the
# linears of the blocks, N tokens, n = N - ROWS trained targets, r = 16, S the summed widths (in + out) of the linears:
#   products   2 P N forward, 2 P N for dX, 2 P N for dW (full only); with frozen embeddings the first layer's q, k and v need no dX
#   LoRA       3 * 2 r S N, without that dX
#   attention  scores and values, twice forward and four times backward, the causal half: 6 * 2 H d L ROWS LENGTH (LENGTH + 1) / 2
#   head       2 V D n forward, the same for dX, and for dW (full only)
step_gflop() {
    awk -v m="$1" -v R="$2" -v T="$3" -v D="$D" -v L="$L" -v H="$H" -v G="$G" -v F="$F" -v V="$V" 'BEGIN {
        d = 64; q = H * d; kv = G * d; N = R * T; full = m == "full"
        P = L * (D * (2 * q + 2 * kv) + 3 * D * F); S = L * (4 * D + 2 * q + 2 * kv + 3 * (D + F)); r = 16
        f = (full ? 6 : 4) * P * N + 6 * 2 * q * L * R * T * (T + 1) / 2 + (full ? 6 : 4) * V * D * (N - R)
        if (!full) f += 6 * r * S * N - 2 * N * (D * (q + 2 * kv) + 3 * r * D)
        printf "%.3f", f * 1e-9 }'
}

# GiB that a step may need at its largest: weights (and gradients and moments), logits three times, activations. To leave alone what would not fit.
step_gib() { # METHOD TOKENS
    awk -v m="$1" -v N="$2" -v D="$D" -v L="$L" -v H="$H" -v G="$G" -v F="$F" -v V="$V" 'BEGIN {
        P = L * (D * 128 * (H + G) + 3 * D * F) + V * D
        printf "%.1f", (P * (m == "full" ? 18 : 6) + 4 * N * (3 * V + L * (14 * D + 5 * F))) / 2 ^ 30 }'
}
free_gib() { awk '/^MemAvailable/ { printf "%.1f", $2 / 2 ^ 20 }' /proc/meminfo; }

# --- training steps ---------------------------------------------------------------------------------------------------------------------------------

# Plain text, cut by hone into pieces of exactly so many tokens.
text() { [ -f "$work/text.txt" ] || head -c 300000 "$shared/data/tinyshakespeare/input.txt" > "$work/text.txt"; }
train_flags() { # MODEL METHOD ROWS LENGTH THREADS [COMPUTE]
    echo --compute "${6:-f32}" --model "$work/$1" --data "$work/text.txt" --objective text --max-length "$4" --eval 0 --samples 0 --threads "$5" --method "$2" \
         --batch-tokens $(($3 * $4)) --micro-tokens $(($3 * $4)) --lr 1e-5 --steps 100
}

# hone_step CASE MODEL METHOD ROWS LENGTH THREADS [COMPUTE]: a line "tokens/s MiB probe" more in CASE's file; the first step is for pages and buffers.
hone_step() {
    local out=$work/$(tr / _ <<< "$1").hone took
    rm -rf "$work/run"
    took=$($prefix "$bin/bench_run" "$6" "$work/run/metrics.jsonl" 3 "$hone" train $(train_flags "$2" "$3" "$4" "$5" "$6" "${7:-f32}") --out "$work/run" 2> "$work/log") || return 1
    echo "$(sed '1d; s/.*"tokens_per_second"://; s/}//' "$work/run/metrics.jsonl" | median) ${took#* }" >> "$out"
}
torch_step() { # CASE MODEL METHOD ROWS LENGTH DTYPE
    $prefix "$python" "$here/torch_step.py" --model "$work/$2" --rows "$work/rows" --method "$3" --batch "$4" --length "$5" --dtype "$6" --threads "$threads" \
        > "$work/line" 2> "$work/log" && cat "$work/line" >> "$work/$(tr / _ <<< "$1").$6"
}

train_case() { # CASE MODEL METHOD ROWS LENGTH [COMPUTE]
    wanted "$1" || return
    text
    model "$2" || { skip "$1" "$(why "$work/init.log")"; return; }
    local need have t dtype dtypes=$formats compute=${6:-f32}
    [ "$compute" = f32 ] || dtypes='bf16 autocast'
    need=$(step_gib "$3" $(($4 * $5))) have=$(free_gib)
    awk "BEGIN { exit !($need > $have) }" && { skip "$1" "may need $need GiB, and $have GiB are free"; return; }
    [ "$python" != - ] || dtypes=
    [ -z "$dtypes" ] || $prefix "$hone" train $(train_flags "$2" lora "$4" "$5" "$threads") --preview 64 --json > "$work/rows" 2> "$work/log" || { skip "$1" "$(why "$work/log" $?)"; return; }
    for ((t = 0; t < turns; t++)); do
        hone_step "$1" "$2" "$3" "$4" "$5" "$threads" "$compute" || { skip "$1" "$(why "$work/log" $?)"; return; }
        for dtype in $dtypes; do
            torch_step "$1" "$2" "$3" "$4" "$5" "$dtype" || { skip "$1" "PyTorch $dtype: $(why "$work/log" $?)"; dtypes=${dtypes/$dtype/}; }
        done
    done
    step_rows "$1" "$3" "$4" "$5" $dtypes
}
# step_rows CASE METHOD ROWS LENGTH [DTYPE ...]: hone against the machine, and against PyTorch in those number formats
step_rows() {
    local base=$work/$(tr / _ <<< "$1") rate rss dtype
    rate=$(num "$(column 1 "$base.hone")") rss=$(num "$(column 2 "$base.hone")" 0)
    row "$1" "GFLOP/s; FMA probe" "$(num "$(step_gflop "$2" "$3" "$4") * $rate / ($3 * $4)")" "$(num "$(column 3 "$base.hone")")"
    if [ $# = 4 ]; then
        row "$1" "tokens/s" "$rate" -
        row "$1" "peak RSS, MiB" "$rss" -
    fi
    for dtype in "${@:5}"; do
        row "$1" "tokens/s; PyTorch $dtype" "$rate" "$(num "$(column 1 "$base.$dtype")")"
        row "$1" "peak RSS, MiB; PyTorch $dtype" "$rss" "$(num "$(column 2 "$base.$dtype")" 0)"
    done
}

# --- the parts -------------------------------------------------------------------------------------------------------------------------------------

probe_cases() {
    wanted probe || return
    local t flops read copy
    for t in 1 "$threads"; do
        read -r flops read copy <<< "$($prefix "$bin/bench_probe" "$t")"
        row probe "FMA on $t threads, GFLOP/s" "$flops" -
        row probe "memory read on $t threads, GB/s" "$read" -
        row probe "memory copy on $t threads, GB/s" "$copy" -
    done
}

# A whole job: 200 rows, 40 held out, one epoch, held-out loss before and after. hone packs rows into batches of the mean tokens of 16 examples.
job_case() {
    wanted job/135m/nl2bash || return
    local c=job/135m/nl2bash d=$shared/data/nl2bash/nl2bash.jsonl took step batch
    model 135m || { skip $c "$(why "$work/init.log")"; return; }
    awk 'NR % 64 == 0 && NR <= 12800' "$d" > "$work/job.train" && awk 'NR % 320 == 1 && NR <= 12800' "$d" > "$work/job.eval"
    local flags=(--model "$work/135m" --data "$work/job.train" --eval "$work/job.eval" --epochs 1 --lr 1e-3 --samples 0 --eval-every 1000000 --max-length 512 --on-long drop)
    rm -rf "$work/job" "$work/job.init"
    $prefix "$hone" train "${flags[@]}" --preview 100000 --json > "$work/job.all" 2> "$work/log" || { skip $c "$(why "$work/log" $?)"; return; }
    grep '"held_out":true' "$work/job.all" > "$work/job.held"
    grep '"held_out":false' "$work/job.all" > "$work/job.rows"
    $prefix "$hone" train "${flags[@]}" --eval 0 --steps 1 --batch-tokens 512 --micro-tokens 512 --lr 1e-30 --out "$work/job.init" 2> "$work/log" || { skip $c "$(why "$work/log" $?)"; return; }
    batch=$(grep -o '"ids":\[[^]]*' "$work/job.rows" | tr -cd ',\n' | awk '{ n += length + 1 } END { print int(16 * n / NR) }')
    took=$($prefix "$bin/bench_run" "$threads" - 0 "$hone" train "${flags[@]}" --batch-tokens "$batch" --micro-tokens "$batch" --init-adapter "$work/job.init/adapter" \
           --out "$work/job" 2> "$work/log") || { skip $c "$(why "$work/log" $?)"; return; }
    local loss steps
    loss=$(grep -o '"eval_loss":[^,}]*' "$work/job/metrics.jsonl" | tail -n 1 | sed 's/.*://')
    steps=$(grep -c '"tokens_per_second"' "$work/job/metrics.jsonl")
    if [ "$python" = - ]; then
        row $c "wall seconds" "$(num "${took%% *}")" -
        row $c "held-out loss afterwards" "$(num "$loss" 4)" -
        return
    fi
    step=$($prefix "$bin/bench_run" "$threads" - 0 sh -c '"$@" > "$0"' "$work/line" "$python" "$here/torch_job.py" --run "$work/job" --model "$work/135m" \
           --rows "$work/job.rows" --eval-rows "$work/job.held" --init-adapter "$work/job.init/adapter" --batch 16 --threads "$threads" 2> "$work/log") ||
        { skip $c "PyTorch: $(why "$work/log" $?)"; return; }
    row $c "wall seconds; PyTorch f32" "$(num "${took%% *}")" "$(num "${step%% *}")"
    row $c "peak RSS, MiB; PyTorch f32" "$(cut -d' ' -f2 <<< "$took")" "$(cut -d' ' -f2 <<< "$step")"
    row $c "optimizer steps; PyTorch f32" "$steps" "$(cut -d' ' -f1 "$work/line")"
    row $c "held-out loss afterwards; PyTorch f32" "$(num "$loss" 4)" "$(cut -d' ' -f4 "$work/line")"
}

# Prompt of 512, answer of 64. An answer's token needs every weight once, so the read bandwidth over the file's size is the limit.
infer_case() { # MODEL TYPE
    local c=infer/$1/$2 file=$work/$1-$2.gguf t bound
    wanted "$c" || return
    model "$1" || { skip "$c" "$(why "$work/init.log")"; return; }
    $prefix "$hone" export "$work/$1" --format "gguf:$2" --out "$file" > /dev/null 2> "$work/log" || [ -f "$file" ] || { skip "$c" "$(why "$work/log" $?)"; return; }
    for ((t = 0; t < turns; t++)); do
        $prefix "$bin/bench_infer" "$file" 512 64 "$threads" >> "$file.hone" 2> "$work/log" || { skip "$c" "$(why "$work/log" $?)"; return; }
        $prefix "$bin/bench_probe" "$threads" >> "$file.probe"
        [ "$python" = - ] || $prefix "$python" "$here/llama_speed.py" "$file" 512 64 "$threads" >> "$file.llama" 2> "$work/log" ||
            { skip "$c" "llama.cpp: $(why "$work/log" $?)"; rm -f "$file.llama"; break; }
    done
    bound=$(num "$(column 2 "$file.probe") * 1e9 / $(stat -c %s "$file")")
    local i=0 name
    for name in "prompt tokens/s" "answer tokens/s" "peak RSS, MiB"; do
        i=$((i + 1))
        if [ -f "$file.llama" ]; then
            row "$c" "$name; llama.cpp" "$(num "$(column $i "$file.hone")")" "$(num "$(column $i "$file.llama")")"
        else
            row "$c" "$name" "$(num "$(column $i "$file.hone")")" -
        fi
    done
    row "$c" "answer tokens/s; read bandwidth / file" "$(num "$(column 2 "$file.hone")")" "$bound"
}

# The same LoRA step over the same base in each stored type, in turns: what a smaller base costs in speed.
stored_case() {
    local c=stored/135m/lora/4x256 t type
    wanted "$c" || return
    text
    model 135m || { skip "$c" "$(why "$work/init.log")"; return; }
    "$hone" init "$work/135m.shape" --out "$work/135m-f32" --seed 1 --dtype f32 2> "$work/log" || { skip "$c" "$(why "$work/log" $?)"; return; }
    for type in int8 nf4; do
        "$hone" export "$work/135m-f32" --format safetensors --dtype $type --out "$work/135m-$type" > "$work/log" 2>&1 || { skip "$c" "$(why "$work/log" $?)"; return; }
    done
    ln -sfn 135m "$work/135m-bf16"
    for ((t = 0; t < turns; t++)); do
        for type in f32 bf16 int8 nf4; do
            hone_step "$c/$type" "135m-$type" lora 4 256 "$threads" || { skip "$c" "$type: $(why "$work/log" $?)"; return; }
        done
    done
    local base=$work/$(tr / _ <<< "$c")
    for type in bf16 int8 nf4; do
        row "$c" "tokens/s over $type; over f32" "$(num "$(column 1 "${base}_$type.hone")")" "$(num "$(column 1 "${base}_f32.hone")")"
    done
}

# One text in a micro-batch, longer and longer; and what the second core brings.
scale_case() { # LENGTH
    local c=scale/135m/lora/1x$1 t
    wanted "$c" || return
    text
    model 135m || { skip "$c" "$(why "$work/init.log")"; return; }
    for ((t = 0; t < turns; t++)); do
        hone_step "$c" 135m lora 1 "$1" "$threads" || { skip "$c" "$(why "$work/log" $?)"; return; }
    done
    step_rows "$c" lora 1 "$1"
}
threads_case() {
    local c=threads/135m/lora/2x512 t n
    wanted "$c" || return
    text
    model 135m || { skip "$c" "$(why "$work/init.log")"; return; }
    for ((t = 0; t < turns; t++)); do
        for n in 1 "$threads"; do
            hone_step "$c/$n" 135m lora 2 512 "$n" || { skip "$c" "$(why "$work/log" $?)"; return; }
        done
    done
    local one=$work/$(tr / _ <<< "$c").hone
    row "$c" "tokens/s on $threads threads; on 1" "$(num "$(column 1 "${one%.hone}_$threads.hone")")" "$(num "$(column 1 "${one%.hone}_1.hone")")"
    row "$c" "FMA probe on $threads threads; on 1" "$(num "$(column 3 "${one%.hone}_$threads.hone")")" "$(num "$(column 3 "${one%.hone}_1.hone")")"
}

echo "$machine; hone $commit; $turns turns; ratio = hone / peer"
printf '%-26s %-44s %11s %11s %7s\n' case 'measure; peer' hone peer ratio
[ -z "$csv" ] || [ -s "$csv" ] || echo 'date,commit,machine,case,measure,hone,peer,ratio' > "$csv"
probe_cases
for name in $(awk 'NF { print $1 }' <<< "$shapes"); do
    for method in lora full qlora; do
        for batch in $batches; do
            train_case "train/$name/$method/$batch" "$name" "$method" "${batch%x*}" "${batch#*x}"
            train_case "train/$name/$method-bf16/$batch" "$name" "$method" "${batch%x*}" "${batch#*x}" bf16
        done
    done
    for type in F16 Q8_0 Q4_K_M; do
        infer_case "$name" "$type"
        rm -f "$work/$name-$type.gguf"
    done
    [ "$name" = 135m ] || rm -rf "$work/$name" "$work/$name.shape"   # gigabytes
done
stored_case
for length in 256 512 1024 2048 4096 8192; do
    scale_case "$length"
done
threads_case
job_case
