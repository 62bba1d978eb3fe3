#!/usr/bin/env python3
"""judge_sources.py - hone's ids of tokenizers that are not tokenizer.json against the official libraries, on many lines; run by hand.

    python tools/judge_sources.py HONE LINES WORK [FILE.gguf ...]

HONE is the program, LINES how many lines to generate, WORK a folder to write to. SentencePiece models of both kinds and every normalisation rule are
trained there and judged by the sentencepiece library; each FILE.gguf (with a tokenizer) by llama.cpp. Lines that spell a special token are left
out: there hone does as transformers does, the libraries differ among themselves. Prints a line per tokenizer; the exit status is 1 when any differs.
"""
import ctypes
import itertools
import json
import os
import random
import subprocess
import sys

import llama_cpp
import sentencepiece

from golden_tokenizer import CODE, WORDS, lines

SPELLED = ("<s>", "</s>", "<unk>", "<pad>", "<|", "\u200b")


def texts(n):
    r = random.Random(1)
    some = [s for s in lines(n, 7) if not any(c in s for c in "\n\r\0") and not any(x in s for x in SPELLED)]
    some += ["".join(r.choice("aeht  \u2581sn") for _ in range(r.randrange(60))) for _ in range(n // 4)]
    return some + ["a" * k for k in range(60)] + [" " * k + "x" for k in range(30)]


def ids_of(hone, path, some, flags):
    p = subprocess.run([hone, "tokenize", path] + flags, input="\n".join(some) + "\n", capture_output=True, text=True)
    if p.returncode:
        raise SystemExit(p.stderr)
    return [json.loads(s) for s in p.stdout.split("\n")[:-1]]


def compare(name, some, got, want):
    bad = [s for s, a, b in zip(some, got, want, strict=True) if a != b]
    print("%-40s %d lines, %d different%s" % (name, len(some), len(bad), ": " + repr(bad[0])[:90] if bad else ""), flush=True)
    return len(bad)


def main():
    hone, n, work = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    some, different = texts(n), 0
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    r = random.Random(3)
    corpus = [" ".join(r.choices(WORDS + CODE, k=12)).replace("\n", " ") for _ in range(3000)]
    for kind, rule, fallback, squeeze in itertools.product(("bpe", "unigram"), ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"), (False, True),
                                                           (False, True)):
        name = "%s-%s-%s-%s" % (kind, rule, "bytes" if fallback else "unk", "squeeze" if squeeze else "keep")
        folder = os.path.join(work, name)
        os.makedirs(folder, exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_prefix=os.path.join(folder, "tokenizer"), model_type=kind,
                                                 normalization_rule_name=rule, byte_fallback=fallback, remove_extra_whitespaces=squeeze,
                                                 vocab_size=600 if fallback else 350, hard_vocab_limit=False, minloglevel=2, num_threads=1)
        sp = sentencepiece.SentencePieceProcessor(os.path.join(folder, "tokenizer.model"))
        different += compare(name, some, ids_of(hone, folder, some, ["--no-special"]), [sp.encode(s) for s in some])
    for path in sys.argv[4:]:
        llm = llama_cpp.Llama(model_path=path, vocab_only=True, verbose=False)
        different += compare(os.path.basename(path), some, ids_of(hone, path, some, []), [llm.tokenize(s.encode(), add_bos=True, special=True) for s in some])
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
