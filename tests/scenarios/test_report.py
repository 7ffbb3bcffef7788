#!/usr/bin/env python3
"""report.html of real runs, and `flosim report` over folders that are whole, broken off, damaged or hostile."""

import csv
import io
import os
import random
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree
from html.parser import HTMLParser

from harness import BASE, FLOSIM, Run, main, require

VOID = {"meta"}
HOSTILE = "</svg><script>alert(1)</script>\"' onload=x &amp; \x01"


class Page(HTMLParser):
    """Every element is closed in order; cells of the tables and the text, as a browser would read them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.names, self.tables, self.text = [], set(), [], ""
        self.feed(text)
        self.close()
        require(not self.stack, f"never closed: {self.stack}")

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        require(not any(name.startswith("on") for name, _ in attrs), f"a handler in <{tag}>: {attrs}")
        require(not any(name in ("src", "href") for name, _ in attrs), f"<{tag}> reaches outside: {attrs}")
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)

    def handle_endtag(self, tag):
        require(self.stack and self.stack[-1] == tag, f"</{tag}> closes {self.stack[-3:]}")
        self.stack.pop()

    def handle_data(self, data):
        self.text += data
        if self.stack and self.stack[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def check(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    require("script" not in page.names, "the page has a script")
    require("http" not in re.sub(r"<meta http-equiv[^>]*>|<pre>.*?</pre>|<td.*?</td>", "", text, flags=re.S),
            "the page names an address")
    for picture in re.findall(r"<svg.*?</svg>", text, re.S):
        xml.etree.ElementTree.fromstring(picture)
        found = re.search(r' (?:d|x|y|cx|cy|width|height|transform)="[^"]*(?:nan|inf)[^"]*"', picture)
        require(not found, f"a picture of no number: {found}")
    return page, text


def report(*args):
    done = subprocess.run([FLOSIM, "report", *args], capture_output=True, text=True, timeout=120)
    require(done.returncode in (0, 2, 3), f"report {args}: exit code {done.returncode}: {done.stderr}")
    return done


def rows_of(folder):
    with open(os.path.join(folder, "rounds.csv"), newline="") as file:
        return list(csv.reader(file))


class Folders:
    """Two finished runs, made once; copies to be damaged."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="flosim-test-")
        self.runs = []
        for seed in ("1", "2"):
            with Run(BASE, "--seed", seed, "--set", "faults=[{round: 2, do: kill, clients: 1}]",
                     "--set", "expect=[rounds >= 1, 'accuracy >= 101']") as run:
                run.expect_exit(1)
                self.runs.append(shutil.copytree(run.out, os.path.join(self.base, f"run-{seed}")))

    def copy(self):
        target = tempfile.mkdtemp(dir=self.base)
        return shutil.copytree(self.runs[0], os.path.join(target, "run"))


folders = None


def test_a_run_has_its_report():
    page, _ = check(os.path.join(folders.runs[0], "report.html"))
    rows = rows_of(folders.runs[0])
    table = next(table for table in page.tables if table[0][0] == "round")
    for name in table[0]:
        require([row[table[0].index(name)] for row in table[1:]] == [row[rows[0].index(name)] for row in rows[1:]],
                f"column {name} differs from rounds.csv")
    require("accuracy" in table[0] and "duration_s" in table[0], f"columns are missing: {table[0]}")
    verdicts = next(table for table in page.tables if table[0][0] == "verdict")
    require([row[0] for row in verdicts[1:]] == ["✓ held", "✗ failed"], f"verdicts: {verdicts}")
    faults = next(table for table in page.tables if table[0][0] == "fault")
    require(faults[1][1] == "kill" and faults[1][3] == "2", f"faults: {faults}")
    require("✓ balances" in page.text, "the ledger is not told")
    require("kernels" in page.text and "seed" in page.text, "how to repeat it is not told")


def test_it_is_made_of_the_files_alone():
    with open(os.path.join(folders.runs[0], "report.html"), "rb") as file:
        first = file.read()
    copy = folders.copy()
    os.unlink(os.path.join(copy, "report.html"))
    report(copy)
    with open(os.path.join(copy, "report.html"), "rb") as file:
        require(file.read() == first, "the report made again differs")


def test_hostile_names_are_escaped():
    copy = folders.copy()
    path = os.path.join(copy, "clients.csv")
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    for row in rows[1:]:
        row[1] = HOSTILE
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with open(path, "w", newline="") as file:
        file.write(text.getvalue())
    path = os.path.join(copy, "scenario.resolved.yaml")
    with open(path) as file:
        settings = file.read()
    with open(path, "w") as file:
        file.write(re.sub(r"(?m)^name: .*$", "name: '<script>alert(2)</script>'", settings))
    require(report(copy).returncode == 0, "no report")
    page, text = check(os.path.join(copy, "report.html"))
    require("<script>alert(2)</script>" in page.text and "onload=x" in page.text, "the names are not there")


def test_what_was_broken_off_has_a_report():
    copy = folders.copy()
    path = os.path.join(copy, "events.jsonl")
    with open(path) as file:
        lines = file.read().splitlines(True)
    half = lines[: len(lines) // 2]
    with open(path, "w") as file:
        file.write("".join(half) + half[-1][:20])
    for name in ("clients.csv", "model.safetensors", "junit.xml"):
        os.unlink(os.path.join(copy, name))
    require(report(copy).returncode == 0, "no report of a run that was broken off")
    page, _ = check(os.path.join(copy, "report.html"))
    require("broken off" in page.text and "1 damaged line" in page.text, f"it is not said: {page.text[:500]}")


def test_any_file_may_be_missing():
    for name in ("rounds.csv", "clients.csv", "events.jsonl", "scenario.resolved.yaml"):
        copy = folders.copy()
        os.unlink(os.path.join(copy, name))
        require(report(copy).returncode == 0, f"no report without {name}")
        page, _ = check(os.path.join(copy, "report.html"))
        require(name == "scenario.resolved.yaml" or name in page.text, f"{name}: it is not said that it is missing")


def test_what_is_no_run():
    empty = tempfile.mkdtemp(dir=folders.base)
    for args, word in (([empty], "no run folder"), ([os.path.join(empty, "none")], "no such folder"),
                       ([], "no run folder given"), ([folders.runs[0], empty], "no run folder"),
                       ([folders.runs[0]] * 9, "from 2 to 8")):
        done = report("--out", os.path.join(empty, "x.html"), *args)
        require(done.returncode == 2 and word in done.stderr, f"{args}: {done.returncode}: {done.stderr}")
        require(not os.path.exists(os.path.join(empty, "x.html")), "a page was written")


def test_runs_are_compared():
    out = os.path.join(folders.base, "comparison.html")
    require(report("--out", out, *folders.runs).returncode == 0, "no comparison")
    page, _ = check(out)
    settings = next(table for table in page.tables if table[0][0] == "key")
    require(["seed", "1", "2"] in settings, f"the seeds are not among the differences: {settings}")
    require(all(row[1] != row[2] for row in settings[1:]), f"settings that do not differ: {settings}")
    figures = {row[0]: row[1:] for row in next(table for table in page.tables if table[0][0] == "figure")[1:]}
    finals = [float(rows_of(run)[-1][rows_of(run)[0].index("accuracy")]) for run in folders.runs]
    require(figures["accuracy"][0] == f"{finals[0]:.2f} %", f"accuracy {finals}: {figures['accuracy']}")
    require(figures["accuracy"][1].startswith(f"{finals[1]:.2f} %"), f"accuracy {finals}: {figures['accuracy']}")


def mutate(data, dice):
    data = bytearray(data)
    for _ in range(dice.randrange(1, 12)):
        at = dice.randrange(len(data) + 1)
        act = dice.randrange(5)
        if act == 0:
            data[at:at] = dice.choice([b'"', b"\x00", b"\xff\xfe", b"<b>", b"\n", b",,", b"1e999", b"-", b"{", b"nan"])
        elif act == 1:
            del data[at: at + dice.randrange(40)]
        elif act == 2:
            data[at:at] = data[at: at + dice.randrange(400)]
        elif act == 3 and at < len(data):
            data[at] = dice.randrange(256)
        else:
            data[at: at + 1] = b"99999999999999999999"
    return bytes(data)


def test_mutations():
    """No damage makes it crash or write what is not well-formed."""
    copy = folders.copy()
    dice = random.Random(7)
    for i in range(60):
        name = dice.choice(["rounds.csv", "clients.csv", "events.jsonl", "scenario.resolved.yaml"])
        with open(os.path.join(folders.runs[0], name), "rb") as file:
            data = mutate(file.read(), dice)
        with open(os.path.join(copy, name), "wb") as file:
            file.write(data)
        done = report(copy)
        require(done.returncode == 0, f"mutation {i} of {name}: {done.stderr}")
        check(os.path.join(copy, "report.html"))
        shutil.copy(os.path.join(folders.runs[0], name), copy)


if __name__ == "__main__":
    folders = Folders()
    try:
        main([test for name, test in list(globals().items()) if name.startswith("test_")])
    finally:
        shutil.rmtree(folders.base, ignore_errors=True)
