#!/usr/bin/env python3
"""train_language.py - makes src/prep/language_weights.inc: the linear models that src/prep/language.c asks which language a text is in.

Sources, all from the Python package index, pinned, permissive licences; none of their text goes into the table, only weights of hashed n-grams:
  eld 1.0.6                               Apache-2.0   1000 web and news sentences in each of 60 languages (its own test file); 150 of each held out
  home-assistant-frontend 20250109.2      Apache-2.0   interface texts in 60 languages
  Django 5.2.19                           BSD-3-Clause interface texts in 90 languages
  langdetect 1.0.9                        Apache-2.0   counts of character trigrams of Wikipedia: words drawn from them where no sentences are had (MARKOV)
  jusText 3.0.2                           BSD-2-Clause frequent words; the one source of Maltese, as made-up word sequences
The class "code": nl2bash's commands, this repository, and files of the installed torch package (BSD-3-Clause).

    pip download --no-deps -d DIR eld==1.0.6 home-assistant-frontend==20250109.2 django==5.2.19 justext==3.0.2 langdetect==1.0.9
    python tools/train_language.py DIR [--data shared/data] [--held-out FILE]

Features (language.c computes the same): letters and marks in lower case, every run of anything else one space; n-grams of 1 to 4 characters and whole
words, hashed. score[c] = sum over features w[f][c] / sqrt(number of features). Softmax regression, Adam, fixed seed, weights rounded to 33 levels.
Pinned: torch 2.15.0, numpy 2.4.6. --held-out writes the sentences kept back, "code TAB sentence", for tools/judge_language.py.
"""
import argparse
import glob
import hashlib
import json
import os
import random
import re
import tarfile
import unicodedata
import zipfile

import numpy as np
import torch

GROUPS = [  # name, buckets, epochs, draws of each language per epoch, languages in the order of the columns
    ("latin", 12288, 14, 2200, "af az ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms mt nl no pl pt ro sk sl sq sv tl tr vi yo".split()),
    ("cyrillic", 4096, 14, 2200, "be bg kk mk ru sr uk".split()),
    ("arabic", 4096, 14, 2200, "ar fa ku ur".split()),
    ("devanagari", 4096, 5, 1600, "hi mr ne".split()),
]
RANGES = {"latin": [(0x41, 0x24F), (0x1E00, 0x1EFF)], "cyrillic": [(0x400, 0x52F)], "arabic": [(0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFEFC)],
          "devanagari": [(0x900, 0x97F)]}
MARKOV = ["ne"]
LEVELS = 16  # weights are -16 ... 16, written as one printable character each
CODE_BUCKETS = 4096
M32 = 0xFFFFFFFF


def letters_only(text):
    out = []
    for ch in text:
        ok = unicodedata.category(ch)[0] in "LM"
        if ok:
            low = ch.lower()
            out.append(low[0] if len(low) > 1 else low)
        elif out and out[-1] != " ":
            out.append(" ")
    s = "".join(out).strip()
    return " " + s + " " if s else ""


def bucket(h, n):
    h = h.astype(np.uint32)
    h = h ^ (h >> np.uint32(15))
    h = (h * np.uint32(0x2C1B3C6D)) & np.uint32(M32)
    h = h ^ (h >> np.uint32(12))
    return ((h.astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


def grams(cps, orders):
    """Hashes of the n-grams that end at each character."""
    x = cps.astype(np.uint64)
    out = []
    for n in orders:
        if len(x) < n:
            continue
        h = np.full(len(x) - n + 1, n, dtype=np.uint64)
        for k in range(n):
            h = (h * np.uint64(0x01000193) ^ x[k:len(x) - n + 1 + k]) & np.uint64(M32)
            h = (h * np.uint64(0x9E3779B1)) & np.uint64(M32)
        out.append(h)
    return out


def features(text, buckets):
    s = letters_only(text)
    if not s:
        return np.zeros(0, np.int64)
    cps = np.array([ord(c) for c in s], dtype=np.uint64)
    hs = grams(cps, (1, 2, 3, 4))
    words = []
    for w in s.split():
        h = 7
        for c in w:
            h = (((h * 0x01000193) & M32) ^ ord(c)) * 0x9E3779B1 & M32
        words.append(h)
    hs.append(np.array(words, dtype=np.uint64))
    return bucket(np.concatenate(hs), buckets)


def code_features(text):
    b = np.frombuffer(text.encode()[:600], dtype=np.uint8).copy()
    b[(b >= 65) & (b <= 90)] += 32
    b[(b >= 48) & (b <= 57)] = 48
    b[b >= 128] = 128
    hs = grams(b.astype(np.uint64), (1, 2, 3))
    return bucket(np.concatenate(hs), CODE_BUCKETS) if hs else np.zeros(0, np.int64)


def is_held(text):
    return hashlib.sha256(text.encode()).digest()[0] < 38  # 15 %


def po_strings(raw):
    for m in re.finditer(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', raw, re.M):
        t = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[1]))
        if t and "Project-Id" not in t:
            yield re.sub(r"%\(\w+\)\w|%\w|\\n|\\\"", " ", t)


def flat(x):
    if isinstance(x, dict):
        for v in x.values():
            yield from flat(v)
    elif isinstance(x, str):
        yield x


def load(folder):
    prose, other, held = {}, {}, []
    z = zipfile.ZipFile(glob.glob(folder + "/eld-1.0.6*.whl")[0])
    for line in z.read("eld/tests/data/big-test.txt").decode().split("\n"):
        code, _, text = line.partition("\t")
        if text and is_held(text):
            held.append((code, text))
        elif text:
            prose.setdefault(code, []).append(text)
    rename = {"nb": "no", "nn": "no", "zh_Hans": "zh", "zh_Hant": "zh", "pt_BR": "pt", "pt-BR": "pt"}
    z = zipfile.ZipFile(glob.glob(folder + "/home_assistant_frontend-*.whl")[0])
    texts = {}
    for i in z.namelist():
        m = re.match(r"hass_frontend/static/translations/(?:.+/)?([A-Za-z\-]+)-[0-9a-f]+\.json$", i)
        if m and m[1] not in ("sr-Latn", "gsw", "en-GB"):
            texts.setdefault(m[1], set()).update(flat(json.loads(z.read(i))))
    english = texts["en"]
    for name, strings in texts.items():
        mine = strings if name == "en" else strings - english
        mine = [re.sub(r"\{[^}]*\}|<[^>]*>|https?:\S+", " ", t) for t in mine]
        other.setdefault(rename.get(name, name), []).extend(sorted(t for t in mine if len(t) > 12 and "{" not in t))
    z = zipfile.ZipFile(glob.glob(folder + "/[dD]jango-*.whl")[0])
    for i in sorted(z.namelist()):
        m = re.search(r"/locale/(\w+)/LC_MESSAGES/\w+\.po$", i)
        if m and m[1] not in ("sr_Latn", "ar_DZ"):
            other.setdefault(rename.get(m[1], m[1]), []).extend(t for t in po_strings(z.read(i).decode()) if len(t) > 8)
    words = zipfile.ZipFile(glob.glob(folder + "/justext-*.whl")[0]).read("justext/stoplists/Maltese.txt").decode().split()
    rng = random.Random(5)
    weights = [1 / (k + 4) for k in range(len(words))]
    prose["mt"] = [" ".join(rng.choices(words, weights, k=rng.randint(4, 18))) for _ in range(850)]
    sdist = tarfile.open(glob.glob(folder + "/langdetect-1.0.9.tar.gz")[0])
    for code in MARKOV:
        freq = json.load(sdist.extractfile("langdetect-1.0.9/langdetect/profiles/" + code))["freq"]
        prose[code] = markov(freq, rng)
    return prose, other, held


def markov(freq, rng):
    """Sequences of made-up words whose trigrams are as frequent as in the profile."""
    follow = {}
    for gram, n in sorted(freq.items()):
        if len(gram) == 3:
            follow.setdefault(gram[:2] if gram[0] != " " else " ", []).append((gram[1:] if gram[0] == " " else gram[2], n))

    def word():
        w = rng.choices(*zip(*follow[" "]))[0]
        while not w.endswith(" ") and len(w) < 20 and w[-2:] in follow:
            w += rng.choices(*zip(*follow[w[-2:]]))[0]
        return w.strip()

    return [" ".join(word() for _ in range(rng.randint(5, 18))) for _ in range(1200)]


def in_script(text, group):
    n = [c for c in text if unicodedata.category(c)[0] in "LM"]
    return n and sum(any(a <= ord(c) <= b for a, b in RANGES[group]) for c in n) > 0.7 * len(n)


def crop(text, rng):
    """The whole text, or words of it: short texts are what is hard."""
    if rng.random() < 0.3:
        return text
    words = text.split()
    n = rng.choice((1, 2, 2, 3, 4, 6, 9))
    at = rng.randrange(max(1, len(words) - n + 1))
    return " ".join(words[at:at + n])


def train(samples, buckets, classes, epochs, lr, decay):
    """samples(epoch) -> (list of feature arrays, labels); returns weights rounded to whole numbers, and the step of one."""
    torch.manual_seed(1)
    emb = torch.nn.EmbeddingBag(buckets, classes, mode="sum")
    torch.nn.init.zeros_(emb.weight)
    opt = torch.optim.Adam(emb.parameters(), lr=lr)
    for epoch in range(epochs):
        feats, labels = samples(epoch)
        order = np.random.RandomState(epoch).permutation(len(feats))
        for g in opt.param_groups:
            g["lr"] = lr * (1 - epoch / epochs)
        total = 0.0
        for at in range(0, len(order), 512):
            part = [i for i in order[at:at + 512] if len(feats[i])]
            idx = torch.from_numpy(np.concatenate([feats[i] for i in part]))
            lens = np.array([len(feats[i]) for i in part])
            off = torch.from_numpy(np.concatenate([[0], np.cumsum(lens)[:-1]]))
            scale = torch.from_numpy((1 / np.sqrt(lens)).astype(np.float32))[:, None]
            step = emb.weight.abs().max().detach().clamp(min=1e-6) / LEVELS
            score = emb(idx, off) * scale
            loss = torch.nn.functional.cross_entropy(score, torch.tensor([labels[i] for i in part])) + decay * emb.weight.square().sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += float(loss.detach()) * len(part)
        print("  epoch %d: loss %.4f, largest weight %.2f" % (epoch, total / len(order), float(step * LEVELS)), flush=True)
    w = emb.weight.detach().numpy()
    w = w - w.mean(axis=1, keepdims=True) if classes > 2 else w
    top = np.quantile(np.abs(w), 0.999)
    q = np.clip(np.rint(w / top * LEVELS), -LEVELS, LEVELS).astype(int)
    return q, top / LEVELS


def score(q, step, f):
    return q[f].sum(axis=0) * step / np.sqrt(max(1, len(f)))


def write_table(out, name, q):
    text = "".join(chr(0x6D + v) for row in q for v in row)
    out.write("static const char %s_weights[] =\n" % name)
    for at in range(0, len(text), 140):
        out.write('    "%s"\n' % text[at:at + 140])
    out.write('    "%s"; /* lanes read past the last row */\n\n' % ("m" * 48))


def train_group(group, prose, other, held):
    name, buckets, epochs, draws, langs = group
    pool = {c: ([t for t in prose.get(c, []) if in_script(t, name)], [t for t in other.get(c, []) if in_script(t, name) and not is_held(t)])
            for c in langs}
    print(name, {c: (len(p), len(o)) for c, (p, o) in pool.items()})

    def samples(epoch):
        rng = random.Random(epoch)
        feats, labels = [], []
        for k, c in enumerate(langs):
            p, o = pool[c]
            for _ in range(draws):
                src = p if p and (not o or rng.random() < (0.5 if c in MARKOV else 0.75)) else o
                feats.append(features(crop(rng.choice(src), rng), buckets))
                labels.append(k)
        return feats, labels

    q, step = train(samples, buckets, len(langs), epochs, 0.08, 2e-7)
    mine = [(c, t) for c, t in held if c in langs and in_script(t, name)]
    for size in (10, 20, 50, 100):
        ok = [langs[int(score(q, step, features(t[:size], buckets)).argmax())] == c for c, t in mine if len(t) >= size]
        print("  %s, %d characters: %.4f of %d" % (name, size, np.mean(ok), len(ok)))
    return name, buckets, langs, q, step


def train_code(prose, other, data):
    rng = random.Random(3)
    code = []
    rows = [json.loads(line) for line in open(data + "/nl2bash/nl2bash.jsonl")][::2] if data else []
    code += [r["completion"] for r in rows]
    root = os.path.join(os.path.dirname(__file__), "..")
    files = glob.glob(root + "/src/*/*.c") + glob.glob(root + "/tools/*.py") + glob.glob(os.path.dirname(torch.__file__) + "/nn/modules/*.py")
    files += glob.glob(os.path.dirname(torch.__file__) + "/include/c10/util/*.h") + glob.glob(root + "/tests/e2e/*.sh") + glob.glob(root + "/CMakeLists.txt")
    pieces = []
    for f in sorted(files):
        t = re.sub(r'/\*.*?\*/|//[^\n]*|^\s*#[ !][^\n]*|""".*?"""', "", open(f, errors="ignore").read(), flags=re.S | re.M)
        lines = [x for x in t.split("\n") if x.strip()]
        for at in range(0, len(lines) - 12, 12):
            pieces.append("\n".join(lines[at:at + rng.randint(1, 12)]))
    for _ in range(1500):  # JSON, as rows of data hold it
        words = [w for w in rng.choice(prose["en"]).split() if w.isalpha()][:6] or ["x"]
        pieces.append(json.dumps({w.lower(): rng.choice([rng.randint(0, 999), rng.random(), True, None, " ".join(words[:3]), [1, 2]]) for w in words},
                                 indent=rng.choice([None, 2])))
    code += pieces
    everyone = [t for c in sorted(prose) for t in prose[c]] + [t for c in sorted(other) for t in rng.sample(other[c], min(150, len(other[c])))]
    everyone += [t for c in ("en", "de", "es", "fr") for t in prose[c]] * 3
    near = [r["prompt"] for r in rows]  # words about commands, and sums: prose that looks like code
    near += [line for t in open(data + "/gsm8k/train.jsonl") for line in (json.loads(t)["answer"], json.loads(t)["question"])] if data else everyone

    def code_samples(epoch):
        r = random.Random(100 + epoch)
        feats = [code_features(r.choice(code)) for _ in range(9000)]
        for _ in range(12000):
            t = " ".join(r.choice(near if r.random() < 0.35 else everyone) for _ in range(r.choice((1, 1, 1, 2))))
            feats.append(code_features(crop(t, r) if r.random() < 0.4 else t))
        return feats, [1] * 9000 + [0] * 12000

    q, step = train(code_samples, CODE_BUCKETS, 2, 8, 0.05, 1e-6)
    d = q[:, 1:] - q[:, :1]  # the two columns are each other's negative
    return "code", CODE_BUCKETS, ["code"], np.rint(d / 2).astype(int), 2 * step


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("--data", help="folder with nl2bash and gsm8k (MIT licences): half of the commands as code, words about them and sums as prose")
    ap.add_argument("--held-out")
    ap.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "src", "prep", "language_weights.inc"))
    a = ap.parse_args()
    prose, other, held = load(a.folder)
    if a.held_out:
        with open(a.held_out, "w") as f:
            f.writelines("%s\t%s\n" % h for h in held)
    tables = [train_group(g, prose, other, held) for g in GROUPS]
    tables.append(train_code(prose, other, a.data))
    with open(a.out, "w") as out:
        out.write("/* language_weights.inc - made by tools/train_language.py: do not edit. Included by language.c alone.\n"
                  " * One character per weight, 'm' is nought and each step in the alphabet one; rows of buckets, columns of languages. */\n\n")
        for name, buckets, langs, q, step in tables:
            write_table(out, name, q)
        out.write("/* name, languages, buckets, what one step of a weight is worth */\n")
        for name, buckets, langs, q, step in tables:
            if name != "code":
                out.write("static const char *const %s_languages[] = { %s };\n" % (name, ", ".join('"%s"' % c for c in langs)))
            out.write("#define LANGUAGE_%s_BUCKETS %d\n#define LANGUAGE_%s_STEP %.6ff\n" % (name.upper(), buckets, name.upper(), step))


if __name__ == "__main__":
    main()
