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
