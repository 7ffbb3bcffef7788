#!/usr/bin/env python3
"""Devices that come and go by themselves, seen from outside: the roster, the processes, the rounds."""

import csv
import io

from harness import BASE, Run, main, require

ROUNDS = ["--set", "session.server_training_config.num_training_rounds=12"]
HALF = ["--set", "fleet=[{group: home, share: 0.5}, {group: street, share: 0.5, availability: 50%}]"]


def selected(run):
    return [int(r["selected"]) for r in csv.DictReader(io.StringIO(run.file("rounds.csv").decode()))]


def rounds_with_whom(run):
    """[set of client ids] of each round."""
    return [set(e["clients"]) for e in run.events("selected")]


def some_are_there_in_a_round():
    """Half of the fleet always, the others now and then; nobody crashed, nothing was lost, two runs agree."""
    models, there = [], []
    for _ in range(2):
        with Run(BASE, *ROUNDS, *HALF, "--set", "expect=[rounds == 12, clients_crashed == 0, clients_failed == 0]") as run:
            run.expect_exit(0)
            there.append(rounds_with_whom(run))
            models.append(run.file("model.safetensors"))
            counts = selected(run)
            require(min(counts) >= 3 and max(counts) <= 6 and 3 * 12 + 6 < sum(counts) < 6 * 12 - 6, counts)
            off = run.events("device-off")
            gone = [e for e in run.events("roster") if e["state"] != "active" and
                    e["client"] in {o["client_id"] for o in off}]
            require(len(gone) >= len(off) > 0 and all(e["client"] >= 3 for e in off), (off, gone))
    require(there[0] == there[1], there)
    require(models[0] == models[1], "the models differ")


def nobody_by_chance_is_somebody():
    with Run(BASE, "--set", "fleet=[{group: rare, share: 1, availability: 0}]") as run:
        run.expect_exit(0)
        require(selected(run) == [1] * 4, selected(run))


def come_and_go_by_the_clock():
    """The processes of those that are off are gone, and others take their place."""
    with Run(BASE, "--set", "session.server_training_config.num_training_rounds=1500", "--set", "expect=[clients_crashed == 0]",
             "--set", "fleet=[{group: home, share: 0.5}, {group: shift, share: 0.5, trace: {on: 1s, off: 500ms}}]") as run:
        run.expect_exit(0)
        on, off = run.events("device-on"), run.events("device-off")
        require(off and on and all(e["client"] >= 3 for e in on + off), (on, off))
        came = {e["client"] for e in run.events("roster") if e["state"] == "active"}
        require({e["client_id"] for e in on} <= came, on)
        require(min(selected(run)) < 6, "everybody was there all the time")


def what_excludes_each_other():
    with Run(BASE, "--set", "fleet=[{group: a, share: 1, availability: 0.5, trace: {on: 1s, off: 1s}}]") as run:
        run.expect_exit(2)
        require("exclude each other" in run.text, run.text)
    with Run(BASE, "--set", "fleet=[{group: a, share: 1, trace: {off: 1s}}]") as run:
        run.expect_exit(2)
        require("needs `on` and `off`" in run.text, run.text)


if __name__ == "__main__":
    main([some_are_there_in_a_round, nobody_by_chance_is_somebody, come_and_go_by_the_clock, what_excludes_each_other])
