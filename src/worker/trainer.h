/* Local training, validation and benchmark of one client: plain structs in, bytes and figures out; knows neither gRPC
 * nor MQTT. Everything that a request needs comes with it, except the model's files (model_cache) and the data
 * (datasets). Compute thread only; any of the calls may first wait for a compute slot, and blocks for as long as it
 * computes. */
#ifndef FLOSIM_WORKER_TRAINER_H
#define FLOSIM_WORKER_TRAINER_H

#include "codec/edge_messages.h"
#include "util/clock.h"
#include "worker/datasets.h"
#include "worker/model_cache.h"
#include "worker/stopper.h"
#include "worker/worker.h"

struct trainer;

struct trainer_setup { /* all borrowed for the trainer's life */
    const char *client_id;
    const struct worker_host *host; /* all zero where there is none */
    struct datasets *datasets;
    struct model_cache *cache;
    const struct clock *clock;
    int threads; /* that compute; at least 1 */
};

int trainer_new(struct trainer **out, const struct trainer_setup *setup, struct error *err);
void trainer_free(struct trainer *trainer);

/* Errors of all three: ERR_NOT_FOUND (model or data set), ERR_INVALID, ERR_UNIMPLEMENTED (pickles), ERR_PRECONDITION
 * (no items to work on), ERR_CANCELLED (the stopper was raised, looked at between mini-batches), ERR_MEMORY. */

/* What becomes of the bytes that a request's spans point into: `drop` is called once all of them are decoded, or never,
 * so that the model as received need not lie beside the model in use. NULL where the caller keeps them. */
struct request_bytes {
    void (*drop)(void *context);
    void *context;
};

struct trained {
    struct blob *weights; /* a safetensors image [P] */
    char *metrics;        /* JSON: time_taken_s, num_epochs, total_mini_batches, loss, accuracy, num_samples; and ours:
                             measured_s, pss_idle_kb, pss_kb */
};

/* Train from the request's weights on the first part of the data: mini-batches shuffled anew each epoch from (seed,
 * "shuffle", client, round), the last short one included. Ends at num_epochs, or early at the request's limit, and then
 * returns what it has. loss and accuracy (percent) are means over the last epoch begun; num_epochs counts
 * parts of one. McMahan et al. 2017, ClientUpdate. The caller frees what is in *out (trained_fini). */
int trainer_train(struct trainer *trainer, const struct train_request *request, const struct request_bytes *bytes,
                  struct stopper *stop, struct trained *out, struct error *err);
void trained_fini(struct trained *trained);

/* The encoded answer of a training, as the host lets it go: it may put others in the place of both parts, or have the
 * answer withheld; then this returns ERR_CANCELLED once the stopper is raised. */
int trainer_offer_answer(const struct trainer *trainer, int64_t round, struct stopper *stop, struct blob **head,
                         struct blob **weights, struct error *err);

/* Evaluate the request's weights on the held-out part; *metrics is a new JSON string: accuracy, loss, num_samples. */
int trainer_validate(struct trainer *trainer, const struct validation_request *request,
                     const struct request_bytes *bytes, struct stopper *stop, char **metrics, struct error *err);

struct bench_result {
    int32_t num_mini_batches;
    double duration_s;
    char model_hash[MODEL_HASH_TEXT];
};

/* Time training steps of a freshly initialised model until the request's limit. Where time is modelled, every pass over
 * the data would take the same, so a timeout ends after one at the latest. */
int trainer_benchmark(struct trainer *trainer, const struct bench_request *request, struct stopper *stop,
                      struct bench_result *out, struct error *err);

#endif
