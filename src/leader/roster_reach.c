/* Reaching a client: its link, echoes, and those that are only remembered. */
#include "leader/roster_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        roster_make_active(echo->roster, client);
    } else if (reply->error.status != ERR_CANCELLED) {
        roster_tell_why(client, reply->error.message);
        roster_close_link(client);
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
        roster_tell_why(client, err.message);
    else if (send_echo(roster, client, call_done, NULL, NULL) != OK)
        roster_close_link(client);
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
