#!/usr/bin/python3
"""Two `flosim leader` processes and one fleet: the second takes over; the first, when it comes back, notices and stops,
and nothing of it is written, accepted or cleared. Where they share a Redis or a checkpoint folder, the session of the
first goes on at the second and ends with the model that an undisturbed run ends with."""
import json
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True
from stage import Pipe, expect, files, on_stage, post, session, wait_for  # noqa: E402

WORKERS = 3
ROUNDS = 6


def stopped_and_continued(stage):
    """The first is stopped like a machine that sleeps, and wakes up after the second has begun."""
    first = stage.start_leader(runs="runs-first")
    wait_for("all workers", lambda: first.active() == WORKERS)
    post(first, "asleep", session(100000, WORKERS))
    wait_for("a round", lambda: first.session("asleep")["round"] >= 1)
    first.process.send_signal(signal.SIGSTOP)
    second = stage.start_leader(runs="runs-second")
    wait_for("the workers to follow", lambda: second.active() == WORKERS)
    post(second, "next", session(100000, WORKERS))
    wait_for("a round of the second", lambda: second.session("next")["round"] >= 1)
    before = files(stage.path("runs-first", "asleep"))
    term = stage.retained_term()
    first.process.send_signal(signal.SIGCONT)
    first.stops_for_another("its advert")
    after = files(stage.path("runs-first", "asleep"))
    expect(sorted(after), sorted(before), "files of a session that was given up")
    assert b"session_finished" not in after["events.jsonl"]
    expect(stage.retained_term(), term, "the second's advert stays")
    rounds = second.session("next")["round"]
    wait_for("more rounds of the second", lambda: second.session("next")["round"] > rounds + 1)
    return second


def cut_off_from_the_broker(stage, before):
    """Its workers tell a leader that no longer hears the broker."""
    before.leave()
    expect(stage.retained_term(), None, "a leader that leaves takes its advert back")
    pipe = Pipe(stage.broker_port)
    first = stage.start_leader(runs="runs-cut", broker_port=pipe.port)
    wait_for("all workers", lambda: first.active() == WORKERS)
    post(first, "cut", session(100000, WORKERS))
    wait_for("a round", lambda: first.session("cut")["round"] >= 1)
    pipe.break_off()
    second = stage.start_leader(runs="runs-after")
    first.stops_for_another("what most clients answer")
    assert stage.retained_term(), "the second's advert is there"
    second.leave()


def a_killed_leader_leaves_no_alarm(stage):
    """Its advert stays with the broker; the next leader has a higher term and is not frightened by it."""
    first = stage.start_leader()
    first_term = stage.retained_term()
    first.die()
    expect(stage.retained_term(), first_term, "the dead leader's advert")
    second = stage.start_leader()
    wait_for("the workers to follow", lambda: second.active() == WORKERS)
    assert stage.retained_term() > first_term
    expect(second.process.poll(), None, "the second goes on")
    second.leave()


def a_checkpoint_that_does_not_fit_costs_nothing(stage, leader):
    """It is refused when the session is checked, and the state that was there stays."""
    post(leader, "kept", session(2, WORKERS, checkpoint_interval=1))
    expect(leader.wait_over("kept")["round"], 2)
    shutil.copy(stage.path("checkpoints", "checkpoint_kept.tar.1"), stage.path("checkpoints", "checkpoint_old.tar"))
    other = {"session_id": "kept", "federated_learning_config": session(3, WORKERS, model="FedAT_CNN")}
    status, answer = leader.ask("POST", "/v1/sessions", {**other, "restore": True, "file": "checkpoint_old.tar"})
    assert status == 400 and "does not fit" in answer["message"], (status, answer)
    post(leader, "kept", session(3, WORKERS, checkpoint_interval=1), restore=True)
    expect(leader.wait_over("kept")["round"], 3)
    events = [json.loads(line) for line in files(stage.path("runs", "kept"))["events.jsonl"].splitlines()]
    expect([event["round"] for event in events if event["event"] == "session_restored"], [2], "where it went on")


def a_checkpoint_folder_that_another_took(stage, leader):
    """A leader that hears of its successor from nobody else."""
    post(leader, "taken", session(100000, WORKERS, checkpoint_interval=1))
    wait_for("a round", lambda: leader.session("taken")["round"] >= 1)
    os.replace(stage.write("term", "9000000000000000000\n"), stage.path("checkpoints", "leader_0.term"))
    leader.stops_for_another("the checkpoint folder")
    with open(stage.path("runs", "taken", "events.jsonl")) as events:
        assert "session_finished" not in events.read()


def shared(stage, where):
    """Options of leaders on two hosts that share a Redis, or a checkpoint folder and nothing else."""
    if where == "redis":
        return {"state": stage.redis_state(), "checkpoints": "none"}
    return {"checkpoints": "shared"}


def begun(stage, name, where):
    """A leader in the midst of the session."""
    leader = stage.start_leader(runs=f"runs-{name}", **shared(stage, where))
    wait_for("all workers", lambda: leader.active() == WORKERS)
    post(leader, name, session(ROUNDS, WORKERS, checkpoint_interval=0 if where == "redis" else 1))
    wait_for("a round", lambda: leader.session(name)["round"] >= 2)
    return leader


def taken_over(stage, name, where):
    """Another goes on with it by itself, and its clients follow."""
    second = stage.start_leader("--resume", runs=f"runs-{name}-second", **shared(stage, where))
    wait_for("the session at the second", lambda: second.session(name)["round"] >= 2)
    return second


def ends_as_undisturbed(stage, second, name, model):
    one = second.wait_over(name)
    expect((one["status"], one["round"], [r["round"] for r in one["rounds"]]), ("finished", ROUNDS, list(range(1, ROUNDS + 1))),
           name)
    ledger = one["ledger"]
    expect(ledger["sent"], ledger["merged"] + ledger["refused"] + ledger["failed"] + ledger["dropped"], "ledger")
    expect(second.model(name) == model, True, f"the model of {name} is that of an undisturbed run")


def first_is_dead(stage, where, model):
    name = f"dead-{where}"
    begun(stage, name, where).die()
    second = taken_over(stage, name, where)
    ends_as_undisturbed(stage, second, name, model)
    second.leave()


def first_comes_back(stage, where, model):
    """It was only stopped: when it goes on, it finds that it was replaced, and what is stored stays the second's."""
    name = f"back-{where}"
    first = begun(stage, name, where)
    first.process.send_signal(signal.SIGSTOP)
    second = taken_over(stage, name, where)
    term = stage.retained_term()
    before = files(stage.path(f"runs-{name}", name))
    first.process.send_signal(signal.SIGCONT)
    first.stops_for_another("")
    after = files(stage.path(f"runs-{name}", name))
    expect(sorted(after), sorted(before), "files of a session that was given up")
    assert b"session_finished" not in after["events.jsonl"]
    expect(stage.retained_term(), term, "the second's advert stays")
    ends_as_undisturbed(stage, second, name, model)
    stored = {s["session_id"]: s for s in second.get("/v1/sessions")["sessions"]}[name]
    expect((stored["status"], stored["round"], stored["leader_term"]), ("finished", ROUNDS, term), "what is stored")
    if where == "folder":
        with open(stage.path("shared", "leader_0.term")) as text:
            expect(int(text.read()), term, "the folder's term")
    second.leave()


def undisturbed(stage):
    leader = stage.start_leader(runs="runs-undisturbed", checkpoints="none")
    wait_for("all workers", lambda: leader.active() == WORKERS)
    post(leader, "undisturbed", session(ROUNDS, WORKERS))
    expect(leader.wait_over("undisturbed")["round"], ROUNDS)
    model = leader.model("undisturbed")
    leader.leave()
    return model


def run(stage):
    stage.partition(WORKERS)
    stage.start_broker()
    for i in range(WORKERS):
        stage.start_worker(i)
    second = stopped_and_continued(stage)
    cut_off_from_the_broker(stage, second)
    a_killed_leader_leaves_no_alarm(stage)
    os.mkdir(stage.path("checkpoints"))
    leader = stage.start_leader("--set", "checkpoint_keep=3")
    wait_for("all workers", lambda: leader.active() == WORKERS)
    a_checkpoint_that_does_not_fit_costs_nothing(stage, leader)
    a_checkpoint_folder_that_another_took(stage, leader)
    model = undisturbed(stage)
    os.mkdir(stage.path("shared"))
    places = ["folder"]
    if shutil.which("redis-server"):
        stage.start_redis()
        places.append("redis")
    for where in places:
        first_is_dead(stage, where, model)
        first_comes_back(stage, where, model)


on_stage("failover", run)
