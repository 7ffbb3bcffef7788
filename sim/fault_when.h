/* When a fault happens: in rounds or by the clock, once or again and again, or after another one. */
#ifndef FLOSIM_SIM_FAULT_WHEN_H
#define FLOSIM_SIM_FAULT_WHEN_H

#include "sim/expect.h"
#include "util/diag.h"
#include "util/params.h"

struct fault_limits;

enum fault_phase { /* of a round, in this order */
                   PHASE_SELECTION,
                   PHASE_DISTRIBUTION,
                   PHASE_TRAINING,
                   PHASE_AGGREGATION,
                   PHASE_VALIDATION,
                   PHASE_END,
};

/* The leader's probe point of a phase. */
const char *fault_phase_point(enum fault_phase phase);
const char *fault_phase_name(enum fault_phase phase);

/* `5s`, or `2 rounds`: one of the two is above 0. */
struct fault_span {
    double s;
    int64_t rounds;
};

enum when_kind {
    WHEN_ROUND,  /* in rounds */
    WHEN_TIME,   /* so long after the session began */
    WHEN_MTTF,   /* each client after a time drawn for it */
    WHEN_METRIC, /* in the round after the first at whose end a figure of the run is so */
    WHEN_AFTER,  /* when the event before it is over */
};

struct fault_when {
    enum when_kind kind;
    enum fault_phase phase;       /* where in a round, where it is tied to one */
    int64_t first, last, step;    /* WHEN_ROUND: rounds first, first + step, … up to last; from 0, as on the wire */
    double at_s, every_s;         /* WHEN_TIME; every_s 0: once */
    double mttf_s, mttr_s;        /* WHEN_MTTF; mttr_s 0: it is not repaired */
    struct expectation condition; /* WHEN_METRIC: of a figure that each round has */
    struct fault_span delay;      /* WHEN_AFTER; both may be 0 */
};

struct when_keys {
    char *round, *every, *condition;
    int phase;
    double at_s, mttf_s, mttr_s;
};

extern const struct param_table fault_when_table; /* of struct when_keys */

/* From the keys of the mapping `node`; what is wrong goes to diags. */
void fault_when_read(struct yaml_node node, const struct when_keys *keys, const struct fault_limits *limits,
                     struct fault_when *out, struct diags *diags);

/* A span that stands under `key`; absent: 0. `what` it is, for complaints: "a duration such as 5s, or …". */
void fault_span_read(struct yaml_node node, const char *key, struct fault_span *out, struct diags *diags);

/* Of a WHEN_ROUND: its first round from `round` on; -1: none. */
int64_t fault_when_next(const struct fault_when *when, int64_t round);

/* Does it happen at a named point of a round, so that it repeats? */
bool fault_when_is_by_round(const struct fault_when *when);

#endif
