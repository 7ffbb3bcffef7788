#include "sim/corruption.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "util/rng.h"

/* The Gaussian attack of Blanchard et al. 2017, where sigma is large. */
void corruption_add_noise(const struct corruption_source *source, const char *purpose, double sigma,
                          const float *received, float *weights, size_t n)
{
    struct rng rng;

    rng_init(&rng, source->seed, purpose, source->client, (uint64_t)source->round);
    for (size_t i = 0; i < n; i++)
        weights[i] = (float)((double)received[i] + sigma * rng_normal(&rng));
}

static void stretch(double factor, const float *received, float *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = (float)((double)received[i] + factor * ((double)weights[i] - (double)received[i]));
}

static void fill(float value, float *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = value;
}

static void flip_bits(const struct corruption_source *source, double bits, float *weights, size_t n)
{
    struct rng rng;

    rng_init(&rng, source->seed, "corrupt", source->client, (uint64_t)source->round);
    for (double done = 0; done < bits && n > 0; done++) {
        uint64_t bit = rng_below(&rng, (uint64_t)n * 32);
        uint32_t word;

        memcpy(&word, &weights[bit / 32], sizeof word);
        word ^= (uint32_t)1 << bit % 32;
        memcpy(&weights[bit / 32], &word, sizeof word);
    }
}

void corrupt_weights(const double *order, const struct corruption_source *source, const float *received, float *weights,
                     size_t n)
{
    switch ((enum corruption_kind)order[CORRUPT_KIND]) {
    case CORRUPT_GAUSSIAN:
        corruption_add_noise(source, "corrupt", order[CORRUPT_SIGMA], received, weights, n);
        break;
    case CORRUPT_SIGN_FLIP:
        stretch(-order[CORRUPT_FACTOR], received, weights, n);
        break;
    case CORRUPT_SCALE:
        stretch(order[CORRUPT_FACTOR], received, weights, n);
        break;
    case CORRUPT_NAN:
        fill(NAN, weights, n);
        break;
    case CORRUPT_ZERO:
        fill(0, weights, n);
        break;
    case CORRUPT_INF:
        fill(INFINITY, weights, n);
        break;
    case CORRUPT_BIT_FLIP:
        flip_bits(source, order[CORRUPT_BITS], weights, n);
        break;
    case CORRUPT_TRUNCATED:
        break;
    }
}

struct blob *corruption_cut(struct blob *image)
{
    struct blob *cut = blob_new(blob_size(image) / 2);

    if (cut)
        memcpy(blob_bytes(cut), blob_bytes(image), blob_size(cut));
    return cut;
}

static void change_shape(struct safetensors_tensor *tensor)
{
    if (tensor->num_dims == 0) {
        tensor->dims[tensor->num_dims++] = 1;
    } else if (tensor->dims[0] > 0) {
        tensor->bytes.size -= tensor->bytes.size / (size_t)tensor->dims[0];
        tensor->dims[0]--;
    }
}

/* Head and tensors [n] in one blob. */
static struct blob *join(struct blob *head, const struct safetensors_tensor *tensors, size_t n)
{
    size_t size = blob_size(head), at = size;

    for (size_t i = 0; i < n; i++)
        size += tensors[i].bytes.size;
    struct blob *image = blob_new(size);
    if (!image)
        return NULL;
    memcpy(blob_bytes(image), blob_bytes(head), at);
    for (size_t i = 0; i < n; i++) {
        memcpy((char *)blob_bytes(image) + at, tensors[i].bytes.data, tensors[i].bytes.size);
        at += tensors[i].bytes.size;
    }
    return image;
}

struct blob *corruption_reshape(struct blob *image)
{
    struct safetensors *file = NULL;
    struct blob *head = NULL, *out = NULL;

    if (safetensors_parse(blob_span(image), &file, NULL))
        return NULL;
    size_t n = safetensors_count(file);
    struct safetensors_tensor *tensors = calloc(n + 1, sizeof *tensors);
    for (size_t i = 0; tensors && i < n; i++)
        tensors[i] = *safetensors_at(file, i);
    if (tensors && n > 0) {
        change_shape(&tensors[n - 1]);
        if (safetensors_head(tensors, n, NULL, &head, NULL) == OK)
            out = join(head, tensors, n);
    }
    blob_unref(head);
    free(tensors);
    safetensors_free(file);
    return out;
}
