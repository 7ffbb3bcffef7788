#include "sim/client_orders.h"

#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "sim/corruption.h"

static bool alters(void *context, int64_t round)
{
    const struct client_orders *orders = context;

    return order_holds(orders->orders, ORDER_CORRUPT, round, NULL) ||
           order_holds(orders->orders, ORDER_FREE_RIDER, round, NULL);
}

static void alter(void *context, int64_t round, const float *received, float *weights, size_t n)
{
    const struct client_orders *orders = context;
    const struct corruption_source source = {orders->seed, orders->client_id, round};
    double p[ORDER_VALUES];

    if (order_holds(orders->orders, ORDER_FREE_RIDER, round, p))
        corruption_add_noise(&source, "free-rider", p[0], received, weights, n);
    if (order_holds(orders->orders, ORDER_CORRUPT, round, p))
        corrupt_weights(p, &source, received, weights, n);
}

/* NULL, and the image stays as it is: out of memory. */
static void replace(struct blob **image, struct blob *by)
{
    if (!by)
        return;
    blob_unref(*image);
    *image = by;
}

static void image(void *context, int64_t round, struct blob **image)
{
    struct client_orders *orders = context;
    double p[ORDER_VALUES];

    client_orders_rest(orders, round); /* for the last mini-batch */
    if (order_holds(orders->orders, ORDER_WRONG_SHAPE, round, NULL))
        replace(image, corruption_reshape(*image));
    if (order_holds(orders->orders, ORDER_CORRUPT, round, p) && (int)p[CORRUPT_KIND] == CORRUPT_TRUNCATED)
        replace(image, corruption_cut(*image));
}

const struct training_hooks client_orders_hooks = {
    .model = client_orders_model,
    .batch = client_orders_batch,
    .alters = alters,
    .alter = alter,
    .image = image,
    .answer = client_orders_answer,
};

int client_orders_begin(struct client_orders *orders, struct error *err)
{
    if (orders->needs.models == 0)
        return OK;
    orders->models = calloc(orders->needs.models + 1, sizeof *orders->models);
    return orders->models ? OK : FAIL(err, ERR_MEMORY, "out of memory for older models");
}

void client_orders_fini(struct client_orders *orders)
{
    client_orders_forget(orders);
    free(orders->models);
}
