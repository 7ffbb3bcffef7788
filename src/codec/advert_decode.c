/* Adverts and heartbeats from JSON that anybody may have sent. */
#include "codec/advert.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/endpoint.h"
#include "codec/json_read.h"

enum {
    MAX_PAYLOAD = 1 << 20,
    MAX_DATASETS = 64,
    MAX_LABELS = 1000,
    MAX_MODELS = 256,
    MAX_CODECS = 16,
};

static const double max_timestamp = 1e12; /* seconds; far beyond any clock */
static const int64_t max_count = (int64_t)1 << 53;

/* An id becomes part of topics, store keys and file names: letters, digits, '-' and '_' only. */
static int check_client_id(const char *id, struct error *err)
{
    for (const char *c = id; *c; c++) {
        int ok =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        if (!ok)
            return FAIL(err, ERR_INVALID, "client id: letters, digits, '-' and '_' are allowed, no other characters");
    }
    return OK;
}

static int copy_client_id(const char *value, char out[CLIENT_ID_MAX], struct error *err)
{
    int status = json_copy_id("client id", value, out, CLIENT_ID_MAX, err);

    return status ? status : check_client_id(out, err);
}

static void read_hw(const json_t *parent, struct hw_info *hw)
{
    const json_t *object = json_object_get(parent, "hw_info");
    const json_t *cores = json_object_get(object, "cpu_core_count");

    json_read_label(object, "arch", hw->arch, sizeof hw->arch);
    json_read_label(object, "model_name", hw->model_name, sizeof hw->model_name);
    json_read_label(object, "cpu_core_count", hw->cpu_core_count, sizeof hw->cpu_core_count);
    if (json_is_integer(cores) && json_integer_value(cores) >= 0 && json_integer_value(cores) < 1000000)
        snprintf(hw->cpu_core_count, sizeof hw->cpu_core_count, "%lld", (long long)json_integer_value(cores));
    hw->cuda_available = json_is_true(json_object_get(object, "cuda_available"));
}

static int check_type(const json_t *object, const char *expected, struct error *err)
{
    const char *type = json_string_value(json_object_get(object, "type"));

    if (!type || strcmp(type, expected))
        return FAIL(err, ERR_INVALID, "'type' is not \"%s\"", expected);
    return OK;
}

/* Stock leaders send no term: 0. */
static int read_term(const json_t *object, uint64_t *term, struct error *err)
{
    int64_t value = 0;

    *term = 0;
    if (!json_object_get(object, "leader_term"))
        return OK;
    int status = json_read_integer(object, "leader_term", 0, INT64_MAX, &value, err);
    *term = (uint64_t)value;
    return status;
}

static int read_server(const json_t *root, struct server_advert *out, struct error *err)
{
    int status = check_type(root, "server", err);

    if (!status)
        status = json_read_number(root, "timestamp", 0, max_timestamp, &out->timestamp, err);
    if (!status)
        status = json_read_id(root, "mqtt_client_topic", out->client_topic, sizeof out->client_topic, err);
    if (!status && strpbrk(out->client_topic, "+#"))
        status = FAIL(err, ERR_INVALID, "'mqtt_client_topic' is '%s'; a topic without + and # is expected",
                      out->client_topic);
    if (!status)
        status = json_read_number(root, "heartbeat_interval", 0.001, 1e6, &out->heartbeat_interval_s, err);
    if (!status)
        status = read_term(root, &out->leader_term, err);
    json_read_label(root, "leader_id", out->leader_id, sizeof out->leader_id);
    json_read_label(root, "cluster", out->cluster, sizeof out->cluster);
    read_hw(root, &out->hw);
    return status;
}

int server_advert_decode(struct span payload, struct server_advert *out, struct error *err)
{
    json_t *root;
    int status = json_read_object(payload, MAX_PAYLOAD, "advert_server", &root, err);

    memset(out, 0, sizeof *out);
    if (status)
        return status;
    status = read_server(root, out, err);
    json_decref(root);
    return status ? error_context(err, status, "advert_server") : OK;
}

int heartbeat_decode(struct span payload, char client_id[CLIENT_ID_MAX], double *timestamp, struct error *err)
{
    json_t *root;
    int status = json_read_object(payload, MAX_PAYLOAD, "heartbeat", &root, err);

    if (status)
        return status;
    status = json_read_id(root, "id", client_id, CLIENT_ID_MAX, err);
    if (!status)
        status = check_client_id(client_id, err);
    if (!status)
        status = json_read_number(root, "timestamp", 0, max_timestamp, timestamp, err);
    json_decref(root);
    return status ? error_context(err, status, "heartbeat") : OK;
}

/* ---- the parts of a client's advert ---- */

/* A member that is a mapping of at most `max` entries. Absent (*out NULL) is as good as empty. */
static int read_mapping(const json_t *parent, const char *key, size_t max, json_t **out, struct error *err)
{
    *out = json_object_get(parent, key);
    if (*out && !json_is_object(*out))
        return FAIL(err, ERR_INVALID, "'%s' is no mapping", key);
    if (json_object_size(*out) > max)
        return FAIL(err, ERR_INVALID, "'%s' has %zu entries, at most %zu are taken", key, json_object_size(*out), max);
    return OK;
}

/* Room for n items; *out stays NULL for none. */
static int make_room(size_t n, size_t size, void **out, struct error *err)
{
    *out = n ? calloc(n, size) : NULL;
    return n && !*out ? FAIL(err, ERR_MEMORY, "out of memory for an advert") : OK;
}

static int read_labels(const json_t *metadata, struct dataset_advert *out, struct error *err)
{
    json_t *labels, *value;
    const char *label;
    int status = read_mapping(metadata, "label_distribution", MAX_LABELS, &labels, err);

    if (!status)
        status = make_room(json_object_size(labels), sizeof *out->labels, (void **)&out->labels, err);
    if (status)
        return status;
    json_object_foreach(labels, label, value)
    {
        struct label_share *share = &out->labels[out->num_labels++];
        status = json_copy_id("label", label, share->label, sizeof share->label, err);
        if (!status)
            status = json_read_number(labels, label, 0, 1e300, &share->fraction, err);
        if (status)
            return error_context(err, status, "'label_distribution'");
    }
    return OK;
}

static int read_details(json_t *dataset, struct dataset_advert *out, struct error *err)
{
    json_t *details = json_object_get(dataset, "dataset_details");
    json_t *copy = json_is_object(details) ? json_copy(details) : json_object();

    if (copy)
        json_object_del(copy, "data_filename"); /* a path of the client's, nobody else's business */
    out->details_json = copy ? json_dumps(copy, JSON_COMPACT) : NULL;
    json_decref(copy);
    return out->details_json ? OK : FAIL(err, ERR_MEMORY, "out of memory for an advert");
}

/* Stock clients train on all of their items, as far as they tell. */
static int read_trainable(const json_t *metadata, struct dataset_advert *out, struct error *err)
{
    out->num_trainable = out->num_items;
    if (!json_object_get(metadata, "num_trainable"))
        return OK;
    return json_read_integer(metadata, "num_trainable", 0, out->num_items, &out->num_trainable, err);
}

static int read_dataset(const char *id, json_t *dataset, struct dataset_advert *out, struct error *err)
{
    const json_t *metadata = json_object_get(dataset, "metadata");
    int status = json_copy_id("dataset", id, out->id, sizeof out->id, err);

    if (!status)
        status = read_details(dataset, out, err);
    if (!status)
        status = json_read_integer(metadata, "num_items", 0, max_count, &out->num_items, err);
    if (!status)
        status = read_trainable(metadata, out, err);
    if (!status)
        status = read_labels(metadata, out, err);
    return status ? error_context(err, status, "dataset '%.60s'", id) : OK;
}

static int read_datasets(const json_t *payload, struct client_advert *out, struct error *err)
{
    json_t *datasets, *value;
    const char *id;
    int status = read_mapping(payload, "datasets", MAX_DATASETS, &datasets, err);

    if (!status)
        status = make_room(json_object_size(datasets), sizeof *out->datasets, (void **)&out->datasets, err);
    if (status)
        return status;
    json_object_foreach(datasets, id, value)
    {
        status = read_dataset(id, value, &out->datasets[out->num_datasets++], err);
        if (status)
            return status;
    }
    return OK;
}

static int read_models(const json_t *payload, struct client_advert *out, struct error *err)
{
    json_t *models, *value;
    const char *id;
    int status = read_mapping(payload, "models", MAX_MODELS, &models, err);

    if (!status)
        status = make_room(json_object_size(models), sizeof *out->models, (void **)&out->models, err);
    if (status)
        return status;
    json_object_foreach(models, id, value)
    {
        struct model_advert *model = &out->models[out->num_models++];
        status = json_copy_id("model", id, model->id, sizeof model->id, err);
        if (!status)
            status = json_read_id(models, id, model->hash, sizeof model->hash, err);
        if (status)
            return error_context(err, status, "'models'");
    }
    return OK;
}

static int read_benchmark(const char *id, const json_t *object, struct bench_advert *out, struct error *err)
{
    int status = json_copy_id("model", id, out->model_id, sizeof out->model_id, err);

    if (!status)
        status = json_read_integer(object, "num_mini_batches", 0, max_count, &out->num_mini_batches, err);
    if (!status)
        status = json_read_number(object, "time_taken_s", 0, 1e12, &out->time_taken_s, err);
    if (!status && json_object_get(object, "model_hash"))
        status = json_read_id(object, "model_hash", out->model_hash, sizeof out->model_hash, err);
    return status;
}

static int read_benchmarks(const json_t *payload, struct client_advert *out, struct error *err)
{
    json_t *benchmarks, *value;
    const char *id;
    int status = read_mapping(payload, "benchmark_info", MAX_MODELS, &benchmarks, err);

    if (!status)
        status = make_room(json_object_size(benchmarks), sizeof *out->benchmarks, (void **)&out->benchmarks, err);
    if (status)
        return status;
    json_object_foreach(benchmarks, id, value)
    {
        status = read_benchmark(id, value, &out->benchmarks[out->num_benchmarks++], err);
        if (status)
            return error_context(err, status, "'benchmark_info'");
    }
    return OK;
}

static int read_codecs(const json_t *payload, struct client_advert *out, struct error *err)
{
    const json_t *codecs = json_object_get(payload, "codec");

    if (!codecs)
        return OK; /* a stock client */
    if (!json_is_array(codecs) || json_array_size(codecs) > MAX_CODECS)
        return FAIL(err, ERR_INVALID, "'codec' is no list of at most %d names", MAX_CODECS);
    for (size_t i = 0; i < json_array_size(codecs); i++) {
        const char *name = json_string_value(json_array_get(codecs, i));
        if (name && !strcmp(name, "safetensors"))
            out->speaks_safetensors = true;
    }
    return OK;
}

static int read_cluster(const json_t *payload, struct client_advert *out, struct error *err)
{
    const json_t *cluster = json_object_get(payload, "cluster_id");

    if (!cluster || json_is_null(cluster))
        return OK;
    return json_read_integer(payload, "cluster_id", -max_count, max_count, &out->cluster_id, err);
}

static int read_client(const json_t *payload, struct client_advert *out, struct error *err)
{
    int status = check_type(payload, "client", err);
    struct endpoint parsed;

    if (!status)
        status = json_read_number(payload, "timestamp", 0, max_timestamp, &out->timestamp, err);
    if (!status)
        status = json_read_id(payload, "grpc_ep", out->endpoint, sizeof out->endpoint, err);
    if (!status && endpoint_parse(out->endpoint, &parsed, err) != OK)
        status = error_context(err, ERR_INVALID, "'grpc_ep'");
    if (!status)
        status = read_cluster(payload, out, err);
    if (!status)
        status = read_datasets(payload, out, err);
    if (!status)
        status = read_models(payload, out, err);
    if (!status)
        status = read_benchmarks(payload, out, err);
    if (!status)
        status = read_codecs(payload, out, err);
    read_hw(payload, &out->hw);
    json_read_label(payload, "name", out->name, sizeof out->name);
    return status;
}

/* {"<client id>": {"payload": {…}}}, one client a message. */
static int read_envelope(json_t *root, struct client_advert *out, struct error *err)
{
    void *only = json_object_iter(root);

    if (json_object_size(root) != 1)
        return FAIL(err, ERR_INVALID, "%zu clients in one message, one is expected", json_object_size(root));
    const json_t *payload = json_object_get(json_object_iter_value(only), "payload");
    int status = copy_client_id(json_object_iter_key(only), out->id, err);
    if (status)
        return status;
    if (!json_is_object(payload))
        return FAIL(err, ERR_INVALID, "'payload' is missing");
    return read_client(payload, out, err);
}

int client_advert_decode(struct span payload, struct client_advert *out, struct error *err)
{
    json_t *root;
    int status = json_read_object(payload, MAX_PAYLOAD, "advert_client", &root, err);

    memset(out, 0, sizeof *out);
    if (status)
        return status;
    status = read_envelope(root, out, err);
    json_decref(root);
    if (!status)
        return OK;
    client_advert_fini(out);
    return error_context(err, status, "advert_client");
}

void client_advert_fini(struct client_advert *advert)
{
    for (size_t i = 0; i < advert->num_datasets; i++) {
        free(advert->datasets[i].details_json);
        free(advert->datasets[i].labels);
    }
    free(advert->datasets);
    free(advert->models);
    free(advert->benchmarks);
    memset(advert, 0, sizeof *advert);
}
