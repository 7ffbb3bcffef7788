/* Running a network: forward and backward over a batch, block by LANES samples. */
#include <assert.h>
#include <string.h>

#include "nn/network.h"

static struct pass pass_of(const struct workspace *ws, int N)
{
    return (struct pass){.kernels = ws->kernels, .team = ws->team, .N = N, .num_blocks = (N + LANES - 1) / LANES};
}

/* y = a + b, both of which y may be; n floats, a multiple of LANES. */
static void add(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        float sum[LANES];

        for (size_t k = 0; k < LANES; k++)
            sum[k] = a[i + k] + b[i + k];
        memcpy(y + i, sum, sizeof sum);
    }
}

static size_t floats_of(const struct pass *pass, size_t size)
{
    return (size_t)pass->num_blocks * size * LANES;
}

/* FORK and BRANCH only say where an activation goes, which the plan has done. */
static void forward_node(const struct node *node, const struct node_buffers *buffers, struct pass *pass)
{
    pass->x = buffers->x;
    pass->y = buffers->y;
    pass->saved = buffers->saved;
    pass->carried = buffers->carried;
    pass->scratch = buffers->forward_scratch;
    if (node->kind == NODE_LAYER)
        node->layer->ops->forward(node->layer, pass);
    else if (node->kind == NODE_JOIN)
        add(buffers->x, buffers->other, buffers->y, floats_of(pass, node->out_size));
}

/* At most num_blocks * LANES samples: x [N, D] to y [N, O]. */
static void forward_part(const struct model *model, struct workspace *ws, float *params, const float *x, int N,
                         bool training, struct rng *rng, float *y)
{
    struct pass pass = pass_of(ws, N);
    size_t D = model_input_size(model), O = model_output_size(model);

    pass.params = params;
    pass.training = training;
    pass.rng = rng;
    ws->kernels->gather(x, (size_t)N, D, D, ws->nodes[0].x);
    for (size_t i = 0; i < model->num_nodes; i++)
        forward_node(&model->nodes[i], &ws->nodes[i], &pass);
    ws->kernels->scatter(ws->nodes[model->num_nodes - 1].y, (size_t)N, O, O, y);
}

const float *model_forward(const struct model *model, struct workspace *ws, float *params, const float *x, int N,
                           bool training, struct rng *rng)
{
    int most = ws->num_blocks * LANES;

    assert(N >= 1 && N <= ws->max_batch && (ws->train || !training));
    for (int n = 0; n < N; n += most)
        forward_part(model, ws, params, x + (size_t)n * model_input_size(model), N - n < most ? N - n : most, training,
                     rng, ws->logits + (size_t)n * model_output_size(model));
    ws->N = N;
    ws->training = training;
    return ws->logits;
}

/* At a JOIN both ways get the same gradient, and BRANCH keeps the shortcut's, so only FORK has something to do. */
static void backward_node(const struct node *node, const struct node_buffers *buffers, bool wants_gx, struct pass *pass)
{
    pass->x = buffers->x;
    pass->y = buffers->y;
    pass->gy = buffers->gy;
    pass->gx = wants_gx ? buffers->gx : NULL;
    pass->saved = buffers->saved;
    pass->carried = buffers->carried;
    pass->scratch = buffers->backward_scratch;
    if (node->kind == NODE_LAYER && (wants_gx || node->layer->trained))
        node->layer->ops->backward(node->layer, pass);
    else if (node->kind == NODE_FORK && wants_gx)
        add(buffers->gy, buffers->other, buffers->gx, floats_of(pass, node->in_size));
}

void model_backward(const struct model *model, struct workspace *ws, const float *params, const float *gy, float *grads,
                    float *gx)
{
    struct pass pass = pass_of(ws, ws->N);
    size_t D = model_input_size(model), O = model_output_size(model), last = model->num_nodes - 1;

    assert(ws->train && ws->N > 0);
    pass.params = (float *)params; /* backward only reads it */
    pass.grads = grads;
    pass.training = ws->training;
    ws->kernels->gather(gy, (size_t)ws->N, O, O, ws->nodes[last].gy);
    for (size_t i = model->num_nodes; i-- > 0;)
        backward_node(&model->nodes[i], &ws->nodes[i], gx || model->nodes[i].wants_gx, &pass);
    if (gx)
        ws->kernels->scatter(ws->nodes[0].gx, (size_t)ws->N, D, D, gx);
}
