#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/loss.h"
#include "util/rng.h"
#include "vectors.h"

Test(loss, agrees_with_pytorch)
{
    int checked = 0;
    char **names = vector_names("loss_");

    for (size_t i = 0; names[i]; i++) {
        struct vector v = vector_open(names[i]);
        const struct loss_ops *loss = loss_find(vector_meta(&v, "loss", ""));

        if (loss) {
            const struct safetensors_tensor *input = vector_tensor(&v, "input");
            int N = (int)input->dims[0];
            size_t O = (size_t)input->dims[1];
            bool classes = strcmp(vector_tensor(&v, "target")->dtype, "I64") == 0;
            int32_t *labels = classes ? vector_labels(&v, "target") : NULL;
            float *y = vector_floats(&v, "input"), *grad = vector_floats(&v, "grad"),
                  *value = vector_floats(&v, "value");
            float *values = classes ? NULL : vector_floats(&v, "target"), *gy = malloc((size_t)N * O * sizeof *gy);
            struct loss_sums sums = {0}, again = {0};
            loss->evaluate(y, (struct targets){labels, values}, (size_t)N, O, gy, &sums);
            float mean = (float)(sums.loss / N);

            assert_close(names[i], &mean, value, 1, 1e-4);
            assert_close(names[i], gy, grad, (size_t)N * O, 1e-4);
            loss->evaluate(y, (struct targets){labels, values}, (size_t)N, O, NULL, &again);
            cr_assert_eq(again.loss, sums.loss, "the value depends on whether gradients are asked for");
            free(labels), free(y), free(grad), free(value), free(values), free(gy);
            checked++;
        }
        vector_close(&v);
    }
    for (int k = 0; losses[k]; k++)
        checked--;
    cr_assert_geq(checked, 0, "a loss has no vector");
    vector_names_free(names);
}

static double value_of(const struct loss_ops *loss, const float *y, struct targets target, size_t N, size_t O)
{
    struct loss_sums sums = {0};

    loss->evaluate(y, target, N, O, NULL, &sums);
    cr_assert_eq(sums.predictions, (int64_t)N);
    return sums.loss;
}

/* Every row of the registry at several shapes; class targets (losses on values come with their own cases). */
Test(loss, gradients_are_the_slopes)
{
    static const int shapes[][2] = {{1, 2}, {3, 10}, {17, 5}, {2, 100}};

    for (size_t k = 0; losses[k]; k++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            int N = shapes[s][0];
            size_t O = (size_t)shapes[s][1], n = (size_t)N * O;
            float *y = malloc(n * sizeof *y), *gy = malloc(n * sizeof *gy);
            int32_t *labels = malloc((size_t)N * sizeof *labels);
            struct targets target = {.labels = labels};
            struct rng rng;

            rng_init(&rng, 5, "test", losses[k]->name, s);
            for (size_t i = 0; i < n; i++)
                y[i] = rng_uniform_between(&rng, -2, 2);
            for (int i = 0; i < N; i++)
                labels[i] = (int32_t)rng_below(&rng, O);
            losses[k]->evaluate(y, target, (size_t)N, O, gy, &(struct loss_sums){0});
            for (size_t i = 0; i < n; i++) {
                float kept = y[i];
                double above, below;

                y[i] = kept + 1.0F / 64;
                above = value_of(losses[k], y, target, (size_t)N, O);
                y[i] = kept - 1.0F / 64;
                below = value_of(losses[k], y, target, (size_t)N, O);
                y[i] = kept;
                cr_assert_float_eq((above - below) * 32 / N, (double)gy[i], 1e-3 / N, "%s %zu", losses[k]->name, i);
            }
            free(y), free(gy), free(labels);
        }
}

Test(loss, crossentropy_counts_and_does_not_overflow)
{
    const float y[6] = {1000, -1000, 0, 0, 5, -5};
    const int32_t labels[2] = {0, 2};
    float gy[6];
    struct loss_sums sums = {0};

    loss_find("crossentropy")->evaluate(y, (struct targets){.labels = labels}, 2, 3, gy, &sums);
    cr_assert_eq(sums.correct, 1);
    cr_assert_float_eq(sums.loss, 10 + log(1 + exp(-5) + exp(-10)), 1e-5);
    for (int i = 0; i < 6; i++)
        cr_assert(isfinite(gy[i]));
    cr_assert_null(loss_find("nonsense"));
}
