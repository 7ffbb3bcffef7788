#!/usr/bin/env python3
"""Each fault on real processes, its effect seen from outside, and what must hold in spite of it."""

import csv
import io
import json
import math
import struct

from harness import BASE, Run, interrupt, main, require


def rounds_of(run):
    return list(csv.DictReader(io.StringIO(run.file("rounds.csv").decode())))


def no_fault():
    with Run(BASE) as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6"] * 4, run.file("rounds.csv"))
        require("24 sent = 24 merged + 0 refused + 0 failed" in run.text, run.text)


def kill_is_for_good():
    with Run(BASE, "--set", "faults=[{round: 2, do: kill, clients: 2}]", "--set",
             "expect=[rounds == 4, clients_failed == 2, clients_crashed == 0]") as run:
        run.expect_exit(0)
        require([(r["selected"], r["merged"], r["failed"]) for r in rounds_of(run)]
                == [("6", "6", "0"), ("6", "4", "2"), ("4", "4", "0"), ("4", "4", "0")], run.file("rounds.csv"))
        require(len(run.events("fault-strikes")) == 2, "the victims are not in events.jsonl")


def fewer_train_than_were_asked_for():
    with Run(BASE, "--set", "faults=[{round: 3, do: kill, clients: 5}]", "--set",
             "session.session_config.client_selection=fedavg", "--set",
             "session.session_config.client_selection_args={client_fraction: 0.5}", "--set", "expect=[]") as run:
        run.expect_exit(0)
        line = "flosim: warning: fault 1: 5 clients asked for, only 3 train in round 3\n"
        require(line in run.text, run.text)
        require(len(run.events("fault-strikes")) == 3, "not all that train were struck")
        require([(e["wanted"], e["struck"]) for e in run.events("fault-short")] == [(5, 3)], run.file("events.jsonl"))


def kill_for_a_time():
    with Run(BASE, "--set", "faults=[{round: 2, do: kill, clients: [3], for: 10ms}, {round: 3, do: restart, clients: [1]}]",
             "--set", "session.server_training_config.num_training_rounds=500", "--set", "expect=[]") as run:
        run.expect_exit(0)
        require({e["client"] for e in run.events("fault-recovered")} == {1, 3}, "the victim did not come back")
        require(rounds_of(run)[-1]["merged"] == "6", "not everybody trains in the last round")


def restart_comes_back_in_the_same_round():
    with Run(BASE, "--set", "faults=[{round: 2, do: restart, clients: 50%}]") as run:
        run.expect_exit(0)
        require([(r["selected"], r["merged"]) for r in rounds_of(run)]
                == [("6", "6"), ("6", "3"), ("6", "6"), ("6", "6")], run.file("rounds.csv"))


def stop_for_a_time_loses_nothing():
    with Run(BASE, "--set", "faults=[{round: 2, do: stop, clients: 1, for: 100ms}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6"] * 4, run.file("rounds.csv"))
        require(len(run.events("fault-recovered")) == 1, "nothing is said of its end")


def a_stopped_client_is_missed():
    with Run(BASE, "--set", "faults=[{round: 2, do: stop, clients: 1}]", "--set",
             "heartbeat={interval: 200ms, misses: 2}") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "5", "5", "5"], run.file("rounds.csv"))


def at_a_time():
    with Run(BASE, "--set", "faults=[{at: 0s, do: kill, clients: [1, 2]}]", "--set",
             "expect=[rounds == 4, clients_failed == 2]") as run:
        run.expect_exit(0)
        require({e["client"] for e in run.events("fault-strikes")} == {1, 2}, "other victims")


def several_in_one_round_strike_different_clients():
    with Run(BASE, "--set",
             "faults=[{round: 3, do: kill, clients: 2}, {round: 3, do: restart, clients: 2}, {round: 4, do: kill, clients: 1}]"
             ) as run:
        run.expect_exit(0)
        struck = [e["client"] for e in run.events("fault-strikes")][:4]
        require(len(set(struck)) == 4, f"struck {struck}")
        require([r["merged"] for r in rounds_of(run)] == ["6", "6", "2", "3"], run.file("rounds.csv"))


def two_faults_of_one_round_share_a_victim():
    """It halts once, for both; each fault sees its own end."""
    with Run(BASE, "--set", "faults=[{round: 2, do: stop, clients: [3], for: 20ms}, {round: 2, do: kill, clients: [3, 4]}]"
             ) as run:
        run.expect_exit(0)
        require([(e["fault"], e["client"]) for e in run.events("fault-strikes")] == [(1, 3), (2, 3), (2, 4)],
                run.events("fault-strikes"))
        require([r["merged"] for r in rounds_of(run)] == ["6", "4", "4", "4"], run.file("rounds.csv"))


def two_restarts_of_one_client_are_one():
    with Run(BASE, "--set", "faults=[{round: 2, do: restart, clients: [3]}, {round: 2, do: restart, clients: [3]}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "5", "6", "6"], run.file("rounds.csv"))
        require(len(run.events("fault-recovered")) == 2, run.events("fault-recovered"))


def a_stop_and_a_restart_of_one_client():
    with Run(BASE, "--set", "faults=[{round: 2, do: stop, clients: [3], for: 1s}, {round: 2, do: restart, clients: [3]}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "5", "6", "6"], run.file("rounds.csv"))


def a_stopped_victim_holds_no_barrier():
    """Stopped before its first mini-batch it never comes to its halt: the leader's giving it up is enough."""
    with Run(BASE, "--set", "faults=[{at: 0s, do: stop, clients: [3]}, {round: 1, do: kill, clients: [2, 3]}]", "--set",
             "heartbeat={interval: 200ms, misses: 2}") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["4"] * 4, run.file("rounds.csv"))


def an_interrupt_ends_a_barrier():
    """Client 3 is stopped and not yet missed, so that the others stay at their halt: they are let go and leave by themselves."""
    with Run(BASE, "--set", "faults=[{at: 0s, do: stop, clients: [3]}, {round: 1, do: kill, clients: [1, 2, 3]}]") as run:
        run.read_until("fault 1: stop")
        interrupt(run.process.pid)
        run.expect_exit(130)
        require("had to be killed" not in run.text, run.text)


def victims_without_a_slot_get_theirs():
    """All victims halt after their first mini-batch although there is one slot: each gives it up at its halt."""
    with Run(BASE, "--slots", "1", "--set", "faults=[{round: 2, do: kill, clients: 4}]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "2", "2", "2"], run.file("rounds.csv"))


def a_fault_that_never_strikes_is_told():
    with Run(BASE, "--set", "faults=[{at: 1h, do: kill, clients: 1}]") as run:
        run.expect_exit(0)
        require("1 fault(s) never struck" in run.text, run.text)


CORRUPT = "faults=[{{round: {}, do: corrupt-update, {}}}]"


def weights_of(run):
    """All floats of the final model, in one list."""
    data = run.file("model.safetensors")
    size = struct.unpack("<Q", data[:8])[0]
    tensors = [t for name, t in sorted(json.loads(data[8:8 + size]).items()) if name != "__metadata__"]
    return [x for t in tensors for x in
            struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f",
                          data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])]


def norm(values):
    return math.sqrt(sum(x * x for x in values))


def model_after(rounds, *args):
    with Run(BASE, "--set", f"session.server_training_config.num_training_rounds={rounds}", "--set", "expect=[]", *args) as run:
        run.expect_exit(0)
        return weights_of(run)


def close(found, expected):
    return norm([a - b for a, b in zip(found, expected)]) <= 1e-5 * (1 + norm(expected))


def stretched_updates():
    """All lie: w1 = w0 + 3 u, and w0 - 2 u, from the first round's first request on."""
    honest = model_after(1)
    scaled = model_after(1, "--set", CORRUPT.format(1, "kind: scale, factor: 3, clients: all"))
    flipped = model_after(1, "--set", CORRUPT.format(1, "kind: sign-flip, factor: 2, clients: all"))
    same = model_after(1, "--set", CORRUPT.format(1, "kind: scale, factor: 1, clients: all"))
    start = [(3 * w - s) / 2 for w, s in zip(honest, scaled)]
    require(norm([a - b for a, b in zip(honest, start)]) > 0.01, "the honest clients learnt nothing")
    require(close(same, honest), "a factor of 1 changes something")
    require(close(flipped, [3 * x - 2 * w for x, w in zip(start, honest)]), "sign-flip is not w0 - factor u")


def gaussian_updates():
    """The noise has its sigma, is another in each client and round, and the same in each run."""
    kind = CORRUPT.format(1, "kind: gaussian, sigma: 5, clients: all")
    once, again, later = model_after(1, "--set", kind), model_after(1, "--set", kind), model_after(2, "--set", kind)
    require(once == again, "the same seed gives other noise")
    for n, noise in ((1, once), (2, later)):  # the mean of six clients' noise, n rounds
        deviation = norm(noise) / math.sqrt(len(noise))
        require(abs(deviation / (5 * math.sqrt(n / 6)) - 1) < 0.1, f"deviation {deviation} after {n} round(s)")


def zero_updates():
    require(norm(model_after(1, "--set", CORRUPT.format(1, "kind: zero, clients: all"))) == 0, "not zero")


def nan_updates_are_refused():
    """The same two of all clients in every round, whoever is selected."""
    with Run(BASE, "--set", CORRUPT.format(1, "kind: nan, clients: 2"), "--set", "expect=[rounds == 4, clients_crashed == 0]") as run:
        run.expect_exit(0)
        require([(r["selected"], r["merged"]) for r in rounds_of(run)] == [("6", "4")] * 3 + [("4", "4")], run.file("rounds.csv"))
        require("22 sent = 16 merged + 6 refused + 0 failed" in run.text, run.text)
        struck = [e["client"] for e in run.events("fault-strikes")]
        require(len(set(struck)) == 2 and len(struck) == 2, struck)
        require(not run.events("fault-noticed"), "nobody can have noticed")


def victims_are_drawn_from_all_clients():
    """Two of six are selected in round 1; half of all lie from then on, selected or not."""
    with Run(BASE, "--set", CORRUPT.format(1, "kind: nan, clients: 50%"), "--set",
             "session.session_config.client_selection=fedavg", "--set",
             "session.session_config.client_selection_args={client_fraction: 0.34}", "--set", "expect=[]", "--set",
             "session.server_training_config.num_training_rounds=8") as run:
        run.finish()  # a round whose two both lie is lost
        struck = {e["client_id"] for e in run.events("fault-strikes")}
        refused = {e["client"] for e in run.events("failure") if e["kind"] == "refused"}
        merged = {e["client"] for e in run.events("update")}
        require(len(struck) == 3, struck)
        require(refused and refused <= struck and not merged & struck, f"struck {struck}, refused {refused}, merged {merged}")


def corrupt_from_a_later_round_on():
    with Run(BASE, "--set", CORRUPT.format(3, "kind: nan, clients: [0, 5]"), "--set", "expect=[]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["6", "6", "4", "4"], run.file("rounds.csv"))


def corrupt_for_a_time():
    with Run(BASE, "--set", CORRUPT.format(2, "kind: nan, clients: [1], for: 500ms"), "--set",
             "session.server_training_config.num_training_rounds=500", "--set", "expect=[]") as run:
        run.expect_exit(0)
        merged = [r["merged"] for r in rounds_of(run)]
        require(merged[0] == "6" and merged[1] == "5" and merged[-1] == "6", merged)
        require([e["client"] for e in run.events("fault-undone")] == [1], "nothing is said of its end")


def a_corrupt_client_may_die_too():
    """A new process of the same client still lies; other faults of the round strike others."""
    with Run(BASE, "--set", "faults=[{round: 1, do: corrupt-update, kind: nan, clients: [2]}, "
             "{round: 2, do: restart, clients: [2]}]", "--set", "expect=[]") as run:
        run.expect_exit(0)
        require([r["merged"] for r in rounds_of(run)] == ["5"] * 4, run.file("rounds.csv"))
        require([r["failed"] for r in rounds_of(run)][1] == "1", run.file("rounds.csv"))


if __name__ == "__main__":
    main([no_fault, kill_is_for_good, fewer_train_than_were_asked_for, kill_for_a_time,
          restart_comes_back_in_the_same_round, stop_for_a_time_loses_nothing,
          a_stopped_client_is_missed, at_a_time, several_in_one_round_strike_different_clients,
          two_faults_of_one_round_share_a_victim, two_restarts_of_one_client_are_one,
          a_stop_and_a_restart_of_one_client, a_stopped_victim_holds_no_barrier, an_interrupt_ends_a_barrier, victims_without_a_slot_get_theirs, a_fault_that_never_strikes_is_told,
          stretched_updates, gaussian_updates, zero_updates, nan_updates_are_refused, victims_are_drawn_from_all_clients,
          corrupt_from_a_later_round_on, corrupt_for_a_time, a_corrupt_client_may_die_too])
