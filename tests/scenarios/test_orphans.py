#!/usr/bin/env python3
"""Whatever is killed, nobody stays behind, and the exit code says what happened. As root also as another user."""

import os
import signal

from harness import BASE, Run, interrupt, main, require

NOBODY = 65534
LONG = ["--set", "session.server_training_config.num_training_rounds=100000", "--set", "expect=[]"]
users = [None]


def started(*args):
    for user in users:
        run = Run(BASE, *LONG, *args, user=user)
        run.read_until("round   2/")
        everybody = run.processes()
        names = set(everybody.values())
        require({"leader", "client-000", "client-005", "mosquitto"} <= names, f"only {names} run")
        yield run, everybody


def supervisor_killed():
    for run, everybody in started():
        with run:
            run.process.kill()
            run.process.wait()
            run.expect_nobody_left(everybody)


def supervisor_killed_with_redis():
    """In a session that is kept in Redis and in files; in the middle of its writing, most likely."""
    for run, everybody in started("--set", "redis=embedded", "--set", "session.session_config.checkpoint_interval=1"):
        with run:
            require("redis-server" in everybody.values(), f"only {set(everybody.values())} run")
            run.process.kill()
            run.process.wait()
            run.expect_nobody_left(everybody)


def broker_killed():
    for run, everybody in started():
        with run:
            os.kill(run.pid_of("mosquitto"), signal.SIGKILL)
            run.expect_exit(3)
            require("the broker ended by itself (killed by SIGKILL)" in run.text, run.text)
            run.expect_nobody_left(everybody)


def leader_killed():
    for run, everybody in started():
        with run:
            os.kill(run.pid_of("leader"), signal.SIGABRT)
            run.expect_exit(3)
            require("the leader ended by itself (killed by SIGABRT)" in run.text, run.text)
            require("leader" in run.text and "INFO" in run.text, "no tail of its log")
            run.expect_nobody_left(everybody)


def client_killed():
    """The session goes on without it; the run says so."""
    for run, everybody in started():
        with run:
            os.kill(run.pid_of("client-003"), signal.SIGKILL)
            run.read_until("client-003 ended by itself (killed by SIGKILL)")
            run.read_until("5 selected, 5 merged")
            interrupt(run.process.pid)
            run.expect_exit(130)
            run.expect_nobody_left(everybody)


def interrupted(signo):
    for run, everybody in started():
        with run:
            interrupt(run.process.pid, signo)
            run.expect_exit(130)
            run.expect_nobody_left(everybody)
            files = set(os.listdir(run.out))
            require({"model.safetensors", "clients.csv", "rounds.csv", "junit.xml", "events.jsonl"} <= files, files)
            require("tmp" not in files, "the roles' folders are still there")


LINK = ["--set", "links=shaped", "--set", "fleet=[{group: far, share: 1, latency: 1ms}]"]


def link_killed():
    for run, everybody in started(*LINK):
        with run:
            os.kill(run.pid_of("link"), signal.SIGKILL)
            run.expect_exit(3)
            require("the link ended by itself (killed by SIGKILL)" in run.text, run.text)
            run.expect_nobody_left(everybody)


def supervisor_killed_with_a_link():
    for run, everybody in started(*LINK):
        with run:
            require("link" in everybody.values(), everybody)
            run.process.kill()
            run.process.wait()
            run.expect_nobody_left(everybody)


def interrupted_in_a_partition():
    """Nobody can be reached, and all leave in peace."""
    for run, everybody in started("--set", "faults=[{at: 0s, do: partition, clients: 2}]"):
        with run:
            interrupt(run.process.pid)
            run.expect_exit(130)
            require("had to be killed" not in run.text, run.text)
            run.expect_nobody_left(everybody)


def interrupted_by_ctrl_c():
    interrupted(signal.SIGINT)


def interrupted_by_sigterm():
    interrupted(signal.SIGTERM)


def hung_up_again_and_again():
    """A terminal that closes sends several SIGHUP; the end is as orderly as after one."""
    for run, everybody in started():
        with run:
            while run.process.poll() is None:
                interrupt(run.process.pid, signal.SIGHUP)
            run.expect_exit(130)
            run.expect_nobody_left(everybody)
            files = set(os.listdir(run.out))
            require({"model.safetensors", "clients.csv"} <= files, files)


def interrupted_while_a_fault_holds_the_round():
    for run, everybody in started("--set", "faults=[{round: 3, do: stop, clients: 2}]"):
        with run:
            run.read_until("fault 1: stop in round 3")
            interrupt(run.process.pid)
            run.expect_exit(130)
            run.expect_nobody_left(everybody)


if os.geteuid() == 0 and os.stat(os.path.dirname(BASE)).st_mode & 0o005:
    users.append(NOBODY)
main([supervisor_killed, supervisor_killed_with_redis, link_killed, supervisor_killed_with_a_link, interrupted_in_a_partition, broker_killed, leader_killed, client_killed, interrupted_by_ctrl_c, interrupted_by_sigterm,
      hung_up_again_and_again, interrupted_while_a_fault_holds_the_round])
