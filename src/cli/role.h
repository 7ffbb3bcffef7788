/* What `flosim leader` and `flosim worker` have in common: options, configuration, and a run until a signal. */
#ifndef FLOSIM_CLI_ROLE_H
#define FLOSIM_CLI_ROLE_H

#include <stdbool.h>

#include "util/error.h"
#include "util/log.h"
#include "util/params.h"

struct role_options {
    const char *name; /* "leader": stands in front of what is said on standard error */
    const char *path;
    const char **overrides; /* NULL-terminated */
    size_t num_overrides;
    enum log_level level;
    bool resume; /* --resume; of leaders only */
};

/* The whole command: reads options, blocks SIGTERM and SIGINT for the threads to come, runs. Returns the exit code. */
int role_command(const char *name, const char *help, int argc, char **argv, int (*run)(const struct role_options *));

/* Read the role's file into *config, telling on standard error what is wrong or odd. */
int role_load_config(const struct role_options *options, const struct param_table *table, void *config);

/* run(role) until it returns; the first SIGTERM or SIGINT calls stop(role) from another thread, the second ends the
 * process with exit code 130. */
int role_run_until_signal(int (*run)(void *role, struct error *err), void (*stop)(void *role), void *role,
                          struct error *err);

#endif
