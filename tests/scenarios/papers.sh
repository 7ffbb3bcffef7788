#!/usr/bin/env bash
# The scenarios of published results are good files, and their short runs hold what they expect.
set -u
flosim=$(cd "${builddir:-.}" && pwd)/flosim
papers=$(cd "${srcdir:-.}/scenarios/papers" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

cd "$work" || exit 1
"$flosim" check "$papers"/*.yaml >check.log 2>&1 || fail "check: $(cat check.log)"
for file in "$papers"/*-short.yaml; do
    name=$(basename "$file" .yaml)
    "$flosim" --out "$work/$name" "$file" >"$name.log" 2>&1 || fail "$name: $(cat "$name.log")"
    grep -q "^PASS" "$name.log" || fail "$name expects nothing"
done
[ "$failures" -eq 0 ]
