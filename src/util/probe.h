/* Named points in a role's code that an observer outside the process can arm through shared memory.
 * Leader and worker contain no fault code; they only name the places. A NULL `probes` (every deployed role) or an
 * unarmed point costs one comparison.
 *
 * An armed point is met once: the process marks it HIT, tells the observer through `notify_fd`, and waits (PROBE) or
 * is asked to come again (probe_holds) until the observer releases it. Times out never: the observer that armed it is
 * the parent, and its death kills the process. */
#ifndef FLOSIM_UTIL_PROBE_H
#define FLOSIM_UTIL_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROBE_SLOTS = 4, PROBE_NAME_MAX = 40 };

enum probe_state { PROBE_FREE, PROBE_ARMED, PROBE_HIT };

struct probe {
    /* enum probe_state in the low two bits, above them how often the slot changed, so that a thread halted at a point
     * that was released and armed anew at once still sees that its own halt is over. Also the futex it sleeps on. */
    _Atomic uint32_t word;
    char name[PROBE_NAME_MAX];
    int64_t round; /* counts from 0 as on the wire; -1: the next round that comes by */
};

/* Lives in memory shared with the observer. */
struct probes {
    _Atomic uint32_t armed; /* how many points are not FREE: the fast path reads only this */
    int notify_fd;          /* an eventfd inherited from the observer */
    struct probe slots[PROBE_SLOTS];
};

/* The role's side. PROBE halts the calling thread while the point is armed (never use it on an event loop). */
#define PROBE(probes, name, round)                                                                                     \
    do {                                                                                                               \
        if (probes)                                                                                                    \
            probe_halt((probes), (name), (round));                                                                     \
    } while (0)

void probe_halt(struct probes *probes, const char *name, int64_t round);

/* For event loops: true while the point is armed and not released; the caller comes back later (a short timer). */
bool probe_holds(struct probes *probes, const char *name, int64_t round);

/* The observer's side; one thread. A point stays armed or hit whatever becomes of the process, until it is released. */
void probes_init(struct probes *probes, int notify_fd);
int probe_arm(struct probes *probes, const char *name, int64_t round); /* slot index, or -1 when all are taken */
enum probe_state probe_state(const struct probes *probes, int slot);
void probe_release(struct probes *probes, int slot); /* wakes the halted thread; the slot becomes free */

#endif
