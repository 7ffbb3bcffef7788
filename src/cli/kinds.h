/* The kinds of configuration files with all that each room knows of them: this room lies above all others, so here
 * sessions are checked against strategies, and scenarios are a kind too. */
#ifndef FLOSIM_CLI_KINDS_H
#define FLOSIM_CLI_KINDS_H

#include "config/check.h"

enum { MAX_KINDS = 16 };

const struct config_kind *kind_find(const char *name);    /* NULL: there is none */
const struct config_kind *kind_of(struct yaml_node root); /* by its keys; NULL: none or several fit */

/* Fills names [MAX_KINDS]; returns how many. */
size_t kind_names(const char **names);

#endif
