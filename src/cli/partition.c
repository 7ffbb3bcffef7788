/* `flosim partition`: read a source, deal it by a scheme, write one data set folder per client and one for the leader.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "data/folder.h"
#include "data/partition.h"
#include "data/source.h"
#include "util/fs.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim partition - split a data set into one folder for each client\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim partition SOURCE --clients N --out DIR [--scheme NAME] [--set KEY=VALUE]... [OPTION]...\n"
    "\n"
    "DESCRIPTION\n"
    "    Reads the data of SOURCE, deals the training items to N clients by a scheme, and writes one data set folder for\n"
    "    each client and one for the leader's validation:\n"
    "\n"
    "        DIR/client_000/ID/   for client 0: datasets_dir_path of its worker.yaml is DIR/client_000\n"
    "        DIR/validation/ID/   for the leader: validation_data_dir_path of leader.yaml is DIR/validation\n"
    "\n"
    "    Each folder holds data.safetensors (x: raw values, y: labels; in its metadata how raw values become inputs) and a\n"
    "    configuration in Flotilla's form. The same source, scheme, arguments and seed give the same bytes. A table of what\n"
    "    each client got is printed. Simulations need no folders: they partition in memory.\n"
    "\n"
    "    Sources: fashion-mnist, idx, cifar10, cifar100, synthetic, safetensors, npz, csv, text.\n"
    "    Schemes: iid (equal_partition), dirichlet, shards, limit_label, limit_label_unique, equal_samples (fixed_samples),\n"
    "    equal_label_distribution (equal_label), probability_distribution (probability), quantity, natural.\n"
    "    Their arguments are given with --set; `flosim help data` shows all of them. docs/DATA.md has the rules.\n"
    "\n"
    "OPTIONS\n"
    "    -n, --clients N             number of clients, 1 to 100000 (required)\n"
    "    -o, --out DIR               where the folders go; made if it is not there (required)\n"
    "        --scheme NAME           how items are dealt; default iid\n"
    "    -s, --set KEY=VALUE         an argument of the source or the scheme; repeatable. Where both have KEY, both get it;\n"
    "                                source.KEY and scheme.KEY name one of them\n"
    "        --samples-per-client S  draw N x S training items first and deal only those; default 0: all of them\n"
    "        --seed SEED             a whole number; default 0\n"
    "        --dataset-id ID         name of the data set and of its folders; default: the source's name\n"
    "        --validation-out DIR    where the validation folder goes; default: validation in the --out folder\n"
    "    -f, --force                 replace the client and validation folders of an earlier partition\n"
    "    -q, --quiet                 print no table\n"
    "    -h, --help                  this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  done\n"
    "    2  bad options, missing or damaged data, an impossible partition, or folders that are there already\n"
    "    3  the folders could not be written\n"
    "\n"
    "EXAMPLES\n"
    "    flosim partition fashion-mnist -n 10 --scheme dirichlet -s alpha=0.5 --samples-per-client 600 -o parts\n"
    "    flosim partition fashion-mnist -n 2 --scheme limit_label -s labels=3 -s fraction=20% --seed 7 -o parts\n"
    "    flosim partition synthetic -n 30 --scheme natural -s alpha=1 -s beta=1 -s devices=30 -o parts\n"
    "    flosim partition idx -n 4 -s train_images=my-images-idx3-ubyte.gz -o parts\n";

enum { OPT_SCHEME = 256, OPT_SAMPLES, OPT_SEED, OPT_ID, OPT_VALIDATION };

static const struct option long_options[] = {
    {"clients", required_argument, NULL, 'n'},
    {"out", required_argument, NULL, 'o'},
    {"scheme", required_argument, NULL, OPT_SCHEME},
    {"set", required_argument, NULL, 's'},
    {"samples-per-client", required_argument, NULL, OPT_SAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"dataset-id", required_argument, NULL, OPT_ID},
    {"validation-out", required_argument, NULL, OPT_VALIDATION},
    {"force", no_argument, NULL, 'f'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};
// clang-format on

enum { MAX_CLIENTS = 100000, NAME_DIGITS = 3, TABLE_ROWS = 50, TOP_LABELS = 4 };

struct options {
    const char *source, *scheme, *out, *validation_out, *dataset_id;
    const char **sets; /* [num_sets] borrowed from argv */
    size_t num_sets;
    uint64_t clients, samples_per_client, seed;
    bool force, quiet, help;
};

/* All that a run holds; release() takes it in any state. */
struct job {
    struct options options;
    const struct source_ops *source;
    const struct partition_ops *scheme;
    struct yaml_doc *settings; /* {source: {...}, scheme: {...}} */
    void *source_args, *scheme_args;
    char *validation_out;
    struct data_pair data;
    struct partition partition;
    struct diags *diags;
};

static void option_error(struct diags *diags, const char *option, const char *message)
{
    diag_error(diags, (struct diag_place){option, 0, 0}, "%s", message);
}

static void read_number(struct diags *diags, const char *option, const char *text, uint64_t min, uint64_t max,
                        uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || *out < min || *out > max)
        diag_error(diags, (struct diag_place){option, 0, 0},
                   "`%s`: a whole number from %" PRIu64 " to %" PRIu64 " is expected", text, min, max);
}

static void take_option(struct options *options, int option, struct diags *diags)
{
    switch (option) {
    case 'n':
        read_number(diags, "--clients", optarg, 1, MAX_CLIENTS, &options->clients);
        break;
    case OPT_SAMPLES:
        read_number(diags, "--samples-per-client", optarg, 0, UINT32_MAX, &options->samples_per_client);
        break;
    case OPT_SEED:
        read_number(diags, "--seed", optarg, 0, INT64_MAX, &options->seed);
        break;
    case 'o':
        options->out = optarg;
        break;
    case OPT_SCHEME:
        options->scheme = optarg;
        break;
    case 's':
        options->sets[options->num_sets++] = optarg;
        break;
    case OPT_ID:
        options->dataset_id = optarg;
        break;
    case OPT_VALIDATION:
        options->validation_out = optarg;
        break;
    case 'f':
        options->force = true;
        break;
    case 'q':
        options->quiet = true;
        break;
    case 'h':
        options->help = true;
        break;
    default:
        break;
    }
}

static int read_options(int argc, char **argv, struct options *options, struct diags *diags)
{
    int option;

    options->scheme = "iid";
    options->sets = calloc((size_t)argc + 1, sizeof *options->sets);
    if (!options->sets)
        return ERR_MEMORY;
    opterr = 0;
    optind = 0; /* getopt starts afresh: the program's own options may have been read with it */
    while ((option = getopt_long(argc, argv, "n:o:s:fqh", long_options, NULL)) != -1) {
        if (option == '?')
            option_error(diags, argv[optind - 1], "an unknown option, or its value is missing");
        else
            take_option(options, option, diags);
    }
    if (options->help)
        return OK;
    if (optind < argc)
        options->source = argv[optind++];
    if (optind < argc)
        option_error(diags, argv[optind], "one SOURCE is expected; this is one word too many");
    return OK;
}

static void require_options(const struct options *options, struct diags *diags)
{
    if (!options->source)
        option_error(diags, "SOURCE", "missing; one of fashion-mnist, idx, synthetic, safetensors is expected");
    if (options->clients == 0 && diags_errors(diags) == 0)
        option_error(diags, "--clients", "missing; say how many clients there are");
    if (!options->out || !*options->out)
        option_error(diags, "--out", "missing; name the folder to write to");
    if (options->dataset_id && !fs_is_component(options->dataset_id))
        option_error(diags, "--dataset-id", "a name without slashes is expected");
}

/* "a, b, c" of a registry's names, for messages. */
static void append_name(char *text, size_t size, const char *name)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
}

static void find_members(struct job *job)
{
    const struct options *options = &job->options;
    char names[512] = "";

    job->source = options->source ? data_source_find(options->source) : NULL;
    job->scheme = partition_find(options->scheme);
    if (options->source && !job->source) {
        for (size_t i = 0; data_sources[i]; i++)
            append_name(names, sizeof names, data_sources[i]->name);
        diag_error(job->diags, (struct diag_place){"SOURCE", 0, 0}, "no source `%s`; there are %s", options->source,
                   names);
    }
    if (!job->scheme) {
        names[0] = '\0';
        for (size_t i = 0; partition_schemes[i]; i++)
            append_name(names, sizeof names, partition_schemes[i]->name);
        diag_error(job->diags, (struct diag_place){"--scheme", 0, 0}, "no scheme `%s`; there are %s", options->scheme,
                   names);
    }
}

static bool table_has(const struct param_table *table, const char *key, size_t length)
{
    for (size_t i = 0; i < table->num_rows; i++) {
        const struct param *row = &table->rows[i];
        if (strlen(row->name) == length && strncmp(row->name, key, length) == 0)
            return true;
        if (row->alias && strlen(row->alias) == length && strncmp(row->alias, key, length) == 0)
            return true;
    }
    return false;
}

static void set_in(struct job *job, const char *section, const char *assignment)
{
    size_t size = strlen(section) + strlen(assignment) + 2;
    char *text = malloc(size);

    if (!text) {
        option_error(job->diags, "--set", "out of memory");
        return;
    }
    snprintf(text, size, "%s.%s", section, assignment);
    yaml_set(job->settings, text, job->diags);
    free(text);
}

/* An assignment goes to whoever has such a key; a prefix says which of them. */
static void apply_set(struct job *job, const char *assignment)
{
    size_t length = strcspn(assignment, "=");
    bool prefixed = strncmp(assignment, "source.", 7) == 0 || strncmp(assignment, "scheme.", 7) == 0;
    bool to_source = !prefixed && table_has(job->source->params, assignment, length);
    bool to_scheme = !prefixed && table_has(job->scheme->params, assignment, length);

    if (prefixed)
        yaml_set(job->settings, assignment, job->diags);
    if (to_source)
        set_in(job, "source", assignment);
    if (to_scheme)
        set_in(job, "scheme", assignment);
    if (!prefixed && !to_source && !to_scheme)
        diag_error(job->diags, (struct diag_place){"--set", 0, 0},
                   "`%s`: neither source %s nor scheme %s has an argument `%.*s`; `flosim help data` shows them",
                   assignment, job->source->name, job->scheme->name, (int)length, assignment);
}

static void *read_args(const struct param_table *table, struct yaml_node node, struct diags *diags)
{
    void *args = calloc(1, table->size);

    if (args)
        params_read(table, node, args, diags);
    else
        option_error(diags, "--set", "out of memory");
    return args;
}

static void read_settings(struct job *job)
{
    if (yaml_load_text("{}", 2, "--set", 0, &job->settings, job->diags))
        return;
    for (size_t i = 0; i < job->options.num_sets; i++)
        apply_set(job, job->options.sets[i]);
    struct yaml_node root = yaml_root(job->settings);
    job->source_args = read_args(job->source->params, yaml_get(root, "source"), job->diags);
    job->scheme_args = read_args(job->scheme->params, yaml_get(root, "scheme"), job->diags);
}

static bool is_client_folder(const char *name)
{
    size_t digits = strspn(name + (strncmp(name, "client_", 7) == 0 ? 7 : 0), "0123456789");

    return strncmp(name, "client_", 7) == 0 && digits >= NAME_DIGITS && name[7 + digits] == '\0';
}

static int clear_folder(const char *parent, const char *name, bool force, struct error *err)
{
    char *path = fs_join(parent, name);
    int status = OK;

    if (!path)
        status = FAIL(err, ERR_MEMORY, "out of memory");
    else if (!force)
        status = FAIL(err, ERR_EXISTS, "%s is there already; name another folder, or replace it with --force", path);
    else
        status = fs_remove_tree(path, err);
    free(path);
    return status;
}

/* Refuse to mix two partitions: client folders of an earlier one must go first, those beyond N too. */
static int clear_output(const struct job *job, struct error *err)
{
    const struct options *options = &job->options;
    DIR *folder = opendir(options->out);
    struct dirent *entry;
    int status = OK;

    while (folder && !status && (entry = readdir(folder)))
        if (is_client_folder(entry->d_name))
            status = clear_folder(options->out, entry->d_name, options->force, err);
    if (folder)
        closedir(folder);
    char *validation = fs_join(job->validation_out, options->dataset_id);
    if (!status && validation && fs_exists(validation))
        status = clear_folder(job->validation_out, options->dataset_id, options->force, err);
    free(validation);
    return status;
}

static int write_part(const char *folder, bool worker, const char *id, const struct data_view *view, struct error *err)
{
    char *path = fs_join(folder, id);
    int status = path ? data_folder_write(path, worker, id, view, err) : FAIL(err, ERR_MEMORY, "out of memory");

    free(path);
    return status;
}

static int write_all(const struct job *job, struct error *err)
{
    const struct options *options = &job->options;
    const struct dataset *validation = &job->data.validation;
    struct data_view whole = {validation, NULL, validation->num_items};
    int status = OK;

    for (size_t k = 0; k < job->partition.num_clients && !status; k++) {
        char name[32];
        struct data_view view = partition_view(&job->partition, &job->data.train, k);
        snprintf(name, sizeof name, "client_%0*zu", NAME_DIGITS, k);
        char *folder = fs_join(options->out, name);
        status =
            folder ? write_part(folder, true, options->dataset_id, &view, err) : FAIL(err, ERR_MEMORY, "out of memory");
        free(folder);
    }
    if (!status && validation->num_items > 0)
        status = write_part(job->validation_out, false, options->dataset_id, &whole, err);
    return status;
}

/* One client's line: its size, how many labels it has, its largest labels. `share` is scratch [num_classes]. */
static void print_client(const struct job *job, size_t k, double *share)
{
    struct data_view view = partition_view(&job->partition, &job->data.train, k);
    int32_t classes = job->data.train.num_classes, labels = 0;

    data_label_shares(&view, share);
    for (int32_t c = 0; c < classes; c++)
        labels += share[c] > 0.0;
    printf("client_%0*zu  %9zu  %6" PRId32 " ", NAME_DIGITS, k, view.num_items, labels);
    for (int i = 0; i < TOP_LABELS && i < labels; i++) {
        int32_t top = 0;
        for (int32_t c = 1; c < classes; c++)
            top = share[c] > share[top] ? c : top;
        printf("  %" PRId32 ": %.0f%%", top, 100.0 * share[top]);
        share[top] = 0.0;
    }
    printf("%s\n", labels > TOP_LABELS ? "  ..." : "");
}

static void print_table(const struct job *job)
{
    const struct partition *partition = &job->partition;
    double *share = calloc((size_t)job->data.train.num_classes, sizeof *share);
    size_t smallest = SIZE_MAX, largest = 0, total = partition->first[partition->num_clients];

    printf("client        samples  labels   largest labels\n");
    for (size_t k = 0; k < partition->num_clients; k++) {
        size_t size = partition->first[k + 1] - partition->first[k];
        smallest = size < smallest ? size : smallest;
        largest = size > largest ? size : largest;
        if (share && k < TABLE_ROWS)
            print_client(job, k, share);
    }
    if (partition->num_clients > TABLE_ROWS)
        printf("... and %zu more\n", partition->num_clients - TABLE_ROWS);
    printf("%zu clients, %zu samples, %zu to %zu a client; %zu for validation\n", partition->num_clients, total,
           smallest, largest, job->data.validation.num_items);
    free(share);
}

/* Everything that is asked for and can be checked without data. */
static int prepare(struct job *job)
{
    struct options *options = &job->options;

    require_options(options, job->diags);
    find_members(job);
    if (job->source && job->scheme)
        read_settings(job);
    if (diags_errors(job->diags) > 0)
        return ERR_INVALID;
    if (!options->dataset_id)
        options->dataset_id = job->source->name;
    job->validation_out =
        options->validation_out ? strdup(options->validation_out) : fs_join(options->out, "validation");
    return job->validation_out ? OK : ERR_MEMORY;
}

static int make(struct job *job, struct error *err)
{
    const struct options *options = &job->options;
    /* Before anything is removed, everything that can fail for its input has been tried. */
    int status = job->source->load(job->source_args, options->seed, &job->data, job->diags);

    if (!status)
        status = partition_make(&job->data.train, job->scheme, job->scheme_args, options->clients,
                                options->samples_per_client, options->seed, &job->partition, err);
    if (!status)
        status = clear_output(job, err);
    if (!status)
        status = write_all(job, err);
    if (!status && !options->quiet)
        print_table(job);
    return status;
}

static void release(struct job *job)
{
    if (job->source_args)
        params_free(job->source->params, job->source_args);
    if (job->scheme_args)
        params_free(job->scheme->params, job->scheme_args);
    free(job->source_args);
    free(job->scheme_args);
    yaml_unref(job->settings);
    data_pair_fini(&job->data);
    partition_fini(&job->partition);
    free(job->validation_out);
    free(job->options.sets);
    diags_free(job->diags);
}

static int run(int argc, char **argv)
{
    struct job job = {.diags = diags_new()};
    struct error err = ERROR_INIT;
    int status = job.diags ? read_options(argc, argv, &job.options, job.diags) : ERR_MEMORY;

    if (!status && job.options.help)
        fputs(help, stdout);
    else if (!status && !(status = prepare(&job)))
        status = make(&job, &err);
    if (job.diags)
        diags_print(job.diags, stderr);
    if (err.message[0])
        fprintf(stderr, "flosim partition: %s\n", err.message);
    if (status == ERR_INVALID && !err.message[0])
        fprintf(stderr, "`flosim partition --help` explains the options, `flosim help data` the arguments.\n");
    release(&job);
    return status_exit_code(status);
}

const struct command command_partition = {
    .name = "partition",
    .summary = "split a data set into one folder per client",
    .help = help,
    .run = run,
};
