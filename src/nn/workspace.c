/* Planning the memory of a pass: every activation, gradient and scratch area of every layer, placed once. */
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"
#include "nn/plan.h"

enum {
    /* An inference pass holds so many blocks, however large the batch: they stay in the second-level cache. */
    INFERENCE_BLOCKS = 2,
    NONE = -1,
};

/* Numbers of buffers in the plan; NONE where a layer has no such buffer. */
struct layer_plan {
    int x, y, gy, gx, saved, forward_scratch, backward_scratch;
};

struct planner {
    const struct model *model;
    struct plan_buffer *buffers; /* [7 * num_layers + 2] */
    bool *read_later;            /* by buffer: some layer's backward reads it */
    int num_buffers, num_blocks;
    struct layer_plan *layers;
    struct layer_needs *needs;
    bool train;
};

/* OpenBLAS must not start threads of its own; only the threaded variant has this function. */
extern void openblas_set_num_threads(int num_threads) __attribute__((weak));

static int add(struct planner *p, size_t size, int first, int last)
{
    p->buffers[p->num_buffers] = (struct plan_buffer){.size = size, .first = first, .last = last};
    return p->num_buffers++;
}

static size_t block_floats(const struct planner *p, size_t size)
{
    return size * LANES * (size_t)p->num_blocks;
}

static void lives_until(struct planner *p, int buffer, int step)
{
    if (p->buffers[buffer].last < step)
        p->buffers[buffer].last = step;
}

/* Steps: 0 fills the input; layer i runs forward at i + 1 and backward at 2 L + 1 - i; L + 1 between them takes the
 * logits out and the gradient of the loss in. */
static int forward_step(size_t i)
{
    return (int)i + 1;
}

static int backward_step(const struct planner *p, size_t i)
{
    return (int)(2 * p->model->num_layers + 1 - i);
}

static void plan_forward(struct planner *p, size_t i)
{
    const struct layer *layer = p->model->layers[i];
    const struct layer_needs *needs = &p->needs[i];
    struct layer_plan *plan = &p->layers[i];
    int now = forward_step(i);
    bool in_place = needs->same_values || (needs->in_place && !(p->train && (p->read_later[plan->x] || needs->x)));

    plan->y = in_place ? plan->x : add(p, block_floats(p, layer->out_size), now, now);
    lives_until(p, plan->x, now);
    lives_until(p, plan->y, now + 1); /* its reader, or the logits */
    if (needs->forward_scratch)
        plan->forward_scratch = add(p, needs->forward_scratch, now, now);
    if (!p->train)
        return;
    if (needs->saved)
        plan->saved = add(p, needs->saved * (size_t)p->num_blocks, now, backward_step(p, i));
    if (needs->x)
        lives_until(p, plan->x, backward_step(p, i));
    if (needs->y)
        lives_until(p, plan->y, backward_step(p, i));
    p->read_later[plan->x] |= needs->x;
    p->read_later[plan->y] |= needs->y;
}

static void plan_backward(struct planner *p, size_t i)
{
    const struct layer *layer = p->model->layers[i];
    struct layer_plan *plan = &p->layers[i];
    int now = backward_step(p, i);

    lives_until(p, plan->gy, now);
    plan->gx = p->needs[i].in_place ? plan->gy : add(p, block_floats(p, layer->in_size), now, now);
    lives_until(p, plan->gx, now + 1);
    if (p->needs[i].backward_scratch)
        plan->backward_scratch = add(p, p->needs[i].backward_scratch, now, now);
}

static void plan_all(struct planner *p)
{
    const struct model *model = p->model;
    size_t L = model->num_layers;
    int activation = add(p, block_floats(p, model_input_size(model)), 0, 1), gradient;

    for (size_t i = 0; i < L; i++) {
        const struct layer *layer = model->layers[i];

        p->layers[i] = (struct layer_plan){activation, NONE, NONE, NONE, NONE, NONE, NONE};
        if (layer->ops->plan)
            layer->ops->plan(layer, p->num_blocks, &p->needs[i]);
        plan_forward(p, i);
        activation = p->layers[i].y;
    }
    if (!p->train)
        return;
    gradient = add(p, block_floats(p, model_output_size(model)), (int)L + 1, (int)L + 1);
    for (size_t i = L; i-- > 0;) {
        p->layers[i].gy = gradient;
        plan_backward(p, i);
        gradient = p->layers[i].gx;
    }
}

static float *buffer_at(const struct planner *p, const struct workspace *ws, int buffer)
{
    return buffer == NONE ? NULL : ws->memory + p->buffers[buffer].offset;
}

/* State that outlives a pass lies apart from what the plan places. */
static int allocate_carry(const struct planner *p, struct workspace *ws, struct error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < p->model->num_layers; i++)
        ws->carry_floats += p->needs[i].carried * (size_t)p->num_blocks;
    if (ws->carry_floats == 0)
        return OK;
    ws->carry = aligned_alloc(64, (ws->carry_floats + LANES) * sizeof(float) / 64 * 64);
    if (!ws->carry)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu carried values", ws->carry_floats);
    ws->bytes += ws->carry_floats * sizeof(float);
    for (size_t i = 0; i < p->model->num_layers; i++) {
        if (p->needs[i].carried > 0)
            ws->layers[i].carried = ws->carry + at;
        at += p->needs[i].carried * (size_t)p->num_blocks;
    }
    workspace_reset(ws);
    return OK;
}

static int allocate(struct planner *p, struct workspace *ws, size_t *order, struct error *err)
{
    size_t outputs = model_output_size(p->model) * (size_t)ws->max_batch, L = p->model->num_layers;
    size_t floats = plan_place(p->buffers, (size_t)p->num_buffers, order);
    size_t bytes = (floats + LANES) * sizeof(float) / 64 * 64;

    ws->memory = aligned_alloc(64, bytes);
    ws->logits = malloc(outputs * 2 * sizeof *ws->logits);
    ws->gradient = ws->train && ws->logits ? ws->logits + outputs : NULL;
    ws->layers = calloc(L, sizeof *ws->layers);
    ws->bytes = bytes + outputs * 2 * sizeof *ws->logits + L * sizeof *ws->layers + sizeof *ws;
    if (!ws->memory || !ws->logits || !ws->layers)
        return FAIL(err, ERR_MEMORY, "out of memory for a workspace of %zu bytes", ws->bytes);
    for (size_t i = 0; i < L; i++) {
        const struct layer_plan *plan = &p->layers[i];

        ws->layers[i] = (struct layer_buffers){
            .x = buffer_at(p, ws, plan->x),
            .y = buffer_at(p, ws, plan->y),
            .gy = buffer_at(p, ws, plan->gy),
            .gx = buffer_at(p, ws, plan->gx),
            .saved = buffer_at(p, ws, plan->saved),
            .forward_scratch = buffer_at(p, ws, plan->forward_scratch),
            .backward_scratch = buffer_at(p, ws, plan->backward_scratch),
        };
    }
    return allocate_carry(p, ws, err);
}

static int plan_and_allocate(const struct model *model, struct workspace *ws, struct error *err)
{
    size_t L = model->num_layers, most = 7 * L + 2;
    struct planner p = {
        .model = model,
        .num_blocks = ws->num_blocks,
        .train = ws->train,
        .buffers = calloc(most, sizeof *p.buffers),
        .read_later = calloc(most, sizeof *p.read_later),
        .layers = calloc(L, sizeof *p.layers),
        .needs = calloc(L, sizeof *p.needs),
    };
    size_t *order = calloc(most, sizeof *order);
    int status;

    if (p.buffers && p.read_later && p.layers && p.needs && order) {
        plan_all(&p);
        status = allocate(&p, ws, order, err);
    } else {
        status = FAIL(err, ERR_MEMORY, "out of memory for the plan of a workspace");
    }
    free(p.buffers);
    free(p.read_later);
    free(p.layers);
    free(p.needs);
    free(order);
    return status;
}

int workspace_new(const struct model *model, int max_batch, bool train, struct workspace **out, struct error *err)
{
    struct workspace *ws;
    int status;

    *out = NULL;
    if (max_batch < 1 || max_batch > WORKSPACE_MAX_BATCH)
        return FAIL(err, ERR_INVALID, "a batch has 1 to %d samples, not %d", WORKSPACE_MAX_BATCH, max_batch);
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
    ws = calloc(1, sizeof *ws);
    if (!ws)
        return FAIL(err, ERR_MEMORY, "out of memory for a workspace");
    ws->kernels = kernels_best();
    ws->max_batch = max_batch;
    ws->train = train;
    ws->num_blocks = (max_batch + LANES - 1) / LANES;
    if (!train && ws->num_blocks > INFERENCE_BLOCKS)
        ws->num_blocks = INFERENCE_BLOCKS;
    status = plan_and_allocate(model, ws, err);
    if (status != OK) {
        workspace_free(ws);
        return status;
    }
    *out = ws;
    return OK;
}

void workspace_free(struct workspace *ws)
{
    if (!ws)
        return;
    free(ws->memory);
    free(ws->carry);
    free(ws->logits);
    free(ws->layers);
    free(ws);
}

void workspace_reset(struct workspace *ws)
{
    if (ws->carry)
        memset(ws->carry, 0, ws->carry_floats * sizeof *ws->carry);
}

float *workspace_gradient(struct workspace *ws)
{
    return ws->gradient;
}

size_t workspace_bytes(const struct workspace *ws)
{
    return ws->bytes;
}
