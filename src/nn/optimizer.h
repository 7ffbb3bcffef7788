/* Optimizers: a pluggable kind, with PyTorch's arguments and defaults. State is new every local training. */
#ifndef FLOSIM_NN_OPTIMIZER_H
#define FLOSIM_NN_OPTIMIZER_H

#include "nn/team.h"
#include "util/params.h"
#include "util/span.h"

struct optimizer;

struct optimizer_ops {
    const char *name;
    const struct param_table *params; /* its arguments; every member has `lr` and `maximize` */
    /* What the table's rows cannot say alone: ERR_INVALID with a sentence. NULL: nothing. */
    int (*check)(const void *args, struct error *err);
    size_t (*state_floats)(const void *args); /* kept per parameter: 0 to 3 */
    /* One step over n parameters, some of all at a time; state [state_floats, n] zero at first; step counts from 1.
     * `args` is the struct of `params`; of a request to maximize, the gradients come negated. */
    void (*step)(const void *args, int64_t step, size_t n, float *params, const float *grads, float *state);
};

extern const struct optimizer_ops *const optimizers[]; /* NULL-terminated */
const struct optimizer_ops *optimizer_find(const char *name);

/* From JSON {"name": "adam", "args": {...}, "clip_norm": 5, "clip_value": 1} as it travels (the last two may be
 * absent); an absent span is Adam at `learning_rate`. args.lr defaults to learning_rate. ERR_INVALID says which name or
 * argument is wrong and lists the names there are. */
int optimizer_new(struct span json, double learning_rate, size_t num_parameters, struct optimizer **out,
                  struct error *err);
/* The same of a request that stands in a document, without making anything: `where` is the place of the name, `args`
 * the arguments or of no kind. Each finding goes to diags with the place of its argument. */
void optimizer_check(const char *name, struct diag_place where, struct yaml_node args, struct diags *diags);
/* A request written as a mapping: its keys and clipping; not which names and arguments there are. */
void optimizer_check_request(struct yaml_node request, struct diags *diags);
extern const struct param_table optimizer_clipping_table; /* clip_norm and clip_value, beside name and args */
void optimizer_free(struct optimizer *optimizer);

/* What a federated strategy adds to the gradient of each step: mu (w - anchor) + correction. */
struct drift {
    double mu;               /* FedProx, Li et al. 2020; 0: none */
    const float *anchor;     /* [num_parameters], where mu is not 0 */
    const float *correction; /* [num_parameters] or NULL; SCAFFOLD, Karimireddy et al. 2020 */
};

/* From the next step on; what drift points to is borrowed for the optimizer's life. */
void optimizer_set_drift(struct optimizer *optimizer, const struct drift *drift);

/* One step, which `team` (may be NULL) shares out; clips grads first where that was asked for, so they are scratch. */
void optimizer_step(struct optimizer *optimizer, struct team *team, float *params, float *grads);

#endif
