#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/optimizer.h"
#include "vectors.h"

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

/* "optim_sgd_momentum_wd" is of kind sgd. */
static bool is_of_kind(const char *name, const char *kind)
{
    const char *word = name + strlen("optim_");

    return strcspn(word, "_") == strlen(kind) && strncmp(word, kind, strlen(kind)) == 0;
}

/* {"name": "sgd", "args": {…}} of the vector's metadata. */
static void request_of(const struct vector *v, const char *kind, char *json, size_t size)
{
    static const char *const keys[] = {"lr",    "momentum", "dampening", "weight_decay", "nesterov", "eps",
                                       "betas", "rho",      "alpha",     "centered",     "amsgrad",  "maximize"};
    size_t used;

    used = (size_t)snprintf(json, size, "{\"name\": \"%s\", \"args\": {", kind);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = vector_meta(v, keys[i], NULL);
        const char *format = strcmp(keys[i], "betas") == 0 ? "%s\"%s\": [%s]" : "%s\"%s\": %s";

        if (value)
            used += (size_t)snprintf(json + used, size - used, format, json[used - 1] == '{' ? "" : ", ", keys[i],
                                     strcmp(value, "True") == 0 ? "true" : value);
    }
    snprintf(json + used, size - used, "}}");
}

static void check_vector(const struct vector *v, const char *name, const char *json)
{
    float *p = vector_floats(v, "p0"), *grads = vector_floats(v, "grads"), *params = vector_floats(v, "params");
    struct optimizer *optimizer;
    struct error err = ERROR_INIT;

    cr_assert_eq(optimizer_new(text_span(json), 1, 6, &optimizer, &err), OK, "%s: %s", json, err.message);
    for (size_t step = 0; step < 5; step++) {
        optimizer_step(optimizer, NULL, p, grads + 6 * step);
        assert_close(name, p, params + 6 * step, 6, 1e-4);
    }
    optimizer_free(optimizer);
    free(p), free(grads), free(params);
}

static void check_on_every_set(const char *name, const char *kind)
{
    static const char *const sets[] = {"avx512", "avx2", "generic"};
    struct vector v = vector_open(name);
    char json[512];

    request_of(&v, kind, json, sizeof json);
    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", sets[set], 1);
        check_vector(&v, name, json);
    }
    vector_close(&v);
}

Test(optimizer, every_row_agrees_with_pytorch)
{
    char **names = vector_names("optim_");

    for (size_t k = 0; optimizers[k]; k++) {
        int checked = 0;

        for (size_t i = 0; names[i]; i++)
            if (is_of_kind(names[i], optimizers[k]->name))
                check_on_every_set(names[i], optimizers[k]->name), checked++;
        cr_assert_geq(checked, 1, "%s needs a vector, tests/vectors/optim_%s*.safetensors", optimizers[k]->name,
                      optimizers[k]->name);
    }
    vector_names_free(names);
}

/* Plain SGD at rate 1 shows the gradient that was taken. */
static void check_clip(const char *json, const float *grads, const float *taken)
{
    float p[3] = {0}, scratch[3];
    struct optimizer *optimizer;

    memcpy(scratch, grads, sizeof scratch);
    cr_assert_eq(optimizer_new(text_span(json), 1, 3, &optimizer, NULL), OK);
    optimizer_step(optimizer, NULL, p, scratch);
    for (int i = 0; i < 3; i++)
        cr_expect_float_eq(-p[i], taken[i], 1e-5, "%s: %g", json, (double)-p[i]);
    optimizer_free(optimizer);
}

Test(optimizer, clips_gradients)
{
    const float grads[3] = {3, -4, 12}; /* norm 13 */

    check_clip("{\"name\": \"sgd\"}", grads, grads);
    check_clip("{\"name\": \"sgd\", \"clip_norm\": 14}", grads, grads);
    check_clip("{\"name\": \"sgd\", \"clip_norm\": 6.5}", grads, (float[]){1.5F, -2, 6});
    check_clip("{\"name\": \"sgd\", \"clip_value\": 3.5}", grads, (float[]){3, -3.5F, 3.5F});
    check_clip("{\"name\": \"sgd\", \"args\": {\"maximize\": true}, \"clip_norm\": 6.5, \"clip_value\": 5}", grads,
               (float[]){-1.5F, 2, -5});
    cr_expect_neq(
        optimizer_new(text_span("{\"name\": \"sgd\", \"clip_norm\": -1}"), 1, 3, &(struct optimizer *){NULL}, NULL),
        OK);
}

/* 37 parameters, 5 steps: what the vectors' 6 cannot show is that no element beyond a register is forgotten. */
Test(optimizer, every_parameter_is_stepped_alike)
{
    static const char *const requests[] = {"{\"name\": \"adam\"}", "{\"name\": \"sgd\"}",
                                           "{\"name\": \"adam\", \"args\": {\"amsgrad\": true}}",
                                           "{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9}}"};

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct optimizer *many, *one;
        float p[37], g[37], single = 0.5F, grad = 0.25F;

        for (int j = 0; j < 37; j++) {
            p[j] = single;
            g[j] = grad;
        }
        cr_assert_eq(optimizer_new(text_span(requests[i]), 0.1, 37, &many, NULL), OK);
        cr_assert_eq(optimizer_new(text_span(requests[i]), 0.1, 1, &one, NULL), OK);
        for (int step = 0; step < 5; step++) {
            optimizer_step(many, NULL, p, g);
            optimizer_step(one, NULL, &single, &grad);
        }
        for (int j = 0; j < 37; j++)
            cr_assert_eq(p[j], single, "%s: parameter %d", requests[i], j);
        cr_assert_lt(single, 0.5F);
        optimizer_free(many);
        optimizer_free(one);
    }
}

Test(optimizer, absent_is_adam_and_lr_comes_from_the_session)
{
    struct optimizer *optimizer;
    float p = 1, g = 0.3F;

    cr_assert_eq(optimizer_new(span_of(NULL, 0), 0.01, 1, &optimizer, NULL), OK);
    optimizer_step(optimizer, NULL, &p, &g);
    cr_assert_float_eq(p, 0.99F, 1e-6, "Adam's first step is the learning rate, whatever the gradient");
    optimizer_free(optimizer);
    p = 1;
    cr_assert_eq(optimizer_new(text_span("{\"name\": \"sgd\", \"args\": {}}"), 0.5, 1, &optimizer, NULL), OK);
    optimizer_step(optimizer, NULL, &p, &g);
    cr_assert_float_eq(p, 0.85F, 1e-6);
    optimizer_free(optimizer);
    p = 1;
    cr_assert_eq(optimizer_new(text_span("{\"name\": \"sgd\", \"args\": {\"lr\": 0}}"), 0.5, 1, &optimizer, NULL), OK);
    optimizer_step(optimizer, NULL, &p, &g);
    cr_assert_eq(p, 1, "a learning rate of 0 was asked for");
    optimizer_free(optimizer);
}

/* torch.optim.Adam(lr=0.01) and SGD(lr=0.01, momentum=0.9, dampening=0.5), written out. */
static double naive_adam(double p, double g, int step, double state[2])
{
    state[0] = 0.9 * state[0] + 0.1 * g;
    state[1] = 0.999 * state[1] + 0.001 * g * g;
    double m = state[0] / (1 - pow(0.9, step)), v = state[1] / (1 - pow(0.999, step));
    return p - 0.01 * m / (sqrt(v) + 1e-8);
}

static double naive_sgd(double p, double g, int step, double state[2])
{
    state[0] = step == 1 ? g : 0.9 * state[0] + 0.5 * g;
    return p - 0.01 * state[0];
}

/* Gradients of the size of Adam's epsilon show it, changing ones its betas; the first step is not dampened. */
Test(optimizer, what_a_request_leaves_out_is_as_in_pytorch)
{
    static const float grads[2][5] = {{2e-8F, -1e-8F, 5e-8F, 3e-9F, -2e-8F}, {1, 0.1F, -2, 0.5F, 0.01F}};
    static const struct {
        const char *request;
        double (*naive)(double p, double g, int step, double state[2]);
    } cases[] = {{"{\"name\": \"adam\"}", naive_adam},
                 {"{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9, \"dampening\": 0.5}}", naive_sgd}};

    for (size_t i = 0; i < 4; i++) {
        double p = 0, state[2] = {0, 0};
        float value = 0;
        struct optimizer *optimizer;

        cr_assert_eq(optimizer_new(text_span(cases[i / 2].request), 0.01, 1, &optimizer, NULL), OK);
        for (int step = 1; step <= 5; step++) {
            float g = grads[i % 2][step - 1];
            optimizer_step(optimizer, NULL, &value, &g);
            p = cases[i / 2].naive(p, (double)g, step, state);
            cr_assert_float_eq((double)value, p, 1e-5 * fabs(p), "%s, step %d: %g, expected %g", cases[i / 2].request,
                               step, (double)value, p);
        }
        optimizer_free(optimizer);
    }
}

/* A strategy's terms are part of the gradient: mu (w - anchor) + correction, before clipping and momentum. */
Test(optimizer, adds_a_strategys_drift_to_each_gradient)
{
    static const float anchor[3] = {0.5F, -1, 2}, correction[3] = {0.1F, 0, -0.7F}, g[3] = {1, -2, 0.25F};
    static const struct drift drifts[] = {
        {0, NULL, NULL}, {0.3, anchor, NULL}, {0, NULL, correction}, {0.3, anchor, correction}};

    for (size_t kind = 0; kind < 8; kind++) {
        const struct drift *drift = &drifts[kind % 4];
        bool clips = kind >= 4;
        float w[3] = {1, 1, 1};
        double expected[3] = {1, 1, 1}, velocity[3] = {0, 0, 0};
        struct optimizer *optimizer;

        cr_assert_eq(
            optimizer_new(text_span(clips ? "{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9}, \"clip_value\": 0.8}"
                                          : "{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9}}"),
                          0.1, 3, &optimizer, NULL),
            OK);
        optimizer_set_drift(optimizer, drift);
        for (int step = 0; step < 4; step++) {
            float grads[3] = {g[0], g[1], g[2]};

            optimizer_step(optimizer, NULL, w, grads);
            for (size_t i = 0; i < 3; i++) {
                double all = (double)g[i] + (drift->anchor ? 0.3 * (expected[i] - (double)anchor[i]) : 0) +
                             (drift->correction ? (double)correction[i] : 0);

                all = clips ? fmax(-0.8, fmin(0.8, all)) : all;
                velocity[i] = 0.9 * velocity[i] + all;
                expected[i] -= 0.1 * velocity[i];
                cr_assert_float_eq(w[i], expected[i], 1e-6, "kind %zu, step %d: %g, expected %g", kind, step,
                                   (double)w[i], expected[i]);
            }
        }
        optimizer_free(optimizer);
    }
}

Test(optimizer, mistakes_are_named)
{
    static const char *const bad[][2] = {
        {"{\"name\": \"sdg\"}", "did you mean `sgd`?"},
        {"{\"name\": \"lion\"}", "there are: sgd, adam"},
        {"{\"args\": {}}", "name"},
        {"{\"name\": \"sgd\", \"args\": {\"momentun\": 0.9}}", "momentum"},
        {"{\"name\": \"sgd\", \"args\": {\"lr\": \"fast\"}}", "lr"},
        {"{\"name\": \"sgd\", \"args\": {\"lr\": -1}}", "lr"},
        {"{\"name\": \"sgd\", \"args\": {\"nesterov\": true}}", "nesterov"},
        {"{\"name\": \"adam\", \"args\": {\"betas\": [0.9]}}", "betas"},
        {"{\"name\": \"adam\", \"args\": {\"betas\": [0.9, 1]}}", "betas"},
        {"{\"name\": ", "optimizer"},
        {"", "name"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct optimizer *optimizer;
        struct error err = ERROR_INIT;

        cr_assert_eq(optimizer_new(text_span(bad[i][0]), 0.1, 4, &optimizer, &err), ERR_INVALID, "accepted: %s",
                     bad[i][0]);
        cr_assert_null(optimizer);
        cr_assert(strstr(err.message, bad[i][1]), "%s: `%s` lacks `%s`", bad[i][0], err.message, bad[i][1]);
    }
}
