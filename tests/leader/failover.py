#!/usr/bin/python3
"""Two `flosim leader` processes and one fleet: the second takes over; the first, when it comes back, notices and stops,
and nothing of it is written, accepted or cleared."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SKIP = 77
DEADLINE_S = 60
WORKERS = 3
srcdir = os.path.abspath(os.environ.get("srcdir", "."))
flosim = os.path.abspath(os.path.join(os.environ.get("builddir", "."), "flosim"))
os.environ["PATH"] += ":/usr/sbin"

for tool in ("mosquitto", "mosquitto_sub"):
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


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


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


class Pipe:
    """A way to the broker that can be cut."""

    def __init__(self, port):
        self.target, self.cut, self.ends = port, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            if self.cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            self.ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass

    def break_off(self):
        self.cut = True
        for end in self.ends:
            end.shutdown(socket.SHUT_RDWR)


class Leader:
    def __init__(self, process, log):
        self.process, self.log = process, log
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, (line, open(log).read())
        self.base = line.split()[-1]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, data=json.dumps(body).encode() if body else None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def session(self, name):
        status, answer = self.ask("GET", f"/v1/sessions/{name}")
        return answer if status == 200 else {"status": None, "round": -1}

    def active(self):
        return self.ask("GET", "/v1/clients")[1]["active"]

    def said(self):
        with open(self.log) as log:
            return log.read()

    def stops_for_another(self, who):
        code = self.process.wait(DEADLINE_S)
        expect(code, 3, self.said()[-2000:])
        assert "has taken the place of this one" in self.said() and who in self.said(), self.said()[-2000:]


class Stage:
    def __init__(self, folder):
        self.folder, self.running, self.count = folder, [], 0
        self.broker_port = free_port()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        return self.path(name)

    def start(self, *args, **options):
        process = subprocess.Popen(args, **options)
        self.running.append(process)
        return process

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()

    def start_broker(self):
        config = self.write("mosquitto.conf", f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\n")
        self.start("mosquitto", "-c", config, stderr=subprocess.DEVNULL)
        wait_for("the broker", lambda: answers(self.broker_port))

    def start_leader(self, *options, runs="runs", broker_port=None, state="{state_location: inmemory}"):
        self.count += 1
        config = self.write(f"leader{self.count}.yaml", f"""comm_config:
  mqtt: {{mqtt_broker: 127.0.0.1, mqtt_broker_port: {broker_port or self.broker_port}, mqtt_sub_timeout_s: 0.2,
         mqtt_heartbeat_interval_s: 0.5, max_heartbeat_miss_threshold: 3}}
  grpc: {{timeout_s: 60}}
  restful: {{rest_hostname: 127.0.0.1, rest_port: 0}}
state: {state}
models_dir_path: {srcdir}/models
validation_data_dir_path: ''
checkpoint_dir_path: {self.path("checkpoints")}
temp_dir_path: {self.path(runs)}
""")
        log = self.path(f"leader{self.count}.log")
        with open(log, "w") as out:
            process = self.start(flosim, "leader", "-c", config, *options, stdout=subprocess.PIPE, stderr=out, text=True)
        return Leader(process, log)

    def start_worker(self, i):
        config = self.write(f"worker{i}.yaml", f"""comm_config:
  mqtt: {{mqtt_broker: 127.0.0.1, mqtt_broker_port: {self.broker_port}, client_name: w{i}}}
  grpc: {{sync_port: 0, bind: 127.0.0.1}}
dataset_config: {{datasets_dir_path: {self.path("data", f"client_{i:03d}")}}}
general_config: {{temp_dir_path: {self.path(f"worker{i}")}}}
""")
        with open(self.path(f"worker{i}.log"), "w") as log:
            return self.start(flosim, "worker", "-c", config, stderr=log)

    def retained_term(self):
        found = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.broker_port), "-t", "advert_server",
                                "-C", "1", "-W", "1"], capture_output=True, text=True)
        return json.loads(found.stdout)["leader_term"] if found.stdout.strip() else None


def session(rounds, selection="fedavg", interval=0, model="LeNet5"):
    return {
        "session_config": {"aggregator": "fedavg", "client_selection": selection,
                           "client_selection_args": {"client_fraction": 1.0}, "seed": 3,
                           "checkpoint_interval": interval,
                           "wait_for_clients": {"min_clients": WORKERS, "max_wait_s": 30}},
        "benchmark_config": {"skip_benchmark": True},
        "server_training_config": {"model_dir": model, "num_training_rounds": rounds},
        "client_training_config": {"model_id": model, "model_class": model, "dataset": "fashion-mnist",
                                   "epochs": 1, "batch_size": 16, "train_timeout_duration_s": 30},
    }


def post(leader, name, rounds, **more):
    status, answer = leader.ask("POST", "/v1/sessions",
                                {"session_id": name, "federated_learning_config": session(rounds), **more})
    expect(status, 202, answer)


def end_of(leader, name):
    return wait_for(f"the end of {name}", lambda: (lambda s: s if s["status"] in ("finished", "failed", "stopped") else None)(
        leader.session(name)))


def files(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def stopped_and_continued(stage):
    """The first is stopped like a machine that sleeps, and wakes up after the second has begun."""
    first = stage.start_leader(runs="runs-first")
    wait_for("all workers", lambda: first.active() == WORKERS)
    post(first, "asleep", 100000)
    wait_for("a round", lambda: first.session("asleep")["round"] >= 1)
    first.process.send_signal(signal.SIGSTOP)
    second = stage.start_leader(runs="runs-second")
    wait_for("the workers to follow", lambda: second.active() == WORKERS)
    post(second, "next", 100000)
    wait_for("a round of the second", lambda: second.session("next")["round"] >= 1)
    before = files(stage.path("runs-first", "asleep"))
    term = stage.retained_term()
    first.process.send_signal(signal.SIGCONT)
    first.stops_for_another("its advert")
    after = files(stage.path("runs-first", "asleep"))
    expect(sorted(after), sorted(before), "files of a session that was given up")
    assert b"session_finished" not in after["events.jsonl"]
    expect(stage.retained_term(), term, "the second's advert stays")
    rounds = second.session("next")["round"]
    wait_for("more rounds of the second", lambda: second.session("next")["round"] > rounds + 1)
    return second


def cut_off_from_the_broker(stage, before):
    """Its workers tell a leader that no longer hears the broker."""
    before.process.send_signal(signal.SIGTERM)
    expect(before.process.wait(DEADLINE_S), 0, "told to leave")
    expect(stage.retained_term(), None, "a leader that leaves takes its advert back")
    pipe = Pipe(stage.broker_port)
    first = stage.start_leader(runs="runs-cut", broker_port=pipe.port)
    wait_for("all workers", lambda: first.active() == WORKERS)
    post(first, "cut", 100000)
    wait_for("a round", lambda: first.session("cut")["round"] >= 1)
    pipe.break_off()
    second = stage.start_leader(runs="runs-after")
    first.stops_for_another("what most clients answer")
    assert stage.retained_term(), "the second's advert is there"
    second.process.send_signal(signal.SIGTERM)
    expect(second.process.wait(DEADLINE_S), 0, "told to leave")


def a_killed_leader_leaves_no_alarm(stage):
    """Its advert stays with the broker; the next leader has a higher term and is not frightened by it."""
    first = stage.start_leader()
    first_term = stage.retained_term()
    first.process.kill()
    first.process.wait()
    expect(stage.retained_term(), first_term, "the dead leader's advert")
    second = stage.start_leader()
    wait_for("the workers to follow", lambda: second.active() == WORKERS)
    assert stage.retained_term() > first_term
    expect(second.process.poll(), None, "the second goes on")
    second.process.send_signal(signal.SIGTERM)
    expect(second.process.wait(DEADLINE_S), 0, "told to leave")


def a_checkpoint_that_does_not_fit_costs_nothing(stage, leader):
    """It is refused when the session is checked, and the state that was there stays."""
    config = session(2, interval=1)
    expect(leader.ask("POST", "/v1/sessions", {"session_id": "kept", "federated_learning_config": config})[0], 202)
    expect(end_of(leader, "kept")["round"], 2)
    shutil.copy(stage.path("checkpoints", "checkpoint_kept.tar.1"), stage.path("checkpoints", "checkpoint_old.tar"))
    other = {"session_id": "kept", "federated_learning_config": session(3, model="FedAT_CNN")}
    status, answer = leader.ask("POST", "/v1/sessions", {**other, "restore": True, "file": "checkpoint_old.tar"})
    assert status == 400 and "does not fit" in answer["message"], (status, answer)
    longer = {"session_id": "kept", "federated_learning_config": session(3, interval=1)}
    expect(leader.ask("POST", "/v1/sessions", {**longer, "restore": True})[0], 202)
    expect(end_of(leader, "kept")["round"], 3)
    events = [json.loads(line) for line in files(stage.path("runs", "kept"))["events.jsonl"].splitlines()]
    expect([event["round"] for event in events if event["event"] == "session_restored"], [2], "where it went on")


def a_checkpoint_folder_that_another_took(stage, leader):
    """A leader that hears of its successor from nobody else."""
    expect(leader.ask("POST", "/v1/sessions", {"session_id": "taken", "federated_learning_config":
                                               session(100000, interval=1)})[0], 202)
    wait_for("a round", lambda: leader.session("taken")["round"] >= 1)
    os.replace(stage.write("term", "9000000000000000000\n"), stage.path("checkpoints", "leader_0.term"))
    leader.stops_for_another("the checkpoint folder")
    with open(stage.path("runs", "taken", "events.jsonl")) as events:
        assert "session_finished" not in events.read()


def run(stage):
    subprocess.check_call([flosim, "partition", "fashion-mnist", "--clients", str(WORKERS), "--samples-per-client", "400",
                           "--seed", "1", "--out", stage.path("data")], stdout=subprocess.DEVNULL)
    stage.start_broker()
    for i in range(WORKERS):
        stage.start_worker(i)
    second = stopped_and_continued(stage)
    cut_off_from_the_broker(stage, second)
    a_killed_leader_leaves_no_alarm(stage)
    os.mkdir(stage.path("checkpoints"))
    leader = stage.start_leader("--set", "checkpoint_keep=3")
    wait_for("all workers", lambda: leader.active() == WORKERS)
    a_checkpoint_that_does_not_fit_costs_nothing(stage, leader)
    a_checkpoint_folder_that_another_took(stage, leader)


def main():
    folder = tempfile.mkdtemp(prefix="flosim-failover-")
    stage = Stage(folder)
    try:
        run(stage)
        print("ok")
    except BaseException:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                with open(os.path.join(folder, name)) as log:
                    print(f"--- {name}\n{log.read()[-3000:]}")
        raise
    finally:
        stage.end()
        shutil.rmtree(folder)


main()
