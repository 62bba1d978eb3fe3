#!/usr/bin/env python3
"""golden_optimizer.py - remakes tests/tensor/golden/adamw_8bit.safetensors: twenty steps of bitsandbytes' AdamW with moments of 8 bits.

Duty: N weights are drawn to N targets, each with its own curvature, by bitsandbytes.optim.AdamW8bit on the CPU; written are the two maps of codes, the
weights after the first and the last step, and the moments after the last one (codes and absmax).
What the numbers start from is a rule that C repeats bit for bit: see start(). Gradients are as small as clipped ones are: a second moment that is 0 beside
its block's largest leaves eps alone in the denominator, and gradients of 1 would then throw a weight far away, with bitsandbytes as with us.
bitsandbytes' CPU library looks codes up by a rounded number and misses the nearest one in 1 of 700 (first) and 1 of 30 (second moment); a second moment
of 0 becomes code 7. So the quantisation here is that of its portable code, the one that its GPUs follow, too.
Invariants: nothing random; two runs write the same bytes.
  golden_optimizer.py FOLDER
"""
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import bitsandbytes as bnb
import bitsandbytes.functional as functional
from bitsandbytes.backends.cpu import ops

N, STEPS = 4500, 20                                        # 17 blocks of 256 and a part of one
LR, BETAS, EPS, DECAY = 1e-2, (0.9, 0.999), 1e-8, 0.1


def quantise_portable(x, code, absmax_out, out, blocksize):
    """bitsandbytes.backends.default: the nearest code, the lower one in the middle."""
    n = x.numel()
    blocks = torch.nn.functional.pad(x.reshape(-1), (0, -n % blocksize)).reshape(-1, blocksize)
    absmax = blocks.abs().amax(1)
    scaled = (blocks * (1.0 / absmax.clamp(min=1e-38))[:, None]).clamp(-1, 1)
    out.copy_(torch.bucketize(scaled, (code[:-1] + code[1:]) / 2).reshape(-1)[:n].reshape(out.shape).to(torch.uint8))
    absmax_out.copy_(absmax)


def adamw_8bit(*args, **settings):
    ops._quant_blockwise_fp32_direct = quantise_portable
    return bnb.optim.AdamW8bit(*args, **settings)


def spread(factor):
    """Numbers in [-0.5, 0.5) from the top 24 bits of a product of integers."""
    i = np.arange(N, dtype=np.uint64)
    return torch.from_numpy((((i * factor & 0xFFFFFFFF) >> 8).astype(np.float64) * 2.0 ** -24 - 0.5).astype(np.float32))


def start():
    return spread(2654435761), spread(2246822519), torch.from_numpy((2.0 ** -(14 + np.arange(N) % 8)).astype(np.float32))


def main(folder):
    w, target, curve = start()
    w = torch.nn.Parameter(w)
    optimizer = adamw_8bit([w], lr=LR, betas=BETAS, eps=EPS, weight_decay=DECAY)
    tensors = {"code.m": functional.create_dynamic_map(True), "code.v": functional.create_dynamic_map(False)}
    for step in range(1, STEPS + 1):
        w.grad = (w.detach() - target) * curve
        optimizer.step()
        if step == 1:
            tensors["w.1"] = w.detach().clone()
    state = optimizer.state[w]
    assert state["state1"].dtype == torch.uint8
    tensors |= {"w": w.detach(), "m": state["state1"], "v": state["state2"], "m.absmax": state["absmax1"], "v.absmax": state["absmax2"]}
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "adamw_8bit.safetensors"), {"made_by": f"bitsandbytes {bnb.__version__}"})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
