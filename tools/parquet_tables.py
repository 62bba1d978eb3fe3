"""parquet_tables.py - what judge_parquet.py and golden_parquet.py share: random Arrow tables and the JSON rows that hone
must make of them, by the rules in src/formats/parquet.h.

Invariants: values come from pyarrow's own arrays, never from parsing a file ourselves; a seed gives the same table."""
import decimal
import json
import math
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DIGITS = {"ms": 3, "us": 6, "ns": 9}


def clock(ticks, unit):
    """hh:mm:ss and, when there is one, the fraction with all digits of its unit."""
    per = UNITS[unit]
    s, fraction = divmod(ticks, per)
    text = f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}"
    return text + (f".{fraction:0{DIGITS[unit]}}" if fraction else "")


def stamp(ticks, unit):
    days, rest = divmod(ticks, 86400 * UNITS[unit])
    return f"{np.datetime64(days, 'D')}T{clock(rest, unit)}"


def real(v):
    return None if v is None or not math.isfinite(v) else float(v)


def column(a, int96=False):
    """The JSON values of an Arrow array, one a row."""
    if isinstance(a, pa.ChunkedArray):
        a = a.combine_chunks() if a.num_chunks != 1 else a.chunk(0)
    t = a.type
    if isinstance(t, pa.BaseExtensionType) and t.extension_name == "arrow.uuid":
        return [None if v is None else str(uuid.UUID(bytes=v)) for v in a.storage.to_pylist()]
    if isinstance(t, pa.BaseExtensionType):
        return column(a.storage, int96)
    valid = a.is_valid().to_pylist()
    if pa.types.is_dictionary(t):
        return column(a.dictionary_decode(), int96)
    if pa.types.is_struct(t):
        names = [t.field(i).name for i in range(t.num_fields)]
        rows = zip(*[column(c, int96) for c in a.flatten()])
        return [dict(zip(names, r)) if ok else None for r, ok in zip(rows, valid)]
    if pa.types.is_map(t):
        keys, values, at = column(a.keys, int96), column(a.items, int96), a.offsets.to_pylist()
        text = pa.types.is_string(t.key_type) or pa.types.is_large_string(t.key_type) or pa.types.is_binary(t.key_type)
        pairs = [list(zip(keys[i:j], values[i:j])) if ok else None for i, j, ok in zip(at, at[1:], valid)]
        return [p if p is None else dict(p) if text else [{"key": k, "value": v} for k, v in p] for p in pairs]
    if pa.types.is_fixed_size_list(t):
        v, n = column(a.values, int96), t.list_size
        first = a.offset
        return [v[(first + i) * n:(first + i + 1) * n] if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        v, at = column(a.values, int96), a.offsets.to_pylist()
        return [v[i:j] if ok else None for i, j, ok in zip(at, at[1:], valid)]
    if pa.types.is_timestamp(t):
        ticks = a.cast(pa.int64()).to_pylist()
        if int96:
            scale = 10**9 // UNITS[t.unit]
            return [None if v is None else stamp(v * scale, "ns") for v in ticks]
        zone = "Z" if t.tz else ""
        unit, scale = ("ms", 1000) if t.unit == "s" else (t.unit, 1)
        return [None if v is None else stamp(v * scale, unit) + zone for v in ticks]
    if pa.types.is_time(t):
        unit, scale = ("ms", 1000) if t.unit == "s" else (t.unit, 1)
        ticks = a.cast(pa.int32() if pa.types.is_time32(t) else pa.int64()).to_pylist()
        return [None if v is None else clock(v * scale, unit) for v in ticks]
    if pa.types.is_duration(t):
        return a.cast(pa.int64()).to_pylist()
    plain = a.to_pylist()
    if pa.types.is_date(t):
        return [None if v is None else v.isoformat() for v in plain]
    if pa.types.is_decimal(t):
        return [None if v is None else format(v, "f") for v in plain]
    if pa.types.is_floating(t):
        return [real(v) for v in plain]
    if pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t):
        return [None if v is None else v.decode() for v in plain]
    if pa.types.is_uint64(t):
        return [str(v) if v is not None and v >= 1 << 63 else v for v in plain]
    return plain


def rows(table, int96=False):
    columns = [column(table[i], int96) for i in range(table.num_columns)]
    return [dict(zip(table.column_names, r)) for r in zip(*columns)]


# ---- random tables ----

WORDS = ["", "a", "über", "naïve café", "\u4e2d\u6587", "line\nbreak", "tab\t\"quote\"", "🙂", "repeat", "repeat repeat repeat", "x" * 300, "zero\0byte"]


def text(rng):
    return rng.choice(WORDS) if rng.random() < 0.6 else "".join(chr(rng.randint(32, 0x2ff)) for _ in range(rng.randint(0, 40)))


def whole(bits, signed):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)

    def draw(rng):
        return rng.choice([low, high, 0, 1, rng.randint(low, high), min(high, rng.randint(0, 50))])
    return draw


def number(rng):
    return rng.choice([0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, rng.gauss(0, 1), rng.gauss(0, 1) * 10.0**rng.randint(-30, 30)])


def exact(p, s):
    def draw(rng):
        v = rng.choice([0, 1, -1, 10**p - 1, 1 - 10**p, rng.randint(0, 10**p - 1), -rng.randint(0, 10**rng.randint(1, p) - 1)])
        with decimal.localcontext(prec=100):
            return decimal.Decimal(v).scaleb(-s)
    return draw


def ticks(low, high):
    return lambda rng: rng.choice([rng.randint(low, high), rng.randint(low, high) // 10**6 * 10**6, 0])


def leaf_types(rng):
    """An Arrow type and how to draw its values; drawn integers are given to Arrow as they are."""
    kind = rng.randrange(24)
    if kind < 8:
        bits, signed = [8, 16, 32, 64][kind // 2], bool(kind % 2)
        return getattr(pa, ("" if signed else "u") + f"int{bits}")(), whole(bits if bits < 64 else rng.choice([64, 64, 61, 40]), signed)
    year = 365 * 86400
    unit = rng.choice(["ms", "us", "ns"])
    per = UNITS[unit]
    far = min(7000 * year, (1 << 62) // per)
    p = rng.randint(1, 38)
    wide = rng.randint(1, 76)
    return [
        (pa.bool_(), lambda r: r.random() < r.choice([0.5, 0.95])),
        (pa.float32(), lambda r: float(np.float32(min(max(number(r), -3e38), 3e38)) if r.random() < .9 else math.nan)),
        (pa.float64(), number),
        (pa.float16(), lambda r: np.float16(r.gauss(0, 100))),
        (pa.string(), text),
        (pa.large_string(), text),
        (pa.binary(), lambda r: text(r).encode()),
        (pa.binary(5), lambda r: "".join(r.choice("abcdefgh") for _ in range(5)).encode()),
        (pa.decimal128(p, s := rng.randint(0, p)), exact(p, s)),
        (pa.decimal256(wide, s := rng.randint(0, wide)), exact(wide, s)),
        (pa.date32(), lambda r: r.randint(-700000, 2900000)),
        (pa.timestamp(unit), ticks(-min(1900 * year, far) * per, far * per)),
        (pa.timestamp(unit, rng.choice(["UTC", "Europe/Berlin"])), ticks(-min(1900 * year, far) * per, far * per)),
        rng.choice([(pa.time32("ms"), ticks(0, 86400 * 10**3 - 1)), (pa.time64("us"), ticks(0, 86400 * 10**6 - 1)),
                    (pa.time64("ns"), ticks(0, 86400 * 10**9 - 1))]),
        (pa.duration(unit), whole(64, True)),
        (pa.null(), lambda r: None),
    ][kind - 8]


def draw_type(rng, depth=0):
    """(type, draw) of a leaf, or now and then of a list, struct or map."""
    kind = rng.random()
    holes = rng.choice([0, 0, .1, .5, .97])

    def maybe(draw, holes=holes):
        return lambda r: None if r.random() < holes else draw(r)
    if depth == 3 or kind < (0.55 if depth == 0 else 0.6):
        t, draw = leaf_types(rng)
        return t, maybe(draw)
    if kind < 0.8:
        t, draw = draw_type(rng, depth + 1)
        longest = rng.choice([1, 3, 3, 12])
        make = rng.choice([pa.list_, pa.large_list])
        return make(t), maybe(lambda r: [draw(r) for _ in range(r.randint(0, longest))])
    if kind < 0.93:
        fields = [(f"f{i}", *draw_type(rng, depth + 1)) for i in range(rng.randint(1, 3))]
        return pa.struct([(n, t) for n, t, _ in fields]), maybe(lambda r: {n: d(r) for n, _, d in fields})
    t, draw = draw_type(rng, depth + 1)
    key, keys = rng.choice([(pa.string(), lambda r: f"k{r.randint(0, 30)}"), (pa.int32(), lambda r: r.randint(-9, 9))])
    return pa.map_(key, t), maybe(lambda r: [(k, draw(r)) for k in {keys(r) for _ in range(r.randint(0, 4))}])


def build(t, values):
    """An array; integers stand for temporal values, so that no digit is lost on the way."""
    if pa.types.is_temporal(t):
        raw = pa.int32() if t.bit_width == 32 else pa.int64()
        return pa.array(values, raw).cast(t) if not pa.types.is_timestamp(t) else pa.array(values, raw).view(t)
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        at, flat = [0], []
        for v in values:
            flat += v or []
            at.append(len(flat))
        kind = pa.LargeListArray if pa.types.is_large_list(t) else pa.ListArray
        mask = pa.array([v is None for v in values], pa.bool_())
        return kind.from_arrays(pa.array(at, pa.int64() if pa.types.is_large_list(t) else pa.int32()), build(t.value_type, flat), mask=mask)
    if pa.types.is_struct(t):
        parts = [build(f.type, [None if v is None else v[f.name] for v in values]) for f in t]
        return pa.StructArray.from_arrays(parts, fields=list(t), mask=pa.array([v is None for v in values], pa.bool_()))
    if pa.types.is_map(t):
        at, keys, items = [0], [], []
        for v in values:
            keys += [k for k, _ in v or []]
            items += [x for _, x in v or []]
            at.append(len(keys))
        mask = pa.array([v is None for v in values], pa.bool_())
        return pa.MapArray.from_arrays(pa.array(at, pa.int32()), pa.array(keys, t.key_type), build(t.item_type, items), mask=mask)
    return pa.array(values, t)


def random_table(rng, n_rows, n_columns):
    names, arrays = [], []
    for i in range(n_columns):
        t, draw = draw_type(rng)
        names.append(f"c{i}")
        arrays.append(build(t, [draw(rng) for _ in range(n_rows)]))
    return pa.table(arrays, names=names)


ENCODINGS = {
    "INT32": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"], "INT64": ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    "FLOAT": ["PLAIN", "BYTE_STREAM_SPLIT"], "DOUBLE": ["PLAIN", "BYTE_STREAM_SPLIT"], "BOOLEAN": ["PLAIN", "RLE"],
    "BYTE_ARRAY": ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    "FIXED_LEN_BYTE_ARRAY": ["PLAIN", "BYTE_STREAM_SPLIT", "DELTA_BYTE_ARRAY"], "INT96": ["PLAIN"],
}
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]


def encode_all(rng, table, path, **options):
    """The table with an encoding drawn for each leaf; the leaves' names and physical types are asked of a file without rows."""
    sink = pa.BufferOutputStream()
    keep = {k: v for k, v in options.items() if k in ("use_compliant_nested_type", "store_decimal_as_integer", "use_deprecated_int96_timestamps", "version")}
    pq.write_table(table.slice(0, 0), sink, **keep)
    schema = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    leaves = [schema.column(i) for i in range(len(schema.names))]
    dictionary = [c.path for c in leaves if c.physical_type != "BOOLEAN" and rng.random() < 0.4]
    encoding = {c.path: rng.choice(ENCODINGS[c.physical_type]) for c in leaves if c.path not in dictionary}
    pq.write_table(table, path, use_dictionary=dictionary, column_encoding=encoding, **options)


def random_options(rng, n_rows):
    return dict(compression=rng.choice(CODECS), data_page_version=rng.choice(["1.0", "2.0"]), write_page_checksum=rng.random() < .5,
                row_group_size=rng.choice([n_rows + 1, max(1, n_rows // 3), 7]), data_page_size=rng.choice([64, 1000, 1 << 20]),
                write_batch_size=rng.choice([5, 1024]), dictionary_pagesize_limit=rng.choice([100, 1 << 20]),
                use_compliant_nested_type=rng.random() < .7, store_decimal_as_integer=rng.random() < .5,
                use_deprecated_int96_timestamps=rng.random() < .15)


def same(a, b):
    return json.dumps(a) == json.dumps(b)
