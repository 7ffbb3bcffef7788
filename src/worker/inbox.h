/* The door between other threads and a worker's loop: it can be closed, after which nothing more is posted, so that the
 * loop can be freed while a gRPC server is still running. Any thread. */
#ifndef FLOSIM_WORKER_INBOX_H
#define FLOSIM_WORKER_INBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "util/loop.h"

struct inbox {
    struct loop *loop; /* borrowed */
    pthread_mutex_t mutex;
    bool open;
};

int inbox_init(struct inbox *inbox, struct loop *loop, struct error *err);
void inbox_fini(struct inbox *inbox);

/* false: the door is closed and the event was not posted. */
bool inbox_post(struct inbox *inbox, struct loop_event *event);
void inbox_close(struct inbox *inbox); /* what was posted before is still handled */

/* An event that may be asked for many times while it waits, and is then handled once. */
struct inbox_signal {
    struct loop_event event;
    _Atomic bool pending;
    void (*handle)(void *context); /* on the loop's thread */
    void *context;
};

void inbox_signal_init(struct inbox_signal *signal, void (*handle)(void *context), void *context);
void inbox_signal_raise(struct inbox *inbox, struct inbox_signal *signal);

#endif
