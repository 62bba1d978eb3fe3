#!/usr/bin/env python3
"""Compares hone's Parquet reader and writer with pyarrow, value by value, over random tables.

  judge_parquet.py TOOL [TABLES [SEED [read|write]]]     TOOL: build/tests/parquet_tool; TABLES: 1000 unless given; the first direction, the second, or both
  judge_parquet.py TOOL files FILE...       reads each file with both; says which hone refuses and whether the values agree
  judge_parquet.py TOOL speed FOLDER        rows per second of both over files of real shapes, which it writes to FOLDER

Direction one: pyarrow writes every type, encoding, compression and page version, hone reads. Direction two: hone writes random JSON rows,
pyarrow reads. Exit status 1: they disagree."""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq

import parquet_tables as pt


def hone(tool, *arguments):
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=300, errors="surrogateescape")
    return done.returncode, done.stdout, done.stderr.strip()


def first_difference(got, want):
    if len(got) != len(want):
        return f"{len(got)} rows, expected {len(want)}"
    for i, (g, w) in enumerate(zip(got, want)):
        if not pt.same(g, w):
            keys = [k for k in w if k not in g or not pt.same(g[k], w[k])]
            return f"row {i + 1}: {json.dumps({k: g.get(k) for k in keys})[:400]}, expected {json.dumps({k: w[k] for k in keys})[:400]}"
    return None


def lines(text):
    return [json.loads(line) for line in text.split("\n") if line]


def read_direction(tool, folder, seed):
    rng = random.Random(seed)
    n = rng.choice([0, 1, 2, 9, 50, 300, 2000])
    table = pt.random_table(rng, n, rng.randint(1, 4))
    options = pt.random_options(rng, n)
    path = os.path.join(folder, "t.parquet")
    pt.encode_all(rng, table, path, **options)
    rc, out, err = hone(tool, "read", path)
    if rc:
        return f"hone refused: {err}\n  {options}\n  {table.schema.to_string()[:800]}"
    wrong = first_difference(lines(out), pt.rows(table, options["use_deprecated_int96_timestamps"]))
    return wrong and f"{wrong}\n  {options}\n  {table.schema.to_string()[:800]}"


# ---- hone writes ----

def draw_shape(rng, depth=0):
    """A function that draws values of one JSON kind, and the value as pyarrow will give it back."""
    kind, holes = rng.random(), rng.choice([0, .1, .9])
    if kind < .6 or depth == 3:
        base = rng.choice([pt.text, pt.text, lambda r: r.randint(-2**63, 2**63 - 1), lambda r: r.gauss(0, 1e5), lambda r: r.random() < .5, lambda r: None,
                           lambda r: f"role{r.randint(0, 3)}"])
        return lambda r: None if r.random() < holes else base(r)
    if kind < .8:
        inner, longest = draw_shape(rng, depth + 1), rng.choice([1, 4, 20])
        return lambda r: None if r.random() < holes else [inner(r) for _ in range(r.randint(0, longest))]
    fields = [(f"k{i}", draw_shape(rng, depth + 1), rng.choice([0, .2])) for i in range(rng.randint(1, 3))]

    def struct(r):
        if r.random() < holes:
            return None
        return {name: inner(r) for name, inner, absent in fields if not r.random() < absent}
    return struct


def complete(value, like):
    """An absent key is read back as null; like: a value of the column as pyarrow's type says."""
    if pa.types.is_struct(like) and value is not None:
        return {like.field(i).name: complete(value.get(like.field(i).name), like.field(i).type) for i in range(like.num_fields)}
    if pa.types.is_list(like) and value is not None:
        return [complete(v, like.value_type) for v in value]
    return value


def write_direction(tool, folder, seed):
    rng = random.Random(seed)
    shape = [(f"c{i}", draw_shape(rng)) for i in range(rng.randint(1, 5))]
    rows = [{n: d(rng) for n, d in shape} for _ in range(rng.choice([1, 2, 30, 500, 3000]))]
    source, path = os.path.join(folder, "r.jsonl"), os.path.join(folder, "w.parquet")
    with open(source, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(r, ensure_ascii=rng.random() < .5) + "\n" for r in rows)
    packing = rng.choice(["zstd", "snappy", "none"])
    rc, _, err = hone(tool, "write", packing, source, path, str(rng.choice([0, 1, 17, 1000])))
    if rc:
        return None if "object without keys" in err else f"hone did not write: {err}"
    table = pq.read_table(path, page_checksum_verification=True)
    table.validate(full=True)
    got = [dict(zip(table.column_names, r)) for r in zip(*[table[i].to_pylist() for i in range(table.num_columns)])]
    want = [{f.name: complete(r.get(f.name), f.type) for f in table.schema} for r in rows]
    wrong = first_difference(got, want)
    if not wrong:
        rc, out, err = hone(tool, "read", path)
        wrong = f"hone refused its own file: {err}" if rc else first_difference(lines(out), want)
    return wrong


def sweep(tool, count, seed, only):
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for key, name, direction in (("read", "pyarrow -> hone", read_direction), ("write", "hone -> pyarrow", write_direction)):
            if only not in (None, key):
                continue
            bad = 0
            for i in range(seed, seed + count):
                wrong = direction(tool, folder, i)
                if wrong:
                    bad += 1
                    if bad <= 5:
                        print(f"{name}, seed {i}: {wrong}")
            print(f"{name}: {count - bad} of {count} tables agree", flush=True)
            failures += bad
    return failures


# ---- given files, and speed ----

def compare_files(tool, paths):
    bad = 0
    for path in paths:
        rc, out, err = hone(tool, "read", path)
        try:
            table = pq.read_table(path)
            int96 = any(c.physical_type == "INT96" for c in pq.ParquetFile(path).schema)
            want = pt.rows(table, int96)
        except Exception as e:
            print(f"{os.path.basename(path)}: pyarrow: {str(e)[:100]!r}; hone: {'reads ' + str(out.count(chr(10))) + ' rows' if not rc else err}")
            continue
        wrong = None if rc else first_difference(lines(out), want)
        bad += bool(wrong)
        print(f"{os.path.basename(path)}: {'refused: ' + err if rc else wrong or f'{len(want)} rows agree'}")
    return bad


def speed(tool, folder):
    rng = random.Random(1)
    words = [pt.text(rng) or "word" for _ in range(2000)]

    def say(n):
        return " ".join(rng.choice(words) for _ in range(n))
    tables = {
        "messages": pa.table({"messages": [[{"role": "user", "content": say(20)}, {"role": "assistant", "content": say(40)}] for _ in range(60000)]}),
        "flat": pa.table({"id": list(range(600000)), "score": [rng.random() for _ in range(600000)], "label": [rng.choice(words) for _ in range(600000)]}),
        "text": pa.table({"text": [say(120) for _ in range(40000)]}),
    }
    for name, table in tables.items():
        path = os.path.join(folder, name + ".parquet")
        pq.write_table(table, path, compression="zstd", row_group_size=100000)
        size, best = table.nbytes / 1e6, {}
        for _ in range(3):
            start = time.perf_counter()
            for batch in pq.ParquetFile(path).iter_batches():
                batch.to_pylist()
            best["pyarrow"] = min(best.get("pyarrow", 1e9), time.perf_counter() - start)
            best["hone"] = min(best.get("hone", 1e9), float(hone(tool, "time", path)[1].split()[2]))
        print(f"{name}: {table.num_rows} rows, {size:.0f} MB decoded: hone {size / best['hone']:.0f} MB/s, pyarrow to Python rows "
              f"{size / best['pyarrow']:.0f} MB/s, ratio {best['pyarrow'] / best['hone']:.2f}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    if sys.argv[2:3] == ["files"]:
        sys.exit(compare_files(sys.argv[1], sys.argv[3:]) > 0)
    if sys.argv[2:3] == ["speed"] and len(sys.argv) == 4:
        sys.exit(speed(sys.argv[1], sys.argv[3]))
    sys.exit(sweep(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000, int(sys.argv[3]) if len(sys.argv) > 3 else 0, sys.argv[4] if len(sys.argv) > 4 else None) > 0)
