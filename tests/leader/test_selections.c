/* The contract of selections, over every row of the registry, and the rules of fedavg and fedasync. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "selection_life.h"

/* The share that a member takes, by whatever name; "" where it takes none. */
static const char *share_args(const struct flosim_selector_ops *ops, double share)
{
    static char text[100];

    text[0] = '\0';
    for (size_t i = 0; ops->params && i < ops->params->num_rows; i++) {
        const char *name = ops->params->rows[i].name;

        if (strcmp(name, "client_fraction") == 0 || strcmp(name, "percentage_client_selection") == 0)
            snprintf(text, sizeof text, "{%s: %g}", name, share);
    }
    return text;
}

static int is_synchronous(const struct flosim_selector_ops *ops)
{
    return !(ops->flags & FLOSIM_SELECTS_WHILE_TRAINING);
}

enum { STEPS = 30 };

/* What it chose in each step. */
struct trace {
    unsigned char action[STEPS][WORLD_CLIENTS], cohort[STEPS][WORLD_CLIENTS];
    int status[STEPS];
};

static void live(const struct flosim_selector_ops *ops, uint64_t seed, int restarts, struct trace *trace)
{
    struct selection_life life;

    memset(trace, 0, sizeof *trace);
    life_init(&life, ops->name, share_args(ops, 0.4), seed);
    for (size_t i = 0; i < STEPS; i++) {
        trace->status[i] = life_step(&life);
        memcpy(trace->action[i], life.action, sizeof life.action);
        memcpy(trace->cohort[i], life.cohort, sizeof life.cohort);
        if (restarts)
            life_restart(&life);
    }
    life_fini(&life);
}

Test(selections, repeat_with_the_same_seed)
{
    for (size_t k = 0; selections[k]; k++) {
        struct trace a, b, c;

        live(selections[k], 11, 0, &a);
        live(selections[k], 11, 0, &b);
        live(selections[k], 12, 0, &c);
        cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "%s does not repeat", selections[k]->name);
        if (*share_args(selections[k], 0.4) && strcmp(selections[k]->name, "high_loss") != 0 &&
            strcmp(selections[k]->name, "low_loss") != 0)
            cr_assert_neq(memcmp(&a, &c, sizeof a), 0, "%s does not heed the seed", selections[k]->name);
    }
}

Test(selections, go_on_the_same_when_restored_after_every_step)
{
    for (size_t k = 0; selections[k]; k++) {
        struct trace whole, restarted;

        live(selections[k], 11, 0, &whole);
        live(selections[k], 11, 1, &restarted);
        cr_assert_eq(memcmp(&whole, &restarted, sizeof whole), 0, "%s forgets", selections[k]->name);
    }
}

Test(selections, synchronous_ones_wait_while_somebody_works)
{
    for (size_t k = 0; selections[k]; k++) {
        struct selection_life life;

        if (!is_synchronous(selections[k]))
            continue;
        life_init(&life, selections[k]->name, share_args(selections[k], 0.4), 11);
        for (int64_t round = 0; round < 4; round++) {
            life.selection.round = round;
            life.selection.num_training = 3;
            life_ask(&life);
            cr_assert_eq(life_count(&life, FLOSIM_IDLE), WORLD_CLIENTS, "%s", selections[k]->name);
            life.selection.num_training = 0;
            life.selection.num_validating = 3;
            life_ask(&life);
            cr_assert_eq(life_count(&life, FLOSIM_IDLE), WORLD_CLIENTS, "%s", selections[k]->name);
            life.selection.num_validating = 0;
        }
        life_fini(&life);
    }
}

/* Asks until somebody is to train, letting those validate who are to. */
static void ask_for_training(struct selection_life *life)
{
    life_ask(life);
    while (life_count(life, FLOSIM_VALIDATE) > 0) {
        life_start(life);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            if (life->action[i] == FLOSIM_VALIDATE)
                life_answer(life, i);
        life_ask(life);
    }
}

Test(selections, never_take_more_than_asked_for)
{
    for (size_t k = 0; selections[k]; k++) {
        struct selection_life life;

        if (!*share_args(selections[k], 0.4))
            continue;
        life_init(&life, selections[k]->name, share_args(selections[k], 0.4), 11);
        for (int64_t round = 1; round < 20; round++) {
            life.selection.round = round;
            ask_for_training(&life);
            cr_assert(life_count(&life, FLOSIM_TRAIN) > 0 && life_count(&life, FLOSIM_TRAIN) <= 8, "%s takes %zu",
                      selections[k]->name, life_count(&life, FLOSIM_TRAIN));
            cr_assert_eq(life.choice.enough, 0);
        }
        life_fini(&life);
    }
}

/* 1.5 times what the round needs, which `enough` tells. */
Test(selections, take_more_where_the_session_over_selects)
{
    for (size_t k = 0; selections[k]; k++) {
        struct selection_life life;
        size_t n;

        if (!*share_args(selections[k], 0.4) || !is_synchronous(selections[k]))
            continue;
        life_init(&life, selections[k]->name, share_args(selections[k], 0.5), 11);
        life.selection.round = 2;
        life.selection.over_selection = 1.5;
        ask_for_training(&life);
        n = life_count(&life, FLOSIM_TRAIN);
        cr_assert(life.choice.enough > 0 && life.choice.enough < n, "%s: %zu of %zu are enough", selections[k]->name,
                  life.choice.enough, n);
        cr_assert_leq((double)n, ceil(1.5 * (double)life.choice.enough));
        life_fini(&life);
    }
}

Test(selections, work_with_one_client)
{
    for (size_t k = 0; selections[k]; k++) {
        struct selection_life life;

        life_init(&life, selections[k]->name, share_args(selections[k], 0.4), 11);
        life.selection.num_clients = 1;
        for (int64_t round = 0; round < 5; round++) {
            life.selection.round = round;
            ask_for_training(&life);
            cr_assert_eq(life.action[0], FLOSIM_TRAIN, "%s leaves its only client idle", selections[k]->name);
        }
        life_fini(&life);
    }
}

Test(selections, choose_nobody_where_nobody_can_be_chosen)
{
    for (size_t k = 0; selections[k]; k++)
        for (size_t n = 0; n <= WORLD_CLIENTS; n += WORLD_CLIENTS) {
            struct selection_life life;

            life_init(&life, selections[k]->name, share_args(selections[k], 0.4), 11);
            life.selection.num_clients = n;
            for (size_t i = 0; i < WORLD_CLIENTS; i++)
                life.world.clients[i].flags = i % 2 ? FLOSIM_ACTIVE : 0;
            for (int64_t round = 0; round < 3; round++) {
                life.selection.round = round;
                cr_assert_eq(life_ask(&life), FLOSIM_OK);
            }
            life_fini(&life);
        }
}

Test(selections, work_without_figures_and_labels)
{
    for (size_t k = 0; selections[k]; k++) {
        struct selection_life life;

        life_init(&life, selections[k]->name, share_args(selections[k], 0.4), 11);
        for (size_t i = 0; i < WORLD_CLIENTS; i++) {
            life.world.clients[i].seconds_per_batch = -1;
            life.world.clients[i].labels = NULL;
            life.world.clients[i].num_labels = 0;
        }
        for (int64_t round = 0; round < 3; round++) {
            life.selection.round = round;
            ask_for_training(&life);
            cr_assert_gt(life_count(&life, FLOSIM_TRAIN), 0, "%s", selections[k]->name);
        }
        life_fini(&life);
    }
}

/* ---- fedavg, fedasync ---- */

Test(selections, fedavg_takes_the_floor_of_its_share_and_at_least_one)
{
    static const struct {
        const char *yaml;
        size_t expected;
    } cases[] = {{"{client_fraction: 1}", 19},
                 {"{client_fraction: 0.5}", 9},
                 {"{client_fraction: 0.1}", 1},
                 {"{client_fraction: 0}", 1},
                 {"{client_fraction: 0.99}", 18}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct selection_life life;

        life_init(&life, "fedavg", cases[i].yaml, 3);
        life.world.clients[WORLD_CLIENTS - 1].flags = 0;
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), cases[i].expected, "%s", cases[i].yaml);
        life_fini(&life);
    }
}

/* Every client is drawn about equally often. */
Test(selections, random_selection_is_uniform)
{
    size_t drawn[WORLD_CLIENTS] = {0};
    struct selection_life life;

    life_init(&life, "fedavg", "{client_fraction: 0.5}", 3);
    for (life.selection.round = 0; life.selection.round < 1800; life.selection.round++) {
        life_ask(&life);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            drawn[i] += life.action[i] == FLOSIM_TRAIN;
    }
    for (size_t i = 0; i < WORLD_CLIENTS; i++) /* 900 expected; the deviation is about 21 */
        cr_assert(drawn[i] > 790 && drawn[i] < 1010, "client %zu was drawn %zu times", i, drawn[i]);
    life_fini(&life);
}

Test(selections, a_fraction_is_not_lost_to_rounding)
{
    cr_assert_eq(flosim_fraction_of(0.3, 10), 3);
    cr_assert_eq(flosim_fraction_of(0.29, 100), 29);
    cr_assert_eq(flosim_fraction_of(1, 7), 7);
    cr_assert_eq(flosim_fraction_of(0.5, 0), 0);
}

Test(selections, fedasync_keeps_the_same_number_training)
{
    struct selection_life life;

    life_init(&life, "fedasync", "{client_fraction: 0.25}", 5);
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 5);
    for (size_t training = 0; training <= 5; training++) {
        life.selection.num_training = training;
        life_ask(&life);
        cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 5 - training);
    }
    life_fini(&life);
}

/* An interrupted round keeps what it has and is filled up by others. */
Test(selections, reliable_fedavg_fills_up_the_round)
{
    struct selection_life life;

    life_init(&life, "reliable_fedavg", "{client_fraction: 0.5}", 5);
    life.selection.round = 4;
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 10);
    cr_assert_eq(life.choice.at_least, 10);
    life.selection.attempt = 1;
    life.selection.num_held = 7;
    for (size_t i = 0; i < 15; i++)
        life.world.clients[i].last_round = 4;
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 3);
    cr_assert_eq(life.choice.at_least, 10);
    for (size_t i = 0; i < 15; i++)
        cr_assert_eq(life.action[i], FLOSIM_IDLE, "client %zu has given to the round", i);
    for (size_t i = 15; i < 18; i++)
        life.world.clients[i].flags = FLOSIM_ACTIVE; /* two newcomers are left; m is 8 of 17, one is missing */
    life_ask(&life);
    cr_assert_eq(life.choice.at_least, 8);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 1);
    cr_assert(life.action[18] == FLOSIM_TRAIN || life.action[19] == FLOSIM_TRAIN);
    life.selection.num_held = 9; /* more than the clients that are left could ask for: nobody, which ends the round */
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 0);
    life.selection.num_held = 7;
    life.selection.attempt = 5; /* nobody else can give to it, it seems */
    life_ask(&life);
    cr_assert_eq(life_count(&life, FLOSIM_TRAIN), 0);
    life_fini(&life);
}
