#include "nn/optimizer.h"
#include "util/large.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parameters of a part of a step; a multiple of every vector's length. */
enum { CHUNK = 16384 };

struct clipping {
    double norm, value; /* 0: none */
};

struct optimizer {
    const struct optimizer_ops *ops;
    void *args;
    float *state; /* chunk by chunk, of each [state_floats, chunk] */
    size_t num_parameters, state_floats;
    int64_t step;
    bool maximize;
    struct clipping clip;
    struct drift drift; /* zero: none */
};

struct request {
    struct clipping clip; /* first, so that its rows serve both tables */
    char *name;
    struct yaml_node args;
};

// clang-format off
#define CLIPPING_ROWS \
    {.name = "clip_norm", .type = PARAM_DOUBLE, .offset = offsetof(struct clipping, norm), .fallback = "0", .min = 0, .max = 1e12, \
     .help = "All gradients together are scaled down to this L2 norm; 0: not."}, \
    {.name = "clip_value", .type = PARAM_DOUBLE, .offset = offsetof(struct clipping, value), .fallback = "0", .min = 0, .max = 1e12, \
     .help = "Every gradient is held between minus this and this; 0: not."}

static const struct param clipping_rows[] = {CLIPPING_ROWS};

static const struct param rows[] = {
    {.name = "name", .type = PARAM_STRING, .offset = offsetof(struct request, name), .flags = PARAM_REQUIRED,
     .help = "Which optimizer."},
    {.name = "args", .type = PARAM_NODE, .offset = offsetof(struct request, args), .help = "Its arguments."},
    CLIPPING_ROWS,
};
// clang-format on

const struct param_table optimizer_clipping_table = {
    .name = "clipping",
    .rows = clipping_rows,
    .num_rows = sizeof clipping_rows / sizeof *clipping_rows,
    .size = sizeof(struct clipping),
};

static const struct param_table request_table = {
    .name = "optimizer",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct request),
};

static const char default_request[] = "{\"name\": \"adam\"}";

static const char *unknown_name(const char *name, char text[WORDS_TEXT])
{
    const char *names[MAX_WORDS_OF_A_KIND];
    size_t n = 0;

    for (; n < MAX_WORDS_OF_A_KIND && optimizers[n]; n++)
        names[n] = optimizers[n]->name;
    return unknown_word("optimizer", name, names, n, text);
}

/* Where `args` holds one of the arguments that every member has. */
static void *argument_at(const struct param_table *table, void *args, const char *name)
{
    size_t i = 0;

    while (strcmp(table->rows[i].name, name) != 0)
        i++;
    return (char *)args + table->rows[i].offset;
}

static int read_args(struct optimizer *optimizer, struct yaml_node node, double learning_rate, struct diags *diags,
                     struct error *err)
{
    const struct param_table *table = optimizer->ops->params;

    optimizer->args = calloc(1, table->size);
    if (!optimizer->args)
        return FAIL(err, ERR_MEMORY, "out of memory for an optimizer");
    if (params_read(table, node, optimizer->args, diags) != OK)
        return diags_status(diags, err);
    if (!yaml_get(node, "lr").doc)
        memcpy(argument_at(table, optimizer->args, "lr"), &learning_rate, sizeof learning_rate);
    memcpy(&optimizer->maximize, argument_at(table, optimizer->args, "maximize"), sizeof optimizer->maximize);
    return optimizer->ops->check ? optimizer->ops->check(optimizer->args, err) : OK;
}

static int read_request(struct optimizer *optimizer, struct yaml_doc *doc, double learning_rate, struct diags *diags,
                        struct error *err)
{
    struct request request;
    char text[WORDS_TEXT];
    int status = params_read(&request_table, yaml_root(doc), &request, diags);

    if (status != OK) {
        status = diags_status(diags, err);
    } else if (!(optimizer->ops = optimizer_find(request.name))) {
        status = FAIL(err, ERR_INVALID, "%s", unknown_name(request.name, text));
    } else {
        optimizer->clip = request.clip;
        status = read_args(optimizer, request.args, learning_rate, diags, err);
        if (status != OK)
            error_context(err, status, "optimizer %s", optimizer->ops->name);
    }
    params_free(&request_table, &request);
    return status;
}

static int parse(struct optimizer *optimizer, struct span json, double learning_rate, struct error *err)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    int status;

    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory for an optimizer");
    if (!json.data)
        json = span_of(default_request, sizeof default_request - 1);
    if (yaml_load_text(json.data, json.size, "optimizer", 0, &doc, diags) != OK)
        status = diags_status(diags, err);
    else
        status = read_request(optimizer, doc, learning_rate, diags, err);
    yaml_unref(doc);
    diags_free(diags);
    return status;
}

int optimizer_new(struct span json, double learning_rate, size_t num_parameters, struct optimizer **out,
                  struct error *err)
{
    struct optimizer *optimizer = calloc(1, sizeof *optimizer);
    int status;

    *out = NULL;
    if (!optimizer)
        return FAIL(err, ERR_MEMORY, "out of memory for an optimizer");
    optimizer->num_parameters = num_parameters;
    status = parse(optimizer, json, learning_rate, err);
    if (status == OK) {
        size_t floats;

        optimizer->state_floats = optimizer->ops->state_floats(optimizer->args);
        floats = optimizer->state_floats * num_parameters;

        optimizer->state = large_zeroed(floats * sizeof *optimizer->state);
        if (!optimizer->state)
            status = FAIL(err, ERR_MEMORY, "out of memory for %zu floats of optimizer state", floats);
    }
    if (status != OK) {
        optimizer_free(optimizer);
        return status;
    }
    *out = optimizer;
    return OK;
}

void optimizer_check(const char *name, struct diag_place where, struct yaml_node node, struct diags *diags)
{
    const struct optimizer_ops *ops = optimizer_find(name);
    void *args = ops ? calloc(1, ops->params->size) : NULL;
    struct error err = ERROR_INIT;
    char text[WORDS_TEXT];

    if (!ops || !args) {
        diag_error(diags, where, "%s", ops ? "out of memory for an optimizer" : unknown_name(name, text));
        return;
    }
    if (params_read(ops->params, node, args, diags) == OK && ops->check && ops->check(args, &err) != OK)
        diag_error(diags, node.doc ? yaml_place(node) : where, "optimizer %s: %s", name, err.message);
    params_free(ops->params, args);
    free(args);
}

void optimizer_check_request(struct yaml_node node, struct diags *diags)
{
    struct request request;

    params_read(&request_table, node, &request, diags);
    params_free(&request_table, &request);
}

void optimizer_free(struct optimizer *optimizer)
{
    if (!optimizer)
        return;
    if (optimizer->args)
        params_free(optimizer->ops->params, optimizer->args);
    free(optimizer->args);
    free(optimizer->state);
    free(optimizer);
}

/* One step as all its parts see it. */
struct step_job {
    const struct optimizer *optimizer;
    float *params;
    const float *grads;
};

static void step_chunk(const void *context, size_t i)
{
    const struct step_job *job = context;
    const struct optimizer *optimizer = job->optimizer;
    size_t first = i * CHUNK, left = optimizer->num_parameters - first;

    optimizer->ops->step(optimizer->args, optimizer->step, left < CHUNK ? left : CHUNK, job->params + first,
                         job->grads + first, optimizer->state + first * optimizer->state_floats);
}

/* In chunks, so that the sum's order is fixed. */
static double norm_of(const float *grads, size_t n)
{
    double total = 0;

    for (size_t first = 0; first < n; first += CHUNK) {
        size_t end = n - first < CHUNK ? n : first + CHUNK;
        double sum = 0;

        for (size_t i = first; i < end; i++)
            sum += (double)grads[i] * (double)grads[i];
        total += sum;
    }
    return sqrt(total);
}

/* PyTorch's clip_grad_norm_ (Pascanu et al. 2013), then clip_grad_value_; what is not a number stays that. */
static void clip(const struct optimizer *optimizer, float *grads)
{
    float limit = (float)optimizer->clip.value;
    double norm = optimizer->clip.norm > 0 ? norm_of(grads, optimizer->num_parameters) : 0;

    if (norm + 1e-6 > optimizer->clip.norm && optimizer->clip.norm > 0) {
        float scale = (float)(optimizer->clip.norm / (norm + 1e-6));

        for (size_t i = 0; i < optimizer->num_parameters; i++)
            grads[i] *= scale;
    }
    for (size_t i = 0; limit > 0 && i < optimizer->num_parameters; i++)
        grads[i] = grads[i] > limit ? limit : grads[i] < -limit ? -limit : grads[i];
}

void optimizer_set_drift(struct optimizer *optimizer, const struct drift *drift)
{
    optimizer->drift = *drift;
}

static void add_drift(const struct drift *drift, size_t n, const float *params, float *grads)
{
    float mu = (float)drift->mu;

    for (size_t i = 0; mu > 0 && i < n; i++)
        grads[i] += mu * (params[i] - drift->anchor[i]);
    for (size_t i = 0; drift->correction && i < n; i++)
        grads[i] += drift->correction[i];
}

void optimizer_step(struct optimizer *optimizer, struct team *team, float *params, float *grads)
{
    struct step_job job = {optimizer, params, grads};
    size_t n = optimizer->num_parameters;

    add_drift(&optimizer->drift, n, params, grads);
    clip(optimizer, grads);
    for (size_t i = 0; optimizer->maximize && i < n; i++)
        grads[i] = -grads[i];
    optimizer->step++;
    team_run(team, (n + CHUNK - 1) / CHUNK, 8.0 * (double)n, step_chunk, &job);
}
