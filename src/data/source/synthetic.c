/* Synthetic(alpha, beta) of Li et al. 2020 ("Federated Optimization in Heterogeneous Networks", section 5.1 and the
 * authors' generate_synthetic.py). Device k labels its items by y = argmax(W_k x + b_k):
 *   W_k, b_k ~ N(u_k, 1), u_k ~ N(0, alpha)     alpha: how much the local models differ
 *   x ~ N(v_k, S), v_k ~ N(B_k, 1), B_k ~ N(0, beta), S diagonal with S_jj = j^-1.2     beta: how much the local data
 * differ alpha and beta are standard deviations, as in the authors' code. The number of items of a device is
 * heavy-tailed: exp(N(log_mean, log_std)) + min_samples. Everything of a device comes from (seed, device). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"
#include "util/rng.h"

struct args {
    double alpha, beta;
    bool iid;
    int64_t dimension, classes, devices, min_samples, max_samples;
    double log_mean, log_std, validation_fraction;
};

enum { MAX_ITEMS_BYTES_SHIFT = 36 }; /* 64 GiB: refuse what can only be a slip */

// clang-format off
#define ROW(field, kind, text, low, high, sentence)                                                                    \
    {.name = #field, .type = kind, .offset = offsetof(struct args, field), .fallback = text, .min = low, .max = high,  \
     .help = sentence}
static const struct param rows[] = {
    ROW(alpha, PARAM_DOUBLE, "1", 0, 1000, "How much the local models differ (0: one prior for all)."),
    ROW(beta, PARAM_DOUBLE, "1", 0, 1000, "How much the local data differ (0: one prior for all)."),
    ROW(iid, PARAM_BOOL, "false", 0, 0, "One model and one distribution for all devices: the paper's Synthetic IID."),
    ROW(dimension, PARAM_INT, "60", 1, 100000, "Values of an item."),
    ROW(classes, PARAM_INT, "10", 2, 10000, "Number of classes."),
    ROW(devices, PARAM_INT, "30", 1, 1000000, "Devices that the data come from; with the scheme `natural`, one a client."),
    ROW(min_samples, PARAM_INT, "50", 1, 10000000, "The fewest items of a device."),
    ROW(max_samples, PARAM_INT, "100000", 1, 100000000, "The most items of a device; the tail is cut there."),
    ROW(log_mean, PARAM_DOUBLE, "4", 0, 20, "Items of a device are min_samples + exp(N(log_mean, log_std))."),
    ROW(log_std, PARAM_DOUBLE, "2", 0, 10, "0 gives every device the same number of items."),
    ROW(validation_fraction, PARAM_FRACTION, "0.1", 0, 0.9, "Part of each device's items that is held out for validation."),
};
// clang-format on

static const struct param_table table = {
    .name = "source synthetic",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* A device's generator is made anew for sizes and for items, so that neither depends on the other. */
static void device_rng(struct rng *rng, uint64_t seed, const char *purpose, int64_t device)
{
    char name[32];

    snprintf(name, sizeof name, "%lld", (long long)device);
    rng_init(rng, seed, purpose, name, 0);
}

static size_t device_size(const struct args *args, uint64_t seed, int64_t device)
{
    struct rng rng;

    device_rng(&rng, seed, "synthetic-size", device);
    double size = (double)args->min_samples + floor(exp(args->log_mean + args->log_std * rng_normal(&rng)));
    return (size_t)fmin(size, (double)args->max_samples);
}

static size_t validation_size(const struct args *args, size_t size)
{
    return (size_t)floor(args->validation_fraction * (double)size);
}

/* One device's prior, and its model: weights [dimension, classes], bias [classes]. */
struct device {
    double *weights, *bias, *center, *spread; /* center, spread [dimension] */
    double *scores;                           /* [classes] scratch */
};

static int device_new(const struct args *args, struct device *device, struct error *err)
{
    size_t dimension = (size_t)args->dimension, classes = (size_t)args->classes;
    size_t n = dimension * classes + 2 * classes + 2 * dimension;
    double *block = calloc(n, sizeof *block);

    if (!block)
        return FAIL(err, ERR_MEMORY, "no memory for a model of %zu values", n);
    device->weights = block;
    device->bias = device->weights + dimension * classes;
    device->scores = device->bias + classes;
    device->center = device->scores + classes;
    device->spread = device->center + dimension;
    for (size_t j = 0; j < dimension; j++)
        device->spread[j] = sqrt(pow((double)(j + 1), -1.2));
    return OK;
}

static void draw_device(const struct args *args, struct rng *rng, struct rng *shared, struct device *device)
{
    size_t dimension = (size_t)args->dimension, classes = (size_t)args->classes;
    double u = args->iid ? 0.0 : args->alpha * rng_normal(rng);
    double center = args->iid ? 0.0 : args->beta * rng_normal(rng);
    struct rng *model_rng = args->iid ? shared : rng;

    for (size_t j = 0; j < dimension; j++)
        device->center[j] = args->iid ? 0.0 : center + rng_normal(rng);
    for (size_t i = 0; i < dimension * classes; i++)
        device->weights[i] = u + rng_normal(model_rng);
    for (size_t c = 0; c < classes; c++)
        device->bias[c] = u + rng_normal(model_rng);
}

/* The label is taken from the stored floats, so that it is an exact function of the data. */
static int32_t label_of(const struct device *device, size_t dimension, size_t classes, const float *x)
{
    size_t best = 0;

    memcpy(device->scores, device->bias, classes * sizeof *device->scores);
    for (size_t j = 0; j < dimension; j++)
        for (size_t c = 0; c < classes; c++)
            device->scores[c] += (double)x[j] * device->weights[j * classes + c];
    for (size_t c = 1; c < classes; c++)
        if (device->scores[c] > device->scores[best])
            best = c;
    return (int32_t)best;
}

/* Where the next item goes: one after another, or as `order` says. */
struct cursor {
    struct dataset_fill fill;
    size_t next;
    uint32_t *order; /* owned; or NULL */
};

static void draw_items(const struct args *args, const struct device *device, struct rng *rng, int64_t group, size_t n,
                       struct cursor *to)
{
    size_t dimension = (size_t)args->dimension;

    for (size_t i = 0; i < n; i++, to->next++) {
        size_t at = to->order ? to->order[to->next] : to->next;
        float *x = (float *)to->fill.x + at * dimension;
        for (size_t j = 0; j < dimension; j++)
            x[j] = (float)(device->center[j] + device->spread[j] * rng_normal(rng));
        to->fill.labels[at] = label_of(device, dimension, (size_t)args->classes, x);
        to->fill.groups[at] = (int32_t)group;
    }
}

static void draw_all(const struct args *args, uint64_t seed, struct device *device, struct cursor *train,
                     struct cursor *validation)
{
    for (int64_t k = 0; k < args->devices; k++) {
        struct rng rng, shared;
        size_t size = device_size(args, seed, k), held_out = validation_size(args, size);
        device_rng(&rng, seed, "synthetic", k);
        rng_init(&shared, seed, "synthetic-model", "", 0);
        draw_device(args, &rng, &shared, device);
        draw_items(args, device, &rng, k, size - held_out, train);
        draw_items(args, device, &rng, k, held_out, validation);
    }
}

static void describe(const struct args *args, size_t num_items, struct dataset *out)
{
    memset(out, 0, sizeof *out);
    strcpy(out->name, "synthetic");
    out->num_items = num_items;
    out->num_dims = 1;
    out->dims[0] = args->dimension;
    out->type = DATA_F32;
    out->num_classes = (int32_t)args->classes;
    out->transform = transform_plain(1.0f, 0.0f, 1.0f, 0);
}

/* The validation set is mixed, so that its first n items are a fair sample of all devices. */
static int draw_order(uint64_t seed, size_t n, uint32_t **order, struct error *err)
{
    struct rng rng;

    if (!(*order = malloc(n * sizeof **order)))
        return FAIL(err, ERR_MEMORY, "no memory for %zu items", n);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = (uint32_t)i;
    rng_init(&rng, seed, "synthetic-order", "", 0);
    rng_shuffle_u32(&rng, *order, n);
    return OK;
}

static int allocate(const struct args *args, uint64_t seed, struct data_pair *out, struct cursor *train,
                    struct cursor *validation, struct error *err)
{
    size_t total = 0, held_out = 0;

    for (int64_t k = 0; k < args->devices; k++) {
        size_t size = device_size(args, seed, k);
        total += size;
        held_out += validation_size(args, size);
    }
    if (total > ((size_t)1 << MAX_ITEMS_BYTES_SHIFT) / sizeof(float) / (size_t)args->dimension)
        return FAIL(
            err, ERR_TOO_LARGE,
            "%zu items of %lld values are more than 64 GiB; take fewer devices, a lower log_mean or max_samples", total,
            (long long)args->dimension);
    describe(args, total - held_out, &out->train);
    describe(args, held_out, &out->validation);
    int status = dataset_alloc(&out->train, true, &train->fill, err);
    if (!status && held_out > 0)
        status = dataset_alloc(&out->validation, true, &validation->fill, err);
    return status || held_out == 0 ? status : draw_order(seed, held_out, &validation->order, err);
}

static int check_args(const struct args *args, struct error *err)
{
    if (args->max_samples < args->min_samples)
        return FAIL(err, ERR_INVALID, "max_samples %lld is less than min_samples %lld", (long long)args->max_samples,
                    (long long)args->min_samples);
    return OK;
}

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;
    struct error err = ERROR_INIT;
    struct device device = {0};
    struct cursor train = {0}, validation = {0};

    memset(out, 0, sizeof *out);
    int status = check_args(args, &err);
    if (!status)
        status = device_new(args, &device, &err);
    if (!status)
        status = allocate(args, seed, out, &train, &validation, &err);
    if (!status) {
        draw_all(args, seed, &device, &train, &validation);
        dataset_seal(&out->train);
        dataset_seal(&out->validation);
    } else {
        diag_error(diags, (struct diag_place){"synthetic", 0, 0}, "%s", err.message);
        data_pair_fini(out);
    }
    free(device.weights);
    free(validation.order);
    return status;
}

const struct source_ops source_synthetic = {
    .name = "synthetic",
    .help = "Synthetic(alpha, beta) of Li et al. 2020 (FedProx): devices with linear models and data of their own.",
    .params = &table,
    .load = load,
};
