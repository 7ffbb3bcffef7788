/* A client follows the orders that lie in its block (orders.h): the hooks that its worker is lent. In the client's
 * process, on its compute thread; client_orders_begin before the worker is made. */
#ifndef FLOSIM_SIM_CLIENT_ORDERS_H
#define FLOSIM_SIM_CLIENT_ORDERS_H

#include "data/dataset.h"
#include "sim/fault.h"
#include "sim/orders.h"
#include "sim/slots.h"
#include "util/rng.h"
#include "worker/training_hooks.h"

struct kept_model {
    int64_t round;
    float *weights; /* [n] */
};

struct kept_answer {
    int64_t round;
    struct blob *head, *weights; /* NULL: none */
};

enum { ANSWERS_KEPT = 2 };

/* What the values of orders about time mean. */
enum { SLOW_FACTOR = 0, CLOCK_OFFSET_S = 0 };

struct client_orders {
    struct orders *orders; /* borrowed, as all that is set by the caller */
    const char *client_id;
    uint64_t seed;
    const struct dataset *dataset;
    struct client_memory needs;
    struct slots *slots; /* given up while an order makes the client rest */
    slot_owner slot_owner;
    _Atomic bool stopping; /* it rests no longer */
    /* Its own: */
    struct kept_model *models; /* [needs.models + 1], the latest first */
    size_t num_models;
    struct kept_answer answers[ANSWERS_KEPT]; /* the latest first */
    struct rng trigger;                       /* which samples of this training are poisoned */
    uint64_t step_began_ns;                   /* of the mini-batch in hand */
};

int client_orders_begin(struct client_orders *orders, struct error *err); /* ERR_MEMORY */
void client_orders_fini(struct client_orders *orders);

extern const struct training_hooks client_orders_hooks; /* their context: struct client_orders */

/* client_orders_memory.c: what comes of having been there before. */
void client_orders_model(void *context, int64_t round, float *weights, size_t n);
bool client_orders_answer(void *context, int64_t round, struct blob **head, struct blob **weights);
void client_orders_forget(struct client_orders *orders);

/* client_orders_data.c: what it trains on. */
void client_orders_batch(void *context, int64_t round, float *x, int32_t *labels, size_t count);
void client_orders_begin_data(struct client_orders *orders, int64_t round);

/* client_orders_time.c: how long it takes. The clock starts with a training; after each mini-batch, and before the
 * first, the client rests as it is ordered. */
void client_orders_start_clock(struct client_orders *orders);
void client_orders_rest(struct client_orders *orders, int64_t round);

/* Times the modelled duration of computing. Any thread, as the next one. */
double client_orders_slowness(const struct client_orders *orders, int64_t round);
double client_orders_clock_offset_s(const struct client_orders *orders, int64_t round);

#endif
