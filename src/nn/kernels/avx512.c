/* Kernels for AVX-512 F: 32 registers of 16 floats. */
#include "nn/kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#endif

#include "nn/kernels/transpose_avx.h"

typedef __m512 vec;

enum { VEC_LANES = 16 };

#define vec_load(p)     _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
/* Keeps a value in its register: the compiler would load it again for every use, and loads are what is scarce. */
#define vec_pin(v)       __asm__("" : "+v"(v))
#define vec_set1(x)      _mm512_set1_ps(x)
#define vec_zero()       _mm512_setzero_ps()
#define vec_add(a, b)    _mm512_add_ps(a, b)
#define vec_sub(a, b)    _mm512_sub_ps(a, b)
#define vec_mul(a, b)    _mm512_mul_ps(a, b)
#define vec_div(a, b)    _mm512_div_ps(a, b)
#define vec_sqrt(a)      _mm512_sqrt_ps(a)
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vec_sum(a)       _mm512_reduce_add_ps(a)
/* max gives its second operand where one is NaN, so a NaN goes through. */
#define vec_relu(a)              _mm512_max_ps(_mm512_setzero_ps(), a)
#define vec_where_positive(y, a) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), a)
#define vec_where_equal(x, y, a) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ), a)

static inline __attribute__((always_inline)) vec vec_max_nan(vec best, vec x)
{
    __mmask16 take = _mm512_cmp_ps_mask(x, best, _CMP_GT_OQ) | _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);

    return _mm512_mask_mov_ps(best, take, x);
}

// clang-format off
#define MAX_ROWS {0, 12, 12, 8, 6, 5, 4}
#define TILES(X)                                                                                                       \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1)                 \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2) X(12, 2)                 \
    X(1, 3) X(2, 3) X(3, 3) X(4, 3) X(5, 3) X(6, 3) X(7, 3) X(8, 3)                                                    \
    X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)                                                                    \
    X(1, 5) X(2, 5) X(3, 5) X(4, 5) X(5, 5)                                                                            \
    X(1, 6) X(2, 6) X(3, 6) X(4, 6)
// clang-format on
#define KERNELS      kernels_avx512
#define KERNELS_NAME "avx512"
#include "nn/kernels/body.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
