/* A small HTTP/1.1 server on libmicrohttpd: its threads only post; the handler runs on the loop's thread and may answer
 * at once or much later (the connection is suspended meanwhile). */
#ifndef FLOSIM_NET_HTTP_SERVER_H
#define FLOSIM_NET_HTTP_SERVER_H

#include <jansson.h>
#include <stddef.h>

#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/span.h"

struct http_server;
struct http_exchange; /* one request and its answer to be */

struct http_request {
    const char *method;       /* "GET" … */
    const char *path;         /* decoded, without query */
    const char *content_type; /* "" where absent */
    struct span body;
};

struct http_server_options {
    const char *host;         /* "127.0.0.1", "0.0.0.0", "::1" */
    int port;                 /* 0: a free one */
    size_t max_body;          /* a longer body is answered with 413 */
    int max_connections;      /* 0: 256 */
    const char *bearer_token; /* NULL: none asked for; else 401 without it */
};

/* The request and the exchange live until it is answered, also when the peer has gone meanwhile (nobody notices before
 * the answer is sent). Every exchange must be answered exactly once, from the loop's thread, now or later. Bodies over
 * the limit and requests without the token never get here. */
typedef void (*http_handler)(void *context, struct http_exchange *exchange, const struct http_request *request);

/* Options are copied; context, loop and log are borrowed. Port in use: ERR_SETUP, with the remedy. */
int http_server_new(struct http_server **out, const struct http_server_options *options, http_handler handler,
                    void *context, struct loop *loop, const struct log *log, struct error *err);
int http_server_port(const struct http_server *server);

/* Loop thread. Closes the port, answers exchanges that are still open with 503 (their http_exchange is invalid then),
 * waits for answers to be sent, at most timeout_ms, frees. The loop must not be freed before. NULL is legal. */
void http_server_free(struct http_server *server, int timeout_ms);

/* Loop thread. Takes the body (may be NULL). */
void http_respond(struct http_exchange *exchange, int status, const char *content_type, struct blob *body);

/* The text is taken (it is freed afterwards); NULL answers that there is no memory. */
void http_respond_text(struct http_exchange *exchange, int status, const char *content_type, char *text);
void http_respond_json(struct http_exchange *exchange, int status, json_t *json); /* takes the reference; as above */

/* {"message": …} with the given status. */
void http_respond_message(struct http_exchange *exchange, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
