#!/bin/sh
# run.sh BUILD - every benchmark, one after the other. To compare with PyTorch: bench/step_vs_torch.sh; with the
# tokenizers library: bench/tokenizers.sh.
set -eu
for bench in bench_gemm bench_ops; do
    echo "== $bench"
    "$1/bench/$bench"
done
