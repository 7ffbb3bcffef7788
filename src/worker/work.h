/* What trainings, validations and benchmarks have in common: the compute slot, the model and data that a request names,
 * and the memory that a training step needs. Inside src/worker only; compute thread only. */
#ifndef FLOSIM_WORKER_WORK_H
#define FLOSIM_WORKER_WORK_H

#include <jansson.h>

#include "nn/run.h"
#include "util/rng.h"
#include "worker/cached_model.h"
#include "worker/stopwatch.h"
#include "worker/trainer.h"

struct trainer {
    struct trainer_setup setup;
    struct cached_model cached;
};

/* What one request works on. Borrows from the trainer; owns params. */
struct work {
    const struct trainer *trainer;
    struct stopper *stop;
    const struct model *model;
    const struct loss_ops *loss;
    struct data_parts data;
    int batch;     /* as asked, but no larger than the part of the data it is used on */
    float *params; /* [P] */
    struct stopwatch watch;
};

struct work_order {
    const char *model_id, *model_class, *dataset_id;
    struct span model_config, loss_function;
    int32_t batch_size;
};

/* Take a compute slot: ERR_CANCELLED when it was given up. Starts the stopwatch. Each work_begin that returned OK is
 * followed by one work_end, which gives the memory back to the system, then the slot. */
int work_begin(struct work *work, const struct trainer *trainer, struct stopper *stop, struct error *err);
void work_end(struct work *work);

/* Once nothing of the request's spans is needed any more. NULL is legal. */
void request_bytes_drop(const struct request_bytes *bytes);

/* Find model, data and loss, check that they fit together, allocate params. */
int work_prepare(struct work *work, struct trainer *trainer, const struct work_order *order, struct error *err);

/* Outside the slot: idle until the modelled duration has passed, where the host wants that. ERR_CANCELLED when stopped.
 */
int work_idle(const struct work *work, double duration_s, struct error *err);

/* Evaluate params on `count` items from `first`; counts the FLOPs on the stopwatch. ERR_CANCELLED when stopped. */
int work_evaluate(struct work *work, size_t first, size_t count, struct evaluation *out, struct error *err);

bool work_has_values(const struct work *work); /* the data's targets are values */

int work_check_limit(const struct work_limit *limit, struct error *err);
int work_cancelled(struct error *err); /* returns ERR_CANCELLED with its sentence */

/* A number for JSON; null where it is not finite, which JSON cannot say. */
json_t *work_number(double value);

/* Add loss and accuracy, and what else means something for this network: perplexity, mae, mse. Not 0: out of memory. */
int work_add_figures(json_t *metrics, const struct evaluation *figures);

/* Memory of training steps. */
struct steps {
    struct workspace *ws;
    struct optimizer *optimizer;
    float *grads; /* [num_parameters] */
    struct batch batch;
    struct rng noise;                   /* dropout and the like */
    const struct training_hooks *hooks; /* of a training of this round; NULL: none */
    int64_t round;
};

int steps_init(struct steps *steps, const struct work *work, struct span optimizer, double learning_rate,
               struct error *err);
void steps_fini(struct steps *steps);

/* One mini-batch: `count` items of `order` (NULL: as they lie) from `first`. Adds to *sums, and counts its FLOPs on the
 * stopwatch. */
void steps_run(struct steps *steps, struct work *work, const uint32_t *order, size_t first, size_t count,
               struct loss_sums *sums);

#endif
