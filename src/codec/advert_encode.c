/* Adverts and heartbeats to JSON, keys and their order as Flotilla's; ours (leader_term, codec, num_trainable) come
 * last. */
#include "codec/advert.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A name from this machine may be no UTF-8, which JSON cannot carry: then its other bytes are replaced. */
static json_t *text(const char *value)
{
    json_t *string = json_string(value);

    if (string)
        return string;
    char *copy = strdup(value);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    string = copy ? json_string(copy) : NULL;
    free(copy);
    return string;
}

/* Flotilla hands on what its YAML file says, and there an interval is mostly an integer. */
static json_t *number(double value)
{
    return value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value);
}

/* Takes `object`; NULL when out of memory. */
static char *dump_and_free(json_t *object)
{
    char *json = object ? json_dumps(object, 0) : NULL;

    json_decref(object);
    return json;
}

static json_t *hw_object(const struct hw_info *hw)
{
    return json_pack("{s:o, s:o, s:o, s:b}", "arch", text(hw->arch), "cpu_core_count", text(hw->cpu_core_count),
                     "model_name", text(hw->model_name), "cuda_available", hw->cuda_available);
}

char *server_advert_encode(const struct server_advert *advert)
{
    json_t *object = json_pack("{s:s, s:f, s:n, s:o, s:n, s:o, s:o, s:I}", "type", "server", "timestamp",
                               advert->timestamp, "grpc_ep", "mqtt_client_topic", text(advert->client_topic),
                               "cluster_id", "heartbeat_interval", number(advert->heartbeat_interval_s), "hw_info",
                               hw_object(&advert->hw), "leader_term", (json_int_t)advert->leader_term);

    if (object && advert->leader_id[0])
        json_object_set_new(object, "leader_id", text(advert->leader_id));
    if (object && advert->cluster[0])
        json_object_set_new(object, "cluster", text(advert->cluster));
    return dump_and_free(object);
}

static json_t *labels_object(const struct dataset_advert *dataset)
{
    json_t *labels = json_object();

    for (size_t i = 0; labels && i < dataset->num_labels; i++) {
        if (json_object_set_new(labels, dataset->labels[i].label, json_real(dataset->labels[i].fraction))) {
            json_decref(labels);
            return NULL;
        }
    }
    return labels;
}

static json_t *dataset_object(const struct dataset_advert *dataset)
{
    json_t *details = dataset->details_json ? json_loads(dataset->details_json, 0, NULL) : json_object();
    json_t *metadata = json_pack("{s:o, s:I}", "label_distribution", labels_object(dataset), "num_items",
                                 (json_int_t)dataset->num_items);

    if (metadata && dataset->num_trainable != dataset->num_items)
        json_object_set_new(metadata, "num_trainable", json_integer((json_int_t)dataset->num_trainable));
    return json_pack("{s:o, s:o}", "dataset_details", details, "metadata", metadata);
}

static json_t *bench_object(const struct bench_advert *bench)
{
    return json_pack("{s:I, s:f, s:o}", "num_mini_batches", (json_int_t)bench->num_mini_batches, "time_taken_s",
                     bench->time_taken_s, "model_hash", text(bench->model_hash));
}

static json_t *datasets_object(const struct client_advert *advert)
{
    json_t *object = json_object();
    int failed = !object;

    for (size_t i = 0; !failed && i < advert->num_datasets; i++)
        failed = json_object_set_new(object, advert->datasets[i].id, dataset_object(&advert->datasets[i]));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *models_object(const struct client_advert *advert)
{
    json_t *object = json_object();
    int failed = !object;

    for (size_t i = 0; !failed && i < advert->num_models; i++)
        failed = json_object_set_new(object, advert->models[i].id, text(advert->models[i].hash));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *benchmarks_object(const struct client_advert *advert)
{
    json_t *object = json_object();
    int failed = !object;

    for (size_t i = 0; !failed && i < advert->num_benchmarks; i++)
        failed = json_object_set_new(object, advert->benchmarks[i].model_id, bench_object(&advert->benchmarks[i]));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

char *client_advert_encode(const struct client_advert *advert)
{
    json_t *codecs = advert->speaks_safetensors ? json_pack("[s]", "safetensors") : json_array();
    json_t *payload = json_pack("{s:s, s:f, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "type", "client", "timestamp",
                                advert->timestamp, "grpc_ep", text(advert->endpoint), "cluster_id",
                                (json_int_t)advert->cluster_id, "hw_info", hw_object(&advert->hw), "datasets",
                                datasets_object(advert), "models", models_object(advert), "benchmark_info",
                                benchmarks_object(advert), "name", text(advert->name), "codec", codecs);

    return dump_and_free(payload ? json_pack("{s:{s:o}}", advert->id, "payload", payload) : NULL);
}

char *heartbeat_encode(const char *client_id, double timestamp)
{
    return dump_and_free(json_pack("{s:s, s:f}", "id", client_id, "timestamp", timestamp));
}
