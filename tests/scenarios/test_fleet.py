#!/usr/bin/env python3
"""Devices that come and go by themselves, seen from outside: the roster, the processes, the rounds."""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile

from harness import BASE, SRCDIR, Run, main, require

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


class Files:
    """Traces in a folder of their own."""

    def __init__(self, **traces):
        self.folder = tempfile.TemporaryDirectory()
        for name, content in traces.items():
            with open(self.path(name), "w") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))

    def path(self, name):
        return os.path.join(self.folder.name, name + ".json")

    def options(self, *names, more=""):
        return ["--set", "traces={" + ", ".join(f"{name}: {self.path(name)}" for name in names) + more + "}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def modelled_times(*options):
    """{client: seconds of its first update}"""
    with Run(BASE, *options) as run:
        run.expect_exit(0)
        return {e["client"]: e["time_taken_s"] for e in run.events("update") if e["round"] == 1}


def devices_compute_as_their_traces_say():
    """600e6 operations in 60 ms are the nominal device; two entries go to six clients three times each."""
    nominal = modelled_times()
    link = {"communication": 1e15}
    with Files(capacity={"1": {"computation": 60.0, **link}, "2": {"computation": 240.0, **link}}) as files:
        traced = modelled_times(*files.options("capacity"))
        own = modelled_times(*files.options("capacity"), "--set", "fleet=[{group: own, share: 1, speed: 2}]")
    factors = sorted(round(traced[i] / nominal[i], 3) for i in nominal)
    require(factors == [1, 1, 1, 4, 4, 4], factors)
    factors = [round(own[i] / nominal[i], 3) for i in nominal]
    require(factors == [0.5] * 6, factors)


def links_are_as_slow_as_their_traces_say():
    """Half the rate, twice the time, where computing takes none."""
    slow, fast = ({"1": {"computation": 1e-6, "communication": rate}} for rate in (500, 1000))
    with Files(slow=slow, fast=fast) as files:
        times = [modelled_times("--set", f"traces={{capacity: {files.path(name)}}}") for name in ("slow", "fast")]
    require(all(abs(times[0][i] / times[1][i] - 2) < 0.01 for i in times[0]), times)


def devices_come_and_go_as_their_traces_say():
    """Ten seconds of the trace in one of the session; off at once, on from 5 to 15 of 20 seconds."""
    with Files(availability={"7": {"duration": 20, "finish_time": 20, "active": [5], "inactive": [15]}}) as files:
        with Run(BASE, "--set", "session.server_training_config.num_training_rounds=1200", "--set",
                 "expect=[clients_crashed == 0]", "--set", "fleet=[{group: home, share: 0.5, trace: {on: 1h, off: 1ms}}, "
                 "{group: traced, share: 0.5}]", *files.options("availability", more=", time_scale: 10")) as run:
            run.expect_exit(0)
            turns = [(e["event"], e["t"]) for e in run.events() if e["event"].startswith("device-") and e["client"] == 4]
            require([name for name, _ in turns[:3]] == ["device-off", "device-on", "device-off"], turns)
            require(0.4 <= turns[1][1] - turns[0][1] < 0.9 <= turns[2][1] - turns[1][1], turns)


def the_sample_is_what_the_generator_makes():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, os.path.join(SRCDIR, "datasets", "make-traces"), folder], check=True)
        for name in ("device-capacity.json", "device-availability.json"):
            with open(os.path.join(folder, name)) as made, \
                    open(os.path.join(SRCDIR, "datasets", "samples", name)) as kept:
                require(made.read() == kept.read(), name)
    with Run(BASE, "--set", "traces={capacity: ../../datasets/samples/device-capacity.json, "
             "availability: ../../datasets/samples/device-availability.json, time_scale: 20000}", "--set", "expect=[rounds == 4, clients_crashed == 0]") as run:
        run.expect_exit(0)
        resolved = run.file("scenario.resolved.yaml").decode()
        require(os.path.join(SRCDIR, "datasets/samples/device-capacity.json") in resolved, resolved)


def bad_traces_are_told_all_at_once():
    bad = {"a": {"computation": -1, "communication": "fast"}, "b": 3}
    worse = {"x": {"finish_time": 10, "active": [5, 4], "inactive": [11]}, "y": {"finish_time": 0},
             "z": {"finish_time": 10, "active": [], "inactive": []}}
    with Files(capacity=bad, availability=worse) as files, Run(BASE, *files.options("capacity", "availability")) as run:
        run.expect_exit(2)
        for word in ('device "a": `computation`', 'device "a": `communication`', 'device "b": must be', 'device "x": `active`',
                     'device "x": `inactive`', 'device "y": `finish_time`', 'device "z": is never'):
            require(word in run.text, (word, run.text))
        require(files.path("capacity") in run.text, run.text)
    with Files(capacity='{"1":\n {"computation" 5}}') as files, Run(BASE, *files.options("capacity")) as run:
        run.expect_exit(2)
        require(files.path("capacity") + ":2:" in run.text, run.text)
    with Files(capacity={str(i): {} for i in range(1000)}) as files, Run(BASE, *files.options("capacity")) as run:
        run.expect_exit(2)
        require("and 1980 complaints more" in run.text and run.text.count("\n") < 30, run.text)
    with Run(BASE, "--set", "traces={capacity: nowhere.json}") as run:
        run.expect_exit(2)
        require("nowhere.json" in run.text, run.text)


if __name__ == "__main__":
    main([some_are_there_in_a_round, nobody_by_chance_is_somebody, come_and_go_by_the_clock, what_excludes_each_other,
          devices_compute_as_their_traces_say, links_are_as_slow_as_their_traces_say,
          devices_come_and_go_as_their_traces_say, the_sample_is_what_the_generator_makes,
          bad_traces_are_told_all_at_once])
