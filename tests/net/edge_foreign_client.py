#!/usr/bin/python3
"""Our EdgeService called by another gRPC implementation (needs python3-grpcio, python3-protobuf and protoc)."""
import os
import subprocess
import sys
import tempfile

SKIP = 77
srcdir = os.environ.get("srcdir", ".")
toy = os.path.join(os.environ.get("builddir", "."), "tests/net/edge_toy_main")

try:
    import google.protobuf  # noqa: F401
    import grpc
except ImportError as missing:
    print(missing)
    sys.exit(SKIP)


def load_stubs():
    with tempfile.TemporaryDirectory() as folder:
        proto = os.path.join(srcdir, "proto")
        try:
            subprocess.check_call(["protoc", "--python_out", folder, "-I", proto, os.path.join(proto, "edge.proto")])
        except FileNotFoundError:
            print("protoc is not installed")
            sys.exit(SKIP)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        import edge_pb2
        return edge_pb2


edge = load_stubs()
METHODS = {
    "Echo": (edge.echoMessage, edge.echoMessage),
    "InitBench": (edge.InitBenchRequest, edge.InitBenchResponse),
    "StartTraining": (edge.InitTrainRequest, edge.InitTrainResponse),
    "StartValidation": (edge.InitValidationRequest, edge.InitValidationResponse),
    "Abort": (edge.AbortRequest, edge.StringResponse),
}


class Stub:
    def __init__(self, channel):
        self.channel = channel
        for name, (request, response) in METHODS.items():
            setattr(self, name, channel.unary_unary("/EdgeService/" + name, request.SerializeToString,
                                                    response.FromString))
        self.StreamFile = channel.stream_unary("/EdgeService/StreamFile", edge.UploadFile.SerializeToString,
                                               edge.StringResponse.FromString)


def expect_error(code, part, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except grpc.RpcError as err:
        assert err.code() == code, f"{err.code()} ({err.details()}), expected {code}"
        assert part in err.details(), f"{err.details()!r} lacks {part!r}"
        assert "\n" not in err.details(), "a status of several lines"
        return
    raise AssertionError(f"no error, expected {code}")


def file_parts(size):
    yield edge.UploadFile(metadata=edge.MetaData(model_id="LeNet5", file_name="model.py"))
    for _ in range(size // 1000):
        yield edge.UploadFile(chunk_data=bytes(1000))


def broken_parts():
    yield edge.UploadFile(chunk_data=b"first")


def check_answers(stub):
    assert stub.Echo(edge.echoMessage(text="grüß dich")).text == "grüß dich"
    assert stub.Echo(edge.echoMessage()).text == ""
    weights = bytes(range(256)) * 4096
    trained = stub.StartTraining(edge.InitTrainRequest(
        session_id="s", model_id="LeNet5", model_wts=weights, round_idx=7, learning_rate=0.1, timeout_duration_s=3))
    assert (trained.model_id, trained.client_id, trained.round_idx) == ("LeNet5", "toy", 7)
    assert trained.model_weights == weights and trained.metrics == b'{"loss":0.5}'
    bench = stub.InitBench(edge.InitBenchRequest(model_id="m", max_mini_batch_count=11))
    assert (bench.model_id, bench.num_mini_batches, bench.bench_duration_s) == ("m", 11, 0.25)
    validated = stub.StartValidation(edge.InitValidationRequest(model_id="m", round_idx=2))
    assert (validated.model_id, validated.round_idx, validated.metrics) == ("m", 2, b"{}")
    assert stub.Abort(edge.AbortRequest(session_id="s")).text == "stopped"
    assert stub.StreamFile(file_parts(200000)).text
    with_metadata = stub.Echo.with_call(edge.echoMessage(text="x"), metadata=(("flosim-test", "yes"),))
    assert with_metadata[0].text == "x"


def check_failures(stub):
    codes = grpc.StatusCode
    expect_error(codes.NOT_FOUND, "missing", stub.StartTraining, edge.InitTrainRequest(model_id="missing"))
    expect_error(codes.NOT_FOUND, "missing", stub.StartValidation, edge.InitValidationRequest(model_id="missing"))
    expect_error(codes.INVALID_ARGUMENT, "first message", stub.StreamFile, broken_parts())
    expect_error(codes.INVALID_ARGUMENT, "metadata", stub.StreamFile, iter(()))
    expect_error(codes.INVALID_ARGUMENT, "session_id", stub.StartTraining,
                 edge.InitTrainRequest(session_id="x" * 257))
    expect_error(codes.DEADLINE_EXCEEDED, "", stub.StartTraining, edge.InitTrainRequest(model_id="hold"), timeout=0.3)
    raw = stub.channel.unary_unary("/EdgeService/StartTraining")
    expect_error(codes.INVALID_ARGUMENT, "InitTrainRequest", raw, b"\x0a\xff")
    for path in ("/EdgeService/NoSuchMethod", "/OtherService/Echo", "/EdgeService/Echo/more"):
        expect_error(codes.UNIMPLEMENTED, "no such method", stub.channel.unary_unary(path), b"")
    two = stub.channel.stream_unary("/EdgeService/Echo")
    expect_error(codes.INVALID_ARGUMENT, "without a message", two, iter(()))


def check_together(stub):
    """A training in hand does not keep others waiting."""
    slow = stub.StartTraining.future(edge.InitTrainRequest(model_id="wait:700", round_idx=1))
    for i in range(20):
        assert stub.Echo(edge.echoMessage(text=str(i)), timeout=5).text == str(i)
    assert not slow.done(), "the training was over before the echoes"
    held = stub.StartTraining.future(edge.InitTrainRequest(model_id="hold"))
    assert held.cancel()
    assert slow.result(timeout=20).round_idx == 1


server = subprocess.Popen([toy], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
try:
    port = int(server.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(channel)
        check_answers(stub)
        check_failures(stub)
        check_together(stub)
        assert stub.Echo(edge.echoMessage(text="still there")).text == "still there"
finally:
    server.stdin.close()
    status = server.wait(timeout=30)
assert status == 0, f"the server ended with {status}"
