#include "data/transform_args.h"

static float of_channel(const struct double_list *list, int channel, float fallback)
{
    return list->n == 0 ? fallback : (float)list->items[list->n == 1 ? 0 : channel];
}

int transform_check(const struct dataset *dataset, struct error *err)
{
    int channels = dataset->transform.num_channels;

    if (channels == 1 || (dataset->num_dims == 3 && dataset->dims[0] == channels))
        return OK;
    return FAIL(err, ERR_INVALID,
                "mean and std are given for %d channels, but the items have %lld; give one for each, or one for all",
                channels, dataset->num_dims == 3 ? (long long)dataset->dims[0] : 1LL);
}

int transform_set(struct dataset *dataset, const struct transform_args *args, struct error *err)
{
    static const struct transform_args none;
    struct transform *t = &dataset->transform;

    args = args ? args : &none;
    size_t n = args->mean.n > args->std.n ? args->mean.n : args->std.n;
    if (n > DATA_MAX_CHANNELS || (args->mean.n > 1 && args->std.n > 1 && args->mean.n != args->std.n))
        return FAIL(err, ERR_INVALID,
                    "mean has %zu numbers and std has %zu: one each, or one for each of 2 to %d channels", args->mean.n,
                    args->std.n, DATA_MAX_CHANNELS);
    double scale = args->scale > 0 ? args->scale : dataset->type == DATA_U8 ? 1.0 / 255.0 : 1.0;
    *t = (struct transform){.scale = (float)scale, .padding = (int)args->padding, .num_channels = n > 1 ? (int)n : 1};
    for (int c = 0; c < t->num_channels; c++) {
        t->mean[c] = of_channel(&args->mean, c, 0.0f);
        t->std[c] = of_channel(&args->std, c, 1.0f);
    }
    return transform_check(dataset, err);
}

int transform_apply(struct dataset *dataset, const struct transform_args *args, const char *path, struct diags *diags)
{
    struct error err = ERROR_INIT;
    int status = transform_set(dataset, args, &err);

    if (status) {
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
        dataset_fini(dataset);
    }
    return status;
}
