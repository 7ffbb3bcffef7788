#include "util/crash_point.h"

#include <signal.h>

atomic_bool crash_points_armed;
static atomic_long met, deadly;

void crash_point_met(void)
{
    if (atomic_fetch_add(&met, 1) + 1 == atomic_load(&deadly))
        raise(SIGKILL);
}

void crash_points_arm(long n)
{
    atomic_store(&met, 0);
    atomic_store(&deadly, n);
    atomic_store(&crash_points_armed, true);
}

long crash_points_disarm(void)
{
    atomic_store(&crash_points_armed, false);
    return atomic_load(&met);
}
