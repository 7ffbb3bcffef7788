/* flosim worker: one client of a federation, standalone. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "config/check.h"
#include "config/worker_config.h"
#include "worker/worker.h"

static const char help[] =
    "NAME\n"
    "    flosim worker - train models on this machine's data for a leader\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim worker -c FILE [--set KEY=VALUE]... [--log-level LEVEL]\n"
    "    flosim worker --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Connects to an MQTT broker, tells leaders what data it has and where it can be reached, and then trains,\n"
    "    validates and benchmarks what they send over gRPC. The data never leaves the machine; weights and figures "
    "do.\n"
    "    It runs until SIGTERM or SIGINT, and then stops the work in hand, says `offline`, closes its port and "
    "honours\n"
    "    the cleanup_* keys of its file. A second signal ends it at once.\n"
    "\n"
    "    FILE is Flotilla's client_config.yaml. The keys that matter most:\n"
    "        comm_config.mqtt.mqtt_broker, mqtt_broker_port   where the broker is\n"
    "        comm_config.grpc.sync_port                       where to listen; 0: any free port\n"
    "        comm_config.grpc.bind, advertise                 the address to listen on, and the one that leaders use\n"
    "        dataset_config.datasets_dir_path                 the folder of data set folders (see flosim partition)\n"
    "        general_config.temp_dir_path                     id, benchmark figures and models; one folder per worker\n"
    "    `flosim help config` lists them all; `flosim check FILE` checks a file without starting anything.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --config FILE      the worker's configuration (required)\n"
    "    -s, --set KEY=VALUE    replace a key of the file, e.g. --set comm_config.grpc.sync_port=50052; repeatable\n"
    "    -l, --log-level LEVEL  error, warn, info (the default) or debug; the log goes to standard error\n"
    "    -h, --help             this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it was told to leave (SIGTERM, SIGINT)\n"
    "    2  bad options or configuration, or it could not start: port or folder in use, unreadable data, or no broker\n"
    "       within comm_config.mqtt.mqtt_sub_timeout_s. A broker that is lost later is waited for.\n"
    "    3  it could not go on\n"
    "\n"
    "EXAMPLE\n"
    "    mosquitto -p 1883 &\n"
    "    flosim partition fashion-mnist --clients 2 --out run/data\n"
    "    flosim worker -c deploy/worker.yaml --set dataset_config.datasets_dir_path=run/data/client_000\n";

struct options {
    const char *path;
    const char **overrides; /* NULL-terminated */
    size_t num_overrides;
    enum log_level level;
};

enum parsed { PARSED, PARSED_HELP, PARSED_BAD };

static enum parsed parse_level(const char *text, struct options *options)
{
    int level = log_level_parse(text);

    if (level < 0) {
        fprintf(stderr, "flosim worker: --log-level %s: must be error, warn, info or debug\n", text);
        return PARSED_BAD;
    }
    options->level = (enum log_level)level;
    return PARSED;
}

static enum parsed parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"set", required_argument, NULL, 's'},
                                          {"log-level", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;

    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    while ((c = getopt_long(argc, argv, "c:s:l:h", longs, NULL)) >= 0) {
        if (c == 'c')
            options->path = optarg;
        else if (c == 's')
            options->overrides[options->num_overrides++] = optarg;
        else if (c == 'h')
            return PARSED_HELP;
        else if (c != 'l' || parse_level(optarg, options) != PARSED)
            return PARSED_BAD;
    }
    if (optind < argc) {
        fprintf(stderr, "flosim worker: unexpected argument '%s'\n", argv[optind]);
        return PARSED_BAD;
    }
    if (!options->path) {
        fputs("flosim worker: no configuration: give one with -c FILE\n", stderr);
        return PARSED_BAD;
    }
    return PARSED;
}

static int load_config(const struct options *options, struct worker_config *config)
{
    struct diags *diags = diags_new();

    if (!diags) {
        fputs("flosim worker: out of memory\n", stderr);
        return ERR_MEMORY;
    }
    int status = config_load(&worker_config_table, options->path, options->overrides, YAML_EXPAND_ENV, config, diags);
    diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

/* ---- signals: a thread of their own waits for them, so that no handler has to be careful ---- */

static void *wait_for_signals(void *worker)
{
    sigset_t signals;
    int signal_number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigwait(&signals, &signal_number);
    worker_stop(worker);
    sigwait(&signals, &signal_number);
    _exit(130);
}

/* Before the first thread, which inherits the mask. */
static void block_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run_until_signal(struct worker *worker, struct error *err)
{
    pthread_t waiter;

    if (pthread_create(&waiter, NULL, wait_for_signals, worker))
        return FAIL(err, ERR_SETUP, "cannot start a thread for signals");
    int status = worker_run(worker, err);
    pthread_cancel(waiter);
    pthread_join(waiter, NULL);
    return status;
}

static int run_worker(const struct options *options)
{
    struct worker_config config = {0};
    struct worker *worker = NULL;
    struct error error = ERROR_INIT;
    struct log log;
    int status = load_config(options, &config);

    if (!status) {
        log_init(&log, STDERR_FILENO, options->level, "worker", config.comm_config.mqtt.client_name);
        status = worker_new(&worker, &config, NULL, &log, &error);
        if (!status)
            status = run_until_signal(worker, &error);
        if (status)
            fprintf(stderr, "flosim worker: %s\n", error.message);
    }
    worker_free(worker);
    params_free(&worker_config_table, &config);
    return status_exit_code(status);
}

static int run(int argc, char **argv)
{
    struct options options = {.level = LOG_INFO};
    int exit_code;

    options.overrides = calloc((size_t)argc + 1, sizeof *options.overrides);
    if (!options.overrides) {
        fputs("flosim worker: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    switch (parse_options(argc, argv, &options)) {
    case PARSED:
        block_signals();
        worker_tune_process();
        exit_code = run_worker(&options);
        break;
    case PARSED_HELP:
        exit_code = fputs(help, stdout) < 0;
        break;
    default:
        fputs("Try `flosim worker --help`.\n", stderr);
        exit_code = 2;
        break;
    }
    free(options.overrides);
    return exit_code;
}

const struct command command_worker = {
    .name = "worker",
    .summary = "train models on this machine's data for a leader",
    .help = help,
    .run = run,
};
