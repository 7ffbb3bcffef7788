#include "util/clock.h"

#include <time.h>

static uint64_t system_now_ns(const struct clock *clock)
{
    struct timespec t;

    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double system_wall_s(const struct clock *clock)
{
    struct timespec t;

    (void)clock;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const struct clock clock_system = {.now_ns = system_now_ns, .wall_s = system_wall_s};
