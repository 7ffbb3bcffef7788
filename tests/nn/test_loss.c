#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/loss.h"
#include "util/rng.h"
#include "vectors.h"

/* The vectors have PyTorch's words. */
static const char *name_of(const char *word)
{
    static const char *const names[][2] = {{"bce", "binary_crossentropy"},
                                           {"kldiv", "binary_kldiv"},
                                           {"l1", "binary_l1loss"},
                                           {"mse", "mean_square_error"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i][0]) == 0)
            return names[i][1];
    return word;
}

static void check_vector(const char *name, const struct vector *v, const struct loss_ops *loss)
{
    const struct safetensors_tensor *input = vector_tensor(v, "input");
    size_t O = input->num_dims > 1 ? (size_t)input->dims[input->num_dims - 1] : 1;
    size_t N = input->bytes.size / sizeof(float) / O;
    float *y = vector_floats(v, "input"), *grad = vector_floats(v, "grad"), *value = vector_floats(v, "value");
    float *values = loss->wants_values ? vector_floats(v, "target") : NULL, *gy = malloc(N * O * sizeof *gy), mean;
    int32_t *labels = loss->wants_values ? NULL : vector_labels(v, "target");
    struct loss_sums sums = {0}, again = {0};

    loss->evaluate(y, (struct targets){labels, values}, N, O, gy, &sums);
    mean = (float)(sums.loss / (double)N);
    assert_close(name, &mean, value, 1, 1e-4);
    assert_close(name, gy, grad, N * O, 1e-4);
    loss->evaluate(y, (struct targets){labels, values}, N, O, NULL, &again);
    cr_assert_eq(again.loss, sums.loss, "the value depends on whether gradients are asked for");
    free(labels), free(y), free(grad), free(value), free(values), free(gy);
}

/* A row without a vector fails: its gradient may be the slope of a wrong value. */
Test(loss, every_row_agrees_with_pytorch)
{
    char **names = vector_names("loss_");

    for (size_t k = 0; losses[k]; k++) {
        int checked = 0;

        for (size_t i = 0; names[i]; i++) {
            struct vector v = vector_open(names[i]);

            if (strcmp(name_of(vector_meta(&v, "loss", "")), losses[k]->name) == 0)
                check_vector(names[i], &v, losses[k]), checked++;
            vector_close(&v);
        }
        cr_assert_geq(checked, 1, "%s needs a vector, tests/vectors/loss_*.safetensors", losses[k]->name);
        cr_assert_eq(loss_find(losses[k]->name), losses[k]);
    }
    vector_names_free(names);
}

static double value_of(const struct loss_ops *loss, const float *y, struct targets target, size_t N, size_t O)
{
    struct loss_sums sums = {0};

    loss->evaluate(y, target, N, O, NULL, &sums);
    cr_assert_eq(sums.predictions, (int64_t)N);
    return sums.loss;
}

struct slope_case {
    const struct loss_ops *loss;
    size_t N, O;
    float *y, *gy, *values;
    int32_t *labels;
};

static void fill_case(struct slope_case *c, uint64_t number)
{
    bool values = c->loss->wants_values;
    struct rng rng;

    rng_init(&rng, 5, "test", c->loss->name, number);
    for (size_t i = 0; i < c->N * c->O; i++) {
        c->y[i] = values ? rng_uniform_between(&rng, 0.2F, 0.8F) : rng_uniform_between(&rng, -2, 2);
        c->values[i] = rng_uniform_between(&rng, 0, 1);
        if (fabsf(c->values[i] - c->y[i]) < 0.01F) /* the absolute error has a kink */
            c->values[i] += 0.05F;
    }
    for (size_t i = 0; i < c->N; i++)
        c->labels[i] = (int32_t)rng_below(&rng, c->O);
}

static void check_slopes(const struct slope_case *c)
{
    struct targets target =
        c->loss->wants_values ? (struct targets){.values = c->values} : (struct targets){.labels = c->labels};
    /* Losses on values compute in double, so that small steps are exact enough. */
    float step = c->loss->wants_values ? 1.0F / 1024 : 1.0F / 64;

    c->loss->evaluate(c->y, target, c->N, c->O, c->gy, &(struct loss_sums){0});
    for (size_t i = 0; i < c->N * c->O; i++) {
        float kept = c->y[i];
        double above, below;

        c->y[i] = kept + step;
        above = value_of(c->loss, c->y, target, c->N, c->O);
        c->y[i] = kept - step;
        below = value_of(c->loss, c->y, target, c->N, c->O);
        c->y[i] = kept;
        cr_assert_float_eq((above - below) / (2 * (double)step) / (double)c->N, (double)c->gy[i], 1e-3 / (double)c->N,
                           "%s %zu", c->loss->name, i);
    }
}

/* Every row of the registry at several shapes. */
Test(loss, gradients_are_the_slopes)
{
    static const size_t shapes[][2] = {{1, 2}, {3, 10}, {17, 5}, {2, 100}, {16, 1}};

    for (size_t k = 0; losses[k]; k++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            size_t n = shapes[s][0] * shapes[s][1];
            struct slope_case c = {.loss = losses[k], .N = shapes[s][0], .O = shapes[s][1]};

            c.y = malloc(n * sizeof *c.y);
            c.gy = malloc(n * sizeof *c.gy);
            c.values = malloc(n * sizeof *c.values);
            c.labels = malloc(c.N * sizeof *c.labels);
            fill_case(&c, s);
            check_slopes(&c);
            free(c.y), free(c.gy), free(c.values), free(c.labels);
        }
}

Test(loss, values_give_errors_and_correct_answers)
{
    const float y[] = {0.9F, 0.2F, 0.4F, 0.8F}, values[] = {1, 0, 1, 1};
    struct loss_sums sums = {0};

    loss_find("binary_crossentropy")->evaluate(y, (struct targets){.values = values}, 4, 1, NULL, &sums);
    cr_assert_eq(sums.correct, 3);
    cr_assert_eq(sums.predictions, 4);
    cr_assert_float_eq(sums.absolute_error, 0.1 + 0.2 + 0.6 + 0.2, 1e-6);
    cr_assert_float_eq(sums.squared_error, 0.01 + 0.04 + 0.36 + 0.04, 1e-6);
    sums = (struct loss_sums){0};
    loss_find("mean_square_error")->evaluate(y, (struct targets){.values = values}, 2, 2, NULL, &sums);
    cr_assert_float_eq(sums.loss, (0.01 + 0.04 + 0.36 + 0.04) / 2, 1e-6, "a prediction's loss is the mean over values");
    cr_assert_eq(sums.predictions, 2);
}

Test(loss, a_sure_and_wrong_probability_costs_a_hundred)
{
    const float y[] = {0, 1}, values[] = {1, 0};
    struct loss_sums sums = {0};
    float gy[2];

    loss_find("binary_crossentropy")->evaluate(y, (struct targets){.values = values}, 2, 1, gy, &sums);
    cr_assert_float_eq(sums.loss, 200, 1e-9);
    cr_assert(isfinite(gy[0]) && isfinite(gy[1]));
}

Test(loss, labels_become_values)
{
    const int32_t labels[] = {1, 0};
    float values[6];

    targets_from_labels(labels, 2, 3, values);
    cr_assert_arr_eq(values, ((float[]){0, 1, 0, 1, 0, 0}), sizeof values);
    targets_from_labels(labels, 2, 1, values);
    cr_assert_arr_eq(values, ((float[]){1, 0}), 2 * sizeof *values);
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
