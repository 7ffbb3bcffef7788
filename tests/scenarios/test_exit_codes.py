#!/usr/bin/env python3
"""What a run says of itself: expectations, bad input, things that are missing."""

import os
import socket
import subprocess
import tempfile
import xml.etree.ElementTree

from harness import BASE, FLOSIM, Run, main, require

HERE = os.path.dirname(BASE)


def refused(arguments, *complaints, env=None):
    """Exit code 2, these lines and no others, nothing left behind."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([FLOSIM, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
        require(done.returncode == 2, f"exit code {done.returncode} for {arguments}:\n{done.stdout}{done.stderr}")
        found = done.stderr.splitlines()
        require(found == list(complaints), "found:\n" + "\n".join(found) + "\nexpected:\n" + "\n".join(complaints))
        require(not os.listdir(folder), f"left behind: {os.listdir(folder)}")


def a_false_expectation():
    with Run(BASE, "--set", "expect=[rounds == 4, accuracy >= 99.5, wall_s < 1h]") as run:
        run.expect_exit(1)
        require("PASS  expected rounds == 4, found 4\n" in run.text, run.text)
        require("FAIL  expected accuracy >= 99.5, found " in run.text, run.text)
        suite = xml.etree.ElementTree.fromstring(run.file("junit.xml"))
        require((suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0"), run.file("junit.xml"))
        require([c.find("failure") is not None for c in suite] == [False, True, False], run.file("junit.xml"))


def over_time_and_of_events():
    wanted = ["accuracy >= 10 by round 4", "accuracy >= 99.9 by round 3", "rounds >= 4 by 2min", "no round longer than 2min",
              "event round == 4", "no event round_lost", "event round within 2min of selected", "event checkpoint",
              "bytes_up > 10kB", "bytes_down > 10kB"]
    with Run(BASE, "--set", "expect=[%s]" % ", ".join(wanted)) as run:
        run.expect_exit(1)
        held = [line[:4] for line in run.text.splitlines() if line.startswith(("PASS", "FAIL"))]
        require(held == ["PASS", "FAIL", "PASS", "PASS", "PASS", "PASS", "PASS", "FAIL", "PASS", "PASS"], run.text)
        rounds = run.events("round")
        first = next(r for r in rounds if r["accuracy"] >= 10)
        require(f"found {first['accuracy']:.2f} % after round {first['round']}, " in run.text, run.text)


def what_must_fail():
    """Exit code 0 only if it fails, and for the reason that is asked for."""
    with Run(BASE, "--set", "must_fail=expectation", "--set", "expect=[rounds == 4, rounds == 5]") as run:
        run.expect_exit(0)
        require("PASS  expected an expectation to fail, found it did\n" in run.text, run.text)
        suite = xml.etree.ElementTree.fromstring(run.file("junit.xml"))
        require((suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0"), run.file("junit.xml"))
    with Run(BASE, "--set", "must_fail=expectation", "--set", "expect=[rounds == 4]") as run:
        run.expect_exit(1)
        require("FAIL  expected an expectation to fail, found none that says so\n" in run.text, run.text)
    with Run(BASE, "--set", "must_fail=run", "--set", "fail_reason=none starts another",
             "--set", "faults=[{round: 2, do: leader-kill}]") as run:
        run.expect_exit(0)
        require("PASS  expected the run to fail, found it did\n" in run.text, run.text)
    with Run(BASE, "--set", "must_fail=run", "--set", "fail_reason=thunder",
             "--set", "faults=[{round: 2, do: leader-kill}]") as run:
        run.expect_exit(1)
        require("FAIL  expected the run to fail, found another reason\n" in run.text, run.text)
    with Run(BASE, "--set", "must_fail=run") as run:
        run.expect_exit(1)
        require("FAIL  expected the run to fail, found it went to its end\n" in run.text, run.text)
    refused(["--set", "must_fail=expectation", "--set", "expect=[]", BASE],
            "--set must_fail=expectation: `must_fail`: there is no expectation that could fail; see `expect`")
    refused(["--set", "fail_reason=thunder", BASE], "--set fail_reason=thunder: `fail_reason` needs `must_fail`")


def quiet_says_only_what_went_wrong():
    with Run(BASE, "--quiet") as run:
        run.expect_exit(0)
        require(run.text == "", run.text)
    with Run(BASE, "--quiet", "--set", "expect=[rounds == 5]") as run:
        run.expect_exit(1)
        require(run.text.splitlines()[0] == "FAIL  expected rounds == 5, found 4", run.text)


def every_error_at_once():
    path = os.path.join(HERE, "bad.yaml")
    refused([path],
            f"{path}:2:7: `name`: `bad/name` must do for a folder's name",
            f"{path}:3:1: unknown key `sed`; did you mean `seed`?",
            f"{path}:5:8: `slots` must be an integer, found `many`",
            f"{path}:6:1: duplicate key `slots`: it stands at line 5, column 1 already",
            f"{path}:7:16: `source`: unknown source `fashion-mnst`; did you mean `fashion-mnist`?",
            f"{path}:8:9: `broker` must be `embedded` or a mapping such as {{host: localhost, port: 1883}}, found `nowhere`",
            f"{path}:10:3: `fleet`: the shares add to 1.1, not to 1",
            f"{path}:11:5: `fleet`: group `a` is described twice",
            f"{path}:11:28: unknown key `sped` in `fleet`; did you mean `speed`?",
            f"{path}:13:32: unknown aggregator `fedavgg`; did you mean `fedavg`?",
            f"{path}:13:91: unknown key `client_fractoin`; did you mean `client_fraction`?",
            f"{path}:14:39: there is no model folder `nowhere`",
            f"{path}:15:27: `client_training_config.dataset` is missing",
            f"{path}:15:56: `client_training_config.learning_rate` must be above 0 and at most 1000000, found `-1`",
            f"{path}:15:75: unknown loss_function `crossentrop`; did you mean `crossentropy`?",
            f"{path}:17:13: `round`: 9 lies beyond num_training_rounds (5)",
            f"{path}:17:20: `do`: unknown fault `kil`; did you mean `kill`?",
            f"{path}:19:5: `acuracy >= 80`: unknown metric `acuracy`; did you mean `accuracy`?")


def errors_of_options_name_the_option():
    refused(["--clients", "none", BASE], "--set clients=none: `clients` must be an integer, found `none`")
    refused(["--set", "session.client_training_config.epochs=0", BASE],
            "--set session.client_training_config.epochs=0: `client_training_config.epochs` must be between 1 and 1000000, "
            "found `0`")


def an_impossible_partition():
    refused(["--set", "data.samples_per_client=2000", BASE],
            f"{BASE}:8:3: `data`: scheme iid: 6 clients with samples_per_client 2000 need more than the 3402 training items "
            "that there are; take samples_per_client 567 or less, or at most 1 clients")


def shapes_that_do_not_fit():
    refused(["--set", "session.server_training_config.model_dir=../../models/LeNet5", BASE],
            f"{BASE}:8:3: `data`: an item is [60], but the model takes [1, 32, 32]; `padding` and the model's `input` must fit")


def an_impossible_partition_names_only_numbers_that_would_do():
    need = f"{BASE}:8:3: `data`: scheme iid: {{}} need more than the 3402 training items that there are; take {{}}"
    refused(["--set", "data.samples_per_client=4000", BASE],
            need.format("6 clients with samples_per_client 4000", "samples_per_client 567 or less"))
    refused(["--set", "data.samples_per_client=200", "--clients", "3500", BASE],
            need.format("3500 clients with samples_per_client 200", "at most 17 clients"))


def a_model_folder_and_its_shapes():
    """An error in config.yaml hides neither the network's errors nor that the data does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.yaml"), "w") as config:
            config.write("model_details:\n  model_id: X\n  colour: red\n")
        with open(os.path.join(folder, "model.yaml"), "w") as network:
            network.write("size: 3\ninput: [1, 8, 8]\nlayers:\n  - {flatten: {}}\n  - {linear: {out: 10}}\n")
        folder = os.path.realpath(folder)
        config_error = f"{folder}/config.yaml:3:3: unknown key `colour` in `model_details`"
        arguments = ["--set", f"session.server_training_config.model_dir={folder}", BASE]
        refused(arguments, config_error, f"{folder}/model.yaml:1:1: unknown key `size`")
        with open(os.path.join(folder, "model.yaml"), "w") as network:
            network.write("input: [1, 8, 8]\nlayers:\n  - {flatten: {}}\n  - {linear: {out: 10}}\n")
        refused(arguments, config_error,
                f"{BASE}:8:3: `data`: an item is [60], but the model takes [1, 8, 8]; `padding` and the model's `input` must "
                "fit")


def groups_of_wrong_shares_are_known_to_faults():
    fleet = "fleet=[{group: a, share: 0.5}, {group: b, share: 0.6}]"
    faults = "faults=[{round: 2, do: kill, clients: 2, group: b}, {round: 2, do: kill, clients: 2, group: c}]"
    refused(["--set", fleet, "--set", faults, BASE],
            f"--set {fleet}: `fleet`: the shares add to 1.1, not to 1",
            f"--set {faults}: `group`: the fleet has no group `c`")


def errors_in_the_optimizer():
    option = "session.client_training_config.optimizer.args.lr=x"
    refused(["--set", option, BASE], f"--set {option}: `lr` must be a number, found `x`")


def missing_files():
    refused(["/nonexistent/scenario.yaml"], "cannot open /nonexistent/scenario.yaml: No such file or directory")
    refused(["--set", "session=null", "--set", "session_file=absent.yaml", BASE],
            "--set session_file=absent.yaml: `session_file`: there is no absent.yaml")


def no_mosquitto():
    """Looked for in PATH and where Debian puts it: so only where it can be hidden."""
    hide = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /usr/sbin/mosquitto && exec "$@"', "sh"]
    if os.geteuid() or subprocess.run(hide + ["true"], capture_output=True).returncode:
        print("skipped: no_mosquitto (cannot hide the program)")
        return
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(hide + [FLOSIM, BASE], cwd=folder, capture_output=True, text=True, timeout=120)
        require(done.returncode == 2, done.stderr)
        require("flosim: mosquitto is not installed: `apt-get install mosquitto`" in done.stderr, done.stderr)
        require(not os.listdir(folder), os.listdir(folder))


def no_broker():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        refused(["--set", f"broker={{host: 127.0.0.1, port: {port}}}", BASE],
                f"flosim: no broker at 127.0.0.1:{port}: Connection refused; start one, or use `broker: embedded`")


def a_folder_in_use():
    with Run(BASE) as run:
        os.makedirs(run.out, exist_ok=True)
        run.finish()
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "something"), "w").close()
        done = subprocess.run([FLOSIM, "--out", folder, BASE], capture_output=True, text=True, timeout=120)
        require(done.returncode == 2, done.stderr)
        require(done.stderr == f"flosim: run folder: --out {folder}: the folder is not empty; name a new one\n", done.stderr)


def a_session_in_a_file():
    with Run(os.path.join(HERE, "session_file.yaml"), "--set", "session.client_training_config.epochs=2") as run:
        run.expect_exit(0)
        require(b"epochs: 2" in run.file("session.yaml"), "the override of the session file was lost")


def an_asynchronous_session():
    with Run(os.path.join(HERE, "fedasync.yaml")) as run:
        run.expect_exit(0)


main([a_false_expectation, over_time_and_of_events, what_must_fail, quiet_says_only_what_went_wrong, every_error_at_once, errors_of_options_name_the_option,
      an_impossible_partition, an_impossible_partition_names_only_numbers_that_would_do, a_model_folder_and_its_shapes,
      groups_of_wrong_shares_are_known_to_faults, errors_in_the_optimizer, shapes_that_do_not_fit, missing_files,
      no_mosquitto, no_broker, a_folder_in_use, a_session_in_a_file, an_asynchronous_session])
