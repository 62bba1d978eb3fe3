#!/usr/bin/env python3
"""What llama.cpp's own converter writes for the golden tiny models: metadata, and name, shape and SHA-256 of every tensor in F32, without a tokenizer.
usage: golden_gguf_model.py LLAMA_CPP_FOLDER [family ...]      (the folder with convert_hf_to_gguf.py, as in llama-cpp-python's source package, vendor/)
Writes tests/golden/gguf/FAMILY.txt; families that the converter refuses are named and left out.
"""
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent
GENERAL = ("general.architecture", "general.file_type", "general.quantization_version", "general.type")


def value_of(field):
    v = field.contents()
    if isinstance(v, list):
        return "[" + ",".join(str(int(x)) for x in v) + "]"
    if isinstance(v, bool):
        return "true" if v else "false"
    return f"{v:.9g}" if isinstance(v, float) else str(v)


def convert(family, target):
    import conversion
    from conversion import ModelBase, ModelType
    import gguf
    source = target.parent / family
    shutil.copytree(HERE / "tests" / "golden" / "models" / family, source)
    config = json.loads((source / "config.json").read_text())
    rope = config.get("rope_parameters") or {}
    # Keys that the converter needs and newer configurations spell otherwise; and a tokenizer as large as the embedding, whose size is all it looks at.
    config.setdefault("n_ctx", config.get("n_positions")) if config["model_type"] == "gpt2" else None
    (source / "config.json").write_text(json.dumps(config))
    vocab = {f"t{i}": i for i in range(config["vocab_size"])}
    (source / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}, "added_tokens": []}))
    hparams = ModelBase.load_hparams(source, False)
    if config["model_type"] == "gpt_neox":
        hparams.setdefault("rotary_pct", rope.get("partial_rotary_factor", 0.25))
    cls = conversion.get_model_class(conversion.base.get_model_architecture(hparams, ModelType.TEXT))
    cls.set_vocab = lambda self: None
    with __import__("torch").inference_mode():
        model = cls(source, gguf.LlamaFileType.ALL_F32, target, eager=True, metadata_override=None, model_name=family, hparams=hparams)
        model.write()
    reader = gguf.GGUFReader(str(target))
    arch = reader.fields["general.architecture"].contents()
    lines = [f"meta {k} {value_of(f)}" for k, f in sorted(reader.fields.items()) if k in GENERAL or k.startswith(arch + ".")]
    for t in sorted(reader.tensors, key=lambda t: t.name):
        dims = "x".join(str(int(d)) for d in reversed(t.shape))
        lines.append(f"tensor {t.name} {dims} {hashlib.sha256(np.ascontiguousarray(t.data).tobytes()).hexdigest()}")
    return lines


def main():
    sys.path[:0] = [sys.argv[1], os.path.join(sys.argv[1], "gguf-py")]
    out = HERE / "tests" / "golden" / "gguf"
    out.mkdir(exist_ok=True)
    for family in sys.argv[2:] or sorted(p.name for p in (HERE / "tests" / "golden" / "models").iterdir() if p.is_dir()):
        with tempfile.TemporaryDirectory() as folder:
            try:
                lines = convert(family, Path(folder) / "m.gguf")
            except Exception as e:
                print(f"{family}: {type(e).__name__}: {e}")
                continue
        (out / f"{family}.txt").write_text("\n".join(lines) + "\n")
        print(f"{family}: {len(lines)} lines")


main()
