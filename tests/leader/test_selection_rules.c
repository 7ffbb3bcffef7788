/* The rules of single selections: losses, numbers, labels, Oort, power-of-choice; what they should choose was worked
 * out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "selection_life.h"

/* Client i has trained in the round before, with this loss. */
static void give_losses(struct selection_life *life, const double *losses)
{
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        life->world.clients[i].last_round = life->selection.round - 1;
        life->world.clients[i].last_loss = losses[i];
        life->world.clients[i].last_square_loss = losses[i] * losses[i];
        life->world.clients[i].last_seconds = 1;
    }
}

static void give_rising_losses(struct selection_life *life)
{
    double losses[WORLD_CLIENTS];

    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        losses[i] = 0.5 + (double)i;
    give_losses(life, losses);
}

static void expect_exactly(const struct selection_life *life, enum flosim_action what, const char *expected)
{
    char found[WORLD_CLIENTS + 1] = "";

    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        found[i] = life->action[i] == what ? 'x' : '.';
    cr_assert_str_eq(found, expected, "%s chose %s, not %s", life->selector.ops->name, found, expected);
}

/* ---- by loss ---- */

Test(selection_rules, high_and_low_loss)
{
    static const struct {
        const char *name, *expected, *with_stranger;
    } cases[] = {{"high_loss", "...............xxxxx", "....x...........xxxx"},
                 {"low_loss", "xxxxx...............", "xxxxx..............."}};

    for (size_t k = 0; k < 2; k++) {
        struct selection_life life;

        life_init(&life, cases[k].name, "{percentage_client_selection: 25%}", 3);
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), WORLD_CLIENTS, "the first round takes everybody");
        life.selection.round = 3;
        give_rising_losses(&life);
        life_ask(&life);
        expect_exactly(&life, FLOSIM_TRAIN, cases[k].expected);
        life.world.clients[4].last_loss = -1;
        life_ask(&life);
        expect_exactly(&life, FLOSIM_TRAIN, cases[k].with_stranger);
        life_fini(&life);
    }
}

/* One draw of 20: each client's chance is its share of the losses. 0.5 + 1.5 + … + 19.5 = 200. */
Test(selection_rules, probabilistic_high_loss_draws_by_loss)
{
    size_t drawn[WORLD_CLIENTS] = {0};
    struct selection_life life;

    life_init(&life, "probabilistic_high_loss", "{percentage_client_selection: 0.05}", 3);
    for (life.selection.round = 1; life.selection.round <= 4000; life.selection.round++) {
        give_rising_losses(&life);
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 1);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            drawn[i] += life.action[i] == FLOSIM_TRAIN;
    }
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        double p = (0.5 + (double)i) / 200, deviation = sqrt(4000 * p * (1 - p));

        cr_assert_leq(fabs((double)drawn[i] - 4000 * p), 4.5 * deviation, "client %zu: %zu times", i, drawn[i]);
    }
    life_fini(&life);
}

Test(selection_rules, probabilistic_high_loss_gives_strangers_the_mean)
{
    size_t drawn = 0;
    struct selection_life life;

    life_init(&life, "probabilistic_high_loss", "{percentage_client_selection: 0.05}", 3);
    for (life.selection.round = 1; life.selection.round <= 4000; life.selection.round++) {
        give_rising_losses(&life);
        life.world.clients[0].last_loss = -1;
        life_ask(&life);
        drawn += life.action[0] == FLOSIM_TRAIN;
    }
    cr_assert(drawn > 140 && drawn < 262, "%zu", drawn); /* 1/20 of 4000; the deviation is 14 */
    life_fini(&life);
}

/* ---- odd_even ---- */

Test(selection_rules, odd_even_leaves_out_the_odd_ones)
{
    size_t odd = 0;
    struct selection_life life;

    life_init(&life, "odd_even", "{percentage_client_selection: 0.5}", 3);
    for (life.selection.round = 0; life.selection.round < 40; life.selection.round++) {
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), life.selection.round % 2 ? 10 : 5);
        for (size_t i = 1; i < WORLD_CLIENTS; i += 2) {
            cr_assert(life.selection.round % 2 == 1 || life.action[i] == FLOSIM_IDLE);
            odd += life.action[i] == FLOSIM_TRAIN;
        }
    }
    cr_assert(odd > 70 && odd < 130, "%zu", odd); /* 100 expected */
    for (size_t i = 0; i < WORLD_CLIENTS; i += 2)
        life.world.clients[i].flags = FLOSIM_ACTIVE;
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 5, "without even ones the odd ones train");
    life_fini(&life);
}

/* ---- label clusters ---- */

Test(selection_rules, haccs_lite_takes_clusters_in_turn)
{
    size_t turns[4] = {0};
    struct selection_life life;

    life_init(&life, "haccs_lite", "{num_tiers: 4, percentage_client_selection: 0.3}", 3);
    for (life.selection.round = 0; life.selection.round < 10; life.selection.round++) {
        size_t of_label[4] = {0};

        life_ask(&life);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            of_label[i % 4] += life.action[i] == FLOSIM_TRAIN;
        for (size_t c = 0; c < 4; c++) {
            /* six picks: two clusters give two, the next round begins with the other two */
            cr_assert_eq(of_label[c], ((size_t)life.selection.round * 6 % 4 == c / 2 * 2) ? 2 : 1);
            turns[c] += of_label[c];
        }
    }
    for (size_t c = 0; c < 4; c++)
        cr_assert_eq(turns[c], 15);
    life_fini(&life);
}

/* Labels 0 and 1 against 2 and 3 by other histograms; two clusters, the second twice as slow. */
static void two_clusters(struct selection_life *life, double loss_of_second)
{
    double losses[WORLD_CLIENTS];

    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        snprintf(life->labels[i][0].name, sizeof life->labels[i][0].name, "%s", i < 10 ? "cat" : "dog");
        snprintf(life->labels[i][1].name, sizeof life->labels[i][1].name, "%s", i < 10 ? "dog" : "cat");
        life->labels[i][0].fraction = 0.9;
        life->labels[i][1].fraction = 0.1;
        life->world.clients[i].seconds_per_batch = (i < 10 ? 1 : 2) * (1 + (double)(i % 10) / 100);
        losses[i] = i < 10 ? 1 : loss_of_second;
    }
    give_losses(life, losses);
}

/* rho = 1: weights 1 - 1/2 and 0; so the fast cluster gives all its clients, fastest first. */
Test(selection_rules, haccs_by_speed)
{
    struct selection_life life;

    life_init(&life, "haccs", "{num_tiers: 2, client_fraction: 0.2, loss_latency_tradeoff_param: 1}", 3);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), WORLD_CLIENTS, "the first round takes everybody");
    life.selection.round = 1;
    two_clusters(&life, 5);
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "xxxx................");
    life.world.clients[1].flags = 0;
    for (size_t i = 4; i < 10; i++)
        life.world.clients[i].flags = FLOSIM_ACTIVE; /* three of the fast are left, and m = 2 of 13 */
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "x.x.................");
    life_fini(&life);
}

/* rho = 0: the clusters' shares of the loss are 1/4 and 3/4. rho = 0.5: 0.25 + 0.125 and 0 + 0.375 (speed 1 - 1/2):
 * equal.
 */
Test(selection_rules, haccs_by_loss_and_by_both)
{
    static const struct {
        const char *yaml;
        double expected;
    } cases[] = {
        {"{num_tiers: 2, client_fraction: 0.05, loss_latency_tradeoff_param: 0}", 0.75},
        {"{num_tiers: 2, client_fraction: 0.05, loss_latency_tradeoff_param: 0.5}", 0.5},
    };

    for (size_t k = 0; k < 2; k++) {
        size_t second = 0;
        struct selection_life life;

        life_init(&life, "haccs", cases[k].yaml, 3);
        for (life.selection.round = 1; life.selection.round <= 2000; life.selection.round++) {
            two_clusters(&life, 3);
            life_ask(&life);
            cr_assert(life.action[0] == FLOSIM_TRAIN || life.action[10] == FLOSIM_TRAIN,
                      "not the fastest of a cluster");
            second += life.action[10] == FLOSIM_TRAIN;
        }
        cr_assert_float_eq((double)second / 2000, cases[k].expected, 0.05);
        life_fini(&life);
    }
}

/* ---- power-of-choice ---- */

Test(selection_rules, power_of_choice_validates_and_takes_the_highest)
{
    struct selection_life life;
    unsigned char candidates[WORLD_CLIENTS];
    double lowest_taken = HUGE_VAL, highest_left = -1;

    life_init(&life, "power_of_choice", "{client_fraction: 0.2, d: 9}", 3);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_VALIDATE), 9);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 0);
    memcpy(candidates, life.action, sizeof candidates);
    life_start(&life);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        if (candidates[i]) {
            life_answer(&life, i);
            life.world.clients[i].validation_loss = (double)(i * 7 % 20);
        }
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_VALIDATE), 0);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 4);
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        cr_assert(candidates[i] || life.action[i] == FLOSIM_IDLE);
        if (candidates[i] && life.action[i] == FLOSIM_TRAIN)
            lowest_taken = fmin(lowest_taken, (double)(i * 7 % 20));
        else if (candidates[i])
            highest_left = fmax(highest_left, (double)(i * 7 % 20));
    }
    cr_assert_gt(lowest_taken, highest_left);
    life_fini(&life);
}

/* d = m: who is a candidate trains; the chance follows the data. */
Test(selection_rules, power_of_choice_draws_candidates_by_their_data)
{
    size_t drawn = 0;
    struct selection_life life;

    life_init(&life, "power_of_choice", "{client_fraction: 0.05, d: 1, use_latest_loss: true}", 3);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        life.world.clients[i].num_samples = i == 7 ? 190 : 10; /* half of all */
    for (life.selection.round = 0; life.selection.round < 1000; life.selection.round++) {
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 1);
        drawn += life.action[7] == FLOSIM_TRAIN;
    }
    cr_assert(drawn > 430 && drawn < 570, "%zu", drawn); /* 500; the deviation is 16 */
    life_fini(&life);
}

Test(selection_rules, rpow_d_goes_by_the_latest_loss)
{
    struct selection_life life;

    life_init(&life, "power_of_choice", "{client_fraction: 0.1, d: 20, use_latest_loss: true}", 3);
    life.selection.round = 5;
    give_rising_losses(&life);
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "..................xx");
    life.world.clients[3].last_loss = -1; /* never heard: infinite */
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "...x...............x");
    life_fini(&life);
}

/* ---- Oort ---- */

#define NO_EXPLORATION "client_fraction: 0.2, exploration: 0, exploration_min: 0, cut_off: 1"

/* cut_off 1 admits the four best alone. U = samples * loss; all samples 100. */
Test(selection_rules, oort_takes_the_highest_utility)
{
    struct selection_life life;

    life_init(&life, "oort", "{" NO_EXPLORATION ", clip: 1}", 3);
    life.selection.round = 3;
    give_rising_losses(&life);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        life.world.clients[i].num_samples = 100;
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "................xxxx");
    life.world.clients[2].num_samples = 1000; /* 1000 * 2.5 beats 100 * 19.5 */
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "..x..............xxx");
    life.world.clients[0].last_square_loss = 1e4; /* few samples of a very high loss: 100 * 100 */
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "x.x...............xx");
    life_fini(&life);
}

/* T is the 0.3 quantile of durations, 1 s. Client 19 takes 3 s: (1/3)^2 * 1950 = 217; client 18 1.1 s: 1850 / 1.21 =
 * 1529, still above 15 (1550)? No: 1529 < 1550, so 14 … 17 are the best four (1450 … 1750 without 18, 19: 1529 > 1450).
 */
Test(selection_rules, oort_makes_slow_clients_pay)
{
    struct selection_life life;

    life_init(&life, "oort", "{" NO_EXPLORATION ", clip: 1}", 3);
    life.selection.round = 3;
    give_rising_losses(&life);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        life.world.clients[i].num_samples = 100;
    life.world.clients[19].last_seconds = 3;
    life.world.clients[18].last_seconds = 1.1;
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "...............xxxx.");
    life.world.clients[18].last_seconds = 1.2; /* 1850 / 1.44 = 1285 < 1450 */
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "..............xxxx..");
    life_fini(&life);
}

/* Long not seen: sqrt(0.1 ln R / L) outweighs equal utilities. R = 101; L = 1 gives 0.68, L = 100 gives 0.07. */
Test(selection_rules, oort_remembers_those_long_not_seen)
{
    struct selection_life life;

    life_init(&life, "oort", "{" NO_EXPLORATION "}", 3);
    life.selection.round = 100;
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        life.world.clients[i].num_samples = 100;
        life.world.clients[i].last_round = i % 5 == 2 ? 0 : 99;
        life.world.clients[i].last_square_loss = i % 5 == 2 ? 1 : 1.01; /* 100 + 0.68 against 100.5 + 0.07 */
        life.world.clients[i].last_seconds = 1;
    }
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "..x....x....x....x..");
    life_fini(&life);
}

/* An outlier is capped at the quantile: 10 % of 20 clients, then all is equal and all are in the draw. */
Test(selection_rules, oort_clips_outliers)
{
    size_t drawn = 0;
    struct selection_life life;

    life_init(&life, "oort", "{client_fraction: 0.05, exploration: 0, exploration_min: 0, cut_off: 0.95, clip: 0.9}",
              3);
    for (life.selection.round = 1; life.selection.round <= 1000; life.selection.round++) {
        give_rising_losses(&life);
        for (size_t i = 0; i < WORLD_CLIENTS; i++) {
            life.world.clients[i].num_samples = 100;
            life.world.clients[i].last_square_loss = i == 5 ? 1e8 : 1;
        }
        life_ask(&life);
        drawn += life.action[5] == FLOSIM_TRAIN;
    }
    cr_assert(drawn > 20 && drawn < 90, "%zu", drawn); /* 1/20 of 1000 */
    life_fini(&life);
}

/* epsilon 0.5 of 8: four that never trained, the other four by utility; epsilon decays to 0.25: two. */
Test(selection_rules, oort_explores_a_falling_share)
{
    struct selection_life life;

    life_init(&life, "oort",
              "{client_fraction: 0.4, exploration: 0.5, exploration_decay: 0.5, exploration_min: 0.25, cut_off: 1}", 3);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 8, "nobody has trained yet: all explore");
    for (int64_t round = 1; round < 4; round++) {
        size_t explored = 0;

        life.selection.round = round;
        give_rising_losses(&life);
        for (size_t i = 10; i < WORLD_CLIENTS; i++) {
            life.world.clients[i].last_round = -1;
            life.world.clients[i].last_loss = life.world.clients[i].last_square_loss = -1;
        }
        life_ask(&life);
        for (size_t i = 10; i < WORLD_CLIENTS; i++)
            explored += life.action[i] == FLOSIM_TRAIN;
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 8);
        cr_assert_eq(explored, 2, "round %d: %zu", (int)round, explored); /* 0.25 * 8 from round 1 on */
    }
    life_fini(&life);
}

/* Exploration prefers the fast: 1/latency, one of 1 s against nineteen of 19 s draws even. */
Test(selection_rules, oort_explores_by_speed)
{
    size_t drawn = 0;
    struct selection_life life;

    life_init(&life, "oort", "{client_fraction: 0.05}", 3);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        life.world.clients[i].seconds_per_batch = i == 4 ? 1 : 19;
    for (life.selection.round = 0; life.selection.round < 1000; life.selection.round++) {
        life_ask(&life);
        drawn += life.action[4] == FLOSIM_TRAIN;
    }
    cr_assert(drawn > 430 && drawn < 570, "%zu", drawn);
    life_fini(&life);
}

Test(selection_rules, oort_rests_those_that_trained_often)
{
    struct selection_life life;

    life_init(&life, "oort", "{" NO_EXPLORATION ", clip: 1, blacklist_rounds: 2}", 3);
    for (life.selection.round = 1; life.selection.round < 3; life.selection.round++) {
        give_rising_losses(&life);
        life_ask(&life);
        expect_exactly(&life, FLOSIM_TRAIN, "................xxxx");
        life_start(&life);
        for (size_t i = 16; i < WORLD_CLIENTS; i++)
            life_answer(&life, i);
    }
    give_rising_losses(&life);
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "............xxxx....");
    life_restart(&life);
    life_ask(&life);
    expect_exactly(&life, FLOSIM_TRAIN, "............xxxx....");
    for (size_t i = 0; i < 16; i++)
        life.world.clients[i].flags = FLOSIM_ACTIVE;
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 1, "the others do not suffice");
    life_fini(&life);
}

/* The window is one round: utilities 200 and 100 falling let T grow from the 0.5 quantile to 1, and the slow are as
 * good as the others. */
Test(selection_rules, oort_paces)
{
    struct selection_life life;

    life_init(&life, "oort",
              "{" NO_EXPLORATION ", clip: 1, preferred_duration: 0.5, pacer_window: 1, pacer_delta: 0.5}", 3);
    for (life.selection.round = 1; life.selection.round <= 3; life.selection.round++) {
        for (size_t i = 0; i < WORLD_CLIENTS; i++) {
            struct flosim_client *client = &life.world.clients[i];

            client->num_samples = 1;
            client->last_round = life.selection.round - 1;
            client->last_square_loss = (i < 4 ? 4 : 1) * (life.selection.round == 3 ? 0.25 : 1);
            client->last_seconds = i < 4 ? 10 : 1; /* (1/10)^2 of the utility while T is 1 s */
        }
        life_ask(&life);
        if (life.selection.round < 3)
            cr_assert(!life.action[0] && !life.action[1] && !life.action[2] && !life.action[3]);
    }
    expect_exactly(&life, FLOSIM_TRAIN, "xxxx................");
    life_fini(&life);
}
