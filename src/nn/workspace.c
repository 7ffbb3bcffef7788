/* Planning the memory of a pass: every activation, gradient and scratch area of every layer, placed once. */
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"
#include "nn/plan.h"
#include "util/large.h"

enum {
    /* An inference pass holds so many blocks, however large the batch: they stay in the second-level cache. */
    INFERENCE_BLOCKS = 2,
    NONE = -1,
};

/* Numbers of buffers in the plan; NONE where a node has no such buffer. */
struct node_plan {
    int x, y, gy, gx, saved, forward_scratch, backward_scratch, other;
};

/* What is known of a buffer's readers beyond its lifetime. */
struct buffer_readers {
    bool backward; /* some layer's backward reads it */
    int held;      /* another way of an open residual still reads it, so that nobody may write into it */
};

struct planner {
    const struct model *model;
    struct plan_buffer *buffers;    /* [8 * num_nodes + 2] */
    struct buffer_readers *readers; /* by buffer */
    int num_buffers, num_blocks;
    struct node_plan *nodes;
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

/* Steps: 0 fills the input; node i runs forward at i + 1 and backward at 2 L + 1 - i; L + 1 between them takes the
 * logits out and the gradient of the loss in. */
static int forward_step(size_t i)
{
    return (int)i + 1;
}

static int backward_step(const struct planner *p, size_t i)
{
    return (int)(2 * p->model->num_nodes + 1 - i);
}

/* May a result take this activation's place? */
static bool is_free(const struct planner *p, int buffer)
{
    return p->readers[buffer].held == 0 && !(p->train && p->readers[buffer].backward);
}

static void plan_layer_forward(struct planner *p, size_t i)
{
    const struct node *node = &p->model->nodes[i];
    const struct layer_needs *needs = &p->needs[i];
    struct node_plan *plan = &p->nodes[i];
    int now = forward_step(i);
    bool in_place = needs->same_values || (needs->in_place && is_free(p, plan->x) && !(p->train && needs->x));

    plan->y = in_place ? plan->x : add(p, block_floats(p, node->out_size), now, now);
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
    p->readers[plan->x].backward |= needs->x;
    p->readers[plan->y].backward |= needs->y;
}

/* x and other are what the two ways gave; their sum takes the place of one where it can. */
static void plan_join_forward(struct planner *p, size_t i)
{
    const struct node *node = &p->model->nodes[i];
    struct node_plan *plan = &p->nodes[i];
    int now = forward_step(i);

    plan->other = plan->x;
    plan->x = p->nodes[node->branch].x;
    p->readers[plan->x].held--;
    lives_until(p, plan->other, now);
    if (is_free(p, plan->x))
        plan->y = plan->x;
    else if (is_free(p, plan->other))
        plan->y = plan->other;
    else
        plan->y = add(p, block_floats(p, node->out_size), now, now);
}

static void plan_forward(struct planner *p, size_t i)
{
    const struct node *node = &p->model->nodes[i];
    struct node_plan *plan = &p->nodes[i];
    int now = forward_step(i);

    switch (node->kind) {
    case NODE_LAYER:
        plan_layer_forward(p, i);
        break;
    case NODE_FORK:
        plan->y = plan->x;
        p->readers[plan->x].held++; /* for the shortcut */
        break;
    case NODE_BRANCH:
        p->readers[plan->x].held++; /* for the sum */
        plan->y = p->nodes[node->fork].x;
        p->readers[plan->y].held--;
        break;
    case NODE_JOIN:
        plan_join_forward(p, i);
        break;
    }
    lives_until(p, plan->x, now);
    lives_until(p, plan->y, now + 1); /* its reader, or the logits */
}

/* The sum of both ways' gradients takes the place of one where it can. */
static int plan_fork_backward(struct planner *p, size_t i)
{
    const struct node *node = &p->model->nodes[i];
    struct node_plan *plan = &p->nodes[i];
    int now = backward_step(p, i);

    plan->other = p->nodes[node->branch].gx;
    p->readers[plan->other].held--;
    lives_until(p, plan->other, now);
    if (p->readers[plan->gy].held == 0)
        return plan->gy;
    return p->readers[plan->other].held == 0 ? plan->other : add(p, block_floats(p, node->in_size), now, now);
}

static int plan_layer_backward(struct planner *p, size_t i)
{
    const struct layer_needs *needs = &p->needs[i];
    struct node_plan *plan = &p->nodes[i];
    int now = backward_step(p, i);

    if (needs->backward_scratch)
        plan->backward_scratch = add(p, needs->backward_scratch, now, now);
    if (needs->same_values || (needs->in_place && p->readers[plan->gy].held == 0))
        return plan->gy;
    return add(p, block_floats(p, p->model->nodes[i].in_size), now, now);
}

/* Returns the gradient that the node before it gets. */
static int plan_backward(struct planner *p, size_t i)
{
    const struct node *node = &p->model->nodes[i];
    struct node_plan *plan = &p->nodes[i];
    int now = backward_step(p, i), next;

    lives_until(p, plan->gy, now);
    plan->gx = plan->gy;
    if (node->kind == NODE_LAYER)
        plan->gx = plan_layer_backward(p, i);
    else if (node->kind == NODE_FORK)
        plan->gx = plan_fork_backward(p, i);
    next = plan->gx;
    if (node->kind == NODE_JOIN)
        p->readers[plan->gy].held++; /* for the layers; the shortcut comes first */
    if (node->kind == NODE_BRANCH) {
        p->readers[plan->gx].held++; /* for the sum at the fork */
        next = p->nodes[node->join].gy;
        p->readers[next].held--;
    }
    lives_until(p, plan->gx, now + 1);
    lives_until(p, next, now + 1);
    return next;
}

static void plan_all(struct planner *p)
{
    const struct model *model = p->model;
    size_t L = model->num_nodes;
    int activation = add(p, block_floats(p, model_input_size(model)), 0, 1), gradient;

    for (size_t i = 0; i < L; i++) {
        const struct layer *layer = model->nodes[i].layer;

        p->nodes[i] = (struct node_plan){activation, NONE, NONE, NONE, NONE, NONE, NONE, NONE};
        if (layer && layer->ops->plan)
            layer->ops->plan(layer, p->num_blocks, &p->needs[i]);
        plan_forward(p, i);
        activation = p->nodes[i].y;
    }
    if (!p->train)
        return;
    gradient = add(p, block_floats(p, model_output_size(model)), (int)L + 1, (int)L + 1);
    for (size_t i = L; i-- > 0;) {
        p->nodes[i].gy = gradient;
        gradient = plan_backward(p, i);
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

    for (size_t i = 0; i < p->model->num_nodes; i++)
        ws->carry_floats += p->needs[i].carried * (size_t)p->num_blocks;
    if (ws->carry_floats == 0)
        return OK;
    ws->carry = aligned_alloc(64, (ws->carry_floats + LANES) * sizeof(float) / 64 * 64);
    if (!ws->carry)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu carried values", ws->carry_floats);
    ws->bytes += ws->carry_floats * sizeof(float);
    for (size_t i = 0; i < p->model->num_nodes; i++) {
        if (p->needs[i].carried > 0)
            ws->nodes[i].carried = ws->carry + at;
        at += p->needs[i].carried * (size_t)p->num_blocks;
    }
    workspace_reset(ws);
    return OK;
}

static int allocate(struct planner *p, struct workspace *ws, size_t *order, struct error *err)
{
    size_t outputs = model_output_size(p->model) * (size_t)ws->max_batch, L = p->model->num_nodes;
    size_t floats = plan_place(p->buffers, (size_t)p->num_buffers, order);
    size_t bytes = (floats + LANES) * sizeof(float) / 64 * 64;
    size_t logits = outputs * (ws->train ? 2 : 1); /* the gradient lies behind them */

    ws->memory = large_alloc(bytes);
    ws->logits = malloc(logits * sizeof *ws->logits);
    ws->gradient = ws->train && ws->logits ? ws->logits + outputs : NULL;
    ws->nodes = calloc(L, sizeof *ws->nodes);
    ws->bytes = bytes + logits * sizeof *ws->logits + L * sizeof *ws->nodes + sizeof *ws;
    if (!ws->memory || !ws->logits || !ws->nodes)
        return FAIL(err, ERR_MEMORY, "out of memory for a workspace of %zu bytes", ws->bytes);
    for (size_t i = 0; i < L; i++) {
        const struct node_plan *plan = &p->nodes[i];

        ws->nodes[i] = (struct node_buffers){
            .x = buffer_at(p, ws, plan->x),
            .y = buffer_at(p, ws, plan->y),
            .gy = buffer_at(p, ws, plan->gy),
            .gx = buffer_at(p, ws, plan->gx),
            .saved = buffer_at(p, ws, plan->saved),
            .forward_scratch = buffer_at(p, ws, plan->forward_scratch),
            .backward_scratch = buffer_at(p, ws, plan->backward_scratch),
            .other = buffer_at(p, ws, plan->other),
        };
    }
    return allocate_carry(p, ws, err);
}

static int plan_and_allocate(const struct model *model, struct workspace *ws, struct error *err)
{
    size_t L = model->num_nodes, most = 8 * L + 2;
    struct planner p = {
        .model = model,
        .num_blocks = ws->num_blocks,
        .train = ws->train,
        .buffers = calloc(most, sizeof *p.buffers),
        .readers = calloc(most, sizeof *p.readers),
        .nodes = calloc(L, sizeof *p.nodes),
        .needs = calloc(L, sizeof *p.needs),
    };
    size_t *order = calloc(most, sizeof *order);
    int status;

    if (p.buffers && p.readers && p.nodes && p.needs && order) {
        plan_all(&p);
        status = allocate(&p, ws, order, err);
    } else {
        status = FAIL(err, ERR_MEMORY, "out of memory for the plan of a workspace");
    }
    free(p.buffers);
    free(p.readers);
    free(p.nodes);
    free(p.needs);
    free(order);
    return status;
}

/* Layers count the vectors of an activation, and some its values, in an int. */
static int check_activations(const struct model *model, const struct workspace *ws, struct error *err)
{
    size_t most = INT32_MAX / LANES / (size_t)ws->num_blocks;

    for (size_t i = 0; i < model->num_nodes; i++)
        if (model->nodes[i].in_size > most || model->nodes[i].out_size > most)
            return FAIL(err, ERR_TOO_LARGE,
                        "a batch of %d makes an activation of more than %d values: take a smaller one", ws->max_batch,
                        INT32_MAX);
    return OK;
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
    if (!train && ws->num_blocks > INFERENCE_BLOCKS && !model_carries(model))
        ws->num_blocks = INFERENCE_BLOCKS;
    status = check_activations(model, ws, err);
    if (status == OK)
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
    team_free(ws->team);
    free(ws->memory);
    free(ws->carry);
    free(ws->logits);
    free(ws->nodes);
    free(ws);
}

int workspace_set_threads(struct workspace *ws, int threads, struct error *err)
{
    struct team *team = NULL;
    int status = threads > 1 ? team_new(threads, &team, err) : OK;

    if (status != OK)
        return status;
    team_free(ws->team);
    ws->team = team;
    return OK;
}

struct team *workspace_team(const struct workspace *ws)
{
    return ws->team;
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
