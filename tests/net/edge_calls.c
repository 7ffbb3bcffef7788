/* The real client against the real server in one process. Names of cases as arguments run only those. */
#include <dirent.h>
#include <signal.h>
#include <string.h>

#include "tests/net/edge_stand.h"

static const struct edge_client_options defaults = {0};

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
    CHECK(outcome.reply.elapsed_s > 0 && outcome.reply.elapsed_s < 30, "%f s", outcome.reply.elapsed_s);
    edge_arena_free(response.arena);
    blob_unref(outcome.body);
    blob_unref(weights);
    stand_close(&stand);
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
    pthread_mutex_lock(&stand.toy.mutex);
    CHECK(!strcmp(stand.toy.model_id, "LeNet5") && !strcmp(stand.toy.file_name, "model.yaml"), "other names");
    CHECK(same(span_of(stand.toy.file, stand.toy.file_size), data), "another file arrived");
    pthread_mutex_unlock(&stand.toy.mutex);
    CHECK(atomic_load(&stand.toy.uploads_stored) == 1, "not stored");
    blob_unref(outcome.body);
    outcome = (struct outcome){.stand = &stand};
    upload(&outcome, "empty", blob_new(0), 0);
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    pthread_mutex_lock(&stand.toy.mutex);
    CHECK(stand.toy.file_size == 0, "the empty file has %zu bytes", stand.toy.file_size);
    pthread_mutex_unlock(&stand.toy.mutex);
    CHECK(atomic_load(&stand.toy.uploads_stored) == 2, "not stored");
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
    atomic_store(&stand.toy.chunk_seen, chunk_seen);
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

/* --- setting up --- */

/* Does the thread block SIGTERM? */
static bool blocks_sigterm(const char *task)
{
    unsigned long long mask = 0;
    char path[300], line[256];
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigBlk: %llx", &mask) == 1)
            break;
    if (file)
        fclose(file);
    return mask >> (SIGTERM - 1) & 1;
}

/* Signals belong to the role's thread: no thread of ours or of gRPC may take them. */
static void case_signals(void)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};
    struct dirent *entry;
    int num_blocking = 0, num_open = 0;
    DIR *tasks;

    stand_open(&stand, &defaults, 0, 1);
    echo(&outcome, "hello");
    blob_unref(outcome.body);
    CHECK((tasks = opendir("/proc/self/task")), "no /proc");
    while ((entry = readdir(tasks)))
        if (entry->d_name[0] != '.')
            *(blocks_sigterm(entry->d_name) ? &num_blocking : &num_open) += 1;
    closedir(tasks);
    CHECK(num_open == 1, "%d threads would take a signal, not only this one", num_open);
    CHECK(num_blocking >= 2, "%d threads", num_blocking);
    stand_close(&stand);
}

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

static const struct test_case cases[] = {
    {"echo", case_echo},
    {"train", case_train},
    {"failures", case_failures},
    {"upload", case_upload},
    {"broken_upload", case_broken_upload},
    {"cancel", case_cancel},
    {"deadline", case_deadline},
    {"client_ends_first", case_client_ends_first},
    {"server_ends_first", case_server_ends_first},
    {"signals", case_signals},
    {"port_in_use", case_port_in_use},
    {"endpoints", case_endpoints},
};

int main(int argc, char **argv)
{
    return run_cases(cases, sizeof cases / sizeof *cases, argc, argv);
}
