/* flosim submit: hand a session to a leader, wait for the end or show its progress. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/submit_follow.h"
#include "cli/submit_places.h"
#include "config/session_config.h"
#include "util/fs.h"
#include "util/span.h"
#include "util/uuid.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim submit - hand a training session to a leader\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim submit SESSION.yaml --leader HOST:PORT [--follow] [OPTION]...\n"
    "\n"
    "DESCRIPTION\n"
    "    Reads and checks SESSION.yaml (Flotilla's training_config.yaml), sends it to the leader's REST port and waits\n"
    "    until the session has ended; then prints the leader's answer. With --follow it prints one line a round\n"
    "    meanwhile, and on a terminal a bar. Names of strategies and models are looked up by the leader.\n"
    "    Ctrl-C leaves: the session goes on. A leader that dies is waited for, for a minute: where one goes on with the\n"
    "    session (flosim leader --resume) at the same address, so does submit.\n"
    "\n"
    "OPTIONS\n"
    "    -l, --leader HOST:PORT   where the leader's REST interface listens (required)\n"
    "    -f, --follow             show the progress\n"
    "    -i, --session_id ID      names the session's state and folder; default: a new UUID\n"
    "    -r, --restore            go on exactly where session ID was\n"
    "    -v, --revive             keep the global model and the round of session ID, drop the rest; with --restore:\n"
    "                             only if it cannot be restored\n"
    "        --file FILE          take the state from this checkpoint of the leader's instead of its store\n"
    "    -s, --set KEY=VALUE      replace a key of the file, e.g. --set server_training_config.num_training_rounds=5;\n"
    "                             repeatable\n"
    "        --token-file FILE    the first line is the bearer token that the leader asks for\n"
    "    -j, --json               print JSON: one object for each round (with --follow), and the leader's answer\n"
    "    -h, --help               this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0    the session finished\n"
    "    2    bad options or file, or the leader refuses the session (also: one is running already, no clients)\n"
    "    3    the session failed, or the leader cannot be reached\n"
    "    130  the session was stopped, or Ctrl-C\n"
    "\n"
    "EXAMPLES\n"
    "    flosim submit deploy/session.yaml --leader 127.0.0.1:12345 --follow\n"
    "    flosim submit session.yaml --leader 10.0.0.5:12345 --set session_config.seed=7 --json\n";
// clang-format on

struct options {
    const char *path, *leader, *session_id, *file, *token_path;
    const char **overrides; /* NULL-terminated */
    size_t num_overrides;
    bool follow, restore, revive, json;
};

struct submission {
    struct leader_address leader;
    char id[129];
    char *token;          /* owned; NULL: none */
    struct yaml_doc *doc; /* the file; owned */
    char *body;           /* owned */
};

enum parsed { PARSED, PARSED_HELP, PARSED_BAD };

/* ---- options ---- */

static enum parsed complain(const char *what)
{
    fprintf(stderr, "flosim submit: %s\n", what);
    return PARSED_BAD;
}

static enum parsed check_options(const struct options *options)
{
    if (!options->path)
        return complain("no session file given");
    if (!options->leader)
        return complain("which leader? Give --leader HOST:PORT, e.g. --leader 127.0.0.1:12345");
    if ((options->restore || options->revive || options->file) && !options->session_id)
        return complain("--restore, --revive and --file need --session_id ID: whose state is meant?");
    if (options->file && !options->restore && !options->revive)
        return complain("--file FILE goes with --restore or --revive");
    if (options->session_id && (!fs_is_component(options->session_id) || strlen(options->session_id) > 128))
        return complain("--session_id: one plain name of at most 128 bytes, without `/`, is expected");
    return PARSED;
}

static bool take_option(struct options *options, int c)
{
    switch (c) {
    case 'l':
        options->leader = optarg;
        return true;
    case 'i':
        options->session_id = optarg;
        return true;
    case 'F':
        options->file = optarg;
        return true;
    case 't':
        options->token_path = optarg;
        return true;
    case 's':
        options->overrides[options->num_overrides++] = optarg;
        return true;
    default:
        options->follow |= c == 'f';
        options->restore |= c == 'r';
        options->revive |= c == 'v';
        options->json |= c == 'j';
        return c != '?';
    }
}

static enum parsed parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"leader", required_argument, NULL, 'l'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"session_id", required_argument, NULL, 'i'},
                                          {"session-id", required_argument, NULL, 'i'},
                                          {"restore", no_argument, NULL, 'r'},
                                          {"revive", no_argument, NULL, 'v'},
                                          {"file", required_argument, NULL, 'F'},
                                          {"set", required_argument, NULL, 's'},
                                          {"token-file", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    for (int c; (c = getopt_long(argc, argv, "l:fi:rvs:jh", longs, NULL)) >= 0;) {
        if (c == 'h')
            return PARSED_HELP;
        if (!take_option(options, c))
            return PARSED_BAD;
    }
    if (optind + 1 < argc)
        return complain("one session file at a time");
    options->path = optind < argc ? argv[optind] : NULL;
    return check_options(options);
}

/* ---- the request ---- */

/* What the table and the session's own rules say of the file; names behind them are the leader's to know. */
static int check_session(struct yaml_node root, struct diags *diags)
{
    struct session_config config;
    int status = params_read(&session_config_table, root, &config, diags);

    if (!status)
        session_config_check(&config, root, diags);
    params_free(&session_config_table, &config);
    return diags_errors(diags) ? ERR_INVALID : status;
}

static int load_session(const struct options *options, struct yaml_doc **doc)
{
    struct diags *diags = diags_new();

    *doc = NULL;
    if (!diags) {
        fputs("flosim submit: out of memory\n", stderr);
        return ERR_MEMORY;
    }
    int status = yaml_load_file(options->path, YAML_EXPAND_ENV | YAML_GO_ON, doc, diags);
    if (*doc)
        status = OK; /* what is wrong is in diags: go on, to find more */
    for (size_t i = 0; *doc && i < options->num_overrides; i++)
        if (yaml_set(*doc, options->overrides[i], diags) == ERR_MEMORY)
            status = ERR_MEMORY;
    if (!status)
        status = check_session(yaml_root(*doc), diags);
    diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

static int make_body(const struct options *options, struct yaml_node root, struct submission *out, struct error *err)
{
    char *text = yaml_to_json(root);
    json_t *session = text ? json_loads(text, 0, NULL) : NULL;
    json_t *body =
        session ? json_pack("{s:s, s:o, s:b, s:b, s:s?}", "session_id", out->id, "federated_learning_config", session,
                            "restore", options->restore, "revive", options->revive, "file", options->file)
                : NULL;

    free(text);
    out->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return out->body ? OK : FAIL(err, ERR_MEMORY, "out of memory for the request");
}

static int choose_id(const struct options *options, struct submission *out, struct error *err)
{
    if (!options->session_id)
        return uuid_random(out->id, err);
    snprintf(out->id, sizeof out->id, "%s", options->session_id);
    return OK;
}

static int prepare(const struct options *options, struct submission *out, struct error *err)
{
    int status = leader_address_parse(options->leader, &out->leader, err);

    if (!status)
        status = leader_token_read(options->token_path, &out->token, err);
    out->leader.token = out->token;
    if (!status)
        status = choose_id(options, out, err);
    if (!status)
        status = load_session(options, &out->doc);
    if (!status)
        status = make_body(options, yaml_root(out->doc), out, err);
    return status;
}

/* ---- sending ---- */

static void print_answer(const struct leader_answer *answer, bool as_json)
{
    if (as_json && answer->json) {
        json_dumpf(answer->json, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        puts(leader_answer_message(answer));
    }
}

/* What is wrong with the session is told as the file's own errors are: with the places of the file. */
static void print_findings(const struct submission *submission, const char *message)
{
    struct diags *diags = diags_new();

    if (!diags)
        return;
    submit_places_translate(message, submission->body, yaml_root(submission->doc), diags);
    diags_print(diags, stderr);
    diags_free(diags);
}

static bool has_place(const char *message)
{
    int line, column, used = 0;

    return sscanf(message, "%9d:%9d: %n", &line, &column, &used) == 2 && used > 0;
}

static int refused(const struct submission *submission, const struct leader_answer *answer, struct error *err)
{
    const char *message = leader_answer_message(answer);

    if (answer->http_status == 400 && (has_place(message) || strchr(message, '\n'))) {
        print_findings(submission, message);
        return FAIL(err, leader_answer_status(answer), "the leader refuses the session");
    }
    return FAIL(err, leader_answer_status(answer), "the leader answered %ld: %s", answer->http_status,
                *message ? message : "(no message)");
}

static int interrupted_while_waiting(const struct submission *submission, struct error *err)
{
    char path[SESSION_PATH_MAX];

    leader_session_path(submission->id, path);
    return FAIL(err, ERR_CANCELLED,
                "interrupted; if the leader took session %s, it goes on: GET %s%s shows it, DELETE stops it",
                submission->id, submission->leader.base, path);
}

/* *answer is the leader's, also where it refused; empty where there is none. */
static int post(const struct submission *submission, const char *path, struct leader_answer *answer, struct error *err)
{
    *answer = (struct leader_answer){0};
    int status = leader_request(&submission->leader, "POST", path, submission->body, 0, answer, err);

    if (status == ERR_CANCELLED)
        return interrupted_while_waiting(submission, err);
    if (status)
        return status;
    status = leader_answer_status(answer);
    if (status)
        refused(submission, answer, err);
    return status;
}

/* As Flotilla does it: the answer comes when the session is over. */
static int run_blocking(const struct submission *submission, bool as_json, struct error *err)
{
    struct leader_answer answer;
    struct error why = ERROR_INIT;
    int status = post(submission, "/execute_command", &answer, &why);

    if (status == ERR_IO || (answer.http_status == 503 && json_is_true(json_object_get(answer.json, "replaced")))) {
        leader_answer_fini(&answer);
        return submit_wait(&submission->leader, submission->id, as_json, &why, err);
    }
    if (status && err)
        *err = why;
    if (!status || (as_json && answer.json))
        print_answer(&answer, as_json);
    leader_answer_fini(&answer);
    return status;
}

static int run_following(const struct submission *submission, bool as_json, struct error *err)
{
    struct leader_answer answer;
    int status = post(submission, "/v1/sessions", &answer, err);

    leader_answer_fini(&answer);
    if (!status && !as_json)
        printf("session %s\n", submission->id);
    return status ? status : submit_follow(&submission->leader, submission->id, as_json, err);
}

static int submit(const struct options *options)
{
    struct submission submission = {0};
    struct error err = ERROR_INIT;
    int status = prepare(options, &submission, &err);

    if (!status) {
        interrupts_catch();
        status = options->follow ? run_following(&submission, options->json, &err)
                                 : run_blocking(&submission, options->json, &err);
    }
    if (status && err.message[0])
        fprintf(stderr, "flosim submit: %s\n", err.message);
    yaml_unref(submission.doc);
    free(submission.body);
    free(submission.token);
    return status_exit_code(status);
}

static int run(int argc, char **argv)
{
    struct options options = {.overrides = calloc((size_t)argc + 1, sizeof *options.overrides)};
    int code = 2;

    if (!options.overrides) {
        fputs("flosim submit: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    switch (parse_options(argc, argv, &options)) {
    case PARSED:
        code = submit(&options);
        break;
    case PARSED_HELP:
        code = fputs(help, stdout) < 0;
        break;
    default:
        fputs("Try `flosim submit --help`.\n", stderr);
        break;
    }
    free(options.overrides);
    return code;
}

const struct command command_submit = {
    .name = "submit",
    .summary = "hand a training session to a leader and follow it",
    .help = help,
    .run = run,
};
