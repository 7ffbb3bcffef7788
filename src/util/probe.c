#include "util/probe.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATE_BITS = 2, STATE_MASK = (1 << STATE_BITS) - 1 };

static enum probe_state state_of(uint32_t word)
{
    return (enum probe_state)(word & STATE_MASK);
}

static uint32_t next_word(uint32_t word, enum probe_state state)
{
    return (((word >> STATE_BITS) + 1) << STATE_BITS) | (uint32_t)state;
}

static void tell_observer(const struct probes *probes)
{
    static const uint64_t one = 1;
    ssize_t written;

    do {
        written = write(probes->notify_fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
}

/* The name and round are stable while the word stays ARMED: the observer changes them only in a FREE slot. A change
 * under our eyes changes the word, and then the exchange in take_slot fails. */
static bool matches(const struct probe *slot, const char *name, int64_t round)
{
    return (slot->round < 0 || slot->round == round) && !strncmp(slot->name, name, PROBE_NAME_MAX);
}

/* ARMED -> HIT. Fills *hit with the word that the caller put there. */
static bool take_slot(struct probes *probes, struct probe *slot, uint32_t armed, uint32_t *hit)
{
    *hit = next_word(armed, PROBE_HIT);
    if (!atomic_compare_exchange_strong(&slot->word, &armed, *hit))
        return false;
    tell_observer(probes);
    return true;
}

void probe_halt(struct probes *probes, const char *name, int64_t round)
{
    if (!atomic_load(&probes->armed))
        return;
    for (int i = 0; i < PROBE_SLOTS; i++) {
        struct probe *slot = &probes->slots[i];
        uint32_t word = atomic_load(&slot->word);
        uint32_t hit;

        if (state_of(word) != PROBE_ARMED || !matches(slot, name, round) || !take_slot(probes, slot, word, &hit))
            continue;
        while (atomic_load(&slot->word) == hit)
            syscall(SYS_futex, &slot->word, FUTEX_WAIT, hit, NULL, NULL, 0);
        return;
    }
}

bool probe_holds(struct probes *probes, const char *name, int64_t round)
{
    if (!probes || !atomic_load(&probes->armed))
        return false;
    for (int i = 0; i < PROBE_SLOTS; i++) {
        struct probe *slot = &probes->slots[i];
        uint32_t word = atomic_load(&slot->word);
        uint32_t hit;

        if (state_of(word) == PROBE_FREE || !matches(slot, name, round))
            continue;
        if (state_of(word) == PROBE_HIT || take_slot(probes, slot, word, &hit))
            return true;
    }
    return false;
}

void probes_init(struct probes *probes, int notify_fd)
{
    memset(probes, 0, sizeof *probes);
    probes->notify_fd = notify_fd;
}

int probe_arm(struct probes *probes, const char *name, int64_t round)
{
    for (int i = 0; i < PROBE_SLOTS; i++) {
        struct probe *slot = &probes->slots[i];
        uint32_t word = atomic_load(&slot->word);

        if (state_of(word) != PROBE_FREE)
            continue;
        strncpy(slot->name, name, sizeof slot->name - 1);
        slot->name[sizeof slot->name - 1] = '\0';
        slot->round = round;
        atomic_store(&slot->word, next_word(word, PROBE_ARMED));
        atomic_fetch_add(&probes->armed, 1);
        return i;
    }
    return -1;
}

enum probe_state probe_state(const struct probes *probes, int slot)
{
    return state_of(atomic_load(&probes->slots[slot].word));
}

void probe_release(struct probes *probes, int slot)
{
    struct probe *probe = &probes->slots[slot];
    uint32_t word = atomic_load(&probe->word);

    /* The role may turn ARMED into HIT meanwhile: free it all the same. */
    do {
        if (state_of(word) == PROBE_FREE)
            return;
    } while (!atomic_compare_exchange_strong(&probe->word, &word, next_word(word, PROBE_FREE)));
    atomic_fetch_sub(&probes->armed, 1);
    syscall(SYS_futex, &probe->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
