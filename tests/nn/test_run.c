/* Training and evaluation of whole models. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run.h"
#include "vectors.h"

static const char *const sets[] = {"avx512", "avx2", "generic"};

static struct model *shipped(const char *name)
{
    const char *srcdir = getenv("srcdir");
    struct diags *diags = diags_new();
    struct model *model;
    char folder[512];

    snprintf(folder, sizeof folder, "%s/models/%s", srcdir ? srcdir : ".", name);
    cr_assert_eq(model_load(folder, NULL, &model, diags), OK, "%s", diags_text(diags));
    diags_free(diags);
    return model;
}

/* --- PyTorch ---------------------------------------------------------------------------------------------------- */

static void load_initial(const struct vector *v, const struct layout *layout, float *params)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        char name[TENSOR_NAME_MAX + 8];
        float *values;

        snprintf(name, sizeof name, "init.%s", layout->tensors[i].name);
        cr_assert_eq(vector_tensor(v, name)->bytes.size, layout->tensors[i].count * sizeof *values);
        values = vector_floats(v, name);
        memcpy(params + layout->tensors[i].offset, values, layout->tensors[i].count * sizeof *values);
        free(values);
    }
}

static void check_final(const struct vector *v, const struct layout *layout, const float *params)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *t = &layout->tensors[i];
        char name[TENSOR_NAME_MAX + 16];
        const struct safetensors_tensor *norm_tensor;
        double squares = 0, norm;
        float *head;

        for (size_t j = 0; j < t->count; j++)
            squares += (double)params[t->offset + j] * (double)params[t->offset + j];
        snprintf(name, sizeof name, "final_norm.%s", t->name);
        norm_tensor = vector_tensor(v, name);
        if (strcmp(norm_tensor->dtype, "F64") == 0) {
            memcpy(&norm, norm_tensor->bytes.data, sizeof norm);
        } else {
            float single;

            memcpy(&single, norm_tensor->bytes.data, sizeof single);
            norm = (double)single;
        }
        cr_assert_float_eq(sqrt(squares), norm, 1e-3 * norm, "%s: %g expected, %g found", name, norm, sqrt(squares));
        snprintf(name, sizeof name, "final_head.%s", t->name);
        head = vector_floats(v, name);
        assert_close(name, params + t->offset, head, vector_tensor(v, name)->bytes.size / sizeof *head, 1e-3);
        free(head);
    }
}

static struct optimizer *optimizer_of(const struct vector *v, size_t P)
{
    struct optimizer *optimizer;
    struct error err = ERROR_INIT;
    char json[256];

    snprintf(json, sizeof json, "{\"name\": \"%s\", \"args\": {\"lr\": %s, \"momentum\": %s}}",
             vector_meta(v, "optimizer", ""), vector_meta(v, "lr", ""), vector_meta(v, "momentum", "0"));
    cr_assert_eq(optimizer_new(span_of(json, strlen(json)), 0, P, &optimizer, &err), OK, "%s", err.message);
    return optimizer;
}

static void replay(const char *vector_name, const char *model_name)
{
    struct vector v = vector_open(vector_name);
    struct model *model = shipped(model_name);
    const struct layout *layout = model_layout(model);
    size_t D = model_input_size(model), O = model_output_size(model);
    int N = (int)vector_tensor(&v, "x")->dims[1];
    float *x = vector_floats(&v, "x"), *losses_expected = vector_floats(&v, "losses");
    float *first = vector_floats(&v, "first_output");
    int32_t *labels = vector_labels(&v, "y");
    float *params = malloc(layout->num_floats * sizeof *params), *grads = malloc(layout->num_floats * sizeof *grads);
    struct optimizer *optimizer = optimizer_of(&v, layout->num_parameters);
    struct workspace *ws;

    load_initial(&v, layout, params);
    cr_assert_eq(workspace_new(model, N, true, &ws, NULL), OK);
    assert_close("first output", model_forward(model, ws, params, x, N, true, NULL), first, (size_t)N * O, 1e-4);
    for (size_t i = 0; i < 4; i++) {
        struct targets target = {.labels = labels + i * (size_t)N};
        struct loss_sums sums = {0};
        train_step(model, ws, loss_find(vector_meta(&v, "loss", "")), optimizer, params, grads, x + i * (size_t)N * D,
                   target, N, NULL, &sums);
        float loss = (float)(sums.loss / (double)sums.predictions);

        assert_close("loss", &loss, losses_expected + i, 1, 1e-3);
    }
    check_final(&v, layout, params);
    optimizer_free(optimizer);
    workspace_free(ws);
    model_free(model);
    vector_close(&v);
    free(x), free(losses_expected), free(first), free(labels), free(params), free(grads);
}

Test(run, training_replays_pytorch)
{
    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", sets[set], 1);
        replay("model_lenet5", "LeNet5");
        replay("model_mlp_2nn", "MLP_2NN");
        replay("model_logistic", "LogisticRegression");
    }
}

/* --- repeatability ---------------------------------------------------------------------------------------------- */

struct training {
    struct model *model;
    size_t P;
    float *params;
};

static void fill_batch(size_t step, size_t N, size_t D, float *x, int32_t *labels)
{
    struct rng rng;

    rng_init(&rng, 11, "test", "batch", step);
    for (size_t i = 0; i < N * D; i++)
        x[i] = rng_uniform_between(&rng, 0, 1);
    for (size_t n = 0; n < N; n++)
        labels[n] = (int32_t)rng_below(&rng, 10);
}

/* Ten steps of batches of 20, 20, …, 7 in a workspace for `max_batch`. */
static void train(struct training *t, int max_batch)
{
    size_t D = model_input_size(t->model);
    float *x = malloc(20 * D * sizeof *x), *grads = malloc(t->P * sizeof *grads);
    int32_t labels[20];
    struct optimizer *optimizer;
    struct workspace *ws;

    model_init_params(t->model, 1, t->params);
    cr_assert_eq(workspace_new(t->model, max_batch, true, &ws, NULL), OK);
    cr_assert_eq(optimizer_new(span_of(NULL, 0), 1e-3, t->P, &optimizer, NULL), OK);
    for (size_t step = 0; step < 10; step++) {
        size_t N = step == 9 ? 7 : 20;

        fill_batch(step, N, D, x, labels);
        train_step(t->model, ws, losses[0], optimizer, t->params, grads, x, (struct targets){.labels = labels}, (int)N,
                   NULL, &(struct loss_sums){0});
    }
    optimizer_free(optimizer);
    workspace_free(ws);
    free(x), free(grads);
}

Test(run, the_same_training_gives_the_same_bytes)
{
    struct training a = {.model = shipped("LeNet5")}, b;

    a.P = model_layout(a.model)->num_floats;
    b = a;
    a.params = malloc(a.P * sizeof *a.params);
    b.params = malloc(b.P * sizeof *b.params);
    train(&a, 20);
    train(&b, 20);
    cr_assert_arr_eq(a.params, b.params, a.P * sizeof *a.params);
    train(&b, 150);
    cr_assert_arr_eq(a.params, b.params, a.P * sizeof *a.params, "the workspace's size must not matter");
    free(a.params), free(b.params);
    model_free(a.model);
}

/* The mean gradient of a batch is the mean of its samples' gradients: also across blocks, and in part-filled ones. */
Test(run, a_batchs_gradient_is_the_mean_of_its_samples)
{
    enum { N = 21 };
    struct model *model = shipped("LeNet5");
    size_t P = model_layout(model)->num_parameters, D = model_input_size(model);
    float *params = malloc(P * sizeof *params), *x = malloc(N * D * sizeof *x), gy[N * 10];
    float *whole = malloc(P * sizeof *whole), *one = malloc(P * sizeof *one), *mean = calloc(P, sizeof *mean);
    int32_t labels[N];
    struct workspace *ws;

    model_init_params(model, 5, params);
    fill_batch(0, N, D, x, labels);
    cr_assert_eq(workspace_new(model, N, true, &ws, NULL), OK);
    losses[0]->evaluate(model_forward(model, ws, params, x, N, true, NULL), (struct targets){.labels = labels}, N, 10,
                        gy, &(struct loss_sums){0});
    model_backward(model, ws, params, gy, whole, NULL);
    for (size_t n = 0; n < N; n++) {
        losses[0]->evaluate(model_forward(model, ws, params, x + n * D, 1, true, NULL),
                            (struct targets){.labels = labels + n}, 1, 10, gy, &(struct loss_sums){0});
        model_backward(model, ws, params, gy, one, NULL);
        for (size_t i = 0; i < P; i++)
            mean[i] += one[i] / N;
    }
    assert_close("gradient", whole, mean, P, 1e-5);
    workspace_free(ws);
    model_free(model);
    free(params), free(x), free(whole), free(one), free(mean);
}

/* A workspace for LeNet-5 must stay small: a thousand workers share one machine. */
Test(run, workspaces_are_small)
{
    struct model *model = shipped("LeNet5");
    struct workspace *train_ws, *inference;

    cr_assert_eq(workspace_new(model, 32, true, &train_ws, NULL), OK);
    cr_assert_eq(workspace_new(model, 10000, false, &inference, NULL), OK);
    cr_assert_lt(workspace_bytes(train_ws), 2500000);
    cr_assert_lt(workspace_bytes(inference), 2500000);
    cr_assert_null(workspace_gradient(inference));
    workspace_free(train_ws);
    workspace_free(inference);
    cr_assert_eq(workspace_new(model, 0, true, &train_ws, NULL), ERR_INVALID);
    model_free(model);
}

/* Its first activations are 64 x 224 x 224. */
Test(run, activations_beyond_an_int_are_refused)
{
    struct model *model = shipped("VGG");
    struct workspace *ws;
    struct error err = ERROR_INIT;

    cr_assert_eq(workspace_new(model, 1024, true, &ws, &err), ERR_TOO_LARGE);
    cr_assert(strstr(err.message, "a batch of 1024"), "%s", err.message);
    cr_assert_null(ws);
    model_free(model);
}

/* --- evaluation ------------------------------------------------------------------------------------------------- */

static void fetch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    size_t D = *(const size_t *)context;

    (void)values;
    for (size_t i = 0; i < count; i++)
        fill_batch(first + i, 1, D, x + i * D, labels + i);
}

Test(run, evaluation_does_not_depend_on_threads)
{
    struct model *model = shipped("LeNet5");
    size_t D = model_input_size(model);
    struct batch_source source = {.num_items = 333, .fetch = fetch, .context = &D};
    float *params = malloc(model_layout(model)->num_floats * sizeof *params);
    struct evaluation first, other;

    model_init_params(model, 1, params);
    cr_assert_eq(evaluate(model, losses[0], params, &source, 32, 1, NULL, NULL, &first, NULL), OK);
    cr_assert_eq(first.num_items, 333);
    cr_assert_float_eq(first.loss, log(10), 0.1, "untrained weights guess");
    for (int threads = 2; threads < 40; threads += 7) {
        cr_assert_eq(evaluate(model, losses[0], params, &source, 32, threads, NULL, NULL, &other, NULL), OK);
        cr_assert_eq(first.loss, other.loss);
        cr_assert_eq(first.accuracy, other.accuracy);
    }
    cr_assert_eq(evaluate(model, losses[0], params, &source, 1, 1, NULL, NULL, &other, NULL), OK);
    cr_assert_float_eq(first.loss, other.loss, 1e-6);
    cr_assert_eq(first.accuracy, other.accuracy);
    free(params);
    model_free(model);
}

static bool after_three(const void *context)
{
    return ++*(int *)context > 3;
}

Test(run, evaluation_can_be_stopped_and_refuses_nothing)
{
    struct model *model = shipped("LogisticRegression");
    size_t D = model_input_size(model);
    struct batch_source source = {.num_items = 4000, .fetch = fetch, .context = &D};
    float params[610] = {0};
    struct evaluation out;
    int asked = 0;

    cr_assert_eq(evaluate(model, losses[0], params, &source, 16, 1, after_three, &asked, &out, NULL), ERR_CANCELLED);
    cr_assert_eq(asked, 4);
    source.num_items = 0;
    cr_assert_eq(evaluate(model, losses[0], params, &source, 16, 1, NULL, NULL, &out, NULL), ERR_INVALID);
    model_free(model);
}
