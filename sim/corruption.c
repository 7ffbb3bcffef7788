#include "sim/corruption.h"

#include <math.h>
#include <string.h>

#include "util/rng.h"

/* The whole update is noise (the Gaussian attack of Blanchard et al. 2017). */
static void add_noise(const struct corruption_source *source, double sigma, const float *received, float *weights,
                      size_t n)
{
    struct rng rng;

    rng_init(&rng, source->seed, "corrupt", source->client, (uint64_t)source->round);
    for (size_t i = 0; i < n; i++)
        weights[i] = (float)((double)received[i] + sigma * rng_normal(&rng));
}

static void stretch(double factor, const float *received, float *weights, size_t n)
{
    for (size_t i = 0; i < n; i++)
        weights[i] = (float)((double)received[i] + factor * ((double)weights[i] - (double)received[i]));
}

void corrupt_weights(const struct corruption *order, const struct corruption_source *source, const float *received,
                     float *weights, size_t n)
{
    switch ((enum corruption_kind)atomic_load(&order->kind)) {
    case CORRUPT_GAUSSIAN:
        add_noise(source, atomic_load(&order->sigma), received, weights, n);
        break;
    case CORRUPT_SIGN_FLIP:
        stretch(-atomic_load(&order->factor), received, weights, n);
        break;
    case CORRUPT_SCALE:
        stretch(atomic_load(&order->factor), received, weights, n);
        break;
    case CORRUPT_NAN:
        for (size_t i = 0; i < n; i++)
            weights[i] = NAN;
        break;
    case CORRUPT_ZERO:
        memset(weights, 0, n * sizeof *weights);
        break;
    case CORRUPT_NOT:
        break;
    }
}
