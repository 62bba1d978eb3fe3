#!/usr/bin/env python3
"""judge_families.py - do merged exports of every family load elsewhere, and compute the same there?

Duty: for each golden model and each adapter beside it, `hone export` merges them into safetensors cut into small shards; transformers
loads the folder, and its logits are compared with those of transformers + peft on the two that went in. Nothing is downloaded.
    python tools/judge_families.py BUILD/hone
Exit status 1 when a folder does not load or a logit is off by more than 1e-5 of the largest.
"""
import os
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import PeftModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import mixtures

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "models")
TEXT = "the quick brown fox jumps\nover a lazy dog again\n"


def letters():
    """A tokenizer for vocabularies of 29 and more: the golden models have none, and an export's certificate reads text."""
    vocab = {t: i for i, t in enumerate(["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"])}
    tok = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    tok.add_special_tokens(["<s>", "</s>", "<unk>"])
    return tok


def load(path):
    """In f32 and without fused kernels: PyTorch's grouped product refuses rows of these tiny experts that are no multiple of 16 bytes."""
    return AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", experts_implementation="eager", dtype=torch.float32).eval()


def adapted(path, adapter):
    """Base and adapter; experts and routers as linears of their own (mixtures.py), since peft does not adapt stacked ones."""
    model = load(path)
    if mixtures.is_mixture(model.config):
        model = mixtures.plain(mixtures.unstacked(model))
    return PeftModel.from_pretrained(model, os.path.join(path, adapter)).eval()


def judge(hone, family, adapter, work):
    base, out, data = os.path.join(work, "base"), os.path.join(work, "out"), os.path.join(work, "texts.txt")
    for folder in (base, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(MODELS, family), base)
    letters().save(os.path.join(base, "tokenizer.json"))
    with open(data, "w", encoding="utf-8") as f:
        f.write(TEXT)
    subprocess.run([hone, "export", base, "--adapter", os.path.join(base, adapter), "--format", "safetensors", "--dtype", "f32",
                    "--max-shard", "6000", "--data", data, "--out", out], check=True, capture_output=True)
    ids = (torch.arange(40) * 7 % 29)[None]
    with torch.no_grad():
        want = adapted(base, adapter)(input_ids=ids, use_cache=False).logits
        got = load(out)(input_ids=ids, use_cache=False).logits
    off = float((got - want).abs().max() / want.abs().max())
    shards = sum(n.endswith(".safetensors") for n in os.listdir(out))
    print(f"{family} + {adapter}: {shards} shards, logits off by {off:.1e} of the largest")
    return off <= 1e-5


def main():
    hone = os.path.abspath(sys.argv[1])
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as work:
        good = [judge(hone, family, adapter, work) for family in sorted(os.listdir(MODELS)) for adapter in ("adapter", "tables")
                if os.path.isdir(os.path.join(MODELS, family, adapter))]
    print(f"{sum(good)} of {len(good)} agree")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
