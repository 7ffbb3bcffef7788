#!/usr/bin/env python3
"""Every aggregator that `flosim strategies` lists, in a small simulation with a selection that fits: it learns, every update
comes to one end, and where rounds are synchronous two runs give the same model byte for byte."""

import csv
import io
import os
import re
import subprocess
import sys

from harness import BASE, FLOSIM, Run, require

ROUNDS = 6
CHANCE = 10.0  # percent: ten classes

SGD = "session.client_training_config.optimizer={name: sgd, args: {lr: 0.05}}"
SYNCHRONOUS = {"client_selection": "fedavg", "client_selection_args": "{client_fraction: 0.8}"}
ASYNCHRONOUS = {"client_selection": "fedasync", "client_selection_args": "{client_fraction: 0.7}"}
TIERED = {"client_selection": "fedat",
          "client_selection_args": "{num_tiers: 2, num_clients_selected_per_tier: 2}"}

# What is not as for the others: arguments, the selection that fits, more rounds where one is a single update.
PLANS = {
    "fedasync": {"selection": ASYNCHRONOUS, "rounds": 40, "args": "{mixing_rate: 0.6}"},
    "fedat": {"selection": TIERED, "rounds": 16, "benchmark": True},
    "fedbuff": {"selection": ASYNCHRONOUS, "rounds": 12, "args": "{buffer_size: 3}"},
    "fedadam": {"args": "{eta: 0.1}"},
    "fedyogi": {"args": "{eta: 0.1}"},
    "fedavgm": {"args": "{momentum: 0.5}"},
    "fedprox": {"args": "{mu: 0.1}"},
    "qfedavg": {"args": "{q: 1}"},
    "krum": {"args": "{f: 1}", "clients": 8},
    "multikrum": {"args": "{f: 1}", "clients": 8},
    "norm_clipping": {"args": "{max_norm: 5}"},
    "bulyan": {"args": "{f: 1}", "clients": 10},
}


def listed(kind):
    text = subprocess.run([FLOSIM, "strategies"], stdout=subprocess.PIPE, text=True, check=True).stdout
    section = re.search(rf"^{kind}\b.*\n((?:[ \t].*\n)+)", text, re.MULTILINE)
    require(section, f"`flosim strategies` does not list {kind}:\n{text}")
    names = re.findall(r"^ +(\w+)", section.group(1), re.MULTILINE)
    require(names, f"nothing under {kind}:\n{text}")
    return names


def arguments(name, plan):
    sets = {"aggregator": name, "aggregator_args": plan.get("args", "{}"), **plan.get("selection", SYNCHRONOUS)}
    found = ["--clients", str(plan.get("clients", 6)), "--set", SGD, "--set", "expect=[]",
             "--set", f"session.server_training_config.num_training_rounds={plan.get('rounds', ROUNDS)}"]
    for key, value in sets.items():
        found += ["--set", f"session.session_config.{key}={value}"]
    if plan.get("benchmark"):
        found += ["--set", "session.benchmark_config.skip_benchmark=false"]
    return found


def run_once(name, plan):
    """Model, accuracies; the ledger balances (the program refuses to end well where it does not, and so do we)."""
    with Run(BASE, *arguments(name, plan)) as run:
        run.expect_exit(0)
        sums = re.search(r"updates: (\d+) sent = (\d+) merged \+ (\d+) refused \+ (\d+) failed \+ (\d+) dropped", run.text)
        require(sums, f"no ledger in:\n{run.text}")
        sent, merged, refused, failed, dropped = map(int, sums.groups())
        require(sent == merged + refused + failed + dropped, f"the ledger does not balance: {sums.group()}")
        require(refused == 0, f"updates refused: {sums.group()}")
        # Who still trains when an asynchronous session ends is let go.
        require(failed == 0 or plan.get("selection", SYNCHRONOUS) is not SYNCHRONOUS, f"updates failed: {sums.group()}")
        rounds = list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))
        require(len(rounds) == plan.get("rounds", ROUNDS), f"{len(rounds)} rounds")
        return run.file("model.safetensors"), [float(row["accuracy"]) for row in rounds if row["accuracy"]]


def check(name):
    plan = PLANS.get(name, {})
    model, accuracies = run_once(name, plan)
    require(accuracies[-1] > 3 * CHANCE, f"it did not learn: {accuracies}")
    if plan.get("selection", SYNCHRONOUS) is SYNCHRONOUS:
        again, repeated = run_once(name, plan)
        require(repeated == accuracies, f"other accuracies: {repeated}, {accuracies}")
        require(again == model, "another model")


def main():
    """Arguments on the command line: only these aggregators."""
    selections = listed("selection")
    failures = 0
    for name in sys.argv[1:] or listed("aggregation"):
        selection = PLANS.get(name, {}).get("selection", SYNCHRONOUS)["client_selection"]
        if selection not in selections:
            print(f"skipped: {name}: there is no selection {selection}", flush=True)
            continue
        try:
            check(name)
            print(f"ok: {name}", flush=True)
        except Exception as error:  # every failure is told, the others still run
            failures += 1
            print(f"FAILED: {name}: {error}", flush=True)
    sys.exit(1 if failures else 0)


main()
