/* flosim sessions: what is stored of sessions, and dropping it. */
#include "cli/sessions.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "util/fs.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim sessions - list what is stored of training sessions, and drop it\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim sessions      -c FILE | --leader HOST:PORT | --dir FOLDER  [--json]\n"
    "    flosim sessions drop -c FILE | --leader HOST:PORT | --dir FOLDER  [--force] [--json] ID...\n"
    "\n"
    "DESCRIPTION\n"
    "    Lists every session with label, status, rounds done and asked for, last accuracy, the term of the leader that\n"
    "    wrote it, size, time of the last write, and where it lies: memory (of a running leader), redis, checkpoint.\n"
    "    A status `running` may also be a session that a leader left unfinished when it died.\n"
    "    With `drop` the sessions named lose their state and checkpoints for good; their run folders stay.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --config FILE        the store and the checkpoints of this leader.yaml; the leader need not run\n"
    "    -l, --leader HOST:PORT   all that a running leader has\n"
    "    -d, --dir FOLDER         the checkpoints in this folder\n"
    "    -f, --force              drop also what is running (at the leader of --leader: it is stopped first) or was\n"
    "                             left unfinished\n"
    "    -s, --set KEY=VALUE      replace a key of FILE; repeatable\n"
    "        --token-file FILE    the first line is the bearer token that the leader asks for\n"
    "    -j, --json               print JSON, one object a line\n"
    "    -h, --help               this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it is done; what could not be read is told on standard error\n"
    "    2  bad options or file; with drop: no such session, or a running one without --force (the others are dropped)\n"
    "    3  the store or the leader cannot be reached\n"
    "\n"
    "EXAMPLES\n"
    "    flosim sessions -c deploy/leader.yaml\n"
    "    flosim sessions drop --leader 127.0.0.1:12345 my-run my-other-run\n"
    "    flosim sessions --dir checkpoint --json\n";
// clang-format on

struct options {
    const char *config, *leader, *dir, *token_path;
    const char **overrides; /* NULL-terminated */
    size_t num_overrides;
    bool drop, force, json;
    char **ids; /* of drop; NULL-terminated */
};

enum parsed { PARSED, PARSED_HELP, PARSED_BAD };

/* ---- options ---- */

static enum parsed complain(const char *what)
{
    fprintf(stderr, "flosim sessions: %s\n", what);
    return PARSED_BAD;
}

static enum parsed check_options(const struct options *options)
{
    if (!!options->config + !!options->leader + !!options->dir != 1)
        return complain("whose sessions? Give one of -c FILE, --leader HOST:PORT, --dir FOLDER");
    if (options->token_path && !options->leader)
        return complain("--token-file goes with --leader");
    if (options->num_overrides && !options->config)
        return complain("--set goes with -c FILE");
    if (options->force && !options->drop)
        return complain("--force goes with `flosim sessions drop`");
    if (options->drop && !*options->ids)
        return complain("drop which sessions? `flosim sessions` lists them");
    if (!options->drop && *options->ids)
        return complain("the only thing to do with a session here is `drop`: flosim sessions drop ID");
    for (char **id = options->ids; *id; id++)
        if (!fs_is_component(*id) || strlen(*id) > 128)
            return complain("a session's ID is one plain name of at most 128 bytes, without `/`");
    return PARSED;
}

static bool take_option(struct options *options, int c)
{
    switch (c) {
    case 'c':
        options->config = optarg;
        return true;
    case 'l':
        options->leader = optarg;
        return true;
    case 'd':
        options->dir = optarg;
        return true;
    case 't':
        options->token_path = optarg;
        return true;
    case 's':
        options->overrides[options->num_overrides++] = optarg;
        return true;
    default:
        options->force |= c == 'f';
        options->json |= c == 'j';
        return c != '?';
    }
}

static enum parsed parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"leader", required_argument, NULL, 'l'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"force", no_argument, NULL, 'f'},
                                          {"set", required_argument, NULL, 's'},
                                          {"token-file", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    for (int c; (c = getopt_long(argc, argv, "c:l:d:fs:jh", longs, NULL)) >= 0;) {
        if (c == 'h')
            return PARSED_HELP;
        if (!take_option(options, c))
            return PARSED_BAD;
    }
    options->drop = optind < argc && strcmp(argv[optind], "drop") == 0;
    options->ids = argv + optind + options->drop;
    return check_options(options);
}

/* ---- the list ---- */

static const char *text_of(const json_t *session, const char *key)
{
    const char *text = json_string_value(json_object_get(session, key));

    return text && *text ? text : "-";
}

static long long number_of(const json_t *session, const char *key)
{
    return (long long)json_integer_value(json_object_get(session, key));
}

static const char *size_text(double bytes, char text[24])
{
    snprintf(text, 24, bytes < 1e6 ? "%.1f kB" : "%.1f MB", bytes / (bytes < 1e6 ? 1e3 : 1e6));
    return text;
}

static const char *time_text(const json_t *seconds, char text[32])
{
    time_t time = (time_t)json_number_value(seconds);
    struct tm parts;

    if (!json_is_number(seconds) || !localtime_r(&time, &parts) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts))
        snprintf(text, 32, "-");
    return text;
}

static const char *places_text(const json_t *session, char *text, size_t size)
{
    const json_t *places = json_object_get(session, "in");
    size_t used = 0;

    snprintf(text, size, "-");
    for (size_t i = 0; i < json_array_size(places) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
                                 json_string_value(json_array_get(places, i)));
    return text;
}

static void print_session(const json_t *session, int id_width, int label_width)
{
    const json_t *accuracy = json_object_get(session, "accuracy");
    char rounds[48], percent[16] = "-", size[24], when[32], places[64];

    snprintf(rounds, sizeof rounds, "%lld/%lld", number_of(session, "round"), number_of(session, "num_rounds"));
    if (json_is_number(accuracy))
        snprintf(percent, sizeof percent, "%.2f %%", json_number_value(accuracy));
    printf("%-*s  %-*s  %-8s  %11s  %8s  %13lld  %8s  %-19s  %s\n", id_width, text_of(session, "session_id"),
           label_width, text_of(session, "label"), text_of(session, "status"), rounds, percent,
           number_of(session, "leader_term"), size_text((double)number_of(session, "bytes"), size),
           time_text(json_object_get(session, "time"), when), places_text(session, places, sizeof places));
}

static int width_of(const json_t *sessions, const char *key)
{
    size_t widest = 5;

    for (size_t i = 0; i < json_array_size(sessions); i++) {
        size_t width = strlen(text_of(json_array_get(sessions, i), key));

        widest = width > widest ? width : widest;
    }
    return (int)widest;
}

static void print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
}

static void print_list(const json_t *sessions, bool as_json)
{
    int id_width = width_of(sessions, "session_id"), label_width = width_of(sessions, "label");

    if (!as_json && json_array_size(sessions) == 0)
        puts("no sessions");
    else if (!as_json)
        printf("%-*s  %-*s  %-8s  %11s  %8s  %13s  %8s  %-19s  %s\n", id_width, "id", label_width, "label", "status",
               "rounds", "accuracy", "term", "size", "when", "where");
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        if (as_json)
            print_json(json_array_get(sessions, i));
        else
            print_session(json_array_get(sessions, i), id_width, label_width);
    }
}

static int list(struct session_source *source, bool as_json, struct error *err)
{
    json_t *sessions, *problems;
    int status = session_source_list(source, &sessions, &problems, err);

    if (!status)
        print_list(sessions, as_json);
    for (size_t i = 0; i < json_array_size(problems); i++)
        fprintf(stderr, "flosim sessions: %s\n", json_string_value(json_array_get(problems, i)));
    json_decref(sessions);
    json_decref(problems);
    return status;
}

/* ---- drop ---- */

static void print_dropped(const json_t *dropped, bool as_json)
{
    char places[64];

    if (as_json) {
        print_json(dropped);
        return;
    }
    printf("dropped %s: %s", text_of(dropped, "session_id"), places_text(dropped, places, sizeof places));
    if (number_of(dropped, "files"))
        printf(" (%lld file%s)", number_of(dropped, "files"), number_of(dropped, "files") == 1 ? "" : "s");
    puts(json_is_false(json_object_get(dropped, "durable")) ? "; the store is away, and loses it when it is back" : "");
}

/* Goes on after one that cannot be dropped; the worst exit code counts. */
static int drop(struct session_source *source, const struct options *options)
{
    int worst = 0;

    for (char **id = options->ids; *id && !interrupted(); id++) {
        struct error err = ERROR_INIT;
        json_t *dropped;
        int code = 0, status = session_source_drop(source, *id, options->force, &dropped, &err);

        if (status) {
            fprintf(stderr, "flosim sessions: %s\n", err.message);
            code = status_exit_code(status == ERR_NOT_FOUND ? ERR_INVALID : status);
        } else {
            print_dropped(dropped, options->json);
        }
        json_decref(dropped);
        worst = code > worst ? code : worst;
    }
    return worst;
}

/* ---- the command ---- */

static int open_source(const struct options *options, struct session_source *out, struct error *err)
{
    if (options->config)
        return session_source_of_config(out, options->config, options->overrides, err);
    if (options->leader)
        return session_source_of_leader(out, options->leader, options->token_path, err);
    *out = (struct session_source){.dir = options->dir};
    return fs_is_dir(options->dir) ? OK : FAIL(err, ERR_INVALID, "--dir %s: there is no such folder", options->dir);
}

static int sessions(const struct options *options)
{
    struct session_source source;
    struct error err = ERROR_INIT;
    int status = open_source(options, &source, &err), code = 0;

    interrupts_catch();
    if (status == ERR_SETUP)
        status = ERR_UNAVAILABLE; /* the store, that is */
    if (!status && options->drop)
        code = drop(&source, options);
    else if (!status)
        status = list(&source, options->json, &err);
    if (status && err.message[0])
        fprintf(stderr, "flosim sessions: %s\n", err.message);
    session_source_fini(&source);
    return status ? status_exit_code(status) : code;
}

static int run(int argc, char **argv)
{
    struct options options = {.overrides = calloc((size_t)argc + 1, sizeof *options.overrides)};
    int code = 2;

    if (!options.overrides) {
        fputs("flosim sessions: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    switch (parse_options(argc, argv, &options)) {
    case PARSED:
        code = sessions(&options);
        break;
    case PARSED_HELP:
        code = fputs(help, stdout) < 0;
        break;
    default:
        fputs("Try `flosim sessions --help`.\n", stderr);
        break;
    }
    free(options.overrides);
    return code;
}

const struct command command_sessions = {
    .name = "sessions",
    .summary = "list what is stored of sessions, and drop it",
    .help = help,
    .run = run,
};
