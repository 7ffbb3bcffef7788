/* flosim leader: the leader of a federation, standalone. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "config/check.h"
#include "config/leader_config.h"
#include "leader/leader.h"

static const char help[] =
    "NAME\n"
    "    flosim leader - find clients, take training sessions over REST and run them\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim leader -c FILE [--set KEY=VALUE]... [--log-level LEVEL]\n"
    "    flosim leader --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Connects to an MQTT broker, where workers advertise themselves, and listens for sessions over REST\n"
    "    (flosim submit, or POST /v1/sessions). A session's models and commands go to the workers over gRPC; their\n"
    "    updates are merged, validated and recorded in temp_dir_path/<session id>/: events.jsonl, rounds.csv,\n"
    "    clients.csv, session.yaml, model.safetensors.\n"
    "    The first line on standard output says where REST listens. It runs until SIGTERM or SIGINT; then a running\n"
    "    session stops with what it has, the retained advert is taken back and the port closes. A second signal ends\n"
    "    it at once.\n"
    "\n"
    "    FILE is Flotilla's server_config.yaml. The keys that matter most:\n"
    "        comm_config.mqtt.mqtt_broker, mqtt_broker_port   where the broker is\n"
    "        comm_config.restful.rest_hostname, rest_port     where REST listens; port 0: any free port\n"
    "        models_dir_path                                  the folder of model folders that sessions name\n"
    "        validation_data_dir_path                         the folder of validation data sets; null: the global\n"
    "                                                         model is not validated\n"
    "        temp_dir_path                                    where run folders go\n"
    "    `flosim help config` lists them all; `flosim check FILE` checks a file without starting anything.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --config FILE      the leader's configuration (required)\n"
    "    -s, --set KEY=VALUE    replace a key of the file, e.g. --set comm_config.restful.rest_port=0; repeatable\n"
    "    -l, --log-level LEVEL  error, warn, info (the default) or debug; the log goes to standard error\n"
    "    -h, --help             this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it was told to leave (SIGTERM, SIGINT)\n"
    "    2  bad options or configuration, or it could not start: no broker, port in use\n"
    "    3  it could not go on\n"
    "\n"
    "EXAMPLE\n"
    "    mosquitto -p 1883 &\n"
    "    flosim leader -c deploy/leader.yaml\n"
    "    flosim submit deploy/session.yaml --leader 127.0.0.1:12345 --follow\n";

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
        fprintf(stderr, "flosim leader: --log-level %s: must be error, warn, info or debug\n", text);
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
        fprintf(stderr, "flosim leader: unexpected argument '%s'\n", argv[optind]);
        return PARSED_BAD;
    }
    if (!options->path) {
        fputs("flosim leader: no configuration: give one with -c FILE\n", stderr);
        return PARSED_BAD;
    }
    return PARSED;
}

static int load_config(const struct options *options, struct leader_config *config)
{
    struct diags *diags = diags_new();
    int status;

    if (!diags) {
        fputs("flosim leader: out of memory\n", stderr);
        return ERR_MEMORY;
    }
    status = config_load(&leader_config_table, options->path, options->overrides, YAML_EXPAND_ENV, config, diags);
    diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

/* ---- signals: a thread of their own waits for them, so that no handler has to be careful ---- */

static void *wait_for_signals(void *leader)
{
    sigset_t signals;
    int signal_number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigwait(&signals, &signal_number);
    leader_stop(leader);
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

static int run_until_signal(struct leader *leader, struct error *err)
{
    pthread_t waiter;
    int status;

    if (pthread_create(&waiter, NULL, wait_for_signals, leader))
        return FAIL(err, ERR_SETUP, "cannot start a thread for signals");
    status = leader_run(leader, err);
    pthread_cancel(waiter);
    pthread_join(waiter, NULL);
    return status;
}

static void say_where(const struct leader *leader, const struct leader_config *config)
{
    const char *host = config->comm_config.restful.rest_hostname;
    bool bracket = strchr(host, ':') != NULL;

    printf("REST listens on http://%s%s%s:%d\n", bracket ? "[" : "", host, bracket ? "]" : "",
           leader_rest_port(leader));
    fflush(stdout);
}

static int run_leader(const struct options *options)
{
    struct leader_config config = {0};
    struct leader *leader = NULL;
    struct error error = ERROR_INIT;
    struct log log;
    int status = load_config(options, &config);

    if (status == OK) {
        log_init(&log, STDERR_FILENO, options->level, "leader", config.cluster);
        status = leader_new(&leader, &config, NULL, &log, &error);
        if (status == OK) {
            say_where(leader, &config);
            status = run_until_signal(leader, &error);
        }
        if (status != OK)
            fprintf(stderr, "flosim leader: %s\n", error.message);
    }
    leader_free(leader);
    params_free(&leader_config_table, &config);
    return status_exit_code(status);
}

static int run(int argc, char **argv)
{
    struct options options = {.level = LOG_INFO};
    int exit_code;

    options.overrides = calloc((size_t)argc + 1, sizeof *options.overrides);
    if (!options.overrides) {
        fputs("flosim leader: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    switch (parse_options(argc, argv, &options)) {
    case PARSED:
        block_signals();
        exit_code = run_leader(&options);
        break;
    case PARSED_HELP:
        exit_code = fputs(help, stdout) < 0;
        break;
    default:
        fputs("Try `flosim leader --help`.\n", stderr);
        exit_code = 2;
        break;
    }
    free(options.overrides);
    return exit_code;
}

const struct command command_leader = {
    .name = "leader",
    .summary = "find clients, take training sessions over REST and run them",
    .help = help,
    .run = run,
};
