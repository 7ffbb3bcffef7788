#!/usr/bin/env python3
"""Faults of a client's process, its computing and its surroundings, seen from outside of it, and that they are undone."""

import csv
import io
import json
import re
import socket
import struct
import time

from harness import BASE, Run, interrupt, main, require

LONG = ["--set", "session.server_training_config.num_training_rounds=600", "--set", "expect=[]"]


def rounds_of(run):
    return list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))


def merged(run):
    return [r["merged"] for r in rounds_of(run)]


def times(run, name, client=None):
    return [e["t"] for e in run.events(name) if client is None or e.get("client") == client]


def leaves_and_comes_back():
    with Run(BASE, *LONG, "--set", "faults=[{round: 2, do: leave, clients: [3], for: 50ms}]") as run:
        run.expect_exit(0)
        require(merged(run)[0] == "6" and merged(run)[1] == "5" and merged(run)[-1] == "6", merged(run))
        require(times(run, "fault-recovered", 3), "it did not come back")
        gone = [e for e in run.events("roster") if e["client"] == run.events("fault-strikes")[0]["client_id"]]
        require(any("offline" in json.dumps(e) for e in gone), gone)


def leaves_for_good():
    with Run(BASE, "--set", "faults=[{round: 2, do: leave, clients: 2}]", "--set",
             "expect=[rounds == 4, clients_failed == 2, clients_crashed == 0]") as run:
        run.expect_exit(0)
        require(merged(run) == ["6", "4", "4", "4"], merged(run))


def killed_for_its_memory():
    with Run(BASE, "--set", "faults=[{round: 2, do: oom-kill, clients: 2}]", "--set",
             "expect=[rounds == 4, clients_crashed == 0]") as run:
        run.expect_exit(0)
        require(merged(run) == ["6", "4", "6", "6"], merged(run))
        require(len(run.events("fault-recovered")) == 2, run.events("fault-recovered"))


def crashes_again_and_again():
    """More than once, then not any more."""
    with Run(BASE, *LONG, "--set", "faults=[{round: 2, do: crash-loop, clients: [1], for: 1s}]") as run:
        run.expect_exit(0)
        id_ = run.events("fault-strikes")[0]["client_id"]
        came = [e for e in run.events("roster") if e["client"] == id_ and e["state"] == "active"]
        require(len(came) >= 3, f"it came {len(came)} time(s)")
        require(times(run, "fault-recovered", 1), "it did not come back")
        require(merged(run)[-1] == "6" and "clients_crashed" not in run.text, merged(run))


def limits_of(pid, which):
    with open(f"/proc/{pid}/limits") as file:
        return next(line[len(which):].split()[0] for line in file if line.startswith(which))


def limited(do, which, extra=""):
    """The process has its limit, seen in /proc, and loses it again; the run goes on."""
    with Run(BASE, *LONG, "--set", f"faults=[{{round: 2, do: {do}, clients: [2]{extra}, for: 1s}}]") as run:
        run.read_until(f"fault 1: {do}")
        pids = [pid for pid, name in run.processes().items() if name == "client-002"]
        before = limits_of(pids[0], which) if pids else None
        run.expect_exit(0)
        require(len(run.events("fault-strikes")) == 1 and times(run, "fault-recovered", 2), run.file("events.jsonl"))
        require(merged(run)[-1] == "6", merged(run)[-1])
        return before


def descriptors_run_out():
    found = limited("fd-limit", "Max open files")
    require(found is not None and int(found) < 200, found)


def disk_is_full():
    found = limited("disk-full", "Max file size")
    require(found == "0", found)


def memory_is_short():
    """It fails or dies for a lack of memory, and trains again afterwards."""
    with Run(BASE, *LONG, "--set", "faults=[{round: 2, do: memory-limit, clients: [2], for: 500ms}]") as run:
        run.expect_exit(0)
        require(times(run, "fault-recovered", 2), run.file("events.jsonl"))
        require(merged(run)[-1] == "6", merged(run)[-1])


def slow_by_its_factor():
    """The modelled time is 50 times the others', and the round takes longer by the clock too."""
    with Run(BASE, "--set", "faults=[{round: 3, do: slow-cpu, factor: 50, clients: [4]}]") as run:
        run.expect_exit(0)
        id_ = run.events("fault-strikes")[0]["client_id"]
        mine = {e["round"]: e["time_taken_s"] for e in run.events("update") if e["client"] == id_}
        require(abs(mine[3] / mine[2] - 50) < 1 and abs(mine[1] / mine[2] - 1) < 0.01, mine)


def slow_for_two_rounds():
    with Run(BASE, "--set", "faults=[{round: 2, do: slow-cpu, factor: 50, clients: [4], for: 2 rounds}]") as run:
        run.expect_exit(0)
        id_ = run.events("fault-strikes")[0]["client_id"]
        mine = {e["round"]: e["time_taken_s"] for e in run.events("update") if e["client"] == id_}
        require([round(mine[r] / mine[1]) for r in (1, 2, 3, 4)] == [1, 50, 50, 1], mine)


def paused_but_alive():
    """The round waits for it; it is not missed although the leader misses after half a second."""
    with Run(BASE, "--set", "faults=[{round: 2, do: pause, clients: [4], for: 2s}]", "--set",
             "heartbeat={interval: 250ms, misses: 2}", "--set", "expect=[rounds == 4, clients_failed == 0]") as run:
        run.expect_exit(0)
        took = [float(r["duration_s"]) for r in rounds_of(run)]
        require(took[1] >= 1.5 and took[2] < 1.5, took)
        require(merged(run) == ["6"] * 4, merged(run))


def mqtt_packet(kind, payload):
    return bytes([kind, len(payload)]) + payload


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def heartbeats_of(port, seconds_needed):
    """{client id: [time stamp - our clock]} from the broker itself."""
    found = {}
    with socket.create_connection(("127.0.0.1", port), timeout=30) as conn:
        conn.sendall(mqtt_packet(0x10, text("MQTT") + bytes([4, 2, 0, 60]) + text("watcher")))
        conn.sendall(mqtt_packet(0x82, struct.pack(">H", 1) + text("heartbeat") + b"\0"))
        stream = conn.makefile("rb")
        until = time.monotonic() + 20
        while time.monotonic() < until and not seconds_needed(found):
            head = stream.read(1)[0]
            length, shift = 0, 0
            while True:
                byte = stream.read(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = stream.read(length)
            if head >> 4 == 3:
                size = struct.unpack(">H", body[:2])[0]
                beat = json.loads(body[2 + size + (2 if head & 6 else 0):])
                found.setdefault(beat["id"], []).append(beat["timestamp"] - time.time())
    return found


def a_wrong_clock():
    """Its heartbeats' stamps are an hour behind, nobody else's; the leader does not care."""
    with Run(BASE, "--set", "session.server_training_config.num_training_rounds=100000", "--set", "expect=[]", "--set",
             "heartbeat={interval: 200ms, misses: 5}", "--set",
             "faults=[{round: 2, do: clock-skew, offset: 1h, direction: behind, clients: [4]}]") as run:
        run.read_until("round   3/")
        port = int(re.search(r"listen socket on port (\d+)", run.file("logs/mosquitto.log").decode()).group(1))
        victim = run.events("fault-strikes")[0]["client_id"]
        found = heartbeats_of(port, lambda f: len(f) == 6 and all(len(b) >= 2 for b in f.values()))
        interrupt(run.process.pid)
        run.expect_exit(130)
        require(len(found) == 6, found)
        for id_, beats in found.items():
            off = beats[-1]
            require(abs(off + 3600) < 30 if id_ == victim else abs(off) < 30, (id_, victim, beats))


main([leaves_and_comes_back, leaves_for_good, killed_for_its_memory, crashes_again_and_again, descriptors_run_out,
      disk_is_full, memory_is_short, slow_by_its_factor, slow_for_two_rounds, paused_but_alive, a_wrong_clock])
