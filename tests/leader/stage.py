"""What the tests of real `flosim leader` processes share: a broker, a Redis, leaders and workers in a scratch folder, and
how they are asked. Whoever imports this skips where something that everybody needs is not installed."""
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
    def __init__(self, process, log, config):
        self.process, self.log, self.config = process, log, config
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, (line, open(log).read())
        self.base = line.split()[-1]

        self.address = self.base.split("//")[1]

    def fetch(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, data=json.dumps(body).encode() if body else None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ask(self, method, path, body=None):
        status, text = self.fetch(method, path, body)
        return status, json.loads(text)

    def get(self, path):
        status, answer = self.ask("GET", path)
        expect(status, 200, path)
        return answer

    def metrics(self):
        text = self.fetch("GET", "/metrics")[1].decode()
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}

    def model(self, name):
        status, image = self.fetch("GET", f"/v1/sessions/{name}/model")
        expect(status, 200, name)
        return image

    def wait_over(self, name):
        return wait_for(f"the end of {name}", lambda: (lambda s: s if s["status"] not in (None, "waiting", "running") else None)(
            self.session(name)))

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        expect(self.process.wait(DEADLINE_S), 0, "told to leave")

    def die(self):
        self.process.kill()
        self.process.wait()

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
        self.redis = None

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

    def start_redis(self):
        """Redis that has on disk what it acknowledges. Again on the same port where it was killed."""
        if not self.redis:
            self.redis_port = free_port()
            os.mkdir(self.path("redis"))
        self.redis = self.start("redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", self.path("redis"),
                                "--save", "", "--appendonly", "yes", "--appendfsync", "always", stdout=subprocess.DEVNULL)
        wait_for("Redis", lambda: answers(self.redis_port))

    def kill_redis(self):
        self.redis.kill()
        self.redis.wait()

    def redis_state(self):
        return f"{{state_location: redis, state_hostname: 127.0.0.1, state_port: {self.redis_port}}}"

    def partition(self, workers):
        subprocess.check_call([flosim, "partition", "fashion-mnist", "--clients", str(workers), "--samples-per-client", "400",
                               "--seed", "1", "--out", self.path("data")], stdout=subprocess.DEVNULL)

    def start_leader(self, *options, runs="runs", broker_port=None, state="{state_location: inmemory}",
                     checkpoints="checkpoints", rest_port=0):
        self.count += 1
        config = self.write(f"leader{self.count}.yaml", f"""comm_config:
  mqtt: {{mqtt_broker: 127.0.0.1, mqtt_broker_port: {broker_port or self.broker_port}, mqtt_sub_timeout_s: 0.2,
         mqtt_heartbeat_interval_s: 0.5, max_heartbeat_miss_threshold: 3}}
  grpc: {{timeout_s: 60}}
  restful: {{rest_hostname: 127.0.0.1, rest_port: {rest_port}}}
state: {state}
models_dir_path: {srcdir}/models
validation_data_dir_path: ''
checkpoint_dir_path: {self.path(checkpoints)}
temp_dir_path: {self.path(runs)}
""")
        log = self.path(f"leader{self.count}.log")
        with open(log, "w") as out:
            process = self.start(flosim, "leader", "-c", config, *options, stdout=subprocess.PIPE, stderr=out, text=True)
        return Leader(process, log, config)

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


def session(rounds, workers, selection="fedavg", checkpoint_interval=0, model="LeNet5", **more):
    return {
        "session_config": {"aggregator": "fedavg", "client_selection": selection,
                           "client_selection_args": {"client_fraction": 1.0}, "seed": 3,
                           "checkpoint_interval": checkpoint_interval,
                           "wait_for_clients": {"min_clients": workers, "max_wait_s": 30}, **more},
        "benchmark_config": {"skip_benchmark": True},
        "server_training_config": {"model_dir": model, "num_training_rounds": rounds},
        "client_training_config": {"model_id": model, "model_class": model, "dataset": "fashion-mnist",
                                   "epochs": 1, "batch_size": 16, "train_timeout_duration_s": 30},
    }


def post(leader, name, config, **more):
    status, answer = leader.ask("POST", "/v1/sessions", {"session_id": name, "federated_learning_config": config, **more})
    expect(status, 202, answer)


def files(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def on_stage(name, run):
    """Runs the test in a folder of its own; where it fails, the ends of all logs are shown."""
    folder = tempfile.mkdtemp(prefix=f"flosim-{name}-")
    stage = Stage(folder)
    try:
        run(stage)
        print("ok")
    except BaseException:
        for log in sorted(os.listdir(folder)):
            if log.endswith(".log"):
                with open(os.path.join(folder, log)) as text:
                    print(f"--- {log}\n{text.read()[-3000:]}")
        raise
    finally:
        stage.end()
        shutil.rmtree(folder)
