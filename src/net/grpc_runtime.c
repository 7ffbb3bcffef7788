#include "net/grpc_runtime.h"

#include <grpc/slice.h>
#include <grpc/slice_buffer.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MESSAGE_LENGTH = 1048576000 };

void signals_block(sigset_t *saved)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, saved);
}

void signals_restore(const sigset_t *saved)
{
    pthread_sigmask(SIG_SETMASK, saved, NULL);
}

static void print_nothing(gpr_log_func_args *args)
{
    (void)args;
}

void grpc_runtime_open(void)
{
    sigset_t saved;

    if (!getenv("GRPC_VERBOSITY"))
        gpr_set_log_function(print_nothing);
    signals_block(&saved);
    grpc_init();
    signals_restore(&saved);
}

void grpc_runtime_close(void)
{
    grpc_shutdown_blocking();
}

void cq_thread_init(struct cq_thread *queue)
{
    queue->cq = grpc_completion_queue_create_for_next(NULL);
    pthread_mutex_init(&queue->mutex, NULL);
}

void cq_thread_fini(struct cq_thread *queue)
{
    pthread_mutex_destroy(&queue->mutex);
}

void cq_thread_run(struct cq_thread *queue)
{
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        struct cq_tag *tag = event.tag;

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return;
        pthread_mutex_lock(&queue->mutex); /* after whoever called cq_thread_notify */
        pthread_mutex_unlock(&queue->mutex);
        tag->done(tag->owner, event.success != 0);
    }
}

static void *run_thread(void *queue)
{
    cq_thread_run(queue);
    return NULL;
}

int cq_thread_start(struct cq_thread *queue, const char *name, struct error *err)
{
    sigset_t saved;
    int failure;

    signals_block(&saved);
    failure = pthread_create(&queue->thread, NULL, run_thread, queue);
    signals_restore(&saved);
    if (failure)
        return FAIL(err, ERR_SETUP, "cannot start the thread %s: %s", name, strerror(failure));
    pthread_setname_np(queue->thread, name);
    return OK;
}

void cq_thread_notify(grpc_call *call, struct cq_tag *tag)
{
    /* A batch without operations is complete at once; it is the way into the queue that the C API offers. */
    grpc_call_error failure = grpc_call_start_batch(call, NULL, 0, tag, NULL);

    GPR_ASSERT(failure == GRPC_CALL_OK);
}

static void unref_blob(void *blob)
{
    blob_unref(blob);
}

static grpc_slice slice_of_blob(struct blob *blob)
{
    /* Another of gRPC's threads may drop the slice, and ThreadSanitizer does not see how gRPC orders that after us: a
     * release on the blob's own counter makes it visible. */
    blob_unref(blob_ref(blob));
    return grpc_slice_new_with_user_data(blob_bytes(blob), blob_size(blob), unref_blob, blob);
}

grpc_byte_buffer *message_of_blobs(struct blob *head, struct blob *tail)
{
    grpc_slice slices[2];
    size_t n = 0;
    grpc_byte_buffer *message;

    slices[n++] = slice_of_blob(head);
    if (tail)
        slices[n++] = slice_of_blob(tail);
    message = grpc_raw_byte_buffer_create(slices, n);
    for (size_t i = 0; i < n; i++)
        grpc_slice_unref(slices[i]); /* the message holds its own reference */
    return message;
}

struct blob *message_take_blob(grpc_byte_buffer *message)
{
    grpc_slice_buffer *slices = &message->data.raw.slice_buffer;
    struct blob *blob = message->data.raw.compression == GRPC_COMPRESS_NONE ? blob_new(slices->length) : NULL;
    char *at;

    if (!blob)
        return NULL;
    at = blob_bytes(blob);
    while (slices->count > 0) {
        grpc_slice slice = grpc_slice_buffer_take_first(slices);

        memcpy(at, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
        at += GRPC_SLICE_LENGTH(slice);
        grpc_slice_unref(slice);
    }
    return blob;
}

int message_limit(size_t max_message_length)
{
    if (max_message_length == 0)
        return DEFAULT_MESSAGE_LENGTH;
    return max_message_length > INT_MAX ? INT_MAX : (int)max_message_length;
}

grpc_arg int_arg(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)key};

    arg.value.integer = value;
    return arg;
}

void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}
