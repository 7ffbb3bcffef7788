/* The registries of the three kinds of strategies. To add a member: copy the smallest sibling in its folder, give it a
 * row in that folder's registry.c. Pure; any thread. */
#ifndef FLOSIM_LEADER_STRATEGIES_H
#define FLOSIM_LEADER_STRATEGIES_H

#include <flosim/strategy.h>

enum strategy_kind { STRATEGY_SELECTION, STRATEGY_AGGREGATION, STRATEGY_TERMINATION, STRATEGY_NUM_KINDS };

extern const struct flosim_selector_ops *const selections[];      /* NULL-terminated */
extern const struct flosim_aggregator_ops *const aggregations[];  /* NULL-terminated */
extern const struct flosim_termination_ops *const terminations[]; /* NULL-terminated */

const struct flosim_selector_ops *selection_find(const char *name);
const struct flosim_aggregator_ops *aggregation_find(const char *name);
const struct flosim_termination_ops *termination_find(const char *name);

/* The session key that names a member of the kind: "client_selection" …; and the kind's own name: "selection" … */
const char *strategy_kind_key(enum strategy_kind kind);
const char *strategy_kind_name(enum strategy_kind kind);

/* What all kinds have in common, by position in the registry; false past the last. */
struct strategy_entry {
    const char *name, *help;
    const struct flosim_params *params;
    unsigned flags; /* of the kind: enum flosim_selector_flags, flosim_aggregator_flags; 0 for terminations */
};

int strategy_entry_at(enum strategy_kind kind, size_t i, struct strategy_entry *out);
int strategy_entry_find(enum strategy_kind kind, const char *name, struct strategy_entry *out);

/* How the member works and what it needs, in words; false past the last trait. */
int strategy_trait_at(enum strategy_kind kind, const struct strategy_entry *entry, size_t i, const char **out);

#endif
