/* Waiting with a deadline on the monotonic clock. Any thread. */
#ifndef FLOSIM_UTIL_SYNC_H
#define FLOSIM_UTIL_SYNC_H

#include <pthread.h>
#include <signal.h>
#include <time.h>

/* A mutex and a condition whose timed waits take a CLOCK_MONOTONIC deadline. OK or ERR_MEMORY. */
int sync_init(pthread_mutex_t *mutex, pthread_cond_t *condition);
void sync_fini(pthread_mutex_t *mutex, pthread_cond_t *condition);

/* Now plus timeout_ms (0 where negative) on CLOCK_MONOTONIC. */
struct timespec sync_deadline_in_ms(int timeout_ms);

/* pthread_create with all signals blocked in the new thread: they are the main thread's business. Returns its errno. */
int sync_start_thread(pthread_t *thread, void *(*run)(void *argument), void *argument);

/* The same for threads that a library starts: block all signals around the call that starts them. */
void sync_block_signals(sigset_t *before);
void sync_restore_signals(const sigset_t *before);

#endif
