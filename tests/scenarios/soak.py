#!/usr/bin/env python3
"""500 rounds of mixed faults (or as many as the argument says): after round 50 the memory of the leader and of a worker grows
by less than 1 KB a round, and their descriptors and threads are as many at the end. Sampled from /proc where a fault
holds the leader still behind every tenth round, when everybody rests."""

import os
import re
import sys

import harness
from harness import Run, require

MATRIX = os.path.join(harness.SRCDIR, "tests", "scenarios", "matrix.yaml")
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
FROM, EVERY, LIMIT_KB = 50, 10, 1.0
harness.DEADLINE_S = 300
HALT = f"{{every: {EVERY} rounds, phase: end, do: stop, whom: leader, for: 500ms}}"
# Client 0 and the leader live through all of it; whatever ends a process strikes others.
FAULTS = [
    HALT,
    "{every: 3 rounds, do: restart, clients: [1]}", "{every: 7 rounds, do: kill, clients: [2], for: 2 rounds}",
    "{every: 11 rounds, do: leave, clients: [3], for: 1 rounds}", "{every: 13 rounds, do: stop, clients: [4], for: 300ms}",
    "{every: 17 rounds, do: stop, clients: [0], for: 300ms}", "{every: 23 rounds, do: broker-restart}",
    "{every: 29 rounds, do: redis-restart, phase: end}", "{every: 4 rounds, do: corrupt-update, kind: nan, clients: [0, 5], for: 1 rounds}",
    "{every: 9 rounds, do: corrupt-update, kind: truncated, clients: [0, 6], for: 1 rounds}",
    "{every: 6 rounds, do: wrong-shape, clients: [0, 7], for: 1 rounds}", "{every: 5 rounds, do: stale-update, clients: [0, 5], for: 1 rounds}",
    "{every: 8 rounds, do: duplicate-reply, clients: [0, 6], for: 1 rounds}", "{every: 14 rounds, do: oom-kill, clients: [7]}",
    "{every: 19 rounds, do: pause, clients: [0], for: 100ms}", "{every: 10 rounds, do: label-flip, clients: [0, 3], for: 1 rounds}",
]


def sample(pid):
    """(KB of its own memory, descriptors, threads)."""
    with open(f"/proc/{pid}/status") as file:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", file.read(), re.MULTILINE))
    return int(status["RssAnon"]), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"])


def slope(points):
    mean_x, mean_y = (sum(p[i] for p in points) / len(points) for i in (0, 1))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def main():
    samples = {"leader": [], "client-000": []}
    sets = ["--set", f"session.server_training_config.num_training_rounds={ROUNDS}", "--set", f"faults=[{', '.join(FAULTS)}]",
            "--set", f"expect=[rounds == {ROUNDS}, clients_crashed == 0]", "--clients", "8"]
    with Run(MATRIX, *sets) as run:
        for n in range(EVERY, ROUNDS + 1, EVERY):
            run.read_until(f"fault 1: stop in round {n},")
            for name, found in samples.items():
                found.append((n, *sample(run.pid_of(name))))
        run.expect_exit(0)
    bad = []
    for name, found in samples.items():
        late = [s for s in found if s[0] >= FROM]
        kb = slope([(s[0], s[1]) for s in late])
        print(f"{name}: {late[0][1]} KB at round {late[0][0]}, {late[-1][1]} KB at round {late[-1][0]}, {kb:+.3f} KB a round; "
              f"descriptors {late[0][2]} -> {late[-1][2]} ({min(s[2] for s in late)} to {max(s[2] for s in late)}), "
              f"threads {late[0][3]} -> {late[-1][3]} ({min(s[3] for s in late)} to {max(s[3] for s in late)})", flush=True)
        print(f"  {found}")
        bad += [f"{name}: memory grows by {kb:.3f} KB a round"] if kb >= LIMIT_KB else []
        bad += [f"{name}: {what} grew" for i, what in ((2, "descriptors"), (3, "threads")) if late[-1][i] > late[0][i]]
    print("\n".join(bad) or "holds")
    sys.exit(1 if bad else 0)


main()
