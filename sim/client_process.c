/* A client's process: the role of src/worker, lent its part of the shared data, a compute slot and a device to model.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/client_orders.h"
#include "sim/role_config.h"
#include "util/container_of.h"
#include "worker/worker.h"

/* One client at work in this process. */
struct client {
    struct client_start *start;
    struct client_orders orders;
    struct clock clock; /* the system's, but for an order about it */
    struct worker *worker;
};

static struct client_block *block_of(const struct client *client)
{
    return shared_client(client->start->simulation->shared, client->start->index);
}

static const struct fleet *fleet_of(const struct client *client)
{
    return &client->start->simulation->scenario.fleet;
}

/* The round that the session is in, for orders that are not about a training. */
static int64_t round_now(const struct client *client)
{
    return atomic_load(&shared_leader(client->start->simulation->shared)->round);
}

/* --- what the worker is lent --- */

static bool acquire_slot(void *context, bool (*stop)(void *stop_context), void *stop_context)
{
    const struct client *client = context;

    return slots_acquire(client->orders.slots, client->orders.slot_owner, stop, stop_context);
}

static void release_slot(void *context)
{
    const struct client *client = context;

    slots_release(client->orders.slots, client->orders.slot_owner);
}

static double compute_seconds(void *context, double flops)
{
    const struct client *client = context;

    return fleet_compute_seconds(fleet_of(client), client->start->index, flops) *
           client_orders_slowness(&client->orders, round_now(client));
}

/* Nothing where the link itself is so slow. */
static double transfer_seconds(void *context, int64_t round, size_t bytes_down, size_t bytes_up)
{
    const struct client *client = context;
    const struct scenario *scenario = &client->start->simulation->scenario;
    struct rng rng;

    if (scenario->keys.links == LINKS_SHAPED)
        return 0;
    rng_init(&rng, (uint64_t)scenario->keys.seed, "transfer", block_of(client)->id, (uint64_t)round);
    return fleet_transfer_seconds(&scenario->fleet, client->start->index, bytes_down, bytes_up) +
           fleet_disturbance_seconds(&scenario->fleet, client->start->index, bytes_down, bytes_up, &rng);
}

static uint64_t monotonic_ns(const struct clock *clock)
{
    (void)clock;
    return clock_now_ns(&clock_system);
}

static double wall_s(const struct clock *clock)
{
    const struct client *client = CONTAINER_OF(clock, const struct client, clock);

    return clock_wall_s(&clock_system) + client_orders_clock_offset_s(&client->orders, round_now(client));
}

/* Whoever waits for this client to get somewhere in its work need not wait once the work is over. */
static void observe(void *context, const char *event)
{
    const struct client *client = context;

    if (strcmp(event, "trained") && strcmp(event, "failed"))
        return;
    atomic_fetch_add(&block_of(client)->answers, 1);
    shared_notify(client->start->simulation->shared);
}

static struct worker_host make_host(struct client *client)
{
    const struct scenario *scenario = &client->start->simulation->scenario;
    bool modelled = scenario->keys.time == 0;

    return (struct worker_host){
        .client_id = block_of(client)->id,
        .dataset_id = scenario->session.client_training_config.dataset,
        .train = &client->start->view,
        .local_validation_fraction = scenario->data.keys->local_validation_fraction,
        .probes = &block_of(client)->probes,
        .clock = &client->clock,
        .acquire_slot = acquire_slot,
        .release_slot = release_slot,
        .compute_seconds = modelled ? compute_seconds : NULL,
        .transfer_seconds = modelled ? transfer_seconds : NULL,
        .idle_to_modelled = modelled && fleet_is_declared(&scenario->fleet, client->start->index),
        .context = client,
        .training = &client_orders_hooks,
        .training_context = &client->orders,
        .observe = observe,
    };
}

/* --- its life --- */

/* What this client may be ordered to do; some of it takes a memory from the first round on. */
static int begin_orders(struct client *client, struct error *err)
{
    struct client_start *start = client->start;
    const struct scenario *scenario = &start->simulation->scenario;
    struct client_memory needs = {0};

    for (size_t i = 0; i < scenario->num_faults; i++)
        if (scenario->faults[i].ops->needs_memory)
            scenario->faults[i].ops->needs_memory(scenario->faults[i].args, &needs);
    client->orders = (struct client_orders){
        .orders = &block_of(client)->orders,
        .client_id = block_of(client)->id,
        .seed = (uint64_t)scenario->keys.seed,
        .dataset = start->view.dataset,
        .needs = needs,
        .slots = shared_slots(start->simulation->shared),
        .slot_owner = shared_slot_owner(block_of(client), start->index),
    };
    return client_orders_begin(&client->orders, err);
}

static void stop(void *context)
{
    struct client *client = context;

    atomic_store(&client->orders.stopping, true);
    worker_stop(client->worker);
}

static int run(struct client_start *start, const struct worker_config *config, const struct log *log, struct error *err)
{
    struct client client = {.start = start, .clock = {.now_ns = monotonic_ns, .wall_s = wall_s}};
    struct stop_waiter *waiter = NULL;
    int status = begin_orders(&client, err);
    struct worker_host host = make_host(&client);

    if (status == OK)
        status = worker_new(&client.worker, config, &host, log, err);
    if (status == OK)
        atomic_store(&block_of(&client)->link.port, (uint32_t)worker_port(client.worker));
    if (status == OK)
        status = stop_waiter_new(&waiter, stop, &client, err);
    if (status == OK)
        status = worker_run(client.worker, err);
    stop_waiter_free(waiter);
    worker_free(client.worker);
    client_orders_fini(&client.orders);
    return status;
}

/* The leader is one and the clients are many: on a machine that is full it goes first. Measured on two cores: its
 * loop's lag at the 99th percentile falls from 3 to 1.5 ms with 50 clients and from 4 to 10 ms to 3 to 4 ms with 200,
 * and rounds take as long as before (0.52 s and 0.71 s). */
static void give_way(void)
{
    int niceness = nice(5);

    (void)niceness; /* nothing depends on it */
}

int client_process_run(void *context)
{
    struct client_start *start = context;
    struct worker_config config;
    struct error err = ERROR_INIT;
    struct log log;

    simulation_enter_child(start->simulation);
    give_way();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
    worker_tune_process();
    log_init(&log, STDERR_FILENO, start->simulation->options->log_level, "worker",
             start->simulation->clients[start->index].name);
    int status = role_config_client(start->simulation, start->index, &config, &err);
    if (status == OK) {
        status = run(start, &config, &log, &err);
        params_free(&worker_config_table, &config);
    }
    if (status)
        log_write(&log, LOG_ERROR, "simulation", "%s", err.message);
    return status_exit_code(status);
}
