/* What is in hand: the worker's side of EdgeService. Requests come on the gRPC server's thread and are posted to the
 * worker's loop, which owns all state here; one compute thread works on one job at a time, in the order asked.
 *
 *  - A StartTraining stops another training that is in hand (at its next mini-batch); the latest one counts.
 *  - An identical one (session, round, attempt, and the same contents) joins the one in hand, or gets the answer that
 * is kept for orphan_grace_s after it was made. So a leader that lost its connection, or was restarted, can ask again.
 *  - A training that nobody waits for any more goes on for orphan_grace_s, then stops.
 *  - Validations and benchmarks queue behind; nobody waiting, they stop at once.
 *  - A request with a lower leader_term than the highest one seen is refused. 0 is no term (a stock leader sends none).
 *
 * Loop thread, except where said. */
#ifndef FLOSIM_WORKER_SERVICE_H
#define FLOSIM_WORKER_SERVICE_H

#include "net/edge_server.h"
#include "util/log.h"
#include "worker/identity.h"
#include "worker/inbox.h"
#include "worker/trainer.h"

struct service;

struct service_options { /* all borrowed for the service's life */
    struct inbox *inbox;
    struct trainer *trainer;
    struct identity *identity;
    const struct log *log;
    double orphan_grace_s;
    void *context;
    void (*observe)(void *context, const char *event); /* "training", "trained", "validated", "benchmarked", "failed" */
};

/* Starts the compute thread. */
int service_new(struct service **out, const struct service_options *options, struct error *err);

/* Fills the slots of EdgeService's work: bench, train, validate, abort. They run on the server's thread with `service`
 * as their context. */
void service_bench(void *service, struct edge_call *call, const struct bench_request *request);
void service_train(void *service, struct edge_call *call, const struct train_request *request);
void service_validate(void *service, struct edge_call *call, const struct validation_request *request);
void service_abort(void *service, struct edge_call *call, const struct abort_request *request);

/* A leader's advert names its term. */
void service_note_term(struct service *service, uint64_t leader_term);

/* Refuse what comes from now on, stop what is in hand; `closed` is called once nothing is (perhaps before this
 * returns). */
void service_close(struct service *service, void (*closed)(void *context), void *context);

/* Joins the compute thread; frees once the loop has handled what was posted: call service_halt, free the loop, then
 * service_free. After halt nothing is answered by anyone but the loop's last events. */
void service_halt(struct service *service);
void service_free(struct service *service);

#endif
