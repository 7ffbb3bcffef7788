/* An EdgeService for tests: the real server with small handlers that answer from a loop's thread, as a worker does.
 * What it does is told by the request's model_id:
 *   "hold"      no answer until toy_server_release or the end
 *   "wait:N"    the answer after N milliseconds
 *   "missing"   ERR_NOT_FOUND, with a message of two lines
 *   "big:N"     weights of N bytes, all the same blob
 *   otherwise   the request's own weights come back */
#ifndef FLOSIM_TESTS_NET_EDGE_TOY_SERVER_H
#define FLOSIM_TESTS_NET_EDGE_TOY_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "net/edge_server.h"
#include "util/loop.h"

struct toy_work;

struct toy_server {
    struct loop *loop;
    struct edge_server *server;
    struct toy_work *held; /* loop's thread */
    atomic_int echoes, trains, uploads_begun, uploads_stored, uploads_dropped;
    void *context;                                      /* of chunk_seen; set it first */
    void (*_Atomic chunk_seen)(struct toy_server *toy); /* on the server's thread; may be NULL */
    struct blob *big;                                   /* what "big:N" answers */

    pthread_mutex_t mutex; /* guards the last upload */
    char model_id[64], file_name[64];
    unsigned char *file;
    size_t file_size;
};

/* Fills `toy`; the loop is borrowed. */
int toy_server_init(struct toy_server *toy, struct loop *loop, int port, size_t max_message_length, struct error *err);

/* Loop's thread. Answers what is held. */
void toy_server_release(struct toy_server *toy);

/* Loop's thread. Is a call held whose peer has gone? */
bool toy_server_holds_cancelled(const struct toy_server *toy);

/* Ends the server first, then answers what is still held. */
void toy_server_fini(struct toy_server *toy);

#endif
