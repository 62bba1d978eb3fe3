#!/usr/bin/env python3
"""Measures how well hone prep tells answers that break off: real answers, whole and cut at random places.

    judge_truncated.py HONE DATA [MAN]     DATA: a folder with gsm8k/, nl2bash/, banking77/; MAN: an unpacked tree of translated manual pages
                                           (Debian's manpages-de, -fr, -es, -it, -nl), for prose in other languages

For each source: of the answers cut behind a random word, and inside of one, the share that is told (recall), without those whose cut is the end of a sentence,
which nobody can tell; and of the whole answers the share that is wrongly told."""
import csv, gzip, json, os, random, re, subprocess, sys, tempfile


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def manual(root, language):
    """Paragraphs of prose in manual pages, one to three of them together."""
    out, folder = [], os.path.join(root, "usr/share/man", language)
    for base, _, files in sorted(os.walk(folder)):
        for name in sorted(files):
            text = gzip.open(os.path.join(base, name), "rt", encoding="utf-8", errors="ignore").read()
            paragraphs, part = [], []
            for line in text.split("\n") + [".PP"]:
                if line[:1] in (".", "'"):
                    if line[1:3] in ("B ", "I ", "BR", "IR", "RB", "RI"):
                        part.append(re.sub(r'[" ]+', " ", line[3:]).strip())
                        continue
                    one = " ".join(part)
                    one = re.sub(r"\\f[A-Z]|\\f\(..|\\[&/,|^]|\\c", "", one)
                    one = re.sub(r"\\\((aq|cq)", "'", one).replace("\\-", "-").replace("\\(bu", "-").replace("\\ ", " ").replace("\\~", " ")
                    if "\\" not in one and len(one.split()) >= 12 and one[0].isupper() and one[-1] == "." and sum(c.isalpha() or c == " " for c in one) > 0.9 * len(one):
                        paragraphs.append(re.sub(r" +", " ", one))
                    part = []
                else:
                    part.append(line)
            i = 0
            while i < len(paragraphs):
                n = 1 + len(out) % 3
                out.append("\n\n".join(paragraphs[i:i + n]))
                i += n
    return out


def sources(data, man):
    yield "gsm8k", [r["answer"] for r in lines(os.path.join(data, "gsm8k/train.jsonl"))]
    yield "nl2bash", [r.get("cmd") or r.get("bash") or r.get("completion") or list(r.values())[-1] for r in lines(os.path.join(data, "nl2bash/nl2bash.jsonl"))]
    with open(os.path.join(data, "banking77/train.csv"), encoding="utf-8", newline="") as f:
        yield "banking77", [r["text"].strip() for r in csv.DictReader(f)]
    here = os.path.dirname(os.path.abspath(__file__))
    prose = []
    for name in ("README.md", "MODELS.md", "DESIGN.md"):
        for p in open(os.path.join(here, "..", name), encoding="utf-8").read().split("\n\n"):
            if p[:1].isalpha() and p.rstrip().endswith(".") and len(p.split()) > 20:
                prose.append(p.strip())
    yield "README", prose
    for language in ("de", "fr", "es", "it", "nl") if man else ():
        yield "manual " + language, manual(man, language)


def cuts(rng, text):
    """(kind, text cut) behind a word and inside of one; None where the text is too short."""
    ends = [m.end() for m in re.finditer(r"\S+", text)]
    if len(ends) < 6:
        return []
    at = ends[rng.randrange(3, len(ends) - 1)]
    inside = [i for i in range(ends[2], ends[-1] - 1) if text[i - 1].isalpha() and text[i].isalpha()]
    return [("word", text[:at])] + ([("half", text[:rng.choice(inside)])] if inside else [])


def main():
    hone, data, man = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
    show = int(os.environ.get("SHOW", "0"))
    rng = random.Random(1)
    print(f"{'source':10} {'whole':>6} {'wrongly':>8}   {'word cuts':>9} {'told':>6}   {'half words':>10} {'told':>6}   {'at an end':>9}")
    for name, answers in sources(data, man):
        answers = sorted(set(a for a in answers if a.strip()))
        rng.shuffle(answers)
        rows = []
        for a in answers[:3000]:
            rows.append(("whole", a))
            rows += cuts(rng, a)
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "in.jsonl")
            with open(path, "w", encoding="utf-8") as f:
                for _, a in rows:
                    f.write(json.dumps({"prompt": "Please explain it.", "completion": a}) + "\n")
            subprocess.run([hone, "prep", path, "-o", os.path.join(tmp, "d"), "--pii", "off", "--duplicates", "off", "--no-repair", "--quality", "report",
                            "--validation", "0", "--test", "0"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            told = {d["row"] for d in lines(os.path.join(tmp, "d", "decisions.jsonl")) if d["reason"].startswith("truncated")}
        count = {k: [0, 0] for k in ("whole", "word", "half", "end")}
        samples = {"whole": [], "missed": []}
        for i, (kind, a) in enumerate(rows, 1):
            kind = "end" if kind != "whole" and re.search(r"[.!?][\"')*]*$", a) else kind
            count[kind][0] += 1
            count[kind][1] += i in told
            if kind == "whole" and i in told:
                samples["whole"].append(a)
            if kind in ("word", "half") and i not in told:
                samples["missed"].append(a)
        share = lambda k: f"{100 * count[k][1] / max(1, count[k][0]):5.1f}%"
        print(f"{name:10} {count['whole'][0]:6} {share('whole'):>8}   {count['word'][0]:9} {share('word'):>6}   {count['half'][0]:10} {share('half'):>6}   {count['end'][0]:9}", flush=True)
        for kind in samples if show else ():
            for a in rng.sample(samples[kind], min(show, len(samples[kind]))):
                print(f"    {kind}: ...{a[-110:]!r}")


main()
