/* Places where a crash is worth a test: before every write, fsync and rename of what must survive a leader's death.
 * Free in production: one relaxed load, and nothing but a call from a test's own code arms them (no option, no
 * environment variable of flosim's). Armed, the process kills itself with SIGKILL at the n-th place it comes to, as a
 * power cut would. Any thread. */
#ifndef FLOSIM_UTIL_CRASH_POINT_H
#define FLOSIM_UTIL_CRASH_POINT_H

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool crash_points_armed;

void crash_point_met(void);

static inline void crash_point(void)
{
    if (atomic_load_explicit(&crash_points_armed, memory_order_relaxed))
        crash_point_met();
}

/* Die at the n-th point from now on (n from 1); 0: only count. */
void crash_points_arm(long n);
/* How many were met since; disarms. */
long crash_points_disarm(void);

#endif
