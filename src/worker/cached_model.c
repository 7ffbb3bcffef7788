#include "worker/cached_model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/model_folder.h"

enum { MAX_CONFIG_BYTES = 1 << 20 };

int refuse_pickle(struct span bytes, const char *field, struct error *err)
{
    const unsigned char *head = bytes.data;

    if (bytes.size >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return FAIL(err, ERR_UNIMPLEMENTED, "%s is a Python pickle, which this worker does not speak: send JSON",
                    field);
    return OK;
}

void cached_model_fini(struct cached_model *cached)
{
    model_free(cached->model);
    free(cached->id);
    free(cached->class);
    free(cached->args);
    memset(cached, 0, sizeof *cached);
}

/* The request's model_args (model_args_of): new, or NULL in *out where it sends none. */
static int parse_args(struct span config, json_t **out, struct error *err)
{
    json_error_t where;

    *out = NULL;
    if (!config.data || !config.size)
        return OK;
    int status = refuse_pickle(config, "model_config", err);
    if (status)
        return status;
    if (config.size > MAX_CONFIG_BYTES)
        return FAIL(err, ERR_TOO_LARGE, "model_config is larger than %d bytes", MAX_CONFIG_BYTES);
    json_t *root = json_loadb(config.data, config.size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return FAIL(err, ERR_INVALID, "model_config:%d:%d: %s", where.line, where.column, where.text);
    json_t *args = json_object_get(root, "model_args");
    if (!json_is_object(root) || (args && !json_is_object(args) && !json_is_null(args)))
        status = FAIL(err, ERR_INVALID, "model_config must be a JSON object, and so must its model_args");
    else
        *out = model_args_of(root);
    json_decref(root);
    return status;
}

static bool is_same(const struct cached_model *cached, const char *id, const char *class, const char *args,
                    const char *hash)
{
    return cached->model && strcmp(cached->id, id) == 0 && strcmp(cached->class, class) == 0 &&
           strcmp(cached->args, args) == 0 && strcmp(cached->hash, hash) == 0;
}

static int load(struct cached_model *cached, const char *folder, const json_t *args, struct error *err)
{
    struct diags *diags = diags_new();

    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory for model %s", folder);
    int status = model_folder_load(folder, cached->class[0] ? cached->class : NULL, args, &cached->model, diags);
    if (status && diags_status(diags, err) == OK)
        FAIL(err, status, "cannot load model %s: %s", folder, status_text(status));
    diags_free(diags);
    return status;
}

static int replace(struct cached_model *cached, struct model_cache *cache, const char *model_id,
                   const char *model_class, const json_t *args, char *args_text, const char *hash, struct error *err)
{
    char *folder = model_cache_folder(cache, model_id);
    int status;

    cached_model_fini(cached);
    cached->id = strdup(model_id);
    cached->class = strdup(model_class);
    cached->args = args_text;
    strcpy(cached->hash, hash);
    if (!folder || !cached->id || !cached->class)
        status = FAIL(err, ERR_MEMORY, "out of memory for a model");
    else
        status = load(cached, folder, args, err);
    free(folder);
    if (status)
        cached_model_fini(cached);
    return status;
}

int cached_model_use(struct cached_model *cached, struct model_cache *cache, const char *model_id,
                     const char *model_class, struct span config, struct error *err)
{
    char hash[MODEL_HASH_TEXT];
    json_t *args = NULL;
    int status = model_cache_hash(cache, model_id, hash, err);

    if (!status)
        status = parse_args(config, &args, err);
    if (status)
        return status;
    char *text = args ? json_dumps(args, JSON_SORT_KEYS | JSON_COMPACT) : strdup("");
    if (!text)
        status = FAIL(err, ERR_MEMORY, "out of memory for a model");
    else if (is_same(cached, model_id, model_class, text, hash))
        free(text);
    else
        status = replace(cached, cache, model_id, model_class, args, text, hash, err);
    json_decref(args);
    return status;
}
