/* flosim help: commands, and the topics of help_topics.c. */
#include <getopt.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help_topics.h"
#include "util/params.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim help - explain a command, a file's keys, a strategy ...\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim help\n"
    "    flosim help COMMAND\n"
    "    flosim help TOPIC [MEMBER] [--markdown]\n"
    "\n"
    "DESCRIPTION\n"
    "    Without an argument: lists commands and topics. With a command: the same as COMMAND --help. With a topic: all\n"
    "    of its members, or the one named, from the tables that the program itself reads files with.\n"
    "\n"
    "OPTIONS\n"
    "    -m, --markdown   print the topic as Markdown; docs/CONFIG.md is `flosim help reference --markdown`\n"
    "    -h, --help       this text\n"
    "\n"
    "EXAMPLES\n"
    "    flosim help config session\n"
    "    flosim help strategies fedavg\n";
// clang-format on

void help_overview(FILE *out)
{
    fputs("flosim " PACKAGE_VERSION ": federated learning, simulated with real processes or deployed\n\n"
          "  flosim [run] [OPTION]... SCENARIO.yaml   simulate a leader and its clients on this machine\n"
          "  flosim COMMAND --help                    all about a command\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nTopics of `flosim help`:\n", out);
    for (size_t i = 0; help_topics[i].name; i++)
        fprintf(out, "  %-12s %s\n", help_topics[i].name, help_topics[i].summary);
    fputs("\nExit status: 0 all went well; 1 an expectation of the scenario failed; 2 bad input, nothing was started;\n"
          "3 the run could not go on; 130 interrupted.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int unknown_topic(const char *name)
{
    const char *names[64];
    size_t n = 0;

    for (size_t i = 0; commands[i] && n < 64; i++)
        names[n++] = commands[i]->name;
    for (size_t i = 0; help_topics[i].name && n < 64; i++)
        names[n++] = help_topics[i].name;
    const char *near = nearest_word(name, names, n);
    fprintf(stderr, "flosim help: there is no command or topic `%s`%s%s%s\n`flosim help` lists them.\n", name,
            near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return 2;
}

static int unknown_member(const struct help_topic *topic, const char *member)
{
    fprintf(stderr, "flosim help: there is no `%s` in %s; there are:", member, topic->name);
    help_topic_members(topic, stderr);
    return 2;
}

static int show(const char *name, const char *member, bool markdown)
{
    const struct command *command = find_command(name);
    const struct help_topic *topic = help_topic_find(name);

    if (command && !topic)
        return fputs(command->help, stdout) < 0;
    if (!topic)
        return unknown_topic(name);
    return help_topic_print(topic, member, markdown, stdout) ? 0 : unknown_member(topic, member);
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        {"markdown", no_argument, NULL, 'm'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool markdown = false;

    for (int c; (c = getopt_long(argc, argv, "mh", longs, NULL)) != -1;) {
        if (c == 'h')
            return fputs(help, stdout) < 0;
        if (c == '?') {
            fputs("Try `flosim help --help`.\n", stderr);
            return 2;
        }
        markdown = true;
    }
    if (optind == argc) {
        help_overview(stdout);
        return 0;
    }
    return show(argv[optind], optind + 1 < argc ? argv[optind + 1] : NULL, markdown);
}

const struct command command_help = {
    .name = "help",
    .summary = "explain a command, a file's keys, a strategy ...",
    .help = help,
    .run = run,
};
