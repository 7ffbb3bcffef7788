/* flosim check: everything that is wrong with a file, without starting anything. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/kinds.h"
#include "util/fs.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim check - say everything that is wrong with configuration files\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim check [--as KIND] [--set KEY=VALUE]... [--quiet] FILE...\n"
    "\n"
    "DESCRIPTION\n"
    "    Reads each file as the command that uses it would, and prints all that is wrong with it, one finding a line:\n"
    "\n"
    "        FILE:LINE:COLUMN: MESSAGE\n"
    "        FILE:LINE:COLUMN: warning: MESSAGE\n"
    "\n"
    "    Nothing is started, no port is opened, no file is written. Names in a session (strategies, optimizer, loss,\n"
    "    model folder) are looked up; the model's network is built, so that shapes that do not fit are found; the data\n"
    "    of a scenario, and of a data set folder, is read.\n"
    "\n"
    "    The kind of a file is told by its keys:\n"
    "\n"
    "        scenario   an experiment for `flosim run`\n"
    "        leader     leader.yaml, Flotilla's server_config.yaml\n"
    "        worker     worker.yaml, Flotilla's client_config.yaml\n"
    "        session    session.yaml, Flotilla's training_config.yaml\n"
    "        model      config.yaml of a model folder, with the network beside it\n"
    "        network    model.yaml of a model folder\n"
    "        dataset    train_dataset_config.yaml or dataset_config.yaml of a data set folder\n"
    "\n"
    "    A model.yaml that has none of its keys yet is a network too.\n"
    "    A folder stands for the files of these names in it. `flosim help config KIND` lists the keys of a kind;\n"
    "    `flosim help network` those of a network.\n"
    "\n"
    "OPTIONS\n"
    "    -a, --as KIND         take the files for this kind\n"
    "    -s, --set KEY=VALUE   set a key before checking, e.g. --set comm_config.grpc.timeout_s=60; repeatable\n"
    "    -q, --quiet           say nothing of files that are right\n"
    "    -h, --help            this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  no errors (warnings do not count)\n"
    "    2  errors, or bad options\n"
    "\n"
    "EXAMPLES\n"
    "    flosim check scenarios/quickstart.yaml\n"
    "    flosim check --as worker --set comm_config.mqtt.mqtt_broker=10.0.0.7 client_config.yaml\n"
    "    flosim check models/LeNet5\n";
// clang-format on

struct options {
    const struct config_kind *kind; /* NULL: told by the keys */
    const char **overrides;         /* NULL-terminated */
    size_t num_overrides;
    bool quiet, help;
};

static bool parse_kind(const char *name, struct options *options)
{
    const char *names[MAX_KINDS];
    size_t n = kind_names(names);

    options->kind = kind_find(name);
    if (options->kind)
        return true;
    const char *near = nearest_word(name, names, n);
    fprintf(stderr, "flosim check: --as %s: there is no such kind%s%s%s; there are:", name,
            near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return false;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"as", required_argument, NULL, 'a'},
                                          {"set", required_argument, NULL, 's'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

    for (int c; (c = getopt_long(argc, argv, "a:s:qh", longs, NULL)) != -1;) {
        if (c == 'a' && !parse_kind(optarg, options))
            return false;
        if (c == 's')
            options->overrides[options->num_overrides++] = optarg;
        options->quiet |= c == 'q';
        options->help |= c == 'h';
        if (c == '?')
            return false;
    }
    if (options->help || optind < argc)
        return true;
    fputs("flosim check: no file given\n", stderr);
    return false;
}

/* A model.yaml that lacks all of its keys is one still. */
static const struct config_kind *kind_of_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash ? slash + 1 : path, "model.yaml") ? NULL : kind_find("network");
}

static void check_document(struct yaml_doc *doc, const char *path, const struct options *options,
                           const struct config_kind **kind, struct diags *diags)
{
    bool whole = true;

    for (size_t i = 0; i < options->num_overrides; i++)
        whole &= yaml_set(doc, options->overrides[i], diags) == OK;
    *kind = options->kind ? options->kind : kind_of(yaml_root(doc));
    if (!*kind)
        *kind = kind_of_name(path);
    if (*kind)
        (*kind)->check(yaml_root(doc), path, diags);
    else if (whole)
        diag_error(diags, (struct diag_place){path, 0, 0},
                   "its keys do not tell what kind of file this is; say it, as in --as session");
}

/* Checks one file; returns the name of its kind, or NULL where something is wrong. */
static const char *check_file(const char *path, const struct options *options, struct diags *diags)
{
    const struct config_kind *kind = NULL;
    struct yaml_doc *doc;
    size_t errors = diags_errors(diags);

    yaml_load_file(path, YAML_EXPAND_ENV | YAML_GO_ON, &doc, diags);
    if (doc)
        check_document(doc, path, options, &kind, diags);
    yaml_unref(doc);
    return kind && diags_errors(diags) == errors ? kind->name : NULL;
}

static const char *const folder_files[] = {"config.yaml", "model.yaml", "train_dataset_config.yaml",
                                           "dataset_config.yaml"};
enum { MAX_FILES = sizeof folder_files / sizeof *folder_files };

/* The files that an argument stands for, in new strings: itself, or those of a model or data set folder. */
static size_t files_of(const char *path, char *files[MAX_FILES])
{
    size_t n = 0;

    if (!fs_is_dir(path)) {
        files[n++] = strdup(path);
        return n;
    }
    for (size_t i = 0; i < MAX_FILES; i++) {
        files[n] = fs_join(path, folder_files[i]);
        if (files[n] && fs_exists(files[n]))
            n++;
        else
            free(files[n]);
    }
    return n;
}

/* Findings of a folder's files are shown together, for they tell of the same network: none of them is called good
 * where one is not. Returns the exit code. */
static int check_path(const char *path, const struct options *options, struct diags *diags)
{
    char *files[MAX_FILES];
    const char *kinds[MAX_FILES] = {NULL};
    size_t n = files_of(path, files);

    for (size_t i = 0; i < n; i++)
        kinds[i] = files[i] ? check_file(files[i], options, diags) : NULL;
    if (!n)
        diag_error(diags, (struct diag_place){path, 0, 0},
                   "the folder holds no config.yaml, model.yaml, train_dataset_config.yaml or dataset_config.yaml");
    diags_print(diags, stdout);
    for (size_t i = 0; i < n; i++) {
        if (kinds[i] && !options->quiet && !diags_errors(diags))
            printf("%s: good (%s)\n", files[i], kinds[i]);
        free(files[i]);
    }
    return diags_errors(diags) ? 2 : 0;
}

static int check_argument(const char *path, const struct options *options)
{
    struct diags *diags = diags_new();

    if (!diags) {
        fputs("flosim check: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    int code = check_path(path, options, diags);
    diags_free(diags);
    return code;
}

static int check_all(int argc, char **argv, const struct options *options)
{
    int worst = 0;

    if (options->help)
        return fputs(help, stdout) < 0;
    for (int i = optind; i < argc; i++) {
        int code = check_argument(argv[i], options);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static int run(int argc, char **argv)
{
    struct options options = {.overrides = calloc((size_t)argc + 1, sizeof *options.overrides)};
    int code = 2;

    if (!options.overrides) {
        fputs("flosim check: out of memory\n", stderr);
        return status_exit_code(ERR_MEMORY);
    }
    if (parse_options(argc, argv, &options))
        code = check_all(argc, argv, &options);
    else
        fputs("Try `flosim check --help`.\n", stderr);
    free(options.overrides);
    return code;
}

const struct command command_check = {
    .name = "check",
    .summary = "say everything that is wrong with configuration files",
    .help = help,
    .run = run,
};
