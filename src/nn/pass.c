/* Running a network: forward and backward over a batch, block by LANES samples. */
#include <assert.h>
#include <string.h>

#include "nn/network.h"

static struct pass pass_of(const struct workspace *ws, int N)
{
    return (struct pass){.kernels = ws->kernels, .N = N, .num_blocks = (N + LANES - 1) / LANES};
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
    ws->kernels->gather(x, (size_t)N, D, D, ws->layers[0].x);
    for (size_t i = 0; i < model->num_layers; i++) {
        const struct layer_buffers *buffers = &ws->layers[i];

        pass.x = buffers->x;
        pass.y = buffers->y;
        pass.saved = buffers->saved;
        pass.carried = buffers->carried;
        pass.scratch = buffers->forward_scratch;
        model->layers[i]->ops->forward(model->layers[i], &pass);
    }
    ws->kernels->scatter(ws->layers[model->num_layers - 1].y, (size_t)N, O, O, y);
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
    return ws->logits;
}

void model_backward(const struct model *model, struct workspace *ws, const float *params, const float *gy, float *grads,
                    float *gx)
{
    struct pass pass = pass_of(ws, ws->N);
    size_t D = model_input_size(model), O = model_output_size(model), last = model->num_layers - 1;

    assert(ws->train && ws->N > 0);
    pass.params = (float *)params; /* backward only reads it */
    pass.grads = grads;
    pass.training = true;
    ws->kernels->gather(gy, (size_t)ws->N, O, O, ws->layers[last].gy);
    for (size_t i = model->num_layers; i-- > 0;) {
        const struct layer_buffers *buffers = &ws->layers[i];

        if (!gx && (model->first_trained == SIZE_MAX || i < model->first_trained))
            break;
        pass.x = buffers->x;
        pass.y = buffers->y;
        pass.gy = buffers->gy;
        pass.gx = gx || i > model->first_trained ? buffers->gx : NULL;
        pass.saved = buffers->saved;
        pass.carried = buffers->carried;
        pass.scratch = buffers->backward_scratch;
        model->layers[i]->ops->backward(model->layers[i], &pass);
    }
    if (gx)
        ws->kernels->scatter(ws->layers[0].gx, (size_t)ws->N, D, D, gx);
}
