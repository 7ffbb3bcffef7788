/* What the client and the server share of gRPC core's C API: library life, threads, messages, status lines. */
#ifndef FLOSIM_NET_GRPC_RUNTIME_H
#define FLOSIM_NET_GRPC_RUNTIME_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "util/error.h"
#include "util/span.h"

/* Counted: each object opens the library for its life. Unless GRPC_VERBOSITY is set, gRPC itself prints nothing. The
 * last close waits until the library's threads have ended. */
void grpc_runtime_open(void);
void grpc_runtime_close(void);

/* Around whatever may start threads, which inherit the mask: signals belong to the role's own thread. */
void signals_block(sigset_t *saved);
void signals_restore(const sigset_t *saved);

/* What a completion queue hands back: embedded in the object that waits for it. */
struct cq_tag {
    void (*done)(void *owner, bool ok);
    void *owner;
};

/* A queue, its thread, and the mutex of the object that both serve. Whoever hands something to the thread holds the
 * mutex meanwhile, and the thread passes through it before it looks at a tag: the hand-over does not lean on gRPC's own
 * order, which ThreadSanitizer cannot see. */
struct cq_thread {
    grpc_completion_queue *cq;
    pthread_mutex_t mutex;
    pthread_t thread;
};

void cq_thread_init(struct cq_thread *queue);
void cq_thread_fini(struct cq_thread *queue); /* the mutex; the queue is destroyed by its owner */

/* Calls each tag of the queue, without the mutex, until the queue is shut down and drained. */
void cq_thread_run(struct cq_thread *queue);

/* Start a thread that does so. ERR_SETUP. */
int cq_thread_start(struct cq_thread *queue, const char *name, struct error *err);

/* Any thread, with the mutex held: let the thread call `tag`. The call must be one of this queue and alive. */
void cq_thread_notify(grpc_call *call, struct cq_tag *tag);

/* A message of one or two pieces, both taken, neither copied; `tail` may be NULL. */
grpc_byte_buffer *message_of_blobs(struct blob *head, struct blob *tail);

/* Returns the message's bytes as one new blob; NULL when out of memory. `message` is borrowed, but its bytes are gone
 * afterwards: each piece is given back once it is copied, so that a large message is not there twice. It must not be
 * compressed. */
struct blob *message_take_blob(grpc_byte_buffer *message);

/* A length for a channel argument, which is an int. 0 gives Flotilla's limit, 1,048,576,000. */
int message_limit(size_t max_message_length);

grpc_arg int_arg(const char *key, int value);

/* Control characters become blanks: what a peer said goes into logs and status lines. */
void one_line(char *text);

#endif
