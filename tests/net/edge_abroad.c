/* Our client's side of edge_foreign_server.py: edge_abroad PORT. */
#include <string.h>

#include "tests/net/edge_stand.h"

static const struct edge_client_options defaults = {0};

static void call(struct outcome *outcome, enum edge_method method, struct blob *head, struct blob *weights)
{
    blob_unref(outcome->body);
    *outcome = (struct outcome){.stand = outcome->stand};
    CHECK(edge_call_unary(outcome->stand->channel, method, head, weights, 30, keep_outcome, outcome), "no call");
    run(outcome->stand);
    CHECK(outcome->calls_back == 1, "%d callbacks", outcome->calls_back);
}

static void check_training(struct outcome *outcome)
{
    struct train_request request = {
        .session_id = "s", .model_id = "LeNet5", .round_idx = 4, .limit = {LIMIT_TIMEOUT, 3, 0}, .seed = 1};
    struct blob *weights = pattern(250115), *head;
    const unsigned char *sent = blob_bytes(weights), *back;
    struct train_response response;
    size_t size = blob_size(weights);

    CHECK(edge_encode_train_request(&request, size, &head, NULL) == OK, "out of memory");
    call(outcome, EDGE_START_TRAINING, head, blob_ref(weights));
    CHECK(outcome->reply.error.status == OK, "%s", outcome->reply.error.message);
    CHECK(edge_decode_train_response(blob_span(outcome->body), &response, NULL) == OK, "not a response");
    CHECK(!strcmp(response.client_id, "python") && response.round_idx == 4, "%s %d", response.client_id,
          response.round_idx);
    CHECK(response.weights.size == size, "%zu bytes", response.weights.size);
    back = response.weights.data;
    for (size_t i = 0; i < size; i++)
        CHECK(back[i] == sent[size - 1 - i], "byte %zu", i);
    edge_arena_free(response.arena);
    blob_unref(weights);
    request.model_id = "missing";
    CHECK(edge_encode_train_request(&request, 0, &head, NULL) == OK, "out of memory");
    call(outcome, EDGE_START_TRAINING, head, NULL);
    expect_failure(outcome, ERR_NOT_FOUND, "no such model");
}

static void check_bench_and_validation(struct outcome *outcome)
{
    struct bench_request bench = {.model_id = "m", .limit = {LIMIT_MINI_BATCHES, 0, 12}};
    struct validation_request validation = {.model_id = "m", .round_idx = 2};
    struct bench_response timed;
    struct validation_response validated;
    struct blob *head;

    CHECK(edge_encode_bench_request(&bench, &head, NULL) == OK, "out of memory");
    call(outcome, EDGE_INIT_BENCH, head, NULL);
    CHECK(edge_decode_bench_response(blob_span(outcome->body), &timed, NULL) == OK, "not a response");
    CHECK(timed.num_mini_batches == 12, "%d mini-batches", timed.num_mini_batches);
    edge_arena_free(timed.arena);
    CHECK(edge_encode_validation_request(&validation, 1000, &head, NULL) == OK, "out of memory");
    call(outcome, EDGE_START_VALIDATION, head, pattern(1000));
    CHECK(edge_decode_validation_response(blob_span(outcome->body), &validated, NULL) == OK, "not a response");
    CHECK(validated.metrics.size == 13 && !memcmp(validated.metrics.data, "{\"size\":1000}", 13), "other metrics");
    edge_arena_free(validated.arena);
}

static void check_upload(struct outcome *outcome)
{
    blob_unref(outcome->body);
    *outcome = (struct outcome){.stand = outcome->stand};
    CHECK(edge_call_upload(outcome->stand->channel, "LeNet5", "model.py", pattern(200000), 7000, 30, keep_outcome,
                           outcome),
          "no call");
    run(outcome->stand);
    CHECK(outcome->reply.error.status == OK, "%s", outcome->reply.error.message);
}

/* A stock worker has no Abort. */
static void check_abort(struct outcome *outcome)
{
    struct blob *head;

    CHECK(edge_encode_abort_request(&(struct abort_request){.session_id = "s"}, &head, NULL) == OK, "out of memory");
    call(outcome, EDGE_ABORT, head, NULL);
    expect_failure(outcome, ERR_UNIMPLEMENTED, "UNIMPLEMENTED: ");
}

/* No reply without weights may be large, however well it is packed. */
static void check_bounds(struct outcome *outcome)
{
    blob_unref(outcome->body);
    *outcome = (struct outcome){.stand = outcome->stand};
    echo(outcome, "large");
    expect_failure(outcome, ERR_MEMORY, "larger than max");
    echo(outcome, "packed");
    CHECK(outcome->reply.error.status != OK, "%zu bytes came out of a small reply", blob_size(outcome->body));
    *outcome = (struct outcome){.stand = outcome->stand};
}

int main(int argc, char **argv)
{
    struct stand stand;
    struct outcome outcome = {.stand = &stand};

    CHECK(argc == 2, "edge_abroad PORT");
    stand_open(&stand, &defaults, atoi(argv[1]), 0);
    echo(&outcome, "hello");
    CHECK(outcome.reply.error.status == OK, "%s", outcome.reply.error.message);
    check_training(&outcome);
    check_bench_and_validation(&outcome);
    check_upload(&outcome);
    check_abort(&outcome);
    check_bounds(&outcome);
    blob_unref(outcome.body);
    stand_close(&stand);
    return 0;
}
