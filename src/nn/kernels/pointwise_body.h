/* Activations, softmax and means over windows, over `vec`; included by body.h. */

/* a where the mask is set, else b. */
INLINE vec choose(vec_int mask, vec a, vec b)
{
    return (vec)(((vec_int)a & mask) | ((vec_int)b & ~mask));
}

/* Near 0, where 2 sigmoid(2x) - 1 loses digits, the series. */
INLINE vec precise_tanh(vec x)
{
    vec square = vec_mul(x, x), p = vec_set1(62.0F / 2835);
    vec_int small = (vec_int)(square < vec_set1(0.09F));

    p = vec_fma(p, square, vec_set1(-17.0F / 315));
    p = vec_fma(p, square, vec_set1(2.0F / 15));
    p = vec_fma(p, square, vec_set1(-1.0F / 3));
    return choose(small, vec_fma(vec_mul(p, square), x, x), cell_tanh(x));
}

/* The normal distribution's function, and e^(-x^2 / 2) by the way. With a = |x| / sqrt(2) and t = 1 / (1 + a / 2), the
 * lower tail is t P(t) e^(-a^2) / 2, where the polynomial P fits erfc(a) e^(a^2) / t to 3e-8 of its value: the factor
 * e^(-a^2) carries the decay, so what is left of far tails is right as well. */
INLINE vec normal_cdf(vec x, vec *bell)
{
    static const float fit[] = {-1.823238730e-01F, 3.586606085e-01F, -2.553196549e-01F, -5.482140183e-02F,
                                5.631809309e-02F,  4.595489055e-02F, 1.881095022e-01F,  2.447323054e-01F,
                                2.822975218e-01F,  2.820865512e-01F};
    vec_int positive = (vec_int)(x > vec_zero());
    vec size = choose(positive, x, vec_sub(vec_zero(), x)), p = vec_set1(3.430544212e-02F), tail;
    vec t = vec_div(vec_set1(1), vec_fma(size, vec_set1(0.5F * 0.70710678F), vec_set1(1)));

    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++)
        p = vec_fma(p, t, vec_set1(fit[i]));
    *bell = cell_exp(vec_mul(vec_mul(x, x), vec_set1(-0.5F)));
    tail = vec_mul(vec_mul(vec_mul(p, t), *bell), vec_set1(0.5F));
    return choose(positive, vec_sub(vec_set1(1), tail), tail);
}

INLINE vec value_relu6(vec x, vec argument)
{
    vec y = vec_relu(x), six = vec_set1(6);

    (void)argument;
    return choose((vec_int)(y > six), six, y);
}

INLINE vec slope_relu6(vec y, vec gy, vec argument)
{
    (void)argument;
    return choose((vec_int)(y > vec_zero()) & (vec_int)(y < vec_set1(6)), gy, vec_zero());
}

INLINE vec value_leaky_relu(vec x, vec argument)
{
    return choose((vec_int)(x > vec_zero()), x, vec_mul(x, argument));
}

INLINE vec slope_leaky_relu(vec x, vec gy, vec argument)
{
    return choose((vec_int)(x > vec_zero()), gy, vec_mul(gy, argument));
}

INLINE vec value_gelu(vec x, vec argument)
{
    vec bell;

    (void)argument;
    return vec_mul(x, normal_cdf(x, &bell));
}

INLINE vec slope_gelu(vec x, vec gy, vec argument)
{
    vec bell, cdf = normal_cdf(x, &bell);

    (void)argument;
    return vec_mul(gy, vec_fma(vec_mul(x, vec_set1(0.39894228F)), bell, cdf));
}

INLINE vec value_tanh(vec x, vec argument)
{
    (void)argument;
    return precise_tanh(x);
}

INLINE vec slope_tanh(vec y, vec gy, vec argument)
{
    (void)argument;
    return vec_mul(gy, tanh_slope(y));
}

INLINE vec value_sigmoid(vec x, vec argument)
{
    (void)argument;
    return cell_sigmoid(x);
}

INLINE vec slope_sigmoid(vec y, vec gy, vec argument)
{
    (void)argument;
    return vec_mul(gy, sigmoid_slope(y));
}

#define ACTIVATION_LOOPS(word)                                                                                         \
    static void activate_##word(const float *x, float argument, size_t n, float *y)                                    \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i += VEC_LANES)                                                                      \
            vec_store(y + i, value_##word(vec_load(x + i), vec_set1(argument)));                                       \
    }                                                                                                                  \
    static void activate_backward_##word(const float *xy, const float *gy, float argument, size_t n, float *gx)        \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i += VEC_LANES)                                                                      \
            vec_store(gx + i, slope_##word(vec_load(xy + i), vec_load(gy + i), vec_set1(argument)));                   \
    }

ACTIVATION_LOOPS(relu6)
ACTIVATION_LOOPS(leaky_relu)
ACTIVATION_LOOPS(gelu)
ACTIVATION_LOOPS(tanh)
ACTIVATION_LOOPS(sigmoid)

/* The largest of D vectors, lane by lane; a NaN stays out of it and comes back through the sums. */
INLINE vec largest_of(const float *x, size_t D, size_t step)
{
    vec top = vec_load(x);

    for (size_t d = 1; d < D; d++) {
        vec value = vec_load(x + d * step);

        top = choose((vec_int)(value > top), value, top);
    }
    return top;
}

static void softmax(const float *x, size_t D, size_t step, float *y)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec top = largest_of(x + lane, D, step), total = vec_zero();

        for (size_t i = (size_t)lane; i < D * step; i += step) {
            vec value = cell_exp(vec_sub(vec_load(x + i), top));

            vec_store(y + i, value);
            total = vec_add(total, value);
        }
        for (size_t i = (size_t)lane; i < D * step; i += step)
            vec_store(y + i, vec_div(vec_load(y + i), total));
    }
}

static void softmax_backward(const float *y, const float *gy, size_t D, size_t step, float *gx)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec total = vec_zero();

        for (size_t i = (size_t)lane; i < D * step; i += step)
            total = vec_fma(vec_load(y + i), vec_load(gy + i), total);
        for (size_t i = (size_t)lane; i < D * step; i += step)
            vec_store(gx + i, vec_mul(vec_load(y + i), vec_sub(vec_load(gy + i), total)));
    }
}

static void log_softmax(const float *x, size_t D, size_t step, float *y)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec top = largest_of(x + lane, D, step), total = vec_zero();
        float logs[VEC_LANES];

        for (size_t i = (size_t)lane; i < D * step; i += step)
            total = vec_add(total, cell_exp(vec_sub(vec_load(x + i), top)));
        vec_store(logs, total);
        for (int k = 0; k < VEC_LANES; k++)
            logs[k] = logf(logs[k]);
        top = vec_add(top, vec_load(logs));
        for (size_t i = (size_t)lane; i < D * step; i += step)
            vec_store(y + i, vec_sub(vec_load(x + i), top));
    }
}

static void log_softmax_backward(const float *y, const float *gy, size_t D, size_t step, float *gx)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec total = vec_zero();

        for (size_t i = (size_t)lane; i < D * step; i += step)
            total = vec_add(total, vec_load(gy + i));
        for (size_t i = (size_t)lane; i < D * step; i += step)
            vec_store(gx + i, vec_sub(vec_load(gy + i), vec_mul(cell_exp(vec_load(y + i)), total)));
    }
}

static void pool_mean(const float *x, struct pool_window window, float scale, float *y)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec total = vec_zero();

        for (int h = 0; h < window.height; h++)
            for (int w = 0; w < window.width; w++)
                total = vec_add(total, vec_load(x + h * window.line + w * LANES + lane));
        vec_store(y + lane, vec_mul(total, vec_set1(scale)));
    }
}

static void pool_mean_backward(struct pool_window window, float scale, const float *gy, float *gx)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec part = vec_mul(vec_load(gy + lane), vec_set1(scale));

        for (int h = 0; h < window.height; h++)
            for (int w = 0; w < window.width; w++) {
                float *at = gx + h * window.line + w * LANES + lane;

                vec_store(at, vec_add(vec_load(at), part));
            }
    }
}

static void turn(const float *in, size_t in_stride, size_t num_vectors, float *out, size_t out_stride)
{
    size_t i = 0;

    for (; i + 8 <= num_vectors; i += 8) {
        transpose8(in + i * in_stride, in_stride, out + i, out_stride);
        transpose8(in + i * in_stride + 8, in_stride, out + 8 * out_stride + i, out_stride);
    }
    for (; i < num_vectors; i++)
        for (size_t lane = 0; lane < LANES; lane++)
            out[lane * out_stride + i] = in[i * in_stride + lane];
}
