#!/usr/bin/env python3
"""llama_speed.py MODEL.gguf PROMPT_TOKENS ANSWER_TOKENS [THREADS] - what bench_infer.c measures, with llama.cpp (llama_cpp_python), on the same ids.
Calls the C functions directly, so that Python's share is one call and one argmax per token. One line: prompt tokens/s, answer tokens/s, peak MiB."""
import resource
import sys
import time

import llama_cpp
import numpy as np


def main():
    path, n, answer = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    threads = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    llm = llama_cpp.Llama(path, n_ctx=n + answer + 1, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    ctx, vocab = llm.ctx, llm.n_vocab()
    logits = lambda: np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(ctx, -1), shape=(vocab,))

    def feed(ids):
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        if llama_cpp.llama_decode(ctx, llama_cpp.llama_batch_get_one(tokens, len(ids))):
            raise SystemExit(f"llama_speed: {path}: llama_decode failed")
        llama_cpp.llama_synchronize(ctx)
        return int(logits().argmax())

    ids = [(i * 7919 + 3) % vocab for i in range(n)]
    for count in (1, answer):   # the first round is for pages and buffers
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(ctx), True)
        start = time.perf_counter()
        for i in range(0, n, 512):
            token = feed(ids[i:i + 512])
        middle = time.perf_counter()
        for _ in range(count):
            token = feed([token])
        end = time.perf_counter()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n / (middle - start):.2f} {answer / (end - middle):.2f} {rss:.0f}")


if __name__ == "__main__":
    main()
