/* The one source of time of a role: its event loop owns a clock, and nothing in the role's logic asks the system.
 * (A virtual clock will be a second member.) Any thread may read; a clock never blocks. */
#ifndef FLOSIM_UTIL_CLOCK_H
#define FLOSIM_UTIL_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*now_ns)(const struct clock *clock); /* monotonic; only differences mean anything */
    double (*wall_s)(const struct clock *clock);   /* seconds since 1970, for stamps that people and peers read */
};

extern const struct clock clock_system;

static inline uint64_t clock_now_ns(const struct clock *clock)
{
    return clock->now_ns(clock);
}

static inline double clock_wall_s(const struct clock *clock)
{
    return clock->wall_s(clock);
}

#endif
