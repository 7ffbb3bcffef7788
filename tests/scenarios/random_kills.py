#!/usr/bin/env python3
"""SIGKILL to the leader at random instants of a session, strategies and stores in turn:
builddir=BUILD tests/scenarios/random_kills.py --kills 200 --seed 1"""

import argparse
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from crashes import STORES, STRATEGIES, SYNCHRONOUS, crash_after, undisturbed

PAIRS = [(strategy, store) for store in STORES for strategy in STRATEGIES]


def one(seed, index):
    """Until a leader has died: an instant after the session's end is drawn again, from a shorter time."""
    strategy, store = PAIRS[index % len(PAIRS)]
    rng = random.Random(f"{seed}/{index}")
    for tries in range(10):
        seconds = rng.uniform(0, 0.8**tries * undisturbed(strategy, store)["seconds"])
        wrong, died = crash_after(strategy, store, seconds)
        if died:
            return strategy, store, f"kill {index}, {strategy}, {store}, after {seconds:.3f} s: {wrong}" if wrong else ""
    return strategy, store, f"kill {index}: the session was always over before"


def tally_of(kills, seed, jobs=2):
    """(the lines of a markdown table, what went wrong)."""
    for strategy, store in PAIRS[:kills]:  # before the threads ask for it
        undisturbed(strategy, store)
        undisturbed(strategy)
    with ThreadPoolExecutor(jobs) as pool:
        found = []
        for strategy, store, wrong in pool.map(lambda index: one(seed, index), range(kills)):
            found.append((strategy, store, wrong))
            print(f"{len(found)} of {kills}: {wrong or 'good'}", file=sys.stderr, flush=True)
    all_of = Counter((strategy, store) for strategy, store, _ in found)
    good = Counter((strategy, store) for strategy, store, wrong in found if not wrong)
    lines = ["| strategy | store | kills | as it must be |", "|---|---|---|---|"]
    for pair in sorted(all_of):
        promise = "same bytes" if pair[0] in SYNCHRONOUS else "invariants hold"
        lines.append(f"| {pair[0]} | {pair[1]} | {all_of[pair]} | {good[pair]} {promise} |")
    return lines, [wrong for _, _, wrong in found if wrong]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    lines, bad = tally_of(options.kills, options.seed, options.jobs)
    print("\n".join(lines + bad))
    sys.exit(1 if bad else 0)
