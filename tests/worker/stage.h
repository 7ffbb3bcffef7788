/* A whole worker on a thread of this process, a real broker, and the other side on the wire. Set up in this order:
 * stage_prepare, then what is special (config, host), then stage_open. */
#ifndef FLOSIM_TESTS_WORKER_STAGE_H
#define FLOSIM_TESTS_WORKER_STAGE_H

#include "config/worker_config.h"
#include "tests/net/mosquitto_fixture.h"
#include "tests/worker/party.h"
#include "tests/worker/scratch.h"
#include "worker/worker.h"

struct stage {
    struct mosquitto broker;
    struct party party;
    char dir[SCRATCH_PATH], data_dir[SCRATCH_PATH], temp_dir[SCRATCH_PATH];
    struct worker_config config;
    struct worker_host host;
    struct worker *worker;
    pthread_t thread;
    struct error failure;
    int status;
    struct model *model;
    struct blob *weights;
};

/* Replace a string of a configuration. */
void stage_set_text(char **field, const char *text);

/* Broker, folders, data and a configuration that fits. `host` may have been set before. */
void stage_prepare(struct stage *stage);

/* The party, the worker, and LeNet5 in its cache. */
void stage_open(struct stage *stage);
void stage_close(struct stage *stage); /* requires that the worker ended well */

/* Start the worker (again), and end it. */
void stage_run_worker(struct stage *stage);
void stage_end_worker(struct stage *stage);

/* One epoch of LeNet5 over the squares with SGD; round 0 of "session". */
struct train_request stage_request(const struct stage *stage);
void stage_begin_training(struct stage *stage, const struct train_request *request, struct exchange *exchange);
int stage_train(struct stage *stage, const struct train_request *request, struct exchange *exchange);

/* Abort the round of "session"; the answer's status. */
int stage_abort(struct stage *stage, int32_t round_idx);

#endif
