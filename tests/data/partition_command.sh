#!/usr/bin/env bash
# `flosim partition` from the outside: what it writes, what it refuses, its exit codes.
set -u
flosim=${builddir:-.}/flosim
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}

# expect CODE TEXT ARGUMENTS...: the exit code, and a piece of what is said.
expect() {
    local code=$1 text=$2
    shift 2
    said=$("$flosim" partition "$@" 2>&1)
    local found=$?
    [ "$found" -eq "$code" ] || fail "partition $*: exit code $found, expected $code: $said"
    case $said in
    *"$text"*) ;;
    *) fail "partition $*: \`$text\` is not said: $said" ;;
    esac
}

expect 0 "6 clients, 600 samples" fashion-mnist -n 6 --scheme dirichlet --set alpha=0.5 --samples-per-client 100 --seed 3 -o "$scratch/a"
for k in 0 1 2 3 4 5; do
    folder=$scratch/a/client_00$k/fashion-mnist
    [ -s "$folder/data.safetensors" ] && [ -s "$folder/train_dataset_config.yaml" ] || fail "client $k has no data"
done
[ -s "$scratch/a/validation/fashion-mnist/dataset_config.yaml" ] || fail "there is no validation folder"
grep -q "num_items: 10000" "$scratch/a/validation/fashion-mnist/dataset_config.yaml" || fail "validation is not the 10,000 test images"

# The same again is the same bytes; another seed is not.
expect 0 "" fashion-mnist -n 6 --scheme dirichlet --set scheme.alpha=0.5 --samples-per-client 100 --seed 3 -q -o "$scratch/b"
[ -z "$said" ] || fail "--quiet says: $said"
diff -r "$scratch/a" "$scratch/b" || fail "the same seed gives other files"
expect 0 "" fashion-mnist -n 6 --scheme dirichlet --set alpha=0.5 --samples-per-client 100 --seed 4 -o "$scratch/c"
! diff -rq "$scratch/a" "$scratch/c" >/dev/null || fail "the seed has no effect"

# Nothing is overwritten unasked, whatever is wrong nothing is removed, and --force leaves no folder of the old partition.
touch "$scratch/a/mine"
expect 2 "is there already; name another folder, or replace it with --force" fashion-mnist -n 2 -o "$scratch/a"
expect 2 "take samples_per_client 30000 or less" fashion-mnist -n 2 --samples-per-client 30001 -f -o "$scratch/a"
diff -rq "$scratch/a" "$scratch/b" | grep -qv ": mine$" && fail "a refused partition changed something"
expect 0 "2 clients, 60000 samples" fashion-mnist -n 2 -f -o "$scratch/a"
[ "$(ls "$scratch/a")" = "$(printf 'client_000\nclient_001\nmine\nvalidation')" ] || fail "left over: $(ls "$scratch/a")"

expect 0 "3 clients" synthetic -n 3 --scheme natural --set devices=3 --dataset-id syn --validation-out "$scratch/v" -o "$scratch/s"
[ -s "$scratch/v/syn/dataset_config.yaml" ] && [ ! -e "$scratch/s/validation" ] || fail "--validation-out has no effect"

# All that is wrong is said together.
expect 2 "" fashon-mnist -n 3x --scheme foo --bar
for text in "no source \`fashon-mnist\`" "--clients: \`3x\`" "no scheme \`foo\`" "--bar: an unknown option" "--out: missing"; do
    case $said in *"$text"*) ;; *) fail "\`$text\` is not said: $said" ;; esac
done
expect 2 "has an argument \`alpah\`" fashion-mnist -n 2 --set alpah=1 -o "$scratch/x"
expect 2 "--set scheme.alpha=-1" fashion-mnist -n 2 --scheme dirichlet --set alpha=-1 -o "$scratch/x"
expect 2 "apt-get install" fashion-mnist -n 2 --set path=/nowhere -o "$scratch/x"
expect 2 "fewer clients or more data" synthetic --set devices=1 --set log_mean=0 -n 1000 -o "$scratch/x"
[ ! -e "$scratch/x" ] || fail "a refused partition wrote something"
expect 3 "" fashion-mnist -n 2 -o /dev/null/x
expect 0 "EXIT STATUS" --help
echo "partition: ok"
