#!/usr/bin/python3
"""Strategies of one's own, as a user has them: flosim is installed, the example is built against the installed header
and nothing else, a scenario runs with it; and every way in which a plug-in can be wrong is told at its place."""
import os
import shutil
import subprocess
import sys
import tempfile

srcdir = os.path.abspath(os.environ.get("srcdir", "."))
builddir = os.path.abspath(os.environ.get("builddir", "."))
cc = os.environ.get("CC", "cc").split()
DEADLINE_S = 300

if not shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"):
    print("mosquitto is not installed")
    sys.exit(77)

# Faults are chosen with -D; what is not said is right.
VARIANT = r"""
#include <flosim/strategy.h>
#ifndef ABI
#define ABI FLOSIM_STRATEGY_ABI
#endif
#ifndef SIZE
#define SIZE sizeof(struct flosim_termination_ops)
#endif
#ifndef NAME
#define NAME "variant"
#endif
#ifndef ROWS
#define ROWS {.name = "x", .type = FLOSIM_INT, .fallback = "1", .min = 1, .max = 3, .help = "A number."}
#endif
#ifndef CHECK
#define CHECK .check = check
#endif
struct args { int64_t x; };
static int init(void *state, const void *args, const struct flosim_host *host)
{
    (void)state, (void)args, (void)host;
    return FLOSIM_OK;
}
int check(void *state, const struct flosim_progress *progress);
int check(void *state, const struct flosim_progress *progress)
{
    (void)state, (void)progress;
    return FLOSIM_CONTINUE;
}
int keep(const void *state);
int keep(const void *state)
{
    (void)state;
    return FLOSIM_OK;
}
#ifdef THREAD
#include <pthread.h>
#include <unistd.h>
static void *wait_for_ever(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}
__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
}
#endif
#ifdef UNDEFINED
int nobody_has_this(void);
int (*needs)(void) = nobody_has_this;
#endif
#ifndef SYMBOL
#define SYMBOL flosim_termination
#endif
static const struct flosim_param rows[] = {ROWS};
static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};
const struct flosim_termination_ops SYMBOL = {.abi_version = ABI, .size = SIZE, .name = NAME, .help = "A variant.",
                                              .params = &params, .init = init, CHECK};
"""

FAULTS = [  # flags of the compiler, what is said
    (["-DABI=2"], "is made for version 2 of flosim/strategy.h, this flosim has version 1"),
    (["-DSIZE=16"], "gives its `flosim_termination` the size 16, here it is 80 bytes"),
    (['-DNAME=""'], "the name in its `flosim_termination` must be 1 to 64 letters"),
    (["-DNAME=0"], "the name in its `flosim_termination` must be 1 to 64 letters"),
    (['-DNAME="a b"'], "found `a b`"),
    (['-DNAME="max_rounds"'], "calls itself `max_rounds`, as a strategy of flosim's own"),
    (["-DCHECK=.check = 0"], "`variant` must have the op `check`"),
    (["-DCHECK=.check = check, .save = keep"], "must have both of `save` and `restore`"),
    (["-DSYMBOL=flosim_terminations"], "exports no `flosim_termination`: define `const struct flosim_termination_ops"),
    (["-DSYMBOL=flosim_selector"], "exports no `flosim_termination`, it is a strategy for `client_selection`"),
    (["-DTHREAD"], "starts a thread when it is loaded"),
    (["-DUNDEFINED"], "undefined symbol: nobody_has_this"),
    (["-DROWS={.type = FLOSIM_INT, .help = \"h\"}"], "argument 1 has no name"),
    (["-DROWS={.name = \"x\", .type = FLOSIM_INT}"], "argument `x` has no help"),
    (["-DROWS={.name = \"x\", .type = 77, .help = \"h\"}"], "argument `x` is of the unknown type 77"),
    (["-DROWS={.name = \"x\", .type = FLOSIM_INT, .offset = 8, .help = \"h\"}"], "`x` lies outside of its struct of 8"),
    (["-DROWS={.name = \"x\", .type = FLOSIM_INT, .fallback = \"4\", .min = 1, .max = 3, .help = \"h\"}"],
     "the default `4` of argument `x` does not fit"),
    (["-DROWS={.name = \"x\", .type = FLOSIM_INT, .help = \"h\"}, {.name = \"x\", .type = FLOSIM_INT, .help = \"h\"}"],
     "there are two arguments `x`"),
]


def run(*command, cwd=None, code=0):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=DEADLINE_S)
    assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def find(folder, end):
    for path, _, files in os.walk(folder):
        for file in files:
            if os.path.join(path, file).endswith(end):
                return os.path.join(path, file)
    raise AssertionError(f"make install leaves no {end}")


class Place:
    """flosim as installed, and a folder of the user's with the example in it."""

    def __init__(self, folder):
        run("make", "install", f"DESTDIR={folder}/root", cwd=builddir)
        self.flosim = find(f"{folder}/root", "/bin/flosim")
        self.include = find(f"{folder}/root", "/include/flosim/strategy.h")[:-len("/flosim/strategy.h")]
        self.folder = os.path.join(folder, "own")
        shutil.copytree(os.path.join(srcdir, "examples", "strategy"), self.folder)
        # The installed prefix is not where the program looks for models.
        shutil.copytree(os.path.join(srcdir, "models", "LogisticRegression"),
                        os.path.join(self.folder, "models", "LogisticRegression"))
        for path, _, files in os.walk(self.folder):
            for name in files:
                os.chmod(os.path.join(path, name), 0o644)

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, name, flags, text=VARIANT):
        with open(self.path(name + ".c"), "w") as file:
            file.write(text)
        run(*cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread", f"-I{self.include}", *flags,
            "-o", self.path(name + ".so"), self.path(name + ".c"))

    def scenario(self, *overrides, out=None, code=0):
        sets = [word for override in overrides for word in ("--set", override)]
        return run(self.flosim, *(["--out", self.path(out)] if out else []), *sets, self.path("scenario.yaml"),
                   cwd="/", code=code)

    def model(self, name):
        with open(os.path.join(self.path(name), "model.safetensors"), "rb") as file:
            return file.read()


def the_example_runs(place):
    run("make", f"CPPFLAGS=-I{place.include}", "CFLAGS=-Werror -pedantic", f"CC={' '.join(cc)}", cwd=place.folder)
    text = place.scenario(out="first")
    assert "accuracy was at least 20 % in 2 validations in a row" in text, text
    run(place.flosim, "--out", place.path("again"), place.path("first/scenario.resolved.yaml"), cwd="/")
    assert place.model("first") == place.model("again"), "the same scenario gives another model"
    place.scenario("session.session_config.aggregator_args.beta=0.1", out="other")
    assert place.model("first") != place.model("other"), "the argument has no effect"
    with open(place.path("first/clients.csv")) as file:  # the selection deals turns evenly
        turns = [int(line.split(",")[3]) for line in file.readlines()[1:]]
    assert len(turns) == 8 and max(turns) - min(turns) <= 1, turns


def its_arguments_are_checked(place):
    text = place.scenario("session.session_config.client_selection_args={}", code=2)
    assert "`num_clients` is missing" in text, text
    text = place.scenario("session.session_config.aggregator_args={bata: 1}", code=2)
    assert "unknown key `bata`; did you mean `beta`?" in text, text
    text = place.scenario("session.session_config.termination_condition_args={}", code=2)
    assert "steady needs the argument `target`" in text, text
    text = place.scenario("session.session_config.termination_condition_args.steadi={}", code=2)
    assert "arguments for `steadi`" in text, text
    text = place.scenario("session.session_config.client_selection=fedasync", code=2)
    assert "aggregator `mine` waits until nobody trains" in text, text


def faults_are_told(place):
    key = "session.session_config.termination_condition"
    for i, (flags, wanted) in enumerate(FAULTS):
        name = f"fault{i}"
        place.compile(name, flags)
        text = place.scenario(f"{key}=./{name}.so", f"{key}_args={{}}", code=2)
        assert wanted in text and f"{key}=./{name}.so: " in text, (flags, text)
        assert len(text.splitlines()) == 1, text
    place.compile("good", [])
    run(place.flosim, "check", "--set", f"{key}=./good.so", "--set", f"{key}_args={{variant: {{x: 3}}}}",
        place.path("scenario.yaml"), cwd="/")


def an_aggregator_must_be_whole(place):
    with open(place.path("mine.c")) as file:
        text = file.read()
    for op in ("on_failure", "held", "discard"):
        place.compile("part", ["-Wno-unused-function"], text.replace(f"    .{op} = {op},\n", ""))
        found = place.scenario("session.session_config.aggregator=./part.so", code=2)
        assert f"`mine` must have the op `{op}`" in found, found


def places_are_told(place):
    with open(place.path("scenario.yaml")) as file:
        text = file.read()
    line = 1 + text[:text.index("./mine.so")].count("\n")
    with open(place.path("scenario.yaml"), "w") as file:
        file.write(text.replace("./mine.so", "./nowhere.so"))
    at = f"{place.path('scenario.yaml')}:{line}:17: "
    found = place.scenario(code=2)
    assert found == f"{at}there is no plug-in ./nowhere.so\n", found
    with open(place.path("nowhere.so"), "w") as file:
        file.write("this is no shared object\n" * 100)
    found = place.scenario(code=2)
    assert found.startswith(f"{at}cannot load the plug-in: ") and "invalid ELF header" in found, found
    with open(place.path("scenario.yaml"), "w") as file:
        file.write(text.replace("./mine.so", "mine.so"))
    found = place.scenario(code=2)
    assert found.startswith(f"{at}`mine.so` is no strategy; a plug-in is named by a path: `./mine.so`"), found
    with open(place.path("scenario.yaml"), "w") as file:
        file.write(text)


def main():
    with tempfile.TemporaryDirectory(prefix="flosim-plugins-") as folder:
        place = Place(folder)
        the_example_runs(place)
        its_arguments_are_checked(place)
        faults_are_told(place)
        an_aggregator_must_be_whole(place)
        places_are_told(place)
    print("ok")


main()
