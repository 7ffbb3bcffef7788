/* `flosim check`: tell what kind of file it is, read it with its table, say everything that is wrong. The scenario kind
 * is added by the simulator, which lies above this room, through a callback. */
#ifndef FLOSIM_CONFIG_CHECK_H
#define FLOSIM_CONFIG_CHECK_H

#include "util/params.h"

struct config_kind {
    const char *name;                /* leader, worker, session, model, dataset, scenario */
    const char *const *telling_keys; /* keys that only this kind has, as `a` or `a.b.c`; NULL-terminated */
    /* Read and check the whole document; all findings go to diags. */
    void (*check)(struct yaml_node root, const char *path, struct diags *diags);
};

extern const struct config_kind *const config_kinds[]; /* NULL-terminated; without scenario */

/* The kind of a document by its keys, among config_kinds and `extra` (may be NULL); NULL when none or several fit. */
const struct config_kind *config_kind_of(struct yaml_node root, const struct config_kind *extra);

/* Load a role's or session's file with --set overrides; `overrides` NULL-terminated or NULL. */
int config_load(const struct param_table *table, const char *path, const char *const *overrides, int yaml_flags,
                void *out, struct diags *diags);

#endif
