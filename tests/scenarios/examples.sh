#!/usr/bin/env bash
# The example scenarios hold what they expect, started from anywhere; what they resolve to gives the same model again.
set -u
flosim=$(cd "${builddir:-.}" && pwd)/flosim
source=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

cd "$work" || exit 1
for name in shakespeare timeseries; do
    "$flosim" --out "$work/$name" "$source/scenarios/$name.yaml" >"$name.log" 2>&1 || fail "$name: $(cat "$name.log")"
    "$flosim" --out "$work/$name-again" "$name/scenario.resolved.yaml" >"$name.log" 2>&1 ||
        fail "$name, resolved: $(cat "$name.log")"
    cmp "$name/model.safetensors" "$name-again/model.safetensors" || fail "$name: its resolved scenario gives another model"
done
# What goes wrong in each of these, and what holds in spite of it, stands in the file. test_determinism.py runs
# the quickstart, bench/rounds the peer baseline, chaos.py (make check-full) chaos.
for file in "$source"/scenarios/*.yaml; do
    name=$(basename "$file" .yaml)
    case $name in
    shakespeare | timeseries | quickstart | peer-baseline | chaos) continue ;;
    esac
    "$flosim" --out "$work/$name" "$file" >"$name.log" 2>&1 || fail "$name: $(cat "$name.log")"
done
# A language model tells its perplexity, a forecast its errors, and neither tells what means nothing for it.
awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i} END {exit !($at["perplexity"] > 1 && $at["mae"] == "" && $at["learning_rate"] < 0.31)}' shakespeare/rounds.csv || fail "shakespeare: $(tail -1 shakespeare/rounds.csv)"
awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i} END {exit !($at["mae"] > 0 && $at["accuracy"] == "")}' timeseries/rounds.csv || fail "timeseries: $(tail -1 timeseries/rounds.csv)"
[ "$failures" -eq 0 ]
