#include "tests/net/edge_stand.h"

#include <string.h>

enum { PATIENCE_S = 60 };

static void be_impatient(struct loop_timer *timer)
{
    (void)timer;
    CHECK(0, "waited in vain for %d s", PATIENCE_S);
}

void run(struct stand *stand)
{
    loop_timer_set(stand->loop, &stand->alarm, PATIENCE_S * 1000000000ULL, NULL);
    loop_run(stand->loop);
    loop_timer_cancel(stand->loop, &stand->alarm);
}

static void look(struct loop_timer *timer)
{
    struct stand *stand = CONTAINER_OF(timer, struct stand, poll);

    if (stand->condition(stand))
        loop_stop(stand->loop);
    else
        loop_timer_set(stand->loop, timer, 1000000, NULL);
}

void run_until(struct stand *stand, bool (*condition)(struct stand *stand))
{
    stand->condition = condition;
    do { /* a reply stops the loop too */
        loop_timer_set(stand->loop, &stand->poll, 0, NULL);
        run(stand);
        loop_timer_cancel(stand->loop, &stand->poll);
    } while (!condition(stand));
}

void keep_outcome(void *context, struct edge_reply *reply)
{
    struct outcome *outcome = context;

    outcome->calls_back++;
    outcome->reply = *reply;
    outcome->body = blob_ref(reply->body);
    loop_stop(outcome->stand->loop);
}

void stand_open(struct stand *stand, const struct edge_client_options *options, int port, int keepalive)
{
    struct error err = ERROR_INIT;
    char endpoint[64];

    memset(stand, 0, sizeof *stand);
    CHECK(loop_new(&stand->loop, &clock_system, &err) == OK, "%s", err.message);
    loop_timer_init(&stand->alarm, be_impatient);
    loop_timer_init(&stand->poll, look);
    if (!port) {
        stand->has_toy = true;
        CHECK(toy_server_init(&stand->toy, stand->loop, 0, 4 << 20, &err) == OK, "%s", err.message);
        port = edge_server_port(stand->toy.server);
    }
    CHECK(edge_client_new(&stand->client, options, stand->loop, NULL, &err) == OK, "%s", err.message);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", port);
    CHECK(edge_channel_open(stand->client, endpoint, keepalive, &stand->channel, &err) == OK, "%s", err.message);
}

void stand_close(struct stand *stand)
{
    edge_client_free(stand->client);
    if (stand->has_toy)
        toy_server_fini(&stand->toy);
    loop_free(stand->loop);
}

struct blob *pattern(size_t size)
{
    struct blob *blob = blob_new(size);
    unsigned char *bytes;

    CHECK(blob, "out of memory");
    bytes = blob_bytes(blob);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    return blob;
}

bool same(struct span a, const struct blob *b)
{
    return a.size == blob_size(b) && !memcmp(a.data, blob_span(b).data, a.size);
}

struct edge_request *start_train(struct outcome *outcome, const char *model_id, struct blob *weights, double timeout_s)
{
    struct train_request request = {.session_id = "s", .model_id = model_id, .dataset_id = "d", .round_idx = 3};
    struct edge_request *started;
    struct blob *head;

    CHECK(edge_encode_train_request(&request, blob_size(weights), &head, NULL) == OK, "out of memory");
    started =
        edge_call_unary(outcome->stand->channel, EDGE_START_TRAINING, head, weights, timeout_s, keep_outcome, outcome);
    CHECK(started, "the call did not start");
    return started;
}

void echo(struct outcome *outcome, const char *text)
{
    struct blob *head;

    CHECK(edge_encode_text(text, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(outcome->stand->channel, EDGE_ECHO, head, NULL, 10, keep_outcome, outcome), "no call");
    run(outcome->stand);
    CHECK(outcome->calls_back == 1, "%d callbacks", outcome->calls_back);
}

void expect_failure(struct outcome *outcome, int status, const char *part)
{
    CHECK(outcome->calls_back == 1, "%d callbacks", outcome->calls_back);
    CHECK(outcome->reply.error.status == status, "status %d (%s), expected %d", outcome->reply.error.status,
          outcome->reply.error.message, status);
    CHECK(!outcome->body, "a failure with a body");
    CHECK(strstr(outcome->reply.error.message, part), "\"%s\" lacks \"%s\"", outcome->reply.error.message, part);
    *outcome = (struct outcome){.stand = outcome->stand};
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc == 1;
}

int run_cases(const struct test_case *cases, size_t n, int argc, char **argv)
{
    int num_run = 0;

    for (size_t i = 0; i < n; i++) {
        if (!wanted(argc, argv, cases[i].name))
            continue;
        printf("%s\n", cases[i].name);
        fflush(stdout);
        cases[i].run();
        num_run++;
    }
    return num_run ? 0 : 2;
}
