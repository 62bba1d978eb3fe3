#!/usr/bin/env python3
"""Makes tests/formats/golden/arrow with pyarrow, the judge of our reader: small Arrow files and streams over types, dictionaries, packings and several batches,
each beside the rows that it holds as JSON lines (FILE.jsonl).

  golden_arrow.py FOLDER"""
import gzip
import io
import json
import os
import random
import sys
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

import parquet_tables as pt

PACKINGS = [None, "lz4", "zstd"]


def coded(rng, table):
    """Some text columns by dictionary, some as views, some cut out of a larger table."""
    columns = []
    for i, name in enumerate(table.column_names):
        c = table[name]
        if pa.types.is_string(c.type) and rng.random() < .6:
            c = c.dictionary_encode() if rng.random() < .5 else c.cast(pa.string_view())
        columns.append(c)
    table = pa.table(columns, names=table.column_names)
    cut = rng.randint(0, min(3, table.num_rows)) if rng.random() < .4 else 0
    return table.slice(cut)


def write(table, path, stream, packing, batch_rows, deltas=False):
    options = pa.ipc.IpcWriteOptions(compression=packing, emit_dictionary_deltas=deltas)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(path, table.schema, options=options) as w:
        w.write_table(table.unify_dictionaries() if not stream else table, max_chunksize=batch_rows)


def put(folder, name, table, *how, **more):
    path = os.path.join(folder, name)
    write(table, path + ".arrow", *how, **more)
    with open(path + ".jsonl", "w") as out:
        for row in pt.rows(table):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def types():
    """One column of each type, three rows, a null in each."""
    struct = pa.struct([("role", pa.string()), ("content", pa.large_string())])
    return pa.table({
        "i8": pa.array([1, -128, None], pa.int8()), "u8": pa.array([255, 0, None], pa.uint8()), "i16": pa.array([-32768, 7, None], pa.int16()),
        "u16": pa.array([65535, 7, None], pa.uint16()), "i32": pa.array([-2**31, 7, None], pa.int32()), "u32": pa.array([2**32 - 1, 7, None], pa.uint32()),
        "i64": pa.array([-2**63, 7, None], pa.int64()), "u64": pa.array([2**64 - 1, 7, None], pa.uint64()), "f32": pa.array([1.5, -0.25, None], pa.float32()),
        "f64": pa.array([1e300, -0.1, None], pa.float64()), "bool": pa.array([True, False, None]), "text": pa.array(["a", "über", None]),
        "large": pa.array(["", "x" * 40, None], pa.large_string()), "bytes": pa.array([b"raw", b"", None], pa.binary()), "five": pa.array([b"abcde", b"fghij", None], pa.binary(5)),
        "view": pa.array(["short", "longer than twelve bytes", None], pa.string_view()), "date": pa.array([0, -1, None], pa.date32()), "date64": pa.array([0, 86400000 * 400, None], pa.date64()),
        "stamp": pa.array([0, -1, None], pa.timestamp("us")), "seconds": pa.array([1, -1, None], pa.timestamp("s", "UTC")), "time": pa.array([1, 86399, None], pa.time32("s")),
        "decimal": pt.build(pa.decimal128(10, 2), [pt.decimal.Decimal("-12.50"), pt.decimal.Decimal("0.01"), None]), "nothing": pa.nulls(3),
        "list": pa.array([[1, 2], [], None], pa.list_(pa.int64())), "pair": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)),
        "messages": pa.array([[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}], [], None], pa.list_(struct)),
        "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())), "pairs": pa.array([[(3, "x")], [], None], pa.map_(pa.int32(), pa.string())),
        "coded": pa.array(["red", "blue", None]).dictionary_encode(),
        "in list": pa.ListArray.from_arrays(pa.array([0, 2, 3, 3], pa.int32()), pa.array(["a", "b", "a"]).dictionary_encode()),
    })


def packed(folder):
    """Parquet and Arrow files inside of archives; three.zip has a cut one between two good ones."""
    to = os.path.join(folder, "packed")
    os.makedirs(to, exist_ok=True)
    with open(os.path.join(folder, "types-stream-plain.arrow"), "rb") as f, open(os.path.join(to, "stream.arrow.gz"), "wb") as out:
        out.write(gzip.compress(f.read(), mtime=0))
    table = pa.table({"prompt": [f"Where is {i}?" for i in range(500)], "completion": [f"There, at {i}." * (i % 4) for i in range(500)]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=200)
    parquet = sink.getvalue().to_pybytes()
    with open(os.path.join(to, "rows.jsonl"), "w") as out:
        for row in pt.rows(table):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    when = (2026, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(os.path.join(to, "rows.zip"), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("data/rows.parquet", when), parquet)
    with tarfile.open(os.path.join(to, "rows.tar"), "w") as t:
        info = tarfile.TarInfo("rows.parquet")
        info.size = len(parquet)
        t.addfile(info, io.BytesIO(parquet))
    small = pa.BufferOutputStream()
    with pa.ipc.new_stream(small, table.schema) as w:
        w.write_table(table.slice(0, 2))
    small = small.getvalue().to_pybytes()
    with zipfile.ZipFile(os.path.join(to, "three.zip"), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("a.arrow", when), small)
        z.writestr(zipfile.ZipInfo("b.arrow", when), small[:-300])
        z.writestr(zipfile.ZipInfo("c.jsonl", when), '{"prompt": "last"}\n')


def main():
    folder = sys.argv[1]
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of text hangs on it
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    os.makedirs(folder, exist_ok=True)
    for stream in (True, False):
        for packing in PACKINGS:
            put(folder, f"types-{'stream' if stream else 'file'}-{packing or 'plain'}", types(), stream, packing, 2)
    put(folder, "empty", types().slice(0, 0), True, None, 100)
    one, two = pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a", "c"]).dictionary_encode()
    put(folder, "replaced", pa.table({"x": pa.chunked_array([one, two])}), True, None, 100)
    grown = [pa.DictionaryArray.from_arrays(pa.array(i, pa.int8()), pa.array(d)) for i, d in (([0, 1], ["a", "b"]), ([2, 0], ["a", "b", "c"]), ([3, 2], ["a", "b", "c", "d"]))]
    put(folder, "deltas", pa.table({"x": pa.chunked_array(grown)}), True, "zstd", 100, deltas=True)
    os.makedirs(os.path.join(folder, "refused"), exist_ok=True)
    what = pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])])
    write(pa.table({"id": [1, 2], "what": what}), os.path.join(folder, "refused", "union.stream"), True, None, 10)
    packed(folder)
    for i in range(8):
        rng = random.Random(i)
        n = rng.choice([1, 9, 40])
        put(folder, f"random-{i}", coded(rng, pt.random_table(rng, n, 4)), i % 2 == 0, PACKINGS[i % 3], rng.choice([7, 100]))


if __name__ == "__main__":
    main()
