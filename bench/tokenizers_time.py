#!/usr/bin/env python3
"""tokenizers_time.py - the library's half of bench/tokenizers.sh.

    tokenizers_time.py make DATA FOLDER                 tokenizer.json files, one per kind of pipeline, and lines.jsonl: ordinary text as JSON strings
    tokenizers_time.py time TOKENIZER.JSON LINES THREADS REPS     megabytes per second (median) of encode_batch_fast, which computes ids without offsets"""
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))


def make(data, folder):
    import judge_tokenizer as judge
    parts = judge.Parts(data, 8000)
    for name, rest in judge.kinds(parts).items():
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
            f.write(judge.tokenizer_json(rest))
    with open(os.path.join(folder, "lines.jsonl"), "w", encoding="utf-8") as f:
        f.write("".join(json.dumps(s, ensure_ascii=False) + "\n" for s in judge.corpus(data, 60000)))


def measure(path, lines, threads, reps):
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(path)
    with open(lines, encoding="utf-8") as f:
        text = [json.loads(line) for line in f]
    size, speed = sum(len(s.encode()) for s in text), []
    for turn in range(reps + 1):
        start = time.perf_counter()
        out = tok.encode_batch_fast(text)
        if turn:
            speed.append(size / 1e6 / (time.perf_counter() - start))
    print("%.2f %d" % (statistics.median(speed), sum(len(e.ids) for e in out)))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3])
    else:
        measure(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
