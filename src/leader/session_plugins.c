#include "leader/session_plugins.h"

#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

static bool ends_in_so(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

static bool may_be_a_path(const struct session_check_context *ctx, const char *path)
{
    if (!ctx || !ctx->posted)
        return true;
    return ctx->host && ctx->host->may_load && ctx->host->may_load(ctx->host->context, path);
}

static const char *folder_of(const struct session_check_context *ctx)
{
    return ctx && ctx->plugin_dir && *ctx->plugin_dir ? ctx->plugin_dir : NULL;
}

/* "mine" and "mine.so" are the file mine.so. */
static char *in_plugin_dir(const char *folder, const char *name)
{
    char file[256], *path;

    if (!fs_is_component(name) || strlen(name) + 4 > sizeof file)
        return NULL;
    snprintf(file, sizeof file, "%s%s", name, ends_in_so(name) ? "" : ".so");
    path = fs_join(folder, file);
    if (path && fs_exists(path)) {
        char *absolute = realpath(path, NULL); /* with a '/', or the dynamic linker would look elsewhere */

        free(path);
        return absolute;
    }
    free(path);
    return NULL;
}

char *session_plugin_path(const struct session_check_context *ctx, const char *name, struct diag_place place,
                          struct diags *diags)
{
    const char *folder = folder_of(ctx);

    if (strchr(name, '/')) {
        if (may_be_a_path(ctx, name))
            return strdup(name);
        diag_error(
            diags, place,
            "`%s` is a path: a session that is sent to a leader names a plug-in by its bare name, and the leader "
            "%s",
            name, folder ? "looks for it in its plugin_dir" : "has no plugin_dir to look for it in");
        return NULL;
    }
    if (folder)
        return in_plugin_dir(folder, name);
    if (ends_in_so(name) && ctx && ctx->posted)
        diag_error(diags, place, "`%s`: this leader loads no plug-ins, for its plugin_dir is not set", name);
    else if (ends_in_so(name))
        diag_error(diags, place, "`%s` is no strategy; a plug-in is named by a path: `./%s`", name, name);
    return NULL;
}

static void find_one(char **name, char *(*find)(const void *context, const char *path), const void *context)
{
    char *found = *name && strchr(*name, '/') ? find(context, *name) : NULL;
    char *absolute = found ? realpath(found, NULL) : NULL;

    free(found);
    if (!absolute)
        return;
    free(*name);
    *name = absolute;
}

void session_find_plugins(struct session_config *config, char *(*find)(const void *context, const char *path),
                          const void *context)
{
    find_one(&config->session_config.client_selection, find, context);
    find_one(&config->session_config.aggregator, find, context);
    for (size_t i = 0; i < config->session_config.termination_condition.n; i++)
        find_one(&config->session_config.termination_condition.items[i], find, context);
}

static bool is_same(const char *name, const char *path)
{
    return name && strcmp(name, path) == 0;
}

bool session_names_plugin(const struct session_config *config, const char *path)
{
    bool named =
        is_same(config->session_config.client_selection, path) || is_same(config->session_config.aggregator, path);

    for (size_t i = 0; i < config->session_config.termination_condition.n; i++)
        named |= is_same(config->session_config.termination_condition.items[i], path);
    return named;
}
