/* Sources of data: a pluggable kind. A source reads files or makes data, and gives a training set and a validation set.
 * Names: fashion-mnist, idx, synthetic, safetensors. Blocking: never on an event loop. */
#ifndef FLOSIM_DATA_SOURCE_H
#define FLOSIM_DATA_SOURCE_H

#include "data/dataset.h"
#include "util/params.h"

struct data_pair {
    struct dataset train, validation; /* validation.num_items may be 0 */
};

struct source_ops {
    const char *name;
    const char *help;
    const struct param_table *params; /* its arguments, next to `source:` in a scenario's data section */
    /* Fill both sets; ERR_… with everything that is wrong in `diags`, and then nothing is held. Files depend on nothing
     * but args, made data on args and seed. Finish with data_pair_fini. */
    int (*load)(const void *args, uint64_t seed, struct data_pair *out, struct diags *diags);
};

extern const struct source_ops *const data_sources[]; /* NULL-terminated */
const struct source_ops *data_source_find(const char *name);
void data_pair_fini(struct data_pair *pair);

/* For sources: training and validation items must have one shape. ERR_INVALID with a message at the validation file. */
int data_pair_check(const struct data_pair *pair, const char *validation_path, struct diags *diags);

#endif
