/* Kernels for any processor: vectors of 4 floats through the compiler's own vector types. */
#include "nn/kernels/kernels.h"

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_mask __attribute__((vector_size(16)));

enum { VEC_LANES = 4 };

#define FUNCTION static inline __attribute__((always_inline))

FUNCTION vec vec_load(const float *p)
{
    vec v;

    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

FUNCTION void vec_store(float *p, vec v)
{
    __builtin_memcpy(p, &v, sizeof v);
}

FUNCTION vec vec_sqrt(vec a)
{
    return (vec){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}

FUNCTION float vec_sum(vec a)
{
    return (a[0] + a[2]) + (a[1] + a[3]);
}

FUNCTION vec vec_select(vec_mask mask, vec a, vec b)
{
    return (vec)((mask & (vec_mask)a) | (~mask & (vec_mask)b));
}

#define vec_pin(v)               ((void)(v))
#define vec_set1(x)              ((vec){(x), (x), (x), (x)})
#define vec_zero()               ((vec){0, 0, 0, 0})
#define vec_add(a, b)            ((a) + (b))
#define vec_sub(a, b)            ((a) - (b))
#define vec_mul(a, b)            ((a) * (b))
#define vec_div(a, b)            ((a) / (b))
#define vec_fma(a, b, c)         ((a) * (b) + (c))
#define vec_where_positive(y, a) vec_select((y) > vec_zero(), a, vec_zero())
#define vec_where_equal(x, y, a) vec_select((x) == (y), a, vec_zero())

FUNCTION vec vec_relu(vec a)
{
    return vec_select(a <= vec_zero(), vec_zero(), a); /* a NaN goes through */
}

FUNCTION vec vec_max_nan(vec best, vec x)
{
    return vec_select((x > best) | (x != x), x, best);
}

FUNCTION void transpose8(const float *in, size_t in_stride, float *out, size_t out_stride)
{
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            out[j * out_stride + i] = in[i * in_stride + j];
}

// clang-format off
#define MAX_ROWS {0, 8, 4, 3, 2, 2, 2}
#define TILES(X)                                                                                                       \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1)                                                    \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2)                                                                                    \
    X(1, 3) X(2, 3) X(3, 3)                                                                                            \
    X(1, 4) X(2, 4)                                                                                                    \
    X(1, 5) X(2, 5)                                                                                                    \
    X(1, 6) X(2, 6)
// clang-format on
#define KERNELS      kernels_generic
#define KERNELS_NAME "generic"
#include "nn/kernels/body.h"
