/* Faults: a pluggable kind. A member says what happens to one victim: a client, or the leader, the broker or the state
 * store. When, to whom and for how long is the same for all and lies in fault_plan.h; the runner (fault_runner.h) takes
 * each victim through the stages below.
 * To add a fault: copy sim/fault/stop.c, add a row to sim/fault/registry.c. The supervisor's thread only; no slot may
 * block: what takes time is asked about by the predicates after every event. */
#ifndef FLOSIM_SIM_FAULT_H
#define FLOSIM_SIM_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"
#include "sim/metrics.h"
#include "sim/server.h"
#include "sim/shared.h"
#include "sim/supervisor.h"
#include "util/params.h"

enum fault_target { FAULT_CLIENTS, FAULT_LEADER, FAULT_BROKER, FAULT_REDIS };

#define FAULT_BIT(target) (1u << (target))
#define FAULT_OF_SERVERS  (FAULT_BIT(FAULT_LEADER) | FAULT_BIT(FAULT_BROKER) | FAULT_BIT(FAULT_REDIS))

/* How a leader begins that takes a dead one's place. */
struct leader_resume {
    bool revive;    /* the model and the round number only; else everything */
    bool from_file; /* from the latest checkpoint; else from the state store, or what there is */
};

struct held_port {   /* of one client, in the way of its next process */
    int fd;          /* -1: none */
    uint32_t starts; /* of its process when it was taken */
};

/* What faults can reach. Lent by the simulation. */
struct fault_world {
    struct supervisor *supervisor;
    struct shared *shared;
    struct process *clients; /* [num_clients] */
    size_t num_clients;
    struct process *leader;
    struct server *broker, *redis; /* the run's own; NULL: it has none */
    int link_fd;                   /* to wake the link process; -1: there is none */
    /* Start a client's process again (its probes are new, its id the same). */
    int (*start_client)(void *context, size_t client, struct error *err);
    /* Start a leader in the place of one that has ended; it goes on with the session. */
    int (*start_leader)(void *context, const struct leader_resume *how, struct error *err);
    /* What the run has come to so far. */
    void (*measure)(void *context, struct run_metrics *out);
    /* A line for the person who watches. */
    void (*say)(void *context, const char *line);
    void (*warn)(void *context, const char *line); /* also for the one who wants it quiet */
    void *context;
    const char *temp_folder, *checkpoint_folder; /* the clients' folders lie in the former */
    struct held_port *held_ports;                /* [num_clients]; NULL: no fault takes any */
    double halt_limit_s;   /* after so long a victim must have come to its halt: the leader waits no longer itself */
    double notice_limit_s; /* after so long the leader must have noticed anything */
};

/* One victim of one fault. */
struct victim {
    enum fault_target target;
    size_t client;                   /* FAULT_CLIENTS: which one */
    uint32_t fault;                  /* number of the strike, from 1: no two orders have the same */
    int64_t first_round, last_round; /* from 0: in which an order holds */
    /* When the fault struck: */
    uint32_t activations; /* how often the leader had seen it come (a client), or had reached it (the broker) */
    uint32_t starts;      /* how often its process had been started */
};

enum fault_for { FOR_REFUSED, FOR_OPTIONAL, FOR_REQUIRED };

/* What a client must remember of the session so far to be able to follow an order. */
struct client_memory {
    size_t models; /* that it was sent before the latest one */
    bool answers;  /* the latest ones that it gave */
};

struct fault_limits;

struct fault_ops {
    const char *name; /* as in `do:` */
    const char *help;
    const struct param_table *params; /* arguments of its own, beside the common ones; or NULL */
    enum fault_target target;
    unsigned also;            /* FAULT_BITs of those that `whom:` can name instead */
    enum fault_for takes_for; /* does it end after `for:`? */
    bool undo_at_once;   /* undone as soon as it is noticed, and the barrier lasts until the victim has recovered (but a
                          * leader, whose end ends it) */
    bool undo_unnoticed; /* may be undone before the leader noticed */
    /* The victim goes on and follows an order that lies in its block: nobody halts for it, nobody notices or recovers
     * (struck, noticed and recovered are NULL), and with `round:` too the victims are drawn from all clients. It is in
     * force before that round's first request is sent. */
    bool by_order;
    bool dies_again; /* a victim that died is started again at once, and dies as often as the leader sees it come, as
                      * long as ORDER_CRASH holds */

    bool joins;             /* its victims are not there before it: drawn at the beginning, of all clients */
    bool leader_works;      /* a leader that it strikes goes on */
    bool heeds_permissions; /* leader and clients give up root's right to ignore the permissions of files */
    bool takes_ports;       /* held_ports is needed */
    bool needs_link; /* it is about the network: clients' traffic goes through the link process */

    /* Why a scenario cannot have it with these arguments, for a message that begins with its name; NULL: it can. The
     * slot may be NULL. */
    const char *(*obstacle)(const struct fault_limits *limits, const void *args);
    /* The same, of the data that the clients train on. The slot may be NULL. */
    const char *(*data_obstacle)(const struct dataset *data, const void *args);
    /* What clients must remember in case they are struck: raises what is in *needs. The slot may be NULL. */
    void (*needs_memory)(const void *args, struct client_memory *needs);
    /* undo_at_once: so long after it was noticed; NULL: 0. */
    double (*pause_s)(const void *args);

    /* Begin. `args` is the struct of `params`. A victim that is dead already is no error. */
    int (*strike)(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);
    /* Is it true that the victim cannot act any more? Only then its probe is released. */
    bool (*struck)(const struct fault_world *world, const struct victim *victim);
    /* Does the leader's roster show the effect? */
    bool (*noticed)(const struct fault_world *world, const struct victim *victim);
    /* Take it back (FOR_REFUSED without undo_at_once: NULL). */
    int (*undo)(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);
    /* Is the victim at work again, as far as the leader can tell? */
    bool (*recovered)(const struct fault_world *world, const struct victim *victim);
};

extern const struct fault_ops *const fault_kinds[]; /* NULL-terminated */
const struct fault_ops *fault_find(const char *name);
const char *fault_unknown(const char *name, char text[WORDS_TEXT]); /* what to say of a name that is none */

/* The victim's process; NULL where the run has none such. */
struct process *fault_process(const struct fault_world *world, const struct victim *victim);

/* "leader"; for clients "client". */
const char *fault_target_name(enum fault_target target);

/* How often the leader has seen this victim come. */
uint32_t fault_activations(const struct fault_world *world, const struct victim *victim);

/* Slots that several members share. */
bool fault_at_once(const struct fault_world *world, const struct victim *victim);    /* true */
bool fault_was_missed(const struct fault_world *world, const struct victim *victim); /* or came back since */
bool fault_came_back(const struct fault_world *world, const struct victim *victim);
bool fault_leader_works(const struct fault_world *world, const struct victim *victim); /* its session goes on */
bool fault_process_has_ended(const struct fault_world *world, const struct victim *victim);
bool fault_process_was_ended(const struct fault_world *world, const struct victim *victim); /* or started anew since */
int fault_kill_process(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);
int fault_start_process(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);

/* Whatever a fault has made read-only can be written again; nothing where no fault could. */
void fault_lift_read_only(const struct fault_world *world);

/* A client's process has ended: once, it is started again into the port that was taken from it. */
int fault_try_held_port(struct fault_world *world, size_t client, struct error *err);

/* For orders (sim/orders.h). `p` [ORDER_VALUES] is what the kind wants to be told; NULL: nothing. */
void fault_give_order(struct fault_world *world, const struct victim *victim, enum order_kind kind, const double *p);
int fault_take_back_order(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);

/* For servers. */
struct fault_after {
    double after_s;
};
extern const struct param_table fault_after_table;
double fault_after_pause_s(const void *args);
bool fault_server_is_open(const struct fault_world *world, const struct victim *victim);

#endif
