#include "tests/worker/stage.h"

#include <stdlib.h>
#include <string.h>

#include "tests/worker/bench_data.h"
#include "tests/worker/require.h"

/* ---- a worker on a thread ---- */

void stage_set_text(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
}

static void *run_worker(void *argument)
{
    struct stage *stage = argument;

    stage->status = worker_run(stage->worker, &stage->failure);
    return NULL;
}

void stage_run_worker(struct stage *stage)
{
    struct error error = ERROR_INIT;

    REQUIRE(worker_new(&stage->worker, &stage->config, &stage->host, NULL, &error) == OK, "%s", error.message);
    REQUIRE(pthread_create(&stage->thread, NULL, run_worker, stage) == 0, "failed");
}

void stage_prepare(struct stage *stage)
{
    struct error error = ERROR_INIT;

    REQUIRE(mosquitto_start(&stage->broker, 0, NULL, &error) == OK, "%s", error.message);
    scratch_make(stage->dir);
    scratch_path(stage->data_dir, stage->dir, "data");
    scratch_path(stage->temp_dir, stage->dir, "temp");
    bench_data_write(stage->data_dir, "squares", 100);
    params_defaults(&worker_config_table, &stage->config);
    stage_set_text(&stage->config.comm_config.mqtt.mqtt_broker, "127.0.0.1");
    stage->config.comm_config.mqtt.mqtt_broker_port = stage->broker.port;
    stage->config.comm_config.grpc.sync_port = 0;
    stage_set_text(&stage->config.comm_config.grpc.bind, "127.0.0.1");
    stage_set_text(&stage->config.dataset_config.datasets_dir_path, stage->data_dir);
    stage_set_text(&stage->config.general_config.temp_dir_path, stage->temp_dir);
}

/* Broker, party, worker, its model. The caller may have set host before; `prepare` was called. */
void stage_open(struct stage *stage)
{
    party_start(&stage->party, stage->broker.port);
    stage_run_worker(stage);
    party_reach(&stage->party, worker_port(stage->worker));
    stage->model = lenet_load();
    stage->weights = lenet_weights(stage->model, 1);
    REQUIRE(party_upload(&stage->party, "LeNet5", "model.yaml", lenet_yaml) == OK, "failed");
}

void stage_end_worker(struct stage *stage)
{
    worker_stop(stage->worker);
    pthread_join(stage->thread, NULL);
    worker_free(stage->worker);
    stage->worker = NULL;
}

void stage_close(struct stage *stage)
{
    if (stage->worker)
        stage_end_worker(stage);
    REQUIRE(stage->status == OK, "%s", stage->failure.message);
    party_stop(&stage->party);
    mosquitto_stop(&stage->broker);
    params_free(&worker_config_table, &stage->config);
    model_free(stage->model);
    blob_unref(stage->weights);
    scratch_remove(stage->dir);
}

/* ---- requests ---- */

struct train_request stage_request(const struct stage *stage)
{
    static const char sgd[] = "{\"name\": \"sgd\", \"args\": {}}";

    return (struct train_request){
        .session_id = "session",
        .model_id = "LeNet5",
        .model_class = "LeNet5",
        .dataset_id = "squares",
        .weights = blob_span(stage->weights),
        .batch_size = 16,
        .learning_rate = 0.01f,
        .num_epochs = 1,
        .optimizer = {sgd, sizeof sgd - 1},
        .seed = 5,
    };
}

void stage_begin_training(struct stage *stage, const struct train_request *request, struct exchange *exchange)
{
    struct blob *head = NULL;

    REQUIRE(edge_encode_train_request(request, blob_size(stage->weights), &head, NULL) == OK, "failed");
    exchange_begin(exchange, &stage->party, EDGE_START_TRAINING, head, blob_ref(stage->weights));
}

int stage_train(struct stage *stage, const struct train_request *request, struct exchange *exchange)
{
    stage_begin_training(stage, request, exchange);
    return exchange_wait(exchange);
}

int stage_abort(struct stage *stage, int32_t round_idx)
{
    const struct abort_request request = {.session_id = "session", .round_idx = round_idx};
    struct exchange exchange;
    struct blob *head = NULL;

    REQUIRE(edge_encode_abort_request(&request, &head, NULL) == OK, "failed");
    exchange_begin(&exchange, &stage->party, EDGE_ABORT, head, NULL);
    int status = exchange_wait(&exchange);
    exchange_end(&exchange);
    return status;
}
