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
    int (*load)(const void *args, uint64_t seed, struct data_pair *out, struct diags *diags);
};

extern const struct source_ops *const data_sources[]; /* NULL-terminated */
const struct source_ops *data_source_find(const char *name);
void data_pair_fini(struct data_pair *pair);

#endif
