/* A network: layers with inferred shapes and a parameter layout, described by model.yaml.
 * Immutable once loaded; any number of threads may use one model, each with a workspace of its own.
 *
 * Shape letters, project-wide: N batch, C H W image, T time, D in, O out, P floats of a model's block, K clients. */
#ifndef FLOSIM_NN_MODEL_H
#define FLOSIM_NN_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/layout.h"
#include "util/diag.h"
#include "util/params.h"
#include "util/rng.h"
#include "util/span.h"

struct model;

/* Load FOLDER/model.yaml. `model_args` (a JSON object, may be NULL) replaces $(name) in it. Everything wrong with the
 * file goes to diags: unknown layer, bad argument, shape mismatch (names the layer and both shapes). */
int model_load(const char *folder, const json_t *model_args, struct model **out, struct diags *diags);

/* The same for text; `name` is used in messages. */
int model_load_text(const char *text, const char *name, const json_t *model_args, struct model **out,
                    struct diags *diags);
void model_free(struct model *model);

/* What model.yaml's `block` and `residual` take, for help. */
extern const struct param_table model_block_table, model_residual_table;

const struct layout *model_layout(const struct model *model);

/* Floats of one input sample and of one output sample, and the input's shape. An output is `rows` predictions (1, or T
 * time steps) of O values each. Tokens are whole numbers below the vocabulary (0: the input is values). */
size_t model_input_size(const struct model *model);
size_t model_output_size(const struct model *model);
size_t model_output_rows(const struct model *model);
int64_t model_vocabulary(const struct model *model);
int model_input_shape(const struct model *model, int64_t dims[TENSOR_MAX_DIMS]); /* returns num_dims */

/* What a model must know of the items of a data set. */
struct item_facts {
    int num_dims;
    const int64_t *dims; /* as they are gathered */
    int64_t vocabulary;  /* items are tokens below it; 0: values */
    size_t num_targets;  /* of one item */
    bool has_values;     /* targets are values, not labels */
    int64_t num_classes; /* of labels; 0: unknown */
};

/* Do such items fit the network (and the loss, unless NULL)? ERR_INVALID says what does not. */
struct loss_ops;
int model_check_items(const struct model *model, const struct item_facts *items, const struct loss_ops *loss,
                      struct error *err);

/* Floating point operations of one sample: forward only, or a training step (forward, backward, update excluded). A
 * multiply-add counts two. */
double model_flops_forward(const struct model *model);
double model_flops_train(const struct model *model);

/* One line of a model's table: layers in the order they run, a residual where it ends. */
struct layer_facts {
    const char *name, *kind; /* borrowed from the model */
    int num_dims;
    int64_t dims[TENSOR_MAX_DIMS]; /* of its output, one sample */
    size_t parameters, buffers;    /* floats */
    double flops_forward;          /* one sample */
};
size_t model_num_layers(const struct model *model);
/* Fills *out; false where number i (< model_num_layers) is nothing to show. */
bool model_layer_at(const struct model *model, size_t i, struct layer_facts *out);

/* Fill params [P] with PyTorch's default initialisation of each layer kind, from (seed, "init", tensor name). */
void model_init_params(const struct model *model, uint64_t seed, float *params);

/* Workspace: all memory that forward and backward need for batches of up to max_batch, planned once. `train` false
 * leaves out what only backward needs. ERR_TOO_LARGE where an activation of a batch has more values than an int counts.
 */
struct workspace;
enum { WORKSPACE_MAX_BATCH = 65536 };
int workspace_new(const struct model *model, int max_batch, bool train, struct workspace **out, struct error *err);
void workspace_free(struct workspace *ws);
/* Let forward and backward use `threads` threads, the caller among them. Results do not depend on their number. Threads
 * do not outlive a fork, so call it in the process that trains. ERR_UNAVAILABLE where they cannot be started: the
 * workspace stays as it was. */
int workspace_set_threads(struct workspace *ws, int threads, struct error *err);
struct team *workspace_team(const struct workspace *ws); /* NULL: one thread */
/* Forget what recurrent layers carried over from earlier batches. */
void workspace_reset(struct workspace *ws);
/* Has it a layer that carries its state from batch to batch? Then sample i of a batch continues sample i of the one
 * before. */
bool model_carries(const struct model *model);
size_t workspace_bytes(const struct workspace *ws);

/* [max_batch, output_size] floats of the workspace for the gradient of the loss; NULL where it was made without
 * `train`. */
float *workspace_gradient(struct workspace *ws);

/* y = f(x). x [N, input_size] borrowed (until backward), N <= max_batch. Returns logits [N, output_size], inside the
 * workspace until its next use. Dropout and the like draw from `rng` (NULL when not training). params [P] holds buffers
 * too, which training mode updates in place. */
const float *model_forward(const struct model *model, struct workspace *ws, float *params, const float *x, int N,
                           bool training, struct rng *rng);

/* Gradients of the last model_forward, in whose mode the layers are (the workspace was made with `train`): gy [N,
 * output_size] is the gradient of the loss with respect to its result; fills grads [num_parameters] (overwrites). gx
 * [N, input_size] is filled unless NULL. */
void model_backward(const struct model *model, struct workspace *ws, const float *params, const float *gy, float *grads,
                    float *gx);

#endif
