/* Orders that take a memory: training from a model of long ago, giving an answer again, giving none. */
#include <stdlib.h>
#include <string.h>

#include "sim/client_orders.h"
#include "util/large.h"

/* ---- models ---- */

/* The model of this round goes first; the oldest one's memory is used again. A round may be asked for again. */
static void keep_model(struct client_orders *orders, int64_t round, const float *weights, size_t n)
{
    size_t room = orders->needs.models + 1;
    bool is_new = orders->num_models == 0 || orders->models[0].round != round;

    if (is_new) {
        struct kept_model oldest = orders->models[room - 1];

        memmove(orders->models + 1, orders->models, (room - 1) * sizeof *orders->models);
        orders->models[0] = oldest;
        orders->num_models += orders->num_models < room;
    }
    if (!orders->models[0].weights)
        orders->models[0].weights = large_alloc(n * sizeof *weights);
    if (orders->models[0].weights)
        memcpy(orders->models[0].weights, weights, n * sizeof *weights);
    orders->models[0].round = round;
}

void client_orders_model(void *context, int64_t round, float *weights, size_t n)
{
    struct client_orders *orders = context;
    double p[ORDER_VALUES];

    client_orders_begin_data(orders, round);
    client_orders_start_clock(orders);
    if (!orders->models)
        return;
    keep_model(orders, round, weights, n);
    if (!order_holds(orders->orders, ORDER_STALE, round, p))
        return;
    size_t back = (size_t)p[0] < orders->num_models ? (size_t)p[0] : orders->num_models - 1;
    if (orders->models[back].weights)
        memcpy(weights, orders->models[back].weights, n * sizeof *weights);
}

/* ---- answers ---- */

static void drop(struct kept_answer *answer)
{
    blob_unref(answer->head);
    blob_unref(answer->weights);
    *answer = (struct kept_answer){0};
}

static void keep_answer(struct client_orders *orders, int64_t round, struct blob *head, struct blob *weights)
{
    struct kept_answer *latest = &orders->answers[0];

    if (latest->head && latest->round != round) {
        drop(&orders->answers[ANSWERS_KEPT - 1]);
        orders->answers[1] = *latest;
    } else {
        drop(latest);
    }
    *latest = (struct kept_answer){round, blob_ref(head), blob_ref(weights)};
}

static void repeat(const struct kept_answer *before, struct blob **head, struct blob **weights)
{
    if (!before->head)
        return; /* it never answered before */
    blob_unref(*head);
    blob_unref(*weights);
    *head = blob_ref(before->head);
    *weights = blob_ref(before->weights);
}

bool client_orders_answer(void *context, int64_t round, struct blob **head, struct blob **weights)
{
    struct client_orders *orders = context;

    if (orders->needs.answers)
        keep_answer(orders, round, *head, *weights);
    if (order_holds(orders->orders, ORDER_DUPLICATE, round, NULL))
        repeat(&orders->answers[1], head, weights);
    return !order_holds(orders->orders, ORDER_NO_REPLY, round, NULL);
}

void client_orders_forget(struct client_orders *orders)
{
    for (size_t i = 0; i < ANSWERS_KEPT; i++)
        drop(&orders->answers[i]);
    for (size_t i = 0; orders->models && i <= orders->needs.models; i++)
        free(orders->models[i].weights);
}
