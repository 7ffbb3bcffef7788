/* libFuzzer target: no bytes may harm the decoders, and what they accept survives encoding. Seeds: tests/wire. The
 * first byte chooses the message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/edge_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void train_request(struct span wire)
{
    struct train_request msg, again;
    struct blob *head;

    if (edge_decode_train_request(wire, &msg, NULL))
        return;
    require(edge_encode_train_request(&msg, 0, &head, NULL) == OK);
    require(edge_decode_train_request(blob_span(head), &again, NULL) == OK);
    require(!strcmp(msg.session_id, again.session_id) && !strcmp(msg.model_id, again.model_id));
    require(msg.optimizer.size == again.optimizer.size && msg.limit.kind == again.limit.kind);
    require(msg.round_idx == again.round_idx && msg.seed == again.seed);
    edge_arena_free(again.arena);
    edge_arena_free(msg.arena);
    blob_unref(head);
}

static void train_response(struct span wire)
{
    struct train_response msg;

    if (edge_decode_train_response(wire, &msg, NULL) == OK)
        edge_arena_free(msg.arena);
}

static void validation_request(struct span wire)
{
    struct validation_request msg;

    if (edge_decode_validation_request(wire, &msg, NULL) == OK)
        edge_arena_free(msg.arena);
}

static void bench_request(struct span wire)
{
    struct bench_request msg;

    if (edge_decode_bench_request(wire, &msg, NULL) == OK)
        edge_arena_free(msg.arena);
}

static void upload(struct span wire)
{
    struct upload_part msg;

    if (edge_decode_upload(wire, &msg, NULL))
        return;
    require(!msg.model_id == (msg.chunk.data != NULL));
    edge_arena_free(msg.arena);
}

static void text(struct span wire)
{
    struct text_message msg;

    if (edge_decode_text(wire, &msg, NULL) == OK)
        edge_arena_free(msg.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span wire = span_of(data, size);

    train_request(wire);
    train_response(wire);
    validation_request(wire);
    bench_request(wire);
    upload(wire);
    text(wire);
    return 0;
}
