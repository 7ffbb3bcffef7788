#!/usr/bin/env bash
# flosim submit against a real leader with two real workers and a real broker: what it prints, and the exit code for
# every way in which a session can end.
set -u
flosim=$(realpath "${builddir:-.}/flosim")
src=$(realpath "${srcdir:-.}")
dir=$(mktemp -d)
pids=()
failures=0

cleanup() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    [ "$failures" -eq 0 ] && rm -rf "$dir"
}
trap cleanup EXIT

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# wait_for WHAT COMMAND...: until the command succeeds, 60 s at most.
wait_for() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            echo "never: $what"
            tail -n 20 "$dir"/*.log
            failures=1
            exit 1
        fi
        read -rt 0.05 <> <(:)
    done
}

# expect CODE TEXT ARGUMENT...: submit's exit code, and a text in what it prints.
expect() {
    local code=$1 text=$2 status
    shift 2
    "$flosim" submit "$@" >"$dir/out" 2>&1
    status=$?
    [ $status -eq "$code" ] || fail "submit $*: exit code $status, expected $code: $(cat "$dir/out")"
    grep -qe "$text" "$dir/out" || fail "submit $*: no \`$text\` in: $(cat "$dir/out")"
}

# http METHOD PATH: the leader's answer with its head.
http() {
    exec 3<>"/dev/tcp/127.0.0.1/$rest" || return 1
    printf '%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$1" "$2" >&3
    cat <&3
    exec 3<&- 3>&-
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_broker() {
    for _ in 1 2 3 4 5; do
        broker=$((20000 + RANDOM % 40000))
        printf '%s\n' "listener $broker 127.0.0.1" 'allow_anonymous true' 'max_queued_messages 0' \
            'max_inflight_messages 0' 'user root' >"$dir/mosquitto.conf"
        PATH=$PATH:/usr/sbin mosquitto -c "$dir/mosquitto.conf" >"$dir/mosquitto.log" 2>&1 &
        pids+=($!)
        for _ in $(seq 200); do
            answers $broker && return
            kill -0 $! 2>/dev/null || break
            read -rt 0.02 <> <(:)
        done
    done
    echo "mosquitto does not start: $(cat "$dir/mosquitto.log")"
    exit 1
}

rest_port() { rest=$(sed -n "s/.*:\([0-9]*\)$/\1/p" "$dir/leader.out" 2>/dev/null); [ -n "$rest" ]; }

# start_leader [--set ...]: sets leader_pid and rest.
start_leader() {
    rest=
    rm -f "$dir/leader.out" # or the port of the leader before is read, until the new one's shell has emptied the file
    "$flosim" leader -c "$dir/leader.yaml" "$@" >"$dir/leader.out" 2>>"$dir/leader.log" &
    leader_pid=$!
    pids+=($leader_pid)
    wait_for "the leader's port" rest_port
}

two_clients() { http GET /healthz 2>/dev/null | grep -q '"ready":true.*"clients_active":2'; }
is_running() { http GET "/v1/sessions/$1" 2>/dev/null | grep -q '"status":"running"'; }
is_idle() { ! http GET /v1/sessions 2>/dev/null | grep -qE '"status":"(running|waiting)"'; }

cat >"$dir/session.yaml" <<END
session_config:
  aggregator: fedavg
  client_selection: fedavg
  client_selection_args: {client_fraction: 1.0}
  wait_for_clients: {min_clients: 2, max_wait_s: 20}
benchmark_config: {skip_benchmark: true}
server_training_config: {model_dir: LeNet5, validation_dataset: fashion-mnist, num_training_rounds: 3}
client_training_config: {model_id: LeNet5, model_class: LeNet5, dataset: fashion-mnist, epochs: 1, batch_size: 32,
                         learning_rate: 0.001, train_timeout_duration_s: 120, loss_function: crossentropy,
                         optimizer: adam}
END
session=$dir/session.yaml

# ---- without a leader ----

expect 0 'EXIT STATUS' --help
expect 2 'no session file' --leader h:1
expect 2 'HOST:PORT' "$session"
expect 2 'expected HOST:PORT' "$session" --leader nonsense
expect 2 'expected HOST:PORT' "$session" --leader h:99999
expect 2 'need --session_id' "$session" --leader h:1 --restore
expect 2 'one plain name' "$session" --leader h:1 --session_id ../x
expect 2 'No such file' "$dir/none.yaml" --leader h:1
expect 2 'did you mean `epochs`' "$session" --leader h:1 --set client_training_config.epoch=3
printf 'a b\n' >"$dir/bad-token"
expect 2 'visible ASCII' "$session" --leader h:1 --token-file "$dir/bad-token"
expect 3 'start one with `flosim leader' "$session" --leader 127.0.0.1:1
expect 3 'start one with `flosim leader' "$session" --leader '[::1]:1' --follow
[ $failures -eq 0 ] || exit 1

# ---- with one ----

"$flosim" partition fashion-mnist --clients 2 --samples-per-client 300 -q --out "$dir/data" || exit 1
start_broker
cat >"$dir/leader.yaml" <<END
comm_config:
  mqtt: {mqtt_broker: 127.0.0.1, mqtt_broker_port: $broker, mqtt_sub_timeout_s: 1, mqtt_heartbeat_interval_s: 1}
  restful: {rest_hostname: 127.0.0.1, rest_port: 0}
models_dir_path: $src/models
validation_data_dir_path: $dir/data/validation
temp_dir_path: $dir/runs
checkpoint_dir_path: $dir/checkpoints
END
for i in 0 1; do
    cat >"$dir/worker$i.yaml" <<END
comm_config:
  mqtt: {mqtt_broker: 127.0.0.1, mqtt_broker_port: $broker, client_name: w$i}
  grpc: {sync_port: 0, bind: 127.0.0.1}
dataset_config: {datasets_dir_path: $dir/data/client_00$i}
general_config: {temp_dir_path: $dir/worker$i}
END
    "$flosim" worker -c "$dir/worker$i.yaml" 2>"$dir/worker$i.log" &
    pids+=($!)
done
start_leader
wait_for "two clients" two_clients
to=(--leader "127.0.0.1:$rest")

expect 0 '^Session .* finished' "$session" "${to[@]}" --follow
[ "$(grep -c '^round .*accuracy .*2 selected, 2 merged, 0 failed' "$dir/out")" -eq 3 ] ||
    fail "not one line a round: $(cat "$dir/out")"
expect 0 '^Session my run finished$' "$session" "${to[@]}" --session_id 'my run'
expect 0 '^{"session_id":.*"status":"finished"' "$session" "${to[@]}" --follow --json
[ "$(grep -c '^{"round":[123],.*}$' "$dir/out")" -eq 3 ] || fail "not one object a round: $(cat "$dir/out")"
expect 2 '^--set session_config.aggregator=nope: unknown aggregator' "$session" "${to[@]}" \
    --set session_config.aggregator=nope

# What the leader finds is told with the places of the file.
sed 's/optimizer: adam/optimizer: adamant/; s/loss_function: crossentropy/loss_function: cross/' "$session" \
    >"$dir/wrong.yaml"
at() { grep -n "$1" "$dir/wrong.yaml" | cut -d: -f1; }
for how in --json --follow; do
    expect 2 "^$dir/wrong.yaml:$(at adamant):[0-9]*: unknown optimizer" "$dir/wrong.yaml" "${to[@]}" $how
    expect 2 "^$dir/wrong.yaml:$(at 'cross,'):[0-9]*: unknown loss_function" "$dir/wrong.yaml" "${to[@]}" $how
done
expect 3 'failed: .*nope' "$session" "${to[@]}" --set client_training_config.dataset=nope \
    --set session_config.wait_for_clients.max_wait_s=1
expect 3 'failed: .*nope' "$session" "${to[@]}" --set client_training_config.dataset=nope \
    --set session_config.wait_for_clients.max_wait_s=1 --follow

# A second one is refused; Ctrl-C leaves the first running.
long=(--set server_training_config.num_training_rounds=100000)
"$flosim" submit "$session" "${to[@]}" "${long[@]}" --follow --session_id long >"$dir/long" 2>&1 &
submit_pid=$!
wait_for "a running session" is_running long
expect 2 'already running' "$session" "${to[@]}"
expect 2 'already running' "$session" "${to[@]}" --follow
kill -INT $submit_pid
wait $submit_pid
status=$?
[ $status -eq 130 ] || fail "after Ctrl-C: exit code $status"
grep -q 'session long goes on' "$dir/long" || fail "after Ctrl-C: $(cat "$dir/long")"
is_running long || fail "the session did not go on after Ctrl-C"
http DELETE /v1/sessions/long | grep -q '202' || fail "DELETE"
wait_for "the end of the session" is_idle

# A leader that is told to leave stops the session; who follows or waits is told.
for how in --follow --json; do
    "$flosim" submit "$session" --leader "127.0.0.1:$rest" "${long[@]}" $how --session_id leave >"$dir/leave" 2>&1 &
    submit_pid=$!
    wait_for "a running session" is_running leave
    kill -TERM $leader_pid
    wait $leader_pid || fail "the leader's exit code: $?"
    wait $submit_pid
    status=$?
    [ $status -eq 130 ] && grep -q 'stopped: the leader was told to leave' "$dir/leave" ||
        fail "$how when the leader leaves: exit code $status: $(cat "$dir/leave")"
    start_leader
    wait_for "two clients" two_clients
done
kill -TERM $leader_pid
wait $leader_pid

# ---- with one that has no validation data ----

start_leader --set "validation_data_dir_path=''"
wait_for "two clients" two_clients
expect 0 '^round   3/3  not validated' "$session" --leader "127.0.0.1:$rest" --follow
kill -TERM $leader_pid
wait $leader_pid

# ---- with a token ----

printf 'sesame\n' >"$dir/token"
start_leader --set "comm_config.restful.token_file=$dir/token"
expect 2 'bearer token' "$session" --leader "127.0.0.1:$rest"
expect 0 'finished' "$session" --leader "127.0.0.1:$rest" --token-file "$dir/token"

[ $failures -eq 0 ]
