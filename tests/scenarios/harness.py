"""What the scenario tests share: start the real program, look at it from outside, wait for conditions (never for time)."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SRCDIR = os.path.abspath(os.environ.get("srcdir") or os.path.join(os.path.dirname(__file__), "..", ".."))
FLOSIM = os.path.abspath(os.path.join(os.environ.get("builddir", "."), "flosim"))
BASE = os.path.join(SRCDIR, "tests", "scenarios", "base.yaml")
DEADLINE_S = 120


def require(condition, message):
    if not condition:
        raise AssertionError(message)


class Run:
    """One simulation. `args` are flosim's own; its folder is new and removed at the end."""

    program = FLOSIM

    def __init__(self, scenario, *args, user=None, env=None):
        self.folder = tempfile.mkdtemp(prefix="flosim-test-")
        self.out = os.path.join(self.folder, "out")
        program = self.program
        if user is not None:
            os.chown(self.folder, user, user)
            program, scenario = self.within_reach(scenario)
        self.command = [program, "--out", self.out, *args, scenario]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            user=user, group=user, extra_groups=[] if user is not None else None, env=env, text=True)
        self.text = ""

    def within_reach(self, scenario):
        """Copies for another user, who may not be able to enter the folders that we work in."""
        for name in ("models", os.path.dirname(os.path.relpath(scenario, SRCDIR))):
            shutil.copytree(os.path.join(SRCDIR, name), os.path.join(self.folder, name))
        return shutil.copy(self.program, self.folder), os.path.join(self.folder, os.path.relpath(scenario, SRCDIR))

    def read_until(self, word):
        """Read lines until one contains `word`."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            require(ready, f"no `{word}` within {DEADLINE_S} s in:\n{self.text}")
            line = self.process.stdout.readline()
            require(line, f"no `{word}` until the end of:\n{self.text}")
            self.text += line
            if word in line:
                return line

    def finish(self):
        """Its exit code, once it has ended."""
        self.text += self.process.communicate(timeout=DEADLINE_S)[0]
        return self.process.returncode

    def expect_exit(self, code):
        found = self.finish()
        require(found == code, f"expected exit code {code}, found {found}:\n{self.text}")
        return self

    def processes(self):
        """{pid: name} of all that belong to this run: its folder is in their command lines."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    command = file.read().decode(errors="replace")
                with open(f"/proc/{entry}/comm") as file:
                    name = file.read().strip()
            except OSError:
                continue
            if self.out in command:
                found[int(entry)] = name
        return found

    def pid_of(self, name):
        pids = [pid for pid, found in self.processes().items() if found == name]
        require(len(pids) == 1, f"expected one process {name}, found {pids}")
        return pids[0]

    def expect_nobody_left(self, pids):
        """All these processes end, and no other of this run is there."""
        deadline = time.monotonic() + DEADLINE_S
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            ended = poll.poll(max(0, deadline - time.monotonic()) * 1000)
            os.close(fd)
            require(ended, f"process {pid} ({pids[pid]}) outlives the run")
        left = {pid: name for pid, name in self.processes().items() if not is_zombie(pid)}
        require(not left, f"left behind: {left}")

    def file(self, name):
        with open(os.path.join(self.out, name), "rb") as file:
            return file.read()

    def events(self, name=None):
        events = [json.loads(line) for line in self.file("events.jsonl").splitlines()]
        return [event for event in events if name is None or event["event"] == name]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def interrupt(pid, signo=signal.SIGINT):
    os.kill(pid, signo)


def main(tests):
    """Run the functions; say which failed; exit."""
    failures = 0
    for test in tests:
        try:
            test()
            print(f"ok: {test.__name__}", flush=True)
        except Exception as error:  # every failure is told, the others still run
            failures += 1
            print(f"FAILED: {test.__name__}: {error}", flush=True)
    sys.exit(1 if failures else 0)
