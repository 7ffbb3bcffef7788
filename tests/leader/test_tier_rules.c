/* The rules of selections that work with latency tiers. The world's clients have five latencies: client i is in tier i
 * % 5.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "selection_life.h"

enum { TIERS = 5 };

/* The only tier of which somebody trains. */
static size_t chosen_tier(const struct selection_life *life)
{
    size_t tier = TIERS;

    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        if (life->action[i] != FLOSIM_TRAIN)
            continue;
        cr_assert(tier == TIERS || tier == i % TIERS, "%s mixes tiers", life->selector.ops->name);
        tier = i % TIERS;
    }
    return tier;
}

Test(tier_rules, tiered_roundrobin_takes_the_tiers_in_turn)
{
    struct selection_life life;

    life_init(&life, "tiered_roundrobin", "{num_tiers: 5, percentage_client_selection: 0.5}", 3);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), WORLD_CLIENTS, "the first round takes everybody");
    for (life.selection.round = 1; life.selection.round < 12; life.selection.round++) {
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 2);
        cr_assert_eq(chosen_tier(&life), (size_t)(life.selection.round - 1) % TIERS);
    }
    for (size_t i = 1; i < WORLD_CLIENTS; i += TIERS)
        life.world.clients[i].flags = 0;
    life.selection.round = 2; /* tier 1's turn: nobody is there */
    life_ask(&life);
    cr_assert_eq(chosen_tier(&life), 2);
    life_fini(&life);
}

/* Mean losses by tier. */
static void give_losses(struct selection_life *life, const double *losses)
{
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        life->world.clients[i].last_loss = losses[i % TIERS];
        life->world.clients[i].validation_loss = losses[i % TIERS];
        life->world.clients[i].validation_round = life->selection.round;
    }
}

static void expect_shares(const size_t *drawn, size_t n, const double *expected)
{
    for (size_t t = 0; t < TIERS; t++) {
        double deviation = sqrt((double)n * expected[t] * (1 - expected[t]));

        cr_assert_leq(fabs((double)drawn[t] - expected[t] * (double)n), 4.5 * deviation, "tier %zu: %zu of %zu", t,
                      drawn[t], n);
    }
}

/* Ranks by falling loss: tiers 3, 0, 4, 1, 2; (n - i) / 10 gives 4, 3, 2, 1, 0 tenths. */
static const double losses[TIERS] = {4, 2, 1, 5, 3}, shares[TIERS] = {0.3, 0.1, 0, 0.4, 0.2};

Test(tier_rules, tifl_lite_draws_tiers_by_loss)
{
    size_t drawn[TIERS] = {0};
    struct selection_life life;

    life_init(&life, "tifl_lite", "{num_tiers: 5, percentage_client_selection: 0.75}", 3);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), WORLD_CLIENTS, "the first round takes everybody");
    for (life.selection.round = 1; life.selection.round <= 2000; life.selection.round++) {
        give_losses(&life, losses);
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 3);
        drawn[chosen_tier(&life)]++;
    }
    expect_shares(drawn, 2000, shares);
    life_fini(&life);
}

Test(tier_rules, tifl_draws_tiers_by_validation_loss)
{
    size_t drawn[TIERS] = {0};
    struct selection_life life;

    life_init(&life, "tifl", "{num_tiers: 5, num_clients: 3, validation_round_interval: 7}", 3);
    for (life.selection.round = 0; life.selection.round < 2000; life.selection.round++) {
        give_losses(&life, losses);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            life.world.clients[i].last_loss = 9; /* of no account */
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 3);
        drawn[chosen_tier(&life)]++;
    }
    expect_shares(drawn, 2000, shares);
    life_fini(&life);
}

/* Rounds 0 and 3 are preceded by a validation by all; a client whose validation failed is not asked again. */
Test(tier_rules, tifl_validates_at_the_interval)
{
    struct selection_life life;

    life_init(&life, "tifl", "{num_tiers: 5, num_clients: 10, validation_round_interval: 3}", 3);
    for (life.selection.round = 0; life.selection.round < 6; life.selection.round++) {
        life_ask(&life);
        if (life.selection.round % 3 == 0) {
            cr_assert_eq(life_count(&life, FLOSIM_VALIDATE), WORLD_CLIENTS);
            life_start(&life);
            for (size_t i = 0; i < WORLD_CLIENTS; i++)
                life_answer(&life, i);
            life.world.clients[2].validation_loss = -1;
            life_ask(&life);
        }
        cr_assert_eq(life_count(&life, FLOSIM_VALIDATE), 0);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 4, "all that the tier has");
    }
    life_fini(&life);
}

/* Two credits for each of five tiers are ten rounds, whatever the ranks; then it ends, and it says so. */
Test(tier_rules, tifl_ends_without_credits)
{
    size_t drawn[TIERS] = {0};
    struct selection_life life;

    life_init(&life, "tifl", "{num_tiers: 5, num_clients: 2, credits_per_tier: 2, validation_round_interval: 100}", 3);
    life.selection.round = 1;
    for (; life.selection.round <= 10; life.selection.round++) {
        give_losses(&life, losses);
        cr_assert_eq(life_ask(&life), FLOSIM_OK);
        drawn[chosen_tier(&life)]++;
        life_restart(&life);
    }
    for (size_t t = 0; t < TIERS; t++)
        cr_assert_eq(drawn[t], 2, "tier %zu: %zu", t, drawn[t]);
    cr_assert_eq(life_ask(&life), FLOSIM_STOP);
    cr_assert(strstr(life.selector.host.explanation.message, "credits"));
    life_fini(&life);
}

/* ---- FedAT ---- */

Test(tier_rules, fedat_keeps_each_tier_at_its_own_pace)
{
    struct selection_life life;

    life_init(&life, "fedat", "{num_tiers: 5, num_clients_selected_per_tier: 3}", 3);
    life_ask(&life);
    cr_assert_eq(life.choice.num_cohorts, TIERS);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 3 * TIERS);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        cr_assert(life.action[i] == FLOSIM_IDLE || life.cohort[i] == i % TIERS);
    life_start(&life);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 0, "the fourth of a tier waits for its round");
    for (size_t i = 2; i < WORLD_CLIENTS; i += TIERS) /* tier 2 is done */
        if (life.world.clients[i].flags & FLOSIM_BUSY) {
            life.action[i] = FLOSIM_TRAIN;
            life_answer(&life, i);
        }
    life.selection.round++;
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 3);
    cr_assert_eq(chosen_tier(&life), 2);
    cr_assert_eq(life.choice.num_cohorts, TIERS);
    life_fini(&life);
}

/* A client that comes later joins the nearest tier, and nobody moves. */
Test(tier_rules, fedat_keeps_its_tiers)
{
    struct selection_life life;

    life_init(&life, "fedat", "{num_tiers: 5, num_clients_selected_per_tier: 10}", 3);
    life.selection.num_clients = 18;
    life_ask(&life);
    life.world.clients[18].seconds_per_batch = 0.032; /* 0.03 is tier 2 */
    life.world.clients[19].seconds_per_batch = 7;     /* tiers made anew would give it one of its own */
    life.selection.num_clients = 20;
    for (size_t again = 0; again < 2; again++) {
        life_ask(&life);
        for (size_t i = 0; i < 18; i++)
            cr_assert_eq(life.cohort[i], i % TIERS);
        cr_assert_eq(life.cohort[18], 2);
        cr_assert_eq(life.cohort[19], 4);
        life_restart(&life);
    }
    life_fini(&life);
}
