/* The inside of the HTTP server, shared by http_server.c (opening, closing) and http_exchange.c (requests, answers).
 * Not for others. */
#ifndef FLOSIM_NET_HTTP_INTERNAL_H
#define FLOSIM_NET_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>

#include "net/http_server.h"

enum exchange_state {
    RECEIVING, /* its body arrives, on the server's thread */
    WAITING,   /* suspended; the loop has it */
    ANSWERED,  /* resumed; the server's thread sends */
};

struct http_exchange {
    struct loop_event event;
    struct http_server *server;
    struct http_exchange *next, **link; /* the server's list, under its mutex */
    struct MHD_Connection *connection;
    int references;            /* the connection's and the event's; under the server's mutex or after its end */
    enum exchange_state state; /* under the server's mutex */
    int refusal;               /* status with which the request is refused before anybody sees it; 0: none */
    char *method, *path, *content_type, *body;
    size_t body_size, body_capacity, received;
    uint64_t began_ns; /* when its headers were here */
    struct http_request request;
    struct MHD_Response *response;
    int status;
};

/* Shared with exchanges that outlive the server for a moment (their event is still in the loop's queue). */
struct http_server {
    struct loop *loop;
    const struct log *log;
    http_handler handler;
    void *context;
    struct MHD_Daemon *daemon;
    int port;
    size_t max_body;
    char *token;

    pthread_mutex_t mutex; /* guards what follows and the exchanges' state */
    pthread_cond_t changed;
    struct http_exchange *exchanges;
    int references; /* the owner's and one for each exchange */
    bool closing;
};

/* Ends the caller's hold on the mutex and its reference. */
void http_server_unref_locked(struct http_server *server);

/* {"message": …}; NULL when out of memory or where the message is no UTF-8. */
struct MHD_Response *http_message_response(const char *message);

/* MHD's callbacks, on the server's thread. */
enum MHD_Result http_on_access(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                               const char *version, const char *data, size_t *size, void **slot);
void http_on_completed(void *context, struct MHD_Connection *connection, void **slot,
                       enum MHD_RequestTerminationCode code);

#endif
