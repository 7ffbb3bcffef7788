/* What the roster hears: adverts, heartbeats, statuses, and what the state knows of clients from before. */
#include "leader/roster_internal.h"

#include <string.h>

/* A heartbeat that was under way when a client died arrives after the failure of its connection, and says nothing about
 * it being back: within this time of the failure only an advert counts (half an interval, at most a second). */
#define STALE_HEARTBEAT_MAX_S 1.0

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
    bytes = roster_advert_bytes(&advert);
    client = roster_entry_for(roster, &advert, bytes);
    if (!client) {
        client_advert_fini(&advert);
        return;
    }
    if (strcmp(client->advert.endpoint, advert.endpoint) != 0) {
        if (client->active)
            roster_make_inactive(roster, client, "moved to another address");
        roster_close_link(client);
    }
    roster_set_advert(roster, client, &advert, bytes);
    client->unsaved = true;
    client->unavailable_ns = 0;
    was_active = client->active;
    roster_make_active(roster, client);
    if (was_active)
        roster_tell(roster, client, ROSTER_UPDATED);
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
    bytes = roster_advert_bytes(&advert);
    client = roster_find(roster, advert.id) ? NULL : roster_entry_for(roster, &advert, bytes);
    if (!client) { /* heard of already */
        client_advert_fini(&advert);
        return;
    }
    roster_set_advert(roster, client, &advert, bytes);
    client->remembered = true;
    roster_tell_why(client, "known from before, not heard of yet");
}

static bool is_stale(const struct roster *roster, const struct roster_client *client)
{
    double limit = roster->options.heartbeat_interval_s / 2;

    if (limit > STALE_HEARTBEAT_MAX_S)
        limit = STALE_HEARTBEAT_MAX_S;
    return client->unavailable_ns && roster_now_ns(roster) - client->unavailable_ns < roster_ns_of(limit);
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
    roster_make_active(roster, client);
}

void roster_take_status(struct roster *roster, const char *client_id, struct span payload, bool retained)
{
    struct roster_client *client = roster_find(roster, client_id);

    /* What was retained is of an earlier life, as all that is known of a client that is only remembered. */
    if (retained && (!client || !client->remembered))
        return;
    if (payload.size == strlen("offline") && memcmp(payload.data, "offline", payload.size) == 0) {
        if (client && client->remembered)
            roster_tell_why(client, "it went offline");
        else if (client)
            roster_make_inactive(roster, client, "it went offline");
        return;
    }
    if (payload.size != 0 && !(payload.size == strlen("online") && memcmp(payload.data, "online", payload.size) == 0))
        log_write(roster->log, LOG_WARN, "roster", "dropped a malformed status of %.128s", client_id);
}
