/* What the supervisor orders of a client: faults that their victim carries out itself. An order lies in the client's
 * block of shared memory, one slot per kind, so that kinds combine; it outlives the client's process. It names the
 * rounds in which it holds, and the client compares them with its request's: so a fault tied to rounds repeats exactly,
 * however the machine schedules. */
#ifndef FLOSIM_SIM_ORDERS_H
#define FLOSIM_SIM_ORDERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum order_kind {
    ORDER_CORRUPT,
    ORDER_STALE,
    ORDER_DUPLICATE,
    ORDER_NO_REPLY,
    ORDER_WRONG_SHAPE,
    ORDER_LABEL_FLIP,
    ORDER_BACKDOOR,
    ORDER_FREE_RIDER,
    ORDER_SLOW,
    ORDER_PAUSE,
    ORDER_CLOCK,
    ORDER_CRASH,
    NUM_ORDERS
};

enum { ORDER_VALUES = 4 };

struct order {                               /* written by the supervisor */
    _Atomic uint32_t active;                 /* written last: 1, it counts */
    _Atomic uint32_t fault;                  /* who gave it: number of the fault, from 1 */
    _Atomic int64_t first_round, last_round; /* from 0 */
    _Atomic double p[ORDER_VALUES];          /* what they mean is the kind's own */
};

struct orders {
    struct order of[NUM_ORDERS];
};

struct order_terms {
    uint32_t fault;
    int64_t first_round, last_round;
    double p[ORDER_VALUES];
};

/* The supervisor: give an order, in the place of an earlier one of its kind; and take back whatever this fault gave
 * that no other has replaced. */
void order_give(struct orders *orders, enum order_kind kind, const struct order_terms *terms);
void orders_take_back(struct orders *orders, uint32_t fault);

/* The client: does an order of this kind hold in this round? Then p [ORDER_VALUES] is filled (NULL: not wanted). */
bool order_holds(struct orders *orders, enum order_kind kind, int64_t round, double *p);

#endif
