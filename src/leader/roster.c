#include "leader/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A heartbeat that was under way when a client died arrives after the failure of its connection, and says nothing about
 * it being back: within this time of the failure only an advert counts (half an interval, at most a second). */
#define STALE_HEARTBEAT_MAX_S 1.0
#define GRACE_S               2.0
#define RECONNECT_S           15.0 /* a little more than an MQTT client waits between two tries */

struct roster {
    struct roster_options options;
    struct link_factory factory;
    struct loop *loop;
    const struct log *log;
    struct roster_client **clients; /* by id */
    size_t n, capacity, num_active;
    size_t advert_bytes, holds;
    struct roster_listener *listeners;
    struct loop_timer sweep;
    bool deaf;                 /* no connection to the broker */
    uint64_t hearing_since_ns; /* since it came back; 0: it was never away */
};

static uint64_t now_ns(const struct roster *roster)
{
    return clock_now_ns(loop_clock(roster->loop));
}

static uint64_t ns_of(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

/* ---- the sorted table ---- */

static size_t position(const struct roster *roster, const char *id, bool *found)
{
    size_t low = 0, high = roster->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(roster->clients[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < roster->n && strcmp(roster->clients[low]->id, id) == 0;
    return low;
}

struct roster_client *roster_find(const struct roster *roster, const char *id)
{
    bool found;
    size_t i = position(roster, id, &found);

    return found ? roster->clients[i] : NULL;
}

size_t roster_size(const struct roster *roster)
{
    return roster->n;
}

size_t roster_num_active(const struct roster *roster)
{
    return roster->num_active;
}

struct roster_client *roster_at(const struct roster *roster, size_t i)
{
    return roster->clients[i];
}

static int reserve(struct roster *roster)
{
    size_t capacity = roster->capacity ? 2 * roster->capacity : 64;
    struct roster_client **clients;

    if (roster->n < roster->capacity)
        return OK;
    clients = realloc(roster->clients, capacity * sizeof *clients);
    if (!clients)
        return ERR_MEMORY;
    roster->clients = clients;
    roster->capacity = capacity;
    return OK;
}

/* ---- who is forgotten ---- */

void roster_hold(struct roster *roster)
{
    roster->holds++;
}

void roster_release(struct roster *roster)
{
    roster->holds--;
}

/* About what the advert takes in memory, besides the entry itself. */
static size_t bytes_of(const struct client_advert *advert)
{
    size_t bytes = advert->num_datasets * sizeof *advert->datasets + advert->num_models * sizeof *advert->models +
                   advert->num_benchmarks * sizeof *advert->benchmarks;

    for (size_t i = 0; i < advert->num_datasets; i++)
        bytes += advert->datasets[i].num_labels * sizeof *advert->datasets[i].labels +
                 (advert->datasets[i].details_json ? strlen(advert->datasets[i].details_json) : 0);
    return bytes;
}

static void free_client(struct roster_client *client)
{
    client_advert_fini(&client->advert);
    free(client->heartbeats);
    free(client);
}

/* The inactive client that was heard of longest ago, but not `spared`; n: nobody can be forgotten. */
static size_t longest_silent(const struct roster *roster, const struct roster_client *spared)
{
    size_t found = roster->n;

    if (roster->holds > 0)
        return found;
    for (size_t i = 0; i < roster->n; i++) {
        const struct roster_client *client = roster->clients[i];

        if (client == spared || client->active || client->busy || client->echoes > 0)
            continue;
        if (found == roster->n || client->last_seen_ns < roster->clients[found]->last_seen_ns)
            found = i;
    }
    return found;
}

static bool forget_one(struct roster *roster, const struct roster_client *spared)
{
    size_t i = longest_silent(roster, spared);
    struct roster_client *client;

    if (i == roster->n)
        return false;
    client = roster->clients[i];
    for (size_t k = 0; k < roster->n; k++) /* no gap in the numbers */
        if (roster->clients[k]->number == roster->n - 1)
            roster->clients[k]->number = client->number;
    log_write(roster->log, LOG_DEBUG, "roster", "forgotten to make room client=%s", client->id);
    roster->advert_bytes -= client->counted_bytes;
    memmove(roster->clients + i, roster->clients + i + 1, (roster->n - i - 1) * sizeof *roster->clients);
    roster->n--;
    free_client(client);
    return true;
}

/* Room for an advert of so many bytes, in the place of the one that `client` has (NULL: a new client). */
static bool make_room(struct roster *roster, const struct roster_client *client, size_t bytes)
{
    size_t old = client ? client->counted_bytes : 0;

    while (!client && roster->n >= roster->options.max_clients)
        if (!forget_one(roster, NULL))
            return false;
    while (roster->advert_bytes - old + bytes > roster->options.max_bytes)
        if (!forget_one(roster, client))
            return false;
    return true;
}

static struct roster_client *add_client(struct roster *roster, const char *id)
{
    bool found;
    size_t i = position(roster, id, &found);
    size_t kept = (size_t)roster->options.num_heartbeats_kept;
    struct roster_client *client;

    if (reserve(roster) != OK)
        return NULL;
    client = calloc(1, sizeof *client);
    if (client)
        client->heartbeats = calloc(kept ? kept : 1, sizeof *client->heartbeats);
    if (!client || !client->heartbeats) {
        free(client);
        return NULL;
    }
    snprintf(client->id, sizeof client->id, "%s", id);
    client->number = roster->n;
    memmove(roster->clients + i + 1, roster->clients + i, (roster->n - i) * sizeof *roster->clients);
    roster->clients[i] = client;
    roster->n++;
    return client;
}

/* ---- changes ---- */

void roster_listen(struct roster *roster, struct roster_listener *listener)
{
    listener->next = roster->listeners;
    roster->listeners = listener;
}

void roster_unlisten(struct roster *roster, struct roster_listener *listener)
{
    for (struct roster_listener **at = &roster->listeners; *at; at = &(*at)->next)
        if (*at == listener) {
            *at = listener->next;
            return;
        }
}

static void tell(struct roster *roster, struct roster_client *client, enum roster_change change)
{
    struct roster_listener *next;

    for (struct roster_listener *listener = roster->listeners; listener; listener = next) {
        next = listener->next;
        listener->changed(listener, client, change);
    }
}

static void tell_why(struct roster_client *client, const char *reason)
{
    snprintf(client->reason, sizeof client->reason, "%.159s", reason);
}

static void close_link(struct roster_client *client)
{
    struct client_link *link = client->link;

    client->link = NULL;
    if (link)
        link->ops->close(link);
}

static void make_active(struct roster *roster, struct roster_client *client)
{
    client->last_seen_ns = now_ns(roster);
    client->remembered = false;
    if (client->active)
        return;
    client->active = true;
    client->reason[0] = '\0';
    roster->num_active++;
    log_write(roster->log, LOG_DEBUG, "roster", "client is active client=%s active=%zu", client->id,
              roster->num_active);
    tell(roster, client, ROSTER_ACTIVE);
}

static void make_inactive(struct roster *roster, struct roster_client *client, const char *reason)
{
    if (!client->active)
        return;
    client->active = false;
    roster->num_active--;
    tell_why(client, reason);
    log_write(roster->log, LOG_WARN, "roster", "client is out of contact: %s client=%s active=%zu", client->reason,
              client->id, roster->num_active);
    tell(roster, client, ROSTER_INACTIVE);
    close_link(client);
}

void roster_lost_contact(struct roster *roster, struct roster_client *client, const char *reason)
{
    client->unavailable_ns = now_ns(roster);
    client->failures++;
    make_inactive(roster, client, reason);
}

void roster_note_term(struct roster *roster, struct roster_client *client, bool refused)
{
    size_t n = 0;

    client->refused_term = refused;
    for (size_t i = 0; refused && i < roster->n; i++)
        n += roster->clients[i]->active && roster->clients[i]->refused_term;
    if (2 * n > roster->num_active && roster->options.replaced)
        roster->options.replaced(roster->options.context);
}

static double limit_s(const struct roster *roster)
{
    return (double)roster->options.max_missed * roster->options.heartbeat_interval_s + GRACE_S;
}

/* Who was not heard since the broker came back may still be waiting to try it again. */
static uint64_t patience_ns(const struct roster *roster, size_t i)
{
    bool silent_since = roster->hearing_since_ns && roster->clients[i]->last_seen_ns == roster->hearing_since_ns;

    return ns_of(limit_s(roster) + (silent_since ? RECONNECT_S : 0.0));
}

static void sweep(struct loop_timer *timer)
{
    struct roster *roster = CONTAINER_OF(timer, struct roster, sweep);
    uint64_t now = now_ns(roster);
    char reason[80];

    snprintf(reason, sizeof reason, "no heartbeat for %.1f s", limit_s(roster));
    for (size_t i = 0; i < roster->n && !roster->deaf; i++)
        if (roster->clients[i]->active && now - roster->clients[i]->last_seen_ns > patience_ns(roster, i))
            make_inactive(roster, roster->clients[i], reason);
    loop_timer_set(roster->loop, timer, ns_of(roster->options.heartbeat_interval_s / 4), NULL);
}

void roster_set_hearing(struct roster *roster, bool hearing)
{
    struct roster_listener *next;

    if (hearing && roster->deaf) {
        roster->hearing_since_ns = now_ns(roster);
        for (size_t i = 0; i < roster->n; i++)
            roster->clients[i]->last_seen_ns = roster->hearing_since_ns;
    }
    roster->deaf = !hearing;
    for (struct roster_listener *listener = roster->listeners; listener; listener = next) {
        next = listener->next;
        if (listener->hearing)
            listener->hearing(listener, hearing);
    }
}

/* ---- what comes in ---- */

/* The entry that an advert belongs to, with room for it; NULL, and told, where there is none. */
static struct roster_client *entry_for(struct roster *roster, const struct client_advert *advert, size_t bytes)
{
    struct roster_client *client = roster_find(roster, advert->id);

    if (make_room(roster, client, bytes) && (client || (client = add_client(roster, advert->id))))
        return client;
    log_write(roster->log, LOG_WARN, "roster", "dropped the advert of %s: the roster is full at %zu clients, %zu bytes",
              advert->id, roster->n, roster->advert_bytes);
    return NULL;
}

/* Takes the advert. */
static void set_advert(struct roster *roster, struct roster_client *client, struct client_advert *advert, size_t bytes)
{
    client_advert_fini(&client->advert);
    client->advert = *advert;
    roster->advert_bytes += bytes - client->counted_bytes;
    client->counted_bytes = bytes;
}

void roster_take_advert(struct roster *roster, struct span payload)
{
    struct client_advert advert;
    struct roster_client *client;
    struct error err = ERROR_INIT;
    bool was_active;
    size_t bytes;

    if (client_advert_decode(payload, &advert, &err) != OK) {
        log_write(roster->log, LOG_WARN, "roster", "dropped a malformed advert: %s", err.message);
        return;
    }
    bytes = bytes_of(&advert);
    client = entry_for(roster, &advert, bytes);
    if (!client) {
        client_advert_fini(&advert);
        return;
    }
    if (strcmp(client->advert.endpoint, advert.endpoint) != 0) {
        if (client->active)
            make_inactive(roster, client, "moved to another address");
        close_link(client);
    }
    set_advert(roster, client, &advert, bytes);
    client->unsaved = true;
    client->unavailable_ns = 0;
    was_active = client->active;
    make_active(roster, client);
    if (was_active)
        tell(roster, client, ROSTER_UPDATED);
    if (client->echoes == 0 && client->active)
        roster_echo(roster, client, NULL, NULL);
}

void roster_remember(struct roster *roster, struct span payload)
{
    struct client_advert advert;
    struct roster_client *client;
    struct error err = ERROR_INIT;
    size_t bytes;

    if (client_advert_decode(payload, &advert, &err) != OK) {
        log_write(roster->log, LOG_WARN, "roster", "a client of the stored roster is not understood: %s", err.message);
        return;
    }
    bytes = bytes_of(&advert);
    client = roster_find(roster, advert.id) ? NULL : entry_for(roster, &advert, bytes);
    if (!client) { /* heard of already */
        client_advert_fini(&advert);
        return;
    }
    set_advert(roster, client, &advert, bytes);
    client->remembered = true;
    tell_why(client, "known from before, not heard of yet");
}

static bool is_stale(const struct roster *roster, const struct roster_client *client)
{
    double limit = roster->options.heartbeat_interval_s / 2;

    if (limit > STALE_HEARTBEAT_MAX_S)
        limit = STALE_HEARTBEAT_MAX_S;
    return client->unavailable_ns && now_ns(roster) - client->unavailable_ns < ns_of(limit);
}

void roster_take_heartbeat(struct roster *roster, struct span payload)
{
    size_t kept = (size_t)roster->options.num_heartbeats_kept;
    char id[CLIENT_ID_MAX];
    double timestamp;
    struct roster_client *client;
    struct error err = ERROR_INIT;

    if (heartbeat_decode(payload, id, &timestamp, &err) != OK) {
        log_write(roster->log, LOG_WARN, "roster", "dropped a malformed heartbeat: %s", err.message);
        return;
    }
    client = roster_find(roster, id);
    if (!client || is_stale(roster, client))
        return;
    if (kept) {
        client->heartbeats[client->next_heartbeat] = timestamp;
        client->next_heartbeat = (client->next_heartbeat + 1) % kept;
        client->num_heartbeats += client->num_heartbeats < kept;
    }
    make_active(roster, client);
}

void roster_take_status(struct roster *roster, const char *client_id, struct span payload, bool retained)
{
    struct roster_client *client = roster_find(roster, client_id);

    /* What was retained is of an earlier life, as all that is known of a client that is only remembered. */
    if (retained && (!client || !client->remembered))
        return;
    if (payload.size == strlen("offline") && memcmp(payload.data, "offline", payload.size) == 0) {
        if (client && client->remembered)
            tell_why(client, "it went offline");
        else if (client)
            make_inactive(roster, client, "it went offline");
        return;
    }
    if (payload.size != 0 && !(payload.size == strlen("online") && memcmp(payload.data, "online", payload.size) == 0))
        log_write(roster->log, LOG_WARN, "roster", "dropped a malformed status of %.128s", client_id);
}

/* ---- reaching a client ---- */

static struct client_link *open_link(struct roster *roster, struct roster_client *client, struct error *err)
{
    if (!client->link)
        roster->factory.open(roster->factory.context, client->advert.endpoint, client->advert.speaks_safetensors,
                             &client->link, err);
    return client->link;
}

struct client_link *roster_link(struct roster *roster, struct roster_client *client, struct error *err)
{
    if (!client->active) {
        FAIL(err, ERR_UNAVAILABLE, "client %s is out of contact: %s", client->id, client->reason);
        return NULL;
    }
    return open_link(roster, client, err);
}

struct echo {
    struct roster *roster;
    struct roster_client *client;
    void (*done)(void *context);
    void *context;
    char endpoint[ENDPOINT_MAX]; /* an answer of an old address says nothing about the new one */
};

enum { ECHO_SHOWN = 80 };

/* The beginning of a stranger's text, fit for logs and JSON. */
static void printable(const char *text, char out[ECHO_SHOWN])
{
    size_t n = 0;

    for (; text[n] && n + 1 < ECHO_SHOWN; n++)
        out[n] = text[n] >= ' ' && text[n] < 127 ? text[n] : '?';
    out[n] = '\0';
}

/* Who answers something else is no client, whatever listens there. */
static void check_echo(const struct roster *roster, const struct roster_client *client, struct link_reply *reply)
{
    struct text_message message = {0};
    struct error err = ERROR_INIT;
    int status = edge_decode_text(reply->body, &message, &err);

    if (status != OK) {
        FAIL(&reply->error, status, "its answer to an echo is no message: %s", err.message);
    } else if (strcmp(message.text, LINK_ECHO_TEXT) != 0) {
        char text[ECHO_SHOWN];

        printable(message.text, text);
        FAIL(&reply->error, ERR_CORRUPT, "it answers an echo of \"%s\" with \"%s\"", LINK_ECHO_TEXT, text);
    }
    if (reply->error.status != OK)
        log_write(roster->log, LOG_WARN, "roster", "client %s is not reachable at %s: %s", client->id,
                  client->advert.endpoint, reply->error.message);
    edge_arena_free(message.arena);
}

static void echo_done(void *context, struct link_reply *reply)
{
    struct echo *echo = context;
    struct roster_client *client = echo->client;
    bool same = strcmp(echo->endpoint, client->advert.endpoint) == 0;

    client->echoes--;
    if (reply->error.status == OK && same)
        check_echo(echo->roster, client, reply);
    if (reply->error.status != OK && reply->error.status != ERR_CANCELLED && same)
        roster_lost_contact(echo->roster, client, reply->error.message);
    if (!same && client->active && client->echoes == 0)
        roster_echo(echo->roster, client, NULL, NULL);
    if (echo->done)
        echo->done(echo->context);
    free(echo);
}

static int send_echo(struct roster *roster, struct roster_client *client, link_callback answered,
                     void (*done)(void *context), void *context)
{
    struct client_link *link = client->link;
    struct echo *echo = calloc(1, sizeof *echo);

    if (!echo)
        return ERR_MEMORY;
    *echo = (struct echo){.roster = roster, .client = client, .done = done, .context = context};
    snprintf(echo->endpoint, sizeof echo->endpoint, "%s", client->advert.endpoint);
    if (link->ops->echo(link, roster->options.echo_timeout_s, answered, echo) != OK) {
        free(echo);
        return ERR_MEMORY;
    }
    client->echoes++;
    return OK;
}

bool roster_echo(struct roster *roster, struct roster_client *client, void (*done)(void *context), void *context)
{
    struct error err = ERROR_INIT;

    if (!roster_link(roster, client, &err)) {
        roster_lost_contact(roster, client, err.message);
        return false;
    }
    if (send_echo(roster, client, echo_done, done, context) != OK) {
        roster_lost_contact(roster, client, "the echo could not be sent");
        return false;
    }
    return true;
}

/* ---- clients that are remembered ---- */

static void call_done(void *context, struct link_reply *reply)
{
    struct echo *echo = context;
    struct roster_client *client = echo->client;

    if (!client->remembered) { /* it was quicker to say so itself */
        echo_done(context, reply);
        return;
    }
    client->echoes--;
    if (reply->error.status == OK)
        check_echo(echo->roster, client, reply);
    if (reply->error.status == OK) {
        make_active(echo->roster, client);
    } else if (reply->error.status != ERR_CANCELLED) {
        tell_why(client, reply->error.message);
        close_link(client);
    }
    free(echo);
}

static int by_endpoint(const void *a, const void *b)
{
    const struct roster_client *one = *(struct roster_client *const *)a, *other = *(struct roster_client *const *)b;
    int order = strcmp(one->advert.endpoint, other->advert.endpoint);

    if (order == 0)
        order = (one->advert.timestamp < other->advert.timestamp) - (one->advert.timestamp > other->advert.timestamp);
    return order ? order : strcmp(one->id, other->id);
}

static void call(struct roster *roster, struct roster_client *client)
{
    struct error err = ERROR_INIT;

    if (!open_link(roster, client, &err))
        tell_why(client, err.message);
    else if (send_echo(roster, client, call_done, NULL, NULL) != OK)
        close_link(client);
}

void roster_call_remembered(struct roster *roster)
{
    struct roster_client **clients = calloc(roster->n + 1, sizeof(struct roster_client *));
    size_t n = 0;

    for (size_t i = 0; clients && i < roster->n; i++)
        if (roster->clients[i]->remembered && roster->clients[i]->echoes == 0)
            clients[n++] = roster->clients[i];
    if (n)
        qsort(clients, n, sizeof(struct roster_client *), by_endpoint);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(clients[i]->advert.endpoint, clients[i - 1]->advert.endpoint) != 0)
            call(roster, clients[i]);
    free(clients);
}

/* ---- life ---- */

int roster_new(struct roster **out, const struct roster_options *options, const struct link_factory *factory,
               struct loop *loop, const struct log *log, struct error *err)
{
    struct roster *roster = calloc(1, sizeof *roster);

    *out = NULL;
    if (!roster)
        return FAIL(err, ERR_MEMORY, "no memory for the roster");
    roster->options = *options;
    if (!roster->options.max_clients)
        roster->options.max_clients = 100000;
    if (!roster->options.max_bytes)
        roster->options.max_bytes = (size_t)512 << 20;
    roster->factory = *factory;
    roster->loop = loop;
    roster->log = log;
    loop_timer_init(&roster->sweep, sweep);
    if (loop_timer_set(loop, &roster->sweep, ns_of(options->heartbeat_interval_s / 4), err) != OK) {
        free(roster);
        return ERR_MEMORY;
    }
    *out = roster;
    return OK;
}

void roster_close(struct roster *roster)
{
    loop_timer_cancel(roster->loop, &roster->sweep);
    for (size_t i = 0; i < roster->n; i++)
        close_link(roster->clients[i]);
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    roster_close(roster);
    for (size_t i = 0; i < roster->n; i++)
        free_client(roster->clients[i]);
    free(roster->clients);
    free(roster);
}
