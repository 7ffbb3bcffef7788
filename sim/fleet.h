/* The fleet: groups of unlike devices, and what time such a device would take. Immutable once read. */
#ifndef FLOSIM_SIM_FLEET_H
#define FLOSIM_SIM_FLEET_H

#include "sim/link_shape.h"
#include "sim/traces.h"
#include "util/params.h"

struct fleet_periods { /* on and off in turns; both 0: always on */
    double on_s, off_s;
};

struct fleet_group { /* a row of `fleet:` */
    char *group;
    double share;
    double speed;                     /* times the nominal device; 0: not declared, which is nominal */
    double uplink, downlink, latency; /* bytes per second (0: no limit), seconds one way */
    double jitter, loss;              /* up to so many seconds more; share of the packets */
    double availability;              /* is there in a round with this probability */
    struct fleet_periods trace;
};

struct fleet {
    const struct fleet_group *groups; /* borrowed from the scenario */
    size_t num_groups;                /* 0: everybody is nominal */
    size_t *first;                    /* [num_groups + 1]: group g has clients first[g] … first[g+1] - 1; owned */
    size_t num_clients;
    const struct device_trace *devices; /* [num_clients] what a group does not say itself; borrowed; NULL: nothing */
};

extern const struct param_table fleet_group_table;

/* The nominal device of speed 1. */
#define FLEET_NOMINAL_FLOPS 10e9

/* Deal clients to groups by their shares (largest remainders), contiguous, in the order of the groups. */
int fleet_init(struct fleet *fleet, const struct fleet_group *groups, size_t num_groups, size_t num_clients,
               struct error *err);
/* The groups without their clients, for shares that cannot be dealt: fleet_find knows them, everybody is in none. */
void fleet_name(struct fleet *fleet, const struct fleet_group *groups, size_t num_groups);
void fleet_fini(struct fleet *fleet);

int fleet_find(const struct fleet *fleet, const char *group); /* -1: none */
int fleet_group_of(const struct fleet *fleet, size_t client); /* -1: there are no groups */

/* Modelled times of one client's device, seconds. */
double fleet_compute_seconds(const struct fleet *fleet, size_t client, double flops);
/* (bytes 0: nothing goes that way) */
double fleet_transfer_seconds(const struct fleet *fleet, size_t client, size_t bytes_down, size_t bytes_up);

/* What jitter and lost packets add to it this time, drawn from `rng`. */
double fleet_disturbance_seconds(const struct fleet *fleet, size_t client, size_t bytes_down, size_t bytes_up,
                                 struct rng *rng);

/* Its connection, for the link process. */
struct link_shape fleet_link_shape(const struct fleet *fleet, size_t client);

/* Does the group declare anything of its connection? */
bool fleet_group_has_link(const struct fleet_group *group);

/* Does its group declare a speed or a link? Only then it idles on the real clock. */
bool fleet_is_declared(const struct fleet *fleet, size_t client);

/* --- who is there: the device of a client is on all the time, by rounds, or by the session's clock --- */

enum fleet_presence { FLEET_ALWAYS, FLEET_BY_ROUND, FLEET_BY_CLOCK };

enum fleet_presence fleet_presence(const struct fleet *fleet, size_t client);

/* FLEET_BY_ROUND: drawn by (seed, client, round from 0). */
bool fleet_is_there_in(const struct fleet *fleet, uint64_t seed, size_t client, int64_t round);

/* A round with nobody would never come: where `is_there` [num_clients] has nobody, the one of FLEET_BY_ROUND that was
 * closest to being there is. */
void fleet_leave_one(const struct fleet *fleet, uint64_t seed, int64_t round, bool *is_there);

/* FLEET_BY_CLOCK: `s` seconds after the session began; when that changes next (HUGE_VAL: never). */
bool fleet_is_there_at(const struct fleet *fleet, uint64_t seed, size_t client, double s, double *change_s);

#endif
