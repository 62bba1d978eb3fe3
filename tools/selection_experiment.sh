#!/bin/sh
# selection_experiment.sh BUILD SHARED [OUT.csv] - is a selected part of a data set worth more than a random part, the longest answers, or all of it?
# On nl2bash and banking77, from examples/base (3.5 million parameters, in this repository): pools of 3,000 rows, one for each seed; of each pool the 600 rows with the
# highest IFD below 1 (best), the same ranking without near rows (diverse), 600 drawn (random), the 600 longest answers (longest), and all 3,000 (all). Every arm is trained
# for the same number of steps with the same recipe (LoRA, best checkpoint by 200 other rows); measured are the loss and the share of exactly right answers on 400 rows
# that no pool shares a prompt with. OUT.csv gets a row for each run; printed are means over the seeds with 95 % intervals (Student's t), and differences to random, paired by
# seed. About 20 minutes on two free cores.
# BUILD: a build folder with -DHONE_BENCH=ON. Needs python3 (standard library alone) to cut the data. SEEDS, STEPS, SETS, ARMS, THREADS may be set.
set -eu
build=$1
shared=$2
csv=${3:-bench/selection.csv}
work=$(mktemp -d "${TMPDIR:-/tmp}/selection-XXXXXX")
trap 'rm -rf "$work"' EXIT
separator='
->'
base=examples/base

cut_rows() { # SET SEED: pool, val and test
    python3 - "$shared" "$1" "$2" "$work" <<'PY'
import csv, json, random, sys
shared, name, seed, work = sys.argv[1:]
if name == "nl2bash":
    rows = [json.loads(line) for line in open(f"{shared}/data/nl2bash/nl2bash.jsonl")]
else:
    rows = [{"prompt": r["text"], "completion": r["category"]} for r in csv.DictReader(open(f"{shared}/data/banking77/train.csv"))]
rows = list({r["prompt"].strip().lower(): r for r in reversed(rows)}.values())[::-1]     # the first row of each prompt
random.Random(0).shuffle(rows)                                                           # test and val are the same for all seeds
parts = {"test": rows[:400], "val": rows[400:600], "all": random.Random(int(seed)).sample(rows[600:], 3000)}
for part, some in parts.items():
    with open(f"{work}/{part}.jsonl", "w") as f:
        f.writelines(json.dumps({"prompt": r["prompt"], "completion": r["completion"]}) + "\n" for r in some)
PY
}

echo "set,seed,arm,rows,steps,best_step,heldout_loss,exact,exact_low,exact_high" > "$csv"
for set in ${SETS:-nl2bash banking77}; do
    for seed in ${SEEDS:-1 2 3}; do
        cut_rows "$set" "$seed"
        echo "== $set, seed $seed"
        "$build/bench/bench_select" $base "$work/all.jsonl" 600 "$seed" "$work" "$separator"
        for arm in ${ARMS:-best diverse random longest all}; do
            rm -rf "$work/run"
            "$build/hone" train --model $base --data "$work/$arm.jsonl" --eval "$work/val.jsonl" --out "$work/run" --method lora --rank 16 --lr 4e-3 \
                --steps "${STEPS:-120}" --batch-tokens 2048 --max-length 512 --on-long drop --eval-every 15 --patience 0 --samples 0 --seed "$seed" --threads "${THREADS:-0}" \
                --separator "$separator" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
            step=$(sed -n 's/^done:.*(step \([0-9]*\)).*/\1/p' "$work/log")
            "$build/hone" eval "$work/run" --data "$work/test.jsonl" --max-length 512 --on-long drop --max-tokens 96 --generate --json 2> /dev/null |
                python3 -c "import json, sys
r = json.load(sys.stdin)
low, high = r['interval95']['exact_match']
print('$set,$seed,$arm,$(wc -l < "$work/$arm.jsonl"),${STEPS:-120},$step,%.4f,%.4f,%.4f,%.4f' % (r['loss'], r['exact_match'], low, high))" | tee -a "$csv"
        done
    done
done
python3 - "$csv" <<'PY'
import csv, statistics, sys
T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}      # Student's t, 97.5 %, by number of seeds
rows = list(csv.DictReader(open(sys.argv[1])))


def interval(v):
    if len(v) not in T:
        return f"{statistics.mean(v):8.4f}"
    return f"{statistics.mean(v):8.4f} +-{T[len(v)] * statistics.stdev(v) / len(v) ** 0.5:7.4f}"


for name in dict.fromkeys(r["set"] for r in rows):
    at = {(r["arm"], r["seed"]): r for r in rows if r["set"] == name}
    seeds = sorted({s for _, s in at})
    print(f"\n{name}: held-out loss and exact answers, means over seeds {' '.join(seeds)} with 95 % intervals; differences to random are paired by seed")
    for arm in dict.fromkeys(a for a, _ in at):
        line = f"{arm:8s}"
        for key in ("heldout_loss", "exact"):
            v = [float(at[arm, s][key]) for s in seeds]
            line += f"  {key} {interval(v)}"
            if ("random", seeds[0]) in at and arm != "random":
                line += f" (to random {interval([x - float(at['random', s][key]) for x, s in zip(v, seeds)])})"
        print(line)
PY
