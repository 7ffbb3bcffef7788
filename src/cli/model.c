/* flosim model: what networks are made of, and whether they compute what PyTorch computes. */
#include "cli/model.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "config/model_folder.h"
#include "util/fs.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim model - list networks, show one, hold one against PyTorch\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim model list\n"
    "    flosim model show FOLDER_OR_NAME [--batch N] [--args KEY=VALUE]...\n"
    "    flosim model verify MODEL_FOLDER RECORD.safetensors [--tolerance T] [--args KEY=VALUE]...\n"
    "    flosim model verify --layer RECORD.safetensors [--tolerance T]\n"
    "\n"
    "DESCRIPTION\n"
    "    list     the networks that are built in\n"
    "    show     a table of layers: shape of the output, parameters, floating point operations of one sample; then the\n"
    "             memory of parameters and of the workspace that training and inference need\n"
    "    verify   replays a training that was recorded with PyTorch (docs/MODELS.md shows how) and prints how far\n"
    "             outputs, losses and final weights are off, each relative to the largest value of its tensor, at least\n"
    "             0.001; with --layer a record of one layer, loss or optimizer, described by its metadata alone\n"
    "\n"
    "OPTIONS\n"
    "    -b, --batch N          batch size that memory is told for (16)\n"
    "    -a, --args KEY=VALUE   a model argument, as in model_args; repeatable\n"
    "    -t, --tolerance T      largest relative deviation (1e-3, with --layer 1e-4)\n"
    "    -l, --layer            the record is of one layer, loss or optimizer\n"
    "    -h, --help             this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  all went well; verify: within the tolerance\n"
    "    1  verify: past the tolerance\n"
    "    2  bad options, a bad network, or a record that is damaged or does not fit\n"
    "\n"
    "EXAMPLES\n"
    "    flosim model show LeNet5 --args num_classes=62\n"
    "    flosim model verify models/LeNet5 run.safetensors\n";
// clang-format on

struct options {
    json_t *args;
    long batch;
    double tolerance; /* 0: the default */
    bool layer, help;
};

int model_command_load(const char *name, const json_t *args, struct model **out)
{
    const char *text = fs_is_dir(name) ? NULL : builtin_network(name);
    struct diags *diags = diags_new();
    int status;

    *out = NULL;
    if (!diags)
        return ERR_MEMORY;
    if (text)
        status = model_load_text(text, name, args, out, diags);
    else
        status = model_folder_load(name, NULL, args, out, diags);
    diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

static bool add_arg(json_t *args, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    char key[64];

    if (!equals || equals == assignment || equals - assignment >= (long)sizeof key) {
        fprintf(stderr, "flosim model: --args %s: expected KEY=VALUE\n", assignment);
        return false;
    }
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = '\0';
    return json_object_set_new(args, key, json_string(equals + 1)) == 0;
}

static bool parse_number(const char *option, const char *text, double least, double most, double *out)
{
    char *end;

    *out = strtod(text, &end);
    if (end != text && !*end && *out >= least && *out <= most)
        return true;
    fprintf(stderr, "flosim model: %s must be a number between %g and %g, found `%s`\n", option, least, most, text);
    return false;
}

static bool parse_option(int c, struct options *options)
{
    double number;

    switch (c) {
    case 'a':
        return add_arg(options->args, optarg);
    case 'b':
        if (!parse_number("--batch", optarg, 1, WORKSPACE_MAX_BATCH, &number))
            return false;
        options->batch = (long)number;
        return true;
    case 't':
        return parse_number("--tolerance", optarg, 1e-12, 1e6, &options->tolerance);
    case 'l':
        return options->layer = true;
    case 'h':
        return options->help = true;
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"args", required_argument, NULL, 'a'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"tolerance", required_argument, NULL, 't'},
                                          {"layer", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

    for (int c; (c = getopt_long(argc, argv, "a:b:t:lh", longs, NULL)) != -1;)
        if (!parse_option(c, options))
            return false;
    return true;
}

static int list(void)
{
    for (size_t i = 0; builtin_models[i].id; i++)
        puts(builtin_models[i].id);
    return 0;
}

/* words: what is left of the command line. Returns the exit code, or -1 where they make no sense. */
static int dispatch(const struct options *options, int n, char **words)
{
    double tolerance = options->tolerance > 0 ? options->tolerance : options->layer ? 1e-4 : 1e-3;

    if (n == 1 && !strcmp(words[0], "list"))
        return list();
    if (n == 2 && !strcmp(words[0], "show"))
        return model_show(words[1], options->args, (int)options->batch);
    if (n == 2 && options->layer && !strcmp(words[0], "verify"))
        return model_verify(NULL, words[1], options->args, tolerance);
    if (n == 3 && !options->layer && !strcmp(words[0], "verify"))
        return model_verify(words[1], words[2], options->args, tolerance);
    fputs(n ? "flosim model: expected list, show FOLDER_OR_NAME, verify MODEL_FOLDER RECORD or verify --layer RECORD\n"
            : "flosim model: list, show or verify?\n",
          stderr);
    return -1;
}

static int run(int argc, char **argv)
{
    struct options options = {.args = json_object(), .batch = 16};
    bool good = options.args && parse_options(argc, argv, &options);
    int code = -1;

    if (good && options.help)
        code = fputs(help, stdout) < 0;
    else if (good)
        code = dispatch(&options, argc - optind, argv + optind);
    if (code < 0)
        fputs("Try `flosim model --help`.\n", stderr);
    json_decref(options.args);
    return code < 0 ? 2 : code;
}

const struct command command_model = {
    .name = "model",
    .summary = "list networks, show one, hold one against PyTorch",
    .help = help,
    .run = run,
};
