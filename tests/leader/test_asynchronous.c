/* The numbers of asynchronous and tiered aggregators. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "aggregation_story.h"

/* ---- fedasync ---- */

/* How much of an update that is `staleness` versions late comes into the model. */
static double mixed_share(const char *yaml, int64_t staleness)
{
    struct story story;
    float weights[WORLD_WEIGHTS], before[WORLD_WEIGHTS];
    struct flosim_update update;
    double share;

    story_init(&story, aggregation_find("fedasync"), yaml, NULL);
    story_begin_round(&story);
    update = story_update(&story, 0, 0, weights);
    story.version = 40;
    update.base_version = 40 - staleness;
    memcpy(before, story.global, sizeof before);
    cr_assert_eq(story_give(&story, &update, 0, true), FLOSIM_READY);
    share = ((double)story.global[1] - (double)before[1]) / ((double)weights[1] - (double)before[1]);
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        cr_assert_float_eq(story.global[k], (1 - share) * (double)before[k] + share * (double)weights[k], 1e-5);
    story_fini(&story);
    return share;
}

Test(asynchronous, fedasync_mixes_by_staleness)
{
    static const struct {
        const char *yaml;
        int64_t staleness;
        double share;
    } rows[] = {
        {"", 0, 1}, /* Flotilla's */
        {"", 3, 0.5},
        {"{alpha: 1}", 3, 0.25},
        {"{alpha: 0}", 9, 1},
        {"{mixing_rate: 0.6}", 0, 0.6},
        {"{mixing_rate: 0.6, alpha: 0.5}", 8, 0.2},
        {"{mixing_rate: 0.6, staleness: constant}", 12, 0.6},
        {"{mixing_rate: 0.8, staleness: hinge}", 4, 0.8},
        {"{mixing_rate: 0.8, staleness: hinge}", 6, 0.8 / 21},
        {"{staleness: hinge, a: 0.5, b: 1}", 3, 0.5},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_assert_float_eq(mixed_share(rows[i].yaml, rows[i].staleness), rows[i].share, 1e-4, "%s, %d late",
                           rows[i].yaml, (int)rows[i].staleness);
}

static void expect_from_the_future(const char *name)
{
    struct story story;
    float weights[WORLD_WEIGHTS];
    struct flosim_update update;

    story_init(&story, aggregation_find(name), NULL, NULL);
    story_begin_round(&story);
    update = story_update(&story, 0, 0, weights);
    update.base_version = 1;
    cr_assert_eq(story_give(&story, &update, 0, true), FLOSIM_INVALID);
    cr_assert(strstr(story.aggregator.host.explanation.message, "version 1"));
    story_fini(&story);
}

Test(asynchronous, updates_from_the_future_are_refused)
{
    expect_from_the_future("fedasync");
    expect_from_the_future("fedbuff");
}

Test(asynchronous, an_unknown_staleness_is_refused)
{
    const struct flosim_aggregator_ops *ops = aggregation_find("fedasync");
    struct strategy_world world;
    struct aggregator aggregator;
    struct error err = ERROR_INIT;

    strategy_world_init(&world, 1);
    cr_assert_neq(aggregator_init(&aggregator, ops, strategy_world_args("fedasync", ops->params, "{staleness: cubic}"),
                                  &world.base, &err),
                  OK);
    cr_assert(strstr(err.message, "cubic") && strstr(err.message, "hinge"), "%s", err.message);
    strategy_world_fini(&world);
}

/* ---- fedbuff ---- */

/* Changes are measured from what each client was sent, not from the model that is there now. */
static void buffer_four(struct story *story, const size_t order[4])
{
    static const int64_t late[] = {0, 3, 8, 1};
    float weights[WORLD_WEIGHTS];

    story->version = 20;
    story_begin_round(story);
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        story->global[k] = 1 + 0.5f * (float)k; /* nobody started from this one */
    for (size_t n = 0; n < 4; n++) {
        struct flosim_update update = story_update(story, order[n], 0, weights);

        update.base_version = 20 - late[order[n]];
        cr_assert_eq(story->ops->held(story->aggregator.state), n);
        cr_assert_eq(story_give(story, &update, order[n], false), n == 3 ? FLOSIM_READY : FLOSIM_PENDING);
    }
    cr_assert_eq(story->ops->held(story->aggregator.state), 0);
}

Test(asynchronous, fedbuff_steps_by_the_buffer_and_its_staleness)
{
    static const char yaml[] = "{buffer_size: 4, server_learning_rate: 0.8}";
    static const size_t forth[] = {0, 1, 2, 3}, mixed[] = {2, 0, 3, 1};
    static const double factors[] = {1, 0.5, 1.0 / 3, 0.70710678118654752};
    struct story story, other;

    story_init(&story, aggregation_find("fedbuff"), yaml, NULL);
    buffer_four(&story, forth);
    for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
        double step = 0, buffer = 0, samples = 0, expected;
        float weights[WORLD_WEIGHTS];

        for (size_t i = 0; i < 4; i++) {
            struct flosim_update update = story_update(&story, i, 0, weights);

            step += factors[i] * ((double)weights[k] - (double)story.base[k]);
            buffer += (double)update.num_samples * (double)weights[k];
            samples += (double)update.num_samples;
        }
        expected = k < WORLD_PARAMETERS ? 1 + 0.5 * (double)k + 0.8 / 4 * step : buffer / samples;
        cr_assert_float_eq(story.global[k], expected, 1e-5, "weight %zu is %g, not %g", k, (double)story.global[k],
                           expected);
    }
    story_init(&other, aggregation_find("fedbuff"), yaml, NULL);
    buffer_four(&other, mixed);
    cr_assert_eq(memcmp(story.global, other.global, sizeof story.global), 0);
    story_fini(&story);
    story_fini(&other);
}

/* ---- fedat ---- */

static void tier_round(struct story *story, size_t tier, float value)
{
    float weights[WORLD_WEIGHTS];
    struct flosim_update update = story_update(story, tier, 0, weights);

    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        weights[k] = value;
    cr_assert_eq(story_give(story, &update, tier, true), FLOSIM_READY);
}

Test(asynchronous, fedat_weighs_tiers_by_the_reversed_counts)
{
    struct story story;

    story_init(&story, aggregation_find("fedat"), NULL, NULL);
    tier_round(&story, 0, 10); /* the only tier that has a model */
    cr_assert_float_eq(story.global[0], 10, 1e-6);
    tier_round(&story, 0, 20);
    tier_round(&story, 0, 30);
    cr_assert_float_eq(story.global[0], 30, 1e-6);
    tier_round(&story, 2, 100); /* counts 3 and 1: weights 1/4 and 3/4 */
    cr_assert_float_eq(story.global[0], 0.25 * 30 + 0.75 * 100, 1e-5);
    tier_round(&story, 1, 1000);
    tier_round(&story, 1, 2000); /* counts 3, 2, 1: weights 1/6, 2/6, 3/6 */
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        cr_assert_float_eq(story.global[k], (30.0 + 2 * 2000 + 3 * 100) / 6, 1e-3);
    story_fini(&story);
}

/* Inside a tier: FedAvg, untouched by what other tiers hold. */
Test(asynchronous, fedat_averages_inside_a_tier)
{
    struct story story;
    float a[WORLD_WEIGHTS], b[WORLD_WEIGHTS], c[WORLD_WEIGHTS];
    struct flosim_update first, second, other;

    story_init(&story, aggregation_find("fedat"), NULL, NULL);
    first = story_update(&story, 0, 0, a);
    second = story_update(&story, 3, 0, b);
    other = story_update(&story, 1, 0, c);
    cr_assert_eq(story_give(&story, &first, 0, false), FLOSIM_PENDING);
    cr_assert_eq(story_give(&story, &other, 1, false), FLOSIM_PENDING);
    cr_assert_eq(story.ops->held(story.aggregator.state), 2);
    cr_assert_eq(story_give(&story, &second, 3, true), FLOSIM_READY);
    cr_assert_eq(story.ops->held(story.aggregator.state), 1);
    for (size_t k = 0; k < WORLD_WEIGHTS; k++)
        cr_assert_float_eq(story.global[k], (100.0 * (double)a[k] + 103.0 * (double)b[k]) / 203, 1e-6);
    story_fini(&story);
}
