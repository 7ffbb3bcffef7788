#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/http_client.h"
#include "net/http_server.h"

/* ---- a server whose loop runs on a thread of its own ---- */

enum { MAX_BODY = 1 << 20, MAX_KEPT = 64 };

struct bench {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    char base[64];
    sem_t arrived;                        /* posted for each request that /later keeps */
    struct http_exchange *kept[MAX_KEPT]; /* loop thread */
    int num_kept;
    int handled;
};

/* Everything the handler got, as JSON. */
static void tell_request(struct http_exchange *exchange, const struct http_request *request)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s%}", "method", request->method, "path", request->path, "type",
                               request->content_type, "body", request->body.data, request->body.size);

    http_respond_json(exchange, 200, object);
}

static void respond_with_bytes(struct http_exchange *exchange, size_t size)
{
    struct blob *blob = blob_new(size);

    memset(blob_bytes(blob), 'x', size);
    http_respond(exchange, 200, "application/octet-stream", blob);
}

static void handle(void *context, struct http_exchange *exchange, const struct http_request *request)
{
    struct bench *bench = context;

    bench->handled++;
    if (!strcmp(request->path, "/later")) {
        bench->kept[bench->num_kept++] = exchange;
        sem_post(&bench->arrived);
    } else if (!strcmp(request->path, "/size")) {
        http_respond_message(exchange, 200, "%zu bytes", request->body.size);
    } else if (!strcmp(request->path, "/big")) {
        respond_with_bytes(exchange, 32 << 20);
    } else if (!strcmp(request->path, "/empty")) {
        http_respond(exchange, 204, NULL, NULL);
    } else if (!strcmp(request->path, "/odd")) {
        http_respond_message(exchange, 400, "no UTF-8: \xff");
    } else {
        tell_request(exchange, request);
    }
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static struct bench *open_bench(const char *token)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct http_server_options options = {"127.0.0.1", 0, MAX_BODY, 0, token};
    struct error err = ERROR_INIT;

    sem_init(&bench->arrived, 0, 0);
    cr_assert_eq(loop_new(&bench->loop, &clock_system, &err), OK, "%s", err.message);
    cr_assert_eq(http_server_new(&bench->server, &options, handle, bench, bench->loop, NULL, &err), OK, "%s",
                 err.message);
    cr_assert_gt(http_server_port(bench->server), 0);
    snprintf(bench->base, sizeof bench->base, "http://127.0.0.1:%d", http_server_port(bench->server));
    cr_assert_eq(pthread_create(&bench->thread, NULL, run_loop, bench->loop), 0);
    return bench;
}

/* Run something on the loop's thread and wait for it. */
struct errand {
    struct loop_event event;
    struct bench *bench;
    void (*run)(struct bench *bench);
    sem_t done;
};

static void run_errand(struct loop_event *event)
{
    struct errand *errand = CONTAINER_OF(event, struct errand, event);

    errand->run(errand->bench);
    sem_post(&errand->done);
}

static void on_loop(struct bench *bench, void (*run)(struct bench *bench))
{
    struct errand errand = {.event = {.handle = run_errand}, .bench = bench, .run = run};

    sem_init(&errand.done, 0, 0);
    loop_post(bench->loop, &errand.event);
    sem_wait(&errand.done);
}

static void close_server(struct bench *bench)
{
    http_server_free(bench->server, 20000);
    bench->server = NULL;
}

static void close_bench(struct bench *bench)
{
    on_loop(bench, close_server);
    loop_stop(bench->loop);
    pthread_join(bench->thread, NULL);
    loop_free(bench->loop);
    free(bench);
}

static void answer_kept(struct bench *bench)
{
    for (int i = 0; i < bench->num_kept; i++)
        http_respond_message(bench->kept[i], 200, "late");
    bench->num_kept = 0;
}

/* ---- clients ---- */

static long fetch(struct bench *bench, const char *method, const char *path, const char *body, const char *token,
                  struct http_reply *reply)
{
    char url[256];
    struct error err = ERROR_INIT;

    snprintf(url, sizeof url, "%s%s", bench->base, path);
    int status = http_fetch(method, url, body ? "text/plain" : NULL, span_of(body, body ? strlen(body) : 0), token, 30,
                            NULL, NULL, reply, &err);
    cr_assert_eq(status, OK, "%s", err.message);
    return reply->status;
}

static long fetch_status(struct bench *bench, const char *method, const char *path, const char *body, const char *token)
{
    struct http_reply reply;
    long status = fetch(bench, method, path, body, token, &reply);

    http_reply_fini(&reply);
    return status;
}

static int dial(struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((unsigned short)http_server_port(bench->server));
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* False once the peer has closed. */
static bool send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static void send_text(int fd, const char *text)
{
    cr_assert(send_all(fd, text, strlen(text)));
}

/* Everything until the peer closes, as a string. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while (used + 1 < size && (n = recv(fd, out + used, size - used - 1, 0)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    return used;
}

/* ---- tests ---- */

static void check_text(const json_t *object, const char *key, const char *expected)
{
    cr_assert_str_eq(json_string_value(json_object_get(object, key)), expected);
}

Test(http, the_handler_gets_the_whole_request, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    struct http_reply reply;

    cr_assert_eq(fetch(bench, "PUT", "/a%20b/c?q=1%262&r", "some body", NULL, &reply), 200);
    json_t *object = json_loads(blob_bytes(reply.body), 0, NULL);
    check_text(object, "method", "PUT");
    check_text(object, "path", "/a b/c");
    check_text(object, "type", "text/plain");
    check_text(object, "body", "some body");
    json_decref(object);
    http_reply_fini(&reply);
    cr_assert_eq(fetch(bench, "GET", "/x", NULL, NULL, &reply), 200);
    object = json_loads(blob_bytes(reply.body), 0, NULL);
    check_text(object, "method", "GET");
    check_text(object, "body", "");
    json_decref(object);
    http_reply_fini(&reply);
    cr_assert_eq(fetch_status(bench, "GET", "/empty", NULL, NULL), 204);
    cr_assert_eq(fetch_status(bench, "GET", "/odd", NULL, NULL), 400);
    close_bench(bench);
}

static void *fetch_later(void *bench)
{
    return (void *)(intptr_t)fetch_status(bench, "POST", "/later", "body", NULL);
}

Test(http, answers_may_come_much_later_and_many_at_once, .timeout = 60)
{
    enum { N = 16 };
    struct bench *bench = open_bench(NULL);
    pthread_t threads[N];
    void *status;

    for (int i = 0; i < N; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, fetch_later, bench), 0);
    for (int i = 0; i < N; i++)
        sem_wait(&bench->arrived);
    /* While they wait, others are served. */
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    on_loop(bench, answer_kept);
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], &status);
        cr_assert_eq((intptr_t)status, 200);
    }
    close_bench(bench);
}

static char *text_of(size_t size)
{
    char *text = malloc(size + 1);

    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

Test(http, a_body_over_the_limit_gets_413, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char *exact = text_of(MAX_BODY), *over = text_of(MAX_BODY + 1);
    struct http_reply reply;

    cr_assert_eq(fetch(bench, "POST", "/size", exact, NULL, &reply), 200);
    cr_assert_not_null(strstr(blob_bytes(reply.body), "1048576 bytes"));
    http_reply_fini(&reply);
    cr_assert_eq(fetch(bench, "POST", "/size", over, NULL, &reply), 413);
    cr_assert_not_null(strstr(blob_bytes(reply.body), "larger than 1048576"), "%s", (char *)blob_bytes(reply.body));
    http_reply_fini(&reply);
    cr_assert_eq(bench->handled, 1);
    close_bench(bench);
    free(exact);
    free(over);
}

/* No Content-Length says beforehand how much it will be. */
static bool send_chunks(int fd, size_t total)
{
    static char chunk[65536 + 32];
    size_t head = (size_t)sprintf(chunk, "%x\r\n", 65536);

    memset(chunk + head, 'x', 65536);
    memcpy(chunk + head + 65536, "\r\n", 2);
    for (size_t sent = 0; sent < total; sent += 65536)
        if (!send_all(fd, chunk, head + 65536 + 2))
            return false;
    return send_all(fd, "0\r\n\r\n", 5);
}

static const char chunked_head[] =
    "POST /size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

Test(http, a_chunked_body_over_the_limit_gets_413, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char answer[4096];
    int fd = dial(bench);

    send_text(fd, chunked_head);
    cr_assert(send_chunks(fd, MAX_BODY));
    read_all(fd, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 200", 12), 0, "%s", answer);
    close(fd);
    fd = dial(bench);
    send_text(fd, chunked_head);
    cr_assert(send_chunks(fd, 2 * MAX_BODY));
    read_all(fd, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 413", 12), 0, "%s", answer);
    close(fd);
    cr_assert_eq(bench->handled, 1);
    close_bench(bench);
}

Test(http, an_endless_body_is_cut_off, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    int fd = dial(bench);

    send_text(fd, chunked_head);
    cr_assert_not(send_chunks(fd, (size_t)1 << 32), "4 GiB were taken");
    close(fd);
    cr_assert_eq(bench->handled, 0);
    close_bench(bench);
}

Test(http, a_huge_announced_body_is_refused_at_once, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char answer[4096];
    int fd = dial(bench);

    send_text(fd, "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
    read_all(fd, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 413", 12), 0, "%s", answer);
    close(fd);
    fd = dial(bench);
    send_text(fd, "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
    read_all(fd, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 413", 12), 0, "%s", answer);
    close(fd);
    close_bench(bench);
}

Test(http, the_token_is_asked_for, .timeout = 60)
{
    struct bench *bench = open_bench("sesame");
    char answer[4096];

    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 401);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, "wrong"), 401);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, "sesam"), 401);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, "sesames"), 401);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, "sesamesesame"), 401);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, ""), 401);
    cr_assert_eq(fetch_status(bench, "POST", "/x", "body", NULL), 401);
    cr_assert_eq(bench->handled, 0);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, "sesame"), 200);
    int fd = dial(bench);
    send_text(fd, "GET /x HTTP/1.1\r\nHost: h\r\nAuthorization: bearer sesame\r\nConnection: close\r\n\r\n");
    read_all(fd, answer, sizeof answer);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 200", 12), 0, "%s", answer);
    close(fd);
    close_bench(bench);
}

Test(http, a_port_in_use_is_a_setup_error_with_a_remedy, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    struct http_server_options options = {"127.0.0.1", http_server_port(bench->server), 100, 0, NULL};
    struct http_server *second;
    struct error err = ERROR_INIT;

    cr_assert_eq(http_server_new(&second, &options, handle, NULL, bench->loop, NULL, &err), ERR_SETUP);
    cr_assert_not_null(strstr(err.message, "in use"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "another port"), "%s", err.message);
    cr_assert_null(second);
    options.host = "no such host";
    cr_assert_eq(http_server_new(&second, &options, handle, NULL, bench->loop, NULL, &err), ERR_SETUP);
    close_bench(bench);
}

Test(http, a_peer_that_left_can_still_be_answered, .timeout = 60)
{
    enum { N = 20 };
    struct bench *bench = open_bench(NULL);
    struct linger hard = {1, 0};

    for (int i = 0; i < N; i++) {
        int fd = dial(bench);
        send_text(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
        sem_wait(&bench->arrived);
        if (i % 2) /* a reset instead of a proper end */
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
    }
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    on_loop(bench, answer_kept);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    close_bench(bench);
}

Test(http, closing_answers_whoever_still_waits, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    pthread_t thread;
    void *status;

    cr_assert_eq(pthread_create(&thread, NULL, fetch_later, bench), 0);
    sem_wait(&bench->arrived);
    close_bench(bench);
    pthread_join(thread, &status);
    cr_assert_eq((intptr_t)status, 503);
}

struct slow_reader {
    int fd;
    size_t size;
};

static void *read_everything(void *argument)
{
    struct slow_reader *reader = argument;
    static char buffer[65536];
    ssize_t n;

    while ((n = recv(reader->fd, buffer, sizeof buffer, 0)) > 0)
        reader->size += (size_t)n;
    return NULL;
}

Test(http, closing_waits_until_answers_are_sent, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    struct slow_reader reader = {dial(bench), 0};
    pthread_t thread;
    char first;

    send_text(reader.fd, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    cr_assert_eq(recv(reader.fd, &first, 1, 0), 1); /* the answer is under way */
    cr_assert_eq(pthread_create(&thread, NULL, read_everything, &reader), 0);
    close_bench(bench);
    pthread_join(thread, NULL);
    cr_assert_gt(reader.size, (size_t)32 << 20);
    close(reader.fd);
}

Test(http, closing_does_not_wait_for_a_peer_that_sends_half_a_request, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    int fd = dial(bench);

    send_text(fd, "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf");
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    http_server_free(bench->server, 100); /* this thread instead of the loop's: nothing of it is in the loop */
    loop_stop(bench->loop);
    pthread_join(bench->thread, NULL);
    loop_free(bench->loop);
    free(bench);
    close(fd);
}

Test(http, several_requests_share_a_connection, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char answer[8192];
    int fd = dial(bench);

    send_text(fd, "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                  "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab");
    read_all(fd, answer, sizeof answer);
    cr_assert_not_null(strstr(answer, "3 bytes"), "%s", answer);
    cr_assert_not_null(strstr(answer, "2 bytes"), "%s", answer);
    close(fd);
    close_bench(bench);
}

Test(http, rubbish_does_no_harm, .timeout = 60)
{
    static const char *const rubbish[] = {
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /%zz%00?%=&=& HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    };
    const struct timeval patience = {0, 100000};
    struct bench *bench = open_bench(NULL);
    char answer[8192];

    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++) {
        int fd = dial(bench);
        send_text(fd, rubbish[i]);
        /* An answer or the end, or nothing: some of it may be the beginning of a request. */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        read_all(fd, answer, sizeof answer);
        close(fd);
        cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    }
    close_bench(bench);
}

/* ---- the client alone ---- */

static int closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

Test(http_client, says_that_nobody_is_there, .timeout = 60)
{
    char url[64];
    struct http_reply reply;
    struct error err = ERROR_INIT;

    snprintf(url, sizeof url, "http://127.0.0.1:%d/", closed_port());
    cr_assert_eq(http_fetch("GET", url, NULL, span_of(NULL, 0), NULL, 5, NULL, NULL, &reply, &err), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(err.message, url), "%s", err.message);
    cr_assert_eq(http_fetch("GET", "file:///etc/passwd", NULL, span_of(NULL, 0), NULL, 5, NULL, NULL, &reply, &err),
                 ERR_INVALID);
}

static bool yes(void *context)
{
    ++*(int *)context;
    return true;
}

Test(http_client, can_be_cancelled_and_times_out, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char url[96];
    struct http_reply reply;
    int asked = 0;

    snprintf(url, sizeof url, "%s/later", bench->base);
    cr_assert_eq(http_fetch("GET", url, NULL, span_of(NULL, 0), NULL, 0, yes, &asked, &reply, NULL), ERR_CANCELLED);
    cr_assert_gt(asked, 0);
    cr_assert_eq(http_fetch("GET", url, NULL, span_of(NULL, 0), NULL, 0.2, NULL, NULL, &reply, NULL), ERR_DEADLINE);
    cr_assert_null(reply.body);
    close_bench(bench);
}

Test(http_client, uses_no_proxy, .timeout = 60)
{
    struct bench *bench = open_bench(NULL);
    char proxy[64];

    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", closed_port());
    setenv("http_proxy", proxy, 1);
    setenv("all_proxy", proxy, 1);
    cr_assert_eq(fetch_status(bench, "GET", "/x", NULL, NULL), 200);
    close_bench(bench);
}
