/* The small parts: endpoints, splits, stop watches, keys. */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/beacon.h"
#include "worker/datasets.h"
#include "worker/stopper.h"
#include "worker/stopwatch.h"
#include "worker/train_key.h"

static const char *endpoint(const char *advertise, const char *bind, const char *local)
{
    static char text[ENDPOINT_MAX];

    cr_assert_eq(endpoint_text(advertise, bind, local, 50, text, NULL), OK);
    return text;
}

Test(endpoint, says_where_leaders_reach_us)
{
    cr_assert_str_eq(endpoint(NULL, "0.0.0.0", "192.168.1.7"), "192.168.1.7:50");
    cr_assert_str_eq(endpoint("", "", "192.168.1.7"), "192.168.1.7:50");
    cr_assert_str_eq(endpoint(NULL, "127.0.0.1", "192.168.1.7"), "127.0.0.1:50");
    cr_assert_str_eq(endpoint("pi.local", "0.0.0.0", "192.168.1.7"), "pi.local:50");
    cr_assert_str_eq(endpoint("pi.local:99", "0.0.0.0", "192.168.1.7"), "pi.local:99");
    cr_assert_str_eq(endpoint(NULL, "::", "fe80::1"), "[fe80::1]:50");
    cr_assert_str_eq(endpoint("::1", "::", "fe80::1"), "[::1]:50");
    cr_assert_str_eq(endpoint("[::1]:7", "::", "fe80::1"), "[::1]:7");
}

Test(datasets, splits_as_floor_says)
{
    cr_assert_eq(datasets_split(600, 0.05), 570);
    cr_assert_eq(datasets_split(632, 0.05), 600);
    cr_assert_eq(datasets_split(20, 0.05), 19);
    cr_assert_eq(datasets_split(19, 0.05), 18);
    cr_assert_eq(datasets_split(1, 0.05), 0);
    cr_assert_eq(datasets_split(7, 0), 7);
    cr_assert_eq(datasets_split(100, 0.33), 67);
    cr_assert_eq(datasets_split(0, 0.05), 0);
    for (size_t n = 1; n < 3000; n++) /* in integers */
        cr_assert_eq(datasets_split(n, 0.05), n * 95 / 100, "%zu", n);
}

/* ---- stop watches ---- */

static uint64_t test_now_ns = 1000;

static uint64_t now_ns(const struct clock *clock)
{
    (void)clock;
    return test_now_ns;
}

static const struct clock test_clock = {.now_ns = now_ns};

static double one_gflops(void *context, double flops)
{
    (void)context;
    return flops * 1e-9;
}

static double a_second_a_byte(void *context, int64_t round, size_t down, size_t up)
{
    (void)round;
    (void)context;
    return (double)(down + up);
}

Test(stopwatch, measures_where_nothing_is_modelled)
{
    const struct worker_host host = {0};
    const struct work_limit timeout = {.kind = LIMIT_TIMEOUT, .timeout_duration_s = 2};
    const struct work_limit none = {.kind = LIMIT_TIMEOUT, .timeout_duration_s = 0};
    struct stopwatch watch;

    stopwatch_start(&watch, &host, &test_clock);
    test_now_ns += 1500000000;
    stopwatch_add_flops(&watch, 1e12);
    cr_assert_float_eq(stopwatch_compute_s(&watch), 1.5, 1e-9);
    cr_assert_float_eq(stopwatch_duration_s(&watch, 0, 100, 100), 1.5, 1e-9);
    cr_assert_not(stopwatch_limit_reached(&watch, &timeout, 1));
    test_now_ns += 500000000;
    cr_assert(stopwatch_limit_reached(&watch, &timeout, 1));
    cr_assert_not(stopwatch_limit_reached(&watch, &none, 1));
}

Test(stopwatch, models_time_whatever_the_clock_says)
{
    const struct worker_host host = {.compute_seconds = one_gflops, .transfer_seconds = a_second_a_byte};
    const struct work_limit timeout = {.kind = LIMIT_TIMEOUT, .timeout_duration_s = 2};
    struct stopwatch watch;

    stopwatch_start(&watch, &host, &test_clock);
    test_now_ns += 1000000000000;
    cr_assert_not(stopwatch_limit_reached(&watch, &timeout, 1));
    stopwatch_add_flops(&watch, 1.5e9);
    cr_assert_not(stopwatch_limit_reached(&watch, &timeout, 2));
    stopwatch_add_flops(&watch, 0.5e9);
    cr_assert(stopwatch_limit_reached(&watch, &timeout, 3));
    cr_assert_float_eq(stopwatch_duration_s(&watch, 0, 1, 2), 5, 1e-9);
    cr_assert_float_eq(stopwatch_measured_s(&watch), 1000, 1e-9);
}

Test(stopwatch, counts_mini_batches)
{
    const struct worker_host host = {0};
    const struct work_limit count = {.kind = LIMIT_MINI_BATCHES, .max_mini_batch_count = 3};
    struct stopwatch watch;

    stopwatch_start(&watch, &host, &test_clock);
    cr_assert_not(stopwatch_limit_reached(&watch, &count, 2));
    cr_assert(stopwatch_limit_reached(&watch, &count, 3));
}

Test(stopper, ends_a_sleep, .timeout = 20)
{
    struct stopper stop;

    cr_assert_eq(stopper_init(&stop, NULL), OK);
    cr_assert_not(stopper_sleep(&stop, 0.001));
    stopper_raise(&stop);
    cr_assert(stopper_sleep(&stop, 3600));
    cr_assert(stopper_is_raised(&stop));
    stopper_fini(&stop);
}

/* ---- keys ---- */

static const struct train_request request = {
    .session_id = "s",
    .model_id = "m",
    .model_class = "",
    .dataset_id = "d",
    .weights = {"weights", 7},
    .batch_size = 16,
    .learning_rate = 0.1f,
    .num_epochs = 1,
    .round_idx = 3,
    .limit = {.kind = LIMIT_TIMEOUT, .timeout_duration_s = 60},
};

static bool same_as(const struct train_request *other)
{
    struct train_key a, b;

    cr_assert_eq(train_key_make(&a, &request, NULL), OK);
    cr_assert_eq(train_key_make(&b, other, NULL), OK);
    return train_key_equal(&a, &b);
}

Test(train_key, tells_trainings_apart_by_all_but_the_term)
{
    struct train_request other = request;

    other.leader_term = 9;
    cr_assert(same_as(&other));
#define DIFFERS(change)                                                                                                \
    do {                                                                                                               \
        other = request;                                                                                               \
        change;                                                                                                        \
        cr_assert_not(same_as(&other), #change);                                                                       \
    } while (0)
    DIFFERS(other.session_id = "t");
    DIFFERS(other.round_idx = 4);
    DIFFERS(other.attempt = 1);
    DIFFERS(other.weights = span_of("Weights", 7));
    DIFFERS(other.weights.size = 6);
    DIFFERS(other.model_id = "md"; other.dataset_id = "");
    DIFFERS(other.model_config = span_of("{}", 2));
    DIFFERS(other.optimizer = span_of("{}", 2));
    DIFFERS(other.batch_size = 17);
    DIFFERS(other.learning_rate = 0.2f);
    DIFFERS(other.num_epochs = 2);
    DIFFERS(other.seed = 1);
    DIFFERS(other.limit.timeout_duration_s = 61);
    DIFFERS(other.limit.kind = LIMIT_NONE);
#undef DIFFERS
}

Test(train_key, bounds_the_session_id)
{
    struct train_request other = request;
    struct train_key key;
    char long_id[400];

    memset(long_id, 's', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    other.session_id = long_id;
    cr_assert_eq(train_key_make(&key, &other, NULL), ERR_INVALID);
}
