#!/usr/bin/env bash
# ThreadSanitizer must report the race that is planted in threads.c: a clean run of the other thread tests then means
# something.
set -u
report=$(TSAN_OPTIONS="exitcode=66" "${builddir:-.}/tests/util/planted_race" 2>&1)
status=$?
if [ "$status" -ne 66 ] || ! grep -q 'WARNING: ThreadSanitizer: data race' <<<"$report"; then
    echo "the planted race was not reported (exit code $status):"
    echo "$report"
    exit 1
fi
