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

static struct fleet_group coming_and_going[] = {
    {.group = "home", .share = 0.5, .availability = 1},
    {.group = "street", .share = 0.3, .availability = 0.25},
    {.group = "shift", .share = 0.2, .availability = 1, .trace = {30, 10}},
};

Test(fleet, who_is_there_in_a_round_is_drawn_by_its_probability)
{
    struct fleet fleet;
    size_t there = 0, n = 0;

    cr_assert_eq(fleet_init(&fleet, coming_and_going, 3, 100, NULL), OK);
    cr_expect_eq(fleet_presence(&fleet, 0), FLEET_ALWAYS);
    cr_expect_eq(fleet_presence(&fleet, 50), FLEET_BY_ROUND);
    cr_expect_eq(fleet_presence(&fleet, 99), FLEET_BY_CLOCK);
    for (size_t i = 50; i < 80; i++)
        for (int64_t round = 0; round < 100; round++, n++)
            there += fleet_is_there_in(&fleet, 7, i, round);
    cr_expect_float_eq((double)there / (double)n, 0.25, 0.03);
    fleet_fini(&fleet);
}

/* Over four periods of 40 s: on for 30, off for 10, and the next change is where it says. */
Test(fleet, on_and_off_in_turns)
{
    struct fleet fleet;
    double change, ignored, on_s = 0;

    cr_assert_eq(fleet_init(&fleet, coming_and_going, 3, 100, NULL), OK);
    for (double s = 0; s < 160; s = change) {
        bool is_on = fleet_is_there_at(&fleet, 7, 99, s, &change);

        cr_assert_gt(change, s);
        cr_expect_eq(fleet_is_there_at(&fleet, 7, 99, (s + change) / 2, &ignored), is_on);
        change += 1e-6;
        cr_expect_eq(fleet_is_there_at(&fleet, 7, 99, change, &ignored), !is_on);
        on_s += is_on ? (change < 160 ? change : 160) - s : 0;
    }
    cr_expect_float_eq(on_s, 120, 0.01);
    fleet_fini(&fleet);
}
