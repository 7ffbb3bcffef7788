/* Evaluation of models that carry their state from one window to the next, against PyTorch 1.13.1. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "nn/run.h"

/* Two texts as windows of T tokens that predict the next ones: 8 windows of the first, then 3 of the second. */
enum { T = 4, FIRST = 8, SECOND = 3, WINDOWS = FIRST + SECOND, VOCABULARY = 7 };

static const char text[] = "input: {tokens: {length: 4, vocabulary: 7}}\n"
                           "layers:\n"
                           "  - embedding: {embedding: {dim: 3}}\n"
                           "  - lstm: {lstm: {hidden: 5, layers: 2, return: all, carry: true}}\n"
                           "  - fc: {linear: {out: 7}}\n";

static int32_t token(size_t window, size_t t)
{
    int32_t i = (int32_t)((window < FIRST ? window : window - FIRST) * T + t);

    return (window < FIRST ? i * i + 3 * i : 2 * i * i + i + 5) % VOCABULARY;
}

static void fetch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    (void)context, (void)values;
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < T; t++) {
            x[i * T + t] = (float)token(first + i, t);
            labels[i * T + t] = token(first + i, t + 1);
        }
}

static bool follows(const void *context, size_t i)
{
    (void)context;
    return i != FIRST;
}

static bool nothing_follows(const void *context, size_t i)
{
    (void)context, (void)i;
    return false;
}

/* Value i of tensor t, in the state dict's order, is 1.5 sin(0.7 i + t). */
static float *weights(const struct model *model)
{
    const struct layout *layout = model_layout(model);
    float *params = malloc(layout->num_floats * sizeof *params);

    for (size_t t = 0; t < layout->num_tensors; t++)
        for (size_t i = 0; i < layout->tensors[t].count; i++)
            params[layout->tensors[t].offset + i] = (float)(1.5 * sin(0.7 * (double)i + (double)t));
    return params;
}

static double perplexity(const struct model *model, const float *params, bool (*goes_on)(const void *, size_t),
                         int batch, int threads)
{
    const struct batch_source source = {.num_items = WINDOWS, .fetch = fetch, .follows = goes_on};
    struct evaluation out;

    cr_assert_eq(evaluate(model, loss_find("crossentropy"), params, &source, batch, threads, NULL, NULL, &out, NULL),
                 OK);
    cr_assert_eq(out.num_items, WINDOWS);
    return out.perplexity;
}

/* nn.Embedding, nn.LSTM and nn.Linear with these weights: the state goes from window to window of a text and begins
 * anew with the next text; in two columns also in the first text's middle (after 6 windows). */
Test(carry, perplexity_is_pytorchs)
{
    struct diags *diags = diags_new();
    struct model *model;

    cr_assert_eq(model_load_text(text, "model.yaml", NULL, &model, diags), OK);
    float *params = weights(model);
    for (int threads = 1; threads < 4; threads++) {
        cr_assert_float_eq(perplexity(model, params, follows, 1, threads), 11.579292, 1e-4);
        cr_assert_float_eq(perplexity(model, params, follows, 2, threads), 11.741324, 1e-4);
    }
    cr_assert_float_eq(perplexity(model, params, nothing_follows, 1, 1), 9.769294, 1e-4);
    cr_assert_float_eq(perplexity(model, params, nothing_follows, 100, 2), 9.769294, 1e-4);
    free(params);
    model_free(model);
    diags_free(diags);
}

static bool at_the_fifth(const void *context)
{
    return ++*(int *)context == 5;
}

Test(carry, a_long_text_can_be_stopped_within)
{
    struct diags *diags = diags_new();
    const struct batch_source source = {.num_items = WINDOWS, .fetch = fetch, .follows = follows};
    struct evaluation out;
    struct model *model;
    int asked = 0;

    cr_assert_eq(model_load_text(text, "model.yaml", NULL, &model, diags), OK);
    float *params = weights(model);
    cr_assert_eq(evaluate(model, loss_find("crossentropy"), params, &source, 1, 1, at_the_fifth, &asked, &out, NULL),
                 ERR_CANCELLED);
    cr_assert_eq(asked, 5);
    free(params);
    model_free(model);
    diags_free(diags);
}
