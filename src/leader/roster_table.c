/* The roster's entries, sorted by id, and who is forgotten when there is no room. */
#include "leader/roster_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

size_t roster_advert_bytes(const struct client_advert *advert)
{
    size_t bytes = advert->num_datasets * sizeof *advert->datasets + advert->num_models * sizeof *advert->models +
                   advert->num_benchmarks * sizeof *advert->benchmarks;

    for (size_t i = 0; i < advert->num_datasets; i++)
        bytes += advert->datasets[i].num_labels * sizeof *advert->datasets[i].labels +
                 (advert->datasets[i].details_json ? strlen(advert->datasets[i].details_json) : 0);
    return bytes;
}

void roster_free_client(struct roster_client *client)
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
    roster_free_client(client);
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

struct roster_client *roster_entry_for(struct roster *roster, const struct client_advert *advert, size_t bytes)
{
    struct roster_client *client = roster_find(roster, advert->id);

    if (make_room(roster, client, bytes) && (client || (client = add_client(roster, advert->id))))
        return client;
    log_write(roster->log, LOG_WARN, "roster", "dropped the advert of %s: the roster is full at %zu clients, %zu bytes",
              advert->id, roster->n, roster->advert_bytes);
    return NULL;
}

void roster_set_advert(struct roster *roster, struct roster_client *client, struct client_advert *advert, size_t bytes)
{
    client_advert_fini(&client->advert);
    client->advert = *advert;
    roster->advert_bytes += bytes - client->counted_bytes;
    client->counted_bytes = bytes;
}
