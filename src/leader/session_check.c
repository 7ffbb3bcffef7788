#include "leader/session_check.h"

#include <stdlib.h>
#include <string.h>

#include "leader/network_check.h"
#include "leader/session_setup.h"
#include "util/fs.h"

struct diag_place session_place(const struct session_check_context *ctx, const char *section, const char *key,
                                struct diag_place where)
{
    struct yaml_node node = {0};

    if (ctx && ctx->root.doc)
        node = yaml_get(yaml_get(ctx->root, section), key);
    return node.doc ? yaml_place(node) : where;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "models/lenet5/" names the same folder as "models/lenet5". */
static char *without_end_slashes(const char *path)
{
    char *copy = strdup(path);
    size_t n = copy ? strlen(copy) : 0;

    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    return copy;
}

static char *in_models_folder(const struct session_check_context *ctx, const char *name)
{
    if (!ctx || !ctx->models_dir_path || !fs_is_component(name))
        return NULL;
    return fs_join(ctx->models_dir_path, name);
}

char *session_model_path(const struct session_check_context *ctx, const char *model_dir, struct diag_place place,
                         struct diags *diags)
{
    char *written = without_end_slashes(model_dir ? model_dir : "");
    char *found = NULL;

    if (!written) {
        diag_error(diags, place, "no memory for a path");
        return NULL;
    }
    if (!(ctx && ctx->posted) && fs_is_dir(written)) {
        found = written;
        written = NULL;
    } else {
        found = in_models_folder(ctx, last_component(written));
    }
    if (!found || !fs_is_dir(found)) {
        diag_error(diags, place, "there is no model folder `%s`%s%s", model_dir ? model_dir : "",
                   ctx && ctx->models_dir_path ? " in " : "", ctx && ctx->models_dir_path ? ctx->models_dir_path : "");
        free(found);
        found = NULL;
    }
    free(written);
    return found;
}

const char *session_validation_dataset(const struct session_config *config)
{
    const char *name = config->server_training_config.validation_dataset;

    return name && *name ? name : config->client_training_config.dataset;
}

/* ---- the checks ---- */

/* What the folder says where the session is silent becomes part of it: it travels to the clients too. */
static void find_model(struct session_config *config, const struct session_check_context *ctx, struct diag_place where,
                       struct session_parts *out, struct diags *diags)
{
    struct diag_place place = session_place(ctx, "server_training_config", "model_dir", where);

    out->folder = session_model_path(ctx, config->server_training_config.model_dir, place, diags);
    if (!out->folder)
        return;
    session_apply_model_folder(config, out->folder, diags); /* what it has to complain of is an error of the session */
    out->network = session_model_load(config, out->folder, diags);
}

static void check_bench_model(const struct session_config *config, const struct session_check_context *ctx,
                              struct diag_place where, struct diags *diags)
{
    const char *dir = config->benchmark_config.model_dir;

    if (!config->benchmark_config.skip_benchmark && dir)
        free(session_model_path(ctx, dir, session_place(ctx, "benchmark_config", "model_dir", where), diags));
}

/* Only whether it is there: its shapes are compared with the model's when the session begins. */
static void check_validation_data(const struct session_config *config, const struct session_check_context *ctx,
                                  struct diag_place where, struct diags *diags)
{
    const char *name = session_validation_dataset(config);
    char *folder;

    if (!ctx || !name ||
        (ctx->host && ctx->host->validation_data && ctx->host->validation_data(ctx->host->context, name)))
        return;
    if (!ctx->validation_data_dir_path)
        return;
    folder = fs_is_component(name) ? fs_join(ctx->validation_data_dir_path, name) : NULL;
    if (!folder || !fs_is_dir(folder))
        diag_error(diags, session_place(ctx, "server_training_config", "validation_dataset", where),
                   "there is no validation data `%s` in %s: put a folder of that name there, or name another in "
                   "server_training_config.validation_dataset",
                   name, ctx->validation_data_dir_path);
    free(folder);
}

int session_parts_find(struct session_config *config, struct diag_place where, const struct session_check_context *ctx,
                       struct session_parts *out, struct diags *diags)
{
    size_t errors = diags_errors(diags);

    *out = (struct session_parts){0};
    if (config->session_config.client_selection && config->session_config.aggregator)
        session_strategies_read(config, ctx, where, &out->strategies, diags);
    network_check_training(config, ctx, where, diags);
    if (config->server_training_config.model_dir)
        find_model(config, ctx, where, out, diags);
    check_bench_model(config, ctx, where, diags);
    check_validation_data(config, ctx, where, diags);
    if (diags_errors(diags) == errors && out->network && out->strategies.selector)
        session_strategies_try(config, ctx, where, &out->strategies, network_layout(out->network), diags);
    if (diags_errors(diags) == errors)
        return OK;
    session_parts_fini(out);
    return ERR_INVALID;
}

void session_parts_fini(struct session_parts *parts)
{
    session_strategies_fini(&parts->strategies);
    session_model_free(parts->network);
    free(parts->folder);
    *parts = (struct session_parts){0};
}

int session_check(const struct session_config *config, struct diag_place where, const struct session_check_context *ctx,
                  struct diags *diags)
{
    struct session_config whole;
    struct session_parts parts;
    int status;

    if (params_copy(&session_config_table, config, &whole) != OK) {
        diag_error(diags, where, "no memory for a session");
        return ERR_MEMORY;
    }
    status = session_parts_find(&whole, where, ctx, &parts, diags);
    if (status == OK)
        session_parts_fini(&parts);
    params_free(&session_config_table, &whole);
    return status;
}
