#!/usr/bin/env python3
"""Compares hone's GGUF files with llama.cpp, by hand (minutes). For every family that both know: a tiny random model from its own configuration class,
then
  1. hone's F32 and F16 export, computed by llama.cpp, against transformers' logits;
  2. for each quantised type: hone's file and llama.cpp's own (llama_model_quantize on hone's F32 file), both computed by llama.cpp, against F32;
     tensor types and bytes of the two files;
  3. llama.cpp's quantised file read by hone: every weight, bit for bit, against the gguf package's reading;
  4. an adapter trained by hone: greedy text of base + adapter and of the merged file, there and here.
usage: judge_gguf.py HONE TOKENIZER.json [--types Q8_0,Q4_K_M] [family ...]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np

VOCAB = 1408
TYPES = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q5_0": 8, "Q5_1": 9, "Q4_K_M": 15, "Q4_K_S": 14, "Q4_0": 2, "Q4_1": 3, "IQ4_NL": 25, "Q3_K_M": 12,
         "Q3_K_L": 13, "Q3_K_S": 11, "Q2_K": 10}
COMMON = dict(vocab_size=VOCAB, hidden_size=256, intermediate_size=512, num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=None, initializer_range=0.06)
LONG = dict(rope_type="longrope", short_factor=[1.0 + i / 40 for i in range(32)], long_factor=[1.5 + i / 8 for i in range(32)],
            original_max_position_embeddings=128)
FAMILIES = {
    "llama": ("LlamaConfig", {}),
    "llama-tied-llama3": ("LlamaConfig", dict(tie_word_embeddings=True, rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0, original_max_position_embeddings=64))),
    "llama-linear": ("LlamaConfig", dict(rope_scaling=dict(rope_type="linear", factor=4.0))),
    "llama-yarn": ("LlamaConfig", dict(rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64))),
    "llama-biases": ("LlamaConfig", dict(attention_bias=True, mlp_bias=True, head_dim=32)),
    "mistral": ("MistralConfig", dict(sliding_window=None, head_dim=32)),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", dict(head_dim=32)),
    "gemma": ("GemmaConfig", dict(head_dim=32, tie_word_embeddings=True)),
    "gemma2": ("Gemma2Config", dict(head_dim=64, query_pre_attn_scalar=64, sliding_window=16, tie_word_embeddings=True)),
    "gemma3": ("Gemma3TextConfig", dict(head_dim=64, query_pre_attn_scalar=64, sliding_window=16, tie_word_embeddings=True)),
    "phi3": ("Phi3Config", {}),
    "phi3-longrope": ("Phi3Config", dict(original_max_position_embeddings=128, rope_scaling=LONG)),
    "phi2": ("PhiConfig", dict(partial_rotary_factor=0.5)),
    "gpt2": ("GPT2Config", dict(n_embd=256, n_layer=8, n_head=4, n_positions=256, n_inner=512)),
    "gptneox": ("GPTNeoXConfig", dict(use_parallel_residual=True, num_key_value_heads=4)),
    "gptneox-serial": ("GPTNeoXConfig", dict(use_parallel_residual=False, num_key_value_heads=4)),
    "smollm3": ("SmolLM3Config", {}),
    "olmo2": ("Olmo2Config", {}),
    "granite": ("GraniteConfig", dict(attention_multiplier=0.1, embedding_multiplier=3.0, residual_multiplier=0.5, logits_scaling=2.0)),
    "starcoder2": ("Starcoder2Config", dict(sliding_window=None)),
    "mixtral": ("MixtralConfig", dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None)),
    "qwen2_moe": ("Qwen2MoeConfig", dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=256, shared_expert_intermediate_size=256)),
    "qwen3_moe": ("Qwen3MoeConfig", dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=256, head_dim=64, norm_topk_prob=True)),
}
ADAPT = {"gpt2": "c_attn,c_fc", "gptneox": "query_key_value,dense", "gptneox-serial": "query_key_value,dense"}


GELU = ("gemma", "gemma2", "gemma3", "phi2", "gpt2", "gptneox", "gptneox-serial", "starcoder2")


def gelu_as_there(model):
    """llama.cpp's GELU on a CPU is the tanh form read from a table of half-precision numbers."""
    import torch

    class Table(torch.nn.Module):
        def forward(self, x):
            y = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
            return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, y))
    for m in model.modules():
        for name in ("act_fn", "act", "activation_fn"):
            if hasattr(m, name):
                setattr(m, name, Table())


def run(*args):
    p = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {p.stderr.strip()[-400:]}")
    return p.stdout


def make_model(name, folder, tokenizer):
    import torch
    import transformers
    cls, extra = FAMILIES[name]
    torch.manual_seed(7)
    config = getattr(transformers, cls)(**({**COMMON, **extra} if cls != "GPT2Config" else
                                           {**extra, "vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.06}))
    model = transformers.AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for p in model.parameters():  # norms and biases that tell where they went
            if p.ndim == 1:
                p.add_(0.2 * torch.randn_like(p))
    model.save_pretrained(folder)
    shutil.copy(tokenizer, os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}, f)
    return model


def worker(job):
    """In a process of its own, because llama.cpp and torch do not share one well."""
    import llama_cpp
    if "quantize" in job:
        p = llama_cpp.llama_model_quantize_default_params()
        p.ftype, p.nthread = job["quantize"], 2
        sys.exit(llama_cpp.llama_model_quantize(job["path"].encode(), job["out"].encode(), p))
    plain = llama_cpp.llama_cpp.llama_model_default_params

    def params():  # weights as they lie in the file, not rearranged for special units, which some virtual machines announce and do not have
        p = plain()
        p.use_extra_bufts = False
        return p
    llama_cpp.llama_cpp.llama_model_default_params = llama_cpp.llama_model_default_params = params
    m = llama_cpp.Llama(job["path"], n_ctx=128, logits_all=True, verbose=False, type_k=0, type_v=0, lora_path=job["lora"], n_threads=2, flash_attn=False)
    m.eval(job["ids"])
    if not job["greedy"]:
        np.save(job["out"], np.array(m.scores[:len(job["ids"])], dtype=np.float64))
        return
    ids = []
    for _ in range(job["greedy"]):
        ids.append(int(np.argmax(m.scores[m.n_tokens - 1])))
        m.eval([ids[-1]])
    np.save(job["out"], np.array(ids))


def work(**job):
    run(sys.executable, __file__, "--worker", json.dumps(job))


def there(path, ids, lora=None, greedy=0):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.npy")
        work(path=path, ids=list(ids), lora=lora, greedy=greedy, out=out)
        return np.load(out)


def noise(a, b):
    """Root mean square difference as a share of b's spread, and the mean KL in nats."""
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    p, q = b - np.log(np.exp(b).sum(-1, keepdims=True)), a - np.log(np.exp(a).sum(-1, keepdims=True))
    return float(np.sqrt(((a - b) ** 2).sum() / (b ** 2).sum())), float((np.exp(p) * (p - q)).sum(-1).mean())


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def same_files(a, b):
    """Tensors of other types, and tensors of other bytes."""
    x, y = tensors(a), tensors(b)
    types = sorted(n for n in set(x) | set(y) if n not in x or n not in y or x[n].tensor_type != y[n].tensor_type)
    data = sorted(n for n in set(x) & set(y) if n not in types and not np.array_equal(np.asarray(x[n].data).view(np.uint8).ravel(), np.asarray(y[n].data).view(np.uint8).ravel()))
    return types, data


def same_numbers(read_back, original):
    x, y = tensors(read_back), tensors(original)
    bad = 0
    for n, t in y.items():
        want = gguf.dequantize(t.data, t.tensor_type) if t.tensor_type not in (0,) else np.asarray(t.data)
        got = np.asarray(x[n].data)
        bad += not np.array_equal(want.astype(np.float32).view(np.uint32).ravel(), got.astype(np.float32).view(np.uint32).ravel())
    return bad


def judge(hone, tokenizer, name, folder):
    base = os.path.join(folder, "model")  # llama.cpp takes special tokens for granted when the name says phi-3
    model = make_model(name, base, tokenizer)
    rng = np.random.default_rng(3)
    ids = [0] + rng.integers(2, VOCAB, 47).tolist()
    import torch
    with torch.no_grad():
        truth = model(torch.tensor([ids])).logits[0].double().numpy()
    path = {t: os.path.join(folder, f"{name}.{t}.gguf") for t in ["F32", "F16", *TYPES]}
    run(hone, "export", base, "--format", "gguf:F32", "--out", path["F32"])
    run(hone, "export", base, "--format", "gguf:F16", "--out", path["F16"])
    full = there(path["F32"], ids)
    line = f"{name}: largest logit {np.abs(truth).max():.2f}; F32 {np.abs(full - truth).max():.1e}, F16 {np.abs(there(path['F16'], ids) - truth).max():.1e}"
    if name in GELU:
        gelu_as_there(model)
        with torch.no_grad():
            line += f"; F32 against transformers with llama.cpp's GELU {np.abs(full - model(torch.tensor([ids])).logits[0].double().numpy()).max():.1e}"
    print(line, flush=True)
    for t, number in TYPES.items():
        own = os.path.join(folder, f"{name}.{t}.own.gguf")
        run(hone, "export", base, "--format", f"gguf:{t}", "--out", path[t])
        work(path=path["F32"], out=own, quantize=number)
        (na, ka), (nb, kb) = noise(there(path[t], ids), full), noise(there(own, ids), full)
        types, data = same_files(path[t], own)
        back = os.path.join(folder, "back.gguf")
        for f in (back, back[:-5] + ".certificate.json"):
            if os.path.exists(f):
                os.remove(f)
        run(hone, "export", own, "--format", "gguf:F32", "--out", back)
        print(f"  {t:7} noise hone {na:.4f} llama.cpp {nb:.4f}; KL {ka:.2e} {kb:.2e}; tensors of another type {len(types)}, of other bytes {len(data)}; "
              f"read by hone with other bits {same_numbers(back, own)} {types[:2]} {data[:2]}", flush=True)
        os.remove(own)
    judge_adapter(hone, name, base, folder)


def judge_adapter(hone, name, base, folder):
    data = os.path.join(folder, "data.jsonl")
    with open(data, "w") as f:
        for i in range(40):
            f.write(json.dumps({"prompt": f"Order {i * 37 % 100} is", "completion": f" {'blue' if i % 3 else 'green'} and late by {i % 7} days"}) + "\n")
    out, lora, merged = (os.path.join(folder, f"{name}.{x}") for x in ("run", "lora.gguf", "merged.gguf"))
    run(hone, "train", "--model", base, "--data", data, "--out", out, "--steps", "6", "--lr", "1e-2", "--rank", "4", "--eval", "0",
        "--target-modules", ADAPT.get(name, "all"))
    run(hone, "export", out, "--format", "gguf-lora", "--out", lora)
    run(hone, "export", out, "--format", "gguf:F32", "--out", merged)
    base_gguf = os.path.join(folder, f"{name}.F32.gguf")
    ids = json.loads(run_in(hone, "tokenize", out if os.path.exists(os.path.join(out, "tokenizer.json")) else base, "Order 5 is\n"))
    here = [json.loads(run(hone, "generate", *which, "--prompt", "Order 5 is", "--temperature", "0", "--max-tokens", "16", "--json"))["text"]
            for which in ((out,), (merged,), (base_gguf, "--adapter", lora))]
    a, b, plain = (there(p, ids, l, 16).tolist() for p, l in ((base_gguf, lora), (merged, None), (base_gguf, None)))
    import transformers
    text = transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(base, "tokenizer.json"))
    cut = lambda x: x[:x.index(1)] if 1 in x else x
    there_texts = [text.decode(cut(x), skip_special_tokens=True) for x in (a, b)]
    ok = all(t == here[0] for t in here[1:] + there_texts)
    print(f"  adapter: {'the same text in all five ways' if ok else 'DIFFERENT TEXTS ' + repr(here + there_texts)}; {'it changes the text' if plain != a else 'it changes NOTHING'}",
          flush=True)


def run_in(hone, command, model, text):
    p = subprocess.run([hone, command, model], input=text, capture_output=True, text=True, check=True)
    return p.stdout.strip().splitlines()[0]


def main():
    if sys.argv[1] == "--worker":
        return worker(json.loads(sys.argv[2]))
    if "--types" in sys.argv:
        at = sys.argv.index("--types")
        chosen = sys.argv[at + 1].split(",")
        for t in set(TYPES) - set(chosen):
            del TYPES[t]
        del sys.argv[at:at + 2]
    hone, tokenizer, names = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or list(FAMILIES)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                judge(hone, tokenizer, name, folder)
            except Exception as e:  # one family must not hide the others
                print(f"{name}: FAILED: {e}", flush=True)


main()
