/* The REST interface: one row per route. Handlers run on the loop's thread. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leader/leader_internal.h"

typedef void (*route_handler)(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                              const char *rest);

/* ---- sessions ---- */

static void execute_command(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                            const char *rest)
{
    (void)rest;
    sessions_submit(leader, exchange, request, true);
}

static void post_session(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                         const char *rest)
{
    (void)rest;
    sessions_submit(leader, exchange, request, false);
}

static void list_sessions(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                          const char *rest)
{
    (void)request;
    (void)rest;
    sessions_list(leader, exchange);
}

static void get_model(struct http_exchange *exchange, const char *id, const json_t *json, struct blob *model)
{
    if (!json)
        http_respond_message(exchange, 404, "There is no session %s", id);
    else if (!model)
        http_respond_message(exchange, 410, "The model of session %s is no longer kept; its run folder has it", id);
    else
        http_respond(exchange, 200, "application/octet-stream", blob_ref(model));
}

/* "my-run/model" is "my-run" and true. NULL: out of memory. */
static char *split_suffix(const char *rest, const char *suffix, bool *found)
{
    size_t length = strlen(rest), n = strlen(suffix);

    *found = length > n && strcmp(rest + length - n, suffix) == 0;
    return strndup(rest, *found ? length - n : length);
}

static void get_session(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                        const char *rest)
{
    bool wants_model;
    char *id = split_suffix(rest, "/model", &wants_model);
    struct blob *model = NULL;
    json_t *json = id ? sessions_find(leader, id, &model) : NULL;

    (void)request;
    if (wants_model) {
        get_model(exchange, id ? id : "", json, model);
        json_decref(json);
    } else if (json) {
        http_respond_json(exchange, 200, json);
    } else {
        http_respond_message(exchange, 404, "There is no session %s", rest);
    }
    free(id);
}

static void stop_session(struct leader *leader, struct http_exchange *exchange, const char *id)
{
    struct blob *model;
    json_t *json = sessions_find(leader, id, &model);
    bool known = json != NULL;

    json_decref(json);
    if (leader->session && strcmp(session_id(leader->session), id) == 0) {
        http_respond_message(exchange, 202, "Session %s stops after the running round", id);
        session_stop_after_round(leader->session, "stopped by request");
    } else if (known) {
        http_respond_message(exchange, 409, "Session %s is over", id);
    } else {
        http_respond_message(exchange, 404, "There is no session %s", id);
    }
}

static void delete_session(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                           const char *rest)
{
    bool wants_state;
    char *id = split_suffix(rest, "/state", &wants_state);

    if (!id)
        http_respond_message(exchange, 500, "Out of memory");
    else if (wants_state)
        sessions_drop(leader, exchange, id, request->body);
    else
        stop_session(leader, exchange, id);
    free(id);
}

/* ---- the leader ---- */

static void list_clients(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                         const char *rest)
{
    (void)request;
    (void)rest;
    http_respond_json(exchange, 200, roster_json(leader->roster));
}

/* Whole seconds since 1970 as JSON; null: never. */
static json_t *time_or_null(double seconds)
{
    return seconds > 0 ? json_integer((json_int_t)seconds) : json_null();
}

static json_t *state_json(const struct state_health *health)
{
    return json_pack("{s:b, s:b, s:o, s:s, s:I, s:o}", "durable", health->durable, "outage", health->outage,
                     "outage_since", time_or_null(health->outage_since), "reason", health->reason, "backlog_bytes",
                     (json_int_t)health->backlog_bytes, "last_commit_age_s",
                     health->commit_age_s >= 0 ? json_real(health->commit_age_s) : json_null());
}

static json_t *checkpoints_json(const struct checkpoint_tally *tally)
{
    return json_pack("{s:I, s:I, s:I, s:f, s:f}", "written", (json_int_t)tally->written, "failed",
                     (json_int_t)tally->failed, "last_round", (json_int_t)tally->round, "last_seconds", tally->seconds,
                     "last_bytes", tally->bytes);
}

static void healthz(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                    const char *rest)
{
    bool connected = discovery_is_connected(leader->discovery);
    struct state_health health;

    (void)request;
    (void)rest;
    state_health(leader->state, &health);
    http_respond_json(exchange, 200,
                      json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:o, s:o}", "status",
                                connected && !health.outage && !health.refused ? "ok" : "degraded", "broker", connected,
                                "ready", leader->ready, "clients", (json_int_t)roster_size(leader->roster),
                                "clients_active", (json_int_t)roster_num_active(leader->roster), "leader_term",
                                (json_int_t)leader->term, "state", state_json(&health), "checkpoints",
                                checkpoints_json(&leader->checkpoints)));
}

static void put_metric(FILE *out, const char *name, const char *type, const char *help, double value)
{
    fprintf(out, "# HELP flosim_%s %s\n# TYPE flosim_%s %s\nflosim_%s %.17g\n", name, help, name, type, name, value);
}

static void put_session_metrics(FILE *out, const struct leader *leader)
{
    const struct session_ledger none = {0};
    const struct session_ledger *ledger = leader->session ? session_ledger(leader->session) : &none;

    put_metric(out, "session_running", "gauge", "1 while a session runs.", leader->session != NULL);
    put_metric(out, "session_updates_sent", "gauge", "Updates asked for in the running session.", (double)ledger->sent);
    put_metric(out, "session_updates_merged", "gauge", "Updates merged.", (double)ledger->merged);
    put_metric(out, "session_updates_refused", "gauge", "Updates refused.", (double)ledger->refused);
    for (size_t i = 0; i < NUM_REFUSALS; i++) {
        char name[64];

        snprintf(name, sizeof name, "session_updates_refused_%s", refusal_name((enum refusal)i));
        put_metric(out, name, "gauge", "Of these, for this reason.", (double)ledger->refused_for[i]);
    }
    put_metric(out, "session_updates_failed", "gauge", "Updates that did not come.", (double)ledger->failed);
    put_metric(out, "session_updates_dropped", "gauge", "Updates that were not needed.", (double)ledger->dropped);
    put_metric(out, "session_lost_rounds", "gauge", "Selections that gave no model.", (double)ledger->lost_rounds);
}

static void put_state_metrics(FILE *out, const struct leader *leader)
{
    const struct checkpoint_tally *tally = &leader->checkpoints;
    struct state_health health;

    state_health(leader->state, &health);
    put_metric(out, "leader_term", "gauge", "The leader's term.", (double)leader->term);
    put_metric(out, "state_durable", "gauge", "1 where the state outlives the leader.", health.durable);
    put_metric(out, "state_outage", "gauge", "1 while the store cannot be written.", health.outage);
    put_metric(out, "state_outage_since_seconds", "gauge", "When the outage began, since 1970; 0: there is none.",
               health.outage_since);
    put_metric(out, "state_outages_total", "counter", "Outages of the store.", (double)health.outages);
    put_metric(out, "state_backlog_bytes", "gauge", "What the store lacks.", (double)health.backlog_bytes);
    put_metric(out, "state_last_commit_age_seconds", "gauge",
               "Since the last acknowledged commit; NaN: there was none.",
               health.commit_age_s >= 0 ? health.commit_age_s : (double)NAN);
    put_metric(out, "checkpoints_written_total", "counter", "Checkpoints written.", (double)tally->written);
    put_metric(out, "checkpoints_failed_total", "counter", "Checkpoints that could not be written.",
               (double)tally->failed);
    put_metric(out, "checkpoint_last_round", "gauge", "Round of the last checkpoint.", (double)tally->round);
    put_metric(out, "checkpoint_last_seconds", "gauge", "How long the last checkpoint took.", tally->seconds);
    put_metric(out, "checkpoint_last_bytes", "gauge", "Size of the last checkpoint.", tally->bytes);
}

static void metrics(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                    const char *rest)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct loop_lag lag;

    (void)request;
    (void)rest;
    if (!out) {
        http_respond_message(exchange, 500, "Out of memory");
        return;
    }
    loop_lag(leader->loop, &lag);
    put_metric(out, "clients", "gauge", "Clients known.", (double)roster_size(leader->roster));
    put_metric(out, "clients_active", "gauge", "Clients in contact.", (double)roster_num_active(leader->roster));
    put_metric(out, "sessions_over", "gauge", "Sessions that REST still shows.", (double)leader->num_past);
    put_session_metrics(out, leader);
    put_state_metrics(out, leader);
    put_metric(out, "loop_events_total", "counter", "Events and timers handled.", (double)lag.events);
    put_metric(out, "loop_lag_p99_ms", "gauge", "99th percentile of the event loop's lag.", lag.p99_ms);
    put_metric(out, "loop_lag_max_ms", "gauge", "Largest lag of the event loop.", lag.max_ms);
    if (fclose(out) != 0) {
        free(text);
        text = NULL;
    }
    http_respond_text(exchange, 200, "text/plain; version=0.0.4", text);
}

/* ---- routes ---- */

static const struct route {
    const char *method, *path; /* a path that ends with '/' takes what follows as `rest` */
    route_handler handler;
} routes[] = {
    {"POST", "/execute_command", execute_command},
    {"POST", "/v1/sessions", post_session},
    {"GET", "/v1/sessions", list_sessions},
    {"GET", "/v1/sessions/", get_session},
    {"DELETE", "/v1/sessions/", delete_session},
    {"GET", "/v1/clients", list_clients},
    {"GET", "/healthz", healthz},
    {"GET", "/metrics", metrics},
};

/* What follows the route's path, or NULL where it is another path. */
static const char *match(const struct route *route, const char *path)
{
    size_t length = strlen(route->path);

    if (strcmp(route->path, path) == 0)
        return route->path[length - 1] == '/' ? NULL : path + length;
    if (route->path[length - 1] == '/' && strncmp(route->path, path, length) == 0)
        return path + length;
    return NULL;
}

void rest_handle(void *context, struct http_exchange *exchange, const struct http_request *request)
{
    bool known_path = false;

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const char *rest = match(&routes[i], request->path);

        known_path |= rest != NULL;
        if (rest && strcmp(routes[i].method, request->method) == 0) {
            routes[i].handler(context, exchange, request, rest);
            return;
        }
    }
    if (known_path)
        http_respond_message(exchange, 405, "%s does not go with %s", request->method, request->path);
    else
        http_respond_message(exchange, 404, "There is nothing at %s", request->path);
}
