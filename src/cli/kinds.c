#include "cli/kinds.h"

#include <stdlib.h>
#include <string.h>

#include "config/session_config.h"
#include "leader/session_check.h"
#include "leader/session_plugins.h"
#include "sim/scenario.h"
#include "util/fs.h"

/* A plug-in lies beside the file that names it, or in the current folder. */
static char *find_beside(const void *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash ? strndup(file, (size_t)(slash - (const char *)file)) : NULL;
    char *found = folder ? fs_join(folder, path) : NULL;

    free(folder);
    if (found && fs_exists(found))
        return found;
    free(found);
    return NULL;
}

/* The session's keys, then the names behind them. */
static void check_session(struct yaml_node root, const char *path, struct diags *diags)
{
    struct session_check_context context = {.root = root};
    struct session_config config;

    params_read(&session_config_table, root, &config, diags);
    session_config_check(&config, root, diags);
    session_find_plugins(&config, find_beside, path);
    session_check(&config, yaml_place(root), &context, diags);
    params_free(&session_config_table, &config);
}

/* Stands for the kind of that name in config_kinds. */
static const struct config_kind whole_session = {.name = "session", .check = check_session};

static const struct config_kind *whole(const struct config_kind *kind)
{
    return kind && !strcmp(kind->name, whole_session.name) ? &whole_session : kind;
}

size_t kind_names(const char **names)
{
    size_t n = 0;

    names[n++] = scenario_kind.name;
    for (size_t i = 0; config_kinds[i] && n < MAX_KINDS; i++)
        names[n++] = config_kinds[i]->name;
    return n;
}

const struct config_kind *kind_find(const char *name)
{
    if (!strcmp(name, scenario_kind.name))
        return &scenario_kind;
    for (size_t i = 0; config_kinds[i]; i++)
        if (!strcmp(name, config_kinds[i]->name))
            return whole(config_kinds[i]);
    return NULL;
}

const struct config_kind *kind_of(struct yaml_node root)
{
    return whole(config_kind_of(root, &scenario_kind));
}
