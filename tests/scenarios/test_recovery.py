#!/usr/bin/env python3
"""The leader dies and another goes on; Redis dies and comes back: no round is lost, no update counts twice, and where
rounds are synchronous the model is that of a run in which nothing happened."""

import csv
import io
import os
import re
from collections import Counter

from harness import SRCDIR, Run, main, require

RECOVERY = os.path.join(SRCDIR, "tests", "scenarios", "recovery.yaml")
IN_MEMORY = ["--set", "redis=null"]
CHECKPOINTS = ["--set", "session.session_config.checkpoint_interval=1"]
PHASES = ["selection", "distribution", "training", "aggregation", "validation", "end"]


def faults(*entries):
    return ["--set", f"faults=[{', '.join(entries)}]"]


def expect(*lines):
    return ["--set", f"expect=[{', '.join(lines)}]"]


def rounds(n):
    return ["--set", f"session.server_training_config.num_training_rounds={n}"]


def strategy(aggregator, selection, *args):
    found = ["--set", f"session.session_config.aggregator={aggregator}", "--set",
             f"session.session_config.client_selection={selection}", "--set",
             "session.session_config.client_selection_args=null"]
    for arg in args:
        found += ["--set", arg]
    return found


def model_of(*args):
    with Run(RECOVERY, *IN_MEMORY, *faults(), *expect("rounds == 8"), *args) as run:
        run.expect_exit(0)
        return run.file("model.safetensors")


UNDISTURBED = model_of()


def require_undisturbed(run, what):
    found = [r["round"] for r in csv.DictReader(io.StringIO(run.file("rounds.csv").decode()))]
    require(found == [str(i + 1) for i in range(8)], f"{what}: rounds.csv has the rounds {found}")
    require(run.file("model.safetensors") == UNDISTURBED, f"{what}: another model")
    run.expect_nobody_left({})


def every_phase_from_redis():
    with Run(RECOVERY) as run:
        run.expect_exit(0)
        require_undisturbed(run, "from Redis")
        require(len(run.events("leader-restored")) == 6, run.events("leader-restored"))


def every_phase_from_a_checkpoint():
    """Without Redis there is nothing but the file."""
    with Run(RECOVERY, *IN_MEMORY, *CHECKPOINTS) as run:
        run.expect_exit(0)
        require_undisturbed(run, "from the file")


def the_file_although_there_is_redis():
    with Run(RECOVERY, *CHECKPOINTS, *faults("{round: 4, do: leader-restart, from: file}"), *expect("recoveries == 1")) as run:
        run.expect_exit(0)
        require_undisturbed(run, "from the file")


def a_leader_that_is_away_for_a_while():
    with Run(RECOVERY, *faults("{round: 3, do: leader-kill, for: 700ms}", "{round: 6, do: leader-restart, after: 300ms}"),
             *expect("recoveries == 2", "recovery_s_max >= 700ms", "doubled_updates == 0", "lost_rounds == 0")) as run:
        run.expect_exit(0)
        require_undisturbed(run, "away")


def leader_and_servers_at_once():
    with Run(RECOVERY, *faults("{round: 3, phase: aggregation, do: leader-restart, after: 500ms}",
                               "{round: 3, phase: aggregation, do: redis-restart}",
                               "{round: 5, phase: end, do: broker-restart}", "{round: 6, phase: training, do: leader-restart}"),
             *expect("recoveries == 2", "doubled_updates == 0", "lost_rounds == 0")) as run:
        run.expect_exit(0)
        require_undisturbed(run, "all at once")


def revived():
    """Model and round number stay: no round is done twice or left out."""
    with Run(RECOVERY, *faults("{round: 4, phase: validation, do: leader-restart, mode: revive}"),
             *expect("rounds == 8", "recoveries == 1", "lost_rounds == 0")) as run:
        run.expect_exit(0)
        require([e["round"] for e in run.events("round")] == list(range(1, 9)), run.events("round"))


def redis_restart_at_every_phase():
    restarts = [f"{{round: {2 + i}, phase: {phase}, do: redis-restart}}" for i, phase in enumerate(PHASES)]
    with Run(RECOVERY, *faults(*restarts), *expect("rounds == 8", "lost_rounds == 0", "recoveries == 0")) as run:
        run.expect_exit(0)
        require_undisturbed(run, "Redis restarted")


def redis_kill():
    """For good, and for a time after which a new leader finds all of it there."""
    with Run(RECOVERY, *faults("{round: 3, do: redis-kill}"), *expect("rounds == 8", "lost_rounds == 0")) as run:
        run.expect_exit(0)
        require_undisturbed(run, "Redis gone")


def asynchronous_strategies():
    for names in (("fedasync", "fedasync", "session.session_config.client_selection_args={client_fraction: 0.5}"),
                  ("fedat", "fedat", "session.benchmark_config.skip_benchmark=false"), ("fedbuff", "fedasync", "session.session_config.aggregator_args={buffer_size: 3}")):
        with Run(RECOVERY, *strategy(*names), *rounds(20),
                 *faults("{round: 5, phase: aggregation, do: leader-restart}", "{round: 11, phase: validation, do: leader-restart}",
                         "{round: 15, phase: end, do: leader-restart}"),
                 *expect("rounds == 20", "doubled_updates == 0", "recoveries == 3")) as run:
            run.expect_exit(0)
            versions = [e["round"] for e in run.events("round")]
            require(all(b > a for a, b in zip(versions, versions[1:])), f"{names}: {versions}")
            run.expect_nobody_left({})


def what_was_trained_is_not_trained_again():
    """Who trained while there was no leader hands over what it has, once."""
    for phase in ("training", "aggregation"):
        with Run(RECOVERY, *faults(f"{{round: 3, phase: {phase}, do: leader-restart, after: 300ms}}"),
                 *expect("rounds == 8", "recoveries == 1", "doubled_updates == 0", "clients_failed == 0")) as run:
            run.expect_exit(0)
            trained = Counter()
            for i in range(6):
                log = run.file(f"logs/client-{i:03d}.log").decode()
                trained.update((int(n), i) for n in re.findall(r" trained session=\S+ round=(\d+)", log))
            require(set(trained.values()) == {1}, f"{phase}: trained more than once: {trained}")
            require(len(trained) == 8 * 4, f"{phase}: {len(trained)} trainings")
            require_undisturbed(run, phase)


def updates_that_had_arrived_are_kept():
    with Run(RECOVERY, *strategy("fedavg", "reliable_fedavg"),
             *faults("{round: 3, phase: aggregation, do: leader-restart}"),
             *expect("rounds == 8", "doubled_updates == 0", "lost_rounds == 0", "recoveries == 1")) as run:
        run.expect_exit(0)


main([every_phase_from_redis, every_phase_from_a_checkpoint, the_file_although_there_is_redis,
      a_leader_that_is_away_for_a_while, leader_and_servers_at_once, revived, redis_restart_at_every_phase, redis_kill,
      asynchronous_strategies, what_was_trained_is_not_trained_again, updates_that_had_arrived_are_kept])
