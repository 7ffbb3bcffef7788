/* flosim [run]: simulate a scenario. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "sim/process.h"
#include "sim/simulation.h"

static const char help[] =
    "NAME\n"
    "    flosim run - simulate a federation on this machine, with faults, and say whether it held\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim [run] [--clients N] [--seed S] [--slots N] [--out DIR] [--set KEY=VALUE]... [--quiet]\n"
    "                 [--log-level LEVEL] SCENARIO\n"
    "    flosim run --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Reads the scenario (a YAML file, see docs/SCENARIO.md), checks all of it before anything starts, and then\n"
    "    forks a leader and N real clients. They find each other over an MQTT broker of their own, exchange models\n"
    "    over gRPC and train on real data. What the scenario lists under `faults` happens to them on the way; what it\n"
    "    lists under `expect` is judged at the end.\n"
    "\n"
    "    On a terminal a bar shows round, clients done, accuracy, loss, time per round and time left; elsewhere there\n"
    "    is one line a round. The same scenario and seed give the same model, byte for byte, with any number of "
    "slots.\n"
    "\n"
    "    Ctrl-C and SIGTERM end the run in order, with everything written so far; a second one at once. No process\n"
    "    outlives the run, whatever is killed.\n"
    "\n"
    "OPTIONS\n"
    "    -n, --clients N        number of clients, instead of the scenario's\n"
    "    -S, --seed S           seed of everything random, instead of the scenario's\n"
    "    -j, --slots N          clients that compute at once, instead of the scenario's; default: the cores\n"
    "    -o, --out DIR          write the run there (a new or empty folder) instead of runs/<name>-<time>\n"
    "    -s, --set KEY=VALUE    replace any key, e.g. --set session.client_training_config.epochs=2; repeatable\n"
    "    -q, --quiet            print only what went wrong\n"
    "    -l, --log-level LEVEL  of the processes' logs: error, warn, info (the default) or debug\n"
    "    -h, --help             this text\n"
    "\n"
    "FILES\n"
    "    The run's folder holds events.jsonl (every event on one clock), rounds.csv, clients.csv, model.safetensors,\n"
    "    junit.xml (a case for each expectation), scenario.resolved.yaml (the scenario with its defaults spelled out,\n"
    "    faults, expectations and strategies' arguments as they were written: running it repeats the run, and a run\n"
    "    that failed prints the command), session.yaml and logs/ (a file for each process).\n"
    "\n"
    "EXIT STATUS\n"
    "    0    the run went to its end and every expectation held\n"
    "    1    an expectation did not hold\n"
    "    2    bad options, scenario or data, or something missing; nothing was started\n"
    "    3    the run could not go on\n"
    "    130  interrupted\n"
    "\n"
    "EXAMPLES\n"
    "    flosim --clients 50 scenarios/quickstart.yaml\n"
    "    flosim --set faults=[] --set 'expect=[accuracy >= 85]' --out /tmp/calm scenarios/quickstart.yaml\n"
    "    flosim check scenarios/quickstart.yaml\n";

struct arguments {
    struct run_options options;
    char **overrides; /* owned texts, NULL-terminated */
    size_t num_overrides;
};

enum parsed { PARSED, PARSED_HELP, PARSED_BAD };

static bool add_override(struct arguments *arguments, const char *key, const char *value)
{
    char *text = NULL;

    if (asprintf(&text, "%s%s%s", key, *key ? "=" : "", value) < 0)
        return false;
    arguments->overrides[arguments->num_overrides++] = text;
    return true;
}

static bool take_level(struct arguments *arguments, const char *text)
{
    int level = log_level_parse(text);

    if (level < 0) {
        fprintf(stderr, "flosim run: --log-level %s: must be error, warn, info or debug\n", text);
        return false;
    }
    arguments->options.log_level = (enum log_level)level;
    return true;
}

static bool take_option(struct arguments *arguments, int option, const char *value)
{
    switch (option) {
    case 'n':
        return add_override(arguments, "clients", value);
    case 'S':
        return add_override(arguments, "seed", value);
    case 'j':
        return add_override(arguments, "slots", value);
    case 's':
        return add_override(arguments, "", value);
    case 'o':
        arguments->options.out_dir = value;
        return true;
    case 'q':
        arguments->options.quiet = true;
        return true;
    case 'l':
        return take_level(arguments, value);
    default:
        return false;
    }
}

static enum parsed take_scenario(struct arguments *arguments, int argc, char **argv)
{
    if (optind == argc) {
        fputs("flosim run: no scenario: try `flosim scenarios/quickstart.yaml`, or `flosim run --help`\n", stderr);
        return PARSED_BAD;
    }
    if (optind + 1 < argc) {
        fprintf(stderr, "flosim run: one scenario at a time; unexpected argument '%s'\n", argv[optind + 1]);
        return PARSED_BAD;
    }
    arguments->options.path = argv[optind];
    return PARSED;
}

static enum parsed parse(struct arguments *arguments, int argc, char **argv)
{
    static const struct option longs[] = {{"clients", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 'S'},
                                          {"slots", required_argument, NULL, 'j'},
                                          {"out", required_argument, NULL, 'o'},
                                          {"set", required_argument, NULL, 's'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"log-level", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;

    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    while ((option = getopt_long(argc, argv, "n:S:j:o:s:ql:h", longs, NULL)) >= 0) {
        if (option == 'h')
            return PARSED_HELP;
        if (!take_option(arguments, option, optarg))
            return PARSED_BAD;
    }
    return take_scenario(arguments, argc, argv);
}

/* The variant of OpenBLAS with threads starts them when the program is loaded, and a process with threads must not
 * fork. Told to use one thread it starts none: so begin again, once. Returns only if that failed or is not needed. */
static void begin_again_without_threads(void)
{
    static const char once[] = "FLOSIM_RESTARTED";
    char *arguments[1024];
    char text[131072];
    size_t n = 0, size;
    FILE *file;

    if (process_num_threads() == 1 || getenv(once))
        return;
    file = fopen("/proc/self/cmdline", "re");
    size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    for (size_t at = 0; at < size && n + 1 < sizeof arguments / sizeof *arguments; at += strlen(text + at) + 1)
        arguments[n++] = text + at;
    arguments[n] = NULL;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv(once, "1", 1);
    execv("/proc/self/exe", arguments);
}

static int run_it(struct arguments *arguments)
{
    begin_again_without_threads();
    arguments->options.overrides = (const char *const *)arguments->overrides;
    return simulation_run(&arguments->options);
}

static int run(int argc, char **argv)
{
    struct arguments arguments = {.options.log_level = LOG_INFO};
    int code = 2;

    arguments.overrides = calloc((size_t)argc + 1, sizeof *arguments.overrides);
    if (!arguments.overrides) {
        fputs("flosim run: out of memory\n", stderr);
        return 3;
    }
    switch (parse(&arguments, argc, argv)) {
    case PARSED:
        code = run_it(&arguments);
        break;
    case PARSED_HELP:
        code = fputs(help, stdout) < 0;
        break;
    case PARSED_BAD:
        break;
    }
    for (size_t i = 0; i < arguments.num_overrides; i++)
        free(arguments.overrides[i]);
    free(arguments.overrides);
    return code;
}

const struct command command_run = {
    .name = "run",
    .summary = "simulate a scenario: a leader and many clients, faults, expectations",
    .help = help,
    .run = run,
};
