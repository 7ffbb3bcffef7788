/* Items and labels in NumPy's files: x, y, perhaps group. */
#include <string.h>

#include "data/labels.h"
#include "data/npz.h"
#include "data/source.h"
#include "data/transform_args.h"

struct args {
    char *train, *validation;
    int64_t classes;
    struct transform_args transform;
};

// clang-format off
static const struct param rows[] = {
    {.name = "train", .type = PARAM_STRING, .offset = offsetof(struct args, train), .flags = PARAM_REQUIRED | PARAM_FILE,
     .help = ".npz file with x [n, ...], y [n] or [n, targets] and perhaps group [n]; or a .npy whose name ends in "
             "x.npy, with its y.npy beside it."},
    {.name = "validation", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, validation),
     .help = "The same for validation; default: no validation set."},
    {.name = "classes", .type = PARAM_INT, .offset = offsetof(struct args, classes), .fallback = "0",
     .min = 0, .max = DATA_MAX_CLASSES, .help = "Number of classes; 0: the largest training label + 1."},
    TRANSFORM_ROWS(offsetof(struct args, transform), "0", "1", "0"),
};
// clang-format on

static const struct param_table table = {
    .name = "source npz",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int load_part(const void *opaque, bool validation, int32_t classes, struct dataset *out, struct diags *diags)
{
    const struct args *args = opaque;
    const char *path = validation ? args->validation : args->train;

    memset(out, 0, sizeof *out);
    strcpy(out->name, "npz");
    out->num_classes = classes;
    int status = npz_load(path, out, diags);
    return status ? status : transform_apply(out, &args->transform, path, diags);
}

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;

    (void)seed;
    return data_pair_load(load_part, args, (int32_t)args->classes, args->validation, out, diags);
}

const struct source_ops source_npz = {
    .name = "npz",
    .help = "Items and labels or values in NumPy's .npz or .npy files (x, y, perhaps group).",
    .params = &table,
    .load = load,
};
