/* The contracts of the three kinds of strategies: they run over every row of the registries. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strategy_world.h"

/* ---- registries and arguments ---- */

Test(strategies, every_row_is_complete_and_found_by_name)
{
    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++) {
        struct strategy_entry entry, found;

        for (size_t i = 0; strategy_entry_at(kind, i, &entry); i++) {
            cr_assert(entry.help && *entry.help, "%s has no help", entry.name);
            cr_assert(strategy_entry_find(kind, entry.name, &found));
            cr_assert_eq(found.help, entry.help);
        }
        cr_assert_not(strategy_entry_find(kind, "no such strategy", &found));
    }
    for (size_t i = 0; selections[i]; i++) {
        cr_assert_eq(selections[i]->abi_version, FLOSIM_STRATEGY_ABI);
        cr_assert_eq(selections[i]->size, sizeof(struct flosim_selector_ops));
    }
    for (size_t i = 0; aggregations[i]; i++) {
        cr_assert_eq(aggregations[i]->abi_version, FLOSIM_STRATEGY_ABI);
        cr_assert_eq(aggregations[i]->size, sizeof(struct flosim_aggregator_ops));
        cr_assert(aggregations[i]->on_failure && aggregations[i]->held);
    }
    for (size_t i = 0; terminations[i]; i++) {
        cr_assert_eq(terminations[i]->abi_version, FLOSIM_STRATEGY_ABI);
        cr_assert_eq(terminations[i]->size, sizeof(struct flosim_termination_ops));
        cr_assert(terminations[i]->init && terminations[i]->check);
    }
}

/* Unknown keys, wrong types and values out of range of every argument of every member. */
Test(strategies, bad_arguments_are_refused)
{
    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++) {
        struct strategy_entry entry;
        char text[200];

        for (size_t i = 0; strategy_entry_at(kind, i, &entry); i++) {
            cr_assert_gt(strategy_world_complaints(entry.name, entry.params, "{no_such_argument: 1}"), 0);
            cr_assert_eq(strategy_world_complaints(entry.name, entry.params, strategy_world_good_args(entry.name)), 0);
            for (size_t k = 0; entry.params && k < entry.params->num_rows; k++) {
                const struct flosim_param *row = &entry.params->rows[k];

                cr_assert(row->help && *row->help);
                snprintf(text, sizeof text, "{%s: [1, 2]}", row->name);
                cr_assert_gt(strategy_world_complaints(entry.name, entry.params, text), 0, "%s.%s", entry.name,
                             row->name);
                if (row->min == 0 && row->max == 0)
                    continue;
                snprintf(text, sizeof text, "{%s: %.17g}", row->name, row->max + 1);
                cr_assert_gt(strategy_world_complaints(entry.name, entry.params, text), 0, "%s.%s", entry.name,
                             row->name);
            }
        }
    }
}

Test(strategies, missing_required_argument_is_named)
{
    cr_assert_gt(strategy_world_complaints("accuracy_target", terminations[1]->params, ""), 0);
    cr_assert_gt(strategy_world_complaints("accuracy_target", terminations[1]->params, "{}"), 0);
}

Test(strategies, arguments_reach_the_struct)
{
    struct strategy_args *args =
        strategy_world_args("fedavg", selection_find("fedavg")->params, "{client_fraction: 30%}");

    cr_assert_float_eq(*(const double *)strategy_args_values(args), 0.3, 1e-12);
    strategy_args_free(args);
    args = strategy_world_args("fedavg", selection_find("fedavg")->params, "");
    cr_assert_float_eq(*(const double *)strategy_args_values(args), 1.0, 1e-12);
    strategy_args_free(args);
}

/* ---- selection ---- */

static void select_once(const struct flosim_selector_ops *ops, const char *yaml, uint64_t seed, int64_t round,
                        size_t training, unsigned char *action)
{
    struct strategy_world world;
    struct selector selector;
    struct flosim_selection selection;
    struct error err = ERROR_INIT;

    strategy_world_init(&world, seed);
    for (size_t i = 0; i < training; i++)
        world.clients[i].flags = FLOSIM_ACTIVE | FLOSIM_BUSY;
    world.clients[WORLD_CLIENTS - 1].flags = 0;
    selection = strategy_world_selection(&world, round);
    selection.num_training = training;
    cr_assert_eq(selector_init(&selector, ops, strategy_world_args(ops->name, ops->params, yaml), &world.base, &err),
                 OK, "%s", err.message);
    memset(action, 0, WORLD_CLIENTS);
    strategy_world_select(&selector, &selection, action);
    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        cr_assert(action[i] == FLOSIM_IDLE || (world.clients[i].flags & FLOSIM_SELECTABLE), "%s chose %s", ops->name,
                  world.ids[i]);
    selector_fini(&selector);
    strategy_world_fini(&world);
}

static size_t count(const unsigned char *action, unsigned char what)
{
    size_t n = 0;

    for (size_t i = 0; i < WORLD_CLIENTS; i++)
        n += action[i] == what;
    return n;
}

Test(strategies, selection_repeats_with_the_same_seed)
{
    unsigned char a[WORLD_CLIENTS], b[WORLD_CLIENTS];

    for (size_t k = 0; selections[k]; k++)
        for (int64_t round = 0; round < 5; round++) {
            const char *yaml = selections[k]->params ? "{client_fraction: 0.4}" : "";

            select_once(selections[k], yaml, 11, round, 0, a);
            select_once(selections[k], yaml, 11, round, 0, b);
            cr_assert_arr_eq(a, b, WORLD_CLIENTS);
            cr_assert_gt(count(a, FLOSIM_TRAIN), 0, "%s chose nobody", selections[k]->name);
        }
}

Test(strategies, synchronous_selection_waits_while_somebody_trains)
{
    unsigned char action[WORLD_CLIENTS];

    for (size_t k = 0; selections[k]; k++) {
        if (selections[k]->flags & FLOSIM_SELECTS_WHILE_TRAINING)
            continue;
        select_once(selections[k], "", 11, 0, 3, action);
        cr_assert_eq(count(action, FLOSIM_TRAIN), 0);
    }
}

Test(strategies, fedavg_takes_the_floor_of_its_share_and_at_least_one)
{
    static const struct {
        const char *yaml;
        size_t expected;
    } cases[] = {{"{client_fraction: 1}", 19},
                 {"{client_fraction: 0.5}", 9},
                 {"{client_fraction: 0.1}", 1},
                 {"{client_fraction: 0}", 1},
                 {"{client_fraction: 0.99}", 18}};
    unsigned char action[WORLD_CLIENTS];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        select_once(selection_find("fedavg"), cases[i].yaml, 3, 0, 0, action);
        cr_assert_eq(count(action, FLOSIM_TRAIN), cases[i].expected, "%s", cases[i].yaml);
    }
}

/* Every client is drawn about equally often. */
Test(strategies, random_selection_is_uniform)
{
    size_t drawn[WORLD_CLIENTS] = {0};
    unsigned char action[WORLD_CLIENTS];

    for (int64_t round = 0; round < 1900; round++) {
        select_once(selection_find("fedavg"), "{client_fraction: 0.5}", 3, round, 0, action);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
            drawn[i] += action[i] == FLOSIM_TRAIN;
    }
    for (size_t i = 0; i + 1 < WORLD_CLIENTS; i++) /* 900 expected; the deviation is about 22 */
        cr_assert(drawn[i] > 790 && drawn[i] < 1010, "client %zu was drawn %zu times", i, drawn[i]);
}

Test(strategies, a_fraction_is_not_lost_to_rounding)
{
    cr_assert_eq(flosim_fraction_of(0.3, 10), 3);
    cr_assert_eq(flosim_fraction_of(0.29, 100), 29);
    cr_assert_eq(flosim_fraction_of(1, 7), 7);
    cr_assert_eq(flosim_fraction_of(0.5, 0), 0);
}

Test(strategies, fedasync_selection_keeps_the_same_number_training)
{
    struct strategy_world world;
    struct selector selector;
    struct flosim_selection selection;
    unsigned char action[WORLD_CLIENTS] = {0};
    const struct flosim_selector_ops *ops = selection_find("fedasync");

    strategy_world_init(&world, 5);
    cr_assert_eq(selector_init(&selector, ops, strategy_world_args(ops->name, ops->params, "{client_fraction: 0.25}"),
                               &world.base, NULL),
                 OK);
    selection = strategy_world_selection(&world, 0);
    strategy_world_select(&selector, &selection, action);
    cr_assert_eq(count(action, FLOSIM_TRAIN), 5);
    for (size_t training = 0; training <= 5; training++) {
        memset(action, 0, sizeof action);
        selection.num_training = training;
        strategy_world_select(&selector, &selection, action);
        cr_assert_eq(count(action, FLOSIM_TRAIN), 5 - training);
    }
    selector_fini(&selector);
    strategy_world_fini(&world);
}

/* Saved after some steps and restored into a fresh one, a selector goes on as if nothing had been. */
Test(strategies, selectors_survive_in_the_store)
{
    for (size_t k = 0; selections[k]; k++) {
        const struct flosim_selector_ops *ops = selections[k];
        const char *yaml = ops->params ? "{client_fraction: 0.4}" : "";
        struct strategy_world world;
        struct selector first, second;
        unsigned char a[WORLD_CLIENTS] = {0}, b[WORLD_CLIENTS] = {0};
        struct flosim_selection selection;

        strategy_world_init(&world, 9);
        selection = strategy_world_selection(&world, 0);
        selector_init(&first, ops, strategy_world_args(ops->name, ops->params, yaml), &world.base, NULL);
        strategy_world_select(&first, &selection, a);
        cr_assert_eq(ops->save == NULL, ops->restore == NULL);
        if (ops->save)
            cr_assert_eq(ops->save(first.state), FLOSIM_OK);
        selector_init(&second, ops, strategy_world_args(ops->name, ops->params, yaml), &world.base, NULL);
        if (ops->restore)
            cr_assert_eq(ops->restore(second.state), FLOSIM_OK);
        for (size_t i = 12; i < WORLD_CLIENTS; i++)
            world.clients[i].flags = FLOSIM_ACTIVE;
        selection = strategy_world_selection(&world, 1);
        memset(a, 0, sizeof a);
        strategy_world_select(&first, &selection, a);
        strategy_world_select(&second, &selection, b);
        cr_assert_arr_eq(a, b, WORLD_CLIENTS);
        selector_fini(&first);
        selector_fini(&second);
        strategy_world_fini(&world);
    }
}

/* ---- host services ---- */

static void aggregator_of(struct aggregator *out, const struct flosim_aggregator_ops *ops, struct strategy_world *world)
{
    struct error err = ERROR_INIT;
    struct strategy_args *args = strategy_world_args(ops->name, ops->params, strategy_world_good_args(ops->name));

    cr_assert_eq(aggregator_init(out, ops, args, &world->base, &err), OK, "%s", err.message);
}

Test(strategies, members_of_a_kind_do_not_see_each_others_store)
{
    struct strategy_world world;
    struct aggregator a, b;
    char value[8] = "";
    size_t size;

    strategy_world_init(&world, 1);
    aggregator_of(&a, aggregation_find("fedavg"), &world);
    aggregator_of(&b, aggregation_find("fedasync"), &world);
    cr_assert_eq(a.host.services.store_put(&a.host.services, "key", "abc", 3), FLOSIM_OK);
    cr_assert_eq(b.host.services.store_get(&b.host.services, "key", value, sizeof value, &size), FLOSIM_NOT_FOUND);
    cr_assert_eq(a.host.services.store_get(&a.host.services, "key", value, 2, &size), FLOSIM_OK);
    cr_assert_eq(size, 3);
    cr_assert_str_eq(value, "ab");
    cr_assert_lt(a.host.services.store_put(&a.host.services, "", "x", 1), 0);
    aggregator_fini(&a);
    aggregator_fini(&b);
    strategy_world_fini(&world);
}
