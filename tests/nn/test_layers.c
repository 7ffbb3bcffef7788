/* Every layer against PyTorch, and every row of the registry against central differences. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/layer/layer.h"
#include "util/rng.h"
#include "vectors.h"

static const char *const kernel_sets[] = {"avx512", "avx2", "generic"};

/* One layer called `l`, flattened because a model gives [O]. */
static struct model *layer_model(const char *input, const char *kind, const char *args)
{
    char text[1024];

    snprintf(text, sizeof text, "input: [%s]\nlayers:\n  - l: {%s: {%s}}\n  - {flatten: {}}\n", input, kind, args);
    return model_from_text(text);
}

/* --- PyTorch ---------------------------------------------------------------------------------------------------- */

static void args_of_vector(const struct vector *v, char *args, size_t size)
{
    static const char *const keys[] = {"kernel",
                                       "stride",
                                       "padding",
                                       "dilation",
                                       "groups",
                                       "bias",
                                       "layers",
                                       "eps",
                                       "momentum",
                                       "out",
                                       "p",
                                       "slope",
                                       "count_include_pad",
                                       "normalized_shape",
                                       "ceil_mode",
                                       "dim"};
    size_t used = 0;

    *args = '\0';
    if (strcmp(vector_meta(v, "kind", ""), "embedding") == 0)
        used = (size_t)snprintf(args, size, "num_embeddings: %lld, dim: %lld",
                                (long long)vector_tensor(v, "param.weight")->dims[0],
                                (long long)vector_tensor(v, "param.weight")->dims[1]);
    else if (safetensors_find(v->file, "param.weight_hh_l0"))
        used = (size_t)snprintf(args, size, "return: all, hidden: %lld",
                                (long long)vector_tensor(v, "param.weight_hh_l0")->dims[1]);
    else if (safetensors_find(v->file, "param.weight") && !strstr(vector_meta(v, "kind", ""), "norm"))
        used = (size_t)snprintf(args, size, "out: %lld", (long long)vector_tensor(v, "param.weight")->dims[0]);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (vector_meta(v, keys[i], NULL))
            used += (size_t)snprintf(args + used, size - used,
                                     strchr(vector_meta(v, keys[i], NULL), ',') ? "%s%s: [%s]" : "%s%s: %s",
                                     used ? ", " : "", keys[i], vector_meta(v, keys[i], NULL));
}

static struct model *model_of_vector(const struct vector *v)
{
    const struct safetensors_tensor *x = vector_tensor(v, "x");
    char input[128] = "", args[256];

    for (int i = 1; i < x->num_dims; i++)
        snprintf(input + strlen(input), sizeof input - strlen(input), "%s%lld", i > 1 ? ", " : "",
                 (long long)x->dims[i]);
    args_of_vector(v, args, sizeof args);
    return layer_model(input, vector_meta(v, "kind", ""), args);
}

/* Copy tensors "param.weight" … into the block of a layer `l`. */
static void load_params(const struct vector *v, const struct layout *layout, float *params)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        char name[256];
        float *values;

        snprintf(name, sizeof name, "param.%s", layout->tensors[i].name + 2);
        values = vector_floats(v, name);
        memcpy(params + layout->tensors[i].offset, values, layout->tensors[i].count * sizeof *params);
        free(values);
    }
}

static void check_grads(const struct vector *v, const struct layout *layout, const float *grads)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        char name[256];
        float *expected;

        if (layout->tensors[i].role == TENSOR_BUFFER)
            continue;
        snprintf(name, sizeof name, "grad.%s", layout->tensors[i].name + 2);
        expected = vector_floats(v, name);
        assert_close(name, grads + layout->tensors[i].offset, expected, layout->tensors[i].count, 1e-4);
        free(expected);
    }
}

static void check_buffers(const struct vector *v, const struct layout *layout, const float *params)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        char name[256];
        float *expected;

        snprintf(name, sizeof name, "after.%s", layout->tensors[i].name + 2);
        if (layout->tensors[i].role == TENSOR_PARAMETER)
            continue;
        expected = vector_floats(v, name);
        assert_close(name, params + layout->tensors[i].offset, expected, layout->tensors[i].count, 1e-4);
        free(expected);
    }
}

static float *tokens_of(const struct vector *v)
{
    int32_t *labels = vector_labels(v, "x");
    size_t n = vector_tensor(v, "x")->bytes.size / sizeof(int64_t);
    float *x = malloc(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = (float)labels[i];
    free(labels);
    return x;
}

static void check_vector(const char *name)
{
    struct vector v = vector_open(name);
    struct model *model = model_of_vector(&v);
    const struct layout *layout = model_layout(model);
    int N = (int)vector_tensor(&v, "x")->dims[0];
    bool tokens = strcmp(vector_tensor(&v, "x")->dtype, "I64") == 0;
    float *x = tokens ? tokens_of(&v) : vector_floats(&v, "x"), *y = vector_floats(&v, "y");
    float *gy = vector_floats(&v, "gy"), *gx = tokens ? NULL : vector_floats(&v, "gx");
    float *found_gx = malloc((size_t)N * model_input_size(model) * sizeof *found_gx);
    float *params = calloc(layout->num_floats + 1, sizeof *params),
          *grads = calloc(layout->num_floats + 1, sizeof *grads);
    bool train = strcmp(vector_meta(&v, "train", "True"), "True") == 0;
    struct workspace *ws;

    cr_assert_eq(workspace_new(model, N, true, &ws, NULL), OK);
    load_params(&v, layout, params);
    assert_close("y", model_forward(model, ws, params, x, N, train, NULL), y, (size_t)N * model_output_size(model),
                 1e-4);
    model_backward(model, ws, params, gy, grads, found_gx);
    if (gx)
        assert_close("gx", found_gx, gx, (size_t)N * model_input_size(model), 1e-4);
    check_grads(&v, layout, grads);
    check_buffers(&v, layout, params);
    workspace_free(ws);
    model_free(model);
    vector_close(&v);
    free(x), free(y), free(gy), free(gx), free(found_gx), free(params), free(grads);
}

Test(layers, agree_with_pytorch)
{
    char **names = vector_names("layer_");
    int checked = 0;

    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", kernel_sets[set], 1);
        for (size_t i = 0; names[i]; i++)
            check_vector(names[i]), checked++;
    }
    cr_assert_geq(checked, 3 * 25, "only %d vectors", checked);
    vector_names_free(names);
}

/* --- gradients -------------------------------------------------------------------------------------------------- */

struct gradient_case {
    const char *kind, *args, *input;
    int N;
};

/* At least two shapes for every row of the registry: a layer without a row here fails the test below. */
static const struct gradient_case cases[] = {
    {"linear", "out: 5", "7", 3},
    {"linear", "out: 40, bias: false", "33", 18},
    {"linear", "out: 1", "1", 1},
    {"linear", "out: 6", "3, 17", 18},
    {"linear", "out: 17, bias: false", "5, 16", 2},
    {"conv2d", "out: 3, kernel: 3", "2, 6, 5", 2},
    {"conv2d", "out: 17, kernel: [2, 3], stride: [2, 1], padding: [1, 2]", "3, 5, 4", 17},
    {"conv2d", "out: 2, kernel: 1, bias: false", "9, 1, 1", 1},
    {"conv2d", "out: 6, kernel: 3, groups: 2, padding: 1", "4, 5, 4", 16},
    {"conv2d", "out: 5, kernel: 3, groups: 5, stride: 2, padding: 1", "5, 7, 6", 17},
    {"conv2d", "out: 10, kernel: 3, groups: 5, bias: false", "5, 4, 5", 1},
    {"conv2d", "out: 3, kernel: 3, dilation: [2, 1], padding: 2", "2, 7, 6", 15},
    {"conv2d", "out: 4, kernel: 2, groups: 4, dilation: 2, stride: [1, 2]", "4, 5, 6", 33},
    {"conv2d", "out: 19, kernel: 1, bias: false", "33, 2, 2", 33},
    {"conv2d", "out: 8, kernel: 1, stride: 2", "6, 5, 5", 2},
    {"avgpool2d", "kernel: 2", "2, 5, 4", 3},
    {"avgpool2d", "kernel: 3, stride: 2, padding: 1", "2, 7, 6", 17},
    {"avgpool2d", "kernel: 3, stride: 2, padding: 1, count_include_pad: false", "2, 7, 6", 1},
    {"avgpool2d", "kernel: 3, stride: 2, padding: 1, ceil_mode: true", "2, 6, 5", 17},
    {"adaptive_avgpool2d", "out: 1", "3, 4, 5", 16},
    {"adaptive_avgpool2d", "out: [3, 2]", "2, 7, 5", 17},
    {"adaptive_avgpool2d", "out: 6", "2, 4, 3", 1},
    {"batchnorm2d", "", "3, 2, 3", 5},
    {"batchnorm2d", "eps: 0.01, momentum: 0.3", "2, 3, 1", 15},
    {"batchnorm2d", "", "2, 2, 2", 16},
    {"batchnorm2d", "affine: false", "3, 2, 1", 17},
    {"batchnorm2d", "", "4, 1, 1", 33},
    {"batchnorm2d", "", "2, 3, 3", 1},
    {"groupnorm", "groups: 2", "4, 3, 2", 3},
    {"groupnorm", "groups: 1", "3, 2, 2", 17},
    {"groupnorm", "groups: 5, affine: false", "5, 2, 3", 16},
    {"layernorm", "", "13", 17},
    {"layernorm", "eps: 0.001", "3, 5", 1},
    {"layernorm", "affine: false", "2, 3, 4", 33},
    {"layernorm", "normalized_shape: [3, 4]", "2, 3, 4", 17},
    {"layernorm", "normalized_shape: [2, 3, 4]", "2, 3, 4", 3},
    {"layernorm", "normalized_shape: 5", "3, 5", 16},
    {"dropout", "p: 0.3", "13", 17},
    {"dropout", "", "2, 3, 4", 3},
    {"dropout", "p: 0", "5", 1},
    {"relu6", "", "37", 3},
    {"relu6", "", "2, 3, 3", 17},
    {"leaky_relu", "", "37", 3},
    {"leaky_relu", "slope: 0.3", "2, 3, 3", 17},
    {"gelu", "", "37", 3},
    {"gelu", "", "2, 3, 3", 17},
    {"tanh", "", "37", 3},
    {"tanh", "", "2, 3, 3", 17},
    {"sigmoid", "", "37", 3},
    {"sigmoid", "", "2, 3, 3", 17},
    {"softmax", "", "7", 3},
    {"softmax", "", "3, 5", 17},
    {"log_softmax", "", "7", 16},
    {"log_softmax", "", "3, 5", 33},
    {"softmax", "dim: 1", "3, 2, 4", 17},
    {"log_softmax", "dim: 2", "2, 3, 4", 3},
    {"maxpool2d", "kernel: 2", "2, 5, 4", 3},
    {"maxpool2d", "kernel: 3, stride: 2, padding: 1", "2, 7, 6", 17},
    {"maxpool2d", "kernel: [1, 3], stride: 1", "1, 2, 8", 2},
    {"maxpool2d", "kernel: 3, stride: 2, ceil_mode: true", "2, 6, 5", 17},
    {"relu", "", "13", 3},
    {"relu", "", "2, 3, 3", 17},
    {"flatten", "", "2, 3, 4", 3},
    {"flatten", "", "5", 17},
    {"embedding", "dim: 3, num_embeddings: 9", "4", 3},
    {"embedding", "dim: 17, num_embeddings: 5, init_range: 0.5", "2", 17},
    {"rnn", "hidden: 5, return: all", "4, 3", 1},
    {"rnn", "hidden: 17, layers: 2", "3, 2", 16},
    {"rnn", "hidden: 3, layers: 6, return: all", "3, 2", 3},
    {"gru", "hidden: 5, return: all", "4, 3", 10},
    {"gru", "hidden: 17, layers: 2", "3, 17", 17},
    {"lstm", "hidden: 5, return: all", "4, 3", 10},
    {"lstm", "hidden: 17, layers: 2, return: all", "3, 17", 17},
    {"lstm", "hidden: 16, layers: 3", "3, 16", 1},
    {"lstm", "hidden: 1", "1, 1", 16},
};

/* Distinct multiples of 1/8 in random order, none of them 0: no kink lies within the step of a difference. */
static void fill_distinct(struct rng *rng, float *x, size_t n)
{
    uint32_t *order = malloc(n * sizeof *order);

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(rng, order, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((int)order[i] - (int)(n / 2)) / 8 + 1.0F / 16;
    free(order);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

struct gradient_check {
    const struct gradient_case *test;
    const struct model *model;
    struct workspace *ws;
    float *params, *x, *gy;
    int N;
};

/* Every pass draws the same numbers. */
static double objective(const struct gradient_check *c)
{
    struct rng noise;

    rng_init(&noise, 5, "dropout", "", 0);
    return dot(model_forward(c->model, c->ws, c->params, c->x, c->N, true, &noise), c->gy,
               (size_t)c->N * model_output_size(c->model));
}

/* Layers without kinks are tried where they are curved, the others at distinct values. */
static bool is_smooth(const char *kind)
{
    static const char *const smooth[] = {"rnn",  "gru",  "lstm",    "batchnorm2d", "groupnorm",  "layernorm",
                                         "gelu", "tanh", "sigmoid", "softmax",     "log_softmax"};

    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++)
        if (strcmp(kind, smooth[i]) == 0)
            return true;
    return false;
}

/* Compare d objective / d values[i] with the gradient that backward gave, at up to 200 places. */
static void check_differences(const struct gradient_check *c, const char *what, float *values, const float *gradient,
                              size_t n)
{
    const float step = 1.0F / 32;
    double largest = 1e-3;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    for (size_t i = 0; i < n; i += n / 200 + 1) {
        float kept = values[i];
        double above, below, slope;

        values[i] = kept + step;
        above = objective(c);
        values[i] = kept - step;
        below = objective(c);
        values[i] = kept;
        slope = (above - below) / (2 * (double)step);
        cr_assert(fabs(slope - (double)gradient[i]) <= 5e-3 * largest, "%s {%s}: %s[%zu]: slope %g, gradient %g",
                  c->test->kind, c->test->args, what, i, slope, (double)gradient[i]);
    }
}

static void check_gradients(const struct gradient_case *test)
{
    struct gradient_check c = {.test = test, .model = layer_model(test->input, test->kind, test->args), .N = test->N};
    size_t P = model_layout(c.model)->num_parameters, D = model_input_size(c.model), O = model_output_size(c.model);
    size_t N = (size_t)test->N;
    float *grads = calloc(P + 1, sizeof *grads), *gx = calloc(N * D, sizeof *gx);
    struct rng rng;

    c.params = calloc(model_layout(c.model)->num_floats + 1, sizeof *c.params);
    c.x = calloc(N * D, sizeof *c.x);
    c.gy = calloc(N * O, sizeof *c.gy);
    rng_init(&rng, 7, "test", test->kind, 0);
    model_init_params(c.model, 7, c.params);
    fill_distinct(&rng, c.x, N * D);
    for (size_t i = 0; i < N * D && is_smooth(test->kind); i++)
        c.x[i] = rng_uniform_between(&rng, -2, 2);
    for (size_t i = 0; i < N * O; i++)
        c.gy[i] = rng_uniform_between(&rng, -1, 1);
    cr_assert_eq(workspace_new(c.model, c.N, true, &c.ws, NULL), OK);
    objective(&c);
    model_backward(c.model, c.ws, c.params, c.gy, grads, gx);
    check_differences(&c, "x", c.x, gx, N * D);
    check_differences(&c, "params", c.params, grads, P);
    workspace_free(c.ws);
    model_free((struct model *)c.model);
    free(c.params), free(c.x), free(c.gy), free(grads), free(gx);
}

Test(layers, gradients_are_the_slopes)
{
    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", kernel_sets[set], 1);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            check_gradients(&cases[i]);
    }
}

Test(layers, every_row_of_the_registry_has_gradient_cases)
{
    for (size_t k = 0; layer_kinds[k]; k++) {
        int found = 0;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            found += strcmp(cases[i].kind, layer_kinds[k]->name) == 0;
        cr_assert_geq(found, 2, "%s needs at least two gradient cases in %s", layer_kinds[k]->name, __FILE__);
        cr_assert_eq(layer_kind_find(layer_kinds[k]->name), layer_kinds[k]);
    }
}

/* --- batches ---------------------------------------------------------------------------------------------------- */

/* A sample's output does not depend on what shares its batch, nor on the batch's size. */
Test(layers, samples_do_not_see_each_other)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *model = layer_model(cases[i].input, cases[i].kind, cases[i].args);
        size_t D = model_input_size(model), O = model_output_size(model);
        float *params = calloc(model_layout(model)->num_floats + 1, sizeof *params);
        float *x = malloc(50 * D * sizeof *x), *together = malloc(50 * O * sizeof *together);
        struct workspace *many, *one;
        struct rng rng;

        rng_init(&rng, 1, "test", "", 0);
        fill_distinct(&rng, x, 50 * D);
        model_init_params(model, 1, params);
        cr_assert_eq(workspace_new(model, 50, false, &many, NULL), OK);
        cr_assert_eq(workspace_new(model, 1, false, &one, NULL), OK);
        memcpy(together, model_forward(model, many, params, x, 50, false, NULL), 50 * O * sizeof *together);
        for (size_t n = 0; n < 50; n += 7)
            assert_close(cases[i].kind, model_forward(model, one, params, x + n * D, 1, false, NULL), together + n * O,
                         O, 1e-6);
        workspace_free(many);
        workspace_free(one);
        model_free(model);
        free(params), free(x), free(together);
    }
}

/* Two windows in a row give what one window of both gives, and a reset forgets the first. */
Test(layers, carried_states_go_on_where_the_batch_before_ended)
{
    static const char *const kinds[] = {"rnn", "gru", "lstm"};

    for (size_t k = 0; k < 3; k++) {
        struct model *whole = layer_model("6, 3", kinds[k], "hidden: 5, layers: 2, return: all");
        struct model *half = layer_model("3, 3", kinds[k], "hidden: 5, layers: 2, return: all, carry: true");
        float params[1024], x[40 * 18], first[40 * 9], second[40 * 9], y[40 * 15], again[40 * 15];
        struct workspace *ws, *halves;
        struct rng rng;

        rng_init(&rng, 3, "test", kinds[k], 0);
        for (size_t i = 0; i < 40 * 18; i++)
            x[i] = rng_uniform_between(&rng, -1, 1);
        for (size_t n = 0; n < 40; n++) {
            memcpy(first + n * 9, x + n * 18, 9 * sizeof *x);
            memcpy(second + n * 9, x + n * 18 + 9, 9 * sizeof *x);
        }
        model_init_params(whole, 3, params);
        cr_assert(model_carries(half) && !model_carries(whole));
        cr_assert_eq(workspace_new(whole, 40, false, &ws, NULL), OK);
        cr_assert_eq(workspace_new(half, 40, false, &halves, NULL), OK);
        const float *expected = model_forward(whole, ws, params, x, 40, false, NULL);
        memcpy(again, model_forward(half, halves, params, first, 40, false, NULL), sizeof again);
        memcpy(y, model_forward(half, halves, params, second, 40, false, NULL), sizeof y);
        for (size_t n = 0; n < 40; n++)
            assert_close(kinds[k], y + n * 15, expected + n * 30 + 15, 15, 1e-6);
        workspace_reset(halves);
        assert_close(kinds[k], model_forward(half, halves, params, first, 40, false, NULL), again, 40 * 15, 1e-6);
        workspace_free(ws);
        workspace_free(halves);
        model_free(whole);
        model_free(half);
    }
}

/* Dropout between layers comes from the seed, leaves evaluation alone, and its gradient knows what was dropped. */
Test(layers, recurrent_dropout_repeats_with_its_seed)
{
    struct model *model = layer_model("4, 3", "lstm", "hidden: 6, layers: 2, dropout: 0.5, return: all");
    struct model *plain = layer_model("4, 3", "lstm", "hidden: 6, layers: 2, return: all");
    float params[1024], grads[1024], x[12], gx[12], gy[24], y[3][24];
    struct workspace *ws;
    struct rng rng;

    rng_init(&rng, 3, "test", "", 0);
    for (int i = 0; i < 12; i++)
        x[i] = rng_uniform_between(&rng, -1, 1);
    for (int i = 0; i < 24; i++)
        gy[i] = rng_uniform_between(&rng, -1, 1);
    model_init_params(model, 3, params);
    cr_assert_eq(workspace_new(model, 1, true, &ws, NULL), OK);
    for (uint64_t i = 0; i < 3; i++) {
        rng_init(&rng, 3, "dropout", "", i / 2);
        memcpy(y[i], model_forward(model, ws, params, x, 1, true, &rng), sizeof y[i]);
    }
    cr_assert(memcmp(y[0], y[1], sizeof y[0]) == 0, "one seed gave two results");
    cr_assert(memcmp(y[0], y[2], sizeof y[0]) != 0, "nothing was dropped");
    model_backward(model, ws, params, gy, grads, gx);
    for (int i = 0; i < 12; i++) {
        float kept = x[i];
        double slope = 0;

        for (int side = 1; side >= -1; side -= 2) {
            x[i] = kept + (float)side / 32;
            rng_init(&rng, 3, "dropout", "", 1);
            slope += side * 16 * dot(model_forward(model, ws, params, x, 1, true, &rng), gy, 24);
        }
        x[i] = kept;
        cr_assert_float_eq(slope, (double)gx[i], 1e-3, "x[%d]: slope %g, gradient %g", i, slope, (double)gx[i]);
    }
    memcpy(y[0], model_forward(model, ws, params, x, 1, false, NULL), sizeof y[0]);
    workspace_free(ws);
    cr_assert_eq(workspace_new(plain, 1, false, &ws, NULL), OK);
    assert_close("evaluation", y[0], model_forward(plain, ws, params, x, 1, false, NULL), 24, 1e-6);
    workspace_free(ws);
    model_free(model);
    model_free(plain);
}

/* The running statistics take in the batch's samples, and nothing of the lanes that fill up its last block. */
Test(layers, batchnorm_counts_only_what_is_there)
{
    struct model *model = layer_model("1, 1, 2", "batchnorm2d", "momentum: 1");
    const struct layout *layout = model_layout(model);
    size_t mean = layout_find(layout, "l.running_mean")->offset, var = layout_find(layout, "l.running_var")->offset;
    size_t count = layout_find(layout, "l.num_batches_tracked")->offset;
    float params[5], many[2 * 40], x[] = {1, 3, 5, 7, 9, 11};
    struct workspace *ws;

    model_init_params(model, 1, params);
    cr_assert_eq(workspace_new(model, 40, true, &ws, NULL), OK);
    for (size_t i = 0; i < 80; i++)
        many[i] = 1e6F;
    model_forward(model, ws, params, many, 40, true, NULL); /* rubbish for the lanes */
    model_forward(model, ws, params, x, 3, true, NULL);
    cr_assert_float_eq(params[mean], 6, 1e-6);
    cr_assert_float_eq(params[var], 14, 1e-5);
    cr_assert_eq(params[count], 2);
    model_forward(model, ws, params, x, 3, false, NULL);
    cr_assert_eq(params[count], 2, "evaluation changed the statistics");
    workspace_free(ws);
    model_free(model);
}

/* A fifth is dropped, the rest scaled up; one seed gives one mask on every kernel set, another seed another one. */
Test(layers, dropout_drops_its_share)
{
    struct model *model = layer_model("1000", "dropout", "p: 0.2");
    float *x = malloc(40000 * sizeof *x), *first = malloc(40000 * sizeof *first);
    size_t dropped = 0, same = 0;
    struct workspace *ws;
    struct rng rng;

    for (size_t i = 0; i < 40000; i++)
        x[i] = 1;
    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", kernel_sets[set], 1);
        cr_assert_eq(workspace_new(model, 40, true, &ws, NULL), OK);
        rng_init(&rng, 1, "dropout", "", 0);
        const float *y = model_forward(model, ws, x, x, 40, true, &rng);
        if (set == 0)
            memcpy(first, y, 40000 * sizeof *first);
        cr_assert_eq(memcmp(first, y, 40000 * sizeof *first), 0);
        workspace_free(ws);
    }
    for (size_t i = 0; i < 40000; i++) {
        dropped += first[i] == 0;
        cr_assert(first[i] == 0 || fabsf(first[i] - 1.25F) < 1e-6F);
    }
    cr_assert(dropped > 8000 - 400 && dropped < 8000 + 400, "%zu of 40000 were dropped", dropped); /* 5 sigma */
    cr_assert_eq(workspace_new(model, 40, true, &ws, NULL), OK);
    rng_init(&rng, 1, "dropout", "", 1);
    const float *y = model_forward(model, ws, x, x, 40, true, &rng);
    for (size_t i = 0; i < 40000; i++)
        same += (y[i] == 0) == (first[i] == 0);
    cr_assert_lt(same, 40000 * 3 / 4, "another round has another mask");
    cr_assert_eq(memcmp(model_forward(model, ws, x, x, 40, false, NULL), x, 40000 * sizeof *x), 0);
    workspace_free(ws);
    model_free(model);
    free(x), free(first);
}

Test(layers, a_nan_goes_through)
{
    struct model *model = model_from_text("input: [1, 2, 2]\nlayers:\n  - {relu: {}}\n  - {maxpool2d: {kernel: 2}}\n"
                                          "  - {flatten: {}}\n");
    struct workspace *ws;

    for (size_t set = 0; set < 3; set++)
        for (int at = 0; at < 4; at++) {
            float x[4] = {1, -2, 3, -4};

            setenv("FLOSIM_KERNELS", kernel_sets[set], 1);
            x[at] = NAN;
            cr_assert_eq(workspace_new(model, 1, false, &ws, NULL), OK);
            cr_assert(isnan(*model_forward(model, ws, x, x, 1, false, NULL)), "%s hides a NaN", kernel_sets[set]);
            workspace_free(ws);
        }
    model_free(model);
}

/* What PyTorch gives: NaN * 0. Forward and backward, kept or dropped; at p = 1 all are. */
Test(layers, dropout_drops_no_nan)
{
    static const char *const shares[] = {"p: 0.5", "p: 1"};

    for (size_t i = 0; i < 2; i++) {
        struct model *model = layer_model("40", "dropout", shares[i]);
        float params[1], grads[1], x[40], gy[40], gx[40];
        struct workspace *ws;
        struct rng rng;

        rng_init(&rng, 1, "dropout", "", 0);
        for (int k = 0; k < 40; k++) {
            x[k] = k % 2 ? NAN : INFINITY;
            gy[k] = NAN;
        }
        cr_assert_eq(workspace_new(model, 1, true, &ws, NULL), OK);
        const float *y = model_forward(model, ws, params, x, 1, true, &rng);
        for (int k = 0; k < 40; k++)
            cr_assert(isnan(y[k]) || (isinf(y[k]) && k % 2 == 0), "{%s}: value %d became %g", shares[i], k,
                      (double)y[k]);
        model_backward(model, ws, params, gy, grads, gx);
        for (int k = 0; k < 40; k++)
            cr_assert(isnan(gx[k]), "{%s}: gradient %d became %g", shares[i], k, (double)gx[k]);
        workspace_free(ws);
        model_free(model);
    }
}
