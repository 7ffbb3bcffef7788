#!/usr/bin/env python3
"""Clients that join later, ports that others have taken, folders that cannot be written: seen from outside."""

import csv
import io
import os
import stat

from harness import BASE, Run, main, require

LONG = ["--set", "session.server_training_config.num_training_rounds=600", "--set", "expect=[clients_crashed == 0]"]
CHECKPOINTS = ["--set", "session.session_config.checkpoint_interval=1"]


def merged(run):
    return [int(r["merged"]) for r in csv.DictReader(io.StringIO(run.file("rounds.csv").decode()))]


def joins_in_its_round():
    """No process before it, no waiting for it, one more update from the next round on; two runs agree."""
    models = []
    for _ in range(2):
        with Run(BASE, "--set", "faults=[{round: 2, do: join, clients: 2}]") as run:
            run.read_until("clients registered")
            require("4 clients registered" in run.text, run.text)
            run.expect_exit(0)
            require(merged(run) == [4, 4, 6, 6], merged(run))
            joined = {e["client"] for e in run.events("fault-strikes")}
            require(len(joined) == 2, joined)
            models.append(run.file("model.safetensors"))
    require(models[0] == models[1], "the models differ")


def joins_at_a_time():
    with Run(BASE, *LONG, "--set", "faults=[{at: 300ms, do: join, clients: [5]}]") as run:
        run.read_until("fault 1: join")
        run.expect_exit(0)
        require(merged(run)[0] == 5 and merged(run)[-1] == 6, merged(run))
        require("client-005" in " ".join(os.listdir(os.path.join(run.out, "logs"))), run.text)


def cannot_join_twice():
    for fault in ("{round: 2-3, do: join, clients: 1}", "{mttf: 5s, do: join, clients: 1}", "{round: 1, do: join, clients: all}"):
        with Run(BASE, "--set", f"faults=[{fault}]") as run:
            run.expect_exit(2)
            require("join" in run.text, run.text)


def finds_its_port_taken():
    """It says so and ends, without being a crash; then it is back, on that port."""
    with Run(BASE, *LONG, "--set", "faults=[{round: 2, do: port-taken, clients: [1], for: 500ms}]") as run:
        run.expect_exit(0)
        log = run.file("logs/client-001.log").decode()
        require("cannot listen on 127.0.0.1:" in log and "in use" in log, log)
        port = log.split("cannot listen on 127.0.0.1:")[1].split(":")[0].split()[0]
        require(log.rindex(f"127.0.0.1:{port}") > log.index("cannot listen"), log)
        require([e["client"] for e in run.events("fault-recovered")] == [1], run.text)
        require(merged(run)[0] == 6 and merged(run)[1] == 5 and merged(run)[-1] == 6, merged(run))


def writable(folder):
    return [bool(os.stat(path).st_mode & stat.S_IWUSR) for path, _, _ in os.walk(folder)]


def cannot_write_its_checkpoints():
    """The leader says so, goes on, and writes them again; the files can be removed at the end."""
    with Run(BASE, *CHECKPOINTS, "--set", "session.server_training_config.num_training_rounds=8", "--set",
             "expect=[rounds == 8, event checkpoint_failed, clients_failed == 0]", "--set",
             "faults=[{round: 3, do: read-only, whom: leader, for: 2 rounds, phase: selection}]") as run:
        run.expect_exit(0)
        failed = [e["round"] for e in run.events("checkpoint_failed")]
        written = [e["round"] for e in run.events("checkpoint")]
        require(3 in failed and set(failed) <= {2, 3, 4}, (failed, written))
        require(8 in written and any(r in written for r in (5, 6, 7)), (failed, written))
        require(all(writable(os.path.join(run.out, "checkpoints"))), "still read-only")


def cannot_write_its_folder():
    """One that is restarted meanwhile says so and ends; it is back when its folder can be written."""
    with Run(BASE, *LONG, "--set", "expect=[rounds == 600]", "--quiet", "--set",
             "faults=[{round: 2, do: read-only, clients: [2], for: 1s}, {round: 2, do: restart, clients: [2]}]") as run:
        run.expect_exit(0)
        require(b"ermission denied" in run.file("logs/client-002.log"), run.file("logs/client-002.log"))
        require(merged(run)[1] == 5 and merged(run)[-1] == 6, merged(run))


def is_writable_whatever_ends_it():
    with Run(BASE, *CHECKPOINTS, "--set", "faults=[{round: 2, do: read-only, whom: leader}]") as run:
        run.expect_exit(0)
        require(run.events("checkpoint_failed"), run.text)
        require(all(writable(os.path.join(run.out, "checkpoints"))), "still read-only")
        require(not os.path.exists(os.path.join(run.out, "tmp")), "its temp folder is left")


if __name__ == "__main__":
    main([joins_in_its_round, joins_at_a_time, cannot_join_twice, finds_its_port_taken, cannot_write_its_checkpoints,
          cannot_write_its_folder, is_writable_whatever_ends_it])
