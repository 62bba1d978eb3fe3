#!/bin/sh
# run.sh BUILD SHARED - every benchmark that needs no Python, one after the other; at the end, how to run the rest.
set -eu
for bench in bench_gemm bench_ops bench_step; do
    echo "== $bench"
    "$1/bench/$bench"
done
here=$(dirname "$0")
if [ -d "$2/models/stories260K" ]; then
    echo "== cpu.sh, hone alone, models of SmolLM2-135M's shape"
    ONLY="${ONLY:-@(probe|*/135m/*)}" TURNS="${TURNS:-1}" "$here/cpu.sh" "$1/hone" - "$2"
else
    echo "== cpu.sh: SKIPPED, $2/models/stories260K is absent (SHARED=DIR names the folder that holds it)"
fi
cat <<END
Beside PyTorch + peft and llama.cpp, for every model (PYTHON has tools/requirements.txt installed; hours, ONLY= in cpu.sh selects):
  bench/cpu.sh $1/hone PYTHON $2 bench/results.csv
Beside the tokenizers library:
  bench/tokenizers.sh $1/bench/bench_tokenize PYTHON $2/data
END
