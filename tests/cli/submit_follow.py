#!/usr/bin/python3
"""`flosim submit` against leaders made up here: a session so long that the leader no longer shows all of its rounds, and
leaders that die and come back."""
import http.server
import json
import os
import subprocess
import tempfile
import threading

flosim = os.path.abspath(os.path.join(os.environ.get("builddir", "."), "flosim"))
SHOWN = 1000
SESSION = """server_training_config: {model_dir: m, num_training_rounds: 3000}
client_training_config: {model_id: m, dataset: d}
"""


class Leader(http.server.BaseHTTPRequestHandler):
    looks = [0, 900, 1500, 1500, 2100]  # rounds done at each look

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.look = 0
        self.answer(202, {"session_id": "x"})

    def do_GET(self):
        done = self.looks[min(self.server.look, len(self.looks) - 1)]
        self.server.look += 1
        over = self.server.look >= len(self.looks)
        self.answer(200, {"status": "finished" if over else "running", "reason": "enough", "round": done, "num_rounds": 3000,
                          "rounds": [{"round": r + 1, "duration_s": 0.1} for r in range(max(0, done - SHOWN), done)]})

    def log_message(self, *_):
        pass


class Mortal(Leader):
    """Takes a session and dies; another one answers in its place, which first does not know the session, then has it
    from the store, then runs it."""
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.look = 0
        if self.path == "/v1/sessions":
            self.answer(202, {"session_id": "x"})
        else:
            self.close_connection = True

    def do_GET(self):
        self.server.look += 1
        step = ["running", "dead", "unknown", "interrupted", "running", "finished"][min(self.server.look, 6) - 1]
        if step == "dead":
            self.close_connection = True
        elif step == "unknown":
            self.answer(404, {"message": "There is no session x"})
        else:
            self.answer(200, {"status": step, "reason": "", "round": 1, "num_rounds": 2, "rounds": []})


def submit(server, folder, *options):
    path = os.path.join(folder, "session.yaml")
    with open(path, "w") as out:
        out.write(SESSION)
    return subprocess.run([flosim, "submit", path, "--leader", f"127.0.0.1:{server.server_address[1]}", *options],
                          capture_output=True, text=True, timeout=60)


def serve(handler, use):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        use(server, folder)
    server.shutdown()


def long_session(server, folder):
    done = submit(server, folder, "--follow", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.returncode, done.stderr)
    # Between two looks 600 rounds passed, fewer than are shown: each is told once, in order.
    rounds = [line["round"] for line in lines[:-1]]
    assert rounds == list(range(1, 2101)), rounds[:3] + rounds[-3:]
    assert lines[-1]["status"] == "finished", lines[-1]


def leader_dies(server, folder):
    for options in (["--follow"], []):
        done = submit(server, folder, *options)
        assert done.returncode == 0, (options, done)
        assert "waiting up to 60 s for a leader at" in done.stderr, done.stderr
        assert "goes on" in done.stderr and "finished" in done.stdout, (options, done)


serve(Leader, long_session)
serve(Mortal, leader_dies)
