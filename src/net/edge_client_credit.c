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

/* --- the watch, loop's thread --- */

static const uint64_t watch_interval_ns = 500000000;

static void cancel_overdue(struct edge_client *client)
{
    uint64_t now_ns = clock_now_ns(loop_clock(client->loop));

    pthread_mutex_lock(&client->queue.mutex);
    for (struct edge_request *request = client->active.first; request; request = request->next) {
        if (!request->rpc || !request->receive_due_ns || now_ns < request->receive_due_ns)
            continue;
        request->receive_due_ns = 0;
        grpc_call_cancel_with_status(request->rpc, GRPC_STATUS_DEADLINE_EXCEEDED, "the reply came too slowly", NULL);
    }
    pthread_mutex_unlock(&client->queue.mutex);
}

static void look(struct loop_timer *timer)
{
    struct edge_client *client = CONTAINER_OF(timer, struct edge_client, watch);

    cancel_overdue(client);
    edge_credit_watch(client);
}

void edge_credit_watch(struct edge_client *client)
{
    bool is_active;

    pthread_mutex_lock(&client->queue.mutex);
    is_active = client->num_active > 0;
    pthread_mutex_unlock(&client->queue.mutex);
    /* Without memory for a timer the next call sets it. */
    if (is_active && client->watch.heap_index < 0)
        loop_timer_set(client->loop, &client->watch, watch_interval_ns, NULL);
}

void edge_credit_watch_init(struct edge_client *client)
{
    loop_timer_init(&client->watch, look);
}
