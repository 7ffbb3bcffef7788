/* Evaluation on several threads gives what one thread gives, bit by bit. A plain program, so that ThreadSanitizer can
 * run it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run.h"

static const char text[] =
    "input: [1, 8, 8]\nlayers:\n  - c: {conv2d: {out: 3, kernel: 3, padding: 1}}\n  - {relu: {}}\n"
    "  - {maxpool2d: {kernel: 2}}\n  - {flatten: {}}\n  - f: {linear: {out: 4}}\n";

static void fetch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    struct rng rng;

    (void)context, (void)values;
    for (size_t i = 0; i < count; i++) {
        rng_init(&rng, 3, "test", "item", first + i);
        for (int d = 0; d < 64; d++)
            x[i * 64 + (size_t)d] = rng_uniform_between(&rng, -1, 1);
        labels[i] = (int32_t)rng_below(&rng, 4);
    }
}

static int check(const struct model *model, const float *params)
{
    struct batch_source source = {.num_items = 1003, .fetch = fetch};
    struct evaluation one, many;

    if (evaluate(model, losses[0], params, &source, 16, 1, NULL, NULL, &one, NULL) != OK)
        return 1;
    for (int threads = 2; threads <= 8; threads++) {
        if (evaluate(model, losses[0], params, &source, 16, threads, NULL, NULL, &many, NULL) != OK)
            return 1;
        if (one.loss != many.loss || one.accuracy != many.accuracy) {
            fprintf(stderr, "%d threads: loss %.17g, one thread: %.17g\n", threads, many.loss, one.loss);
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    struct diags *diags = diags_new();
    struct model *model;
    float *params;
    int failed;

    if (!diags || model_load_text(text, "model.yaml", NULL, &model, diags) != OK)
        return 1;
    params = malloc(model_layout(model)->num_floats * sizeof *params);
    if (!params)
        return 1;
    model_init_params(model, 1, params);
    failed = check(model, params);
    free(params);
    model_free(model);
    diags_free(diags);
    return failed;
}
