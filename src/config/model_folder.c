/* Model folders. */
#include "config/model_folder.h"

#include <stdlib.h>
#include <string.h>

#include "config/check.h"
#include "config/tables.h"
#include "util/fs.h"

#define CONFIG        struct model_folder_config
#define DETAIL(field) (offsetof(CONFIG, model_details.field) - offsetof(CONFIG, model_details))
#define IGNORED_ROW(row_name, offset_of)                                                                               \
    {                                                                                                                  \
        .name = (row_name), .type = PARAM_STRING, .offset = (offset_of), .flags = PARAM_NO_EFFECT,                     \
        .help = "Of Flotilla's Python classes."                                                                        \
    }

// clang-format off
static const struct param details_rows[] = {
    {.name = "model_id", .type = PARAM_STRING, .offset = DETAIL(model_id), .flags = PARAM_REQUIRED,
     .help = "What the model is called."},
    {.name = "model_class", .type = PARAM_STRING, .offset = DETAIL(model_class),
     .help = "Class of the model; names a built-in network where the folder holds no model.yaml."},
    {.name = "suitable_datasets", .type = PARAM_STRINGS, .offset = DETAIL(suitable_datasets),
     .help = "Data sets that the model is meant for."},
    {.name = "model_tags", .type = PARAM_STRINGS, .offset = DETAIL(model_tags), .help = "Free words about the model."},
    IGNORED_ROW("model_type", DETAIL(ignored[0])),
    IGNORED_ROW("backend", DETAIL(ignored[1])),
    IGNORED_ROW("custom_dataloader_filepath", DETAIL(ignored[2])),
    IGNORED_ROW("custom_loader_filepath", DETAIL(ignored[3])),
    IGNORED_ROW("custom_trainer_filepath", DETAIL(ignored[4])),
    IGNORED_ROW("custom_validator_filepath", DETAIL(ignored[5])),
    IGNORED_ROW("custom_loss_filepath", DETAIL(ignored[6])),
    IGNORED_ROW("custom_optimizer_filepath", DETAIL(ignored[7])),
};
static const struct param_table details_table = TABLE("model_details", NULL, details_rows, ((CONFIG *)0)->model_details);

static const struct param folder_rows[] = {
    {.name = "model_details", .type = PARAM_SECTION, .offset = offsetof(CONFIG, model_details), .table = &details_table,
     .help = "What the model is."},
    {.name = "default_training_config", .type = PARAM_NODE, .offset = offsetof(CONFIG, default_training_config),
     .help = "The section model_config of sessions that have none."},
};
// clang-format on

const struct param_table model_folder_table =
    TABLE("model", "config.yaml of a model folder, beside model.yaml, which describes the network.", folder_rows,
          struct model_folder_config);

/* default_training_config may name the Python files too. */
struct default_training {
    struct model_config model_config;
    char *ignored[6];
};

// clang-format off
static const struct param default_rows[] = {
    MODEL_CONFIG_ROWS,
    IGNORED_ROW("custom_dataloader_filepath", offsetof(struct default_training, ignored[0])),
    IGNORED_ROW("custom_loader_filepath", offsetof(struct default_training, ignored[1])),
    IGNORED_ROW("custom_trainer_filepath", offsetof(struct default_training, ignored[2])),
    IGNORED_ROW("custom_validator_filepath", offsetof(struct default_training, ignored[3])),
    IGNORED_ROW("custom_loss_filepath", offsetof(struct default_training, ignored[4])),
    IGNORED_ROW("custom_optimizer_filepath", offsetof(struct default_training, ignored[5])),
};
// clang-format on

static const struct param_table default_training_table =
    TABLE("default_training_config", NULL, default_rows, struct default_training);

int model_folder_default_read(struct yaml_node node, struct model_config *out, struct diags *diags)
{
    struct default_training all;
    int status = params_read(&default_training_table, node, &all, diags);

    if (params_copy(&model_config_table, &all.model_config, out)) {
        memset(out, 0, sizeof *out);
        diag_error(diags, yaml_place(node), "out of memory");
        status = ERR_MEMORY;
    }
    params_free(&default_training_table, &all);
    return status;
}

void model_folder_config_check(const struct model_folder_config *config, struct diags *diags)
{
    struct model_config defaults;

    model_folder_default_read(config->default_training_config, &defaults, diags);
    model_config_check(&defaults, "default_training_config", diags);
    params_free(&model_config_table, &defaults);
}

int model_folder_config_load(const char *folder, struct model_folder_config *out, struct diags *diags)
{
    char *path = fs_join(folder, "config.yaml");

    memset(out, 0, sizeof *out);
    if (!path) {
        diag_error(diags, (struct diag_place){folder, 0, 0}, "out of memory");
        return ERR_MEMORY;
    }
    int status = config_load(&model_folder_table, path, NULL, 0, out, diags);
    free(path);
    return status;
}

/* --- networks ------------------------------------------------------------------------------------------------------
 */

/* Flotilla's classes are called after their model, some with "_class" behind it. */
static bool names_model(const char *name, const char *id)
{
    size_t n = strlen(id);

    return !strncmp(name, id, n) && (!name[n] || !strcmp(name + n, "_class"));
}

const char *builtin_network(const char *name)
{
    for (size_t i = 0; builtin_models[i].id; i++)
        if (names_model(name, builtin_models[i].id))
            return builtin_models[i].text;
    return NULL;
}

static void unknown_class(const char *folder, const char *model_class, struct diags *diags)
{
    char list[512] = "";

    for (size_t i = 0; builtin_models[i].id; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", builtin_models[i].id);
    diag_error(diags, (struct diag_place){folder, 0, 0},
               "there is no model.yaml, and no network of the class `%.80s` is built in: describe the network in "
               "model.yaml, or use one of: %s",
               model_class, list);
}

json_t *model_args_of(const json_t *model_config)
{
    static const char *const shared[] = {"lookback", "seq_len"};
    const json_t *given = json_object_get(model_config, "model_args");
    const json_t *loader = json_object_get(model_config, "custom_loader_args");
    json_t *args = json_is_object(given) ? json_copy((json_t *)given) : NULL;

    if (!json_is_true(json_object_get(model_config, "use_custom_dataloader")))
        return args;
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        json_t *value = json_object_get(loader, shared[i]);
        if (json_integer_value(value) < 1 || json_object_get(args, shared[i]))
            continue;
        args = args ? args : json_object();
        json_object_set(args, shared[i], value);
    }
    return args;
}

static int load_builtin(const char *folder, const char *model_class, const json_t *model_args, struct model **out,
                        struct diags *diags)
{
    const char *text = builtin_network(model_class);

    if (text)
        return model_load_text(text, model_class, model_args, out, diags);
    unknown_class(folder, model_class, diags);
    return ERR_INVALID;
}

static int load_by_class(const char *folder, const char *model_class, const json_t *model_args, struct model **out,
                         struct diags *diags)
{
    struct model_folder_config config;

    if (model_class)
        return load_builtin(folder, model_class, model_args, out, diags);
    int status = model_folder_config_load(folder, &config, diags);
    if (!status) {
        const char *own = config.model_details.model_class;
        status = load_builtin(folder, own ? own : config.model_details.model_id, model_args, out, diags);
    }
    params_free(&model_folder_table, &config);
    return status;
}

int model_folder_load(const char *folder, const char *model_class, const json_t *model_args, struct model **out,
                      struct diags *diags)
{
    char *path = fs_join(folder, "model.yaml");
    bool described = path && fs_exists(path);

    *out = NULL;
    free(path);
    if (described)
        return model_load(folder, model_args, out, diags);
    if (fs_is_dir(folder))
        return load_by_class(folder, model_class, model_args, out, diags);
    diag_error(diags, (struct diag_place){folder, 0, 0}, "there is no such model folder");
    return ERR_NOT_FOUND;
}
