"""judge_common.py - what the judges share: models loaded as a transformers + peft user would, rows of tokens, and
log-probabilities.

Invariants: offline; float32 unless a caller says otherwise; a file that is not what it should be ends the judge with
one sentence and exit status 2, so that 1 always means "hone and PyTorch disagree"."""
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import load_peft_weights
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()


def give_up(sentence):
    print(f"judge: {sentence}", file=sys.stderr)
    sys.exit(2)


def rows_read(path):
    """The objects of a JSON-lines file, each with a non-empty list of ids."""
    rows = []
    try:
        with open(path, encoding="utf-8") as f:
            for n, line in enumerate(f, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict) or not row.get("ids"):
                        give_up(f"{path}:{n}: expected an object with a non-empty list \"ids\"")
                    rows.append(row)
    except (OSError, ValueError) as e:
        give_up(f"{path}: expected JSON lines: {e}")
    if not rows:
        give_up(f"{path}: holds no rows, so there is nothing to compare")
    return rows


def model_load(folder, complaints, dtype=torch.float32):
    """A model folder in eval mode; what transformers found missing, left over or misshapen goes to complaints."""
    if not os.path.isfile(os.path.join(folder, "config.json")):
        give_up(f"{folder}: expected a model folder with a config.json")
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(kind):
            complaints.append(f"{folder}: transformers reports {kind}: {sorted(map(str, info[kind]))[:6]}")
    return model.eval()


def adapter_load(model, folder, complaints, trainable=False):
    """The adapter on the model. The names must be exactly those peft would write for this configuration: peft itself
    only warns about a missing tensor and leaves it random."""
    if not os.path.isfile(os.path.join(folder, "adapter_config.json")):
        give_up(f"{folder}: expected a PEFT adapter folder with an adapter_config.json")
    config = PeftConfig.from_pretrained(folder)
    config.inference_mode = not trainable
    peft = get_peft_model(model, config)
    weights = load_peft_weights(folder, device="cpu")
    wanted = get_peft_model_state_dict(peft, save_embedding_layers=False)
    lists = {"missing": set(wanted) - set(weights), "unexpected": set(weights) - set(wanted),
             "misshapen": {n for n in set(wanted) & set(weights) if wanted[n].shape != weights[n].shape}}
    for kind, names in lists.items():
        if names:
            complaints.append(f"{folder}: {len(names)} {kind} adapter tensors: {sorted(names)[:6]}")
    if not lists["misshapen"]:
        result = set_peft_model_state_dict(peft, weights)
        if result.unexpected_keys:
            complaints.append(f"{folder}: peft reports unexpected keys: {result.unexpected_keys[:6]}")
    return peft.eval()


def adapter_new(model, rank, alpha, targets):
    """A fresh adapter as peft initialises it (A random, B zero)."""
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM"))


def logprobs(model, ids):
    """[n - 1] log-probabilities of ids[1..] given what stands before, the text run alone."""
    with torch.no_grad():
        x = torch.tensor(ids, dtype=torch.long)[None]
        logp = torch.log_softmax(model(input_ids=x, use_cache=False).logits[0, :-1].float(), dim=-1)
        return logp.gather(1, x[0, 1:, None])[:, 0]
