/* Strategies outside of flosim: shared objects that export the ops struct of one or more kinds under the kind's name
 * (flosim/strategy.h). Loading one runs its constructors; nothing that came over the network may choose the file. Any
 * thread. */
#ifndef FLOSIM_LEADER_PLUGIN_H
#define FLOSIM_LEADER_PLUGIN_H

#include "leader/strategies.h"
#include "util/error.h"

struct plugin; /* opaque */

/* Load the file and check what it exports for `kind`: version and size of the ops, the ops that it must have, its name
 * and its rows of arguments. `path` has a '/'. ERR_NOT_FOUND, ERR_INVALID with the remedy. Loading the same file twice
 * is cheap. */
int plugin_load(const char *path, enum strategy_kind kind, struct plugin **out, struct error *err);

/* The kind's ops; they live until plugin_unload, which comes after fini of all that was made with them. */
const struct flosim_selector_ops *plugin_selector(const struct plugin *plugin);
const struct flosim_aggregator_ops *plugin_aggregator(const struct plugin *plugin);
const struct flosim_termination_ops *plugin_termination(const struct plugin *plugin);

void plugin_unload(struct plugin *plugin); /* NULL is legal */

#endif
