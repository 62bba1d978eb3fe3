#!/usr/bin/env python3
"""export_rope.py - remakes tests/golden/rope.json: rotary frequencies at the sizes of real models.

Duty: the golden models are tiny; here each way of stretching a context is asked for with the head sizes, bases and
factors that published models have. For each row of CASES transformers' own rotary module is built from the
configuration and its frequencies (float32) and attention factor are written down, together with the configuration in
both spellings. Nothing is downloaded. To add a case, add a row.
"""
import json
import os

import torch
from transformers import Gemma3TextConfig, GPTNeoXConfig, LlamaConfig, Phi3Config, Qwen2Config, Qwen3Config
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

BODY = dict(vocab_size=32, intermediate_size=64, num_hidden_layers=6)
HEADS = dict(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8)


def factors(n, last):
    """A list as longrope has them: from 1 upwards, two digits behind the point."""
    return [round(1 + (last - 1) * (i / (n - 1)) ** 2, 2) for i in range(n)]


# name, configuration class, rotary class, keys of the file, its rotary settings in the old spelling, text lengths
CASES = [
    ("plain", LlamaConfig, LlamaRotaryEmbedding, HEADS, {"rope_theta": 500000.0}, [100]),
    ("llama 3.1", LlamaConfig, LlamaRotaryEmbedding, HEADS | {"max_position_embeddings": 131072},
     {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}, [100]),
    ("llama 3.2 1B", LlamaConfig, LlamaRotaryEmbedding, HEADS | {"hidden_size": 2048, "head_dim": 64, "max_position_embeddings": 131072},
     {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}, [100]),
    ("linear", LlamaConfig, LlamaRotaryEmbedding, HEADS, {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 3.0}}, [100]),
    ("dynamic", LlamaConfig, LlamaRotaryEmbedding, HEADS | {"max_position_embeddings": 4096},
     {"rope_theta": 1000000.0, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, [100, 4096, 4097, 7777]),
    ("qwen2 yarn", Qwen2Config, Qwen2RotaryEmbedding, HEADS | {"max_position_embeddings": 32768},
     {"rope_theta": 1000000.0, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}, [100]),
    ("qwen3 yarn", Qwen3Config, Qwen3RotaryEmbedding, HEADS | {"head_dim": 128, "max_position_embeddings": 40960},
     {"rope_theta": 1000000.0, "rope_scaling": {"rope_type": "yarn", "factor": 2.5, "beta_fast": 24, "beta_slow": 2,
      "original_max_position_embeddings": 32768, "truncate": False}}, [100]),
    ("yarn with mscale", LlamaConfig, LlamaRotaryEmbedding, HEADS | {"max_position_embeddings": 163840},
     {"rope_theta": 10000.0, "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 0.707, "mscale_all_dim": 1.0,
      "beta_fast": 32, "beta_slow": 1, "original_max_position_embeddings": 4096}}, [100]),
    ("yarn with a factor of attention", LlamaConfig, LlamaRotaryEmbedding, HEADS | {"max_position_embeddings": 65536},
     {"rope_theta": 10000.0, "rope_scaling": {"type": "yarn", "factor": 16.0, "attention_factor": 1.5,
      "original_max_position_embeddings": 4096}}, [100]),
    ("phi 3.5 mini", Phi3Config, Phi3RotaryEmbedding, HEADS | {"hidden_size": 3072, "num_key_value_heads": 32, "max_position_embeddings": 131072,
     "original_max_position_embeddings": 4096},
     {"rope_theta": 10000.0, "rope_scaling": {"type": "longrope", "short_factor": factors(48, 2.8), "long_factor": factors(48, 64.2)}}, [4096, 4097]),
    ("phi 4 mini", Phi3Config, Phi3RotaryEmbedding, HEADS | {"hidden_size": 3072, "num_attention_heads": 24, "max_position_embeddings": 131072,
     "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75},
     {"rope_theta": 10000.0, "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": factors(48, 47.8)}}, [100, 9000]),
    ("gemma 3", Gemma3TextConfig, Gemma3RotaryEmbedding, HEADS | {"hidden_size": 2560, "num_attention_heads": 8, "num_key_value_heads": 4,
     "head_dim": 256, "max_position_embeddings": 131072},
     {"rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}, [100]),
    ("pythia", GPTNeoXConfig, GPTNeoXRotaryEmbedding, {"hidden_size": 2048, "num_attention_heads": 16},
     {"rotary_emb_base": 10000, "rotary_pct": 0.25}, [100]),
]


def frequencies(rotary, n, kind):
    """After a text of n tokens, on a module that has seen no other."""
    at = torch.arange(n)[None]
    if kind is None:
        rotary(torch.zeros(1), at)
        return rotary.inv_freq, rotary.attention_scaling
    rotary(torch.zeros(1), at, kind)
    return getattr(rotary, kind + "_inv_freq"), getattr(rotary, kind + "_attention_scaling")


def main():
    rows = []
    for name, config_class, rotary_class, keys, rope, lengths in CASES:
        old = {"model_type": config_class.model_type} | BODY | keys | rope
        config = config_class(**json.loads(json.dumps(BODY | keys | rope)))     # the class changes what it is given
        new = {"model_type": config_class.model_type} | BODY | keys | {"rope_parameters": config.rope_parameters}
        for n in lengths:
            for i, kind in enumerate(("full_attention", "sliding_attention") if rotary_class is Gemma3RotaryEmbedding else (None,)):
                freq, scale = frequencies(rotary_class(config_class(**json.loads(json.dumps(BODY | keys | rope)))), n, kind)
                assert freq.dtype == torch.float32
                rows.append({"name": f"{name}, {n} tokens", "old": old, "new": new, "length": n, "set": i, "attention_factor": scale,
                             "frequencies": [float(f"{x:.9g}") for x in freq.tolist()]})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "rope.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    print(f"{len(rows)} rows, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
