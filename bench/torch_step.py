#!/usr/bin/env python3
"""torch_step.py - tokens per second of a training step in PyTorch (+ peft), the peer of `hone train` in bench/cpu.sh.

The model, the rows and the size of a batch are those hone trains; the loop is a PyTorch user's: sdpa attention, the loss of transformers on whole
logits, torch.optim.AdamW, clipping. One line: tokens/s (median of the steps after the warm one), peak resident MiB (of the card's memory with --device cuda), loss of
the first step. For bench/gpu.sh: --device cuda, and --shape in place of --model and --rows, a random model made on the card and random rows."""
import argparse
import json
import os
import resource
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig
from transformers.utils import logging

logging.disable_progress_bar()
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "autocast": torch.float32}   # autocast: f32 numbers, products in bf16

SHAPES = {   # as in bench_gpu.c
    "8b": dict(hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336, vocab_size=128256),
    "1.5b": dict(hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2, intermediate_size=8960, vocab_size=151936),
    "tiny": dict(hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=256, vocab_size=1024),
}


def model_random(shape, method, dtype, device):
    config = LlamaConfig(**SHAPES[shape], rope_theta=500000.0, max_position_embeddings=8192, tie_word_embeddings=False, attn_implementation="sdpa")
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if method != "full":
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model.train()


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
    ap.add_argument("--model")
    ap.add_argument("--shape", choices=SHAPES, help="in place of --model and --rows")
    ap.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    ap.add_argument("--rows", help="JSON lines {ids}, from hone train --preview N --json; those of --length tokens are used")
    ap.add_argument("--method", choices=("lora", "qlora", "full"), required=True)
    ap.add_argument("--dtype", choices=DTYPES, default="f32")
    ap.add_argument("--batch", type=int, required=True, help="rows of a step")
    ap.add_argument("--length", type=int, required=True)
    ap.add_argument("--steps", type=int, default=2, help="after a warm one")
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    if args.shape and args.method != "qlora":
        rows = torch.randint(SHAPES[args.shape]["vocab_size"], (4 * args.batch, args.length), generator=torch.Generator().manual_seed(1)).tolist()
        model = model_random(args.shape, args.method, DTYPES[args.dtype], args.device)
    elif args.model and args.rows:
        with open(args.rows, encoding="utf-8") as f:
            rows = [r["ids"] for r in map(json.loads, f) if len(r["ids"]) == args.length]
        if not rows:
            raise SystemExit(f"torch_step: {args.rows} has no row of {args.length} tokens")
        model = model_ready(args.model, args.method, DTYPES[args.dtype]).to(args.device)
    else:
        raise SystemExit("torch_step: give --model and --rows, or --shape and a method other than qlora")
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=1e-5)
    losses, seconds = [], []
    for step in range(1 + args.steps):
        ids = torch.tensor([rows[(step * args.batch + i) % len(rows)] for i in range(args.batch)], device=args.device)
        start = time.perf_counter()
        with torch.autocast(args.device, dtype=torch.bfloat16, enabled=args.dtype == "autocast"):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    rss = torch.cuda.max_memory_allocated() / 2**20 if args.device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{args.batch * args.length / statistics.median(seconds[1:]):.2f} {rss:.0f} {losses[0]:.4f}")


if __name__ == "__main__":
    main()
