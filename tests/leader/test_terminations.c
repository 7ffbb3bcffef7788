/* Terminations: the contract of every row, and each member against numbers worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "strategy_world.h"

static void begin(struct termination *out, const char *name, const char *yaml, struct strategy_world *world)
{
    const struct flosim_termination_ops *ops = termination_find(name);
    struct error err = ERROR_INIT;

    cr_assert(ops, "%s", name);
    cr_assert_eq(termination_init(out, ops, strategy_world_args(name, ops->params, yaml), &world->base, &err), OK, "%s",
                 err.message);
}

static int check(struct termination *termination, const struct flosim_progress *progress)
{
    int status;

    *termination->host.explanation.message = '\0';
    status = termination->ops->check(termination->state, progress);
    cr_assert(status == FLOSIM_CONTINUE || status == FLOSIM_STOP);
    cr_assert_eq(status == FLOSIM_STOP, *termination->host.explanation.message != '\0', "%s: %s",
                 termination->ops->name, termination->host.explanation.message);
    return status;
}

/* One figure a round; what comes behind the first stop is not looked at. Returns the round (from 1) of it, or 0. */
struct figures {
    double accuracy, loss, elapsed_s;
    int validated;
};

static size_t stops_after(const char *name, const char *yaml, const struct figures *figures, size_t n)
{
    static const float model[WORLD_WEIGHTS] = {1};
    struct strategy_world world;
    struct termination termination;
    size_t stop = 0;

    strategy_world_init(&world, 1);
    begin(&termination, name, yaml, &world);
    for (size_t i = 0; i < n && stop == 0; i++) {
        struct flosim_progress progress = {.size = sizeof progress,
                                           .validated = figures[i].validated,
                                           .rounds = (int64_t)i + 1,
                                           .num_rounds = 4,
                                           .accuracy = figures[i].accuracy,
                                           .loss = figures[i].loss,
                                           .elapsed_s = figures[i].elapsed_s,
                                           .global = model,
                                           .previous = model};

        stop = check(&termination, &progress) == FLOSIM_STOP ? i + 1 : 0;
    }
    termination_fini(&termination);
    strategy_world_fini(&world);
    return stop;
}

#define STOPS_AFTER(name, yaml, ...)                                                                                   \
    stops_after(name, yaml, (struct figures[]){__VA_ARGS__},                                                           \
                sizeof(struct figures[]){__VA_ARGS__} / sizeof(struct figures))
#define TOLD(percent) ((struct figures){.accuracy = (percent), .validated = 1})
#define SILENT        ((struct figures){.validated = 0})

Test(terminations, max_rounds)
{
    cr_expect_eq(STOPS_AFTER("max_rounds", "", SILENT, SILENT, SILENT), 0);
    cr_expect_eq(STOPS_AFTER("max_rounds", "", SILENT, SILENT, SILENT, SILENT, SILENT), 4);
}

Test(terminations, accuracy_target)
{
    cr_expect_eq(STOPS_AFTER("accuracy_target", "{target: 80}", TOLD(79.9), TOLD(80)), 2);
    cr_expect_eq(STOPS_AFTER("accuracy_target", "{target: 80}", TOLD(79.9), {.accuracy = 99}), 0, "not validated");
    cr_expect_eq(STOPS_AFTER("accuracy_target", "{target: 80}", TOLD(NAN)), 0);
}

Test(terminations, loss_threshold)
{
    cr_expect_eq(STOPS_AFTER("loss_threshold", "{threshold: 0.5}", {.loss = 0.51, .validated = 1},
                             {.loss = 0.5, .validated = 1}),
                 2);
    cr_expect_eq(STOPS_AFTER("loss_threshold", "{threshold: 0.5}", {.loss = 0.6, .validated = 1}, {.loss = 0.1}), 0,
                 "not validated");
    cr_expect_eq(STOPS_AFTER("loss_threshold", "{threshold: 0.5}", {.loss = NAN, .validated = 1}), 0);
}

Test(terminations, accuracy_plateau)
{
    const char *two = "{patience: 2, delta: 1}";

    /* The best is 60; 61 is no more than 1 above it, 61.5 is, and then two come that are not above 62.5. */
    cr_expect_eq(STOPS_AFTER("accuracy_plateau", two, TOLD(60), TOLD(61), TOLD(61.5), TOLD(62.5), TOLD(62.4), TOLD(90)),
                 5);
    /* Small steps that add up: measured against the best before, not against the last. */
    cr_expect_eq(STOPS_AFTER("accuracy_plateau", "{patience: 3, delta: 1}", TOLD(60), TOLD(60.6), TOLD(61.25),
                             TOLD(61.25), TOLD(62.25), TOLD(62.25)),
                 6);
    /* A round without validation is not counted, and neither is a network without an accuracy. */
    cr_expect_eq(STOPS_AFTER("accuracy_plateau", two, TOLD(60), SILENT, SILENT, TOLD(50), SILENT, TOLD(50)), 6);
    cr_expect_eq(STOPS_AFTER("accuracy_plateau", two, TOLD(NAN), TOLD(NAN), TOLD(NAN), TOLD(NAN)), 0);
    /* By default, ten validations without any rise. */
    cr_expect_eq(STOPS_AFTER("accuracy_plateau", "", TOLD(5), TOLD(6), TOLD(6), TOLD(6), TOLD(6), TOLD(6), TOLD(6),
                             TOLD(6), TOLD(6), TOLD(6), TOLD(6), TOLD(6)),
                 12);
}

Test(terminations, wall_clock)
{
    cr_expect_eq(
        STOPS_AFTER("wall_clock", "{limit: 2min}", {.elapsed_s = 60}, {.elapsed_s = 119.9}, {.elapsed_s = 120}), 3);
}

/* ---- convergence looks at the weights ---- */

static int check_models(struct termination *termination, const float *previous, const float *global)
{
    struct flosim_progress progress = {
        .size = sizeof progress, .rounds = 1, .num_rounds = 4, .previous = previous, .global = global};

    return check(termination, &progress);
}

Test(terminations, convergence)
{
    float a[WORLD_WEIGHTS] = {3, 4}, b[WORLD_WEIGHTS] = {3.75f, 5}, far[WORLD_WEIGHTS] = {0, 5.25f};
    struct strategy_world world;
    struct termination termination;

    strategy_world_init(&world, 1);
    begin(&termination, "convergence", "{patience: 2, delta: 0.25}", &world);
    /* |a| = 5, |b| = 6.25: from a to b 1.25 / 5 = 0.25, back 1.25 / 6.25 = 0.2. */
    cr_expect_eq(check_models(&termination, a, b), FLOSIM_CONTINUE);
    cr_expect_eq(check_models(&termination, b, far), FLOSIM_CONTINUE); /* 0.6: counted from anew */
    cr_expect_eq(check_models(&termination, b, a), FLOSIM_CONTINUE);
    cr_expect_eq(check_models(&termination, a, b), FLOSIM_STOP);
    termination_fini(&termination);
    strategy_world_fini(&world);
}

/* The norm hardly changes, 5 to 5.25, yet the model turned. */
Test(terminations, convergence_is_not_fooled_by_the_norm)
{
    float a[WORLD_WEIGHTS] = {3, 4}, turned[WORLD_WEIGHTS] = {5.25f, 0}, zero[WORLD_WEIGHTS] = {0};
    struct strategy_world world;
    struct termination termination;

    strategy_world_init(&world, 1);
    begin(&termination, "convergence", "{patience: 1, delta: 0.5}", &world);
    cr_expect_eq(check_models(&termination, a, turned), FLOSIM_CONTINUE);
    cr_expect_eq(check_models(&termination, zero, a), FLOSIM_CONTINUE);
    cr_expect_eq(check_models(&termination, zero, zero), FLOSIM_STOP);
    termination_fini(&termination);
    strategy_world_fini(&world);
}

/* Running statistics move as they like. */
Test(terminations, convergence_leaves_buffers_out)
{
    float a[WORLD_WEIGHTS + 2] = {1}, b[WORLD_WEIGHTS + 2] = {1};
    int64_t dims[] = {2};
    struct strategy_world world;
    struct termination termination;

    strategy_world_init(&world, 1);
    cr_assert_eq(layout_add(&world.layout, "running_mean", TENSOR_BUFFER, false, 1, dims, NULL), OK);
    b[WORLD_WEIGHTS] = 100;
    begin(&termination, "convergence", "{patience: 1, delta: 0}", &world);
    cr_expect_eq(check_models(&termination, a, b), FLOSIM_STOP);
    termination_fini(&termination);
    strategy_world_fini(&world);
}

/* ---- the contract ---- */

enum { ROUNDS = 12 };

/* A session whose accuracy rises, rests and rises, while the loss falls and the model comes to rest. */
static struct flosim_progress story(int64_t round, double began_s, float *previous, float *global)
{
    static const double accuracy[ROUNDS] = {10, 30, 50, 51, 51.5, 53, 54, 54.5, 54.9, 80, 55.9, 81};

    for (size_t i = 0; i < WORLD_WEIGHTS; i++) {
        previous[i] = (float)i - powf(0.5f, (float)round) * 40;
        global[i] = (float)i - powf(0.5f, (float)(round + 1)) * 40;
    }
    return (struct flosim_progress){.size = sizeof(struct flosim_progress),
                                    .validated = round % 4 != 1,
                                    .rounds = round + 1,
                                    .num_rounds = 11,
                                    .accuracy = accuracy[round],
                                    .loss = 2.0 / (double)(round + 1),
                                    .elapsed_s = 1.5 * (double)(round + 1) - began_s,
                                    .global = global,
                                    .previous = previous};
}

/* Whatever round the leader is restored after, the session ends where it would have without that. */
Test(terminations, state_survives_in_the_store)
{
    for (size_t k = 0; terminations[k]; k++) {
        const char *name = terminations[k]->name, *yaml = strategy_world_good_args(name);
        float previous[WORLD_WEIGHTS], global[WORLD_WEIGHTS];
        struct strategy_world world;
        struct termination first, second;
        double began_s = 0; /* when the second process began */
        int stopped = FLOSIM_CONTINUE;

        cr_assert_eq(terminations[k]->save == NULL, terminations[k]->restore == NULL);
        strategy_world_init(&world, 1);
        begin(&first, name, yaml, &world);
        begin(&second, name, yaml, &world);
        for (int64_t round = 0; round < ROUNDS && stopped == FLOSIM_CONTINUE; round++) {
            struct flosim_progress progress = story(round, 0, previous, global);
            struct flosim_progress later = story(round, began_s, previous, global);

            stopped = check(&first, &progress);
            cr_assert_eq(check(&second, &later), stopped, "%s in round %lld", name, (long long)round + 1);
            if (!first.ops->save)
                continue;
            cr_assert_eq(second.ops->save(second.state), FLOSIM_OK);
            termination_fini(&second);
            begin(&second, name, yaml, &world);
            cr_assert_eq(second.ops->restore(second.state), FLOSIM_OK);
            began_s = progress.elapsed_s;
        }
        cr_assert_eq(stopped, FLOSIM_STOP, "%s never stops", name);
        termination_fini(&first);
        termination_fini(&second);
        strategy_world_fini(&world);
    }
}

Test(terminations, damaged_state_is_refused)
{
    for (size_t k = 0; terminations[k]; k++) {
        struct strategy_world world;
        struct termination termination;
        static const char *const keys[] = {"best", "still", "total"};

        if (!terminations[k]->save)
            continue;
        strategy_world_init(&world, 1);
        begin(&termination, terminations[k]->name, strategy_world_good_args(terminations[k]->name), &world);
        cr_assert_lt(termination.ops->restore(termination.state), 0, "nothing was saved");
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            termination.host.services.store_put(&termination.host.services, keys[i], "x", 1);
        cr_assert_eq(termination.ops->restore(termination.state), FLOSIM_CORRUPT, "%s", terminations[k]->name);
        cr_assert(*termination.host.explanation.message);
        termination_fini(&termination);
        strategy_world_fini(&world);
    }
}
