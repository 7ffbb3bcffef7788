/* One piece of work that a leader asked for: who waits for its answer, how it is stopped, what came out. The loop owns
 * it; while it is on the compute thread only `stop` may be touched there and here, and `answer` only there. */
#ifndef FLOSIM_WORKER_JOB_H
#define FLOSIM_WORKER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "net/edge_server.h"
#include "util/executor.h"
#include "worker/answer.h"
#include "worker/identity.h"
#include "worker/train_key.h"
#include "worker/trainer.h"

enum { JOB_MAX_CALLS = 8 };

struct job {
    struct executor_task task;
    struct job *next;
    enum edge_method method;
    union {
        const struct train_request *train;
        const struct validation_request *validate;
        const struct bench_request *bench;
    } request; /* of calls[0], which is therefore answered last of all, when the work is over. Its bytes go as soon as
                  the compute thread has decoded them. */

    struct edge_call *calls[JOB_MAX_CALLS]; /* the first, and identical ones that joined it */
    size_t num_calls;

    struct train_key key; /* of a training */
    struct trainer *trainer;
    struct identity *identity;
    const struct log *log;
    struct stopper stop;
    const char *stop_reason; /* a sentence; NULL: not stopped */
    uint64_t lost_since_ns;  /* when no call was left that anybody waits for; 0: somebody waits */

    struct answer answer;
    void (*over)(struct job *job); /* on the loop's thread: the answer is there, or was_run is false */
    void *owner;
};

/* A job for one call, not yet submitted; on an error the call is still the caller's to answer. */
int job_new(struct job **out, enum edge_method method, struct edge_call *call, const void *request, struct error *err);

/* Every call must have been answered. */
void job_free(struct job *job);

/* A further call waits for the same answer. ERR_TOO_LARGE where JOB_MAX_CALLS wait already. */
int job_join(struct job *job, struct edge_call *call, struct error *err);

void job_stop(struct job *job, const char *reason);

/* Does anybody still wait? */
bool job_is_lost(const struct job *job);

/* Answer all calls with the answer; afterwards the request is gone. */
void job_answer_calls(struct job *job);

#endif
