#include "sim/link_shape.h"

#define RTO_S 0.2

enum {
    PACKET_BYTES = 1448, /* of TCP over Ethernet */
    MAX_DOUBLINGS = 6,
};

static double slower(double a, double b)
{
    return a <= 0 ? b : b <= 0 || a < b ? a : b;
}

static void add_effect(struct link_shape *shape, enum link_effect effect, double p0, double p1)
{
    switch (effect) {
    case LINK_LATENCY:
        shape->latency_s += p0;
        break;
    case LINK_JITTER:
        shape->jitter_s += p0;
        break;
    case LINK_BANDWIDTH:
        shape->rate[LINK_UP] = slower(shape->rate[LINK_UP], p0);
        shape->rate[LINK_DOWN] = slower(shape->rate[LINK_DOWN], p1);
        break;
    case LINK_LOSS:
        shape->loss = 1 - (1 - shape->loss) * (1 - p0);
        break;
    case LINK_SLOW_DRIP:
        shape->drip = slower(shape->drip, p0);
        break;
    case LINK_PARTITION:
        shape->is_partition = true;
        break;
    case LINK_HALF_OPEN:
        shape->is_half_open = true;
        break;
    case LINK_FLAKY:
        shape->flaky_s = p0;
        break;
    case NUM_LINK_EFFECTS:
        break;
    }
}

struct link_shape link_shape_of(const struct link_shape *base, struct link_block *block)
{
    struct link_shape shape = *base;

    for (enum link_effect effect = 0; effect < NUM_LINK_EFFECTS; effect++) {
        struct link_setting *setting = &block->settings[effect];

        if (atomic_load(&setting->fault))
            add_effect(&shape, effect, atomic_load(&setting->p[0]), atomic_load(&setting->p[1]));
    }
    return shape;
}

double link_stall_s(const struct link_shape *shape, size_t bytes, struct rng *rng)
{
    double rto = RTO_S + 2 * shape->latency_s, longest = 0;

    for (size_t at = 0; shape->loss > 0 && at < bytes; at += PACKET_BYTES) {
        double stall = 0;

        for (int i = 0; i <= MAX_DOUBLINGS && rng_uniform(rng) < shape->loss; i++)
            stall += rto * (double)(1 << i);
        longest = stall > longest ? stall : longest;
    }
    return longest;
}

bool link_shape_is_plain(const struct link_shape *shape)
{
    return shape->latency_s <= 0 && shape->jitter_s <= 0 && shape->rate[LINK_UP] <= 0 && shape->rate[LINK_DOWN] <= 0 &&
           shape->loss <= 0 && shape->drip <= 0 && !shape->is_partition && !shape->is_half_open && shape->flaky_s <= 0;
}

void link_set(struct link_block *block, enum link_effect effect, uint32_t fault, double p0, double p1)
{
    struct link_setting *setting = &block->settings[effect];

    atomic_store(&setting->p[0], p0);
    atomic_store(&setting->p[1], p1);
    atomic_store(&setting->fault, fault);
}

void link_unset(struct link_block *block, enum link_effect effect, uint32_t fault)
{
    if (atomic_load(&block->settings[effect].fault) == fault)
        atomic_store(&block->settings[effect].fault, 0);
}
