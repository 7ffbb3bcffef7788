/* The real client against the real server, in one process and across processes. A plain program, because it must run
 * under ThreadSanitizer too. Names of cases as arguments run only those. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/edge_client.h"
#include "tests/net/edge_toy_server.h"

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { PATIENCE_S = 60, MAX_CALLS = 200 };

/* --- what each case has: a loop, a toy server, a client --- */

struct stand {
    struct loop *loop;
    struct toy_server toy;
    struct edge_client *client;
    struct edge_channel *channel;
    struct loop_timer alarm, poll;
    bool (*condition)(struct stand *stand);
    bool has_toy;
};

struct outcome { /* of one call */
    struct stand *stand;
    int calls_back;
    struct edge_reply reply;
    struct blob *body;
};

static void be_impatient(struct loop_timer *timer)
{
    (void)timer;
    CHECK(0, "waited in vain for %d s", PATIENCE_S);
}

/* Runs the loop until loop_stop. */
static void run(struct stand *stand)
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

/* Runs the loop until the condition holds. */
static void run_until(struct stand *stand, bool (*condition)(struct stand *stand))
{
    stand->condition = condition;
    loop_timer_set(stand->loop, &stand->poll, 0, NULL);
    run(stand);
    loop_timer_cancel(stand->loop, &stand->poll);
}

static void keep_outcome(void *context, struct edge_reply *reply)
{
    struct outcome *outcome = context;

    outcome->calls_back++;
    outcome->reply = *reply;
    outcome->body = blob_ref(reply->body);
    loop_stop(outcome->stand->loop);
}

static void stand_open(struct stand *stand, const struct edge_client_options *options, int port, int keepalive)
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

static void stand_close(struct stand *stand)
{
    edge_client_free(stand->client);
    if (stand->has_toy)
        toy_server_fini(&stand->toy);
    loop_free(stand->loop);
}

static struct blob *pattern(size_t size)
{
    struct blob *blob = blob_new(size);
    unsigned char *bytes;

    CHECK(blob, "out of memory");
    bytes = blob_bytes(blob);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    return blob;
}

static bool same(struct span a, const struct blob *b)
{
    return a.size == blob_size(b) && !memcmp(a.data, blob_span(b).data, a.size);
}

static struct edge_request *start_train(struct outcome *outcome, const char *model_id, struct blob *weights,
                                        double timeout_s)
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

static void echo(struct outcome *outcome, const char *text)
{
    struct blob *head;

    CHECK(edge_encode_text(text, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(outcome->stand->channel, EDGE_ECHO, head, NULL, 10, keep_outcome, outcome), "no call");
    run(outcome->stand);
    CHECK(outcome->calls_back == 1, "%d callbacks", outcome->calls_back);
}

static const struct edge_client_options defaults = {0};

/* --- cases --- */

static void case_echo(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct text_message message;

    stand_open(&stand, &defaults, 0, 1);
    echo(&outcome, "are you there?");
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(edge_decode_text(blob_span(outcome.body), &message, NULL) == OK, "not a text");
    CHECK(!strcmp(message.text, "are you there?"), "\"%s\"", message.text);
    CHECK(atomic_load(&stand.toy.echoes) == 1, "not told");
    edge_arena_free(message.arena);
    blob_unref(outcome.body);
    stand_close(&stand);
}

static void case_train(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct blob *weights = pattern(250115);
    struct train_response response;

    stand_open(&stand, &defaults, 0, 1);
    start_train(&outcome, "LeNet5", blob_ref(weights), 30);
    run(&stand);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(edge_decode_train_response(blob_span(outcome.body), &response, NULL) == OK, "not a response");
    CHECK(same(response.weights, weights), "other weights came back");
    CHECK(!strcmp(response.model_id, "LeNet5") && !strcmp(response.client_id, "toy"), "other names came back");
    CHECK(response.round_idx == 3, "round %d", response.round_idx);
    CHECK(outcome.reply.bytes_sent > 250115 && outcome.reply.bytes_received == blob_size(outcome.body), "byte counts");
    CHECK(outcome.reply.elapsed_s > 0 && outcome.reply.elapsed_s < PATIENCE_S, "%f s", outcome.reply.elapsed_s);
    edge_arena_free(response.arena);
    blob_unref(outcome.body);
    blob_unref(weights);
    stand_close(&stand);
}

static void expect_failure(struct outcome *outcome, int status, const char *part)
{
    CHECK(outcome->calls_back == 1, "%d callbacks", outcome->calls_back);
    CHECK(outcome->reply.error.status == status, "status %d (%s), expected %d", outcome->reply.error.status,
          outcome->reply.error.message, status);
    CHECK(!outcome->body, "a failure with a body");
    CHECK(strstr(outcome->reply.error.message, part), "\"%s\" lacks \"%s\"", outcome->reply.error.message, part);
    *outcome = (struct outcome){.stand = outcome->stand};
}

static void call_raw(struct outcome *outcome, enum edge_method method, const void *bytes, size_t size)
{
    struct blob *head = blob_new(size);

    CHECK(head, "out of memory");
    memcpy(blob_bytes(head), bytes, size);
    CHECK(edge_call_unary(outcome->stand->channel, method, head, NULL, 10, keep_outcome, outcome), "no call");
    run(outcome->stand);
}

static void case_failures(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &defaults, 0, 0);
    start_train(&outcome, "missing", NULL, 30);
    run(&stand);
    expect_failure(&outcome, ERR_NOT_FOUND, "no model \"missing\" in two lines");
    call_raw(&outcome, EDGE_START_TRAINING, "\x0a\x05xx", 4);
    expect_failure(&outcome, ERR_INVALID, "InitTrainRequest");
    call_raw(&outcome, EDGE_ECHO, "\x0a\x02\xff\xff", 4);
    expect_failure(&outcome, ERR_INVALID, "UTF-8");
    start_train(&outcome, "m", pattern(5 << 20), 30); /* the toy takes 4 MiB */
    run(&stand);
    expect_failure(&outcome, ERR_MEMORY, "larger than max");
    stand_close(&stand);
}

static void upload(struct outcome *outcome, const char *file_name, struct blob *data, size_t chunk_size)
{
    CHECK(edge_call_upload(outcome->stand->channel, "LeNet5", file_name, data, chunk_size, 30, keep_outcome, outcome),
          "no call");
    run(outcome->stand);
}

static void case_upload(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct blob *data = pattern(300001);

    stand_open(&stand, &defaults, 0, 1);
    upload(&outcome, "model.yaml", blob_ref(data), 65536);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(!strcmp(stand.toy.model_id, "LeNet5") && !strcmp(stand.toy.file_name, "model.yaml"), "other names");
    CHECK(same(span_of(stand.toy.file, stand.toy.file_size), data), "another file arrived");
    CHECK(atomic_load(&stand.toy.uploads_stored) == 1, "not stored");
    blob_unref(outcome.body);
    outcome = (struct outcome){.stand = &stand};
    upload(&outcome, "empty", blob_new(0), 0);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(stand.toy.file_size == 0 && atomic_load(&stand.toy.uploads_stored) == 2, "the empty file");
    blob_unref(outcome.body);
    outcome = (struct outcome){.stand = &stand};
    upload(&outcome, "../evil", blob_ref(data), 65536);
    expect_failure(&outcome, ERR_INVALID, "has a slash");
    CHECK(atomic_load(&stand.toy.uploads_dropped) == 0, "an upload that never began was ended");
    blob_unref(data);
    stand_close(&stand);
}

struct chunk_watch {
    struct loop_event event;
    struct edge_request *request;
    atomic_bool posted;
};

static void cancel_upload(struct loop_event *event)
{
    edge_request_cancel(CONTAINER_OF(event, struct chunk_watch, event)->request);
}

static void chunk_seen(struct toy_server *toy)
{
    struct chunk_watch *watch = toy->context;

    if (!atomic_exchange(&watch->posted, true))
        loop_post(toy->loop, &watch->event);
}

static bool upload_is_over(struct stand *stand)
{
    return atomic_load(&stand->toy.uploads_dropped) + atomic_load(&stand->toy.uploads_stored) > 0;
}

/* A file of which only a part arrived must not be stored. */
static void case_broken_upload(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct chunk_watch watch = {.event = {.handle = cancel_upload}};

    stand_open(&stand, &defaults, 0, 1);
    stand.toy.context = &watch;
    stand.toy.chunk_seen = chunk_seen;
    watch.request = edge_call_upload(stand.channel, "m", "f", pattern(20 << 20), 1024, 30, keep_outcome, &outcome);
    CHECK(watch.request, "no call");
    run(&stand);
    expect_failure(&outcome, ERR_CANCELLED, "");
    run_until(&stand, upload_is_over);
    CHECK(atomic_load(&stand.toy.uploads_dropped) == 1, "it was stored");
    stand_close(&stand);
}

static bool training_began(struct stand *stand)
{
    return stand->toy.held != NULL;
}

static bool training_was_cancelled(struct stand *stand)
{
    return toy_server_holds_cancelled(&stand->toy);
}

static void case_cancel(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct edge_request *request;

    stand_open(&stand, &defaults, 0, 1);
    request = start_train(&outcome, "hold", pattern(1000), 30);
    run_until(&stand, training_began);
    CHECK(!training_was_cancelled(&stand), "cancelled by itself");
    edge_request_cancel(request);
    run(&stand);
    expect_failure(&outcome, ERR_CANCELLED, "");
    run_until(&stand, training_was_cancelled);
    stand_close(&stand);
}

static void case_deadline(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &defaults, 0, 1);
    start_train(&outcome, "hold", NULL, 0.2);
    run(&stand);
    CHECK(outcome.reply.elapsed_s >= 0.19 && outcome.reply.elapsed_s < 5, "after %f s", outcome.reply.elapsed_s);
    expect_failure(&outcome, ERR_DEADLINE, "");
    stand_close(&stand);
}

/* Calls that are under way when the client ends get their callback before edge_client_free returns. */
static void case_client_ends_first(void)
{
    struct stand stand;
    struct outcome outcomes[3] = {{.stand = &stand}, {.stand = &stand}, {.stand = &stand}};

    stand_open(&stand, &defaults, 0, 1);
    for (size_t i = 0; i < 3; i++)
        start_train(&outcomes[i], "hold", pattern(1000), 30);
    run_until(&stand, training_began);
    edge_client_free(stand.client);
    for (size_t i = 0; i < 3; i++)
        expect_failure(&outcomes[i], ERR_CANCELLED, "");
    stand.client = NULL;
    stand_close(&stand);
}

/* The server ends while its handler still has the call: the client is told at once, and the late answer is harmless. */
static void case_server_ends_first(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &defaults, 0, 1);
    start_train(&outcome, "hold", pattern(1000), 30);
    run_until(&stand, training_began);
    stand.has_toy = false;
    toy_server_fini(&stand.toy);
    run(&stand);
    expect_failure(&outcome, outcome.reply.error.status == ERR_CANCELLED ? ERR_CANCELLED : ERR_UNAVAILABLE, "");
    stand_close(&stand);
}

/* --- credits --- */

enum { CREDITS = 4, NUM_REPLIES = 100, REPLY_SIZE = 2 << 20 };

struct merge { /* a body that is being merged for a while */
    struct loop_timer timer;
    struct blob *body;
};

static struct {
    struct stand stand;
    struct merge merges[NUM_REPLIES];
    int begun, over, alive, peak;
} crowd;

static void end_merge(struct loop_timer *timer)
{
    struct merge *merge = CONTAINER_OF(timer, struct merge, timer);

    blob_unref(merge->body);
    crowd.alive--;
    edge_credit_release(crowd.stand.client);
    if (++crowd.over == NUM_REPLIES)
        loop_stop(crowd.stand.loop);
}

static void begin_merge(void *context, struct edge_reply *reply)
{
    struct merge *merge = &crowd.merges[crowd.begun++];
    struct train_response response;

    (void)context;
    CHECK(reply->error.status == OK, "%s", reply->error.message);
    CHECK(edge_decode_train_response(blob_span(reply->body), &response, NULL) == OK, "not a response");
    CHECK(response.weights.size == REPLY_SIZE, "%zu bytes of weights", response.weights.size);
    edge_arena_free(response.arena);
    CHECK(edge_reply_keep_credit(reply) == 1, "no credit");
    CHECK(edge_reply_keep_credit(reply) == 0, "two credits");
    merge->body = blob_ref(reply->body);
    if (++crowd.alive > crowd.peak)
        crowd.peak = crowd.alive;
    loop_timer_init(&merge->timer, end_merge);
    loop_timer_set(crowd.stand.loop, &merge->timer, 3000000, NULL);
}

/* However many clients answer at once, no more replies than credits are in memory. */
static void case_credits(void)
{
    struct edge_client_options options = {.reply_credits = CREDITS};
    struct train_request request = {.model_id = "big:2097152"};
    struct blob *shared = pattern(100000), *head;
    char endpoint[64];

    memset(&crowd, 0, sizeof crowd);
    stand_open(&crowd.stand, &options, 0, 1);
    for (int i = 0; i < NUM_REPLIES; i++) {
        if (i % 50 == 0) { /* a server takes 64 calls on one connection */
            snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", edge_server_port(crowd.stand.toy.server));
            CHECK(edge_channel_open(crowd.stand.client, endpoint, 0, &crowd.stand.channel, NULL) == OK, "no channel");
        }
        CHECK(edge_encode_train_request(&request, blob_size(shared), &head, NULL) == OK, "out of memory");
        CHECK(edge_call_unary(crowd.stand.channel, EDGE_START_TRAINING, head, blob_ref(shared), 60, begin_merge, NULL),
              "no call");
    }
    run(&crowd.stand);
    CHECK(crowd.peak <= CREDITS, "%d bodies at once", crowd.peak);
    CHECK(crowd.peak >= 2, "one at a time: the credits are not used");
    CHECK(atomic_load(&crowd.stand.toy.trains) == NUM_REPLIES, "%d trainings", atomic_load(&crowd.stand.toy.trains));
    blob_unref(shared);
    stand_close(&crowd.stand);
}

struct hoarder { /* keeps its credit until told otherwise */
    struct outcome outcome;
    int kept;
};

static void hoard(void *context, struct edge_reply *reply)
{
    struct hoarder *hoarder = context;

    hoarder->kept = edge_reply_keep_credit(reply);
    keep_outcome(&hoarder->outcome, reply);
}

static bool all_trained(struct stand *stand)
{
    return atomic_load(&stand->toy.trains) == 3;
}

/* Calls that wait for a credit can be cancelled, by themselves or with the client; who waits on gets the credit. */
static void case_waiting_for_credit(void)
{
    struct edge_client_options options = {.reply_credits = 1};
    struct train_request request = {.model_id = "m"};
    struct stand stand;
    struct hoarder hoarder = {.outcome = {.stand = &stand}};
    struct outcome second = {.stand = &stand}, third = {.stand = &stand}, echoed = {.stand = &stand};
    struct edge_request *waiting;
    struct blob *head;

    stand_open(&stand, &options, 0, 1);
    CHECK(edge_encode_train_request(&request, 0, &head, NULL) == OK, "out of memory");
    CHECK(edge_call_unary(stand.channel, EDGE_START_TRAINING, head, NULL, 30, hoard, &hoarder), "no call");
    run(&stand);
    CHECK(hoarder.kept == 1, "no credit");
    waiting = start_train(&second, "m", pattern(100), 30);
    start_train(&third, "m", pattern(100), 30);
    run_until(&stand, all_trained);
    echo(&echoed, "an echo needs no credit");
    blob_unref(echoed.body);
    CHECK(second.calls_back + third.calls_back == 0, "a reply without a credit");
    edge_request_cancel(waiting);
    run(&stand);
    expect_failure(&second, ERR_CANCELLED, "");
    CHECK(third.calls_back == 0, "a reply without a credit");
    edge_credit_release(stand.client);
    run(&stand);
    CHECK(third.calls_back == 1 && third.reply.error.status == OK, "%s", third.reply.error.message);
    blob_unref(third.body);
    blob_unref(hoarder.outcome.body);
    stand_close(&stand);
}

/* --- time --- */

/* gRPC hangs up on the third ping without data unless both sides agree: the call must outlive more than five. */
static void case_keepalive(void)
{
    struct edge_client_options options = {.keepalive_ms = 1000, .keepalive_timeout_ms = 5000};
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    stand_open(&stand, &options, 0, 1);
    start_train(&outcome, "wait:6500", pattern(1000), 30);
    run(&stand);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(outcome.reply.elapsed_s > 6, "%f s", outcome.reply.elapsed_s);
    blob_unref(outcome.body);
    stand_close(&stand);
}

/* --- other processes --- */

struct child {
    pid_t pid;
    int input; /* closing it ends the child */
    int port;
};

static struct child start_child(int port)
{
    const char *builddir = getenv("builddir");
    struct child child;
    int in[2], out[2];
    char path[512], text[16];
    FILE *output;

    snprintf(path, sizeof path, "%s/tests/net/edge_toy_main", builddir ? builddir : ".");
    snprintf(text, sizeof text, "%d", port);
    CHECK(!pipe(in) && !pipe(out), "pipe");
    child.pid = fork();
    if (child.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execl(path, path, text, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    output = fdopen(out[0], "r");
    CHECK(output && fscanf(output, "%d", &child.port) == 1, "%s did not start", path);
    fclose(output);
    child.input = in[1];
    return child;
}

static void end_child(struct child *child, int signal)
{
    int status;

    if (signal)
        kill(child->pid, signal);
    close(child->input);
    CHECK(waitpid(child->pid, &status, 0) == child->pid, "waitpid");
    if (!signal)
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended with %d", status);
}

struct kill_timer {
    struct loop_timer timer;
    pid_t pid;
    int signal;
};

static void send_signal(struct loop_timer *timer)
{
    struct kill_timer *killer = CONTAINER_OF(timer, struct kill_timer, timer);

    kill(killer->pid, killer->signal);
}

static void signal_later(struct stand *stand, struct kill_timer *killer, pid_t pid, int signal)
{
    killer->pid = pid;
    killer->signal = signal;
    loop_timer_init(&killer->timer, send_signal);
    loop_timer_set(stand->loop, &killer->timer, 300000000, NULL);
}

/* A killed worker is known within a second, and one that comes back is reached again. */
static void case_killed_peer(void)
{
    struct child child = start_child(0);
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct kill_timer killer;
    uint64_t start_ns, waited_ns;

    stand_open(&stand, &defaults, child.port, 1);
    echo(&outcome, "hello");
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    blob_unref(outcome.body);
    outcome = (struct outcome){.stand = &stand};
    start_train(&outcome, "hold", pattern(1000), 30);
    signal_later(&stand, &killer, child.pid, SIGKILL);
    run(&stand);
    CHECK(outcome.reply.elapsed_s < 1.3, "noticed after %f s", outcome.reply.elapsed_s - 0.3);
    expect_failure(&outcome, ERR_UNAVAILABLE, "");
    end_child(&child, SIGKILL);
    echo(&outcome, "anybody?");
    expect_failure(&outcome, ERR_UNAVAILABLE, "");

    child = start_child(child.port);
    start_ns = clock_now_ns(&clock_system);
    do {
        outcome = (struct outcome){.stand = &stand};
        echo(&outcome, "back?");
        blob_unref(outcome.body);
        waited_ns = clock_now_ns(&clock_system) - start_ns;
    } while (outcome.reply.error.status && waited_ns < 10000000000U);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    CHECK(waited_ns < 3000000000U, "reached again only after %.1f s", (double)waited_ns / 1e9);
    stand_close(&stand);
    end_child(&child, 0);
}

/* A stopped worker does not answer pings. */
static void case_silent_peer(void)
{
    struct edge_client_options options = {.keepalive_ms = 1000, .keepalive_timeout_ms = 1000};
    struct child child = start_child(0);
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct kill_timer stopper;

    stand_open(&stand, &options, child.port, 1);
    start_train(&outcome, "hold", pattern(1000), 60);
    signal_later(&stand, &stopper, child.pid, SIGSTOP);
    run(&stand);
    CHECK(outcome.reply.elapsed_s < 10, "noticed after %f s", outcome.reply.elapsed_s);
    expect_failure(&outcome, ERR_UNAVAILABLE, "");
    kill(child.pid, SIGCONT);
    stand_close(&stand);
    end_child(&child, 0);
}

/* --- setting up --- */

static void case_port_in_use(void)
{
    struct stand stand;
    struct toy_server second;
    struct error err = ERROR_INIT;

    stand_open(&stand, &defaults, 0, 0);
    CHECK(toy_server_init(&second, stand.loop, edge_server_port(stand.toy.server), 0, &err) == ERR_SETUP,
          "two servers on one port");
    CHECK(strstr(err.message, "in use"), "%s", err.message);
    stand_close(&stand);
}

static void case_endpoints(void)
{
    // clang-format off
    static const char *const bad[] = {"", "host", ":80", "host:", "host:0", "host:65536", "host:80x", "unix:/tmp/x:1",
                                      "xds:///a:1", "a b:1", "[::1:1", "[x]:1", "::1:80", "host:-1", "host: 1"};
    // clang-format on
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct edge_channel *channel;
    struct error err = ERROR_INIT;

    stand_open(&stand, &defaults, 1, 0); /* nobody listens on port 1 */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(edge_channel_open(stand.client, bad[i], 0, &channel, &err) == ERR_INVALID, "\"%s\"", bad[i]);
    CHECK(edge_channel_open(stand.client, "[::1]:50000", 0, &channel, &err) == OK, "%s", err.message);
    CHECK(edge_channel_open(stand.client, "worker-7.example:50000", 0, &channel, &err) == OK, "%s", err.message);
    edge_channel_close(channel);
    echo(&outcome, "anybody?");
    CHECK(outcome.reply.elapsed_s < 2, "noticed after %f s", outcome.reply.elapsed_s);
    expect_failure(&outcome, ERR_UNAVAILABLE, "");
    stand_close(&stand);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"echo", case_echo},
    {"train", case_train},
    {"failures", case_failures},
    {"upload", case_upload},
    {"broken_upload", case_broken_upload},
    {"cancel", case_cancel},
    {"deadline", case_deadline},
    {"client_ends_first", case_client_ends_first},
    {"server_ends_first", case_server_ends_first},
    {"credits", case_credits},
    {"waiting_for_credit", case_waiting_for_credit},
    {"keepalive", case_keepalive},
    {"killed_peer", case_killed_peer},
    {"silent_peer", case_silent_peer},
    {"port_in_use", case_port_in_use},
    {"endpoints", case_endpoints},
};

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    int num_run = 0;

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!wanted(argc, argv, cases[i].name))
            continue;
        printf("%s\n", cases[i].name);
        fflush(stdout);
        cases[i].run();
        num_run++;
    }
    return num_run ? 0 : 2;
}
