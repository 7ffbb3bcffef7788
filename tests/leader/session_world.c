#include "session_world.h"

#include <math.h>

#include "util/fs.h"

static const char session_text[] = "session_config: {aggregator: %s, client_selection: %s, client_selection_args: "
                                   "{%s}, seed: 7, %s}\n"
                                   "benchmark_config: {skip_benchmark: %s}\n"
                                   "server_training_config: {model_dir: m, num_training_rounds: %d}\n"
                                   "client_training_config: {model_id: tiny, dataset: digits, "
                                   "train_timeout_duration_s: %s}\n";

static void too_late(struct loop_timer *timer)
{
    (void)timer;
    fprintf(stderr, "the session did not end in %d s\n", DEADLINE_S);
    exit(1);
}

static void observe(void *context, const char *event, const json_t *fields)
{
    struct world *world = context;

    if (world->observe)
        world->observe(world, event, fields);
}

static void over(void *context, struct session *session)
{
    struct world *world = context;

    world->ledger = *session_ledger(session);
    world->status = session_state(session);
    snprintf(world->reason, sizeof world->reason, "%s", session_reason(session));
    world->model = blob_ref(session_model(session));
    world->json = session_json(session, true);
    session_free(session);
    world->session = NULL;
    loop_stop(world->loop);
}

static void make_layout(struct layout *layout)
{
    int64_t weight[] = {30, 20}, bias[] = {30};

    layout_init(layout);
    CHECK(layout_add(layout, "fc.weight", TENSOR_PARAMETER, false, 2, weight, NULL) == OK);
    CHECK(layout_add(layout, "fc.bias", TENSOR_PARAMETER, false, 1, bias, NULL) == OK);
}

void world_init(struct world *world, size_t clients)
{
    struct roster_options options = {
        .heartbeat_interval_s = 10, .max_missed = 3, .num_heartbeats_kept = 4, .echo_timeout_s = 5};
    struct link_factory factory;

    memset(world, 0, sizeof *world);
    loop_timer_init(&world->deadline, too_late);
    CHECK(loop_new(&world->loop, &clock_system, NULL) == OK);
    CHECK(executor_new(&world->executor, world->loop, "compute", NULL) == OK);
    params_defaults(&leader_config_table, &world->config);
    CHECK(state_open(&world->state, &(struct state_options){.kind = store_kind_find("inmemory"), .cluster = "c"},
                     NULL) == OK);
    make_layout(&world->layout);
    world->net = (struct memory_net){world->loop, &world->layout, world->clients, clients, 0, 0, 0, 0};
    factory = memory_link_factory(&world->net);
    CHECK(roster_new(&world->roster, &options, &factory, world->loop, NULL, NULL) == OK);
    world->host = (struct leader_host){.context = world, .observe = observe};
    for (size_t i = 0; i < clients; i++) {
        struct memory_client *client = &world->clients[i];

        snprintf(client->id, sizeof client->id, "client-%03zu", i);
        snprintf(client->endpoint, sizeof client->endpoint, "10.0.0.1:%zu", 1000 + i);
        client->num_samples = 10 + (int64_t)(i * 7 % 23);
    }
}

void everybody_advertises(struct world *world)
{
    for (size_t i = 0; i < world->net.n; i++)
        memory_client_advertise(&world->net, &world->clients[world->net.n - 1 - i], world->roster);
}

void world_fini(struct world *world)
{
    loop_timer_cancel(world->loop, &world->deadline);
    roster_close(world->roster);
    executor_free(world->executor);
    loop_free(world->loop);
    roster_free(world->roster);
    CHECK(world->net.open_credits == 0);
    CHECK(world->net.open_calls == 0);
    CHECK(world->net.links == 0);
    layout_fini(&world->layout);
    params_free(&leader_config_table, &world->config);
    state_close(world->state);
    blob_unref(world->model);
    json_decref(world->json);
}

const struct wish plain = {"fedavg", "fedavg", "0.5", "checkpoint_interval: 0", "true", "0", 5, NULL};

static struct session_setup *make_setup(struct world *world, const struct wish *wish,
                                        const struct session_restore *restore)
{
    struct session_setup *setup = calloc(1, sizeof *setup);
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    char text[2000], fraction[400];

    snprintf(fraction, sizeof fraction, "client_fraction: %s", wish->fraction);
    snprintf(text, sizeof text, session_text, wish->aggregator, wish->selection,
             wish->selection_args ? wish->selection_args : fraction, wish->more, wish->skip_benchmark, wish->rounds,
             wish->timeout);
    CHECK(yaml_load_text(text, strlen(text), "session", 0, &doc, diags) == OK);
    CHECK(params_read(&session_config_table, yaml_root(doc), &setup->config, diags) == OK);
    struct session_check_context context = {.root = yaml_root(doc)};
    if (session_strategies_read(&setup->config, &context, (struct diag_place){0}, &setup->strategies, diags)) {
        diags_print(diags, stderr);
        exit(1);
    }
    yaml_unref(doc);
    diags_free(diags);
    setup->session_id = strdup("session-1");
    if (restore)
        setup->restore = *restore;
    setup->config_json = strdup("{\"a\":1}");
    setup->model_config_json = strdup("{}");
    setup->optimizer_json = strdup("{\"name\":\"sgd\"}");
    setup->loss_json = strdup("{\"name\":\"crossentropy\"}");
    make_layout(&setup->layout);
    setup->initial = calloc(setup->layout.num_floats, sizeof *setup->initial);
    for (size_t i = 0; i < setup->layout.num_floats; i++)
        setup->initial[i] = (float)i * 0.013f - 4;
    snprintf(setup->model.id, sizeof setup->model.id, "tiny");
    snprintf(setup->model.hash, sizeof setup->model.hash, "0x12ab");
    setup->model.files = calloc(2, sizeof *setup->model.files);
    setup->model.n = 2;
    for (int i = 0; i < 2; i++) {
        setup->model.files[i].name = strdup(i ? "model.yaml" : "config.yaml");
        setup->model.files[i].data = blob_new(50);
        memset(blob_bytes(setup->model.files[i].data), 'x', 50);
    }
    setup->benchmark = strcmp(wish->skip_benchmark, "true") != 0;
    setup->report.events.fd = -1;
    if (world->dir)
        CHECK(report_open(&setup->report, world->dir, &clock_system, 0, restore != NULL, &setup->config, NULL) == OK);
    return setup;
}

/* A validator whose figures follow from the weights: enough to see when and on what it is called. */
static int measure(struct validator *self, const float *weights, bool (*stop)(const void *context),
                   const void *stop_context, struct validation_figures *out, struct error *err)
{
    (void)self;
    (void)stop;
    (void)stop_context;
    (void)err;
    *out = (struct validation_figures){.loss = fabs((double)weights[0]),
                                       .accuracy = 60 + 10 * fabs((double)weights[0] + 4),
                                       .perplexity = NAN,
                                       .mae = NAN,
                                       .mse = NAN,
                                       .num_items = 100};
    return OK;
}

static void no_free(struct validator *self)
{
    (void)self;
}

struct validator measuring = {measure, no_free};

bool begin_restored(struct world *world, const struct wish *wish, struct validator *validator,
                    const struct session_restore *restore, char *refusal)
{
    struct session_setup *setup = make_setup(world, wish, restore);
    struct session_env env = {.config = &world->config,
                              .host = &world->host,
                              .loop = world->loop,
                              .executor = world->executor,
                              .roster = world->roster,
                              .state = world->state,
                              .leader_term = 5,
                              .keeps_updates = world->keeps_updates};
    struct error err = ERROR_INIT;

    setup->validator = validator;
    if (session_new(&world->session, &env, setup, over, world, &err) != OK) {
        session_setup_free(setup);
        if (refusal) {
            snprintf(refusal, 640, "%s", err.message);
            return false;
        }
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    CHECK(loop_timer_set(world->loop, &world->deadline, (uint64_t)DEADLINE_S * 1000000000u, NULL) == OK);
    session_start(world->session);
    return true;
}

void begin(struct world *world, const struct wish *wish, struct validator *validator)
{
    begin_restored(world, wish, validator, NULL, NULL);
}

/* Whatever happened: every update that was asked for came to exactly one end. */
void check_ledger(const struct world *world)
{
    const struct session_ledger *ledger = &world->ledger;
    json_t *rounds = json_object_get(world->json, "rounds");
    json_int_t merged = 0;
    size_t i;
    json_t *round;

    CHECK(ledger->sent == ledger->merged + ledger->refused + ledger->failed + ledger->dropped);
    json_array_foreach(rounds, i, round)
    {
        json_int_t selected = json_integer_value(json_object_get(round, "selected"));
        json_int_t done = json_integer_value(json_object_get(round, "merged")) +
                          json_integer_value(json_object_get(round, "refused")) +
                          json_integer_value(json_object_get(round, "failed")) +
                          json_integer_value(json_object_get(round, "dropped"));

        CHECK(json_integer_value(json_object_get(round, "round")) == (json_int_t)i + 1);
        CHECK(world->asynchronous || selected == done);
        merged += json_integer_value(json_object_get(round, "merged"));
    }
    /* What no model came of was not merged; of rounds that overlap it may have been counted before that was known. */
    CHECK(world->asynchronous ? ledger->merged <= merged : ledger->merged == merged);
}

void run(struct world *world, const struct wish *wish, bool validated)
{
    everybody_advertises(world);
    begin(world, wish, validated ? &measuring : NULL);
    loop_run(world->loop);
    check_ledger(world);
}

size_t rounds_done(const struct world *world)
{
    return json_array_size(json_object_get(world->json, "rounds"));
}

bool same_model(const struct world *a, const struct world *b)
{
    return blob_size(a->model) == blob_size(b->model) &&
           memcmp(blob_bytes(a->model), blob_bytes(b->model), blob_size(a->model)) == 0;
}
