/* Flotilla's custom_loader_args: what a session says of how raw data are cut into items. They come before what the
 * data's own folder or a scenario's data section says. */
#ifndef FLOSIM_DATA_LOADER_ARGS_H
#define FLOSIM_DATA_LOADER_ARGS_H

#include "data/csv.h"
#include "util/params.h"

struct loader_args {
    int64_t lookback, forecast, length; /* of windows; 0: not given */
    int64_t batch_size;                 /* of mini-batches, instead of the session's; 0: not given */
    bool has_normalise;                 /* given? */
    enum csv_normalise normalise;
};

/* Read the mapping custom_loader_args; no node, a null or another kind: nothing is given. A name that says nothing here
 * is told as a warning, a value of the wrong kind as an error; `where` is what stands before names in findings. `diags`
 * NULL: nothing is told. */
int loader_args_read(struct yaml_node args, const char *where, struct loader_args *out, struct diags *diags);

/* The arguments in a request's model_config (JSON): those of custom_loader_args where use_custom_dataloader is true.
 * ERR_INVALID with a sentence. */
int loader_args_parse(const char *json, size_t size, struct loader_args *out, struct error *err);

/* Do both read the same items? batch_size does not matter. */
bool loader_args_same(const struct loader_args *a, const struct loader_args *b);

/* Do they change how data are cut or scaled at all? */
bool loader_args_cut(const struct loader_args *args);

/* Put what is given into `values`, a struct of `table` (NULL: nothing has a meaning), wherever a row has the argument's
 * name. Writes the names of those that have no row into `ignored`, "" where there are none. */
enum { LOADER_ARGS_TEXT = 80 };
void loader_args_apply(const struct loader_args *args, const struct param_table *table, void *values,
                       char ignored[LOADER_ARGS_TEXT]);

#endif
