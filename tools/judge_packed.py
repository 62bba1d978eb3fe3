#!/usr/bin/env python3
"""judge_packed.py - packed models through transformers + bitsandbytes or gguf, for comparisons by hand.

  judge_packed.py pack MODEL FOLDER [nf4|nf4_double|int8]   quantise a plain model folder and save it
  judge_packed.py unpack FOLDER|FILE.gguf PLAIN             the same numbers as a plain float32 folder; for a GGUF file, MODEL gives the tokenizer:
  judge_packed.py unpack FILE.gguf PLAIN MODEL

A LoRA run on a packed base beside peft on the same numbers: pack a model, `hone train --model FOLDER` on it, unpack FOLDER, then judge_train.py with
--model PLAIN on hone's run folder, rows and first adapter. Tokenizer files are copied along. Invariant: unpacking asks bitsandbytes for float32, which
is the base hone computes with.
"""
import os
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from safetensors.torch import save_file

KINDS = {
    "nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "nf4_double": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "int8": dict(load_in_8bit=True),
}


def copy_tokenizer(source, target):
    for name in os.listdir(source):
        if name.startswith(("tokenizer", "special_tokens", "chat_template", "generation_config")):
            shutil.copy(os.path.join(source, name), target)


def pack(source, target, kind="nf4"):
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, device_map="cpu", quantization_config=BitsAndBytesConfig(**KINDS[kind]))
    model.save_pretrained(target)
    copy_tokenizer(source, target)


def unpack(source, target, tokenizer=None):
    if source.endswith(".gguf"):
        where = {"pretrained_model_name_or_path": os.path.dirname(source) or ".", "gguf_file": os.path.basename(source)}
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    else:
        where = {"pretrained_model_name_or_path": source}
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, device_map="cpu").dequantize(dtype=torch.float32)
    os.makedirs(target, exist_ok=True)
    tied = getattr(model.config, "tie_word_embeddings", False)
    state = {k: v.contiguous() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}
    save_file(state, os.path.join(target, "model.safetensors"), {"format": "pt"})
    config = AutoConfig.from_pretrained(**where)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.float32
    config.save_pretrained(target)
    copy_tokenizer(tokenizer or source, target)


if len(sys.argv) >= 4 and sys.argv[1] in ("pack", "unpack"):
    (pack if sys.argv[1] == "pack" else unpack)(*sys.argv[2:])
else:
    sys.exit(__doc__)
