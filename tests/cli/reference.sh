#!/usr/bin/env bash
# docs/CONFIG.md and what is generated in docs/strategies are what the program says of its own tables.
flosim=$(cd "${builddir:-.}" && pwd)/flosim
if ! diff -u "${srcdir:-.}/docs/CONFIG.md" <("$flosim" help reference --markdown); then
    echo "docs/CONFIG.md is out of date: run \`make reference\`"
    exit 1
fi
if ! "${srcdir:-.}/docs/strategies/generate" "$flosim" --check; then
    echo "docs/strategies is not as it should be: run \`make reference\`"
    exit 1
fi
# Every topic and every member of it explains itself.
for topic in config data strategies network faults expect; do
    [ -n "$("$flosim" help "$topic")" ] || { echo "flosim help $topic prints nothing"; exit 1; }
done
