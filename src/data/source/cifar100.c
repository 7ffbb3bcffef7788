/* CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32x32, 100 classes in 20 superclasses. mean and std are
 * those of the training pixels of each channel scaled to 0..1. */
#include "data/source/cifar.h"

static const char *const label_names[] = {"fine", "coarse", NULL};

// clang-format off
static const struct param rows[] = {
    CIFAR_ROWS("cifar-100-binary", "[train.bin]", "[test.bin]"),
    {.name = "labels", .type = PARAM_CHOICE, .offset = offsetof(struct cifar_args, labels), .fallback = "fine",
     .choices = label_names, .help = "The 100 fine classes, or the 20 coarse ones."},
    TRANSFORM_ROWS(offsetof(struct cifar_args, transform), "[0.5071, 0.4865, 0.4409]", "[0.2673, 0.2564, 0.2762]", "0"),
};
// clang-format on

static const struct param_table table = {
    .name = "source cifar100",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct cifar_args),
};

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct cifar_args *args = opaque;

    (void)seed;
    return cifar_source_load(args->labels ? CIFAR_100_COARSE : CIFAR_100_FINE, "cifar100", args, out, diags);
}

const struct source_ops source_cifar100 = {
    .name = "cifar100",
    .help = "CIFAR-100, binary version: 50,000 + 10,000 colour images of 32x32, 100 or 20 classes.",
    .params = &table,
    .load = load,
};
