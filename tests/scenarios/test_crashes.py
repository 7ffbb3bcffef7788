#!/usr/bin/env python3
"""The leader dies of SIGKILL before a write, sync or rename of what is to survive it, or at a named point, and another goes
on: a sample in `make check`; with FLOSIM_CRASH_FULL=1 every single one, or of FLOSIM_CRASH_FULL=fedavg,redis what is named."""

import os
from concurrent.futures import ThreadPoolExecutor

from crashes import STORES, STRATEGIES, SYNCHRONOUS, crash_at, undisturbed
from harness import main, require
from random_kills import tally_of

FULL = os.environ.get("FLOSIM_CRASH_FULL", "")
# (strategy, store): (writes in the sample, named points in the sample)
SAMPLE = {
    ("fedavg", "redis"): (2, ["state.committing#3"]),
    ("fedavg", "file"): (2, ["checkpoint.half#3"]),
    ("reliable_fedavg", "redis"): (0, ["leader.aggregation#2"]),
    ("reliable_fedavg", "file"): (0, []),
    ("fedasync", "redis"): (0, []),
    ("fedasync", "file"): (0, ["checkpoint.half#3"]),
    ("fedat", "redis"): (0, ["state.committing#4"]),
    ("fedat", "file"): (0, []),
    ("fedbuff", "redis"): (0, ["state.committed#3"]),
    ("fedbuff", "file"): (0, []),
}


def evenly(n, total):
    """n of 1..total."""
    return [(2 * i + 1) * total // (2 * n) + 1 for i in range(n)]


def places(strategy, store):
    writes, names = SAMPLE[strategy, store]
    if not FULL and not writes:
        return names
    met = undisturbed(strategy, store)["met"]
    if not FULL:
        return [str(n) for n in evenly(writes, met["write"])] + names
    return [str(n) for n in range(1, met["write"] + 1)] + [
        f"{name}#{n}" for name in met if name != "write" for n in range(1, met[name] + 1)]


def crashes_of(strategy, store):
    if strategy in SYNCHRONOUS:
        undisturbed(strategy)  # before the threads ask for it

    def one(at):
        return at, *crash_at(strategy, store, at)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, places(strategy, store)))
    bad = [f"killed at {at}: {wrong}" for at, wrong, _ in found if wrong]
    died = sum(died for _, _, died in found)
    print(f"{strategy}, {store}: {len(found)} places, {died} times the leader died, {len(bad)} bad outcomes", flush=True)
    require(not bad, "\n".join(bad))
    # How often writes happen differs a little from run to run, so a late one may not come.
    require(died > 0 and died >= 0.8 * len(found) - 1, "the leader hardly ever died")


def test_of(strategy, store):
    def test():
        crashes_of(strategy, store)

    test.__name__ = f"{strategy}_{store}"
    return test


def at_random_instants():
    lines, bad = tally_of(2, 1)
    print("\n".join(lines), flush=True)
    require(not bad, "\n".join(bad))


wanted = set(FULL.split(",")) if FULL not in ("", "1") else set(STRATEGIES) | set(STORES)
tests = [test_of(a, b) for a, b in SAMPLE if a in wanted and b in wanted and (FULL or any(SAMPLE[a, b]))]
main(tests + ([at_random_instants] if not FULL else []))
