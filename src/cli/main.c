/* flosim: finds the subcommand and hands over. To add one: a row in `commands`, its extern in command.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "util/params.h"

const struct command *const commands[] = {
    &command_run,
    &command_leader,
    &command_worker,
    &command_submit,
    &command_sessions,
    &command_report,
    &command_partition,
    &command_check,
    &command_strategies,
    &command_model,
    &command_help,
    NULL,
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    size_t n = 0;

    for (; commands[n]; n++)
        names[n] = commands[n]->name;
    const char *near = nearest_word(name, names, n);
    fprintf(stderr, "flosim: there is no command or scenario file `%s`%s%s%s\n", name,
            near ? "; did you mean `flosim " : "", near ? near : "", near ? "`?" : "");
    fputs("`flosim help` lists the commands.\n", stderr);
    return 2;
}

/* `flosim --clients 50 scenario.yaml` is `flosim run --clients 50 scenario.yaml`. */
static bool looks_like_run(const char *first)
{
    return *first == '-' || strpbrk(first, "./") || access(first, F_OK) == 0;
}

/* Messages of getopt begin with argv[0]. */
static int run_command(const struct command *command, int argc, char **argv)
{
    char name[64];

    snprintf(name, sizeof name, "flosim %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "--help";
    const struct command *command = find_command(first);

    if (!strcmp(first, "--version") || !strcmp(first, "-V"))
        return puts("flosim " PACKAGE_VERSION) < 0;
    if (!strcmp(first, "--help") || !strcmp(first, "-h"))
        return argc > 1 ? command_help.run(1, argv) : (help_overview(stderr), 2);
    if (command)
        return run_command(command, argc - 1, argv + 1);
    command = looks_like_run(first) ? find_command("run") : NULL;
    if (!command)
        return unknown_command(first);
    return run_command(command, argc, argv);
}
