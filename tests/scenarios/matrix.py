#!/usr/bin/env python3
"""Every kind of fault with five strategies, several in one run in rounds of their own, as a markdown table. Of each: the
fault was seen, had its effect, the victim came back, the ledger balances, and the accuracy is that of a run without faults.
Where rounds are synchronous two runs give the same model byte for byte.

FLOSIM_MATRIX_PART=0, 1 or 2 runs a third, `all` everything; the default goes by the day. Arguments: only these strategies
or groups of faults."""

import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import harness
from harness import FLOSIM, SRCDIR, Run, require

MATRIX = os.path.join(SRCDIR, "tests", "scenarios", "matrix.yaml")
CLIENTS = 10
POINTS = 3.0  # of accuracy that the faults may cost
FIRST = 4     # round of the first fault
harness.DEADLINE_S = 300

# W: rounds that a fault holds, so that its victim is asked in them; step: rounds from one fault to the next; tail: behind the last.
ASYNCHRONOUS = {"client_selection": "fedasync", "client_selection_args": "{client_fraction: 0.7}"}
STRATEGIES = {
    "fedavg": {"W": 1, "step": 2, "tail": 8, "same": True,
               "sets": {"aggregator": "fedavg", "client_selection": "all_clients"}},
    "fedasync": {"W": 20, "step": 24, "tail": 60,
                 "sets": {"aggregator": "fedasync", "aggregator_args": "{mixing_rate: 0.4}", **ASYNCHRONOUS}},
    "fedat": {"W": 4, "step": 6, "tail": 24, "benchmark": True,
              "sets": {"aggregator": "fedat", "client_selection": "fedat",
                       "client_selection_args": "{num_tiers: 2, num_clients_selected_per_tier: 4}"}},
    "tifl": {"W": 3, "step": 4, "tail": 12, "same": True, "benchmark": True,
             "sets": {"aggregator": "fedavg", "client_selection": "tifl", "client_selection_args":
                      "{num_tiers: 2, num_clients: 4, credits_per_tier: 1000, validation_round_interval: 5}"}},
    "fedbuff": {"W": 6, "step": 8, "tail": 24,
                "sets": {"aggregator": "fedbuff", "aggregator_args": "{buffer_size: 3}", **ASYNCHRONOUS}},
}

# What goes by the clock, or by where an allocation fails, does not repeat byte for byte.
BY_THE_CLOCK = {"silence", "loops", "limits", "network"}
W = "{W} rounds"
IMAGES = ["--set", "data={source: fashion-mnist, scheme: iid, samples_per_client: 40, validation_samples: 200}", "--set",
          "session.client_training_config.model_id=LeNet5", "--set", f"session.server_training_config.model_dir={SRCDIR}/models/LeNet5",
          "--set", "session.client_training_config.dataset=fashion-mnist"]
GROUPS = {"lies": [], "images": IMAGES, "silence": ["--set", "session.session_config.round_deadline_s=4"], "processes": [], "loops": [],
          "limits": [], "servers": [], "network": []}

# What a group holds: (kind, arguments, for, effect). Effects: `refused`, the leader refuses an update of the victim; `failed`,
# a request of it fails; `away`, the leader misses it; `leader`, `broker`: it is lost and found; None: nobody need see it.
ROWS = {
    "lies": [
        ("corrupt-update", "kind: nan", W, "refused"), ("corrupt-update", "kind: inf", W, "refused"),
        ("corrupt-update", "kind: truncated", W, "refused"), ("corrupt-update", "kind: zero", W, None),
        ("corrupt-update", "kind: gaussian, sigma: 0.1", W, None), ("corrupt-update", "kind: sign-flip, factor: 1", W, None),
        ("corrupt-update", "kind: scale, factor: 2", W, None), ("corrupt-update", "kind: bit-flip", W, None),
        ("stale-update", "", W, None), ("duplicate-reply", "", W, "refused"), ("wrong-shape", "", W, "refused"),
        ("label-flip", "", W, None), ("free-rider", "", W, None), ("clock-skew", "offset: 1h", W, None)],
    "images": [("backdoor", "", W, None), ("label-flip", "from: 1, to: 7", W, None)],
    "silence": [("no-reply", "", W, "failed"), ("pause", "", "300ms", None), ("slow-cpu", "factor: 20", W, None)],
    "processes": [
        ("kill", "", W, "away"), ("restart", "", None, "away"), ("stop", "", W, "away"), ("leave", "", W, "away"),
        ("oom-kill", "", None, "away")],
    "loops": [("crash-loop", "", "1s", "away")],
    "limits": [("memory-limit", "", W, None), ("fd-limit", "", W, None), ("disk-full", "", W, None),
               ("read-only", "", W, None)],
    "servers": [
        ("leader-restart", "", None, "leader"), ("leader-kill", "", "300ms", "leader"), ("broker-restart", "", None, "broker"),
        ("broker-kill", "", "300ms", "broker"), ("redis-restart", "", None, None), ("redis-kill", "", "300ms", None)],
    "network": [
        ("latency", "latency: 100ms", W, None), ("jitter", "jitter: 50ms", W, None), ("bandwidth", "up: 1Mbit", W, None),
        ("loss", "share: 20%", W, None), ("slow-drip", "rate: 5000", W, None), ("disconnect", "", None, "away"),
        ("partition", "", W, "away"), ("half-open", "", W, "away"), ("flaky", "mean: 500ms", W, None)],
}
ELSEWHERE = {"join": "the session's first rounds: test_process_faults.py", "port-taken": "test_process_faults.py"}


def kinds():
    text = subprocess.run([FLOSIM, "help", "faults"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"^do: (\S+)", text, re.MULTILINE)


def rows_of(group):
    known = kinds()
    return [row for row in ROWS[group] if row[0] in known]


def every_kind_has_a_row():
    missing = set(kinds()) - {row[0] for rows in ROWS.values() for row in rows} - set(ELSEWHERE)
    require(not missing, f"kinds of fault without a row in matrix.py: {sorted(missing)}")


def round_of(plan, i):
    return FIRST + i * plan["step"]


def faults_of(strategy, group):
    """One after another, each with a client of its own."""
    plan, found = STRATEGIES[strategy], []
    for i, (kind, args, lasts, _) in enumerate(rows_of(group)):
        entry = [f"round: {round_of(plan, i)}", f"do: {kind}"] + ([args] if args else [])
        if not kind.startswith(("leader-", "broker-", "redis-")):
            entry.append(f"clients: [{(3 * i + 1) % CLIENTS}]")
        if lasts:
            entry.append(f"for: {lasts.format(**plan)}")
        found.append("{" + ", ".join(entry) + "}")
    return found


def arguments(strategy, group):
    plan = STRATEGIES[strategy]
    rounds = round_of(plan, len(rows_of(group)) - 1) + plan["tail"]
    found = [*GROUPS[group], "--set", f"session.server_training_config.num_training_rounds={rounds}"]
    for key, value in plan["sets"].items():
        found += ["--set", f"session.session_config.{key}={value}"]
    if plan.get("benchmark"):
        found += ["--set", "session.benchmark_config.skip_benchmark=false"]
    return found + ["--set", f"expect=[rounds == {rounds}, doubled_updates == 0]"]


def balance(run):
    """The ledger as the leader tells it; checked here once more."""
    ledger = run.events("session_finished")[-1]["ledger"]
    require(ledger["sent"] == sum(ledger[key] for key in ("merged", "refused", "failed", "dropped")), f"ledger: {ledger}")


def run_once(strategy, group, faults):
    args = arguments(strategy, group) + ["--set", f"faults=[{', '.join(faults)}]"] + ([] if faults else ["--set", "redis=null"])
    with Run(MATRIX, *args) as run:
        try:
            run.expect_exit(0)
            balance(run)
            run.expect_nobody_left({})
            require(not os.path.exists(os.path.join(run.out, "tmp")), "the run folder's tmp is still there")
            rounds = [e for e in run.events("round") if e["accuracy"] is not None]
            return run.events(), run.file("model.safetensors"), rounds[-1]["accuracy"]
        except Exception as error:
            program, *rest = run.command
            raise AssertionError(f"{error}\nrepeat: {shlex.join([program, *rest[2:]])}") from None


@lru_cache(maxsize=None)
def undisturbed(strategy, group):
    """Accuracy without faults."""
    return run_once(strategy, group, [])[2]


def effect_of(events, number, row, plan):
    """What was seen of a fault; raises where something is missing."""
    kind, _, lasts, effect = row
    ours = [e for e in events if e.get("fault") == number and e["event"].startswith("fault-")]
    strikes = [e for e in ours if e["event"] == "fault-strikes"]
    require(strikes and all(e["do"] == kind for e in strikes), "never struck")
    strike = strikes[0]
    undone = [e for e in ours if e["event"] in ("fault-undone", "fault-recovered")]
    require(undone, "never over")
    if effect == "away":
        require(any(e["event"] == "fault-noticed" for e in ours), "nobody noticed")
    if kind.startswith(("leader-", "broker-", "redis-")) or effect == "away":
        require(any(e["event"] == "fault-recovered" for e in ours), "the victim did not come back")
    if effect in ("leader", "broker"):
        name = {"leader": "leader-restored", "broker": "broker"}[effect]
        require(any(e["event"] == name and e["t"] >= strike["t"] for e in events), f"no event {name}")
    if "client" not in strike:
        return effect or "struck"
    victim = strike["client_id"]
    asked = [e for e in events if e["event"] == "selected" and victim in e["clients"]]
    first = round_of(plan, number - 1)
    during = [e for e in asked if first <= e["round"] < first + plan["W"]]
    seen = effect
    if effect in ("refused", "failed"):
        told = [e for e in events if e["event"] == "failure" and e["client"] == victim and e["kind"] == effect
                and e["t"] >= strike["t"]]
        # An asynchronous session may be over before it comes to that.
        require(told or not during or not plan.get("same"), f"no update of the victim {effect}")
        seen = effect if told else "struck, not asked"
    # After its end it works again, where it is asked again with rounds to spare.
    over = max(e["t"] for e in undone)
    later = [e for e in asked if e["t"] > over]
    if len(later) > 2:
        require(any(e["event"] == "update" and e["client"] == victim and e["t"] > over for e in events),
                "asked again, the victim gives nothing")
        return f"{seen or 'struck'}, back"
    return seen or "struck"


def cells_of(strategy, group):
    """{(row, strategy): outcome}, what went wrong."""
    plan, rows, cells, bad = STRATEGIES[strategy], rows_of(group), {}, []
    label = [f"{kind} {re.sub(',.*', '', args)}".strip() if group in ("lies", "images") else kind for kind, args, _, _ in rows]
    if not rows:
        return cells, bad
    began = time.monotonic()
    try:
        faults = faults_of(strategy, group)
        events, model, accuracy = run_once(strategy, group, faults)
        for i, row in enumerate(rows):
            try:
                cells[label[i], strategy] = effect_of(events, i + 1, row, plan)
            except AssertionError as error:
                cells[label[i], strategy] = "BAD"
                bad.append(f"{strategy}, {label[i]}: {error}")
        expected = undisturbed(strategy, group)
        if accuracy < expected - POINTS:
            bad.append(f"{strategy}, {group}: accuracy {accuracy:.1f} %, without faults {expected:.1f} %")
        if plan.get("same") and group not in BY_THE_CLOCK:
            if run_once(strategy, group, faults)[1] != model:
                bad.append(f"{strategy}, {group}: another model in the second run")
    except Exception as error:
        bad.append(f"{strategy}, {group}: {error}")
        for name in label:
            cells.setdefault((name, strategy), "BAD")
    print(f"{strategy}, {group}: {len(rows)} faults, {len(bad)} bad, {time.monotonic() - began:.1f} s", flush=True)
    if bad:
        print("\n".join(bad), flush=True)
    return cells, bad


def print_table(cells):
    strategies = [s for s in STRATEGIES if any(key[1] == s for key in cells)]
    print("| fault | " + " | ".join(strategies) + " |\n" + "|---" * (len(strategies) + 1) + "|")
    for name in dict.fromkeys(key[0] for key in cells):
        print(f"| {name} | " + " | ".join(cells.get((name, s), "-") for s in strategies) + " |")


def main():
    part = os.environ.get("FLOSIM_MATRIX_PART") or str(time.gmtime().tm_yday % 3)
    names = sys.argv[1:]
    unknown = set(names) - set(STRATEGIES) - set(GROUPS)
    require(not unknown, f"no strategy and no group of faults: {unknown}")
    every_kind_has_a_row()
    pairs = [(s, g) for g in GROUPS for s in STRATEGIES]
    if names:
        pairs = [(s, g) for s, g in pairs if (s in names or not set(names) & set(STRATEGIES))
                 and (g in names or not set(names) & set(GROUPS))]
    elif part != "all":
        pairs = [pair for i, pair in enumerate(pairs) if i % 3 == int(part) % 3]
    print(f"to repeat: FLOSIM_MATRIX_PART={part} make check TESTS=tests/scenarios/matrix.py", flush=True)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda pair: cells_of(*pair), pairs))
    print_table({key: value for cells, _ in found for key, value in cells.items()})
    bad = [line for _, lines in found for line in lines]
    print(f"{len(pairs)} runs with faults, {len(bad)} bad outcomes")
    sys.exit(1 if bad else 0)


main()
