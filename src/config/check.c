/* The kinds of configuration files, and reading one with its table. */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>

#include "config/model_folder.h"
#include "config/tables.h"
#include "config/worker_config.h"
#include "data/folder.h"
#include "util/fs.h"

/* --- reading -------------------------------------------------------------------------------------------------------
 */

static int load_document(const char *path, const char *const *overrides, int yaml_flags, struct yaml_doc **doc,
                         struct diags *diags)
{
    int status = yaml_load_file(path, yaml_flags | YAML_GO_ON, doc, diags);

    if (*doc)
        status = OK; /* what is wrong is in diags: go on, to find more */
    for (size_t i = 0; !status && overrides && overrides[i]; i++) {
        int one = yaml_set(*doc, overrides[i], diags);
        status = one == ERR_MEMORY ? one : OK;
    }
    return status;
}

static void beyond_session(const void *values, struct yaml_node root, struct diags *diags)
{
    session_config_check(values, root, diags);
}

static void beyond_model(const void *values, struct yaml_node root, struct diags *diags)
{
    (void)root;
    model_folder_config_check(values, diags);
}

static void beyond_dataset(const void *values, struct yaml_node root, struct diags *diags)
{
    dataset_config_check(values, yaml_place(root).file, diags);
}

/* What belongs to a table beyond its rows. */
static const struct {
    const struct param_table *table;
    void (*check)(const void *values, struct yaml_node root, struct diags *diags);
    bool takes_partial; /* complains of nothing that is merely absent because the rows did not fit */
} beyond[] = {
    {&leader_config_table, leader_config_check, false}, {&worker_config_table, worker_config_check, false},
    {&session_config_table, beyond_session, true},      {&model_folder_table, beyond_model, true},
    {&dataset_config_table, beyond_dataset, false},
};

/* `status`: of reading the values by their table. */
static void check_values(const struct param_table *table, const void *values, struct yaml_node root, int status,
                         struct diags *diags)
{
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        if (beyond[i].table == table && (status == OK || beyond[i].takes_partial))
            beyond[i].check(values, root, diags);
}

int config_load(const struct param_table *table, const char *path, const char *const *overrides, int yaml_flags,
                void *out, struct diags *diags)
{
    struct yaml_doc *doc;
    size_t errors = diags_errors(diags);

    memset(out, 0, table->size);
    int status = load_document(path, overrides, yaml_flags, &doc, diags);
    if (!status) {
        status = params_read(table, yaml_root(doc), out, diags);
        check_values(table, out, yaml_root(doc), status, diags);
    }
    if (!status && diags_errors(diags) > errors)
        status = ERR_INVALID;
    yaml_unref(doc);
    return status;
}

/* --- kinds ---------------------------------------------------------------------------------------------------------
 */

static void check_table(const struct param_table *table, struct yaml_node root, struct diags *diags)
{
    void *values = calloc(1, table->size);

    if (!values) {
        diag_error(diags, yaml_place(root), "out of memory");
        return;
    }
    int status = params_read(table, root, values, diags);
    check_values(table, values, root, status, diags);
    params_free(table, values);
    free(values);
}

static void check_leader(struct yaml_node root, const char *path, struct diags *diags)
{
    (void)path;
    check_table(&leader_config_table, root, diags);
}

static void check_worker(struct yaml_node root, const char *path, struct diags *diags)
{
    (void)path;
    check_table(&worker_config_table, root, diags);
}

static void check_session_file(struct yaml_node root, const char *path, struct diags *diags)
{
    (void)path;
    check_table(&session_config_table, root, diags);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

/* The data file, where it lies beside the configuration: that can also be checked on another machine. */
static void check_data_of(struct yaml_node root, const char *path, struct diags *diags)
{
    const char *name = yaml_text(yaml_get(yaml_get(root, "dataset_details"), "data_filename"));
    char *folder = folder_of(path), *file = folder && name ? fs_join(folder, name) : NULL;
    struct dataset dataset;

    if (file && fs_exists(file) && !data_file_load(file, &dataset, diags))
        dataset_fini(&dataset);
    free(file);
    free(folder);
}

static void check_dataset(struct yaml_node root, const char *path, struct diags *diags)
{
    size_t errors = diags_errors(diags);

    check_table(&dataset_config_table, root, diags);
    if (diags_errors(diags) == errors)
        check_data_of(root, path, diags);
}

static const char *text_of(struct yaml_node node)
{
    return yaml_is_null(node) ? NULL : yaml_text(node);
}

static bool has_network(const char *folder)
{
    char *path = fs_join(folder, "model.yaml");
    bool has = path && fs_exists(path);

    free(path);
    return has;
}

/* The network behind config.yaml must load with the arguments that config.yaml gives it, also where something else is
 * wrong with it. */
static void check_network_of(struct yaml_node root, const char *folder, struct diags *diags)
{
    json_t *args = config_json(yaml_get(yaml_get(root, "default_training_config"), "model_args"));
    struct yaml_node details = yaml_get(root, "model_details");
    const char *model_class = text_of(yaml_get(details, "model_class"));
    const char *name = model_class ? model_class : text_of(yaml_get(details, "model_id"));
    struct model *model = NULL;

    if (name || has_network(folder))
        model_folder_load(folder, name, json_is_object(args) ? args : NULL, &model, diags);
    model_free(model);
    json_decref(args);
}

static void check_model(struct yaml_node root, const char *path, struct diags *diags)
{
    char *folder = folder_of(path);

    check_table(&model_folder_table, root, diags);
    if (!folder)
        diag_error(diags, yaml_place(root), "out of memory");
    else
        check_network_of(root, folder, diags);
    free(folder);
}

/* model_args of the config.yaml beside a model.yaml; NULL where there are none. */
static json_t *args_beside(const char *path)
{
    char *folder = folder_of(path);
    char *config = folder ? fs_join(folder, "config.yaml") : NULL;
    struct diags *ignored = diags_new(); /* config.yaml is checked when it is asked for */
    struct yaml_doc *doc = NULL;
    json_t *args = NULL;

    if (config && ignored && !yaml_load_file(config, 0, &doc, ignored))
        args = config_json(yaml_get(yaml_get(yaml_root(doc), "default_training_config"), "model_args"));
    yaml_unref(doc);
    diags_free(ignored);
    free(config);
    free(folder);
    return args;
}

static void check_network_text(const char *path, const json_t *args, struct diags *diags)
{
    struct error err = ERROR_INIT;
    struct blob *blob;
    struct model *model = NULL;

    if (fs_read(path, 16 << 20, &blob, &err)) {
        diag_error(diags, (struct diag_place){NULL, 0, 0}, "%s", err.message); /* names the path */
        return;
    }
    struct span span = blob_span(blob);
    char *text = strndup(span.data, span.size);
    if (!text)
        diag_error(diags, (struct diag_place){path, 0, 0}, "out of memory");
    else
        model_load_text(text, path, args, &model, diags);
    model_free(model);
    free(text);
    blob_unref(blob);
}

static void check_network(struct yaml_node root, const char *path, struct diags *diags)
{
    json_t *args = args_beside(path);

    (void)root;
    check_network_text(path, json_is_object(args) ? args : NULL, diags);
    json_decref(args);
}

static const struct config_kind kind_leader = {
    .name = "leader",
    .telling_keys = (const char *const[]){"checkpoint_dir_path", "validation_data_dir_path", "temp_dir_path", "cluster",
                                          "models_dir_path", "plugin_dir", "checkpoint_keep", "comm_config.restful",
                                          "comm_config.grpc.timeout_s", "comm_config.grpc.max_message_length",
                                          "comm_config.mqtt.mqtt_heartbeat_interval_s", NULL},
    .check = check_leader,
};

static const struct config_kind kind_worker = {
    .name = "worker",
    .telling_keys =
        (const char *const[]){"dataset_config", "general_config", "orphan_grace_s", "comm_config.grpc.sync_port",
                              "comm_config.mqtt.client_name", "comm_config.mqtt.heartbeat_timeout_s", NULL},
    .check = check_worker,
};

static const struct config_kind kind_session = {
    .name = "session",
    .telling_keys = (const char *const[]){"session_config", "benchmark_config", "server_training_config",
                                          "client_training_config", "model_config", NULL},
    .check = check_session_file,
};

static const struct config_kind kind_model = {
    .name = "model",
    .telling_keys = (const char *const[]){"model_details", "default_training_config", NULL},
    .check = check_model,
};

static const struct config_kind kind_network = {
    .name = "network",
    .telling_keys = (const char *const[]){"input", "layers", NULL},
    .check = check_network,
};

static const struct config_kind kind_dataset = {
    .name = "dataset",
    .telling_keys = (const char *const[]){"dataset_details", "metadata", "local_validation_fraction", NULL},
    .check = check_dataset,
};

const struct config_kind *const config_kinds[] = {
    &kind_leader, &kind_worker, &kind_session, &kind_model, &kind_network, &kind_dataset, NULL,
};

/* The node at a path of keys with dots between them. */
static struct yaml_node node_at(struct yaml_node node, const char *path)
{
    for (char key[64]; *path;) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        node = yaml_get(node, key);
        path += n + (path[n] == '.');
    }
    return node;
}

static size_t telling_keys(const struct config_kind *kind, struct yaml_node root)
{
    size_t n = 0;

    for (size_t i = 0; kind->telling_keys[i]; i++)
        n += node_at(root, kind->telling_keys[i]).doc != NULL;
    return n;
}

const struct config_kind *config_kind_of(struct yaml_node root, const struct config_kind *extra)
{
    const struct config_kind *best = NULL;
    size_t most = 0;
    bool tie = false;

    for (size_t i = 0; config_kinds[i] || extra; i++) {
        const struct config_kind *kind = config_kinds[i] ? config_kinds[i] : extra;
        size_t n = telling_keys(kind, root);
        tie = n == most ? tie || n > 0 : n > most ? false : tie;
        best = n > most ? kind : best;
        most = n > most ? n : most;
        if (!config_kinds[i])
            break;
    }
    return tie ? NULL : best;
}
