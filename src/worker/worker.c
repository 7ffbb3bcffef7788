#include "worker/worker.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/endpoint.h"
#include "net/edge_server.h"
#include "util/fs.h"
#include "worker/announcement.h"
#include "worker/beacon.h"
#include "worker/service.h"

/* Flotilla's grpc.max_message_length; a worker's file does not name it. */
static const size_t max_message_length = 1048576000;

struct worker {
    const struct worker_config *config;
    struct worker_host host; /* all zero where none was given */
    const struct log *log;
    struct loop *loop;
    struct inbox inbox;
    bool inbox_made;
    struct identity *identity;
    struct model_cache *cache;
    struct datasets *datasets;
    struct trainer *trainer;
    struct service *service;
    struct beacon *beacon;
    struct edge_server *server;
    struct inbox_signal echoed, model_arrived, stop_asked;
    struct loop_event ended;
    struct error failure; /* why worker_run ends, where it was not asked to */
    bool stopping;
};

/* ---- what the loop is told ---- */

static void observe(void *context, const char *event)
{
    struct worker *worker = context;

    if (strcmp(event, "benchmarked") == 0 && worker->beacon)
        beacon_advertise_soon(worker->beacon); /* its figures are part of the advert */
    if (worker->host.observe)
        worker->host.observe(worker->host.context, event);
}

static void handle_echoed(void *context)
{
    struct worker *worker = context;

    if (worker->beacon)
        beacon_echoed(worker->beacon);
}

static void handle_model_arrived(void *context)
{
    struct worker *worker = context;

    observe(worker, "model");
    if (worker->beacon)
        beacon_advertise_soon(worker->beacon);
}

static void handle_ended(struct loop_event *event)
{
    loop_stop(CONTAINER_OF(event, struct worker, ended)->loop);
}

/* Nothing is in hand any more and nothing more comes in; what came in before this event is refused before the loop
 * ends. */
static void service_closed(void *context)
{
    struct worker *worker = context;

    inbox_close(&worker->inbox);
    worker->ended.handle = handle_ended;
    loop_post(worker->loop, &worker->ended);
}

static void begin_stopping(void *context)
{
    struct worker *worker = context;

    if (worker->stopping)
        return;
    worker->stopping = true;
    log_write(worker->log, LOG_DEBUG, "worker", "leaving");
    if (worker->beacon)
        beacon_leave(worker->beacon);
    service_close(worker->service, service_closed, worker);
}

static void broker_unreachable(void *context, const char *sentence)
{
    struct worker *worker = context;

    FAIL(&worker->failure, ERR_SETUP, "%s", sentence);
    begin_stopping(worker);
}

static int describe(void *context, struct client_advert *advert, struct error *err)
{
    struct worker *worker = context;

    return announcement_fill(advert, worker->datasets, worker->cache, worker->identity, err);
}

static void leader_heard(void *context, const struct server_advert *advert)
{
    struct worker *worker = context;

    service_note_term(worker->service, advert->leader_term);
}

/* ---- what the gRPC server's thread is told ---- */

static void on_echoed(void *context)
{
    struct worker *worker = context;

    inbox_signal_raise(&worker->inbox, &worker->echoed);
}

static void on_bench(void *context, struct edge_call *call, const struct bench_request *request)
{
    service_bench(((struct worker *)context)->service, call, request);
}

static void on_train(void *context, struct edge_call *call, const struct train_request *request)
{
    service_train(((struct worker *)context)->service, call, request);
}

static void on_validate(void *context, struct edge_call *call, const struct validation_request *request)
{
    service_validate(((struct worker *)context)->service, call, request);
}

static void on_abort(void *context, struct edge_call *call, const struct abort_request *request)
{
    service_abort(((struct worker *)context)->service, call, request);
}

struct incoming_file {
    struct worker *worker;
    struct upload *upload;
};

static int on_upload_begin(void *context, const char *model_id, const char *file_name, void **upload, struct error *err)
{
    struct worker *worker = context;
    struct incoming_file *file = malloc(sizeof *file);

    if (!file)
        return FAIL(err, ERR_MEMORY, "out of memory for an upload");
    file->worker = worker;
    int status = model_cache_begin(worker->cache, model_id, file_name, &file->upload, err);
    if (status)
        free(file);
    else
        *upload = file;
    return status;
}

static int on_upload_chunk(void *upload, struct span chunk, struct error *err)
{
    return upload_write(((struct incoming_file *)upload)->upload, chunk, err);
}

static int on_upload_end(void *upload, bool commit, struct error *err)
{
    struct incoming_file *file = upload;
    int status = upload_end(file->upload, commit, err);

    if (!status && commit)
        inbox_signal_raise(&file->worker->inbox, &file->worker->model_arrived);
    free(file);
    return status;
}

/* ---- setting up ---- */

static const char *bind_address(const struct worker_config *config)
{
    const char *bind = config->comm_config.grpc.bind;

    return bind && *bind ? bind : "127.0.0.1";
}

static int check_security(const struct worker *worker, struct error *err)
{
    const struct tls_config *tls = &worker->config->tls;
    const char *bind = bind_address(worker->config);

    /* Better to refuse than to go on in plain text. */
    if ((tls->ca && *tls->ca) || (tls->cert && *tls->cert) || (tls->key && *tls->key))
        return FAIL(err, ERR_UNIMPLEMENTED, "tls is not supported yet: remove the tls section or tunnel the ports");
    if (host_is_loopback(bind))
        return OK;
    if (worker->config->security)
        return FAIL(err, ERR_SETUP,
                    "security: strict refuses to listen unprotected on %s: set comm_config.grpc.bind to "
                    "127.0.0.1, or security to warn",
                    bind);
    log_write(worker->log, LOG_WARN, "worker", "listening unprotected on %s: whoever reaches it can use this worker",
              bind);
    return OK;
}

static int open_files(struct worker *worker, struct error *err)
{
    const struct worker_config *config = worker->config;
    const char *temp_dir = config->general_config.temp_dir_path;

    if (!temp_dir || !*temp_dir)
        return FAIL(err, ERR_SETUP,
                    "general_config.temp_dir_path is not set: name a folder that this worker may write");
    int status = identity_new(&worker->identity, temp_dir, worker->host.client_id, err);
    if (!status)
        status = model_cache_new(&worker->cache, temp_dir, err);
    if (!status)
        status =
            datasets_new(&worker->datasets, config->dataset_config.datasets_dir_path, &worker->host, worker->log, err);
    return status;
}

static int open_service(struct worker *worker, struct error *err)
{
    const struct trainer_setup setup = {
        .client_id = identity_id(worker->identity),
        .host = &worker->host,
        .datasets = worker->datasets,
        .cache = worker->cache,
        .clock = loop_clock(worker->loop),
        .threads = worker->config->threads > 1 ? (int)worker->config->threads : 1,
    };
    int status = trainer_new(&worker->trainer, &setup, err);

    if (status)
        return status;
    const struct service_options options = {
        .inbox = &worker->inbox,
        .trainer = worker->trainer,
        .identity = worker->identity,
        .log = worker->log,
        .orphan_grace_s = worker->config->orphan_grace_s,
        .context = worker,
        .observe = observe,
    };
    return service_new(&worker->service, &options, err);
}

static int open_server(struct worker *worker, struct error *err)
{
    const struct edge_server_options options = {
        .bind = bind_address(worker->config),
        .port = (int)worker->config->comm_config.grpc.sync_port,
        .max_message_length = max_message_length,
    };
    const struct edge_handlers handlers = {
        .context = worker,
        .echoed = on_echoed,
        .bench = on_bench,
        .train = on_train,
        .validate = on_validate,
        .abort = on_abort,
        .upload_begin = on_upload_begin,
        .upload_chunk = on_upload_chunk,
        .upload_end = on_upload_end,
    };

    return edge_server_new(&worker->server, &options, &handlers, worker->log, err);
}

static int open_beacon(struct worker *worker, struct error *err)
{
    const struct beacon_options options = {
        .config = worker->config,
        .loop = worker->loop,
        .log = worker->log,
        .client_id = identity_id(worker->identity),
        .port = edge_server_port(worker->server),
        .context = worker,
        .describe = describe,
        .heard = leader_heard,
        .observe = observe,
        .unreachable = broker_unreachable,
    };

    return beacon_new(&worker->beacon, &options, err);
}

static int open_loop(struct worker *worker, struct error *err)
{
    int status = loop_new(&worker->loop, worker->host.clock ? worker->host.clock : &clock_system, err);

    if (status)
        return status;
    inbox_signal_init(&worker->echoed, handle_echoed, worker);
    inbox_signal_init(&worker->model_arrived, handle_model_arrived, worker);
    inbox_signal_init(&worker->stop_asked, begin_stopping, worker);
    status = inbox_init(&worker->inbox, worker->loop, err);
    worker->inbox_made = !status;
    return status;
}

int worker_new(struct worker **out, const struct worker_config *config, const struct worker_host *host,
               const struct log *log, struct error *err)
{
    struct worker *worker = calloc(1, sizeof *worker);

    *out = NULL;
    if (!worker)
        return FAIL(err, ERR_MEMORY, "out of memory for a worker");
    worker->config = config;
    worker->log = log;
    if (host)
        worker->host = *host;
    int status = check_security(worker, err);
    if (!status)
        status = open_loop(worker, err);
    if (!status)
        status = open_files(worker, err);
    if (!status)
        status = open_service(worker, err);
    if (!status)
        status = open_server(worker, err);
    if (!status)
        status = open_beacon(worker, err);
    if (status)
        worker_free(worker);
    else
        *out = worker;
    return status;
}

const char *worker_client_id(const struct worker *worker)
{
    return identity_id(worker->identity);
}

int worker_port(const struct worker *worker)
{
    return edge_server_port(worker->server);
}

void worker_tune_process(void)
{
    /* Few arenas, and every large buffer is a mapping of its own that goes back to the system when it is freed. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/* ---- running and ending ---- */

/* As the configuration asks; only what this worker made. */
static void clean_up_files(struct worker *worker)
{
    const struct worker_config *config = worker->config;
    bool all = config->general_config.cleanup_temp_on_exit;
    struct error error = ERROR_INIT;

    if ((all || config->general_config.cleanup_model_cache_on_exit) && model_cache_clear(worker->cache, &error))
        log_write(worker->log, LOG_WARN, "worker", "%s", error.message);
    if (!all)
        return;
    model_cache_free(worker->cache); /* takes its folder for uploads with it */
    worker->cache = NULL;
    identity_forget(worker->identity);
    rmdir(config->general_config.temp_dir_path); /* other people's files keep it */
}

/* Close the way in, in an order in which nothing is called that is gone. */
static void close_down(struct worker *worker)
{
    if (worker->inbox_made)
        inbox_close(&worker->inbox);
    service_halt(worker->service);
    beacon_free(worker->beacon);
    worker->beacon = NULL;
    loop_free(worker->loop); /* answers what still waits */
    worker->loop = NULL;
    if (worker->server)
        edge_server_free(worker->server);
    worker->server = NULL;
    service_free(worker->service);
    worker->service = NULL;
}

int worker_run(struct worker *worker, struct error *err)
{
    log_write(worker->log, LOG_INFO, "worker", "listening on %s:%d client=%s data_sets=%zu",
              bind_address(worker->config), worker_port(worker), worker_client_id(worker),
              datasets_count(worker->datasets));
    loop_run(worker->loop);
    close_down(worker);
    clean_up_files(worker);
    if (!worker->failure.status)
        return OK;
    if (err)
        *err = worker->failure;
    return worker->failure.status;
}

void worker_stop(struct worker *worker)
{
    inbox_signal_raise(&worker->inbox, &worker->stop_asked);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    close_down(worker);
    if (worker->inbox_made)
        inbox_fini(&worker->inbox);
    trainer_free(worker->trainer);
    datasets_free(worker->datasets);
    model_cache_free(worker->cache);
    identity_free(worker->identity);
    free(worker);
}
