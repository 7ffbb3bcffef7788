/* What the worker's tests train on: a small learnable data set of 28x28 images, and LeNet-5. */
#ifndef FLOSIM_TESTS_WORKER_BENCH_DATA_H
#define FLOSIM_TESTS_WORKER_BENCH_DATA_H

#include "data/dataset.h"
#include "nn/model.h"
#include "util/span.h"

/* `n` images of 10 classes in turn: a bright square whose place tells the class, over noise. */
void bench_data_make(struct dataset *out, size_t n);

/* PATH/<name> becomes a worker's data set folder with them. */
void bench_data_write(const char *path, const char *name, size_t n);

/* LeNet-5's model.yaml, and the network itself. */
extern const char lenet_yaml[];
struct model *lenet_load(void);

/* Its weights from a seed, as a safetensors image (new). */
struct blob *lenet_weights(const struct model *model, uint64_t seed);

#endif
