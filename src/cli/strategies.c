/* flosim strategies: who there is of each kind, and all about one. */
#include <getopt.h>
#include <string.h>

#include "cli/command.h"
#include "cli/strategy_text.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim strategies - list the strategies, explain one\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim strategies [--kind KIND]\n"
    "    flosim strategies [--kind KIND] [--markdown] NAME\n"
    "\n"
    "DESCRIPTION\n"
    "    A session names three kinds of strategies: `client_selection` chooses who trains, `aggregator` makes a new\n"
    "    global model of the updates, and each `termination_condition` may end the session. Without NAME: all of them,\n"
    "    one a line. With NAME: the idea of each member of that name, how it works, what it needs, and its arguments\n"
    "    with type, range, default and meaning.\n"
    "\n"
    "    Each has a page with its formula and its source in docs/strategies; PLUGINS.md there says how you add your own.\n"
    "\n"
    "OPTIONS\n"
    "    -k, --kind KIND   only this kind: selection, aggregation or termination\n"
    "    -t, --table       list KIND, NAME and idea with tabs between them, for scripts\n"
    "    -m, --markdown    the arguments of NAME as a Markdown table, as they stand in docs/strategies\n"
    "    -h, --help        this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it was told\n"
    "    2  there is no such strategy, or bad options\n"
    "\n"
    "EXAMPLES\n"
    "    flosim strategies\n"
    "    flosim strategies fedasync\n"
    "    flosim strategies --kind termination\n";
// clang-format on

struct options {
    int kind; /* STRATEGY_NUM_KINDS: all */
    bool table, markdown, help;
    const char *name; /* NULL: a list */
};

static bool parse_kind(const char *text, struct options *options)
{
    const char *names[STRATEGY_NUM_KINDS];
    char message[WORDS_TEXT];

    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++) {
        names[kind] = strategy_kind_name(kind);
        options->kind = strcmp(text, names[kind]) == 0 ? (int)kind : options->kind;
    }
    if (options->kind != STRATEGY_NUM_KINDS)
        return true;
    fprintf(stderr, "flosim strategies: --kind %s: %s\n", text,
            unknown_word("kind", text, names, STRATEGY_NUM_KINDS, message));
    return false;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {
        {"kind", required_argument, NULL, 'k'},
        {"table", no_argument, NULL, 't'},
        {"markdown", no_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (int c; (c = getopt_long(argc, argv, "k:tmh", longs, NULL)) != -1;) {
        if (c == '?' || (c == 'k' && !parse_kind(optarg, options)))
            return false;
        options->table |= c == 't';
        options->markdown |= c == 'm';
        options->help |= c == 'h';
    }
    options->name = optind < argc ? argv[optind] : NULL;
    if (options->help || (argc - optind <= 1 && (options->name || !options->markdown)))
        return true;
    fputs(options->name ? "flosim strategies: one NAME at a time\n" : "flosim strategies: --markdown of which NAME?\n",
          stderr);
    return false;
}

static bool is_wanted(const struct options *options, enum strategy_kind kind)
{
    return options->kind == STRATEGY_NUM_KINDS || options->kind == (int)kind;
}

/* The first sentence of the idea. */
static int first_sentence(const char *text)
{
    const char *end = strchr(text, '.');

    while (end && end[1] && end[1] != ' ')
        end = strchr(end + 1, '.');
    return end ? (int)(end - text) : (int)strlen(text);
}

static void list_kind(const struct options *options, enum strategy_kind kind)
{
    struct strategy_entry entry;

    if (!options->table)
        printf("%s (%s)\n", strategy_kind_name(kind), strategy_kind_key(kind));
    for (size_t i = 0; strategy_entry_at(kind, i, &entry); i++) {
        if (options->table)
            printf("%s\t%s\t%.*s\n", strategy_kind_name(kind), entry.name, first_sentence(entry.help), entry.help);
        else
            printf("    %-24s %.*s\n", entry.name, first_sentence(entry.help), entry.help);
    }
    if (!options->table)
        putchar('\n');
}

static int list(const struct options *options)
{
    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++)
        if (is_wanted(options, kind))
            list_kind(options, kind);
    if (!options->table)
        puts("`flosim strategies NAME` explains one.");
    return 0;
}

static int unknown_name(const struct options *options)
{
    const char *names[STRATEGY_NUM_KINDS * MAX_WORDS_OF_A_KIND];
    struct strategy_entry entry;
    size_t n = 0;

    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++)
        for (size_t i = 0; i < MAX_WORDS_OF_A_KIND && is_wanted(options, kind) && strategy_entry_at(kind, i, &entry);
             i++)
            names[n++] = entry.name;
    const char *near = nearest_word(options->name, names, n);
    fprintf(stderr, "flosim strategies: there is no strategy `%s`%s%s%s\n`flosim strategies` lists them.\n",
            options->name, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return 2;
}

static int explain(const struct options *options)
{
    const struct help_topic *topic = help_topic_find("strategies");
    struct help_member member;
    bool found = false;

    for (size_t i = 0; topic->member_at(i, &member); i++) {
        if (strcmp(member.name, options->name) != 0 || !is_wanted(options, member.kind))
            continue;
        if (options->markdown)
            strategy_print_arguments(member.kind, &member.strategy, stdout);
        else
            help_member_print(&member, stdout);
        found = true;
    }
    return found ? 0 : unknown_name(options);
}

static int run(int argc, char **argv)
{
    struct options options = {.kind = STRATEGY_NUM_KINDS};

    if (!parse_options(argc, argv, &options)) {
        fputs("Try `flosim strategies --help`.\n", stderr);
        return 2;
    }
    if (options.help)
        return fputs(help, stdout) < 0;
    return options.name ? explain(&options) : list(&options);
}

const struct command command_strategies = {
    .name = "strategies",
    .summary = "list the strategies, explain one",
    .help = help,
    .run = run,
};
