#include "leader/leader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/endpoint.h"
#include "leader/leader_internal.h"
#include "util/fs.h"

enum { MAX_BODY = 1024 * 1024, SUCCESSOR_PATIENCE_MS = 60000, REST_TIMEOUT_MS = 2000, CONTACT_TIMEOUT_S = 15 };
#define ECHO_TIMEOUT_S 10.0

static uint64_t ns_of(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

/* ---- what the surroundings hear ---- */

static void roster_changed(struct roster_listener *listener, struct roster_client *client, enum roster_change change)
{
    struct leader *leader = CONTAINER_OF(listener, struct leader, listener);
    json_t *fields;

    if (change == ROSTER_UPDATED)
        return;
    fields = json_pack("{s:s, s:s, s:s, s:I}", "client", client->id, "state",
                       change == ROSTER_ACTIVE ? "active" : "inactive", "reason", client->reason, "active",
                       (json_int_t)roster_num_active(leader->roster));
    if (!fields)
        return;
    if (leader->host && leader->host->observe)
        leader->host->observe(leader->host->context, "roster", fields);
    if (leader->session)
        session_note_event(leader->session, "roster", fields);
    json_decref(fields);
}

static void hearing_changed(struct roster_listener *listener, bool hearing)
{
    struct leader *leader = CONTAINER_OF(listener, struct leader, listener);
    json_t *fields = json_pack("{s:s}", "state", hearing ? "connected" : "lost");

    if (!fields)
        return;
    if (leader->host && leader->host->observe)
        leader->host->observe(leader->host->context, "broker", fields);
    if (leader->session)
        session_note_event(leader->session, "broker", fields);
    json_decref(fields);
}

/* ---- parts, in the order in which they are made ---- */

static int check_run_folder(const struct leader *leader, struct error *err)
{
    const char *folder = leader->config->temp_dir_path;
    struct error why = ERROR_INIT;

    if (leader->host && leader->host->run_dir)
        return OK;
    if (fs_make_dirs(folder, &why) != OK)
        return FAIL(err, ERR_SETUP, "%s (temp_dir_path must be a writable folder)", why.message);
    if (access(folder, W_OK | X_OK) != 0)
        return FAIL(err, ERR_SETUP, "cannot write into %s: %s (temp_dir_path must be a writable folder)", folder,
                    strerror(errno));
    return OK;
}

static const char *state_kind(const struct leader_config *config)
{
    return config->state.state_location == 1 ? "redis" : "inmemory";
}

/* What this version cannot do is refused at the start, not when it would matter. */
static int check_config(const struct leader *leader, struct error *err)
{
    const struct leader_config *config = leader->config;
    const char *host = config->comm_config.restful.rest_hostname;

    if (!store_kind_find(state_kind(config)))
        return FAIL(err, ERR_UNIMPLEMENTED, "state.state_location: this flosim has no store redis; set it to inmemory");
    if (config->tls.ca || config->tls.cert || config->tls.key)
        return FAIL(err, ERR_UNIMPLEMENTED, "tls is not supported by this version; remove the tls section");
    if (host_is_loopback(host) || config->comm_config.restful.token_file)
        return OK;
    if (config->security == 1)
        return FAIL(err, ERR_SETUP,
                    "REST would listen on %s without protection, which security: strict forbids; set "
                    "comm_config.restful.token_file, or rest_hostname: 127.0.0.1",
                    host);
    log_write(leader->log, LOG_WARN, "leader",
              "REST listens on %s without protection: whoever reaches it can start sessions; set "
              "comm_config.restful.token_file",
              host);
    return OK;
}

int leader_state_options(const struct leader_config *config, struct state_options *out, char **password,
                         struct error *err)
{
    int status = fs_read_secret(config->state.state_password_file, password, err);

    *out = (struct state_options){
        .kind = store_kind_find(state_kind(config)),
        .store = {.host = config->state.state_hostname,
                  .port = (int)config->state.state_port,
                  .username = config->state.state_username,
                  .password = *password,
                  .db = config->state.state_db},
        .fallback = config->state.state_fallback != NULL,
        .cluster = config->cluster,
    };
    return status == OK ? OK : error_context(err, ERR_SETUP, "state.state_password_file");
}

static int open_state(struct leader *leader, struct error *err)
{
    struct state_options options;
    char *password = NULL;
    int status = leader_state_options(leader->config, &options, &password, err);

    options.store.connect_ms = leader->succeeds ? SUCCESSOR_PATIENCE_MS : 0;
    options.store.probes = leader->host ? leader->host->probes : NULL;
    options.log = leader->log;
    leader_watch_state(leader, &options);
    if (status == OK)
        status = state_open(&leader->state, &options, err);
    free(password);
    return status;
}

static void clients_refuse(void *context)
{
    leader_replaced(context, 0, "what most clients answer");
}

static int make_roster(struct leader *leader, struct error *err)
{
    const struct leader_config *config = leader->config;
    double timeout_s = config->comm_config.grpc.timeout_s;
    struct roster_options options = {
        .heartbeat_interval_s = config->comm_config.mqtt.mqtt_heartbeat_interval_s,
        .max_missed = config->comm_config.mqtt.max_heartbeat_miss_threshold,
        .num_heartbeats_kept = config->comm_config.mqtt.num_heartbeats_timestamp_cached,
        .echo_timeout_s = timeout_s < ECHO_TIMEOUT_S ? timeout_s : ECHO_TIMEOUT_S,
        .replaced = clients_refuse,
        .context = leader,
    };
    struct edge_client_options edge = {.max_message_length = (size_t)config->comm_config.grpc.max_message_length};
    struct link_factory factory;
    int status = edge_client_new(&leader->edge, &edge, leader->loop, leader->log, err);

    if (status != OK)
        return status;
    leader->links = (struct grpc_links){leader->edge, (size_t)config->comm_config.grpc.chunk_size_bytes};
    factory = grpc_link_factory(&leader->links);
    status = roster_new(&leader->roster, &options, &factory, leader->loop, leader->log, err);
    if (status == OK) {
        leader->listener.changed = roster_changed;
        leader->listener.hearing = hearing_changed;
        roster_listen(leader->roster, &leader->listener);
    }
    return status;
}

static int make_rest(struct leader *leader, struct error *err)
{
    char *token;
    int status = fs_read_secret(leader->config->comm_config.restful.token_file, &token, err);
    struct http_server_options options = {
        .host = leader->config->comm_config.restful.rest_hostname,
        .port = (int)leader->config->comm_config.restful.rest_port,
        .max_body = MAX_BODY,
        .bearer_token = token,
    };

    if (status == OK)
        status = http_server_new(&leader->http, &options, rest_handle, leader, leader->loop, leader->log, err);
    else
        status = error_context(err, ERR_SETUP, "comm_config.restful.token_file");
    free(token);
    return status;
}

/* ---- the broker ---- */

static void first_contact(void *context, const char *reason)
{
    struct leader *leader = context;
    const struct mqtt_config *mqtt = &leader->config->comm_config.mqtt;

    leader->contacted = true;
    if (reason)
        FAIL(&leader->contact, ERR_SETUP,
             "no MQTT broker at %s:%lld (%s): start one (mosquitto -p %lld), or set comm_config.mqtt.mqtt_broker and "
             "mqtt_broker_port",
             mqtt->mqtt_broker, (long long)mqtt->mqtt_broker_port, reason, (long long)mqtt->mqtt_broker_port);
    loop_stop(leader->loop);
}

static void replaced(void *context, uint64_t term)
{
    leader_replaced(context, term, "its advert");
}

static void ready(struct loop_timer *timer)
{
    struct leader *leader = CONTAINER_OF(timer, struct leader, ready_timer);

    if (!leader->contacted) {
        first_contact(leader, "no answer in time");
        return;
    }
    leader->ready = true;
    sessions_ready(leader);
}

/* The loop runs here until the first contact has succeeded or failed, so that a missing broker is told at the start. */
static int make_contact(struct leader *leader, struct error *err)
{
    struct discovery_options options = {
        .config = &leader->config->comm_config.mqtt,
        .cluster = leader->config->cluster,
        .leader_id = leader->id,
        .first_contact = first_contact,
        .replaced = replaced,
        .context = leader,
    };
    int status = discovery_new(&leader->discovery, &options, leader->roster, leader->loop, leader->log, err);

    if (status == OK)
        status = loop_timer_set(leader->loop, &leader->ready_timer, ns_of(CONTACT_TIMEOUT_S), err);
    if (status != OK)
        return status;
    if (!leader->contacted)
        loop_run(leader->loop);
    if (leader->contact.status != OK) {
        if (err)
            *err = leader->contact;
        return leader->contact.status;
    }
    status = leader_take_term(leader, err);
    if (status != OK)
        return status;
    status = roster_store_init(&leader->roster_store, leader->roster, leader->state, leader->config->cluster,
                               leader->loop, leader->log, err);
    if (status != OK)
        return status;
    discovery_advertise(leader->discovery, leader->term);
    return loop_timer_set(leader->loop, &leader->ready_timer,
                          ns_of(leader->config->comm_config.mqtt.mqtt_sub_timeout_s), err);
}

/* ---- life ---- */

static void stop(struct loop_event *event)
{
    struct leader *leader = CONTAINER_OF(event, struct leader, stop_event);

    if (leader->leaving)
        return;
    leader->leaving = true;
    log_write(leader->log, LOG_INFO, "leader", "leaving");
    sessions_leave(leader);
}

void leader_left(struct leader *leader)
{
    loop_stop(leader->loop);
}

static int make_parts(struct leader *leader, struct error *err)
{
    int status = check_config(leader, err);

    loop_timer_init(&leader->ready_timer, ready); /* leader_free cancels it, however far this comes */
    leader->stop_event.handle = stop;
    if (status == OK)
        status = check_run_folder(leader, err);
    if (status == OK)
        status = loop_new(&leader->loop, &clock_system, err);
    if (status == OK)
        status = open_state(leader, err);
    if (status != OK)
        return status;
    status = uuid_random(leader->id, err);
    if (status == OK)
        status = executor_new(&leader->executor, leader->loop, "leader-compute", err);
    if (status == OK)
        status = make_roster(leader, err);
    if (status == OK)
        status = make_contact(leader, err);
    if (status == OK) /* last: whoever is let in finds a leader that is whole */
        status = make_rest(leader, err);
    return status;
}

int leader_new(struct leader **out, const struct leader_config *config, const struct leader_host *host, bool succeeds,
               const struct log *log, struct error *err)
{
    struct leader *leader = calloc(1, sizeof *leader);
    int status;

    *out = NULL;
    if (!leader)
        return FAIL(err, ERR_MEMORY, "no memory for a leader");
    leader->config = config;
    leader->host = host;
    leader->succeeds = succeeds;
    leader->log = log;
    status = make_parts(leader, err);
    if (status != OK) {
        leader_free(leader);
        return status;
    }
    *out = leader;
    return OK;
}

int leader_resume(struct leader *leader, struct error *err)
{
    return sessions_resume(leader, err);
}

int leader_rest_port(const struct leader *leader)
{
    return http_server_port(leader->http);
}

/* What the network sees goes first, so that nobody sends us anything new. */
static void leave_network(struct leader *leader)
{
    if (leader->loop)
        loop_timer_cancel(leader->loop, &leader->ready_timer);
    discovery_free(leader->discovery, leader_is_replaced(leader));
    leader->discovery = NULL;
    http_server_free(leader->http, REST_TIMEOUT_MS);
    leader->http = NULL;
}

int leader_run(struct leader *leader, struct error *err)
{
    loop_run(leader->loop);
    leave_network(leader);
    if (leader_is_replaced(leader) && err)
        *err = leader->failure;
    return leader->failure.status;
}

void leader_stop(struct leader *leader)
{
    if (!atomic_exchange(&leader->stop_asked, true))
        loop_post(leader->loop, &leader->stop_event);
}

void leader_free(struct leader *leader)
{
    if (!leader)
        return;
    leave_network(leader);
    roster_store_fini(&leader->roster_store);
    if (leader->roster)
        roster_close(leader->roster);
    edge_client_free(leader->edge);
    executor_free(leader->executor);
    executor_free(leader->storage);
    state_close(leader->state); /* answers on the loop who still waits */
    if (leader->loop)
        loop_free(leader->loop);
    roster_free(leader->roster);
    sessions_fini(leader);
    free(leader);
}
