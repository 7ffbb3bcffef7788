#include "worker/inbox.h"

#include <stdatomic.h>

int inbox_init(struct inbox *inbox, struct loop *loop, struct error *err)
{
    inbox->loop = loop;
    inbox->open = true;
    return pthread_mutex_init(&inbox->mutex, NULL) ? FAIL(err, ERR_MEMORY, "out of memory for a worker") : OK;
}

void inbox_fini(struct inbox *inbox)
{
    pthread_mutex_destroy(&inbox->mutex);
}

bool inbox_post(struct inbox *inbox, struct loop_event *event)
{
    pthread_mutex_lock(&inbox->mutex);
    bool open = inbox->open;
    if (open)
        loop_post(inbox->loop, event);
    pthread_mutex_unlock(&inbox->mutex);
    return open;
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    inbox->open = false;
    pthread_mutex_unlock(&inbox->mutex);
}

static void handle_signal(struct loop_event *event)
{
    struct inbox_signal *signal = CONTAINER_OF(event, struct inbox_signal, event);

    atomic_store(&signal->pending, false);
    signal->handle(signal->context);
}

void inbox_signal_init(struct inbox_signal *signal, void (*handle)(void *context), void *context)
{
    signal->event = (struct loop_event){.handle = handle_signal};
    atomic_init(&signal->pending, false);
    signal->handle = handle;
    signal->context = context;
}

void inbox_signal_raise(struct inbox *inbox, struct inbox_signal *signal)
{
    if (!atomic_exchange(&signal->pending, true) && !inbox_post(inbox, &signal->event))
        atomic_store(&signal->pending, false);
}
