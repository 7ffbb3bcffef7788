#!/usr/bin/python3
"""`flosim sessions` and its like over REST, with a real Redis, a real leader and real workers: what is listed of each
place, and what is gone after it was dropped."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from stage import DEADLINE_S, SKIP, expect, flosim, on_stage, post, session, wait_for  # noqa: E402

WORKERS = 2
if not shutil.which("redis-server"):
    print("redis-server is not installed")
    sys.exit(SKIP)


def sessions(*arguments, code=0):
    done = subprocess.run([flosim, "sessions", *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
    expect(done.returncode, code, f"sessions {arguments}: {done.stdout}{done.stderr}")
    return done


def listed(*arguments):
    """By id."""
    lines = sessions(*arguments, "--json").stdout.splitlines()
    return {one["session_id"]: one for one in map(json.loads, lines)}


def refused(wanted, *arguments, code=2):
    text = sessions(*arguments, code=code).stderr
    assert wanted in text, (arguments, text)


def bad_options(stage):
    refused("whose sessions?")
    refused("whose sessions?", "--dir", ".", "--leader", "127.0.0.1:1")
    refused("--force goes with", "--dir", ".", "--force")
    refused("drop which sessions?", "drop", "--dir", ".")
    refused("is `drop`", "drpo", "--dir", ".")
    refused("one plain name", "drop", "--dir", ".", "../x")
    refused("there is no such folder", "--dir", stage.path("nowhere"))
    refused("expected HOST:PORT", "--leader", "nonsense")
    refused("no leader answers", "--leader", "127.0.0.1:1", code=3)
    refused("unknown key", "-c", stage.write("bad.yaml", "nonsense: 1\n"))
    refused("goes with --leader", "--dir", ".", "--token-file", "x")
    refused("127.0.0.1:1", "-c", stage.write("away.yaml", "state: {state_location: redis, state_hostname: 127.0.0.1, state_port: 1}\n"),
            code=3)
    expect(sessions("--dir", stage.path()).stdout, "no sessions\n")
    assert "flosim sessions drop" in sessions("--help").stdout


def finished(leader, name, **more):
    config = session(2, WORKERS, checkpoint_interval=1, **more)
    config["session_config"]["session_id"] = f"label of {name}"
    post(leader, name, config)
    expect(leader.wait_over(name)["status"], "finished", name)


def figures(one):
    return one["label"], one["status"], one["round"], one["num_rounds"]


def lists_every_place(stage, leader):
    term = stage.retained_term()
    wanted = ("label of one", "finished", 2, 2)
    for source, places in ((("--leader", leader.address), ["memory", "redis", "checkpoint"]),
                           (("-c", leader.config), ["redis", "checkpoint"]),
                           (("--dir", stage.path("checkpoints")), ["checkpoint"])):
        found = listed(*source)
        expect(sorted(found), ["one", "two"], source)
        expect(figures(found["one"]), wanted, source)
        expect((found["one"]["in"], found["one"]["leader_term"]), (places, term), source)
        assert found["one"]["bytes"] > 200000 and found["one"]["time"] > 1e9, found
        table = sessions(*source).stdout.splitlines()
        assert table[0].split()[:3] == ["id", "label", "status"] and len(table) == 3, table
        assert table[1].startswith("two") and "2/2" in table[2] and ", ".join(places) in table[2], table
    rest = {s["session_id"]: s for s in leader.get("/v1/sessions")["sessions"]}
    expect((rest["one"]["in"], figures(rest["one"])), (["memory", "redis", "checkpoint"], wanted))


def keys(stage):
    with_id = subprocess.run(["redis-cli", "-p", str(stage.redis_port), "keys", "*_one"], capture_output=True, text=True)
    return with_id.stdout.split()


def drops(stage, leader):
    assert keys(stage), "Redis has it"
    refused("there is no session none", "drop", "-c", leader.config, "none")
    done = sessions("drop", "--leader", leader.address, "one", "none", code=2)
    assert "dropped one: memory, redis, checkpoint (1 file)" in done.stdout and "no session none" in done.stderr, done
    expect(keys(stage), [], "keys of what was dropped")
    assert not os.path.exists(stage.path("checkpoints", "checkpoint_one.tar"))
    expect(leader.ask("GET", "/v1/sessions/one")[0], 404)
    expect(sorted(listed("-c", leader.config)), ["two"])
    expect(leader.ask("DELETE", "/v1/sessions/none/state")[0], 404)
    expect(leader.ask("DELETE", "/v1/sessions/two/state", {"farce": True})[0], 400)


def running_ones(stage, leader):
    post(leader, "long", session(100000, WORKERS, checkpoint_interval=1))
    wait_for("a round", lambda: leader.session("long")["round"] >= 1)
    expect(listed("--leader", leader.address)["long"]["status"], "running")
    expect(leader.ask("DELETE", "/v1/sessions/long/state", {"force": True})[0], 409, "it runs here")
    refused("is running", "drop", "--leader", leader.address, "long")
    refused("is running", "drop", "-c", leader.config, "long")
    sessions("drop", "--leader", leader.address, "--force", "long")
    expect(sorted(listed("--leader", leader.address)), ["two"])
    expect(leader.process.poll(), None, "the leader goes on")


def left_unfinished(stage, leader):
    """Of a leader that died: nobody drops it by mistake."""
    post(leader, "left", session(100000, WORKERS, checkpoint_interval=1))
    wait_for("a round", lambda: leader.session("left")["round"] >= 1)
    leader.die()
    refused("left unfinished", "drop", "-c", leader.config, "left")
    expect(listed("-c", leader.config)["left"]["status"], "running")
    assert "dropped left: redis, checkpoint" in sessions("drop", "--force", "-c", leader.config, "left").stdout
    expect(sorted(listed("-c", leader.config)), ["two"])


def damaged_file(stage):
    path = stage.path("checkpoints", "checkpoint_two.tar")
    with open(path, "r+b") as file:
        file.seek(3000)
        file.write(b"damaged")
    done = sessions("--dir", stage.path("checkpoints"), "--json")
    assert "checkpoint_two.tar" in done.stderr and '"two"' not in done.stdout, done


def redis_away(stage):
    """What the leader has in memory is shown all the same, and that something is missing is said."""
    leader = stage.start_leader(state=stage.redis_state())
    wait_for("all workers", lambda: leader.active() == WORKERS)
    finished(leader, "here")
    assert leader.get("/healthz")["state"]["durable"] and leader.get("/healthz")["status"] == "ok"
    stage.kill_redis()
    post(leader, "long", session(100000, WORKERS))
    health = wait_for("the outage", lambda: (lambda h: h if h["state"]["outage"] else None)(leader.get("/healthz")))
    expect(health["status"], "degraded")
    assert health["state"]["reason"] and 0 <= time.time() - health["state"]["outage_since"] < DEADLINE_S, health
    found = wait_for("a backlog", lambda: (lambda m: m if m["flosim_state_backlog_bytes"] > 0 else None)(leader.metrics()))
    expect((found["flosim_state_outage"], found["flosim_state_outages_total"]), (1, 1))
    assert leader.get("/v1/sessions")["problems"]
    assert {"here", "long"} <= set(listed("--leader", leader.address))
    stage.start_redis()
    wait_for("the end of the outage", lambda: leader.metrics()["flosim_state_outage"] == 0)
    expect(leader.get("/healthz")["state"]["outage_since"], None)
    leader.leave()


def run(stage):
    stage.partition(WORKERS)
    stage.start_broker()
    stage.start_redis()
    bad_options(stage)
    for i in range(WORKERS):
        stage.start_worker(i)
    leader = stage.start_leader(state=stage.redis_state())
    wait_for("all workers", lambda: leader.active() == WORKERS)
    finished(leader, "one")
    finished(leader, "two")
    lists_every_place(stage, leader)
    drops(stage, leader)
    running_ones(stage, leader)
    left_unfinished(stage, leader)
    redis_away(stage)
    damaged_file(stage)


on_stage("sessions", run)
