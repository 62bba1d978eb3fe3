#!/usr/bin/env python3
"""tokenizer_tables.py - makes src/tokenizer/classes.inc: the classes of characters that the `tokenizers` library goes by.

The library carries tables of several Unicode versions, so each class is asked of the library itself, character by character; only what it does not
show (pictographs, letters that cling by a linker, Hangul syllable types) comes from the Unicode data of the `regex` package.
Pinned: tokenizers 0.23.3, regex 2026.11.15. Writes to the path given, or to src/tokenizer/classes.inc:

    python tools/tokenizer_tables.py
"""
import argparse
import os
import struct
import unicodedata

import regex
import tokenizers
from tokenizers import normalizers, pre_tokenizers

PINNED = "0.23.3"
CHARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(members):
    """[first, last] of neighbours; the surrogates, which no text holds, do not part them."""
    out = []
    for c in sorted(members):
        if out and (out[-1][1] == c - 1 or (out[-1][1] == 0xD7FF and c == 0xE000)):
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def charsmap_all(text):
    """A compiled character map (double array as darts-clone writes it, then the texts) that turns every character into `text`."""
    units, free_block = {}, [1]

    def offset(o):
        return (o >> 8) << 10 | 1 << 9 if o >= 1 << 21 else o << 10

    trie = {}
    for c in CHARS[1:]:
        raw, at = chr(c).encode(), trie
        for b in raw[:-1]:
            at = at.setdefault(b, {})
        at[raw[-1]] = None

    # A leaf holds only its value, so all of them may point to one: unit 255.
    def place(node, children):
        base = free_block[0] * 256
        free_block[0] += 1
        units[node] = units.get(node, 0) | offset(node ^ base)
        for byte, deeper in children.items():
            child = base ^ byte
            units[child] = byte
            if deeper is None:
                units[child] |= offset(child ^ 255) | 1 << 8
            else:
                place(child, deeper)

    units[255] = 1 << 31
    place(0, trie)
    size = free_block[0] * 256
    blob = struct.pack("<%dI" % size, *[units.get(i, 0xFF) for i in range(size)])
    return struct.pack("<I", len(blob)) + blob + text.encode() + b"\0"


def scripts():
    """Character -> number of its script as UnicodeScripts sees it (0: any), by comparing neighbours."""
    pre = pre_tokenizers.UnicodeScripts()

    def splits(a, b):
        return len(pre.pre_tokenize_str(a + b)) > 1

    firsts, last, out = [(1, "a"), (2, "\u03b1")], 1, {}
    for c in CHARS:
        ch = chr(c)
        if not splits("a", ch) and not splits("\u03b1", ch):
            continue
        if splits(firsts[last - 1][1], ch):
            last = next((n for n, rep in firsts if not splits(rep, ch)), 0)
            if not last:
                last = len(firsts) + 1
                firsts.append((last, ch))
        out[c] = last
    return out


def young():
    """Characters that today's Unicode sorts, decomposes or composes, while the tables behind the library's normal forms do not know them yet."""
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    out = set()
    for c in CHARS[1:]:
        ch = chr(c)
        known = nfkd(ch) != ch or bool(regex.match(r"\p{Cn}", ch))
        if not known and not regex.match(r"\p{ccc=0}", ch):
            known = any(nfd(s) != s for s in ("a\u0301" + ch, "a" + ch + "\u0327", "a" + ch + "\u0334", "a\u0345" + ch))
            if not known:
                out.add(c)
        if not known and not regex.match(r"\p{dt=None}", ch):
            out |= {c} | {ord(p) for p in unicodedata.normalize("NFD", ch)}
    return out


def young_lower():
    """[first, last, lower case of the first] of characters whose lower case is younger than Unicode 14."""
    lower, out = normalizers.Lowercase().normalize_str, []
    for c in CHARS[1:]:
        to = lower(chr(c))
        if to == chr(c).lower() or len(to) != 1:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] + c - out[-1][0] == ord(to):
            out[-1][1] = c
        else:
            out.append([c, c, ord(to)])
    return out


def write_ranges(f, name, what, members):
    rows = ranges(members)
    f.write("/* %s */\nstatic const Range %s[] = {\n" % (what, name))
    write_rows(f, ["{ 0x%X, 0x%X }" % tuple(r) for r in rows])


def write_rows(f, cells):
    line = "   "
    for cell in cells:
        if len(line) + len(cell) + 2 > 148:
            f.write(line + "\n")
            line = "   "
        line += " " + cell + ","
    f.write(line + "\n};\n\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", nargs="?", default=os.path.join(os.path.dirname(__file__), "..", "src", "tokenizer", "classes.inc"))
    a = p.parse_args()
    if tokenizers.__version__ != PINNED:
        raise SystemExit("tokenizer_tables.py: tokenizers %s is pinned, this is %s" % (PINNED, tokenizers.__version__))

    def bert(**on):
        return normalizers.BertNormalizer(**dict(dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **on)).normalize_str

    clean, chinese, accents = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    marks, punct = normalizers.StripAccents().normalize_str, pre_tokenizers.Punctuation("removed").pre_tokenize_str
    every = tokenizers.normalizers.Precompiled(charsmap_all("X")).normalize_str
    joins = [c for c in CHARS[1:] if c > 0x7F and every("a" + chr(c)) == "X"]
    prepends = [c for c in CHARS[1:] if every(chr(c) + "a") == "X"]
    controls = [c for c in CHARS[1:] if len(chr(c).encode()) < 4 and every(chr(c) + "\u0301") != "X"]
    with open(a.out, "w", encoding="utf-8", newline="\n") as f:
        f.write("/* classes.inc - made by tools/tokenizer_tables.py from tokenizers %s: do not edit. Included by classes.c alone. */\n\n" % PINNED)
        write_ranges(f, "class_punct", "Punctuation and BertPreTokenizer cut here", [c for c in CHARS if not punct("a" + chr(c))[-1][0].endswith(chr(c))])
        write_ranges(f, "class_bert_control", "BertNormalizer, clean_text: dropped", [c for c in CHARS if clean(chr(c)) == ""])
        write_ranges(f, "class_bert_space", "BertNormalizer, clean_text: becomes a space", [c for c in CHARS if clean(chr(c)) == " "])
        write_ranges(f, "class_chinese", "BertNormalizer, handle_chinese_chars: gets spaces around it", [c for c in CHARS if len(chinese(chr(c))) == 3])
        write_ranges(f, "class_bert_accent", "BertNormalizer, strip_accents: dropped", [c for c in CHARS if accents(chr(c)) == ""])
        write_ranges(f, "class_mark", "StripAccents: dropped", [c for c in CHARS if marks(chr(c)) == ""])
        write_ranges(f, "class_joins", "grapheme clusters: clings to the character before", joins)
        write_ranges(f, "class_prepends", "grapheme clusters: clings to the character behind", prepends)
        write_ranges(f, "class_control", "grapheme clusters: stands alone", controls)
        write_ranges(f, "class_young", "normal forms: the library does not know how these are sorted, decomposed or composed", young())
        for name, what, prop in (("class_pictograph", "Extended_Pictographic", r"\p{Extended_Pictographic}"),
                                 ("class_consonant", "InCB=Consonant", r"\p{InCB=Consonant}"), ("class_linker", "InCB=Linker", r"\p{InCB=Linker}"),
                                 ("class_extend", "InCB=Extend", r"\p{InCB=Extend}")):
            write_ranges(f, name, what, [c for c in CHARS if regex.match(prop, chr(c))])
        f.write("/* Lowercase: first, last, lower case of the first; younger than the tables of the Unicode library */\nstatic const ValueRange lower_ranges[] = {\n")
        write_rows(f, ["{ 0x%X, 0x%X, 0x%X }" % tuple(r) for r in young_lower()])
        of = scripts()
        rows = []
        for c in sorted(of):
            if rows and rows[-1][2] == of[c] and rows[-1][1] == c - 1:
                rows[-1][1] = c
            else:
                rows.append([c, c, of[c]])
        f.write("/* UnicodeScripts: scripts by number; what is in no row goes with any */\nstatic const ValueRange script_ranges[] = {\n")
        write_rows(f, ["{ 0x%X, 0x%X, %d }" % tuple(r) for r in rows])


if __name__ == "__main__":
    main()
