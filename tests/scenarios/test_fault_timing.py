#!/usr/bin/env python3
"""When faults happen, to whom, how long, and what follows them: on real runs, from their events and rounds."""

import re

from harness import BASE, Run, main, require
from test_faults import rounds_of


def rounds(n):
    return "--set", f"session.server_training_config.num_training_rounds={n}"


def run_with(faults, *args, scenario=BASE, code=0, num_rounds=8):
    """A finished run: (rounds.csv, events)."""
    with Run(scenario, "--set", f"faults=[{faults}]", "--set", "expect=[]", *rounds(num_rounds), *args) as run:
        run.expect_exit(code)
        run.events_were = run.events()
        run.rounds_were = rounds_of(run)
        return run


def strikes(run, fault=1, event="fault-strikes"):
    return [e for e in run.events_were if e["event"] == event and e["fault"] == fault]


def merged(run):
    return [int(r["merged"]) for r in run.rounds_were]


def a_range_of_rounds():
    """Each round of the range loses its two; they come back for the next."""
    run = run_with("{round: 3-6, do: restart, clients: 2}")
    require(merged(run) == [6, 6, 4, 4, 4, 4, 6, 6], run.rounds_were)
    require([e["occurrence"] for e in strikes(run)] == [0, 0, 1, 1, 2, 2, 3, 3], strikes(run))
    victims = [tuple(e["client"] for e in strikes(run) if e["occurrence"] == i) for i in range(4)]
    require(len(set(victims)) > 1, f"the same victims each time: {victims}")


def every_second_round():
    require(merged(run_with("{every: 2 rounds, do: restart, clients: 1}")) == [6, 5, 6, 5, 6, 5, 6, 5], "not in 2, 4, 6, 8")
    require(merged(run_with("{round: 3-7, every: 2 rounds, do: restart, clients: 1}")) == [6, 6, 5, 6, 5, 6, 5, 6],
            "not in 3, 5, 7")


def killed_for_two_rounds():
    """It is away in rounds 3 and 4, and back before clients are selected for round 5, whatever the clock says."""
    run = run_with("{round: 3, do: kill, clients: 2, for: 2 rounds}")
    require([(int(r["selected"]), int(r["merged"])) for r in run.rounds_were]
            == [(6, 6), (6, 6), (6, 4), (4, 4), (6, 6), (6, 6), (6, 6), (6, 6)], run.rounds_were)
    require(len(strikes(run, 1, "fault-recovered")) == 2, run.events_were)


def the_broker_is_away_for_two_rounds():
    run = run_with("{round: 3, phase: end, do: kill, whom: broker, for: 2 rounds}")
    require(merged(run) == [6] * 8, run.rounds_were)
    require([e["victim"] for e in strikes(run, 1, "fault-recovered")] == ["broker"], run.events_were)


def all_that_were_selected():
    run = run_with("{round: 3, do: restart, clients: selected}", "--set",
                   "session.session_config.client_selection=fedavg", "--set",
                   "session.session_config.client_selection_args={client_fraction: 0.5}")
    selected = [r for r in run.rounds_were if r["round"] == "3"]
    require(len(strikes(run)) == 3, f"not the three that were selected: {strikes(run)}, {selected}")


def one_after_another():
    """The second begins a round after the first is over, the third another round later."""
    run = run_with("{round: 2, then: [{do: restart, clients: 1}, {delay: 1 round, do: restart, clients: 2}, "
                   "{delay: 2 rounds, do: kill, clients: 3}]}")
    require(merged(run) == [6, 5, 4, 6, 3, 3, 3, 3], run.rounds_were)
    require([len(strikes(run, fault)) for fault in (1, 2, 3)] == [1, 2, 3], run.events_were)


def one_after_another_by_the_clock():
    """A leader stays dead until what follows its end starts another."""
    run = run_with("{round: 2, phase: end, then: [{do: leader-kill}, {delay: 50ms, do: leader-restart}]}", "--set",
                   "redis=embedded")
    require(merged(run) == [6] * 8, run.rounds_were)
    require(strikes(run, 2)[0]["t"] - strikes(run, 1)[0]["t"] >= 0.05, "without its delay")


def at_times():
    """One strike per tick as long as the session runs: the first at its time, the others no closer than the interval."""
    run = run_with("{at: 100ms, every: 150ms, do: stop, clients: 1, for: 20ms}", num_rounds=150)
    times = [e["t"] for e in strikes(run)]
    require(len(times) >= 3, f"strikes at {times}")
    require([e["occurrence"] for e in strikes(run)] == list(range(len(times))), strikes(run))
    first = times[0] - 0.1
    for i, t in enumerate(times):
        require(t >= first + 0.1 + i * 0.15 - 0.02, f"strike {i} comes too early: {times}")


def lifetimes():
    """Each client fails by itself, is repaired, and fails again; never twice at once."""
    run = run_with("{mttf: 400ms, mttr: 50ms, do: stop, clients: [1, 4]}", num_rounds=300)
    require({e["client"] for e in strikes(run)} == {1, 4}, strikes(run))
    require(len(strikes(run)) >= 4, strikes(run))
    for client in (1, 4):
        order = [e["event"] for e in run.events_were if e.get("client") == client
                 and e["event"] in ("fault-strikes", "fault-recovered")]
        require(order[:-1] == [("fault-strikes", "fault-recovered")[i % 2] for i in range(len(order) - 1)], order)
    again = run_with("{mttf: 400ms, mttr: 50ms, do: stop, clients: [1, 4]}", num_rounds=60)
    firsts = [[e["client"] for e in strikes(r)][:1] for r in (run, again)]
    require(firsts[0] == firsts[1] or not firsts[1], f"another one fails first: {firsts}")


def a_leader_stands_still():
    run = run_with("{round: 2, phase: end, do: stop, whom: leader, for: 300ms}")
    require(merged(run) == [6] * 8, run.rounds_were)
    undone, struck = strikes(run, 1, "fault-undone")[0], strikes(run)[0]
    require(undone["t"] - struck["t"] >= 0.29, run.events_were)


def once_a_figure_is_so():
    """In the round after the one at whose end it held, once."""
    calm = run_with("")
    losses = [float(r["loss"]) for r in calm.rounds_were]
    limit = losses[2] * 1.00001
    first = next(i for i, loss in enumerate(losses) if loss <= limit)
    run = run_with(f"{{when: loss <= {limit}, do: restart, clients: 2}}, {{when: rounds >= 5, phase: end, do: broker-restart}}, "
                   "{when: rounds >= 100, do: kill, clients: all}")
    require(merged(run) == [4 if i == first + 1 else 6 for i in range(8)], (losses, run.rounds_were))
    require([len(strikes(run, fault)) for fault in (1, 2, 3)] == [2, 1, 0], run.events_were)
    require("1 fault(s) never struck" in run.text, run.text)


ASYNCHRONOUS = "session.session_config.client_selection=fedasync", "session.session_config.client_selection_args={client_fraction: 0.7}"
TIERED = ("session.session_config.client_selection=fedat", "session.benchmark_config.skip_benchmark=false",
          "session.session_config.client_selection_args={num_tiers: 2, num_clients_selected_per_tier: 2}")
STRATEGIES = {"fedasync": ("{}", ASYNCHRONOUS), "fedbuff": ("{buffer_size: 3}", ASYNCHRONOUS), "fedat": ("{}", TIERED)}
MANY = ("{round: 2-5, do: restart, clients: 1}, {round: 4, do: kill, clients: 1, for: 2 rounds}, "
        "{every: 3 rounds, do: corrupt-update, kind: zero, clients: 1, for: 1 round}, "
        "{round: 6, phase: aggregation, do: restart, whom: broker}, {round: 7, do: redis-restart}, "
        "{round: 7, do: stop, clients: 1, for: 50ms}, {when: rounds >= 3, do: stop, clients: selected, for: 50ms}, "
        "{round: 8, then: [{do: restart, clients: 1}, {delay: 1 round, do: restart, clients: 1}]}")


def asynchronous_sessions_are_not_held():
    """What finds its round strikes, what does not strikes later; the session goes on and its ledger balances."""
    for name, (args, selection) in STRATEGIES.items():
        sets = [word for key in (f"session.session_config.aggregator={name}", f"session.session_config.aggregator_args={args}",
                                 "redis=embedded", *selection) for word in ("--set", key)]
        run = run_with(MANY, *sets, num_rounds=60)
        struck = {int(n) for n in re.findall(r"^fault (\d+): \S+ in round", run.text, re.MULTILINE)}
        require(struck >= {1, 2, 3, 7}, f"{name}: only {struck} struck:\n{run.text}")
        never = sum(int(line.split()[2]) for line in run.text.splitlines() if "never struck" in line)
        require(len(struck) + never >= 8, f"{name}: a fault is lost: {struck}:\n{run.text}")
        require(len(run.rounds_were) == 60, f"{name}: {run.rounds_were}")


def a_failed_run_says_how_to_repeat_it():
    """The command repeats its victims, faults, expectations and strategy."""
    with Run(BASE, "--clients", "8", "--seed", "5", "--set", "faults=[{round: 2-3, do: kill, clients: 1}]", "--set",
             "expect=[rounds == 9]", "--set", "session.session_config.client_selection=fedavg", "--set",
             "session.session_config.client_selection_args={client_fraction: 0.5}") as run:
        run.expect_exit(1)
        line = [l for l in run.text.splitlines() if l.startswith("flosim: to repeat this run: flosim ")]
        require(len(line) == 1, run.text)
        with Run(line[0].split()[-1]) as again:
            again.expect_exit(1)
            require("FAIL  expected rounds == 9" in again.text, again.text)
            require(again.file("model.safetensors") == run.file("model.safetensors"), "another model")
            victims = [[(e["occurrence"], e["client"]) for e in r.events("fault-strikes")] for r in (run, again)]
            require(victims[0] == victims[1] and len(victims[0]) == 2, victims)


ALL = ("{round: 2-4, do: restart, clients: 2}, {every: 3 rounds, do: corrupt-update, kind: gaussian, clients: 2, for: 2 rounds}, "
       "{round: 5, do: kill, clients: 20%, for: 2 rounds}, "
       "{round: 6, then: [{do: restart, clients: 1}, {delay: 1 round, do: corrupt-update, kind: scale, clients: 1, for: 1 round}, "
       "{delay: 1 round, do: kill, clients: 1}]}, {when: rounds >= 4, do: restart, clients: 3}")


def what_is_tied_to_rounds_repeats():
    """Ranges, every, then and for rounds: the same victims and the same bytes, with other slots."""
    found = []
    for slots in ("1", "3"):
        with Run(BASE, "--slots", slots, "--clients", "10", "--set", f"faults=[{ALL}]", "--set", "expect=[]", *rounds(10)) as run:
            run.expect_exit(0)
            order = sorted((e["fault"], e["occurrence"], e["client"]) for e in run.events("fault-strikes"))
            found.append((run.file("model.safetensors"), order, [(r["selected"], r["merged"]) for r in rounds_of(run)]))
    require(found[0][1] == found[1][1], f"other victims: {found[0][1]}, {found[1][1]}")
    require(found[0][2] == found[1][2], f"other rounds: {found[0][2]}, {found[1][2]}")
    require(found[0][0] == found[1][0], "another model")
    require({fault for fault, _, _ in found[0][1]} == set(range(1, 8)), f"not all struck: {found[0][1]}")


if __name__ == "__main__":
    main([a_range_of_rounds, every_second_round, killed_for_two_rounds, the_broker_is_away_for_two_rounds,
          all_that_were_selected, one_after_another, one_after_another_by_the_clock, at_times, lifetimes,
          a_leader_stands_still, once_a_figure_is_so, asynchronous_sessions_are_not_held, a_failed_run_says_how_to_repeat_it,
          what_is_tied_to_rounds_repeats])
