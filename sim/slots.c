#include "sim/slots.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long a waiter sleeps before it asks `stop` again. Correctness does not hang on it: see slots_reclaim. */
static const struct timespec patience = {.tv_sec = 0, .tv_nsec = 500000000};

size_t slots_size(size_t num_slots)
{
    return sizeof(struct slots) + num_slots * sizeof(slot_owner);
}

void slots_init(struct slots *slots, size_t num_slots)
{
    atomic_store(&slots->turn, 0);
    slots->num_slots = (uint32_t)num_slots;
    for (size_t i = 0; i < num_slots; i++)
        atomic_store(&slots->owner[i], 0);
}

static bool try_acquire(struct slots *slots, slot_owner owner)
{
    for (uint32_t i = 0; i < slots->num_slots; i++) {
        slot_owner nobody = 0;

        if (atomic_compare_exchange_strong(&slots->owner[i], &nobody, owner))
            return true;
    }
    return false;
}

static void wake_one(struct slots *slots)
{
    atomic_fetch_add(&slots->turn, 1);
    syscall(SYS_futex, &slots->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool slots_acquire(struct slots *slots, slot_owner owner, bool (*stop)(void *context), void *context)
{
    for (;;) {
        /* Read before looking: a slot freed after the look changes it, and then the kernel does not let us sleep. */
        uint32_t turn = atomic_load(&slots->turn);

        if (stop && stop(context)) {
            wake_one(slots); /* we may have been woken for a slot that we now leave to others */
            return false;
        }
        if (try_acquire(slots, owner))
            return true;
        syscall(SYS_futex, &slots->turn, FUTEX_WAIT, turn, &patience, NULL, 0);
    }
}

static bool drop(struct slots *slots, slot_owner owner)
{
    for (uint32_t i = 0; i < slots->num_slots; i++) {
        slot_owner expected = owner;

        if (atomic_compare_exchange_strong(&slots->owner[i], &expected, 0))
            return true;
    }
    return false;
}

void slots_release(struct slots *slots, slot_owner owner)
{
    if (drop(slots, owner))
        wake_one(slots);
}

bool slots_reclaim(struct slots *slots, slot_owner owner)
{
    bool held = drop(slots, owner);

    wake_one(slots);
    return held;
}

bool slots_holds(const struct slots *slots, slot_owner owner)
{
    for (uint32_t i = 0; i < slots->num_slots; i++)
        if (atomic_load(&slots->owner[i]) == owner)
            return true;
    return false;
}
