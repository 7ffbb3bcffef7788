/* What a model is inside this room: model.c reads it, workspace.c plans its memory, pass.c runs it. */
#ifndef FLOSIM_NN_NETWORK_H
#define FLOSIM_NN_NETWORK_H

#include "nn/layer/layer.h"
#include "nn/model.h"

struct model {
    struct layout layout;
    struct layer **layers;
    size_t num_layers;
    struct shape in, out;
    int64_t vocabulary;   /* tokens in the input are below it; 0: the input is values */
    size_t first_trained; /* the first layer with parameters: what lies before it needs no gradient */
};

/* Buffers of one layer; saved and scratch are NULL where it needs none. */
struct layer_buffers {
    float *x, *y, *gy, *gx, *saved, *carried, *forward_scratch, *backward_scratch;
};

struct workspace {
    const struct kernels *kernels;
    struct layer_buffers *layers; /* [num_layers] */
    float *memory;                /* everything that layers use, placed by the plan */
    float *logits;                /* [max_batch, O], sample by sample */
    float *gradient;              /* the same of the loss; NULL unless train */
    float *carry;                 /* all layers' carried state; NULL where there is none */
    size_t carry_floats;
    size_t bytes;
    int max_batch, num_blocks; /* num_blocks: what one pass holds */
    int N;                     /* of the last forward */
    bool train;
};

/* model_text.c: replace every $(name) by the value of `model_args` or of the text's own `args:` mapping. Returns a new
 * NUL-terminated string of which *size is the length; NULL with everything wrong in diags. The columns of what stands
 * behind a replaced word stay the same where the value is no longer than the word. */
char *model_text_expand(const char *text, size_t length, const char *name, const json_t *model_args, size_t *size,
                        struct diags *diags);

#endif
