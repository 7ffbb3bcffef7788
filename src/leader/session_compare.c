/* Is a session that is to go on the session that the state keeps? The settings as understood are compared, so that
 * a default written out is no difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

/* What may change without changing what a round does. Fewer rounds than are done are refused elsewhere. */
static const char *const may_differ[] = {
    "session_config.session_id",
    "session_config.checkpoint_interval",
    "session_config.wait_for_clients",
    "server_training_config.num_training_rounds",
    "server_training_config.global_timeout_duration_s",
    "server_training_config.model_dir", /* a place; the model's hash is compared */
    "benchmark_config.model_dir",
};

static bool is_free(const char *path)
{
    for (size_t i = 0; i < sizeof may_differ / sizeof *may_differ; i++)
        if (strcmp(path, may_differ[i]) == 0)
            return true;
    return false;
}

static char *text_of(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10)) : NULL;

    return text ? text : strdup("absent");
}

static int differ(const char *path, const json_t *kept, const json_t *wanted, struct error *err)
{
    char *a = text_of(kept), *b = text_of(wanted);
    int status = FAIL(err, ERR_PRECONDITION, "%s is %.200s in the session that is kept and %.200s in the request", path,
                      a ? a : "?", b ? b : "?");

    free(a);
    free(b);
    return status;
}

static int compare(const char *path, json_t *kept, json_t *wanted, struct error *err);

static int compare_members(const char *path, json_t *keys_of, json_t *kept, json_t *wanted, struct error *err)
{
    const char *key;
    json_t *value;
    char below[256];

    json_object_foreach(keys_of, key, value)
    {
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
        if (compare(below, json_object_get(kept, key), json_object_get(wanted, key), err) != OK)
            return ERR_PRECONDITION;
    }
    return OK;
}

static int compare(const char *path, json_t *kept, json_t *wanted, struct error *err)
{
    if (is_free(path))
        return OK;
    if (!json_is_object(kept) || !json_is_object(wanted))
        return json_equal(kept, wanted) || (!kept && !wanted) ? OK : differ(path, kept, wanted, err);
    if (compare_members(path, kept, kept, wanted, err) != OK)
        return ERR_PRECONDITION;
    return compare_members(path, wanted, kept, wanted, err);
}

int session_settings_compare(json_t *kept, const struct session_config *config, struct error *err)
{
    char *text = session_settings_json(config);
    json_t *wanted = text ? json_loads(text, 0, NULL) : NULL;
    int status = wanted ? compare("", kept, wanted, err) : FAIL(err, ERR_MEMORY, "no memory for a session's settings");

    free(text);
    json_decref(wanted);
    return status;
}
