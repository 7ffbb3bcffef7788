#include "leader/plugin.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "leader/strategy_args.h"
#include "util/fs.h"

struct plugin {
    void *handle;
    const void *ops; /* of its kind */
};

/* What the three kinds of ops have in common. */
struct common {
    const char *name;
    const struct flosim_params *params;
    const char *missing; /* an op that it must have and has not */
    bool save, restore;
};

static const char *symbol_of(enum strategy_kind kind)
{
    static const char *const symbols[STRATEGY_NUM_KINDS] = {"flosim_selector", "flosim_aggregator",
                                                            "flosim_termination"};

    return symbols[kind];
}

static uint32_t size_of(enum strategy_kind kind)
{
    static const uint32_t sizes[STRATEGY_NUM_KINDS] = {sizeof(struct flosim_selector_ops),
                                                       sizeof(struct flosim_aggregator_ops),
                                                       sizeof(struct flosim_termination_ops)};

    return sizes[kind];
}

const struct flosim_selector_ops *plugin_selector(const struct plugin *plugin)
{
    return plugin->ops;
}

const struct flosim_aggregator_ops *plugin_aggregator(const struct plugin *plugin)
{
    return plugin->ops;
}

const struct flosim_termination_ops *plugin_termination(const struct plugin *plugin)
{
    return plugin->ops;
}

/* ---- loading ---- */

static size_t count_threads(void)
{
    struct stat st;

    /* One sub-directory a thread, and "." and "..". */
    return stat("/proc/self/task", &st) || st.st_nlink < 3 ? 1 : (size_t)st.st_nlink - 2;
}

/* A process of one thread may be about to fork, and a thread of a constructor would neither be in its children nor let
 * it fork. Such a file stays loaded, for its thread still runs in it. */
static int open_object(const char *path, void **out, struct error *err)
{
    bool single = count_threads() == 1;

    if (!fs_exists(path))
        return FAIL(err, ERR_NOT_FOUND, "there is no plug-in %s", path);
    *out = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*out)
        return FAIL(err, ERR_INVALID, "cannot load the plug-in: %s; build it with `cc -shared -fPIC`, see PLUGINS.md",
                    dlerror());
    if (!single || count_threads() == 1)
        return OK;
    *out = NULL;
    return FAIL(err, ERR_INVALID,
                "%s, or a library that it is linked with, starts a thread when it is loaded, after which flosim cannot "
                "fork its processes: start threads in `init`",
                path);
}

/* Whose strategy it is, if it is one of another kind. */
static const char *other_kind(void *handle)
{
    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++)
        if (dlsym(handle, symbol_of(kind)))
            return strategy_kind_key(kind);
    return NULL;
}

static int find_ops(struct plugin *self, const char *path, enum strategy_kind kind, struct error *err)
{
    const char *other;

    self->ops = dlsym(self->handle, symbol_of(kind));
    if (self->ops)
        return OK;
    other = other_kind(self->handle);
    if (other)
        return FAIL(err, ERR_INVALID, "%s exports no `%s`, it is a strategy for `%s`", path, symbol_of(kind), other);
    return FAIL(err, ERR_INVALID, "%s exports no `%s`: define `const struct %s_ops %s`", path, symbol_of(kind),
                symbol_of(kind), symbol_of(kind));
}

/* ---- checking ---- */

/* Both stand first in all ops, whatever the version. */
static int check_version(const void *ops, const char *path, enum strategy_kind kind, struct error *err)
{
    const uint32_t *version_and_size = ops;

    if (version_and_size[0] != FLOSIM_STRATEGY_ABI)
        return FAIL(err, ERR_INVALID,
                    "%s is made for version %u of flosim/strategy.h, this flosim has version %u: set .abi_version = "
                    "FLOSIM_STRATEGY_ABI and build it with this flosim's header",
                    path, version_and_size[0], FLOSIM_STRATEGY_ABI);
    if (version_and_size[1] != size_of(kind))
        return FAIL(err, ERR_INVALID,
                    "%s gives its `%s` the size %u, here it is %u bytes: set .size = sizeof %s and build it with this "
                    "flosim's header",
                    path, symbol_of(kind), version_and_size[1], size_of(kind), symbol_of(kind));
    return OK;
}

static struct common describe_selector(const struct flosim_selector_ops *ops)
{
    return (struct common){ops->name, ops->params,
                           !ops->init     ? "init"
                           : !ops->select ? "select"
                                          : NULL,
                           ops->save != NULL, ops->restore != NULL};
}

/* Members that work in rounds hold updates, so they must be able to forget them. */
static struct common describe_aggregator(const struct flosim_aggregator_ops *ops)
{
    bool in_rounds = ops->flags & (FLOSIM_WAITS_FOR_ALL | FLOSIM_USES_COHORTS);
    const char *missing = !ops->init                   ? "init"
                          : !ops->on_update            ? "on_update"
                          : !ops->on_failure           ? "on_failure"
                          : !ops->held                 ? "held"
                          : in_rounds && !ops->discard ? "discard"
                                                       : NULL;

    return (struct common){ops->name, ops->params, missing, ops->save != NULL, ops->restore != NULL};
}

static struct common describe_termination(const struct flosim_termination_ops *ops)
{
    return (struct common){ops->name, ops->params,
                           !ops->init    ? "init"
                           : !ops->check ? "check"
                                         : NULL,
                           ops->save != NULL, ops->restore != NULL};
}

static struct common describe(const struct plugin *self, enum strategy_kind kind)
{
    switch (kind) {
    case STRATEGY_SELECTION:
        return describe_selector(plugin_selector(self));
    case STRATEGY_AGGREGATION:
        return describe_aggregator(plugin_aggregator(self));
    case STRATEGY_TERMINATION:
    case STRATEGY_NUM_KINDS:
        break;
    }
    return describe_termination(plugin_termination(self));
}

/* The name stands in log lines, keys of the store and termination_condition_args. */
static bool is_name(const char *name)
{
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") : 0;

    return n > 0 && n <= 64 && !name[n];
}

static int check_ops(const struct plugin *self, const char *path, enum strategy_kind kind, struct error *err)
{
    struct common common = describe(self, kind);
    struct strategy_entry entry;

    if (!is_name(common.name))
        return FAIL(err, ERR_INVALID,
                    "%s: the name in its `%s` must be 1 to 64 letters, digits, `_` or `-`, found `%.80s`", path,
                    symbol_of(kind), common.name ? common.name : "");
    if (strategy_entry_find(kind, common.name, &entry))
        return FAIL(err, ERR_INVALID, "%s calls itself `%s`, as a strategy of flosim's own: give it another name", path,
                    common.name);
    if (common.missing)
        return FAIL(err, ERR_INVALID, "%s: `%s` must have the op `%s`", path, common.name, common.missing);
    if (common.save != common.restore)
        return FAIL(err, ERR_INVALID, "%s: `%s` must have both of `save` and `restore`, or neither", path, common.name);
    if (strategy_args_check(common.params, err) != OK)
        return error_context(err, ERR_INVALID, "%s: `%s`: ", path, common.name);
    return OK;
}

int plugin_load(const char *path, enum strategy_kind kind, struct plugin **out, struct error *err)
{
    struct plugin *self = calloc(1, sizeof *self);
    int status;

    *out = NULL;
    if (!self)
        return FAIL(err, ERR_MEMORY, "no memory to load %s", path);
    status = open_object(path, &self->handle, err);
    if (status == OK)
        status = find_ops(self, path, kind, err);
    if (status == OK)
        status = check_version(self->ops, path, kind, err);
    if (status == OK)
        status = check_ops(self, path, kind, err);
    if (status == OK)
        *out = self;
    else
        plugin_unload(self);
    return status;
}

void plugin_unload(struct plugin *plugin)
{
    if (plugin && plugin->handle)
        dlclose(plugin->handle);
    free(plugin);
}
