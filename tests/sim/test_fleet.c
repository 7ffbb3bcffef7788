#include <criterion/criterion.h>
#include <string.h>

#include "sim/fleet.h"

static struct fleet_group groups[] = {
    {.group = "fast", .share = 0.7},
    {.group = "pi", .share = 0.3, .speed = 0.25, .uplink = 2.5e6, .downlink = 6.25e6, .latency = 0.030},
};

static struct fleet new_fleet(size_t num_clients)
{
    struct fleet fleet;

    cr_assert_eq(fleet_init(&fleet, groups, 2, num_clients, NULL), OK);
    return fleet;
}

Test(fleet, shares_become_whole_clients)
{
    for (size_t n = 1; n < 100; n++) {
        struct fleet fleet = new_fleet(n);

        cr_expect_eq(fleet.first[2], n);
        cr_expect_float_eq((double)fleet.first[1], 0.7 * (double)n, 1.0);
        fleet_fini(&fleet);
    }
}

Test(fleet, groups_by_name_and_client)
{
    struct fleet fleet = new_fleet(10);

    cr_expect_eq(fleet_find(&fleet, "pi"), 1);
    cr_expect_eq(fleet_find(&fleet, "cloud"), -1);
    cr_expect_eq(fleet_group_of(&fleet, 6), 0);
    cr_expect_eq(fleet_group_of(&fleet, 7), 1);
    fleet_fini(&fleet);
}

Test(fleet, modelled_times)
{
    struct fleet fleet = new_fleet(10);

    cr_expect_float_eq(fleet_compute_seconds(&fleet, 0, 10e9), 1.0, 1e-9);
    cr_expect_float_eq(fleet_compute_seconds(&fleet, 9, 10e9), 4.0, 1e-9);
    cr_expect_float_eq(fleet_transfer_seconds(&fleet, 0, 1000000, 1000000), 0.0, 1e-12);
    cr_expect_float_eq(fleet_transfer_seconds(&fleet, 9, 6250000, 2500000), 2.060, 1e-9);
    cr_expect_not(fleet_is_declared(&fleet, 0));
    cr_expect(fleet_is_declared(&fleet, 9));
    fleet_fini(&fleet);
}

Test(fleet, without_groups_all_are_nominal)
{
    struct fleet fleet;

    cr_assert_eq(fleet_init(&fleet, NULL, 0, 5, NULL), OK);
    cr_expect_eq(fleet_group_of(&fleet, 4), -1);
    cr_expect_float_eq(fleet_compute_seconds(&fleet, 4, 20e9), 2.0, 1e-9);
    fleet_fini(&fleet);
}

Test(fleet, jitter_and_loss_are_drawn_and_repeat)
{
    const struct fleet_group unsteady[] = {{.group = "a", .share = 0.5, .jitter = 0.1},
                                         {.group = "b", .share = 0.5, .latency = 0.1, .loss = 0.5}};
    struct fleet fleet;
    struct rng once, again;
    double sum = 0;

    cr_assert_eq(fleet_init(&fleet, unsteady, 2, 2, NULL), OK);
    rng_init(&once, 1, "test", "", 0);
    rng_init(&again, 1, "test", "", 0);
    for (int i = 0; i < 1000; i++) {
        double s = fleet_disturbance_seconds(&fleet, 0, 10, 0, &once);
        double repeated = fleet_disturbance_seconds(&fleet, 0, 10, 0, &again);

        cr_assert(s >= 0 && s < 0.1);
        cr_assert_eq(memcmp(&s, &repeated, sizeof s), 0);
        sum += s;
    }
    cr_assert_float_eq(sum / 1000, 0.05, 0.005);
    sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += fleet_disturbance_seconds(&fleet, 1, 10, 0, &once) > 0.39;
    cr_assert_float_eq(sum / 1000, 0.5, 0.06); /* one packet, lost every other time, costs 0.2 s and two latencies */
    cr_assert(fleet_is_declared(&fleet, 0));
    fleet_fini(&fleet);
}
