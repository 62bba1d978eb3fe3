#!/bin/sh
# demo.sh HONE - the main job on the embedded example: a small base model learns to turn support mails into triage records. Prints the
# held-out loss and the task score before and after, and three answers side by side.
set -eu
hone=$1
cd "$(dirname "$0")/.."
base=examples/base
mails=examples/triage/test.jsonl
out=demo-run
run=$out/triage
rm -rf "$out"
mkdir -p "$out"

echo "== 1. What the base model makes of 100 held-out mails"
"$hone" eval $base --data $mails --generate --show 3 > $out/before.txt
grep -v '^   \|^[0-9]*\. ' $out/before.txt

echo
echo "== 2. Fine-tuning (LoRA) on 480 mails"
"$hone" train examples/triage/recipe.yaml --out $run

echo
echo "== 3. The same 100 mails afterwards (harder than the validation mails: most hold sentences or products that training never showed)"
"$hone" eval $run --data $mails --generate --show 3 > $out/after.txt
grep -v '^   \|^[0-9]*\. ' $out/after.txt

echo
echo "== 4. Three of them side by side"
answer() { sed -n 's/^ *'"$2"'  *//p' "$1" | sed -n "$3p"; }
for i in 1 2 3; do
    echo "--- mail $i"
    sed -n "${i}p" $mails | sed 's/^{"prompt": *"//; s/\\n\\nTriage:\\n".*//; s/\\"/"/g' | awk '{ gsub(/\\n/, "\n"); print }' | sed 's/^/    /'
    echo "expected: $(answer $out/before.txt expected $i)"
    echo "before:   $(answer $out/before.txt got $i | cut -c1-160)"
    echo "after:    $(answer $out/after.txt got $i | cut -c1-300)"
done
echo
echo "Curves, samples and the full record of the run: $run/report.html"
printf 'Subject: Label printer\nDear team,\n\nThe Pika 11 we got last week (order HX-204417) does not switch on. Please send us a new one.\nKind regards,\nAda Grant\n\nTriage:\n' > $out/mail.txt
echo "Try a mail of your own: edit $out/mail.txt, then"
echo "  $hone generate $run --prompt-file $out/mail.txt --temperature 0"
