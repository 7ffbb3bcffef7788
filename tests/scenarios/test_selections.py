#!/usr/bin/env python3
"""Every selection runs a real session to its end; the synchronous ones give the same model, byte for byte, again."""

import csv
import io
import os
import subprocess

from harness import BASE, FLOSIM, SRCDIR, Run, main, require

SCENARIO = os.path.join(SRCDIR, "tests", "scenarios", "selections.yaml")
CLIENTS = 12

# name: (arguments, how many a round takes; None: it varies)
SYNCHRONOUS = {
    "all_clients": ("{}", [12] * 5),
    "fedavg": ("{client_fraction: 0.5}", [6] * 5),
    "random_subset": ("{client_fraction: 0.5}", [6] * 5),
    "reliable_fedavg": ("{client_fraction: 0.5}", [6] * 5),
    "high_loss": ("{percentage_client_selection: 0.25}", [12, 3, 3, 3, 3]),
    "low_loss": ("{percentage_client_selection: 25%}", [12, 3, 3, 3, 3]),
    "probabilistic_high_loss": ("{percentage_client_selection: 0.25}", [3] * 5),
    "odd_even": ("{percentage_client_selection: 0.5}", [3, 6, 3, 6, 3]),
    "tiered_roundrobin": ("{num_tiers: 4, percentage_client_selection: 0.7}", [12, 2, 2, 2, 2]),
    "tifl_lite": ("{num_tiers: 4, percentage_client_selection: 0.7}", [12, 2, 2, 2, 2]),
    "tifl": ("{num_tiers: 4, num_clients: 2, credits_per_tier: 3, validation_round_interval: 2}", [2] * 5),
    "haccs": ("{num_tiers: 3, client_fraction: 0.25, loss_latency_tradeoff_param: 0.5}", [12, 3, 3, 3, 3]),
    "haccs_lite": ("{num_tiers: 3, percentage_client_selection: 0.25}", [3] * 5),
    "oort": ("{client_fraction: 0.25}", [3] * 5),
    "power_of_choice": ("{client_fraction: 0.25, d: 6}", [3] * 5),
}
ASYNCHRONOUS = {
    "fedasync": ("{client_fraction: 0.5}", "fedasync", "{}"),
    "fedat": ("{num_tiers: 4, num_clients_selected_per_tier: 2}", "fedat", "{}"),
}


def start(name, args, *more):
    return Run(SCENARIO, "--set", f"session.session_config.client_selection={name}",
               "--set", f"session.session_config.client_selection_args={args}", *more)


def rounds_of(run):
    return list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))


def every_selection_is_here():
    help_text = subprocess.run([FLOSIM, "strategies"], capture_output=True, text=True, check=True).stdout
    missing = [name for name in [*SYNCHRONOUS, *ASYNCHRONOUS] if name not in help_text]
    require(not missing, f"`flosim strategies` does not list {missing}")


def check_synchronous(name):
    args, expected = SYNCHRONOUS[name]
    with start(name, args) as run:
        run.expect_exit(0)
        model, found = run.file("model.safetensors"), [int(row["selected"]) for row in rounds_of(run)]
        first_choice = run.events("selected")
    require(found == expected, f"{name} selected {found}, not {expected}")
    with start(name, args, "--slots", "5") as run:
        run.expect_exit(0)
        require(run.file("model.safetensors") == model, f"{name}: another model the second time")
        require([event["clients"] for event in run.events("selected")] ==
                [event["clients"] for event in first_choice], f"{name}: other clients the second time")


def synchronous(name):
    def test():
        check_synchronous(name)
    test.__name__ = name
    return test


def check_asynchronous(name):
    args, aggregator, aggregator_args = ASYNCHRONOUS[name]
    with start(name, args, "--set", f"session.session_config.aggregator={aggregator}",
               "--set", f"session.session_config.aggregator_args={aggregator_args}",
               "--set", "session.server_training_config.num_training_rounds=20",
               "--set", "expect=[rounds == 20, lost_rounds == 0, clients_crashed == 0]") as run:
        run.expect_exit(0)
        require(len(rounds_of(run)) == 20, f"{name}: {len(rounds_of(run))} rounds")


def asynchronous(name):
    def test():
        check_asynchronous(name)
    test.__name__ = name
    return test


def tifl_ends_without_credits():
    """Four tiers with one credit each make four rounds."""
    with start("tifl", "{num_tiers: 4, num_clients: 2, credits_per_tier: 1, validation_round_interval: 10}",
               "--set", "expect=[rounds == 4]") as run:
        run.expect_exit(0)
        require("no tier has credits left" in run.text or
                "no tier has credits left" in run.file("events.jsonl").decode(), f"no reason given:\n{run.text}")


def latency_needs_a_benchmark():
    with start("tiered_roundrobin", "{}", "--set", "session.benchmark_config.skip_benchmark=true") as run:
        run.expect_exit(2)
        require("needs benchmark latencies" in run.text, run.text)


def reliable_fedavg_replaces_the_dead():
    """Two of six die while they train: two others complete the round, and all six updates are merged."""
    with start("reliable_fedavg", "{client_fraction: 0.5}", "--set", "faults=[{round: 2, do: kill, clients: 2}]",
               "--set", "expect=[rounds == 5, lost_rounds == 0]") as run:
        run.expect_exit(0)
        row = rounds_of(run)[1]
        require(row["failed"] == "2", f"two were to fail: {row}")
        require(int(row["merged"]) == 5, f"of ten clients left the round needs five updates: {row}")


def who_has_nothing_to_train_on_is_not_selected():
    """The only item of some clients is held back for validation: they are no clients of this session, and that is said once."""
    with Run(BASE, "--set", "data.scheme=quantity", "--set", "data.skew=3", "--set", "data.samples_per_client=10",
             "--set", "expect=[rounds == 4, lost_rounds == 0, clients_failed == 0]") as run:
        run.expect_exit(0)
        require([(row["selected"], row["merged"]) for row in rounds_of(run)] == [("3", "3")] * 4, run.file("rounds.csv"))
        log = run.file("logs/leader.log").decode()
        require(log.count("it has nothing to train on (1 items") == 3, log)


main([every_selection_is_here, *map(synchronous, SYNCHRONOUS), *map(asynchronous, ASYNCHRONOUS), tifl_ends_without_credits,
      latency_needs_a_benchmark, reliable_fedavg_replaces_the_dead, who_has_nothing_to_train_on_is_not_selected])
