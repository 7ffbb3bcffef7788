/* What the parts of `flosim model` share. Main thread only. */
#ifndef FLOSIM_CLI_MODEL_H
#define FLOSIM_CLI_MODEL_H

#include <jansson.h>

#include "codec/safetensors.h"
#include "nn/model.h"

/* Load a model folder, or a built-in network by its name. Messages go to stderr. */
int model_command_load(const char *folder_or_name, const json_t *args, struct model **out);

int model_show(const char *folder_or_name, const json_t *args, int batch);

/* Replay a record of PyTorch. `folder` NULL: a record of one layer, loss or optimizer. Prints the deviations to stdout,
 * errors to stderr; returns the exit code: 0 within the tolerance, 1 past it, 2 the record is damaged or does not fit.
 */
int model_verify(const char *folder, const char *record, const json_t *args, double tolerance);

/* --- inside verify --- */

struct record {
    struct blob *blob;
    struct safetensors *file;
};

int record_open(const char *path, struct record *out, struct error *err);
void record_close(struct record *record);
const char *record_word(const struct record *record, const char *key, const char *fallback); /* of the metadata */

/* A tensor's values in a new array. ERR_INVALID where it is absent, of another type or not finite, or has not the
 * wanted shape (`dims` NULL: any; a single value fits [] and [1]). */
int record_floats(const struct record *record, const char *name, int num_dims, const int64_t *dims, float **out,
                  struct error *err);
/* Whole numbers in [0, limit), from I64 or I32. */
int record_numbers(const struct record *record, const char *name, int64_t limit, int32_t **out, struct error *err);
int record_find(const struct record *record, const char *name, const struct safetensors_tensor **out,
                struct error *err);

/* "{name: sgd, args: {lr: 0.1}}": arguments that the metadata gives for the rows of a table, as YAML into `out`. */
struct argument {
    const char *name;
    char value[64];
};
int record_arguments(const struct record *record, const struct param_table *table, const struct argument *more,
                     size_t num_more, char *out, size_t size, struct error *err);

/* ERR_INVALID names what the metadata asks for and `what` cannot do: no argument of the `tables` (NULL-terminated),
 * no word that only describes, and not PyTorch's default. */
int record_check_metadata(const struct record *record, const char *what, const struct param_table *const *tables,
                          struct error *err);

/* The largest deviation so far, relative to the largest value of its tensor. */
struct deviation {
    const char *what; /* "outputs" */
    char tensor[256];
    double largest;
    size_t tensors;
};
void deviation_add(struct deviation *deviation, const char *tensor, const float *found, const float *expected,
                   size_t n);
void deviation_add_value(struct deviation *deviation, const char *tensor, double found, double expected);

enum { MAX_DEVIATIONS = 4 };
struct comparison {
    struct deviation deviations[MAX_DEVIATIONS];
    int n;
};
struct deviation *comparison_add(struct comparison *comparison, const char *what);

/* verify_model.c, verify_part.c */
int verify_run(const struct record *record, const struct model *model, struct comparison *out, struct error *err);
int verify_part(const struct record *record, struct comparison *out, struct error *err);

/* The loss and the optimizer that the metadata names (PyTorch's short names are known too). */
const struct loss_ops *record_loss(const struct record *record, struct error *err);
struct optimizer;
int record_optimizer(const struct record *record, size_t num_parameters, struct optimizer **out, struct error *err);

#endif
