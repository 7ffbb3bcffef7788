#!/usr/bin/env python3
"""scenarios/chaos.yaml with several seeds: each run has all its rounds and a balanced ledger, and leaves no process, no shared
memory and no temporary file behind. `--seeds N` runs seeds 1 to N in full (`--first M`: from M on); without it, one seed
and 15 rounds, for `make check`."""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time

import harness
from harness import FLOSIM, SRCDIR, Run, require

CHAOS = os.path.join(SRCDIR, "scenarios", "chaos.yaml")
ROUNDS = 15  # of the short form
# Only at the session's begin, or before the run: they have no place in the middle of it.
NOT_HERE = {"join", "port-taken"}
harness.DEADLINE_S = 900


def every_kind_is_in_it():
    text = subprocess.run([FLOSIM, "help", "faults"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(CHAOS) as file:
        missing = set(re.findall(r"^do: (\S+)", text, re.MULTILINE)) - set(re.findall(r"do: ([a-z-]+)", file.read())) - NOT_HERE
    require(not missing, f"kinds that chaos.yaml does not have: {sorted(missing)}")


def short():
    """All of its faults in few rounds: what comes seldom comes sooner."""
    with open(CHAOS) as file:
        faults = re.findall(r"^  - (\{.*do: .*\})$", file.read(), re.MULTILINE)
    sooner = [re.sub(r"every: (\d+) rounds", lambda found: f"every: {int(found[1]) % 11 + 4} rounds", fault) for fault in faults]
    return ["--set", f"session.server_training_config.num_training_rounds={ROUNDS}", "--set", f"faults=[{', '.join(sooner)}]",
            "--set", f"expect=[rounds == {ROUNDS}, clients_crashed == 0]"]


def shared_memory():
    return {name for name in os.listdir("/dev/shm") if "flosim" in name}


def one(seed, args):
    """(strikes, recoveries, seconds) of a run."""
    before, began = shared_memory(), time.monotonic()
    with Run(CHAOS, "--seed", str(seed), *args) as run:
        try:
            run.expect_exit(0)
            ledger = run.events("session_finished")[-1]["ledger"]
            require(ledger["sent"] == sum(ledger[key] for key in ("merged", "refused", "failed", "dropped")), f"ledger: {ledger}")
            run.expect_nobody_left({})
            require(not os.path.exists(os.path.join(run.out, "tmp")), "the run folder's tmp is still there")
            require(not os.path.exists(f"/proc/{run.process.pid}/fd"), "the supervisor is still there")
            left = shared_memory() - before
            require(not left, f"left in /dev/shm: {left}")
            return len(run.events("fault-strikes")), len(run.events("leader-restored")), time.monotonic() - began
        except Exception as error:
            program, *rest = run.command
            kept = f"/tmp/flosim-chaos-{seed}"
            os.system(f"rm -rf {kept} && cp -r {shlex.quote(run.out)} {kept}")
            raise AssertionError(f"{error}\nrepeat: {shlex.join([program, *rest[2:]])}\nits folder: {kept}") from None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("FLOSIM_CHAOS_SEEDS", "0")))
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    every_kind_is_in_it()
    bad = 0
    seeds = range(options.first, options.first + (options.seeds or 1))
    for seed in seeds:
        try:
            strikes, recoveries, seconds = one(seed, [] if options.seeds else short())
            print(f"seed {seed}: {strikes} strikes, {recoveries} new leaders, {seconds:.0f} s: holds", flush=True)
        except Exception as error:  # the others still run
            bad += 1
            print(f"seed {seed}: BAD: {error}", flush=True)
    print(f"{len(seeds)} seeds, {bad} bad")
    sys.exit(1 if bad else 0)


main()
