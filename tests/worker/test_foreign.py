#!/usr/bin/python3
"""A real `flosim worker` driven by other people's programs: Python's gRPC and mosquitto's clients.

Its data set, its weights and its model are written here by hand, so nothing of flosim's is trusted on this side.
Needs python3-grpcio, python3-protobuf, protoc and mosquitto with its clients.
"""
import array
import json
import math
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SKIP = 77
DEADLINE_S = 60
srcdir = os.environ.get("srcdir", ".")
flosim = os.path.join(os.environ.get("builddir", "."), "flosim")
os.environ["PATH"] += ":/usr/sbin"

try:
    import google.protobuf  # noqa: F401
    import grpc
except ImportError as missing:
    print(missing)
    sys.exit(SKIP)
for tool in ("protoc", "mosquitto", "mosquitto_sub", "mosquitto_pub"):
    if not shutil.which(tool):
        print(f"{tool} is not installed")
        sys.exit(SKIP)

MODEL_YAML = """input: [1, 4, 4]
layers:
  - {flatten: {}}
  - fc: {linear: {out: $(classes)}}
"""
SHAPES = {"fc.weight": [3, 16], "fc.bias": [3]}


def load_stubs(folder):
    proto = os.path.join(srcdir, "proto")
    subprocess.check_call(["protoc", "--python_out", folder, "-I", proto, os.path.join(proto, "edge.proto")])
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    import edge_pb2
    return edge_pb2


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def read_safetensors(image):
    size = struct.unpack_from("<Q", image)[0]
    header = json.loads(image[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        assert info["dtype"] == "F32", info
        begin, end = info["data_offsets"]
        tensors[name] = array.array("f", image[8 + size + begin:8 + size + end])
        assert info["shape"] == SHAPES[name], info
    return tensors


def weights_image(value):
    return safetensors({name: ("F32", shape, array.array("f", [value] * math.prod(shape)).tobytes())
                        for name, shape in SHAPES.items()})


def write_data(folder):
    """60 items of 3 classes; one of three rows is bright."""
    rng = random.Random(1)
    pixels, labels = bytearray(), array.array("q")
    for i in range(60):
        rows = [[rng.randrange(40) for _ in range(4)] for _ in range(4)]
        rows[i % 3] = [200 + rng.randrange(40) for _ in range(4)]
        pixels += bytes(sum(rows, []))
        labels.append(i % 3)
    os.makedirs(folder)
    with open(os.path.join(folder, "data.safetensors"), "wb") as file:
        file.write(safetensors({"x": ("U8", [60, 1, 4, 4], bytes(pixels)), "y": ("I64", [60], labels.tobytes())},
                               {"scale": "0.00392156862745098", "mean": "0.5", "std": "0.5"}))
    with open(os.path.join(folder, "train_dataset_config.yaml"), "w") as file:
        file.write("dataset_details: {data_filename: data.safetensors, dataset_id: ROWS, dataset_tags: [IMAGE]}\n")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


def port_is_open(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    def __init__(self, folder):
        config, log = os.path.join(folder, "mosquitto.conf"), os.path.join(folder, "mosquitto.log")

        def is_ready():  # by its own word: another test's broker may answer on the port
            with open(log) as file:
                return " running" in file.read() or self.process.poll() is not None

        for _ in range(5):
            self.port = free_port()
            with open(config, "w") as file:
                file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n")
            with open(log, "w") as file:
                self.process = subprocess.Popen(["mosquitto", "-c", config], stdout=file, stderr=file)
            wait_for("mosquitto", is_ready)
            if self.process.poll() is None:
                return
        raise AssertionError("mosquitto does not start")

    def publish(self, topic, payload):
        subprocess.check_call(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-r", "-t", topic,
                               "-m", payload])

    def listen(self, topic, count=1):
        """The next `count` messages, one a line, as the output of a process."""
        return subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic,
                                 "-F", "%p", "-C", str(count), "-W", str(DEADLINE_S)], stdout=subprocess.PIPE, text=True)


def heard(listener):
    line = listener.stdout.readline()
    assert line, "nothing was heard"
    return line.rstrip("\n")


class Worker:
    def __init__(self, config, log, *options):
        self.log = open(log, "w+")
        self.process = subprocess.Popen([flosim, "worker", "-c", config, *options], stdout=self.log, stderr=self.log)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def end(self, signal_number=signal.SIGTERM):
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=DEADLINE_S)


def write_config(folder, broker_port):
    path = os.path.join(folder, "worker.yaml")
    with open(path, "w") as file:
        json.dump({
            "comm_config": {"mqtt": {"mqtt_broker": "127.0.0.1", "mqtt_broker_port": broker_port, "client_name": "pi"},
                            "grpc": {"sync_port": 0, "bind": "127.0.0.1"}},
            "dataset_config": {"datasets_dir_path": os.path.join(folder, "data")},
            "general_config": {"temp_dir_path": os.path.join(folder, "temp"), "cleanup_model_cache_on_exit": True},
        }, file)
    return path


def find_worker(broker):
    advert = broker.listen("advert_client")
    broker.publish("advert_server", json.dumps({
        "type": "server", "timestamp": time.time(), "grpc_ep": None, "mqtt_client_topic": "advert_client",
        "cluster_id": None, "heartbeat_interval": 0.2,
        "hw_info": {"arch": "x86_64", "cpu_core_count": "2", "model_name": "any", "cuda_available": False}}))
    (client_id, body), = json.loads(heard(advert)).items()
    return client_id, body["payload"]


def check_advert(payload):
    assert payload["type"] == "client" and payload["name"] == "pi" and payload["codec"] == ["safetensors"], payload
    assert set(payload) >= {"timestamp", "grpc_ep", "cluster_id", "hw_info", "datasets", "models", "benchmark_info"}
    data = payload["datasets"]["ROWS"]
    assert data["metadata"]["num_items"] == 60, data
    assert data["dataset_details"] == {"dataset_id": "ROWS", "dataset_tags": ["IMAGE"], "suitable_models": []}, data
    shares = data["metadata"]["label_distribution"]
    assert set(shares) == {"0", "1", "2"} and all(abs(share - 1 / 3) < 1e-6 for share in shares.values()), shares


class Stub:
    def __init__(self, edge, channel):
        self.edge = edge
        methods = {"Echo": ("echoMessage", "echoMessage"), "InitBench": ("InitBenchRequest", "InitBenchResponse"),
                   "StartTraining": ("InitTrainRequest", "InitTrainResponse"),
                   "StartValidation": ("InitValidationRequest", "InitValidationResponse"),
                   "Abort": ("AbortRequest", "StringResponse")}
        for name, (request, response) in methods.items():
            setattr(self, name, channel.unary_unary("/EdgeService/" + name,
                                                    getattr(edge, request).SerializeToString,
                                                    getattr(edge, response).FromString))
        self.StreamFile = channel.stream_unary("/EdgeService/StreamFile", edge.UploadFile.SerializeToString,
                                               edge.StringResponse.FromString)

    def send_file(self, model_id, name, text):
        def parts():
            yield self.edge.UploadFile(metadata=self.edge.MetaData(model_id=model_id, file_name=name))
            for i in range(0, len(text), 10):
                yield self.edge.UploadFile(chunk_data=text[i:i + 10].encode())
        return self.StreamFile(parts(), timeout=DEADLINE_S)


def expect_error(code, part, call, request):
    try:
        call(request, timeout=DEADLINE_S)
    except grpc.RpcError as err:
        assert err.code() == code, f"{err.code()} ({err.details()}), expected {code}"
        assert part in err.details(), f"{err.details()!r} lacks {part!r}"
        return
    raise AssertionError(f"no error, expected {code}")


def train_request(edge, **changes):
    """What a Flotilla server would send, in our encodings."""
    fields = dict(session_id="s", model_id="rows", model_class="Rows", model_config=b'{"model_args": {"classes": 3}}',
                  dataset_id="ROWS", model_wts=weights_image(0.0), batch_size=8, learning_rate=0.5, num_epochs=20,
                  optimizer=b'{"name": "sgd", "args": {"lr": 0.5}}',
                  loss_function=b'{"name": "crossentropy", "args": {}}', timeout_duration_s=60)
    fields.update(changes)
    return edge.InitTrainRequest(**fields)


def check_training(edge, stub, client_id):
    answer = stub.StartTraining(train_request(edge, round_idx=3), timeout=DEADLINE_S)
    metrics = json.loads(answer.metrics)
    assert (answer.model_id, answer.client_id, answer.round_idx) == ("rows", client_id, 3)
    assert metrics["num_samples"] == 57 and metrics["total_mini_batches"] == 160, metrics
    assert metrics["num_epochs"] == 20 and metrics["accuracy"] > 95 and metrics["loss"] < 0.3, metrics
    assert 0 < metrics["pss_idle_kb"] and 0 < metrics["time_taken_s"] < DEADLINE_S, metrics
    tensors = read_safetensors(answer.model_weights)
    assert set(tensors) == set(SHAPES) and any(tensors["fc.weight"])
    again = stub.StartTraining(train_request(edge, round_idx=3), timeout=DEADLINE_S)
    assert again.SerializeToString() == answer.SerializeToString(), "a kept answer must be the same to the last byte"
    cut = train_request(edge, round_idx=4)
    cut.max_mini_batch_count = 5
    cut_metrics = json.loads(stub.StartTraining(cut, timeout=DEADLINE_S).metrics)
    assert cut_metrics["total_mini_batches"] == 5, cut_metrics
    return answer.model_weights


def check_rest(edge, stub, weights):
    validation = dict(session_id="s", model_id="rows", model_class="Rows",
                      model_config=b'{"model_args": {"classes": 3}}', dataset_id="ROWS", batch_size=2, round_idx=3)
    answer = stub.StartValidation(edge.InitValidationRequest(model_wts=weights, **validation), timeout=DEADLINE_S)
    metrics = json.loads(answer.metrics)
    assert metrics["num_samples"] == 3 and metrics["accuracy"] == 100, metrics
    bench = stub.InitBench(edge.InitBenchRequest(
        model_id="rows", model_config=b'{"model_args": {"classes": 3}}', dataset_id="ROWS", batch_size=4,
        learning_rate=0.1, max_mini_batch_count=7), timeout=DEADLINE_S)
    assert (bench.model_id, bench.num_mini_batches) == ("rows", 7) and bench.bench_duration_s > 0
    assert stub.Abort(edge.AbortRequest(session_id="s", round_idx=9), timeout=DEADLINE_S).text


def check_refusals(edge, stub):
    codes = grpc.StatusCode
    with open(os.path.join(srcdir, "tests/wire/StartTraining_request_round1.bin"), "rb") as file:
        captured = edge.InitTrainRequest.FromString(file.read())
    captured.model_id, captured.dataset_id = "rows", "ROWS"
    expect_error(codes.UNIMPLEMENTED, "pickle", stub.StartTraining, captured)
    expect_error(codes.UNIMPLEMENTED, "pickle", stub.StartTraining,
                 train_request(edge, model_wts=captured.model_wts, round_idx=5))
    expect_error(codes.NOT_FOUND, "StreamFile", stub.StartTraining, train_request(edge, model_id="other"))
    expect_error(codes.NOT_FOUND, "ROWS", stub.StartTraining, train_request(edge, dataset_id="COLUMNS"))
    expect_error(codes.INVALID_ARGUMENT, "batch_size", stub.StartTraining, train_request(edge, batch_size=0))
    expect_error(codes.INVALID_ARGUMENT, "", stub.StartTraining, train_request(edge, model_wts=b"rubbish"))
    stub.StartTraining(train_request(edge, leader_term=9, round_idx=6), timeout=DEADLINE_S)
    expect_error(codes.FAILED_PRECONDITION, "term", stub.StartTraining,
                 train_request(edge, leader_term=8, round_idx=7))


def check_dropped(edge, stub):
    """Flotilla's server sends one request too many and hangs up; the worker takes it calmly."""
    call = stub.StartTraining.future(train_request(edge, num_epochs=10**6, round_idx=10, timeout_duration_s=3600))
    assert stub.Echo(edge.echoMessage(text="there?"), timeout=DEADLINE_S).text == "there?"
    call.cancel()
    answer = stub.StartTraining(train_request(edge, round_idx=11), timeout=DEADLINE_S)
    assert answer.round_idx == 11


def run_session(edge, folder, broker):
    config = write_config(folder, broker.port)
    status = broker.listen("status/+", count=1)
    worker = Worker(config, os.path.join(folder, "log"))
    try:
        client_id, payload = find_worker(broker)
        assert heard(status) == "online"
        check_advert(payload)
        beat = json.loads(heard(broker.listen("heartbeat")))
        assert beat["id"] == client_id and abs(beat["timestamp"] - time.time()) < DEADLINE_S, beat
        with grpc.insecure_channel(payload["grpc_ep"]) as channel:
            stub = Stub(edge, channel)
            for name, text in (("model.yaml", MODEL_YAML), ("config.yaml", "model_details: {model_id: rows}\n")):
                stub.send_file("rows", name, text)
            weights = check_training(edge, stub, client_id)
            check_rest(edge, stub, weights)
            check_refusals(edge, stub)
            check_dropped(edge, stub)
        leaving = broker.listen(f"status/{client_id}", count=3)
        assert heard(leaving) == "online"  # which is retained, so the listener is there now
        code = worker.end()
        assert code == 0, f"exit {code}"
        assert (heard(leaving), heard(leaving)) == ("offline", ""), "offline, then cleared"
        port = int(payload["grpc_ep"].rsplit(":", 1)[1])
        assert not port_is_open(port), "the port is still open"
        assert not os.path.exists(os.path.join(folder, "temp", "model_cache"))
    except BaseException:
        print(worker.output())
        raise
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
    return client_id


def expect_exit(code, words, *arguments):
    result = subprocess.run([flosim, "worker", *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
    text = result.stdout + result.stderr
    assert result.returncode == code, f"exit {result.returncode}, expected {code}: {text}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def check_command_line(folder, broker):
    config = write_config(folder, broker.port)
    expect_exit(0, ["SYNOPSIS", "EXIT STATUS"], "--help")
    expect_exit(2, ["-c FILE", "--help"])
    expect_exit(2, ["unexpected", "extra"], "-c", config, "extra")
    expect_exit(2, ["--log-level", "debug"], "-c", config, "--log-level", "loud")
    expect_exit(2, ["/nowhere.yaml"], "-c", "/nowhere.yaml")
    expect_exit(2, ["sync_port"], "-c", config, "--set", "comm_config.grpc.sync_port=often")
    expect_exit(2, ["nowhere", "flosim partition"], "-c", config, "--set", "dataset_config.datasets_dir_path=nowhere")
    cut = os.path.join(folder, "cut")
    shutil.copytree(os.path.join(folder, "data"), cut)
    data = os.path.join(cut, "ROWS", "data.safetensors")
    os.truncate(data, os.path.getsize(data) - 4)
    expect_exit(2, ["no data set in", data], "-c", config, "--set", f"dataset_config.datasets_dir_path={cut}")
    expect_exit(2, ["general_config.temp_dir_path"], "-c", config, "--set", "general_config.temp_dir_path=/proc/worker")
    expect_exit(2, ["in use"], "-c", config, "--set", f"comm_config.grpc.sync_port={broker.port}")
    expect_exit(2, ["no MQTT broker", "mosquitto -p"], "-c", config, "--set", "comm_config.mqtt.mqtt_sub_timeout_s=0.3",
                "--set", f"comm_config.mqtt.mqtt_broker_port={free_port()}")
    bad = os.path.join(folder, "bad.yaml")
    with open(bad, "w") as file:
        file.write("comm_config:\n  mqtt:\n    mqtt_broker_prt: 1\n  grpc:\n    sync_port: x\n")
    expect_exit(2, ["bad.yaml:3:", "mqtt_broker_port", "bad.yaml:5:"], "-c", bad)


def main():
    with tempfile.TemporaryDirectory(prefix="flosim-foreign-") as folder:
        edge = load_stubs(folder)
        write_data(os.path.join(folder, "data", "ROWS"))
        broker = Broker(folder)
        try:
            run_session(edge, folder, broker)
            check_command_line(folder, broker)
        finally:
            broker.process.terminate()
            broker.process.wait()


main()
