#!/usr/bin/env python3
"""judge_train.py - the training run of a hone run folder once more, in PyTorch + peft, for losses and speed.

Duty: read recipe.yaml and order.jsonl of the run, the tokenised rows hone exported and the adapter hone started from,
then do the same arithmetic as a PyTorch user would: padded micro-batches, torch.optim.AdamW, clipping, the same
schedule (of optim adamw_8bit, bitsandbytes' AdamW8bit). Prints one JSON object with the loss of every step (before its update), the held-out loss and the speed.
Invariants: same examples in the same order and micro-batches as hone; the loss of a step is the sum over all its
trained targets divided by their number, whatever the micro-batches; the only random thing is LoRA dropout when the
recipe asks for it. To follow a new recipe key, add a row to RECIPE; a new schedule, a row to SCHEDULES.
"""
import argparse
import json
import math
import os
import time

import torch
import torch.nn.functional as F
import yaml
from transformers.pytorch_utils import Conv1D

from judge_common import adapter_load, adapter_new, give_up, model_load, rows_read

# key -> (type, value when the recipe is silent)
RECIPE = {
    "model": (str, None), "method": (str, "lora"), "rank": (int, 16), "alpha": (float, None), "dropout": (float, 0.0),
    "targets": (str, "all-linear"), "lr": (float, None), "steps": (int, 0), "warmup": (float, 0.0),
    "schedule": (str, "cosine"), "weight_decay": (float, 0.0), "beta1": (float, 0.9), "beta2": (float, 0.999),
    "adam_eps": (float, 1e-8), "lr_floor": (float, 0.1), "clip": (float, 1.0), "seed": (int, 0),
    "optim": (str, "adamw"),
    "compute": (str, "f32"),
}

# how far down the way x in 0..1 after warm-up the rate is, as a share of the peak
SCHEDULES = {
    "cosine": lambda x, low: low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * x)),
    "linear": lambda x, low: 1.0 - x,
    "constant": lambda x, low: 1.0,
}


def adamw_8bit(*args, **settings):
    """bitsandbytes', quantising as its portable code does: see golden_optimizer.py."""
    import golden_optimizer
    return golden_optimizer.adamw_8bit(*args, **settings)


OPTIMIZERS = {"adamw": torch.optim.AdamW, "adamw_8bit": adamw_8bit}


def recipe_read(path):
    try:
        with open(path, encoding="utf-8") as f:
            given = yaml.safe_load(f)
    except (OSError, yaml.YAMLError) as e:
        give_up(f"{path}: cannot read the recipe: {e}")
    if not isinstance(given, dict):
        give_up(f"{path}: expected a YAML mapping of recipe keys")
    given, recipe = {str(k).replace("-", "_"): v for k, v in given.items()}, {}
    for key, (kind, default) in RECIPE.items():
        value = given.get(key)
        if isinstance(value, list):
            value = ",".join(map(str, value))
        try:
            recipe[key] = default if value is None else kind(value)
        except ValueError:
            give_up(f"{path}: {key}: expected {kind.__name__}, found {value!r}")
    return recipe


def order_read(path, n_rows):
    """[step][micro-batch][example]"""
    steps = []
    try:
        with open(path, encoding="utf-8") as f:
            steps = [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as e:
        give_up(f"{path}: expected JSON lines with step and micro: {e}")
    for n, s in enumerate(steps, 1):
        if s.get("step") != n:
            give_up(f"{path}: line {n} speaks of step {s.get('step')}, expected {n}")
        if any(not 0 <= ex < n_rows for micro in s["micro"] for ex in micro):
            give_up(f"{path}: step {n} names an example beyond the {n_rows} rows")
    if not steps:
        give_up(f"{path}: holds no steps")
    return [s["micro"] for s in steps]


def train_rows(path):
    rows = rows_read(path)
    for n, r in enumerate(rows, 1):
        if len(r.get("train", ())) != len(r["ids"]) or r["train"][0]:
            give_up(f"{path}: row {n}: expected \"train\" as long as \"ids\" with 0 at the first place")
    return rows


def n_trained(rows, micro):
    return sum(sum(rows[ex]["train"]) for ex in micro)


def loss_sum(model, rows, micro, bf16=False):
    """Summed cross entropy of the trained targets of one micro-batch, padded on the right to [n_seg, longest]. bf16:
    products by autocast, which hone does in training only."""
    longest = max(len(rows[ex]["ids"]) for ex in micro)
    ids = torch.zeros(len(micro), longest, dtype=torch.long)
    seen = torch.zeros(len(micro), longest, dtype=torch.long)
    labels = torch.full((len(micro), longest), -100, dtype=torch.long)
    for s, ex in enumerate(micro):
        row, n = rows[ex], len(rows[ex]["ids"])
        ids[s, :n] = torch.tensor(row["ids"])
        seen[s, :n] = 1
        labels[s, :n] = torch.where(torch.tensor(row["train"]) != 0, ids[s, :n], -100)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100,
                           reduction="sum")


def alone(micro):
    """The same micro-batch as single examples: no padding at all."""
    return [[ex] for ex in micro]


def eval_loss(model, rows, batch=8):
    batches = [list(range(b, min(b + batch, len(rows)))) for b in range(0, len(rows), batch)]
    with torch.no_grad():
        return sum(loss_sum(model, rows, b).item() for b in batches) / sum(n_trained(rows, b) for b in batches)


def optimizer_new(model, recipe):
    """Weights of linear layers decay when all is trained; a tied head is the embedding and does not. An adapter
    decays as a whole."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    decayed = set(trained)
    if recipe["method"] == "full":
        tied = model.get_input_embeddings().weight
        decayed = {n + ".weight" for n, m in model.named_modules()
                   if isinstance(m, (torch.nn.Linear, Conv1D)) and m.weight is not tied}
    groups = [{"params": [p for n, p in trained.items() if n in decayed], "weight_decay": recipe["weight_decay"]},
              {"params": [p for n, p in trained.items() if n not in decayed], "weight_decay": 0.0}]
    return OPTIMIZERS[recipe["optim"]]([g for g in groups if g["params"]], lr=recipe["lr"],
                                       betas=(recipe["beta1"], recipe["beta2"]), eps=recipe["adam_eps"])


def rate(recipe, step, total):
    """step counts from 1. A warm-up below 1 is a share of the run, else a number of steps."""
    warm = recipe["warmup"]
    warm = math.ceil(warm * total) if warm < 1.0 else int(warm)
    if step <= warm:
        return recipe["lr"] * step / warm
    return recipe["lr"] * SCHEDULES[recipe["schedule"]]((step - warm - 1) / (total - warm), recipe["lr_floor"])


def model_ready(recipe, args):
    found = []
    model = model_load(args.model or recipe["model"], found)
    if recipe["method"] == "lora":
        if args.init_adapter:
            model = adapter_load(model, args.init_adapter, found, trainable=True)
        else:
            torch.manual_seed(recipe["seed"])
            targets = recipe["targets"]
            model = adapter_new(model, recipe["rank"], recipe["alpha"] or 2.0 * recipe["rank"],
                                targets if targets == "all-linear" else targets.split(","))
    if found:
        give_up("; ".join(found))
    # Evaluation mode: hone has no dropout inside the base model. The adapter's own is set to the recipe's.
    model.eval()
    for name, m in model.named_modules():
        if "lora_dropout" in name and isinstance(m, torch.nn.Dropout):
            m.p = recipe["dropout"]
            m.train(recipe["dropout"] > 0.0)
    return model


def main():
    ap = argparse.ArgumentParser(description="repeat a hone training run in PyTorch + peft on the CPU")
    ap.add_argument("--run", required=True, help="run folder with recipe.yaml and order.jsonl")
    ap.add_argument("--rows", required=True, help="training rows as JSON lines {ids, train}")
    ap.add_argument("--eval-rows", help="held-out rows, the same form")
    ap.add_argument("--init-adapter", help="adapter hone started from; without it peft draws its own")
    ap.add_argument("--model", help="base model folder, instead of the recipe's")
    ap.add_argument("--method", choices=("lora", "full"), help="instead of the recipe's")
    ap.add_argument("--unpadded", action="store_true", help="run every example alone instead of padded micro-batches")
    ap.add_argument("--max-steps", type=int, help="stop early (for speed alone; the schedule stays that of the run)")
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    recipe_path = os.path.join(args.run, "recipe.yaml")
    recipe = recipe_read(recipe_path)
    recipe["method"] = args.method or recipe["method"]
    if recipe["lr"] is None or not (args.model or recipe["model"]):
        give_up(f"{recipe_path}: expected at least model and lr")
    if recipe["schedule"] not in SCHEDULES or recipe["method"] not in ("lora", "full"):
        give_up(f"{recipe_path}: this judge knows the schedules {', '.join(SCHEDULES)} and the methods lora, full")
    rows = train_rows(args.rows)
    held = train_rows(args.eval_rows) if args.eval_rows else None
    order = order_read(os.path.join(args.run, "order.jsonl"), len(rows))
    total = recipe["steps"] or len(order)

    model = model_ready(recipe, args)
    params = [p for p in model.parameters() if p.requires_grad]
    opt = optimizer_new(model, recipe)
    start = eval_loss(model, held) if held else None

    losses, norms, rates, seconds, tokens = [], [], [], [], []
    for step, micros in enumerate(order[:args.max_steps], 1):
        began = time.perf_counter()
        n = sum(n_trained(rows, m) for m in micros)
        opt.zero_grad()
        loss = 0.0
        for micro in (one for m in micros for one in (alone(m) if args.unpadded else [m])):
            part = loss_sum(model, rows, micro, recipe["compute"] == "bf16") / n
            part.backward()
            loss += part.item()
        norms.append(torch.nn.utils.clip_grad_norm_(params, recipe["clip"] or math.inf).item())
        for group in opt.param_groups:
            group["lr"] = rate(recipe, step, total)
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        losses.append(loss)
        seconds.append(time.perf_counter() - began)
        tokens.append(sum(len(rows[ex]["ids"]) for m in micros for ex in m))

    steady = slice(1, None) if len(seconds) > 1 else slice(None)    # the first step also warms the allocator
    print(json.dumps({
        "eval_loss_start": start, "eval_loss": eval_loss(model, held) if held else None,
        "train_losses": losses, "grad_norms": norms, "lrs": rates,
        "trained_parameters": sum(p.numel() for p in params),
        "seconds_per_step": sum(seconds[steady]) / len(seconds[steady]),
        "tokens_per_second": sum(tokens[steady]) / sum(seconds[steady]),
        "threads": args.threads, "padded": not args.unpadded,
    }))


if __name__ == "__main__":
    main()
