#!/usr/bin/env python3
"""golden_tokenizer.py - makes tests/golden/tokenizer: what the `tokenizers` library says, for tests/tokenizer/test_golden.c to compare with.

Pinned: tokenizers 0.23.3, Python 3.11 (its Unicode 14 data choose the characters). Run with the path of a folder that has models/stories260K:

    python tools/golden_tokenizer.py --shared ../shared

Writes
  lines.jsonl       20,000 lines of mixed text, one JSON string each; the same for every run (seeded generator)
  byte_level.json   a byte-level BPE tokenizer trained on such lines
  big.json          for stories260K and byte_level: ids of the first lines, and a hash per block of lines of ids, plain ids and decoded text
  shapes.json       many small BPE tokenizers, one for each component and option, with texts, ids and decoded text
  kinds.json        the same for the other models (Unigram, WordPiece, WordLevel) and the components that come with them
"""
import argparse
import base64
import io
import json
import os
import random
import struct
import tempfile
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PINNED = "0.23.3"
LINES, BLOCK, FULL = 20000, 50, 200
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]

SCRIPTS = [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A), (0x660, 0x669),
           (0x905, 0x939), (0x93E, 0x94D), (0x985, 0x9B9), (0xB85, 0xBB9), (0xE01, 0xE3A), (0xE40, 0xE5B), (0x10D0, 0x10F0), (0x1200, 0x1248),
           (0x1780, 0x17B3), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1100, 0x1112), (0x1161, 0x1175),
           (0x1F00, 0x1FFE), (0xFF01, 0xFF5E), (0x10400, 0x1044F), (0x1D400, 0x1D7FF)]
EMOJI = ["👩‍👩‍👧‍👦", "👍🏽", "🇫🇷🇩🇪", "❤️", "😀", "🏳️‍🌈", "1️⃣", "🧑🏿‍🚀"]
ODD = ["\u180e", "\u00a0", "\u200b", "\u200c", "\u200d", "\u2028", "\u2029", "\u3000", "\u0085", "\ufeff", "\u00ad", "\u0000", "\u0001",
       "\u001b", "\u007f", "\u009f", "\ufffd", "\uffff", "\U0010ffff", "\ue000", "\u2581", "\u0120", "\u010a", "\u1680", "\u202f", "\u2003"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u0327", "\u20dd", "\u064b", "\u0e47", "\u3099", "\u094d", "\ufe0f", "\u0345"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\t\t ", "\u00a0 "]
CODE = ["int main(void) { return 0; }", "for (int i = 0; i < n; i++)", "def f(x):\n    return x**2", "a->b.c[3] += 0x1F;", "SELECT * FROM t WHERE id=7;",
        "<div class=\"x\">&nbsp;</div>", "https://example.org/a?b=c&d=%20", "x = {'k': [1, 2.5e-3]}", "#!/bin/sh\nset -e", "\\frac{a}{b}", "let mut v: Vec<u8>;"]
WORDS = ("the once upon a time little girl named Lily loved to play in park with her friends it's they're we'll I'm don't you've he'd CAN'T 'S "
         "bank account transfer card money top-up 2023 3.14 1,000,000 e.g. Mr. naïve café Straße İstanbul ΣΊΣΥΦΟΣ œuvre ﬁne ½ Ⅷ ² ₂ ⓐ ª").split()


def word(r):
    return "".join(chr(r.randrange(lo, hi + 1)) for lo, hi in [r.choice(SCRIPTS)] for _ in range(r.randrange(1, 9)))


def any_char(r):
    while True:
        c = r.randrange(0x110000)
        if r.random() < 0.7:
            c %= 0x3000
        if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co"):
            return chr(c)


PARTS = [  # weight, maker
    (30, lambda r: r.choice(WORDS)),
    (12, word),
    (6, lambda r: str(r.randrange(10 ** r.randrange(1, 12)))),
    (4, lambda r: r.choice(EMOJI)),
    (5, lambda r: r.choice(ODD)),
    (4, lambda r: r.choice("aeouAn가क") + "".join(r.choice(MARKS) for _ in range(r.randrange(1, 4)))),
    (2, lambda r: "".join(r.choice(MARKS) for _ in range(r.randrange(1, 3)))),
    (3, lambda r: r.choice(CODE)),
    (4, lambda r: "".join(r.choice(".,;:!?()[]{}'\"-_/\\|@#$%^&*+=<>~`«»“”…、。") for _ in range(r.randrange(1, 6)))),
    (3, lambda r: r.choice(SPECIALS + ["<s>", "</s>", "<unk>", "<0x0A>", "<|im_", "im_end|>", "<tool>", "<T>"])),
    (4, lambda r: "".join(any_char(r) for _ in range(r.randrange(1, 5)))),
    (2, lambda r: r.choice(" \t\n") * r.randrange(1, 12)),
]


def line(r):
    if r.random() < 0.004:
        return r.choice(["a", "ab", "lalala", "한글", "\u0301a", " ", "\n ", "😀"]) * r.randrange(50, 200)
    weights = [w for w, _ in PARTS]
    text = ""
    for _ in range(r.randrange(1, 9)):
        text += r.choices(PARTS, weights)[0][1](r)
        if r.random() < 0.75:
            text += r.choice(SPACES) if r.random() < 0.25 else " "
    return text


def lines(n, seed):
    r = random.Random(seed)
    return ["", " ", "Once upon a time"] + [line(r) for _ in range(n - 3)]


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def without_specials(tok):
    j = json.loads(tok.to_str())
    j["added_tokens"] = [t for t in j["added_tokens"] if not t["special"]]
    return Tokenizer.from_str(json.dumps(j))


def train_byte_level(text):
    tok = Tokenizer(models.BPE(ignore_merges=False))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1400, special_tokens=SPECIALS, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    tok.train_from_iterator(text, trainer)
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A <|end_of_text|>", pair="$A $B",
                                      special_tokens=[(s, tok.token_to_id(s)) for s in SPECIALS[:2]])])
    tok.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("lily", single_word=True), AddedToken("<T>", lstrip=True, rstrip=True)])
    return tok


def big(tok, text):
    plain = without_specials(tok)
    out = {"full": [], "ids": [], "plain": [], "text": [], "skip": []}
    for at in range(0, len(text), BLOCK):
        buf = {k: bytearray() for k in ("ids", "plain", "text", "skip")}
        for s in text[at:at + BLOCK]:
            ids = tok.encode(s).ids
            alone = plain.encode(s, add_special_tokens=False).ids
            if len(out["full"]) < FULL:
                out["full"].append(ids)
            buf["ids"] += struct.pack("<%di" % (len(ids) + 1), *ids, -1)
            buf["plain"] += struct.pack("<%di" % (len(alone) + 1), *alone, -1)
            buf["text"] += tok.decode(ids, skip_special_tokens=False).encode() + b"\xff"
            buf["skip"] += tok.decode(ids).encode() + b"\xff"
        for k in buf:
            out[k].append(fnv(buf[k]))
    return out


# --- small tokenizers: every component and option once ------------------------------------------------------------------------------

def small_models():
    """Vocabulary and merges that the shapes share."""
    corpus = [w for w in WORDS for _ in range(3)] + ["hello world", "low lower lowest", "123 45", "don't stop"] * 5
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=260, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    meta = json.loads(tok.to_str())["model"]
    some = {k: v for k, v in meta["vocab"].items()}
    byte_names = ["<0x%02X>" % i for i in range(256)]
    fallback = dict(some, **{b: len(some) + i for i, b in enumerate(byte_names)})
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    byte = json.loads(tok.to_str())["model"]
    # Prefix and suffix: the trainer numbers such entries in the order of a hash table, so the merges are written down here, growing each
    # word from the left.
    vocab, merges = {"<unk>": 0}, []
    for w in sorted(set(corpus)):
        for part in w.split():
            symbols = [("##" if i else "") + c + ("</w>" if i == len(part) - 1 else "") for i, c in enumerate(part)]
            for s in symbols:
                vocab.setdefault(s, len(vocab))
            grown = symbols[0]
            for s in symbols[1:3] if len(part) % 2 else symbols[1:]:
                if [grown, s] not in merges:
                    merges.append([grown, s])
                grown += s[2:]
                vocab.setdefault(grown, len(vocab))
    return {"meta": (some, meta["merges"]), "fallback": (fallback, meta["merges"]), "byte": (byte["vocab"], byte["merges"]),
            "dressed": (vocab, merges)}


def added(i, content, **kw):
    return dict({"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}, **kw)


def shapes():
    """name, vocabulary, model options, everything else of tokenizer.json"""
    meta, byte, fall, dressed = "meta", "byte", "fallback", "dressed"
    bl = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    unk = {"unk_token": "<unk>"}
    rows = []

    def row(name, vocab=meta, model=unk, **rest):
        rows.append((name, vocab, model, rest))

    row("no decoder, unknowns kept apart")
    row("unknowns fused", model={"unk_token": "<unk>", "fuse_unk": True})
    row("unknowns dropped", model={})
    for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"):
        row("normalizer " + form, byte, {}, normalizer={"type": form}, pre_tokenizer=bl, decoder=bl)
    row("accents off", byte, {}, normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
        pre_tokenizer=bl, decoder=bl)
    for left, right in ((True, True), (True, False), (False, True)):
        row("strip %d%d" % (left, right), byte, {}, normalizer={"type": "Strip", "strip_left": left, "strip_right": right}, pre_tokenizer=bl, decoder=bl)
    row("replace string", byte, {}, normalizer={"type": "Replace", "pattern": {"String": "l"}, "content": "LL"}, pre_tokenizer=bl, decoder=bl)
    row("replace regex", byte, {}, normalizer={"type": "Replace", "pattern": {"Regex": r"\s{2,}|\d"}, "content": "#"}, pre_tokenizer=bl, decoder=bl)
    row("replace empty", byte, {}, normalizer={"type": "Replace", "pattern": {"Regex": r"(?<=[lo])x*"}, "content": "-"}, pre_tokenizer=bl, decoder=bl)
    row("byte-level normalizer", byte, {}, normalizer={"type": "ByteLevel"}, decoder=bl)
    row("byte-level normalizer and split", byte, {}, normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "ByteLevel"}]},
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "Ġ+"}, "behavior": "MergedWithNext", "invert": False}, decoder=bl)
    for space in (False, True):
        for regex in (False, True):
            b = dict(bl, add_prefix_space=space, use_regex=regex)
            row("byte level %d%d" % (space, regex), byte, {}, pre_tokenizer=b, decoder=bl, post_processor=b)
    row("byte level, whole words first", byte, {"ignore_merges": True}, pre_tokenizer=bl, decoder=bl)
    row("byte level in the middle", byte, {}, decoder=bl,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [bl, {"type": "Digits", "individual_digits": True}]})
    for behaviour in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            row("split %s %d" % (behaviour, invert), byte, {}, decoder=bl, pre_tokenizer={"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": r"[lo\s]"}, "behavior": behaviour, "invert": invert}, dict(bl, use_regex=False)]})
        row("split string " + behaviour, byte, {}, decoder=bl, pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"String": "l"}, "behavior": behaviour, "invert": False}, dict(bl, use_regex=False)]})
        row("punctuation " + behaviour, byte, {}, decoder=bl, pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "Punctuation", "behavior": behaviour}, dict(bl, use_regex=False)]})
    row("split everywhere", byte, {}, decoder=bl, pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False}, dict(bl, use_regex=False)]})
    for regex in (LLAMA3, r"\w+|\W", r"[\w]+", r"\b", r"\B", r"(?i:LOW|t)+", r"\p{Han}+|\p{Greek}+", r"\p{N}{1,3}+", r"^.|.$", r"[^\S\n]+", r"(?<=l)o|\v|\h{2}", r"(\w)\1",
                  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}|\s+"):
        row("regex " + regex, byte, {}, decoder=bl, pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}, dict(bl, use_regex=False)]})
    row("whitespace", pre_tokenizer={"type": "Whitespace"})
    row("whitespace split", pre_tokenizer={"type": "WhitespaceSplit"})
    for each in (False, True):
        row("digits %d" % each, pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": each}, {"type": "WhitespaceSplit"}]})
    for scheme in ("first", "always", "never"):
        for split in (False, True):
            m = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}
            row("metaspace %s %d" % (scheme, split), pre_tokenizer=m, decoder=m, added_tokens=[added(1, "<s>", special=True), added(2, "</s>", special=True)])
    row("metaspace first behind a strip", normalizer={"type": "Strip", "strip_left": True, "strip_right": False}, decoder={"type": "Fuse"},
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False})
    llama = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                              {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    prep = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    fb = dict(unk, byte_fallback=True, fuse_unk=True)
    row("llama", fall, fb, normalizer=prep, decoder=llama, added_tokens=[added(i, s, special=True) for i, s in enumerate(["<unk>", "<s>", "</s>"])],
        post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                        "special_tokens": {"<s>": {"id": "<s>", "ids": [1, 2], "tokens": ["<s>", "</s>"]}}})
    row("gemma", fall, fb, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        decoder={"type": "Sequence", "decoders": llama["decoders"][:3]})
    row("strip both ends of each token", fall, fb, normalizer=prep, decoder={"type": "Sequence", "decoders": [
        {"type": "Strip", "content": "▁", "start": 2, "stop": 0}, {"type": "ByteFallback"}]})
    row("strip the end of all", fall, fb, decoder={"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "l", "start": 1, "stop": 0},
                                                                                    {"type": "Replace", "pattern": {"Regex": "l+"}, "content": "L"}]})
    row("prefix and suffix", dressed, dict(unk, continuing_subword_prefix="##", end_of_word_suffix="</w>"), pre_tokenizer={"type": "Whitespace"},
        decoder={"type": "BPEDecoder", "suffix": "</w>"})
    row("suffix and metaspace", dressed, dict(unk, continuing_subword_prefix="##", end_of_word_suffix="</w>"), pre_tokenizer={"type": "WhitespaceSplit"},
        decoder={"type": "Sequence", "decoders": [{"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Metaspace", "replacement": "#", "prepend_scheme": "always",
                                                                                         "split": True}]})
    for flag in ("single_word", "lstrip", "rstrip", "normalized", "special"):
        row("added " + flag, byte, {}, pre_tokenizer=bl, decoder=bl, normalizer={"type": "Lowercase"},
            added_tokens=[added(i, s, **{flag: True}) for i, s in enumerate(["low", "LOW", "lower", " x", "<s>", "wor"], 400) if flag != "normalized" or s != "LOW"])
    row("added, prefix of normaliser", fall, fb, normalizer=prep, decoder=llama,
        added_tokens=[added(1, "<s>", special=True, normalized=True), added(2, "</s>", lstrip=True, rstrip=True), added(600, "lo"), added(601, "low w")])
    return rows


SHAPE_TEXTS = ["", " ", "hello world", "  low  lower\tlowest\n", "Don't STOP the 123 45678 1,000!", "naïve café Straße İstanbul ΣΊΣΥΦΟΣ ﬁne ½ Ⅷ ²",
               "e\u0301 A\u030a\u0323 가각 \u1100\u1161\u11a8 क्षि", "日本語 text 漢字かな αβγ", "👩‍👩‍👧‍👦 👍🏽", "<s>low</s> LOW<s> lower x lowly </s>  wor ld", "a\u180eb\u00a0c\u200bd\u3000e\u0085f",
               "x = {'k': [1, 2.5e-3]}; // ok?", "\u0000\u0001\u007f\ufffd", "lllooo low-lower_l ll", "\r\n\r\n  \n a \n", "▁low▁ l▁", "½¾ ⓐⓑ ª_ a\u200db \u0301"]


def shape_cases(tok, texts):
    out = []
    for s in texts:
        try:
            enc = tok.encode(s)
        except BaseException as e:  # the library itself stops on some texts (inserted characters at the start of a text): no verdict
            if "PanicException" not in type(e).__name__:
                raise
            continue
        out.append([s, enc.ids, tok.decode(enc.ids, skip_special_tokens=False), tok.decode(enc.ids)])
    return out


def shape_json(vocabs, vocab, model, rest):
    j = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
         "decoder": None}
    j.update(rest)
    j["model"] = dict({"type": "BPE"}, **model, vocab=vocabs[vocab][0], merges=vocabs[vocab][1])
    return j


# --- the other models -----------------------------------------------------------------------------------------------------------------

# What a character map replaces; the real ones are too large to keep. One key begins another, one has two characters, some become nothing.
RULES = {"ﬁ": "fi", "½": "1⁄2", "Ⅷ": "VIII", "²": "2", "\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": " ", "\u3000": " ", "\u0001": "", "\u007f": "",
         "A\u030a": "Å", "e\u0301": "é", "①": "1", "Ａ": "A", "ｂ": "b", "…": "...", "\u00ad": "", "©": "(c)", "가": "ga", "क": "k", "\u0600": "#", "ª": "a", "é": "e*"}


def trained_pieces(text):
    """Unigram entries with scores, and a small character map, both by SentencePiece's own trainer."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    rules = os.path.join(tempfile.mkdtemp(), "rules.tsv")
    with open(rules, "w", encoding="utf-8") as f:
        for a, b in RULES.items():
            f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=model, model_type="unigram", vocab_size=330, num_threads=1,
                                             normalization_rule_tsv=rules, hard_vocab_limit=False, minloglevel=2, character_coverage=0.99)
    proto = pb.ModelProto()
    proto.ParseFromString(model.getvalue())
    return [[p.piece, p.score] for p in proto.pieces], base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def other_models():
    corpus = [w for w in WORDS for _ in range(3)] + ["hello world", "low lower lowest", "123 45", "don't stop"] * 5
    pieces, charsmap = trained_pieces(corpus)
    byte_pieces = [["<0x%02X>" % i, -20.0] for i in range(256)]
    vocab = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3}
    for w in sorted({c.lower() for w in corpus for c in w}):
        vocab.setdefault(w, len(vocab))
        vocab.setdefault("##" + w, len(vocab))
    for w in ("hello", "low", "##er", "##est", "the", "##ll", "##o", "wor", "##ld", "don", "stop", "na", "##ive", "1", "##23", "hell"):
        vocab.setdefault(w, len(vocab))
    words = {w: i for i, w in enumerate(["[UNK]", "hello", "world", "low", "the", ",", "!", "_", "123", "日本語", "Don"])}
    word = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}
    uni = {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False}
    tie = [["<unk>", 0.0], ["la", -1.1], ["lala", -2.2], ["l", -3.3000000000000003], ["a", -0.1], ["lal", -2.3], ["al", -1.0999999999999999], ["o", -7.7]]
    return {"unigram": uni, "fallback": dict(uni, vocab=pieces + byte_pieces, byte_fallback=True), "ties": dict(uni, vocab=tie), "word": word,
            "short": dict(word, max_input_chars_per_word=4), "bare": dict(word, continuing_subword_prefix=""),
            "level": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": words}}, {"type": "Precompiled", "precompiled_charsmap": charsmap}


def kind_shapes(charsmap):
    rows = []

    def row(name, model, texts=KIND_TEXTS, **rest):
        rows.append((name, model, texts, rest))

    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    bert = {"type": "BertPreTokenizer"}
    t5 = {"type": "Sequence", "normalizers": [charsmap, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    row("unigram alone", "unigram")
    row("unigram, character map", "unigram", normalizer=charsmap, pre_tokenizer=meta, decoder=meta)
    row("unigram, map and spaces", "unigram", normalizer=t5, pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, meta]}, decoder=meta)
    row("unigram, byte fallback", "fallback", pre_tokenizer=dict(meta, split=False, prepend_scheme="first"),
        decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        added_tokens=[added(1, "<s>", special=True), added(2, "</s>", special=True)])
    row("unigram, ties", "ties")
    row("nmt", "unigram", normalizer={"type": "Nmt"}, pre_tokenizer=meta)
    for clean in (False, True):
        for accents in (None, False, True):
            row("bert normalizer %s %s" % (clean, accents), "word", pre_tokenizer=bert, decoder={"type": "WordPiece", "prefix": "##", "cleanup": clean},
                normalizer={"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": clean, "strip_accents": accents, "lowercase": accents is None})
    row("short words", "short", pre_tokenizer=bert, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True})
    row("no prefix", "bare", pre_tokenizer=bert)
    lower = {"type": "Lowercase"}
    row("bert processing", "word", normalizer=lower, pre_tokenizer=bert, post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        added_tokens=[added(i, s, special=True) for s, i in (("[UNK]", 0), ("[CLS]", 1), ("[SEP]", 2))] + [added(3, "[MASK]", special=True, lstrip=True)],
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True})
    one = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[MASK]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
           "special_tokens": {"[MASK]": {"id": "[MASK]", "ids": [3], "tokens": ["[MASK]"]}}}
    row("processors one after the other", "word", pre_tokenizer=bert, post_processor={"type": "Sequence", "processors": [
        {"type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1], "trim_offsets": True, "add_prefix_space": False}, one]})
    row("word level", "level", pre_tokenizer={"type": "Whitespace"})
    for name, pre in (("scripts", {"type": "UnicodeScripts"}), ("lengths", {"type": "FixedLength", "length": 5}), ("delimiter", {"type": "CharDelimiterSplit", "delimiter": "l"}),
                      ("digits and punctuation", {"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Digits", "individual_digits": True}]})):
        row(name, "word", normalizer=lower, pre_tokenizer=pre)
    for regex in (r"[\p{L}&&[^a-l]]+", r"[a-f[o-z]]+", r"[^a-f[o-z]\s]", r"[a-z&&[^aeiou]&&\w]+", r"[[lo][\d]]", r"[^\w&&[^ ]]"):
        row("sets " + regex, "unigram", pre_tokenizer={"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False})
    for clean in (False, True):
        row("ctc %d" % clean, "unigram", decoder={"type": "CTC", "pad_token": "o", "word_delimiter_token": "▁", "cleanup": clean}, pre_tokenizer=meta)
    origins = {"type": "Sequence", "pretokenizers": [{"type": "FixedLength", "length": 1}, dict(meta, prepend_scheme="first")]}
    replace = [{"type": "Replace", "pattern": {"Regex": r}, "content": c} for r, c in (("^..", "xy"), ("^a", ""), ("e", "low"))]
    for name, steps in (("NFC", [{"type": "NFC"}]), ("NFD", [{"type": "NFD"}]), ("NFKC", [{"type": "NFKC"}]), ("NFKD", [{"type": "NFKD"}]),
                        ("NFD, NFC", [{"type": "NFD"}, {"type": "NFC"}]), ("map", [charsmap]), ("map, prefix, map", [charsmap, {"type": "Prepend", "prepend": "ab"}, charsmap]),
                        ("replace", replace), ("prefix, map, NFD, replace", [{"type": "Prepend", "prepend": "½"}, charsmap, {"type": "NFD"}, replace[0]])):
        row("who is first behind " + name, "unigram", ORIGIN_TEXTS, normalizer={"type": "Sequence", "normalizers": steps}, pre_tokenizer=origins)
    return rows


KIND_TEXTS = ["", " ", "hello  World, don't stop!", "naïve café Straße İstanbul ﬁne ½ Ⅷ ²", "e\u0301 A\u030a\u0323 가각\u0301 क\u0301 \u1100\u1161\u0301 x", "日本語 text, 漢字かな αβγ123",
              "ﬁ\u0301 ½\u20dd ©\u200d® a\u0301\u0301 \u0600x", "<s>low</s> [MASK] lowly[SEP]", "\u0000\u0001\u007f\ufffd\u00ad\tb\r\n", "lalalalala lalal allalo o lo",
              "👩‍👩‍👧 👍🏽 1️⃣ it 's do not n't"]

# Beginnings that a normaliser joins, parts, sorts or takes away.
ORIGIN_TEXTS = ["the e", "\u0001 low", "\u0001\u0001aé", "½\u0001x", "ﬁ\u0001\u00ad o", "e\u0301a", "ậ\u0301o", "a\u0301\u0323o", "\u0344\u0323a", "A\u030a\u0323x", "가각", "\u1100\u1161\u11a8o",
                "क़\u0301", "Ａｂ", "ae"]


def kinds():
    tokenizer_models, charsmap = other_models()
    out = {"models": tokenizer_models, "shapes": []}
    for name, model, texts, rest in kind_shapes(charsmap):
        j = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
             "decoder": None}
        tok = Tokenizer.from_str(json.dumps(dict(j, **rest, model=tokenizer_models[model])))
        out["shapes"].append({"name": name, "model": model, "rest": rest, "cases": shape_cases(tok, texts)})
    return out


def write(path, value, rows=False):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        if rows:
            f.write("".join(json.dumps(v, ensure_ascii=False) + "\n" for v in value))
        else:
            f.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--shared", required=True, help="folder with models/stories260K")
    p.add_argument("--only", help="write this file alone: kinds")
    p.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "tests", "golden", "tokenizer"))
    a = p.parse_args()
    if tokenizers.__version__ != PINNED:
        raise SystemExit("golden_tokenizer.py: tokenizers %s is pinned, this is %s" % (PINNED, tokenizers.__version__))
    os.makedirs(a.out, exist_ok=True)
    write(os.path.join(a.out, "kinds.json"), kinds())
    if a.only == "kinds":
        return
    text = lines(LINES, 1)
    write(os.path.join(a.out, "lines.jsonl"), text, rows=True)
    trained = train_byte_level(lines(6000, 2))
    with open(os.path.join(a.out, "byte_level.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(json.loads(trained.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    stories = Tokenizer.from_file(os.path.join(a.shared, "models", "stories260K", "tokenizer.json"))
    write(os.path.join(a.out, "big.json"), {"block": BLOCK, "byte_level": big(trained, text), "stories260K": big(stories, text)})
    vocabs = small_models()
    out = {"vocabs": {k: {"vocab": v, "merges": m} for k, (v, m) in vocabs.items()}, "shapes": []}
    for name, vocab, model, rest in shapes():
        tok = Tokenizer.from_str(json.dumps(shape_json(vocabs, vocab, model, rest)))
        out["shapes"].append({"name": name, "vocab": vocab, "model": model, "rest": rest, "cases": shape_cases(tok, SHAPE_TEXTS)})
    write(os.path.join(a.out, "shapes.json"), out)


if __name__ == "__main__":
    main()
