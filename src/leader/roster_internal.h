/* What the roster's files share; nobody else includes it. */
#ifndef FLOSIM_LEADER_ROSTER_INTERNAL_H
#define FLOSIM_LEADER_ROSTER_INTERNAL_H

#include "leader/roster.h"

struct roster {
    struct roster_options options;
    struct link_factory factory;
    struct loop *loop;
    const struct log *log;
    struct roster_client **clients; /* by id */
    size_t n, capacity, num_active;
    size_t advert_bytes, holds;
    struct roster_listener *listeners;
    struct loop_timer sweep;
    bool deaf;                 /* no connection to the broker */
    uint64_t hearing_since_ns; /* since it came back; 0: it was never away */
};

static inline uint64_t roster_ns_of(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

static inline uint64_t roster_now_ns(const struct roster *roster)
{
    return clock_now_ns(loop_clock(roster->loop));
}

/* ---- roster_table.c ---- */

/* About what the advert takes in memory, besides the entry itself. */
size_t roster_advert_bytes(const struct client_advert *advert);
/* The entry that an advert belongs to, with room for it; NULL, and told, where there is none. */
struct roster_client *roster_entry_for(struct roster *roster, const struct client_advert *advert, size_t bytes);
/* Takes the advert, of so many bytes, in the place of the one that the client has. */
void roster_set_advert(struct roster *roster, struct roster_client *client, struct client_advert *advert, size_t bytes);
void roster_free_client(struct roster_client *client);

/* ---- roster.c ---- */

void roster_tell(struct roster *roster, struct roster_client *client, enum roster_change change);
void roster_tell_why(struct roster_client *client, const char *reason);
void roster_close_link(struct roster_client *client);
/* It was heard of just now. */
void roster_make_active(struct roster *roster, struct roster_client *client);
void roster_make_inactive(struct roster *roster, struct roster_client *client, const char *reason);

#endif
