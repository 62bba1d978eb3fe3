"""judge_words.py - what the judges of duplicates share: a text as words and shingles by the description in src/prep/minhash_shingle.h, written a second
time, and every pair of sets at or above a Jaccard, found without a miss.

Invariants: standard library alone; the same input gives the same output, in the same order."""
import collections
import math
import unicodedata

SOLO = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x312F),
        (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF)]
ACCENT = [(0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED), (0x1AB0, 0x1AFF),
          (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F), (0xE0100, 0xE01EF)]


def within(ranges, c):
    return any(a <= ord(c) <= b for a, b in ranges)


def kind(c):
    cat = unicodedata.category(c)
    if c < "\x80":
        return "word" if c.isalnum() else "gap"
    if cat[0] == "M":
        return "drop" if within(ACCENT, c) else "mark"
    if cat[0] == "N":
        return "word"
    if cat[0] == "L":
        return "solo" if within(SOLO, c) else "word"
    if cat[0] == "P" or cat[0] == "Z" or c == "\x85":
        return "gap"
    return "solo" if cat[0] == "S" or cat in ("Co",) else "drop"


KINDS = {}


def lower(s):
    return "".join(c.lower() if len(c.lower()) == 1 else "i\u0307" if c == "\u0130" else c for c in s)


def plain_words(text):
    """The words of minhash_shingle.h, a second time."""
    out, word, alone = [], "", False
    for source in text:
        if source not in KINDS:
            folded = unicodedata.normalize("NFKD", lower(unicodedata.normalize("NFKD", source)))
            KINDS[source] = [(c, kind(c)) for c in folded]
        for c, k in KINDS[source]:
            if k == "drop":
                continue
            if word and (k in ("gap", "solo") or (alone and k != "mark")):
                out.append(word)
                word = ""
            if k == "gap":
                alone = False
                continue
            word += c
            if k != "mark":
                alone = k == "solo"
    return out + [word] if word else out


def shingles(words, n):
    n = min(n, len(words))
    return {" ".join(words[i:i + n]) for i in range(len(words) - n + 1)} if n else set()


def similar_pairs(sets, floor):
    """{(i, j): Jaccard} with i < j of every two sets that reach floor > 0. Prefix filter (Chaudhuri, Ganti, Kaushik 2006): with the elements in one order for all,
    rare ones first, two such sets share one among the first n - ceil(floor n) + 1 of each; whoever shares one is compared in full."""
    seen = collections.Counter(x for s in sets for x in s)
    number = {x: i for i, (x, _) in enumerate(sorted(seen.items(), key=lambda kv: (kv[1], kv[0])))}
    having, found = collections.defaultdict(list), {}
    for i, s in enumerate(sets):
        if not s:
            continue
        first = sorted(number[x] for x in s)[:len(s) - math.ceil(floor * len(s) - 1e-9) + 1]
        near = set()
        for x in first:
            near.update(having[x])
            having[x].append(i)
        for j in near:
            t = sets[j]
            if min(len(s), len(t)) < floor * max(len(s), len(t)) - 1e-9:
                continue
            both = len(s & t)
            jaccard = both / (len(s) + len(t) - both)
            if jaccard >= floor:
                found[j, i] = jaccard
    return found


def components(n, pairs):
    parent = list(range(n))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i
    for a, b in pairs:
        parent[max(root(a), root(b))] = min(root(a), root(b))
    return [root(i) for i in range(n)]
