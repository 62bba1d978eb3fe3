#!/usr/bin/env python3
"""Makes tests/formats/golden/parquet with pyarrow, the judge of our reader: small files over types, encodings, compressions, page versions,
nulls and nesting, each beside the rows that it holds as JSON lines (FILE.jsonl; those of types-* in types.jsonl and types-int96.jsonl).

  golden_parquet.py FOLDER

`random-*` bundle several random columns each. `odd-*` are what pyarrow reads but does not write (old encodings, framings and list forms);
their pages are put together here by hand, and pyarrow must agree with the rows before they are kept. `spelled-*`
and `refused` are what pyarrow cannot judge."""
import gzip
import json
import os
import random
import struct
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import parquet_tables as pt

PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY = 0, 2, 3, 4, 8
BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = range(8)


# ---- Thrift's compact protocol, as far as it is needed ----

def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def thrift(value):
    """(type, bytes): int -> i64 (read as any integer by number, hence I32 below), bool, str/bytes, list, dict of field -> value, ("i32", n)."""
    if isinstance(value, bool):
        return (1 if value else 2), b""
    if isinstance(value, tuple):
        return 5, zigzag(value[1])
    if isinstance(value, int):
        return 6, zigzag(value)
    if isinstance(value, (str, bytes)):
        raw = value.encode() if isinstance(value, str) else value
        return 8, varint(len(raw)) + raw
    if isinstance(value, list):
        items = [thrift(v) for v in value]
        head = bytes([(len(items) if len(items) < 15 else 15) << 4 | items[0][0]]) + (varint(len(items)) if len(items) >= 15 else b"")
        return 9, head + b"".join(b for _, b in items)
    out, last = b"", 0
    for k in sorted(value):
        kind, raw = thrift(value[k])
        out += (bytes([k - last << 4 | kind]) if k - last < 16 else bytes([kind]) + zigzag(k)) + raw
        last = k
    return 12, out + b"\0"


def i32(n):
    return "i32", n


# ---- files by hand ----

def runs(values, bits):
    """The hybrid with runs alone."""
    out = b""
    for v in values:
        out += varint(1 << 1) + v.to_bytes((bits + 7) // 8, "little")
    return struct.pack("<I", len(out)) + out


def packed_high_first(values, bits):
    text = "".join(format(v, f"0{bits}b") for v in values)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))


def texts(*values):
    return b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)


def data_page(n, body, encoding=PLAIN, levels=RLE, pack=None):
    packed = pack(body) if pack else body
    head = {1: i32(0), 2: i32(len(body)), 3: i32(len(packed)), 5: {1: i32(n), 2: i32(encoding), 3: i32(levels), 4: i32(levels)}}
    return thrift(head)[1] + packed


def dictionary_page(n, body):
    return thrift({1: i32(2), 2: i32(len(body)), 3: i32(len(body)), 7: {1: i32(n), 2: i32(PLAIN)}})[1] + body


def field(name, repeat=0, kind=None, children=0, converted=None, **more):
    f = {3: i32(repeat), 4: name}
    if kind is not None:
        f[1] = i32(kind)
    if children:
        f[5] = i32(children)
    if converted is not None:
        f[6] = i32(converted)
    f.update({int(k[1:]): v for k, v in more.items()})
    return f


def hand_made(path, schema, columns, rows):
    """columns: (path in the schema, physical type, codec, entries, pages)."""
    out, chunks = b"PAR1", []
    for names, kind, codec, entries, pages in columns:
        at = len(out)
        out += b"".join(pages)
        size = len(out) - at
        chunks.append({2: 0, 3: {1: i32(kind), 2: [i32(PLAIN)], 3: names, 4: i32(codec), 5: entries, 6: size, 7: size, 9: at}})
    root = {4: "schema", 5: i32(sum(1 for f in schema if f.get("top", True)))}
    elements = [root] + [{k: v for k, v in f.items() if k != "top"} for f in schema]
    footer = thrift({1: i32(1), 2: elements, 3: rows, 4: [{1: chunks, 2: 0, 3: rows}]})[1]
    with open(path, "wb") as f:
        f.write(out + footer + struct.pack("<I", len(footer)) + b"PAR1")


def inner(f):
    f["top"] = False
    return f


def lz4_literals(raw):
    """A block of literals alone, with a copy of four bytes where the text repeats."""
    n = len(raw)
    return (bytes([n << 4]) if n < 15 else bytes([240]) + b"\xff" * ((n - 15) // 255) + bytes([(n - 15) % 255])) + raw


def hadoop(raw):
    half = len(raw) // 2
    return b"".join(struct.pack(">II", len(p), len(lz4_literals(p))) + lz4_literals(p) for p in (raw[:half], raw[half:]))


def two_members(raw):
    half = len(raw) // 2
    return gzip.compress(raw[:half], mtime=0) + gzip.compress(raw[half:], mtime=0)


def odd_files(folder):
    """name -> (schema, columns, rows)."""
    words = texts("one", "two", "three") + b""
    text = field("s", 1, BYTE_ARRAY, converted=0)
    made = {
        # a dictionary page at data_page_offset that dictionary_page_offset does not announce
        "odd-dictionary": ([text], [(["s"], BYTE_ARRAY, 0, 5, [dictionary_page(3, words), data_page(
            5, runs([1, 1, 0, 1, 1], 1) + b"\x02" + varint(2 << 1) + b"\x02" + varint(2 << 1) + b"\x00", PLAIN_DICTIONARY)])], 5),
        "odd-gzip-members": ([field("s", 0, BYTE_ARRAY, converted=0)], [(["s"], BYTE_ARRAY, 2, 3, [data_page(3, words, pack=two_members)])], 3),
        "odd-lz4-hadoop": ([field("s", 0, BYTE_ARRAY, converted=0)], [(["s"], BYTE_ARRAY, 5, 3, [data_page(3, words, pack=hadoop)])], 3),
        "odd-lz4-bare": ([field("s", 0, BYTE_ARRAY, converted=0)], [(["s"], BYTE_ARRAY, 5, 3, [data_page(3, words, pack=lz4_literals)])], 3),
        # lists as older writers have them: a bare repeated field; repeated leaf in a LIST; a repeated struct in a LIST; "array"; "_tuple"
        "odd-lists": (
            [field("bare", 2, INT32),
             field("leaf", 1, children=1, converted=3), inner(field("element", 2, INT32)),
             field("pair", 1, children=1, converted=3), inner(field("element", 2, children=2)), inner(field("a", 0, INT32)), inner(field("b", 1, INT32)),
             field("arr", 1, children=1, converted=3), inner(field("array", 2, children=1)), inner(field("x", 0, INT32)),
             field("tup", 1, children=1, converted=3), inner(field("tup_tuple", 2, children=1)), inner(field("x", 0, INT32)),
             field("three", 1, children=1, converted=3), inner(field("bag", 2, children=1)), inner(field("x", 1, INT32))],
            [(["bare"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([1, 1, 0, 1], 1) + struct.pack("<3i", 1, 2, 3))]),
             (["leaf", "element"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([2, 2, 1, 0], 2) + struct.pack("<2i", 4, 5))]),
             (["pair", "element", "a"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([2, 2, 1, 0], 2) + struct.pack("<2i", 6, 7))]),
             (["pair", "element", "b"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([3, 2, 1, 0], 2) + struct.pack("<i", 8))]),
             (["arr", "array", "x"], INT32, 0, 3, [data_page(3, runs([0, 0, 0], 1) + runs([2, 2, 2], 2) + struct.pack("<3i", 1, 2, 3))]),
             (["tup", "tup_tuple", "x"], INT32, 0, 3, [data_page(3, runs([0, 0, 0], 1) + runs([2, 2, 2], 2) + struct.pack("<3i", 1, 2, 3))]),
             (["three", "bag", "x"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([3, 2, 1, 0], 2) + struct.pack("<i", 9))])], 3),
        # the type set of files without LogicalType
        "odd-converted": (
            [field("d", 0, INT32, converted=6), field("tm", 0, INT32, converted=7), field("tu", 0, INT64, converted=8), field("sm", 0, INT64, converted=9),
             field("su", 0, INT64, converted=10), field("u8", 0, INT32, converted=11), field("i8", 0, INT32, converted=15),
             field("dec", 0, INT32, converted=5, _7=i32(2), _8=i32(5)), field("plain", 0, BYTE_ARRAY)],
            [(["d"], INT32, 0, 1, [data_page(1, struct.pack("<i", 19782))]), (["tm"], INT32, 0, 1, [data_page(1, struct.pack("<i", 3723004))]),
             (["tu"], INT64, 0, 1, [data_page(1, struct.pack("<q", 3723000004))]), (["sm"], INT64, 0, 1, [data_page(1, struct.pack("<q", -1))]),
             (["su"], INT64, 0, 1, [data_page(1, struct.pack("<q", 1709208000250000))]), (["u8"], INT32, 0, 1, [data_page(1, struct.pack("<i", 200))]),
             (["i8"], INT32, 0, 1, [data_page(1, struct.pack("<i", -100))]), (["dec"], INT32, 0, 1, [data_page(1, struct.pack("<i", -12345))]),
             (["plain"], BYTE_ARRAY, 0, 1, [data_page(1, texts("text"))])], 1),
    }
    for name, (schema, columns, rows) in made.items():
        hand_made(os.path.join(folder, name + ".parquet"), schema, columns, rows)
    return sorted(made)


def key_value(name, mark, value=True):
    fields = [field(name, 1, children=1, converted=mark), inner(field("map", 2, children=2 if value else 1, converted=2)),
              inner(field("str", 0, BYTE_ARRAY, converted=0))]
    return fields + [inner(field("num", 1, INT32))] if value else fields


def spelled_files(folder):
    """What pyarrow cannot say or reads differently; the rows are written out here. The times are those of ECMAScript's toISOString."""
    far = [8640000000000000, -8640000000000000, -62198755200000, -62167219200000, 253402300800000]
    said = ["+275760-09-13T00:00:00Z", "-271821-04-20T00:00:00Z", "-000001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "+010000-01-01T00:00:00Z"]
    keys = runs([0, 1, 0, 0], 1) + runs([2, 2, 1, 0], 2) + texts("a", "b")
    made = {
        "spelled-far": ([field("t", 0, INT64, converted=9)], [(["t"], INT64, 0, 5, [data_page(5, struct.pack("<5q", *far))])],
                        [{"t": t} for t in said]),
        # levels as parquet-mr wrote them before 2013; Encodings.md says high bits first, pyarrow takes the low ones first
        "spelled-bit-packed": ([field("s", 1, BYTE_ARRAY, converted=0)], [(["s"], BYTE_ARRAY, 0, 10, [data_page(
            10, packed_high_first([1, 0, 1, 1, 0, 1, 1, 0, 1, 1], 1) + texts(*"abcdefg"), levels=BIT_PACKED)])],
                               [{"s": t} for t in ["a", None, "b", "c", None, "d", "e", None, "f", "g"]]),
        "spelled-interval": ([field("i", 0, FIXED, converted=21, _2=i32(12))],
                             [(["i"], FIXED, 0, 2, [data_page(2, struct.pack("<6I", 1, 2, 3004, 0, 4294967295, 0))])],
                             [{"i": "P1M2DT3.004S"}, {"i": "P0M4294967295DT0.000S"}]),
        # MAP_KEY_VALUE outside, as older writers have it; a map without values
        "spelled-maps": (key_value("m", 2) + key_value("set", 1, False),
                         [(["m", "map", "str"], BYTE_ARRAY, 0, 4, [data_page(4, keys)]),
                          (["m", "map", "num"], INT32, 0, 4, [data_page(4, runs([0, 1, 0, 0], 1) + runs([3, 2, 1, 0], 2) + struct.pack("<i", 5))]),
                          (["set", "map", "str"], BYTE_ARRAY, 0, 4, [data_page(4, keys)])],
                         [{"m": {"a": 5, "b": None}, "set": {"a": None, "b": None}}, {"m": {}, "set": {}}, {"m": None, "set": None}]),
    }
    for name, (schema, columns, rows) in made.items():
        hand_made(os.path.join(folder, name + ".parquet"), schema, columns, len(rows))
        with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(r) + "\n" for r in rows)
    # columns that are refused, each in its own way, beside a good one
    one, bad = data_page(1, texts("x")), data_page(1, struct.pack("<I", 1) + b"\xff")
    texts_of = [("good", {"converted": 0}, 0, one), ("bson", {"converted": 20}, 0, one), ("geometry", {"_10": {17: {}}}, 0, one),
                ("future", {"_10": {40: {}}}, 0, one), ("lzo", {"converted": 0}, 3, one), ("bytes", {}, 0, bad)]
    ints_of = [("u8", {"converted": 11}, 300), ("i8", {"converted": 15}, -129), ("dec", {"converted": 5, "_7": i32(1), "_8": i32(3)}, -1000),
               ("time", {"converted": 7}, 86400000)]
    schema = [field(n, 0, BYTE_ARRAY, **more) for n, more, _, _ in texts_of] + [field(n, 0, INT32, **more) for n, more, _ in ints_of]
    columns = [([n], BYTE_ARRAY, codec, 1, [page]) for n, _, codec, page in texts_of]
    columns += [([n], INT32, 0, 1, [data_page(1, struct.pack("<i", v))]) for n, _, v in ints_of]
    schema += [field("torn", 1, children=2), inner(field("a", 0, INT32)), inner(field("b", 0, INT32))]   # a says that torn is null, b that it is not
    columns += [(["torn", "a"], INT32, 0, 1, [data_page(1, runs([0], 1))]), (["torn", "b"], INT32, 0, 1, [data_page(1, runs([1], 1) + b"\1\0\0\0")])]
    hand_made(os.path.join(folder, "refused.parquet"), schema, columns, 1)
    return len(made) + 1


def keep_rows(folder, name, int96=False):
    table = pq.read_table(os.path.join(folder, name + ".parquet"), page_checksum_verification=True)
    rows = pt.rows(table, int96)
    if name == "odd-converted":                     # TIME_MILLIS and TIME_MICROS are in UTC, which Arrow's times cannot say
        for r in rows:
            r["tm"] += "Z"
            r["tu"] += "Z"
    if name.startswith("types-"):                   # the same rows in every file
        name = "types-int96" if int96 else "types"
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    path = os.path.join(folder, name + ".jsonl")
    if os.path.exists(path) and open(path, encoding="utf-8").read() != text:
        sys.exit(f"{name}: pyarrow reads other rows from one file than from the next")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def every_type(n, int96=False):
    """A column of each type, with nulls in every fifth row; used with every encoding its physical type may have.
    int96: times within the years that 64 bits of nanoseconds hold, because pyarrow reads INT96 into those."""
    far = 100 if int96 else 1
    rng = random.Random(7)
    columns = {}
    plain = {"i8": (pa.int8(), pt.whole(8, True)), "u8": (pa.uint8(), pt.whole(8, False)), "i16": (pa.int16(), pt.whole(16, True)),
             "u16": (pa.uint16(), pt.whole(16, False)), "i32": (pa.int32(), pt.whole(32, True)), "u32": (pa.uint32(), pt.whole(32, False)),
             "i64": (pa.int64(), pt.whole(64, True)), "u64": (pa.uint64(), pt.whole(64, False)),
             "i60": (pa.int64(), lambda r: r.randint(-2**59, 2**59)), "bool": (pa.bool_(), lambda r: r.random() < .7),
             "f32": (pa.float32(), lambda r: r.choice([1.5, -0.0, float("inf"), 0.1])), "f64": (pa.float64(), lambda r: r.choice([1e300, -2.5, float("nan"), 0.1])),
             "f16": (pa.float16(), lambda r: np.float16(r.gauss(0, 9))), "text": (pa.string(), pt.text),
             "bytes": (pa.binary(), lambda r: pt.text(r).encode()), "fixed": (pa.binary(3), lambda r: b"abc"),
             "dec9": (pa.decimal128(9, 2), pt.exact(9, 2)), "dec18": (pa.decimal128(18, 18), pt.exact(18, 18)), "dec38": (pa.decimal128(38, 0), pt.exact(38, 0)),
             "dec76": (pa.decimal256(76, 30), pt.exact(76, 30)), "date": (pa.date32(), lambda r: r.randint(-700000, 2900000)),
             "t_ms": (pa.time32("ms"), pt.ticks(0, 86399999)), "t_us": (pa.time64("us"), pt.ticks(0, 86399999999)), "t_ns": (pa.time64("ns"), pt.ticks(0, 86399999999999)),
             "s_ms": (pa.timestamp("ms"), pt.ticks(-6 * 10**13 // far, 10**14 // far)), "s_us": (pa.timestamp("us", "UTC"), pt.ticks(-6 * 10**16 // far, 10**17 // far)),
             "s_ns": (pa.timestamp("ns"), pt.ticks(-9 * 10**18, 9 * 10**18)), "null": (pa.null(), lambda r: None)}
    for name, (t, draw) in plain.items():
        columns[name] = pt.build(t, [None if i % 5 == 4 else draw(rng) for i in range(n)])
    uuids = pa.array([None if i % 5 == 4 else rng.randbytes(16) for i in range(n)], pa.binary(16))
    columns["uuid"] = pa.ExtensionArray.from_storage(pa.uuid(), uuids)
    columns["json"] = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": [1, 2]}'] * n))
    return pa.table(columns)


def make(folder):
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.remove(os.path.join(folder, old))
    names = []
    for i, codec in enumerate(pt.CODECS):           # each compression, both page versions, encodings by the draw
        for version in ("1.0", "2.0"):
            name = f"types-{codec}-v{version[0]}"
            int96 = codec == "gzip"
            pt.encode_all(random.Random(i * 2 + int(version[0])), every_type(40, int96), os.path.join(folder, name + ".parquet"), compression=codec,
                          data_page_version=version, write_page_checksum=version == "2.0", use_deprecated_int96_timestamps=int96, row_group_size=25,
                          write_statistics=False, store_schema=False)
            names.append((name, int96))
    for seed in range(14):
        rng = random.Random(1000 + seed)
        n = rng.choice([20, 60])
        options = pt.random_options(rng, n)
        options["row_group_size"] = rng.choice([n, 17])
        name = f"random-{seed:02}"
        pt.encode_all(rng, pt.random_table(rng, n, 5), os.path.join(folder, name + ".parquet"), write_statistics=False, **options)
        names.append((name, options["use_deprecated_int96_timestamps"]))
    names += [(n, False) for n in odd_files(folder)]
    spelled = spelled_files(folder)
    for name, int96 in names:
        keep_rows(folder, name, int96)
    total = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{len(names) + spelled} files with their rows, {total / 1024:.0f} KiB")


if len(sys.argv) != 2:
    sys.exit(__doc__)
make(sys.argv[1])
