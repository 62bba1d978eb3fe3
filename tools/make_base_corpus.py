#!/usr/bin/env python3
"""make_base_corpus.py - the text and the tokenizer of examples/base, the tiny model that hone pre-trains for its demo.

Duty: join installed documentation (base_docs.py) and generated text (base_texts.py), drop repetitions and whatever touches the
demo task, hold out one row in a hundred, write JSONL rows {"text": ...}; with --tokenizer also train the byte-level BPE.
Invariants: no document has more than 1,500 characters; none shares eight consecutive words with a demo mail or uses the demo's
names and keys; the result depends on the seed and on the
installed packages, whose documentation it reads.
To extend: see the two modules; the mixture is DOCS_SHARE.

usage: make_base_corpus.py OUT [--bytes N] [--tokenizer DIR]
       writes OUT.jsonl and OUT.valid.jsonl, about N bytes of text together (default 46000000); DIR gets tokenizer.json and
       tokenizer_config.json, and needs the Python package `tokenizers` (a tool for us; hone itself reads only the JSON)
"""
import argparse
import collections
import json
import os
import re

import base_docs
from base_texts import MAX_CHARS, Texts
from grammar import Rng

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "examples")
SEED = 1903
DOCS_SHARE = 1 / 3
HELD_OUT_EVERY = 100
NGRAM = 8  # words
VOCABULARY = 3000  # ordinary words for the exercises in quotes
# Names and labels of the demo: a document with one of them is dropped.
DEMO_WORDS = re.compile(r'Norrvik|\bTriage|"sentiment":"(?:angry|neutral|pleased)"|"priority":"(?:high|normal|low)"|'
                        r"trace_shipment|ship_replacement|book_repair|correct_invoice|"
                        r"send_document|open_return|tech_support|send_quote")

VOCAB = 4096
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")  # ids 0..3
# Words with one leading mark or blank, single digits, runs of marks, line ends: as in the GPT-4 family, but one digit at a time.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TOKENIZER_SAMPLE = 16_000_000  # bytes of text


def ngrams(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i:i + NGRAM]) for i in range(len(words) - NGRAM + 1)}


def demo_ngrams():
    found = set()
    for part in ("train", "valid", "test"):
        with open(os.path.join(EXAMPLES, "triage", part + ".jsonl"), encoding="utf-8") as f:
            for line in f:
                found |= ngrams(json.loads(line)["prompt"])
    return found


def collect(documents, budget, seen, demo, report):
    """Documents until `budget` bytes; drops repetitions and the demo's own material."""
    kept, size = [], 0
    for text in documents:
        if size >= budget:
            break
        key = hash(text)
        if key in seen or not text:
            report["repeated"] += 1
        elif DEMO_WORDS.search(text) or not demo.isdisjoint(ngrams(text)):
            report["touches the demo"] += 1
        else:
            seen.add(key)
            kept.append(text)
            size += len(text.encode())
    return kept, size


def frequent_words(documents):
    """Ordinary words, most frequent first."""
    counts = collections.Counter()
    for text in documents:
        counts.update(re.findall(r"\b[a-z]{3,11}\b", text))
    return sorted(counts, key=lambda w: (-counts[w], w))[:VOCABULARY]


def generated(rng, vocabulary):
    texts = Texts(os.path.join(EXAMPLES, "base", "grammar.txt"), rng, vocabulary)
    while True:
        yield texts.document()


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        for text in rows:
            f.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def train_tokenizer(rows, folder):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=list(SPECIALS), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=50)
    sample, size = [], 0
    for text in rows:
        sample.append(text)
        size += len(text.encode())
        if size >= TOKENIZER_SAMPLE:
            break
    tok.train_from_iterator(sample, trainer)
    tok.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": SPECIALS[0], "pad_token": SPECIALS[3],
              "unk_token": None, "add_bos_token": False, "add_eos_token": False, "add_prefix_space": False,
              "clean_up_tokenization_spaces": False, "model_max_length": 512, "split_special_tokens": False,
              "added_tokens_decoder": {str(i): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                                                "single_word": False, "special": True} for i, s in enumerate(SPECIALS)}}
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps(config, indent=2) + "\n")
    print(f"tokenizer: {tok.get_vocab_size()} entries")
    encoded = sum(len(tok.encode(t).ids) for t in rows[:4000])
    print(f"  {sum(len(t.encode()) for t in rows[:4000]) / encoded:.2f} bytes per token")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--bytes", type=int, default=46_000_000)
    parser.add_argument("--tokenizer", metavar="DIR")
    args = parser.parse_args()

    rng, demo, seen, report = Rng(SEED), demo_ngrams(), set(), {"repeated": 0, "touches the demo": 0}
    docs = list(base_docs.documents())
    Rng(SEED + 1).shuffle(docs)
    docs, docs_size = collect(docs, args.bytes * DOCS_SHARE, seen, demo, report)
    own, own_size = collect(generated(rng, frequent_words(docs)), args.bytes - docs_size, seen, demo, report)
    rows = docs + own
    assert max(map(len, rows)) <= MAX_CHARS
    rng.shuffle(rows)
    held_out, rows = rows[::HELD_OUT_EVERY], [t for i, t in enumerate(rows) if i % HELD_OUT_EVERY]
    write_rows(args.out + ".jsonl", rows)
    write_rows(args.out + ".valid.jsonl", held_out)
    print(f"documentation: {len(docs)} documents, {docs_size} bytes; generated: {len(own)} documents, {own_size} bytes")
    print("dropped: " + ", ".join(f"{n} {why}" for why, n in report.items()))
    print(f"{len(rows)} rows to train on, {len(held_out)} held out")
    if args.tokenizer:
        train_tokenizer(rows, args.tokenizer)


if __name__ == "__main__":
    main()
