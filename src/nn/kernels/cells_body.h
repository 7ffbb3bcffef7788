/* kernels/cells.h over `vec`; included by body.h. */

typedef int32_t vec_int __attribute__((vector_size(sizeof(vec))));

/* e^x for x clamped to [-87, 87]: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. A NaN stays one. */
INLINE vec cell_exp(vec x)
{
    const vec magic = vec_set1(12582912.0F); /* 1.5 * 2^23: what is added to it is rounded to a whole number */
    vec_int high = (vec_int)(x > vec_set1(87)), low = (vec_int)(x < vec_set1(-87));
    vec t, n, r, p;

    x = (vec)(((vec_int)vec_set1(87) & high) | ((vec_int)x & ~high));
    x = (vec)(((vec_int)vec_set1(-87) & low) | ((vec_int)x & ~low));
    t = vec_fma(x, vec_set1(1.44269504F), magic);
    n = vec_sub(t, magic);
    r = vec_fma(n, vec_set1(-0.693359375F), x);
    r = vec_fma(n, vec_set1(2.12194440e-4F), r);
    p = vec_fma(r, vec_set1(1.0F / 720), vec_set1(1.0F / 120));
    p = vec_fma(p, r, vec_set1(1.0F / 24));
    p = vec_fma(p, r, vec_set1(1.0F / 6));
    p = vec_fma(p, r, vec_set1(0.5F));
    p = vec_fma(p, r, vec_set1(1));
    p = vec_fma(p, r, vec_set1(1));
    return (vec)((vec_int)p + ((vec_int)t << 23));
}

INLINE vec cell_sigmoid(vec x)
{
    return vec_div(vec_set1(1), vec_add(vec_set1(1), cell_exp(vec_sub(vec_zero(), x))));
}

INLINE vec cell_tanh(vec x)
{
    return vec_fma(vec_set1(2), cell_sigmoid(vec_add(x, x)), vec_set1(-1));
}

/* a * (1 - a), the slope of a sigmoid of value a; 1 - a^2, that of a tanh. */
INLINE vec sigmoid_slope(vec a)
{
    return vec_sub(a, vec_mul(a, a));
}

INLINE vec tanh_slope(vec a)
{
    return vec_sub(vec_set1(1), vec_mul(a, a));
}

static void cell_lstm(const struct cell *p)
{
    size_t W = p->width;

    for (size_t k = 0; k < W; k += VEC_LANES) {
        float *g = p->gates + k;
        vec in = cell_sigmoid(vec_load(g)), forget = cell_sigmoid(vec_load(g + W));
        vec new = cell_tanh(vec_load(g + 2 * W)), out = cell_sigmoid(vec_load(g + 3 * W));
        vec c = vec_fma(forget, vec_load(p->c_prev + k), vec_mul(in, new));

        vec_store(g, in);
        vec_store(g + W, forget);
        vec_store(g + 2 * W, new);
        vec_store(g + 3 * W, out);
        vec_store(p->c + k, c);
        vec_store(p->h + k, vec_mul(out, cell_tanh(c)));
    }
}

static void cell_lstm_backward(const struct cell *p)
{
    size_t W = p->width;

    for (size_t k = 0; k < W; k += VEC_LANES) {
        float *g = p->gates + k;
        vec in = vec_load(g), forget = vec_load(g + W), new = vec_load(g + 2 * W), out = vec_load(g + 3 * W);
        vec dh = vec_load(p->dh + k), top = cell_tanh(vec_load(p->c + k));
        vec dc = vec_fma(vec_mul(dh, out), tanh_slope(top), vec_load(p->dc + k));

        vec_store(g, vec_mul(vec_mul(dc, new), sigmoid_slope(in)));
        vec_store(g + W, vec_mul(vec_mul(dc, vec_load(p->c_prev + k)), sigmoid_slope(forget)));
        vec_store(g + 2 * W, vec_mul(vec_mul(dc, in), tanh_slope(new)));
        vec_store(g + 3 * W, vec_mul(vec_mul(dh, top), sigmoid_slope(out)));
        vec_store(p->dc + k, vec_mul(dc, forget));
    }
}

static void cell_gru(const struct cell *p)
{
    size_t W = p->width;

    for (size_t k = 0; k < W; k += VEC_LANES) {
        float *g = p->gates + k;
        vec reset = cell_sigmoid(vec_load(g + W)), keep = cell_sigmoid(vec_load(g + 2 * W));
        vec new = cell_tanh(vec_fma(reset, vec_load(g + 3 * W), vec_load(g)));

        vec_store(g, new);
        vec_store(g + W, reset);
        vec_store(g + 2 * W, keep);
        vec_store(p->h + k, vec_fma(keep, vec_sub(vec_load(p->h_prev + k), new), new));
    }
}

static void cell_gru_backward(const struct cell *p)
{
    size_t W = p->width;

    for (size_t k = 0; k < W; k += VEC_LANES) {
        float *g = p->gates + k;
        vec new = vec_load(g), reset = vec_load(g + W), keep = vec_load(g + 2 * W), hidden = vec_load(g + 3 * W);
        vec dh = vec_load(p->dh + k);
        vec dn = vec_mul(vec_sub(dh, vec_mul(dh, keep)), tanh_slope(new));

        vec_store(g, dn);
        vec_store(g + W, vec_mul(vec_mul(dn, hidden), sigmoid_slope(reset)));
        vec_store(g + 2 * W, vec_mul(vec_mul(dh, vec_sub(vec_load(p->h_prev + k), new)), sigmoid_slope(keep)));
        vec_store(g + 3 * W, vec_mul(dn, reset));
        vec_store(p->dh + k, vec_mul(dh, keep));
    }
}

static void cell_rnn(const struct cell *p)
{
    for (size_t k = 0; k < p->width; k += VEC_LANES) {
        vec sum = vec_load(p->gates + k);
        vec h = p->relu ? vec_relu(sum) : cell_tanh(sum);

        vec_store(p->gates + k, h);
        vec_store(p->h + k, h);
    }
}

static void cell_rnn_backward(const struct cell *p)
{
    for (size_t k = 0; k < p->width; k += VEC_LANES) {
        vec h = vec_load(p->gates + k), dh = vec_load(p->dh + k);

        vec_store(p->gates + k, p->relu ? vec_where_positive(h, dh) : vec_mul(dh, tanh_slope(h)));
    }
}

static const struct cell_kernels cells = {
    .lstm = cell_lstm,
    .lstm_backward = cell_lstm_backward,
    .gru = cell_gru,
    .gru_backward = cell_gru_backward,
    .rnn = cell_rnn,
    .rnn_backward = cell_rnn_backward,
};
