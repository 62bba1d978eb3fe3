#!/usr/bin/env python3
"""golden_language.py - writes tests/prep/golden/language.tsv: the example sentences of spaCy 3.8.18 (MIT licence), which the models were not trained on.

    pip download --no-deps -d DIR spacy==3.8.18
    python tools/golden_language.py DIR/spacy-*.whl > tests/prep/golden/language.tsv
"""
import ast
import re
import sys
import zipfile

KNOWN = "af az ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms mt nl no pl pt ro sk sl sq sv tl tr vi yo be bg kk mk ru sr uk ar fa ur hi mr ne el " \
        "hy he bn gu kn ml ta te th ko am ja zh si".split()
wheel = zipfile.ZipFile(sys.argv[1])
print("# made by tools/golden_language.py from the example sentences of spaCy 3.8.18, MIT licence, (c) ExplosionAI GmbH: language, sentence")
for name in sorted(wheel.namelist()):
    m = re.match(r"spacy/lang/(\w+)/examples\.py$", name)
    code = {"nb": "no", "nn": "no"}.get(m[1], m[1]) if m else None
    if code in KNOWN:
        text = wheel.read(name).decode()
        for s in ast.literal_eval(text[text.index("["):text.rindex("]") + 1]):
            if isinstance(s, str) and len(s) >= 25 or (code in ("ja", "zh", "ko") and isinstance(s, str)):
                print("%s\t%s" % (code, re.sub(r"\s+", " ", s)))
