/* The messages of EdgeService as plain structs, and their protobuf bytes (proto/edge.proto, through protobuf-c).
 * No gRPC types here. Weights are never copied by encode or decode: an encoded message is a small head plus a shared
 * slice, and a decoded one points into the received bytes. Pure functions; any thread.
 *
 * Decoding: `wire` must outlive the struct; strings and spans point into it or into the struct's own
 * arena, which edge_arena_free gives back. Absent strings are "", absent bytes fields have data == NULL.
 * Bounds: ids 256 bytes, a text 64 KiB, all but bytes fields 256 KiB; strings are UTF-8 without NUL. A later duplicate
 * wins, unknown fields are skipped. Anything malformed is ERR_INVALID and says where; the struct then owns nothing. */
#ifndef FLOSIM_CODEC_EDGE_MESSAGES_H
#define FLOSIM_CODEC_EDGE_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

/* A worker's refusal of a leader that was replaced begins with it (FAILED_PRECONDITION). */
#define EDGE_TERM_REFUSED "leader_term"

enum edge_method {
    EDGE_ECHO,
    EDGE_STREAM_FILE,
    EDGE_INIT_BENCH,
    EDGE_START_TRAINING,
    EDGE_START_VALIDATION,
    EDGE_ABORT,
    EDGE_NUM_METHODS
};

/* "/EdgeService/Echo" … */
const char *edge_method_path(enum edge_method method);

enum limit_kind { LIMIT_NONE, LIMIT_TIMEOUT, LIMIT_MINI_BATCHES };

struct work_limit {
    enum limit_kind kind;
    float timeout_duration_s;     /* LIMIT_TIMEOUT */
    int32_t max_mini_batch_count; /* LIMIT_MINI_BATCHES */
};

struct edge_arena; /* what a decoded struct owns */

struct bench_request {
    const char *model_id, *model_class, *dataset_id;
    struct span model_config; /* JSON */
    int32_t batch_size;
    float learning_rate;
    struct span optimizer, loss_function; /* JSON {"name":…,"args":{…}}; absent: Adam at learning_rate, cross-entropy */
    struct work_limit limit;
    struct edge_arena *arena;
};

struct train_request {
    const char *session_id, *model_id, *model_class, *dataset_id;
    struct span model_config;
    struct span weights; /* an encoded image (codec/encoding.h); encode leaves it to the shared slice */
    int32_t batch_size;
    float learning_rate;
    int32_t num_epochs;
    int32_t round_idx;
    struct span optimizer, loss_function;
    struct work_limit limit;
    uint64_t leader_term;   /* ours, 100 */
    uint32_t attempt;       /* ours, 101 */
    uint64_t seed;          /* ours, 102: the session's seed; 0 where the leader sends none */
    const char *requires;   /* ours, 103: names separated by commas; "" for plain training */
    double proximal_mu;     /* ours, 104 */
    struct span correction; /* ours, 105: an encoded image of [P]; absent: none */
    bool initial_loss;      /* ours, 106 */
    struct edge_arena *arena;
};

struct validation_request {
    const char *session_id, *model_id, *model_class, *dataset_id;
    struct span model_config;
    struct span weights;
    int32_t batch_size;
    int32_t round_idx;
    struct span optimizer, loss_function;
    uint64_t leader_term;
    uint32_t attempt;
    struct edge_arena *arena;
};

struct abort_request {
    const char *session_id;
    int32_t round_idx;
    uint64_t leader_term;
    const char *reason; /* ours, 101: why its answer was refused, then nothing is stopped; "": stop */
    struct edge_arena *arena;
};

struct bench_response {
    const char *model_id;
    int32_t num_mini_batches;
    float bench_duration_s;
    struct edge_arena *arena;
};

struct train_response {
    const char *model_id, *client_id;
    struct span weights;
    int32_t round_idx;
    struct span metrics; /* JSON */
    struct edge_arena *arena;
};

struct validation_response {
    const char *model_id, *client_id;
    int32_t round_idx;
    struct span metrics;
    struct edge_arena *arena;
};

/* One message of the StreamFile upload. */
struct upload_part {
    const char *model_id, *file_name; /* the first message; NULL in a chunk */
    struct span chunk;                /* later messages; data == NULL in the first */
    struct edge_arena *arena;
};

struct text_message { /* echoMessage, StringResponse */
    const char *text;
    struct edge_arena *arena;
};

void edge_arena_free(struct edge_arena *arena); /* NULL is legal */

/* Encoders return a new blob with the message. Those that take weights_size leave the weights out: the blob ends with
 * their tag and length (nothing for 0), and the shared slice follows. NULL strings are sent as "". ERR_MEMORY. */
int edge_encode_text(const char *text, struct blob **out, struct error *err);
int edge_encode_upload_head(const char *model_id, const char *file_name, struct blob **out, struct error *err);
int edge_encode_upload_chunk(struct span chunk, struct blob **out, struct error *err);
int edge_encode_bench_request(const struct bench_request *msg, struct blob **out, struct error *err);
int edge_encode_bench_response(const struct bench_response *msg, struct blob **out, struct error *err);
int edge_encode_train_request(const struct train_request *msg, size_t weights_size, struct blob **out,
                              struct error *err); /* ends with tag and length of model_wts: append the weights' bytes */
int edge_encode_train_response(const struct train_response *msg, size_t weights_size, struct blob **out,
                               struct error *err); /* the same for model_weights */
int edge_encode_validation_request(const struct validation_request *msg, size_t weights_size, struct blob **out,
                                   struct error *err);
int edge_encode_validation_response(const struct validation_response *msg, struct blob **out, struct error *err);
int edge_encode_abort_request(const struct abort_request *msg, struct blob **out, struct error *err);

int edge_decode_text(struct span wire, struct text_message *out, struct error *err);
int edge_decode_upload(struct span wire, struct upload_part *out, struct error *err);
int edge_decode_bench_request(struct span wire, struct bench_request *out, struct error *err);
int edge_decode_bench_response(struct span wire, struct bench_response *out, struct error *err);
int edge_decode_train_request(struct span wire, struct train_request *out, struct error *err);
int edge_decode_train_response(struct span wire, struct train_response *out, struct error *err);
int edge_decode_validation_request(struct span wire, struct validation_request *out, struct error *err);
int edge_decode_validation_response(struct span wire, struct validation_response *out, struct error *err);
int edge_decode_abort_request(struct span wire, struct abort_request *out, struct error *err);

#endif
