#!/usr/bin/env python3
"""judge_repair.py - src/prep/repair beside ftfy 6.3.1: mojibake made from clean sentences, the clean sentences themselves, and real data sets.

    python tools/judge_repair.py HELD.tsv [--data shared/data] [--golden tests/prep/repair.test]

HELD.tsv: "language TAB sentence" lines, as tools/train_language.py --held-out writes them. Counted per way of garbling: how often our text is ftfy's,
how often ours and ftfy's are the clean sentence. Clean sentences: how often each changes one. Needs a C compiler and libutf8proc; ftfy==6.3.1.
--golden rewrites the rows of the file below its line "# made with ftfy" from the inputs there.
"""
import argparse
import collections
import csv
import ctypes
import glob
import json
import os
import random
import subprocess
import tempfile

import ftfy

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SHIM = r"""
#include "prep/repair.h"
#include <stdlib.h>
char *shim_repair(const char *p, size_t n, uint32_t on, uint32_t off, bool keep, size_t *len, uint32_t *counts);
int shim_markup(const char *p, size_t n);
char *shim_repair(const char *p, size_t n, uint32_t on, uint32_t off, bool keep, size_t *len, uint32_t *counts)
{
    StrBuf out = { 0 };
    RepairReport r;
    repair_text(&out, (Str){ p, n }, &(RepairOptions){ on, off, keep }, &r);
    for (int k = 0; k < REPAIR_KINDS; k++)
        counts[k] = r.count[k];
    *len = out.n;
    return strbuf_take(&out);
}
int shim_markup(const char *p, size_t n) { return repair_about_markup((Str){ p, n }); }
"""


def build(shim, sources, name):
    """A shared library of the sources with the shim, loaded."""
    folder = tempfile.mkdtemp()
    with open(folder + "/shim.c", "w") as f:
        f.write(shim)
    base = sorted(glob.glob(ROOT + "/src/base/*.c"))
    lib = "%s/%s.so" % (folder, name)
    subprocess.run(["cc", "-std=gnu11", "-O2", "-fPIC", "-shared", "-D_GNU_SOURCE", "-I" + ROOT + "/src", "-o", lib, folder + "/shim.c"] + sources + base +
                   ["-DHONE_VERSION=\"judge\"", "-lutf8proc", "-ljansson", "-lyaml", "-lnettle", "-lhwloc", "-lseccomp", "-lxxhash", "-lpthread", "-lm"], check=True)
    return ctypes.CDLL(lib)


class Repair:
    def __init__(self):
        self.lib = build(SHIM, sorted(glob.glob(ROOT + "/src/prep/repair*.c")), "repair")
        self.lib.shim_repair.restype = ctypes.c_void_p
        self.names = [line.split('"')[1] for line in open(ROOT + "/src/prep/repair.c") if line.startswith("    [REPAIR_") and '{ "' in line]
        self.libc = ctypes.CDLL(None)

    def __call__(self, text, only=None, keep=False):
        raw = text if isinstance(text, bytes) else text.encode()
        n, counts = ctypes.c_size_t(), (ctypes.c_uint32 * len(self.names))()
        off = 0 if only is None else ~(1 << self.names.index(only)) & 0xFFFFFFFF
        on = 0 if only is None else 1 << self.names.index(only)
        p = self.lib.shim_repair(raw, ctypes.c_size_t(len(raw)), ctypes.c_uint32(on), ctypes.c_uint32(off), ctypes.c_bool(keep), ctypes.byref(n), counts)
        out = ctypes.string_at(p, n.value).decode()
        self.libc.free(ctypes.c_void_p(p))
        return out, {self.names[k]: c for k, c in enumerate(counts) if c}

    def about_markup(self, text):
        raw = text.encode()
        return bool(self.lib.shim_markup(raw, ctypes.c_size_t(len(raw))))


def garble(text, page, times=1):
    for _ in range(times):
        text = text.encode().decode(page)
    return text


WAYS = [
    ("latin-1", lambda t, r: garble(t, "latin-1")),
    ("cp1252", lambda t, r: garble(t, "sloppy-windows-1252")),
    ("latin-1 twice", lambda t, r: garble(t, "latin-1", 2)),
    ("cp1252 twice", lambda t, r: garble(t, "sloppy-windows-1252", 2)),
    ("cp1252, lost bytes as U+FFFD", lambda t, r: t.encode().decode("cp1252", "replace")),
    ("cp1252, A0 became a space", lambda t, r: garble(t, "sloppy-windows-1252").replace("\xa0", " ")),
    ("cp1252, half of the words", lambda t, r: " ".join(garble(w, "sloppy-windows-1252") if r.random() < 0.5 else w for w in t.split(" "))),
    ("cp1251", lambda t, r: garble(t, "sloppy-windows-1251")),
    ("cp1250", lambda t, r: garble(t, "sloppy-windows-1250")),
    ("mac-roman", lambda t, r: garble(t, "macroman")),
    ("cp437", lambda t, r: garble(t, "cp437")),
]


def rows_of_data(folder):
    for f, keys in (("nl2bash/nl2bash.jsonl", ("prompt", "completion")), ("gsm8k/train.jsonl", ("question", "answer")), ("gsm8k/test.jsonl", ("question", "answer"))):
        for line in open(os.path.join(folder, f)):
            row = json.loads(line)
            yield f.split("/")[0], [row[k] for k in keys]
    for f in ("train.csv", "test.csv"):
        for row in csv.DictReader(open(os.path.join(folder, "banking77", f))):
            yield "banking77", [row["text"]]


def golden(repair, path):
    lines, out, rows = open(path).read().split("\n"), [], False
    k = 0
    while k < len(lines):
        if lines[k].startswith("# made with ftfy"):
            rows = True
        if rows and lines[k] and not lines[k].startswith("#"):
            text = json.loads('"%s"' % lines[k + 1])
            fixed = "\n".join(ftfy.fix_encoding(t) for t in text.split("\n"))
            out += [lines[k], lines[k + 1], json.dumps(fixed, ensure_ascii=False)[1:-1]]
            k += 3
        else:
            out.append(lines[k])
            k += 1
    open(path, "w").write("\n".join(out))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("held")
    ap.add_argument("--data")
    ap.add_argument("--golden")
    a = ap.parse_args()
    repair = Repair()
    if a.golden:
        golden(repair, a.golden)
    rng = random.Random(7)
    held = collections.defaultdict(list)
    for line in open(a.held):
        code, _, text = line.rstrip("\n").partition("\t")
        held[code].append(text)
    fix = ftfy.fix_encoding
    print("%-32s %7s %9s %10s %10s" % ("garbled as", "texts", "as ftfy", "ours right", "ftfy right"))
    shown = 0
    for name, way in WAYS:
        n = same = ours_ok = theirs_ok = 0
        for code in sorted(held):
            for clean in held[code][:40]:
                bad = way(clean, rng)
                if bad == clean or "\n" in bad or "\r" in bad:
                    continue
                ours, _ = repair(bad, "mojibake")
                theirs = fix(bad)
                n += 1
                same += ours == theirs
                ours_ok += ours == clean
                theirs_ok += theirs == clean
                if ours != theirs and shown < int(os.environ.get("SHOW", "0")):
                    shown += 1
                    print("   in", repr(bad), "\n  our", repr(ours), "\n ftfy", repr(theirs))
        print("%-32s %7d %8.2f%% %9.2f%% %9.2f%%" % (name, n, 100 * same / n, 100 * ours_ok / n, 100 * theirs_ok / n))
    n = ours = theirs = 0
    kinds = collections.Counter()
    for code in sorted(held):
        for clean in held[code]:
            n += 1
            fixed, _ = repair(clean, "mojibake")
            ours += fixed != clean
            theirs += fix(clean) != clean
            kinds.update(repair(clean)[1].keys())
    print("clean sentences in %d languages: %d; mojibake 'mended' by us %d, by ftfy %d; all repairs: %s" % (len(held), n, ours, theirs, dict(kinds)))
    if a.data:
        changed, rows = collections.defaultdict(collections.Counter), collections.Counter()
        for name, texts in rows_of_data(a.data):
            rows[name] += 1
            keep = any(repair.about_markup(t) for t in texts)
            for t in texts:
                fixed, counts = repair(t, keep=keep)
                changed[name].update(counts.keys())
                assert repair(fixed, keep=keep)[0] == fixed, t
                if counts and os.environ.get("SHOW_DATA") and shown < 400 and set(counts) - {"trailing", "nfc", "line_endings", "blank_lines"}:
                    shown += 1
                    print(name, counts, repr(t)[:300], "\n   ", repr(fixed)[:300])
        for name in rows:
            print("%s, %d rows: texts changed by %s" % (name, rows[name], dict(changed[name]) or "nothing"))


if __name__ == "__main__":
    main()
