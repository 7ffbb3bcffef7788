#!/usr/bin/env bash
# flosim model: show, list, and verify over PyTorch's records and damaged copies of them.
set -u
flosim=$(cd "${builddir:-.}" && pwd)/flosim
cd "${srcdir:-.}" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
vectors=tests/vectors

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# expect CODE PATTERN ARGUMENT... : the exit code, and a line of output or message
expect() {
    local code=$1 pattern=$2 found status
    shift 2
    found=$("$flosim" model "$@" 2>&1)
    status=$?
    [ "$status" -eq "$code" ] || fail "model $*: exit code $status, expected $code: $found"
    grep -Eq -- "$pattern" <<<"$found" || fail "model $*: nothing like \`$pattern\` in: $found"
}

# Every record of a network: its model folder.
while read -r record folder args; do
    if [ -e "$folder/model.yaml" ]; then
        expect 0 '^within the tolerance of 0.001$' verify $args "$folder" "$vectors/model_$record.safetensors"
    else
        fail "$record: there is no $folder"
    fi
done <tests/cli/model/records

# MobileNetV2's training at a batch of 8 is chaotic in float32: PyTorch's own float64 ends 8 % away in the second loss. What
# can be held is the output before any step and what the first step starts from.
mobilenet=$vectors/model_mobilenetv2_w025.safetensors
found=$("$flosim" model verify tests/cli/model/MobileNet_w025 "$mobilenet")
awk '/^outputs/ {found = 1; if ($4 > 1e-4) exit 1} END {exit !found}' <<<"$found" || fail "MobileNetV2: $found"

# Every record of a part.
for record in "$vectors"/{layer,loss,optim}_*.safetensors; do
    found=$("$flosim" model verify --layer "$record" 2>&1) || fail "$record: $found"
done

# Another network's record does not fit; a tighter tolerance than float32 has is not kept.
lenet=$vectors/model_lenet5.safetensors
expect 2 'a sample of the record is \[60\], but the model takes \[1, 32, 32\]' verify models/LeNet5 $vectors/model_logistic.safetensors
expect 2 '`init.fc3.weight` is \[10, 84\] where \[11, 84\] is wanted' verify --args num_classes=11 models/LeNet5 $lenet
expect 2 'has `init.conv1.weight`, but|no tensor `init.fc1|has no tensor|takes' verify models/FedAT_CNN $lenet
expect 1 '^past the tolerance of 1e-09$' verify --tolerance 1e-9 models/LeNet5 $lenet
expect 2 'must be a number between' verify --tolerance none models/LeNet5 $lenet
expect 2 'cannot open|No such file' verify models/LeNet5 "$work/nothing"
expect 2 'no such model folder' verify "$work/nothing" $lenet

# damage HOW: a copy of LeNet5's record with one thing changed (Python: bytes `data`, header `head`)
damage() {
    python3 - "$lenet" "$work/damaged" "$1" <<'END'
import json, struct, sys
source, target, how = sys.argv[1:]
data = bytearray(open(source, "rb").read())
size = struct.unpack("<Q", data[:8])[0]
head, body = json.loads(data[8:8 + size]), data[8 + size:]
def at(name):
    return head[name]["data_offsets"][0]
exec(how)
text = json.dumps(head).encode()
open(target, "wb").write(struct.pack("<Q", len(text)) + text + body)
END
}

damage 'body[at("init.fc1.weight"):at("init.fc1.weight") + 4] = struct.pack("<f", float("nan"))'
expect 2 '`init.fc1.weight` is not finite' verify models/LeNet5 "$work/damaged"
damage 'body[at("y"):at("y") + 8] = struct.pack("<q", 10)'
expect 2 '`y` is 10, where 0 to 9 are known' verify models/LeNet5 "$work/damaged"
damage 'head["init.fc9.weight"] = head.pop("init.fc1.weight")'
expect 2 'has no tensor `init.fc1.weight`' verify models/LeNet5 "$work/damaged"
damage 'head["losses"]["shape"] = [2, 2]'
expect 2 '`losses` is \[2, 2\] where \[4\] is wanted' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["optimizer"] = "sdg"'
expect 2 'the optimizer `sdg`, which there is not' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["momentum"] = "0.9}, {"'
expect 2 'no plain value' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["momentum"] = "much"'
expect 2 'momentum. must be a number' verify models/LeNet5 "$work/damaged"
damage 'del head["__metadata__"]["lr"]'
expect 2 'has no `lr`' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["lr"] = "0.06"'
expect 1 '^past the tolerance' verify models/LeNet5 "$work/damaged"
damage 'body[at("final_head.fc3.bias"):at("final_head.fc3.bias") + 4] = struct.pack("<f", 3)'
expect 1 'final weights .*final_head.fc3.bias' verify models/LeNet5 "$work/damaged"
# Only what is known, or as PyTorch has it anyway, may stand in the metadata.
damage 'head["__metadata__"].update(maximize="False", foreach="None", differentiable="False", dampening="0")'
expect 0 '^within' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"].update(amsgrad="True", clip="3")'
expect 2 'has `amsgrad: True`, `clip: 3`, which sgd does not know' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["clip_norm"] = "0.01"'
expect 1 '^past the tolerance' verify models/LeNet5 "$work/damaged"
damage 'head["__metadata__"]["clip_norm"] = "-1"'
expect 2 'clip_norm. must be between' verify models/LeNet5 "$work/damaged"
lenet=$vectors/layer_maxpool_2.safetensors
damage 'head["__metadata__"].update(dilation="1", return_indices="False", stride="None")'
expect 0 '^within' verify --layer "$work/damaged"
damage 'head["__metadata__"]["dilation"] = "2"'
expect 2 'has `dilation: 2`, which maxpool2d does not know' verify --layer "$work/damaged"
lenet=$vectors/loss_crossentropy.safetensors
damage 'head["__metadata__"].update(label_smoothing="0.0", weight="None")'
expect 0 '^within' verify --layer "$work/damaged"
damage 'head["__metadata__"].update(label_smoothing="0.1", reduction="sum")'
expect 2 '`(label_smoothing: 0.1|reduction: sum)`, `.*which crossentropy does not know' verify --layer "$work/damaged"
lenet=$vectors/loss_crossentropy_steps.safetensors
damage 'head["input"]["shape"] = head["grad"]["shape"] = [3, 7, 4]'
expect 2 '`target` is \[3, 4\], but labels must be \[3, 7\]: .*classes last' verify --layer "$work/damaged"
lenet=$vectors/model_lenet5.safetensors

for size in 0 7 100 20000 200000; do
    head -c $size $lenet >"$work/damaged"
    expect 2 'flosim model verify: ' verify models/LeNet5 "$work/damaged"
    expect 2 'flosim model verify: ' verify --layer "$work/damaged"
done

# What there is, and what it looks like.
expect 0 '^LeNet5$' list
expect 0 '^fc3 +linear +\[62\] +5,270 +10,416$' show LeNet5 --args num_classes=62
expect 0 '^parameters +61,706$' show models/LeNet5
expect 0 '^workspace for training, batch 32 +[0-9.]+ MiB$' show --batch 32 LeNet5
expect 2 'no such model folder' show LeNet6
expect 2 'must be a number' show --batch 0 LeNet5
expect 2 'expected KEY=VALUE' show --args classes LeNet5
expect 2 'list, show or verify' 

[ "$failures" -eq 0 ] || exit 1
echo "all as expected"
