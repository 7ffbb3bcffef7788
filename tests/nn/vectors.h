/* PyTorch's reference vectors (tests/vectors/README.md) and how results are held against them. */
#ifndef FLOSIM_TESTS_NN_VECTORS_H
#define FLOSIM_TESTS_NN_VECTORS_H

#include "codec/safetensors.h"
#include "nn/model.h"

struct vector {
    struct blob *blob;
    struct safetensors *file;
};

/* Open tests/vectors/<name>.safetensors; fails the test where it cannot. */
struct vector vector_open(const char *name);
void vector_close(struct vector *vector);

/* Names of the vectors that begin with `prefix`, NULL-terminated; vector_names_free. */
char **vector_names(const char *prefix);
void vector_names_free(char **names);

const struct safetensors_tensor *vector_tensor(const struct vector *vector, const char *name); /* must exist */
float *vector_floats(const struct vector *vector, const char *name);   /* new array; must exist */
int32_t *vector_labels(const struct vector *vector, const char *name); /* from I64; new array */
const char *vector_meta(const struct vector *vector, const char *key, const char *fallback);

/* Fails unless |found - expected| <= tolerance * (largest |expected| of the tensor) everywhere. */
void assert_close(const char *what, const float *found, const float *expected, size_t n, double tolerance);

/* Build from text, fail with the diagnostics where it does not. */
struct model *model_from_text(const char *text);

#endif
