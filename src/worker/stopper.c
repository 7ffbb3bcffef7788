#include "worker/stopper.h"

#include <time.h>

#include "util/clock.h"

int stopper_init(struct stopper *stopper, struct error *err)
{
    pthread_condattr_t attributes;

    atomic_init(&stopper->raised, false);
    if (pthread_condattr_init(&attributes))
        return FAIL(err, ERR_MEMORY, "out of memory for a task");
    int failed =
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) || pthread_cond_init(&stopper->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed)
        return FAIL(err, ERR_MEMORY, "out of memory for a task");
    if (pthread_mutex_init(&stopper->mutex, NULL)) {
        pthread_cond_destroy(&stopper->wake);
        return FAIL(err, ERR_MEMORY, "out of memory for a task");
    }
    return OK;
}

void stopper_fini(struct stopper *stopper)
{
    pthread_mutex_destroy(&stopper->mutex);
    pthread_cond_destroy(&stopper->wake);
}

void stopper_raise(struct stopper *stopper)
{
    pthread_mutex_lock(&stopper->mutex);
    atomic_store(&stopper->raised, true);
    pthread_cond_broadcast(&stopper->wake);
    pthread_mutex_unlock(&stopper->mutex);
}

bool stopper_is_raised(const struct stopper *stopper)
{
    return atomic_load(&stopper->raised);
}

static struct timespec deadline_after(double seconds)
{
    enum { NS_PER_S = 1000000000 };
    /* A year at most, so that the sum cannot overflow. */
    double bounded_s = seconds > 0 ? (seconds < 3.0e7 ? seconds : 3.0e7) : 0;
    uint64_t deadline_ns = clock_now_ns(&clock_system) + (uint64_t)(bounded_s * NS_PER_S);

    return (struct timespec){(time_t)(deadline_ns / NS_PER_S), (long)(deadline_ns % NS_PER_S)};
}

bool stopper_sleep(struct stopper *stopper, double seconds)
{
    struct timespec deadline = deadline_after(seconds);
    int timed_out = 0;

    pthread_mutex_lock(&stopper->mutex);
    while (!timed_out && !atomic_load(&stopper->raised))
        timed_out = pthread_cond_timedwait(&stopper->wake, &stopper->mutex, &deadline);
    pthread_mutex_unlock(&stopper->mutex);
    return stopper_is_raised(stopper);
}
