#!/usr/bin/python3
"""Our protobuf bytes against Google's protobuf for Python, both ways (needs python3-protobuf and protoc)."""
import os
import subprocess
import sys
import tempfile

SKIP = 77
srcdir = os.environ.get("srcdir", ".")
tool = os.path.join(os.environ.get("builddir", "."), "tests/codec/edge_messages_tool")
WEIGHTS = b"weights, byte for byte"


def load_stubs():
    try:
        import google.protobuf  # noqa: F401
    except ImportError:
        print("python3-protobuf is not installed")
        sys.exit(SKIP)
    folder = tempfile.mkdtemp()
    try:
        proto = os.path.join(srcdir, "proto")
        subprocess.check_call(["protoc", "--python_out", folder, "-I", proto, os.path.join(proto, "edge.proto")])
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        import edge_pb2
        return edge_pb2
    except FileNotFoundError:
        print("protoc is not installed")
        sys.exit(SKIP)
    finally:
        subprocess.call(["rm", "-rf", folder])


edge = load_stubs()

ENCODED = {
    "echoMessage": edge.echoMessage(text="grüß"),
    "StringResponse": edge.StringResponse(text="grüß"),
    "UploadFile.metadata": edge.UploadFile(metadata=edge.MetaData(model_id="LeNet5", file_name="model.yaml")),
    "UploadFile.chunk_data": edge.UploadFile(chunk_data=b"\0\1\2"),
    "InitBenchRequest": edge.InitBenchRequest(
        model_id="LeNet5", model_class="LeNet5_class", model_config=b'{"a":1}', dataset_id="FMNIST", batch_size=16,
        learning_rate=0.25, optimizer=b"o", loss_function=b"l", max_mini_batch_count=12),
    "InitBenchResponse": edge.InitBenchResponse(model_id="m", num_mini_batches=5, bench_duration_s=1.5),
    "InitTrainRequest": edge.InitTrainRequest(
        session_id="séssion", model_id="LeNet5", model_class="LeNet5_class", model_config=b"{}", dataset_id="FMNIST",
        model_wts=WEIGHTS, batch_size=16, learning_rate=0.001, num_epochs=3, round_idx=300, loss_function=b"l",
        timeout_duration_s=2.5, leader_term=1 << 60, attempt=4000000000, seed=18446744073709551615,
        requires="proximal,correction", proximal_mu=0.3, correction=b"corr", initial_loss=True),
    "InitTrainResponse": edge.InitTrainResponse(
        model_id="m", model_weights=WEIGHTS, client_id="c", round_idx=9, metrics=b"{}"),
    "InitValidationRequest": edge.InitValidationRequest(
        session_id="s", model_id="m", model_class="c", model_config=b"{}", dataset_id="d", model_wts=WEIGHTS,
        batch_size=8, round_idx=2, optimizer=b"", leader_term=7, attempt=1),
    "InitValidationResponse": edge.InitValidationResponse(model_id="m", client_id="c", round_idx=1, metrics=b"{}"),
    "AbortRequest": edge.AbortRequest(session_id="s", round_idx=3, leader_term=11),
}


def check_encoded():
    for name, expected in ENCODED.items():
        wire = subprocess.run([tool, "encode", name], stdout=subprocess.PIPE, check=True).stdout
        found = type(expected).FromString(wire)
        assert found == expected, f"{name}: sent {expected}, Python read {found}"
        assert wire.endswith(WEIGHTS) == (WEIGHTS in expected.SerializeToString()), f"{name}: weights do not stand last"


def values_of(message):
    """{name: value} as the tool prints it; fields with implicit presence print their default."""
    values = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        is_set = message.HasField(field.name) if field.containing_oneof else bool(value)
        if field.type == field.TYPE_MESSAGE:
            values.update(values_of(value) if is_set else {})
        elif field.type == field.TYPE_BYTES:
            values.update({field.name: value.hex()} if is_set else {})
        elif is_set or not field.containing_oneof:
            digits = {field.TYPE_FLOAT: "%.9g", field.TYPE_DOUBLE: "%.17g", field.TYPE_BOOL: "%d"}.get(field.type, "%s")
            values[field.name] = digits % value
    return values


def check_decoded():
    for name, message in ENCODED.items():
        name = {"StringResponse": "echoMessage"}.get(name, name.split(".")[0])
        if name == "AbortRequest":
            continue  # the unit tests read it
        for sent in (message, type(message)()):
            if name == "UploadFile" and not sent.ByteSize():
                continue  # refused: the unit tests check that
            run = subprocess.run([tool, "decode", name], input=sent.SerializeToString(), stdout=subprocess.PIPE)
            assert run.returncode == 0, f"{name}: refused"
            found = dict(line.split("=", 1) for line in run.stdout.decode().splitlines())
            assert found == values_of(sent), f"{name}: sent {values_of(sent)}, we read {found}"


check_encoded()
check_decoded()
