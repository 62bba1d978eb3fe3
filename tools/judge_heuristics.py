#!/usr/bin/env python3
"""judge_heuristics.py - what each rule of src/prep/heuristics.h would remove of real data sets (nearly nothing is right), and how many planted faults
it finds.

    python tools/judge_heuristics.py shared/data
"""
import collections
import csv
import ctypes
import json
import os
import random
import sys
import time

from judge_repair import ROOT, build

SHIM = r"""
#include "prep/heuristics.h"
#include "prep/language.h"
#include "prep/repair.h"
float shim_score(const char *p, size_t pn, const char *a, size_t an, float *values, uint32_t *fired);
const char *shim_name(size_t k);
void shim_speed(const char **p, const size_t *n, size_t count, int what);
float shim_score(const char *p, size_t pn, const char *a, size_t an, float *values, uint32_t *fired)
{
    HeuristicReport r;
    heuristics_score((Str){ p, pn }, (Str){ a, an }, 0, &r);
    for (int k = 0; k < HEURISTIC_KINDS; k++)
        values[k] = r.value[k];
    *fired = r.fired;
    return r.score;
}
const char *shim_name(size_t k) { return k < HEURISTIC_KINDS ? heuristic_rows[k].name : NULL; }
void shim_speed(const char **p, const size_t *n, size_t count, int what)
{
    StrBuf out = { 0 };
    for (size_t i = 0; i + 1 < count; i += 2) {
        LanguageGuess g;
        HeuristicReport r;
        for (size_t k = i; k < i + 2; k++) {
            strbuf_clear(&out);
            if (what & 1)
                repair_text(&out, (Str){ p[k], n[k] }, NULL, NULL);
            if (what & 2)
                language_guess((Str){ p[k], n[k] }, &g);
        }
        if (what & 4)
            heuristics_score((Str){ p[i], n[i] }, (Str){ p[i + 1], n[i + 1] }, 0, &r);
    }
    strbuf_release(&out);
}
"""


class Heuristics:
    def __init__(self):
        import glob
        self.lib = build(SHIM, sorted(glob.glob(ROOT + "/src/prep/heuristics*.c") + glob.glob(ROOT + "/src/prep/language*.c") +
                                      glob.glob(ROOT + "/src/prep/repair*.c")), "heuristics")
        self.lib.shim_score.restype = ctypes.c_float
        self.lib.shim_name.restype = ctypes.c_char_p
        self.names = []
        while self.lib.shim_name(ctypes.c_size_t(len(self.names))):
            self.names.append(self.lib.shim_name(ctypes.c_size_t(len(self.names))).decode())

    def __call__(self, prompt, answer):
        p, a = prompt.encode(), answer.encode()
        values, fired = (ctypes.c_float * len(self.names))(), ctypes.c_uint32()
        score = self.lib.shim_score(p, ctypes.c_size_t(len(p)), a, ctypes.c_size_t(len(a)), values, ctypes.byref(fired))
        return score, dict(zip(self.names, values)), [n for k, n in enumerate(self.names) if fired.value >> k & 1]

    def speed(self, texts, what):
        raw = [t.encode() for t in texts]
        ptrs, lens = (ctypes.c_char_p * len(raw))(*raw), (ctypes.c_size_t * len(raw))(*map(len, raw))
        best = 1e9
        for _ in range(3):
            start = time.thread_time()  # of this thread alone: the machine may be shared
            self.lib.shim_speed(ptrs, lens, ctypes.c_size_t(len(raw)), what)
            best = min(best, time.thread_time() - start)
        return sum(map(len, raw)) / best / 1e6


def planted(rng, rows):
    """(rule, prompt, answer) with one fault each."""
    p, a = "Explain how this works: " + rng.choice(rows)[0], rng.choice(rows)[0] + " " + rng.choice(rows)[0]
    words = a.split()
    noise = lambda n: "".join(rng.choice("qwrtzpsdfghjklxcvbnm") for _ in range(n))
    yield "empty", p, rng.choice(["", " \n", "---", "...", "?"])
    yield "echo", p, rng.choice([p, p.upper(), p + ".", "  " + p.replace(" ", "  ")])
    yield "leak", p, p + "\n" + a
    yield "leak", p, a + rng.choice(["<|im_end|>", "\n### Instruction: next", "[/INST] more"])
    k = rng.randrange(len(words) // 3, len(words) * 2 // 3)
    cut = " ".join(words[:k])
    yield "truncated", p, cut.rstrip(".,?!") + rng.choice([",", " the", "...", " and", " (for example"])
    yield "truncated", p, "Like this:\n```python\n" + "print(1)\n" * 3
    mid = [i for i in range(len(words) // 3, len(words) - 4) if words[i].isalpha() and words[i + 1].isalpha() and words[i - 1].isalpha() and words[i - 2].isalpha()]
    if mid and sum(w.endswith((".", "?")) for w in words[:mid[-1] - 3]) >= 2:
        yield "truncated mid-sentence", p, " ".join(words[:mid[-1] + 1])
    yield "refusal", p, rng.choice(["As an AI language model, I cannot do that.", "I'm sorry, but I can't help with this request.", "Als KI-Sprachmodell kann ich das nicht.",
                                    "En tant qu'IA, je ne peux pas répondre.", "Lo siento, pero no puedo ayudarte con eso.", "Как языковая модель, я не могу.",
                                    "作为一个AI语言模型，我无法回答。", "Mi dispiace, ma non posso aiutarti.", "Thank you. I'm unable to browse the internet."])
    piece = " ".join(words[3:3 + rng.randint(2, 12)])
    yield "loop", p, " ".join(words[:20]) + (" " + piece) * rng.randint(6, 30)
    yield "repeated_lines", p, "\n".join(["The first point is that it works well."] + ["- This is an important point to note."] * 6 + ["The last point is another."])
    part = " ".join(words[:25])
    yield "repeated_grams", p, " ".join([part, words[-1], part, words[-2], part, words[-3], part])
    yield "entropy", p, rng.choice("ab1") * 80 + rng.choice("xyz")
    yield "consonants", p, " ".join(noise(rng.randint(6, 11)) for _ in range(12))
    yield "letters", p, "".join(rng.choice("$%&/()=?!#+*~-_.:,;<>|") for _ in range(60))
    yield "placeholder", p, rng.choice(["Dear [Your Name], " + a, a + " TODO: finish", "Hello {{customer_name}}, " + a, "Lorem ipsum dolor sit amet. " + a, "Write to [Company Name] " + a])
    yield "length_ratio", "Hi", a * 15
    yield "script", p, "Это совершенно обычный ответ на другом языке, который никто не просил."
    yield "quotes", p, 'He said "' + a.replace('"', "")
    yield "json", "Give me the data as JSON: " + p, rng.choice(['{"a": 1, "b": [1, 2', "{'a': 1}", '```json\n{"a": 1,}\n```', '[1, 2, 3'])
    yield "urls", p, " ".join("https://example.org/%d/page" % rng.randrange(999) for _ in range(rng.randint(1, 4)))


def main():
    folder = sys.argv[1]
    h = Heuristics()
    sets = {}
    rows = [json.loads(line) for line in open(folder + "/nl2bash/nl2bash.jsonl")]
    sets["nl2bash"] = [(r["prompt"], r["completion"]) for r in rows]
    rows = [json.loads(line) for f in ("train", "test") for line in open(folder + "/gsm8k/%s.jsonl" % f)]
    sets["gsm8k"] = [(r["question"], r["answer"]) for r in rows]
    sets["banking77"] = [(r["text"], r["category"]) for f in ("train", "test") for r in csv.DictReader(open(folder + "/banking77/%s.csv" % f))]
    for name, pairs in sets.items():
        fired, shown = collections.Counter(), collections.Counter()
        scores = []
        for p, a in pairs:
            score, values, rules = h(p, a)
            scores.append(score)
            fired.update(rules)
            for r in rules:
                shown[r] += 1
                if shown[r] <= int(os.environ.get("SHOW", "0")):
                    print("  ", name, r, round(values[r], 3), repr(p)[:150], "->", repr(a)[-260:])
        print("%s, %d pairs, score %.3f ... %.3f: %s" % (name, len(pairs), min(scores), max(scores),
                                                        ", ".join("%s %d (%.2f%%)" % (k, v, 100 * v / len(pairs)) for k, v in fired.most_common()) or "nothing"))
    rng = random.Random(11)
    found, total, beaten = collections.Counter(), collections.Counter(), 0
    for _ in range(400):
        for rule, p, a in planted(rng, sets["gsm8k"]):
            score, values, rules = h(p, a)
            total[rule] += 1
            found[rule] += rule.split()[0] in rules
    for rule in total:
        print("planted %-24s found %5.1f%% of %d" % (rule, 100 * found[rule] / total[rule], total[rule]))
    n = bad = 0
    for _ in range(2000):
        p, a = "Explain how this works: " + rng.choice(sets["gsm8k"])[0], rng.choice(sets["gsm8k"])[0] + " " + rng.choice(sets["gsm8k"])[0]
        n += 1
        bad += bool(h(p, a)[2])
    print("the same answers without a fault: a rule fires on %d of %d" % (bad, n))
    texts = [t for pair in sets["gsm8k"] for t in pair]
    long = [" ".join(texts[i:i + 20]) for i in range(0, len(texts) - 20, 20)]
    for name, t in (("gsm8k texts", texts), ("20 of them joined", long)):
        print("%s, %.0f bytes on average, MB/s on one core: " % (name, sum(map(len, t)) / len(t)) +
              ", ".join("%s %.0f" % (w, h.speed(t, k)) for w, k in (("repair", 1), ("language", 2), ("heuristics", 4), ("all three", 7))))


if __name__ == "__main__":
    main()
