/* Blocks and residuals: names, gradients by central differences, shared memory, mistakes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/model.h"
#include "util/rng.h"
#include "vectors.h"

enum { N = 3 };

static const struct {
    const char *what, *text;
} graphs[] = {
    {"identity shortcut",
     "input: [6]\nlayers: [{residual: {layers: [{linear: {out: 5}}, {relu: {}}, {linear: {out: 6}}]}}]\n"},
    {"projection",
     "input: [6]\nlayers: [{residual: {layers: [{linear: {out: 4}}, {relu: {}}], shortcut: [{linear: {out: 4}}]}}]\n"},
    {"relu first in the body", "input: [6]\nlayers: [{linear: {out: 6}}, {residual: {layers: [{relu: {}}, {linear: "
                               "{out: 6}}]}}, {linear: {out: 3}}]\n"},
    {"relu first in the shortcut",
     "input: [6]\nlayers: [{linear: {out: 6}}, {residual: {layers: [{linear: {out: 6}}], shortcut: [{relu: {}}]}}]\n"},
    {"relu on both ways", "input: [6]\nlayers: [{linear: {out: 6}}, {residual: {layers: [{relu: {}}], shortcut: "
                          "[{relu: {}}]}}, {relu: {}}]\n"},
    {"relu in front and behind", "input: [6]\nlayers: [{linear: {out: 6}}, {relu: {}}, {residual: {layers: [{linear: "
                                 "{out: 6}}, {relu: {}}]}}, {relu: {}}]\n"},
    {"a body that only reshapes", "input: [1, 2, 3]\nlayers: [{residual: {layers: [{flatten: {}}], shortcut: "
                                  "[{flatten: {}}, {relu: {}}]}}, {linear: {out: 2}}]\n"},
    {"the input twice", "input: [6]\nlayers: [{residual: {layers: [{flatten: {}}]}}, {linear: {out: 2}}]\n"},
    {"nested at both ends", "input: [6]\nlayers: [{linear: {out: 6}}, {residual: {layers: [{residual: {layers: [{relu: "
                            "{}}, {linear: {out: 6}}]}}, {relu: {}}, {residual: {layers: [{relu: {}}]}}]}}]\n"},
    {"nested in the shortcut", "input: [6]\nlayers: [{residual: {layers: [{linear: {out: 6}}], shortcut: [{residual: "
                               "{layers: [{linear: {out: 6}}, {relu: {}}]}}]}}]\n"},
    {"nested alone", "input: [6]\nlayers: [{residual: {layers: [{residual: {layers: [{residual: {layers: [{linear: "
                     "{out: 6}}]}}]}}]}}]\n"},
    {"repeated", "input: [6]\nlayers: [{residual: {repeat: 3, layers: [{relu: {}}, {block: {repeat: 2, layers: "
                 "[{linear: {out: 6}}, {relu: {}}]}}]}}, {linear: {out: 2}}]\n"},
    {"as in ResNet",
     "input: [2, 4, 4]\nlayers:\n  - conv: {conv2d: {out: 3, kernel: 3, padding: 1}}\n  - {relu: {}}\n"
     "  - {residual: {layers: [{conv2d: {out: 4, kernel: 3, padding: 1}}, {relu: {}}, {conv2d: {out: 4, kernel: 1}}], "
     "shortcut: [{conv2d: {out: 4, kernel: 1}}]}}\n  - {relu: {}}\n  - {flatten: {}}\n  - {linear: {out: 2}}\n"},
    {"pooling on one way", "input: [2, 4, 4]\nlayers: [{residual: {layers: [{maxpool2d: {kernel: 2}}, {relu: {}}], "
                           "shortcut: [{conv2d: {out: 2, kernel: 2, stride: 2}}]}}, {flatten: {}}]\n"},
};

struct bench {
    struct model *model;
    struct workspace *ws;
    float *params, *x, *gy, *grads, *gx;
    size_t P, D, O;
};

static float *noise(size_t n, const char *what)
{
    float *values = malloc((n + 1) * sizeof *values);
    struct rng rng;

    rng_init(&rng, 5, "test", what, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = rng_uniform_between(&rng, -1, 1);
    return values;
}

static struct bench bench_of(const char *text)
{
    struct bench b = {.model = model_from_text(text)};

    b.P = model_layout(b.model)->num_floats;
    b.D = N * model_input_size(b.model);
    b.O = N * model_output_size(b.model);
    cr_assert_eq(workspace_new(b.model, N, true, &b.ws, NULL), OK);
    b.params = noise(b.P, "params"), b.x = noise(b.D, "x"), b.gy = noise(b.O, "gy");
    b.grads = noise(b.P, "rubbish"), b.gx = noise(b.D, "rubbish");
    return b;
}

static void bench_free(struct bench *b)
{
    free(b->params), free(b->x), free(b->gy), free(b->grads), free(b->gx);
    workspace_free(b->ws);
    model_free(b->model);
}

/* The sum of gy * y. */
static double value(const struct bench *b, struct workspace *ws, bool training)
{
    const float *y = model_forward(b->model, ws, b->params, b->x, N, training, NULL);
    double sum = 0;

    for (size_t i = 0; i < b->O; i++)
        sum += (double)y[i] * (double)b->gy[i];
    return sum;
}

/* Everything is piecewise linear in one value, so differences are exact but where they step over a kink: there the
 * two sides differ, and the point says nothing. Returns the points compared. */
static size_t compare(struct bench *b, float *values, const float *grads, size_t n, const char *what)
{
    const float step = 1.0F / 256;
    double here = value(b, b->ws, true);
    size_t compared = 0;

    for (size_t i = 0; i < n; i++) {
        float old = values[i];
        double right, left;

        values[i] = old + step;
        right = (value(b, b->ws, true) - here) / (double)step;
        values[i] = old - step;
        left = (here - value(b, b->ws, true)) / (double)step;
        values[i] = old;
        if (fabs(right - left) > 2e-3)
            continue;
        compared++;
        cr_assert_float_eq((double)grads[i], (right + left) / 2, 3e-3, "%s, %zu: %g, by differences %g", what, i,
                           (double)grads[i], (right + left) / 2);
    }
    return compared;
}

Test(graph, gradients_are_those_of_central_differences)
{
    for (size_t g = 0; g < sizeof graphs / sizeof *graphs; g++) {
        struct bench b = bench_of(graphs[g].text);
        size_t compared;

        value(&b, b.ws, true);
        model_backward(b.model, b.ws, b.params, b.gy, b.grads, b.gx);
        compared = compare(&b, b.params, b.grads, b.P, graphs[g].what);
        compared += compare(&b, b.x, b.gx, b.D, graphs[g].what);
        cr_assert_geq(compared, (b.P + b.D) * 9 / 10, "%s: %zu of %zu", graphs[g].what, compared, b.P + b.D);
        bench_free(&b);
    }
}

/* Where nobody asks for the input's gradient less runs, and where only inference is planned more shares a place. */
Test(graph, leaving_work_out_changes_nothing)
{
    for (size_t g = 0; g < sizeof graphs / sizeof *graphs; g++) {
        struct bench b = bench_of(graphs[g].text);
        float *grads = calloc(b.P + 1, sizeof *grads);
        struct workspace *inference;
        double trained = value(&b, b.ws, true);

        model_backward(b.model, b.ws, b.params, b.gy, b.grads, b.gx);
        value(&b, b.ws, true);
        model_backward(b.model, b.ws, b.params, b.gy, grads, NULL);
        cr_assert_arr_eq(grads, b.grads, b.P * sizeof *grads, "%s", graphs[g].what);
        cr_assert_eq(workspace_new(b.model, N, false, &inference, NULL), OK);
        cr_assert_eq(value(&b, inference, false), trained, "%s", graphs[g].what);
        cr_assert_leq(workspace_bytes(inference), workspace_bytes(b.ws));
        workspace_free(inference);
        free(grads);
        bench_free(&b);
    }
}

/* y = x + relu(x), by hand. */
Test(graph, a_sum_is_a_sum)
{
    struct model *model = model_from_text("input: [3]\nlayers: [{residual: {layers: [{relu: {}}]}}]\n");
    const float x[3] = {1, -2, 3}, expected[3] = {2, -2, 6}, gy[3] = {1, 10, 100};
    float gx[3], nothing;
    struct workspace *ws;
    const float *y;

    cr_assert_eq(workspace_new(model, 1, true, &ws, NULL), OK);
    y = model_forward(model, ws, &nothing, x, 1, true, NULL);
    cr_assert_arr_eq(y, expected, sizeof expected);
    model_backward(model, ws, &nothing, gy, &nothing, gx);
    cr_assert_arr_eq(gx, ((float[]){2, 10, 200}), sizeof gx);
    workspace_free(ws);
    model_free(model);
}

/* A deep inference keeps no more activations than live at once: here three. */
Test(graph, memory_does_not_grow_with_depth)
{
    char text[256];
    size_t bytes[2];

    for (int i = 0; i < 2; i++) {
        struct model *model;
        struct workspace *ws;

        snprintf(text, sizeof text,
                 "input: [4096]\nlayers: [{residual: {repeat: %d, layers: [{relu: {}}, {relu: {}}]}}]\n", i ? 64 : 2);
        model = model_from_text(text);
        cr_assert_eq(workspace_new(model, 16, false, &ws, NULL), OK);
        bytes[i] = workspace_bytes(ws);
        workspace_free(ws);
        model_free(model);
    }
    cr_assert_leq(bytes[1], bytes[0] + 300 * 64 * 3, "%zu, then %zu", bytes[0], bytes[1]);
}

Test(graph, names_are_those_of_nested_modules)
{
    static const char text[] =
        "input: [4]\nlayers:\n"
        "  - stem: {linear: {out: 4}}\n"
        "  - {block: {repeat: 2, layers: [{linear: {out: 4}}, fc: {linear: {out: 4}}]}}\n"
        "  - {relu: {}}\n"
        "  - layer1: {residual: {repeat: 2, layers: [conv: {block: {layers: [{relu: {}}, {linear: {out: 4}}]}}], "
        "shortcut: [down: {block: {layers: [{linear: {out: 4}}]}}]}}\n"
        "  - head: {block: {layers: [{linear: {out: 4}}]}}\n"
        "  - {linear: {out: 4}}\n";
    static const char *const names[] = {"stem.weight",
                                        "1.0.weight",
                                        "1.fc.weight",
                                        "2.0.weight",
                                        "2.fc.weight",
                                        "layer1.0.conv.1.weight",
                                        "layer1.0.down.0.weight",
                                        "layer1.1.conv.1.weight",
                                        "layer1.1.down.0.weight",
                                        "head.0.weight",
                                        "6.weight"};
    struct model *model = model_from_text(text);
    const struct layout *layout = model_layout(model);

    cr_assert_eq(layout->num_tensors, 2 * sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_str_eq(layout->tensors[2 * i].name, names[i]);
    model_free(model);
}

static const struct {
    const char *text, *says[3];
} mistakes[] = {
    {"input: [4]\nlayers:\n  - r: {residual: {layers: [{linear: {out: 3}}]}}\n",
     {"model.yaml:3:5:", "r (residual)", "its layers give [3], but its input, which is added to that, is [4]"}},
    {"input: [4]\nlayers:\n  - {residual: {layers: [{linear: {out: 3}}], shortcut: [{linear: {out: 5}}]}}\n",
     {"model.yaml:3:5:", "0 (residual)", "give [3], but its shortcut gives [5]"}},
    {"input: [4]\nlayers: [{block: {}}]\n", {"model.yaml:2:", "`layers` is missing"}},
    {"input: [4]\nlayers: [{block: {layers: []}}]\n", {"model.yaml:2:", "`layers` must be a list"}},
    {"input: [4]\nlayers: [{block: {layers: 3}}]\n", {"model.yaml:2:", "`layers` must be a list"}},
    {"input: [4]\nlayers: [{residual: {layers: [{relu: {}}], shortcut: 7}}]\n", {"`shortcut` must be a list"}},
    {"input: [4]\nlayers: [{block: {layers: [{relu: {}}], repeat: 100000}}]\n", {"repeat", "between 0 and 2048"}},
    {"input: [4]\nlayers: [{block: {layers: [{rely: {}}]}}]\n", {"model.yaml:2:", "did you mean `relu`"}},
    {"input: [4]\nlayers: [{blok: {layers: [{relu: {}}], repeat: 2}}]\n", {"did you mean `block`"}},
    {"input: [4]\nlayers: [{block: {layers: [{relu: {}}], times: 2}}]\n", {"unknown key `times`"}},
    {"input: [4]\nlayers: [{block: {repeat: 2048, layers: [{block: {repeat: 2048, layers: [{relu: {}}]}}]}}]\n",
     {"at most 2048 layers"}},
    {"input: [4]\nlayers: [{block: {repeat: 3, layers: [{linear: {out: 4, bais: 1}}]}}, {linear: {ouch: 1}}]\n",
     {"bais", "ouch"}},
    {"input: [4]\nlayers: [a: {block: {layers: [b: {linear: {out: 4}}, b: {linear: {out: 4}}]}}]\n",
     {"`a.b` is the name of two layers"}},
};

Test(graph, mistakes_are_named)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct diags *diags = diags_new();
        struct model *model;
        char *found;

        cr_assert_neq(model_load_text(mistakes[i].text, "model.yaml", NULL, &model, diags), OK, "%s", mistakes[i].text);
        found = diags_text(diags);
        for (size_t j = 0; j < 3 && mistakes[i].says[j]; j++)
            cr_expect(strstr(found, mistakes[i].says[j]), "%s\nsays: %s\nlacks: %s", mistakes[i].text, found,
                      mistakes[i].says[j]);
        free(found);
        diags_free(diags);
    }
}

/* Depth and the length of a name have an end. */
Test(graph, depth_and_names_are_bounded)
{
    char text[4096] = "input: [4]\nlayers: [";
    struct diags *diags = diags_new();
    struct model *model;
    char *found;

    for (int i = 0; i < 13; i++)
        strcat(text, "a_rather_long_name: {block: {layers: [");
    strcat(text, "{relu: {}}");
    for (int i = 0; i < 13; i++)
        strcat(text, "]}}");
    strcat(text, "]\n");
    cr_assert_neq(model_load_text(text, "model.yaml", NULL, &model, diags), OK);
    found = diags_text(diags);
    cr_expect(strstr(found, "nest at most 12 deep") || strstr(found, "is longer than 127"), "%s", found);
    free(found);
    diags_free(diags);
}
