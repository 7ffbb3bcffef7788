#!/usr/bin/env python3
"""The leader, the broker and the state store are killed, on purpose and at chosen points: what the clients train goes on,
and what cannot go on is told."""

import csv
import io
import os

from harness import BASE, Run, main, require

PHASES = ["selection", "distribution", "training", "aggregation", "validation", "end"]


def rounds_of(run):
    return list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))


def model_of(*args):
    with Run(BASE, *args) as run:
        run.expect_exit(0)
        return run.file("model.safetensors")


def faults(*entries):
    return ["--set", f"faults=[{', '.join(entries)}]"]


def broker_restart_at_every_phase():
    """In a round each; the leader goes on when it has reached the new broker, and nobody was missed."""
    long = ["--set", "session.server_training_config.num_training_rounds=8", "--set", "expect=[rounds == 8, lost_rounds == 0]"]
    restarts = [f"{{round: {2 + i}, phase: {phase}, do: broker-restart}}" for i, phase in enumerate(PHASES)]
    with Run(BASE, *long, *faults(*restarts)) as run:
        run.expect_exit(0)
        require(run.file("model.safetensors") == model_of(*long), "another model")
        require([r["merged"] for r in rounds_of(run)] == ["6"] * 8, run.file("rounds.csv"))
        require([e["state"] for e in run.events("broker")][:12] == ["lost", "connected"] * 6, run.events("broker"))
        require([e["victim"] for e in run.events("fault-recovered")] == ["broker"] * 6, run.events())
        run.expect_nobody_left({})


def broker_kill_for_good():
    """Discovery is over, training is not; a client that dies is missed although nobody says so."""
    with Run(BASE, *faults("{round: 2, do: broker-kill}", "{round: 3, do: kill, clients: [2]}")) as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "6", "5", "5"], run.file("rounds.csv"))


def broker_kill_for_a_time():
    """It is away for longer than a silent client would be given, and clients come back to it later than the leader."""
    with Run(BASE, *faults("{round: 2, do: broker-kill, for: 3s}"), "--set", "heartbeat={interval: 100ms, misses: 2}",
             "--set", "fleet=[{group: far, share: 1, latency: 250ms}]", "--set",
             "session.server_training_config.num_training_rounds=16", "--set", "expect=[rounds == 16, clients_failed == 0]"
             ) as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6"] * 16, run.file("rounds.csv"))
        require([e["state"] for e in run.events("broker")] == ["lost", "connected"], run.events("broker"))


def broker_killed_and_a_client_restarted():
    """Its old connection's last will is gone with the broker: the new process registers with the new broker."""
    with Run(BASE, *faults("{round: 2, do: broker-restart}", "{round: 2, do: restart, clients: [3]}"), "--set",
             "expect=[rounds == 4, lost_rounds == 0]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "5", "6", "6"], run.file("rounds.csv"))


def leader_kill_for_good():
    """The run says so, ends with 3, and leaves nobody behind."""
    for phase in ("selection", "aggregation", "end"):
        with Run(BASE, *faults(f"{{round: 3, phase: {phase}, do: leader-kill}}")) as run:
            run.expect_exit(3)
            require("a fault killed the leader, and none starts another" in run.text, run.text)
            require([e["victim"] for e in run.events("fault-strikes")] == ["leader"], run.events("fault-strikes"))
            done = 3 if phase == "end" else 2
            require(len(run.events("round")) == done, f"{phase}: {len(run.events('round'))} rounds are over")
            run.expect_nobody_left({})


def what_cannot_be_is_refused():
    with Run(BASE, *faults("{round: 2, do: leader-restart}", "{round: 2, do: redis-kill}")) as run:
        run.expect_exit(2)
        require("leader-restart leaves nothing to go on from" in run.text, run.text)
        require("redis-kill needs `redis: embedded`" in run.text, run.text)
        require(not os.path.exists(run.out), "something was started")


main([broker_restart_at_every_phase, broker_kill_for_good, broker_kill_for_a_time, broker_killed_and_a_client_restarted,
      leader_kill_for_good, what_cannot_be_is_refused])
