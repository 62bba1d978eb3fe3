#!/usr/bin/env python3
"""golden_packed.py - remakes tests/formats/golden/packed: tiny Llamas packed by the official libraries, and the numbers they stand for.

Duty: for each row of FORMATS pack the matrices of one random model, write the folder as its library does, and note for every weight the SHA-256 of its
unpacked numbers in float32 (row-major) and for the model its logits on IDS. Who packs and unpacks: bitsandbytes through transformers; transformers' own
FP8 code; compressed-tensors' compressors; auto-gptq's and autoawq's layers on the CPU. The last two are imported without their package's __init__, which
wants other versions of everything; install them with pip --no-deps (autoawq from its source package).
Invariants: nothing is downloaded; every number comes from one numpy generator; two runs write the same bytes. FORMATS[name] is (packer, settings).
  golden_packed.py FOLDER
"""
import hashlib
import json
import os
import shutil
import sys
import types

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig
from transformers.utils import logging

IDS = [3, 17, 19, 5, 11, 2, 23, 8, 20, 1]
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CONFIG = LlamaConfig(vocab_size=24, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                     rms_norm_eps=1e-5, tie_word_embeddings=False, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=None,
                     rope_parameters={"rope_type": "default", "rope_theta": 10000.0})


def import_bare(package, *below):
    """A package whose __init__ is not run, so that single modules below it can be imported."""
    import importlib.util
    if package in sys.modules:
        return
    where = importlib.util.find_spec(package).submodule_search_locations
    for name in (package, *(f"{package}.{b}" for b in below)):
        m = types.ModuleType(name)
        m.__path__ = [os.path.join(p, *name.split(".")[1:]) for p in where]
        sys.modules[name] = m


def model_new(dtype=torch.float32):
    rng = np.random.default_rng(77)
    model = AutoModelForCausalLM.from_config(CONFIG, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            mean, std = (1.0, 0.2) if "norm" in name else (0.0, 0.25)
            p.copy_(torch.from_numpy((mean + std * rng.standard_normal(tuple(p.shape))).astype(np.float32)))
    return model.to(dtype).eval()


def linears(model):
    return [(n, m) for n, m in model.named_modules() if n.rsplit(".", 1)[-1] in MODULES]


def logits_of(weights):
    model = model_new()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    with torch.no_grad():
        return model(input_ids=torch.tensor([IDS]), use_cache=False).logits[0]


def folder_write(folder, tensors, quant, dtype):
    config = CONFIG.to_dict() | {"architectures": ["LlamaForCausalLM"], "dtype": str(dtype).split(".")[-1], "quantization_config": quant}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({k: v for k, v in sorted(config.items()) if v is not None}, f, indent=1, sort_keys=True, default=str)
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "model.safetensors"), {"format": "pt"})


# ---- packers: each writes the folder and returns the unpacked weights in float32 ----

def unpack_4bit(code, state):
    """bitsandbytes' portable implementation: its vector code for the CPU takes every row for the begin of a block, which is wrong for the short rows
    of a tiny model (and the same for rows that are a multiple of the block; quantised_once holds the two against each other)."""
    import bitsandbytes.functional as bnb
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
    absmax = state.absmax
    if state.nested:
        absmax = bnb.dequantize_blockwise(absmax, state.state2) + state.offset
    flat = code.reshape(-1).view(torch.uint8)
    return _dequantize_4bit_compute.__wrapped__(flat, absmax, state.code, state.blocksize, state.shape, torch.float32)


def by_bitsandbytes(folder, dtype, **settings):
    plain = folder + ".plain"
    model_new(dtype).save_pretrained(plain)
    quant = BitsAndBytesConfig(**settings)
    model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=quant, dtype=dtype, device_map="cpu")
    model.save_pretrained(folder)
    shutil.rmtree(plain)
    os.remove(os.path.join(folder, "generation_config.json"))
    import bitsandbytes.functional as bnb
    weights = {}
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        stored = {k: f.get_tensor(k) for k in f.keys()}
    for name, m in model.named_modules():
        w = getattr(m, "weight", None)
        if w is None:
            continue
        if type(w).__name__ == "Params4bit":
            state = bnb.QuantState.from_dict({k[len(name) + 8:]: v for k, v in stored.items() if k.startswith(name + ".weight.")}, "cpu")
            state.dtype = torch.float32
            weights[name + ".weight"] = unpack_4bit(stored[name + ".weight"], state)
        elif type(w).__name__ == "Int8Params":
            weights[name + ".weight"] = bnb.int8_vectorwise_dequant(stored[name + ".weight"], stored[name + ".SCB"])
        else:
            weights[name + ".weight"] = w.detach().float()
    return weights


def by_transformers_fp8(folder, dtype, block, scale="float"):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize, Fp8Quantize
    from transformers.utils.quantization_config import FineGrainedFP8Config
    quantizer = types.SimpleNamespace(quantization_config=FineGrainedFP8Config(weight_block_size=block, scale_fmt=scale))
    model, tensors, weights = model_new(dtype), {}, {}
    packed = {n + ".weight" for n, _ in linears(model)}
    for name, p in model.state_dict().items():
        if name not in packed:
            tensors[name], weights[name] = p, p.float()
            continue
        if block is None:                                  # a scale for the tensor, as static checkpoints have
            s = p.float().abs().max() / 448
            tensors[name], tensors[name + "_scale_inv"] = (p.float() / s).to(torch.float8_e4m3fn), s
            tensors[name[:-6] + "activation_scale"] = torch.tensor(0.5)
        else:
            tensors |= Fp8Quantize(quantizer).convert({name: [p.float()]})
        weights[name] = Fp8Dequantize(quantizer)._dequantize_one(tensors[name], tensors[name + "_scale_inv"], torch.float32)
    folder_write(folder, tensors, {"quant_method": "fp8", "activation_scheme": "dynamic" if block else "static", "weight_block_size": block,
                                   "modules_to_not_convert": ["lm_head"]}, dtype)
    return weights


def by_compressed_tensors(folder, dtype, format, **args):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args), format=format)
    compressor = BaseCompressor.get_value_from_registry(format)
    model, tensors, weights = model_new(dtype), {}, {}
    packed = {n for n, _ in linears(model)}
    for name, p in model.state_dict().items():
        module = name[:-len(".weight")]
        if module not in packed:
            tensors[name], weights[name] = p, p.float()
            continue
        groups = {"tensor": p.reshape(1, -1), "channel": p, "group": p.reshape(-1, args.get("group_size") or 1)}[args["strategy"]]
        scale, zero = calculate_qparams(groups.amin(1), groups.amax(1), scheme.weights)
        shape = {"tensor": (1,), "channel": (len(p), 1), "group": (len(p), -1)}[args["strategy"]]
        state = {"weight": p, "weight_scale": scale.reshape(shape), "weight_zero_point": zero.reshape(shape)}
        state = compressor.compress(state, scheme)
        weights[name] = compressor.decompress(state, scheme)["weight"].float()
        tensors |= {f"{module}.{k}": v for k, v in state.items()}
    quant = QuantizationConfig(config_groups={"group_0": scheme}, format=format, quantization_status="compressed", ignore=["lm_head"]).model_dump(mode="json")
    folder_write(folder, tensors, quant, dtype)
    return weights


def gptq_parts(w, bits, group, sym):
    """Scales and zero points [out, groups] of the range, as a quantiser without calibration gives them."""
    g = w.reshape(len(w), -1, group)
    low, high, top = g.amin(2).clamp(max=0), g.amax(2).clamp(min=0), 2 ** bits - 1
    if sym:
        high = torch.maximum(high, -low)
        low = -high
    scale = (high - low) / top
    zero = torch.full_like(scale, (top + 1) / 2) if sym else (-low / scale).round().clamp(1, top)
    return scale, zero


def by_auto_gptq(folder, dtype, bits, group, sym, order, format="gptq"):
    import_bare("auto_gptq", "nn_modules", "nn_modules.qlinear", "nn_modules.triton_utils")
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear
    model, tensors, weights = model_new(torch.float16), {}, {}
    rng = np.random.default_rng(5)
    packed = dict(linears(model))
    for name, p in model.state_dict().items():
        module = name[:-len(".weight")]
        if module not in packed:
            tensors[name], weights[name] = p, p.float()
            continue
        n_out, n_in = p.shape
        g_idx = torch.from_numpy(np.arange(n_in, dtype=np.int32) // group)
        if order:
            g_idx = g_idx[torch.from_numpy(rng.permutation(n_in))]
        scale, zero = gptq_parts(p.float(), bits, group, sym)
        layer = QuantLinear(bits, group, n_in, n_out, bias=False, weight_dtype=torch.float16)
        on_grid = p.float()
        s, z = scale[:, g_idx.long()].half().float(), zero[:, g_idx.long()]
        on_grid = ((on_grid / s + z).round().clamp(0, 2 ** bits - 1) - z) * s
        linear = torch.nn.Linear(n_in, n_out, bias=False)
        linear.weight.data = on_grid
        layer.pack(linear, scale.half().float(), zero.clone(), g_idx)
        layer.scales = layer.scales.half()
        eye = torch.eye(n_in, dtype=torch.float16)
        weights[name] = layer(eye).T.float()               # a unit vector times the unpacked matrix: exact
        state = {k: getattr(layer, k) for k in ("qweight", "qzeros", "scales", "g_idx")}
        if format == "gptq_v2":                            # zero points as they are: each field one higher
            ones = sum(1 << b for b in range(0, 32, bits))
            state["qzeros"] = (state["qzeros"].long() + ones).to(torch.int32)
        tensors |= {f"{module}.{k}": v for k, v in state.items()}
    folder_write(folder, tensors, {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": order, "sym": sym,
                                   "checkpoint_format": format}, torch.float16)
    return weights


def by_autoawq(folder, dtype, group):
    import_bare("awq", "modules", "modules.linear", "utils")
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm
    model, tensors, weights = model_new(torch.float16), {}, {}
    packed = dict(linears(model))
    for name, p in model.state_dict().items():
        module = name[:-len(".weight")]
        if module not in packed:
            tensors[name], weights[name] = p, p.float()
            continue
        scale, zero = gptq_parts(p.float(), 4, group, False)
        s, z = (v.repeat_interleave(group, 1) for v in (scale.half().float(), zero))
        linear = torch.nn.Linear(*reversed(p.shape), bias=False)
        linear.weight.data = ((p.float() / s + z).round().clamp(0, 15) - z) * s
        layer = WQLinear_GEMM.from_linear(linear, 4, group, False, scale.half().float().T.contiguous(), zero.T.contiguous())
        weights[name] = dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, 4, group).T.float()
        tensors |= {f"{module}.{k}": getattr(layer, k) for k in ("qweight", "qzeros", "scales")}
    folder_write(folder, tensors, {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}, torch.float16)
    return weights


NF4 = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4")
FORMATS = {
    "nf4": (by_bitsandbytes, torch.bfloat16, NF4),
    "nf4_double": (by_bitsandbytes, torch.float16, NF4 | dict(bnb_4bit_use_double_quant=True)),
    "nf4_stored_bf16": (by_bitsandbytes, torch.bfloat16, NF4 | dict(bnb_4bit_quant_storage=torch.bfloat16)),
    "fp4": (by_bitsandbytes, torch.float16, dict(load_in_4bit=True, bnb_4bit_quant_type="fp4")),
    "int8": (by_bitsandbytes, torch.float16, dict(load_in_8bit=True)),
    "fp8_block": (by_transformers_fp8, torch.bfloat16, dict(block=[16, 8])),
    "fp8_tensor": (by_transformers_fp8, torch.bfloat16, dict(block=None)),
    "ct_fp8_tensor": (by_compressed_tensors, torch.bfloat16, dict(format="float-quantized", num_bits=8, type="float", strategy="tensor", symmetric=True)),
    "ct_fp8_channel": (by_compressed_tensors, torch.float16, dict(format="float-quantized", num_bits=8, type="float", strategy="channel", symmetric=True)),
    "ct_int8": (by_compressed_tensors, torch.bfloat16, dict(format="int-quantized", num_bits=8, type="int", strategy="channel", symmetric=True)),
    "ct_int8_zero": (by_compressed_tensors, torch.float16, dict(format="int-quantized", num_bits=8, type="int", strategy="channel", symmetric=False)),
    "ct_int4": (by_compressed_tensors, torch.bfloat16, dict(format="pack-quantized", num_bits=4, type="int", strategy="group", group_size=16, symmetric=True)),
    "ct_int4_zero": (by_compressed_tensors, torch.float16, dict(format="pack-quantized", num_bits=4, type="int", strategy="group", group_size=16, symmetric=False)),
    "ct_int3_zero": (by_compressed_tensors, torch.float32, dict(format="pack-quantized", num_bits=3, type="int", strategy="channel", symmetric=False)),
    "gptq4": (by_auto_gptq, None, dict(bits=4, group=16, sym=True, order=False)),
    "gptq4_order": (by_auto_gptq, None, dict(bits=4, group=16, sym=False, order=True)),
    "gptq4_v2": (by_auto_gptq, None, dict(bits=4, group=16, sym=False, order=False, format="gptq_v2")),
    "gptq2": (by_auto_gptq, None, dict(bits=2, group=16, sym=False, order=False)),
    "gptq3": (by_auto_gptq, None, dict(bits=3, group=32, sym=False, order=False)),
    "gptq8": (by_auto_gptq, None, dict(bits=8, group=32, sym=False, order=False)),
    "awq4": (by_autoawq, None, dict(group=16)),
}


def float8_codes():
    """All 256 codes as float32, for the two formats."""
    codes = torch.arange(256, dtype=torch.uint8)
    return {name: codes.view(t).float() for name, t in (("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2))}


def quantised_once(out):
    """What bitsandbytes makes of one matrix of several hundred blocks, with values that are hard to round: for the writers."""
    import bitsandbytes.functional as bnb
    rng = np.random.default_rng(9)
    m = (rng.standard_normal((132, 128)) * 0.05).astype(np.float32)
    m[3] = 0
    m[5, :64] = 0
    m[7, :16] = np.linspace(-1, 1, 16)
    m = torch.from_numpy(m).to(torch.bfloat16)
    tensors = {"matrix": m}
    for double in (False, True):
        code, state = bnb.quantize_4bit(m, blocksize=64, compress_statistics=double, quant_type="nf4")
        kind = "double" if double else "nf4"
        state.dtype = torch.float32
        assert torch.equal(bnb.dequantize_4bit(code, state), unpack_4bit(code, state))
        state.dtype = m.dtype
        tensors |= {f"{kind}.weight": code} | {f"{kind}.weight.{k}": v for k, v in state.as_dict(packed=True).items()}
    code, scb, _ = bnb.int8_vectorwise_quant(m.to(torch.float16))
    tensors |= {"int8.weight": code, "int8.SCB": scb}
    save_file(tensors, os.path.join(out, "quantised.safetensors"), {"format": "pt"})


def main(out):
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    expected = {}
    for name, (packer, dtype, settings) in FORMATS.items():
        folder = os.path.join(out, name)
        os.makedirs(folder)
        weights = packer(folder, dtype, **settings)
        logits = logits_of(weights)
        hashes = {k: hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest() for k, v in sorted(weights.items())}
        expected[name] = logits
        with open(os.path.join(folder, "expected.json"), "w") as f:
            json.dump(hashes, f, indent=1)
        print(name, sum(os.path.getsize(os.path.join(folder, p)) for p in os.listdir(folder)), "bytes, largest logit", float(logits.abs().max()))
    save_file(expected | {"ids": torch.tensor(IDS, dtype=torch.int32)} | float8_codes(), os.path.join(out, "expected.safetensors"), {"format": "pt"})
    quantised_once(out)


if len(sys.argv) == 2:
    main(sys.argv[1])
else:
    sys.exit(__doc__)
