#!/usr/bin/env python3
"""golden_tables.py - remakes tests/formats/golden/tables: small data files and what they hold, by Python's own readers and writers.

csv/NAME.csv with csv/expected.json[NAME] = {"options", "rows"}: rows as Python's csv module reads the bytes in that dialect.
packed/: the same rows in every packing, by gzip, bz2, lzma, zipfile, tarfile and zstandard; damaged ones and bombs.
encodings/NAME.txt with encodings/expected.json[NAME] = {"encoding", "text"}: text in many languages as Python encodes it.
Invariants: nothing is downloaded or random; times in archives are fixed, so two runs write the same bytes.
  golden_tables.py FOLDER
"""
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import zipfile

import zstandard

ROWS = [{"id": i, "text": f"Zeile {i}: Gr\u00fc\u00dfe, \u201eZitat\u201c\n\u4e16\u754c", "label": ["a", "b"][i % 2]} for i in range(50)]
JSONL = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode()


def write(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


# ---- CSV ----

TABLE = [
    ["name", "text", "amount"],
    ["Anna", "plain", "1.50"],
    ["Bj\u00f6rn", "a, comma; a semicolon\tand a tab | bar", "2"],
    ["", "", ""],
    ["Clara \"Cl\" Z.", "line one\nline two\r\nline three", "3"],
    ["D'Arcy", "\"quoted\" at the start, and at the \"end\"", "-4"],
    ["\u4e16\u754c", " spaces around ", "5e3"],
    ["back\\slash", "C:\\dir\\", "6"],
] + [[f"row {i}", f"text, number {i}", str(i)] for i in range(20)]

CSV = {  # name: (writer's options, bytes-level line end)
    "comma_crlf": dict(delimiter=",", lineterminator="\r\n"),
    "comma_lf": dict(delimiter=",", lineterminator="\n"),
    "comma_cr": dict(delimiter=",", lineterminator="\r"),
    "semicolon": dict(delimiter=";", lineterminator="\r\n"),
    "tab": dict(delimiter="\t", lineterminator="\n"),
    "bar": dict(delimiter="|", lineterminator="\n"),
    "all_quoted": dict(delimiter=",", lineterminator="\n", quoting=csv.QUOTE_ALL),
    "apostrophe": dict(delimiter=",", lineterminator="\n", quotechar="'", quoting=csv.QUOTE_ALL),
    "backslash": dict(delimiter=",", lineterminator="\n", doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL),
}

RAW = {  # written by hand: what no writer would write, but Python reads
    "quotes_inside": (dict(delimiter=","), b'name,text\nx,5" disk\ny,a "b" c\nz,"a ""b"" c"\n"",x\n'),
    "no_last_line_end": (dict(delimiter=","), b"name,text\na,b\nc,d"),
    "blank_lines": (dict(delimiter=","), b"\nname,text\n\na,b\n\n\nc,d\n\n"),
    "one_column": (dict(delimiter=","), b'text\nhello\n"with, comma"\n""\nlast\n'),
    "decimal_commas": (dict(delimiter=";"), b"1,5;2,5;3,5\n4,5;5,5;6,5\n7,5;8,5;9,5\n"),
    "space_behind": (dict(delimiter=",", skipinitialspace=True), b'name, text\n"a", "b, c"\n"d", "e"\n'),
    "zero_bytes": (dict(delimiter=","), b"name,text\na\0b,c\n\"\0\",d\n"),
    "bom": (dict(delimiter=","), b"\xef\xbb\xbfname,text\na,b\n"),
}


def read_csv(data, options):
    text = data.decode("utf-8-sig")
    keep = {k: v for k, v in options.items() if k in ("delimiter", "quotechar", "doublequote", "escapechar", "skipinitialspace")}
    return [r for r in csv.reader(io.StringIO(text, newline=""), **keep) if r]


def make_csv(folder):
    expected = {}
    for name, options in CSV.items():
        table = TABLE
        if options["lineterminator"] == "\r":   # a text with \n in it would not be a file of \r alone
            table = [[c.replace("\r\n", "\r").replace("\n", "\r") for c in r] for r in TABLE]
        buffer = io.StringIO(newline="")
        csv.writer(buffer, **options).writerows(table)
        data = buffer.getvalue().encode()
        rows = read_csv(data, options)
        assert rows == table, name
        write(folder, name + ".csv", data)
        expected[name] = {"delimiter": options["delimiter"], "rows": rows}
    for name, (options, data) in RAW.items():
        write(folder, name + ".csv", data)
        expected[name] = {"delimiter": options["delimiter"], "rows": read_csv(data, options)}
    write(folder, "expected.json", json.dumps(expected, ensure_ascii=False, indent=1).encode())


# ---- packings ----

def make_zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def make_tar(members, fmt=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        t.addfile(folder)
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("data/link.jsonl")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        t.addfile(link)
    return out.getvalue()


def make_packed(folder):
    gz = gzip.compress(JSONL, mtime=0)
    half = JSONL.index(b"\n", len(JSONL) // 2) + 1
    table = b"text,label\nhello,a\nbye,b\n"
    members = [("data/rows.jsonl", JSONL), ("data/.hidden", b"x"), ("__MACOSX/data/._rows.jsonl", b"\0\1"), ("data/table.csv", table)]
    write(folder, "rows.jsonl", JSONL)
    write(folder, "rows.jsonl.gz", gz)
    write(folder, "two_parts.gz", gzip.compress(JSONL[:half], mtime=0) + gzip.compress(JSONL[half:], mtime=0) + bytes(600))
    write(folder, "rows.bz2", bz2.compress(JSONL))
    write(folder, "rows.xz", lzma.compress(JSONL))
    write(folder, "rows.zst", zstandard.ZstdCompressor(level=3, write_checksum=True).compress(JSONL))
    tar = make_tar(members)
    write(folder, "members.zip", make_zip(members))
    write(folder, "members.tar", make_tar([(n, d) for n, d in members], tarfile.USTAR_FORMAT))
    write(folder, "members.tar.gz", gzip.compress(tar, mtime=0))
    write(folder, "members.tar.xz", lzma.compress(tar))
    write(folder, "members.tar.zst", zstandard.ZstdCompressor(level=3).compress(tar))
    write(folder, "gz_inside.zip", make_zip([("rows.jsonl.gz", gz), ("table.csv", table)]))
    write(folder, "zip_inside.zip", make_zip([("inner.zip", make_zip(members)), ("table.csv", table)]))
    write(folder, "empty.gz", gzip.compress(b"", mtime=0))
    # Damage.
    write(folder, "cut.gz", gz[:len(gz) * 2 // 3])
    wrong = bytearray(gz)
    wrong[-6] ^= 1                               # one bit of the checksum
    write(folder, "checksum.gz", bytes(wrong))
    write(folder, "trailing.gz", gz + b"what is this")
    write(folder, "cut.xz", lzma.compress(JSONL)[:-200])
    write(folder, "cut.zst", zstandard.ZstdCompressor().compress(JSONL)[:-50])
    write(folder, "cut.bz2", bz2.compress(JSONL)[:-50])
    write(folder, "cut.tar.gz", gzip.compress(tar[:3000], mtime=0))
    z = bytearray(make_zip(members))
    at = z.index(b"rows.jsonl") + 60             # inside of the first member's data
    z[at] ^= 0x40
    write(folder, "damaged.zip", bytes(z))
    # Bombs: a few kilobytes that unpack to many megabytes.
    zeros = bytes(24 << 20)
    write(folder, "bomb.gz", gzip.compress(gzip.compress(zeros, mtime=0), mtime=0))
    write(folder, "bomb.xz", lzma.compress(zeros))
    write(folder, "bomb.zip", make_zip([("zeros.txt", zeros)]))
    write(folder, "bomb_hidden.tar.xz", lzma.compress(make_tar([("data/.zeros", zeros), ("data/table.csv", table)])))


# ---- encodings ----

TEXTS = {
    "french": "Le client a demand\u00e9 o\u00f9 \u00e9tait pass\u00e9e sa carte bancaire. Apr\u00e8s plusieurs semaines, il n'a toujours rien re\u00e7u.\n"
              "Nous avons v\u00e9rifi\u00e9 \u00e0 deux reprises l'adresse : elle est correcte. Peut-\u00eatre la livraison a-t-elle \u00e9t\u00e9 retard\u00e9e ?\n",
    "german": "Der Kunde m\u00f6chte wissen, warum die \u00dcberweisung noch nicht ausgef\u00fchrt wurde.\nGr\u00fc\u00dfe aus K\u00f6ln, und sch\u00f6nes Wochenende f\u00fcr alle.\n",
    "spanish": "\u00bfD\u00f3nde est\u00e1 mi tarjeta? El a\u00f1o pasado tambi\u00e9n lleg\u00f3 tarde.\nLa direcci\u00f3n es correcta, seg\u00fan el se\u00f1or Mu\u00f1oz.\n",
    "portuguese": "N\u00e3o recebi o cart\u00e3o at\u00e9 agora. A situa\u00e7\u00e3o \u00e9 muito dif\u00edcil, e as transa\u00e7\u00f5es est\u00e3o atrasadas.\n",
    "swedish": "Jag har inte f\u00e5tt n\u00e5got kort \u00e4nnu. Vi b\u00f6r s\u00f6ka p\u00e5 adressen f\u00f6r att hitta felet.\n",
    "danish": "Kortet er stadig ikke n\u00e5et frem. Jeg \u00f8nsker at h\u00f8re, hvorn\u00e5r det sker, og v\u00e6r s\u00e5 venlig at svare.\n",
    "italian": "La carta non \u00e8 ancora arrivata perch\u00e9 l'indirizzo non era pi\u00f9 corretto. Pu\u00f2 essere gi\u00e0 in citt\u00e0?\n",
    "english": "The customer\u2019s card hasn\u2019t arrived \u2013 it\u2019s been \u201ctwo weeks\u201d now. The caf\u00e9 charged \u00a35.\n",
    "polish": "Klient chcia\u0142by wiedzie\u0107, dlaczego karta jeszcze nie przysz\u0142a. Proszymy o cierpliwo\u015b\u0107, p\u00f3\u017aniej wy\u015blemy odpowied\u017a.\n"
              "W zesz\u0142ym tygodniu wszystko dzia\u0142a\u0142o, si\u0119 zda\u0142o, \u017ce ju\u017c b\u0119dzie dobrze.\n",
    "czech": "Z\u00e1kazn\u00edk by r\u00e1d v\u011bd\u011bl, pro\u010d karta je\u0161t\u011b nep\u0159i\u0161la. P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u00fap\u011bl \u010f\u00e1belsk\u00e9 \u00f3dy.\nD\u011bkujeme za trp\u011blivost, ve st\u0159edu po\u0161leme odpov\u011b\u010f.\n",
    "hungarian": "Az \u00fcgyf\u00e9l szeretn\u00e9 tudni, mi\u00e9rt nem \u00e9rkezett meg a k\u00e1rtya. K\u00f6sz\u00f6nj\u00fck a t\u00fcrelm\u00e9t, j\u00f6v\u0151 h\u00e9ten v\u00e1laszolunk a lev\u00e9lre.\nA c\u00edm helyes volt, de a posta elt\u0171nt.\n",
    "russian": "\u041a\u043b\u0438\u0435\u043d\u0442 \u0445\u043e\u0447\u0435\u0442 \u0437\u043d\u0430\u0442\u044c, \u043f\u043e\u0447\u0435\u043c\u0443 \u043a\u0430\u0440\u0442\u0430 \u0435\u0449\u0451 \u043d\u0435 \u043f\u0440\u0438\u0448\u043b\u0430. \u041f\u0440\u043e\u0441\u0438\u043c \u043f\u043e\u0434\u043e\u0436\u0434\u0430\u0442\u044c \u0434\u043e \u0441\u0440\u0435\u0434\u044b.\n"
               "\u0410\u0434\u0440\u0435\u0441 \u0431\u044b\u043b \u0432\u0435\u0440\u043d\u044b\u043c, \u043d\u043e \u043f\u0438\u0441\u044c\u043c\u043e \u0432\u0435\u0440\u043d\u0443\u043b\u043e\u0441\u044c.\n",
    "turkish": "M\u00fc\u015fteri kart\u0131n neden h\u00e2l\u00e2 gelmedi\u011fini bilmek istiyor. L\u00fctfen \u00e7ar\u015fambaya kadar bekleyin, \u0131l\u0131k bir g\u00fcn olacak.\n",
    "greek": "\u039f \u03c0\u03b5\u03bb\u03ac\u03c4\u03b7\u03c2 \u03b8\u03ad\u03bb\u03b5\u03b9 \u03bd\u03b1 \u03bc\u03ac\u03b8\u03b5\u03b9 \u03b3\u03b9\u03b1\u03c4\u03af \u03b4\u03b5\u03bd \u03ad\u03c6\u03c4\u03b1\u03c3\u03b5 \u03b7 \u03ba\u03ac\u03c1\u03c4\u03b1 \u03c4\u03bf\u03c5.\n",
    "japanese": "\u304a\u5ba2\u69d8\u306f\u30ab\u30fc\u30c9\u304c\u307e\u3060\u5c4a\u3044\u3066\u3044\u306a\u3044\u7406\u7531\u3092\u77e5\u308a\u305f\u304c\u3063\u3066\u3044\u307e\u3059\u3002\u4f4f\u6240\u306f\u6b63\u3057\u3044\u3067\u3059\u3002\n\u6765\u9031\u306e\u6c34\u66dc\u65e5\u307e\u3067\u304a\u5f85\u3061\u304f\u3060\u3055\u3044\u3002\n",
    "chinese": "\u5ba2\u6237\u60f3\u77e5\u9053\u4e3a\u4ec0\u4e48\u94f6\u884c\u5361\u8fd8\u6ca1\u6709\u5230\u3002\u5730\u5740\u662f\u6b63\u786e\u7684\uff0c\u8bf7\u7b49\u5230\u661f\u671f\u4e09\u3002\n\u6211\u4eec\u4f1a\u5728\u4e0b\u5468\u56de\u7b54\u60a8\u7684\u95ee\u9898\uff0c\u8c22\u8c22\u60a8\u7684\u8010\u5fc3\u3002\n",
    "taiwan": "\u5ba2\u6236\u60f3\u77e5\u9053\u70ba\u4ec0\u9ebc\u9280\u884c\u5361\u9084\u6c92\u6709\u5230\u3002\u5730\u5740\u662f\u6b63\u78ba\u7684\uff0c\u8acb\u7b49\u5230\u661f\u671f\u4e09\u3002\n\u6211\u5011\u6703\u5728\u4e0b\u9031\u56de\u7b54\u60a8\u7684\u554f\u984c\uff0c\u8b1d\u8b1d\u60a8\u7684\u8010\u5fc3\u3002\n",
    "korean": "\uace0\uac1d\uc740 \uc65c \uce74\ub4dc\uac00 \uc544\uc9c1 \ub3c4\ucc29\ud558\uc9c0 \uc54a\uc558\ub294\uc9c0 \uc54c\uace0 \uc2f6\uc5b4\ud569\ub2c8\ub2e4. \uc8fc\uc18c\ub294 \uc815\ud655\ud569\ub2c8\ub2e4.\n\ub2e4\uc74c \uc8fc \uc218\uc694\uc77c\uae4c\uc9c0 \uae30\ub2e4\ub824 \uc8fc\uc138\uc694.\n",
    "emoji": "caf\u00e9 \U0001f600 \u4e16\u754c\nsecond line\n",
}
WEST = ["french", "german", "spanish", "portuguese", "swedish", "danish", "italian"]
ENCODINGS = (
    [(t, "cp1252", "windows-1252") for t in WEST + ["english"]] + [(t, "latin-1", "windows-1252") for t in WEST]
    + [(t, e, n) for t in ("polish", "czech") for e, n in (("cp1250", "windows-1250"), ("iso8859-2", "ISO-8859-2"))]
    + [("hungarian", e, "windows-1250") for e in ("cp1250", "iso8859-2")]   # the same bytes in both
    + [("russian", "cp1251", "windows-1251"), ("russian", "koi8-r", "KOI8-R"), ("turkish", "cp1254", "windows-1254"), ("greek", "cp1253", "windows-1253"),
       ("japanese", "cp932", "Shift_JIS"), ("japanese", "euc-jp", "EUC-JP"), ("chinese", "gbk", "GBK"), ("taiwan", "big5", "Big5"), ("korean", "euc-kr", "EUC-KR")]
    + [("emoji", e, n) for e, n in (("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"))]
    + [(t, e, n) for t in ("russian", "chinese", "french") for e, n in (("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"))]
)
MARKED = [("emoji", "utf-16-le", b"\xff\xfe", "UTF-16LE"), ("emoji", "utf-16-be", b"\xfe\xff", "UTF-16BE"), ("emoji", "utf-32-le", b"\xff\xfe\0\0", "UTF-32LE"),
          ("emoji", "utf-32-be", b"\0\0\xfe\xff", "UTF-32BE"), ("chinese", "utf-16-le", b"\xff\xfe", "UTF-16LE")]


def make_encodings(folder):
    expected = {}
    euro = "Prix : 12 \u20ac, c\u0153ur \u00e0 c\u0153ur, \u00e9t\u00e9\n"   # what only ISO-8859-15 has where it has it
    cases = [(f"{t}_{e}", TEXTS[t], TEXTS[t].encode(e), n) for t, e, n in ENCODINGS]
    cases += [(f"{t}_{e}_marked", TEXTS[t], bom + TEXTS[t].encode(e), n) for t, e, bom, n in MARKED]
    cases += [("euro_iso8859-15", euro, euro.encode("iso8859-15"), "ISO-8859-15")]
    for name, text, data, encoding in cases:
        write(folder, name + ".txt", data)
        expected[name] = {"encoding": encoding, "text": text}
    write(folder, "expected.json", json.dumps(expected, ensure_ascii=False, indent=1).encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_csv(os.path.join(sys.argv[1], "csv"))
    make_packed(os.path.join(sys.argv[1], "packed"))
    make_encodings(os.path.join(sys.argv[1], "encodings"))
