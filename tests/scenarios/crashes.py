"""Runs in which the leader is killed and another goes on, and what became of them. Used by test_crashes.py,
random_kills.py and crash_matrix.py."""

import csv
import io
import os
import signal
import tempfile
import time

import harness
from harness import SRCDIR, Run, require

CRASH_FLOSIM = os.path.join(os.path.dirname(harness.FLOSIM), "tests", "scenarios", "crash_flosim")
SCENARIO = os.path.join(SRCDIR, "tests", "scenarios", "recovery.yaml")
SESSION = "session.session_config."

# name: (aggregator, selection, rounds, more --set)
STRATEGIES = {
    "fedavg": ("fedavg", "fedavg", 4, [SESSION + "client_selection_args={client_fraction: 0.67}"]),
    "reliable_fedavg": ("fedavg", "reliable_fedavg", 4, []),
    "fedasync": ("fedasync", "fedasync", 8, [SESSION + "client_selection_args={client_fraction: 0.5}"]),
    "fedat": ("fedat", "fedat", 8, ["session.benchmark_config.skip_benchmark=false"]),
    "fedbuff": ("fedbuff", "fedasync", 6, [SESSION + "aggregator_args={buffer_size: 2}"]),
}
SYNCHRONOUS = ("fedavg", "reliable_fedavg")
STORES = {"redis": [], "file": ["redis=null", SESSION + "checkpoint_interval=1"]}
_undisturbed = {}


class CrashRun(Run):
    """One simulation by crash_flosim; `at`: where its first leader dies."""

    program = CRASH_FLOSIM

    def __init__(self, strategy, store, at=None, counts=None):
        self.strategy, self.store = strategy, store
        aggregator, selection, self.rounds, more = STRATEGIES[strategy]
        sets = [SESSION + f"aggregator={aggregator}", SESSION + f"client_selection={selection}",
                SESSION + "client_selection_args=null", *more, *STORES[store], "faults=[]",
                f"session.server_training_config.num_training_rounds={self.rounds}",
                f"expect=[rounds == {self.rounds}, doubled_updates == 0, clients_failed == 0]"]
        env = dict(os.environ)
        env.update({"FLOSIM_TEST_CRASH_AT": str(at)} if at is not None else {})
        env.update({"FLOSIM_TEST_CRASH_COUNT": counts} if counts else {})
        super().__init__(SCENARIO, *[word for one in sets for word in ("--set", one)], env=env)

    def judge(self):
        """What is wrong with it, once it has ended; '' where everything is as it must be."""
        code = self.finish()
        if code != 0:
            said = [line for line in self.text.splitlines() if "flosim:" in line or line.startswith("FAIL")]
            return f"exit code {code}: {' / '.join(said)[-400:]}"
        found = [int(r["round"]) for r in csv.DictReader(io.StringIO(self.file("rounds.csv").decode()))]
        if found != list(range(1, self.rounds + 1)):
            return f"rounds.csv has the rounds {found}"
        told = [event["round"] for event in self.events("round")]
        again = 0 if self.store == "redis" else 1  # a file is written after the round is told
        if any(b + again <= a for a, b in zip(told, told[1:])):
            return f"the model's versions go back: {told}"
        if not os.path.exists(os.path.join(self.out, "model.safetensors")):
            return "there is no model"
        if self.strategy in SYNCHRONOUS and self.file("model.safetensors") != undisturbed(self.strategy)["model"]:
            return "another model"
        return ""

    def recoveries(self):
        return len(self.events("leader-restored"))


def undisturbed(strategy, store="redis"):
    """Of a run in which nobody dies: its model, {point: times it was met}, seconds of its session."""
    if (strategy, store) not in _undisturbed:
        with tempfile.NamedTemporaryFile("r", prefix="flosim-counts-") as counts:
            with CrashRun(strategy, store, counts=counts.name) as run:
                run.read_until("registered in")
                began = time.monotonic()
                run.read_until("the session is over")
                seconds = time.monotonic() - began
                run.expect_exit(0)
                met = {name: int(times) for name, times in (line.split() for line in counts.read().splitlines())}
                _undisturbed[strategy, store] = {"model": run.file("model.safetensors"), "met": met, "seconds": seconds}
    return _undisturbed[strategy, store]


def crash_at(strategy, store, at):
    """(what is wrong or '', did the leader die)."""
    with CrashRun(strategy, store, at) as run:
        wrong = run.judge()
        died = wrong != "" or run.recoveries() > 0
        if not wrong:
            run.expect_nobody_left({})
        return wrong, died


def crash_after(strategy, store, seconds):
    """SIGKILL so long after the session began; (what is wrong or '', was there a leader to kill)."""
    with CrashRun(strategy, store) as run:
        run.read_until("registered in")
        leader = run.pid_of("leader")
        time.sleep(seconds)  # the instant is what is tested
        died = run.process.poll() is None
        try:
            os.kill(leader, signal.SIGKILL)
        except ProcessLookupError:
            died = False
        wrong = run.judge()
        return wrong, died or wrong != ""
