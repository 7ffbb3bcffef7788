/* A subcommand: one file per command ending in its const entry, listed once in main.c. */
#ifndef FLOSIM_CLI_COMMAND_H
#define FLOSIM_CLI_COMMAND_H

#include <stdio.h>

struct command {
    const char *name;
    const char *summary; /* one line for `flosim --help` */
    const char *help;    /* the whole `flosim NAME --help`: usage, options, examples, exit codes */
    /* argv[0] is "flosim NAME", as messages of getopt begin. Returns the exit code. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_run, command_check, command_partition, command_leader, command_worker,
    command_submit, command_sessions, command_report, command_strategies, command_model, command_help;

extern const struct command *const commands[]; /* in the order of `flosim --help`; NULL-terminated */

/* `flosim --help`: the commands and the topics of `flosim help`. */
void help_overview(FILE *out);

#endif
