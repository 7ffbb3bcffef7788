#!/usr/bin/env python3
"""Three hundred processes on one machine: all register, all train, nobody is lost, and they stay small."""

import csv
import io

from harness import BASE, Run, main, require

CLIENTS = 300


def many_clients():
    with Run(BASE, "--clients", str(CLIENTS), "--set", "data.samples_per_client=20", "--set", "data.devices=100",
             "--set", "session.server_training_config.num_training_rounds=2", "--set",
             "expect=[rounds == 2, clients_failed == 0, clients_crashed == 0, updates_merged == 600, pss_idle_mb < 6, "
             "pss_training_mb < 12]") as run:
        run.expect_exit(0)
        require(f"{CLIENTS} clients registered in" in run.text, run.text)
        clients = list(csv.DictReader(io.StringIO(run.file("clients.csv").decode())))
        require(len(clients) == CLIENTS, f"{len(clients)} lines in clients.csv")
        require(all(c["merged"] == "2" for c in clients), "somebody's update was lost")
        require(all(0 < int(c["pss_training_kb"]) for c in clients), "a client's memory is not in clients.csv")


main([many_clients])
