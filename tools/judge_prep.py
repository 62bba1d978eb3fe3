#!/usr/bin/env python3
"""judge_prep.py - hone prep over a messy corpus with known faults: how many it finds, and what it lets through. A proof by hand, not a test of every build.

    python tools/judge_prep.py HONE DATA [--rows 20000] [--seed 1] [--near 0.8] [--keep FOLDER] [--misses N]

DATA holds nl2bash, banking77, gsm8k and tinyshakespeare (shared/data). Their rows, in nine files of as many shapes and encodings, get faults planted, each
written down; then `hone prep` runs with its defaults, --eval, --group and --subject. All that is said about the result comes from decisions.jsonl, removed.jsonl
and the three parts, by code that shares nothing with hone. One table: per kind of fault how many were planted and found, and of what hone took for one how
much was. Below it what must hold; status 1 when one thing does not, 2 when the run itself fails. Same seed, same corpus. Standard library alone.

"must" means: no two rows of different parts with a true Jaccard (judge_words.py) of --near or more; no customer, person or question in two parts; every exact
duplicate and every planted leak found; no planted IBAN, card, address, key or secret in any file below the data folder; every row that went in is in one part
or in removed.jsonl with a reason, once; broken rows are never trained."""
import argparse
import base64
import collections
import csv
import gzip
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

from judge_words import components, plain_words, shingles, similar_pairs

SHINGLE, RUN = 5, 13  # words: SHINGLE_WORDS of minhash_shingle.h, NGRAM_WORDS of dedupe_ngram.h
BANDS = ((0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0))
SYSTEM = "You are a careful assistant of our support team. Answer briefly and name the source of what you say whenever there is one."

FIRST = "Anna Peter Claire James Sofia Lukas Marie Thomas Julia Martin Laura Stefan Emma Daniel Sarah Michael Nina Andreas Katharina Robert".split()
LAST = "Schmidt Keller Dubois Johnson Rossi Weber Novak Fischer Moreau Bergmann Lehmann Garcia Hansen Brandt Wagner Thompson Richter Krause Petersen Schneider".split()
FRAMES = {
    "iban": ["Please pay the money back to {}.", "The account is {}, thank you.", "Bitte überweisen Sie auf {}.", "IBAN: {}"],
    "card": ["My card {} was declined twice.", "Card number {}.", "Meine Karte {} wurde gesperrt.", "I paid with {} yesterday."],
    "email": ["Please write to {}.", "My address is {} if you need it.", "Schreiben Sie an {}, danke.", "(contact: {})"],
    "phone": ["Please call me at {}.", "My number is {}.", "Sie erreichen mich unter {}.", "Phone: {}"],
    "person": ["My name is {}.", "Best regards,\n{}", "Mein Name ist {}.", "Dear {}, thank you for writing."],
    "secret": ["The key is {}", "I used the token {} for it.", "export API_KEY={}", "curl -H 'Authorization: Bearer {}'"],
}
REFUSALS = ["I'm sorry, but I can't help with that request.", "As an AI language model, I cannot give advice on this.", "I cannot assist with that.",
            "Es tut mir leid, aber ich kann dabei nicht helfen.", "I'm unable to provide this information.", "I apologize, but I can't share details about this topic."]
FOREIGN = ["Die Überweisung wurde schon geprüft, bitte schließen Sie die Anfrage über das Menü „Zurück“.", "Le café était fermé à l’arrivée, désolé pour le problème déjà signalé.",
           "La señora Peña pidió el año pasado una explicación más cómoda.", "It’s open – the naïve résumé said “façade”.", "Größe und Länge müssen täglich geprüft werden."]
WORDS = "amber birch cedar dune ember fjord grove heron islet jetty kelp larch moss north oaken pebble quartz reed slate thorn umber vale willow yarrow zinc".split()


class Row:
    """One row to be written: what is said, who asks, and what was planted."""
    __slots__ = ("case", "kind", "system", "before", "question", "answer", "customer", "contact", "file", "raw", "facts", "id")

    def __init__(self, kind, question, answer, **facts):
        self.kind, self.question, self.answer, self.facts = kind, question, answer, facts
        self.case = self.system = self.customer = self.contact = self.file = self.raw = self.id = None
        self.before = []


# ---- values ----

def iban(rng):
    country, letters, digits = rng.choice([("DE", 0, 18), ("AT", 0, 16), ("ES", 0, 20), ("NL", 4, 10), ("CH", 0, 17)])
    body = "".join(rng.choice("ABCDEFGHIKLMNPRST") for _ in range(letters)) + "".join(rng.choice("0123456789") for _ in range(digits))
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    value = f"{country}{98 - number % 97:02d}{body}"
    return rng.choice([value, " ".join(value[i:i + 4] for i in range(0, len(value), 4)), value, value.lower(), "\u00a0".join(value[i:i + 4] for i in range(0, len(value), 4))])


def card(rng):
    head, n = rng.choice([("4", 16), ("51", 16), ("55", 16), ("37", 15), ("2221", 16)])
    digits = head + "".join(rng.choice("0123456789") for _ in range(n - len(head) - 1))
    total = sum(d if i % 2 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(map(int, reversed(digits))))
    digits += str(-total % 10)
    parts = [4, 6, 5] if n == 15 else [4, 4, 4, 4]
    sep, out = rng.choice(["", " ", "-"]), []
    for p in parts:
        out.append(digits[:p])
        digits = digits[p:]
    return sep.join(out)


def email(rng):
    first, last = rng.choice(FIRST).lower(), rng.choice(LAST).lower()
    where = rng.choice(["web.de", "gmail.com", "orange.fr", "sparkasse-nord.de", "mail.kundenservice.co.uk", "posta.it"])
    return rng.choice([f"{first}.{last}{rng.randrange(1000)}@{where}", f"{first[0]}{last}+{rng.randrange(1000)}@{where}", f"{first}_{last}{rng.randrange(1000)}@{where}".upper()])


def phone(rng):
    d = "".join(rng.choice("0123456789") for _ in range(12))
    return rng.choice([f"+49 30 90{d[:6]}", f"+44 20 7946 {d[:4]}", f"0176 {d[:4]} {d[4:8]}", f"+33 6 {d[:2]} {d[2:4]} {d[4:6]} {d[6:8]}", f"(212) 55{d[0]}-{d[1:5]}"])


def secret(rng):
    def draw(alphabet, n):
        return "".join(rng.choice(alphabet) for _ in range(n))
    upper, alnum, hexa = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "0123456789abcdef"
    return rng.choice([lambda: "AKIA" + draw(upper[:32], 16), lambda: "ghp_" + draw(alnum, 36), lambda: "sk-proj-" + draw(alnum, 48), lambda: "xoxb-" + draw("0123456789", 12) + "-" + draw(alnum, 24),
                       lambda: "AIza" + draw(alnum, 35), lambda: "hf_" + draw(alnum, 34), lambda: "glpat-" + draw(alnum, 20), lambda: "sk_live_" + draw(alnum, 24),
                       lambda: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64.urlsafe_b64encode(json.dumps({"sub": draw(hexa, 12)}).encode()).decode().rstrip("=") + "." + draw(alnum, 43)])()


MAKERS = {"iban": iban, "card": card, "email": email, "phone": phone, "person": lambda rng: f"{rng.choice(FIRST)} {rng.choice(LAST)}", "secret": secret}


# ---- the corpus ----

def pools_read(data):
    out = {"bash": [], "bank": [], "maths": [], "prose": []}
    with open(os.path.join(data, "nl2bash/nl2bash.jsonl"), encoding="utf-8") as f:
        out["bash"] = [(r["prompt"], r["completion"]) for r in map(json.loads, f)]
    with open(os.path.join(data, "banking77/train.csv"), encoding="utf-8", newline="") as f:
        out["bank"] = [(r["text"], "This is about " + r["category"].replace("_", " ") + ".") for r in csv.DictReader(f)]
    with open(os.path.join(data, "gsm8k/train.jsonl"), encoding="utf-8") as f:
        out["maths"] = [(r["question"], r["answer"]) for r in map(json.loads, f)]
    with open(os.path.join(data, "tinyshakespeare/input.txt"), encoding="utf-8") as f:
        blocks = f.read().split("\n\n")
    out["prose"] = [("", "\n\n".join(blocks[i:i + 6])) for i in range(0, len(blocks) - 6, 6)]
    held = {}
    with open(os.path.join(data, "gsm8k/test.jsonl"), encoding="utf-8") as f:
        held["maths"] = [(r["question"], r["answer"]) for r in map(json.loads, f)]
    with open(os.path.join(data, "banking77/test.csv"), encoding="utf-8", newline="") as f:
        held["bank"] = [(r["text"], r["category"]) for r in csv.DictReader(f)]
    return out, held


def words_n(text):
    return len(plain_words(text))


def set_of(text):
    return shingles(plain_words(text), SHINGLE)


def jaccard(a, b):
    return len(a & b) / len(a | b) if a or b else 0


def edited(rng, text, n):
    """n words of a text are others, gone, or new; its last word, which may be a result, stays."""
    words = text.split(" ")
    for _ in range(n):
        at, what = rng.randrange(max(1, len(words) - 1)), rng.random()
        if what < 0.7:
            words[at] = rng.choice(WORDS)
        elif what < 0.85 and len(words) > 4:
            del words[at]
        else:
            words.insert(at, rng.choice(WORDS))
    return " ".join(words)


def in_band(rng, question, answer, band):
    """An edited copy whose true Jaccard with the original lies in [lo, hi), as the product compares rows: question, line break, answer."""
    mine = set_of(question + "\n" + answer)
    for k in list(range(1, 14)) * 4:
        on_question = rng.random() < 0.5
        q, a = (edited(rng, question, k), answer) if on_question else (question, edited(rng, answer, k))
        j = jaccard(mine, set_of(q + "\n" + a))
        if band[0] <= j < min(band[1], 0.99999):
            return q, a, j
    return None


class Plan:
    """Draws unused base rows and collects what is to be written."""

    def __init__(self, rng, pools, scale):
        self.rng, self.scale, self.rows = rng, scale, []
        self.left = {}
        for name in sorted(pools):
            self.left[name] = list(pools[name])
            rng.shuffle(self.left[name])

    def n(self, count):
        return max(4, round(count * self.scale))

    def take(self, names, least=0):
        while True:
            live = [n for n in names if self.left[n]]
            if not live:
                sys.exit("judge_prep: DATA has too few rows; give a smaller --rows")
            q, a = self.left[self.rng.choice(live)].pop()
            if words_n(q) >= least and a.strip():
                return q, a

    def add(self, row):
        self.rows.append(row)
        return row


def plant(rng, pools, held, scale):
    p, evaluation = Plan(rng, pools, scale), []
    any_pool = ["bash", "bank", "maths"]

    # duplicates
    for i in range(p.n(300)):
        q, a = p.take(any_pool)
        first = p.add(Row("original", q, a))
        if i % 3 == 2:  # the same words
            p.add(Row("exact", "  " + q.upper().replace(" ", "  "), a.replace(". ", " . ") + "\n", of=first))
        else:
            p.add(Row("exact", q, a, of=first))
    for band in BANDS:
        made = 0
        while made < p.n(150):
            q, a = p.take(["maths", "maths", "maths", "bash"], 12)
            copy = in_band(rng, q, a, band)
            if copy:
                first = p.add(Row("original", q, a))
                p.add(Row(f"near {band[0]}-{band[1]}", copy[0], copy[1], of=first, jaccard=copy[2]))
                made += 1

    # personal data, in the question, the answer, the system text or earlier turns
    for kind, count in (("iban", 150), ("card", 150), ("email", 200), ("phone", 150), ("person", 150), ("secret", 120)):
        for _ in range(p.n(count)):
            q, a = p.take(any_pool)
            value = MAKERS[kind](rng)
            frame = rng.choice(FRAMES[kind]).format(value)
            row = p.add(Row(kind, q, a, value=value))
            where = rng.random()
            if where < 0.5:
                row.question = rng.choice([f"{q} {frame}", f"{frame}\n{q}"])
            elif where < 0.8:
                row.answer = f"{a}\n{frame}"
            elif where < 0.9:
                row.system = frame
            else:
                row.before = [(frame, "Thank you, noted.")]

    # broken rows: what stands in the file is made in `broken_rows`
    for i in range(p.n(160)):
        q, a = p.take(any_pool)
        p.add(Row("broken", q, a, how=i))
    for i in range(p.n(24)):
        q, a = p.take(any_pool)
        p.add(Row("bytes", q + " caf" + "\ue000\ue001"[i % 2] + " bar", a))  # the first becomes a letter of Windows-1252, the second bytes that fit no encoding

    # texts that conversion harmed
    for i in range(p.n(150)):
        q, a = p.take(any_pool)
        clean = rng.choice(FOREIGN)
        dirty = clean
        for _ in range(1 + (i % 5 == 4)):
            dirty = "".join(bytes([b]).decode("cp1252") if b not in (0x81, 0x8d, 0x8f, 0x90, 0x9d) else chr(b) for b in dirty.encode())
        row = p.add(Row("mojibake", q, f"{a}\n{dirty}", clean=f"{a}\n{clean}"))
        if i % 3 == 0:
            row.question, row.answer, row.facts["clean"] = f"{dirty} {q}", a, a
            row.facts["clean_question"] = f"{clean} {q}"
    for i in range(p.n(150)):
        q, a = p.take(["bank", "maths"])
        form = i % 4
        dirty, clean = [(f"<p>{q}</p><p>It is <b>urgent</b> &amp; important.</p>", f"{q}\nIt is urgent & important."), (f"{q}<br>Thanks &amp; best wishes", f"{q}\nThanks & best wishes"),
                        (f"{q} That&#8217;s all&nbsp;I know &quot;today&quot;.", f"{q} That’s all I know \"today\"."), (f"<div><span style=\"color:red\">{q}</span></div>", q)][form]
        p.add(Row("html", dirty, a, clean=a, clean_question=clean))

    # bad answers
    for i in range(p.n(150)):  # prose of some sentences, and sums
        q, a = p.take(["maths"], 40)
        if i % 2:
            q, a = p.take(["bank"])[0], q
        ends = {0} | {m.end() for m in re.finditer(r"[.!?]\s+|\n", a)}
        spots = [m.start() for m in re.finditer(" ", a) if m.start() > len(a) // 2 and m.start() - max(e for e in ends if e <= m.start()) > 12 and a[m.start() - 1] not in ".!?:\n"]
        p.add(Row("truncated prose" if i % 2 else "truncated sums", q, a[:rng.choice(spots or [len(a) - 3])]))
    for _ in range(p.n(100)):
        q, _ = p.take(any_pool)
        p.add(Row("refusal", q, rng.choice(REFUSALS) + rng.choice(["", "", " Please ask something else."])))
    for _ in range(p.n(150)):
        q, a = p.take(any_pool)
        first = p.add(Row("original", q, a))
        _, other = p.take(["bash"])
        p.add(Row("contradiction", q, other, of=first))

    # leaks of the evaluation rows
    maths, bank = list(held["maths"]), list(held["bank"])
    rng.shuffle(maths)
    rng.shuffle(bank)
    maths = [x for x in maths if words_n(x[0]) >= 25]
    short = [x for x in bank if 6 <= words_n(x[0]) < RUN]

    def leak(kind, source, question=None, **facts):
        evaluation.append(source)
        _, other = p.take(any_pool)
        answer = source[1] if rng.random() < 0.5 else other
        return p.add(Row(kind, question or source[0], answer, source=source[0], **facts))
    for _ in range(p.n(60)):
        leak("leak verbatim", maths.pop())
    for _ in range(p.n(60)):
        leak("leak short", short.pop())
    for _ in range(p.n(60)):  # one word in thirteen another, but one run stays whole
        source = maths.pop()
        words = source[0].split(" ")
        keep = rng.randrange(len(words) - RUN - 5)
        for at in range(0, len(words), 6):
            if not keep <= at < keep + RUN + 4:
                words[at] = rng.choice(WORDS)
        leak("leak edited", source, " ".join(words))
    for _ in range(p.n(60)):
        source = maths.pop()
        words = source[0].split(" ")
        at = rng.randrange(len(words) - RUN - 2)
        piece = " ".join(words[at:at + RUN + rng.randrange(3)])
        if words_n(piece) < RUN:
            piece = " ".join(words[at:at + RUN + 2])
        q, _ = p.take(["bash", "maths"])
        leak("leak fragment", source, rng.choice([f"{q} {piece}", f"{piece} {q}", f"Think of this: {piece} - and now: {q}"]))
    for _ in range(p.n(60)):
        leak("leak short, system", short.pop()).system = SYSTEM
    for _ in range(p.n(60)):
        q, a = p.take(["bank"])
        leak("leak short, last turn", short.pop()).before = [(q, a)]
    for kind in ("iban", "email", "person", "card"):  # the evaluation row holds personal data, which leaves the training row before it is compared
        for _ in range(p.n(10)):
            text, label = short.pop()
            leak("leak with personal data", (f"{text} {rng.choice(FRAMES[kind]).format(MAKERS[kind](rng))}", label))
    for i in range(p.n(40)):  # the evaluation row is as harmed as the training row, which is repaired before it is compared
        text, label = short.pop()
        half = text.split(" ")
        middle = len(half) // 2
        dirty = [" ".join(half[:middle] + ["caf\u00c3\u00a9", "&amp;", "d\u00c3\u00a9j\u00c3\u00a0"] + half[middle:]), "<p>" + "</p><p>".join(half) + "</p>"][i % 2]
        leak("leak in harmed text", (dirty, label))
    evaluation += maths[:p.n(100)] + bank[:p.n(50)]
    rng.shuffle(evaluation)
    return p, evaluation


# ---- files ----

def meta_of(row, text=False):
    m = {"case": str(row.case) if text else row.case}
    if row.customer:
        m["customer"] = row.customer
    if row.contact:
        m["contact"] = row.contact
    return m


def dump(x):
    return json.dumps(x, ensure_ascii=False)


def chat_messages(row, names=("system", "user", "assistant")):
    out = [(names[0], row.system)] if row.system else []
    for q, a in row.before + [(row.question, row.answer)]:
        out += [(names[1], q), (names[2], a)]
    return out


def write_chat(row):
    return dump({"messages": [{"role": r, "content": c} for r, c in chat_messages(row)], **meta_of(row)})


def write_share(row):
    return dump({"conversations": [{"from": r, "value": c} for r, c in chat_messages(row, ("system", "human", "gpt"))], **meta_of(row)})


def write_pair(row):
    return dump({"prompt": row.question, "completion": row.answer, **meta_of(row)})


def alpaca(row):
    return {"instruction": row.question, "input": "", "output": row.answer, **meta_of(row)}


# what stands in the file in place of the row; each has a person's data in it, which must not stay in the log either
BROKEN = {
    "chats.jsonl": [
        lambda r, v: write_chat(r)[:-20 - len(str(r.case))], lambda r, v: dump({"messages": [], **meta_of(r), "note": v}), lambda r, v: dump({"messages": [{"role": "user", "content": f"{r.question} {v}"}], **meta_of(r)}),
        lambda r, v: dump({"messages": [{"role": v, "content": r.question}, {"role": "assistant", "content": r.answer}], **meta_of(r)}),
        lambda r, v: dump({"messages": [{"role": "user", "content": 7}, {"role": "assistant", "content": v}], **meta_of(r)}),
        lambda r, v: dump({"messages": [{"role": "user", "content": v}, {"role": "assistant", "content": ""}], **meta_of(r)}),
        lambda r, v: dump({"messages": [{"content": v}, {"role": "assistant", "content": r.answer}], **meta_of(r)}),
        lambda r, v: "{}", lambda r, v: dump(v), lambda r, v: dump([1, v]), lambda r, v: dump({"messages": v}), lambda r, v: "{'prompt': '" + v + "'}", lambda r, v: dump({"nothing": v, "known": 1}),
        lambda r, v: dump({"messages": [{"role": "user", "content": r.question}, {"role": "assistant", "content": r.answer, v: 1}], **meta_of(r)}),
    ],
    "pairs.jsonl.gz": [lambda r, v: dump({"prompt": f"{r.question} {v}", **meta_of(r)}), lambda r, v: dump({"prompt": f"{r.question} {v}", "completion": "", **meta_of(r)}),
                       lambda r, v: dump({"prompt": [v], "completion": r.answer, **meta_of(r)}), lambda r, v: write_pair(r)[:40] + " " + v],
    "share.jsonl": [lambda r, v: dump({"conversations": [{"from": "human", "value": v}], **meta_of(r)}), lambda r, v: dump({"conversations": [{"from": f"{v}", "value": v}, {"from": "gpt", "value": "Yes, it is so."}], **meta_of(r)})],
}


def write_files(rng, rows, folder, contacts):
    """Gives every row a file; writes them; returns the inputs in order. Sets Row.id."""
    shapes = ["chats.jsonl"] * 5 + ["pairs.jsonl.gz"] * 3 + ["tickets.csv"] * 3 + ["export.tsv"] * 2 + ["alpaca.json"] * 2 + ["share.jsonl"] * 2 + ["bundle.zip"] * 2
    files = collections.defaultdict(list)
    mails = 0
    for row in rows:
        where = rng.choice(shapes)
        if row.kind == "prose":
            where = "texts.jsonl"
        elif row.kind == "broken":
            where = sorted(BROKEN)[row.facts["how"] % len(BROKEN)]
        elif row.kind == "bytes":
            where = "pairs.jsonl.gz"
        elif row.system or row.before:
            where = rng.choice(["chats.jsonl", "share.jsonl"])
        elif row.kind in ("plain", "iban", "card", "email", "phone", "person") and mails < 200 and rng.random() < 0.05 and not re.search(r"(?m)^(From |>|-- ?$)", row.question + "\n" + row.answer):
            where = "mails.mbox"
            mails += 1
        elif where == "tickets.csv":
            try:
                (row.question + row.answer).encode("latin-1")
                if re.search("[\u0080-\u009f]", row.question + row.answer):
                    where = "export.tsv"
            except UnicodeEncodeError:
                where = "export.tsv"
        row.file = where
        if where not in ("mails.mbox", "texts.jsonl"):
            row.customer = f"K{rng.randrange(len(rows) // 6):05d}" if rng.random() < 0.8 else None
            if row.customer and rng.random() < 0.5:
                row.contact = contacts.setdefault(row.customer, email(rng))
        files[where].append(row)
    for where in files:
        rng.shuffle(files[where])
    order = ["chats.jsonl", "pairs.jsonl.gz", "tickets.csv", "export.tsv", "alpaca.json", "share.jsonl", "bundle.zip", "texts.jsonl", "mails.mbox"]
    plant_broken(rng, files)
    case = 0
    for name in order:
        for row in files[name]:
            case += 1
            row.case = row.id = case
    writers = {"chats.jsonl": write_chat, "pairs.jsonl.gz": write_pair, "share.jsonl": write_share, "texts.jsonl": lambda r: dump({"text": r.answer, "case": r.case})}
    for name, write in writers.items():
        lines = [BROKEN[name][row.facts["form"]](row, row.facts["value"]) if row.kind == "broken" else write(row) for row in files[name]]
        data = ("\n".join(lines) + "\n").encode().replace("\ue000".encode(), b"\xe9").replace("\ue001".encode(), b"\x81\xff\x9d")
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    for name, encoding, o in (("tickets.csv", "latin-1", {"delimiter": ";", "lineterminator": "\r\n"}), ("export.tsv", "utf-16", {"delimiter": "\t", "lineterminator": "\n"})):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(table_text(files[name], o).encode(encoding))
    with open(os.path.join(folder, "alpaca.json"), "w", encoding="utf-8") as f:
        json.dump([alpaca(r) for r in files["alpaca.json"]], f, ensure_ascii=False, indent=1)
    with zipfile.ZipFile(os.path.join(folder, "bundle.zip"), "w", zipfile.ZIP_DEFLATED) as z:
        half = len(files["bundle.zip"]) // 2
        z.writestr(zipfile.ZipInfo("a/pairs.jsonl"), "\n".join(map(write_pair, files["bundle.zip"][:half])) + "\n")
        z.writestr(zipfile.ZipInfo("b/table.csv"), table_text(files["bundle.zip"][half:], {"delimiter": ",", "lineterminator": "\n"}))
    with open(os.path.join(folder, "mails.mbox"), "wb") as f:
        for row in files["mails.mbox"]:
            f.write(mail_thread(rng, row))
    return [os.path.join(folder, name) for name in order if files[name]], files


def plant_broken(rng, files):
    kinds = ["email", "iban", "card"]
    for name in sorted(BROKEN):
        n = 0
        for row in files[name]:
            if row.kind == "broken":
                row.facts["form"] = n % len(BROKEN[name])
                row.facts["hidden"] = kinds[n % 3]
                row.facts["value"] = MAKERS[kinds[n % 3]](rng)
                n += 1


def table_text(rows, dialect):
    out = io.StringIO()
    w = csv.DictWriter(out, ["case", "customer", "contact", "question", "answer"], **dialect)
    w.writeheader()
    for row in rows:
        w.writerow({"question": row.question, "answer": row.answer, **meta_of(row, True)})
    return out.getvalue()


def mail_thread(rng, row):
    asker, helper = email(rng).lower(), "help@sparkasse-nord.de"
    row.facts["asker"] = asker
    out = []
    for i, (sender, to, text) in enumerate(((asker, helper, row.question), (helper, asker, row.answer))):
        body = base64.encodebytes(text.encode()).decode()
        reply = f"In-Reply-To: <case{row.case}.0@mail.invalid>\nReferences: <case{row.case}.0@mail.invalid>\n" if i else ""
        out.append(f"From {sender} Mon Jan  5 10:{i:02d}:00 2026\nFrom: <{sender}>\nTo: <{to}>\nDate: Mon, 5 Jan 2026 10:{i:02d}:00 +0000\nSubject: {'Re: ' if i else ''}Case {row.case}\n"
                   f"Message-ID: <case{row.case}.{i}@mail.invalid>\n{reply}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{body}\n")
    return "".join(out).encode()


def build(data, folder, rows, seed):
    rng = random.Random(seed)
    pools, held = pools_read(data)
    plan, evaluation = plant(rng, pools, held, rows / 20000)
    for _ in range(round(500 * rows / 20000)):
        plan.add(Row("prose", *plan.take(["prose"])))
    while len(plan.rows) < rows:
        q, a = plan.take(["bash", "bank", "maths"])
        row = plan.add(Row("plain", q, a))
        if rng.random() < 0.15:
            row.system = SYSTEM
        elif rng.random() < 0.1:
            row.before = [plan.take(["bank"])]
    contacts = {}
    inputs, files = write_files(rng, plan.rows, folder, contacts)
    half = len(evaluation) // 2
    evals = [os.path.join(folder, "eval.jsonl"), os.path.join(folder, "eval_chat.jsonl")]
    with open(evals[0], "w", encoding="utf-8") as f:
        for q, a in evaluation[:half]:
            f.write(dump({"question": q, "answer": a}) + "\n")
    with open(evals[1], "w", encoding="utf-8") as f:
        for q, a in evaluation[half:]:
            f.write(dump({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}) + "\n")
    return plan.rows, inputs, evals, [q for q, _ in evaluation], contacts


# ---- what came out ----

def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def asked_of(row):
    """What an evaluation set may know of a row: the user's turns, together and one by one, without system texts; of a plain text, the text."""
    if "messages" not in row:
        return [row.get("prompt") or row.get("text") or ""]
    last = max(i for i, m in enumerate(row["messages"]) if m["role"] == "assistant")
    turns = row["messages"][:last]
    return ["\n".join(m["content"] for m in turns if m["role"] != "system" and m.get("content"))] + [m["content"] for m in turns if m["role"] == "user"]


def texts_of(row):
    """question and answer as record.h says: every turn before the last answer, and that."""
    if "prompt" in row:
        return row["prompt"], row["completion"]
    if "text" in row:
        return "", row["text"]
    messages = row["messages"]
    last = max(i for i, m in enumerate(messages) if m["role"] == "assistant")
    return "\n".join(m["content"] for m in messages[:last] if m.get("content")), messages[last]["content"]


class Result:
    def __init__(self, out):
        self.part, self.row, self.removed = {}, {}, {}
        self.double, self.order = [], {}
        for part in ("train", "validation", "test"):
            for r in lines_of(os.path.join(out, part + ".jsonl")):
                if r["id"] in self.part:
                    self.double.append(r["id"])
                self.part[r["id"]] = part
                self.row[r["id"]] = r
        for r in lines_of(os.path.join(out, "removed.jsonl")):
            if r["id"] in self.removed or r["id"] in self.part:
                self.double.append(r["id"])
            self.removed[r["id"]] = r
        self.decisions = collections.defaultdict(list)
        for d in lines_of(os.path.join(out, "decisions.jsonl")):
            self.decisions[d["row"]].append(d)

    def said(self, row_id, pass_name, text="", action=None):
        return any(d["pass"] == pass_name and text in d["reason"] and (not action or d["action"] == action) for d in self.decisions[row_id])

    def left_by(self, row_id, pass_name, text=""):
        r = self.removed.get(row_id)
        return bool(r) and r["pass"] == pass_name and text in r["reason"]


SEPARATORS = re.compile(r"[\s\u00a0\-]+")


def plain_forms(kind, value):
    bare = SEPARATORS.sub("", value).upper()
    return bare if kind in ("iban", "card") else value.upper()


def left_in_plain(out, values):
    """Of (kind, value): those that stand in a file below the folder as they are, in any case; IBANs and cards also with other or no blanks and hyphens."""
    found = []
    for base, _, names in sorted(os.walk(out)):
        for name in sorted(names):
            with open(os.path.join(base, name), encoding="utf-8", errors="replace") as f:
                text = f.read().replace("\\u00a0", "\u00a0").replace("\\n", "\n").upper()
            bare = SEPARATORS.sub("", text)
            for kind, value, row in values:
                if plain_forms(kind, value) in (bare if kind in ("iban", "card") else text):
                    found.append((kind, value, row, name))
    return found


class Table:
    def __init__(self):
        self.lines, self.musts = [], []

    def row(self, kind, planted, found, note="", flagged=None, right=None):
        recall = f"{found}/{planted}" + (f" {100 * found / planted:.1f}%" if planted else "")
        precision = "" if flagged is None else f"{right}/{flagged}" + (f" {100 * right / flagged:.1f}%" if flagged else "")
        self.lines.append(f"{kind:34} {recall:18} {precision:18} {note}")

    def must(self, what, wrong, detail=""):
        self.musts.append((what, wrong, detail))

    def show(self):
        print(f"\n{'kind':34} {'found/planted':18} {'right/taken for it':18}")
        print("\n".join(self.lines))
        print()
        for what, wrong, detail in self.musts:
            print(f"{'ok   ' if not wrong else 'WRONG'} {what}: {wrong}{'  ' + detail if wrong and detail else ''}")
        return 1 if any(w for _, w, _ in self.musts) else 0


def judge(rows, result, out, evals, near, misses):
    t, by_id = Table(), {r.id: r for r in rows}
    kinds = collections.defaultdict(list)
    for r in rows:
        kinds[r.kind].append(r)

    def miss(kind, row, why=""):
        if shown[kind] < misses:
            shown[kind] += 1
            print(f"miss, {kind}: row {row.id} of {row.file} {why}\n     {dump(result.removed.get(row.id) or result.row.get(row.id))[:700]}\n     {dump([(d['pass'], d['action'], d['reason']) for d in result.decisions[row.id]])[:400]}")
    shown = collections.Counter()

    # identity, and that ids are what we take them for
    seen = set(result.part) | set(result.removed)
    t.must("rows that are in no file, or in none of ours", len(seen ^ set(by_id)), str(sorted(seen ^ set(by_id))[:5]))
    t.must("rows that are in two files or twice", len(result.double), str(result.double[:5]))
    t.must("removed rows without a reason or a decision", sum(not r["reason"] or not result.said(i, r["pass"], action="remove") for i, r in result.removed.items()))
    t.must("rows that both stay and have a decision to remove", sum(any(d["action"] == "remove" for d in result.decisions[i]) for i in result.part))
    known = [(i, r.get("meta", {}).get("case")) for i, r in list(result.row.items()) + [(i, x["row"]) for i, x in result.removed.items() if "row" in x]]
    t.must("rows with another number than they were written under", sum(str(c) != str(i) for i, c in known if c is not None), str([x for x in known if x[1] is not None and str(x[1]) != str(x[0])][:3]))
    known = {i for i, c in known if c is not None}

    # duplicates
    for kind in ["exact"] + [f"near {a}-{b}" for a, b in BANDS]:
        both = [r for r in kinds[kind] if r.id in result.part and r.facts["of"].id in result.part]
        t.row(f"duplicates, {kind}", len(kinds[kind]), len(kinds[kind]) - len(both), "to be kept" if kind[:8] in ("near 0.6", "near 0.7") else "")
        if kind == "exact":
            t.must("exact duplicates of which both stay", len(both), str([(r.facts["of"].id, r.id) for r in both[:4]]))
        for r in both:
            if kind[:8] not in ("near 0.6", "near 0.7"):
                miss(f"duplicates, {kind}", r, f"beside {r.facts['of'].id} in {r.facts['of'].file}, Jaccard as planted {r.facts.get('jaccard', 1):.3f}")
    dropped = [i for i, r in result.removed.items() if r["pass"] == "duplicates"]
    ids = sorted(result.part) + sorted(dropped)
    body = {i: texts_of(result.row[i] if i in result.part else result.removed[i]["row"]) for i in ids}
    sets = [set_of("\n".join(x for x in body[i] if x)) for i in ids]
    pairs = similar_pairs(sets, near)
    cluster = dict(zip(ids, components(len(ids), pairs)))
    kept = {i: next(d["kept"] for d in result.decisions[i] if d["pass"] == "duplicates") for i in dropped}
    right = sum(cluster[i] == cluster[kept[i]] for i in dropped if kept[i] in cluster)
    caught = sum(ids[a] not in result.part or ids[b] not in result.part for a, b in pairs)
    t.row(f"pairs of {near} and more, all rows", len(pairs), caught, "true pairs among all rows that reached the comparison", len(dropped), right)
    for i in dropped:
        if kept[i] not in cluster or cluster[i] != cluster[kept[i]]:
            miss("wrong duplicate", by_id[i])
    left = [(ids[a], ids[b], j) for (a, b), j in pairs.items() if ids[a] in result.part and ids[b] in result.part]
    across = [x for x in left if result.part[x[0]] != result.part[x[1]]]
    t.must(f"pairs of {near} and more across parts", len(across), f"of {len(left)} that stay; {across[:4]}")

    # groups
    for name, of in (("customers", lambda r: r.customer), ("persons", lambda r: r.contact)):
        parts = collections.defaultdict(set)
        for i, part in result.part.items():
            if of(by_id[i]):
                parts[of(by_id[i])].add(part)
        t.must(f"{name} in two parts", sum(len(x) > 1 for x in parts.values()), f"of {len(parts)}")
    asked = collections.defaultdict(list)
    for i in result.part:
        q = " ".join(plain_words(body[i][0]))
        if q:
            asked[q].append(i)
    split = [v for v in asked.values() if len({result.part[i] for i in v}) > 1]
    t.must("questions, word for word, in two parts", len(split), f"of {len(asked)}; {split[:3]}")

    # broken rows
    gone = [r for r in kinds["broken"] if r.id in result.removed]
    imports = [i for i, r in result.removed.items() if r["pass"] == "import"]
    t.row("broken rows", len(kinds["broken"]), len(gone), "", len(imports), sum(by_id[i].kind == "broken" for i in imports))
    for r in kinds["broken"]:
        if r.id in result.part:
            miss("broken rows", r)
    t.must("broken rows that are trained", len(kinds["broken"]) - len(gone))
    whole = any("not UTF-8" in d["reason"] and d["file"].endswith("pairs.jsonl.gz") for d in result.decisions[0])
    told = [r for r in kinds["bytes"] if r.id in result.removed or (whole if "\ue000" in r.question else result.said(r.id, "encoding"))]
    t.row("bytes that are no UTF-8", len(kinds["bytes"]), len(told), "told of the row, or of the file where they are letters of another encoding", sum(result.said(i, "encoding") for i in by_id),
          sum(result.said(r.id, "encoding") for r in kinds["bytes"]))

    # repairs: back to the text before the harm
    for kind, names in (("mojibake", ("mojibake",)), ("html", ("entities", "tags"))):
        live = [r for r in kinds[kind] if r.id in result.part]
        good = []
        for r in live:
            q, a = body[r.id]
            want_q, want_a = r.facts.get("clean_question", r.question), r.facts["clean"]
            if SEPARATORS.sub(" ", a).strip() == SEPARATORS.sub(" ", want_a).strip() and SEPARATORS.sub(" ", q).strip().endswith(SEPARATORS.sub(" ", want_q).strip()):
                good.append(r)
            elif not result.said(r.id, "pii"):
                miss(kind, r, f"wanted {dump(want_q)[:200]} / {dump(want_a)[-200:]}")
        judged = [r for r in live if r in good or not result.said(r.id, "pii")]
        touched = [i for i in by_id if any(d["pass"] == "repair" and set(d["reason"].split(", ")) & set(names) for d in result.decisions[i])]
        t.row(f"{kind}, as it was before", len(judged), len(good), "of those that stay and hold no personal data", len(touched), sum(by_id[i].kind in (kind, "leak in harmed text", "bytes") for i in touched))
        for i in touched:
            if by_id[i].kind not in (kind, "leak in harmed text", "bytes"):
                miss(f"repaired, but no {kind}", by_id[i])

    # answers
    for kind in ("truncated prose", "truncated sums", "refusal"):
        rule = kind.split()[0]
        flagged = [i for i in by_id if result.said(i, "quality", rule + ":")]
        t.row(f"answers, {kind}", len(kinds[kind]), sum(r.id in result.removed for r in kinds[kind]), "", len(flagged), sum(by_id[i].kind.startswith(rule) for i in flagged))
        for i in flagged:
            if not by_id[i].kind.startswith(rule):
                miss(f"taken for {rule}", by_id[i])
        for r in kinds[kind]:
            if r.id in result.part:
                miss(f"answers, {kind}", r)
    live = [r for r in kinds["contradiction"] if r.id in result.part and r.facts["of"].id in result.part]
    flagged = [i for i in result.part if result.said(i, "contradiction")]
    truth = {i for v in asked.values() if len({" ".join(plain_words(body[i][1])) for i in v}) > 1 for i in v}
    t.row("contradictions", len(live), sum(result.said(r.id, "contradiction") for r in live), "noted, of pairs that both stay", len(flagged), sum(i in truth for i in flagged))
    for r in live:
        if not result.said(r.id, "contradiction"):
            miss("contradictions", r)

    # personal data
    values = [(k, r.facts["value"], r.id) for k in FRAMES for r in kinds[k]] + [(r.facts["hidden"], r.facts["value"], r.id) for r in kinds["broken"] if r.facts["value"] in BROKEN_TEXT[r.id]]
    values += [("email", r.contact, r.id) for r in rows if r.contact] + [("email", r.facts["asker"], r.id) for r in rows if "asker" in r.facts]
    found = left_in_plain(out, values)
    for kind in FRAMES:
        mine = [v for v in values if v[0] == kind]
        bad = {(v, i) for k, v, i, _ in found if k == kind}
        if kind == "person":  # a name may also be drawn as the surrogate of another: only its own row counts
            bad = {(v, i) for v, i in bad if v.upper() in dump(result.row.get(i) or result.removed.get(i)).upper()}
        said = [i for i in by_id for d in result.decisions[i] if d["pass"] == "pii" and kind in d.get("kinds", {})]
        have = {i for _, _, i in mine}
        t.row(f"personal data, {kind}", len(mine), len(mine) - len({x for x in mine if (x[1], x[2]) in bad}), "values that stand in no file", len(said) if kind not in ("person", "phone") else None,
              sum(i in have for i in said))
        for v, i in sorted(bad):
            miss(f"personal data, {kind}", by_id[i], f"{v!r} in {sorted({n for k, w, j, n in found if (w, j) == (v, i)})}")
        if kind in ("iban", "card", "email", "secret"):
            t.must(f"planted values in plain, {kind}", len(bad), str(sorted(bad)[:4]))
        if kind not in ("person", "phone"):
            for i in said:
                if i not in have and by_id[i].kind not in ("leak with personal data",):
                    miss(f"taken for {kind}", by_id[i])

    # leaks
    eval_words = [plain_words(q) for q in evals]
    runs, eval_sets = collections.defaultdict(set), [shingles(w, SHINGLE) for w in eval_words]
    for n, w in enumerate(eval_words):
        for g in zip(*(w[i:] for i in range(RUN))):
            runs[g].add(n)

    def overlaps(row):
        words = [plain_words(text) for text in asked_of(row)]
        return any(g in runs for g in zip(*(words[0][i:] for i in range(RUN)))) or any(jaccard(shingles(w, SHINGLE), s) >= near for w in words for s in candidates(w))
    having = collections.defaultdict(set)
    for n, s in enumerate(eval_sets):
        for x in s:
            having[x].add(n)

    def candidates(w):
        return [eval_sets[n] for n in sorted({n for x in shingles(w, SHINGLE) for n in having.get(x, ())})]
    flagged = [i for i, r in result.removed.items() if r["pass"] == "overlap"]
    right = [i for i in flagged if by_id[i].kind.startswith("leak") or overlaps(result.removed[i]["row"])]
    leaks = [r for r in rows if r.kind.startswith("leak")]
    for kind in sorted({r.kind for r in leaks}):
        gone = [r for r in kinds[kind] if r.id not in result.part]
        by_other = [r for r in gone if not result.left_by(r.id, "overlap")]
        t.row(kind, len(kinds[kind]), len(gone), f"{len(by_other)} of them left for another reason" if by_other else "", *((len(flagged), len(right)) if kind == "leak verbatim" else (None, None)))
        for r in kinds[kind]:
            if r.id in result.part:
                miss(kind, r, f"asked is {dump(r.facts['source'])[:300]}")
        t.must(f"planted leaks that stay, {kind[5:]}", len(kinds[kind]) - len(gone))
    for i in flagged:
        if i not in right:
            miss("no leak", by_id[i])
    stay = [i for i in result.part if overlaps(result.row[i])]
    t.must("rows that stay and share 13 words or a near duplicate with an evaluation question", len(stay), str(stay[:5]))
    plain = [r for r in rows if r.kind in ("plain", "original", "prose") and r.id in result.removed]
    why = collections.Counter(f"{result.removed[r.id]['pass']}: {result.removed[r.id]['reason'].split(':')[0][:40]}" for r in plain)
    t.lines.append(f"\nrows without a planted fault: {sum(r.kind in ('plain', 'original', 'prose') for r in rows)}, left: {len(plain)}: " + ", ".join(f"{k} {n}" for k, n in why.most_common(12)))
    t.lines.append("parts: " + ", ".join(f"{k} {n}" for k, n in sorted(collections.Counter(result.part.values()).items())) + f"; removed {len(result.removed)}; checked by case {len(known)}")
    return t.show()


BROKEN_TEXT = {}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("hone")
    p.add_argument("data")
    p.add_argument("--rows", type=int, default=20000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--near", type=float, default=0.8)
    p.add_argument("--keep", help="folder for the corpus and the result; default: a temporary one")
    p.add_argument("--misses", type=int, default=0, help="print so many misses of each kind")
    args = p.parse_args()
    folder = args.keep or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    corpus, out = os.path.join(folder, "corpus"), os.path.join(folder, "out")
    for d in (corpus, out):
        shutil.rmtree(d, ignore_errors=True)
    os.makedirs(corpus)
    try:
        rows, inputs, evals, questions, _ = build(args.data, corpus, args.rows, args.seed)
        for r in rows:
            if r.kind == "broken":
                BROKEN_TEXT[r.id] = BROKEN[r.file][r.facts["form"]](r, r.facts["value"])
        start = time.time()
        command = [args.hone, "prep", *inputs, "-o", out, "--eval", ",".join(evals), "--group", "customer", "--subject", "contact", "--near", str(args.near)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=3000)
        if run.returncode:
            print(f"judge_prep: {' '.join(command)} ends with {run.returncode}:\n{run.stderr[-3000:]}", file=sys.stderr)
            return 2
        print(f"{len(rows)} rows in {len(inputs)} files, {sum(os.path.getsize(x) for x in inputs) / 1e6:.1f} MB, {len(questions)} evaluation rows; hone prep took {time.time() - start:.1f} s\n{run.stdout.strip()}\n{run.stderr.strip()[-1500:]}")
        return judge(rows, Result(out), out, questions, args.near, args.misses)
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
