/* Sources of data: a pluggable kind. A source reads files or makes data, and gives a training set and a validation set.
 * Names: see registry.c. Blocking: never on an event loop. */
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

/* For sources whose training and validation sets are files alike.
 *   load_part        loads one of them; `classes` 0: as many as it finds
 *   validation_path  NULL: there is none
 * Both are tried, so that a wrong training file does not hide what is wrong with the other one. Items of both must have
 * one shape; the validation set has the classes of the training set. On an error *out is empty. */
int data_pair_load(int (*load_part)(const void *args, bool validation, int32_t classes, struct dataset *out,
                                    struct diags *diags),
                   const void *args, int32_t classes, const char *validation_path, struct data_pair *out,
                   struct diags *diags);

#endif
