/* The numbers of aggregators that average, against their formulas in long double. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "aggregation_story.h"

typedef long double real;

/* One round's updates, as the formulas see them. */
struct seen {
    float x[WORLD_WEIGHTS], w[STORY_CLIENTS][WORLD_WEIGHTS];
    struct flosim_update updates[STORY_CLIENTS];
};

/* Everybody answers; the round is complete with the last. */
static void play_round(struct story *story, int64_t round, struct seen *seen)
{
    story_begin_round(story);
    memcpy(seen->x, story->base, sizeof seen->x);
    for (size_t i = 0; i < STORY_CLIENTS; i++) {
        seen->updates[i] = story_update(story, i, round, seen->w[i]);
        cr_assert_eq(story_give(story, &seen->updates[i], i, i + 1 == STORY_CLIENTS),
                     i + 1 == STORY_CLIENTS ? FLOSIM_READY : FLOSIM_PENDING, "%s",
                     story->aggregator.host.explanation.message);
    }
}

static real samples_of(const struct seen *seen, size_t i)
{
    return (real)seen->updates[i].num_samples;
}

static real all_samples(const struct seen *seen)
{
    real n = 0;

    for (size_t i = 0; i < STORY_CLIENTS; i++)
        n += samples_of(seen, i);
    return n;
}

static real mean_of(const struct seen *seen, size_t k)
{
    real sum = 0;

    for (size_t i = 0; i < STORY_CLIENTS; i++)
        sum += samples_of(seen, i) * (real)seen->w[i][k];
    return sum / all_samples(seen);
}

/* The last weights are buffers: their mean, whatever becomes of the parameters. */
static void expect_model(const struct story *story, const struct seen *seen, const real parameters[WORLD_PARAMETERS])
{
    for (size_t k = 0; k < WORLD_WEIGHTS; k++) {
        real expected = k < WORLD_PARAMETERS ? parameters[k] : mean_of(seen, k);

        cr_assert_float_eq((double)story->global[k], (double)expected, 1e-6 * (1 + fabs((double)expected)),
                           "%s: weight %zu is %g, not %g", story->ops->name, k, (double)story->global[k],
                           (double)expected);
    }
}

static void expect_mean(const char *name, const char *yaml)
{
    struct story story;
    struct seen seen;
    real expected[WORLD_PARAMETERS];

    story_init(&story, aggregation_find(name), yaml, NULL);
    play_round(&story, 0, &seen);
    for (size_t k = 0; k < WORLD_PARAMETERS; k++)
        expected[k] = mean_of(&seen, k);
    expect_model(&story, &seen, expected);
    story_fini(&story);
}

Test(averages, fedavg_is_the_weighted_mean)
{
    expect_mean("fedavg", "");
}

Test(averages, fedprox_is_the_weighted_mean_and_asks_for_the_proximal_term)
{
    struct story story;

    expect_mean("fedprox", "{mu: 0.3}");
    story_init(&story, aggregation_find("fedprox"), "{mu: 0.3}", NULL);
    story_begin_round(&story);
    cr_assert_eq(story.asked.proximal_mu, 0.3);
    cr_assert_eq(story.asked.correction, NULL);
    cr_assert_eq(story.asked.wants_initial_loss, 0);
    story_fini(&story);
}

/* Partial work counts unless it is to be dropped. */
Test(averages, partial_work_is_dropped_where_that_is_wanted)
{
    static const char *const names[] = {"fedavg", "fedprox"};

    for (size_t k = 0; k < 4; k++) {
        struct story story;
        float weights[WORLD_WEIGHTS];
        struct flosim_update update;
        bool drop = k % 2 != 0;

        story_init(&story, aggregation_find(names[k / 2]), drop ? "{drop_partial: true}" : "", NULL);
        story_begin_round(&story);
        update = story_update(&story, 0, 0, weights);
        update.num_epochs = 3.5; /* of 5 */
        cr_assert_eq(story_give(&story, &update, 0, false), drop ? FLOSIM_INVALID : FLOSIM_PENDING);
        cr_assert_eq(story.ops->held(story.aggregator.state), drop ? 0 : 1);
        cr_assert(!drop || strstr(story.aggregator.host.explanation.message, "3.5 of 5 epochs"));
        update.num_epochs = 5;
        cr_assert_eq(story_give(&story, &update, 0, false), FLOSIM_PENDING);
        update.num_epochs = 0; /* not told */
        cr_assert_eq(story_give(&story, &update, 0, false), FLOSIM_PENDING);
        story_fini(&story);
    }
}

Test(averages, what_cannot_be_summed_is_refused)
{
    static const char *const names[] = {"fedavg", "fedprox", "fednova", "scaffold"};

    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t weight = 0; weight < WORLD_WEIGHTS; weight += WORLD_WEIGHTS - 1) {
            struct story story;
            float weights[WORLD_WEIGHTS];
            struct flosim_update update;

            story_init(&story, aggregation_find(names[k]), NULL, NULL);
            story_begin_round(&story);
            update = story_update(&story, 0, 0, weights);
            weights[weight] = -1e30f;
            cr_assert_eq(story_give(&story, &update, 0, true), FLOSIM_TOO_LARGE, "%s", names[k]);
            cr_assert(strstr(story.aggregator.host.explanation.message, "range of exact sums"));
            cr_assert_eq(story.ops->held(story.aggregator.state), 0);
            story_fini(&story);
        }
}

/* ---- fednova ---- */

static const struct flosim_training with_momentum = {
    .num_epochs = 5, .batch_size = 10, .num_rounds = 100, .learning_rate = 0.1, .optimizer = "sgd", .momentum = 0.9};
static const struct flosim_training plain = {
    .num_epochs = 5, .batch_size = 10, .num_rounds = 100, .learning_rate = 0.1, .optimizer = "sgd"};
static const struct flosim_training adam = {
    .num_epochs = 5, .batch_size = 10, .num_rounds = 100, .learning_rate = 0.1, .optimizer = "adam"};

/* Closed forms of |a|_1, Wang et al. 2020, section 4.1 and appendix: momentum; proximal term. */
static real weight_of_steps(int64_t steps, real rho, real shrink)
{
    real tau = (real)steps;

    if (shrink > 0)
        return (1 - powl(1 - shrink, tau)) / shrink;
    return rho > 0 ? (tau - rho * (1 - powl(rho, tau)) / (1 - rho)) / (1 - rho) : tau;
}

static void check_fednova(const struct flosim_training *training, const char *yaml, real rho, real mu)
{
    struct story story;
    struct seen seen;
    real expected[WORLD_PARAMETERS], n, effective = 0;

    story_init(&story, aggregation_find("fednova"), yaml, training);
    play_round(&story, 0, &seen);
    n = all_samples(&seen);
    for (size_t i = 0; i < STORY_CLIENTS; i++)
        effective += samples_of(&seen, i) / n * weight_of_steps(seen.updates[i].local_steps, rho, 0.1L * mu);
    for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
        real step = 0;

        for (size_t i = 0; i < STORY_CLIENTS; i++)
            step += samples_of(&seen, i) / n * ((real)seen.w[i][k] - (real)seen.x[k]) /
                    weight_of_steps(seen.updates[i].local_steps, rho, 0.1L * mu);
        expected[k] = (real)seen.x[k] + effective * step;
    }
    expect_model(&story, &seen, expected);
    story_fini(&story);
}

Test(averages, fednova_normalises_by_what_the_steps_weigh)
{
    check_fednova(&plain, "", 0, 0);
    check_fednova(&with_momentum, "", 0.9L, 0);
    check_fednova(&plain, "{mu: 0.5}", 0, 0.5L);
}

/* Where all do the same number of steps, it is FedAvg (of changes rounded once). */
Test(averages, fednova_of_equal_work_is_fedavg)
{
    struct story story;
    struct flosim_update update;
    float w[STORY_CLIENTS][WORLD_WEIGHTS], mean[WORLD_WEIGHTS];

    for (int pass = 0; pass < 2; pass++) {
        story_init(&story, aggregation_find(pass ? "fednova" : "fedavg"), NULL, &with_momentum);
        story_begin_round(&story);
        for (size_t i = 0; i < STORY_CLIENTS; i++) {
            update = story_update(&story, i, 0, w[i]);
            update.local_steps = 17;
            story_give(&story, &update, i, i + 1 == STORY_CLIENTS);
        }
        if (pass == 0)
            memcpy(mean, story.global, sizeof mean);
        for (size_t k = 0; k < WORLD_WEIGHTS; k++)
            cr_assert_float_eq(story.global[k], mean[k], 1e-6);
        story_fini(&story);
    }
}

static void expect_refused_start(const char *name, const struct flosim_training *training)
{
    const struct flosim_aggregator_ops *ops = aggregation_find(name);
    struct strategy_world world;
    struct aggregator aggregator;
    struct error err = ERROR_INIT;

    strategy_world_init(&world, 1);
    world.base.training = training;
    cr_assert_neq(aggregator_init(&aggregator, ops, strategy_world_args(name, ops->params, ""), &world.base, &err), OK);
    cr_assert(strstr(err.message, "sgd") && strstr(err.message, training->optimizer), "%s", err.message);
    strategy_world_fini(&world);
}

static void expect_refused_without_steps(const char *name)
{
    struct story story;
    float weights[WORLD_WEIGHTS];
    struct flosim_update update;

    story_init(&story, aggregation_find(name), NULL, NULL);
    story_begin_round(&story);
    update = story_update(&story, 0, 0, weights);
    update.local_steps = 0;
    cr_assert_eq(story_give(&story, &update, 0, true), FLOSIM_INVALID);
    cr_assert(strstr(story.aggregator.host.explanation.message, "local steps"));
    story_fini(&story);
}

Test(averages, fednova_and_scaffold_refuse_what_they_cannot_normalise)
{
    expect_refused_start("fednova", &adam);
    expect_refused_start("scaffold", &adam);
    expect_refused_without_steps("fednova");
    expect_refused_without_steps("scaffold");
}

/* ---- scaffold ---- */

/* Algorithm 1 with option II of Karimireddy et al. 2020, in long double, over rounds in which everybody of
 * STORY_CLIENTS takes part; the other clients that are known keep c_i = 0. */
static void check_scaffold(const struct flosim_training *training, const char *yaml, real server_rate, bool weighted)
{
    static real c[WORLD_PARAMETERS], own[STORY_CLIENTS][WORLD_PARAMETERS];
    struct story story;
    struct seen seen;

    memset(c, 0, sizeof c);
    memset(own, 0, sizeof own);
    story_init(&story, aggregation_find("scaffold"), yaml, training);
    for (int64_t round = 0; round < STORY_ROUNDS; round++) {
        real expected[WORLD_PARAMETERS], n;

        play_round(&story, round, &seen);
        n = all_samples(&seen);
        for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
            real moved = 0, step = 0;

            for (size_t i = 0; i < STORY_CLIENTS; i++) {
                real a = weight_of_steps(seen.updates[i].local_steps, (real)training->momentum, 0);
                real next = own[i][k] - c[k] + ((real)seen.x[k] - (real)seen.w[i][k]) / (a * 0.1L);

                cr_assert_float_eq(story.correction[i][k], (double)(c[k] - own[i][k]), 1e-5);
                moved += next - own[i][k];
                own[i][k] = next;
                step += (weighted ? samples_of(&seen, i) / n : 1 / (real)STORY_CLIENTS) *
                        ((real)seen.w[i][k] - (real)seen.x[k]);
            }
            expected[k] = (real)seen.x[k] + server_rate * step;
            c[k] += moved / WORLD_CLIENTS;
        }
        expect_model(&story, &seen, expected);
    }
    for (size_t i = 0; i < STORY_CLIENTS; i++)
        for (size_t k = WORLD_PARAMETERS; k < WORLD_WEIGHTS; k++)
            cr_assert_eq(story.correction[i][k], 0);
    story_fini(&story);
}

Test(averages, scaffold_keeps_the_control_variates_of_the_paper)
{
    check_scaffold(&plain, "", 1, false);
    check_scaffold(&plain, "{server_learning_rate: 0.5}", 0.5L, false);
    check_scaffold(&with_momentum, "{weighted: true}", 1, true);
}

/* Gradients of quadratics, F_i(w) = |w - m_i|^2 / 2, by momentum SGD of K steps with the correction in the gradient:
 * the differences c - c_i must settle at the true ones. With K alone in place of what the steps weigh they explode. */
Test(averages, scaffold_is_stable_with_momentum)
{
    struct story story;
    float w[WORLD_WEIGHTS], target[STORY_CLIENTS];
    double mean = 0;

    story_init(&story, aggregation_find("scaffold"), "", &with_momentum);
    for (size_t i = 0; i < STORY_CLIENTS; i++) {
        target[i] = (float)((i * 7) % STORY_CLIENTS) - 4;
        mean += (double)target[i] / STORY_CLIENTS;
    }
    for (int round = 0; round < 200; round++) {
        story_begin_round(&story);
        for (size_t i = 0; i < STORY_CLIENTS; i++) {
            struct flosim_update update = strategy_world_update(&story.world, i, w);

            memcpy(w, story.base, sizeof w);
            update.local_steps = 10 + (int64_t)i;
            update.learning_rate = 0.002;
            for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
                double position = (double)w[k], velocity = 0;

                for (int64_t s = 0; s < update.local_steps; s++) {
                    velocity = 0.9 * velocity + position - (double)target[i] + (double)story.correction[i][k];
                    position -= 0.002 * velocity;
                }
                w[k] = (float)position;
            }
            story_give(&story, &update, i, i + 1 == STORY_CLIENTS);
        }
    }
    for (size_t k = 0; k < WORLD_PARAMETERS; k++)
        cr_assert_float_eq(story.global[k], mean, 0.05, "%g is not %g", (double)story.global[k], mean);
    story_fini(&story);
}

/* ---- momentum and adaptive optimizers on the server ---- */

/* d of each parameter of a round. */
static void mean_changes(const struct seen *seen, real d[WORLD_PARAMETERS])
{
    for (size_t k = 0; k < WORLD_PARAMETERS; k++)
        d[k] = mean_of(seen, k) - (real)seen->x[k];
}

Test(averages, fedavgm_carries_its_velocity_on)
{
    real d[WORLD_PARAMETERS], velocity[WORLD_PARAMETERS] = {0}, expected[WORLD_PARAMETERS];
    struct story story;
    struct seen seen;

    story_init(&story, aggregation_find("fedavgm"), "{server_learning_rate: 0.5, momentum: 0.8}", NULL);
    for (int64_t round = 0; round < STORY_ROUNDS; round++) {
        play_round(&story, round, &seen);
        mean_changes(&seen, d);
        for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
            velocity[k] = 0.8L * velocity[k] + d[k];
            expected[k] = (real)seen.x[k] + 0.5L * velocity[k];
        }
        expect_model(&story, &seen, expected);
    }
    story_fini(&story);
    expect_mean("fedavgm", "{momentum: 0}");
}

static real adam_rule(real v, real square)
{
    return 0.95L * v + 0.05L * square;
}

static real yogi_rule(real v, real square)
{
    return v > square ? v - 0.05L * square : v < square ? v + 0.05L * square : v;
}

static real adagrad_rule(real v, real square)
{
    return v + square;
}

/* Algorithm 2 of Reddi et al. 2021. */
static void check_adaptive(const char *name, const char *yaml, real (*rule)(real v, real square), real beta1)
{
    real d[WORLD_PARAMETERS], m[WORLD_PARAMETERS] = {0}, v[WORLD_PARAMETERS], expected[WORLD_PARAMETERS];
    struct story story;
    struct seen seen;

    story_init(&story, aggregation_find(name), yaml, NULL);
    for (size_t k = 0; k < WORLD_PARAMETERS; k++)
        v[k] = 0.01L * 0.01L;
    for (int64_t round = 0; round < STORY_ROUNDS; round++) {
        play_round(&story, round, &seen);
        mean_changes(&seen, d);
        for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
            m[k] = beta1 * m[k] + (1 - beta1) * d[k];
            v[k] = rule(v[k], d[k] * d[k]);
            expected[k] = (real)seen.x[k] + 0.05L * m[k] / (sqrtl(v[k]) + 0.01L);
        }
        expect_model(&story, &seen, expected);
    }
    story_fini(&story);
}

Test(averages, adaptive_optimizers_follow_the_paper)
{
    check_adaptive("fedadam", "{eta: 0.05, tau: 0.01, beta1: 0.7, beta2: 0.95}", adam_rule, 0.7L);
    check_adaptive("fedyogi", "{eta: 0.05, tau: 0.01, beta1: 0.7, beta2: 0.95}", yogi_rule, 0.7L);
    check_adaptive("fedadagrad", "{eta: 0.05, tau: 0.01}", adagrad_rule, 0);
    check_adaptive("fedadagrad", "{eta: 0.05, tau: 0.01, beta1: 0.7}", adagrad_rule, 0.7L);
}

/* ---- qfedavg ---- */

static void check_qfedavg(const char *yaml, real q, real lipschitz)
{
    real expected[WORLD_PARAMETERS], below = 0;
    struct story story;
    struct seen seen;

    story_init(&story, aggregation_find("qfedavg"), yaml, NULL);
    play_round(&story, 0, &seen);
    cr_assert_eq(story.asked.wants_initial_loss, 1);
    for (size_t i = 0; i < STORY_CLIENTS; i++) {
        real loss = (real)seen.updates[i].metrics[0].value, square = 0;

        for (size_t k = 0; k < WORLD_PARAMETERS; k++)
            square += powl(lipschitz * ((real)seen.x[k] - (real)seen.w[i][k]), 2);
        below += q * powl(loss, q - 1) * square + lipschitz * powl(loss, q);
    }
    for (size_t k = 0; k < WORLD_PARAMETERS; k++) {
        expected[k] = (real)seen.x[k];
        for (size_t i = 0; i < STORY_CLIENTS; i++)
            expected[k] -= powl((real)seen.updates[i].metrics[0].value, q) * lipschitz *
                           ((real)seen.x[k] - (real)seen.w[i][k]) / below;
    }
    expect_model(&story, &seen, expected);
    story_fini(&story);
}

Test(averages, qfedavg_weighs_by_loss)
{
    struct story story;
    float weights[WORLD_WEIGHTS];
    struct flosim_update update;

    check_qfedavg("{q: 0}", 0, 10); /* L = 1 / 0.1 */
    check_qfedavg("{q: 1}", 1, 10);
    check_qfedavg("{q: 2.5, lipschitz: 3}", 2.5L, 3);
    check_qfedavg("{q: 0.2}", 0.2L, 10);
    story_init(&story, aggregation_find("qfedavg"), NULL, NULL);
    story_begin_round(&story);
    update = story_update(&story, 0, 0, weights);
    update.num_metrics = 0;
    cr_assert_eq(story_give(&story, &update, 0, true), FLOSIM_INVALID);
    cr_assert(strstr(story.aggregator.host.explanation.message, "initial loss"));
    story_fini(&story);
}
