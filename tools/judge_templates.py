"""Compares hone's template engine with jinja2, set up by transformers itself, on every template below the folders given.

    python tools/judge_templates.py PROGRAM DIR...        templates (*.jinja, *.j2, chat_template.json, tokenizer_config.json) with sample conversations
    python tools/judge_templates.py PROGRAM --random N    N random small templates over random values (seed 0, or --seed S)

PROGRAM is build/tests/test_jinja, which renders the rows of a file. Exit status 1 when a text differs, or one side refuses what the other renders;
a refusal of hone's that NAMED lists is a limit hone states (jinja.h), counted as "refused by name" beside the differences and not among them.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from golden_templates import CONVERSATIONS, SPECIAL, expected, random_row

NAMED = ("a whole number beyond 64 bits is refused",)


def templates_below(folder):
    for base, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(base, name)
            if name.endswith((".jinja", ".j2")):
                yield path, open(path, encoding="utf-8", newline="").read()
            elif name in ("tokenizer_config.json", "chat_template.json"):
                found = json.load(open(path, encoding="utf-8")).get("chat_template")
                for i, one in enumerate(found if isinstance(found, list) else [found]):
                    if one:
                        yield f"{path}#{i}", one["template"] if isinstance(one, dict) else one


def compare(program, rows, label):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({k: row[k] for k in ("template", "data", "trusted")}, ensure_ascii=False) + "\n")
        file.flush()
        done = subprocess.run([program, file.name], capture_output=True, text=True, check=True)
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(got) == len(rows), (len(got), len(rows))
    differences, both_refuse, named = 0, 0, 0
    for row, ours in zip(rows, got):
        theirs = row["text"]
        both_refuse += theirs is None and "error" in ours
        if theirs is not None and ours.get("error", "").endswith(NAMED):
            named += 1
        elif (theirs is None) != ("error" in ours) or (theirs is not None and theirs != ours["text"]):
            differences += 1
            print(f"--- {row['name']}\n  jinja2: {row['why'] if theirs is None else json.dumps(theirs)[-300:]}\n  hone:   {json.dumps(ours)[-300:]}")
            if label == "random":
                print(f"  template: {row['template']!r}")
    print(f"{len(rows)} renderings, {both_refuse} refused by both, {named} refused by name, {differences} differences")
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = []
    templates = {}
    for folder in args.folders:
        for path, source in templates_below(folder):
            templates.setdefault(source, path)
    for source, path in templates.items():
        for name, data in CONVERSATIONS.items():
            rows.append(expected(f"{path} [{name}]", source, data, SPECIAL))
    if templates:
        print(f"{len(templates)} different templates, {len(CONVERSATIONS)} conversations")
    bad = compare(args.program, rows, "file") if rows else 0
    rng = random.Random(args.seed)
    if args.random:
        bad += compare(args.program, [random_row(rng, i) for i in range(args.random)], "random")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
