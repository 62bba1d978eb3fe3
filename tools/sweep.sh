#!/bin/sh
# sweep.sh BUILD SHARED - the long comparisons that `make test` leaves out, sized for a quarter of an hour on two cores:
# ten kinds of tokenizers beside the official library on 200,000 lines each, random pipelines of five kinds of model for 20 seconds each, 5,000 random
# templates beside jinja2, and fifty kills of a training run.
# The library comes from the package index into BUILD/judges; where it cannot be reached that comparison says SKIPPED. Every difference is a failure.
# By hand: judge_tokenizer.py fuzz with more --seconds and another --seed; judge_templates.py --random with another --seed.
set -u
build=$1 shared=$2
here=$(dirname "$0")
python=$build/judges/bin/python
texts=$shared/data
[ -d "$texts" ] || texts=$here/../examples
failed=0

step() { # step NAME COMMAND...
    name=$1
    shift
    begin=$(date +%s)
    if "$@" >"$build/sweep-$name.log" 2>&1; then
        echo "passed   $name  $(($(date +%s) - begin)) s  $(tail -n 1 "$build/sweep-$name.log" | cut -c 1-150)"
    else
        echo "FAILED   $name: see $build/sweep-$name.log"
        tail -n 20 "$build/sweep-$name.log"
        failed=1
    fi
}

judges() {
    [ -x "$python" ] || python3 -m venv "$build/judges" || return 1
    "$python" -m pip install -q --disable-pip-version-check -r "$here/requirements-sweep.txt"
}

step kill "$here/../tests/e2e/kill.sh" "$build/hone" "$shared" 50
if judges >"$build/sweep-judges.log" 2>&1; then
    step tokenizers "$python" "$here/judge_tokenizer.py" lines "$build/hone" "$texts" --lines 200000
    step pipelines "$python" "$here/judge_tokenizer.py" fuzz "$build/hone" "$texts" --seconds 20 --seed 1
    step templates "$python" "$here/judge_templates.py" "$build/tests/test_jinja" --random 5000 --seed 1
else
    echo "SKIPPED  tokenizers: the libraries of tools/requirements-sweep.txt cannot be installed ($(tail -n 1 "$build/sweep-judges.log"))"
fi
exit $failed
