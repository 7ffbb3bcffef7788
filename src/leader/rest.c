/* The REST interface: one row per route. Handlers run on the loop's thread. */
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

/* The past records are whole; a list shows each without its rounds and configuration. */
static json_t *without_details(const json_t *whole)
{
    json_t *json = json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)whole, key,
                        value) if (strcmp(key, "rounds") != 0 && strcmp(key, "config") != 0)
        json_object_set(json, key, value);
    return json;
}

static void list_sessions(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                          const char *rest)
{
    json_t *list = json_array();

    (void)request;
    (void)rest;
    if (leader->session)
        json_array_append_new(list, session_json(leader->session, false));
    for (size_t i = 0; i < leader->num_past; i++)
        json_array_append_new(list, without_details(leader->past[i].json));
    http_respond_json(exchange, 200, json_pack("{s:o}", "sessions", list));
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

static void get_session(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                        const char *rest)
{
    static const char model_suffix[] = "/model";
    size_t length = strlen(rest), suffix = sizeof model_suffix - 1;
    bool wants_model = length > suffix && strcmp(rest + length - suffix, model_suffix) == 0;
    char *id = strndup(rest, wants_model ? length - suffix : length);
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

static void delete_session(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                           const char *rest)
{
    struct blob *model;
    json_t *json = sessions_find(leader, rest, &model);
    bool known = json != NULL;

    (void)request;
    json_decref(json);
    if (leader->session && strcmp(session_id(leader->session), rest) == 0) {
        http_respond_message(exchange, 202, "Session %s stops after the running round", rest);
        session_stop_after_round(leader->session, "stopped by request");
    } else if (known) {
        http_respond_message(exchange, 409, "Session %s is over", rest);
    } else {
        http_respond_message(exchange, 404, "There is no session %s", rest);
    }
}

/* ---- the leader ---- */

static void list_clients(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                         const char *rest)
{
    (void)request;
    (void)rest;
    http_respond_json(exchange, 200, roster_json(leader->roster));
}

static void healthz(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                    const char *rest)
{
    bool connected = discovery_is_connected(leader->discovery);

    (void)request;
    (void)rest;
    http_respond_json(exchange, 200,
                      json_pack("{s:s, s:b, s:b, s:I, s:I}", "status", connected ? "ok" : "degraded", "broker",
                                connected, "ready", leader->ready, "clients", (json_int_t)roster_size(leader->roster),
                                "clients_active", (json_int_t)roster_num_active(leader->roster)));
}

static void put_metric(FILE *out, const char *name, const char *type, const char *help, double value)
{
    fprintf(out, "# HELP flosim_%s %s\n# TYPE flosim_%s %s\nflosim_%s %.10g\n", name, help, name, type, name, value);
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
