#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "tests/data/support.h"

static struct diags *load(const char *source, const char *yaml, uint64_t seed, struct data_pair *out, int *status)
{
    const struct source_ops *ops = data_source_find(source);
    struct diags *diags = diags_new();

    cr_assert_not_null(ops);
    void *args = args_from(ops->params, yaml);
    *status = ops->load(args, seed, out, diags);
    args_free(ops->params, args);
    return diags;
}

static struct data_pair load_ok(const char *source, const char *yaml, uint64_t seed)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(source, yaml, seed, &pair, &status);
    char *text = diags_text(diags);

    cr_assert_eq(status, OK, "%s", text);
    cr_assert_eq(diags_errors(diags), 0);
    free(text);
    diags_free(diags);
    return pair;
}

static void expect_refusal(const char *source, const char *yaml, const char *message)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(source, yaml, 1, &pair, &status);

    cr_assert_neq(status, OK);
    expect_finding(diags, message);
    cr_assert(!pair.train.memory && !pair.validation.memory);
    diags_free(diags);
}

Test(source, registry_rows_are_complete_and_found)
{
    for (size_t i = 0; data_sources[i]; i++) {
        const struct source_ops *ops = data_sources[i];
        cr_assert_eq(data_source_find(ops->name), ops);
        cr_assert(ops->help && ops->params && ops->load);
        for (size_t r = 0; r < ops->params->num_rows; r++)
            cr_assert_not_null(ops->params->rows[r].help);
    }
    cr_assert_null(data_source_find("nothing"));
}

/* The real thing, as Debian ships it: sizes, balance, and the documented mean and deviation of the pixels. */
Test(source, fashion_mnist)
{
    struct data_pair pair = load_ok("fashion-mnist", "{padding: 0}", 1);
    struct data_view train = {&pair.train, NULL, pair.train.num_items};
    double share[10], sum = 0.0, squares = 0.0;
    static float x[100 * 784];
    int32_t labels[100];

    cr_assert(pair.train.num_items == 60000 && pair.validation.num_items == 10000);
    cr_assert(pair.train.type == DATA_U8 && pair.train.num_classes == 10 && pair.train.item_size == 784);
    data_label_shares(&train, share);
    for (int c = 0; c < 10; c++)
        cr_assert_float_eq(share[c], 0.1, 1e-12);
    for (size_t first = 0; first < 60000; first += 100) {
        data_gather(&train, NULL, first, 100, x, labels, NULL);
        for (size_t i = 0; i < 100 * 784; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
    }
    cr_assert_float_eq(sum / (60000.0 * 784), 0.0, 1e-3);
    cr_assert_float_eq(squares / (60000.0 * 784), 1.0, 1e-3);
    cr_assert(pair.train.labels[0] == 9 && pair.train.labels[1] == 0 && pair.validation.labels[0] == 9);
    data_pair_fini(&pair);
}

Test(source, fashion_mnist_is_padded_to_32_by_default)
{
    struct data_pair pair = load_ok("fashion-mnist", "{}", 1);
    int64_t dims[DATA_MAX_DIMS];

    cr_assert_eq(dataset_shape(&pair.train, dims), 3);
    cr_assert(dims[0] == 1 && dims[1] == 32 && dims[2] == 32);
    data_pair_fini(&pair);
}

Test(source, fashion_mnist_says_what_to_install)
{
    expect_refusal("fashion-mnist", "{path: /nowhere}", "apt-get install --reinstall dataset-fashion-mnist");
    char *folder = scratch_new(), yaml[512];
    snprintf(yaml, sizeof yaml, "{path: %s}", folder);
    expect_refusal("fashion-mnist", yaml, "train-images-idx3-ubyte");
    expect_refusal("fashion-mnist", yaml, "t10k-labels-idx1-ubyte");
    scratch_free(folder);
}

static void write_idx(const char *folder, const char *prefix, uint32_t n, uint32_t rows, unsigned classes)
{
    char name[64];
    size_t size;
    unsigned char *bytes = idx_images(n, rows, 4, &size);

    snprintf(name, sizeof name, "%s-images-idx3-ubyte.gz", prefix);
    write_gz(path_in(folder, name), bytes, size);
    free(bytes);
    bytes = idx_labels(n, classes, &size);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte.gz", prefix);
    write_gz(path_in(folder, name), bytes, size);
    free(bytes);
}

Test(source, idx_reads_both_sets_with_the_classes_of_the_first)
{
    char *folder = scratch_new(), yaml[512];

    write_idx(folder, "t", 12, 4, 5);
    write_idx(folder, "v", 6, 4, 3);
    snprintf(yaml, sizeof yaml,
             "{train_images: %s/t-images-idx3-ubyte.gz, validation_images: %s/v-images-idx3-ubyte.gz}", folder, folder);
    struct data_pair pair = load_ok("idx", yaml, 1);
    cr_assert(pair.train.num_items == 12 && pair.validation.num_items == 6);
    cr_assert(pair.train.num_classes == 5 && pair.validation.num_classes == 5);
    cr_assert_float_eq((double)pair.train.transform.scale, 1.0 / 255.0, 1e-9);
    data_pair_fini(&pair);
    write_idx(folder, "v", 6, 4, 6);
    expect_refusal("idx", yaml, "label 5 of item 5 is not between 0 and 4");
    write_idx(folder, "v", 6, 5, 3);
    expect_refusal("idx", yaml, "another shape");
    scratch_free(folder);
}

Test(source, safetensors_reads_items_labels_and_groups)
{
    char *folder = scratch_new(), yaml[512];
    const char *path = path_in(folder, "a.safetensors");
    float x[] = {1, 2, 3, 4, 5, 6};
    int32_t y[] = {2, 0, 1}, group[] = {7, 7, 9};
    struct safetensors_tensor tensors[] = {
        {.name = "x", .dtype = "F32", .num_dims = 2, .dims = {3, 2}, .bytes = {x, sizeof x}},
        {.name = "y", .dtype = "I32", .num_dims = 1, .dims = {3}, .bytes = {y, sizeof y}},
        {.name = "group", .dtype = "I32", .num_dims = 1, .dims = {3}, .bytes = {group, sizeof group}}};

    cr_assert_eq(safetensors_write(path, tensors, 3, NULL, NULL), OK);
    snprintf(yaml, sizeof yaml, "{train: %s, mean: 1}", path);
    struct data_pair pair = load_ok("safetensors", yaml, 1);
    cr_assert(pair.train.num_items == 3 && pair.train.num_classes == 3 && pair.validation.num_items == 0);
    cr_assert(memcmp(pair.train.x, x, sizeof x) == 0 && memcmp(pair.train.groups, group, sizeof group) == 0);
    cr_assert(pair.train.transform.scale == 1.0f && pair.train.transform.mean[0] == 1.0f);
    data_pair_fini(&pair);

    y[1] = -1;
    cr_assert_eq(safetensors_write(path, tensors, 3, NULL, NULL), OK);
    expect_refusal("safetensors", yaml, "label -1 of item 1 is not between");
    y[1] = 0;
    cr_assert_eq(safetensors_write(path, tensors, 1, NULL, NULL), OK);
    expect_refusal("safetensors", yaml, "no tensor `y`");
    tensors[1].dims[0] = 2;
    tensors[1].bytes.size = 8;
    cr_assert_eq(safetensors_write(path, tensors, 2, NULL, NULL), OK);
    expect_refusal("safetensors", yaml, "`y` must have the shape [3]");
    json_t *metadata = json_pack("{s:s}", "std", "0");
    cr_assert_eq(safetensors_write(path, tensors, 2, metadata, NULL), OK);
    expect_refusal("safetensors", yaml, "metadata `std` is `0`");
    json_decref(metadata);
    scratch_free(folder);
}

/* The mean over items and dimensions of each device: B_k + N(0, 1/60), so its variance over devices is beta² + 1/60. */
static double variance_of_device_means(const struct dataset *d, size_t devices)
{
    double *sum = calloc(devices, sizeof *sum), *count = calloc(devices, sizeof *count), mean = 0.0, variance = 0.0;
    const float *x = d->x;

    for (size_t i = 0; i < d->num_items; i++)
        for (size_t j = 0; j < d->item_size; j++, x++) {
            sum[d->groups[i]] += (double)*x;
            count[d->groups[i]] += 1.0;
        }
    for (size_t k = 0; k < devices; k++)
        mean += sum[k] / count[k] / (double)devices;
    for (size_t k = 0; k < devices; k++)
        variance += pow(sum[k] / count[k] - mean, 2) / (double)devices;
    free(sum);
    free(count);
    return variance;
}

/* The mean over devices of the share of a device's most frequent label. */
static double mean_top_share(const struct dataset *d, size_t devices)
{
    size_t *counts = calloc(devices * 10, sizeof *counts);
    double mean = 0.0;

    for (size_t i = 0; i < d->num_items; i++)
        counts[(size_t)d->groups[i] * 10 + (size_t)d->labels[i]]++;
    for (size_t k = 0; k < devices; k++) {
        size_t top = 0, all = 0;
        for (size_t c = 0; c < 10; c++) {
            top = counts[10 * k + c] > top ? counts[10 * k + c] : top;
            all += counts[10 * k + c];
        }
        mean += (double)top / (double)all / (double)devices;
    }
    free(counts);
    return mean;
}

#define EQUAL "devices: 400, log_mean: 0, log_std: 0, min_samples: 49, validation_fraction: 0"

Test(source, synthetic_devices_differ_by_beta)
{
    struct data_pair alike = load_ok("synthetic", "{alpha: 0, beta: 0, " EQUAL "}", 3);
    struct data_pair unlike = load_ok("synthetic", "{alpha: 1, beta: 1, " EQUAL "}", 3);
    struct data_pair iid = load_ok("synthetic", "{iid: true, " EQUAL "}", 3);

    cr_assert(alike.train.num_items == 20000 && alike.train.item_size == 60 && alike.validation.num_items == 0);
    cr_assert_float_eq(variance_of_device_means(&alike.train, 400) * 60.0, 1.0, 0.25);
    cr_assert_float_eq(variance_of_device_means(&unlike.train, 400) / (1.0 + 1.0 / 60.0), 1.0, 0.25);
    cr_assert_lt(variance_of_device_means(&iid.train, 400), 1e-4);
    cr_assert_gt(mean_top_share(&unlike.train, 400), mean_top_share(&alike.train, 400));
    cr_assert_gt(mean_top_share(&alike.train, 400), 0.5); /* each device has a model of its own, even with 0, 0 */
    cr_assert_lt(mean_top_share(&iid.train, 400), 0.5);
    data_pair_fini(&alike);
    data_pair_fini(&unlike);
    data_pair_fini(&iid);
}

/* Within a device the variance of dimension j is j^-1.2. */
Test(source, synthetic_has_the_papers_covariance)
{
    struct data_pair pair = load_ok("synthetic", "{" EQUAL "}", 4);
    const float *x = pair.train.x;

    for (size_t j = 1; j <= 60; j += 19) {
        double variance = 0.0;
        for (size_t k = 0; k < 400; k++) {
            double sum = 0.0, squares = 0.0;
            for (size_t i = 50 * k; i < 50 * (k + 1); i++) {
                double value = (double)x[i * 60 + j - 1];
                sum += value;
                squares += value * value;
            }
            variance += (squares - sum * sum / 50.0) / 49.0 / 400.0;
        }
        cr_assert_float_eq(variance / pow((double)j, -1.2), 1.0, 0.05);
    }
    data_pair_fini(&pair);
}

/* alpha shifts all classes' scores of a device alike, so the data do not depend on it: a property of the recipe. */
Test(source, synthetic_labels_survive_alpha)
{
    struct data_pair zero = load_ok("synthetic", "{alpha: 0, " EQUAL "}", 5);
    struct data_pair five = load_ok("synthetic", "{alpha: 5, " EQUAL "}", 5);
    size_t same = 0;

    cr_assert_eq(memcmp(zero.train.x, five.train.x, 20000 * 60 * sizeof(float)), 0);
    for (size_t i = 0; i < 20000; i++)
        same += zero.train.labels[i] == five.train.labels[i];
    cr_assert_geq(same, 19999);
    data_pair_fini(&zero);
    data_pair_fini(&five);
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

Test(source, synthetic_sizes_are_heavy_tailed)
{
    struct data_pair pair = load_ok("synthetic", "{devices: 1000, dimension: 1, classes: 2}", 6);
    size_t sizes[1000] = {0}, held_out[1000] = {0};

    for (size_t i = 0; i < pair.train.num_items; i++)
        sizes[pair.train.groups[i]]++;
    for (size_t i = 0; i < pair.validation.num_items; i++)
        held_out[pair.validation.groups[i]]++;
    for (size_t k = 0; k < 1000; k++) {
        sizes[k] += held_out[k];
        cr_assert_geq(sizes[k], 50);
        cr_assert_eq(held_out[k], sizes[k] / 10);
    }
    qsort(sizes, 1000, sizeof *sizes, compare_sizes);
    /* 50 + exp(N(4, 2)): median 104.6, ninth decile 50 + exp(4 + 2.563) = 758 */
    cr_assert_float_eq((double)sizes[500], 104.6, 15.0);
    cr_assert_float_eq((double)sizes[900], 758.0, 200.0);
    data_pair_fini(&pair);
}

Test(source, synthetic_depends_on_seed_and_device_alone)
{
    struct data_pair a = load_ok("synthetic", "{devices: 3}", 7), b = load_ok("synthetic", "{devices: 5}", 7);
    struct data_pair c = load_ok("synthetic", "{devices: 3}", 8);
    size_t bytes = a.train.num_items * 60 * sizeof(float);

    cr_assert_eq(memcmp(a.train.x, b.train.x, bytes), 0, "a device changes when others are added");
    cr_assert_eq(memcmp(a.train.labels, b.train.labels, a.train.num_items * sizeof(int32_t)), 0);
    cr_assert_neq(memcmp(a.train.x, c.train.x, 60 * sizeof(float)), 0, "the seed has no effect");
    data_pair_fini(&a);
    data_pair_fini(&b);
    data_pair_fini(&c);
}

Test(source, synthetic_validation_is_mixed)
{
    struct data_pair pair = load_ok("synthetic", "{devices: 30}", 7);
    bool seen[30] = {false};
    int devices = 0;

    cr_assert_gt(pair.validation.num_items, 200);
    for (size_t i = 0; i < 100; i++) {
        devices += !seen[pair.validation.groups[i]];
        seen[pair.validation.groups[i]] = true;
    }
    cr_assert_gt(devices, 8);
    data_pair_fini(&pair);
}

Test(source, synthetic_refuses_slips)
{
    expect_refusal("synthetic", "{min_samples: 100, max_samples: 50}", "max_samples 50 is less than min_samples 100");
    expect_refusal("synthetic", "{devices: 10000, log_mean: 20, max_samples: 100000000}", "more than 64 GiB");
}
