#!/usr/bin/env python3
"""golden_scores.py - remakes tests/prep/golden/scores.json: what transformers says about a few rows, in float32.

Duty: for each case of CASES take a tiny model of tests/golden/models, make a tokenizer for its vocabulary (tokenizers trains it on the rows' texts),
and write for each row: the ids and the mask, the mean losses of the answer given its prompt and alone, both IFDs (loss ratio of Cherry_LLM,
perplexity ratio of Superfiltering) and the mean-pooled, L2-normalised last hidden state of the prompt. src/prep/score_rows.h says what is fed; here it is
said a second time, on texts and character offsets.
Invariants: nothing random, nothing downloaded; two runs write the same bytes. To add a row: ROWS; another kind of tokenizer: CASES.
  golden_scores.py        (needs tools/requirements.txt)
"""
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "tests", "golden", "models")
OUT = os.path.join(HERE, "..", "tests", "prep", "golden", "scores.json")
SPECIAL = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]         # 0 .. 4; 1 and 2 as the golden models' configurations say
TEMPLATE = ("{% for m in messages %}{% if loop.first and bos_token %}{{ bos_token }}{% endif %}"
            "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
END = "<|im_end|>"


def chat(*turns):
    return {"messages": [dict(zip(("role", "content", "weight"), t)) for t in turns]}


ROWS = [
    {"prompt": "list all files here", "completion": "ls -a"},
    {"prompt": "count the lines of the file", "completion": "wc -l file"},
    {"prompt": "", "completion": "an answer without a prompt"},
    {"prompt": "what is the time", "completion": "t"},
    {"prompt": "tell me about the sea at night and the birds and the stones and the ships that lie there", "completion": "it is dark and still"},
    chat(("user", "hello"), ("assistant", "hello there")),
    chat(("system", "answer in short"), ("user", "list the files"), ("assistant", "ls")),
    chat(("user", "who is there"), ("assistant", "it is me"), ("user", "and who is that"), ("assistant", "that is a bird")),
    chat(("user", "one"), ("assistant", "not trained", 0), ("user", "two"), ("assistant", "this is")),
    chat(("user", ""), ("assistant", "the prompt has no words")),
]

# model, does the tokenizer put <s> in front, separator, max_length
CASES = [("llama", True, "", 96), ("llama", True, "\n", 24), ("gpt2", False, "", 96), ("gpt2", False, "\n->", 40)]


def texts_of(row):
    return [m["content"] for m in row["messages"]] if "messages" in row else [row["prompt"], row["completion"]]


def tokenizer_new(vocab, bos):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    corpus = [x for r in ROWS for x in texts_of(r)] + ["system\nuser\nassistant\n->"]
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=vocab, special_tokens=SPECIAL, show_progress=False))
    if bos:
        t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    assert t.get_vocab_size() <= vocab
    config = {"eos_token": "</s>", "chat_template": TEMPLATE} | ({"bos_token": "<s>"} if bos else {})
    return t, config, PreTrainedTokenizerFast(tokenizer_object=t, **config)


def encode(fast, text, special):
    out = fast(text, add_special_tokens=special, return_offsets_mapping=True)
    return out["input_ids"], out["offset_mapping"]


def pair_ids(fast, row, separator):
    """Ids and mask of the row, and of the answer alone."""
    before = row["prompt"] + separator
    ids, spans = encode(fast, before + row["completion"], True)
    mask = [int(b > a and b > len(before)) for a, b in spans]
    ids, mask = ids + [fast.eos_token_id], mask + [1]
    first = [ids[0]] if spans[0][1] > len(before) or ids[0] == fast.bos_token_id else []      # no target in either text
    context = first + encode(fast, separator, False)[0]
    answer = [i for i, m in zip(ids[1:], mask[1:]) if m]    # a first token has nothing before it and is no target
    return ids, mask, context + answer, [0] * len(context) + [1] * len(answer), int(not context)


def chat_ids(fast, messages):
    text, mask_text, at = "", [], 0
    for i, m in enumerate(messages):
        before = fast.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True) if i else ""
        whole = fast.apply_chat_template(messages[:i + 1], tokenize=False)
        begin, end = len(before), len(whole)
        if m["role"] == "assistant" and m.get("weight", 1):
            end = whole.index(END, begin) + len(END)
            mask_text.append((begin, end))
        text = whole
    ids, spans = encode(fast, text, False)
    return ids, [int(any(a < e and b > s for s, e in mask_text)) for a, b in spans]


def bare(messages):
    return [m if m["role"] == "assistant" else m | {"content": ""} for m in messages]


def logp_of(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return F.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def losses(model, ids, mask):
    """Of each trained token, in order."""
    last = max((i for i, m in enumerate(mask) if m), default=0)
    if not last:
        return torch.zeros(0)
    lp = logp_of(model, ids[:last + 1])
    return -lp[torch.tensor(mask[1:last + 1], dtype=torch.bool)]


def pooled(model, ids, mask, bos, limit):
    """Over the prompt: tokens that are not trained and stand before the last one that is, without BOS where there are others."""
    last = max(i for i, m in enumerate(mask) if m)
    places = [i for i in range(min(last, limit)) if not mask[i]]
    if len(places) > 1 and ids[0] == bos:
        places = places[1:]
    if not places:
        return [0.0] * model.config.hidden_size
    with torch.no_grad():
        hidden = model(torch.tensor([ids[:places[-1] + 1]]), output_hidden_states=True).hidden_states[-1][0]
    v = hidden[places].double().mean(0)
    return (v / v.norm()).tolist()


def mean(x):
    return x.double().mean().item() if len(x) else None


def row_of(model, fast, row, separator, limit):
    skipped = 0
    if "messages" in row:
        ids, mask = chat_ids(fast, row["messages"])
        alone, alone_mask = chat_ids(fast, bare(row["messages"]))
        assert [i for i, m in zip(ids, mask) if m] == [i for i, m in zip(alone, alone_mask) if m]
    else:
        ids, mask, alone, alone_mask, skipped = pair_ids(fast, row, separator)
        if skipped:
            alone_mask[0] = 0
    full = losses(model, ids[:limit], mask[:limit])
    bare_losses = losses(model, alone[:limit], alone_mask[:limit])
    given = full[skipped:]
    n = min(len(given), len(bare_losses))
    out = {"row": row, "ids": ids, "mask": mask, "cut": len(ids) > limit, "scored": len(full), "compared": n, "loss": mean(full),
           "given": mean(given[:n]), "alone": mean(bare_losses[:n]), "embedding": pooled(model, ids, mask, fast.bos_token_id, limit)}
    if n:
        d = given[:n].double().mean() - bare_losses[:n].double().mean()
        out |= {"ifd_loss": out["given"] / out["alone"], "ifd_perplexity": torch.exp(d).item()}
    return out


def main():
    cases = []
    for name, bos, separator, limit in CASES:
        folder = os.path.join(GOLDEN, name)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        tok, config, fast = tokenizer_new(model.config.vocab_size, bos)
        cases.append({"model": name, "separator": separator, "max_length": limit, "tokenizer": json.loads(tok.to_str()), "tokenizer_config": config,
                      "rows": [row_of(model, fast, r, separator, limit) for r in ROWS]})
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as f:
        json.dump(cases, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
