/* What a model is inside this room, in the order of its way: model_text.c fills in arguments, model_input.c and
 * model_read.c read it, model.c connects it, model_facts.c tells of it, workspace.c plans its memory, pass.c runs it.
 */
#ifndef FLOSIM_NN_NETWORK_H
#define FLOSIM_NN_NETWORK_H

#include "nn/layer/layer.h"
#include "nn/model.h"
#include "util/yaml.h"

/* A network is a list in the order of the forward pass. A residual is FORK, its layers, BRANCH, its shortcut's layers,
 * JOIN: at BRANCH the fork's input is the current activation again, and JOIN adds what both ways gave. Blocks leave no
 * trace but names. */
enum node_kind { NODE_LAYER, NODE_FORK, NODE_BRANCH, NODE_JOIN };

struct node {
    enum node_kind kind;
    struct layer *layer;       /* NODE_LAYER */
    const char *name;          /* the layer's, or the residual's */
    char *own_name;            /* of JOIN, where name points; owned */
    size_t fork, branch, join; /* the others: the three nodes of their residual */
    size_t in_size, out_size;  /* values of one sample */
    struct shape out;
    bool wants_gx; /* something before it on its way is trained, so the gradient of its input is wanted */
};

/* Nodes of one network, and levels of blocks and residuals. */
enum { MODEL_MAX_NODES = 2048, MODEL_MAX_DEPTH = 12 };

struct model {
    struct layout layout;
    struct node *nodes;
    size_t num_nodes;
    struct shape in, out;
    int64_t vocabulary; /* tokens in the input are below it; 0: the input is values */
};

/* --- model_text.c --- */

/* Replace every $(name) by the value of `model_args` or of the text's own `args:` mapping. Returns a new
 * NUL-terminated string of which *size is the length; NULL with everything wrong in diags. *complete is
 * false where a word had no value, which is told too: 1 stands for it, and only what does not depend on it is to be
 * judged. The columns of what stands
 * behind a replaced word stay the same where the value is no longer than the word. */
char *model_text_expand(const char *text, size_t length, const char *name, const json_t *model_args, size_t *size,
                        bool *complete, struct diags *diags);

/* --- model_read.c: from the document to a list of entries, not yet connected --- */

struct entry {
    enum node_kind kind;
    const struct layer_ops *ops; /* of a layer; NULL: unusable */
    char name[LAYER_NAME_MAX];   /* the whole name: "layer1.0.conv1"; of a residual: "layer1.0" */
    struct diag_place place;
    void *args;
    bool broken; /* told already, or by the repetition before: what it gives is unknown */
};

struct entries {
    struct entry *items;
    size_t n, capacity;
};

/* Read `layers:`; everything wrong with any of them goes to diags. Free *entries in any case. */
int entries_read(struct yaml_node layers, struct entries *entries, struct diags *diags);
void entries_free(struct entries *entries);

/* --- model_input.c --- */

/* Read `input:` into model->in and model->vocabulary. */
int model_read_input(struct yaml_node node, struct model *model, struct diags *diags);

/* --- workspace.c, pass.c --- */

/* Buffers of one node; NULL where it has none. */
struct node_buffers {
    float *x, *y, *gy, *gx, *saved, *carried, *forward_scratch, *backward_scratch;
    float *other; /* JOIN: what the shortcut gave (x: what the layers gave); FORK: the shortcut's gradient (gy: the
                     layers') */
};

struct workspace {
    const struct kernels *kernels;
    struct team *team;          /* NULL: one thread */
    struct node_buffers *nodes; /* [num_nodes] */
    float *memory;              /* everything that layers use, placed by the plan */
    float *logits;              /* [max_batch, O], sample by sample */
    float *gradient;            /* the same of the loss; NULL unless train */
    float *carry;               /* all layers' carried state; NULL where there is none */
    size_t carry_floats;
    size_t bytes;
    int max_batch, num_blocks; /* num_blocks: what one pass holds */
    int N;                     /* of the last forward, as the next */
    bool training;
    bool train;
};

#endif
