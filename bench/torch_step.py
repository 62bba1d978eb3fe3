#!/usr/bin/env python3
"""torch_step.py - tokens per second of a training step in PyTorch (+ peft), the peer of `hone train` in bench/cpu.sh.

The model, the rows and the size of a batch are those hone trains; the loop is a PyTorch user's: sdpa attention, the loss of transformers on whole
logits, torch.optim.AdamW, clipping. One line: tokens/s (median of the steps after the warm one), peak resident MiB, loss of the first step."""
import argparse
import json
import os
import resource
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging

logging.disable_progress_bar()
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "autocast": torch.float32}   # autocast: f32 numbers, products in bf16


def model_ready(path, method, dtype):
    quantized = None
    if method == "qlora":
        quantized = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="sdpa", quantization_config=quantized)
    if method == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if method != "full":
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model.train()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", required=True)
    ap.add_argument("--rows", required=True, help="JSON lines {ids}, from hone train --preview N --json; those of --length tokens are used")
    ap.add_argument("--method", choices=("lora", "qlora", "full"), required=True)
    ap.add_argument("--dtype", choices=DTYPES, default="f32")
    ap.add_argument("--batch", type=int, required=True, help="rows of a step")
    ap.add_argument("--length", type=int, required=True)
    ap.add_argument("--steps", type=int, default=2, help="after a warm one")
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    with open(args.rows, encoding="utf-8") as f:
        rows = [r["ids"] for r in map(json.loads, f) if len(r["ids"]) == args.length]
    if not rows:
        raise SystemExit(f"torch_step: {args.rows} has no row of {args.length} tokens")
    model = model_ready(args.model, args.method, DTYPES[args.dtype])
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=1e-5)
    losses, seconds = [], []
    for step in range(1 + args.steps):
        ids = torch.tensor([rows[(step * args.batch + i) % len(rows)] for i in range(args.batch)])
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "autocast"):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{args.batch * args.length / statistics.median(seconds[1:]):.2f} {rss:.0f} {losses[0]:.4f}")


if __name__ == "__main__":
    main()
