/* Orders about time: how long computing takes, whether it goes on, and what the clock on the wall says. */
#include <time.h>

#include "sim/client_orders.h"
#include "util/clock.h"

enum { NAP_MS = 20 };

static void nap(double seconds)
{
    double longest = NAP_MS * 1e-3, s = seconds < longest ? seconds : longest;
    struct timespec span = {.tv_sec = 0, .tv_nsec = (long)(s * 1e9)};

    nanosleep(&span, NULL);
}

static bool is_stopping(void *context)
{
    const struct client_orders *orders = context;

    return atomic_load(&orders->stopping);
}

static bool must_pause(const struct client_orders *orders, int64_t round)
{
    return order_holds(orders->orders, ORDER_PAUSE, round, NULL) && !atomic_load(&orders->stopping);
}

/* Somebody else may compute meanwhile. */
static void rest(struct client_orders *orders, int64_t round, double seconds)
{
    uint64_t until_ns = clock_now_ns(&clock_system) + (uint64_t)(seconds * 1e9), now_ns;

    if (seconds <= 0 && !must_pause(orders, round))
        return;
    slots_release(orders->slots, orders->slot_owner);
    while (must_pause(orders, round))
        nap(1);
    while ((now_ns = clock_now_ns(&clock_system)) < until_ns && !atomic_load(&orders->stopping))
        nap((double)(until_ns - now_ns) * 1e-9);
    slots_acquire(orders->slots, orders->slot_owner, is_stopping, orders);
}

void client_orders_start_clock(struct client_orders *orders)
{
    orders->step_began_ns = clock_now_ns(&clock_system);
}

void client_orders_rest(struct client_orders *orders, int64_t round)
{
    double spent_s = (double)(clock_now_ns(&clock_system) - orders->step_began_ns) * 1e-9;

    rest(orders, round, spent_s * (client_orders_slowness(orders, round) - 1));
    client_orders_start_clock(orders);
}

double client_orders_slowness(const struct client_orders *orders, int64_t round)
{
    double p[ORDER_VALUES];

    return order_holds(orders->orders, ORDER_SLOW, round, p) ? p[SLOW_FACTOR] : 1;
}

double client_orders_clock_offset_s(const struct client_orders *orders, int64_t round)
{
    double p[ORDER_VALUES];

    return order_holds(orders->orders, ORDER_CLOCK, round, p) ? p[CLOCK_OFFSET_S] : 0;
}
