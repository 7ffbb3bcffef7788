#include "worker/datasets.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "util/fs.h"

/* A folder's data, cut as one session wants. */
struct reading {
    struct loader_args loader;
    struct data_folder folder;
    bool loaded;
};

struct entry {
    struct dataset_advert advert;
    char *path;                                 /* NULL: lent by the host */
    struct reading readings[DATASETS_READINGS]; /* the last used one first */
    struct data_view lent;
    double held_out_fraction;
};

struct datasets {
    struct entry *entries; /* sorted by id */
    size_t n;
    size_t num_left_out;
    struct error left_out; /* what is wrong with the first of them */
    const struct log *log;
};

size_t datasets_split(size_t n, double held_out_fraction)
{
    /* The small addend keeps (1 - 0.05) * 600 from becoming 569.999… */
    double num_train = floor((1 - held_out_fraction) * (double)n + 1e-9);

    if (!(num_train > 0))
        return 0;
    return num_train < (double)n ? (size_t)num_train : n;
}

/* ---- adverts ---- */

static json_t *strings_json(const struct string_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->n; i++)
        json_array_append_new(array, json_string(list->items[i] ? list->items[i] : ""));
    return array;
}

/* dataset_details as it travels: without data_filename, which is nobody else's business. */
static char *details_json(const char *id, const struct dataset_details *details)
{
    struct string_list none = {0};
    json_t *object =
        json_pack("{s:s, s:o, s:o}", "dataset_id", details && details->dataset_id ? details->dataset_id : id,
                  "dataset_tags", strings_json(details ? &details->dataset_tags : &none), "suitable_models",
                  strings_json(details ? &details->suitable_models : &none));
    char *text = object ? json_dumps(object, 0) : NULL;

    json_decref(object);
    return text;
}

static int fill_labels_from_data(struct dataset_advert *advert, const struct data_view *view)
{
    size_t classes = view->dataset->num_classes > 0 ? (size_t)view->dataset->num_classes : 0;
    double *share = calloc(classes + 1, sizeof *share);

    advert->labels = calloc(classes + 1, sizeof *advert->labels);
    if (!share || !advert->labels) {
        free(share);
        return ERR_MEMORY;
    }
    if (classes)
        data_label_shares(view, share);
    for (size_t c = 0; c < classes; c++) {
        if (!(share[c] > 0))
            continue;
        struct label_share *label = &advert->labels[advert->num_labels++];
        snprintf(label->label, sizeof label->label, "%zu", c);
        label->fraction = share[c];
    }
    free(share);
    return OK;
}

static int fill_labels_as_written(struct dataset_advert *advert, struct yaml_node labels)
{
    size_t n = yaml_size(labels);

    advert->labels = calloc(n + 1, sizeof *advert->labels);
    if (!advert->labels)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const char *name = yaml_text(yaml_key(labels, i)), *text = yaml_text(yaml_value(labels, i));
        double fraction = 0;
        if (!name || !text || param_parse_scalar(PARAM_DOUBLE, text, &fraction, NULL))
            continue;
        struct label_share *label = &advert->labels[advert->num_labels++];
        snprintf(label->label, sizeof label->label, "%s", name);
        label->fraction = fraction;
    }
    return OK;
}

/* ---- opening ---- */

static struct entry *add_entry(struct datasets *datasets, const char *id)
{
    struct entry *grown = realloc(datasets->entries, (datasets->n + 1) * sizeof *grown);

    if (!grown)
        return NULL;
    datasets->entries = grown;
    struct entry *entry = &grown[datasets->n++];
    memset(entry, 0, sizeof *entry);
    snprintf(entry->advert.id, sizeof entry->advert.id, "%s", id);
    return entry;
}

/* num_items and num_trainable, where num_there items are at hand. What the folder says of their number stands. */
static void tell_numbers(struct entry *entry, int64_t num_items, size_t num_there)
{
    int64_t num_trainable = (int64_t)datasets_split(num_there, entry->held_out_fraction);

    entry->advert.num_items = num_items;
    entry->advert.num_trainable = num_trainable < num_items ? num_trainable : num_items;
}

static int add_lent(struct datasets *datasets, const struct worker_host *host, struct error *err)
{
    struct entry *entry = add_entry(datasets, host->dataset_id);

    if (!entry)
        return FAIL(err, ERR_MEMORY, "out of memory for data set %s", host->dataset_id);
    entry->lent = *host->train;
    entry->held_out_fraction = host->local_validation_fraction;
    tell_numbers(entry, (int64_t)host->train->num_items, host->train->num_items);
    entry->advert.details_json = details_json(host->dataset_id, NULL);
    if (!entry->advert.details_json || fill_labels_from_data(&entry->advert, host->train))
        return FAIL(err, ERR_MEMORY, "out of memory for data set %s", host->dataset_id);
    return OK;
}

static struct data_view whole_view(const struct dataset *dataset)
{
    return (struct data_view){.dataset = dataset, .num_items = dataset->num_items};
}

static int describe_folder(struct entry *entry, const struct data_folder *folder)
{
    struct data_view view = whole_view(&folder->dataset);

    entry->held_out_fraction = folder->config.local_validation_fraction;
    tell_numbers(entry, folder->config.metadata.num_items, folder->dataset.num_items);
    entry->advert.details_json = details_json(entry->advert.id, &folder->config.dataset_details);
    if (!entry->advert.details_json)
        return ERR_MEMORY;
    if (yaml_size(folder->config.metadata.label_distribution) > 0)
        return fill_labels_as_written(&entry->advert, folder->config.metadata.label_distribution);
    return fill_labels_from_data(&entry->advert, &view);
}

static bool is_dataset_folder(const char *path)
{
    static const char *const names[] = {"train_dataset_config.yaml", "dataset_config.yaml"};
    bool found = false;

    for (size_t i = 0; !found && i < sizeof names / sizeof *names; i++) {
        char *file = fs_join(path, names[i]);
        found = file && fs_exists(file);
        free(file);
    }
    return found;
}

static void log_findings(const struct log *log, const char *what, const char *path, const struct diags *diags)
{
    char *text = diags_text(diags);

    log_write(log, LOG_WARN, "datasets", "%s %s: %s", what, path, text ? text : "out of memory");
    free(text);
}

static int add_entry_of(struct datasets *datasets, const char *path, const char *id, const struct data_folder *folder)
{
    struct entry *entry = add_entry(datasets, id);
    int status = entry ? describe_folder(entry, folder) : ERR_MEMORY;

    if (!status && !(entry->path = strdup(path)))
        status = ERR_MEMORY;
    return status;
}

/* The data is read once here and let go: what is damaged is told at the start, and the advert counts what is there. */
static int add_folder(struct datasets *datasets, const char *path, const char *id, struct error *err)
{
    struct diags *diags = diags_new();
    struct data_folder folder = {0};
    int status = diags ? OK : ERR_MEMORY;

    if (!status && data_folder_load(path, true, NULL, &folder, diags)) {
        log_findings(datasets->log, "leaving out", path, diags);
        if (!datasets->num_left_out++)
            diags_status(diags, &datasets->left_out);
    } else if (!status) {
        if (diags_warnings(diags))
            log_findings(datasets->log, "data set", path, diags);
        status = add_entry_of(datasets, path, id, &folder);
    }
    if (status)
        FAIL(err, status, "out of memory for data set %s", path);
    data_folder_fini(&folder);
    diags_free(diags);
    return status;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->advert.id, ((const struct entry *)b)->advert.id);
}

static int scan_folder(struct datasets *datasets, const char *folder, struct error *err)
{
    DIR *dir = opendir(folder);
    int status = OK;

    if (!dir)
        return FAIL(err, ERR_SETUP,
                    "cannot read dataset_config.datasets_dir_path %s: %s (make data with `flosim partition`)", folder,
                    strerror(errno));
    for (struct dirent *file; !status && (file = readdir(dir));) {
        char *path = fs_is_component(file->d_name) ? fs_join(folder, file->d_name) : NULL;
        if (path && fs_is_dir(path) && is_dataset_folder(path)) {
            if (datasets->n >= DATASETS_MAX)
                log_write(datasets->log, LOG_WARN, "datasets", "leaving out %s: more than %d data sets", path,
                          DATASETS_MAX);
            else
                status = add_folder(datasets, path, file->d_name, err);
        }
        free(path);
    }
    closedir(dir);
    if (!status && !datasets->n && datasets->num_left_out)
        status = FAIL(err, ERR_SETUP, "no data set in %s can be read: %s", folder, datasets->left_out.message);
    else if (!status && !datasets->n)
        log_write(datasets->log, LOG_WARN, "datasets",
                  "no data set in %s: a folder with train_dataset_config.yaml is expected in it", folder);
    if (datasets->n)
        qsort(datasets->entries, datasets->n, sizeof *datasets->entries, by_id);
    return status;
}

int datasets_new(struct datasets **out, const char *folder, const struct worker_host *host, const struct log *log,
                 struct error *err)
{
    struct datasets *datasets = calloc(1, sizeof *datasets);
    int status;

    *out = NULL;
    if (!datasets)
        return FAIL(err, ERR_MEMORY, "out of memory for data sets");
    datasets->log = log;
    if (host->dataset_id && host->train)
        status = add_lent(datasets, host, err);
    else if (folder)
        status = scan_folder(datasets, folder, err);
    else
        status =
            FAIL(err, ERR_SETUP, "dataset_config.datasets_dir_path is not set: name the folder that holds the data");
    if (status)
        datasets_free(datasets);
    else
        *out = datasets;
    return status;
}

static void reading_fini(struct reading *reading)
{
    if (reading->loaded)
        data_folder_fini(&reading->folder);
    *reading = (struct reading){0};
}

void datasets_free(struct datasets *datasets)
{
    if (!datasets)
        return;
    for (size_t i = 0; i < datasets->n; i++) {
        struct entry *entry = &datasets->entries[i];
        for (size_t k = 0; k < DATASETS_READINGS; k++)
            reading_fini(&entry->readings[k]);
        free(entry->path);
        free(entry->advert.details_json);
        free(entry->advert.labels);
    }
    free(datasets->entries);
    free(datasets);
}

size_t datasets_count(const struct datasets *datasets)
{
    return datasets->n;
}

const struct dataset_advert *datasets_advert(const struct datasets *datasets, size_t i)
{
    return &datasets->entries[i].advert;
}

/* ---- use ---- */

static int fail_not_found(const struct datasets *datasets, const char *id, struct error *err)
{
    char names[400] = "";
    size_t used = 0;

    for (size_t i = 0; i < datasets->n && used < sizeof names; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", datasets->entries[i].advert.id);
        used += n > 0 ? (size_t)n : 0;
    }
    return FAIL(err, ERR_NOT_FOUND, "no data set %.64s here; there %s: %s", id, datasets->n == 1 ? "is" : "are",
                datasets->n ? names : "none");
}

static int load_reading(const struct datasets *datasets, const struct entry *entry, const struct loader_args *loader,
                        struct reading *out, struct error *err)
{
    struct diags *diags = diags_new();

    *out = (struct reading){.loader = *loader};
    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory for data set %s", entry->advert.id);
    int status = data_folder_load(entry->path, true, loader, &out->folder, diags);
    if (status && diags_status(diags, err) == OK)
        FAIL(err, status, "cannot load data set %s: %s", entry->advert.id, status_text(status));
    out->loaded = status == OK;
    if (!status && loader_args_cut(loader) && diags_warnings(diags))
        log_findings(datasets->log, "data set", entry->path, diags);
    diags_free(diags);
    return status;
}

/* Puts the reading in front, read anew in the place of the one that was not used for longest where it is not there. */
static int find_reading(const struct datasets *datasets, struct entry *entry, const struct loader_args *loader,
                        struct error *err)
{
    struct reading found;
    size_t k = 0;

    while (k < DATASETS_READINGS - 1 &&
           !(entry->readings[k].loaded && loader_args_same(&entry->readings[k].loader, loader)))
        k++;
    found = entry->readings[k];
    if (!found.loaded || !loader_args_same(&found.loader, loader)) {
        reading_fini(&entry->readings[k]); /* before: both need not lie in memory */
        int status = load_reading(datasets, entry, loader, &found, err);
        if (status)
            return status;
    }
    memmove(&entry->readings[1], &entry->readings[0], k * sizeof found);
    entry->readings[0] = found;
    return OK;
}

int datasets_use(struct datasets *datasets, const char *id, const struct loader_args *loader, struct data_parts *out,
                 struct error *err)
{
    struct entry *entry = NULL;
    int status = OK;

    for (size_t i = 0; i < datasets->n && !entry; i++)
        if (strcmp(datasets->entries[i].advert.id, id) == 0)
            entry = &datasets->entries[i];
    if (!entry)
        return fail_not_found(datasets, id, err);
    if (entry->path)
        status = find_reading(datasets, entry, loader, err);
    if (status)
        return status;
    out->all = entry->path ? whole_view(&entry->readings[0].folder.dataset) : entry->lent;
    out->num_train = datasets_split(out->all.num_items, entry->held_out_fraction);
    out->num_held_out = out->all.num_items - out->num_train;
    return OK;
}
