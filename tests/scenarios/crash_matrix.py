#!/usr/bin/env python3
"""The leader killed at every named point of a round and of its writing, with every strategy and store, as a markdown table:
builddir=BUILD tests/scenarios/crash_matrix.py"""

import sys
from concurrent.futures import ThreadPoolExecutor

from crashes import STORES, STRATEGIES, SYNCHRONOUS, crash_at, undisturbed

POINTS = {"leader.selection": "selection", "leader.selected": "distribution", "leader.training": "training",
          "leader.aggregation": "aggregation", "leader.validation": "validation", "leader.end": "end",
          "state.before-commit": "state.before-commit", "state.committing": "state.committing",
          "state.committed": "state.committed", "checkpoint.begin": "checkpoint.begin",
          "checkpoint.half": "checkpoint.half", "checkpoint.before-rename": "checkpoint.before-rename",
          "checkpoint.done": "checkpoint.done"}
COLUMNS = [(strategy, store) for strategy in STRATEGIES for store in STORES]


def outcome(point, strategy, store):
    """(cell, what went wrong)."""
    times = undisturbed(strategy, store)["met"].get(point, 0)
    if times == 0:
        return "-", ""
    at = f"{point}#{times // 2 + 1}"
    wrong, died = crash_at(strategy, store, at)
    if wrong:
        return "BAD", f"{strategy}, {store}, {at}: {wrong}"
    return ("same bytes" if strategy in SYNCHRONOUS else "holds") if died else "not met", ""


for strategy, store in COLUMNS:
    undisturbed(strategy, store)
    undisturbed(strategy)
with ThreadPoolExecutor(2) as pool:
    cells = list(pool.map(lambda key: outcome(*key), [(point, *column) for point in POINTS for column in COLUMNS]))
print("| killed at | " + " | ".join(f"{strategy}, {store}" for strategy, store in COLUMNS) + " |")
print("|---" * (len(COLUMNS) + 1) + "|")
for row, name in enumerate(POINTS.values()):
    print(f"| {name} | " + " | ".join(cell for cell, _ in cells[row * len(COLUMNS):(row + 1) * len(COLUMNS)]) + " |")
bad = [wrong for _, wrong in cells if wrong]
print("\n".join(bad))
sys.exit(1 if bad else 0)
