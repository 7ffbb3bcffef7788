/* Layers: a pluggable kind. One file per member ending in its const entry, one row in registry.c.
 *
 * A layer is immutable once built; what changes while training lies in the parameter block and in the workspace. To
 * add one: copy the smallest sibling (relu.c without parameters, linear.c with), write the ops, add a row. The contract
 * test then checks its gradients by central differences at the shapes listed in tests/nn/test_layers.c. */
#ifndef FLOSIM_NN_LAYER_LAYER_H
#define FLOSIM_NN_LAYER_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/layout.h"
#include "nn/kernels/kernels.h"
#include "nn/team.h"
#include "util/diag.h"
#include "util/params.h"
#include "util/rng.h"

/* The shape of one sample: [C, H, W], [D], [T, D]; [T] token numbers. */
struct shape {
    int num_dims;
    int64_t dims[TENSOR_MAX_DIMS];
};

int64_t shape_count(const struct shape *shape);

enum { LAYER_MAX_TENSORS = 128, LAYER_NAME_MAX = 128 };

/* Largest number of values in one sample of an activation: keeps every size and offset below 2^31. */
#define LAYER_MAX_VALUES ((int64_t)1 << 26)

/* Largest number of floats in a model's block: 2 GiB, more than a message may have. */
#define MODEL_MAX_FLOATS ((int64_t)1 << 29)

struct layer {
    const struct layer_ops *ops;
    char name[LAYER_NAME_MAX]; /* prefix of its tensors: "conv1", or its position in the list as in nn.Sequential */
    struct diag_place place;   /* in model.yaml; only valid while building */
    void *args;                /* the struct of ops->params; owned by the framework */
    struct shape in, out;
    size_t in_size, out_size;          /* values of one sample */
    size_t tensors[LAYER_MAX_TENSORS]; /* offsets of its tensors in the block, in the order they were added; known once
                                          the whole network is built, so not inside `build` */
    int tensor_index[LAYER_MAX_TENSORS]; /* their numbers in the layout */
    int num_tensors;
    bool trained; /* some tensor is a parameter */
    bool carries; /* batches go on from the state that the one before left */
    void *state;  /* what `build` precomputed (owned by the layer; `fini` frees it) */
};

/* What a layer needs besides its input and output, per block of LANES samples unless said otherwise, in floats. */
struct layer_needs {
    size_t saved;            /* kept from forward to backward */
    size_t carried;          /* kept from one pass to the next: the state of a recurrent layer. Zero at first and after
                                workspace_reset */
    size_t forward_scratch;  /* for one call, not per block */
    size_t backward_scratch; /* for one call, not per block */
    bool x, y;               /* backward reads the input, the output */
    bool in_place;           /* y may be x, and gx may be gy; taken up where nobody's backward reads the input */
    bool same_values;        /* y is x in another shape: always in place */
};

/* One call over a whole batch. Activations are [num_blocks][size][LANES] (kernels.h); lanes beyond N hold zeros in the
 * network's input and finite rubbish later, and their gradients are zero. */
struct pass {
    const struct kernels *kernels;
    struct team *team; /* shares out what is worth it, in parts cut by shape (nn/team.h); NULL: this thread alone */
    float *params;     /* [P]; buffers may be written by forward while training */
    float *grads;      /* [num_parameters]; backward overwrites its own part; NULL in forward */
    struct rng *rng;   /* training only */
    int N, num_blocks;
    bool training;
    /* Buffers of this layer in this pass. */
    const float *x, *gy;
    float *y, *gx; /* gx NULL: nobody wants it */
    float *saved, *carried, *scratch;
};

struct layer_builder;

struct layer_ops {
    const char *name; /* the kind's word in model.yaml */
    const struct param_table *params;
    /* From layer->in and layer->args: set layer->out, add tensors, precompute. Report through layer_error and return
     * its status. Required. */
    int (*build)(struct layer *layer, struct layer_builder *builder);
    void (*fini)(struct layer *layer); /* frees layer->state; NULL: there is none */
    /* Fill `needs` (zero at first) for a batch of num_blocks blocks. NULL: needs nothing. */
    void (*plan)(const struct layer *layer, int num_blocks, struct layer_needs *needs);
    /* Required, both. Compute thread; must not allocate. Sums run in an order fixed by the shapes. */
    void (*forward)(const struct layer *layer, const struct pass *pass);
    void (*backward)(const struct layer *layer, const struct pass *pass);
    /* PyTorch's default initialisation of the layer's tensors. NULL: no tensors. */
    void (*init)(const struct layer *layer, uint64_t seed, float *params);
    /* Floating point operations of one sample; a multiply-add counts two. NULL: none worth counting. The backward
     * pass counts once for parameters and once for the input (`wants_gx`). */
    double (*flops)(const struct layer *layer, bool backward, bool wants_gx);
};

extern const struct layer_ops *const layer_kinds[];        /* NULL-terminated */
const struct layer_ops *layer_kind_find(const char *name); /* in any case: Flotilla's `cell` is LSTM, GRU or RNN */

/* Services while building. */

/* Report at the layer's place, "conv1 (conv2d): …"; returns ERR_INVALID. */
int layer_error(const struct layer *layer, struct layer_builder *builder, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Add the tensor "<layer>.<name>" to the model's layout; its offset goes to layer->tensors. */
int layer_add_tensor(struct layer *layer, struct layer_builder *builder, const char *name, int num_dims,
                     const int64_t *dims);

/* The same for a buffer: state that is no parameter (running statistics). `is_i64`: an integer where PyTorch has one.
 */
int layer_add_buffer(struct layer *layer, struct layer_builder *builder, const char *name, bool is_i64, int num_dims,
                     const int64_t *dims);

/* Number of different tokens in the network's input; 0 where it takes values. */
int64_t layer_vocabulary(const struct layer_builder *builder);

/* Error unless the input has `num_dims` dimensions, which `wanted` describes: "[C, H, W]". */
int layer_expect_dims(const struct layer *layer, struct layer_builder *builder, int num_dims, const char *wanted);

/* One or two numbers (kernel: 5 or kernel: [5, 3]) into pair; an empty list leaves pair as it is. */
int layer_pair(const struct layer *layer, struct layer_builder *builder, const char *key, const struct int_list *list,
               int pair[2]);

/* Fill tensor `index` (weight or bias with `fan_in`) from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), which is what PyTorch's
 * kaiming_uniform_(a = sqrt(5)) comes to (He et al. 2015), drawn from (seed, "init", tensor name). */
void layer_init_uniform(const struct layer *layer, int index, const char *name, size_t count, size_t fan_in,
                        uint64_t seed, float *params);

/* The framework's side (model.c, tests): one layer from parsed arguments. `args` is taken in any case. */
struct layer_builder {
    struct layout *layout;
    struct diags *diags;
    int64_t vocabulary;
};
int layer_new(const struct layer_ops *ops, const char *name, struct diag_place place, void *args,
              const struct shape *in, struct layer_builder *builder, struct layer **out);
void layer_locate(struct layer *layer, const struct layout *layout); /* fills tensors once the layout is whole */
void layer_free(struct layer *layer);

#endif
