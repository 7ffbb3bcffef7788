/* Why the leader does not take an update: counted in the ledger, told to the client. */
#ifndef FLOSIM_LEADER_REFUSAL_H
#define FLOSIM_LEADER_REFUSAL_H

enum refusal {
    REFUSED_NON_FINITE, /* weights that are no numbers */
    REFUSED_SHAPE,      /* weights of another model */
    REFUSED_TRUNCATED,  /* bytes that are no message, or no whole model */
    REFUSED_STALE,      /* the answer to an earlier request, perhaps once more */
    REFUSED_OTHER,      /* figures that cannot be true, or the aggregator cannot use it */
    NUM_REFUSALS
};

/* "non_finite" …: keys of events, the state and REST, and the ends of columns and metrics. */
const char *refusal_name(enum refusal refusal);

#endif
