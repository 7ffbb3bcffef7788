/* What supervisor, leader and clients share: one anonymous block made before the first fork and never moved.
 * Every field says who writes it; all others only read. Single words are atomic; there is no lock that a killed process
 * could leave behind. */
#ifndef FLOSIM_SIM_SHARED_H
#define FLOSIM_SIM_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leader/refusal.h"
#include "sim/link_block.h"
#include "sim/orders.h"
#include "sim/slots.h"
#include "util/error.h"
#include "util/probe.h"
#include "util/uuid.h"

/* One finished round, as the leader reported it. */
struct round_record {
    int64_t round; /* from 0 */
    uint32_t selected, merged, failed;
    bool validated;
    double accuracy, loss;       /* of the global model on the validation set: percent, mean; valid where validated */
    double perplexity, mae, mse; /* the same; NaN, as accuracy, where they mean nothing */
    double train_loss;           /* mean over the clients' last losses */
    double seconds;              /* wall */
};

/* Written by the leader process (its observer), except for the first lines. */
struct leader_block {
    /* the supervisor */
    struct probes probes;                              /* armed by it, met by the leader */
    _Atomic uint32_t life;                             /* number of its process, from 1 */
    _Atomic uint32_t resume_revives, resume_from_file; /* struct leader_resume, for the submitter */
    /* the leader */
    _Atomic int32_t rest_port; /* 0 until the port is open */
    _Atomic uint32_t active_clients;
    _Atomic int64_t round;               /* in progress; -1: none yet */
    _Atomic int64_t selected_round;      /* the last round whose selection is complete in the client blocks */
    _Atomic uint32_t selected, answered; /* of the round in progress */
    _Atomic uint32_t rounds_finished;    /* entries of the round records that are whole, by round */
    _Atomic uint64_t updates_sent, updates_merged, updates_refused, updates_failed, updates_dropped;
    _Atomic uint64_t bytes_up, bytes_down;      /* of the updates merged and of their requests */
    _Atomic uint64_t refused_for[NUM_REFUSALS]; /* updates_refused, by reason */
    _Atomic uint64_t backed_off;                /* how often a client was */
    _Atomic uint64_t lost_rounds;               /* selections from which no new model came */
    _Atomic uint64_t doubled_updates;           /* merged although they had been, and no leader's end undid that */
    _Atomic int64_t peak_rss_kb;                /* of its process, when the session was over */
    _Atomic uint32_t session_stage;             /* enum session_stage */
    _Atomic uint32_t broker_is_up;              /* 1: it is connected to the broker */
    _Atomic uint32_t broker_connections;        /* how often it was connected */
    _Atomic uint64_t working_since_ns; /* when a leader process first selected clients, or ended the session … */
    _Atomic uint32_t working_life;     /* … and that process' number (struct process: starts); 0: none yet */
    char reason[256];                  /* why it ended, once it is finished or failed */
};

enum session_stage { STAGE_NONE, STAGE_RUNNING, STAGE_FINISHED, STAGE_FAILED };

/* An update of a client that was merged. */
struct merge_note {
    uint64_t training; /* which: of what round, and of which of its selections; 0: none */
    uint32_t round;    /* from 1: into whose model */
};

enum { MERGE_NOTES = 4 };

struct client_block {
    /* the supervisor */
    char id[UUID_TEXT];
    struct probes probes;        /* armed by the supervisor, met by the client */
    _Atomic uint32_t starts;     /* how often a process was started for this client */
    _Atomic int64_t pss_idle_kb; /* once everybody is registered; 0: not sampled */
    struct orders orders;
    _Atomic int32_t port; /* that its process is to listen on; 0: any */
    struct link_block link; /* its network; for the link process */
    /* the client */
    _Atomic uint32_t answers; /* trainings and other work that it has ended, one way or another */
    /* the leader */
    _Atomic uint32_t active;               /* 1: in the roster and reachable */
    _Atomic uint32_t activations;          /* how often it became active */
    _Atomic int64_t selected_round;        /* the last round that it was asked to train in; -1: none */
    _Atomic uint32_t answers_when_asked;   /* `answers` when it was */
    _Atomic uint32_t is_asked;             /* 1: and the leader has not heard how that ended */
    struct merge_note merged[MERGE_NOTES]; /* the latest ones; the leader alone reads them */
    _Atomic uint32_t failures;             /* requests that it failed or that were lost with it */
    _Atomic int64_t pss_training_kb;       /* the largest that it reported with an answer; 0: none */
};

struct shared; /* opaque: where the parts lie */

struct shared_sizes {
    size_t num_clients, num_slots, max_rounds;
};

/* Makes the block; `notify_fd` (an eventfd, borrowed) is what everybody kicks to wake the supervisor. */
int shared_new(struct shared **out, const struct shared_sizes *sizes, int notify_fd, struct error *err);
void shared_free(struct shared *shared);

size_t shared_num_clients(const struct shared *shared);
size_t shared_max_rounds(const struct shared *shared);
struct leader_block *shared_leader(struct shared *shared);
struct client_block *shared_client(struct shared *shared, size_t index);
struct round_record *shared_round(struct shared *shared, size_t i); /* i < max_rounds */
struct slots *shared_slots(struct shared *shared);
_Atomic uint32_t *shared_link_changes(struct shared *shared); /* grows when any client's link_block was changed */

/* The supervisor: the leader's process has ended. Nobody is in its roster any more, its port is closed; what it had
 * finished stays. */
void shared_forget_leader(struct shared *shared);

/* Any process: wake the supervisor. */
void shared_notify(struct shared *shared);

/* The slot owner that stands for this client's current process. */
slot_owner shared_slot_owner(const struct client_block *client, size_t index);

#endif
