#!/usr/bin/env python3
"""judge_language.py - src/prep/language beside langid, py3langid and lingua on sentences kept out of training, whole and cut to 10, 20, 50, 100 characters.

    python tools/judge_language.py HELD.tsv [--data shared/data]

HELD.tsv as tools/train_language.py --held-out writes it (eld 1.0.6, Apache-2.0). Only languages that all four know are compared; each judge is
restricted to ours, ours is not restricted. "und" counts as wrong; what ours would have said is counted, too. Speeds: same texts, time of this thread.
Pinned: langid 1.1.6, py3langid 0.3.0, lingua-language-detector 2.1.1.
"""
import argparse
import collections
import csv
import ctypes
import json
import os
import time

import langid
import lingua
import py3langid

from judge_repair import ROOT, build

SHIM = r"""
#include "prep/language.h"
#include <stdio.h>
float shim_guess(const char *p, size_t n, char *code, char *second, float *is_code);
void shim_many(const char **p, const size_t *n, size_t count);
const char *shim_known(size_t n);
float shim_guess(const char *p, size_t n, char *code, char *second, float *is_code)
{
    LanguageGuess g;
    language_guess((Str){ p, n }, &g);
    snprintf(code, 5, "%s", g.code);
    snprintf(second, 5, "%s", g.second);
    *is_code = g.code_probability;
    return g.probability;
}
void shim_many(const char **p, const size_t *n, size_t count)
{
    LanguageGuess g;
    for (size_t i = 0; i < count; i++)
        language_guess((Str){ p[i], n[i] }, &g);
}
const char *shim_known(size_t n) { return language_known(n); }
"""


class Language:
    def __init__(self):
        self.lib = build(SHIM, [ROOT + "/src/prep/language.c"], "language")
        self.lib.shim_guess.restype = ctypes.c_float
        self.lib.shim_known.restype = ctypes.c_char_p
        self.known = []
        while self.lib.shim_known(ctypes.c_size_t(len(self.known))):
            self.known.append(self.lib.shim_known(ctypes.c_size_t(len(self.known))).decode())

    def __call__(self, text):
        raw = text.encode()
        a, b, c = ctypes.create_string_buffer(5), ctypes.create_string_buffer(5), ctypes.c_float()
        p = self.lib.shim_guess(raw, ctypes.c_size_t(len(raw)), a, b, ctypes.byref(c))
        return a.value.decode(), p, b.value.decode(), c.value

    def seconds(self, texts):
        raw = [t.encode() for t in texts]
        ptrs, lens = (ctypes.c_char_p * len(raw))(*raw), (ctypes.c_size_t * len(raw))(*map(len, raw))
        start = time.thread_time()
        self.lib.shim_many(ptrs, lens, ctypes.c_size_t(len(raw)))
        return time.thread_time() - start


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("held")
    ap.add_argument("--data")
    ap.add_argument("--each", type=int, default=60, help="sentences of each language")
    a = ap.parse_args()
    ours = Language()
    held = collections.defaultdict(list)
    for line in open(a.held):
        code, _, text = line.rstrip("\n").partition("\t")
        held[code].append(text)
    iso = {language.iso_code_639_1.name.lower(): language for language in lingua.Language.all()}
    iso["no"] = iso["nb"]
    one = langid.langid.LanguageIdentifier.from_modelstring(langid.langid.model, norm_probs=True)
    three = py3langid.langid.LanguageIdentifier.from_pickled_model(py3langid.langid.MODEL_FILE, norm_probs=True)
    codes = sorted(c for c in held if c in ours.known and c in iso and c in one.nb_classes and c in three.nb_classes)
    langs = sorted(c for c in ours.known if c != "code")
    one.set_languages([c for c in langs if c in one.nb_classes])
    three.set_languages([c for c in langs if c in three.nb_classes])
    detector = lingua.LanguageDetectorBuilder.from_languages(*{iso[c] for c in langs if c in iso}).with_preloaded_language_models().build()

    def by_lingua(t):
        got = detector.detect_language_of(t)
        code = got.iso_code_639_1.name.lower() if got else "und"
        return "no" if code in ("nb", "nn") else code

    judges = [("langid", lambda t: one.classify(t)[0]), ("py3langid", lambda t: three.classify(t)[0]), ("lingua", by_lingua)]
    rename = {"nb": "no", "nn": "no"}
    print("%d languages: %s" % (len(codes), " ".join(codes)))
    print("%-12s %7s %9s %10s" % ("characters", "texts", "ours", "or if und") + "".join(" %10s" % n for n, _ in judges))
    wrong = collections.Counter()
    for size in (10, 20, 50, 100, 0):
        rows = [(c, t[:size] if size else t) for c in codes for t in held[c][:a.each] if len(t) >= size]
        got = [ours(t) for _, t in rows]
        right = sum(g[0] == c for g, (c, _) in zip(got, rows))
        guess = sum((g[2] if g[0] == "und" else g[0]) == c for g, (c, _) in zip(got, rows))
        if size == 50:
            wrong.update("%s as %s" % (c, g[0]) for g, (c, _) in zip(got, rows) if g[0] != c)
        line = "%-12s %7d %8.2f%% %9.2f%%" % (size or "whole", len(rows), 100 * right / len(rows), 100 * guess / len(rows))
        mine = min(ours.seconds([t for _, t in rows]) for _ in range(3))
        speeds = []
        for _, judge in judges:
            start = time.thread_time()
            answers = [judge(t) for _, t in rows]
            speeds.append((time.thread_time() - start) / mine)
            line += " %9.2f%%" % (100 * sum(rename.get(g, g) == c for g, (c, _) in zip(answers, rows)) / len(rows))
        nbytes = sum(len(t.encode()) for _, t in rows)
        print(line + "   ours %.0f MB/s; times as long: " % (nbytes / mine / 1e6) + ", ".join("%s %.0f" % (n, s) for (n, _), s in zip(judges, speeds)))
    print("most wrong at 50:", ", ".join("%s %d" % w for w in wrong.most_common(16)))
    hits = [ours(t[:200])[0] for c in held for t in held[c]]
    print("sentences taken for code: %d of %d" % (hits.count("code"), len(hits)))
    if a.data:
        def share(name, texts):
            got = collections.Counter(ours(t)[0] for t in texts)
            print("%-32s %s" % (name, ", ".join("%s %.2f%%" % (k, 100 * v / len(texts)) for k, v in got.most_common(5))))
        rows = [json.loads(line) for line in open(a.data + "/nl2bash/nl2bash.jsonl")]
        share("nl2bash prompts", [r["prompt"] for r in rows])
        share("nl2bash commands, not trained on", [r["completion"] for r in rows][1::2])
        rows = [json.loads(line) for line in open(a.data + "/gsm8k/test.jsonl")]
        share("gsm8k questions", [r["question"] for r in rows])
        share("gsm8k answers", [r["answer"] for r in rows])
        share("banking77", [r["text"] for r in csv.DictReader(open(a.data + "/banking77/test.csv"))])


if __name__ == "__main__":
    main()
