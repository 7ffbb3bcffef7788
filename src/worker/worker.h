/* The worker role: adverts and heartbeats over MQTT, EdgeService over gRPC, one compute thread. Stateless: everything a
 * training needs comes with the request. Several workers can live in one process. */
#ifndef FLOSIM_WORKER_WORKER_H
#define FLOSIM_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/worker_config.h"
#include "data/dataset.h"
#include "util/log.h"
#include "util/probe.h"
#include "worker/training_hooks.h"

struct worker;

/* What the surroundings lend a worker; a deployed one (flosim worker) has none of it. All borrowed for its life. */
struct worker_host {
    const char *client_id;  /* NULL: the one of temp_dir_path/client_info.yaml, made at the first start */
    const char *dataset_id; /* with `train`: the name of the one data set lent; NULL: read datasets_dir_path */
    const struct data_view *train;
    double local_validation_fraction;
    struct probes *probes;
    const struct clock *clock; /* of its loop; NULL: the system's */

    /* Compute slots: at most so many clients compute at once. Called on the compute thread; acquire may block and
     * returns false when the worker should give up (it polls `stop`). NULL: no slots. */
    bool (*acquire_slot)(void *context, bool (*stop)(void *stop_context), void *stop_context);
    void (*release_slot)(void *context);

    /* Modelled time: seconds that this client's device would take for so many FLOPs, and for so many bytes down and up
     * (of this round: a link may be faster in one than in another). NULL: time is measured. `idle_to_modelled`: sleep
     * (outside the slot) until the modelled duration has passed. */
    double (*compute_seconds)(void *context, double flops);
    double (*transfer_seconds)(void *context, int64_t round, size_t bytes_down, size_t bytes_up);
    bool idle_to_modelled;
    void *context;

    const struct training_hooks *training; /* a hand in trainings; NULL: none */
    void *training_context;

    /* Told on the worker's loop thread: "connected", "advertised", "training", "trained", "validated", … for counters
     * in shared memory. NULL: not told. */
    void (*observe)(void *context, const char *event);
};

/* Everything is borrowed for the worker's life. Opens temp_dir_path and the port, begins to connect to the broker.
 * ERR_SETUP (with the remedy) for a folder in use by another worker, a port in use, unreadable data. */
int worker_new(struct worker **out, const struct worker_config *config, const struct worker_host *host,
               const struct log *log, struct error *err);
const char *worker_client_id(const struct worker *worker);
int worker_port(const struct worker *worker);

/* Runs on the calling thread until worker_stop. Fails with ERR_SETUP, and says what to do, where no broker can be
 * reached within mqtt_sub_timeout_s of the start; later losses of the broker are retried for ever. When it returns the
 * port is closed and the configuration's cleanup_* keys have been honoured; a worker runs once. */
int worker_run(struct worker *worker, struct error *err);

/* Any thread. Work in hand is stopped at the next mini-batch and answered with a failure, `offline` is published, the
 * port closes, worker_run returns. */
void worker_stop(struct worker *worker);
void worker_free(struct worker *worker);

/* For a process that is one worker and nothing else, before its first thread: settings of malloc that keep an idle
 * worker small. */
void worker_tune_process(void);

#endif
