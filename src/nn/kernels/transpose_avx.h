/* out [8][8] = in^T, both with a row stride in floats. */
static inline __attribute__((always_inline)) void transpose8(const float *in, size_t in_stride, float *out,
                                                             size_t out_stride)
{
    __m256 r[8], t[8];

    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(in + i * in_stride)),
                                    _mm_loadu_ps(in + (i + 4) * in_stride), 1);
        r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(in + i * in_stride + 4)),
                                        _mm_loadu_ps(in + (i + 4) * in_stride + 4), 1);
    }
    for (size_t i = 0; i < 8; i += 4) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
        t[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        t[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        _mm256_storeu_ps(out + i * out_stride, _mm256_shuffle_ps(t[i], t[i + 2], 0x44));
        _mm256_storeu_ps(out + (i + 1) * out_stride, _mm256_shuffle_ps(t[i], t[i + 2], 0xee));
        _mm256_storeu_ps(out + (i + 2) * out_stride, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44));
        _mm256_storeu_ps(out + (i + 3) * out_stride, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee));
    }
}
