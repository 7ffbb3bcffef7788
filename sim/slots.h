/* Compute slots in shared memory: at most `num_slots` processes compute at once, so that thousands of clients do not
 * thrash a few cores. A slot records its owner, and the supervisor takes it back when the owner died or was stopped.
 *
 * Waiters sleep on a futex. A wake-up can be eaten by a waiter that is killed or stopped before it takes the slot; that
 * is why slots_reclaim always passes one on. */
#ifndef FLOSIM_SIM_SLOTS_H
#define FLOSIM_SIM_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Never 0. A client that was started anew is another owner: its index and how often it was started. */
typedef uint64_t slot_owner;

struct slots {
    _Atomic uint32_t turn; /* the futex: grows whenever a slot may have become free */
    uint32_t num_slots;
    _Atomic slot_owner owner[]; /* [num_slots]; 0: free */
};

size_t slots_size(size_t num_slots); /* bytes to reserve; 8-byte aligned */
void slots_init(struct slots *slots, size_t num_slots);

/* Any process. Waits for a slot; false when `stop` turned true first (asked on every wake-up and at least every
 * 500 ms). One slot per owner at a time. */
bool slots_acquire(struct slots *slots, slot_owner owner, bool (*stop)(void *context), void *context);

/* Gives back what the owner holds; nothing if the slot was reclaimed meanwhile. */
void slots_release(struct slots *slots, slot_owner owner);

/* The supervisor: take back what a dead or stopped owner holds, and wake somebody in case the owner had been woken for
 * a free slot and never took it. Returns whether it held one. */
bool slots_reclaim(struct slots *slots, slot_owner owner);

bool slots_holds(const struct slots *slots, slot_owner owner);

#endif
