#!/usr/bin/env python3
"""debconf_sentences.py - sentences in some fifty languages that neither the models of src/prep/language nor their tests have seen, for tools/judge_language.py:
the questions that Debian packages ask when they are installed, as their translators wrote them.

    python tools/debconf_sentences.py [/var/lib/dpkg/info] > HELD.tsv       any Debian system; debconf, libc6, locales, postgresql-common, ... have them

Sentences of 20 characters and more, each once, the English original wherever it stands untranslated left out. One field of language: administration."""
import glob
import os
import re
import sys
import unicodedata

CODES = {"pt_BR": "pt", "zh_CN": "zh", "zh_TW": "zh", "nb": "no", "nn": "no"}


def fields(text):
    """(name, text) of every field, continued lines joined; a line with only a dot separates paragraphs."""
    for block in re.split(r"\n[ \t]*\n", text):
        for m in re.finditer(r"(?m)^([\w@.-]+):[ \t]?(.*(?:\n[ \t].*)*)", block):
            yield m[1], "\n".join("" if line.strip() == "." else line.strip() for line in m[2].split("\n"))


def sentences(text):
    for part in re.split(r"\n\n+", text):
        line = re.sub(r"\s+", " ", part).strip()
        for s in re.split(r"(?<=[.!?:;])\s+(?=[^\W\d_a-z])|(?<=[。！？।])", line):
            s = s.strip(" -*•")
            if sum(unicodedata.category(c)[0] == "L" for c in s) * 10 >= 6 * len(s) and "/" not in s and "${" not in s:
                yield s


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/var/lib/dpkg/info"
    english, found = set(), {}
    for path in sorted(glob.glob(os.path.join(folder, "*.templates"))):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        for name, value in fields(text):
            m = re.fullmatch(r"(?:Extended_)?[Dd]escription(?:-([A-Za-z]+(?:_[A-Z]+)?)\.utf-8)?", name, re.I)
            if not m:
                continue
            code = CODES.get(m[1], (m[1] or "en").lower())
            for s in sentences(value):
                if code == "en":
                    english.add(s)
                if len(s) >= (8 if code in ("ja", "zh", "ko") else 20):
                    found.setdefault(s, code)
    for s, code in sorted(found.items(), key=lambda x: (x[1], x[0])):
        if code == "en" or s not in english:
            print(f"{code}\t{s}")


if __name__ == "__main__":
    main()
