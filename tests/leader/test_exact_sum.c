/* Exact sums: order-free, mergeable, range-checked. */
#include <criterion/criterion.h>
#include <float.h>
#include <flosim/exact_sum.h>
#include <math.h>

#include "util/rng.h"

enum { N = 64, CLIENTS = 50 };

static void random_weights(unsigned client, float *w)
{
    struct rng rng;

    rng_init(&rng, 3, "weights", "", client);
    for (size_t i = 0; i < N; i++)
        w[i] = (float)(rng_normal(&rng) * pow(2, (double)rng_below(&rng, 40) - 30));
}

Test(exact_sum, is_the_same_in_any_order_and_merged_from_parts)
{
    struct flosim_exact_sum forward, backward, parts[2];
    float w[N], a[N], b[N], c[N];

    cr_assert_eq(flosim_exact_sum_init(&forward, N), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_init(&backward, N), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_init(&parts[0], N), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_init(&parts[1], N), FLOSIM_OK);
    for (unsigned i = 0; i < CLIENTS; i++) {
        random_weights(i, w);
        cr_assert_eq(flosim_exact_sum_add(&forward, w, 100 + i), FLOSIM_OK);
        cr_assert_eq(flosim_exact_sum_add(&parts[i % 3 == 0], w, 100 + i), FLOSIM_OK);
        random_weights(CLIENTS - 1 - i, w);
        cr_assert_eq(flosim_exact_sum_add(&backward, w, 100 + CLIENTS - 1 - i), FLOSIM_OK);
    }
    cr_assert_eq(flosim_exact_sum_merge(&parts[0], &parts[1]), FLOSIM_OK);
    flosim_exact_sum_mean(&forward, a);
    flosim_exact_sum_mean(&backward, b);
    flosim_exact_sum_mean(&parts[0], c);
    cr_assert_arr_eq(a, b, sizeof a);
    cr_assert_arr_eq(a, c, sizeof a);
    flosim_exact_sum_fini(&forward);
    flosim_exact_sum_fini(&backward);
    flosim_exact_sum_fini(&parts[0]);
    flosim_exact_sum_fini(&parts[1]);
}

/* The mean of equal weights is the weight, bit for bit, and cancellation leaves nothing behind. */
Test(exact_sum, keeps_every_bit)
{
    static const float values[] = {1, -1, 0.1f, -3.14159274f, 1e-10f, 123456.789f, 0, -0.0f, 1e-20f, 8e6f};
    enum { K = sizeof values / sizeof *values };
    struct flosim_exact_sum sum;
    float w[K], out[K];

    cr_assert_eq(flosim_exact_sum_init(&sum, K), FLOSIM_OK);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(flosim_exact_sum_add(&sum, values, 1 + i % 7), FLOSIM_OK);
    flosim_exact_sum_mean(&sum, out);
    for (size_t i = 0; i < K; i++)
        cr_assert(out[i] == values[i] || fabs((double)(out[i] - values[i])) < 0x1p-70, "%g is not %g", (double)out[i],
                  (double)values[i]);
    for (size_t i = 0; i < K; i++)
        w[i] = -values[i];
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(flosim_exact_sum_add(&sum, w, 1 + i % 7), FLOSIM_OK);
    flosim_exact_sum_mean(&sum, out);
    for (size_t i = 0; i < K; i++)
        cr_assert_eq(out[i], 0.0f);
    flosim_exact_sum_fini(&sum);
}

static void expect_refused(struct flosim_exact_sum *sum, float value, int64_t factor, int status)
{
    float w[2] = {1, value}, before[2], after[2];

    flosim_exact_sum_mean(sum, before);
    cr_assert_eq(flosim_exact_sum_add(sum, w, factor), status, "%g times %lld", (double)value, (long long)factor);
    flosim_exact_sum_mean(sum, after);
    cr_assert_arr_eq(before, after, sizeof before);
}

Test(exact_sum, refuses_what_it_cannot_hold_and_changes_nothing)
{
    struct flosim_exact_sum sum;
    float one[2] = {1, 1};

    cr_assert_eq(flosim_exact_sum_init(&sum, 2), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_add(&sum, one, 5), FLOSIM_OK);
    expect_refused(&sum, NAN, 1, FLOSIM_INVALID);
    expect_refused(&sum, INFINITY, 1, FLOSIM_INVALID);
    expect_refused(&sum, -INFINITY, 1, FLOSIM_INVALID);
    expect_refused(&sum, 1, 0, FLOSIM_INVALID);
    expect_refused(&sum, 1, -3, FLOSIM_INVALID);
    expect_refused(&sum, 1, (int64_t)1 << 40, FLOSIM_INVALID);
    expect_refused(&sum, FLT_MAX, 1, FLOSIM_TOO_LARGE);
    expect_refused(&sum, 0x1p30f, INT32_MAX, FLOSIM_TOO_LARGE);
    flosim_exact_sum_fini(&sum);
}

/* Repeated additions reach the limit before the integers could wrap. */
Test(exact_sum, never_wraps)
{
    struct flosim_exact_sum sum;
    float big[1] = {0x1p22f}, out[1];
    int added = 0;

    cr_assert_eq(flosim_exact_sum_init(&sum, 1), FLOSIM_OK);
    while (flosim_exact_sum_add(&sum, big, INT32_MAX) == FLOSIM_OK)
        cr_assert_lt(++added, 100);
    cr_assert_geq(added, 2);
    flosim_exact_sum_mean(&sum, out);
    cr_assert_eq(out[0], big[0]);
    flosim_exact_sum_fini(&sum);
}

/* ---- real factors ---- */

Test(exact_sum, a_double_is_taken_whole_or_cut_at_the_unit)
{
    static const double values[] = {0, 1, -1, 0.1, -1.0 / 3, 12345678.9, -0x1.fffffffffffffp53, 0x1p-72, -0x1p-20};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        flosim_int128 term = flosim_exact_of(values[i]);
        double back = (double)term * FLOSIM_EXACT_UNIT;

        cr_assert(fabs(back - values[i]) < 0x1p-72, "%a came back as %a", values[i], back);
        cr_assert(fabs(values[i]) < 0x1p-19 || back == values[i]);
    }
    cr_assert(flosim_exact_of(0x1p-73) == 0 && flosim_exact_of(-0x1p-1074) == 0);
    cr_assert(flosim_exact_of(0x1p53) == (flosim_int128)1 << 125);
}

Test(exact_sum, real_factors_have_no_order_and_the_right_value)
{
    struct flosim_exact_sum forward, backward;
    struct flosim_exact_scalar one = {0}, other = {0};
    float w[N], x[N];
    long double expected[N] = {0};

    cr_assert_eq(flosim_exact_sum_init(&forward, N), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_init(&backward, N), FLOSIM_OK);
    random_weights(1000, x);
    for (unsigned i = 0; i < CLIENTS; i++) {
        double factor = pow(-0.9, (int)i) / 7;

        random_weights(i, w);
        cr_assert_eq(flosim_exact_sum_add_real(&forward, w, x, factor), FLOSIM_OK);
        cr_assert_eq(flosim_exact_scalar_add(&one, factor), FLOSIM_OK);
        for (size_t k = 0; k < N; k++)
            expected[k] += (long double)factor * ((long double)w[k] - (long double)x[k]);
        factor = pow(-0.9, (int)(CLIENTS - 1 - i)) / 7;
        random_weights(CLIENTS - 1 - i, w);
        cr_assert_eq(flosim_exact_sum_add_real(&backward, w, x, factor), FLOSIM_OK);
        cr_assert_eq(flosim_exact_scalar_add(&other, factor), FLOSIM_OK);
    }
    cr_assert_eq(memcmp(forward.sums, backward.sums, N * sizeof *forward.sums), 0);
    cr_assert(one.sum == other.sum);
    for (size_t k = 0; k < N; k++)
        cr_assert_float_eq(flosim_exact_sum_at(&forward, k), (double)expected[k],
                           1e-12 * (1 + fabs((double)expected[k])));
    flosim_exact_sum_fini(&forward);
    flosim_exact_sum_fini(&backward);
}

Test(exact_sum, real_factors_out_of_range_change_nothing)
{
    static const double factors[] = {NAN, INFINITY, 1e300, -0x1p60};
    struct flosim_exact_sum sum;
    struct flosim_exact_scalar scalar = {0};
    float w[2] = {1, 3}, x[2] = {0.5F, 1}, far[2] = {1, FLT_MAX};

    cr_assert_eq(flosim_exact_sum_init(&sum, 2), FLOSIM_OK);
    cr_assert_eq(flosim_exact_sum_add_real(&sum, w, x, 2), FLOSIM_OK);
    cr_assert_eq(flosim_exact_scalar_add(&scalar, 2), FLOSIM_OK);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        cr_assert_eq(flosim_exact_sum_add_real(&sum, w, x, factors[i]), FLOSIM_TOO_LARGE, "%g", factors[i]);
        cr_assert_eq(flosim_exact_scalar_add(&scalar, factors[i]), FLOSIM_TOO_LARGE, "%g", factors[i]);
    }
    cr_assert_eq(flosim_exact_sum_add_real(&sum, far, x, 1), FLOSIM_TOO_LARGE);
    cr_assert_eq(flosim_exact_sum_at(&sum, 0), 1);
    cr_assert_eq(flosim_exact_sum_at(&sum, 1), 4);
    cr_assert_eq(flosim_exact_scalar_value(&scalar), 2);
    for (int added = 0; flosim_exact_scalar_add(&scalar, 0x1p52) == FLOSIM_OK;)
        cr_assert_lt(++added, 5);
    flosim_exact_sum_fini(&sum);
}
