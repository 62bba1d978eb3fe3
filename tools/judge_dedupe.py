#!/usr/bin/env python3
"""judge_dedupe.py - hone's search for duplicates beside brute force, datasketch and rensa: a proof by hand, not a test of every build.

    python tools/judge_dedupe.py BUILD/tests/dedupe_driver DATA [--words 5] [--threshold 0.8] [--seed 1] [--copies 4]

DATA holds nl2bash, banking77, gsm8k and tinyshakespeare. For a planted corpus (texts of all four, their copies with words changed, dropped, put in or moved,
with letters, spaces and punctuation changed), for answers made from one template and for each real set: recall and precision of near-duplicate pairs, by bands
of true Jaccard, against a prefix filter that misses nothing (judge_words.py); the same for datasketch.MinHashLSH and rensa.RMinHashLSH at their own best parameters; megabytes per second
of one thread of each. The words of every text, and of random Unicode, are compared with a second normaliser, written here from the header's description.
Status 1 when hone loses a pair that its formula would lose less than once in a thousand runs, joins rows that brute force does not, or prints a number
that brute force does not. Needs datasketch, rensa, scipy and numpy of requirements.txt."""
import argparse
import collections
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

import rensa
from datasketch import MinHash, MinHashLSH

from judge_words import components, plain_words, shingles, similar_pairs

BANDS, ROWS = 23, 6  # what hone chooses for 0.8


def texts_read(data):
    sets = {}
    with open(os.path.join(data, "nl2bash/nl2bash.jsonl"), encoding="utf-8") as f:
        sets["nl2bash"] = [r["prompt"] + "\n" + r["completion"] for r in map(json.loads, f)]
    sets["banking77"] = []
    for part in ("train", "test"):
        with open(os.path.join(data, f"banking77/{part}.csv"), encoding="utf-8", newline="") as f:
            sets["banking77"] += [r["text"] for r in csv.DictReader(f)]
    sets["gsm8k"] = []
    for part in ("train", "test"):
        with open(os.path.join(data, f"gsm8k/{part}.jsonl"), encoding="utf-8") as f:
            sets["gsm8k"] += [r["question"] + "\n" + r["answer"] for r in map(json.loads, f)]
    with open(os.path.join(data, "tinyshakespeare/input.txt"), encoding="utf-8") as f:
        lines = f.read().split("\n\n")
    sets["tinyshakespeare"] = ["\n\n".join(lines[i:i + 6]) for i in range(0, len(lines), 6)]
    return sets


def edited(rng, text, share, vocabulary):
    """A copy in which about `share` of the words are others, gone, doubled or moved."""
    words = text.split(" ")
    for _ in range(max(1, round(share * len(words)))):
        at = rng.randrange(len(words))
        what = rng.random()
        if what < 0.6:
            words[at] = rng.choice(vocabulary)
        elif what < 0.75 and len(words) > 2:
            del words[at]
        elif what < 0.9:
            words.insert(at, rng.choice(vocabulary))
        else:
            other = rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
    return " ".join(words)


def planted(sets, seed, copies):
    rng = random.Random(seed)
    base = [t for name in sorted(sets) for t in rng.sample(sets[name], min(700, len(sets[name])))]
    vocabulary = sorted({w for t in base for w in t.split()})
    out = list(base)
    for t in base:
        for _ in range(rng.randrange(copies + 1)):
            what = rng.random()
            if what < 0.1:
                out.append(t)
            elif what < 0.25:  # the same after normalisation
                out.append("  " + t.upper().replace(" ", "  ").replace(".", " !") + "?\n")
            else:
                out.append(edited(rng, t, rng.uniform(0, 0.12), vocabulary))
    rng.shuffle(out)
    return out


def templated(sets, seed):
    """1,500 answers that fill one form: a Jaccard of 0.7 to 0.78 between any two, the hardest case for an index, and a twin of every tenth at the far end."""
    rng = random.Random(seed)
    vocabulary = sorted({w.lower() for t in sets["gsm8k"][:2000] for w in t.split() if w.isalpha()})
    form = [rng.choice(vocabulary) for _ in range(200)]
    out = []
    for _ in range(1500):
        words = list(form)
        for at in range(5 + rng.randrange(3)):
            words[10 + 28 * at] = f"{rng.choice(vocabulary)}{rng.randrange(10000)}"
        out.append(" ".join(words))
    return out + [t + " " + rng.choice(vocabulary) for t in out[::10]]


def hone(driver, mode, path, *args):
    r = subprocess.run([driver, mode, path, *map(str, args)], capture_output=True, check=True, timeout=1200)
    err = r.stderr.decode().split()
    return r.stdout.decode("utf-8").splitlines(), dict(zip(err[::2], map(float, err[1::2])))


def judge_words(driver, folder, sets, seed, bad):
    rng = random.Random(seed)
    texts = [t for name in sorted(sets) for t in sets[name]]
    real = len(texts)
    assigned = [c for c in map(chr, range(1, 0x110000)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    groups = [[c for c in assigned if a <= ord(c) < b] for a, b in ((1, 0x250), (0x250, 0x590), (0x590, 0xE00), (0xE00, 0x2000), (0x2000, 0x3400),
                                                                    (0x1F000, 0x20000), (0xF900, 0x10000))] + [assigned]
    texts += ["".join(rng.choice(rng.choice(groups[:1] * 3 + [g])) for _ in range(rng.randrange(40))) for g in groups for _ in range(3000)]
    texts += [c + "x" + c + " a" + c + "1" for c in assigned]
    path = write(folder, texts)
    got, _ = hone(driver, "words", path, 5)
    wrong = [i for i, t in enumerate(texts) if got[i] != " ".join(plain_words(t))]
    print(f"words: {real} real texts, {len(texts) - real} made of random characters and of each character: {len(wrong)} differ")
    for i in wrong[:12]:
        print(f"   {ascii(texts[i])[:90]}\n      hone  {ascii(got[i])[:90]}\n      plain {ascii(' '.join(plain_words(texts[i])))[:90]}")
        bad.append("words")


def write(folder, texts):
    path = os.path.join(folder, "texts.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}, ensure_ascii=False) + "\n")
    return path


def datasketch_pairs(shingled, threshold):
    """Candidates and seconds of sketching and searching, given the shingles."""
    start = time.process_time()
    lsh = MinHashLSH(threshold=threshold, num_perm=128)
    sketches = []
    for i, s in enumerate(shingled):
        m = MinHash(num_perm=128)
        m.update_batch([x.encode() for x in s])
        sketches.append(m)
        lsh.insert(i, m, check_duplication=False)
    pairs = {(min(i, j), max(i, j)) for i, m in enumerate(sketches) for j in lsh.query(m) if i != j and shingled[i]}
    return pairs, time.process_time() - start, f"{lsh.b} x {lsh.r}"


def rensa_pairs(shingled, threshold):
    start = time.process_time()
    lsh = rensa.RMinHashLSH(threshold=threshold, num_perm=128, num_bands=16)
    sketches = []
    for i, s in enumerate(shingled):
        m = rensa.RMinHash(num_perm=128, seed=42)
        m.update(list(s))
        sketches.append(m)
        lsh.insert(i, m)
    pairs = {(min(i, j), max(i, j)) for i, m in enumerate(sketches) for j in lsh.query(m) if i != j and shingled[i]}
    return pairs, time.process_time() - start, "16 x 8"


def jaccard(a, b):
    both = len(a & b)
    return both / (len(a) + len(b) - both) if a or b else 0


def verified(shingled, pairs, threshold):
    start = time.process_time()
    kept = {p for p in pairs if jaccard(shingled[p[0]], shingled[p[1]]) >= threshold}
    return kept, time.process_time() - start


def judge_set(driver, folder, name, texts, args, bad):
    t, n = args.threshold, args.words
    path = write(folder, texts)
    start = time.process_time()
    worded = [plain_words(x) for x in texts]
    shingled = [shingles(w, n) for w in worded]
    reading = time.process_time() - start
    truth = similar_pairs(shingled, t)
    roots = components(len(texts), truth)
    lines, stats = hone(driver, "clusters", path, n, t, 1)
    removed = [(int(a), int(b), float(j), x == "1") for a, b, j, x in map(str.split, lines)]
    ours = components(len(texts), [(a, b) for a, b, _, _ in removed])
    for threads in (2, 4):
        if hone(driver, "clusters", path, n, t, threads)[0] != lines:
            bad.append(f"{name}: {threads} threads give another result")
    print(f"\n{name}: {len(texts)} texts, {stats['bytes'] / 1e6:.2f} MB, {len(truth)} pairs with Jaccard >= {t}; hone removes {len(removed)} rows, "
          f"{int(stats['exact'])} of them exact; compared {int(stats['compared'])}, left out {int(stats['left_out'])}")

    def row(label, found, extra=""):
        cells = []
        for lo, hi in ((t, 0.85), (0.85, 0.9), (0.9, 1), (1, 2)):
            there = [p for p, j in truth.items() if lo <= j < hi]
            cells.append(f"{sum(p in found for p in there)}/{len(there)}" if there else "-")
        print(f"   {label:34} recall at {t}-0.85, 0.85-0.9, 0.9-1, 1: {', '.join(cells)}{extra}")
    found = {p for p in truth if ours[p[0]] == ours[p[1]]}
    row("hone, in one cluster", found)
    lost = [p for p in truth if p not in found]
    expected = sum((1 - j ** ROWS) ** BANDS for j in truth.values() if j < 1)
    if len(lost) > expected + 4 * (expected + 1) ** 0.5:
        bad.append(f"{name}: {len(lost)} pairs lost, the formula says {expected:.1f}")
    wrong = sum(roots[a] != roots[b] for a, b, _, _ in removed)
    off = sum(not (exact and worded[a] == worded[b] or not exact and j == jaccard(shingled[a], shingled[b])) for a, b, j, exact in removed)
    print(f"   removed rows that brute force does not join: {wrong}; with another Jaccard: {off}; by chains below the threshold: "
          f"{sum(j < t for _, _, j, _ in removed)}; partitions equal: {ours == roots}; lost pairs {len(lost)}, at most expected {expected:.1f}")
    if wrong or off:
        bad.append(f"{name}: {wrong} wrong joins, {off} wrong numbers")

    megabytes = stats["bytes"] / 1e6
    seconds = stats["sketch"] + stats["add"] + stats["finish"]
    rates = [f"hone {megabytes / seconds:.1f} (sketch {megabytes / stats['sketch']:.1f})"]
    for label, search in (("datasketch", datasketch_pairs), ("rensa", rensa_pairs)):
        pairs, took, bands = search(shingled, t)
        kept, checking = verified(shingled, pairs, t)
        row(f"{label} {bands}, verified", kept, f"; {len(pairs)} candidates")
        both = len(kept & found)
        print(f"   {'':34} pairs that both have {both}, hone alone {len(found - kept)}, {label} alone {len(kept - found)}")
        rates.append(f"{label} {megabytes / (reading + took + checking):.2f} (given the shingles {megabytes / (took + checking):.2f})")
    print(f"   MB/s of one thread, text to verified pairs: {'; '.join(rates)}")


def judge_indexes(driver, folder, sets, args, bad):
    rng = random.Random(args.seed)
    base = sets["gsm8k"][:1500]
    vocabulary = sorted({w for t in base for w in t.split()})
    asked = [edited(rng, t, rng.uniform(0, 0.1), vocabulary) for t in rng.sample(base, 700)] + sets["gsm8k"][1500:2500]
    path, other = write(folder, asked), os.path.join(folder, "indexed.jsonl")
    os.replace(write(folder, base), other)
    path = write(folder, asked)
    a, b = [plain_words(x) for x in asked], [plain_words(x) for x in base]
    for t in (0.5, 0.8):
        sa, sb = [shingles(w, args.words) for w in a], [shingles(w, args.words) for w in b]
        want = {(i, k): j for (k, i), j in similar_pairs(sb + sa, t).items() if k < len(sb) <= i}
        lines, stats = hone(driver, "near", path, args.words, t, other)
        got = {(int(x) + len(sb), int(y)): float(j) for x, y, j in map(str.split, lines)}
        print(f"\nnear_index at {t}: {len(want)} matches, hone finds {len(got)}, equal: {got == want}; {stats['bytes'] / 1e6 / stats['find']:.1f} MB/s")
        if got != want:
            bad.append("near_index")
    n = 13
    having = collections.defaultdict(set)
    for k, w in enumerate(b):
        for g in zip(*(w[i:] for i in range(n))):
            having[g].add(k)
    want = {}
    for i, w in enumerate(a):
        for g in dict.fromkeys(zip(*(w[i:] for i in range(n)))):
            for k in having.get(g, ()):
                runs, first = want.get((i, k), (0, " ".join(g)))
                want[i, k] = (runs + 1, first)
    lines, stats = hone(driver, "ngram", path, n, "-", other)
    got = {(int(x), int(y)): (int(r), g) for x, y, r, g in (line.split(" ", 3) for line in lines)}
    print(f"ngram_index of {n}: {len(want)} matches, hone finds {len(got)}, equal with their first run: {got == want}; "
          f"{stats['bytes'] / 1e6 / stats['find']:.1f} MB/s")
    if got != want:
        bad.append("ngram_index")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("driver")
    p.add_argument("data")
    p.add_argument("--words", type=int, default=5)
    p.add_argument("--threshold", type=float, default=0.8)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--copies", type=int, default=4)
    p.add_argument("--only", help="one of: words, planted, templated, indexes, or a data set")
    args = p.parse_args()
    sets, bad = texts_read(args.data), []
    with tempfile.TemporaryDirectory() as folder:
        if args.only in (None, "words"):
            judge_words(args.driver, folder, sets, args.seed, bad)
        for name, texts in [("planted", planted(sets, args.seed, args.copies)), ("templated", templated(sets, args.seed))] + sorted(sets.items()):
            if args.only in (None, name):
                judge_set(args.driver, folder, name, texts, args, bad)
        if args.only in (None, "indexes"):
            judge_indexes(args.driver, folder, sets, args, bad)
    for b in bad:
        print(f"WRONG: {b}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
