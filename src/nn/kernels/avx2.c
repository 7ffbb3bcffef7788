/* Kernels for AVX2 and FMA: 16 registers of 8 floats. */
#include "nn/kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "nn/kernels/transpose_avx.h"

typedef __m256 vec;

enum { VEC_LANES = 8 };

#define vec_load(p)     _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
/* Keeps a value in its register: the compiler would load it again for every use, and loads are what is scarce. */
#define vec_pin(v)       __asm__("" : "+x"(v))
#define vec_set1(x)      _mm256_set1_ps(x)
#define vec_zero()       _mm256_setzero_ps()
#define vec_add(a, b)    _mm256_add_ps(a, b)
#define vec_sub(a, b)    _mm256_sub_ps(a, b)
#define vec_mul(a, b)    _mm256_mul_ps(a, b)
#define vec_div(a, b)    _mm256_div_ps(a, b)
#define vec_sqrt(a)      _mm256_sqrt_ps(a)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
/* max gives its second operand where one is NaN, so a NaN goes through. */
#define vec_relu(a)              _mm256_max_ps(_mm256_setzero_ps(), a)
#define vec_where_positive(y, a) _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), a)
#define vec_where_equal(x, y, a) _mm256_and_ps(_mm256_cmp_ps(x, y, _CMP_EQ_OQ), a)

static inline __attribute__((always_inline)) float vec_sum(vec a)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline __attribute__((always_inline)) vec vec_max_nan(vec best, vec x)
{
    vec take = _mm256_or_ps(_mm256_cmp_ps(x, best, _CMP_GT_OQ), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));

    return _mm256_blendv_ps(best, x, take);
}

// clang-format off
#define MAX_ROWS {0, 12, 6, 4, 3, 2, 2}
#define TILES(X)                                                                                                       \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1)                 \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)                                                                    \
    X(1, 3) X(2, 3) X(3, 3) X(4, 3)                                                                                    \
    X(1, 4) X(2, 4) X(3, 4)                                                                                            \
    X(1, 5) X(2, 5)                                                                                                    \
    X(1, 6) X(2, 6)
// clang-format on
#define KERNELS      kernels_avx2
#define KERNELS_NAME "avx2"
#include "nn/kernels/body.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
