#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_internal.h"
#include "util/sync.h"

/* What is refused is still read, up to this much beyond the limit: a peer that is cut off while it sends may never see
 * the answer. */
static const size_t drain_limit = 16 << 20;

/* A body takes at most a minute to arrive. */
#define REQUEST_LIMIT_NS ((uint64_t)60 * 1000000000)

/* ---- life of exchanges ---- */

void http_server_unref_locked(struct http_server *server)
{
    bool last = --server->references == 0;

    pthread_mutex_unlock(&server->mutex);
    if (!last)
        return;
    sync_fini(&server->mutex, &server->changed);
    free(server->token);
    free(server);
}

static void free_exchange(struct http_exchange *exchange)
{
    if (exchange->response)
        MHD_destroy_response(exchange->response);
    free(exchange->method);
    free(exchange->path);
    free(exchange->content_type);
    free(exchange->body);
    free(exchange);
}

static void drop_exchange(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;

    pthread_mutex_lock(&server->mutex);
    bool last = --exchange->references == 0;
    if (!last) {
        pthread_mutex_unlock(&server->mutex);
        return;
    }
    free_exchange(exchange);
    http_server_unref_locked(server);
}

static void handle_request(struct loop_event *event)
{
    struct http_exchange *exchange = CONTAINER_OF(event, struct http_exchange, event);
    struct http_server *server = exchange->server;

    pthread_mutex_lock(&server->mutex);
    bool waiting = exchange->state == WAITING; /* else http_server_free has answered it */
    pthread_mutex_unlock(&server->mutex);
    if (waiting)
        server->handler(server->context, exchange, &exchange->request);
    drop_exchange(exchange);
}

static struct http_exchange *new_exchange(struct http_server *server, struct MHD_Connection *connection,
                                          const char *method, const char *path)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct http_exchange *exchange = calloc(1, sizeof *exchange);

    if (!exchange)
        return NULL;
    exchange->event.handle = handle_request;
    exchange->server = server;
    exchange->connection = connection;
    exchange->began_ns = clock_now_ns(loop_clock(server->loop));
    exchange->references = 1;
    exchange->method = strdup(method);
    exchange->path = strdup(path);
    exchange->content_type = strdup(type ? type : "");
    if (!exchange->method || !exchange->path || !exchange->content_type) {
        free_exchange(exchange);
        return NULL;
    }
    pthread_mutex_lock(&server->mutex);
    server->references++;
    exchange->next = server->exchanges;
    exchange->link = &server->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    server->exchanges = exchange;
    pthread_mutex_unlock(&server->mutex);
    return exchange;
}

/* The server's thread: this exchange's connection is done with it, well or not. */
void http_on_completed(void *context, struct MHD_Connection *connection, void **slot,
                       enum MHD_RequestTerminationCode code)
{
    struct http_server *server = context;
    struct http_exchange *exchange = *slot;

    (void)connection;
    (void)code;
    *slot = NULL;
    if (!exchange)
        return;
    pthread_mutex_lock(&server->mutex);
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->mutex);
    drop_exchange(exchange);
}

/* ---- receiving, on the server's thread ---- */

/* In a time that depends on the given text only. */
static bool equal_secret(const char *given, const char *secret)
{
    size_t n = strlen(given), m = strlen(secret);
    unsigned difference = n != m;

    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)secret[m ? i % m : 0];
    return !difference;
}

static bool is_authorised(const struct http_server *server, struct MHD_Connection *connection)
{
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

    if (!server->token)
        return true;
    if (!header || strncasecmp(header, "Bearer ", 7))
        return false;
    return equal_secret(header + 7 + strspn(header + 7, " "), server->token);
}

static size_t announced_size(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return length ? (size_t)strtoull(length, NULL, 10) : 0;
}

struct MHD_Response *http_message_response(const char *message)
{
    json_t *object = json_pack("{s:s}", "message", message);
    char *text = object ? json_dumps(object, 0) : NULL;

    json_decref(object);
    if (!text)
        return NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(text);
    else
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return response;
}

static enum MHD_Result refuse(struct http_exchange *exchange)
{
    char message[200];

    if (exchange->refusal == MHD_HTTP_UNAUTHORIZED)
        snprintf(message, sizeof message, "this leader asks for a bearer token");
    else if (exchange->refusal == MHD_HTTP_CONTENT_TOO_LARGE)
        snprintf(message, sizeof message, "the body is larger than %zu bytes", exchange->server->max_body);
    else
        snprintf(message, sizeof message, "this server is closing");
    struct MHD_Response *response = http_message_response(message);
    if (!response)
        return MHD_NO;
    if (exchange->refusal == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    enum MHD_Result result = MHD_queue_response(exchange->connection, (unsigned)exchange->refusal, response);
    MHD_destroy_response(response);
    return result;
}

/* The first call for a request: headers only. */
static enum MHD_Result begin(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    size_t size = announced_size(exchange->connection);

    pthread_mutex_lock(&server->mutex);
    bool closing = server->closing;
    pthread_mutex_unlock(&server->mutex);
    if (closing)
        exchange->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
    else if (!is_authorised(server, exchange->connection))
        exchange->refusal = MHD_HTTP_UNAUTHORIZED;
    else if (size > server->max_body)
        exchange->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
    /* A peer that waits for "100 Continue", or sends very much, is told at once. */
    bool expects = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    if (exchange->refusal && size && (expects || size > server->max_body + drain_limit))
        return refuse(exchange);
    return MHD_YES;
}

static bool reserve(struct http_exchange *exchange, size_t size)
{
    size_t capacity = exchange->body_capacity ? exchange->body_capacity : 4096;

    while (capacity < size)
        capacity *= 2;
    if (capacity == exchange->body_capacity)
        return true;
    char *body = realloc(exchange->body, capacity);
    if (!body)
        return false;
    exchange->body = body;
    exchange->body_capacity = capacity;
    return true;
}

static enum MHD_Result receive(struct http_exchange *exchange, const char *data, size_t size)
{
    size_t limit = exchange->server->max_body;

    /* Who drips would hold a connection for ever. */
    if (clock_now_ns(loop_clock(exchange->server->loop)) - exchange->began_ns > REQUEST_LIMIT_NS)
        return MHD_NO;
    exchange->received += size;
    if (exchange->received > limit && !exchange->refusal)
        exchange->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
    if (exchange->refusal) {
        free(exchange->body);
        exchange->body = NULL;
        exchange->body_size = exchange->body_capacity = 0;
        return exchange->received > limit + drain_limit ? MHD_NO : MHD_YES;
    }
    if (!reserve(exchange, exchange->body_size + size))
        return MHD_NO;
    memcpy(exchange->body + exchange->body_size, data, size);
    exchange->body_size += size;
    return MHD_YES;
}

/* The whole request is here: the connection sleeps until the loop has an answer. */
static enum MHD_Result hand_over(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;

    exchange->request = (struct http_request){
        .method = exchange->method,
        .path = exchange->path,
        .content_type = exchange->content_type,
        .body = span_of(exchange->body ? exchange->body : "", exchange->body_size),
    };
    pthread_mutex_lock(&server->mutex);
    bool closing = server->closing;
    if (!closing) {
        exchange->state = WAITING;
        exchange->references++;
        MHD_suspend_connection(exchange->connection);
    }
    pthread_mutex_unlock(&server->mutex);
    if (closing) {
        exchange->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
        return refuse(exchange);
    }
    loop_post(server->loop, &exchange->event);
    return MHD_YES;
}

static enum MHD_Result finish(struct http_exchange *exchange)
{
    pthread_mutex_lock(&exchange->server->mutex);
    bool answered = exchange->state == ANSWERED;
    pthread_mutex_unlock(&exchange->server->mutex);
    if (!answered)
        return exchange->refusal ? refuse(exchange) : hand_over(exchange);
    if (!exchange->response)
        return MHD_NO; /* no memory for an answer */
    return MHD_queue_response(exchange->connection, (unsigned)exchange->status, exchange->response);
}

enum MHD_Result http_on_access(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                               const char *version, const char *data, size_t *size, void **slot)
{
    struct http_exchange *exchange = *slot;

    (void)version;
    if (!exchange) {
        *slot = exchange = new_exchange(context, connection, method, path);
        return exchange ? begin(exchange) : MHD_NO;
    }
    if (*size) {
        size_t n = *size;
        *size = 0;
        return receive(exchange, data, n);
    }
    return finish(exchange);
}

/* ---- answering, on the loop's thread ---- */

/* Takes the response (NULL: close the connection). */
static void answer(struct http_exchange *exchange, int status, struct MHD_Response *response)
{
    struct http_server *server = exchange->server;

    pthread_mutex_lock(&server->mutex);
    exchange->status = status;
    exchange->response = response;
    exchange->state = ANSWERED;
    if (server->closing && response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    /* Under the mutex: once resumed the exchange may be gone. */
    MHD_resume_connection(exchange->connection);
    pthread_mutex_unlock(&server->mutex);
}

static void release_blob(void *blob)
{
    blob_unref(blob);
}

void http_respond(struct http_exchange *exchange, int status, const char *content_type, struct blob *body)
{
    struct MHD_Response *response =
        body ? MHD_create_response_from_buffer_with_free_callback_cls(blob_size(body), blob_bytes(body), release_blob,
                                                                      body)
             : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);

    if (!response)
        blob_unref(body);
    else if (content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    answer(exchange, status, response);
}

void http_respond_text(struct http_exchange *exchange, int status, const char *content_type, char *text)
{
    struct blob *blob = text ? blob_adopt(text, strlen(text), free, text) : NULL;

    if (blob) {
        http_respond(exchange, status, content_type, blob);
        return;
    }
    free(text);
    http_respond_message(exchange, 500, "Out of memory");
}

void http_respond_json(struct http_exchange *exchange, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;

    json_decref(json);
    http_respond_text(exchange, status, "application/json", text);
}

void http_respond_message(struct http_exchange *exchange, int status, const char *format, ...)
{
    char message[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct MHD_Response *response = http_message_response(message);
    /* A message that quotes what is no UTF-8 cannot be JSON. */
    answer(exchange, status, response ? response : http_message_response("(the message cannot be shown as JSON)"));
}
