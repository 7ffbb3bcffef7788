#include "util/sync.h"

#include "util/status.h"

int sync_init(pthread_mutex_t *mutex, pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes))
        return ERR_MEMORY;
    int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) || pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed)
        return ERR_MEMORY;
    if (pthread_mutex_init(mutex, NULL)) {
        pthread_cond_destroy(condition);
        return ERR_MEMORY;
    }
    return OK;
}

void sync_fini(pthread_mutex_t *mutex, pthread_cond_t *condition)
{
    pthread_cond_destroy(condition);
    pthread_mutex_destroy(mutex);
}

struct timespec sync_deadline_in_ms(int timeout_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    if (timeout_ms < 0)
        return t;
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

void sync_block_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void sync_restore_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int sync_start_thread(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
    sigset_t before;

    sync_block_signals(&before);
    int failed = pthread_create(thread, NULL, run, argument);
    sync_restore_signals(&before);
    return failed;
}
