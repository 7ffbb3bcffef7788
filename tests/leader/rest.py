#!/usr/bin/python3
"""A real `flosim leader` over REST, with a real broker and real workers: what it answers, what it leaves behind, and
how it takes nonsense, death and SIGTERM."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request

SKIP = 77
DEADLINE_S = 60
srcdir = os.path.abspath(os.environ.get("srcdir", "."))
flosim = os.path.abspath(os.path.join(os.environ.get("builddir", "."), "flosim"))
os.environ["PATH"] += ":/usr/sbin"

for tool in ("mosquitto", "mosquitto_sub", "mosquitto_pub"):
    if not shutil.which(tool):
        print(f"{tool} is not installed")
        sys.exit(SKIP)
if not os.path.isdir("/usr/share/datasets/fashion-mnist"):
    print("dataset-fashion-mnist is not installed")
    sys.exit(SKIP)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition):
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {DEADLINE_S} s")


def expect(found, expected, what=""):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


class Processes:
    """Children that never outlive the test."""

    def __init__(self):
        self.running = []

    def start(self, *args, **options):
        process = subprocess.Popen(args, **options)
        self.running.append(process)
        return process

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()


class Stage:
    def __init__(self, folder, processes):
        self.folder, self.processes = folder, processes
        self.broker_port = free_port()
        self.broker = None
        self.base = None

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def start_broker(self):
        config = self.path("mosquitto.conf")
        with open(config, "w") as out:
            out.write(f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\n")
        self.broker = self.processes.start("mosquitto", "-c", config, stderr=subprocess.DEVNULL)
        wait_for("the broker", self.broker_answers)

    def broker_answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.broker_port)) == 0

    def leader_config(self, **more):
        text = f"""comm_config:
  mqtt: {{mqtt_broker: 127.0.0.1, mqtt_broker_port: {self.broker_port}, mqtt_sub_timeout_s: 0.2,
         mqtt_heartbeat_interval_s: 0.5, max_heartbeat_miss_threshold: 3}}
  grpc: {{timeout_s: 60}}
  restful: {{rest_hostname: 127.0.0.1, rest_port: {more.get("port", 0)}}}
state: {{state_location: {more.get("state", "inmemory")}}}
models_dir_path: {srcdir}/models
validation_data_dir_path: {self.path("data", "validation")}
checkpoint_dir_path: {self.path("checkpoints")}
temp_dir_path: {more.get("runs", self.path("runs"))}
plugin_dir: {self.path("plugins")}
"""
        path = self.path("leader.yaml")
        with open(path, "w") as out:
            out.write(text)
        return path

    def start_leader(self):
        log = open(self.path("leader.log"), "a")
        leader = self.processes.start(flosim, "leader", "-c", self.leader_config(), stdout=subprocess.PIPE,
                                      stderr=log, text=True)
        log.close()
        line = leader.stdout.readline()
        assert "http://127.0.0.1:" in line, line
        self.base = line.split()[-1]
        return leader

    def refused_leader(self, **more):
        done = subprocess.run([flosim, "leader", "-c", self.leader_config(**more)], capture_output=True, text=True,
                              timeout=DEADLINE_S)
        return done.returncode, done.stderr

    def start_worker(self, i):
        config = self.path(f"worker{i}.yaml")
        with open(config, "w") as out:
            out.write(f"""comm_config:
  mqtt: {{mqtt_broker: 127.0.0.1, mqtt_broker_port: {self.broker_port}, client_name: w{i}}}
  grpc: {{sync_port: 0, bind: 127.0.0.1}}
dataset_config: {{datasets_dir_path: {self.path("data", f"client_{i:03d}")}}}
general_config: {{temp_dir_path: {self.path(f"worker{i}")}}}
""")
        log = open(self.path(f"worker{i}.log"), "a")
        worker = self.processes.start(flosim, "worker", "-c", config, stderr=log)
        log.close()
        return worker

    def ask(self, method, path, body=None, kind="application/json"):
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def message(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        return status, json.loads(text)["message"]

    def get(self, path):
        status, text = self.ask("GET", path)
        expect(status, 200, path)
        return json.loads(text)

    def active(self):
        return self.get("/v1/clients")["active"]


def session(rounds=2, aggregator="fedavg", epochs=1, **more):
    return {
        "session_config": {
            "aggregator": aggregator, "client_selection": more.get("selection", "fedavg"),
            "client_selection_args": {"client_fraction": 1.0}, "seed": 3,
            "wait_for_clients": {"min_clients": 1, "max_wait_s": more.get("max_wait_s", 0)},
        },
        "benchmark_config": {"skip_benchmark": more.get("skip_benchmark", True), "bench_minibatch_count": 3},
        "server_training_config": {"model_dir": "/elsewhere/LeNet5", "num_training_rounds": rounds},
        "client_training_config": {"model_id": "LeNet5", "model_class": "LeNet5", "dataset": "fashion-mnist",
                                   "epochs": epochs, "batch_size": 16, "train_timeout_duration_s": 30},
    }


def body(config, session_id=None, **more):
    return json.dumps({"session_id": session_id, "federated_learning_config": config, **more})


def start_refusals(stage):
    code, text = stage.refused_leader()
    assert code == 2 and "no MQTT broker" in text and "mosquitto -p" in text, (code, text)
    code, text = stage.refused_leader(state="redis, state_hostname: 127.0.0.1, state_port: 1")  # nobody listens there
    assert code == 2 and "Redis at 127.0.0.1:1: Connection refused" in text, (code, text)
    code, text = stage.refused_leader(runs=stage.path("leader.yaml", "runs"))  # below a file
    assert code == 2 and "temp_dir_path must be a writable folder" in text, (code, text)


def port_in_use(stage):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, text = stage.refused_leader(port=taken.getsockname()[1])
    assert code == 2 and "in use" in text, (code, text)


def closed_until_the_broker_has_answered(stage):
    """A session posted to a leader that will not come to be would be lost."""
    port = free_port()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", stage.broker_port))
        silent.listen()
        silent.settimeout(DEADLINE_S)
        leader = stage.processes.start(flosim, "leader", "-c", stage.leader_config(port=port),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peer, _ = silent.accept()  # it waits for our CONNACK now
        peer.settimeout(DEADLINE_S)
        assert peer.recv(1) == b"\x10"  # CONNECT
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0, "REST is open"
        leader.kill()
        leader.wait()
        peer.close()


def bad_requests(stage):
    expect(stage.ask("GET", "/nowhere")[0], 404)
    expect(stage.ask("GET", "/execute_command")[0], 405)
    expect(stage.ask("GET", "/v1/sessions/none")[0], 404)
    expect(stage.ask("GET", "/v1/sessions/none/model")[0], 404)
    expect(stage.ask("DELETE", "/v1/sessions/none")[0], 404)
    for path in ("/execute_command", "/v1/sessions"):
        for text, wanted in ((" {\n  \"session_id\": ,", ":"), ("", "mapping"), ("[1, 2]", "mapping"),
                             ("\0\1\2", ""), ("{\"a\": 1}", "a"), (body(7), ""), (body({}), "model_dir")):
            status, found = stage.message("POST", path, text)
            expect(status, 400, text)
            assert wanted in found, (text, found)
        bad = session(aggregator="fedavgg")
        bad["client_training_config"]["epoch"] = 3
        status, found = stage.message("POST", path, json.dumps({"federated_learning_config": bad}, indent=1))
        expect(status, 400)
        assert "did you mean `epochs`" in found and found.split(":")[0].isdigit(), found
        status, found = stage.message("POST", path, body(session(aggregator="fedavgg")))
        assert status == 400 and "did you mean `fedavg`" in found and found.startswith("1:"), found
        status, found = stage.message("POST", path, body(session(aggregator="fedavg", selection="fedasync")))
        assert status == 400 and "asynchronous aggregator" in found, found
        bad = session()
        bad["server_training_config"]["model_dir"] = "../../etc/passwd"
        status, found = stage.message("POST", path, body(bad))
        assert status == 400 and "no model folder" in found, found
        status, found = stage.message("POST", path, body(session(), session_id="../x"))
        assert status == 400 and "path component" in found, found
        status, found = stage.message("POST", path, body(session(), restore=True))
        assert status == 400 and "need session_id" in found, found
        status, found = stage.message("POST", path, body(session(), session_id="nobodys", restore=True))
        assert status == 400 and "there is no session nobodys" in found, found
        status, found = stage.message("POST", path, body(session(), session_id="s", revive=True, file="../../etc/passwd"))
        assert status == 400 and "bare name" in found, found
        status, found = stage.message("POST", path, body(session(), session_id="s", file="a.tar"))
        assert status == 400 and "file goes with restore or revive" in found, found
        expect(stage.ask("POST", path, "x" * (1 << 20) + "y")[0], 413)
        expect(stage.message("POST", path, body(session())), (400, "No active clients"))
    expect(stage.get("/v1/sessions"), {"sessions": []})
    expect(stage.get("/healthz")["status"], "ok")


def check_folder(stage, session_id, rounds):
    folder = stage.path("runs", session_id)
    expect(sorted(os.listdir(folder)),
           ["clients.csv", "events.jsonl", "model.safetensors", "rounds.csv", "session.yaml"])
    with open(os.path.join(folder, "rounds.csv")) as lines:
        expect(len(lines.readlines()), rounds + 1, "rounds.csv")
    with open(os.path.join(folder, "events.jsonl")) as lines:
        events = [json.loads(line) for line in lines]
    last = events[-1]
    expect(last["event"], "session_finished")
    ledger = last["ledger"]
    expect(ledger["sent"], ledger["merged"] + ledger["refused"] + ledger["failed"] + ledger["dropped"], "ledger")
    told = [event["kind"] if event["event"] == "failure" else "merged" for event in events
            if event["event"] in ("update", "failure")]
    for kind in ("merged", "refused", "failed"):
        expect(told.count(kind), ledger[kind], f"{kind} in the ledger and in the events")
    return folder


def blocking_session(stage):
    expect(stage.message("POST", "/execute_command", body(session(skip_benchmark=False), session_id="first")),
           (200, "Session first finished"))
    one = stage.get("/v1/sessions/first")
    expect((one["status"], one["round"], one["num_rounds"], len(one["rounds"])), ("finished", 2, 2, 2))
    assert one["rounds"][1]["accuracy"] > 20, one["rounds"]
    expect(one["config"]["client_training_config"]["model_id"], "LeNet5")
    folder = check_folder(stage, "first", 2)
    status, image = stage.ask("GET", "/v1/sessions/first/model")
    expect(status, 200)
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        expect(file.read() == image, True, "the model over REST is the file")
    size = struct.unpack_from("<Q", image)[0]
    assert "conv1.weight" in json.loads(image[8:8 + size]), image[:100]
    expect(stage.message("DELETE", "/v1/sessions/first")[0], 409)
    for client in stage.get("/v1/clients")["clients"]:
        assert client["benchmark_info"]["LeNet5"]["num_mini_batches"] == 3, client
        assert "LeNet5" in client["models"], client


def same_seed_same_model(stage):
    expect(stage.message("POST", "/execute_command", body(session(), session_id="again"))[0], 200)
    expect(stage.ask("GET", "/v1/sessions/first/model")[1] == stage.ask("GET", "/v1/sessions/again/model")[1], True,
           "the same session gives the same model")


def session_with_checkpoints(**how):
    """None of them due before the end."""
    kept = session(**how)
    kept["session_config"]["checkpoint_interval"] = 1000
    return kept


def expect_checkpoint(stage, session_id, at_least):
    """Of a session that was told to stop: its last round, good to go on from."""
    with tarfile.open(stage.path("checkpoints", f"checkpoint_{session_id}.tar")) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest["round"] >= at_least, manifest
    return manifest["round"]


def metrics(stage):
    lines = stage.ask("GET", "/metrics")[1].decode().splitlines()
    for line in lines:
        assert line.startswith(("# HELP flosim_", "# TYPE flosim_")) or len(line.split()) == 2, line
    return {line.split()[0]: float(line.split()[1]) for line in lines if line[0] != "#"}


def health_of_state_and_checkpoints(stage):
    before = metrics(stage)
    expect((before["flosim_checkpoints_written_total"], before["flosim_checkpoint_last_bytes"]), (0, 0))
    config = session()
    config["session_config"]["checkpoint_interval"] = 1
    expect(stage.message("POST", "/execute_command", body(config, session_id="kept"))[0], 200)
    found, health = metrics(stage), stage.get("/healthz")
    term = json.loads(retained_advert(stage))["leader_term"]
    size = os.path.getsize(stage.path("checkpoints", "checkpoint_kept.tar"))
    expect((found["flosim_leader_term"], health["leader_term"]), (term, term), "term")
    state = health["state"]
    expect((state["durable"], state["outage"], state["outage_since"], state["backlog_bytes"]), (False, False, None, 0))
    assert 0 <= state["last_commit_age_s"] < DEADLINE_S, state
    expect((found["flosim_state_durable"], found["flosim_state_outage"], found["flosim_state_backlog_bytes"]), (0, 0, 0))
    assert 0 <= found["flosim_state_last_commit_age_seconds"] < DEADLINE_S, found
    kept = health["checkpoints"]
    expect((kept["failed"], kept["last_round"], kept["last_bytes"]), (0, 2, size), "checkpoints")
    assert kept["written"] >= 2 and 0 < kept["last_seconds"] < DEADLINE_S, kept
    expect((found["flosim_checkpoints_written_total"], found["flosim_checkpoint_last_round"], found["flosim_checkpoint_last_bytes"]),
           (kept["written"], 2, size), "checkpoints")


def stopped_session(stage):
    status, text = stage.ask("POST", "/v1/sessions", body(session_with_checkpoints(rounds=500), session_id="long"))
    expect((status, json.loads(text)), (202, {"session_id": "long"}))
    expect(stage.message("POST", "/execute_command", body(session())), (400, "A session is already running"))
    expect(stage.message("POST", "/v1/sessions", body(session())), (409, "A session is already running"))
    wait_for("a round", lambda: stage.get("/v1/sessions/long")["round"] >= 1)
    expect(stage.message("DELETE", "/v1/sessions/long")[0], 202)
    wait_for("the end", lambda: stage.get("/v1/sessions/long")["status"] == "stopped")
    one = stage.get("/v1/sessions/long")
    check_folder(stage, "long", one["round"])
    expect(expect_checkpoint(stage, "long", 1), one["round"], "the checkpoint of a session that was stopped")
    expect([s["session_id"] for s in stage.get("/v1/sessions")["sessions"]], ["long", "own", "kept", "again", "first"])


def worker_killed_in_a_round(stage, worker):
    expect(stage.ask("POST", "/v1/sessions", body(session(rounds=3, epochs=30), session_id="kill"))[0], 202)
    wait_for("both are busy",
             lambda: sum(c["busy"] for c in stage.get("/v1/clients")["clients"]) == 2)
    worker.kill()
    one = wait_for("the end", lambda: (lambda s: s if s["status"] not in ("waiting", "running") else None)(
        stage.get("/v1/sessions/kill")))
    expect((one["status"], one["round"], one["ledger"]["failed"]), ("finished", 3, 1), "killed")
    expect(stage.active(), 1)
    check_folder(stage, "kill", 3)


def asynchronous_yaml(stage):
    text = json.dumps(session(rounds=4, aggregator="fedasync", selection="fedasync"))
    status, answer = stage.ask("POST", "/v1/sessions", text, "application/yaml")  # the session alone
    expect(status, 202, answer)
    session_id = json.loads(answer)["session_id"]
    one = wait_for("the end", lambda: (lambda s: s if s["status"] not in ("waiting", "running") else None)(
        stage.get(f"/v1/sessions/{session_id}")))
    expect((one["status"], one["round"]), ("finished", 4), one["reason"])


def build_plug_ins(stage):
    os.mkdir(stage.path("plugins"))
    for name in ("mine", "steady"):
        subprocess.check_call([*os.environ.get("CC", "cc").split(), "-std=c11", "-fPIC", "-shared",
                               f"-I{srcdir}/include", "-o", stage.path("plugins", f"{name}.so"),
                               f"{srcdir}/examples/strategy/{name}.c"])
    os.symlink(stage.path("plugins", "mine.so"), stage.path("mine.so"))  # outside of the folder


def plug_ins(stage):
    def refused(key, name, wanted):
        config = session()
        config["session_config"][key] = name
        status, text = stage.message("POST", "/execute_command", body(config))
        assert status == 400 and wanted in text, (name, status, text)
        return config

    for path in ("./mine.so", stage.path("plugins", "mine.so"), "../mine.so", "plugins/mine.so"):
        refused("aggregator", path, "is a path: a session that is sent to a leader names a plug-in by its bare name")
    for name in ("..", "nine", "nine.so", "", "mine.so.so"):
        refused("aggregator", name, "unknown aggregator")
    refused("client_selection", "mine", "exports no `flosim_selector`, it is a strategy for `aggregator`")
    refused("termination_condition", ["steady"], "steady needs the argument `target`")
    config = refused("aggregator", "./mine.so", "is a path")
    with open(stage.path("session.yaml"), "w") as out:
        json.dump(config, out)
    done = subprocess.run([flosim, "submit", stage.path("session.yaml"), "--leader", stage.base.split("//")[1]],
                          capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 2 and "is a path" in done.stderr, done

    config = session(rounds=9, aggregator="mine")
    config["session_config"] |= {"aggregator_args": {"beta": 0.5}, "termination_condition": "steady.so",
                                 "termination_condition_args": {"steady": {"target": 1, "times": 2}}}
    expect(stage.message("POST", "/execute_command", body(config, session_id="own")), (200, "Session own finished"))
    one = stage.get("/v1/sessions/own")
    expect((one["status"], one["round"]), ("finished", 2), "plug-ins")
    assert "in 2 validations in a row" in one["reason"], one["reason"]


def retained_advert(stage):
    found = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(stage.broker_port), "-t", "advert_server",
                            "-C", "1", "-W", "1"], capture_output=True, text=True)
    return found.stdout.strip()


def leaves_in_a_session(stage, leader):
    answers = []
    assert json.loads(retained_advert(stage))["mqtt_client_topic"] == "advert_client"
    caller = threading.Thread(target=lambda: answers.append(
        stage.message("POST", "/execute_command", body(session_with_checkpoints(rounds=500), session_id="left"))))
    caller.start()
    wait_for("a round", lambda: any(s["session_id"] == "left" and s["round"] >= 1
                                    for s in stage.get("/v1/sessions")["sessions"]))
    leader.send_signal(signal.SIGTERM)
    expect(leader.wait(DEADLINE_S), 0, "exit code")
    caller.join(DEADLINE_S)
    expect(answers[0][0], 503, answers)
    expect(retained_advert(stage), "", "the retained advert is taken back")
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", int(stage.base.split(":")[-1]))) != 0, "the port is still open"
    with open(stage.path("runs", "left", "events.jsonl")) as lines:
        last = json.loads(lines.readlines()[-1])
    expect((last["event"], last["status"]), ("session_finished", "stopped"))
    expect_checkpoint(stage, "left", 1)


def nonsense_over_mqtt(stage):
    for topic in ("advert_client", "heartbeat", "status/x", "advert_server"):
        for payload in ("{", "[[[[", "\xff", "{\"a\":{\"payload\":{\"type\":\"client\",\"grpc_ep\":\"nowhere\"}}}"):
            subprocess.check_call(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(stage.broker_port), "-t", topic,
                                   "-m", payload])
    expect(stage.get("/healthz")["status"], "ok")
    expect(stage.active(), 0)


def run(stage):
    subprocess.check_call([flosim, "partition", "fashion-mnist", "--clients", "2", "--samples-per-client", "400",
                           "--seed", "1", "--out", stage.path("data")], stdout=subprocess.DEVNULL)
    build_plug_ins(stage)
    start_refusals(stage)
    closed_until_the_broker_has_answered(stage)
    stage.start_broker()
    port_in_use(stage)
    leader = stage.start_leader()
    bad_requests(stage)
    nonsense_over_mqtt(stage)
    workers = [stage.start_worker(i) for i in range(2)]
    wait_for("two workers", lambda: stage.active() == 2)
    blocking_session(stage)
    same_seed_same_model(stage)
    health_of_state_and_checkpoints(stage)
    plug_ins(stage)
    stopped_session(stage)
    worker_killed_in_a_round(stage, workers[0])
    asynchronous_yaml(stage)
    assert "flosim_clients_active 1" in stage.ask("GET", "/metrics")[1].decode()
    leaves_in_a_session(stage, leader)


def main():
    folder = tempfile.mkdtemp(prefix="flosim-rest-")
    processes = Processes()
    stage = Stage(folder, processes)
    try:
        run(stage)
        print("ok")
    except BaseException:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                with open(os.path.join(folder, name)) as log:
                    print(f"--- {name}\n{log.read()[-4000:]}")
        raise
    finally:
        processes.end()
        shutil.rmtree(folder)


main()
