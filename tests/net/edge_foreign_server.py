#!/usr/bin/python3
"""Our client against another gRPC implementation's server, as a stock Flotilla worker is one (needs python3-grpcio,
python3-protobuf and protoc). It serves Flotilla's five methods; Abort is unknown to it."""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

SKIP = 77
srcdir = os.environ.get("srcdir", ".")
caller = os.path.join(os.environ.get("builddir", "."), "tests/net/edge_abroad")

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
uploads = {}


def echo(request, context):
    if request.text == "large":
        return edge.echoMessage(text="x" * 2_000_000)
    if request.text == "packed":
        context.set_compression(grpc.Compression.Gzip)
        return edge.echoMessage(text="x" * 2_000_000)
    return edge.echoMessage(text=request.text)


def stream_file(requests, context):
    first = next(requests)
    content = b"".join(part.chunk_data for part in requests)
    uploads[first.metadata.model_id, first.metadata.file_name] = content
    return edge.StringResponse(text="Success")


def init_bench(request, context):
    return edge.InitBenchResponse(model_id=request.model_id, num_mini_batches=request.max_mini_batch_count,
                                  bench_duration_s=0.5)


def start_training(request, context):
    if request.model_id == "missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
    assert request.WhichOneof("request") == "timeout_duration_s", request
    return edge.InitTrainResponse(model_id=request.model_id, model_weights=request.model_wts[::-1],
                                  client_id="python", round_idx=request.round_idx, metrics=b"{}")


def start_validation(request, context):
    return edge.InitValidationResponse(model_id=request.model_id, client_id="python", round_idx=request.round_idx,
                                       metrics=b'{"size":%d}' % len(request.model_wts))


def unary(function, request):
    return grpc.unary_unary_rpc_method_handler(function, request.FromString, lambda message: message.SerializeToString())


server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("EdgeService", {
    "Echo": unary(echo, edge.echoMessage),
    "StreamFile": grpc.stream_unary_rpc_method_handler(stream_file, edge.UploadFile.FromString,
                                                       edge.StringResponse.SerializeToString),
    "InitBench": unary(init_bench, edge.InitBenchRequest),
    "StartTraining": unary(start_training, edge.InitTrainRequest),
    "StartValidation": unary(start_validation, edge.InitValidationRequest),
}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
status = subprocess.call([caller, str(port)], timeout=100)
server.stop(None)
assert status == 0, f"the client ended with {status}"
expected = bytes((i * 31 + i // 251) % 256 for i in range(200000))
assert uploads == {("LeNet5", "model.py"): expected}, "another file arrived"
