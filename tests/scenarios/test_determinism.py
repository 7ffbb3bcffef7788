#!/usr/bin/env python3
"""The same scenario gives the same model, byte for byte: with other slots, while other work loads the machine, with its
faults, from its resolved scenario; and another seed gives another one."""

import csv
import io
import os
import subprocess

from harness import SRCDIR, Run, main, require

QUICKSTART = os.path.join(SRCDIR, "scenarios", "quickstart.yaml")
SHORT = ["--clients", "12", "--set", "data.samples_per_client=100", "--set", "data.validation_samples=500",
         "--set", "session.server_training_config.num_training_rounds=5",
         "--set", "expect=[rounds == 5, clients_failed == 2, lost_rounds == 0]"]


def results(scenario, *args):
    """The model's bytes, the metrics that must repeat, and the resolved scenario."""
    with Run(scenario, *args) as run:
        run.expect_exit(0)
        rounds = csv.DictReader(io.StringIO(run.file("rounds.csv").decode()))
        keys = ["round", "selected", "merged", "refused", "failed", "accuracy", "loss", "train_loss", "train_accuracy",
                "modelled_s"]
        return run.file("model.safetensors"), [[r[key] for key in keys] for r in rounds], run.file("scenario.resolved.yaml")


FIRST = results(QUICKSTART, *SHORT, "--slots", "2")


def require_same(found, what):
    require(found[1] == FIRST[1], f"{what}: other metrics:\n{found[1]}\n{FIRST[1]}")
    require(found[0] == FIRST[0], f"{what}: another model")


def again():
    found = results(QUICKSTART, *SHORT, "--slots", "2")
    require_same(found, "the same again")
    require(found[2] == FIRST[2], "another resolved scenario")


def with_one_slot():
    require_same(results(QUICKSTART, *SHORT, "--slots", "1"), "one slot")


def with_more_slots_threads_and_load():
    load = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
    try:
        require_same(results(QUICKSTART, *SHORT, "--slots", "7", "--set", "threads=3"), "seven slots under load")
    finally:
        for process in load:
            process.kill()
            process.wait()


def from_the_resolved_scenario():
    path = os.path.join(os.environ.get("builddir", "."), "tests", "scenarios", "resolved.yaml")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(FIRST[2])
    try:
        require_same(results(path), "the resolved scenario")
    finally:
        os.remove(path)


def restarted_while_beating():
    """A client that starts anew beats soon; only its advert tells the leader where it is now."""
    faults = ", ".join(f"{{round: {i}, do: restart, clients: 4}}" for i in range(1, 11))
    found = results(os.path.join(SRCDIR, "tests", "scenarios", "base.yaml"), "--clients", "12", "--set", f"faults=[{faults}]",
                    "--set", "session.server_training_config.num_training_rounds=11", "--set", "expect=[]",
                    "--set", "session.session_config.backoff_after=0", "--set", "heartbeat={interval: 100ms, misses: 20}")
    for row in found[1][:10]:
        require(row[1:5] == ["12", "8", "0", "4"], f"not four updates lost, and only these: {row}")


def with_restarts():
    args = [*SHORT, "--set", "faults=[{round: 2, do: restart, clients: 2}, {round: 4, do: kill, clients: 1}]",
            "--set", "expect=[rounds == 5]"]
    first, second = results(QUICKSTART, *args), results(QUICKSTART, *args, "--slots", "5")
    require(first[:2] == second[:2], "restarts do not repeat")
    require(first[0] != FIRST[0], "the faults made no difference")


def with_unlike_devices():
    args = [*SHORT, "--set", "fleet=[{group: a, share: 0.5}, {group: b, share: 0.5, speed: 40, uplink: 100Mbit, latency: 1ms}]",
            "--set", "session.client_training_config.train_timeout_duration_s=0.03"]
    first, second = results(QUICKSTART, *args), results(QUICKSTART, *args, "--slots", "5")
    require(first[:2] == second[:2], "trainings cut at their modelled time do not repeat")
    require(first[0] != FIRST[0], "the timeout cut nothing")


def another_seed():
    require(results(QUICKSTART, *SHORT, "--seed", "43")[0] != FIRST[0], "the seed makes no difference")


main([again, with_one_slot, with_more_slots_threads_and_load, from_the_resolved_scenario, with_restarts, restarted_while_beating,
      with_unlike_devices, another_seed])
