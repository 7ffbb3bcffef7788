/* Sums and sweeps of normalisations over `vec`; included by body.h. A vector of LANES is PARTS of `vec`. Sums run in
 * CHAINS, so that one addition need not wait for the one before; what is left of a round goes straight to memory. */

enum { PARTS = LANES / VEC_LANES, CHAINS = 4, ROUND = CHAINS * VEC_LANES };

INLINE void load_parts(const float *lanes, vec parts[PARTS])
{
    EACH (j, PARTS)
        parts[j] = vec_load(lanes + j * VEC_LANES);
}

INLINE void add_to(float *at, vec value)
{
    vec_store(at, vec_add(vec_load(at), value));
}

static void lane_sums(const float *x, size_t num_vectors, float *sums)
{
    size_t n = num_vectors * LANES, i = 0;
    vec total[CHAINS];

    EACH (j, CHAINS)
        total[j] = vec_zero();
    for (; i + ROUND <= n; i += ROUND)
        EACH (j, CHAINS)
            total[j] = vec_add(total[j], vec_load(x + i + j * VEC_LANES));
    for (; i < n; i += VEC_LANES)
        add_to(sums + i % LANES, vec_load(x + i));
    EACH (j, CHAINS)
        add_to(sums + j * VEC_LANES % LANES, total[j]);
}

static void lane_squares(const float *x, const float *shift, size_t num_vectors, float *sums)
{
    size_t n = num_vectors * LANES, i = 0;
    vec total[CHAINS], shifts[PARTS];

    load_parts(shift, shifts);
    EACH (j, CHAINS)
        total[j] = vec_zero();
    for (; i + ROUND <= n; i += ROUND)
        EACH (j, CHAINS) {
            vec d = vec_sub(vec_load(x + i + j * VEC_LANES), shifts[j % PARTS]);

            total[j] = vec_fma(d, d, total[j]);
        }
    for (; i < n; i += VEC_LANES) {
        vec d = vec_sub(vec_load(x + i), vec_load(shift + i % LANES));

        add_to(sums + i % LANES, vec_mul(d, d));
    }
    EACH (j, CHAINS)
        add_to(sums + j * VEC_LANES % LANES, total[j]);
}

INLINE void add_products(const float *gy, const float *x, const float *shift, size_t num_vectors, float *sums)
{
    size_t n = num_vectors * LANES, i = 0;
    vec plain[CHAINS], times[CHAINS], shifts[PARTS];

    load_parts(shift, shifts);
    EACH (j, CHAINS)
        plain[j] = times[j] = vec_zero();
    for (; i + ROUND <= n; i += ROUND)
        EACH (j, CHAINS) {
            vec g = vec_load(gy + i + j * VEC_LANES);

            plain[j] = vec_add(plain[j], g);
            times[j] = vec_fma(g, vec_sub(vec_load(x + i + j * VEC_LANES), shifts[j % PARTS]), times[j]);
        }
    for (; i < n; i += VEC_LANES) {
        vec g = vec_load(gy + i);

        add_to(sums + i % LANES, g);
        add_to(sums + LANES + i % LANES, vec_mul(g, vec_sub(vec_load(x + i), vec_load(shift + i % LANES))));
    }
    EACH (j, CHAINS) {
        add_to(sums + j * VEC_LANES % LANES, plain[j]);
        add_to(sums + LANES + j * VEC_LANES % LANES, times[j]);
    }
}

static void lane_products(const float *gy, const float *x, const float *shift, size_t num_vectors, float *sums)
{
    add_products(gy, x, shift, num_vectors, sums);
}

static void affine(const float *x, const float *scale, const float *shift, size_t num_vectors, float *y)
{
    vec scales[PARTS], shifts[PARTS];

    load_parts(scale, scales);
    load_parts(shift, shifts);
    for (size_t i = 0; i < num_vectors; i++, x += LANES, y += LANES)
        EACH (j, PARTS)
            vec_store(y + j * VEC_LANES, vec_fma(vec_load(x + j * VEC_LANES), scales[j], shifts[j]));
}

static void affine_backward(const float *gy, const float *x, const float *a, const float *b, const float *c,
                            size_t num_vectors, float *gx)
{
    vec as[PARTS], bs[PARTS], cs[PARTS];

    load_parts(a, as);
    load_parts(b, bs);
    load_parts(c, cs);
    for (size_t i = 0; i < num_vectors * LANES; i += LANES)
        EACH (j, PARTS) {
            size_t at = i + (size_t)j * VEC_LANES;
            vec value = vec_fma(bs[j], vec_load(x + at), cs[j]);

            vec_store(gx + at, vec_fma(as[j], vec_load(gy + at), value));
        }
}

static void normalize(const struct norm_span *s, float *y)
{
    const float *x = s->x;
    vec means[PARTS], scales[PARTS], slopes[PARTS];

    load_parts(s->mean, means);
    load_parts(s->scale, scales);
    for (size_t c = 0; c < s->channels; c++) {
        vec weight = vec_set1(s->weight ? s->weight[c] : 1), bias = vec_set1(s->bias ? s->bias[c] : 0);

        EACH (j, PARTS)
            slopes[j] = vec_mul(scales[j], weight);
        for (size_t i = 0; i < s->run; i++, x += LANES, y += LANES)
            EACH (j, PARTS) {
                vec d = vec_sub(vec_load(x + j * VEC_LANES), means[j]);

                vec_store(y + j * VEC_LANES, vec_fma(d, slopes[j], bias));
            }
    }
}

/* The sum of all lanes. */
INLINE float sum_parts(const vec parts[PARTS])
{
    vec total = parts[0];

    EACH (j, PARTS - 1)
        total = vec_add(total, parts[j + 1]);
    return vec_sum(total);
}

static void normalize_sums(const struct norm_span *s, const float *gy, float *sums, float *dw, float *db)
{
    size_t size = s->run * LANES;
    vec scales[PARTS], totals[2][PARTS];

    load_parts(s->scale, scales);
    EACH (j, PARTS)
        totals[0][j] = totals[1][j] = vec_zero();
    for (size_t c = 0; c < s->channels; c++) {
        float part[2 * LANES] = {0};
        vec weight = vec_set1(s->weight ? s->weight[c] : 1), plain[PARTS], times[PARTS];

        add_products(gy + c * size, s->x + c * size, s->mean, s->run, part);
        load_parts(part, plain);
        load_parts(part + LANES, times);
        EACH (j, PARTS) {
            times[j] = vec_mul(times[j], scales[j]);
            totals[0][j] = vec_fma(weight, plain[j], totals[0][j]);
            totals[1][j] = vec_fma(weight, times[j], totals[1][j]);
        }
        if (dw) {
            db[c] += sum_parts(plain);
            dw[c] += sum_parts(times);
        }
    }
    EACH (j, PARTS) {
        vec_store(sums + j * VEC_LANES, totals[0][j]);
        vec_store(sums + LANES + j * VEC_LANES, totals[1][j]);
    }
}

static void normalize_backward(const struct norm_span *s, const float *gy, const float *b, const float *c, float *gx)
{
    const float *x = s->x;
    vec means[PARTS], scales[PARTS], bs[PARTS], cs[PARTS], slopes[PARTS];

    load_parts(s->mean, means);
    load_parts(s->scale, scales);
    load_parts(b, bs);
    load_parts(c, cs);
    for (size_t k = 0; k < s->channels; k++) {
        vec weight = vec_set1(s->weight ? s->weight[k] : 1);

        EACH (j, PARTS)
            slopes[j] = vec_mul(scales[j], weight);
        for (size_t i = 0; i < s->run; i++, x += LANES, gy += LANES, gx += LANES)
            EACH (j, PARTS) {
                vec value = vec_fma(bs[j], vec_sub(vec_load(x + j * VEC_LANES), means[j]), cs[j]);

                vec_store(gx + j * VEC_LANES, vec_fma(slopes[j], vec_load(gy + j * VEC_LANES), value));
            }
    }
}
