#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

static struct rng make(uint64_t seed)
{
    struct rng rng;

    rng_init(&rng, seed, "test", "", 0);
    return rng;
}

/* From the state {1, 2, 3, 4} the published generator yields these (Blackman & Vigna's reference code). */
Test(rng, generator_is_xoshiro256_starstar)
{
    static const uint64_t expected[] = {
        11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u, 607988272756665600u};
    struct rng rng = {{1, 2, 3, 4}};

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect_eq(rng_u64(&rng), expected[i], "number %zu", i);
}

/* Nothing may change these: saved runs depend on them. */
Test(rng, the_key_decides_and_nothing_else)
{
    struct rng a, b;

    rng_init(&a, 42, "shuffle", "client-7", 3);
    rng_init(&b, 42, "shuffle", "client-7", 3);
    cr_expect_eq(memcmp(&a, &b, sizeof a), 0);
    cr_expect_eq(rng_u64(&a), rng_u64(&b));
}

Test(rng, every_part_of_the_key_counts)
{
    struct rng variants[7];
    static const char *const purposes[] = {"a", "b", "a", "a", "ab", "a", ""};
    static const char *const clients[] = {"x", "x", "y", "x", "", "bx", "ax"};
    static const uint64_t seeds[] = {1, 1, 1, 2, 1, 1, 1};

    for (int i = 0; i < 7; i++)
        rng_init(&variants[i], seeds[i], purposes[i], clients[i], 0);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < i; k++)
            cr_expect_neq(variants[i].s[0], variants[k].s[0], "%d and %d", i, k);
    rng_init(&variants[1], 1, "a", "x", 1);
    cr_expect_neq(variants[0].s[0], variants[1].s[0]);
}

Test(rng, below_is_even_and_in_range)
{
    struct rng rng = make(1);
    int counts[7] = {0};

    for (int i = 0; i < 70000; i++)
        counts[rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_expect(abs(counts[i] - 10000) < 500, "%d: %d", i, counts[i]); /* more than five standard deviations */
    for (int i = 0; i < 100; i++)
        cr_expect_eq(rng_below(&rng, 1), 0);
    cr_expect_lt(rng_below(&rng, UINT64_MAX), UINT64_MAX);
}

struct moments {
    double mean, variance, min, max;
};

static struct moments moments_of(double (*draw)(struct rng *rng, double parameter), double parameter)
{
    struct rng rng = make(7);
    struct moments m = {0, 0, INFINITY, -INFINITY};
    int n = 100000;
    double sum = 0, squares = 0;

    for (int i = 0; i < n; i++) {
        double x = draw(&rng, parameter);
        sum += x;
        squares += x * x;
        m.min = fmin(m.min, x);
        m.max = fmax(m.max, x);
    }
    m.mean = sum / n;
    m.variance = squares / n - m.mean * m.mean;
    return m;
}

static double uniform(struct rng *rng, double unused)
{
    (void)unused;
    return rng_uniform(rng);
}

static double between(struct rng *rng, double unused)
{
    (void)unused;
    return (double)rng_uniform_between(rng, -0.25f, 0.25f);
}

static double normal(struct rng *rng, double unused)
{
    (void)unused;
    return rng_normal(rng);
}

Test(rng, uniform)
{
    struct moments m = moments_of(uniform, 0);

    cr_expect_float_eq(m.mean, 0.5, 0.005);
    cr_expect_float_eq(m.variance, 1.0 / 12, 0.002);
    cr_expect(m.min >= 0 && m.max < 1);
    m = moments_of(between, 0);
    cr_expect_float_eq(m.mean, 0, 0.003);
    cr_expect(m.min >= -0.25 && m.max < 0.25);
}

Test(rng, normal)
{
    struct moments m = moments_of(normal, 0);

    cr_expect_float_eq(m.mean, 0, 0.02);
    cr_expect_float_eq(m.variance, 1, 0.03);
    cr_expect(m.min < -3.5 && m.max > 3.5 && isfinite(m.min) && isfinite(m.max));
}

Test(rng, exponential)
{
    struct moments m = moments_of(rng_exponential, 36);

    cr_expect_float_eq(m.mean, 36, 0.7);
    cr_expect_float_eq(sqrt(m.variance), 36, 1);
    cr_expect_geq(m.min, 0);
}

Test(rng, gamma_has_mean_and_variance_of_its_shape)
{
    static const double shapes[] = {0.1, 0.5, 1, 3.5};

    for (int i = 0; i < 4; i++) {
        struct moments m = moments_of(rng_gamma, shapes[i]);
        cr_expect_float_eq(m.mean, shapes[i], 0.03 * shapes[i] + 0.01);
        cr_expect_float_eq(m.variance, shapes[i], 0.1 * shapes[i] + 0.01);
        cr_expect_geq(m.min, 0);
    }
}

Test(rng, shuffle_is_a_permutation_and_even)
{
    struct rng rng = make(3);
    int first[4] = {0};

    for (int i = 0; i < 40000; i++) {
        uint32_t items[] = {0, 1, 2, 3};
        unsigned seen = 0;
        rng_shuffle_u32(&rng, items, 4);
        for (int k = 0; k < 4; k++)
            seen |= 1u << items[k];
        cr_assert_eq(seen, 15);
        first[items[0]]++;
    }
    for (int i = 0; i < 4; i++)
        cr_expect(abs(first[i] - 10000) < 500, "%d: %d", i, first[i]);
    rng_shuffle_u32(&rng, NULL, 0);
}

Test(rng, choose_gives_ascending_distinct_items_evenly)
{
    struct rng rng = make(4);
    uint32_t out[3], scratch[10];
    int counts[10] = {0};

    for (int i = 0; i < 30000; i++) {
        rng_choose_u32(&rng, out, 3, scratch, 10);
        cr_assert(out[0] < out[1] && out[1] < out[2] && out[2] < 10);
        for (int k = 0; k < 3; k++)
            counts[out[k]]++;
    }
    for (int i = 0; i < 10; i++)
        cr_expect(abs(counts[i] - 9000) < 450, "%d: %d", i, counts[i]);
    rng_choose_u32(&rng, scratch, 10, (uint32_t[10]){0}, 10);
    for (uint32_t i = 0; i < 10; i++)
        cr_expect_eq(scratch[i], i);
}
