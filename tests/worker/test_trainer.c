/* The trainer's arithmetic, limits, slots and refusals; no network. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "codec/encoding.h"
#include "nn/run.h"
#include "tests/worker/bench_data.h"
#include "tests/worker/scratch.h"
#include "worker/trainer.h"

enum { ITEMS = 100, TRAINED_ON = 95, BATCH = 16, BATCHES = 6 };

struct world {
    char dir[SCRATCH_PATH];
    struct dataset dataset;
    struct data_view view;
    struct worker_host host;
    struct model_cache *cache;
    struct datasets *datasets;
    struct trainer *trainer;
    struct model *model;
    struct blob *weights;
    struct stopper stop;
};

static void send_model(struct world *world, const char *model_id, const char *text)
{
    struct upload *upload;

    cr_assert_eq(model_cache_begin(world->cache, model_id, "model.yaml", &upload, NULL), OK);
    cr_assert_eq(upload_write(upload, span_of(text, strlen(text)), NULL), OK);
    cr_assert_eq(upload_end(upload, true, NULL), OK);
}

/* The host's hooks are set by the caller before. */
static void world_open(struct world *world, const char *client_id)
{
    scratch_make(world->dir);
    bench_data_make(&world->dataset, ITEMS);
    world->view = (struct data_view){.dataset = &world->dataset, .num_items = ITEMS};
    world->host.dataset_id = "squares";
    world->host.train = &world->view;
    cr_assert_eq(datasets_new(&world->datasets, NULL, &world->host, NULL, NULL), OK);
    cr_assert_eq(model_cache_new(&world->cache, world->dir, NULL), OK);
    send_model(world, "LeNet5", lenet_yaml);
    const struct trainer_setup setup = {
        .client_id = client_id,
        .host = &world->host,
        .datasets = world->datasets,
        .cache = world->cache,
        .clock = &clock_system,
        .threads = 1,
    };
    cr_assert_eq(trainer_new(&world->trainer, &setup, NULL), OK);
    world->model = lenet_load();
    world->weights = lenet_weights(world->model, 1);
    cr_assert_eq(stopper_init(&world->stop, NULL), OK);
}

static void world_close(struct world *world)
{
    trainer_free(world->trainer);
    datasets_free(world->datasets);
    model_cache_free(world->cache);
    dataset_fini(&world->dataset);
    model_free(world->model);
    blob_unref(world->weights);
    stopper_fini(&world->stop);
    scratch_remove(world->dir);
}

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static struct train_request request_of(const struct world *world)
{
    return (struct train_request){
        .session_id = "s",
        .model_id = "LeNet5",
        .model_class = "",
        .dataset_id = "squares",
        .weights = blob_span(world->weights),
        .batch_size = BATCH,
        .learning_rate = 0.05f,
        .num_epochs = 1,
        .round_idx = 2,
        .optimizer = text_span("{\"name\": \"sgd\", \"args\": {\"momentum\": 0.9}}"),
        .seed = 7,
    };
}

/* Trains and returns the metrics (new); fills *out. */
static json_t *train(struct world *world, const struct train_request *request, struct trained *out)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(trainer_train(world->trainer, request, NULL, &world->stop, out, &error), OK, "%s", error.message);
    json_t *metrics = json_loads(out->metrics, 0, NULL);
    cr_assert_not_null(metrics, "%s", out->metrics);
    return metrics;
}

static double number(const json_t *metrics, const char *key)
{
    const json_t *value = json_object_get(metrics, key);

    cr_assert(json_is_number(value), "%s", key);
    return json_number_value(value);
}

/* The bytes that a fresh worker answers with. */
static struct blob *train_fresh(const char *client_id, const struct train_request *changes)
{
    struct world world = {0};
    struct trained trained;

    world_open(&world, client_id);
    struct train_request request = request_of(&world);
    request.round_idx = changes->round_idx;
    request.seed = changes->seed;
    request.num_epochs = changes->num_epochs;
    json_decref(train(&world, &request, &trained));
    struct blob *weights = blob_ref(trained.weights);
    trained_fini(&trained);
    world_close(&world);
    return weights;
}

static bool same_bytes(struct blob *a, struct blob *b)
{
    return blob_size(a) == blob_size(b) && memcmp(blob_bytes(a), blob_bytes(b), blob_size(a)) == 0;
}

Test(trainer, learns_and_says_how_it_went)
{
    struct world world = {.host = {.local_validation_fraction = 0.05}};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.num_epochs = 12;
    json_t *metrics = train(&world, &request, &trained);
    cr_assert_eq(number(metrics, "num_samples"), TRAINED_ON);
    cr_assert_eq(number(metrics, "total_mini_batches"), 12 * BATCHES);
    cr_assert_float_eq(number(metrics, "num_epochs"), 12, 1e-12);
    cr_assert_gt(number(metrics, "accuracy"), 90);
    cr_assert_lt(number(metrics, "loss"), 0.5);
    cr_assert_gt(number(metrics, "time_taken_s"), 0);
    cr_assert_gt(number(metrics, "measured_s"), 0);
    cr_assert_gt(number(metrics, "pss_kb"), 0);
    cr_assert_gt(number(metrics, "pss_idle_kb"), 0);
    json_decref(metrics);
    trained_fini(&trained);
    world_close(&world);
}

/* The definition, written out: the first 95 of 100 items, shuffled from (seed, "shuffle", client, round), the last
 * mini-batch short. */
static struct blob *train_by_hand(const struct world *world, const struct train_request *request)
{
    const struct layout *layout = model_layout(world->model);
    float *params = malloc(layout->num_floats * sizeof *params),
          *grads = malloc(layout->num_parameters * sizeof *grads);
    float x[BATCH * 32 * 32];
    int32_t labels[BATCH];
    uint32_t order[TRAINED_ON];
    struct workspace *ws;
    struct optimizer *optimizer;
    struct blob *image;
    struct rng rng;

    cr_assert_eq(weights_decode(layout, request->weights, params, NULL), OK);
    cr_assert_eq(workspace_new(world->model, BATCH, true, &ws, NULL), OK);
    cr_assert_eq(
        optimizer_new(request->optimizer, (double)request->learning_rate, layout->num_parameters, &optimizer, NULL),
        OK);
    rng_init(&rng, request->seed, "shuffle", "c", (uint64_t)request->round_idx);
    for (uint32_t i = 0; i < TRAINED_ON; i++)
        order[i] = i;
    for (int epoch = 0; epoch < request->num_epochs; epoch++) {
        rng_shuffle_u32(&rng, order, TRAINED_ON);
        for (size_t first = 0; first < TRAINED_ON; first += BATCH) {
            size_t count = first + BATCH <= TRAINED_ON ? BATCH : TRAINED_ON - first;
            data_gather(&world->view, order, first, count, x, labels, NULL);
            train_step(world->model, ws, loss_find("crossentropy"), optimizer, params, grads, x,
                       (struct targets){.labels = labels}, (int)count, NULL, &(struct loss_sums){0});
        }
    }
    cr_assert_eq(encoding_find("safetensors")->encode(layout, params, &image, NULL), OK);
    optimizer_free(optimizer);
    workspace_free(ws);
    free(params);
    free(grads);
    return image;
}

Test(trainer, does_what_its_definition_says)
{
    struct world world = {.host = {.local_validation_fraction = 0.05}};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.num_epochs = 2;
    struct blob *expected = train_by_hand(&world, &request);
    json_decref(train(&world, &request, &trained));
    cr_assert(same_bytes(expected, trained.weights));
    blob_unref(expected);
    trained_fini(&trained);
    world_close(&world);
}

Test(trainer, repeats_bit_for_bit_and_only_then)
{
    const struct train_request base = {.round_idx = 2, .seed = 7, .num_epochs = 2};
    struct train_request other_round = base, other_seed = base;

    other_round.round_idx = 3;
    other_seed.seed = 8;
    struct blob *a = train_fresh("c", &base), *b = train_fresh("c", &base);
    struct blob *c = train_fresh("d", &base), *d = train_fresh("c", &other_round), *e = train_fresh("c", &other_seed);
    cr_assert(same_bytes(a, b));
    cr_assert_not(same_bytes(a, c));
    cr_assert_not(same_bytes(a, d));
    cr_assert_not(same_bytes(a, e));
    blob_unref(a);
    blob_unref(b);
    blob_unref(c);
    blob_unref(d);
    blob_unref(e);
}

/* ---- limits ---- */

static double nominal_device(void *context, double flops)
{
    return flops / *(const double *)context;
}

static double slow_link(void *context, int64_t round, size_t down, size_t up)
{
    (void)round;
    (void)context;
    return (double)(down + up) * 1e-3;
}

Test(trainer, is_cut_where_modelled_time_passes_the_timeout)
{
    static double flops_per_s = 1e6;
    struct world world = {
        .host = {.compute_seconds = nominal_device, .transfer_seconds = slow_link, .context = &flops_per_s}};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    double batch_s = model_flops_train(world.model) * BATCH / flops_per_s;
    request.limit = (struct work_limit){.kind = LIMIT_TIMEOUT, .timeout_duration_s = (float)(2.5 * batch_s)};
    request.num_epochs = 3;
    json_t *metrics = train(&world, &request, &trained);
    cr_assert_eq(number(metrics, "total_mini_batches"), 3);
    cr_assert_float_eq(number(metrics, "num_epochs"), 3.0 / 7, 1e-12); /* nothing held out: 7 a pass */
    double link_s = (double)(request.weights.size + blob_size(trained.weights)) * 1e-3;
    cr_assert_float_eq(number(metrics, "time_taken_s"), 3 * batch_s + link_s, 1e-6);
    cr_assert_lt(number(metrics, "measured_s"), 60);
    json_decref(metrics);
    trained_fini(&trained);
    world_close(&world);
}

/* 100 items in batches of 16: the last 4 fill none, and two whole epochs are two, not 12 / 7. */
Test(trainer, epochs_of_carried_states_count_whole_batches)
{
    static const char text[] = "input: [32, 32]\n"
                               "layers: [{rnn: {hidden: 4, carry: true}}, {linear: {out: 10}}]\n";
    struct world world = {0};
    struct trained trained;
    struct diags *diags = diags_new();

    world_open(&world, "c");
    send_model(&world, "carried", text);
    model_free(world.model);
    cr_assert_eq(model_load_text(text, "carried", NULL, &world.model, diags), OK, "%s", diags_text(diags));
    blob_unref(world.weights);
    world.weights = lenet_weights(world.model, 1);
    struct train_request request = request_of(&world);
    request.model_id = "carried";
    request.num_epochs = 2;
    json_t *metrics = train(&world, &request, &trained);
    cr_assert_eq(number(metrics, "total_mini_batches"), 12);
    cr_assert_float_eq(number(metrics, "num_epochs"), 2, 1e-12);
    json_decref(metrics);
    trained_fini(&trained);
    diags_free(diags);
    world_close(&world);
}

Test(trainer, is_cut_by_a_count_across_epochs)
{
    struct world world = {.host = {.local_validation_fraction = 0.05}};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.num_epochs = 10;
    request.limit = (struct work_limit){.kind = LIMIT_MINI_BATCHES, .max_mini_batch_count = BATCHES + 2};
    json_t *metrics = train(&world, &request, &trained);
    cr_assert_eq(number(metrics, "total_mini_batches"), BATCHES + 2);
    json_decref(metrics);
    trained_fini(&trained);
    world_close(&world);
}

Test(trainer, is_cut_by_the_clock_where_time_is_measured)
{
    struct world world = {0};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.num_epochs = 1000000;
    request.limit = (struct work_limit){.kind = LIMIT_TIMEOUT, .timeout_duration_s = 0.05f};
    json_t *metrics = train(&world, &request, &trained);
    cr_assert_geq(number(metrics, "time_taken_s"), 0.05);
    cr_assert_lt(number(metrics, "num_epochs"), 1000000);
    json_decref(metrics);
    trained_fini(&trained);
    world_close(&world);
}

/* ---- slots, idling, stopping ---- */

struct slots_seen {
    struct world *world;
    int acquired, released;
    bool refuse, stop_on_release;
    double flops_per_s;
};

static bool acquire(void *context, bool (*stop)(void *), void *stop_context)
{
    struct slots_seen *seen = context;

    seen->acquired++;
    cr_assert_not(stop(stop_context));
    return !seen->refuse;
}

static void release(void *context)
{
    struct slots_seen *seen = context;

    seen->released++;
    if (seen->stop_on_release)
        stopper_raise(&seen->world->stop);
}

static double seen_device(void *context, double flops)
{
    return flops / ((struct slots_seen *)context)->flops_per_s;
}

Test(trainer, computes_in_a_slot_and_gives_it_back)
{
    struct slots_seen seen = {0};
    struct world world = {.host = {.acquire_slot = acquire, .release_slot = release, .context = &seen}};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    json_decref(train(&world, &request, &trained));
    trained_fini(&trained);
    cr_assert_eq(seen.acquired, 1);
    cr_assert_eq(seen.released, 1);
    request.dataset_id = "nothing";
    cr_assert_eq(trainer_train(world.trainer, &request, NULL, &world.stop, &trained, NULL), ERR_NOT_FOUND);
    cr_assert_eq(seen.acquired, 2);
    cr_assert_eq(seen.released, 2);
    seen.refuse = true;
    cr_assert_eq(trainer_train(world.trainer, &request, NULL, &world.stop, &trained, NULL), ERR_CANCELLED);
    cr_assert_eq(seen.released, 2);
    world_close(&world);
}

Test(trainer, idles_outside_its_slot_until_stopped, .timeout = 60)
{
    struct slots_seen seen = {.stop_on_release = true, .flops_per_s = 1};
    struct world world = {.host = {.acquire_slot = acquire,
                                   .release_slot = release,
                                   .compute_seconds = seen_device,
                                   .idle_to_modelled = true,
                                   .context = &seen}};
    struct trained trained;

    world_open(&world, "c");
    seen.world = &world;
    struct train_request request = request_of(&world);
    /* Years, if nobody stopped it after the slot is free again. */
    cr_assert_eq(trainer_train(world.trainer, &request, NULL, &world.stop, &trained, NULL), ERR_CANCELLED);
    cr_assert_eq(seen.released, 1);
    cr_assert_null(trained.weights);
    world_close(&world);
}

Test(trainer, idles_for_the_modelled_duration)
{
    struct slots_seen seen = {0};
    struct world world = {.host = {.acquire_slot = acquire,
                                   .release_slot = release,
                                   .compute_seconds = seen_device,
                                   .idle_to_modelled = true,
                                   .context = &seen}};
    struct trained trained;
    uint64_t begin_ns = clock_now_ns(&clock_system);

    world_open(&world, "c");
    seen.flops_per_s = model_flops_train(world.model) * ITEMS / 0.5; /* half a second */
    struct train_request request = request_of(&world);
    json_decref(train(&world, &request, &trained));
    cr_assert_geq((double)(clock_now_ns(&clock_system) - begin_ns) * 1e-9, 0.499);
    trained_fini(&trained);
    world_close(&world);
}

Test(trainer, a_raised_stopper_ends_it_before_it_begins)
{
    struct world world = {0};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    stopper_raise(&world.stop);
    cr_assert_eq(trainer_train(world.trainer, &request, NULL, &world.stop, &trained, NULL), ERR_CANCELLED);
    world_close(&world);
}

struct trainer_thread {
    struct world *world;
    struct train_request request;
    int status;
};

static void *run_trainer(void *argument)
{
    struct trainer_thread *thread = argument;
    struct trained trained;

    thread->status =
        trainer_train(thread->world->trainer, &thread->request, NULL, &thread->world->stop, &trained, NULL);
    trained_fini(&trained);
    return NULL;
}

Test(trainer, halts_at_its_probe_after_the_first_mini_batch, .timeout = 60)
{
    struct probes probes;
    uint64_t hits;
    int notify_fd = eventfd(0, EFD_CLOEXEC);
    struct world world = {.host = {.probes = &probes}};
    pthread_t thread;

    probes_init(&probes, notify_fd);
    world_open(&world, "c");
    struct trainer_thread work = {.world = &world, .request = request_of(&world), .status = 1};
    int slot = probe_arm(&probes, "worker.training", work.request.round_idx);
    cr_assert_eq(pthread_create(&thread, NULL, run_trainer, &work), 0);
    cr_assert_eq(read(notify_fd, &hits, sizeof hits), (ssize_t)sizeof hits);
    cr_assert_eq(probe_state(&probes, slot), PROBE_HIT);
    stopper_raise(&world.stop); /* it looks at this right after the halt: so it did halt after the first mini-batch */
    probe_release(&probes, slot);
    pthread_join(thread, NULL);
    cr_assert_eq(work.status, ERR_CANCELLED);
    close(notify_fd);
    world_close(&world);
}

/* ---- what was received ---- */

struct received {
    void *weights; /* NULL once dropped */
    int num_drops;
};

static void drop_received(void *context)
{
    struct received *received = context;

    free(received->weights);
    received->weights = NULL;
    received->num_drops++;
}

static struct span receive(struct received *received, const struct world *world)
{
    struct span weights = blob_span(world->weights);

    *received = (struct received){.weights = malloc(weights.size)};
    cr_assert_not_null(received->weights);
    memcpy(received->weights, weights.data, weights.size);
    return span_of(received->weights, weights.size);
}

Test(trainer, needs_the_received_bytes_only_until_they_are_decoded)
{
    struct world world = {.host = {.local_validation_fraction = 0.2}};
    struct received received;
    const struct request_bytes bytes = {drop_received, &received};
    struct trained kept, dropped;
    char *text;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    json_decref(train(&world, &request, &kept));
    request.weights = receive(&received, &world);
    cr_assert_eq(trainer_train(world.trainer, &request, &bytes, &world.stop, &dropped, NULL), OK);
    cr_assert_eq(received.num_drops, 1);
    cr_assert_eq(blob_size(kept.weights), blob_size(dropped.weights));
    cr_assert_arr_eq(blob_bytes(kept.weights), blob_bytes(dropped.weights), blob_size(kept.weights));
    const struct validation_request validation = {.session_id = "s",
                                                  .model_id = "LeNet5",
                                                  .model_class = "",
                                                  .dataset_id = "squares",
                                                  .weights = receive(&received, &world),
                                                  .batch_size = 7};
    cr_assert_eq(trainer_validate(world.trainer, &validation, &bytes, &world.stop, &text, NULL), OK);
    cr_assert_eq(received.num_drops, 1);
    free(text);
    trained_fini(&kept);
    trained_fini(&dropped);
    world_close(&world);
}

/* ---- refusals ---- */

static void expect_refused(struct world *world, const struct train_request *request, int status, const char *words)
{
    struct error error = ERROR_INIT;
    struct trained trained;

    cr_assert_eq(trainer_train(world->trainer, request, NULL, &world->stop, &trained, &error), status, "%d: %s",
                 error.status, error.message);
    cr_assert_not_null(strstr(error.message, words), "%s", error.message);
}

Test(trainer, refuses_with_a_sentence)
{
    struct world world = {0};
    const struct span pickle = span_of("\x80\x04\x95", 3);

    world_open(&world, "c");
    send_model(&world, "Wide", "input: [1, 64, 64]\nlayers:\n  - {flatten: {}}\n  - fc: {linear: {out: 10}}\n");
    send_model(&world, "Few", "input: [1, 32, 32]\nlayers:\n  - {flatten: {}}\n  - fc: {linear: {out: 3}}\n");
    send_model(&world, "Broken", "input: [1, 32, 32]\nlayers: 3\n");
#define REFUSED(status, words, change)                                                                                 \
    do {                                                                                                               \
        struct train_request request = request_of(&world);                                                             \
        change;                                                                                                        \
        expect_refused(&world, &request, status, words);                                                               \
    } while (0)
    REFUSED(ERR_NOT_FOUND, "StreamFile", request.model_id = "Nobody");
    REFUSED(ERR_NOT_FOUND, "squares", request.dataset_id = "circles");
    REFUSED(ERR_UNIMPLEMENTED, "pickle", request.weights = pickle);
    REFUSED(ERR_UNIMPLEMENTED, "model_config", request.model_config = pickle);
    REFUSED(ERR_UNIMPLEMENTED, "optimizer", request.optimizer = pickle);
    REFUSED(ERR_UNIMPLEMENTED, "loss_function", request.loss_function = pickle);
    REFUSED(ERR_INVALID, "", request.weights = text_span("not weights"));
    REFUSED(ERR_INVALID, "", request.weights = span_of(NULL, 0));
    REFUSED(ERR_INVALID, "batch_size", request.batch_size = 0);
    REFUSED(ERR_INVALID, "num_epochs", request.num_epochs = 0);
    REFUSED(ERR_INVALID, "learning_rate", request.learning_rate = NAN);
    REFUSED(ERR_INVALID, "model_config:1:", request.model_config = text_span("{"));
    REFUSED(ERR_INVALID, "model_args", request.model_config = text_span("{\"model_args\": 3}"));
    REFUSED(ERR_INVALID, "crossentropy", request.loss_function = text_span("{\"name\": \"guess\"}"));
    REFUSED(ERR_INVALID, "", request.optimizer = text_span("{\"name\": \"guess\"}"));
    REFUSED(ERR_INVALID, "[1, 64, 64]", request.model_id = "Wide");
    REFUSED(ERR_INVALID, "10 classes", request.model_id = "Few");
    REFUSED(ERR_INVALID, "model.yaml", request.model_id = "Broken");
    REFUSED(ERR_INVALID, "timeout_duration_s", request.limit.kind = LIMIT_TIMEOUT;
            request.limit.timeout_duration_s = -1);
#undef REFUSED
    world_close(&world);
}

Test(trainer, takes_a_model_that_was_sent_anew)
{
    struct world world = {0};
    struct trained trained;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    json_decref(train(&world, &request, &trained));
    trained_fini(&trained);
    send_model(&world, "LeNet5", "input: [1, 32, 32]\nlayers:\n  - {flatten: {}}\n  - fc: {linear: {out: 10}}\n");
    expect_refused(&world, &request, ERR_INVALID, ""); /* LeNet-5's weights do not fit the new network */
    send_model(&world, "LeNet5", lenet_yaml);
    json_decref(train(&world, &request, &trained));
    trained_fini(&trained);
    world_close(&world);
}

/* ---- validation and benchmark ---- */

Test(trainer, validates_on_what_was_held_out)
{
    struct world world = {.host = {.local_validation_fraction = 0.2}};
    struct evaluation expected;
    struct error error = ERROR_INIT;
    char *text;

    world_open(&world, "c");
    struct train_request train_request = request_of(&world);
    struct trained trained;
    train_request.num_epochs = 10;
    json_decref(train(&world, &train_request, &trained));
    const struct validation_request request = {.session_id = "s",
                                               .model_id = "LeNet5",
                                               .model_class = "",
                                               .dataset_id = "squares",
                                               .weights = blob_span(trained.weights),
                                               .batch_size = 7};
    cr_assert_eq(trainer_validate(world.trainer, &request, NULL, &world.stop, &text, &error), OK, "%s", error.message);
    json_t *metrics = json_loads(text, 0, NULL);
    cr_assert_eq(number(metrics, "num_samples"), 20);
    cr_assert_gt(number(metrics, "accuracy"), 80);
    expected.loss = number(metrics, "loss");
    cr_assert(expected.loss > 0 && expected.loss < 1);
    json_decref(metrics);
    free(text);
    trained_fini(&trained);
    world_close(&world);
}

Test(trainer, says_that_nothing_is_held_out)
{
    struct world world = {.host = {.local_validation_fraction = 0}};
    char *text;

    world_open(&world, "c");
    const struct validation_request request = {.session_id = "s",
                                               .model_id = "LeNet5",
                                               .model_class = "",
                                               .dataset_id = "squares",
                                               .weights = blob_span(world.weights),
                                               .batch_size = 7};
    cr_assert_eq(trainer_validate(world.trainer, &request, NULL, &world.stop, &text, NULL), ERR_PRECONDITION);
    world_close(&world);
}

static struct bench_result benchmark(struct world *world, struct work_limit limit)
{
    const struct bench_request request = {.model_id = "LeNet5",
                                          .model_class = "",
                                          .dataset_id = "squares",
                                          .batch_size = BATCH,
                                          .learning_rate = 0.01f,
                                          .limit = limit};
    struct bench_result result;
    struct error error = ERROR_INIT;

    cr_assert_eq(trainer_benchmark(world->trainer, &request, &world->stop, &result, &error), OK, "%s", error.message);
    return result;
}

Test(trainer, benchmarks_by_count_and_by_time)
{
    static double flops_per_s = 1e6;
    struct world world = {0}, modelled = {.host = {.compute_seconds = nominal_device, .context = &flops_per_s}};
    char hash[MODEL_HASH_TEXT];

    world_open(&world, "c");
    struct bench_result result = benchmark(&world, (struct work_limit){LIMIT_MINI_BATCHES, 0, 20});
    cr_assert_eq(result.num_mini_batches, 20);
    cr_assert_gt(result.duration_s, 0);
    cr_assert_eq(model_cache_hash(world.cache, "LeNet5", hash, NULL), OK);
    cr_assert_str_eq(result.model_hash, hash);
    result = benchmark(&world, (struct work_limit){LIMIT_TIMEOUT, 0.05f, 0});
    cr_assert_geq(result.num_mini_batches, 1);
    cr_assert_geq(result.duration_s, 0.05);
    world_close(&world);

    world_open(&modelled, "c");
    double batch_s = model_flops_train(modelled.model) * BATCH / flops_per_s;
    result = benchmark(&modelled, (struct work_limit){LIMIT_TIMEOUT, (float)(2.5 * batch_s), 0});
    cr_assert_eq(result.num_mini_batches, 3);
    cr_assert_float_eq(result.duration_s, 3 * batch_s, 1e-6);
    result = benchmark(&modelled, (struct work_limit){LIMIT_TIMEOUT, 1e9f, 0});
    cr_assert_eq(result.num_mini_batches, 7, "one pass of 100 items");
    world_close(&modelled);
}

Test(trainer, refuses_a_benchmark_without_end)
{
    const struct bench_request request = {
        .model_id = "LeNet5", .model_class = "", .dataset_id = "squares", .batch_size = BATCH};
    struct world world = {0};
    struct bench_result result;

    world_open(&world, "c");
    cr_assert_eq(trainer_benchmark(world.trainer, &request, &world.stop, &result, NULL), ERR_INVALID);
    world_close(&world);
}

/* ---- what strategies ask for besides plain training ---- */

/* Trains `steps` steps on all data at once, without momentum; fills out (new, by the model's layout). */
static float *weights_after(int32_t steps, double mu, struct span correction)
{
    struct world world = {0};
    struct trained trained;
    float *out;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.batch_size = ITEMS;
    request.num_epochs = steps;
    request.optimizer = text_span("{\"name\": \"sgd\"}");
    request.requires = mu > 0 ? "proximal" : correction.size ? "correction" : "";
    request.proximal_mu = mu;
    request.correction = correction;
    json_decref(train(&world, &request, &trained));
    out = malloc(model_layout(world.model)->num_floats * sizeof *out);
    cr_assert_not_null(out);
    cr_assert_eq(weights_decode(model_layout(world.model), blob_span(trained.weights), out, NULL), OK);
    trained_fini(&trained);
    world_close(&world);
    return out;
}

/* The first step is at the anchor; the second is pulled back by lr mu (w1 - w0). */
Test(trainer, a_proximal_term_pulls_back_to_the_global_model)
{
    enum { MU = 4 };
    struct span none = span_of(NULL, 0);
    struct model *model = lenet_load();
    struct blob *initial = lenet_weights(model, 1);
    size_t n = model_layout(model)->num_floats;
    float *w0 = malloc(n * sizeof *w0), *one = weights_after(1, 0, none), *two = weights_after(2, 0, none);
    float *pulled_one = weights_after(1, MU, none), *pulled_two = weights_after(2, MU, none);
    double moved = 0;

    cr_assert_not_null(w0);
    cr_assert_eq(weights_decode(model_layout(model), blob_span(initial), w0, NULL), OK);
    cr_assert_arr_eq(one, pulled_one, n * sizeof *one);
    for (size_t i = 0; i < n; i++) {
        double pull = 0.05 * MU * ((double)one[i] - (double)w0[i]);

        cr_assert_float_eq((double)two[i] - (double)pulled_two[i], pull, 1e-6 + 1e-4 * fabs(pull));
        moved = fmax(moved, fabs(pull));
    }
    cr_assert_gt(moved, 1e-4, "there was nothing to pull back");
    free(w0), free(one), free(two), free(pulled_one), free(pulled_two);
    blob_unref(initial);
    model_free(model);
}

Test(trainer, a_correction_is_added_to_the_gradient)
{
    struct model *model = lenet_load();
    size_t n = model_layout(model)->num_floats;
    float *correction = malloc(n * sizeof *correction), *plain, *corrected;
    struct blob *image;

    cr_assert_not_null(correction);
    for (size_t i = 0; i < n; i++)
        correction[i] = (float)(i % 13) * 0.01F - 0.05F;
    cr_assert_eq(weights_encode(model_layout(model), correction, &image, NULL), OK);
    plain = weights_after(1, 0, span_of(NULL, 0));
    corrected = weights_after(1, 0, blob_span(image));
    for (size_t i = 0; i < n; i++)
        cr_assert_float_eq((double)plain[i] - (double)corrected[i], 0.05 * (double)correction[i], 1e-6);
    free(correction), free(plain), free(corrected);
    blob_unref(image);
    model_free(model);
}

/* With learning rate 0 the loss of the training is the initial one. */
Test(trainer, tells_the_initial_loss_where_it_is_wanted)
{
    struct world world = {.host = {.local_validation_fraction = 0.05}};
    struct trained trained;
    json_t *metrics;
    double initial;

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    metrics = train(&world, &request, &trained);
    cr_assert_null(json_object_get(metrics, "initial_loss"));
    json_decref(metrics);
    trained_fini(&trained);
    request.requires = "initial_loss";
    request.initial_loss = true;
    request.num_epochs = 8;
    metrics = train(&world, &request, &trained);
    initial = number(metrics, "initial_loss");
    cr_assert_gt(initial, number(metrics, "loss"));
    json_decref(metrics);
    trained_fini(&trained);
    request.num_epochs = 1;
    request.learning_rate = 0;
    metrics = train(&world, &request, &trained);
    cr_assert_eq(number(metrics, "initial_loss"), initial);
    cr_assert_float_eq(number(metrics, "loss"), initial, 1e-5);
    json_decref(metrics);
    trained_fini(&trained);
    world_close(&world);
}

static void expect_refused_request(struct world *world, const struct train_request *request, int status,
                                   const char *part)
{
    struct trained trained;
    struct error error = ERROR_INIT;

    cr_assert_eq(trainer_train(world->trainer, request, NULL, &world->stop, &trained, &error), status, "%s",
                 error.message);
    cr_assert_not_null(strstr(error.message, part), "%s", error.message);
}

Test(trainer, refuses_what_it_cannot_do_for_a_strategy)
{
    struct world world = {0};

    world_open(&world, "c");
    struct train_request request = request_of(&world);
    request.requires = "proximal,telepathy,correction";
    expect_refused_request(&world, &request, ERR_UNIMPLEMENTED, "`telepathy`");
    request.requires = "prox";
    expect_refused_request(&world, &request, ERR_UNIMPLEMENTED, "`prox`");
    request.requires = "proximal";
    request.proximal_mu = NAN;
    expect_refused_request(&world, &request, ERR_INVALID, "proximal_mu");
    request.proximal_mu = -1;
    expect_refused_request(&world, &request, ERR_INVALID, "proximal_mu");
    request.proximal_mu = 0;
    request.requires = "correction";
    request.correction = text_span("this is no image of weights");
    expect_refused_request(&world, &request, ERR_INVALID, "");
    world_close(&world);
}
