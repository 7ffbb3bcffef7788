/* Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 images of 28x28 grey pixels, 10 classes, from Debian's package
 * dataset-fashion-mnist. Any folder with the four files of the same names serves: the original MNIST too. */
#include <stdlib.h>
#include <string.h>

#include "data/idx.h"
#include "data/source.h"
#include "data/transform_args.h"
#include "util/fs.h"

struct args {
    char *path;
    struct transform_args transform;
};

/* mean and std are those of the training pixels scaled to 0..1. */
// clang-format off
static const struct param rows[] = {
    {.name = "path", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, path),
     .fallback = "/usr/share/datasets/fashion-mnist",
     .help = "Folder of the four IDX files (train-images-idx3-ubyte and so on, .gz or plain)."},
    TRANSFORM_ROWS(offsetof(struct args, transform), "0.2860", "0.3530", "2"),
};
// clang-format on

static const struct param_table table = {
    .name = "source fashion-mnist",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static const char remedy[] = "install it with `apt-get install --reinstall dataset-fashion-mnist`, or set `path`";

/* The file with or without .gz, whichever is there; new string. */
static char *file_in(const char *folder, const char *name)
{
    char *plain = fs_join(folder, name);
    size_t size = plain ? strlen(plain) + sizeof ".gz" : 0;
    char *compressed = plain ? malloc(size) : NULL;

    if (!compressed || fs_exists(plain)) {
        free(compressed);
        return plain;
    }
    memcpy(compressed, plain, strlen(plain));
    memcpy(compressed + strlen(plain), ".gz", sizeof ".gz");
    free(plain);
    return compressed;
}

static int load_part(const struct args *args, const char *images, const char *labels, struct dataset *out,
                     struct diags *diags)
{
    char *images_path = file_in(args->path, images), *labels_path = file_in(args->path, labels);
    int status = ERR_MEMORY;

    memset(out, 0, sizeof *out);
    strcpy(out->name, "fashion-mnist");
    out->num_classes = 10;
    if (images_path && labels_path)
        status = idx_load(images_path, labels_path, NULL, remedy, out, diags);
    else
        diag_error(diags, (struct diag_place){args->path, 0, 0}, "out of memory");
    if (!status)
        status = transform_apply(out, &args->transform, images_path, diags);
    free(images_path);
    free(labels_path);
    return status;
}

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;

    (void)seed;
    memset(out, 0, sizeof *out);
    if (!args->path || !fs_is_dir(args->path)) {
        diag_error(diags, (struct diag_place){args->path ? args->path : "path", 0, 0}, "no such folder; %s", remedy);
        return ERR_NOT_FOUND;
    }
    int status = load_part(args, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", &out->train, diags);
    int second = load_part(args, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", &out->validation, diags);
    if (!status)
        status = second;
    if (status)
        data_pair_fini(out);
    return status;
}

const struct source_ops source_fashion_mnist = {
    .name = "fashion-mnist",
    .help = "Fashion-MNIST, Debian's dataset-fashion-mnist: 60,000 + 10,000 images of 28x28, 10 classes.",
    .params = &table,
    .load = load,
};
