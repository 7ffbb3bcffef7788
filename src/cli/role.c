#include "cli/role.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/check.h"

/* ---- options ---- */

enum parsed { PARSED, PARSED_HELP, PARSED_BAD };

static enum parsed parse_level(const char *text, struct role_options *options)
{
    int level = log_level_parse(text);

    if (level < 0) {
        fprintf(stderr, "flosim %s: --log-level %s: must be error, warn, info or debug\n", options->name, text);
        return PARSED_BAD;
    }
    options->level = (enum log_level)level;
    return PARSED;
}

static enum parsed check_complete(int argc, char **argv, const struct role_options *options)
{
    if (optind < argc)
        fprintf(stderr, "flosim %s: unexpected argument '%s'\n", options->name, argv[optind]);
    else if (!options->path)
        fprintf(stderr, "flosim %s: no configuration: give one with -c FILE\n", options->name);
    return optind < argc || !options->path ? PARSED_BAD : PARSED;
}

static enum parsed parse_options(int argc, char **argv, struct role_options *options)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"set", required_argument, NULL, 's'},
                                          {"log-level", required_argument, NULL, 'l'},
                                          {"resume", no_argument, NULL, 'R'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int c;

    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    while ((c = getopt_long(argc, argv, "c:s:l:h", longs, NULL)) >= 0) {
        if (c == 'c')
            options->path = optarg;
        else if (c == 's')
            options->overrides[options->num_overrides++] = optarg;
        else if (c == 'R')
            options->resume = true;
        else if (c == 'h')
            return PARSED_HELP;
        else if (c != 'l' || parse_level(optarg, options) != PARSED)
            return PARSED_BAD;
    }
    return check_complete(argc, argv, options);
}

int role_load_config(const struct role_options *options, const struct param_table *table, void *config)
{
    struct diags *diags = diags_new();

    if (!diags) {
        fprintf(stderr, "flosim %s: out of memory\n", options->name);
        return ERR_MEMORY;
    }
    int status = config_load(table, options->path, options->overrides, YAML_EXPAND_ENV, config, diags);
    diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

/* ---- signals: a thread of their own waits for them, so that no handler has to be careful ---- */

struct waiter {
    void (*stop)(void *role);
    void *role;
    atomic_bool is_over; /* the role has ended; the signal that comes then is ours and only ends the thread */
};

static sigset_t signals_to_leave(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static void *wait_for_signals(void *argument)
{
    struct waiter *waiter = argument;
    const sigset_t signals = signals_to_leave();
    int signal_number;

    sigwait(&signals, &signal_number);
    if (!atomic_load(&waiter->is_over)) {
        waiter->stop(waiter->role);
        sigwait(&signals, &signal_number);
    }
    if (!atomic_load(&waiter->is_over))
        _exit(130);
    return NULL;
}

/* Before the first thread, which inherits the mask. */
static void block_signals(void)
{
    const sigset_t signals = signals_to_leave();

    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int role_run_until_signal(int (*run)(void *role, struct error *err), void (*stop)(void *role), void *role,
                          struct error *err)
{
    struct waiter waiter = {.stop = stop, .role = role};
    pthread_t thread;

    if (pthread_create(&thread, NULL, wait_for_signals, &waiter))
        return FAIL(err, ERR_SETUP, "cannot start a thread for signals");
    int status = run(role, err);
    atomic_store(&waiter.is_over, true);
    pthread_kill(thread, SIGTERM);
    pthread_join(thread, NULL);
    return status;
}

/* ---- the command ---- */

int role_command(const char *name, const char *help, int argc, char **argv, int (*run)(const struct role_options *))
{
    struct role_options options = {.name = name, .level = LOG_INFO};
    int exit_code;

    options.overrides = calloc((size_t)argc + 1, sizeof *options.overrides);
    if (!options.overrides) {
        fprintf(stderr, "flosim %s: out of memory\n", name);
        return status_exit_code(ERR_MEMORY);
    }
    switch (parse_options(argc, argv, &options)) {
    case PARSED:
        block_signals();
        exit_code = run(&options);
        break;
    case PARSED_HELP:
        exit_code = fputs(help, stdout) < 0;
        break;
    default:
        fprintf(stderr, "Try `flosim %s --help`.\n", name);
        exit_code = 2;
        break;
    }
    free(options.overrides);
    return exit_code;
}
