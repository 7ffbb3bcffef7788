/* Decoding against bytes that the Python Flotilla sent (tests/wire), and against damaged ones. The digests of the
 * bytes fields are those that Google's protobuf for Python finds in the captures; the pickles beside them are of
 * another round, equal in size. */
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/edge_messages.h"
#include "tests/codec/wire_file.h"

#define WIRE(literal) span_of(literal, sizeof(literal) - 1)

static int spans_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.data != NULL) == (b.data != NULL) && (!a.size || !memcmp(a.data, b.data, a.size));
}

static int lies_within(struct span inner, const struct blob *outer)
{
    const char *start = blob_span(outer).data;

    return (const char *)inner.data >= start && (const char *)inner.data + inner.size <= start + blob_size(outer);
}

static void expect_digest(struct span bytes, const char *expected)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned size = 0;

    cr_assert(EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL));
    for (unsigned i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    cr_assert_str_eq(text, expected);
}

Test(edge_messages, captured_train_request)
{
    struct blob *wire = wire_file("StartTraining_request_round1.bin");
    struct blob *config = wire_file("model_config.pickle"), *loss = wire_file("loss_function.pickle");
    struct error err = ERROR_INIT;
    struct train_request msg;

    cr_assert_eq(edge_decode_train_request(blob_span(wire), &msg, &err), OK, "%s", err.message);
    cr_assert_str_eq(msg.session_id, "2f6fb8b0-0f90-469c-b914-e6383e51c8a0");
    cr_assert_str_eq(msg.model_id, "LeNet5");
    cr_assert_str_eq(msg.model_class, "LeNet5_class");
    cr_assert_str_eq(msg.dataset_id, "FMNIST");
    cr_assert(spans_equal(msg.model_config, blob_span(config)));
    expect_digest(msg.weights, "279d07734ae49be342d9f641eaf47a016a4ca2c3c01fbf40e5fd9b61d8bccdfd");
    expect_digest(msg.optimizer, "a28198d8ffe1f20b3b7f80d7cd9e943b44cb69f81ea1f87025672080184ba5d0");
    cr_assert(spans_equal(msg.loss_function, blob_span(loss)));
    cr_assert(lies_within(msg.weights, wire), "weights were copied");
    cr_assert(lies_within(msg.optimizer, wire), "the optimizer was copied");
    cr_assert_eq(msg.batch_size, 16);
    cr_assert_eq(msg.learning_rate, 0.001F);
    cr_assert_eq(msg.num_epochs, 1);
    cr_assert_eq(msg.round_idx, 1);
    cr_assert_eq(msg.limit.kind, LIMIT_TIMEOUT);
    cr_assert_eq(msg.limit.timeout_duration_s, 300.0F);
    cr_assert_eq(msg.leader_term, 0);
    cr_assert_eq(msg.attempt, 0);
    cr_assert_eq(msg.seed, 0);
    edge_arena_free(msg.arena);
    blob_unref(wire);
    blob_unref(config);
    blob_unref(loss);
}

Test(edge_messages, captured_train_response)
{
    struct blob *wire = wire_file("StartTraining_response_round1.bin");
    struct error err = ERROR_INIT;
    struct train_response msg;

    cr_assert_eq(edge_decode_train_response(blob_span(wire), &msg, &err), OK, "%s", err.message);
    cr_assert_str_eq(msg.model_id, "LeNet5");
    cr_assert_str_eq(msg.client_id, "fd7ca7ee-a73e-483a-b40b-364ba86cad58");
    cr_assert_eq(msg.round_idx, 1);
    expect_digest(msg.metrics, "9ab54055ed7ed8255e5d9f0fe0addfdb63ec0fb93dcd0082ea0067662ca9d3d4");
    expect_digest(msg.weights, "2bb8a2fa07945acc486a6c1b99cb76fa8688f9bd97c8d314bf9a7092ff8cd6f1");
    cr_assert_eq(msg.weights.size, 250115);
    cr_assert(lies_within(msg.weights, wire));
    edge_arena_free(msg.arena);
    blob_unref(wire);
}

/* The head of our encoding is the captured bytes but for the place of the weights, which stand last. */
Test(edge_messages, encoded_request_is_the_captured_one_with_its_weights_last)
{
    struct blob *wire = wire_file("StartTraining_request_round1.bin"), *head;
    struct error err = ERROR_INIT;
    struct train_request msg, again;
    uint8_t *whole;
    size_t size;

    cr_assert_eq(edge_decode_train_request(blob_span(wire), &msg, &err), OK);
    cr_assert_eq(edge_encode_train_request(&msg, msg.weights.size, &head, &err), OK);
    cr_assert_eq(blob_size(head) + msg.weights.size, blob_size(wire));
    size = blob_size(wire);
    whole = malloc(size);
    cr_assert_not_null(whole);
    memcpy(whole, blob_bytes(head), blob_size(head));
    memcpy(whole + blob_size(head), msg.weights.data, msg.weights.size);
    cr_assert_eq(edge_decode_train_request(span_of(whole, size), &again, &err), OK, "%s", err.message);
    cr_assert_str_eq(again.session_id, msg.session_id);
    cr_assert(spans_equal(again.weights, msg.weights));
    cr_assert_eq((const uint8_t *)again.weights.data, whole + blob_size(head));
    cr_assert_eq(again.learning_rate, msg.learning_rate);
    cr_assert_eq(again.limit.timeout_duration_s, 300.0F);
    edge_arena_free(msg.arena);
    edge_arena_free(again.arena);
    free(whole);
    blob_unref(head);
    blob_unref(wire);
}

/* Fields 103 to 106 against bytes written by hand: what a strategy asks of a client besides plain training. */
Test(edge_messages, what_a_strategy_asks_for_is_told)
{
    static const char expected[] = "\xba\x06\x13proximal,correction"          /* 103, string */
                                   "\xc1\x06\x00\x00\x00\x00\x00\x00\xd0\x3f" /* 104, double 0.25 */
                                   "\xca\x06\x03\x01\x00\xff"                 /* 105, bytes */
                                   "\xd0\x06\x01";                            /* 106, bool */
    struct train_request msg = {.requires = "proximal,correction",
                                .proximal_mu = 0.25,
                                .correction = WIRE("\x01\x00\xff"),
                                .initial_loss = true};
    struct train_request again;
    struct error err = ERROR_INIT;
    struct blob *wire;

    msg.session_id = msg.model_id = msg.model_class = msg.dataset_id = "";
    cr_assert_eq(edge_encode_train_request(&msg, 0, &wire, NULL), OK);
    cr_assert_geq(blob_size(wire), sizeof expected - 1);
    cr_assert_not_null(memmem(blob_bytes(wire), blob_size(wire), expected, sizeof expected - 1));
    cr_assert_eq(edge_decode_train_request(blob_span(wire), &again, &err), OK, "%s", err.message);
    cr_assert_str_eq(again.requires, msg.requires);
    cr_assert_eq(again.proximal_mu, 0.25);
    cr_assert(spans_equal(again.correction, msg.correction));
    cr_assert(lies_within(again.correction, wire), "the correction was copied");
    cr_assert(again.initial_loss);
    edge_arena_free(again.arena);
    blob_unref(wire);
}

Test(edge_messages, absent_fields_have_their_documented_values)
{
    struct train_request msg;

    cr_assert_eq(edge_decode_train_request(span_of(NULL, 0), &msg, NULL), OK);
    cr_assert_str_eq(msg.session_id, "");
    cr_assert_null(msg.weights.data);
    cr_assert_null(msg.optimizer.data);
    cr_assert_null(msg.model_config.data);
    cr_assert_eq(msg.limit.kind, LIMIT_NONE);
    cr_assert_str_eq(msg.requires, "");
    cr_assert_eq(msg.proximal_mu, 0);
    cr_assert_null(msg.correction.data);
    cr_assert_not(msg.initial_loss);
    edge_arena_free(msg.arena);
}

Test(edge_messages, empty_bytes_differ_from_absent_ones)
{
    struct train_request msg;

    cr_assert_eq(edge_decode_train_request(WIRE("\x5a\x00"), &msg, NULL), OK); /* optimizer = 11 */
    cr_assert_not_null(msg.optimizer.data);
    cr_assert_eq(msg.optimizer.size, 0);
    cr_assert_null(msg.loss_function.data);
    edge_arena_free(msg.arena);
}

Test(edge_messages, last_duplicate_wins)
{
    struct train_request msg;

    /* session_id a, b; model_wts x, yz; timeout 1.0 then max_mini_batch_count 7; batch_size 1, 2 */
    cr_assert_eq(edge_decode_train_request(WIRE("\x0a\x01"
                                                "a\x0a\x01"
                                                "b\x32\x01x\x32\x02yz\x6d\x00\x00\x80\x3f\x70\x07\x38\x01\x38\x02"),
                                           &msg, NULL),
                 OK);
    cr_assert_str_eq(msg.session_id, "b");
    cr_assert(spans_equal(msg.weights, WIRE("yz")));
    cr_assert_eq(msg.limit.kind, LIMIT_MINI_BATCHES);
    cr_assert_eq(msg.limit.max_mini_batch_count, 7);
    cr_assert_eq(msg.batch_size, 2);
    edge_arena_free(msg.arena);
}

Test(edge_messages, last_member_of_the_upload_oneof_wins)
{
    struct upload_part part;

    cr_assert_eq(edge_decode_upload(WIRE("\x12\x02yz\x0a\x03\x0a\x01m"), &part, NULL), OK);
    cr_assert_str_eq(part.model_id, "m");
    cr_assert_str_eq(part.file_name, "");
    cr_assert_null(part.chunk.data);
    edge_arena_free(part.arena);
    cr_assert_eq(edge_decode_upload(WIRE("\x0a\x03\x0a\x01m\x12\x02yz"), &part, NULL), OK);
    cr_assert_null(part.model_id);
    cr_assert(spans_equal(part.chunk, WIRE("yz")));
    edge_arena_free(part.arena);
}

Test(edge_messages, unknown_fields_are_skipped)
{
    struct text_message msg;

    /* 200: varint, 201: 64 bit, 202: bytes, 203: 32 bit, then text */
    cr_assert_eq(edge_decode_text(WIRE("\xc0\x0c\xff\x01\xc9\x0c"
                                       "12345678\xd2\x0c\x02hi\xdd\x0c"
                                       "1234\x0a\x02ok"),
                                  &msg, NULL),
                 OK);
    cr_assert_str_eq(msg.text, "ok");
    edge_arena_free(msg.arena);
}

Test(edge_messages, negative_numbers_survive)
{
    struct abort_request msg = {.session_id = "s", .round_idx = -1, .leader_term = UINT64_MAX, .reason = "not finite"},
                         again;
    struct blob *wire;

    cr_assert_eq(edge_encode_abort_request(&msg, &wire, NULL), OK);
    cr_assert_eq(edge_decode_abort_request(blob_span(wire), &again, NULL), OK);
    cr_assert_eq(again.round_idx, -1);
    cr_assert_eq(again.leader_term, UINT64_MAX);
    cr_assert_str_eq(again.reason, "not finite");
    edge_arena_free(again.arena);
    blob_unref(wire);
}

Test(edge_messages, malformed_bytes_are_refused)
{
    // clang-format off
    static const struct { const char *why; struct span wire; } rows[] = {
        {"cut inside a tag",          {"\x80", 1}},
        {"field number 0",            {"\x02\x01x", 3}},
        {"field number past 2^29-1",  {"\x80\x80\x80\x80\x7f\x01", 6}},
        {"cut inside a varint",       {"\x38\x80", 2}},
        {"varint of eleven bytes",    {"\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}},
        {"length passes the end",     {"\x32\x05" "abc", 5}},
        {"length of 2^64-1",          {"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12}},
        {"cut inside a float",        {"\x45\x00\x00", 3}},
        {"a group",                   {"\x0b\x0c", 2}},
        {"wire type 6",               {"\x0e\x00", 2}},
        {"string as varint",          {"\x08\x05", 2}},
        {"weights as varint",         {"\x30\x05", 2}},
        {"NUL in a string",           {"\x0a\x03" "a\0b", 5}},
        {"not UTF-8",                 {"\x0a\x02\xc3\x28", 4}},
        {"over-long UTF-8",           {"\x0a\x02\xc0\x80", 4}},
        {"surrogate",                 {"\x0a\x03\xed\xa0\x80", 5}},
        {"past U+10FFFF",             {"\x0a\x04\xf4\x90\x80\x80", 6}},
        {"UTF-8 cut short",           {"\x0a\x01\xe2", 3}},
    };
    // clang-format on
    struct train_request msg;
    struct error err;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err = (struct error)ERROR_INIT;
        cr_assert_eq(edge_decode_train_request(rows[i].wire, &msg, &err), ERR_INVALID, "%s", rows[i].why);
        cr_assert_not_null(strstr(err.message, "InitTrainRequest"), "%s: \"%s\"", rows[i].why, err.message);
        cr_assert_null(msg.arena);
    }
}

Test(edge_messages, long_utf8_is_accepted)
{
    struct text_message msg;

    cr_assert_eq(edge_decode_text(WIRE("\x0a\x0c\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf"), &msg, NULL), OK);
    cr_assert_str_eq(msg.text, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf");
    edge_arena_free(msg.arena);
}

Test(edge_messages, ids_are_bounded)
{
    char id[258];
    struct train_request msg = {.session_id = id}, again;
    struct blob *wire;
    struct error err = ERROR_INIT;

    memset(id, 'x', sizeof id);
    id[256] = '\0';
    cr_assert_eq(edge_encode_train_request(&msg, 0, &wire, NULL), OK);
    cr_assert_eq(edge_decode_train_request(blob_span(wire), &again, NULL), OK);
    cr_assert_str_eq(again.session_id, id);
    edge_arena_free(again.arena);
    blob_unref(wire);
    id[256] = 'x';
    id[257] = '\0';
    cr_assert_eq(edge_encode_train_request(&msg, 0, &wire, NULL), OK);
    cr_assert_eq(edge_decode_train_request(blob_span(wire), &again, &err), ERR_INVALID);
    cr_assert_not_null(strstr(err.message, "session_id"), "%s", err.message);
    blob_unref(wire);
}

/* A million small fields must not cost a million allocations. */
Test(edge_messages, many_small_fields_are_refused)
{
    enum { SIZE = 2 * 1000 * 1000 };
    char *wire = malloc(SIZE);
    struct train_request msg;

    cr_assert_not_null(wire);
    for (size_t i = 0; i < SIZE; i += 2)
        memcpy(wire + i, "\x38\x01", 2);
    cr_assert_eq(edge_decode_train_request(span_of(wire, SIZE), &msg, NULL), ERR_INVALID);
    free(wire);
}

Test(edge_messages, upload_without_content_is_refused)
{
    struct upload_part part;

    cr_assert_eq(edge_decode_upload(span_of("", 0), &part, NULL), ERR_INVALID);
    cr_assert_null(part.arena);
    cr_assert_eq(edge_decode_upload(WIRE("\x0a\x04\x0a\x02\xc3\x28"), &part, NULL), ERR_INVALID,
                 "not UTF-8 in the metadata");
}

/* Every cut and every flipped bit of a real message is taken calmly: refused or decoded, nothing else. */
static void decode_damaged(uint8_t *bytes, size_t size)
{
    struct span wire = span_of(bytes, size);
    struct train_request train;
    struct validation_request validation;
    struct bench_request bench;
    struct upload_part upload;

    if (edge_decode_train_request(wire, &train, NULL) == OK)
        edge_arena_free(train.arena);
    if (edge_decode_validation_request(wire, &validation, NULL) == OK)
        edge_arena_free(validation.arena);
    if (edge_decode_bench_request(wire, &bench, NULL) == OK)
        edge_arena_free(bench.arena);
    if (edge_decode_upload(wire, &upload, NULL) == OK)
        edge_arena_free(upload.arena);
}

Test(edge_messages, damaged_messages_are_harmless)
{
    struct train_request msg = {.session_id = "session",
                                .model_id = "LeNet5",
                                .dataset_id = "FMNIST",
                                .model_config = WIRE("{}"),
                                .batch_size = 16,
                                .learning_rate = 0.1F,
                                .optimizer = WIRE("{\"name\":\"sgd\"}"),
                                .limit = {LIMIT_TIMEOUT, 3.0F, 0},
                                .seed = 1};
    struct blob *head;
    struct train_request whole;
    size_t size;

    cr_assert_eq(edge_encode_train_request(&msg, 0, &head, NULL), OK);
    size = blob_size(head);
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1); /* exactly as long as the message, so that a sanitizer sees overruns */

        cr_assert_not_null(copy);
        memcpy(copy, blob_bytes(head), cut);
        decode_damaged(copy, cut);
        for (size_t bit = 0; bit < 8 * cut; bit++) {
            copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
            decode_damaged(copy, cut);
            copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        free(copy);
    }
    cr_assert_eq(edge_decode_train_request(blob_span(head), &whole, NULL), OK);
    edge_arena_free(whole.arena);
    blob_unref(head);
}
