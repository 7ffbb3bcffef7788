/* A strategy's arguments: its public rows (flosim/strategy.h) as a parameter table, so that errors have places, the
 * nearest spelling is suggested and help is generated. Any thread; a struct belongs to one. */
#ifndef FLOSIM_LEADER_STRATEGY_ARGS_H
#define FLOSIM_LEADER_STRATEGY_ARGS_H

#include <stdio.h>

#include <flosim/strategy.h>

#include "util/params.h"

struct strategy_args;

/* Read a mapping with the rows of `params` (may be NULL: no arguments are known). A node of no kind or null means all
 * defaults; then a missing required argument is reported at `where`. Errors go to diags; ERR_INVALID. */
int strategy_args_read(const char *name, const struct flosim_params *params, struct yaml_node node,
                       struct diag_place where, struct strategy_args **out, struct diags *diags);
void strategy_args_free(struct strategy_args *args); /* NULL is legal */

/* The struct that the rows describe; NULL where there are no rows. */
const void *strategy_args_values(const struct strategy_args *args);

/* Whether rows that are not ours can be worked with: names, types, places in the struct, defaults that fit.
 * ERR_INVALID.
 */
int strategy_args_check(const struct flosim_params *params, struct error *err);

/* Help text of the rows: name, type, range, default, sentence. */
int strategy_args_help(const char *name, const struct flosim_params *params, int indent, FILE *out);
/* The same as a Markdown table. */
int strategy_args_markdown(const char *name, const struct flosim_params *params, FILE *out);

#endif
