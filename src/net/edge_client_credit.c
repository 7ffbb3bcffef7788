/* Credits: how many replies with weights may be in transfer or in memory at once. */
#include "net/edge_client_call.h"

bool edge_credit_take(struct edge_request *request)
{
    struct edge_client *client = request->client;
    bool taken;

    pthread_mutex_lock(&client->queue.mutex);
    taken = client->credits > 0;
    if (taken) {
        client->credits--;
        request->has_credit = true;
    } else {
        request->is_waiting = true;
        request->next_waiting = NULL;
        if (client->waiting.last)
            client->waiting.last->next_waiting = request;
        else
            client->waiting.first = request;
        client->waiting.last = request;
    }
    pthread_mutex_unlock(&client->queue.mutex);
    return taken; /* a grant may have come since */
}

/* Mutex held. */
static void unlink_waiting(struct edge_client *client, struct edge_request *request)
{
    struct edge_request *previous = NULL, **at = &client->waiting.first;

    while (*at != request) {
        previous = *at;
        at = &previous->next_waiting;
    }
    *at = request->next_waiting;
    if (client->waiting.last == request)
        client->waiting.last = previous;
    request->is_waiting = false;
}

void edge_credit_give(struct edge_client *client)
{
    struct edge_request *next;

    pthread_mutex_lock(&client->queue.mutex);
    next = client->waiting.first;
    if (next) {
        unlink_waiting(client, next);
        next->has_credit = true;
        next->grant_posted = true;
        cq_thread_notify(next->rpc, &next->granted);
    } else {
        client->credits++;
    }
    pthread_mutex_unlock(&client->queue.mutex);
}

void edge_credit_drop(struct edge_request *request)
{
    struct edge_client *client = request->client;
    bool had_credit;

    pthread_mutex_lock(&client->queue.mutex);
    if (request->is_waiting)
        unlink_waiting(client, request);
    had_credit = request->has_credit;
    request->has_credit = false;
    pthread_mutex_unlock(&client->queue.mutex);
    if (had_credit)
        edge_credit_give(client);
}

int edge_reply_keep_credit(struct edge_reply *reply)
{
    if (!reply->holds_credit)
        return 0;
    reply->holds_credit = 0;
    pthread_mutex_lock(&reply->client->queue.mutex);
    reply->client->refs++;
    pthread_mutex_unlock(&reply->client->queue.mutex);
    return 1;
}

void edge_credit_release(struct edge_client *client)
{
    edge_credit_give(client);
    edge_client_unref(client);
}
