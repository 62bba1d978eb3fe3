#!/usr/bin/env python3
"""judge_tokenizer.py - hone's tokenizer beside the `tokenizers` library, on much text: not a test of every build, but a proof by hand.

    python tools/judge_tokenizer.py lines HONE DATA [--lines 200000] [--kind NAME]   one trained tokenizer of each kind, the same mixed lines
    python tools/judge_tokenizer.py fuzz  HONE DATA [--seconds 600] [--kind NAME] [--seed 1]   random pipelines of each kind, random text
    python tools/judge_tokenizer.py chars HONE DATA [--kind NAME]   every character of Unicode through every component that classes characters

DATA is a folder with texts to train on (any *.jsonl and *.txt below it). Invariants: everything follows from the seed; each difference is printed with
the tokenizer (as tokenizer.json in --keep) and the text; the status is 1 when there was one. Lines on which the library itself panics are
counted and left out. Needs tokenizers, sentencepiece and transformers of tools/requirements.txt."""
import argparse
import glob
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import golden_tokenizer as golden

SPM_RULES = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")


def corpus(data, limit=8000):
    out = []
    for path in sorted(glob.glob(os.path.join(data, "**", "*"), recursive=True)):
        if path.endswith((".jsonl", ".txt", ".csv")):
            with open(path, encoding="utf-8", errors="replace") as f:
                out += [line.rstrip("\n") for line in f if line.strip()]
    random.Random(7).shuffle(out)
    return out[:limit]


def spm(text, kind, rule, size, **more):
    """A SentencePiece model's pieces with their scores and its character map."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=model, model_type=kind, vocab_size=size, hard_vocab_limit=False,
                                             normalization_rule_name=rule, minloglevel=2, num_threads=2, **more)
    from sentencepiece import sentencepiece_model_pb2 as pb
    proto = pb.ModelProto()
    proto.ParseFromString(model.getvalue())
    return [(p.piece, p.score) for p in proto.pieces], proto.normalizer_spec.precompiled_charsmap


class Parts:
    """What the pipelines of both commands are put together from; trained once."""

    def __init__(self, data, size=3000):
        mixed = golden.lines(3000, 5)
        text = [s.replace("\0", "") for s in corpus(data) + mixed if s.strip()]  # a NUL in a key is refused by hone's JSON
        specials = ["<unk>", "<s>", "</s>"]
        self.unigram, self.maps = {}, {}
        for rule in SPM_RULES:
            self.unigram[rule], self.maps[rule] = spm(text, "unigram", rule, size * 2 // 3, byte_fallback=rule == "nfkc", character_coverage=0.99)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())

        def train(model, trainer, pre, norm=None):
            tok = Tokenizer(model)
            tok.pre_tokenizer = pre
            if norm:
                tok.normalizer = norm
            tok.train_from_iterator(text, trainer)
            return json.loads(tok.to_str())["model"]

        self.byte = train(models.BPE(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False), pre_tokenizers.ByteLevel())
        self.meta = train(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False),
                          pre_tokenizers.Metaspace())
        self.word = train(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
            pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())
        self.level = train(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=["[UNK]"], show_progress=False),
                           pre_tokenizers.Whitespace())
        vocab = dict(self.meta["vocab"])
        for i in range(256):
            vocab.setdefault("<0x%02X>" % i, len(vocab))
        self.fallback = dict(self.meta, vocab=vocab, byte_fallback=True, fuse_unk=True)


# --- one of each kind -------------------------------------------------------------------------------------------------------------------

def state(part):
    return json.loads(part.__getstate__())


def added(tok, *contents):
    return [{"id": i, "content": c, "single_word": False, "lstrip": c == "[MASK]", "rstrip": False, "normalized": False, "special": True}
            for c in contents for i in [tok["vocab"][c] if isinstance(tok["vocab"], dict) else [p for p, _ in tok["vocab"]].index(c)]]


def kinds(parts):
    bl = state(pre_tokenizers.ByteLevel(add_prefix_space=False))
    llama3 = [{"type": "Split", "pattern": {"Regex": golden.LLAMA3}, "behavior": "Isolated", "invert": False}, dict(bl, use_regex=False)]
    prep = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    llama = state(decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    metaspace = state(pre_tokenizers.Metaspace())
    import base64
    maps = {k: {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(v).decode()} for k, v in parts.maps.items() if v}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}

    def uni(rule, **more):
        return dict({"type": "Unigram", "unk_id": 0, "vocab": parts.unigram[rule], "byte_fallback": False}, **more)

    return {
        "byte-level": dict(model=parts.byte, pre_tokenizer={"type": "Sequence", "pretokenizers": llama3}, decoder=bl, normalizer={"type": "NFC"}),
        "gpt2": dict(model=parts.byte, pre_tokenizer=bl, decoder=bl, post_processor=state(processors.ByteLevel())),
        "ignore-merges": dict(model=dict(parts.byte, ignore_merges=True), pre_tokenizer={"type": "Sequence", "pretokenizers": llama3}, decoder=bl),
        "byte-fallback": dict(model=parts.fallback, normalizer=prep, decoder=llama, added_tokens=added(parts.fallback, "<unk>", "<s>", "</s>")),
        "unigram": dict(model=uni("nmt_nfkc"), normalizer={"type": "Sequence", "normalizers": [maps["nmt_nfkc"], spaces]}, pre_tokenizer=metaspace,
                        decoder=metaspace, added_tokens=added(uni("nmt_nfkc"), "<unk>", "<s>", "</s>")),
        "unigram-fallback": dict(model=uni("nfkc", byte_fallback=True), normalizer=maps["nfkc"], decoder=llama,
                                 pre_tokenizer=state(pre_tokenizers.Metaspace(prepend_scheme="first", split=False))),
        "unigram-folded": dict(model=uni("nmt_nfkc_cf"), normalizer=maps["nmt_nfkc_cf"], decoder=metaspace,
                               pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}),
        "wordpiece": dict(model=parts.word, normalizer=state(normalizers.BertNormalizer()), pre_tokenizer={"type": "BertPreTokenizer"},
                          decoder=state(decoders.WordPiece()), added_tokens=added(parts.word, "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
                          post_processor=state(processors.BertProcessing(("[SEP]", parts.word["vocab"]["[SEP]"]), ("[CLS]", parts.word["vocab"]["[CLS]"])))),
        "wordpiece-cased": dict(model=parts.word, normalizer=state(normalizers.BertNormalizer(lowercase=False)), pre_tokenizer={"type": "BertPreTokenizer"},
                                decoder=state(decoders.WordPiece(cleanup=False))),
        "wordlevel": dict(model=parts.level, pre_tokenizer={"type": "Whitespace"}, normalizer={"type": "Lowercase"}),
    }


# --- the two programs -------------------------------------------------------------------------------------------------------------------

def tokenizer_json(rest):
    j = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
         "decoder": None, "model": None}
    j.update(rest)
    return json.dumps(j, ensure_ascii=False)


def ours(hone, folder, lines, *flags):
    """One line of output per line of input; after an error message the line is that message and the rest goes to a new process."""
    out = []
    while len(out) < len(lines):
        p = subprocess.run([hone, "tokenize", folder, "--json", *flags], input="".join(lines[len(out):]), capture_output=True, encoding="utf-8")
        got = p.stdout.split("\n")[:-1]
        out += got
        if p.returncode:
            if p.returncode < 0 or not p.stderr.strip():
                out.append("ERROR: status %d" % p.returncode)
            else:
                out.append("ERROR: " + p.stderr.strip().splitlines()[-1])
            if not got and "tokenizer.json" in out[-1]:
                return ["REFUSED: " + out[-1]]
        elif not got:
            break
    return out


class Panic:
    pass


def theirs(call, *args, **kw):
    try:
        return call(*args, **kw)
    except BaseException as e:
        if isinstance(e, (KeyboardInterrupt, SystemExit)):
            raise
        return Panic


def all_of(batch, one, items):
    """A batch call of the library, or one by one where it panics: the result or Panic for each item."""
    out = theirs(batch, items)
    return [theirs(one, x) for x in items] if out is Panic else out


def compare(hone, rest, texts, name, keep, report):
    with tempfile.TemporaryDirectory() as folder:
        whole = tokenizer_json(rest)
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            f.write(whole)
        tok = theirs(Tokenizer.from_str, whole)
        got = ours(hone, folder, [json.dumps(t, ensure_ascii=False) + "\n" for t in texts])
        if got and got[0].startswith("REFUSED"):
            report["refused" if tok is not Panic else "refused by both"] += 1
            if tok is not Panic:
                report["why"][got[0].split("tokenizer.json")[-1][:110]] = report["why"].get(got[0].split("tokenizer.json")[-1][:110], 0) + 1
            return
        if tok is Panic:
            report["opened here only"] += 1
            return
        want, differ = [], 0
        for t, line, enc in zip(texts, got, all_of(tok.encode_batch_fast, tok.encode, texts)):
            want.append(None if enc is Panic else enc.ids)
            if enc is Panic or line.startswith("ERROR: "):
                kind = "library panics" if enc is Panic and not line.startswith("ERROR: ") else "errors in both" if enc is Panic else "errors here only"
                report[kind] += 1
                if kind == "errors here only" and "combining marks" in line:
                    report["of these: many marks"] = report.get("of these: many marks", 0) + 1
                elif kind == "errors here only" and report[kind] < 4:
                    print("  %s: %s | %s" % (name, line[:200], ascii(t)[:200]))
                want[-1] = None
                continue
            report["lines"] += 1
            if json.loads(line) != enc.ids:
                differ += 1
                report["ids differ"] += 1
                if differ <= 3:
                    print("  %s: ids differ: %s\n    hone    %s\n    library %s" % (name, ascii(t)[:300], line[:200], str(enc.ids)[:200]))
        if len(got) != len(texts):
            print("  %s: %d lines came back for %d" % (name, len(got), len(texts)))
            report["ids differ"] += 1
        known = [i for i in want if i is not None]
        for flags, skip in (((), False), (("--no-special",), True)):
            back = ours(hone, folder, [json.dumps(i) + "\n" for i in known], "--decode", *flags)
            texts_of = all_of(lambda x: tok.decode_batch(x, skip_special_tokens=skip), lambda x: tok.decode(x, skip_special_tokens=skip), known)
            for ids, line, text in zip(known, back, texts_of):
                if text is Panic:
                    continue
                report["decoded"] += 1
                if line.startswith("ERROR: ") or json.loads(line) != text:
                    differ += 1
                    report["texts differ"] += 1
                    if differ <= 3:
                        print("  %s: texts differ: %s\n    hone    %s\n    library %s" % (name, str(ids)[:200], line[:300], ascii(text)[:300]))
        if differ and keep:
            os.makedirs(keep, exist_ok=True)
            with open(os.path.join(keep, "%s-%d.json" % (name, report["pipelines"])), "w", encoding="utf-8") as f:
                f.write(whole)


# --- random pipelines -------------------------------------------------------------------------------------------------------------------

def some(r, makers, most):
    return [r.choice(makers)() for _ in range(r.randrange(0, most + 1))]


def sequence(kind, key, parts):
    return None if not parts else parts[0] if len(parts) == 1 else {"type": "Sequence", key: parts}


def random_pipeline(r, parts, kind, base):
    flag = lambda: r.random() < 0.5
    behaviours = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    regexes = [golden.LLAMA3, r"\w+|\W", r"\p{N}{1,3}", r"[^\S\n]+", r"\s+(?!\S)", r"[a-z]+", r".", r"\s+$", r"\d", "(?i:lo|E)", r"[^\p{L}]+",
               r"[\p{L}&&[^a-z]]+", r"[a-c[x-z]]", r"[^a-c[x-z]\s]+", r"[a-z&&[^e]&&\w]+", r"[^\w&&[^0-9]]", r"[[a][b]]", r"\p{Han}|\p{Greek}+"]
    strings = [" ", "a", "▁", "e ", "é", "the", "\n", "-", "Ġ"]
    import base64
    spm_map = lambda: {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(parts.maps[r.choice([k for k, v in parts.maps.items() if v])]).decode()}
    pattern = lambda: {"Regex": r.choice(regexes)} if flag() else {"String": r.choice(strings)}
    normal = [lambda t=t: {"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")] + [
        lambda: {"type": "Strip", "strip_left": flag(), "strip_right": flag()},
        lambda: {"type": "Replace", "pattern": pattern(), "content": r.choice(["", " ", "▁", "xy"])},
        lambda: {"type": "Prepend", "prepend": r.choice(["▁", "a ", "é"])},
        lambda: {"type": "BertNormalizer", "clean_text": flag(), "handle_chinese_chars": flag(), "strip_accents": r.choice([None, True, False]), "lowercase": flag()},
        spm_map, spm_map]
    metaspace = lambda: {"type": "Metaspace", "replacement": r.choice("▁▁▁_"), "prepend_scheme": r.choice(["always", "first", "never"]), "split": flag()}
    byte = lambda: {"type": "ByteLevel", "add_prefix_space": flag(), "trim_offsets": flag(), "use_regex": flag()}
    pre = [lambda t=t: {"type": t} for t in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")] + [
        metaspace, metaspace,
        lambda: {"type": "Punctuation", "behavior": r.choice(behaviours)},
        lambda: {"type": "CharDelimiterSplit", "delimiter": r.choice(" a-é▁")},
        lambda: {"type": "Digits", "individual_digits": flag()},
        lambda: {"type": "FixedLength", "length": r.randrange(1, 9)},
        lambda: {"type": "Split", "pattern": pattern(), "behavior": r.choice(behaviours), "invert": flag()}]
    if kind == "bpe-byte":
        pre.append(byte)
    decode = [lambda t=t: {"type": t} for t in ("ByteFallback", "Fuse")] + [
        lambda: {"type": "Replace", "pattern": pattern(), "content": r.choice(["", " ", "xy"])},
        lambda: {"type": "Strip", "content": r.choice(" ▁ae"), "start": r.randrange(3), "stop": r.randrange(3)},
        lambda: {"type": "WordPiece", "prefix": r.choice(["##", "a", ""]), "cleanup": flag()},
        lambda: {"type": "BPEDecoder", "suffix": r.choice(["</w>", "e", "▁"])},
        lambda: {"type": "CTC", "pad_token": r.choice(["<pad>", "a"]), "word_delimiter_token": r.choice(["|", "e"]), "cleanup": flag()},
        lambda: dict(byte()), metaspace]
    model = dict(base)
    if kind.startswith("bpe"):
        model["ignore_merges"] = flag()
        model["fuse_unk"] = flag()
        if kind == "bpe-char":
            model["unk_token"] = r.choice([None, "<unk>", "<unk>"])
            model["byte_fallback"] = flag()
    if kind == "unigram":
        rule = r.choice(SPM_RULES)
        model = {"type": "Unigram", "unk_id": 0, "vocab": parts.unigram[rule], "byte_fallback": flag()}
    if kind == "wordpiece":
        model["max_input_chars_per_word"] = r.choice([100, 5, 1, 0])
        model["continuing_subword_prefix"] = r.choice(["##", "##", "##", "", "a"])
    names = [k for k, _ in model["vocab"]] if isinstance(model["vocab"], list) else list(model["vocab"])
    specials = [{"id": i, "content": c, "single_word": flag(), "lstrip": flag(), "rstrip": flag(), "normalized": flag(), "special": flag()}
                for i, c in enumerate(r.sample(["<s>", "</s>", "<|im_start|>", "low", "é", " x", "the", "LILY", "[SEP]"], r.randrange(0, 4)), len(names))]
    pick = r.choice(names)
    at = names.index(pick) if isinstance(model["vocab"], list) else model["vocab"][pick]
    post = r.choice([None, None, {"type": "BertProcessing", "sep": [pick, at], "cls": [pick, at]},
                     {"type": "RobertaProcessing", "sep": [pick, at], "cls": [pick, at], "trim_offsets": flag(), "add_prefix_space": flag()},
                     {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": flag(), "use_regex": True},
                                                         {"type": "BertProcessing", "sep": [pick, at], "cls": [pick, at]},
                                                         {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                                                                   {"SpecialToken": {"id": pick, "type_id": 0}}],
                                                          "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                                                          "special_tokens": {pick: {"id": pick, "ids": [at], "tokens": [pick]}}}]}])
    pres = some(r, pre, 3)
    if kind == "bpe-byte" and r.random() < 0.7:
        pres.append(byte())
    return dict(model=model, normalizer=sequence("n", "normalizers", some(r, normal, 3)), pre_tokenizer=sequence("p", "pretokenizers", pres),
                decoder=sequence("d", "decoders", some(r, decode, 3)), added_tokens=specials, post_processor=post)


def random_text(r):
    k = r.random()
    if k < 0.75:
        return golden.line(r)
    if k < 0.85:
        return "".join(golden.any_char(r) for _ in range(r.randrange(1, 40)))
    if k < 0.95:
        return "".join(r.choice("aeo\u0301\u0308\u0323 ▁\u200d©®\r\n\u0958\u094d\u1100\u1161\u11a8ﬁ½가") for _ in range(r.randrange(1, 30)))
    return r.choice(["lala", "the ", "ab", "▁", "é"]) * r.randrange(1, 400)


# --- every character ----------------------------------------------------------------------------------------------------------------------

def chars(hone, parts, only):
    """Each character between two letters, through each component that goes by classes of characters: the code points on which the two differ."""
    byte = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = lambda regex: {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    rows = {t: dict(normalizer={"type": t}) for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")}
    rows["BertNormalizer"] = dict(normalizer=state(normalizers.BertNormalizer()))
    rows["Strip"] = dict(normalizer={"type": "Strip", "strip_left": True, "strip_right": True})
    rows.update({t: dict(pre={"type": t}) for t in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")})
    rows["Punctuation"] = dict(pre={"type": "Punctuation", "behavior": "Isolated"})
    rows["Digits"] = dict(pre={"type": "Digits", "individual_digits": True})
    rows["ByteLevel"] = dict(pre=dict(byte, use_regex=True))
    for regex in (r"\p{L}", r"\p{N}", r"\w", r"\s", r"\d", golden.LLAMA3, "(?i:s)"):
        rows["regex " + regex] = dict(pre=split(regex))
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    bad = 0
    for name, row in rows.items():
        if only and only != name:
            continue
        rest = dict(model=parts.byte, normalizer=row.get("normalizer"),
                    pre_tokenizer={"type": "Sequence", "pretokenizers": [row["pre"], byte] if "pre" in row else [byte]})
        found, tok = [], Tokenizer.from_str(tokenizer_json(rest))
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
                f.write(tokenizer_json(rest))
            for at in range(0, len(every), 50000):
                texts = [c + "x" + c + "y" + c for c in every[at:at + 50000]]
                got = ours(hone, folder, [json.dumps(t) + "\n" for t in texts])
                for c, line, enc in zip(every[at:], got, tok.encode_batch_fast(texts)):
                    if not line.startswith("ERROR") and json.loads(line) == enc.ids:
                        continue
                    if found and found[-1][1] == ord(c) - 1:
                        found[-1][1] = ord(c)
                    else:
                        found.append([ord(c), ord(c)])
        total = sum(b - a + 1 for a, b in found)
        bad += total
        print("%-30s %6d characters differ %s" % (name[:30], total, " ".join("%X-%X" % (a, b) if a < b else "%X" % a for a, b in found[:40])), flush=True)
    return bad


def new_report():
    return dict({k: 0 for k in ("pipelines", "lines", "decoded", "ids differ", "texts differ", "refused", "refused by both", "opened here only",
                                "library panics", "errors in both", "errors here only")}, why={})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["lines", "fuzz", "chars"])
    p.add_argument("hone")
    p.add_argument("data")
    p.add_argument("--lines", type=int, default=200000)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--kind")
    p.add_argument("--keep")
    a = p.parse_args()
    parts, bad = Parts(a.data), 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the library prints when it panics; the count is in the report
    if a.what == "chars":
        sys.exit(1 if chars(a.hone, parts, a.kind) else 0)
    if a.what == "lines":
        rows = list(kinds(parts).items())
    else:
        rows = [("bpe-byte", parts.byte), ("bpe-char", parts.fallback), ("unigram", {}), ("wordpiece", parts.word), ("wordlevel", parts.level)]
    for name, rest in rows:
        if a.kind and a.kind != name:
            continue
        report = new_report()
        r = random.Random("%d %s" % (a.seed, name))
        if a.what == "lines":
            real = corpus(a.data, a.lines // 5)
            texts = real + [random_text(r) for _ in range(a.lines - len(real))]
            for at in range(0, len(texts), 20000):
                compare(a.hone, rest, texts[at:at + 20000], name, a.keep, report)
            report["pipelines"] = 1
        else:
            end = time.monotonic() + a.seconds
            while time.monotonic() < end:
                report["pipelines"] += 1
                compare(a.hone, random_pipeline(r, parts, name, rest), [random_text(r) for _ in range(100)], name, a.keep, report)
        bad += report["ids differ"] + report["texts differ"]
        print(name, {k: v for k, v in report.items() if v}, flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
