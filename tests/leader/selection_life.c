#include "selection_life.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void start_selector(struct selection_life *life, const struct flosim_selector_ops *ops)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(selector_init(&life->selector, ops, strategy_world_args(ops->name, ops->params, life->yaml),
                               &life->world.base, &err),
                 OK, "%s", err.message);
}

void life_init(struct selection_life *life, const char *name, const char *yaml, uint64_t seed)
{
    memset(life, 0, sizeof *life);
    life->yaml = yaml;
    strategy_world_init(&life->world, seed);
    life->selection = strategy_world_selection(&life->world, 0);
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        for (size_t k = 0; k < 2; k++) {
            snprintf(life->labels[i][k].name, sizeof life->labels[i][k].name, "%zu", (i + k) % 4);
            life->labels[i][k].fraction = k == 0 ? 0.6 : 0.4;
        }
        life->world.clients[i].labels = life->labels[i];
        life->world.clients[i].num_labels = 2;
    }
    cr_assert(selection_find(name), "%s", name);
    start_selector(life, selection_find(name));
}

void life_fini(struct selection_life *life)
{
    selector_fini(&life->selector);
    strategy_world_fini(&life->world);
}

int life_ask(struct selection_life *life)
{
    const char *name = life->selector.ops->name;
    int status;

    memset(life->action, 0, sizeof life->action);
    memset(life->cohort, 0, sizeof life->cohort);
    life->choice = (struct flosim_choice){.size = sizeof life->choice, .action = life->action, .cohort = life->cohort};
    status = life->selector.ops->select(life->selector.state, &life->selection, &life->choice);
    cr_assert_geq(status, 0, "%s: %s", name, life->selector.host.explanation.message);
    cr_assert_leq(life->choice.num_cohorts, FLOSIM_MAX_COHORTS);
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        if (life->action[i] == FLOSIM_IDLE)
            continue;
        cr_assert_lt(i, life->selection.num_clients, "%s chose a client that is not there", name);
        cr_assert(life->world.clients[i].flags & FLOSIM_SELECTABLE, "%s chose %s", name, life->world.ids[i]);
        cr_assert_leq(life->action[i], FLOSIM_VALIDATE);
        cr_assert_lt(life->cohort[i], life->choice.num_cohorts ? life->choice.num_cohorts : 1, "%s", name);
    }
    return status;
}

size_t life_count(const struct selection_life *life, enum flosim_action what)
{
    size_t n = 0;

    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        n += life->action[i] == what;
    return n;
}

void life_start(struct selection_life *life)
{
    life->selection.num_training += life_count(life, FLOSIM_TRAIN);
    life->selection.num_validating += life_count(life, FLOSIM_VALIDATE);
    life->selection.attempt += life_count(life, FLOSIM_TRAIN) + life_count(life, FLOSIM_VALIDATE) > 0;
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        if (life->action[i] != FLOSIM_IDLE)
            life->world.clients[i].flags = FLOSIM_ACTIVE | FLOSIM_BUSY;
}

void life_answer(struct selection_life *life, size_t i)
{
    struct flosim_client *client = &life->world.clients[i];
    double loss = 0.1 + (double)((i * 7 + (size_t)life->selection.round * 3) % 11);
    struct flosim_result result = {
        .size = sizeof result, .action = life->action[i], .round = life->selection.round, .client = client};

    client->flags = FLOSIM_ACTIVE | FLOSIM_SELECTABLE;
    if (life->action[i] == FLOSIM_TRAIN) {
        life->selection.num_training--;
        client->last_round = life->selection.round;
        client->last_loss = loss;
        client->last_square_loss = loss * loss * 1.5;
        client->last_seconds = client->seconds_per_batch < 0 ? 1 : client->seconds_per_batch * 10;
    } else {
        life->selection.num_validating--;
        client->validation_round = life->selection.round;
        client->validation_loss = loss;
    }
    if (life->selector.ops->on_result)
        cr_assert_eq(life->selector.ops->on_result(life->selector.state, &result), FLOSIM_OK);
}

static void end_round(struct selection_life *life)
{
    life->selection.round++;
    life->selection.attempt = 0;
}

int life_step(struct selection_life *life)
{
    int one_by_one = (life->selector.ops->flags & FLOSIM_SELECTS_WHILE_TRAINING) != 0;
    unsigned char doing[WORLD_CLIENTS];
    int status = life_ask(life), trained = life_count(life, FLOSIM_TRAIN) > 0;

    life_start(life);
    memcpy(doing, life->action, sizeof doing);
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        /* `one by one` lets those chosen in earlier steps answer first. */
        if (!(life->world.clients[i].flags & FLOSIM_BUSY) || (one_by_one && i % 3 != (size_t)life->selection.round % 3))
            continue;
        life->action[i] = one_by_one ? (unsigned char)FLOSIM_TRAIN : doing[i];
        life_answer(life, i);
        if (one_by_one)
            break;
    }
    memcpy(life->action, doing, sizeof doing);
    if (trained || one_by_one)
        end_round(life);
    return status;
}

void life_restart(struct selection_life *life)
{
    const struct flosim_selector_ops *ops = life->selector.ops;

    cr_assert_eq(ops->save == NULL, ops->restore == NULL);
    if (ops->save)
        cr_assert_eq(ops->save(life->selector.state), FLOSIM_OK);
    selector_fini(&life->selector);
    start_selector(life, ops);
    if (ops->restore)
        cr_assert_eq(ops->restore(life->selector.state), FLOSIM_OK, "%s: %s", ops->name,
                     life->selector.host.explanation.message);
}
