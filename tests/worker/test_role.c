/* A whole worker in this process, with a real broker and a leader's side on the wire. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "codec/advert.h"
#include "codec/model_hash.h"
#include "tests/worker/stage.h"
#include "util/fs.h"

static const char leader_advert[] =
    "{\"type\": \"server\", \"timestamp\": 1.5, \"grpc_ep\": null, \"mqtt_client_topic\": \"advert_client\", "
    "\"cluster_id\": null, \"heartbeat_interval\": 0.05, \"hw_info\": {\"arch\": \"x86_64\", \"cpu_core_count\": "
    "\"2\", "
    "\"model_name\": \"x\", \"cuda_available\": false}, \"leader_term\": 3}";

/* ---- answers ---- */

static double metric(struct span json, const char *key)
{
    json_t *metrics = json_loadb(json.data, json.size, 0, NULL);
    double value = json_number_value(json_object_get(metrics, key));

    cr_assert(json_is_number(json_object_get(metrics, key)), "%s in %.*s", key, (int)json.size,
              (const char *)json.data);
    json_decref(metrics);
    return value;
}

static bool same_weights(const struct exchange *a, const struct exchange *b)
{
    struct train_response x, y;

    cr_assert_eq(edge_decode_train_response(blob_span(a->body), &x, NULL), OK);
    cr_assert_eq(edge_decode_train_response(blob_span(b->body), &y, NULL), OK);
    bool same = x.weights.size == y.weights.size && memcmp(x.weights.data, y.weights.data, x.weights.size) == 0;
    edge_arena_free(x.arena);
    edge_arena_free(y.arena);
    return same;
}

/* ---- discovery ---- */

static void find_endpoint(const char *payload, const char *client_id, struct client_advert *advert)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(client_advert_decode(span_of(payload, strlen(payload)), advert, &error), OK, "%s", error.message);
    cr_assert_str_eq(advert->id, client_id);
}

Test(role, is_found_beats_and_leaves, .timeout = 120)
{
    static struct stage stage;
    struct client_advert advert;
    char topic[200], expected[64], hash[MODEL_HASH_TEXT], folder[SCRATCH_PATH];

    stage_prepare(&stage);
    stage_set_text(&stage.config.comm_config.mqtt.client_name, "pi-7");
    stage_open(&stage);
    const char *id = worker_client_id(stage.worker);
    snprintf(topic, sizeof topic, "status/%s", id);
    free(party_hear(&stage.party, topic, "online"));
    party_publish(&stage.party, "advert_server", "{\"type\": \"nonsense\"", false); /* logged and dropped */
    party_publish(&stage.party, "advert_server", leader_advert, true);
    char *payload = party_hear(&stage.party, "advert_client", "\"LeNet5\"");
    find_endpoint(payload, id, &advert);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", worker_port(stage.worker));
    cr_assert_str_eq(advert.endpoint, expected);
    cr_assert_str_eq(advert.name, "pi-7");
    cr_assert(advert.speaks_safetensors);
    cr_assert_eq(advert.num_datasets, 1);
    cr_assert_str_eq(advert.datasets[0].id, "squares");
    cr_assert_eq(advert.datasets[0].num_items, 100);
    cr_assert_eq(advert.datasets[0].num_trainable, 95); /* the rest is held back, unless the folder says otherwise */
    cr_assert_eq(advert.datasets[0].num_labels, 10);
    cr_assert_float_eq(advert.datasets[0].labels[3].fraction, 0.1, 1e-6);
    cr_assert_null(strstr(payload, "data_filename"));
    snprintf(folder, sizeof folder, "%.400s/model_cache/LeNet5", stage.temp_dir);
    cr_assert_eq(model_hash(folder, hash, NULL), OK);
    cr_assert_str_eq(advert.models[0].hash, hash);
    client_advert_fini(&advert);
    free(payload);
    free(party_hear(&stage.party, "heartbeat", id));
    stage_end_worker(&stage);
    free(party_hear(&stage.party, topic, "offline"));
    free(party_hear(&stage.party, topic, "")); /* cleared */
    stage_close(&stage);
}

static bool echoes(void *context)
{
    struct stage *stage = context;
    struct exchange exchange;
    struct blob *head = NULL;

    cr_assert_eq(edge_encode_text("are you there?", &head, NULL), OK);
    exchange_begin(&exchange, &stage->party, EDGE_ECHO, head, NULL);
    int status = exchange_wait(&exchange);
    if (!status) {
        struct text_message text;
        cr_assert_eq(edge_decode_text(blob_span(exchange.body), &text, NULL), OK);
        cr_assert_str_eq(text.text, "are you there?");
        edge_arena_free(text.arena);
    }
    exchange_end(&exchange);
    return !status;
}

Test(role, repeats_its_advert_until_somebody_echoes, .timeout = 120)
{
    static struct stage stage;

    stage_prepare(&stage);
    stage_set_text(&stage.config.comm_config.mqtt.topic_prefix, "room7/");
    stage_open(&stage);
    party_publish(&stage.party, "room7/advert_server", leader_advert, true);
    /* Two: the first answer and one repetition. More would come, and none after the echo: that is not waited for. */
    for (size_t n = 0; n < 2; n = party_count(&stage.party, "room7/advert_client"))
        free(party_hear(&stage.party, "room7/advert_client", "squares"));
    cr_assert(echoes(&stage));
    cr_assert_eq(party_count(&stage.party, "advert_client"), 0);
    stage_close(&stage);
}

Test(role, comes_back_when_its_broker_does, .timeout = 120)
{
    static struct stage stage;
    struct party second;
    struct error error = ERROR_INIT;
    char topic[200];

    stage_prepare(&stage);
    stage_open(&stage);
    snprintf(topic, sizeof topic, "status/%s", worker_client_id(stage.worker));
    free(party_hear(&stage.party, topic, "online"));
    int port = stage.broker.port;
    mosquitto_kill(&stage.broker);
    cr_assert(echoes(&stage)); /* gRPC goes on */
    cr_assert_eq(mosquitto_start(&stage.broker, port, NULL, &error), OK, "%s", error.message);
    party_start(&second, port); /* nothing is left of what the first party heard */
    free(party_hear(&second, topic, "online"));
    party_publish(&second, "advert_server", leader_advert, true);
    free(party_hear(&second, "advert_client", "squares"));
    party_stop(&second);
    stage_close(&stage);
}

/* ---- training ---- */

Test(role, trains_and_gives_an_identical_request_the_same_answer, .timeout = 120)
{
    static struct stage stage;
    struct exchange first, again;
    struct train_response response;

    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.num_epochs = 2;
    cr_assert_eq(stage_train(&stage, &request, &first), OK, "%s", first.error.message);
    cr_assert_eq(edge_decode_train_response(blob_span(first.body), &response, NULL), OK);
    cr_assert_str_eq(response.client_id, worker_client_id(stage.worker));
    cr_assert_str_eq(response.model_id, "LeNet5");
    cr_assert_eq(metric(response.metrics, "num_samples"), 95);
    cr_assert_eq(metric(response.metrics, "total_mini_batches"), 12);
    request.leader_term = 4; /* a restarted leader asks again */
    cr_assert_eq(stage_train(&stage, &request, &again), OK);
    cr_assert_eq(blob_size(first.body), blob_size(again.body));
    cr_assert_eq(memcmp(blob_bytes(first.body), blob_bytes(again.body), blob_size(first.body)), 0,
                 "metrics too: it was kept, not trained again");
    edge_arena_free(response.arena);
    exchange_end(&first);
    exchange_end(&again);
    stage_close(&stage);
}

Test(role, refuses_a_leader_that_was_replaced, .timeout = 120)
{
    static struct stage stage;
    struct exchange exchange;

    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.leader_term = 6;
    cr_assert_eq(stage_train(&stage, &request, &exchange), OK);
    exchange_end(&exchange);
    request.leader_term = 5;
    cr_assert_eq(stage_train(&stage, &request, &exchange), ERR_PRECONDITION);
    cr_assert_not_null(strstr(exchange.error.message, "term"), "%s", exchange.error.message);
    request.leader_term = 0; /* a stock leader knows no terms */
    request.round_idx = 1;
    cr_assert_eq(stage_train(&stage, &request, &exchange), OK);
    exchange_end(&exchange);
    stage_close(&stage);
}

/* A worker whose training halts after its first mini-batch, until it is let go. */
struct halt {
    struct probes probes;
    int fd, slot;
};

static void halt_arm(struct halt *halt, struct stage *stage)
{
    halt->fd = eventfd(0, EFD_CLOEXEC);
    probes_init(&halt->probes, halt->fd);
    halt->slot = probe_arm(&halt->probes, "worker.training", -1);
    stage->host.probes = &halt->probes;
}

static void halt_await(struct halt *halt)
{
    uint64_t hits;

    cr_assert_eq(read(halt->fd, &hits, sizeof hits), (ssize_t)sizeof hits);
}

static void halt_let_go(struct halt *halt)
{
    probe_release(&halt->probes, halt->slot);
    close(halt->fd);
}

struct event_count {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int trainings, trained, failures;
};

static void count_event(void *context, const char *event)
{
    struct event_count *count = context;

    pthread_mutex_lock(&count->mutex);
    count->trainings += strcmp(event, "training") == 0;
    count->trained += strcmp(event, "trained") == 0;
    count->failures += strcmp(event, "failed") == 0;
    pthread_cond_broadcast(&count->changed);
    pthread_mutex_unlock(&count->mutex);
}

Test(role, an_identical_request_joins_the_one_in_hand, .timeout = 120)
{
    static struct stage stage;
    static struct halt halt;
    static struct event_count count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    struct exchange first, second;

    halt_arm(&halt, &stage);
    stage.host.observe = count_event;
    stage.host.context = &count;
    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    stage_begin_training(&stage, &request, &first);
    halt_await(&halt);
    exchange_cancel(&first); /* the leader's connection breaks; its training goes on */
    cr_assert_eq(exchange_wait(&first), ERR_CANCELLED);
    stage_begin_training(&stage, &request, &second);
    cr_assert(echoes(&stage)); /* answered at once while the training stands still */
    cr_assert_not(exchange_is_over(&second));
    halt_let_go(&halt);
    cr_assert_eq(exchange_wait(&second), OK, "%s", second.error.message);
    exchange_end(&second);
    stage_close(&stage);
    cr_assert_eq(count.trainings, 1, "it was trained %d times", count.trainings);
    cr_assert_eq(count.failures, 0);
}

Test(role, abort_stops_a_training_at_its_next_mini_batch, .timeout = 120)
{
    static struct stage stage;
    static struct halt halt;
    struct exchange exchange;

    halt_arm(&halt, &stage);
    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.round_idx = 2;
    request.num_epochs = 1000000; /* it would take hours */
    stage_begin_training(&stage, &request, &exchange);
    halt_await(&halt);
    cr_assert_eq(stage_abort(&stage, 1), OK); /* another round's: nothing happens */
    cr_assert_not(exchange_is_over(&exchange));
    cr_assert_eq(stage_abort(&stage, 2), OK);
    halt_let_go(&halt);
    cr_assert_eq(exchange_wait(&exchange), ERR_CANCELLED);
    cr_assert_not_null(strstr(exchange.error.message, "abort"), "%s", exchange.error.message);
    request.num_epochs = 1;
    cr_assert_eq(stage_train(&stage, &request, &exchange), OK);
    exchange_end(&exchange);
    stage_close(&stage);
}

Test(role, a_newer_request_stops_the_older, .timeout = 120)
{
    static struct stage stage;
    static struct halt halt;
    struct exchange older, newer;

    halt_arm(&halt, &stage);
    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.num_epochs = 1000000;
    stage_begin_training(&stage, &request, &older);
    halt_await(&halt);
    request.num_epochs = 1;
    request.round_idx = 1;
    stage_begin_training(&stage, &request, &newer);
    cr_assert(echoes(&stage));
    halt_let_go(&halt);
    cr_assert_eq(exchange_wait(&older), ERR_CANCELLED);
    cr_assert_not_null(strstr(older.error.message, "newer"), "%s", older.error.message);
    cr_assert_eq(exchange_wait(&newer), OK, "%s", newer.error.message);
    exchange_end(&newer);
    stage_close(&stage);
}

Test(role, a_lost_training_ends_after_its_grace, .timeout = 120)
{
    static struct stage stage;
    static struct event_count count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    struct exchange exchange;

    stage.host.observe = count_event;
    stage.host.context = &count;
    stage_prepare(&stage);
    stage.config.orphan_grace_s = 0.2;
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.num_epochs = 1000000;
    stage_begin_training(&stage, &request, &exchange);
    pthread_mutex_lock(&count.mutex);
    while (!count.trainings)
        pthread_cond_wait(&count.changed, &count.mutex);
    pthread_mutex_unlock(&count.mutex);
    exchange_cancel(&exchange);
    cr_assert_eq(exchange_wait(&exchange), ERR_CANCELLED);
    pthread_mutex_lock(&count.mutex);
    while (!count.failures)
        pthread_cond_wait(&count.changed, &count.mutex);
    pthread_mutex_unlock(&count.mutex);
    stage_close(&stage);
}

static int trainings_of(struct event_count *count)
{
    pthread_mutex_lock(&count->mutex);
    int trainings = count->trainings;
    pthread_mutex_unlock(&count->mutex);
    return trainings;
}

/* Its leader dies while it trains, and is away until after the end. */
Test(role, the_answer_of_a_lost_training_is_kept, .timeout = 120)
{
    static struct stage stage;
    static struct halt halt;
    static struct event_count count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    struct exchange lost, again;

    halt_arm(&halt, &stage);
    stage.host.observe = count_event;
    stage.host.context = &count;
    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    stage_begin_training(&stage, &request, &lost);
    halt_await(&halt);
    exchange_cancel(&lost);
    cr_assert_eq(exchange_wait(&lost), ERR_CANCELLED);
    halt_let_go(&halt);
    pthread_mutex_lock(&count.mutex);
    while (!count.trained)
        pthread_cond_wait(&count.changed, &count.mutex);
    pthread_mutex_unlock(&count.mutex);
    request.leader_term = 9;
    cr_assert_eq(stage_train(&stage, &request, &again), OK, "%s", again.error.message);
    cr_assert_eq(trainings_of(&count), 1);
    exchange_end(&again);
    stage_close(&stage);
}

Test(role, a_kept_answer_is_given_up_after_its_grace, .timeout = 120)
{
    static struct stage stage;
    static struct event_count count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};
    struct exchange exchange;

    stage.host.observe = count_event;
    stage.host.context = &count;
    stage_prepare(&stage);
    stage.config.orphan_grace_s = 0.2;
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    while (trainings_of(&count) < 2) { /* asked again and again it keeps the answer no longer */
        cr_assert_eq(stage_train(&stage, &request, &exchange), OK, "%s", exchange.error.message);
        exchange_end(&exchange);
    }
    stage_close(&stage);
}

Test(role, leaves_while_it_trains, .timeout = 120)
{
    static struct stage stage;
    static struct halt halt;
    struct exchange training, validation;
    struct blob *head = NULL;

    halt_arm(&halt, &stage);
    stage_prepare(&stage);
    stage_open(&stage);
    struct train_request request = stage_request(&stage);
    request.num_epochs = 1000000;
    stage_begin_training(&stage, &request, &training);
    halt_await(&halt);
    const struct validation_request queued = {
        .session_id = "session", .model_id = "LeNet5", .model_class = "", .dataset_id = "squares", .batch_size = 16};
    cr_assert_eq(edge_encode_validation_request(&queued, blob_size(stage.weights), &head, NULL), OK);
    exchange_begin(&validation, &stage.party, EDGE_START_VALIDATION, head, blob_ref(stage.weights));
    cr_assert(echoes(&stage));
    worker_stop(stage.worker);
    halt_let_go(&halt);
    cr_assert_neq(exchange_wait(&training), OK);
    cr_assert_neq(exchange_wait(&validation), OK);
    stage_end_worker(&stage);
    cr_assert_not(echoes(&stage), "the port is closed");
    stage_close(&stage);
}

/* ---- validation and benchmark ---- */

Test(role, validates_and_benchmarks, .timeout = 120)
{
    static struct stage stage;
    struct exchange exchange;
    struct blob *head = NULL;
    struct validation_response validation;
    struct bench_response bench;
    char path[SCRATCH_PATH];

    stage_prepare(&stage);
    stage_open(&stage);
    const struct validation_request request = {.session_id = "session",
                                               .model_id = "LeNet5",
                                               .model_class = "",
                                               .dataset_id = "squares",
                                               .batch_size = 16,
                                               .round_idx = 4};
    cr_assert_eq(edge_encode_validation_request(&request, blob_size(stage.weights), &head, NULL), OK);
    exchange_begin(&exchange, &stage.party, EDGE_START_VALIDATION, head, blob_ref(stage.weights));
    cr_assert_eq(exchange_wait(&exchange), OK, "%s", exchange.error.message);
    cr_assert_eq(edge_decode_validation_response(blob_span(exchange.body), &validation, NULL), OK);
    cr_assert_eq(validation.round_idx, 4);
    cr_assert_eq(metric(validation.metrics, "num_samples"), 5);
    edge_arena_free(validation.arena);
    exchange_end(&exchange);

    const struct bench_request bench_request = {.model_id = "LeNet5",
                                                .model_class = "",
                                                .dataset_id = "squares",
                                                .batch_size = 16,
                                                .learning_rate = 0.1f,
                                                .limit = {LIMIT_MINI_BATCHES, 0, 9}};
    cr_assert_eq(edge_encode_bench_request(&bench_request, &head, NULL), OK);
    party_publish(&stage.party, "advert_server", leader_advert, true);
    exchange_begin(&exchange, &stage.party, EDGE_INIT_BENCH, head, NULL);
    cr_assert_eq(exchange_wait(&exchange), OK, "%s", exchange.error.message);
    cr_assert_eq(edge_decode_bench_response(blob_span(exchange.body), &bench, NULL), OK);
    cr_assert_eq(bench.num_mini_batches, 9);
    cr_assert_gt(bench.bench_duration_s, 0);
    edge_arena_free(bench.arena);
    exchange_end(&exchange);
    free(party_hear(&stage.party, "advert_client", "\"num_mini_batches\": 9"));
    char *info = scratch_read(scratch_path(path, stage.temp_dir, "client_info.yaml"));
    cr_assert_not_null(strstr(info, "num_mini_batches: 9"), "%s", info);
    free(info);
    stage_close(&stage);
}

/* ---- starting and ending ---- */

Test(role, says_that_there_is_no_broker, .timeout = 120)
{
    static struct stage stage;

    stage_prepare(&stage);
    mosquitto_kill(&stage.broker);
    stage.config.comm_config.mqtt.mqtt_sub_timeout_s = 0.3;
    stage_run_worker(&stage);
    pthread_join(stage.thread, NULL);
    cr_assert_eq(stage.status, ERR_SETUP);
    cr_assert_not_null(strstr(stage.failure.message, "mosquitto -p"), "%s", stage.failure.message);
    worker_free(stage.worker);
    params_free(&worker_config_table, &stage.config);
    scratch_remove(stage.dir);
}

static void expect_no_worker(struct stage *stage, int status, const char *words)
{
    struct error error = ERROR_INIT;
    struct worker *worker;

    cr_assert_eq(worker_new(&worker, &stage->config, NULL, NULL, &error), status, "%s", error.message);
    cr_assert_null(worker);
    cr_assert_not_null(strstr(error.message, words), "%s", error.message);
}

Test(role, says_why_it_cannot_start, .timeout = 120)
{
    static struct stage stage;
    char other[SCRATCH_PATH];

    stage_prepare(&stage);
    stage_open(&stage);
    expect_no_worker(&stage, ERR_SETUP, "another worker");
    stage_set_text(&stage.config.general_config.temp_dir_path, scratch_path(other, stage.dir, "other"));
    stage.config.comm_config.grpc.sync_port = worker_port(stage.worker);
    expect_no_worker(&stage, ERR_SETUP, "in use");
    stage.config.comm_config.grpc.sync_port = 0;
    stage_set_text(&stage.config.tls.ca, "ca.pem");
    expect_no_worker(&stage, ERR_UNIMPLEMENTED, "tls");
    stage_set_text(&stage.config.tls.ca, "");
    stage_set_text(&stage.config.dataset_config.datasets_dir_path, "/nowhere");
    expect_no_worker(&stage, ERR_SETUP, "/nowhere");
    stage_set_text(&stage.config.comm_config.grpc.bind, "0.0.0.0");
    stage.config.security = 1;
    expect_no_worker(&stage, ERR_SETUP, "strict");
    stage_close(&stage);
}

Test(role, cleans_up_what_it_made, .timeout = 120)
{
    static struct stage stage;
    char path[SCRATCH_PATH];

    stage_prepare(&stage);
    stage.config.general_config.cleanup_model_cache_on_exit = true;
    stage_open(&stage);
    cr_assert(fs_exists(scratch_path(path, stage.temp_dir, "model_cache/LeNet5/model.yaml")));
    stage_end_worker(&stage);
    cr_assert_not(fs_exists(scratch_path(path, stage.temp_dir, "model_cache")));
    cr_assert(fs_exists(scratch_path(path, stage.temp_dir, "client_info.yaml")));
    stage.config.general_config.cleanup_temp_on_exit = true;
    stage_run_worker(&stage);
    stage_end_worker(&stage);
    cr_assert_not(fs_exists(stage.temp_dir));
    stage_close(&stage);
}

Test(role, keeps_its_id_and_models_over_a_restart, .timeout = 120)
{
    static struct stage stage;
    char id[CLIENT_ID_MAX];
    struct exchange exchange;

    stage_prepare(&stage);
    stage_open(&stage);
    strcpy(id, worker_client_id(stage.worker));
    stage_end_worker(&stage);
    stage_run_worker(&stage);
    cr_assert_str_eq(worker_client_id(stage.worker), id);
    party_reach(&stage.party, worker_port(stage.worker));
    struct train_request request = stage_request(&stage);
    cr_assert_eq(stage_train(&stage, &request, &exchange), OK, "%s", exchange.error.message);
    exchange_end(&exchange);
    stage_close(&stage);
}

Test(role, two_fresh_workers_train_alike, .timeout = 120)
{
    struct exchange answers[2];

    for (int i = 0; i < 2; i++) {
        static struct stage stages[2];
        stages[i].host.client_id = "client-3";
        stage_prepare(&stages[i]);
        stage_open(&stages[i]);
        struct train_request request = stage_request(&stages[i]);
        request.num_epochs = 2;
        cr_assert_eq(stage_train(&stages[i], &request, &answers[i]), OK, "%s", answers[i].error.message);
        stage_close(&stages[i]);
    }
    cr_assert(same_weights(&answers[0], &answers[1]));
    exchange_end(&answers[0]);
    exchange_end(&answers[1]);
}

/* ---- untrusted uploads ---- */

Test(role, uploads_stay_in_the_cache, .timeout = 120)
{
    static struct stage stage;
    char path[SCRATCH_PATH];

    stage_prepare(&stage);
    stage_open(&stage);
    cr_assert_eq(party_upload(&stage.party, "../LeNet5", "model.yaml", "x"), ERR_INVALID);
    cr_assert_eq(party_upload(&stage.party, "LeNet5", "../../x", "x"), ERR_INVALID);
    cr_assert_eq(party_upload(&stage.party, "", "x", "x"), ERR_INVALID);
    cr_assert_eq(party_upload(&stage.party, "LeNet5", "empty", ""), OK);
    cr_assert_not(fs_exists(scratch_path(path, stage.dir, "x")));
    stage_close(&stage);
}
