/* Speaks EdgeService's messages through our code for tests/codec/edge_messages_foreign.py:
 *   edge_messages_tool encode MESSAGE          fixed values to standard output
 *   edge_messages_tool decode MESSAGE <bytes   values as lines `name=value` to standard output, spans in hexadecimal */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/edge_messages.h"

enum { INPUT_MAX = 1 << 20 };

static const char weights[] = "weights, byte for byte";

#define TEXT(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

static int encode_bench_request(struct blob **out)
{
    struct bench_request msg = {.model_id = "LeNet5",
                                .model_class = "LeNet5_class",
                                .dataset_id = "FMNIST",
                                .model_config = TEXT("{\"a\":1}"),
                                .batch_size = 16,
                                .learning_rate = 0.25F,
                                .optimizer = TEXT("o"),
                                .loss_function = TEXT("l"),
                                .limit = {LIMIT_MINI_BATCHES, 0, 12}};

    return edge_encode_bench_request(&msg, out, NULL);
}

static int encode_train_request(struct blob **out)
{
    struct train_request msg = {.session_id = "s\xc3\xa9ssion",
                                .model_id = "LeNet5",
                                .model_class = "LeNet5_class",
                                .dataset_id = "FMNIST",
                                .model_config = TEXT("{}"),
                                .batch_size = 16,
                                .learning_rate = 0.001F,
                                .num_epochs = 3,
                                .round_idx = 300,
                                .loss_function = TEXT("l"),
                                .limit = {LIMIT_TIMEOUT, 2.5F, 0},
                                .leader_term = 1ULL << 60,
                                .attempt = 4000000000U,
                                .seed = 18446744073709551615ULL,
                                .requires = "proximal,correction",
                                .proximal_mu = 0.3,
                                .correction = span_of("corr", 4),
                                .initial_loss = true};

    return edge_encode_train_request(&msg, sizeof weights - 1, out, NULL);
}

static int encode_validation_request(struct blob **out)
{
    struct validation_request msg = {.session_id = "s",
                                     .model_id = "m",
                                     .model_class = "c",
                                     .dataset_id = "d",
                                     .model_config = TEXT("{}"),
                                     .batch_size = 8,
                                     .round_idx = 2,
                                     .optimizer = TEXT(""),
                                     .leader_term = 7,
                                     .attempt = 1};

    return edge_encode_validation_request(&msg, sizeof weights - 1, out, NULL);
}

static int encode_train_response(struct blob **out)
{
    struct train_response msg = {.model_id = "m", .client_id = "c", .round_idx = 9, .metrics = TEXT("{}")};

    return edge_encode_train_response(&msg, sizeof weights - 1, out, NULL);
}

static int encode_other(const char *name, struct blob **out)
{
    struct bench_response bench = {.model_id = "m", .num_mini_batches = 5, .bench_duration_s = 1.5F};
    struct validation_response validation = {.model_id = "m", .client_id = "c", .round_idx = 1, .metrics = TEXT("{}")};
    struct abort_request abort_msg = {.session_id = "s", .round_idx = 3, .leader_term = 11};

    if (!strcmp(name, "InitBenchResponse"))
        return edge_encode_bench_response(&bench, out, NULL);
    if (!strcmp(name, "InitValidationResponse"))
        return edge_encode_validation_response(&validation, out, NULL);
    if (!strcmp(name, "AbortRequest"))
        return edge_encode_abort_request(&abort_msg, out, NULL);
    if (!strcmp(name, "echoMessage") || !strcmp(name, "StringResponse"))
        return edge_encode_text("gr\xc3\xbc\xc3\x9f", out, NULL);
    if (!strcmp(name, "UploadFile.metadata"))
        return edge_encode_upload_head("LeNet5", "model.yaml", out, NULL);
    if (!strcmp(name, "UploadFile.chunk_data"))
        return edge_encode_upload_chunk(span_of("\0\1\2", 3), out, NULL);
    return ERR_NOT_FOUND;
}

static int encode(const char *name)
{
    struct blob *out = NULL;
    int with_weights = 1, status;

    if (!strcmp(name, "InitTrainRequest")) {
        status = encode_train_request(&out);
    } else if (!strcmp(name, "InitValidationRequest")) {
        status = encode_validation_request(&out);
    } else if (!strcmp(name, "InitTrainResponse")) {
        status = encode_train_response(&out);
    } else {
        with_weights = 0;
        status = !strcmp(name, "InitBenchRequest") ? encode_bench_request(&out) : encode_other(name, &out);
    }
    if (status)
        return 1;
    fwrite(blob_bytes(out), 1, blob_size(out), stdout);
    if (with_weights)
        fwrite(weights, 1, sizeof weights - 1, stdout);
    blob_unref(out);
    return fflush(stdout) ? 1 : 0;
}

static void print_span(const char *name, struct span span)
{
    if (!span.data)
        return;
    printf("%s=", name);
    for (size_t i = 0; i < span.size; i++)
        printf("%02x", ((const unsigned char *)span.data)[i]);
    putchar('\n');
}

static void print_limit(const struct work_limit *limit)
{
    if (limit->kind == LIMIT_TIMEOUT)
        printf("timeout_duration_s=%.9g\n", (double)limit->timeout_duration_s);
    else if (limit->kind == LIMIT_MINI_BATCHES)
        printf("max_mini_batch_count=%d\n", limit->max_mini_batch_count);
}

static int decode_train_request(struct span wire)
{
    struct train_request msg;

    if (edge_decode_train_request(wire, &msg, NULL))
        return 1;
    printf("session_id=%s\nmodel_id=%s\nmodel_class=%s\ndataset_id=%s\n", msg.session_id, msg.model_id, msg.model_class,
           msg.dataset_id);
    printf("batch_size=%d\nlearning_rate=%.9g\nnum_epochs=%d\nround_idx=%d\n", msg.batch_size,
           (double)msg.learning_rate, msg.num_epochs, msg.round_idx);
    printf("leader_term=%llu\nattempt=%u\nseed=%llu\n", (unsigned long long)msg.leader_term, msg.attempt,
           (unsigned long long)msg.seed);
    printf("requires=%s\nproximal_mu=%.17g\ninitial_loss=%d\n", msg.requires, msg.proximal_mu, msg.initial_loss);
    print_span("correction", msg.correction);
    print_limit(&msg.limit);
    print_span("model_config", msg.model_config);
    print_span("model_wts", msg.weights);
    print_span("optimizer", msg.optimizer);
    print_span("loss_function", msg.loss_function);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_bench_request(struct span wire)
{
    struct bench_request msg;

    if (edge_decode_bench_request(wire, &msg, NULL))
        return 1;
    printf("model_id=%s\nmodel_class=%s\ndataset_id=%s\nbatch_size=%d\nlearning_rate=%.9g\n", msg.model_id,
           msg.model_class, msg.dataset_id, msg.batch_size, (double)msg.learning_rate);
    print_limit(&msg.limit);
    print_span("model_config", msg.model_config);
    print_span("optimizer", msg.optimizer);
    print_span("loss_function", msg.loss_function);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_validation_request(struct span wire)
{
    struct validation_request msg;

    if (edge_decode_validation_request(wire, &msg, NULL))
        return 1;
    printf("session_id=%s\nmodel_id=%s\nmodel_class=%s\ndataset_id=%s\nbatch_size=%d\nround_idx=%d\n", msg.session_id,
           msg.model_id, msg.model_class, msg.dataset_id, msg.batch_size, msg.round_idx);
    printf("leader_term=%llu\nattempt=%u\n", (unsigned long long)msg.leader_term, msg.attempt);
    print_span("model_config", msg.model_config);
    print_span("model_wts", msg.weights);
    print_span("optimizer", msg.optimizer);
    print_span("loss_function", msg.loss_function);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_train_response(struct span wire)
{
    struct train_response msg;

    if (edge_decode_train_response(wire, &msg, NULL))
        return 1;
    printf("model_id=%s\nclient_id=%s\nround_idx=%d\n", msg.model_id, msg.client_id, msg.round_idx);
    print_span("model_weights", msg.weights);
    print_span("metrics", msg.metrics);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_validation_response(struct span wire)
{
    struct validation_response msg;

    if (edge_decode_validation_response(wire, &msg, NULL))
        return 1;
    printf("model_id=%s\nclient_id=%s\nround_idx=%d\n", msg.model_id, msg.client_id, msg.round_idx);
    print_span("metrics", msg.metrics);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_bench_response(struct span wire)
{
    struct bench_response msg;

    if (edge_decode_bench_response(wire, &msg, NULL))
        return 1;
    printf("model_id=%s\nnum_mini_batches=%d\nbench_duration_s=%.9g\n", msg.model_id, msg.num_mini_batches,
           (double)msg.bench_duration_s);
    edge_arena_free(msg.arena);
    return 0;
}

static int decode_upload(struct span wire)
{
    struct upload_part part;

    if (edge_decode_upload(wire, &part, NULL))
        return 1;
    if (part.model_id)
        printf("model_id=%s\nfile_name=%s\n", part.model_id, part.file_name);
    print_span("chunk_data", part.chunk);
    edge_arena_free(part.arena);
    return 0;
}

static int decode_text(struct span wire)
{
    struct text_message msg;

    if (edge_decode_text(wire, &msg, NULL))
        return 1;
    printf("text=%s\n", msg.text);
    edge_arena_free(msg.arena);
    return 0;
}

static const struct {
    const char *name;
    int (*decode)(struct span wire);
} decoders[] = {
    {"InitTrainRequest", decode_train_request},
    {"InitBenchRequest", decode_bench_request},
    {"InitValidationRequest", decode_validation_request},
    {"InitTrainResponse", decode_train_response},
    {"InitValidationResponse", decode_validation_response},
    {"InitBenchResponse", decode_bench_response},
    {"UploadFile", decode_upload},
    {"echoMessage", decode_text},
};

static int decode(const char *name)
{
    static char input[INPUT_MAX];
    size_t size = fread(input, 1, sizeof input, stdin);

    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++)
        if (!strcmp(decoders[i].name, name))
            return decoders[i].decode(span_of(input, size));
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "encode"))
        return encode(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "decode"))
        return decode(argv[2]);
    fprintf(stderr, "usage: edge_messages_tool encode|decode MESSAGE\n");
    return 2;
}
