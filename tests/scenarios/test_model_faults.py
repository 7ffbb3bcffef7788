#!/usr/bin/env python3
"""Faults of data and model: what the leader refuses it counts by its reason and tells the client, the round goes on, and
the model is that of a run in which the client had failed; what it cannot see it merges."""

import csv
import io

from harness import BASE, Run, main, require

ALONE = ["--set", "expect=[rounds == 4, lost_rounds == 0]", "--set", "session.session_config.round_deadline_s=3s"]


def faults(*entries):
    return ["--set", f"faults=[{', '.join(entries)}]"]


def model_of(*args):
    with Run(BASE, *ALONE, *args) as run:
        run.expect_exit(0)
        return run.file("model.safetensors")


def refused_by_reason():
    """From round 2 on client 1 is of no use: three failures, whatever it does."""
    failed = model_of(*faults("{round: 2, do: no-reply, clients: [1]}"))
    for what, reason in (("wrong-shape", "shape"), ("duplicate-reply", "stale"), ("corrupt-update, kind: inf", "non_finite"),
                         ("corrupt-update, kind: truncated", "truncated")):
        with Run(BASE, *ALONE, *faults(f"{{round: 2, do: {what}, clients: [1]}}"), "--set",
                 f"expect=[rounds == 4, refused_{reason} == 3, updates_refused == 3, backed_off == 1]") as run:
            run.expect_exit(0)
            require(run.file("model.safetensors") == failed, f"{what}: another model than where the client fails")
            clients = list(csv.DictReader(io.StringIO(run.file("clients.csv").decode())))
            require(sorted(c[f"refused_{reason}"] for c in clients) == ["0"] * 5 + ["3"], clients)
            require(run.file("logs/client-001.log").count(b"the leader refused our update") == 3, f"{what}: not told")


def who_is_backed_off_comes_back():
    args = [*faults("{round: 1, do: wrong-shape, clients: [1]}"), "--set", "session.server_training_config.num_training_rounds=8",
            "--set", "expect=[rounds == 8, backed_off == 3]"]
    with Run(BASE, *args) as run:
        run.expect_exit(0)
        selected = [r["selected"] for r in csv.DictReader(io.StringIO(run.file("rounds.csv").decode()))]
        require(selected == ["6", "6", "6", "5", "6", "5", "5", "6"], selected)


def a_free_rider_without_noise_changes_nothing():
    ride = faults("{round: 1, do: free-rider, noise: 0, clients: all}")
    rounds = ["--set", "session.server_training_config.num_training_rounds=1", "--set", "expect=[]"]
    require(model_of(*ride) == model_of(*ride, *rounds), "the model has moved")


main([refused_by_reason, who_is_backed_off_comes_back, a_free_rider_without_noise_changes_nothing])
