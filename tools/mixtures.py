"""mixtures.py - mixtures of experts with one nn.Linear for each matrix, named as files name them.

Duty: transformers keeps all experts of a layer in one stacked parameter, so peft has no linear to adapt there and no
gradient has the name that the file uses. unstacked() puts in the place of each mixture a block of ordinary linears;
everything else stays transformers' own. check() proves that the two are one model: same logits, same gradients,
same load-balancing loss, same names in the file that transformers writes, and that peft brings an adapter of the
single experts to the stacked model. Invariant: every expert runs, also with no token, so every weight has a gradient.
To add a family: a row in STYLES.
"""
import copy
import importlib
import os
import tempfile

import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM

# model_type -> (module of the mixture in files, gate, up and down of an expert, are weights always made to sum to 1?)
STYLES = {
    "mixtral": ("block_sparse_moe", ("w1", "w3", "w2"), True),
    "qwen2_moe": ("mlp", ("gate_proj", "up_proj", "down_proj"), False),
    "olmoe": ("mlp", ("gate_proj", "up_proj", "down_proj"), False),
    "qwen3_moe": ("mlp", ("gate_proj", "up_proj", "down_proj"), False),
}


def is_mixture(config):
    return config.model_type in STYLES


class Expert(nn.Module):
    def __init__(self, names, hidden, width, act):
        super().__init__()
        self.names, self.act = names, act
        for name, shape in zip(names, ((hidden, width), (hidden, width), (width, hidden))):
            setattr(self, name, nn.Linear(*shape, bias=False))

    def forward(self, x):
        gate, up, down = (getattr(self, n) for n in self.names)
        return down(self.act(gate(x)) * up(x))


class Mixture(nn.Module):
    def __init__(self, block, config, names, always):
        super().__init__()
        stack = block.experts
        count, hidden, width = stack.num_experts, stack.hidden_dim, stack.intermediate_dim
        self.experts_n = count
        self.top_k, self.normed = block.gate.top_k, always or config.norm_topk_prob
        self.gate = nn.Linear(hidden, count, bias=False)
        self.experts = nn.ModuleList(Expert(names, hidden, width, stack.act_fn) for _ in range(count))
        if hasattr(block, "shared_expert"):
            self.shared_expert, self.shared_expert_gate = block.shared_expert, block.shared_expert_gate
        with torch.no_grad():
            self.gate.weight.copy_(block.gate.weight)
            for i, e in enumerate(self.experts):
                for name, w in zip(names, (*stack.gate_up_proj[i].chunk(2), stack.down_proj[i])):
                    getattr(e, name).weight.copy_(w)

    def forward(self, hidden):
        x = hidden.reshape(-1, hidden.shape[-1])
        self.logits = self.gate(x)
        weight, pick = torch.topk(F.softmax(self.logits, dim=-1), self.top_k, dim=-1)
        if self.normed:
            weight = weight / weight.sum(dim=-1, keepdim=True)
        y = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            place, token = torch.where(pick.T == i)
            y = y.index_add(0, token, expert(x[token]) * weight[token, place, None])
        if hasattr(self, "shared_expert"):
            y = y + torch.sigmoid(self.shared_expert_gate(x)) * self.shared_expert(x)
        return y.reshape(hidden.shape)


def unstacked(model):
    """The same model in which every mixture is a Mixture; its parameters are named as in files."""
    config = model.config
    name, names, always = STYLES[config.model_type]
    for layer in model.model.layers:
        if hasattr(layer.mlp, "experts"):
            block = Mixture(layer.mlp, config, names, always).to(layer.mlp.gate.weight.dtype)
            del layer.mlp
            setattr(layer, name, block)
            layer.__dict__["mlp"] = block       # the layer calls it so, whatever files do
    return model


def plain(model):
    """peft turns adapters of the families it knows into ones of stacked experts; here nothing is stacked."""
    if is_mixture(model.config):
        model.config = copy.deepcopy(model.config)
        model.config.model_type = "linears"
    return model


def balance(model, run):
    """What run() gives, and transformers' load-balancing loss over all texts that the model computed in it."""
    blocks = [m for m in model.modules() if isinstance(m, Mixture)]
    logits = [[] for _ in blocks]
    hooks = [b.register_forward_hook(lambda m, i, o, k=k: logits[k].append(m.logits)) for k, b in enumerate(blocks)]
    result = run()
    for h in hooks:
        h.remove()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    official = importlib.import_module(type(base).__module__).load_balancing_loss_func
    return result, official(tuple(torch.cat(rows) for rows in logits), blocks[0].experts_n, blocks[0].top_k)


def save(model, folder):
    """The folder that transformers writes of this model; its weights must have the names and numbers of the linears."""
    weights = {n: p.detach() for n, p in model.named_parameters()}
    with tempfile.TemporaryDirectory() as tmp:
        model.config.save_pretrained(tmp)
        save_file(weights, os.path.join(tmp, "model.safetensors"), metadata={"format": "pt"})
        AutoModelForCausalLM.from_pretrained(tmp, dtype=torch.float32).save_pretrained(folder)
    written = load_file(os.path.join(folder, "model.safetensors"))
    assert written.keys() == weights.keys(), written.keys() ^ weights.keys()
    assert all(torch.equal(written[n], weights[n]) for n in written)


def close(a, b):
    return float((a - b).detach().abs().max()) <= 2e-6 * float(b.detach().abs().max())


def check(folder, ids):
    """The folder in linears against transformers' stacked model, and the adapter on both."""
    def stacked():
        return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager",
                                                    experts_implementation="eager", dtype=torch.float32).eval()

    ours, theirs = unstacked(stacked()), stacked()
    logits, aux = balance(ours, lambda: ours(input_ids=ids, use_cache=False).logits)
    out = theirs(input_ids=ids, use_cache=False, output_router_logits=True)
    assert close(logits, out.logits) and close(aux, out.aux_loss)
    (logits.square().mean() + aux).backward()
    (out.logits.square().mean() + out.aux_loss).backward()
    name, names, _ = STYLES[theirs.config.model_type]
    got, want = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for n, p in want.items():
        if ".experts." in n:
            part = names[:2] if n.endswith("gate_up_proj") else names[2:]
            base = n.rsplit(".", 1)[0].replace(".mlp.", f".{name}.")
            g = torch.stack([torch.cat([got[f"{base}.{i}.{k}.weight"].grad for k in part]) for i in range(len(p))])
        else:
            g = got[n.replace(".mlp.gate.", f".{name}.gate.")].grad
        assert close(g, p.grad), n
    adapter = os.path.join(folder, "adapter")
    with torch.no_grad():
        a = PeftModel.from_pretrained(plain(ours), adapter)(input_ids=ids, use_cache=False).logits
        try:
            b = PeftModel.from_pretrained(theirs, adapter)(input_ids=ids, use_cache=False).logits
            print(f"  adapter on stacked experts: {'the same logits' if close(a, b) else 'OTHER LOGITS'}")
        except (ValueError, RuntimeError) as e:
            print(f"  adapter on stacked experts: peft refuses: {str(e)[:120]}")
