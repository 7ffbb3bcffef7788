#!/usr/bin/env python3
"""Each fault of the network, measured from outside: by an MQTT client of our own that talks to the broker through a
client's link, as that client does, and by what the leader sees. Before, during and after."""

import csv
import io
import os
import re
import select
import socket
import struct
import time

from harness import BASE, DEADLINE_S, Run, interrupt, main, require

VICTIM, OTHER = 3, 4
LONG = ["--set", "session.server_training_config.num_training_rounds=1000000", "--set", "expect=[]"]
QUICK = ["--set", "heartbeat={interval: 200ms, misses: 2}"]


def rounds_of(run):
    return list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))


def port_of(run, client):
    """Where the link stands for the broker."""
    text = run.file("logs/link.log").decode()
    return int(re.search(rf"client-{client:03d} grpc=\S+ mqtt=127\.0\.0\.1:(\d+)", text).group(1))


def was_reset(connection):
    """Waits for its end."""
    try:
        connection.recv(1)
        return False
    except ConnectionResetError:
        return True


class Guest:
    """Somebody who speaks MQTT through a client's link."""

    def __init__(self, run, client, timeout=DEADLINE_S):
        self.port = port_of(run, client)
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"guest-{os.urandom(6).hex()}".encode()
        body = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name
        self.socket.sendall(b"\x10" + bytes([len(body)]) + body)
        self.expect(b"\x20\2\0\0")

    def expect(self, bytes_):
        found = b""
        while len(found) < len(bytes_):
            piece = self.socket.recv(len(bytes_) - len(found))
            require(piece, "the connection ended")
            found += piece
        require(found == bytes_, found)

    def ping(self):
        """Seconds to the broker and back."""
        began = time.monotonic()
        self.socket.sendall(b"\xc0\0")
        self.expect(b"\xd0\0")
        return time.monotonic() - began

    def push(self, size):
        """Seconds for so many bytes to the broker."""
        topic = b"\0\5guest" + b"x" * size
        length, head = len(topic), b""
        while length:
            head += bytes([length % 128 | (128 if length > 127 else 0)])
            length //= 128
        began = time.monotonic()
        self.socket.sendall(b"\x30" + head + topic)
        self.ping()
        return time.monotonic() - began

    def is_silent(self, seconds):
        return not select.select([self.socket], [], [], seconds)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def until(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        require(time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}")
        select.select([], [], [], 0.02)


def victims_of(run, event):
    return [e["client"] for e in run.events(event)]


def struck(fault, *args, victim=VICTIM):
    """A long run; it is there once its fault has struck the victim."""
    run = Run(BASE, *LONG, *args, "--set", f"faults=[{fault}]")
    run.read_until("fault 1: ")
    until(lambda: victim in victims_of(run, "fault-strikes"), "fault-strikes")
    return run


def ended(run):
    interrupt(run.process.pid)
    run.expect_exit(130)
    require("had to be killed" not in run.text, run.text)


def median(values):
    return sorted(values)[len(values) // 2]


def latency():
    with struck("{at: 100ms, do: latency, latency: 150ms, clients: [3], for: 3s}") as run:
        with Guest(run, VICTIM) as guest, Guest(run, OTHER) as other:
            during = guest.ping()
            require(during >= 0.3, f"{during} s there and back")
            require(min(other.ping() for _ in range(3)) < 0.15, "another client is late, too")
            until(lambda: run.events("fault-undone"), "fault-undone")
            require(min(guest.ping() for _ in range(3)) < 0.15, "it is not over")
        ended(run)


def jitter():
    with struck("{at: 100ms, do: jitter, jitter: 200ms, clients: [3], for: 5s}") as run:
        with Guest(run, VICTIM) as guest:
            times = [guest.ping() for _ in range(12)]
            require(max(times) - min(times) > 0.05, times)
            require(0.08 < sum(times) / len(times), times)
            until(lambda: run.events("fault-undone"), "fault-undone")
            require(median([guest.ping() for _ in range(9)]) < 0.05, "it is not over")
        ended(run)


def bandwidth():
    """200 kB at 1.6 Mbit take a second, one way alone."""
    with struck("{at: 100ms, do: bandwidth, up: 1.6Mbit, clients: [3], for: 4s}") as run:
        with Guest(run, VICTIM) as guest, Guest(run, OTHER) as other:
            during, others = guest.push(200000), other.push(200000)
            require(during > 0.9, f"{during} s")
            require(others < 0.7, f"{others} s")
            until(lambda: run.events("fault-undone"), "fault-undone")
            after = min(guest.push(200000) for _ in range(3))
            require(after < 0.5, f"{after} s")
        ended(run)


def loss():
    with struck("{at: 100ms, do: loss, share: 40%, clients: [3], for: 8s}") as run:
        with Guest(run, VICTIM) as guest:
            late = sum(guest.ping() >= 0.2 for _ in range(12))
            require(2 <= late, f"{late} of 12 are late")
            until(lambda: run.events("fault-undone"), "fault-undone")
            require(median([guest.ping() for _ in range(9)]) < 0.1, "it is not over")
        ended(run)


def slow_drip():
    """CONNECT and its answer, a ping: some 45 bytes."""
    with struck("{at: 100ms, do: slow-drip, rate: 40, clients: [3], for: 5s}") as run:
        began = time.monotonic()
        with Guest(run, VICTIM) as guest:
            require(time.monotonic() - began > 0.5, f"{time.monotonic() - began} s")
            until(lambda: run.events("fault-undone"), "fault-undone")
            require(guest.push(100000) < 5, "it is not over")
        ended(run)


def disconnect():
    """Both ends see a reset; the leader misses the client; it comes back by itself, in the same round."""
    with Run(BASE, "--set", "faults=[{round: 2, do: disconnect, clients: [3]}, {at: 0s, do: latency, latency: 0s, clients: [3]}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "5", "6", "6"], run.file("rounds.csv"))
        require(3 in victims_of(run, "fault-noticed") and 3 in victims_of(run, "fault-recovered"), run.events())


def disconnect_is_a_reset():
    run = Run(BASE, *LONG, "--set", "faults=[{at: 3s, do: disconnect, clients: [3]}]")
    with run:
        run.read_until("round ")
        with Guest(run, VICTIM) as guest, Guest(run, OTHER) as other:
            guest.ping()
            run.read_until("fault 1: ")
            require(was_reset(guest.socket), "no RST")
            other.ping()
        until(lambda: run.events("fault-recovered"), "it comes back")
        ended(run)


def flaky():
    """A guest is thrown out again and again; the client itself comes back each time, and trains when it is over."""
    with struck("{at: 100ms, do: flaky, mean: 300ms, clients: [3], for: 4s}", *QUICK) as run:
        for _ in range(3):
            try:
                with Guest(run, VICTIM) as guest:
                    require(was_reset(guest.socket), "no RST")
            except (ConnectionError, AssertionError) as error:
                require("RST" not in str(error), error)
        until(lambda: run.events("fault-undone"), "fault-undone")
        with Guest(run, VICTIM) as guest:
            guest.ping()
        until(lambda: rounds_of(run)[-1]["merged"] == "6", "all train again")
        ended(run)


def partition_in_a_round():
    """The leader misses it by its heartbeats; its update of that round does not count; it is back when it is over."""
    with struck("{round: 2, do: partition, clients: [3], for: 3s}", *QUICK) as run:
        with Guest(run, OTHER) as other:
            other.ping()
        until(lambda: run.events("fault-noticed"), "the leader notices")
        until(lambda: run.events("fault-recovered"), "it comes back")
        until(lambda: rounds_of(run)[-1]["merged"] == "6", "all train again")
        rounds = rounds_of(run)
        require([r["merged"] for r in rounds[:3]] == ["6", "5", "5"], rounds[:3])
        ended(run)


def partition_is_silence():
    run = Run(BASE, *LONG, *QUICK, "--set", "faults=[{at: 3s, do: partition, clients: [3], for: 4s}]")
    with run:
        run.read_until("round ")
        with Guest(run, VICTIM) as guest:
            guest.ping()
            run.read_until("fault 1: ")
            silent = False
            while not silent:  # the line is printed just before it strikes
                began = time.monotonic()
                guest.socket.sendall(b"\xc0\0")
                silent = guest.is_silent(1)
                if not silent:
                    guest.expect(b"\xd0\0")
            caller = socket.socket()
            caller.settimeout(0.5)
            try:
                caller.connect(("127.0.0.1", guest.port))
                raise AssertionError("a connection is answered")
            except TimeoutError:
                pass
            caller.close()
            guest.expect(b"\xd0\0")  # it was held
            require(time.monotonic() - began > 2, "too early")
        until(lambda: run.events("fault-recovered"), "it comes back")
        ended(run)


def half_open():
    """Its heartbeats are lost: it is missed though it hears the leader; connections that lost something are reset."""
    with struck("{round: 2, do: half-open, clients: [3], for: 3s}", *QUICK) as run:
        until(lambda: run.events("fault-noticed"), "the leader notices")
        lost = socket.create_connection(("127.0.0.1", port_of(run, VICTIM)), DEADLINE_S)
        lost.sendall(b"\x10\x10\0\4MQTT\4\2\0\0\0\4gues")
        require(was_reset(lost), "an answer, or an end, to what was lost")
        lost.close()
        until(lambda: run.events("fault-recovered"), "it comes back")
        until(lambda: rounds_of(run)[-1]["merged"] == "6", "all train again")
        require([r["merged"] for r in rounds_of(run)[:2]] == ["6", "5"], rounds_of(run)[:3])
        ended(run)


def the_same_model_through_a_link():
    """Delays and losses cost time, not bytes; a partition in a round repeats."""
    plain = Run(BASE)
    with plain:
        plain.expect_exit(0)
        with Run(BASE, "--set", "links=shaped", "--set",
                 "fleet=[{group: far, share: 1, latency: 5ms, jitter: 5ms, loss: 1%, uplink: 10Mbit}]") as run:
            run.expect_exit(0)
            require(run.file("model.safetensors") == plain.file("model.safetensors"), "another model")
            require(float(rounds_of(run)[1]["duration_s"]) > 0.02, "the links are not slow")
    models = []
    for _ in range(2):
        with Run(BASE, *QUICK, "--set", "faults=[{round: 2, do: partition, clients: 2}]", "--set", "expect=[rounds == 4]") as run:
            run.expect_exit(0)
            require([r["merged"] for r in rounds_of(run)] == ["6", "4", "4", "4"], run.file("rounds.csv"))
            models.append(run.file("model.safetensors"))
    require(models[0] == models[1], "two models")


def a_restarted_client_keeps_its_ports():
    with Run(BASE, "--set", "faults=[{round: 2, do: restart, clients: 50%}, {at: 0s, do: latency, latency: 1ms, clients: all}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "3", "6", "6"], run.file("rounds.csv"))


main([latency, jitter, bandwidth, loss, slow_drip, disconnect, disconnect_is_a_reset, flaky, partition_in_a_round,
      partition_is_silence, half_open, the_same_model_through_a_link, a_restarted_client_keeps_its_ports])
