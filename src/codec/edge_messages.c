#include "codec/edge_messages.h"

#include "codec/edge.pb-c.h"
#include "codec/edge_wire.h"

// clang-format off
static const char *const method_paths[EDGE_NUM_METHODS] = {
    [EDGE_ECHO]             = "/EdgeService/Echo",
    [EDGE_STREAM_FILE]      = "/EdgeService/StreamFile",
    [EDGE_INIT_BENCH]       = "/EdgeService/InitBench",
    [EDGE_START_TRAINING]   = "/EdgeService/StartTraining",
    [EDGE_START_VALIDATION] = "/EdgeService/StartValidation",
    [EDGE_ABORT]            = "/EdgeService/Abort",
};
// clang-format on

/* The bytes fields that follow an encoded head. */
enum { TRAIN_REQUEST_WEIGHTS = 6, TRAIN_RESPONSE_WEIGHTS = 2, VALIDATION_REQUEST_WEIGHTS = 6 };

const char *edge_method_path(enum edge_method method)
{
    return method_paths[method];
}

/* protobuf-c wants mutable pointers and only reads through them. */
static char *text_of(const char *text)
{
    return (char *)(text ? text : "");
}

static ProtobufCBinaryData bytes_of(struct span span)
{
    return (ProtobufCBinaryData){span.size, (uint8_t *)span.data};
}

static struct span span_of_bytes(ProtobufCBinaryData bytes)
{
    return span_of(bytes.data, bytes.len);
}

/* --- Echo, StringResponse --- */

int edge_encode_text(const char *text, struct blob **out, struct error *err)
{
    EchoMessage wire;

    echo_message__init(&wire);
    wire.text = text_of(text);
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_text(struct span wire, struct text_message *out, struct error *err)
{
    ProtobufCMessage *message;
    int status;

    *out = (struct text_message){0};
    if ((status = edge_wire_unpack(&echo_message__descriptor, wire, EDGE_TEXT_MAX, &message, &out->arena, err)))
        return status;
    out->text = ((EchoMessage *)message)->text;
    return OK;
}

/* --- StreamFile --- */

int edge_encode_upload_head(const char *model_id, const char *file_name, struct blob **out, struct error *err)
{
    UploadFile wire;
    MetaData metadata;

    upload_file__init(&wire);
    meta_data__init(&metadata);
    metadata.model_id = text_of(model_id);
    metadata.file_name = text_of(file_name);
    wire.request_case = UPLOAD_FILE__REQUEST_METADATA;
    wire.metadata = &metadata;
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_encode_upload_chunk(struct span chunk, struct blob **out, struct error *err)
{
    UploadFile wire;

    upload_file__init(&wire);
    wire.request_case = UPLOAD_FILE__REQUEST_CHUNK_DATA;
    wire.chunk_data = bytes_of(chunk);
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_upload(struct span wire, struct upload_part *out, struct error *err)
{
    ProtobufCMessage *message;
    const UploadFile *part;
    int status;

    *out = (struct upload_part){0};
    if ((status = edge_wire_unpack(&upload_file__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    part = (const UploadFile *)message;
    if (part->request_case == UPLOAD_FILE__REQUEST_METADATA) {
        out->model_id = part->metadata->model_id;
        out->file_name = part->metadata->file_name;
    } else if (part->request_case == UPLOAD_FILE__REQUEST_CHUNK_DATA) {
        out->chunk = span_of_bytes(part->chunk_data);
    } else {
        edge_arena_free(out->arena);
        *out = (struct upload_part){0};
        return FAIL(err, ERR_INVALID, "UploadFile: neither metadata nor chunk_data");
    }
    return OK;
}

/* --- InitBench --- */

int edge_encode_bench_request(const struct bench_request *msg, struct blob **out, struct error *err)
{
    InitBenchRequest wire;

    init_bench_request__init(&wire);
    wire.model_id = text_of(msg->model_id);
    wire.model_class = text_of(msg->model_class);
    wire.model_config = bytes_of(msg->model_config);
    wire.dataset_id = text_of(msg->dataset_id);
    wire.batch_size = msg->batch_size;
    wire.learning_rate = msg->learning_rate;
    if (msg->optimizer.data) {
        wire._optimizer_case = INIT_BENCH_REQUEST___OPTIMIZER_OPTIMIZER;
        wire.optimizer = bytes_of(msg->optimizer);
    }
    if (msg->loss_function.data) {
        wire._loss_function_case = INIT_BENCH_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION;
        wire.loss_function = bytes_of(msg->loss_function);
    }
    if (msg->limit.kind == LIMIT_TIMEOUT) {
        wire.request_case = INIT_BENCH_REQUEST__REQUEST_TIMEOUT_DURATION_S;
        wire.timeout_duration_s = msg->limit.timeout_duration_s;
    } else if (msg->limit.kind == LIMIT_MINI_BATCHES) {
        wire.request_case = INIT_BENCH_REQUEST__REQUEST_MAX_MINI_BATCH_COUNT;
        wire.max_mini_batch_count = msg->limit.max_mini_batch_count;
    }
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_bench_request(struct span wire, struct bench_request *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitBenchRequest *msg;
    int status;

    *out = (struct bench_request){0};
    if ((status = edge_wire_unpack(&init_bench_request__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    msg = (const InitBenchRequest *)message;
    out->model_id = msg->model_id;
    out->model_class = msg->model_class;
    out->model_config = span_of_bytes(msg->model_config);
    out->dataset_id = msg->dataset_id;
    out->batch_size = msg->batch_size;
    out->learning_rate = msg->learning_rate;
    if (msg->_optimizer_case == INIT_BENCH_REQUEST___OPTIMIZER_OPTIMIZER)
        out->optimizer = span_of_bytes(msg->optimizer);
    if (msg->_loss_function_case == INIT_BENCH_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION)
        out->loss_function = span_of_bytes(msg->loss_function);
    if (msg->request_case == INIT_BENCH_REQUEST__REQUEST_TIMEOUT_DURATION_S)
        out->limit = (struct work_limit){LIMIT_TIMEOUT, msg->timeout_duration_s, 0};
    else if (msg->request_case == INIT_BENCH_REQUEST__REQUEST_MAX_MINI_BATCH_COUNT)
        out->limit = (struct work_limit){LIMIT_MINI_BATCHES, 0, msg->max_mini_batch_count};
    return OK;
}

int edge_encode_bench_response(const struct bench_response *msg, struct blob **out, struct error *err)
{
    InitBenchResponse wire;

    init_bench_response__init(&wire);
    wire.model_id = text_of(msg->model_id);
    wire.num_mini_batches = msg->num_mini_batches;
    wire.bench_duration_s = msg->bench_duration_s;
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_bench_response(struct span wire, struct bench_response *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitBenchResponse *msg;
    int status;

    *out = (struct bench_response){0};
    if ((status = edge_wire_unpack(&init_bench_response__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    msg = (const InitBenchResponse *)message;
    out->model_id = msg->model_id;
    out->num_mini_batches = msg->num_mini_batches;
    out->bench_duration_s = msg->bench_duration_s;
    return OK;
}

/* --- StartTraining --- */

int edge_encode_train_request(const struct train_request *msg, size_t weights_size, struct blob **out,
                              struct error *err)
{
    InitTrainRequest wire;

    init_train_request__init(&wire);
    wire.session_id = text_of(msg->session_id);
    wire.model_id = text_of(msg->model_id);
    wire.model_class = text_of(msg->model_class);
    wire.model_config = bytes_of(msg->model_config);
    wire.dataset_id = text_of(msg->dataset_id);
    wire.batch_size = msg->batch_size;
    wire.learning_rate = msg->learning_rate;
    wire.num_epochs = msg->num_epochs;
    wire.round_idx = msg->round_idx;
    wire.leader_term = msg->leader_term;
    wire.attempt = msg->attempt;
    wire.seed = msg->seed;
    wire.requires = text_of(msg->requires);
    wire.proximal_mu = msg->proximal_mu;
    wire.correction = bytes_of(msg->correction);
    wire.initial_loss = msg->initial_loss;
    if (msg->optimizer.data) {
        wire._optimizer_case = INIT_TRAIN_REQUEST___OPTIMIZER_OPTIMIZER;
        wire.optimizer = bytes_of(msg->optimizer);
    }
    if (msg->loss_function.data) {
        wire._loss_function_case = INIT_TRAIN_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION;
        wire.loss_function = bytes_of(msg->loss_function);
    }
    if (msg->limit.kind == LIMIT_TIMEOUT) {
        wire.request_case = INIT_TRAIN_REQUEST__REQUEST_TIMEOUT_DURATION_S;
        wire.timeout_duration_s = msg->limit.timeout_duration_s;
    } else if (msg->limit.kind == LIMIT_MINI_BATCHES) {
        wire.request_case = INIT_TRAIN_REQUEST__REQUEST_MAX_MINI_BATCH_COUNT;
        wire.max_mini_batch_count = msg->limit.max_mini_batch_count;
    }
    return edge_wire_pack(&wire.base, TRAIN_REQUEST_WEIGHTS, weights_size, out, err);
}

int edge_decode_train_request(struct span wire, struct train_request *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitTrainRequest *msg;
    int status;

    *out = (struct train_request){0};
    if ((status = edge_wire_unpack(&init_train_request__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    msg = (const InitTrainRequest *)message;
    out->session_id = msg->session_id;
    out->model_id = msg->model_id;
    out->model_class = msg->model_class;
    out->model_config = span_of_bytes(msg->model_config);
    out->dataset_id = msg->dataset_id;
    out->weights = span_of_bytes(msg->model_wts);
    out->batch_size = msg->batch_size;
    out->learning_rate = msg->learning_rate;
    out->num_epochs = msg->num_epochs;
    out->round_idx = msg->round_idx;
    out->leader_term = msg->leader_term;
    out->attempt = msg->attempt;
    out->seed = msg->seed;
    out->requires = msg->requires;
    out->proximal_mu = msg->proximal_mu;
    out->correction = span_of_bytes(msg->correction);
    out->initial_loss = msg->initial_loss;
    if (msg->_optimizer_case == INIT_TRAIN_REQUEST___OPTIMIZER_OPTIMIZER)
        out->optimizer = span_of_bytes(msg->optimizer);
    if (msg->_loss_function_case == INIT_TRAIN_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION)
        out->loss_function = span_of_bytes(msg->loss_function);
    if (msg->request_case == INIT_TRAIN_REQUEST__REQUEST_TIMEOUT_DURATION_S)
        out->limit = (struct work_limit){LIMIT_TIMEOUT, msg->timeout_duration_s, 0};
    else if (msg->request_case == INIT_TRAIN_REQUEST__REQUEST_MAX_MINI_BATCH_COUNT)
        out->limit = (struct work_limit){LIMIT_MINI_BATCHES, 0, msg->max_mini_batch_count};
    return OK;
}

int edge_encode_train_response(const struct train_response *msg, size_t weights_size, struct blob **out,
                               struct error *err)
{
    InitTrainResponse wire;

    init_train_response__init(&wire);
    wire.model_id = text_of(msg->model_id);
    wire.client_id = text_of(msg->client_id);
    wire.round_idx = msg->round_idx;
    wire.metrics = bytes_of(msg->metrics);
    return edge_wire_pack(&wire.base, TRAIN_RESPONSE_WEIGHTS, weights_size, out, err);
}

int edge_decode_train_response(struct span wire, struct train_response *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitTrainResponse *msg;
    int status;

    *out = (struct train_response){0};
    if ((status = edge_wire_unpack(&init_train_response__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    msg = (const InitTrainResponse *)message;
    out->model_id = msg->model_id;
    out->client_id = msg->client_id;
    out->weights = span_of_bytes(msg->model_weights);
    out->round_idx = msg->round_idx;
    out->metrics = span_of_bytes(msg->metrics);
    return OK;
}

/* --- StartValidation --- */

int edge_encode_validation_request(const struct validation_request *msg, size_t weights_size, struct blob **out,
                                   struct error *err)
{
    InitValidationRequest wire;

    init_validation_request__init(&wire);
    wire.session_id = text_of(msg->session_id);
    wire.model_id = text_of(msg->model_id);
    wire.model_class = text_of(msg->model_class);
    wire.model_config = bytes_of(msg->model_config);
    wire.dataset_id = text_of(msg->dataset_id);
    wire.batch_size = msg->batch_size;
    wire.round_idx = msg->round_idx;
    wire.leader_term = msg->leader_term;
    wire.attempt = msg->attempt;
    if (msg->optimizer.data) {
        wire._optimizer_case = INIT_VALIDATION_REQUEST___OPTIMIZER_OPTIMIZER;
        wire.optimizer = bytes_of(msg->optimizer);
    }
    if (msg->loss_function.data) {
        wire._loss_function_case = INIT_VALIDATION_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION;
        wire.loss_function = bytes_of(msg->loss_function);
    }
    return edge_wire_pack(&wire.base, VALIDATION_REQUEST_WEIGHTS, weights_size, out, err);
}

int edge_decode_validation_request(struct span wire, struct validation_request *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitValidationRequest *msg;
    int status;

    *out = (struct validation_request){0};
    status = edge_wire_unpack(&init_validation_request__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err);
    if (status)
        return status;
    msg = (const InitValidationRequest *)message;
    out->session_id = msg->session_id;
    out->model_id = msg->model_id;
    out->model_class = msg->model_class;
    out->model_config = span_of_bytes(msg->model_config);
    out->dataset_id = msg->dataset_id;
    out->weights = span_of_bytes(msg->model_wts);
    out->batch_size = msg->batch_size;
    out->round_idx = msg->round_idx;
    out->leader_term = msg->leader_term;
    out->attempt = msg->attempt;
    if (msg->_optimizer_case == INIT_VALIDATION_REQUEST___OPTIMIZER_OPTIMIZER)
        out->optimizer = span_of_bytes(msg->optimizer);
    if (msg->_loss_function_case == INIT_VALIDATION_REQUEST___LOSS_FUNCTION_LOSS_FUNCTION)
        out->loss_function = span_of_bytes(msg->loss_function);
    return OK;
}

int edge_encode_validation_response(const struct validation_response *msg, struct blob **out, struct error *err)
{
    InitValidationResponse wire;

    init_validation_response__init(&wire);
    wire.model_id = text_of(msg->model_id);
    wire.client_id = text_of(msg->client_id);
    wire.round_idx = msg->round_idx;
    wire.metrics = bytes_of(msg->metrics);
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_validation_response(struct span wire, struct validation_response *out, struct error *err)
{
    ProtobufCMessage *message;
    const InitValidationResponse *msg;
    int status;

    *out = (struct validation_response){0};
    status = edge_wire_unpack(&init_validation_response__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err);
    if (status)
        return status;
    msg = (const InitValidationResponse *)message;
    out->model_id = msg->model_id;
    out->client_id = msg->client_id;
    out->round_idx = msg->round_idx;
    out->metrics = span_of_bytes(msg->metrics);
    return OK;
}

/* --- Abort --- */

int edge_encode_abort_request(const struct abort_request *msg, struct blob **out, struct error *err)
{
    AbortRequest wire;

    abort_request__init(&wire);
    wire.session_id = text_of(msg->session_id);
    wire.round_idx = msg->round_idx;
    wire.leader_term = msg->leader_term;
    wire.reason = text_of(msg->reason);
    return edge_wire_pack(&wire.base, 0, 0, out, err);
}

int edge_decode_abort_request(struct span wire, struct abort_request *out, struct error *err)
{
    ProtobufCMessage *message;
    const AbortRequest *msg;
    int status;

    *out = (struct abort_request){0};
    if ((status = edge_wire_unpack(&abort_request__descriptor, wire, EDGE_ID_MAX, &message, &out->arena, err)))
        return status;
    msg = (const AbortRequest *)message;
    out->session_id = msg->session_id;
    out->round_idx = msg->round_idx;
    out->leader_term = msg->leader_term;
    out->reason = msg->reason;
    return OK;
}
