/* Orders that poison what a client trains on. */
#include "sim/backdoor.h"
#include "sim/client_orders.h"
#include "sim/label_flip.h"

static bool has_labels(const struct dataset *data)
{
    return data->labels != NULL;
}

static void flip_labels(const struct dataset *data, const double *p, int32_t *labels, size_t count)
{
    for (size_t i = 0; i < count * data->num_targets; i++)
        labels[i] = label_flipped(labels[i], (int32_t)p[FLIP_FROM], (int32_t)p[FLIP_TO], data->num_classes);
}

static void poison(struct client_orders *orders, const double *p, float *x, int32_t *labels, size_t count)
{
    size_t item = backdoor_item_size(orders->dataset);

    for (size_t i = 0; i < count; i++) {
        if (rng_uniform(&orders->trigger) >= p[BACKDOOR_SHARE])
            continue;
        backdoor_stamp(orders->dataset, (int)p[BACKDOOR_SIZE], x + i * item);
        labels[i] = (int32_t)p[BACKDOOR_TARGET];
    }
}

void client_orders_begin_data(struct client_orders *orders, int64_t round)
{
    rng_init(&orders->trigger, orders->seed, "backdoor", orders->client_id, (uint64_t)round);
}

void client_orders_batch(void *context, int64_t round, float *x, int32_t *labels, size_t count)
{
    struct client_orders *orders = context;
    double p[ORDER_VALUES];

    client_orders_rest(orders, round);
    if (!has_labels(orders->dataset))
        return;
    if (order_holds(orders->orders, ORDER_LABEL_FLIP, round, p))
        flip_labels(orders->dataset, p, labels, count);
    if (order_holds(orders->orders, ORDER_BACKDOOR, round, p))
        poison(orders, p, x, labels, count);
}
