#include "data/folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/data_file.h"
#include "data/tensor_file.h"
#include "util/fs.h"

static const char *config_name(bool worker)
{
    return worker ? "train_dataset_config.yaml" : "dataset_config.yaml";
}

/* The last component of a path, new string; a path such as "." is resolved first. */
static char *folder_name(const char *path)
{
    char *resolved = realpath(path, NULL);
    const char *text = path;
    size_t n = strlen(text);

    while (n > 1 && text[n - 1] == '/')
        n--;
    const char *begin = text + n;
    while (begin > text && begin[-1] != '/')
        begin--;
    char *name = strndup(begin, (size_t)(text + n - begin));
    if (name && !fs_is_component(name) && resolved) {
        const char *slash = strrchr(resolved, '/');
        free(name);
        name = strdup(slash && slash[1] ? slash + 1 : "root");
    }
    free(resolved);
    return name;
}

static int out_of_memory(const char *path, struct diags *diags)
{
    diag_error(diags, (struct diag_place){path, 0, 0}, "out of memory");
    return ERR_MEMORY;
}

/* The path of the config file, new string. A worker's folder may have only the leader's file. */
static char *find_config(const char *path, bool worker)
{
    char *file = fs_join(path, config_name(worker));

    if (!file || !worker || fs_exists(file))
        return file;
    char *other = fs_join(path, config_name(false));
    if (other && fs_exists(other)) {
        free(file);
        return other;
    }
    free(other);
    return file;
}

static int read_config(const char *path, bool worker, struct data_folder *out, struct diags *diags)
{
    struct yaml_doc *doc = NULL;
    size_t errors = diags_errors(diags);
    char *file = find_config(path, worker);

    if (!file)
        return out_of_memory(path, diags);
    int status = yaml_load_file(file, YAML_EXPAND_ENV, &doc, diags);
    if (!status)
        status = params_read(&dataset_config_table, yaml_root(doc), &out->config, diags);
    if (!status)
        dataset_config_check(&out->config, file, diags);
    if (!status && diags_errors(diags) > errors)
        status = ERR_INVALID;
    yaml_unref(doc);
    free(file);
    return status;
}

static int begin(const char *path, bool worker, struct data_folder *out, struct diags *diags)
{
    memset(out, 0, sizeof *out);
    if (!fs_is_dir(path)) {
        diag_error(diags, (struct diag_place){path, 0, 0}, "no such data set folder; make one with `flosim partition`");
        return ERR_NOT_FOUND;
    }
    out->path = strdup(path);
    out->name = folder_name(path);
    if (!out->path || !out->name)
        return out_of_memory(path, diags);
    return read_config(path, worker, out, diags);
}

static int read_data(struct data_folder *folder, const struct loader_args *loader, struct diags *diags)
{
    char *file = fs_join(folder->path, folder->config.dataset_details.data_filename);
    const struct data_file_args args = {
        .transform = &folder->config.transform,
        .idx = &folder->config.idx,
        .text = &folder->config.text,
        .csv = &folder->config.csv,
        .loader = loader,
        .measured = 1.0 - folder->config.local_validation_fraction,
    };

    if (!file)
        return out_of_memory(folder->path, diags);
    int status = data_file_read(file, &args, &folder->dataset, diags);
    if (!status)
        snprintf(folder->dataset.name, sizeof folder->dataset.name, "%.63s", folder->name);
    free(file);
    return status;
}

/* "{"0": 0.5, "3": 0.5}": the labels that occur. New string, NULL when out of memory. */
static char *distribution_text(const struct data_view *view)
{
    int32_t classes = view->dataset->num_classes;
    double *share = calloc((size_t)classes + 1, sizeof *share);
    char *text = NULL;
    size_t size = 0;
    FILE *out = share ? open_memstream(&text, &size) : NULL;

    if (out) {
        const char *comma = "";
        data_label_shares(view, share);
        fputc('{', out);
        for (int32_t c = 0; c < classes; c++) {
            if (share[c] <= 0.0)
                continue;
            fprintf(out, "%s\"%" PRId32 "\": %.9g", comma, c, share[c]);
            comma = ", ";
        }
        fputc('}', out);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(share);
    return text;
}

/* Put the data's own figures where the config has none, or wrong ones. */
static int fill_metadata(struct data_folder *folder, bool cut_anew, struct diags *diags)
{
    struct yaml_node *node = &folder->config.metadata.label_distribution;
    int64_t *num_items = &folder->config.metadata.num_items, found = (int64_t)folder->dataset.num_items;
    bool wrong = *num_items != 0 && *num_items != found;
    struct data_view all = {&folder->dataset, NULL, folder->dataset.num_items};

    if (wrong && !cut_anew)
        diag_warning(diags, (struct diag_place){folder->path, 0, 0},
                     "metadata.num_items is %" PRId64 ", but there are %" PRId64 " items; the data count", *num_items,
                     found);
    *num_items = found;
    if (!wrong && node->doc && !yaml_is_null(*node))
        return OK;
    char *text = distribution_text(&all);
    struct yaml_doc *doc = NULL;
    if (!text || yaml_load_text(text, strlen(text), "label_distribution", 0, &doc, diags)) {
        free(text);
        return out_of_memory(folder->path, diags);
    }
    free(text);
    yaml_unref(node->doc);
    *node = yaml_root(doc); /* the node owns the document now */
    return OK;
}

int data_folder_load(const char *path, bool worker, const struct loader_args *loader, struct data_folder *out,
                     struct diags *diags)
{
    int status = begin(path, worker, out, diags);

    if (!status)
        status = read_data(out, loader, diags);
    if (!status)
        status = fill_metadata(out, loader && loader_args_cut(loader), diags);
    if (status)
        data_folder_fini(out);
    return status;
}

void data_folder_fini(struct data_folder *folder)
{
    free(folder->path);
    free(folder->name);
    params_free(&dataset_config_table, &folder->config);
    dataset_fini(&folder->dataset);
    memset(folder, 0, sizeof *folder);
}

static char *config_text(const char *dataset_id, const struct data_view *view)
{
    char *distribution = distribution_text(view), *text = NULL;
    size_t size = 0;
    FILE *out = distribution ? open_memstream(&text, &size) : NULL;

    if (out) {
        fprintf(out, "dataset_details:\n  data_filename: data.safetensors\n  dataset_id: \"%s\"\n", dataset_id);
        fprintf(out, "  dataset_tags: []\n  suitable_models: []\n");
        fprintf(out, "metadata:\n  label_distribution: %s\n  num_items: %zu\n", distribution, view->num_items);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(distribution);
    return text;
}

static int write_files(const char *data_path, const char *config_path, const char *text, const struct data_view *view,
                       struct error *err)
{
    int status = tensor_file_write(data_path, view, err);
    struct span part = span_of(text, strlen(text));

    /* The config comes last: a folder with a config is whole. */
    return status ? status : fs_write_atomic(config_path, &part, 1, err);
}

int data_folder_write(const char *path, bool worker, const char *dataset_id, const struct data_view *view,
                      struct error *err)
{
    if (!fs_is_component(dataset_id) || strpbrk(dataset_id, "\"\\$"))
        return FAIL(err, ERR_INVALID,
                    "dataset id `%s`: one path component without quotes, backslash and dollar is expected", dataset_id);
    int status = fs_make_dirs(path, err);
    if (status)
        return status;
    char *data_path = fs_join(path, "data.safetensors"), *config_path = fs_join(path, config_name(worker));
    char *text = config_text(dataset_id, view);
    if (!data_path || !config_path || !text)
        status = FAIL(err, ERR_MEMORY, "no memory to write %s", path);
    else
        status = write_files(data_path, config_path, text, view, err);
    free(data_path);
    free(config_path);
    free(text);
    return status;
}
