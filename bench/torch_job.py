#!/usr/bin/env python3
"""torch_job.py - a whole SFT job as a transformers + peft user writes it, the peer of `hone train` in bench/cpu.sh: the rows of hone's run with labels
on the answers, batches of N shuffled examples padded to their longest, whole logits, AdamW, the recipe's schedule, held-out loss before and after.
The rows come tokenised, and the adapter from hone's start, so that both jobs learn the same from the same place. One line: steps, tokens without
padding, held-out loss before, held-out loss after."""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))

import torch

import judge_train as judge


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--run", required=True, help="run folder of the recipe")
    ap.add_argument("--model", required=True)
    ap.add_argument("--rows", required=True)
    ap.add_argument("--eval-rows", required=True)
    ap.add_argument("--init-adapter", required=True)
    ap.add_argument("--batch", type=int, required=True, help="examples of a step")
    ap.add_argument("--epochs", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    recipe = judge.recipe_read(os.path.join(args.run, "recipe.yaml"))
    rows, held = judge.train_rows(args.rows), judge.train_rows(args.eval_rows)
    model = judge.model_ready(recipe, args)
    params = [p for p in model.parameters() if p.requires_grad]
    opt = judge.optimizer_new(model, recipe)
    start, draw, order = judge.eval_loss(model, held), random.Random(recipe["seed"]), []
    for _ in range(args.epochs):
        epoch = list(range(len(rows)))
        draw.shuffle(epoch)
        order += [epoch[i:i + args.batch] for i in range(0, len(epoch), args.batch)]
    for step, batch in enumerate(order, 1):
        loss = judge.loss_sum(model, rows, batch) / judge.n_trained(rows, batch)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, recipe["clip"])
        for group in opt.param_groups:
            group["lr"] = judge.rate(recipe, step, len(order))
        opt.step()
    print(f"{len(order)} {args.epochs * sum(len(r['ids']) for r in rows)} {start:.4f} {judge.eval_loss(model, held):.4f}")


if __name__ == "__main__":
    main()
