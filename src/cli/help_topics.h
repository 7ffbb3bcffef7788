/* The topics of `flosim help`: lists of members that come from the rooms' own tables and registries. */
#ifndef FLOSIM_CLI_HELP_TOPICS_H
#define FLOSIM_CLI_HELP_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "leader/strategies.h"
#include "util/params.h"

/* One thing to explain. */
struct help_member {
    const char *group; /* heading that it stands under, or NULL */
    const char *name, *alias, *help;
    const char *unit;                                                          /* of a figure; NULL or "": none */
    const struct param_table *table;                                           /* its arguments, or NULL */
    void (*print)(const struct help_member *member, bool markdown, FILE *out); /* where there is no table; or NULL */
    struct strategy_entry strategy;                                            /* of print */
    enum strategy_kind kind;
};

struct help_topic {
    const char *name, *summary;
    /* Fills the i-th member; false past the last. */
    bool (*member_at)(size_t i, struct help_member *out);
};

extern const struct help_topic help_topics[]; /* ends with a NULL name */

const struct help_topic *help_topic_find(const char *name);

/* All members, or the one named; false where there is none of that name. The topic "reference" has no members: it
 * prints all topics. */
bool help_topic_print(const struct help_topic *topic, const char *member, bool markdown, FILE *out);
void help_topic_members(const struct help_topic *topic, FILE *out); /* " a, b, c" and a newline */

/* One member as text. */
void help_member_print(const struct help_member *member, FILE *out);

#endif
