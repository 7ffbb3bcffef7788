#!/usr/bin/env bash
# `flosim check` and the front door, as a user meets them: the complete output and the exit code.
set -u
flosim=$(cd "${builddir:-.}" && pwd)/flosim
cd "${srcdir:-.}" || exit 1
failures=0

# expect CODE ARGUMENT... <EXPECTED: standard output and standard error together
expect() {
    local code=$1 found status
    shift
    found=$("$flosim" "$@" 2>&1)
    status=$?
    if [ "$status" -ne "$code" ]; then
        echo "FAIL: flosim $*: exit code $status, expected $code"
        failures=$((failures + 1))
    fi
    if ! diff -u --label expected --label found - <(printf '%s\n' "$found"); then
        echo "FAIL: flosim $*: other output"
        failures=$((failures + 1))
    fi
}

dir=tests/cli/check

expect 2 check $dir/leader.yaml <<END
$dir/leader.yaml:4:23: \`comm_config.mqtt.mqtt_broker_port\` must be between 1 and 65535, found \`70000\`
$dir/leader.yaml:5:25: \`comm_config.mqtt.mqtt_sub_timeout_s\` must be a duration such as 12s, 50ms or 2min, found \`soon\`
$dir/leader.yaml:6:5: unknown key \`mqtt_heartbeat_intervals\` in \`comm_config.mqtt\`; did you mean \`mqtt_heartbeat_interval_s\`?
$dir/leader.yaml:8:16: \`comm_config.grpc.timeout_s\` must be a duration such as 12s, 50ms or 2min, found \`10 parsecs\`
$dir/leader.yaml:9:1: unknown key \`restful\`
$dir/leader.yaml:11:19: \`state.state_location\` must be one of inmemory, redis; found \`reddis\`; did you mean \`redis\`?
$dir/leader.yaml:12:11: \`security\` must be one of warn, strict; found \`paranoid\`
END

expect 2 check $dir/duplicate.yaml <<END
$dir/duplicate.yaml:2:24: duplicate key \`state_port\`: it stands at line 2, column 9 already
$dir/duplicate.yaml:3:1: duplicate key \`temp_dir_path\`: it stands at line 1, column 1 already
$dir/duplicate.yaml:4:10: alias \`*x\` is not supported: write the value out
END

# A key given twice does not hide what else is wrong.
expect 2 check $dir/duplicate_and_more.yaml <<END
$dir/duplicate_and_more.yaml:1:21: \`state.state_port\` must be between 1 and 65535, found \`0\`
$dir/duplicate_and_more.yaml:1:24: duplicate key \`state_port\`: it stands at line 1, column 9 already
$dir/duplicate_and_more.yaml:2:1: unknown key \`temp_dir\`
END

expect 2 check $dir/worker.yaml <<END
$dir/worker.yaml:1:17: \`dataset_config\` must be a mapping, found a list
$dir/worker.yaml:3:12: warning: \`general_config.use_gpu\` has no effect in flosim
$dir/worker.yaml:4:3: unknown key \`cleanup_on_exit\` in \`general_config\`
$dir/worker.yaml:5:10: \`threads\` must be between 1 and 1024, found \`0\`
END

expect 2 check $dir/session_keys.yaml <<END
$dir/session_keys.yaml:2:3: unknown key \`checkpoint_intervall\` in \`session_config\`; did you mean \`checkpoint_interval\`?
$dir/session_keys.yaml:4:3: \`server_training_config.model_dir\` is missing
$dir/session_keys.yaml:4:24: \`server_training_config.num_training_rounds\` must be between 1 and 1000000000, found \`0\`
$dir/session_keys.yaml:6:3: \`client_training_config.dataset\` is missing
$dir/session_keys.yaml:6:13: \`client_training_config.model_id\` must be one plain name, without \`/\`, found \`a/b\`
$dir/session_keys.yaml:7:11: \`client_training_config.epochs\` must be an integer, found \`1.5\`
$dir/session_keys.yaml:8:18: \`client_training_config.learning_rate\` must be above 0 and at most 1000000, found \`-1\`
END

# Names in a session: the first words of each line, for the rest lists what there is.
found=$("$flosim" check $dir/session.yaml)
[ $? -eq 2 ] || { echo "FAIL: session.yaml passes"; failures=$((failures + 1)); }
for start in '2:15: unknown aggregator `fedavgg`; did you mean `fedavg`?' '5:22: ' '6:5: unknown key `fraction`' \
    '7:26: accuracy_target needs the argument `target`' '9:14: there is no model folder `models/LeNet6`' \
    '14:18: unknown loss_function `crossentropi`; did you mean `crossentropy`?' '15:43: `momentum` must be a number, found `fast`'; do
    if ! grep -qF "$dir/session.yaml:$start" <<<"$found"; then
        echo "FAIL: session.yaml: nothing begins with $start in"
        echo "$found"
        failures=$((failures + 1))
    fi
done
[ "$(wc -l <<<"$found")" -eq 7 ] || { echo "FAIL: session.yaml: 7 findings expected"; echo "$found"; failures=$((failures + 1)); }

unset FLOSIM_TEST_FRACTION
expect 2 check $dir/session_good.yaml <<END
$dir/session_good.yaml:3:22: environment variable \`FLOSIM_TEST_FRACTION\` is not set
END
export FLOSIM_TEST_FRACTION=0.5
expect 0 check $dir/session_good.yaml <<END
$dir/session_good.yaml: good (session)
END
expect 2 check --set client_training_config.epochs=few --set server_training_config.model_dri=x $dir/session_good.yaml <<END
--set server_training_config.model_dri=x: unknown key \`model_dri\` in \`server_training_config\`; did you mean \`model_dir\`?
--set client_training_config.epochs=few: \`client_training_config.epochs\` must be an integer, found \`few\`
END
expect 2 check --set client_training_config $dir/session_good.yaml <<END
--set client_training_config: expected KEY.KEY=VALUE
END

expect 2 check $dir/train_dataset_config.yaml <<END
$dir/train_dataset_config.yaml:2:3: \`dataset_details.dataset_id\` is missing
$dir/train_dataset_config.yaml:4:14: \`metadata.num_items\` must be an integer, found \`many\`
END
expect 2 check $dir/open_quote.yaml <<END
$dir/open_quote.yaml:3:1: found unexpected end of stream, while scanning a quoted scalar from line 2: a quote or a bracket is not closed
END
expect 2 check $dir/unknown.yaml <<END
$dir/unknown.yaml: its keys do not tell what kind of file this is; say it, as in --as session
END
expect 2 check --as worker $dir/unknown.yaml <<END
$dir/unknown.yaml:1:1: unknown key \`colour\`
$dir/unknown.yaml:1:1: \`dataset_config.datasets_dir_path\` is missing
$dir/unknown.yaml:2:1: unknown key \`size\`
END
expect 2 check nothing.yaml $dir/open_quote.yaml <<END
cannot open nothing.yaml: No such file or directory
$dir/open_quote.yaml:3:1: found unexpected end of stream, while scanning a quoted scalar from line 2: a quote or a bracket is not closed
END
expect 2 check tests/cli <<END
tests/cli: the folder holds no config.yaml, model.yaml, train_dataset_config.yaml or dataset_config.yaml
END

# A network whose shapes do not fit names the layer and the shape.
found=$("$flosim" check $dir/shapes)
if [ $? -ne 2 ] || ! grep -q "^$dir/shapes/model.yaml:3:5: conv1 .*9.*\[1, 8, 8\]" <<<"$found" || grep -q good <<<"$found"; then
    echo "FAIL: shapes: $found"
    failures=$((failures + 1))
fi

# What is wrong in one place of a model folder hides nothing else; a network of which nothing is there yet is one still.
many="$dir/many/config.yaml:3:3: unknown key \`model_tipe\` in \`model_details\`; did you mean \`model_type\`?
$dir/many/config.yaml:5:23: \`use_custom_trainer\` must be true or false, found \`maybe\`
$dir/many/model.yaml:1:1: unknown key \`inputs\`; did you mean \`input\`?
$dir/many/model.yaml:3:1: duplicate key \`input\`: it stands at line 2, column 1 already
$dir/many/model.yaml:5:5: conv1 (conv2d): a kernel of 9 x 9 does not fit an input of shape [1, 8, 8]
$dir/many/model.yaml:6:6: unknown kind of layer \`reluu\`; did you mean \`relu\`?
$dir/many/model.yaml:7:15: flatten takes no arguments: write \`flatten: {}\`
$dir/many/model.yaml:8:25: \`out\` must be an integer, found \`none\`
$dir/many/model.yaml:8:31: unknown key \`bais\`; did you mean \`bias\`?"
expect 2 check $dir/many <<<"$many"
expect 2 check $dir/many/config.yaml <<<"$many"
expect 2 check $dir/empty <<END
$dir/empty/model.yaml:1:1: \`input\` is missing
$dir/empty/model.yaml:1:1: \`layers\` is missing
END

# An optimizer's arguments are told where they stand, together with all of the model's.
expect 2 check $dir/optimizer.yaml <<END
$dir/optimizer.yaml:6:42: unknown key \`momentun\`; did you mean \`momentum\`?
$dir/optimizer.yaml:6:71: \`weight_decay\` must be between 0 and 1000000, found \`-1\`
$many
END
expect 2 check --set server_training_config.model_dir=models/LeNet5 \
    --set 'client_training_config.optimizer={name: sgd, args: {nesterov: true}}' \
    --set client_training_config.optimizer.args.lr=x $dir/optimizer.yaml <<END
--set client_training_config.optimizer.args.lr=x: \`lr\` must be a number, found \`x\`
END
expect 2 check --set server_training_config.model_dir=models/LeNet5 \
    --set 'client_training_config.optimizer={name: sgd, args: {nesterov: true}}' $dir/optimizer.yaml <<END
--set client_training_config.optimizer={name: sgd, args: {nesterov: true}}: optimizer sgd: nesterov needs a momentum above 0 and a dampening of 0
END

# Data that lies beside its configuration is read.
parts=$(mktemp -d)
"$flosim" partition synthetic -n 1 -o "$parts" -q
data=$parts/client_000/synthetic
expect 0 check --quiet "$data" <<<''
truncate -s -1 "$data/data.safetensors"
found=$("$flosim" check "$data")
if [ $? -ne 2 ] || ! grep -q "^$data/data.safetensors: " <<<"$found"; then
    echo "FAIL: data cut short: $found"
    failures=$((failures + 1))
fi
rm -rf "$parts"

# Everything that Flotilla has and everything that comes with flosim is good.
# A session's custom_loader_args: the series is cut anew, and the model follows; what means nothing here warns.
loader=session.model_config.custom_loader_args
use=session.model_config.use_custom_dataloader=true
given="$loader={lookback: 7, seq_len: 4, colour: red}"
expect 0 check --set $use --set "$given" scenarios/timeseries.yaml <<END
--set $given: warning: \`model_config.custom_loader_args.colour\` has no effect in flosim
--set $given: warning: \`custom_loader_args\`: seq_len means nothing for \`source: csv\` and is ignored
$(realpath models/LSTM)/model.yaml:3:7: warning: the model has no argument \`seq_len\`; it is ignored
scenarios/timeseries.yaml: good (scenario)
END
expect 2 check --set $use --set "$loader={pred_forward: 3}" scenarios/timeseries.yaml <<END
scenarios/timeseries.yaml:9:3: \`data\`: an item has 3 values to predict, but the model gives 2
END
given="$loader={lookback: 0, normalize_data: maybe}"
expect 2 check --set $use --set "$given" scenarios/timeseries.yaml <<END
--set $given: \`model_config.custom_loader_args.lookback\` must be a number from 1 to 65536
--set $given: \`model_config.custom_loader_args.normalize_data\` must be true, false, none, min-max or standard
END

expect 0 check --quiet deploy/leader.yaml deploy/worker.yaml deploy/session.yaml models/* tests/config/flotilla/dataset_config.yaml <<<''
expect 0 check tests/config/flotilla/server_config.yaml tests/config/flotilla/client_config.yaml tests/config/flotilla/training_config.yaml \
    tests/config/flotilla/models/LeNet5 <<END
tests/config/flotilla/server_config.yaml: good (leader)
tests/config/flotilla/client_config.yaml:23:12: warning: \`general_config.use_gpu\` has no effect in flosim
tests/config/flotilla/client_config.yaml: good (worker)
tests/config/flotilla/training_config.yaml:4:12: warning: \`session_config.use_gpu\` has no effect in flosim
tests/config/flotilla/training_config.yaml:51:5: warning: \`model_config.custom_trainer_args.mu\` has no effect in flosim
tests/config/flotilla/training_config.yaml: good (session)
tests/config/flotilla/models/LeNet5/config.yaml:4:15: warning: \`model_details.model_type\` has no effect in flosim
tests/config/flotilla/models/LeNet5/config.yaml:7:28: warning: \`model_details.custom_trainer_filepath\` has no effect in flosim
tests/config/flotilla/models/LeNet5/config.yaml: good (model)
END

# The front door.
expect 2 chekc deploy/leader.yaml <<END
flosim: there is no command or scenario file \`chekc\`; did you mean \`flosim check\`?
\`flosim help\` lists the commands.
END
expect 2 check --as leeder x.yaml <<END
flosim check: --as leeder: there is no such kind; did you mean \`leader\`?; there are: scenario, leader, worker, session, model, network, dataset
Try \`flosim check --help\`.
END
expect 2 check <<END
flosim check: no file given
Try \`flosim check --help\`.
END
expect 2 check --bogus <<END
flosim check: unrecognized option '--bogus'
Try \`flosim check --help\`.
END
expect 2 help confg <<END
flosim help: there is no command or topic \`confg\`; did you mean \`config\`?
\`flosim help\` lists them.
END
expect 2 help config sesion <<END
flosim help: there is no \`sesion\` in config; there are: scenario, leader, worker, session, model, dataset
END
for command in run leader worker submit partition check strategies model help; do
    # `strategies` is a topic of help, too, which comes first.
    if [ $command != strategies ] && ! "$flosim" "$command" --help | diff -q - <("$flosim" help "$command") >/dev/null; then
        echo "FAIL: flosim $command --help and flosim help $command differ"
        failures=$((failures + 1))
    fi
    if ! "$flosim" --help | grep -q "^  $command "; then
        echo "FAIL: flosim --help does not list $command"
        failures=$((failures + 1))
    fi
done
"$flosim" --version | grep -Eq '^flosim [0-9]+\.[0-9]+\.[0-9]+$' || { echo "FAIL: --version"; failures=$((failures + 1)); }

[ "$failures" -eq 0 ] || exit 1
echo "all as expected"
