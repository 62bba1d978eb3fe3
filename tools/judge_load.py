#!/usr/bin/env python3
"""judge_load.py - does the outside world read what hone wrote, and does it see the same model?

Duty: load hone's adapter (on its base) and hone's merged model with peft and transformers, insist that no tensor is
missing or left over, and compare log-probabilities token by token with what `hone score` said about each
({"ids": [...], "logprobs": [null, ...]} per line). Prints one JSON line per thing checked.
Exit status: 0 agreement, 1 a disagreement (above --tol, or names that do not fit), 2 unusable input.
"""
import argparse
import json
import math
import sys

import torch

from judge_common import adapter_load, give_up, logprobs, model_load, rows_read


def compare(model, path):
    """Largest absolute difference over all tokens, how many were compared, and where the largest is."""
    worst, where, count = 0.0, None, 0
    for r, row in enumerate(rows_read(path)):
        ids, said = row["ids"], row.get("logprobs")
        if not isinstance(said, list) or len(said) != len(ids) or said[0] is not None or None in said[1:]:
            give_up(f"{path}: row {r + 1}: expected \"logprobs\" as long as \"ids\", null at the first place alone")
        if not all(isinstance(i, int) and 0 <= i < model.config.vocab_size for i in ids):
            give_up(f"{path}: row {r + 1}: a token id lies outside the vocabulary of {model.config.vocab_size}")
        for i, (a, b) in enumerate(zip(said[1:], logprobs(model, ids).tolist()), 1):
            diff = abs(a - b)
            count += 1
            if math.isnan(diff):
                diff = math.inf
            if diff > worst:
                worst, where = diff, {"row": r + 1, "token": i, "hone": a, "torch": b}
    if not count:
        give_up(f"{path}: every row has one token only, so there is nothing to compare")
    return worst, count, where


def main():
    ap = argparse.ArgumentParser(description="judge adapters and merged models written by hone")
    ap.add_argument("--base", help="model folder the adapter belongs to")
    ap.add_argument("--adapter", help="PEFT adapter folder written by hone")
    ap.add_argument("--adapter-scores", help="output of hone score with the adapter (JSON lines)")
    ap.add_argument("--merged", help="merged model folder written by hone")
    ap.add_argument("--merged-scores", help="output of hone score with the merged model (JSON lines)")
    ap.add_argument("--tol", type=float, default=1e-4, help="largest allowed difference (default %(default)s)")
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)

    # name -> (folder, scores, how to load); a part is judged when its folder is given
    parts = {
        "adapter": (args.adapter, args.adapter_scores,
                    lambda found: adapter_load(model_load(args.base, found), args.adapter, found)),
        "merged": (args.merged, args.merged_scores, lambda found: model_load(args.merged, found)),
    }
    if args.adapter and not args.base:
        give_up("an adapter needs its base model: give --base DIR")
    if not args.adapter and not args.merged:
        give_up("nothing to judge: give --adapter DIR, --merged DIR or both")

    good = True
    for name, (folder, scores, load) in parts.items():
        if not folder:
            continue
        if not scores:
            give_up(f"--{name} needs --{name}-scores FILE, the output of hone score")
        found = []
        model = load(found)
        worst, count, where = compare(model, scores)
        passed = worst <= args.tol and not found
        good = good and passed
        print(json.dumps({"judged": name, "tokens": count, "max_abs_diff": worst, "tol": args.tol, "worst": where,
                          "complaints": found, "pass": passed}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
