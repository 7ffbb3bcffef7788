/* CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32x32, 10 classes. mean and std are those of the
 * training pixels of each channel scaled to 0..1. */
#include "data/source/cifar.h"

// clang-format off
static const struct param rows[] = {
    CIFAR_ROWS("cifar-10-batches-bin", "[data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, "
               "data_batch_5.bin]", "[test_batch.bin]"),
    TRANSFORM_ROWS(offsetof(struct cifar_args, transform), "[0.4914, 0.4822, 0.4465]", "[0.2470, 0.2435, 0.2616]", "0"),
};
// clang-format on

static const struct param_table table = {
    .name = "source cifar10",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct cifar_args),
};

static int load(const void *args, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    (void)seed;
    return cifar_source_load(CIFAR_10, "cifar10", args, out, diags);
}

const struct source_ops source_cifar10 = {
    .name = "cifar10",
    .help = "CIFAR-10, binary version: 50,000 + 10,000 colour images of 32x32, 10 classes.",
    .params = &table,
    .load = load,
};
