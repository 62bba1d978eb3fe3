#!/usr/bin/env python3
"""repair_tables.py - makes src/prep/repair_tables.inc: code pages (asked of Python's codecs), the classes of characters that mojibake is made of
(asked of ftfy 6.3.1, Apache-2.0, whose heuristic repair_mojibake.c follows), and the names of HTML 4 entities (asked of html.entities).

    python tools/repair_tables.py [OUT]        (needs ftfy==6.3.1)
"""
import html.entities
import os
import re
import sys

import ftfy
import ftfy.badness
import ftfy.chardata

PAGES = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso8859-2", "mac-roman", "cp437"]
CLASSES = ["common", "c1", "bad", "law", "currency", "start_punctuation", "end_punctuation", "numeric", "kaomoji", "upper_accented",
           "lower_accented", "upper_common", "lower_common", "box"]
CLUES = ["utf8_first_of_2", "utf8_first_of_3", "utf8_first_of_4", "utf8_continuation", "utf8_continuation_strict"]


def main():
    assert ftfy.__version__ == "6.3.1"
    out = open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "src", "prep", "repair_tables.inc"), "w")
    out.write("/* repair_tables.inc - made by tools/repair_tables.py from Python's codecs and ftfy 6.3.1: do not edit. */\n\n")
    out.write("#ifdef REPAIR_MOJIBAKE_TABLES\n")
    out.write("/* bytes 0x80 to 0xFF of each code page; a byte without a character stands for the control character of its number */\n")
    out.write("static const uint16_t pages[%d][128] = {\n" % len(PAGES))
    for page in PAGES:
        out.write("    { /* %s */\n" % page)
        cps = []
        for b in range(128, 256):
            try:
                cps.append(ord(bytes([b]).decode(page)))
            except UnicodeDecodeError:
                cps.append(b)
        for i in range(0, 128, 16):
            out.write("        " + " ".join("0x%04X," % c for c in cps[i:i + 16]) + "\n")
        out.write("    },\n")
    out.write("};\n\n")
    sets = [re.compile("[" + ftfy.badness.MOJIBAKE_CATEGORIES[c] + "]") for c in CLASSES]
    sets += [re.compile("[" + ftfy.chardata.UTF8_CLUES[c] + "]") for c in CLUES]
    out.write("/* character, classes: bit n is row n of enum in repair_mojibake.c; sorted */\n")
    out.write("static const struct { uint16_t cp; uint32_t classes; } kinds[] = {\n")
    cells = []
    for cp in range(0x80, 0x10000):
        bits = sum(1 << k for k, s in enumerate(sets) if s.match(chr(cp)))
        if bits:
            cells.append("{ 0x%04X, 0x%05X }," % (cp, bits))
    for i in range(0, len(cells), 6):
        out.write("    " + " ".join(cells[i:i + 6]) + "\n")
    out.write("};\n#endif\n\n#ifdef REPAIR_ENTITY_TABLES\n")
    out.write("/* sorted by bytes */\nstatic const struct { char name[12]; uint16_t cp; } entities[] = {\n")
    names = dict(html.entities.name2codepoint, apos=39)
    cells = ['{ "%s", 0x%X },' % (n, names[n]) for n in sorted(names)]
    for i in range(0, len(cells), 6):
        out.write("    " + " ".join(cells[i:i + 6]) + "\n")
    out.write("};\n#endif\n")


if __name__ == "__main__":
    main()
