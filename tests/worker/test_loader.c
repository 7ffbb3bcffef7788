/* Data folders as sessions want them cut, and training on text whose state is carried; no network. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/encoding.h"
#include "codec/safetensors.h"
#include "nn/run.h"
#include "tests/worker/require.h"
#include "tests/worker/scratch.h"
#include "util/fs.h"
#include "worker/trainer.h"

static const char forecast_yaml[] = "input: [$(lookback), 1]\n"
                                    "args: {lookback: 5}\n"
                                    "layers:\n"
                                    "  - cell: {lstm: {hidden: 4, return: last}}\n"
                                    "  - fc: {linear: {out: 2}}\n";

static const char text_yaml[] = "input: {tokens: {length: $(seq_len), vocabulary: 256}}\n"
                                "args: {seq_len: 8}\n"
                                "layers:\n"
                                "  - embedding: {embedding: {dim: 3}}\n"
                                "  - lstm: {lstm: {hidden: 4, return: all, carry: true}}\n"
                                "  - fc: {linear: {out: 256}}\n";

struct world {
    char dir[SCRATCH_PATH], data[SCRATCH_PATH], log_file[SCRATCH_PATH];
    struct worker_host host;
    struct model_cache *cache;
    struct datasets *datasets;
    struct trainer *trainer;
    struct stopper stop;
};

static const char *path_in(const struct world *world, const char *folder, const char *name)
{
    static char path[2 * SCRATCH_PATH];

    snprintf(path, sizeof path, "%s/%s/%s", world->data, folder, name);
    return path;
}

static void write_folder(struct world *world, const char *folder, const char *file, const char *data,
                         const char *section)
{
    char config[256];

    cr_assert_eq(fs_make_dirs(path_in(world, folder, "."), NULL), OK);
    scratch_write(path_in(world, folder, file), data);
    snprintf(config, sizeof config,
             "dataset_details: {data_filename: %s, dataset_id: d}\nlocal_validation_fraction: 0.25\n%s\n", file,
             section);
    scratch_write(path_in(world, folder, "train_dataset_config.yaml"), config);
}

static void send_model(struct world *world, const char *model_id, const char *yaml)
{
    struct upload *upload;

    cr_assert_eq(model_cache_begin(world->cache, model_id, "model.yaml", &upload, NULL), OK);
    cr_assert_eq(upload_write(upload, span_of(yaml, strlen(yaml)), NULL), OK);
    cr_assert_eq(upload_end(upload, true, NULL), OK);
}

/* load: a series 0, 1, ... 26; text: 412 bytes. */
static void world_open(struct world *world)
{
    char series[256] = "load\n", bytes[413];

    scratch_make(world->dir);
    scratch_path(world->data, world->dir, "data");
    for (int i = 0; i < 27; i++)
        snprintf(series + strlen(series), sizeof series - strlen(series), "%d\n", i);
    for (int i = 0; i < 412; i++)
        bytes[i] = (char)('a' + (i * i / 3 + i) % 26);
    bytes[412] = '\0';
    write_folder(world, "load", "load.csv", series, "csv: {lookback: 5, forecast: 2}");
    write_folder(world, "text", "a.txt", bytes, "text: {unit: bytes, length: 8, predict: all}");
    cr_assert_eq(datasets_new(&world->datasets, world->data, &world->host, NULL, NULL), OK);
    cr_assert_eq(model_cache_new(&world->cache, world->dir, NULL), OK);
    send_model(world, "forecast", forecast_yaml);
    send_model(world, "text", text_yaml);
    const struct trainer_setup setup = {.client_id = "c",
                                        .host = &world->host,
                                        .datasets = world->datasets,
                                        .cache = world->cache,
                                        .clock = &clock_system,
                                        .threads = 1};
    cr_assert_eq(trainer_new(&world->trainer, &setup, NULL), OK);
    cr_assert_eq(stopper_init(&world->stop, NULL), OK);
}

static void world_close(struct world *world)
{
    trainer_free(world->trainer);
    datasets_free(world->datasets);
    model_cache_free(world->cache);
    stopper_fini(&world->stop);
    scratch_remove(world->dir);
}

static struct model *model_of(const char *yaml, json_t *args)
{
    struct diags *diags = diags_new();
    struct model *model;

    cr_assert_eq(model_load_text(yaml, "model.yaml", args, &model, diags), OK, "%s", diags_text(diags));
    json_decref(args);
    diags_free(diags);
    return model;
}

/* Of any length of window: the weights do not depend on it. */
static struct blob *weights_of(const char *yaml)
{
    struct model *model = model_of(yaml, NULL);
    const struct layout *layout = model_layout(model);
    float *params = calloc(layout->num_floats, sizeof *params);
    struct blob *image;

    model_init_params(model, 1, params);
    cr_assert_eq(safetensors_encode(layout, params, NULL, &image, NULL), OK);
    free(params);
    model_free(model);
    return image;
}

static struct train_request request_of(const char *what, const char *loss, const char *config, struct blob *weights)
{
    static const char sgd[] = "{\"name\": \"sgd\", \"args\": {}}";

    return (struct train_request){
        .session_id = "s",
        .model_id = !strcmp(what, "load") ? "forecast" : "text",
        .model_class = "",
        .dataset_id = what,
        .weights = blob_span(weights),
        .model_config = span_of(config, strlen(config)),
        .batch_size = 3,
        .learning_rate = 0.5f,
        .num_epochs = 2,
        .optimizer = {sgd, sizeof sgd - 1},
        .loss_function = span_of(loss, strlen(loss)),
        .seed = 7,
    };
}

/* ---- the session's arguments ---- */

struct counts {
    int64_t samples, mini_batches;
};

/* One training on the series; the status otherwise. */
static int train_series(struct world *world, const char *config, struct counts *out)
{
    struct blob *weights = weights_of(forecast_yaml);
    struct train_request request = request_of("load", "{\"name\": \"mean_square_error\"}", config, weights);
    struct error error = ERROR_INIT;
    struct trained trained;

    request.num_epochs = 1;
    int status = trainer_train(world->trainer, &request, NULL, &world->stop, &trained, &error);
    blob_unref(weights);
    if (status)
        return status;
    json_t *metrics = json_loads(trained.metrics, 0, NULL);
    out->samples = json_integer_value(json_object_get(metrics, "num_samples"));
    out->mini_batches = json_integer_value(json_object_get(metrics, "total_mini_batches"));
    json_decref(metrics);
    trained_fini(&trained);
    return OK;
}

static void expect_series(struct world *world, const char *config, int64_t samples, int64_t mini_batches)
{
    struct counts found;

    cr_assert_eq(train_series(world, config, &found), OK, "%s", config);
    cr_assert_eq(found.samples, samples, "%s: %lld samples", config, (long long)found.samples);
    cr_assert_eq(found.mini_batches, mini_batches, "%s: %lld", config, (long long)found.mini_batches);
}

static const char lookback_3[] =
    "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"lookback\": 3, \"pred_forward\": 2}}";

/* 27 values make 27 - lookback - forecast + 1 items, of which three quarters are trained on. */
Test(loader, a_sessions_arguments_take_effect)
{
    struct world world = {0};

    world_open(&world);
    expect_series(&world, "", 15, 5);
    expect_series(&world, lookback_3, 17, 6);
    expect_series(&world, "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"batch_size\": 5}}", 15, 3);
    expect_series(&world, "{\"use_custom_dataloader\": false, \"custom_loader_args\": {\"lookback\": 3}}", 15, 5);
    expect_series(&world, "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"seq_len\": 3}}", 15, 5);
    cr_assert_eq(train_series(&world, "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"lookback\": 0}}",
                              &(struct counts){0}),
                 ERR_INVALID);
    world_close(&world);
}

/* What was read stays, for two sessions: the files may be gone. */
Test(loader, data_is_not_read_again_each_round)
{
    static const char lookback_4[] =
        "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"lookback\": 4, \"batch_size\": 4}}";
    struct world world = {0};

    world_open(&world);
    expect_series(&world, "", 15, 5);
    expect_series(&world, lookback_3, 17, 6);
    cr_assert_eq(unlink(path_in(&world, "load", "load.csv")), 0);
    for (int i = 0; i < 3; i++) {
        expect_series(&world, "", 15, 5);
        expect_series(&world, lookback_3, 17, 6);
    }
    cr_assert_neq(train_series(&world, lookback_4, &(struct counts){0}), OK, "a third one is read");
    expect_series(&world, lookback_3, 17, 6);
    cr_assert_neq(train_series(&world, "", &(struct counts){0}), OK, "the one used longest ago made room");
    world_close(&world);
}

Test(loader, normalisation_is_the_sessions)
{
    struct loader_args loader = {0};
    struct world world = {0};
    struct data_parts parts;
    struct error error = ERROR_INIT;
    static const char config[] =
        "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"normalize_data\": true, \"lookback\": null}}";
    static const char wrong[] = "{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"normalize_data\": 3}}";

    world_open(&world);
    cr_assert_eq(datasets_use(world.datasets, "load", &loader, &parts, NULL), OK);
    cr_assert_eq(parts.all.dataset->transform.std[0], 1);
    cr_assert_eq(loader_args_parse(config, sizeof config - 1, &loader, NULL), OK);
    cr_assert_eq(datasets_use(world.datasets, "load", &loader, &parts, NULL), OK);
    cr_assert_gt(parts.all.dataset->transform.std[0], 15, "min-max of the first three quarters of 0 ... 26");
    cr_assert_eq(loader_args_parse(wrong, sizeof wrong - 1, &loader, &error), ERR_INVALID);
    cr_assert(strstr(error.message, "true, false, none, min-max or standard"), "%s", error.message);
    world_close(&world);
}

/* ---- text ---- */

/* The definition, written out: with n = steps * batch items, sample j of mini-batch k is item j * steps + k, and the
 * state goes on from one mini-batch to the next, within an epoch. */
static struct blob *train_by_hand(struct world *world, const struct train_request *request, size_t T)
{
    struct loader_args loader;
    struct data_parts parts;
    struct model *model = model_of(text_yaml, json_pack("{s:i}", "seq_len", (int)T));
    const struct layout *layout = model_layout(model);
    float *params = malloc(layout->num_floats * sizeof *params), *grads = malloc(layout->num_floats * sizeof *grads);
    size_t batch = (size_t)request->batch_size;
    float x[3 * 64];
    int32_t labels[3 * 64];
    struct optimizer *optimizer;
    struct workspace *ws;
    struct blob *image;

    cr_assert_eq(loader_args_parse(request->model_config.data, request->model_config.size, &loader, NULL), OK);
    cr_assert_eq(datasets_use(world->datasets, "text", &loader, &parts, NULL), OK);
    size_t steps = parts.num_train / batch;
    cr_assert(steps >= 3 && parts.num_train % batch != 0, "%zu items", parts.num_train);
    cr_assert_eq(weights_decode(layout, request->weights, params, NULL), OK);
    cr_assert_eq(workspace_new(model, (int)batch, true, &ws, NULL), OK);
    cr_assert_eq(optimizer_new(request->optimizer, 0.5, layout->num_parameters, &optimizer, NULL), OK);
    for (int epoch = 0; epoch < request->num_epochs; epoch++) {
        workspace_reset(ws);
        for (size_t k = 0; k < steps; k++) {
            for (uint32_t j = 0; j < batch; j++) {
                uint32_t item = (uint32_t)(j * steps + k);
                data_gather(&parts.all, &item, 0, 1, x + j * T, labels + j * T, NULL);
            }
            train_step(model, ws, loss_find("crossentropy"), optimizer, params, grads, x,
                       (struct targets){.labels = labels}, (int)batch, NULL, &(struct loss_sums){0});
        }
    }
    cr_assert_eq(safetensors_encode(layout, params, NULL, &image, NULL), OK);
    optimizer_free(optimizer);
    workspace_free(ws);
    model_free(model);
    free(params), free(grads);
    return image;
}

static void check_text(const char *config, size_t T)
{
    struct blob *weights = weights_of(text_yaml);
    struct train_request request = request_of("text", "{\"name\": \"crossentropy\"}", config, weights);
    struct error error = ERROR_INIT;
    struct trained trained;
    struct world world = {0};

    world_open(&world);
    int status = trainer_train(world.trainer, &request, NULL, &world.stop, &trained, &error);
    cr_assert_eq(status, OK, "%s", error.message);
    struct blob *expected = train_by_hand(&world, &request, T);
    cr_assert_eq(blob_size(expected), blob_size(trained.weights));
    cr_assert_eq(memcmp(blob_bytes(expected), blob_bytes(trained.weights), blob_size(expected)), 0);
    blob_unref(expected);
    trained_fini(&trained);
    world_close(&world);
    blob_unref(weights);
}

Test(loader, a_carrying_model_reads_text_in_order)
{
    check_text("", 8);
}

/* seq_len cuts the text anew, and the model takes windows of that length. */
Test(loader, a_sessions_window_reaches_data_and_model)
{
    check_text("{\"use_custom_dataloader\": true, \"custom_loader_args\": {\"seq_len\": 5}}", 5);
}

/* What is validated on is one text in a row. */
Test(loader, validation_carries_the_state_too)
{
    struct blob *weights = weights_of(text_yaml);
    struct world world = {0};
    struct data_parts parts;
    double perplexity[2];

    world_open(&world);
    cr_assert_eq(datasets_use(world.datasets, "text", &(struct loader_args){0}, &parts, NULL), OK);
    cr_assert(parts.num_held_out > 3 && data_follows(&parts.all, parts.num_train + 1));
    for (int batch = 1, i = 0; i < 2; i++, batch = 1000) {
        struct validation_request request = {.session_id = "s",
                                             .model_id = "text",
                                             .model_class = "",
                                             .dataset_id = "text",
                                             .weights = blob_span(weights),
                                             .batch_size = batch};
        char *text;
        cr_assert_eq(trainer_validate(world.trainer, &request, NULL, &world.stop, &text, NULL), OK);
        json_t *metrics = json_loads(text, 0, NULL);
        perplexity[i] = json_number_value(json_object_get(metrics, "perplexity"));
        json_decref(metrics);
        free(text);
    }
    cr_assert(perplexity[0] > 1 && perplexity[1] > 1 && perplexity[0] != perplexity[1],
              "in a row, and each window by itself: %g and %g", perplexity[0], perplexity[1]);
    world_close(&world);
    blob_unref(weights);
}
