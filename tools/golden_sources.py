#!/usr/bin/env python3
"""golden_sources.py - makes tests/golden/sources: small tokenizers in the forms that are not tokenizer.json, with the ids that the official
libraries give, for tests/tokenizer/test_sources.c.

Pinned in requirements.txt: sentencepiece, tiktoken, gguf, llama-cpp-python. Deterministic, no network:

    python tools/golden_sources.py

Writes
  NAME.model, NAME.json       SentencePiece models trained here, and [text, ids of the sentencepiece library]
  ranks.tiktoken, ranks.json  a rank file, and [text, ids of tiktoken]
  NAME.gguf, NAME.json        the same models as metadata of a GGUF file, as llama.cpp's converter writes it, and [text, ids of llama.cpp]
"""
import base64
import ctypes
import io
import json
import os
import random
import unicodedata

import gguf
import llama_cpp
import sentencepiece
import sentencepiece.sentencepiece_model_pb2 as proto
import tiktoken
from tiktoken._educational import bpe_train

from golden_tokenizer import CODE, ODD, SPACES, WORDS, lines

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "sources")
TEXTS = ["", " ", "   ", "Hello world", " Hello  world ", "the the  the", "\t\tx", "a\u2581b \u2581", "<s>x</s>", "<unk>", "<0x41>", "na\u00efve caf\u00e9",
         "\u65e5\u672c\u8a9e", "\U0001f600!", "\ufb01ne \u00bd", "aaaaaaaaaaaaa", "abababab" * 9, "x\u0000y", "'S don't", "12345 678", "\n\n a\r\n"] + \
        CODE + ODD + SPACES + [w * 3 for w in WORDS[:20]] + lines(120, 5)

MODELS = {  # name: trainer options
    "bpe_bytes": dict(model_type="bpe", vocab_size=520, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                      allow_whitespace_only_pieces=True, split_digits=True),
    "bpe_plain": dict(model_type="bpe", vocab_size=330, normalization_rule_name="identity"),
    "bpe_user": dict(model_type="bpe", vocab_size=560, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                     add_dummy_prefix=False, user_defined_symbols=["\u2581\u2581", "\u2581\u2581\u2581", "<turn>", "\n"], pad_id=3, bos_id=2, eos_id=1, unk_id=0,
                     allow_whitespace_only_pieces=True),
    "unigram": dict(model_type="unigram", vocab_size=330),
    "unigram_bytes": dict(model_type="unigram", vocab_size=520, byte_fallback=True, remove_extra_whitespaces=False),
}
RULES = [("\ufb01", "fi"), ("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("A\u030a", "\u00c5"), ("A", "a"), ("\u200b", ""), ("\u00bd", "1/2")]


def train(name, options):
    out = io.BytesIO()
    options = dict(options)
    if "normalization_rule_name" not in options:
        path = os.path.join(HERE, "rules.tsv")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines("%s\t%s\n" % tuple(" ".join("%X" % ord(c) for c in side) for side in rule) for rule in RULES)
        options["normalization_rule_tsv"] = path
    r = random.Random(3)
    text = [" ".join(r.choices(WORDS + CODE, k=12)).replace("\n", " ") for _ in range(1500)]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=out, minloglevel=2, num_threads=1, hard_vocab_limit=False, character_coverage=0.995, **options)
    if "normalization_rule_tsv" in options:
        os.remove(options["normalization_rule_tsv"])
    m = proto.ModelProto()
    m.ParseFromString(out.getvalue())
    m.normalizer_spec.ClearField("normalization_rule_tsv")
    return m.SerializeToString(deterministic=True)


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else (json.dumps(data, ensure_ascii=True, separators=(",", ":")) + "\n").encode())


def write_gguf(name, model, fields):
    w = gguf.GGUFWriter(os.path.join(HERE, name + ".gguf"), "llama")
    w.add_context_length(8), w.add_embedding_length(8), w.add_block_count(1), w.add_feed_forward_length(8), w.add_head_count(1)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model(model)
    fields(w)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    llm = llama_cpp.Llama(model_path=os.path.join(HERE, name + ".gguf"), vocab_only=True, verbose=False)
    cases = [[s, llm.tokenize(s.encode(), add_bos=True, special=False)] for s in TEXTS if "\0" not in s]
    write(name + ".json", cases)


def main():
    os.makedirs(HERE, exist_ok=True)
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    trained = {}
    for name, options in MODELS.items():
        trained[name] = train(name, options)
        write(name + ".model", trained[name])
        sp = sentencepiece.SentencePieceProcessor(model_proto=trained[name])
        # A text of which the character map leaves nothing: the library may still give its prefix space, hone gives no ids.
        write(name + ".json", [[s, sp.encode(s)] for s in TEXTS if s.strip(" ") != "\u200b"])

    ranks = bpe_train(" ".join(lines(400, 9) + WORDS * 3), 420, QWEN, visualise=None)
    write("ranks.tiktoken", b"".join(base64.b64encode(k) + b" %d\n" % v for k, v in ranks.items()))
    enc = tiktoken.Encoding("ranks", pat_str=QWEN, mergeable_ranks=ranks, special_tokens={})
    composed = [s for s in TEXTS if unicodedata.is_normalized("NFC", s)]
    write("ranks.json", [[s, enc.encode(s, disallowed_special=())] for s in composed])

    m = proto.ModelProto()
    m.ParseFromString(trained["bpe_bytes"])

    def spm_fields(w):
        w.add_tokenizer_pre("default")
        w.add_token_list([p.piece.encode() for p in m.pieces])
        w.add_token_scores([p.score for p in m.pieces])
        w.add_token_types([p.type for p in m.pieces])
        w.add_bos_token_id(1), w.add_eos_token_id(2), w.add_unk_token_id(0), w.add_add_bos_token(True), w.add_add_eos_token(False)
        w.add_chat_template("{{ messages }}")

    write_gguf("llama", "llama", spm_fields)
    byte_level = json.load(open(os.path.join(HERE, "..", "tokenizer", "byte_level.json"), encoding="utf-8"))["model"]
    keep = sorted(byte_level["vocab"], key=byte_level["vocab"].get)[:700]
    merges = [m if isinstance(m, list) else m.split(" ") for m in byte_level["merges"]]
    merges = [" ".join(m) for m in merges if all(s in keep for s in (m[0], m[1], m[0] + m[1]))]

    def bpe_fields(w):
        special = [i < 5 for i in range(len(keep))]
        w.add_tokenizer_pre("qwen2")
        w.add_token_list(keep)
        w.add_token_types([3 if s else 1 for s in special])
        w.add_token_merges(merges)
        w.add_bos_token_id(0), w.add_eos_token_id(1), w.add_add_bos_token(False)

    write_gguf("gpt2", "gpt2", bpe_fields)


if __name__ == "__main__":
    main()
