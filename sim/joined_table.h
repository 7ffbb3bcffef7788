/* Several parameter tables read from one mapping: `{source: fashion-mnist, scheme: dirichlet, alpha: 0.5}` has keys of
 * the data section, of the source and of the scheme side by side. The joined struct holds the parts' structs one behind
 * the other. */
#ifndef FLOSIM_SIM_JOINED_TABLE_H
#define FLOSIM_SIM_JOINED_TABLE_H

#include "util/params.h"

enum { JOINED_MAX = 4 };

struct joined_part {
    const char *word;                /* what the part is: "scheme" */
    const struct param_table *table; /* NULL: an empty part */
};

struct joined_table {
    struct param_table table; /* of the whole; its rows are owned */
    size_t at[JOINED_MAX];    /* where the struct of each part begins */
    char **names;             /* made-up names of rows; owned */
    size_t num_names;
};

/* `parts` [n], n <= JOINED_MAX. A key that an earlier part has already is called `<word>_<key>` in the later one
 * (`scheme_alpha` beside the source's alpha). ERR_MEMORY; joined_table_fini is due in any case. */
int joined_table_init(struct joined_table *joined, const char *name, const struct joined_part *parts, size_t n,
                      struct error *err);
void joined_table_fini(struct joined_table *joined);

#endif
