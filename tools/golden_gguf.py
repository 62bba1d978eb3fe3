#!/usr/bin/env python3
"""Makes tests/formats/golden/gguf with the gguf package and llama.cpp's own library, the judges of our reader, writer and quantisers.

  golden_gguf.py make FOLDER            writes the files that tests/formats/test_gguf.c and test_quant.c read
  golden_gguf.py check FILE             reads a file written by hone and prints its metadata and tensors; fails when the package refuses it
  golden_gguf.py sweep PROGRAM MILLIONS compares PROGRAM (build/tests/quant_sweep) with llama.cpp over MILLIONS of numbers of many kinds, type by
                                        type, both directions, bit by bit; prints the differences (there should be none) and both speeds

Element i of a tensor of rule values is (i % 61 - 30) / 4: exact in every float format.
"""
import ctypes
import glob
import hashlib
import os
import subprocess
import sys
import tempfile
import time

import gguf
import numpy as np

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
ROW = 256


def ggml():
    import importlib.util
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("llama_cpp").origin), "lib")
    lib = ctypes.CDLL(glob.glob(os.path.join(folder, "libggml-base.so"))[0])
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]

    class Traits(ctypes.Structure):
        _fields_ = [("type_name", ctypes.c_char_p), ("blck_size", ctypes.c_int64), ("blck_size_interleave", ctypes.c_int64),
                    ("type_size", ctypes.c_size_t), ("is_quantized", ctypes.c_bool),
                    ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)), ("from_float_ref", ctypes.c_void_p)]
    lib.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    lib.ggml_quantize_init.argtypes = [ctypes.c_int]
    return lib


def quantise(lib, name, x):
    t = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[t]
    out = np.zeros(x.size // block * size, dtype=np.uint8)
    lib.ggml_quantize_init(t.value)
    n = lib.ggml_quantize_chunk(t.value, x.ctypes.data, out.ctypes.data, 0, x.size // ROW, ROW, None)
    assert n == out.size
    return out


def dequantise(lib, name, q):
    t = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[t]
    out = np.zeros(q.size // size * block, dtype=np.float32)
    lib.ggml_get_type_traits(t.value).contents.to_float(q.ctypes.data, out.ctypes.data, out.size)
    return out


def kinds(rng, n):
    """Rows of 256 numbers of every kind that a quantiser treats differently; n of each."""
    def normal():
        return rng.standard_normal((n, ROW))

    def sparse(share):
        return normal() * (rng.random((n, ROW)) < share)

    outlier = normal()
    outlier[np.arange(n), rng.integers(0, ROW, n)] *= 1000
    wild = rng.integers(0, 2**32, (n, ROW), dtype=np.uint64).astype(np.uint32).view(np.float32)
    blocks = normal().reshape(n, 8, 32) * np.exp2(rng.integers(-12, 12, (n, 8, 1)))
    rows = [
        normal() * 0.02, normal(), normal() * np.exp2(rng.integers(-30, 30, (n, 1))), np.abs(normal()), -np.abs(normal()),
        normal() + 8, normal() * 0.001 - 3, np.repeat(normal()[:, :1], ROW, axis=1), np.zeros((n, ROW)), sparse(0.02), sparse(0.5),
        outlier, blocks.reshape(n, ROW), np.round(normal() * 3), np.round(normal() * 40) / 8, np.tile([1.0, -1.0], (n, ROW // 2)),
        rng.integers(0, 16, (n, ROW)) * 0.25, np.cumsum(np.ones((n, ROW)), axis=1) - 100, rng.standard_cauchy((n, ROW)),
        normal() * 1e-20, normal() * 1e-38, normal() * 1e-42, normal() * 1e18, normal() * 1e30,
        np.where(np.isfinite(wild), wild, 0).astype(np.float64),
    ]
    return np.ascontiguousarray(np.concatenate(rows).astype(np.float32))


def rule(shape, dtype=np.float32):
    return ((np.arange(int(np.prod(shape))) % 61 - 30) / 4).reshape(shape).astype(dtype)


def widened(lib, name, q):
    """SHA-256 of what is read, with NaN as 0: which of its patterns a NaN has is nobody's business."""
    wide = dequantise(lib, name, q)
    return hashlib.sha256(np.where(np.isnan(wide), np.float32(0), wide).tobytes()).hexdigest()


def make_quants(path):
    lib = ggml()
    x = kinds(np.random.default_rng(1), 1)
    w = gguf.GGUFWriter(path, "golden")
    w.add_tensor("source", x)
    for name in TYPES:
        q = quantise(lib, name, x)
        t = gguf.GGMLQuantizationType[name]
        w.add_string(f"widened.{name}", widened(lib, name, q))
        # Any bytes are a block: what the quantiser never writes must be read alike.
        noise = np.random.default_rng(2).integers(0, 256, (4, q.size // x.shape[0]), dtype=np.uint8)
        w.add_string(f"widened.{name}.noise", widened(lib, name, noise.reshape(-1)))
        w.add_tensor(name, q.reshape(x.shape[0], -1), raw_dtype=t)
        w.add_tensor(f"{name}.noise", noise, raw_dtype=t)
    finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_kinds(path):
    w = gguf.GGUFWriter(path, "llama")
    w.add_uint8("k.u8", 200)
    w.add_int8("k.i8", -100)
    w.add_uint16("k.u16", 60000)
    w.add_int16("k.i16", -30000)
    w.add_uint32("k.u32", 4000000000)
    w.add_int32("k.i32", -2000000000)
    w.add_uint64("k.u64", 2**63)
    w.add_uint64("k.u64.small", 2**53 + 1)
    w.add_int64("k.i64", -2**62)
    w.add_float32("k.f32", 0.1)
    w.add_float32("k.f32.whole", 10000.0)
    w.add_float64("k.f64", 1e300)
    w.add_bool("k.true", True)
    w.add_bool("k.false", False)
    w.add_string("k.string", "a \"quoted\" line\nand é")
    w.add_array("k.strings", ["", "é", "three words here", "▁x"])
    w.add_array("k.ints", [1, -2, 3])
    w.add_array("k.floats", [0.5, -1.25])
    w.add_array("k.bools", [True, False, True])
    w.add_tensor("rank1", rule((5,)))
    w.add_tensor("rank2", rule((3, 4), np.float16))
    w.add_tensor("rank3", rule((2, 3, 4)))
    w.add_tensor("rank4", np.arange(120, dtype=np.int32).reshape(1, 2, 3, 20))
    w.add_tensor("bytes", np.array([1, 2, 3], dtype=np.int8))
    w.add_tensor("wide", np.array([2.0**40, -1.0], dtype=np.float64))
    w.add_tensor("bf16", (rule((2, 4)).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    finish(w)


def make_exact(path):
    """Only kinds whose bytes are fixed: ours must equal the file byte for byte."""
    w = gguf.GGUFWriter(path, "llama")
    w.add_uint32("a.u32", 4000000000)
    w.add_int32("a.i32", -5)
    w.add_uint64("a.u64", 2**63)
    w.add_float32("a.f32", 0.1)
    w.add_bool("a.bool", True)
    w.add_array("a.strs", ["", "é", "two words"])
    w.add_array("a.i32s", [1, -2, 3])
    w.add_array("a.f32s", [0.5, -1.25])
    w.add_array("a.bools", [True, False])
    w.add_tensor("first", rule((3, 5)))
    w.add_tensor("second", rule((7,), np.float16))
    w.add_tensor("third", gguf.quants.quantize(rule((1, 2, 64)), gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    finish(w)


def make_split(folder):
    w = gguf.GGUFWriter(os.path.join(folder, "split.gguf"), "llama", split_max_tensors=2)
    w.add_uint32("llama.block_count", 1)
    for i, name in enumerate(["embed", "layer.0.w", "norm", "layer.1.w", "head"]):
        w.add_tensor(name, rule((i + 1, 4)))
    finish(w)


def make(folder):
    os.makedirs(folder, exist_ok=True)
    make_kinds(os.path.join(folder, "kinds.gguf"))
    make_exact(os.path.join(folder, "exact.gguf"))
    make_split(folder)
    make_quants(os.path.join(folder, "quants.gguf"))


def check(path):
    r = gguf.GGUFReader(path)
    for f in r.fields.values():
        print(f.name, [t.name for t in f.types], f.contents())
    for t in r.tensors:
        print(t.name, t.tensor_type.name, t.shape.tolist(), hashlib.sha256(t.data.tobytes()).hexdigest()[:16])


def report(name, what, ours, theirs, per_block, x, speeds):
    bad = np.flatnonzero(ours != theirs)
    print(f"{name:7} {what:6} {theirs.size:11} bytes, {bad.size} differ; MB/s of floats: hone {speeds[0]:.0f}, llama.cpp {speeds[1]:.0f}", flush=True)
    if bad.size:
        rows = sorted(set(bad // per_block))
        print(f"    first rows: {rows[:8]} of {theirs.size // per_block}, byte {bad[0] % per_block} is {ours[bad[0]]}, not {theirs[bad[0]]}")
    return bad.size


def sweep(program, millions):
    lib = ggml()
    kinds_n = kinds(np.random.default_rng(0), 1).shape[0]
    x = kinds(np.random.default_rng(3), max(1, round(float(millions) * 1e6 / ROW / kinds_n)))
    differ = 0
    with tempfile.TemporaryDirectory() as folder:
        src, dst = os.path.join(folder, "in"), os.path.join(folder, "out")

        def run(verb, name, data):
            data.tofile(src)
            seconds = float(subprocess.run([program, verb, name, src, dst], check=True, capture_output=True, text=True).stdout)
            return np.fromfile(dst, dtype=np.uint8), x.nbytes / 1e6 / max(seconds, 1e-9)

        for name in TYPES:
            start = time.time()
            q = quantise(lib, name, x)
            theirs = x.nbytes / 1e6 / (time.time() - start)
            ours, speed = run("narrow", name, x)
            differ += report(name, "narrow", ours, q, q.size // x.shape[0], x, (speed, theirs))
            start = time.time()
            wide = dequantise(lib, name, q)
            theirs = x.nbytes / 1e6 / (time.time() - start)
            ours, speed = run("widen", name, q)
            differ += report(name, "widen", ours, wide.view(np.uint8), ROW * 4, x, (speed, theirs))
    print(f"{x.size} numbers, {differ} bytes differ")
    return differ != 0


if len(sys.argv) == 3 and sys.argv[1] in ("make", "check"):
    (make if sys.argv[1] == "make" else check)(sys.argv[2])
elif len(sys.argv) == 4 and sys.argv[1] == "sweep":
    sys.exit(sweep(sys.argv[2], sys.argv[3]))
else:
    sys.exit(__doc__)
