#!/usr/bin/env python3
"""datasets/fetch against a server of our own: whole, resumed, wrong, missing, offline, never half a file by its name."""
import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import tarfile
import tempfile
import threading

TOP = pathlib.Path(os.environ.get("srcdir", "."))
DATA = bytes(range(256)) * 400
asked = []


def packed():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("inner/a.bin")
        info.size = len(DATA)
        tar.addfile(info, io.BytesIO(DATA))
    return out.getvalue()


FILES = {"/plain.bin": DATA, "/packed.tar.gz": packed(), "/unknown.bin": b"first"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, begin = FILES.get(self.path), 0
        wanted = self.headers.get("Range", "")
        asked.append((self.path, wanted))
        if body is None:
            self.send_error(404)
            return
        if wanted.startswith("bytes="):
            begin = int(wanted[6:].split("-")[0])
            if begin >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        self.wfile.write(body[begin:])

    def log_message(self, *args):
        pass


def sha(data):
    return hashlib.sha256(data).hexdigest()


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as scratch:
        out, table = pathlib.Path(scratch, "out"), pathlib.Path(scratch, "sets.tsv")

        def row(name, file, total, how="-", url=None):
            return "\t".join([name, file, total, how, url or f"{base}/{file}", "a test"]) + "\n"

        table.write_text("# comment\n" + row("plain", "plain.bin", sha(DATA))
                         + row("packed", "packed.tar.gz", sha(FILES["/packed.tar.gz"]), "tar")
                         + row("wrong", "plain.bin", "0" * 64) + row("missing", "nothing.bin", sha(b""))
                         + row("unknown", "unknown.bin", "-")
                         + row("offline", "x.bin", sha(b""), url="http://127.0.0.1:1/x.bin"))
        # no proxy may stand between the test and its server
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

        def fetch(*args, status=0, says=""):
            done = subprocess.run([str(TOP / "datasets/fetch"), "--out", str(out), "--table", str(table), *args],
                                  env=env, capture_output=True, text=True, timeout=120)
            text = done.stdout + done.stderr
            assert done.returncode == status, (args, done.returncode, text)
            assert says in text, (says, text)

        fetch("--list", says="packed.tar.gz")
        fetch("plain", says="complete")
        assert (out / "plain/plain.bin").read_bytes() == DATA
        count = len(asked)
        fetch("plain", says="there already")
        assert len(asked) == count, "what is there was fetched again"
        # a download that broke off goes on where it stopped
        (out / "plain/plain.bin").unlink()
        (out / "plain/plain.bin.part").write_bytes(DATA[:1000])
        fetch("plain", says="complete")
        assert asked[-1] == ("/plain.bin", "bytes=1000-"), asked[-1]
        assert (out / "plain/plain.bin").read_bytes() == DATA and not (out / "plain/plain.bin.part").exists()
        # one that was whole already is asked for once more and checked
        (out / "plain/plain.bin").rename(out / "plain/plain.bin.part")
        fetch("plain", says="complete")
        # a damaged file under the final name is replaced
        (out / "plain/plain.bin").write_bytes(b"damaged")
        fetch("plain", says="complete")
        assert (out / "plain/plain.bin").read_bytes() == DATA
        fetch("packed", says="complete")
        assert (out / "packed/inner/a.bin").read_bytes() == DATA
        fetch("wrong", status=1, says="is expected: it is damaged or another file")
        assert not list((out / "wrong").iterdir()), "a wrong file was left"
        fetch("missing", status=1, says="the server does not give it")
        fetch("offline", status=1, says="is this machine online?")
        assert not (out / "offline/x.bin").exists()
        fetch("unknown", says="no published sum; recorded SHA-256 " + sha(b"first"))
        FILES["/unknown.bin"] = b"second"
        (out / "unknown/unknown.bin").unlink()
        fetch("unknown", status=1, says=sha(b"first"))
        fetch("nonsense", status=1, says="no set `nonsense`")
        fetch("offline", "plain", status=1, says="plain: complete")
        fetch(status=2, says="usage")
    server.shutdown()


main()
