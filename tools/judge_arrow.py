#!/usr/bin/env python3
"""Compares hone's Arrow reader with pyarrow, value by value, over random tables: files and streams, all types, dictionaries, views, packings, batches.

  judge_arrow.py TOOL [TABLES [SEED]]     TOOL: build/tests/parquet_tool; TABLES: 1000 unless given
  judge_arrow.py TOOL files FILE...       reads each file with both

Exit status 1: they disagree."""
import os
import random
import subprocess
import sys
import tempfile

import pyarrow as pa

import golden_arrow
import judge_parquet
import parquet_tables as pt


def read(tool, path, table, what):
    done = subprocess.run([tool, "arrow", path], capture_output=True, text=True, timeout=300, errors="surrogateescape")
    if done.returncode:
        return f"hone refused: {done.stderr.strip()}\n  {what}"
    wrong = judge_parquet.first_difference(judge_parquet.lines(done.stdout), pt.rows(table))
    return wrong and f"{wrong}\n  {what}"


def one(tool, folder, seed):
    rng = random.Random(seed)
    table = golden_arrow.coded(rng, pt.random_table(rng, rng.choice([0, 1, 2, 9, 50, 300, 2000]), rng.randint(1, 4)))
    how = rng.random() < .5, rng.choice(golden_arrow.PACKINGS), rng.choice([1, 7, 100, 100000])
    path = os.path.join(folder, "t.arrow")
    golden_arrow.write(table, path, *how)
    return read(tool, path, table, f"{how}\n  {table.schema.to_string()[:800]}")


def load(path):
    with pa.memory_map(path) as f:
        try:
            return pa.ipc.open_file(f).read_all()
        except pa.ArrowInvalid:
            f.seek(0)
            return pa.ipc.open_stream(f).read_all()


def main():
    tool, bad = sys.argv[1], 0
    if sys.argv[2:3] == ["files"]:
        for path in sys.argv[3:]:
            wrong = read(tool, path, load(path), path)
            print(f"{path}: {wrong or 'agrees'}")
            bad += bool(wrong)
        return bad > 0
    n, first = int(sys.argv[2]) if len(sys.argv) > 2 else 1000, int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + n):
            wrong = one(tool, folder, seed)
            if wrong:
                bad += 1
                print(f"seed {seed}: {wrong}")
    print(f"{n} tables, {bad} differ")
    return bad > 0


if __name__ == "__main__":
    raise SystemExit(main())
