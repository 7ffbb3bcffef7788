#!/usr/bin/python3
"""`flosim submit --follow` against a leader made up here: a session so long that the leader no longer shows all of its
rounds."""
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


def follow(server, folder):
    path = os.path.join(folder, "session.yaml")
    with open(path, "w") as out:
        out.write(SESSION)
    done = subprocess.run([flosim, "submit", path, "--leader", f"127.0.0.1:{server.server_address[1]}", "--follow",
                           "--json"], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done, [line["round"] for line in lines[:-1]], lines[-1:]


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Leader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        done, rounds, end = follow(server, folder)
    server.shutdown()
    assert done.returncode == 0, (done.returncode, done.stderr)
    # Between two looks 600 rounds passed, fewer than are shown: each is told once, in order.
    assert rounds == list(range(1, 2101)), rounds[:3] + rounds[-3:]
    assert end[0]["status"] == "finished", end


main()
