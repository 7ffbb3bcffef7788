/* Who is in contact, and who is told of it. */
#include "leader/roster_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define GRACE_S     2.0
#define RECONNECT_S 15.0 /* a little more than an MQTT client waits between two tries */

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

void roster_tell(struct roster *roster, struct roster_client *client, enum roster_change change)
{
    struct roster_listener *next;

    for (struct roster_listener *listener = roster->listeners; listener; listener = next) {
        next = listener->next;
        listener->changed(listener, client, change);
    }
}

void roster_tell_why(struct roster_client *client, const char *reason)
{
    snprintf(client->reason, sizeof client->reason, "%.159s", reason);
}

void roster_close_link(struct roster_client *client)
{
    struct client_link *link = client->link;

    client->link = NULL;
    if (link)
        link->ops->close(link);
}

void roster_make_active(struct roster *roster, struct roster_client *client)
{
    client->last_seen_ns = roster_now_ns(roster);
    client->remembered = false;
    if (client->active)
        return;
    client->active = true;
    client->reason[0] = '\0';
    roster->num_active++;
    log_write(roster->log, LOG_DEBUG, "roster", "client is active client=%s active=%zu", client->id,
              roster->num_active);
    roster_tell(roster, client, ROSTER_ACTIVE);
}

void roster_make_inactive(struct roster *roster, struct roster_client *client, const char *reason)
{
    if (!client->active)
        return;
    client->active = false;
    roster->num_active--;
    roster_tell_why(client, reason);
    log_write(roster->log, LOG_WARN, "roster", "client is out of contact: %s client=%s active=%zu", client->reason,
              client->id, roster->num_active);
    roster_tell(roster, client, ROSTER_INACTIVE);
    roster_close_link(client);
}

void roster_lost_contact(struct roster *roster, struct roster_client *client, const char *reason)
{
    client->unavailable_ns = roster_now_ns(roster);
    client->failures++;
    roster_make_inactive(roster, client, reason);
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

    return roster_ns_of(limit_s(roster) + (silent_since ? RECONNECT_S : 0.0));
}

static void sweep(struct loop_timer *timer)
{
    struct roster *roster = CONTAINER_OF(timer, struct roster, sweep);
    uint64_t now = roster_now_ns(roster);
    char reason[80];

    snprintf(reason, sizeof reason, "no heartbeat for %.1f s", limit_s(roster));
    for (size_t i = 0; i < roster->n && !roster->deaf; i++)
        if (roster->clients[i]->active && now - roster->clients[i]->last_seen_ns > patience_ns(roster, i))
            roster_make_inactive(roster, roster->clients[i], reason);
    loop_timer_set(roster->loop, timer, roster_ns_of(roster->options.heartbeat_interval_s / 4), NULL);
}

void roster_set_hearing(struct roster *roster, bool hearing)
{
    struct roster_listener *next;

    if (hearing && roster->deaf) {
        roster->hearing_since_ns = roster_now_ns(roster);
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
    if (loop_timer_set(loop, &roster->sweep, roster_ns_of(options->heartbeat_interval_s / 4), err) != OK) {
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
        roster_close_link(roster->clients[i]);
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    roster_close(roster);
    for (size_t i = 0; i < roster->n; i++)
        roster_free_client(roster->clients[i]);
    free(roster->clients);
    free(roster);
}
