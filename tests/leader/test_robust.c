/* Robust aggregators: numbers worked out by hand, the definitions computed naively, and what liars can do. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "strategy_world.h"

static void make(struct aggregator *out, struct strategy_world *world, const char *name, const char *yaml)
{
    const struct flosim_aggregator_ops *ops = aggregation_find(name);
    struct error err = ERROR_INIT;

    strategy_world_init(world, 1);
    cr_assert(ops, "%s", name);
    cr_assert_eq(aggregator_init(out, ops, strategy_world_args(name, ops->params, yaml), &world->base, &err), OK, "%s",
                 err.message);
}

static void drop(struct aggregator *aggregator, struct strategy_world *world)
{
    aggregator_fini(aggregator);
    strategy_world_fini(world);
}

/* Clients 0 … n-1 send rows [n, WORLD_WEIGHTS] in one round, the last client first. Returns the last answer. */
static int send(struct aggregator *aggregator, const struct strategy_world *world, const float *rows, size_t n,
                float *out)
{
    static const float global[WORLD_WEIGHTS] = {0};
    int status = FLOSIM_PENDING;

    for (size_t i = n; i-- > 0;) {
        struct flosim_update update = {.size = sizeof update,
                                       .client = world->ids[i],
                                       .num_samples = world->clients[i].num_samples,
                                       .weights = rows + i * WORLD_WEIGHTS};
        struct flosim_round round = {
            .size = sizeof round, .global = global, .num_outstanding = i, .num_cohorts = 1, .complete = i == 0};

        status = aggregator->ops->on_update(aggregator->state, &update, &round, out);
        cr_assert(i == 0 || status == FLOSIM_PENDING);
    }
    return status;
}

/* The first coordinate of the model that comes of n updates with these first coordinates and zeros behind. */
static double first_of(const char *name, const char *yaml, const float *values, size_t n)
{
    float rows[WORLD_CLIENTS * WORLD_WEIGHTS] = {0}, out[WORLD_WEIGHTS];
    struct strategy_world world;
    struct aggregator aggregator;

    make(&aggregator, &world, name, yaml);
    for (size_t i = 0; i < n; i++)
        rows[i * WORLD_WEIGHTS] = values[i];
    cr_assert_eq(send(&aggregator, &world, rows, n, out), FLOSIM_READY, "%s", aggregator.host.explanation.message);
    cr_assert_eq(aggregator.ops->held(aggregator.state), 0);
    for (size_t k = 1; k < WORLD_WEIGHTS; k++)
        cr_assert_float_eq(out[k], 0, 1e-12);
    drop(&aggregator, &world);
    return (double)out[0];
}

/* ---- by hand ---- */

static const float five[] = {3, 30, 0, 10, 1};

Test(robust, median_by_hand)
{
    cr_assert_float_eq(first_of("median", "", five, 5), 3, 1e-6);
    cr_assert_float_eq(first_of("median", "", five, 4), 6.5, 1e-6); /* of 0, 3, 10, 30 */
    cr_assert_float_eq(first_of("median", "", five, 2), 16.5, 1e-6);
    cr_assert_float_eq(first_of("median", "", five, 1), 3, 1e-6);
}

Test(robust, trimmed_mean_by_hand)
{
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 0}", five, 5), 44.0 / 5, 1e-6);
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 0.19}", five, 5), 44.0 / 5, 1e-6);
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 0.2}", five, 5), 14.0 / 3, 1e-6); /* of 1, 3, 10 */
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 50%}", five, 5), 3, 1e-6);
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 0.5}", five, 4), 6.5, 1e-6);
    cr_assert_float_eq(first_of("trimmed_mean", "{beta: 0.5}", five, 1), 3, 1e-6);
}

/* f = 1: 5 - 1 - 2 = 2 neighbours; scores of 3, 30, 0, 10, 1 are 13, 1129, 10, 130, 5. f = 0: 3 neighbours; 62 of 3,
 * 110 of 0, 86 of 1. */
Test(robust, krum_by_hand)
{
    cr_assert_float_eq(first_of("krum", "{f: 1}", five, 5), 1, 0);
    cr_assert_float_eq(first_of("krum", "", five, 5), 1, 0);
    cr_assert_float_eq(first_of("krum", "{f: 0}", five, 5), 3, 0);
}

Test(robust, multikrum_by_hand)
{
    cr_assert_float_eq(first_of("multikrum", "{f: 1, m: 1}", five, 5), 1, 0);
    cr_assert_float_eq(first_of("multikrum", "{f: 1, m: 2}", five, 5), 0.5, 1e-6);
    cr_assert_float_eq(first_of("multikrum", "{f: 1}", five, 5), 3.5, 1e-6);
    cr_assert_float_eq(first_of("multikrum", "{f: 1, m: 99}", five, 5), 8.8, 1e-6);
}

/* Of 0, 1, 3, 6, 10, 40, 90 with f = 1 Krum takes one after the other, by its n' - 3 nearest of the n' that are left:
 * n' = 7, 4 neighbours: 0: 146, 1: 115, 3: 71, 6: 86, 10: 246, so 3; n' = 6, 3: 0: 137, 1: 107, 6: 77, 10: 197, so 6;
 * n' = 5, 2: 0: 101, 1: 82, 10: 181, so 1; n' = 4, 1 (as from here on): 0: 100, 10: 100, 40: 900, so 0, the first by
 * id; n' = 3: 10: 900, 40: 900, 90: 2500, so 10. Chosen are 0, 1, 3, 6, 10 with the median 3; the three nearest to it
 * are 1, 3 and one of 0 and 6, equally far: the larger one goes. */
Test(robust, bulyan_by_hand)
{
    static const float values[] = {0, 1, 3, 6, 10, 40, 90};

    cr_assert_float_eq(first_of("bulyan", "{f: 1}", values, 7), 4.0 / 3, 1e-6);
    cr_assert_float_eq(first_of("bulyan", "", values, 7), 4.0 / 3, 1e-6);
    cr_assert_float_eq(first_of("bulyan", "{f: 0}", values, 7), 150.0 / 7, 1e-5); /* nobody lies: the mean */
}

Test(robust, norm_clipping_by_hand)
{
    float rows[2 * WORLD_WEIGHTS] = {3, 4}, out[WORLD_WEIGHTS];
    struct strategy_world world;
    struct aggregator aggregator;

    make(&aggregator, &world, "norm_clipping", "{max_norm: 2.5}");
    cr_assert_eq(send(&aggregator, &world, rows, 1, out), FLOSIM_READY);
    cr_assert_float_eq(out[0], 1.5, 1e-6); /* |(3, 4)| = 5 is drawn to 2.5 */
    cr_assert_float_eq(out[1], 2, 1e-6);
    rows[WORLD_WEIGHTS] = 2; /* short enough; 100 and 101 samples */
    cr_assert_eq(send(&aggregator, &world, rows, 2, out), FLOSIM_READY);
    cr_assert_float_eq(out[0], (100 * 1.5 + 101 * 2) / 201, 1e-6);
    cr_assert_float_eq(out[1], 100 * 2.0 / 201, 1e-6);
    drop(&aggregator, &world);
}

/* The noise has its deviation, is the same for the same round, and another in the next. */
Test(robust, norm_clipping_adds_noise)
{
    float row[WORLD_WEIGHTS] = {0}, out[3][WORLD_WEIGHTS];
    struct strategy_world world;
    struct aggregator aggregator;
    double square = 0;

    make(&aggregator, &world, "norm_clipping", "{max_norm: 1, noise: 0.5}");
    for (int64_t k = 0; k < 3; k++) {
        struct flosim_update update = {.size = sizeof update, .client = "a", .num_samples = 1, .weights = row};
        struct flosim_round round = {
            .size = sizeof round, .version = k / 2, .global = row, .num_cohorts = 1, .complete = 1};

        cr_assert_eq(aggregator.ops->on_update(aggregator.state, &update, &round, out[k]), FLOSIM_READY);
    }
    cr_assert_eq(memcmp(out[0], out[1], sizeof out[0]), 0);
    cr_assert_neq(memcmp(out[0], out[2], sizeof out[0]), 0);
    for (size_t i = 0; i < aggregator.host.services.num_parameters; i++)
        square += (double)out[0][i] * (double)out[0][i];
    cr_assert_float_eq(sqrt(square / (double)aggregator.host.services.num_parameters), 0.5, 0.2);
    for (size_t i = aggregator.host.services.num_parameters; i < WORLD_WEIGHTS; i++)
        cr_assert_float_eq(out[0][i], 0, 0);
    drop(&aggregator, &world);
}

/* ---- against the definitions ---- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void column(const float *rows, size_t n, size_t k, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = rows[i * WORLD_WEIGHTS + k];
    qsort(out, n, sizeof *out, by_value);
}

/* The mean of the middle, `cut` left out at either end. */
static double middle(const float *sorted, size_t n, size_t cut)
{
    double sum = 0;

    for (size_t i = cut; i < n - cut; i++)
        sum += (double)sorted[i];
    return sum / (double)(n - 2 * cut);
}

static void fill(const struct strategy_world *world, float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        strategy_world_update(world, i, rows + i * WORLD_WEIGHTS);
}

/* Every number of clients has its own network of comparisons. */
Test(robust, coordinate_wise_rules_are_their_definitions)
{
    float rows[WORLD_CLIENTS * WORLD_WEIGHTS], out[WORLD_WEIGHTS], sorted[WORLD_CLIENTS];

    for (size_t n = 1; n <= WORLD_CLIENTS; n++) {
        struct strategy_world world;
        struct aggregator median, trimmed;

        make(&median, &world, "median", "");
        fill(&world, rows, n);
        cr_assert_eq(send(&median, &world, rows, n, out), FLOSIM_READY);
        for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
            column(rows, n, k, sorted);
            cr_assert_eq(out[k], (float)middle(sorted, n, (n - 1) / 2));
        }
        drop(&median, &world);
        make(&trimmed, &world, "trimmed_mean", "{beta: 0.3}");
        cr_assert_eq(send(&trimmed, &world, rows, n, out), FLOSIM_READY);
        for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
            column(rows, n, k, sorted);
            cr_assert_eq(out[k], (float)middle(sorted, n, 3 * n / 10), "n = %zu", n);
        }
        drop(&trimmed, &world);
    }
}

static double distance(const float *rows, size_t a, size_t b)
{
    double sum = 0;

    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        sum += pow((double)rows[a * WORLD_WEIGHTS + k] - (double)rows[b * WORLD_WEIGHTS + k], 2);
    return sum;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The best of those that are not taken, by the definition. */
static size_t naive_krum(const float *rows, const int *taken, size_t n, size_t f)
{
    size_t best = n, left = 0;
    double least = INFINITY;

    for (size_t i = 0; i < n; i++)
        left += !taken[i];
    for (size_t i = 0; i < n; i++) {
        double distances[WORLD_CLIENTS], score = 0;
        size_t others = 0;

        if (taken[i])
            continue;
        for (size_t k = 0; k < n; k++)
            if (k != i && !taken[k])
                distances[others++] = distance(rows, i, k);
        qsort(distances, others, sizeof *distances, by_double);
        for (size_t k = 0; k < others && k < (left > f + 2 ? left - f - 2 : 1); k++)
            score += distances[k];
        if (score < least) {
            least = score;
            best = i;
        }
    }
    return best;
}

Test(robust, krum_is_its_definition)
{
    float rows[WORLD_CLIENTS * WORLD_WEIGHTS], out[WORLD_WEIGHTS];

    for (size_t n = 3; n <= WORLD_CLIENTS; n++) {
        struct strategy_world world;
        struct aggregator aggregator;
        int taken[WORLD_CLIENTS] = {0};

        make(&aggregator, &world, "krum", "");
        fill(&world, rows, n);
        cr_assert_eq(send(&aggregator, &world, rows, n, out), FLOSIM_READY);
        cr_assert_arr_eq(out, rows + naive_krum(rows, taken, n, (n - 3) / 2) * WORLD_WEIGHTS, sizeof out);
        drop(&aggregator, &world);
    }
}

/* The theta - 2f of one column's chosen values that are nearest to their median, by sorting distances. */
static double naive_middle(const float *sorted, size_t theta, size_t f)
{
    double median = middle(sorted, theta, (theta - 1) / 2), distances[WORLD_CLIENTS], sum = 0;
    size_t kept = 0;

    for (size_t i = 0; i < theta; i++)
        distances[i] = fabs((double)sorted[i] - median);
    qsort(distances, theta, sizeof *distances, by_double);
    for (size_t i = 0; i < theta && kept < theta - 2 * f; i++)
        if (fabs((double)sorted[i] - median) <= distances[theta - 2 * f - 1]) {
            sum += (double)sorted[i];
            kept++;
        }
    return sum / (double)kept;
}

Test(robust, bulyan_is_its_definition)
{
    float rows[WORLD_CLIENTS * WORLD_WEIGHTS], chosen[WORLD_CLIENTS * WORLD_WEIGHTS], out[WORLD_WEIGHTS];

    for (size_t n = 3; n <= WORLD_CLIENTS; n++) {
        struct strategy_world world;
        struct aggregator aggregator;
        int taken[WORLD_CLIENTS] = {0};
        size_t f = (n - 3) / 4;

        make(&aggregator, &world, "bulyan", "");
        fill(&world, rows, n);
        cr_assert_eq(send(&aggregator, &world, rows, n, out), FLOSIM_READY);
        for (size_t i = 0; i < n - 2 * f; i++) {
            size_t best = naive_krum(rows, taken, n, f);

            taken[best] = 1;
            memcpy(chosen + i * WORLD_WEIGHTS, rows + best * WORLD_WEIGHTS, sizeof out);
        }
        for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
            float sorted[WORLD_CLIENTS];

            column(chosen, n - 2 * f, k, sorted);
            cr_assert_float_eq(out[k], naive_middle(sorted, n - 2 * f, f), 1e-6 * (1 + fabs((double)out[k])), "n = %zu",
                               n);
        }
        drop(&aggregator, &world);
    }
}

/* ---- what liars can do ---- */

/* Two of eleven send something huge, each coordinate with another sign: the model stays among the honest weights. */
Test(robust, two_of_eleven_cannot_move_the_model)
{
    static const struct {
        const char *name, *args;
    } rules[] = {
        {"median", ""}, {"trimmed_mean", ""}, {"krum", "{f: 2}"}, {"multikrum", "{f: 2}"}, {"bulyan", "{f: 2}"}};
    float rows[11 * WORLD_WEIGHTS], out[WORLD_WEIGHTS], sorted[11];

    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        struct strategy_world world;
        struct aggregator aggregator;

        make(&aggregator, &world, rules[r].name, rules[r].args);
        fill(&world, rows, 11);
        for (size_t k = 0; k < WORLD_WEIGHTS; k++)
            rows[k] = rows[5 * WORLD_WEIGHTS + k] = k % 2 ? 1e30f : -3e38f;
        cr_assert_eq(send(&aggregator, &world, rows, 11, out), FLOSIM_READY);
        for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
            column(rows, 11, k, sorted);
            cr_assert(out[k] >= sorted[k % 2 ? 0 : 2] && out[k] <= sorted[k % 2 ? 8 : 10], "%s", rules[r].name);
        }
        drop(&aggregator, &world);
    }
}

/* ---- too few ---- */

/* So many updates are enough, one less is too few; the same is said before anybody trains. */
static void check_least(const char *name, const char *yaml, size_t least)
{
    float rows[WORLD_CLIENTS * WORLD_WEIGHTS], out[WORLD_WEIGHTS];
    struct strategy_world world;
    struct aggregator aggregator;
    struct flosim_request request = {.size = sizeof request};
    struct flosim_round round = {.size = sizeof round, .num_cohorts = 1};

    make(&aggregator, &world, name, yaml);
    fill(&world, rows, least);
    cr_assert_eq(send(&aggregator, &world, rows, least - 1, out), FLOSIM_TOO_FEW, "%s", name);
    cr_assert(strstr(aggregator.host.explanation.message, "too few"));
    aggregator.ops->discard(aggregator.state, 0);
    cr_assert_eq(aggregator.ops->held(aggregator.state), 0);
    cr_assert_eq(send(&aggregator, &world, rows, least, out), FLOSIM_READY, "%s", name);
    for (round.num_wanted = 0; round.num_wanted <= least; round.num_wanted++) {
        bool is_fine = round.num_wanted == 0 || round.num_wanted == least;

        cr_assert_eq(aggregator.ops->prepare(aggregator.state, "a", &round, &request),
                     is_fine ? FLOSIM_OK : FLOSIM_INVALID, "%s of %zu", name, round.num_wanted);
    }
    drop(&aggregator, &world);
}

Test(robust, fewer_than_the_rule_needs_are_refused)
{
    check_least("krum", "{f: 2}", 7);
    check_least("multikrum", "{f: 3}", 9);
    check_least("bulyan", "{f: 2}", 11);
    check_least("krum", "", 3);
    check_least("multikrum", "", 3);
    check_least("bulyan", "", 3);
}

/* A store whose values do not fit together is told, and leaves nothing behind. */
Test(robust, a_broken_save_is_refused)
{
    float rows[3 * WORLD_WEIGHTS], out[WORLD_WEIGHTS];
    struct strategy_world world;
    struct aggregator aggregator;
    const struct flosim_host *host = &aggregator.host.services;
    struct flosim_round round = {.size = sizeof round, .num_outstanding = 1, .num_cohorts = 1};
    struct flosim_update update;

    make(&aggregator, &world, "median", "");
    update = strategy_world_update(&world, 0, rows);
    cr_assert_eq(aggregator.ops->on_update(aggregator.state, &update, &round, out), FLOSIM_PENDING);
    cr_assert_eq(aggregator.ops->save(aggregator.state), FLOSIM_OK);
    cr_assert_eq(host->store_put(host, "updates", "7 a\nx b\n", 8), FLOSIM_OK);
    cr_assert_eq(aggregator.ops->restore(aggregator.state), FLOSIM_CORRUPT);
    cr_assert_eq(aggregator.ops->held(aggregator.state), 0);
    cr_assert_eq(host->store_put(host, "updates", "7 a\n", 4), FLOSIM_OK);
    cr_assert_eq(aggregator.ops->restore(aggregator.state), FLOSIM_OK);
    cr_assert_eq(aggregator.ops->held(aggregator.state), 1);
    cr_assert_eq(host->store_put(host, "weights.0", rows, 8), FLOSIM_OK);
    cr_assert_eq(aggregator.ops->restore(aggregator.state), FLOSIM_CORRUPT);
    cr_assert_eq(aggregator.ops->held(aggregator.state), 0);
    drop(&aggregator, &world);
}
