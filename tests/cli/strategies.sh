#!/usr/bin/env bash
# flosim strategies: lists every member of every kind once, explains each, says what it does not know.
set -u
flosim=$(cd "${builddir:-.}" && pwd)/flosim
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# Every member has a line in the list, under its kind, and is explained.
names=$("$flosim" strategies --table | cut -f 1,2 --output-delimiter " ")
for wanted in "selection fedavg" "aggregation fedavg" "aggregation fedasync" "termination wall_clock"; do
    grep -qx "$wanted" <<<"$names" || fail "--table lacks $wanted"
done
[ -z "$(sort <<<"$names" | uniq -d)" ] || fail "a name twice: $(sort <<<"$names" | uniq -d)"
declare -A key=([selection]=client_selection [aggregation]=aggregator [termination]=termination_condition)
while read -r kind name; do
    "$flosim" strategies --kind "$kind" | grep -Eq "^    $name +[^ ]" || fail "the list lacks $kind $name"
    text=$("$flosim" strategies --kind "$kind" "$name") || fail "$kind $name is not explained"
    [ "$(head -1 <<<"$text")" = "${key[$kind]}: $name" ] || fail "$kind $name begins with $(head -1 <<<"$text")"
    [ "$(wc -l <<<"$text")" -ge 3 ] || fail "$kind $name says little: $text"
    case $kind in
    termination) ;;
    *) grep -Eq '^    - (synchronous|asynchronous|semi-asynchronous|tiered)' <<<"$text" || fail "$kind $name does not say how it works" ;;
    esac
done <<<"$names"
[ "$("$flosim" strategies | grep -c '^    ')" -eq "$(wc -l <<<"$names")" ] || fail "the list and --table differ"
diff <("$flosim" strategies fedavg) <("$flosim" help strategies fedavg) || fail "flosim help strategies fedavg differs"
[ "$("$flosim" strategies fedavg | grep -c ': fedavg$')" -eq 2 ] || fail "fedavg is a selection and an aggregator"

# Arguments: type, range, default, help.
diff <("$flosim" strategies accuracy_plateau) - <<'END' || fail "accuracy_plateau"
termination_condition: accuracy_plateau
    Ends when the accuracy on the leader's validation data has not risen for a number of validations.
    Arguments, under termination_condition_args.accuracy_plateau:
        patience: integer, between 1 and 1000000000, default 10
            So many validations in a row without a rise end the session.
        delta: number, between 0 and 100, default 0
            A rise is more than so many percentage points above the best accuracy before.

END

expect_refusal() { # message, arguments...
    local wanted=$1 found
    shift
    found=$("$flosim" strategies "$@" 2>&1)
    [ $? -eq 2 ] || fail "strategies $* is not refused"
    grep -qF "$wanted" <<<"$found" || fail "strategies $*: $found"
}
expect_refusal 'there is no strategy `fedasinc`; did you mean `fedasync`?' fedasinc
expect_refusal 'there is no strategy `wall_clock`' --kind selection wall_clock
expect_refusal 'unknown kind `selektion`; did you mean `selection`?' --kind selektion
expect_refusal 'of which NAME' --markdown
expect_refusal 'one NAME at a time' fedavg fedasync
expect_refusal 'Try `flosim strategies --help`' --bogus
[ "$failures" -eq 0 ] || exit 1
echo "all as expected"
