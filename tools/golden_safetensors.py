#!/usr/bin/env python3
"""Makes tests/formats/golden with the safetensors package, the judge of our reader and writer.

  golden_safetensors.py make FOLDER   writes the files that tests/formats/test_safetensors.c and test_hf_dir.c read
  golden_safetensors.py check FILE    reads a file written by hone and prints its tensors; fails when the package refuses it

Element i of a tensor of rule values is (i % 61 - 30) / 4: exact in every float format. The tensor "source" holds what is hard to round
(halfway cases, subnormals, the largest values, infinities, NaN), "source_f16" and "source_bf16" what torch makes of it.
"""
import json
import os
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def rule(shape, dtype):
    n = 1
    for d in shape:
        n *= d
    return ((torch.arange(n) % 61 - 30).to(torch.float32) / 4).reshape(shape).to(dtype)


def hard_floats():
    bits = []
    for half in range(0, 0x7C00, 97):                      # around every 97th F16 value: itself, halfway up, just beside halfway
        here, above = (torch.tensor([h], dtype=torch.int16).view(torch.float16).float() for h in (half, half + 1))
        middle = int(((here + above) / 2).view(torch.int32))
        bits += [int(here.view(torch.int32)), middle - 1 if middle else 0, middle, middle + 1]
    for top in range(0, 0x7F80, 331):                      # the same for BF16, whose values are the upper halves of F32
        bits += [top << 16, (top << 16) | 0x7FFF, (top << 16) | 0x8000, (top << 16) | 0x8001]
    bits += [1, 0x7FFFFF, 0x477FEFFF, 0x477FF000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7F800001]
    bits += [b - (1 << 31) for b in bits]                  # and their negatives
    return torch.tensor(bits, dtype=torch.int32).view(torch.float32)


def make(folder):
    os.makedirs(os.path.join(folder, "sharded"), exist_ok=True)
    source = hard_floats()
    save_file({
        "rank0": torch.tensor(-7.5),
        "rank1": rule((5,), torch.float16),
        "rank2": rule((3, 4), torch.bfloat16),
        "rank3": rule((2, 3, 4), torch.float32),
        "rank4": torch.arange(120, dtype=torch.int32).reshape(1, 2, 3, 20),
        "empty": torch.empty((0, 7)),
        "bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
        "truth": torch.tensor([True, False]),
        "small_float": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        "wide": torch.tensor([2**40], dtype=torch.int64),
        "name with ünïcode": torch.tensor([1.0]),
        "source": source,
        "source_f16": source.to(torch.float16),
        "source_bf16": source.to(torch.bfloat16),
    }, os.path.join(folder, "single.safetensors"), {"format": "pt", "note": "a \"quoted\" line\nand é"})

    # One metadata key and one dtype: then the package's order is fixed, and ours must equal it byte for byte.
    save_file({"a": rule((2, 3), torch.float32), "b": rule((4,), torch.float32), "c": torch.tensor(1.0)},
              os.path.join(folder, "exact.safetensors"), {"format": "pt"})

    shards = {
        "model-00001-of-00002.safetensors": {"embed": rule((4, 2), torch.float32), "layer.0.w": rule((2, 2), torch.float16)},
        "model-00002-of-00002.safetensors": {"layer.1.w": rule((2, 2), torch.bfloat16), "norm": rule((2,), torch.float32)},
    }
    for name, tensors in shards.items():
        save_file(tensors, os.path.join(folder, "sharded", name), {"format": "pt"})
    index = {"metadata": {"total_size": 56}, "weight_map": {t: s for s, ts in shards.items() for t in ts}}
    with open(os.path.join(folder, "sharded", "model.safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=2)
    with open(os.path.join(folder, "sharded", "config.json"), "w") as f:
        json.dump({"model_type": "llama", "hidden_size": 2}, f)


def check(path):
    with safe_open(path, framework="pt") as f:
        print("metadata", f.metadata())
        for name in f.keys():
            t = f.get_tensor(name)
            print(name, t.dtype, list(t.shape), t.flatten()[:6].tolist())


if len(sys.argv) == 3 and sys.argv[1] in ("make", "check"):
    (make if sys.argv[1] == "make" else check)(sys.argv[2])
else:
    sys.exit(__doc__)
