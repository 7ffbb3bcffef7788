#include "sim/orders.h"

#include <stddef.h>

void order_give(struct orders *orders, enum order_kind kind, const struct order_terms *terms)
{
    struct order *order = &orders->of[kind];

    atomic_store(&order->active, 0);
    atomic_store(&order->fault, terms->fault);
    atomic_store(&order->first_round, terms->first_round);
    atomic_store(&order->last_round, terms->last_round);
    for (size_t i = 0; i < ORDER_VALUES; i++)
        atomic_store(&order->p[i], terms->p[i]);
    atomic_store(&order->active, 1);
}

void orders_take_back(struct orders *orders, uint32_t fault)
{
    for (size_t kind = 0; kind < NUM_ORDERS; kind++)
        if (atomic_load(&orders->of[kind].fault) == fault)
            atomic_store(&orders->of[kind].active, 0);
}

bool order_holds(struct orders *orders, enum order_kind kind, int64_t round, double *p)
{
    struct order *order = &orders->of[kind];

    if (!atomic_load(&order->active) || round < atomic_load(&order->first_round) ||
        round > atomic_load(&order->last_round))
        return false;
    for (size_t i = 0; p && i < ORDER_VALUES; i++)
        p[i] = atomic_load(&order->p[i]);
    return true;
}
