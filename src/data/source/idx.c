/* Any images and labels in IDX files. */
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "data/source.h"
#include "data/transform_args.h"

struct args {
    char *train_images, *train_labels, *validation_images, *validation_labels;
    int64_t classes;
    struct idx_args idx;
    struct transform_args transform;
};

// clang-format off
static const struct param rows[] = {
    {.name = "train_images", .type = PARAM_STRING, .offset = offsetof(struct args, train_images),
     .flags = PARAM_REQUIRED | PARAM_FILE, .help = "IDX file of the training images, .gz or plain."},
    {.name = "train_labels", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, train_labels),
     .help = "Its labels; default: the same name with `labels` for `images` and `idx1` for `idx3`."},
    {.name = "validation_images", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, validation_images),
     .help = "IDX file of the validation images; default: no validation set."},
    {.name = "validation_labels", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, validation_labels),
     .help = "Its labels; found by name like those of the training images."},
    {.name = "classes", .type = PARAM_INT, .offset = offsetof(struct args, classes), .fallback = "0",
     .min = 0, .max = DATA_MAX_CLASSES, .help = "Number of classes; 0: the largest training label + 1."},
    IDX_ROWS(offsetof(struct args, idx)),
    TRANSFORM_ROWS(offsetof(struct args, transform), "0", "1", "0"),
};
// clang-format on

static const struct param_table table = {
    .name = "source idx",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int load_part(const void *opaque, bool validation, int32_t classes, struct dataset *out, struct diags *diags)
{
    const struct args *args = opaque;
    const char *images = validation ? args->validation_images : args->train_images;
    const char *labels = validation ? args->validation_labels : args->train_labels;

    memset(out, 0, sizeof *out);
    strcpy(out->name, "idx");
    out->num_classes = classes;
    int status = idx_load(images, labels, &args->idx, "check the file, or copy it again", out, diags);
    return status ? status : transform_apply(out, &args->transform, images, diags);
}

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;

    (void)seed;
    return data_pair_load(load_part, args, (int32_t)args->classes, args->validation_images, out, diags);
}

const struct source_ops source_idx = {
    .name = "idx",
    .help = "Images and labels in IDX files (MNIST's format), .gz or plain.",
    .params = &table,
    .load = load,
};
