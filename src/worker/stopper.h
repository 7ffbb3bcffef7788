/* Asks a computation to end early, from any thread. The computation looks at it between mini-batches and sleeps on it.
 * Embedded in what it may stop; once raised it stays raised. */
#ifndef FLOSIM_WORKER_STOPPER_H
#define FLOSIM_WORKER_STOPPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/error.h"

struct stopper {
    pthread_mutex_t mutex; /* orders raising with falling asleep */
    pthread_cond_t wake;
    _Atomic bool raised;
};

int stopper_init(struct stopper *stopper, struct error *err);
void stopper_fini(struct stopper *stopper);

void stopper_raise(struct stopper *stopper);
bool stopper_is_raised(const struct stopper *stopper);

/* Sleep for so long, or until it is raised; returns whether it is raised. */
bool stopper_sleep(struct stopper *stopper, double seconds);

#endif
