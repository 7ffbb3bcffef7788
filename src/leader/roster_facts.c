/* What the leader knows of a client: its advert, and what it learned since. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/roster.h"

enum { MAX_LEARNED = 256 }; /* rows of models or benchmarks, as in an advert */

const struct dataset_advert *roster_dataset(const struct roster_client *client, const char *dataset_id)
{
    for (size_t i = 0; i < client->advert.num_datasets; i++)
        if (strcmp(client->advert.datasets[i].id, dataset_id) == 0)
            return &client->advert.datasets[i];
    return NULL;
}

static struct model_advert *find_model(const struct roster_client *client, const char *model_id)
{
    for (size_t i = 0; i < client->advert.num_models; i++)
        if (strcmp(client->advert.models[i].id, model_id) == 0)
            return &client->advert.models[i];
    return NULL;
}

static struct bench_advert *find_benchmark(const struct roster_client *client, const char *model_id)
{
    for (size_t i = 0; i < client->advert.num_benchmarks; i++)
        if (strcmp(client->advert.benchmarks[i].model_id, model_id) == 0)
            return &client->advert.benchmarks[i];
    return NULL;
}

const char *roster_model_hash(const struct roster_client *client, const char *model_id)
{
    const struct model_advert *row = find_model(client, model_id);

    return row ? row->hash : NULL;
}

const struct bench_advert *roster_benchmark(const struct roster_client *client, const char *model_id)
{
    return find_benchmark(client, model_id);
}

void roster_learn_model(struct roster_client *client, const char *model_id, const char *hash)
{
    struct client_advert *advert = &client->advert;
    struct model_advert *row = find_model(client, model_id);

    if (!row) {
        struct model_advert *rows;

        if (advert->num_models >= MAX_LEARNED)
            return;
        rows = realloc(advert->models, (advert->num_models + 1) * sizeof *rows);
        if (!rows)
            return;
        advert->models = rows;
        row = &rows[advert->num_models++];
        snprintf(row->id, sizeof row->id, "%s", model_id);
    }
    snprintf(row->hash, sizeof row->hash, "%s", hash);
    client->unsaved = true;
}

void roster_learn_benchmark(struct roster_client *client, const char *model_id, const char *hash, int64_t batches,
                            double seconds)
{
    struct client_advert *advert = &client->advert;
    struct bench_advert *row = find_benchmark(client, model_id);

    if (!row) {
        struct bench_advert *rows;

        if (advert->num_benchmarks >= MAX_LEARNED)
            return;
        rows = realloc(advert->benchmarks, (advert->num_benchmarks + 1) * sizeof *rows);
        if (!rows)
            return;
        advert->benchmarks = rows;
        row = &rows[advert->num_benchmarks++];
        snprintf(row->model_id, sizeof row->model_id, "%s", model_id);
    }
    snprintf(row->model_hash, sizeof row->model_hash, "%s", hash);
    row->num_mini_batches = batches;
    row->time_taken_s = seconds;
    client->unsaved = true;
}

const char *roster_obstacle(const struct roster_client *client, const char *dataset_id)
{
    if (!client->active)
        return client->reason;
    if (!client->advert.speaks_safetensors)
        return "its advert names no codec that this leader speaks";
    if (!roster_dataset(client, dataset_id))
        return "it does not have the session's data set";
    return NULL;
}

int64_t roster_trainable(const struct roster_client *client, const char *dataset_id)
{
    const struct dataset_advert *dataset = roster_dataset(client, dataset_id);

    return dataset ? dataset->num_trainable : 0;
}

/* ---- GET /v1/clients ---- */

static json_t *datasets_json(const struct client_advert *advert)
{
    json_t *all = json_object();

    for (size_t i = 0; i < advert->num_datasets; i++) {
        const struct dataset_advert *dataset = &advert->datasets[i];
        json_t *labels = json_object();

        for (size_t k = 0; k < dataset->num_labels; k++)
            json_object_set_new(labels, dataset->labels[k].label, json_real(dataset->labels[k].fraction));
        json_object_set_new(all, dataset->id,
                            json_pack("{s:I, s:I, s:o}", "num_items", (json_int_t)dataset->num_items, "num_trainable",
                                      (json_int_t)dataset->num_trainable, "label_distribution", labels));
    }
    return all;
}

static json_t *models_json(const struct client_advert *advert)
{
    json_t *all = json_object();

    for (size_t i = 0; i < advert->num_models; i++)
        json_object_set_new(all, advert->models[i].id, json_string(advert->models[i].hash));
    return all;
}

static json_t *benchmarks_json(const struct client_advert *advert)
{
    json_t *all = json_object();

    for (size_t i = 0; i < advert->num_benchmarks; i++) {
        const struct bench_advert *row = &advert->benchmarks[i];

        json_object_set_new(all, row->model_id,
                            json_pack("{s:I, s:f, s:s}", "num_mini_batches", (json_int_t)row->num_mini_batches,
                                      "time_taken_s", row->time_taken_s, "model_hash", row->model_hash));
    }
    return all;
}

static json_t *client_json(const struct roster_client *client)
{
    const struct client_advert *advert = &client->advert;
    size_t kept = client->num_heartbeats;
    json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I}", "client_id", client->id, "name", advert->name,
                             "grpc_ep", advert->endpoint, "active", client->active, "busy", client->busy, "heartbeats",
                             (json_int_t)kept, "failures", (json_int_t)client->failures);

    if (!json)
        return NULL;
    if (!advert->speaks_safetensors)
        json_object_set_new(json, "selectable", json_string("no: its advert names no codec that this leader speaks"));
    else if (!client->active)
        json_object_set_new(json, "selectable", json_sprintf("no: %s", client->reason));
    else
        json_object_set_new(json, "selectable", json_string("yes"));
    json_object_set_new(json, "datasets", datasets_json(advert));
    json_object_set_new(json, "models", models_json(advert));
    json_object_set_new(json, "benchmark_info", benchmarks_json(advert));
    json_object_set_new(json, "hw_info",
                        json_pack("{s:s, s:s, s:s, s:b}", "arch", advert->hw.arch, "model_name", advert->hw.model_name,
                                  "cpu_core_count", advert->hw.cpu_core_count, "cuda_available",
                                  advert->hw.cuda_available));
    return json;
}

json_t *roster_json(const struct roster *roster)
{
    json_t *clients = json_array();

    for (size_t i = 0; i < roster_size(roster); i++)
        json_array_append_new(clients, client_json(roster_at(roster, i)));
    return json_pack("{s:I, s:o}", "active", (json_int_t)roster_num_active(roster), "clients", clients);
}
